"""When a transaction has stood too long in a status, and somebody should look at it.

Nothing is ever dropped for being late: it is reported. The first values are what a consortium
reports by (operators.md §4.5); settings may change each (`polling.too_long`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.core.model import Transaction
from reconciler.core.status import LIVE, DcbStatus, pickup_side

DAY = timedelta(days=1)

DEFAULT_TOO_LONG: dict[DcbStatus, timedelta] = {
    DcbStatus.RESOLVED: 1 * DAY,
    DcbStatus.REQUEST_PLACED_AT_SUPPLYING_AGENCY: 3 * DAY,
    DcbStatus.CONFIRMED: 3 * DAY,
    DcbStatus.REQUEST_PLACED_AT_BORROWING_AGENCY: 3 * DAY,
    DcbStatus.REQUEST_PLACED_AT_PICKUP_AGENCY: 3 * DAY,
    DcbStatus.PICKUP_TRANSIT: 7 * DAY,
    DcbStatus.RECEIVED_AT_PICKUP: 7 * DAY,
    DcbStatus.READY_FOR_PICKUP: 10 * DAY,
    DcbStatus.LOANED: 14 * DAY,
    DcbStatus.RETURN_TRANSIT: 14 * DAY,
    DcbStatus.COMPLETED: 3 * DAY,
    DcbStatus.NOT_SUPPLIED_CURRENT_SUPPLIER: 3 * DAY,
    DcbStatus.AWAITING_RETURN_TO_SUPPLIER: 14 * DAY,
    DcbStatus.CANCELLED: 3 * DAY,
}
"""Per live status; LOANED counts from the due date."""

WHEN_LATE: dict[DcbStatus, str] = {
    DcbStatus.RESOLVED: (
        "Nothing could be placed so far: explain tells why. Take the cause away and retry, or "
        "close it."
    ),
    DcbStatus.REQUEST_PLACED_AT_SUPPLYING_AGENCY: (
        "The lender has not taken the request up: ask there whether the book can be found. When "
        "it cannot, cancel the hold in the lender's Alma and submit another copy."
    ),
    DcbStatus.CONFIRMED: (
        "The borrower's request could not be placed so far: explain tells why. Take the cause "
        "away and retry, or close it."
    ),
    DcbStatus.REQUEST_PLACED_AT_BORROWING_AGENCY: (
        "The lender has not sent the book: ask there whether it was picked from the shelf. When "
        "it cannot be found, cancel the hold in the lender's Alma and submit another copy."
    ),
    DcbStatus.REQUEST_PLACED_AT_PICKUP_AGENCY: (
        "The lender has not sent the book: ask there whether it was picked from the shelf. When "
        "it cannot be found, cancel the hold in the lender's Alma and submit another copy."
    ),
    DcbStatus.PICKUP_TRANSIT: (
        "The pickup library: look into the delivery bins and scan the book in. When it is not "
        "there, ask the courier and the lender."
    ),
    DcbStatus.RECEIVED_AT_PICKUP: (
        "The pickup library: scan the book in at the hold shelf's desk, so that the reader is told."
    ),
    DcbStatus.READY_FOR_PICKUP: (
        "The pickup library: look whether the book still stands on the hold shelf. When the "
        "reader does not come, cancel the request in Alma and send the book home."
    ),
    DcbStatus.LOANED: (
        "The reader's library: ask for the book, and look on the shelves and in the return bins. "
        "When it is lost, mark it so in Alma, settle it between the libraries and close this."
    ),
    DcbStatus.RETURN_TRANSIT: (
        "The lender: look into the delivery bins and on the shelf, and scan the book in. When it "
        "is not there, ask the courier and the library that returned it."
    ),
    DcbStatus.COMPLETED: (
        "Something of the lend could not be cleared: explain tells what. Take the cause away and "
        "retry, or close it and remove by hand what it lists."
    ),
    DcbStatus.NOT_SUPPLIED_CURRENT_SUPPLIER: (
        "The consortium: submit the request again with another lender's item, or close it."
    ),
    DcbStatus.AWAITING_RETURN_TO_SUPPLIER: (
        "The library that holds the book: send it home. The lender: look into the delivery bins "
        "and scan it in. When it stands on the lender's shelf already, close this."
    ),
    DcbStatus.CANCELLED: (
        "Something of the request could not be cleared: explain tells what. Take the cause away "
        "and retry, or close it and remove by hand what it lists."
    ),
}
"""What staff do about one that is late, per live status."""

LOANED_WITHOUT_DUE_DATE = 56 * DAY
"""How long a loan may last of which no due date is known."""


@dataclass(frozen=True, slots=True)
class Limit:
    """Until when a transaction may stand as it does, and by which rule."""

    until: datetime
    rule: str


def limit(transaction: Transaction, too_long: Mapping[DcbStatus, timedelta]) -> Limit | None:
    """None once it is over."""
    status = transaction.status
    if status not in LIVE:
        return None
    allowed = too_long[status]
    if status is not DcbStatus.LOANED:
        return Limit(transaction.status_since + allowed, _days(allowed))
    due_at = due_date(transaction)
    if due_at is not None:
        return Limit(due_at + allowed, f"due date + {_days(allowed)}")
    until = transaction.status_since + LOANED_WITHOUT_DUE_DATE
    return Limit(until, f"{_days(LOANED_WITHOUT_DUE_DATE)} (no due date known)")


def is_late(
    transaction: Transaction, too_long: Mapping[DcbStatus, timedelta], now: datetime
) -> bool:
    """Whether it has stood longer than it may."""
    allowed = limit(transaction, too_long)
    return allowed is not None and allowed.until < now


def due_date(transaction: Transaction) -> datetime | None:
    """The reader's due date; the lender's where the reader's is not known."""
    reader = transaction.leg(pickup_side(transaction.workflow))
    known = reader.loan_due_at if reader is not None else None
    return known or transaction.supplier.loan_due_at


def _days(wait: timedelta) -> str:
    days, rest = divmod(wait, DAY)
    hours = rest // timedelta(hours=1)
    return f"{days} d {hours} h" if hours and days else f"{hours} h" if hours else f"{days} d"
