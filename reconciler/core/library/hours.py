"""When a library's desks are open: nothing happens to a book while nobody can touch it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo

WEEK = 7


@dataclass(frozen=True, slots=True)
class Stretch:
    """One stretch of opening hours, as instants."""

    opens_at: datetime
    closes_at: datetime


@dataclass(frozen=True, slots=True)
class Hours:
    """Opening hours by weekday, Monday first, in the library's zone; None for a closed day.

    A closing time of 00:00 is the midnight at the end of the day. At least one day is open.
    """

    days: tuple[tuple[time, time] | None, ...]
    zone: tzinfo

    def stretch_at(self, at: datetime) -> Stretch:
        """The stretch that an instant lies in, or the next one."""
        today = at.astimezone(self.zone).date()
        for offset in range(WEEK + 1):
            stretch = self._of_day(today + timedelta(days=offset))
            if stretch is not None and stretch.closes_at > at:
                return stretch
        raise ValueError("no day of the week is open")

    def _of_day(self, day: date) -> Stretch | None:
        hours = self.days[day.weekday()]
        if hours is None:
            return None
        opens, closes = hours
        last_day = day + timedelta(days=1) if closes == time() else day
        return Stretch(self._instant(day, opens), self._instant(last_day, closes))

    def _instant(self, day: date, at: time) -> datetime:
        return datetime.combine(day, at, self.zone).astimezone(UTC)
