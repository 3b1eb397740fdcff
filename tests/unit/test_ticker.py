"""The ticker and the wall clock: a step silences nobody (the scheduler itself reckons with it)."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest

from reconciler.clock import SystemClock
from reconciler.engine.ticker import Ticker

WAIT = 0.01


class SteppedClock(SystemClock):
    """The real clocks, with a wall clock that a test sets."""

    def __init__(self) -> None:
        self.step = timedelta(0)

    def now(self) -> Any:
        return super().now() + self.step


class Counter:
    def __init__(self) -> None:
        self.ticks = 0
        self.at_once = 0
        self._ended = asyncio.Event()

    async def tick(self) -> None:
        self.at_once += 1
        assert self.at_once == 1
        await asyncio.sleep(WAIT)
        self.at_once -= 1
        self.ticks += 1
        self._ended.set()

    async def until(self, ticks: int) -> None:
        async with asyncio.timeout(5):
            while self.ticks < ticks:
                await self._ended.wait()
                self._ended.clear()
        await asyncio.sleep(0)  # the scheduler hears of the end one turn later


async def test_it_ticks_at_once_and_again_one_at_a_time() -> None:
    counter = Counter()
    ticker = Ticker(0.02, SystemClock(), counter.tick)
    ticker.start()
    await counter.until(5)
    ticker.stop()
    seen = counter.ticks
    await asyncio.sleep(0.1)
    assert counter.ticks <= seen + 1
    ticker.close()
    await asyncio.sleep(0)


async def test_after_a_step_it_ticks_at_once() -> None:
    counter, clock = Counter(), SteppedClock()
    ticker = Ticker(3600, clock, counter.tick)
    ticker.start()
    await counter.until(1)
    assert ticker.step() == 0.0
    clock.step = -timedelta(hours=1)
    assert ticker.step() == pytest.approx(-3600, abs=1)
    await counter.until(2)
    assert ticker.step() == 0.0
    ticker.close()
    await asyncio.sleep(0)


async def test_a_job_that_is_gone_is_no_silence() -> None:
    ticker = Ticker(3600, SystemClock(), Counter().tick)
    ticker.start()
    ticker._scheduler.remove_all_jobs()
    with pytest.raises(RuntimeError, match="lost its job"):
        ticker.step()
    ticker.close()
    await asyncio.sleep(0)
