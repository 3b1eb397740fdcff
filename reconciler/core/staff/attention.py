"""What a person has to see to: no change of status, a mark with a reason code and advice.

The journey goes on being read, and its status goes on following the book; effects wait until a
person has said `retry` (few do not wait: `effects.goes_on_while_parked`). While its cause is in
sight it parks again. Source: workflow.md §3, "attention".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import timedelta

from reconciler.core.evidence.unfilled import end_is_untold
from reconciler.core.mapping import (
    CLAIMED_LOAN_PROCESSES,
    LOST_LOAN_PROCESSES,
    NOT_FOUND_CODES,
    Subject,
    normalise,
)
from reconciler.core.model import Evidence
from reconciler.core.staff.parking import ParkReason
from reconciler.core.stages import STAGES
from reconciler.core.status import (
    BEFORE_DISPATCH,
    BEFORE_LOAN,
    BOOK_AWAY,
    ENDED,
    PARTIES,
    TERMINAL,
    DcbStatus,
    ItemState,
    LoanState,
    RequestState,
    Resource,
    Role,
)
from reconciler.core.view.leg_view import LegView
from reconciler.core.view.look import View
from reconciler.core.view.memory import copy_may_change
from reconciler.core.view.ours import MISMATCH, UNREADABLE_DATE


@dataclass(frozen=True, slots=True)
class Attention:
    """One thing that a person has to see to."""

    reason: ParkReason
    detail: str
    evidence: tuple[Evidence, ...] = ()
    look_again_in: timedelta | None = None
    """Set while it is a suspicion: absence has to be seen twice (what was just made may not be
    shown yet)."""


def find_attentions(view: View, status: DcbStatus) -> tuple[Attention, ...]:
    """What needs a person at this status: what is certain before suspicions, most telling first."""
    if status in TERMINAL or status in ENDED:
        return ()
    unplaceable = _unplaceable(view, status)
    if unplaceable is not None:
        return (unplaceable,)
    of_all = (
        _moved_to_another_copy(view),
        _end_untold(view, status),
        _hold_used_up(view, status),
        _taken_from_the_shelf(view, status),
    )
    first = tuple(found for found in of_all if found is not None)
    sides = [side for role in Role if (side := view.side(role)) is not None]
    checks = (*CHECKS, *CHECKS_WHILE_AWAY) if status in BOOK_AWAY else CHECKS
    all_found = [found for check in checks for side in sides for found in check(side)]
    return tuple(sorted((*first, *all_found), key=lambda found: found.look_again_in is not None))


def _unplaceable(view: View, status: DcbStatus) -> Attention | None:
    """That a request has to be placed at an Alma, and nothing is known to place it with."""
    role, transaction = STAGES[status].places, view.transaction
    if role is None or role not in PARTIES[transaction.workflow] or transaction.has_placing_data:
        return None
    side = view.side(role)
    if side is not None and (side.is_external or side.leg.request_id):
        return None
    return Attention(
        ParkReason.MISSING_PLACING_DATA, f"the {role}'s request is not placed and cannot be"
    )


def _moved_to_another_copy(view: View) -> Attention | None:
    """That the lender's staff bound the hold to another copy, once the first was confirmed."""
    side = view.supplier
    bound = side.request.item_pid if side.request else None
    if bound in (None, side.leg.item_pid) or side.leg.item_pid is None:
        return None
    if copy_may_change(view.transaction):
        return None
    told = "at the supplier: the request is bound to another copy than the one confirmed"
    return Attention(ParkReason.ITEM_MISMATCH, told, side.evidence(Resource.REQUEST))


def _end_untold(view: View, status: DcbStatus) -> Attention | None:
    """That the reader's hold is over, and whether he has had the book can no more be seen."""
    side = view.pickup_side
    if side is None or side.is_external or status not in BEFORE_LOAN:
        return None
    is_over = side.request_state is RequestState.CLOSED and side.shows_no_loan
    if not is_over or not side.end_is_forgotten or side.leg.loan_seen_at is not None:
        return None
    return Attention(
        ParkReason.END_UNTOLD,
        end_is_untold(side),
        side.evidence(Resource.REQUEST),
        look_again_in=None if side.request_end_confirmed else side.settle,
    )


def _hold_used_up(view: View, status: DcbStatus) -> Attention | None:
    """That the lender's hold was filled and its loan is over, though the book was never sent.

    Nothing sends it any more: the hold is used up, and it was not refused either.
    """
    side = view.supplier
    if side.is_external or status not in BEFORE_DISPATCH or side.request_is_live is not False:
        return None
    if side.role is view.pickup_role:  # that loan was the reader's own
        return None
    if side.loan_state is not LoanState.COMPLETE or side.has_active_loan is not False:
        return None
    again = None if side.request_end_confirmed else side.settle
    found = _about(
        ParkReason.HOLD_USED_UP,
        side,
        Resource.LOAN,
        "the request was filled by a loan that is over, and the book was not sent",
    )
    return replace(found, look_again_in=again)


def _running_process(side: LegView) -> str:
    """What Alma says of our loan beside its status, as long as it runs."""
    if side.loan is None or side.loan_state is not LoanState.ACTIVE:
        return ""
    return normalise(side.loan.process)


def _lost(side: LegView) -> Iterator[Attention]:
    """Also beside a loan that is over: paying for a lost book ends its loan."""
    is_lost = side.item_state is ItemState.LOST
    if is_lost or _running_process(side) in LOST_LOAN_PROCESSES:
        resource = Resource.ITEM if is_lost else Resource.LOAN
        yield _about(ParkReason.ITEM_LOST, side, resource, "the item is lost or missing")


def _claimed(side: LegView) -> Iterator[Attention]:
    claimed_item = side.item_state is ItemState.CLAIMED_RETURNED
    if claimed_item or _running_process(side) in CLAIMED_LOAN_PROCESSES:
        resource = Resource.ITEM if claimed_item else Resource.LOAN
        yield _about(
            ParkReason.CLAIMED_RETURNED, side, resource, "the reader claims to have returned it"
        )


def _unavailable(side: LegView) -> Iterator[Attention]:
    """Not of a lender's book that came home from its loan and went on to a department."""
    came_home = side.role is Role.SUPPLIER and side.loan_was_seen and side.has_active_loan is False
    if side.item_state is ItemState.UNAVAILABLE and not came_home:
        yield _about(
            ParkReason.ITEM_UNAVAILABLE, side, Resource.ITEM, "the item is in another process"
        )


def _absent(side: LegView) -> Iterator[Attention]:
    if side.item_state is ItemState.ABSENT:
        found = (
            _about(ParkReason.ITEM_ABSENT, side, Resource.ITEM, "Alma knows no such item")
            if side.role is Role.SUPPLIER
            else _about(
                ParkReason.VIRTUAL_ITEM_ABSENT, side, Resource.ITEM, "the virtual item is gone"
            )
        )
        yield found if side.item_state_confirmed else replace(found, look_again_in=side.settle)


def _mismatch(side: LegView) -> Iterator[Attention]:
    for resource, seen in (
        (Resource.ITEM, side.seen.item),
        (Resource.REQUEST, side.seen.request),
        (Resource.LOAN, side.seen.loan),
    ):
        if seen.code == MISMATCH:
            what = f"Alma answered with another {resource} than the one asked for"
            yield Attention(ParkReason.ITEM_MISMATCH, f"at the {side.role}: {what}")


def _user_absent(side: LegView) -> Iterator[Attention]:
    for seen, before in (
        (side.seen.request, side.leg.request),
        (side.seen.loan, side.leg.loan),
    ):
        if seen.code in NOT_FOUND_CODES[Subject.USER]:
            again = None if seen.code in (before.failure or "") else side.settle
            told = f"the {side.role}'s user is unknown there"
            yield Attention(ParkReason.USER_ABSENT, told, look_again_in=again)


def _loan_not_ours(side: LegView) -> Iterator[Attention]:
    virtual = side.role is not Role.SUPPLIER
    if virtual and side.seen.loaned_to_other and side.item_state is ItemState.LOANED:
        yield _about(
            ParkReason.LOAN_NOT_OURS, side, Resource.ITEM, "the item is on loan to somebody else"
        )


def _taken_from_the_shelf(view: View, status: DcbStatus) -> Attention | None:
    """That the lender's book, which stood on the hold shelf for our reader, is lent to another.

    Perhaps to our reader, under another account with his card: nothing would ever be returned
    for this lend. A local reader's loan of a book that we only queue for is nobody's mistake.
    """
    side = view.pickup_side
    if side is None or side.role is not Role.SUPPLIER or status not in BEFORE_LOAN:
        return None
    stood_there = side.leg.request.state == RequestState.ON_HOLD_SHELF
    still_does = side.request_state in (None, RequestState.ON_HOLD_SHELF)
    if not stood_there or still_does or not side.seen.loaned_to_other:
        return None
    return _about(
        ParkReason.LOAN_NOT_OURS,
        side,
        Resource.ITEM,
        "the item stood on the hold shelf for our reader and is on loan to somebody else",
    )


def _unknown_word(side: LegView) -> Iterator[Attention]:
    unknown = {
        Resource.ITEM: (side.item, ItemState.UNKNOWN),
        Resource.REQUEST: (side.request, RequestState.UNKNOWN),
        Resource.LOAN: (side.seen.loan.value or side.loan, LoanState.UNKNOWN),
    }
    for resource, (shown, unknown_state) in unknown.items():
        if shown is not None and shown.state is unknown_state:
            told = f"at the {side.role}: the {resource} has an unknown word ({shown.raw})"
            yield Attention(ParkReason.UNKNOWN_WORD, told, side.evidence(resource))


def _unreadable_date(side: LegView) -> Iterator[Attention]:
    """A date that is there and cannot be read: neither "no limit" nor "not due".

    The dates of a loan that is over decide nothing more.
    """
    request, loan = side.request, side.loan
    dates = [("when the request was placed", request and request.raw_placed_at)]
    if loan is not None and loan.state is not LoanState.COMPLETE:
        dates.append(("when the loan is due", loan.raw_due_at))
        dates.append(("when the loan began", loan.raw_began_at))
    for what, raw in dates:
        if raw is not None:
            told = f"at the {side.role}: {what} cannot be read (“{raw}”)"
            yield Attention(ParkReason.UNREADABLE_DATE, told)
    for seen in (side.seen.active_loan, side.seen.completed_loan):
        if seen.code == UNREADABLE_DATE:
            told = f"at the {side.role}: the item's loans cannot be told apart ({seen.reason})"
            yield Attention(ParkReason.UNREADABLE_DATE, told)


def _about(reason: ParkReason, side: LegView, resource: Resource, what: str) -> Attention:
    evidence = side.evidence(resource)
    raw = f" ({evidence[0].raw})" if evidence and evidence[0].raw else ""
    told = f"at the {side.role}: {what}{raw}"
    return Attention(reason, told, evidence)


Check = Callable[[LegView], Iterator[Attention]]

CHECKS: tuple[Check, ...] = (
    _mismatch,
    _lost,
    _claimed,
    _absent,
    _user_absent,
    _loan_not_ours,
    _unknown_word,
    _unreadable_date,
)
CHECKS_WHILE_AWAY: tuple[Check, ...] = (_unavailable,)
"""Before the book has left, "unavailable" is only a lender that cannot send it yet."""
