"""The two thresholds of Alma's gateway: calls per second and calls per day (alma-api.md 1.4)."""

from __future__ import annotations

from collections import deque
from datetime import date
from typing import Final
from zoneinfo import ZoneInfo

from reconciler.sandbox.clocks import Clock

PER_SECOND: Final = "PER_SECOND_THRESHOLD"
DAILY: Final = "DAILY_THRESHOLD"


class Quota:
    """Counts one institution's calls. `per_second` None means no limit.

    The day is renewed at midnight in the institution's zone. A refused call costs nothing.
    """

    def __init__(self, clock: Clock, zone: ZoneInfo, daily: int = 1_000_000) -> None:
        self.per_second: int | None = None
        self.daily = daily
        self._clock = clock
        self._zone = zone
        self._day: date | None = None
        self._used = 0
        self._recent: deque[float] = deque()

    @property
    def remaining(self) -> int:
        self._renew()
        return max(0, self.daily - self._used)

    @remaining.setter
    def remaining(self, calls: int) -> None:
        """What is left of today; tomorrow has the full quota again."""
        self._renew()
        self._used = self.daily - calls

    def take(self) -> str | None:
        """Spend one call; the code of the threshold that refuses it, or None."""
        if self.remaining <= 0:
            return DAILY
        if self.per_second is not None and not self._fits_in_second(self.per_second):
            return PER_SECOND
        self._used += 1
        return None

    def _fits_in_second(self, limit: int) -> bool:
        now = self._clock.monotonic()
        while self._recent and now - self._recent[0] >= 1.0:
            self._recent.popleft()
        if len(self._recent) >= limit:
            return False
        self._recent.append(now)
        return True

    def _renew(self) -> None:
        today = self._clock.now().astimezone(self._zone).date()
        if today != self._day:
            self._day = today
            self._used = 0
