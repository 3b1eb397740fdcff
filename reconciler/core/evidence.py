"""What the evidence proves: one function per fact, in the words of workflow.md §3.

A fact holds, waits for something that cannot be said yet, or does not hold. It also names the
reads that would let it be said, given what this look already showed; `lookahead` collects them.
Facts know roles ("supplier", "pickup side") and no statuses: when a fact matters is the
business of `transitions`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from reconciler.core.effects import is_cleared
from reconciler.core.model import Evidence, Read, ReadKind
from reconciler.core.status import ItemState, LoanState, RequestState, Resource, Role
from reconciler.core.view import Side, View

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
    SUPPLIER_HOME = "supplier_home"
    SUPPLIER_HOME_PROVED = "supplier_home_proved"
    SUPPLIER_REFUSED = "supplier_refused"
    READER_CANCELLED = "reader_cancelled"
    NOT_COLLECTED = "not_collected"
    UNCOLLECTED_HOME = "uncollected_home"
    EVERYTHING_CLEARED = "everything_cleared"


def _holds(because: str, evidence: tuple[Evidence, ...]) -> Finding:
    return Finding(Verdict.HOLDS, because, evidence)


def _no(because: str, evidence: tuple[Evidence, ...] = ()) -> Finding:
    return Finding(Verdict.NO, because, evidence)


def _cannot_say(side: Side, kind: ReadKind, evidence: tuple[Evidence, ...] = ()) -> Finding:
    """Waiting for one read; asked for only if it was not already tried in this look."""
    tried = side.seen.of(kind).was_asked
    needs = () if tried or side.is_external else (Read(side.role, kind),)
    return Finding(Verdict.WAITS, side.why_unknown(kind), evidence, needs)


_NO_PICKUP_SIDE = _no("no library is known where the reader collects the book")


# --- placing -----------------------------------------------------------------


def supplier_confirmed(view: View) -> Finding:
    """Row 2: our hold stands and a copy is bound to it, or the copy is already moving for it."""
    side = view.supplier
    seen = side.evidence(REQUEST, ITEM)
    if side.request_is_live is None:
        return _cannot_say(side, ReadKind.REQUEST, seen)
    if not side.request_is_live:
        return _no("the supplier's request is closed", seen)
    if side.item_state in (ItemState.TRANSIT, ItemState.ON_HOLD_SHELF):
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
    """Row 5: the lender's item is in transit while our request stands."""
    side = view.supplier
    seen = side.evidence(ITEM, REQUEST)
    if side.item_state is None:
        return _cannot_say(side, ReadKind.ITEM, seen)
    if side.item_state is not ItemState.TRANSIT:
        return _no(f"the supplier's item is {side.item_state}, not in transit", seen)
    if side.request_is_live is None:
        return _cannot_say(side, ReadKind.REQUEST, seen)
    if not side.request_is_live:
        return _no("the supplier's item is in transit, but not for our request: it is closed", seen)
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
    if side.loan_state is None:
        return _cannot_say(side, ReadKind.LOAN, seen)
    if side.loan_state is LoanState.ACTIVE:
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
    if side.loan_state is LoanState.COMPLETE:
        return _no(f"the {side.role}'s loan is already complete", seen)
    if side.item_state is not ItemState.LOANED:
        if side.item_state is None and side.request_has_ended:
            return _cannot_say(side, ReadKind.LOAN, seen)
        return _no(f"no loan at the {side.role}", seen)
    if side.is_external:
        return _holds(f"the {side.role} says that the item is on loan", seen)
    if side.loan_state is None:
        return _cannot_say(side, ReadKind.LOAN, seen)
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
    if not side.request_has_ended:
        return _no(f"the {side.role}'s request has not ended", seen)
    return _completed_loan(side)


def _completed_loan(side: Side) -> Finding:
    """Look for our completed loan: by its id where that is known, else in the item's list."""
    seen = side.evidence(LOAN, ITEM)
    if side.leg.loan_id and not side.seen.loan.was_asked:
        return _cannot_say(side, ReadKind.LOAN, seen)
    if side.seen.completed_loan.value is None:
        return _cannot_say(side, ReadKind.COMPLETED_LOAN, seen)
    if side.leg.loan_seen_at is not None and side.item_state in AT_REST:
        if side.loan_state is None:
            return _cannot_say(side, ReadKind.LOAN, seen)
        return _holds(f"a loan of ours was seen at the {side.role}, and its item is back", seen)
    return _no(f"no completed loan of ours is on record at the {side.role}", seen)


# --- the way home ------------------------------------------------------------


def pickup_returned(view: View) -> Finding:
    """Row 9: the reader has brought the book back (asked only after a loan was seen)."""
    side = view.pickup_side
    if side is None:
        return _NO_PICKUP_SIDE
    seen = side.evidence(LOAN, ITEM)
    if side.loan_state is LoanState.COMPLETE:
        return _holds(f"the {side.role}'s loan is complete", seen)
    if side.is_external:
        return _external_returned(side)
    if side.loan_state is LoanState.ACTIVE:
        return _no(f"the {side.role}'s loan is still active", seen)
    if side.loan_state is None:
        return _cannot_say(side, ReadKind.LOAN, seen)
    if side.item_state is None:
        return _cannot_say(side, ReadKind.ITEM, seen)
    if side.item_state in (ItemState.IN_PLACE, ItemState.TRANSIT):
        return _holds(f"the {side.role}'s item is back and no loan of ours is active", seen)
    return _completed_loan(side)


def _external_returned(side: Side) -> Finding:
    """Of an external library the newest statement counts: a loan said earlier is overtaken."""
    seen = side.evidence(LOAN, ITEM)
    back = side.item_state in (ItemState.IN_PLACE, ItemState.TRANSIT)
    loan_at, item_at = side.leg.loan.seen_at, side.leg.item.seen_at
    if back and (loan_at is None or (item_at is not None and item_at > loan_at)):
        return _holds(f"the {side.role} says that the item is back", seen)
    return Finding(Verdict.WAITS, f"the {side.role} has not said that the book came back", seen)


def supplier_home(view: View) -> Finding:
    """Row 10: the lender has the book again (asked once the book is on its way home)."""
    side = view.supplier
    seen = side.evidence(ITEM, LOAN)
    if side.loan_state is LoanState.COMPLETE:
        return _holds("the supplier's loan is complete", seen)
    if side.item_state is ItemState.IN_PLACE:
        return _holds("the supplier's item is in place", seen)
    return _home_for_the_next_reader(side)


def supplier_home_proved(view: View) -> Finding:
    """The lender has the book again although the return was never seen at the pickup side.

    Stricter than `supplier_home`: one side alone must not end the loan on the other, so a mere
    "in place" counts only without an active loan of ours, in two looks, and after a loan of ours
    was seen.
    """
    side = view.supplier
    seen = side.evidence(ITEM, LOAN)
    if side.loan_state is LoanState.COMPLETE:
        return _holds("the supplier's loan is complete", seen)
    if side.item_state is not ItemState.IN_PLACE:
        return _home_for_the_next_reader(side)
    if side.is_external:
        return _external_home(view, side)
    if side.loan_state is LoanState.ACTIVE:
        return _no("the supplier's item is in place, but our loan is still active", seen)
    if side.loan_state is None:
        return _cannot_say(side, ReadKind.LOAN, seen)
    if not side.seen.completed_loan.was_asked:
        return _cannot_say(side, ReadKind.COMPLETED_LOAN, seen)
    if not side.loan_was_seen:
        return _no(
            "the supplier's item is in place, but no loan of ours was ever seen there: "
            "it may never have been scanned out",
            seen,
        )
    if not side.item_state_confirmed:
        return Finding(
            Verdict.WAITS,
            "the supplier's item is in place; a second look has to confirm it",
            seen,
            look_again_in=side.settle,
        )
    return _holds("the supplier's item is in place again, and our loan there is over", seen)


def _external_home(view: View, side: Side) -> Finding:
    """A person said "in place": it counts if it was said after the book had been loaned."""
    seen = side.evidence(ITEM, LOAN)
    said_at = side.leg.item.seen_at
    if said_at is not None and said_at >= view.transaction.status_since:
        return _holds("the supplier says that the item is in place again", seen)
    return _no("the supplier's “in place” was said before the book was loaned", seen)


def _home_for_the_next_reader(side: Side) -> Finding:
    """The book came home and already waits for, or went to, somebody else."""
    seen = side.evidence(ITEM, LOAN, REQUEST)
    taken = (ItemState.ON_HOLD_SHELF, ItemState.REQUESTED, ItemState.LOANED)
    if side.loan_state is LoanState.ACTIVE:
        return _no("the supplier's loan to our patron is still active", seen)
    if side.item_state is None:
        if side.loan_state is None:
            return _cannot_say(side, ReadKind.LOAN, seen)
        return _cannot_say(side, ReadKind.ITEM, seen)
    if side.is_external:
        return _no(f"the supplier says that the item is {side.item_state}", seen)
    if side.loan_state is None:
        return _cannot_say(side, ReadKind.LOAN, seen)
    if not side.seen.completed_loan.was_asked:
        return _cannot_say(side, ReadKind.COMPLETED_LOAN, seen)
    went = side.item_state is not ItemState.LOANED or side.seen.loaned_to_other
    if side.item_state not in taken or not side.loan_was_seen or not went:
        return _no(f"the supplier's item is {side.item_state}, which proves no return", seen)
    if side.request_is_live is None:
        return _cannot_say(side, ReadKind.REQUEST, seen)
    if side.request_is_live:
        return _no(f"the supplier's item is {side.item_state} for our own request", seen)
    return _holds("the supplier's item is home: it already serves the next reader", seen)


# --- requests that ended without a loan ---------------------------------------

AT_REST = frozenset({ItemState.IN_PLACE, ItemState.TRANSIT})
UNCOLLECTED = AT_REST | {ItemState.ON_HOLD_SHELF}
"""Where an item may be whose hold ended unfilled; one whose shelf time ran out stands there until
it is scanned."""


def _ended_unfilled(side: Side, states: frozenset[ItemState]) -> Finding:
    """That our hold ended and no loan of ours came of it.

    Alma tells "filled", "cancelled" and "expired" apart nowhere, so the reason is found: no loan
    of our user on our item, active or complete, and the item at rest without our hold among its
    active ones, in two looks. An external library's own word needs no proof.
    """
    seen = side.evidence(REQUEST, ITEM, LOAN)
    if side.leg.request_id is None and not side.is_external:
        return _no(f"the {side.role}'s request is not placed", seen)
    if side.request_is_live is None:
        return _cannot_say(side, ReadKind.REQUEST, seen)
    if side.request_is_live:
        return _no(f"the {side.role}'s request stands", seen)
    was_lent = side.leg.loan_seen_at is not None and not side.is_external
    if was_lent or side.loan_state in (LoanState.ACTIVE, LoanState.COMPLETE):
        return _no(f"the {side.role}'s request is closed because it was filled", seen)
    if side.request_state is RequestState.CANCELLED:
        return _holds(f"the {side.role}'s request was cancelled", seen)
    if side.is_external:
        return _external_unfilled(side, states)
    if side.loan_state is None:
        return _cannot_say(side, ReadKind.LOAN, seen)
    proofs = (ReadKind.COMPLETED_LOAN, ReadKind.ITEM, ReadKind.ITEM_REQUESTS)
    unknown = [kind for kind in proofs if side.seen.of(kind).value is None]
    if unknown:
        needs = tuple(Read(side.role, kind) for kind in proofs if not side.seen.of(kind).was_asked)
        return Finding(Verdict.WAITS, side.why_unknown(unknown[0]), seen, needs)
    if side.item_state not in states:
        return Finding(
            Verdict.WAITS,
            f"the {side.role}'s request is closed, but its item is {side.item_state}, "
            "which does not tell why",
            seen,
        )
    return _unfilled_and_unlisted(side)


def _external_unfilled(side: Side, states: frozenset[ItemState]) -> Finding:
    seen = side.evidence(REQUEST, ITEM)
    closed_at, item_at = side.leg.request.seen_at, side.leg.item.seen_at
    newer = closed_at is not None and item_at is not None and item_at >= closed_at
    if newer and side.item_state in states:
        return _holds(f"the {side.role} says that the request ended without a loan", seen)
    return Finding(
        Verdict.WAITS,
        f"the {side.role} says that the request is closed, but not why (CANCELLED, or where the "
        "item is now, would tell)",
        seen,
    )


def _unfilled_and_unlisted(side: Side) -> Finding:
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
    if not (side.request_end_confirmed and side.item_state_confirmed):
        return Finding(
            Verdict.WAITS,
            f"the {side.role}'s request is closed and was not filled; a second look has to "
            "confirm it",
            seen,
            look_again_in=side.settle,
        )
    return _holds(f"the {side.role}'s request ended without a loan", seen)


def supplier_refused(view: View) -> Finding:
    """Row 12: the lender's request ended unfilled, and the book stands where it stood."""
    found = _ended_unfilled(view.supplier, frozenset({ItemState.IN_PLACE}))
    found = _and_not_away(view, found) if found.holds else found
    return _and_never_lent(view, found) if found.holds else found


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
        return _cannot_say(side, ReadKind.REQUEST, seen)
    for kind in (ReadKind.LOAN, ReadKind.COMPLETED_LOAN):
        if side.seen.of(kind).value is None:
            return _cannot_say(side, kind, seen)
    if side.loan_state is not LoanState.ABSENT or side.leg.loan_seen_at is not None:
        return _no(f"the {side.role}'s request is closed because it was filled", seen)
    if side.end_is_forgotten:
        return Finding(Verdict.WAITS, end_is_untold(side), seen)
    return found


def end_is_untold(side: Side) -> str:
    """In words, that a closed request may have been filled, or not."""
    days = side.loans_kept / timedelta(days=1)
    return (
        f"the {side.role}'s request ended while nobody looked for longer than a returned loan is "
        f"kept there ({days:g} days): the reader may have had the book, or not"
    )


def reader_cancelled(view: View) -> Finding:
    """Row 13: the reader's request ended unfilled while the book was still at the lender."""
    sides = [side for role in (Role.PICKUP, Role.BORROWER) if (side := view.side(role))]
    if not sides:
        return _NO_PICKUP_SIDE
    found = [_ended_unfilled(side, AT_REST) for side in sides]
    held = next((each for each in found if each.holds), None)
    if held is not None:
        found_at_lender = _and_still_at_lender(view, held)
        return _and_never_lent(view, found_at_lender) if found_at_lender.holds else found_at_lender
    return next((each for each in found if each.verdict is Verdict.WAITS), found[0])


def _and_still_at_lender(view: View, found: Finding) -> Finding:
    side = view.supplier
    seen = (*found.evidence, *side.evidence(ITEM, LOAN))
    if not side.is_external:
        if side.request_is_live is None and side.leg.request_id is not None:
            return _cannot_say(side, ReadKind.REQUEST, seen)
        if side.item_state is None:
            return _cannot_say(side, ReadKind.ITEM, seen)
    if side.item_state is ItemState.TRANSIT:
        return _no("the supplier's item is in transit: the book has left", seen)
    if side.item_state is ItemState.LOANED and not side.is_external:
        if side.loan_state is None:
            return _cannot_say(side, ReadKind.LOAN, seen)
        if side.loan_state is LoanState.ACTIVE:
            return _no("the supplier's item is on loan to our patron", seen)
    return replace(found, evidence=seen)


def not_collected(view: View) -> Finding:
    """Row 14a: the hold at the pickup side ended unfilled while the book is away."""
    side = view.pickup_side
    if side is None:
        return _NO_PICKUP_SIDE
    found = _ended_unfilled(side, UNCOLLECTED)
    return _and_never_lent(view, found) if found.holds else found


def uncollected_home(view: View) -> Finding:
    """Row 14b: the lender's item is in place again. Transit proves nothing: it looks alike."""
    side = view.supplier
    seen = side.evidence(ITEM)
    if side.item_state is None:
        return _cannot_say(side, ReadKind.ITEM, seen)
    if side.item_state is not ItemState.IN_PLACE:
        return _no(f"the supplier's item is {side.item_state}, not in place", seen)
    left_at, here_since = view.transaction.dispatched_at, side.leg.item.since
    was_here = side.leg.item.state == ItemState.IN_PLACE
    if was_here and left_at is not None and here_since is not None and here_since < left_at:
        return Finding(
            Verdict.WAITS,
            f"the supplier's item is in place, but was never {_AWAY_WORD[side.is_external]}, so "
            "that does not tell that the book came back; when it stands on the shelf: "
            "reconciler close",
            seen,
        )
    return _holds("the supplier's item is in place again", seen)


_AWAY_WORD = {False: "seen away", True: "said to be away since the book left"}


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
    Fact.SUPPLIER_HOME: supplier_home,
    Fact.SUPPLIER_HOME_PROVED: supplier_home_proved,
    Fact.SUPPLIER_REFUSED: supplier_refused,
    Fact.READER_CANCELLED: reader_cancelled,
    Fact.NOT_COLLECTED: not_collected,
    Fact.UNCOLLECTED_HOME: uncollected_home,
    Fact.EVERYTHING_CLEARED: everything_cleared,
}
