"""Time that moves only when a test says so, or when somebody sleeps."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta


class FakeClock:
    """`ports.Clock`: sleeping moves it on at once and gives the others a turn."""

    def __init__(self, start: datetime) -> None:
        self._now = start
        self._monotonic = 1000.0
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self._now

    def monotonic(self) -> float:
        return self._monotonic

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._monotonic += max(0.0, seconds)
        self._now += timedelta(seconds=max(0.0, seconds))
        await asyncio.sleep(0)

    def advance(self, by: timedelta) -> None:
        self._now += by
        self._monotonic += by.total_seconds()
