"""Whose is it? Nothing that a library answers is believed to be ours without a match of ids.

An item must be the item that we asked for; a loan must be of our item, by our user, and not from
before our request; a hold is ours by its id, by our mark or by our user. Source: workflow.md §2,
alma-api.md §4.1 ("no request_id in returned loans").
"""

from __future__ import annotations

from collections.abc import Container, Iterable
from datetime import datetime

from reconciler.core.commands.placing import MARK_BEGINS, marker
from reconciler.core.model import (
    ItemSight,
    Leg,
    LoanId,
    LoanSight,
    RequestSight,
    Seen,
    Transaction,
)
from reconciler.core.status import LoanState, Role

MISMATCH = "MISMATCH"
"""Our own code for an answer about something else than what was asked for."""

UNREADABLE_DATE = "UNREADABLE_DATE"
"""Our own code for a list of loans that cannot be told apart in time."""


def checked_item(leg: Leg, item: ItemSight, at: datetime) -> Seen[ItemSight]:
    """The item if it is the one we follow; else unreadable with the code MISMATCH."""
    if item.pid and leg.item_pid and item.pid != leg.item_pid:
        return Seen.unreadable("Alma answered with another item", at, MISMATCH)
    return Seen.of(item, at)


def checked_request(leg: Leg, request: RequestSight, at: datetime) -> Seen[RequestSight]:
    """The request if it is the one we asked for."""
    if request.request_id and leg.request_id and request.request_id != leg.request_id:
        return Seen.unreadable("Alma answered with another request", at, MISMATCH)
    return Seen.of(request, at)


def checked_loan(leg: Leg, loan: LoanSight, at: datetime) -> Seen[LoanSight]:
    """A loan that was asked for by its id, if it is of our item."""
    other_id = loan.loan_id and leg.loan_id and loan.loan_id != leg.loan_id
    if other_id or is_our_item(leg, loan) is False:
        return Seen.unreadable("Alma answered with another loan", at, MISMATCH)
    return Seen.of(loan, at)


def is_our_item(leg: Leg, loan: LoanSight) -> bool | None:
    """Whether a loan is of our item: by pid, else by barcode; None when neither can tell."""
    if loan.item_pid and leg.item_pid:
        return loan.item_pid == leg.item_pid
    if loan.item_barcode and leg.item_barcode:
        return loan.item_barcode == leg.item_barcode
    return None


def is_our_user(leg: Leg, user_id: str | None) -> bool:
    """Whether Alma names our user. Its ids are case-insensitive (alma-api.md §2.3)."""
    if not user_id:
        return False
    ours = {known.casefold() for known in (leg.user_id, leg.user_primary_id) if known}
    return user_id.casefold() in ours


def began_after_our_request(transaction: Transaction, leg: Leg, loan: LoanSight) -> bool:
    """Whether a loan can belong to this lend in time.

    A virtual item is made for one lend, so any loan of it fits. The lender's real item may have
    been lent to the same virtual patron before: there a loan has to have begun after our request,
    or, when that instant is not known, to be still active or to have ended within this lend.
    One that began at a date which cannot be read is not ours for want of a date; nor does it prove
    that there is none of ours, so a list with such a loan is unreadable (alma/reader.py).
    """
    if leg.role is not Role.SUPPLIER:
        return True
    if undated(loan) is not None:
        return False
    if leg.request_placed_at is not None and loan.began_at is not None:
        return loan.began_at >= leg.request_placed_at
    if loan.state is LoanState.ACTIVE:
        return True
    return loan.returned_at is not None and loan.returned_at >= transaction.status_since


def undated(loan: LoanSight) -> str | None:
    """Alma's text of the date by which it would be told whose loan it is, if it cannot be read."""
    return loan.raw_began_at or (loan.raw_returned_at if loan.began_at is None else None)


def our_loan(transaction: Transaction, leg: Leg, loans: Iterable[LoanSight]) -> LoanSight | None:
    """The newest loan in a list of our item's loans that is ours; None when there is none.

    One whose id we know is ours whoever Alma names: accounts are renamed and merged.
    """
    ours = (loan for loan in loans if _may_be_ours(transaction, leg, loan))
    return max(ours, key=_began, default=None)


def new_loan_ids(
    transaction: Transaction, leg: Leg, loans: Iterable[LoanSight]
) -> frozenset[LoanId]:
    """Loans that would be taken for ours and that the leg does not know, at the lender.

    There one copy goes out for one lend after the other, to the same virtual patron; where a
    request shows its date without a time, nothing that Alma shows tells their loans apart. A
    virtual item serves one lend.
    """
    if leg.role is not Role.SUPPLIER:
        return frozenset()
    return frozenset(
        loan.loan_id
        for loan in loans
        if loan.loan_id is not None
        and loan.loan_id != leg.loan_id
        and _may_be_ours(transaction, leg, loan)
    )


def without(loans: Iterable[LoanSight], others: Container[LoanId]) -> tuple[LoanSight, ...]:
    """The loans that are not known to belong to other lends."""
    return tuple(loan for loan in loans if loan.loan_id is None or loan.loan_id not in others)


def _may_be_ours(transaction: Transaction, leg: Leg, loan: LoanSight) -> bool:
    is_known = loan.loan_id is not None and loan.loan_id == leg.loan_id
    return (
        (is_our_user(leg, loan.user_id) or is_known)
        and is_our_item(leg, loan) is not False
        and began_after_our_request(transaction, leg, loan)
    )


def _began(loan: LoanSight) -> str:
    return loan.began_at.isoformat() if loan.began_at else ""


def is_our_hold(transaction: Transaction, leg: Leg, hold: RequestSight) -> bool:
    """Whether an active hold on our item is this lend's: by its id, our mark, or our user.

    A virtual item serves one reader, so any hold of his is. The lender's item may be asked for by
    the same virtual patron in another lend: what carries that lend's mark is not ours.
    """
    if hold.request_id is not None and hold.request_id == leg.request_id:
        return True
    comment = hold.comment or ""
    if marker(transaction.id) in comment:
        return True
    return MARK_BEGINS not in comment and is_our_user(leg, hold.user_id)


def reissued_hold(
    transaction: Transaction, leg: Leg, holds: Iterable[RequestSight]
) -> RequestSight | None:
    """The newest active hold of ours on the item under another id than the one that we know."""
    again = [
        hold
        for hold in holds
        if hold.request_id not in (None, leg.request_id) and is_our_hold(transaction, leg, hold)
    ]
    return max(again, key=_placed, default=None)


def _placed(hold: RequestSight) -> str:
    return hold.placed_at.isoformat() if hold.placed_at else ""
