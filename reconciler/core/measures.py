"""Rules that ask for something without moving the status: renewals and competing holds.

Both hold while the reader has the book, and each fires once for what it saw: once for each new
due date, once for each time that somebody begins to wait. Source: workflow.md §3, rows 15, 16.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from reconciler.core.effects import ALL, EffectRow, readers_due_at, wanted
from reconciler.core.evidence import Finding, Verdict
from reconciler.core.model import Effect, Measure, Read, ReadKind, RequestSight, Transaction
from reconciler.core.status import (
    DcbStatus,
    EffectKind,
    LoanState,
    Resource,
    Role,
    Side,
    Workflow,
)
from reconciler.core.view.leg_view import SAME_DUE_DATE, LegView
from reconciler.core.view.look import View
from reconciler.core.view.ours import is_our_user

A_DAY = timedelta(days=1)


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


def _readers_sides(view: View) -> Iterator[LegView]:
    """Where a loan of the reader's stands: at home his own, at the pickup desk the one that he got
    the book by. In on-site lending that desk is the lender's."""
    for role in dict.fromkeys((Role.BORROWER, Side.PICKUP.role(view.transaction.workflow))):
        side = view.side(role)
        if side is not None and side.loan is not None and side.loan_state is LoanState.ACTIVE:
            yield side


def _readers_loan_unknown(view: View) -> Finding | None:
    """That the reader's own loan at home is over by its id, and may go on under a new one."""
    home = view.side(Role.BORROWER)
    if home is None or home.is_external or home.role is view.pickup_role:
        return None
    if home.loan_state is not LoanState.COMPLETE or home.has_active_loan is not None:
        return None
    kinds = [kind for kind in home.missing_loan_reads if not home.seen.of(kind).was_asked]
    needs = tuple(Read(Role.BORROWER, kind) for kind in kinds)
    told = "the reader's loan at home is over; it may go on under a new id"
    return Finding(Verdict.WAITS, told, home.evidence(Resource.LOAN), needs)


def _due_at(side: LegView) -> datetime | None:
    """Until when the reader may keep the book, by this loan; what we asked for counts as we asked:
    Alma moves a date to the closing time of its library, which nobody has renewed."""
    due_at, asked = side.loan.due_at if side.loan else None, side.leg.due_wanted_at
    if due_at is None or asked is None:
        return due_at
    return asked if asked <= due_at < asked + A_DAY else due_at


def _latest(view: View) -> datetime | None:
    dates = [due_at for side in _readers_sides(view) if (due_at := _due_at(side))]
    return max(dates, default=None)


def lags_behind(role: Role) -> Callable[[View], Finding]:
    """Row 15: the reader's loan runs longer than this library was last told, or than its own."""

    def finds(view: View) -> Finding:
        side = view.side(role)
        if side is None:
            return Finding(Verdict.NO, f"this transaction has no {role} leg")
        if side.is_external:
            return Finding(Verdict.NO, f"the {role} is not an Alma: it renews its loans by itself")
        unknown = _readers_loan_unknown(view)
        if unknown is not None:
            return unknown
        seen = tuple(each for of in _readers_sides(view) for each in of.evidence(Resource.LOAN))
        if not seen:
            return Finding(Verdict.NO, "no active loan of the reader's was seen in this look")
        for each in (*_readers_sides(view), side):
            if each.loan is not None and each.loan.raw_due_at is not None:
                told = f"the {each.role}'s due date cannot be read (“{each.loan.raw_due_at}”)"
                return Finding(Verdict.WAITS, told, seen)
        latest = _latest(view)
        if latest is None:
            return Finding(Verdict.NO, "the reader's loan shows no due date", seen)
        shown = side.loan.due_at if side.loan else None
        known = [each for each in (side.leg.due_wanted_at, side.leg.loan_due_at, shown) if each]
        if not known:
            is_new = view.transaction.status is not DcbStatus.LOANED
            vain = is_new or side.seen.loan.was_asked or side.leg.user_id is None
            needs = () if vain else (Read(role, ReadKind.LOAN),)
            return Finding(Verdict.WAITS, f"the {role}'s due date is not known yet", seen, needs)
        if latest <= max(known) + SAME_DUE_DATE:
            return Finding(Verdict.NO, f"the {role}'s loan runs as long as the reader's", seen)
        told = f"the reader's loan was renewed until {latest.date().isoformat()}"
        return Finding(Verdict.HOLDS, told, seen)

    return finds


def _told_of_due_date(role: Role) -> Callable[[Transaction, View], Transaction]:
    return lambda transaction, view: _asked(transaction, role, _latest(view))


def _asked(transaction: Transaction, role: Role, due_at: datetime | None) -> Transaction:
    leg = transaction.leg(role)
    return (
        transaction
        if leg is None
        else transaction.with_legs({role: replace(leg, due_wanted_at=due_at)})
    )


def hold_detected(view: View) -> Finding:
    """Row 16: somebody else waits for the lender's item. Our own hold never counts."""
    side = view.supplier
    if side.is_external:
        return Finding(Verdict.NO, "the supplier is not an Alma: its queue is not read")
    if side.item is not None and side.item.requested is False:
        return Finding(Verdict.NO, "nobody waits for the supplier's item")
    listed = side.seen.item_requests.value
    if listed is None and side.item is None:
        return Finding(Verdict.WAITS, side.why_unknown(ReadKind.ITEM))
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


def _is_ours(side: LegView, request: RequestSight) -> bool:
    same = request.request_id is not None and request.request_id == side.leg.request_id
    return same or is_our_user(side.leg, request.user_id)


def _noted_hold(transaction: Transaction, view: View) -> Transaction:
    return _with_supplier(transaction, competing_hold_at=view.now)


def _with_supplier(transaction: Transaction, **values: object) -> Transaction:
    return replace(transaction, supplier=replace(transaction.supplier, **values))  # type: ignore[arg-type]


FOLLOWERS: dict[Role, frozenset[Workflow]] = {
    Role.SUPPLIER: ALL,
    Role.PICKUP: frozenset({Workflow.PICKUP_ANYWHERE}),
    Role.BORROWER: frozenset({Workflow.PICKUP_ANYWHERE, Workflow.EXPEDITED}),
}
"""Whose loan follows, and in which workflows: the latest date that the reader was given holds at
all. Where there is no other desk than the borrower's, its loan is the one that is followed."""

MEASURES: tuple[MeasureRow, ...] = (
    *(
        MeasureRow(
            "15",
            "SupplierRenewal",
            frozenset({DcbStatus.LOANED}),
            lags_behind(role),
            _told_of_due_date(role),
            (EffectRow(EffectKind.RENEWED, role),),
            workflows,
        )
        for role, workflows in FOLLOWERS.items()
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
    for effect in asked:
        if effect.kind is EffectKind.RENEWED:
            after = _asked(after, effect.role, readers_due_at(after))
            view = replace(view, sides={**view.sides, effect.role: _told(view, after, effect.role)})
    taken = []
    for row in measures_at(after.status, after):
        found = row.finds(view)
        if found.holds:
            after = row.marked(after, view)
            effects = tuple(_unless_under_way(row.effects, after, view))
            taken.append(Measure(row.rule, found.because, found.evidence, effects))
    return after, tuple(taken)


def _told(view: View, after: Transaction, role: Role) -> LegView:
    side, leg = view.sides[role], after.leg(role)
    due_at = leg.due_wanted_at if leg else None
    return replace(side, leg=replace(side.leg, due_wanted_at=due_at))


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
