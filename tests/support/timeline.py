"""An event loop whose time jumps: as soon as nothing is left to do, the next timer's time has come.

Whatever waits by the loop (asyncio, APScheduler, the service's own sleeps) waits in this time. What
blocks, such as a call of the database, takes none of it.
"""

from __future__ import annotations

import asyncio
import selectors
from bisect import bisect
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import Any
from unittest.mock import patch

RESOLUTION = 1e-6
"""Seconds; a month's worth of seconds as a float is no more exact than this."""


class _Jump(selectors.DefaultSelector):  # type: ignore[valid-type,misc]
    """Never waits for what can only be time."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.leap_to = 0.0
        self.leaps: list[tuple[float, float]] = []

    def select(self, timeout: float | None = None) -> Any:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            raise RuntimeError("nothing will ever happen again")
        then = self.now + timeout
        if then < self.leap_to:
            self.leaps.append((self.now, self.leap_to))
            then = self.leap_to
        self.now = then
        return ready


class Timeline(asyncio.SelectorEventLoop):
    """`time()` is true time, in seconds since the beginning; it is nobody's wall clock."""

    def __init__(self) -> None:
        self._jump = _Jump()
        super().__init__(self._jump)
        self._clock_resolution = RESOLUTION

    def time(self) -> float:
        return self._jump.now

    def leap(self, seconds: float) -> None:
        """At the next idle moment pass over all timers of the next seconds; they fire at its end.

        As after a suspended process: each timer fires once, late.
        """
        self._jump.leap_to = self._jump.now + seconds

    def awake_at(self, at: float) -> float:
        """This second, or the end of the leap that passed over it."""
        leaps = self._jump.leaps
        n = bisect(leaps, at, key=lambda leap: leap[0]) - 1
        return max(at, leaps[n][1]) if n >= 0 and leaps[n][1] > at else at


class HostClock:
    """`ports.Clock` of a machine on a timeline: a wall clock that can be set, and a steady one."""

    def __init__(self, loop: Timeline, start: datetime) -> None:
        self._loop = loop
        self._start = start
        self.ahead = timedelta(0)
        """By how much this machine's wall clock is ahead of true time."""

    def now(self) -> datetime:
        return self._start + timedelta(seconds=self._loop.time()) + self.ahead

    def monotonic(self) -> float:
        return self._loop.time()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


@contextmanager
def scheduler_of(clock: HostClock) -> Iterator[None]:
    """APScheduler reads the wall clock by itself: here it reads this machine's."""

    class Datetime(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return clock.now().astimezone(tz)

    modules = ("schedulers.base", "triggers.interval", "executors.base")
    patches = [patch(f"apscheduler.{module}.datetime", Datetime) for module in modules]
    for each in patches:
        each.start()
    try:
        yield
    finally:
        for each in patches:
            each.stop()
