"""What a leg keeps of a look: the last readable words, since when, and the ids learnt from them.

A failed read changes only the failure beside the word; a value that was not asked for changes
nothing. Of an external library nothing is read: its words come from evidence and stay as told.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from reconciler.core.model import (
    Change,
    Evidence,
    ItemSight,
    Leg,
    LoanId,
    LoanSight,
    Remembered,
    RequestId,
    RequestSight,
    Seen,
    TakenOver,
    Thing,
    Transaction,
)
from reconciler.core.status import (
    BOOK_AWAY,
    DcbStatus,
    ItemState,
    LoanState,
    RequestState,
    Resource,
    Role,
    ThingKind,
    ThingState,
)
from reconciler.core.view.leg_view import LegView
from reconciler.core.view.look import View


def remember(leg: Leg, view: View) -> Leg:
    """The leg as it stands after this look."""
    side = view.side(leg.role)
    if side is None or side.is_external:
        return leg
    leg = replace(
        leg,
        item=_item_word(leg.item, side, view),
        request=_request_word(leg.request, side, view),
        loan=_word(leg.loan, side.seen_loan),
        user_id=side.seen.user_id or leg.user_id,
        user_primary_id=side.seen.user_primary_id or leg.user_primary_id,
    )
    leg = _with_loan(_with_request(_with_item(leg, side.item), side.request), side, view.now)
    return _with_bound_copy(leg, side.request) if copy_may_change(view.transaction) else leg


def copy_may_change(transaction: Transaction) -> bool:
    """Whether another copy that Alma bound to the lender's hold is simply this lend's copy: as
    long as nothing is placed at the borrower, where its barcode stands (workflow.md §3, row 2)."""
    borrower = transaction.borrower
    begun = any(
        intent.role is not Role.SUPPLIER and intent.attempts for intent in transaction.intents
    )
    made = any(
        thing.role is not Role.SUPPLIER and thing.is_ours_to_clear for thing in transaction.things
    )
    placed = borrower is not None and borrower.request_id is not None
    return transaction.status in _NOT_PLACED_AT_BORROWER and not (begun or made or placed)


_NOT_PLACED_AT_BORROWER = frozenset(
    {DcbStatus.RESOLVED, DcbStatus.REQUEST_PLACED_AT_SUPPLYING_AGENCY, DcbStatus.CONFIRMED}
)


def taken_over(before: Transaction, after: Transaction) -> Iterator[TakenOver]:
    """The records that stand for this lend now in the place of those that did before."""
    for old in before.legs:
        new = after.leg(old.role)
        if new is None:
            continue
        ids: tuple[tuple[ThingKind, str | None, str | None], ...] = (
            (ThingKind.HOLD, old.request_id, new.request_id),
            (ThingKind.LOAN, old.loan_id, new.loan_id),
            (ThingKind.ITEM, old.item_pid, new.item_pid),
        )
        for kind, was, now in ids:
            if was is not None and now is not None and was != now:
                yield TakenOver(kind, old.role, was, now)


def ledger_after(before: Transaction, taken: Iterable[TakenOver]) -> Iterator[Thing]:
    """The rows of the ledger that name a record whose place another has taken."""
    for each in taken:
        for thing in before.things:
            if thing.role is not each.role or thing.kind is not each.kind:
                continue
            if each.kind is ThingKind.HOLD and thing.request_id == each.before:
                yield replace(thing, request_id=RequestId(each.after), state=ThingState.PRESENT)
            if each.kind is ThingKind.LOAN and thing.loan_id == each.before:
                yield replace(thing, loan_id=LoanId(each.after), state=ThingState.PRESENT)


def changes_of(view: View) -> tuple[Change, ...]:
    """The canonical words of this look that differ from the last ones seen."""
    changes = []
    for side in view.sides.values():
        leg, seen = side.leg, side.seen
        if side.is_external:
            continue
        words: tuple[tuple[Resource, Seen[ItemSight] | Seen[RequestSight] | Seen[LoanSight]], ...]
        words = (
            (Resource.ITEM, seen.item),
            (Resource.REQUEST, side.seen_request),
            (Resource.LOAN, side.seen_loan),
        )
        for resource, word in words:
            before = leg.remembered(resource).state
            if word.value is not None and _is_news(word.value.state, before):
                evidence = Evidence(leg.role, resource, word.value.state, word.value.raw, word.at)
                changes.append(Change(evidence, before))
    return tuple(changes)


def _is_news(state: str, before: str | None) -> bool:
    """That no loan of ours exists is news only after one was seen."""
    return state != before and not (before is None and state == LoanState.ABSENT)


def _word(
    before: Remembered, seen: Seen[ItemSight] | Seen[RequestSight] | Seen[LoanSight]
) -> Remembered:
    if seen.value is not None:
        same = before.state == seen.value.state
        return replace(
            before,
            state=seen.value.state,
            raw=seen.value.raw,
            seen_at=seen.at,
            since=before.since if same else seen.at,
            failure=None,
            failed_at=None,
        )
    if seen.is_unreadable:
        return replace(before, failure=seen.reason, failed_at=seen.at)
    return before


def _request_word(before: Remembered, side: LegView, view: View) -> Remembered:
    word = _word(before, side.seen_request)
    shelved = side.request_state is RequestState.ON_HOLD_SHELF
    return replace(
        word,
        unfilled_at=view.now if side.is_unfilled else word.unfilled_at,
        shelved_at=word.shelved_at or (view.now if shelved else None),
    )


def _item_word(before: Remembered, side: LegView, view: View) -> Remembered:
    word = _word(before, side.seen.item)
    away = side.role is Role.SUPPLIER and _is_away(side, view)
    return replace(word, away_at=word.away_at or (view.now if away else None))


def _is_away(side: LegView, view: View) -> bool:
    """Whether this look shows the lender's item to be away for this lend, or on its way home."""
    if side.item_state is ItemState.TRANSIT:
        return view.transaction.status in BOOK_AWAY or bool(side.hold_works)
    return side.item_state is ItemState.LOANED and bool(side.has_active_loan)


def _with_item(leg: Leg, item: ItemSight | None) -> Leg:
    """Ids are taken from Alma's answer; the barcode and pid only where we had none."""
    if item is None or item.pid is None:
        return leg
    if leg.item_pid is not None and leg.item_pid != item.pid:
        return leg
    return replace(
        leg,
        item_pid=item.pid,
        mms_id=item.mms_id or leg.mms_id,
        holding_id=item.holding_id or leg.holding_id,
        item_barcode=leg.item_barcode or item.barcode,
    )


def _with_request(leg: Leg, request: RequestSight | None) -> Leg:
    """A re-issued hold goes on from when the first one was placed: a loan may have come of that."""
    if request is None:
        return leg
    known = [at for at in (leg.request_placed_at, request.placed_at) if at is not None]
    return replace(
        leg,
        request_id=request.request_id or leg.request_id,
        request_placed_at=min(known, default=None),
    )


def _with_bound_copy(leg: Leg, request: RequestSight | None) -> Leg:
    """The copy that Alma bound to the lender's hold, if it is another than the one asked for.

    Its holding is not told by the request: it is found by the barcode at the next look.
    """
    if leg.role is not Role.SUPPLIER or request is None or request.item_pid is None:
        return leg
    if request.item_pid == leg.item_pid:
        return leg
    return replace(
        leg,
        item_pid=request.item_pid,
        item_barcode=request.barcode,
        mms_id=request.mms_id or leg.mms_id,
        holding_id=None,
        item=Remembered(),
    )


def _with_loan(leg: Leg, side: LegView, now: datetime) -> Leg:
    loan = side.loan
    if loan is None or loan.state not in (LoanState.ACTIVE, LoanState.COMPLETE):
        return leg
    is_new = leg.loan_id is not None and loan.loan_id not in (None, leg.loan_id)
    return replace(
        leg,
        loan_id=loan.loan_id or leg.loan_id,
        due_wanted_at=None if is_new else leg.due_wanted_at,
        loan_seen_at=leg.loan_seen_at or now,
        loan_due_at=loan.due_at or leg.loan_due_at,
    )


# --- notes of what was asked for, so that an action row fires once for it ------------------------


def with_due_date_wanted(
    transaction: Transaction, role: Role, due_at: datetime | None
) -> Transaction:
    """That the leg's loan was asked to run until then, whatever becomes of it."""
    leg = transaction.leg(role)
    if leg is None:
        return transaction
    return transaction.with_legs({role: replace(leg, due_wanted_at=due_at)})


def with_hold_of_others(transaction: Transaction, since: datetime | None) -> Transaction:
    """Since when somebody else waits for the lender's item; None once nobody does any more."""
    supplier = replace(transaction.supplier, competing_hold_at=since)
    return replace(transaction, supplier=supplier)
