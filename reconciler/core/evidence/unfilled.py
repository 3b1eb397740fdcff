"""Requests that ended without a loan: refused, cancelled, not collected (rows 12–14c)."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from reconciler.core.effects import has_lender_hold
from reconciler.core.evidence.finding import (
    AT_REST,
    ITEM,
    LOAN,
    LOANED,
    NO_PICKUP_SIDE,
    ON_ITS_SHELF,
    REQUEST,
    SERVES_OTHERS,
    Finding,
    Verdict,
    cannot_say,
    cannot_say_any,
    hold_unclear,
    holds,
    loan_unclear,
    no,
)
from reconciler.core.evidence.homeward import (
    back_on_its_shelf,
    external_home,
    serves_the_next,
    twice,
)
from reconciler.core.evidence.outward import supplier_in_transit, supplier_loan_active
from reconciler.core.model import ReadKind
from reconciler.core.status import DcbStatus, ItemState, LoanState, RequestState, Role
from reconciler.core.view.leg_view import ENDED_REQUEST, LegView
from reconciler.core.view.look import View

# --- requests that ended without a loan ---------------------------------------

REST_OR_OTHERS = AT_REST | SERVES_OTHERS | {ItemState.REQUESTED, ItemState.UNAVAILABLE}
"""Where an item may be whose hold ended unfilled: at rest, in repair, serving somebody else, or
still on the shelf where its time ran out."""


def _ended_unfilled(side: LegView) -> Finding:
    """That our hold ended and no loan of ours came of it.

    Alma tells "filled", "cancelled" and "expired" apart nowhere, so the reason is found: no loan
    of our user on our item, active or complete, no hold of ours among its active ones, and the
    item at rest or serving somebody else, in two looks. An external library's own word needs no
    proof.
    """
    seen = side.evidence(REQUEST, ITEM, LOAN)
    if side.leg.request_id is None and not side.is_external:
        return no(f"the {side.role}'s request is not placed", seen)
    if side.request_state not in ENDED_REQUEST:
        if side.request_is_live is None:
            return hold_unclear(side, seen)
        return no(f"the {side.role}'s request stands", seen)
    if side.loan_state is LoanState.COMPLETE and side.request_is_live is None:
        return hold_unclear(side, seen)
    was_lent = side.leg.loan_seen_at is not None and not side.is_external
    if was_lent or side.loan_state in (LoanState.ACTIVE, LoanState.COMPLETE):
        return no(f"the {side.role}'s request is closed because it was filled", seen)
    if side.request_state is RequestState.CANCELLED:
        return holds(f"the {side.role}'s request was cancelled", seen)
    if side.is_external:
        return _external_unfilled(side)
    if side.item_state is LOANED and side.has_active_loan is None:
        return loan_unclear(side, seen)
    proofs = (
        *side.missing_loan_reads,
        ReadKind.COMPLETED_LOAN,
        ReadKind.ITEM,
        ReadKind.ITEM_REQUESTS,
    )
    unknown = tuple(kind for kind in proofs if side.seen.of(kind).value is None)
    if unknown:
        return cannot_say_any(side, unknown, seen)
    if not _rests_or_serves_others(side):
        return Finding(
            Verdict.WAITS,
            f"the {side.role}'s request is closed, but its item is {side.item_state}, "
            "which does not tell why",
            seen,
        )
    return _unfilled_and_unlisted(side)


def _rests_or_serves_others(side: LegView) -> bool:
    """A virtual item serves one reader: on loan it is with somebody who may be our reader under
    another name."""
    if side.item_state is LOANED:
        return side.role is Role.SUPPLIER and side.seen.loaned_to_other
    return side.item_state in REST_OR_OTHERS


def _external_unfilled(side: LegView) -> Finding:
    seen = side.evidence(REQUEST, ITEM)
    closed_at, item_at = side.leg.request.seen_at, side.leg.item.seen_at
    newer = closed_at is not None and item_at is not None and item_at >= closed_at
    if newer and side.item_state in REST_OR_OTHERS - {LOANED}:
        return holds(f"the {side.role} says that the request ended without a loan", seen)
    return Finding(
        Verdict.WAITS,
        f"the {side.role} says that the request is closed, but not why (CANCELLED, or where the "
        "item is now, would tell)",
        seen,
    )


def _unfilled_and_unlisted(side: LegView) -> Finding:
    """The last two proofs: Alma lists no hold of ours on the item, and a second look agrees."""
    seen = side.evidence(REQUEST, ITEM)
    listed = side.seen.item_requests.value or ()
    if any(each.request_id == side.leg.request_id for each in listed):
        return Finding(
            Verdict.WAITS,
            f"Alma still lists the {side.role}'s closed request on the item",
            seen,
            look_again_in=None if side.request_end_confirmed else side.settle,
        )
    if not side.request_end_confirmed:
        return Finding(
            Verdict.WAITS,
            f"the {side.role}'s request is closed and was not filled; a second look has to "
            "confirm it",
            seen,
            look_again_in=side.settle,
        )
    return twice(side, REST_OR_OTHERS, f"the {side.role}'s request ended without a loan", seen)


def supplier_refused(view: View) -> Finding:
    """Row 12: the lender's request ended unfilled, and the book has not left for us.

    In transit, with nobody else's hold that Alma works for, the book may have left for us before
    our hold was cancelled: that shows once somebody scans it.
    """
    side = view.supplier
    found = _ended_unfilled(side)
    if found.holds and side.was_shelved and side.role is view.pickup_role:
        return no("the book stood on the hold shelf for our reader: the lender did supply", ())
    if found.holds and side.item_state is ItemState.TRANSIT and not _moves_for_others(side):
        told = "the supplier's item is in transit, perhaps still for the request that is over"
        return Finding(Verdict.WAITS, told, found.evidence)
    found = _and_not_away(view, found) if found.holds else found
    return _and_never_lent(view, found) if found.holds else found


def _moves_for_others(side: LegView) -> bool:
    """An external library says itself where its book goes."""
    return side.is_external or bool(side.serves_another)


def _and_not_away(view: View, found: Finding) -> Finding:
    """Unless the pickup side shows that the book left without having been scanned out."""
    side = view.pickup_side
    if side is None or side.role is Role.SUPPLIER or not side.leg.has_item_key:
        return found
    if side.item_state is None and not side.is_external:
        return cannot_say(side, ReadKind.ITEM, found.evidence)
    arrived = (ItemState.RECEIVED, ItemState.ON_HOLD_SHELF, ItemState.LOANED)
    if side.item_state in arrived:
        return no(f"the {side.role}'s item is {side.item_state}: the book has left", ())
    return found


def _and_never_lent(view: View, found: Finding) -> Finding:
    """Unless the reader may have had the book and brought it back while nobody looked.

    His loan alone would tell, and a library keeps it only for a time.
    """
    side = view.pickup_side
    if side is None or side.is_external or side.leg.request_id is None or side.request_is_live:
        return found
    seen = (*found.evidence, *side.evidence(REQUEST, LOAN))
    if side.request_is_live is None:
        return hold_unclear(side, seen)
    wanting = (*side.missing_loan_reads, ReadKind.COMPLETED_LOAN)
    unknown = tuple(kind for kind in wanting if side.seen.of(kind).value is None)
    if unknown:
        return cannot_say_any(side, unknown, seen)
    if side.loan_state is not LoanState.ABSENT or side.leg.loan_seen_at is not None:
        return no(f"the {side.role}'s request is closed because it was filled", seen)
    if side.end_is_forgotten:
        return Finding(Verdict.WAITS, end_is_untold(side), seen)
    return found


def end_is_untold(side: LegView) -> str:
    """In words, that a closed request may have been filled, or not."""
    days = side.loans_kept / timedelta(days=1)
    return (
        f"the {side.role}'s request ended while nobody looked for longer than a returned loan is "
        f"kept there ({days:g} days): the reader may have had the book, or not"
    )


def reader_cancelled(view: View) -> Finding:
    """Row 13: the reader's request ended unfilled while the book was still at the lender.

    At the pickup library, or at home. Where he collects at the lender's (RET-EXP) also a shelf
    time that ran out there.
    """
    sides = [side for role in (Role.PICKUP, Role.BORROWER) if (side := view.side(role))]
    lender = view.supplier
    if lender.role is view.pickup_role and lender.was_shelved:
        sides.insert(0, lender)
    if not sides:
        return NO_PICKUP_SIDE
    found = _first_telling([_ended_unfilled(side) for side in sides])
    found = _and_still_at_lender(view, found) if found.holds else found
    return _and_never_lent(view, found) if found.holds else found


def _first_telling(found: list[Finding]) -> Finding:
    """One that holds, else one that waits, else the first."""
    for verdict in (Verdict.HOLDS, Verdict.WAITS):
        for each in found:
            if each.verdict is verdict:
                return each
    return found[0]


def _and_still_at_lender(view: View, found: Finding) -> Finding:
    """The lender's item is looked at before anything is ended: it may have left for our hold."""
    side = view.supplier
    seen = (*found.evidence, *side.evidence(ITEM, LOAN, REQUEST))
    if side.is_external:
        if side.item_state is ItemState.TRANSIT:
            return no("the supplier says that the item is in transit: the book has left", seen)
        return replace(found, evidence=seen)
    if side.item_state is None:
        return cannot_say(side, ReadKind.ITEM, seen)
    if side.item_state is LOANED and side.has_active_loan is not False:
        if side.has_active_loan is None:
            return loan_unclear(side, seen)
        return no("the supplier's item is on loan to our patron", seen)
    leaves = side.role is not view.pickup_role and side.item_state is ItemState.TRANSIT
    if leaves and side.hold_works is not False:
        if side.hold_works is None:
            return hold_unclear(side, seen)
        return no("the supplier's item is in transit for our request: the book has left", seen)
    return replace(found, evidence=seen)


def not_collected(view: View) -> Finding:
    """Row 14a: the hold at the pickup side ended unfilled while the book is away.

    The reader may also cancel at home where he collects at a third library.
    """
    side = view.pickup_side
    if side is None:
        return NO_PICKUP_SIDE
    home = view.side(Role.BORROWER)
    sides = [side] if home is None or home is side else [side, home]
    found = _first_telling([_ended_unfilled(each) for each in sides])
    found = _and_not_lent_at_pickup(side, found) if found.holds else found
    return _and_never_lent(view, found) if found.holds else found


def _and_not_lent_at_pickup(side: LegView, found: Finding) -> Finding:
    """Unless the reader has the book in spite of it."""
    if side.is_external or side.item_state is not None:
        if side.item_state is LOANED and side.has_active_loan is not False:
            return no(f"the {side.role}'s item is on loan", found.evidence)
        return found
    return cannot_say(side, ReadKind.ITEM, found.evidence)


def left_after_cancelling(view: View) -> Finding:
    """Rows 14a and 14c: the book left for our hold, or was lent by it, while the lend was being
    cancelled."""
    side = view.supplier
    seen = side.evidence(ITEM, REQUEST)
    if side.is_external or not has_lender_hold(view.transaction):
        return no("no hold of ours is left at the supplier", seen)
    if view.transaction.previous_status is DcbStatus.AWAITING_RETURN_TO_SUPPLIER:
        return no("it was away already when it was cancelled", seen)
    lent = supplier_loan_active(view)
    if lent.verdict is not Verdict.NO or side.role is view.pickup_role:
        return lent
    return supplier_in_transit(view)


def uncollected_home(view: View) -> Finding:
    """Row 14b: the lender's item is in place again. Transit proves nothing: it looks alike.

    The pickup side is looked at first: the reader may have taken the book after all, and may have
    brought it back since.
    """
    found = _uncollected_home(view)
    side = view.pickup_side
    if not found.holds or side is None or side.is_external:
        return found
    if side.item_state is None and side.leg.has_item_key:
        return cannot_say(side, ReadKind.ITEM, found.evidence)
    if side.item_state is LOANED:
        if side.has_active_loan is None:
            return loan_unclear(side, found.evidence)
        if side.has_active_loan:
            return no(f"the {side.role}'s loan is active", side.evidence(LOAN))
    if not side.seen.completed_loan.was_asked:  # where it cannot be read, the book is home anyway
        return cannot_say(side, ReadKind.COMPLETED_LOAN, found.evidence)
    if side.loan_state is LoanState.COMPLETE:
        return no(f"the {side.role}'s loan is complete: the reader had the book", ())
    return found


def _uncollected_home(view: View) -> Finding:
    side = view.supplier
    seen = side.evidence(ITEM)
    if side.is_external:
        if side.item_state is not ItemState.IN_PLACE:
            return no("the supplier has not said that the item is in place again", seen)
        return external_home(side, view.transaction.dispatched_at)
    if side.item_state is None:
        return cannot_say(side, ReadKind.ITEM, seen)
    if side.item_state in ON_ITS_SHELF:
        return back_on_its_shelf(view, side)
    if side.item_state not in SERVES_OTHERS:
        return no(f"the supplier's item is {side.item_state}, not in place", seen)
    if side.item_state is LOANED and side.has_active_loan is not False:
        if side.has_active_loan is None:
            return loan_unclear(side, seen)
        return no("the supplier's item is on loan to our patron", seen)
    return serves_the_next(side)
