"""When to look again: by status, sooner where a second look is waited for, later after failures.

Every live status has an interval, so that nothing live is ever forgotten. Jitter is a hash of
the transaction's id and the instant's day: spread over the fleet, the same in every run.
"""

from __future__ import annotations

import hashlib
from datetime import datetime, timedelta

from reconciler.core.effects import is_cleared
from reconciler.core.model import Policy, Transaction
from reconciler.core.status import TERMINAL, DcbStatus

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)

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

JITTER = 0.1
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
    if transaction.failures:
        backoff = FIRST_RETRY * 2 ** min(transaction.failures - 1, 10)
        interval = min(interval, min(backoff, LONGEST_RETRY))
    wait = interval * (1 + JITTER * _spread(transaction))
    if look_again_in is not None:
        wait = min(wait, look_again_in)
    return now + wait


def _waits_for_the_caller(transaction: Transaction) -> bool:
    """Not supplied and cleared: only another item, submitted by the caller, can go on from here."""
    not_supplied = transaction.status is DcbStatus.NOT_SUPPLIED_CURRENT_SUPPLIER
    return not_supplied and is_cleared(transaction)


def _spread(transaction: Transaction) -> float:
    """A number in [-1, 1) that depends only on the transaction and how often it was looked at."""
    key = f"{transaction.id}:{transaction.version}".encode()
    digest = hashlib.blake2b(key, digest_size=4).digest()
    return int.from_bytes(digest, "big") / 2**31 - 1
