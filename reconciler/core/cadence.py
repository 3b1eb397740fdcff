"""When to look again: by status and how long it has lasted, within the desks' opening hours.

Every live status has an interval, so that nothing live is ever forgotten. How the wait for each
step is shaped stands in `stages.py`: sparse while the step is hardly possible yet, sparse again
when it is long overdue. A failed look is repeated sooner, whatever the hour. Jitter is a hash of
the transaction's id and version: spread over the fleet, the same in every run.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import TypeVar

from reconciler.core.effects import is_cleared
from reconciler.core.library.hours import Hours
from reconciler.core.model import Pace, Policy, Transaction
from reconciler.core.stages import live
from reconciler.core.status import TERMINAL, DcbStatus, Side

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

AROUND_DUE: Pace = (
    (-3650 * DAY, 1.6),
    (-5 * DAY, 0.6),
    (4 * DAY, 1.0),
    (14 * DAY, 2.0),
    (60 * DAY, 4.0),
)
"""The same for LOANED, by the time since the loan fell due (negative: before)."""

JITTER = 0.1
AFTER_CLOSING = 10 * MINUTE
"""The day's last look comes up to this long after the desk has closed."""

AFTER_NEWS = 0.5
JUST_NOW = 15 * MINUTE
"""Something moved without moving the status, or after it had moved: more may follow."""

FIRST_RETRY = 1 * MINUTE
LONGEST_RETRY = 1 * HOUR


Wait = TypeVar("Wait", timedelta, float)


def backoff(first: Wait, tries: int, longest: Wait) -> Wait:
    """The first wait, doubled for each try that was made before, up to the longest."""
    doubled: Wait = first * 2 ** max(0, min(tries, 10))
    return min(doubled, longest)


def share_of(*key: object) -> float:
    """A number in [0, 1) that depends on the key alone: jitter that is the same in every run."""
    digest = hashlib.blake2b(":".join(map(str, key)).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") / 2**32


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
        retry = backoff(FIRST_RETRY, transaction.failures - 1, LONGEST_RETRY)
        at = min(at, _after(now, retry, None, spread))
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
    pace, zero = live(transaction.status).pace, transaction.status_since
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
    leg = transaction.leg(Side.PICKUP.role(transaction.workflow))
    return leg.loan_due_at if leg is not None else None


def _hours(transaction: Transaction, policy: Policy) -> Hours | None:
    """The hours of the desk that the next step is waited for from."""
    desk = live(transaction.status).next_step_at
    leg = transaction.leg(desk.role(transaction.workflow))
    host = policy.hosts.get(leg.host_lms) if leg is not None else None
    return host.hours if host is not None else None


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
    return 2 * share_of(transaction.id, transaction.version) - 1
