"""When to look again: by status and how long it has lasted, within the desks' opening hours.

Every live status has an interval, so that nothing live is ever forgotten. How the wait for each
step is shaped stands in `PACE`: sparse while the step is hardly possible yet, sparse again when
it is long overdue. A failed look is repeated sooner, whatever the hour. Jitter is a hash of the
transaction's id and version: spread over the fleet, the same in every run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta

from reconciler.core.effects import is_cleared
from reconciler.core.library.hours import Hours
from reconciler.core.model import Leg, Policy, Transaction
from reconciler.core.status import TERMINAL, DcbStatus, Role, pickup_side

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

DEFAULT_INTERVALS: dict[DcbStatus, timedelta] = {
    DcbStatus.RESOLVED: 5 * MINUTE,
    DcbStatus.REQUEST_PLACED_AT_SUPPLYING_AGENCY: 15 * MINUTE,
    DcbStatus.CONFIRMED: 15 * MINUTE,
    DcbStatus.REQUEST_PLACED_AT_BORROWING_AGENCY: 1 * HOUR,
    DcbStatus.REQUEST_PLACED_AT_PICKUP_AGENCY: 1 * HOUR,
    DcbStatus.PICKUP_TRANSIT: 1 * HOUR,
    DcbStatus.RECEIVED_AT_PICKUP: 1 * HOUR,
    DcbStatus.READY_FOR_PICKUP: 1 * HOUR,
    DcbStatus.LOANED: 6 * HOUR,
    DcbStatus.RETURN_TRANSIT: 1 * HOUR,
    DcbStatus.COMPLETED: 15 * MINUTE,
    DcbStatus.NOT_SUPPLIED_CURRENT_SUPPLIER: 15 * MINUTE,
    DcbStatus.AWAITING_RETURN_TO_SUPPLIER: 2 * HOUR,
    DcbStatus.CANCELLED: 15 * MINUTE,
}
"""Per live status; settings may change each (`polling.cadence`)."""

Pace = tuple[tuple[timedelta, float], ...]
"""From which age on the interval is multiplied by what; ages ascend, the first is 0."""

_STEADY: Pace = ((0 * DAY, 1.0),)
_WORK: Pace = ((0 * DAY, 1.0), (1 * DAY, 4.0))
_LATE: Pace = ((10 * DAY, 2.0), (28 * DAY, 6.0))
_PULL: Pace = ((0 * DAY, 2.0), (6 * HOUR, 1.5), (12 * HOUR, 0.95), *_LATE)
_WAY: Pace = ((0 * DAY, 8.0), (20 * HOUR, 1.4), (36 * HOUR, 0.85))
_WAY_HOME: Pace = ((0 * DAY, 8.0), (20 * HOUR, 1.8), (36 * HOUR, 1.3), (60 * HOUR, 0.95))
_SHELF: Pace = ((0 * DAY, 2.5), (12 * HOUR, 1.5), (24 * HOUR, 1.0), *_LATE)
_JOURNEY_LATE: Pace = ((7 * DAY, 2.0), (21 * DAY, 6.0))
_WAIT: Pace = ((0 * DAY, 1.0), *_LATE)

PACE: dict[DcbStatus, Pace] = {
    DcbStatus.RESOLVED: _WORK,
    DcbStatus.REQUEST_PLACED_AT_SUPPLYING_AGENCY: _WORK,
    DcbStatus.CONFIRMED: _WORK,
    DcbStatus.REQUEST_PLACED_AT_BORROWING_AGENCY: _PULL,
    DcbStatus.REQUEST_PLACED_AT_PICKUP_AGENCY: _PULL,
    DcbStatus.PICKUP_TRANSIT: (*_WAY, *_JOURNEY_LATE),
    DcbStatus.RECEIVED_AT_PICKUP: _WAIT,
    DcbStatus.READY_FOR_PICKUP: _SHELF,
    DcbStatus.LOANED: _STEADY,
    DcbStatus.RETURN_TRANSIT: (*_WAY_HOME, *_JOURNEY_LATE),
    DcbStatus.COMPLETED: _WORK,
    DcbStatus.NOT_SUPPLIED_CURRENT_SUPPLIER: _WORK,
    DcbStatus.AWAITING_RETURN_TO_SUPPLIER: _WAIT,
    DcbStatus.CANCELLED: _WORK,
}
"""By how long the status has lasted: the fewest looks for one mean delay are as dense as the square
root of how likely the step is now. A book that left today arrives tomorrow at the earliest; one on
its way home is collected first; staff fetch a book hours after it was asked for, and a reader
comes a day after the book. (`tests/bench month` measures it.)"""

AROUND_DUE: Pace = (
    (-3650 * DAY, 1.6),
    (-5 * DAY, 0.6),
    (4 * DAY, 1.0),
    (14 * DAY, 2.0),
    (60 * DAY, 4.0),
)
"""The same for LOANED, by the time since the loan fell due (negative: before)."""

WATCHED: dict[DcbStatus, str] = {
    DcbStatus.RESOLVED: "supplier",
    DcbStatus.REQUEST_PLACED_AT_SUPPLYING_AGENCY: "supplier",
    DcbStatus.CONFIRMED: "supplier",
    DcbStatus.REQUEST_PLACED_AT_BORROWING_AGENCY: "supplier",
    DcbStatus.REQUEST_PLACED_AT_PICKUP_AGENCY: "supplier",
    DcbStatus.PICKUP_TRANSIT: "pickup side",
    DcbStatus.RECEIVED_AT_PICKUP: "pickup side",
    DcbStatus.READY_FOR_PICKUP: "pickup side",
    DcbStatus.LOANED: "pickup side",
    DcbStatus.RETURN_TRANSIT: "supplier",
    DcbStatus.COMPLETED: "supplier",
    DcbStatus.NOT_SUPPLIED_CURRENT_SUPPLIER: "supplier",
    DcbStatus.AWAITING_RETURN_TO_SUPPLIER: "supplier",
    DcbStatus.CANCELLED: "supplier",
}
"""At whose desk the next step is made."""

JITTER = 0.1
AFTER_CLOSING = 10 * MINUTE
"""The day's last look comes up to this long after the desk has closed."""

AFTER_NEWS = 0.5
JUST_NOW = 15 * MINUTE
"""Something moved without moving the status, or after it had moved: more may follow."""

FIRST_RETRY = 1 * MINUTE
LONGEST_RETRY = 1 * HOUR


def next_poll_at(
    transaction: Transaction,
    now: datetime,
    policy: Policy,
    look_again_in: timedelta | None = None,
) -> datetime | None:
    """When to look next; None once nothing is left to see."""
    if transaction.status in TERMINAL or _waits_for_the_caller(transaction):
        return None
    interval = policy.intervals[transaction.status]
    hours, spread = _hours(transaction, policy), _spread(transaction)
    at = min(
        _after(since, interval * factor, hours, spread)
        for since, factor in _paces(transaction, now, hours)
    )
    if transaction.failures:
        backoff = FIRST_RETRY * 2 ** min(transaction.failures - 1, 10)
        at = min(at, _after(now, min(backoff, LONGEST_RETRY), None, spread))
    return at if look_again_in is None else min(at, now + look_again_in)


def _after(since: datetime, interval: timedelta, hours: Hours | None, spread: float) -> datetime:
    if hours is None:
        return since + interval * (1 + JITTER * spread)
    return _within(hours, since, interval, spread)


def _paces(
    transaction: Transaction, now: datetime, hours: Hours | None
) -> Iterator[tuple[datetime, float]]:
    """What the usual interval is multiplied by from now on, and from when on it changes.

    A sparse wait does not reach far into a denser one.
    """
    pace, zero = PACE[transaction.status], transaction.status_since
    due_at = _due_at(transaction) if transaction.status is DcbStatus.LOANED else None
    if due_at is not None:
        pace, zero = AROUND_DUE, due_at
    begins = now if hours is None else max(now, hours.stretch_at(now).opens_at)
    factor = pace[0][1]
    for age, each in pace[1:]:
        if zero + age <= begins:
            factor = each
        else:
            yield zero + age, each
    moved = transaction.unchanged_looks == 0 and begins - transaction.status_since > JUST_NOW
    yield now, min(factor, 1.0) * AFTER_NEWS if moved else factor


def _due_at(transaction: Transaction) -> datetime | None:
    leg = _leg(transaction, "pickup side")
    return leg.loan_due_at if leg is not None else None


def _hours(transaction: Transaction, policy: Policy) -> Hours | None:
    """The hours of the desk that the next step is waited for from."""
    leg = _leg(transaction, WATCHED[transaction.status])
    host = policy.hosts.get(leg.host_lms) if leg is not None else None
    return host.hours if host is not None else None


def _leg(transaction: Transaction, side: str) -> Leg | None:
    if side == "supplier":
        return transaction.leg(Role.SUPPLIER)
    return transaction.leg(pickup_side(transaction.workflow))


def _within(hours: Hours, now: datetime, interval: timedelta, spread: float) -> datetime:
    """The looks of a day divide its open hours evenly; the last one comes after closing."""
    days_to_skip = max(0, round(interval / DAY) - 1)
    stretch = hours.stretch_at(now + days_to_skip * DAY)
    start = max(now, stretch.opens_at)
    left = stretch.closes_at - start
    looks = max(1, round(left / interval))
    if looks == 1:
        return stretch.closes_at + AFTER_CLOSING * (1 + spread) / 2
    return start + left / looks * (1 + JITTER * spread)


def _waits_for_the_caller(transaction: Transaction) -> bool:
    """Not supplied and cleared: only another item, submitted by the caller, can go on from here."""
    not_supplied = transaction.status is DcbStatus.NOT_SUPPLIED_CURRENT_SUPPLIER
    return not_supplied and is_cleared(transaction)


def _spread(transaction: Transaction) -> float:
    """A number in [-1, 1) that depends only on the transaction and how often it was looked at."""
    key = f"{transaction.id}:{transaction.version}".encode()
    digest = hashlib.blake2b(key, digest_size=4).digest()
    return int.from_bytes(digest, "big") / 2**31 - 1
