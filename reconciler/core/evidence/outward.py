"""The way out: placed, confirmed, sent, arrived, lent (workflow.md §3, rows 1–8 and 17)."""

from __future__ import annotations

from reconciler.core.evidence.finding import (
    AT_REST,
    ITEM,
    LOAN,
    NO_PICKUP_SIDE,
    REQUEST,
    Finding,
    Verdict,
    cannot_say,
    hold_unclear,
    holds,
    loan_unclear,
    no,
)
from reconciler.core.model import ReadKind
from reconciler.core.status import ItemState, LoanState, RequestState, Role
from reconciler.core.view.leg_view import ENDED_REQUEST
from reconciler.core.view.look import View

# --- placing -----------------------------------------------------------------


def supplier_confirmed(view: View) -> Finding:
    """Row 2: our hold stands and a copy is bound to it, or the copy is already moving for it."""
    side = view.supplier
    seen = side.evidence(REQUEST, ITEM)
    if side.request_is_live is None:
        return hold_unclear(side, seen)
    if not side.request_is_live:
        return no("the supplier's request is closed", seen)
    if side.hold_works and side.item_state in (ItemState.TRANSIT, ItemState.ON_HOLD_SHELF):
        return holds("the supplier's item moves for our request", seen)
    if side.request_state is None:
        return Finding(Verdict.WAITS, "the supplier has not said that the request stands", seen)
    if side.is_external or side.hold_is_bound:
        return holds("the supplier's request stands and a copy is bound to it", seen)
    return Finding(Verdict.WAITS, "no copy is bound to the supplier's request yet", seen)


def supplier_placed(view: View) -> Finding:
    """Row 1: the lender's request exists."""
    side = view.supplier
    told = side.is_external and side.request_is_live and side.request_state is not None
    if side.leg.request_id or told:
        return holds("the supplier's request is placed", side.evidence(REQUEST))
    if side.is_external:
        return Finding(
            Verdict.WAITS,
            "the supplier is not on Alma: ask it for the book, then: reconciler evidence "
            "--role supplier --request PLACED --reason TEXT",
        )
    return Finding(Verdict.WAITS, "the supplier's request is not placed yet")


def borrower_placed(view: View) -> Finding:
    """Row 3: the borrower's request exists."""
    return _is_placed(view, Role.BORROWER)


def pickup_placed(view: View) -> Finding:
    """Row 4: the pickup library's request exists."""
    return _is_placed(view, Role.PICKUP)


def _is_placed(view: View, role: Role) -> Finding:
    side = view.side(role)
    if side is None:
        return no(f"this transaction has no {role} leg")
    if side.leg.request_id or side.is_external:
        return holds(f"the {role}'s request is placed", side.evidence(REQUEST))
    return Finding(Verdict.WAITS, f"the {role}'s request is not placed yet")


# --- the way out -------------------------------------------------------------


def supplier_in_transit(view: View) -> Finding:
    """Row 5: the lender's item is in transit for our hold.

    Beside a hold that only queues, or one that is over, it is in transit for somebody else.
    """
    side = view.supplier
    seen = side.evidence(ITEM, REQUEST)
    if side.item_state is None:
        return cannot_say(side, ReadKind.ITEM, seen)
    if side.item_state is not ItemState.TRANSIT:
        return no(f"the supplier's item is {side.item_state}, not in transit", seen)
    if side.hold_works is None:
        return hold_unclear(side, seen)
    if not side.hold_works:
        why = "only queues" if side.request_is_live else "is over"
        return no(f"the supplier's item is in transit, but not for us: our request {why}", seen)
    return holds("the supplier's item is in transit for our request", seen)


def supplier_loan_active(view: View) -> Finding:
    """The lender's item is on loan to our virtual patron: it has left the shelf for us."""
    side = view.supplier
    seen = side.evidence(ITEM, LOAN)
    if side.is_external and side.loan_state is LoanState.ACTIVE:
        return holds("the supplier says that the item is on loan to our patron", seen)
    if side.item_state is None:
        return cannot_say(side, ReadKind.ITEM, seen)
    if side.item_state is not ItemState.LOANED:
        return no("the supplier's item is not on loan", seen)
    if side.has_active_loan is None:
        return loan_unclear(side, seen)
    if side.has_active_loan:
        return holds("the supplier's item is on loan to our patron", seen)
    return no("the supplier's item is on loan, but not to our patron", seen)


def pickup_received(view: View) -> Finding:
    """Row 6: the book is at the pickup side."""
    arrived = (ItemState.RECEIVED, ItemState.ON_HOLD_SHELF, ItemState.LOANED)
    return _pickup_item_is(view, arrived, "has arrived")


def pickup_on_shelf(view: View) -> Finding:
    """Row 7: the book waits on the hold shelf, or was taken from it."""
    shelved = (ItemState.ON_HOLD_SHELF, ItemState.LOANED)
    return _pickup_item_is(view, shelved, "reached the hold shelf")


def _pickup_item_is(view: View, states: tuple[ItemState, ...], what: str) -> Finding:
    side = view.pickup_side
    if side is None:
        return NO_PICKUP_SIDE
    seen = side.evidence(ITEM)
    if side.item_state is None:
        return cannot_say(side, ReadKind.ITEM)
    if side.item_state in states:
        return holds(f"the {side.role}'s item {what}", seen)
    return no(f"the {side.role}'s item is {side.item_state}", seen)


def pickup_request_on_shelf(view: View) -> Finding:
    """The request itself says that the book waits on the hold shelf."""
    side = view.pickup_side
    if side is None:
        return NO_PICKUP_SIDE
    seen = side.evidence(REQUEST)
    if side.request_state is None:
        return cannot_say(side, ReadKind.REQUEST)
    if side.request_state is RequestState.ON_HOLD_SHELF:
        return holds(f"the {side.role}'s request is on the hold shelf", seen)
    return no(f"the {side.role}'s request is {side.request_state}", seen)


# --- the loan ----------------------------------------------------------------


def pickup_loaned(view: View) -> Finding:
    """Row 8: the reader has the book: a loan of ours is active at the pickup side."""
    side = view.pickup_side
    if side is None:
        return NO_PICKUP_SIDE
    seen = side.evidence(LOAN, ITEM)
    if side.loan_state is LoanState.ACTIVE:
        return holds(f"the {side.role}'s loan is active", seen)
    if side.item_state is not ItemState.LOANED:
        if side.item_state is None and side.request_has_ended and side.loan_state is None:
            return loan_unclear(side, seen)
        return no(f"no loan at the {side.role}", seen)
    if side.is_external:
        return holds(f"the {side.role} says that the item is on loan", seen)
    if side.has_active_loan is None:
        return loan_unclear(side, seen)
    return no(f"the {side.role}'s item is on loan, but not to our reader", seen)


def pickup_loan_complete(view: View) -> Finding:
    """The loan was opened and closed between two looks: a completed loan of ours was found."""
    side = view.pickup_side
    if side is None:
        return NO_PICKUP_SIDE
    seen = side.evidence(LOAN, REQUEST)
    if side.loan_state is LoanState.COMPLETE:
        return holds(f"the {side.role}'s loan is complete", seen)
    if side.loan_state is LoanState.ACTIVE or side.item_state is ItemState.LOANED:
        return no(f"the {side.role}'s item is still on loan", seen)
    if side.request_is_live is None and side.request_state in ENDED_REQUEST:
        return hold_unclear(side, seen)
    if not side.request_has_ended:
        return no(f"the {side.role}'s request has not ended", seen)
    if side.leg.loan_id and not side.seen.loan.was_asked:
        return cannot_say(side, ReadKind.LOAN, seen)
    if side.seen.completed_loan.value is None:
        return cannot_say(side, ReadKind.COMPLETED_LOAN, seen)
    if side.leg.loan_seen_at is None or side.item_state not in AT_REST:
        return no(f"no completed loan of ours is on record at the {side.role}", seen)
    if side.has_active_loan is None:
        return loan_unclear(side, seen)
    return holds(f"a loan of ours was seen at the {side.role}, and its item is back", seen)
