"""Rules that ask for something without moving the status: renewals and competing holds.

Both hold while the reader has the book, and each fires once for what it saw: once for each new
due date, once for each time that somebody begins to wait. Source: workflow.md §3, rows 15, 16.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, replace
from datetime import timedelta

from reconciler.core.effects import ALL, EffectRow, wanted
from reconciler.core.evidence import Finding, Verdict
from reconciler.core.model import Effect, Measure, Read, ReadKind, RequestSight, Transaction
from reconciler.core.ours import is_our_user
from reconciler.core.status import (
    DcbStatus,
    EffectKind,
    LoanState,
    Resource,
    Role,
    Workflow,
    pickup_side,
)
from reconciler.core.view import Side, View

SAME_DUE_DATE = timedelta(minutes=1)
"""Alma keeps due dates to the minute."""


@dataclass(frozen=True, slots=True)
class MeasureRow:
    """One rule: what it asks for when `finds` holds, in a status of `at`."""

    number: str
    rule: str
    at: frozenset[DcbStatus]
    finds: Callable[[View], Finding]
    marked: Callable[[Transaction, View], Transaction]
    """The transaction with a note of what was seen, so that the rule fires once for it."""
    effects: tuple[EffectRow, ...]
    workflows: frozenset[Workflow] = ALL


def renewed(view: View) -> Finding:
    """Row 15: the reader's loan runs longer than the lender was last told."""
    reader, lender = view.pickup_side, view.supplier
    if reader is None or reader.role is Role.SUPPLIER:
        return Finding(Verdict.NO, "the lender's loan is the reader's own")
    if lender.is_external:
        return Finding(Verdict.NO, "the supplier is not an Alma: it renews its loans by itself")
    seen = reader.evidence(Resource.LOAN)
    if reader.loan is None or reader.loan_state is not LoanState.ACTIVE:
        return Finding(Verdict.NO, "no active loan of the reader's was seen in this look", seen)
    for side in (reader, lender):
        if side.loan is not None and side.loan.raw_due_at is not None:
            told = f"the {side.role}'s due date cannot be read (“{side.loan.raw_due_at}”)"
            return Finding(Verdict.WAITS, told, seen)
    due_at = reader.loan.due_at
    if due_at is None:
        return Finding(Verdict.NO, "the reader's loan shows no due date", seen)
    shown = lender.loan.due_at if lender.loan else None
    known = [each for each in (lender.leg.due_wanted_at, lender.leg.loan_due_at, shown) if each]
    if not known:
        tried = lender.seen.loan.was_asked or lender.leg.user_id is None
        needs = () if tried else (Read(Role.SUPPLIER, ReadKind.LOAN),)
        return Finding(Verdict.WAITS, "the lender's due date is not known yet", seen, needs)
    if due_at <= max(known) + SAME_DUE_DATE:
        return Finding(Verdict.NO, "the lender's loan runs as long as the reader's", seen)
    return Finding(
        Verdict.HOLDS, f"the reader's loan was renewed until {due_at.date().isoformat()}", seen
    )


def _told_of_due_date(transaction: Transaction, view: View) -> Transaction:
    reader = view.pickup_side
    due_at = reader.loan.due_at if reader and reader.loan else None
    return _with_supplier(transaction, due_wanted_at=due_at)


def hold_detected(view: View) -> Finding:
    """Row 16: somebody else waits for the lender's item. Our own hold never counts."""
    side = view.supplier
    if side.is_external:
        return Finding(Verdict.NO, "the supplier is not an Alma: its queue is not read")
    if side.item is not None and side.item.requested is False:
        return Finding(Verdict.NO, "nobody waits for the supplier's item")
    listed = side.seen.item_requests.value
    if listed is None:
        tried = side.seen.item_requests.was_asked
        needs = () if tried else (Read(Role.SUPPLIER, ReadKind.ITEM_REQUESTS),)
        return Finding(Verdict.WAITS, side.why_unknown(ReadKind.ITEM_REQUESTS), needs=needs)
    others = sum(not _is_ours(side, each) for each in listed)
    if not others:
        return Finding(Verdict.NO, "nobody else waits for the supplier's item")
    if side.leg.competing_hold_at is not None:
        return Finding(Verdict.NO, "that others wait for the supplier's item is known already")
    return Finding(Verdict.HOLDS, f"{others} hold(s) of others wait for the supplier's item")


def _is_ours(side: Side, request: RequestSight) -> bool:
    same = request.request_id is not None and request.request_id == side.leg.request_id
    return same or is_our_user(side.leg, request.user_id)


def _noted_hold(transaction: Transaction, view: View) -> Transaction:
    return _with_supplier(transaction, competing_hold_at=view.now)


def _with_supplier(transaction: Transaction, **values: object) -> Transaction:
    return replace(transaction, supplier=replace(transaction.supplier, **values))  # type: ignore[arg-type]


MEASURES: tuple[MeasureRow, ...] = (
    MeasureRow(
        "15",
        "SupplierRenewal",
        frozenset({DcbStatus.LOANED}),
        renewed,
        _told_of_due_date,
        (EffectRow(EffectKind.RENEWED, Role.SUPPLIER),),
    ),
    MeasureRow(
        "16",
        "HandleSupplierHoldDetected",
        frozenset({DcbStatus.LOANED}),
        hold_detected,
        _noted_hold,
        (
            EffectRow(EffectKind.NO_RENEWAL, Role.BORROWER),
            EffectRow(EffectKind.NO_RENEWAL, Role.PICKUP, frozenset({Workflow.PICKUP_ANYWHERE})),
        ),
    ),
)


def measures_at(status: DcbStatus, transaction: Transaction) -> tuple[MeasureRow, ...]:
    return tuple(
        row for row in MEASURES if status in row.at and transaction.workflow in row.workflows
    )


def take_measures(
    after: Transaction, view: View, asked: Iterable[Effect]
) -> tuple[Transaction, tuple[Measure, ...]]:
    """What the rules of the present status ask for, and the transaction with its notes of it.

    `asked` are the effects of this look's hops: a loan that is just being made is given its due
    date by the hop itself.
    """
    after = _without_old_notes(after, view)
    if any(effect.kind is EffectKind.RENEWED for effect in asked):
        reader = after.leg(pickup_side(after.workflow))
        after = _with_supplier(after, due_wanted_at=reader.loan_due_at if reader else None)
        view = replace(view, sides={**view.sides, Role.SUPPLIER: _told(view.supplier, after)})
    taken = []
    for row in measures_at(after.status, after):
        found = row.finds(view)
        if found.holds:
            after = row.marked(after, view)
            effects = tuple(_unless_under_way(row.effects, after, view))
            taken.append(Measure(row.rule, found.because, found.evidence, effects))
    return after, tuple(taken)


def _told(side: Side, after: Transaction) -> Side:
    return replace(side, leg=replace(side.leg, due_wanted_at=after.supplier.due_wanted_at))


def _unless_under_way(
    rows: Iterable[EffectRow], after: Transaction, view: View
) -> Iterable[Effect]:
    """An effect of the same kind that is still open sees to the newest date by itself."""
    under_way = {(intent.kind, intent.role) for intent in after.intents if not intent.is_over}
    for effect in wanted(rows, after, view.policy):
        if (effect.kind, effect.role) not in under_way:
            yield effect


def _without_old_notes(after: Transaction, view: View) -> Transaction:
    """Once nobody else waits any more, the next one who does is news again."""
    side = view.supplier
    listed = side.seen.item_requests.value
    free = side.item is not None and side.item.requested is False
    nobody = free or (listed is not None and all(_is_ours(side, each) for each in listed))
    if nobody and after.supplier.competing_hold_at is not None:
        return _with_supplier(after, competing_hold_at=None)
    return after
