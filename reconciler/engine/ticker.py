"""The one place that knows APScheduler: a dumb ticker. What is due stands in our table.

APScheduler 3 reckons with the wall clock, so a clock that is stepped back would silence it until
the old time comes again; `step` notices that and sets it right (libs.md §2.1).
"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from datetime import UTC

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from loguru import logger

from reconciler.ports.clock import Clock

STEP = 2.0
"""Seconds by which the two clocks may drift apart between two looks at them."""

_JOB = "tick"


class Ticker:
    """Calls `tick` every `interval` seconds, one call at a time; calls that were missed are one."""

    def __init__(self, interval: float, clock: Clock, tick: Callable[[], Awaitable[None]]) -> None:
        self._interval = interval
        self._clock = clock
        self._tick = tick
        self._scheduler = AsyncIOScheduler(timezone=UTC)
        self._broken: str | None = None
        self._wall, self._steady = clock.now(), clock.monotonic()

    def start(self) -> None:
        """The first tick comes at once."""
        # it warns of every tick that is left out because the last one is still under way
        logging.getLogger("apscheduler").setLevel(logging.ERROR)
        self._scheduler.add_listener(self._ended_badly, EVENT_JOB_ERROR | EVENT_JOB_MISSED)
        self._scheduler.add_job(
            self._tick,
            "interval",
            id=_JOB,
            seconds=self._interval,
            next_run_time=self._clock.now(),
            coalesce=True,
            max_instances=1,
            misfire_grace_time=None,
        )
        self._scheduler.start()

    def every(self, interval: float) -> None:
        """From now on tick at this interval."""
        if interval != self._interval:
            self._interval = interval
            self._scheduler.reschedule_job(_JOB, trigger="interval", seconds=interval)
            self.now()

    def now(self) -> None:
        """Tick as soon as may be, and count the interval from here."""
        self._scheduler.modify_job(_JOB, next_run_time=self._clock.now())

    def stop(self) -> None:
        """No further tick; one that is under way is not touched."""
        if self._scheduler.running:
            self._scheduler.pause()

    def close(self) -> None:
        """Only after the last tick has ended: it would be cancelled."""
        if self._scheduler.running:
            self._scheduler.shutdown(wait=False)

    def step(self) -> float:
        """By how many seconds the wall clock was stepped since the last call; 0 if it was not.

        After a step the next tick comes at once. Raises RuntimeError when the scheduler lost the
        job or broke it.
        """
        if self._broken or self._scheduler.get_job(_JOB) is None:
            raise RuntimeError(self._broken or "the scheduler lost its job")
        wall, steady = self._clock.now(), self._clock.monotonic()
        step = (wall - self._wall).total_seconds() - (steady - self._steady)
        self._wall, self._steady = wall, steady
        if abs(step) <= STEP:
            return 0.0
        logger.bind(seconds=round(step)).warning("the wall clock was stepped")
        self.now()
        return step

    def _ended_badly(self, event: JobExecutionEvent) -> None:
        self._broken = type(event.exception).__name__ if event.exception else "a tick was missed"
