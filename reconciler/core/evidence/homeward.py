"""The way home: brought back, lent again, at the lender again (workflow.md §3, rows 9–11)."""

from __future__ import annotations

from datetime import datetime, timedelta

from reconciler.core.effects import is_cleared
from reconciler.core.evidence.finding import (
    AT_HOME,
    AT_REST,
    GONE_ASTRAY,
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
from reconciler.core.model import Evidence, ReadKind
from reconciler.core.status import DcbStatus, ItemState, LoanState, Role
from reconciler.core.view.leg_view import LegView
from reconciler.core.view.look import View

# --- the way home ------------------------------------------------------------


_STANDS_FOR_A_HOLD = {
    True: frozenset({ItemState.ON_HOLD_SHELF}),
    False: frozenset({ItemState.ON_HOLD_SHELF, ItemState.REQUESTED}),
}
"""By whether the item is the lender's: in which states a hold, ours perhaps, has it. The lender's
book that is only requested stands where it belongs."""


def pickup_returned(view: View) -> Finding:
    """Row 9: the reader has brought the book back (asked only after a loan was seen).

    A loan that is over proves nothing by itself: it may have been paid for, corrected, or charged
    again under a new id. So the item is read, and its list of active loans.
    """
    side = view.pickup_side
    if side is None:
        return NO_PICKUP_SIDE
    seen = side.evidence(LOAN, ITEM)
    if side.is_external:
        return _external_returned(side)
    if side.loan_state is LoanState.ACTIVE:
        return no(f"the {side.role}'s loan is still active", seen)
    if side.item_state is None:
        loan_is_over = side.loan_state is not None
        kinds = (ReadKind.ITEM, *(side.missing_loan_reads if loan_is_over else ()))
        return cannot_say_any(side, kinds, seen)
    if side.has_active_loan is None:
        return loan_unclear(side, seen)
    return _not_with_us(side, f"the {side.role}'s loan is over, and its item is back", seen)


def _not_with_us(side: LegView, because: str, seen: tuple[Evidence, ...]) -> Finding:
    """Of an item without a loan of ours: whether its own word says that somebody has it in hand."""
    if side.item_state in GONE_ASTRAY or side.item_state is ItemState.UNKNOWN:
        told = f"the {side.role}'s loan is over, but its item is {side.item_state}"
        return Finding(Verdict.WAITS, f"{told}: a person has to say where the book is", seen)
    if side.item_state is LOANED and not side.seen.loaned_to_other:
        told = f"the {side.role}'s item is on loan, but no active loan is listed"
        return Finding(Verdict.WAITS, told, seen, look_again_in=side.settle)
    if side.item_state in _STANDS_FOR_A_HOLD[side.role is Role.SUPPLIER]:
        return _for_our_own_hold(side) or holds(because, seen)
    return holds(because, seen)


def _external_returned(side: LegView) -> Finding:
    seen = side.evidence(LOAN, ITEM)
    is_lent, _ = _last_told(side)
    if is_lent is False:
        return holds(f"the {side.role} says that the book came back", seen)
    return Finding(Verdict.WAITS, f"the {side.role} has not said that the book came back", seen)


def _external_lent_again(side: LegView, since: datetime) -> Finding:
    seen = side.evidence(LOAN, ITEM)
    is_lent, told_at = _last_told(side)
    if is_lent and told_at is not None and told_at > since:
        return holds(f"the {side.role} says that the item is on loan", seen)
    return no(f"the {side.role} has not said that the item is on loan again", seen)


_TOLD_OF_LOAN: dict[LoanState | None, bool] = {LoanState.ACTIVE: True, LoanState.COMPLETE: False}


def _last_told(side: LegView) -> tuple[bool | None, datetime | None]:
    """Whether an external library's newest word, of its loan or its item, is that the reader has
    the book, and when it was told; None where neither tells."""
    of_loan = _TOLD_OF_LOAN.get(side.loan_state)
    of_item = True if side.item_state is LOANED else False if side.item_state in AT_REST else None
    loan_at, item_at = side.leg.loan.seen_at, side.leg.item.seen_at
    item_is_newer = item_at is not None and (loan_at is None or item_at > loan_at)
    if of_item is not None and (of_loan is None or item_is_newer):
        return of_item, item_at
    return of_loan, loan_at


def pickup_lent_again(view: View) -> Finding:
    """Rows 9a and 14c: the reader has the book although it was on its way home."""
    side = view.pickup_side
    if side is None:
        return NO_PICKUP_SIDE
    seen = side.evidence(LOAN, ITEM)
    if side.is_external:
        return _external_lent_again(side, view.transaction.status_since)
    if side.loan_state is LoanState.ACTIVE:
        return holds(f"the {side.role}'s loan is active", seen)
    if side.item_state is None:  # read in every full look; for this alone it is not worth a call
        return Finding(Verdict.WAITS, side.why_unknown(ReadKind.ITEM), seen)
    if side.item_state is not ItemState.LOANED:
        return no(f"the {side.role}'s item is {side.item_state}, not on loan", seen)
    if side.has_active_loan is None:
        return loan_unclear(side, seen)
    return no(f"the {side.role}'s item is on loan, but not to our reader", seen)


def supplier_home(view: View) -> Finding:
    """Row 10: the lender has the book again (asked once the book is on its way home).

    Its word counts only beside the list of its active loans: ours may go on under a new id.
    """
    found = _at_home(view)
    return _unless_lent_again(view, found) if found.holds else found


def _at_home(view: View) -> Finding:
    side = view.supplier
    seen = side.evidence(ITEM, LOAN)
    if side.is_external:
        return external_home(side, view.transaction.dispatched_at)
    if side.item_state is None:
        return cannot_say(side, ReadKind.ITEM, seen)
    if side.has_active_loan is None and side.loan is None and side.seems_to_be_on_our_loan:
        return no("the supplier's item is on loan, and due when our loan is", seen)
    if side.has_active_loan is None:
        return loan_unclear(side, seen)
    if side.has_active_loan:
        return no("the supplier's loan to our patron is still active", seen)
    astray = _not_with_us(side, "", seen)
    if not astray.holds:
        return astray
    if side.item_state is ItemState.TRANSIT:
        moving_for_us = _for_our_own_hold(side)
        if moving_for_us is not None:
            return moving_for_us
    if not side.loan_was_seen and side.loan_state is not LoanState.COMPLETE:
        if side.seen.completed_loan.value is None:
            return cannot_say(side, ReadKind.COMPLETED_LOAN, seen)
        return _home_without_a_loan(view, side)
    return holds("the supplier's loan is over, and its item is home", seen)


def _unless_lent_again(view: View, found: Finding) -> Finding:
    """Unless the reader's loan runs although the book was on its way home: that comes first."""
    side = view.pickup_side
    on_its_way = view.transaction.status is DcbStatus.RETURN_TRANSIT
    if not on_its_way or side is None or side.is_external or side.role is Role.SUPPLIER:
        return found
    if side.item_state is None and side.leg.has_item_key and not side.has_active_loan:
        return cannot_say(side, ReadKind.ITEM, found.evidence)
    if side.item_state is LOANED and side.has_active_loan is None:
        return loan_unclear(side, found.evidence)
    if side.has_active_loan:
        return no("the reader has the book again", side.evidence(LOAN))
    return found


def _for_our_own_hold(side: LegView) -> Finding | None:
    """That the item moves, or waits, for our own hold, or may; None where it does not.

    One that is on loan to another does not.
    """
    seen = side.evidence(ITEM, REQUEST)
    if side.item_state is LOANED or side.leg.request_id is None:
        return None
    if side.hold_works is None:
        return hold_unclear(side, seen)
    if side.hold_works:
        return no(f"the {side.role}'s item is {side.item_state} for our own request", seen)
    return None


def _home_without_a_loan(view: View, side: LegView) -> Finding:
    """No loan of ours was ever seen at the lender, so that only a change of its item tells.

    In place all along the book may never have been scanned out; what it shows then, it shows also
    while the book is away. In transit it looks alike on both ways.
    """
    seen = side.evidence(ITEM, LOAN, REQUEST)
    if side.item_state in ON_ITS_SHELF:
        return back_on_its_shelf(view, side)
    if side.item_state not in SERVES_OTHERS:
        return no(f"the supplier's item is {side.item_state}, which proves no return", seen)
    return serves_the_next(side)


def serves_the_next(side: LegView) -> Finding:
    """Home: it stands on the shelf for, or is on loan to, somebody else, while no hold of ours is
    left that it could be moved for."""
    seen = side.evidence(ITEM, LOAN, REQUEST)
    if side.leg.request_id is not None and side.request_is_live is not False:
        if side.request_is_live is None:
            return hold_unclear(side, seen)
        return no("our request still stands at the supplier", seen)
    return twice(
        side, SERVES_OTHERS, "the supplier's item is home: it already serves the next reader", seen
    )


def back_on_its_shelf(view: View, side: LegView) -> Finding:
    """In place, and seen away before. What was tracked on its way home has no such memory."""
    seen = side.evidence(ITEM)
    if side.leg.item.away_at is not None:
        return holds("the supplier's item is in place again", seen)
    if _left_before_we_looked(view, side):
        return twice(side, ON_ITS_SHELF, "the supplier's item is in place", seen)
    return Finding(
        Verdict.WAITS,
        "the supplier's item is in place, but was never seen away, so that does not tell that the "
        "book came back; when it stands on the shelf: reconciler close",
        seen,
    )


def _left_before_we_looked(view: View, side: LegView) -> bool:
    """Whether it was tracked when the book was on its way home already, and the lender's item was
    not read before."""
    transaction, since = view.transaction, side.leg.item.since
    tracked_here = transaction.previous_status is None and transaction.status in _ON_THE_WAY_HOME
    return tracked_here and (since is None or since >= transaction.status_since)


_ON_THE_WAY_HOME = frozenset({DcbStatus.RETURN_TRANSIT, DcbStatus.AWAITING_RETURN_TO_SUPPLIER})


def twice(
    side: LegView, states: frozenset[ItemState], because: str, seen: tuple[Evidence, ...]
) -> Finding:
    """What counts only in two looks at least `settle` apart, neither of them with our loan."""
    if side.confirms(states) and (side.is_external or _loan_was_over(side)):
        return holds(because, seen)
    told = f"{because}; a second look has to confirm it"
    return Finding(Verdict.WAITS, told, seen, look_again_in=side.settle)


def _loan_was_over(side: LegView) -> bool:
    """Whether a look at least `settle` ago showed no loan of ours either, where there was one."""
    known = side.leg.loan
    if not side.loan_was_seen:
        return known.state != LoanState.ACTIVE
    was_over = known.state in (LoanState.COMPLETE, LoanState.ABSENT)
    return was_over and known.since is not None and side.now - known.since >= side.settle


def supplier_home_proved(view: View) -> Finding:
    """The lender has the book again although the return was never seen at the pickup side.

    A check-in by mistake is corrected within minutes, so one look is never enough; and a loan of
    ours must have been seen there, since nothing else shows that the book had left for the reader.
    """
    side = view.supplier
    if side.is_external:
        found = external_home(side, view.transaction.status_since)
        return _unless_just_said(view, found) if found.holds else found
    if side.item_state is None:  # read in every full look; for this alone it is not worth a call
        return Finding(Verdict.WAITS, side.why_unknown(ReadKind.ITEM))
    found = supplier_home(view)
    if not found.holds:
        return found
    if not side.loan_was_seen:
        return no(
            "no loan of ours was ever seen at the supplier: what its item shows may have been so "
            "all along",
            found.evidence,
        )
    return twice(side, AT_HOME, found.because, found.evidence)


CORRECTED_WITHIN = timedelta(minutes=15)
"""A person's word that would end a reader's loan is given so long to be taken back."""


def _unless_just_said(view: View, found: Finding) -> Finding:
    """Of an external library while the reader's loan runs: it is closed by this, for good."""
    reader = view.pickup_side
    if reader is None or reader.is_external or reader.loan_state is not LoanState.ACTIVE:
        return found
    said = [each.seen_at for each in found.evidence if each.seen_at is not None]
    left = CORRECTED_WITHIN - (view.now - max(said, default=view.now))
    if left <= timedelta(0):
        return found
    told = f"{found.because}, a moment ago; the reader's loan runs, so it may still be corrected"
    return Finding(Verdict.WAITS, told, found.evidence, look_again_in=left)


def external_home(side: LegView, since: datetime | None) -> Finding:
    """A person's word counts if it was said after the book had left, or been lent."""
    seen = side.evidence(ITEM, LOAN)
    if side.item_state in GONE_ASTRAY:
        return Finding(Verdict.WAITS, f"the supplier says that the item is {side.item_state}", seen)
    for word, what, home in (
        (side.leg.loan, "the loan is complete", side.loan_state is LoanState.COMPLETE),
        (side.leg.item, "the item is in place", side.item_state is ItemState.IN_PLACE),
    ):
        if home and (since is None or (word.seen_at is not None and word.seen_at >= since)):
            return holds(f"the supplier says that {what}", seen)
    return no("the supplier has not said since then that the book is there again", seen)


# --- the end -----------------------------------------------------------------


def everything_cleared(view: View) -> Finding:
    """Row 11: nothing that we created is left, the virtual patron apart."""
    transaction = view.transaction
    if is_cleared(transaction):
        return holds("nothing of ours is left behind", ())
    left = [thing.kind for thing in transaction.things if thing.is_ours_to_clear]
    what = ", ".join(left) or "an effect"
    return Finding(Verdict.WAITS, f"still to be cleared: {what}")
