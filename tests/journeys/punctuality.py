"""How late each look came, in true time, against when the service itself said it would look.

It listens where looks are recorded (the store's `settle`): what was promised then, by the clock of
that moment, is the due time of the next look of that transaction. A promise itself is held against
the cadence, so that a service that puts everything off is not punctual.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from reconciler.core.cadence import AROUND_DUE, JITTER
from reconciler.core.model import Transaction
from reconciler.core.stages import live
from reconciler.core.status import DcbStatus
from reconciler.ports.written import Settlement
from tests.journeys.month import InlineStorage
from tests.journeys.weather import Death
from tests.support.timeline import HostClock


@dataclass(frozen=True)
class Seen:
    """One look. `due_at` and `at` are true seconds since the beginning; what became due while the
    machine slept is due when it wakes."""

    id: str
    tenant: str
    libraries: frozenset[str]
    due_at: float
    at: float
    interval: timedelta
    """The usual one of the status that it was in."""
    failed: bool

    @property
    def late(self) -> float:
        """Seconds."""
        return max(0.0, self.at - self.due_at)

    @property
    def intervals_late(self) -> float:
        return self.late / self.interval.total_seconds()


@dataclass
class Looks:
    clock: HostClock
    awake_at: Callable[[float], float]
    """When a machine that may have slept could first do what was due at this true second."""
    intervals: Mapping[DcbStatus, timedelta]
    seen: list[Seen] = field(default_factory=list)
    put_off: list[tuple[float, str]] = field(default_factory=list)
    """Promises that the cadence does not allow, and when they were made."""
    _due: dict[str, float] = field(default_factory=dict)
    _expected: dict[str, float] = field(default_factory=dict)
    """The same by the service's own clock: it differs where that was set since."""
    _interval: dict[str, float] = field(default_factory=dict)

    def expect(self, transaction: Transaction) -> None:
        """A new one, as it was stored."""
        due = self._seconds(transaction)
        if due is not None:
            self._promised(transaction, due)

    def settled(self, batch: Sequence[Settlement], written: Iterable[bool]) -> None:
        for settlement, ok in zip(batch, written, strict=True):
            if ok:
                self._settled(settlement)

    def _settled(self, settlement: Settlement) -> None:
        before, after, now = settlement.before, settlement.after, self.clock.monotonic()
        if after.last_poll_at != before.last_poll_at:
            self.seen.append(
                Seen(
                    after.id,
                    after.tenant,
                    frozenset(leg.host_lms for leg in after.legs),
                    self._due[after.id] + self._slept(after.id),
                    now,
                    self.intervals[before.status],
                    after.failures > 0,
                )
            )
        promised = self._seconds(after)
        if promised is None:
            self._due.pop(after.id, None)
            return
        self._promised(after, promised)
        wait, longest = promised - now, _longest(self.intervals, after.status)
        if wait > longest.total_seconds():
            told = f"{after.id}: next look at {after.status} in {wait / 3600:.1f} h"
            self.put_off.append((now, told))

    def _promised(self, transaction: Transaction, due: float) -> None:
        self._due[transaction.id] = self._expected[transaction.id] = due
        self._interval[transaction.id] = self.intervals[transaction.status].total_seconds()

    def _slept(self, id: str) -> float:
        """For how long the machine slept on when it was to be looked at."""
        return self.awake_at(self._expected[id]) - self._expected[id]

    def clock_set(self, by: timedelta) -> None:
        """From now on the service expects to look earlier or later; it is due as it was."""
        for id in self._due:
            self._expected[id] -= by.total_seconds()

    def _seconds(self, transaction: Transaction) -> float | None:
        """When the look is due that is promised by the wall clock as it is now."""
        at = transaction.next_poll_at
        if at is None:
            return None
        return self.clock.monotonic() + (at - self.clock.now()).total_seconds()

    def needed_by(self, share: float) -> float:
        """The true second at which some look will be late by this share of its interval."""
        late = (self._expected[id] + share * self._interval[id] for id in self._due)
        return min(late, default=1e9)

    def between(self, start: float, end: float) -> list[Seen]:
        """Looks that were due or came in that time."""
        return [look for look in self.seen if look.due_at <= end and look.at >= start]

    def never(self, end: float) -> Iterable[tuple[str, float]]:
        """What is due at the end and was not looked at, with the seconds since."""
        return ((id, end - due) for id, due in self._due.items() if due < end)


class WatchedStorage(InlineStorage):
    """Whoever counts looks is told what was recorded."""

    def __init__(self, death: Death, looks: Looks) -> None:
        super().__init__(death)
        self._looks = looks

    async def run(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        result = await super().run(call, *args, **kwargs)
        if call.__name__ == "settle":
            self._looks.settled(args[0], result)
        return result


def _longest(intervals: Mapping[DcbStatus, timedelta], status: DcbStatus) -> timedelta:
    paces = [*live(status).pace, *(AROUND_DUE if status is DcbStatus.LOANED else ())]
    return intervals[status] * max(factor for _, factor in paces) * (1 + JITTER)
