"""What the evidence proves: one function per fact, in the words of workflow.md §2 and §3.

A fact holds, waits for something that cannot be said yet, or does not hold. It also names the
reads that would let it be said, given what this look already showed; `lookahead` collects them.
Facts know roles ("supplier", "pickup side"); when a fact matters is the business of
`transitions`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from reconciler.core.effects import has_lender_hold, is_cleared
from reconciler.core.model import Evidence, Read, ReadKind
from reconciler.core.status import DcbStatus, ItemState, LoanState, RequestState, Resource, Role
from reconciler.core.view.leg_view import ENDED_REQUEST, LegView
from reconciler.core.view.look import View

LOANED = ItemState.LOANED
ITEM, REQUEST, LOAN = Resource.ITEM, Resource.REQUEST, Resource.LOAN


class Verdict(StrEnum):
    HOLDS = "holds"
    WAITS = "waits"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether a fact holds, why, on which words, and which further reads could settle it."""

    verdict: Verdict
    because: str
    evidence: tuple[Evidence, ...] = ()
    needs: tuple[Read, ...] = ()
    look_again_in: timedelta | None = None
    """Set where a second look, this much later, is what is waited for."""

    @property
    def holds(self) -> bool:
        return self.verdict is Verdict.HOLDS


class Fact(StrEnum):
    SUPPLIER_PLACED = "supplier_placed"
    SUPPLIER_CONFIRMED = "supplier_confirmed"
    BORROWER_PLACED = "borrower_placed"
    PICKUP_PLACED = "pickup_placed"
    SUPPLIER_IN_TRANSIT = "supplier_in_transit"
    SUPPLIER_LOAN_ACTIVE = "supplier_loan_active"
    PICKUP_RECEIVED = "pickup_received"
    PICKUP_ON_SHELF = "pickup_on_shelf"
    PICKUP_REQUEST_ON_SHELF = "pickup_request_on_shelf"
    PICKUP_LOANED = "pickup_loaned"
    PICKUP_LOAN_COMPLETE = "pickup_loan_complete"
    PICKUP_RETURNED = "pickup_returned"
    PICKUP_LENT_AGAIN = "pickup_lent_again"
    SUPPLIER_HOME = "supplier_home"
    SUPPLIER_HOME_PROVED = "supplier_home_proved"
    SUPPLIER_REFUSED = "supplier_refused"
    READER_CANCELLED = "reader_cancelled"
    NOT_COLLECTED = "not_collected"
    UNCOLLECTED_HOME = "uncollected_home"
    LEFT_AFTER_CANCELLING = "left_after_cancelling"
    EVERYTHING_CLEARED = "everything_cleared"


def _holds(because: str, evidence: tuple[Evidence, ...]) -> Finding:
    return Finding(Verdict.HOLDS, because, evidence)


def _no(because: str, evidence: tuple[Evidence, ...] = ()) -> Finding:
    return Finding(Verdict.NO, because, evidence)


def _cannot_say(side: LegView, kind: ReadKind, evidence: tuple[Evidence, ...] = ()) -> Finding:
    """Waiting for one read; asked for only if it was not already tried in this look."""
    tried = side.seen.of(kind).was_asked
    needs = () if tried or side.is_external else (Read(side.role, kind),)
    return Finding(Verdict.WAITS, side.why_unknown(kind), evidence, needs)


def _hold_unclear(side: LegView, evidence: tuple[Evidence, ...] = ()) -> Finding:
    """Waiting to know whether our hold stands."""
    return _cannot_say(side, side.missing_hold_read, evidence)


def _loan_unclear(side: LegView, evidence: tuple[Evidence, ...] = ()) -> Finding:
    """Waiting to know whether our user has the item on loan.

    Of an item that shows no loan "no" is expected, which takes all of the reads: they are asked
    for together.
    """
    missing = side.missing_loan_reads
    if not missing:
        return Finding(Verdict.WAITS, f"the {side.role}'s loan is {side.loan_state}", evidence)
    return _cannot_say_any(
        side, missing if side.item_state is not LOANED else missing[:1], evidence
    )


def _cannot_say_any(
    side: LegView, kinds: tuple[ReadKind, ...], evidence: tuple[Evidence, ...]
) -> Finding:
    """Waiting for several reads; the first of them that is wanting gives the reason."""
    found = [_cannot_say(side, kind, evidence) for kind in kinds]
    needs = tuple(read for each in found for read in each.needs)
    return replace(found[0], needs=needs)


_NO_PICKUP_SIDE = _no("no library is known where the reader collects the book")


# --- placing -----------------------------------------------------------------


def supplier_confirmed(view: View) -> Finding:
    """Row 2: our hold stands and a copy is bound to it, or the copy is already moving for it."""
    side = view.supplier
    seen = side.evidence(REQUEST, ITEM)
    if side.request_is_live is None:
        return _hold_unclear(side, seen)
    if not side.request_is_live:
        return _no("the supplier's request is closed", seen)
    if side.hold_works and side.item_state in (ItemState.TRANSIT, ItemState.ON_HOLD_SHELF):
        return _holds("the supplier's item moves for our request", seen)
    if side.request_state is None:
        return Finding(Verdict.WAITS, "the supplier has not said that the request stands", seen)
    if side.is_external or side.hold_is_bound:
        return _holds("the supplier's request stands and a copy is bound to it", seen)
    return Finding(Verdict.WAITS, "no copy is bound to the supplier's request yet", seen)


def supplier_placed(view: View) -> Finding:
    """Row 1: the lender's request exists."""
    side = view.supplier
    told = side.is_external and side.request_is_live and side.request_state is not None
    if side.leg.request_id or told:
        return _holds("the supplier's request is placed", side.evidence(REQUEST))
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
        return _no(f"this transaction has no {role} leg")
    if side.leg.request_id or side.is_external:
        return _holds(f"the {role}'s request is placed", side.evidence(REQUEST))
    return Finding(Verdict.WAITS, f"the {role}'s request is not placed yet")


# --- the way out -------------------------------------------------------------


def supplier_in_transit(view: View) -> Finding:
    """Row 5: the lender's item is in transit for our hold.

    Beside a hold that only queues, or one that is over, it is in transit for somebody else.
    """
    side = view.supplier
    seen = side.evidence(ITEM, REQUEST)
    if side.item_state is None:
        return _cannot_say(side, ReadKind.ITEM, seen)
    if side.item_state is not ItemState.TRANSIT:
        return _no(f"the supplier's item is {side.item_state}, not in transit", seen)
    if side.hold_works is None:
        return _hold_unclear(side, seen)
    if not side.hold_works:
        why = "only queues" if side.request_is_live else "is over"
        return _no(f"the supplier's item is in transit, but not for us: our request {why}", seen)
    return _holds("the supplier's item is in transit for our request", seen)


def supplier_loan_active(view: View) -> Finding:
    """The lender's item is on loan to our virtual patron: it has left the shelf for us."""
    side = view.supplier
    seen = side.evidence(ITEM, LOAN)
    if side.is_external and side.loan_state is LoanState.ACTIVE:
        return _holds("the supplier says that the item is on loan to our patron", seen)
    if side.item_state is None:
        return _cannot_say(side, ReadKind.ITEM, seen)
    if side.item_state is not ItemState.LOANED:
        return _no("the supplier's item is not on loan", seen)
    if side.has_active_loan is None:
        return _loan_unclear(side, seen)
    if side.has_active_loan:
        return _holds("the supplier's item is on loan to our patron", seen)
    return _no("the supplier's item is on loan, but not to our patron", seen)


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
        return _NO_PICKUP_SIDE
    seen = side.evidence(ITEM)
    if side.item_state is None:
        return _cannot_say(side, ReadKind.ITEM)
    if side.item_state in states:
        return _holds(f"the {side.role}'s item {what}", seen)
    return _no(f"the {side.role}'s item is {side.item_state}", seen)


def pickup_request_on_shelf(view: View) -> Finding:
    """The request itself says that the book waits on the hold shelf."""
    side = view.pickup_side
    if side is None:
        return _NO_PICKUP_SIDE
    seen = side.evidence(REQUEST)
    if side.request_state is None:
        return _cannot_say(side, ReadKind.REQUEST)
    if side.request_state is RequestState.ON_HOLD_SHELF:
        return _holds(f"the {side.role}'s request is on the hold shelf", seen)
    return _no(f"the {side.role}'s request is {side.request_state}", seen)


# --- the loan ----------------------------------------------------------------


def pickup_loaned(view: View) -> Finding:
    """Row 8: the reader has the book: a loan of ours is active at the pickup side."""
    side = view.pickup_side
    if side is None:
        return _NO_PICKUP_SIDE
    seen = side.evidence(LOAN, ITEM)
    if side.loan_state is LoanState.ACTIVE:
        return _holds(f"the {side.role}'s loan is active", seen)
    if side.item_state is not ItemState.LOANED:
        if side.item_state is None and side.request_has_ended and side.loan_state is None:
            return _loan_unclear(side, seen)
        return _no(f"no loan at the {side.role}", seen)
    if side.is_external:
        return _holds(f"the {side.role} says that the item is on loan", seen)
    if side.has_active_loan is None:
        return _loan_unclear(side, seen)
    return _no(f"the {side.role}'s item is on loan, but not to our reader", seen)


def pickup_loan_complete(view: View) -> Finding:
    """The loan was opened and closed between two looks: a completed loan of ours was found."""
    side = view.pickup_side
    if side is None:
        return _NO_PICKUP_SIDE
    seen = side.evidence(LOAN, REQUEST)
    if side.loan_state is LoanState.COMPLETE:
        return _holds(f"the {side.role}'s loan is complete", seen)
    if side.loan_state is LoanState.ACTIVE or side.item_state is ItemState.LOANED:
        return _no(f"the {side.role}'s item is still on loan", seen)
    if side.request_is_live is None and side.request_state in ENDED_REQUEST:
        return _hold_unclear(side, seen)
    if not side.request_has_ended:
        return _no(f"the {side.role}'s request has not ended", seen)
    if side.leg.loan_id and not side.seen.loan.was_asked:
        return _cannot_say(side, ReadKind.LOAN, seen)
    if side.seen.completed_loan.value is None:
        return _cannot_say(side, ReadKind.COMPLETED_LOAN, seen)
    if side.leg.loan_seen_at is None or side.item_state not in AT_REST:
        return _no(f"no completed loan of ours is on record at the {side.role}", seen)
    if side.has_active_loan is None:
        return _loan_unclear(side, seen)
    return _holds(f"a loan of ours was seen at the {side.role}, and its item is back", seen)


# --- the way home ------------------------------------------------------------


_STANDS_FOR_A_HOLD = {
    True: frozenset({ItemState.ON_HOLD_SHELF}),
    False: frozenset({ItemState.ON_HOLD_SHELF, ItemState.REQUESTED}),
}
"""By whether the item is the lender's: in which states a hold, ours perhaps, has it. The lender's
book that is only requested stands where it belongs."""

GONE_ASTRAY = frozenset({ItemState.LOST, ItemState.CLAIMED_RETURNED, ItemState.ABSENT})
"""Nobody knows where such a book is: a loan that ended beside it ended on paper."""


def pickup_returned(view: View) -> Finding:
    """Row 9: the reader has brought the book back (asked only after a loan was seen).

    A loan that is over proves nothing by itself: it may have been paid for, corrected, or charged
    again under a new id. So the item is read, and its list of active loans.
    """
    side = view.pickup_side
    if side is None:
        return _NO_PICKUP_SIDE
    seen = side.evidence(LOAN, ITEM)
    if side.is_external:
        return _external_returned(side)
    if side.loan_state is LoanState.ACTIVE:
        return _no(f"the {side.role}'s loan is still active", seen)
    if side.item_state is None:
        loan_is_over = side.loan_state is not None
        kinds = (ReadKind.ITEM, *(side.missing_loan_reads if loan_is_over else ()))
        return _cannot_say_any(side, kinds, seen)
    if side.has_active_loan is None:
        return _loan_unclear(side, seen)
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
        return _for_our_own_hold(side) or _holds(because, seen)
    return _holds(because, seen)


def _external_returned(side: LegView) -> Finding:
    seen = side.evidence(LOAN, ITEM)
    is_lent, _ = _last_told(side)
    if is_lent is False:
        return _holds(f"the {side.role} says that the book came back", seen)
    return Finding(Verdict.WAITS, f"the {side.role} has not said that the book came back", seen)


def _external_lent_again(side: LegView, since: datetime) -> Finding:
    seen = side.evidence(LOAN, ITEM)
    is_lent, told_at = _last_told(side)
    if is_lent and told_at is not None and told_at > since:
        return _holds(f"the {side.role} says that the item is on loan", seen)
    return _no(f"the {side.role} has not said that the item is on loan again", seen)


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
        return _NO_PICKUP_SIDE
    seen = side.evidence(LOAN, ITEM)
    if side.is_external:
        return _external_lent_again(side, view.transaction.status_since)
    if side.loan_state is LoanState.ACTIVE:
        return _holds(f"the {side.role}'s loan is active", seen)
    if side.item_state is None:  # read in every full look; for this alone it is not worth a call
        return Finding(Verdict.WAITS, side.why_unknown(ReadKind.ITEM), seen)
    if side.item_state is not ItemState.LOANED:
        return _no(f"the {side.role}'s item is {side.item_state}, not on loan", seen)
    if side.has_active_loan is None:
        return _loan_unclear(side, seen)
    return _no(f"the {side.role}'s item is on loan, but not to our reader", seen)


ON_ITS_SHELF = frozenset({ItemState.IN_PLACE, ItemState.REQUESTED})
"""What an item shows that nobody has touched: also a book that left without having been scanned."""

SERVES_OTHERS = frozenset({ItemState.ON_HOLD_SHELF, ItemState.LOANED})


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
        return _external_home(side, view.transaction.dispatched_at)
    if side.item_state is None:
        return _cannot_say(side, ReadKind.ITEM, seen)
    if side.has_active_loan is None and side.loan is None and side.seems_to_be_on_our_loan:
        return _no("the supplier's item is on loan, and due when our loan is", seen)
    if side.has_active_loan is None:
        return _loan_unclear(side, seen)
    if side.has_active_loan:
        return _no("the supplier's loan to our patron is still active", seen)
    astray = _not_with_us(side, "", seen)
    if not astray.holds:
        return astray
    if side.item_state is ItemState.TRANSIT:
        moving_for_us = _for_our_own_hold(side)
        if moving_for_us is not None:
            return moving_for_us
    if not side.loan_was_seen and side.loan_state is not LoanState.COMPLETE:
        if side.seen.completed_loan.value is None:
            return _cannot_say(side, ReadKind.COMPLETED_LOAN, seen)
        return _home_without_a_loan(view, side)
    return _holds("the supplier's loan is over, and its item is home", seen)


def _unless_lent_again(view: View, found: Finding) -> Finding:
    """Unless the reader's loan runs although the book was on its way home: that comes first."""
    side = view.pickup_side
    on_its_way = view.transaction.status is DcbStatus.RETURN_TRANSIT
    if not on_its_way or side is None or side.is_external or side.role is Role.SUPPLIER:
        return found
    if side.item_state is None and side.leg.has_item_key and not side.has_active_loan:
        return _cannot_say(side, ReadKind.ITEM, found.evidence)
    if side.item_state is LOANED and side.has_active_loan is None:
        return _loan_unclear(side, found.evidence)
    if side.has_active_loan:
        return _no("the reader has the book again", side.evidence(LOAN))
    return found


def _for_our_own_hold(side: LegView) -> Finding | None:
    """That the item moves, or waits, for our own hold, or may; None where it does not.

    One that is on loan to another does not.
    """
    seen = side.evidence(ITEM, REQUEST)
    if side.item_state is LOANED or side.leg.request_id is None:
        return None
    if side.hold_works is None:
        return _hold_unclear(side, seen)
    if side.hold_works:
        return _no(f"the {side.role}'s item is {side.item_state} for our own request", seen)
    return None


def _home_without_a_loan(view: View, side: LegView) -> Finding:
    """No loan of ours was ever seen at the lender, so that only a change of its item tells.

    In place all along the book may never have been scanned out; what it shows then, it shows also
    while the book is away. In transit it looks alike on both ways.
    """
    seen = side.evidence(ITEM, LOAN, REQUEST)
    if side.item_state in ON_ITS_SHELF:
        return _back_on_its_shelf(view, side)
    if side.item_state not in SERVES_OTHERS:
        return _no(f"the supplier's item is {side.item_state}, which proves no return", seen)
    return _serves_the_next(side)


def _serves_the_next(side: LegView) -> Finding:
    """Home: it stands on the shelf for, or is on loan to, somebody else, while no hold of ours is
    left that it could be moved for."""
    seen = side.evidence(ITEM, LOAN, REQUEST)
    if side.leg.request_id is not None and side.request_is_live is not False:
        if side.request_is_live is None:
            return _hold_unclear(side, seen)
        return _no("our request still stands at the supplier", seen)
    return _twice(
        side, SERVES_OTHERS, "the supplier's item is home: it already serves the next reader", seen
    )


def _back_on_its_shelf(view: View, side: LegView) -> Finding:
    """In place, and seen away before. What was tracked on its way home has no such memory."""
    seen = side.evidence(ITEM)
    if side.leg.item.away_at is not None:
        return _holds("the supplier's item is in place again", seen)
    if _left_before_we_looked(view, side):
        return _twice(side, ON_ITS_SHELF, "the supplier's item is in place", seen)
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


def _twice(
    side: LegView, states: frozenset[ItemState], because: str, seen: tuple[Evidence, ...]
) -> Finding:
    """What counts only in two looks at least `settle` apart, neither of them with our loan."""
    if side.confirms(states) and (side.is_external or _loan_was_over(side)):
        return _holds(because, seen)
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
        found = _external_home(side, view.transaction.status_since)
        return _unless_just_said(view, found) if found.holds else found
    if side.item_state is None:  # read in every full look; for this alone it is not worth a call
        return Finding(Verdict.WAITS, side.why_unknown(ReadKind.ITEM))
    found = supplier_home(view)
    if not found.holds:
        return found
    if not side.loan_was_seen:
        return _no(
            "no loan of ours was ever seen at the supplier: what its item shows may have been so "
            "all along",
            found.evidence,
        )
    return _twice(side, AT_HOME, found.because, found.evidence)


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


AT_HOME = ON_ITS_SHELF | SERVES_OTHERS | {ItemState.TRANSIT, ItemState.UNAVAILABLE}


def _external_home(side: LegView, since: datetime | None) -> Finding:
    """A person's word counts if it was said after the book had left, or been lent."""
    seen = side.evidence(ITEM, LOAN)
    if side.item_state in GONE_ASTRAY:
        return Finding(Verdict.WAITS, f"the supplier says that the item is {side.item_state}", seen)
    for word, what, home in (
        (side.leg.loan, "the loan is complete", side.loan_state is LoanState.COMPLETE),
        (side.leg.item, "the item is in place", side.item_state is ItemState.IN_PLACE),
    ):
        if home and (since is None or (word.seen_at is not None and word.seen_at >= since)):
            return _holds(f"the supplier says that {what}", seen)
    return _no("the supplier has not said since then that the book is there again", seen)


# --- requests that ended without a loan ---------------------------------------

AT_REST = frozenset({ItemState.IN_PLACE, ItemState.TRANSIT})

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
        return _no(f"the {side.role}'s request is not placed", seen)
    if side.request_state not in ENDED_REQUEST:
        if side.request_is_live is None:
            return _hold_unclear(side, seen)
        return _no(f"the {side.role}'s request stands", seen)
    if side.loan_state is LoanState.COMPLETE and side.request_is_live is None:
        return _hold_unclear(side, seen)
    was_lent = side.leg.loan_seen_at is not None and not side.is_external
    if was_lent or side.loan_state in (LoanState.ACTIVE, LoanState.COMPLETE):
        return _no(f"the {side.role}'s request is closed because it was filled", seen)
    if side.request_state is RequestState.CANCELLED:
        return _holds(f"the {side.role}'s request was cancelled", seen)
    if side.is_external:
        return _external_unfilled(side)
    if side.item_state is LOANED and side.has_active_loan is None:
        return _loan_unclear(side, seen)
    proofs = (
        *side.missing_loan_reads,
        ReadKind.COMPLETED_LOAN,
        ReadKind.ITEM,
        ReadKind.ITEM_REQUESTS,
    )
    unknown = tuple(kind for kind in proofs if side.seen.of(kind).value is None)
    if unknown:
        return _cannot_say_any(side, unknown, seen)
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
        return _holds(f"the {side.role} says that the request ended without a loan", seen)
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
    return _twice(side, REST_OR_OTHERS, f"the {side.role}'s request ended without a loan", seen)


def supplier_refused(view: View) -> Finding:
    """Row 12: the lender's request ended unfilled, and the book has not left for us.

    In transit, with nobody else's hold that Alma works for, the book may have left for us before
    our hold was cancelled: that shows once somebody scans it.
    """
    side = view.supplier
    found = _ended_unfilled(side)
    if found.holds and side.was_shelved and side.role is view.pickup_role:
        return _no("the book stood on the hold shelf for our reader: the lender did supply", ())
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
        return _cannot_say(side, ReadKind.ITEM, found.evidence)
    arrived = (ItemState.RECEIVED, ItemState.ON_HOLD_SHELF, ItemState.LOANED)
    if side.item_state in arrived:
        return _no(f"the {side.role}'s item is {side.item_state}: the book has left", ())
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
        return _hold_unclear(side, seen)
    wanting = (*side.missing_loan_reads, ReadKind.COMPLETED_LOAN)
    unknown = tuple(kind for kind in wanting if side.seen.of(kind).value is None)
    if unknown:
        return _cannot_say_any(side, unknown, seen)
    if side.loan_state is not LoanState.ABSENT or side.leg.loan_seen_at is not None:
        return _no(f"the {side.role}'s request is closed because it was filled", seen)
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
        return _NO_PICKUP_SIDE
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
            return _no("the supplier says that the item is in transit: the book has left", seen)
        return replace(found, evidence=seen)
    if side.item_state is None:
        return _cannot_say(side, ReadKind.ITEM, seen)
    if side.item_state is LOANED and side.has_active_loan is not False:
        if side.has_active_loan is None:
            return _loan_unclear(side, seen)
        return _no("the supplier's item is on loan to our patron", seen)
    leaves = side.role is not view.pickup_role and side.item_state is ItemState.TRANSIT
    if leaves and side.hold_works is not False:
        if side.hold_works is None:
            return _hold_unclear(side, seen)
        return _no("the supplier's item is in transit for our request: the book has left", seen)
    return replace(found, evidence=seen)


def not_collected(view: View) -> Finding:
    """Row 14a: the hold at the pickup side ended unfilled while the book is away.

    The reader may also cancel at home where he collects at a third library.
    """
    side = view.pickup_side
    if side is None:
        return _NO_PICKUP_SIDE
    home = view.side(Role.BORROWER)
    sides = [side] if home is None or home is side else [side, home]
    found = _first_telling([_ended_unfilled(each) for each in sides])
    found = _and_not_lent_at_pickup(side, found) if found.holds else found
    return _and_never_lent(view, found) if found.holds else found


def _and_not_lent_at_pickup(side: LegView, found: Finding) -> Finding:
    """Unless the reader has the book in spite of it."""
    if side.is_external or side.item_state is not None:
        if side.item_state is LOANED and side.has_active_loan is not False:
            return _no(f"the {side.role}'s item is on loan", found.evidence)
        return found
    return _cannot_say(side, ReadKind.ITEM, found.evidence)


def left_after_cancelling(view: View) -> Finding:
    """Rows 14a and 14c: the book left for our hold, or was lent by it, while the lend was being
    cancelled."""
    side = view.supplier
    seen = side.evidence(ITEM, REQUEST)
    if side.is_external or not has_lender_hold(view.transaction):
        return _no("no hold of ours is left at the supplier", seen)
    if view.transaction.previous_status is DcbStatus.AWAITING_RETURN_TO_SUPPLIER:
        return _no("it was away already when it was cancelled", seen)
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
        return _cannot_say(side, ReadKind.ITEM, found.evidence)
    if side.item_state is LOANED:
        if side.has_active_loan is None:
            return _loan_unclear(side, found.evidence)
        if side.has_active_loan:
            return _no(f"the {side.role}'s loan is active", side.evidence(LOAN))
    if not side.seen.completed_loan.was_asked:  # where it cannot be read, the book is home anyway
        return _cannot_say(side, ReadKind.COMPLETED_LOAN, found.evidence)
    if side.loan_state is LoanState.COMPLETE:
        return _no(f"the {side.role}'s loan is complete: the reader had the book", ())
    return found


def _uncollected_home(view: View) -> Finding:
    side = view.supplier
    seen = side.evidence(ITEM)
    if side.is_external:
        if side.item_state is not ItemState.IN_PLACE:
            return _no("the supplier has not said that the item is in place again", seen)
        return _external_home(side, view.transaction.dispatched_at)
    if side.item_state is None:
        return _cannot_say(side, ReadKind.ITEM, seen)
    if side.item_state in ON_ITS_SHELF:
        return _back_on_its_shelf(view, side)
    if side.item_state not in SERVES_OTHERS:
        return _no(f"the supplier's item is {side.item_state}, not in place", seen)
    if side.item_state is LOANED and side.has_active_loan is not False:
        if side.has_active_loan is None:
            return _loan_unclear(side, seen)
        return _no("the supplier's item is on loan to our patron", seen)
    return _serves_the_next(side)


# --- the end -----------------------------------------------------------------


def everything_cleared(view: View) -> Finding:
    """Row 11: nothing that we created is left, the virtual patron apart."""
    transaction = view.transaction
    if is_cleared(transaction):
        return _holds("nothing of ours is left behind", ())
    left = [thing.kind for thing in transaction.things if thing.is_ours_to_clear]
    what = ", ".join(left) or "an effect"
    return Finding(Verdict.WAITS, f"still to be cleared: {what}")


FACTS: dict[Fact, Callable[[View], Finding]] = {
    Fact.SUPPLIER_PLACED: supplier_placed,
    Fact.SUPPLIER_CONFIRMED: supplier_confirmed,
    Fact.BORROWER_PLACED: borrower_placed,
    Fact.PICKUP_PLACED: pickup_placed,
    Fact.SUPPLIER_IN_TRANSIT: supplier_in_transit,
    Fact.SUPPLIER_LOAN_ACTIVE: supplier_loan_active,
    Fact.PICKUP_RECEIVED: pickup_received,
    Fact.PICKUP_ON_SHELF: pickup_on_shelf,
    Fact.PICKUP_REQUEST_ON_SHELF: pickup_request_on_shelf,
    Fact.PICKUP_LOANED: pickup_loaned,
    Fact.PICKUP_LOAN_COMPLETE: pickup_loan_complete,
    Fact.PICKUP_RETURNED: pickup_returned,
    Fact.PICKUP_LENT_AGAIN: pickup_lent_again,
    Fact.SUPPLIER_HOME: supplier_home,
    Fact.SUPPLIER_HOME_PROVED: supplier_home_proved,
    Fact.SUPPLIER_REFUSED: supplier_refused,
    Fact.READER_CANCELLED: reader_cancelled,
    Fact.NOT_COLLECTED: not_collected,
    Fact.UNCOLLECTED_HOME: uncollected_home,
    Fact.LEFT_AFTER_CANCELLING: left_after_cancelling,
    Fact.EVERYTHING_CLEARED: everything_cleared,
}
