"""The demo's time: real, but it can be moved on, so that a loan of three weeks takes no time."""

from __future__ import annotations

from datetime import datetime, timedelta

from reconciler.clock import SystemClock


class StageClock(SystemClock):
    """Real time plus what was skipped; sleeping and monotonic time are real."""

    def __init__(self) -> None:
        self._skipped = timedelta(0)

    def now(self) -> datetime:
        return super().now() + self._skipped

    def skip(self, time: timedelta) -> None:
        self._skipped += time
