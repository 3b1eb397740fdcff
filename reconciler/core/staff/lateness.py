"""When a transaction has stood too long in a status, and somebody should look at it.

Nothing is ever dropped for being late: it is reported. The first values are what a consortium
reports by (operators.md §4.5); settings may change each (`polling.too_long`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.core.model import Transaction
from reconciler.core.status import LIVE, DcbStatus, Side

DAY = timedelta(days=1)

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
    reader = transaction.leg(Side.PICKUP.role(transaction.workflow))
    known = reader.loan_due_at if reader is not None else None
    return known or transaction.supplier.loan_due_at


def _days(wait: timedelta) -> str:
    days, rest = divmod(wait, DAY)
    hours = rest // timedelta(hours=1)
    return f"{days} d {hours} h" if hours and days else f"{hours} h" if hours else f"{days} d"
