"""The one place that knows APScheduler: a dumb ticker. What is due stands in our table.

APScheduler 3 reckons with the wall clock, so a clock that is stepped back would silence it until
the old time comes again; `guard` notices the step and sets it right (libs.md §2.1).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC

from apscheduler.events import EVENT_JOB_ERROR, EVENT_JOB_MISSED, JobExecutionEvent
from apscheduler.schedulers.asyncio import AsyncIOScheduler
from loguru import logger

from reconciler.ports import Clock

GUARD_INTERVAL = 5.0
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

    def start(self) -> None:
        """The first tick comes at once."""
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

    async def guard(self, stepped: Callable[[float], Awaitable[None]]) -> None:
        """Set the ticker right after the wall clock was stepped; `stepped` hears by how much.

        Raises RuntimeError when the scheduler lost the job.
        """
        wall, steady = self._clock.now(), self._clock.monotonic()
        while True:
            await self._clock.sleep(GUARD_INTERVAL)
            step = (self._clock.now() - wall).total_seconds() - (self._clock.monotonic() - steady)
            wall, steady = self._clock.now(), self._clock.monotonic()
            if self._broken or self._scheduler.get_job(_JOB) is None:
                raise RuntimeError(self._broken or "the scheduler lost its job")
            if abs(step) > STEP:
                logger.bind(seconds=round(step)).warning("the wall clock was stepped")
                self.now()
                await stepped(step)

    def _ended_badly(self, event: JobExecutionEvent) -> None:
        self._broken = type(event.exception).__name__ if event.exception else "a tick was missed"
