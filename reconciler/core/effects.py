"""Which effects belong to a step, when an effect is overtaken, and what is left to clear.

Effects are *ensure* verbs (workflow.md §4): here it is decided that they are wanted, never how
they are carried out. The ledger, not the workflow's name, says what there is to clear.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.core.model import Effect, Intent, Policy, Thing, Transaction
from reconciler.core.staff.parking import OUR_HOLDS_ARE_CERTAIN, ParkReason
from reconciler.core.status import (
    BEFORE_DISPATCH,
    BOOK_AWAY,
    ENDED,
    LIVE,
    DcbStatus,
    EffectKind,
    LoanState,
    Role,
    Side,
    ThingKind,
    ThingState,
    Workflow,
)

ALL = frozenset(Workflow)
Condition = Callable[[Transaction], bool]


@dataclass(frozen=True, slots=True)
class EffectRow:
    """An effect of a row, at the library of `role`, in these workflows (when it is an Alma)."""

    kind: EffectKind
    role: Role
    workflows: frozenset[Workflow] = ALL
    only_if: Condition | None = None


def unplaced(role: Role) -> Condition:
    """That nobody has placed this role's request yet."""

    def condition(transaction: Transaction) -> bool:
        leg = transaction.leg(role)
        return leg is not None and leg.request_id is None

    return condition


def never_lent(transaction: Transaction) -> bool:
    """That the lender's loan was never made: its hold would catch the book on its way home."""
    supplier = transaction.supplier
    made = any(
        thing.kind is ThingKind.LOAN and thing.role is Role.SUPPLIER for thing in transaction.things
    )
    return supplier.request_id is not None and supplier.loan_seen_at is None and not made


def loan_may_be_open(role: Role) -> Condition:
    """That the leg's loan was last seen active, stands in our ledger, or may have been made."""

    def condition(transaction: Transaction) -> bool:
        leg = transaction.leg(role)
        if leg is None:
            return False
        ours = any(
            thing.kind is ThingKind.LOAN and thing.role is role and thing.is_ours_to_clear
            for thing in transaction.things
        )
        sent = any(
            intent.kind is EffectKind.BORROWER_LOAN and intent.role is role and intent.attempts
            for intent in transaction.intents
        )
        return ours or sent or leg.loan.state == LoanState.ACTIVE

    return condition


def readers_due_at(transaction: Transaction) -> datetime | None:
    """Until when the reader may keep the book, as far as is known: the latest of his own loan's
    date and the pickup desk's."""
    legs = (transaction.borrower, transaction.leg(Side.PICKUP.role(transaction.workflow)))
    return max((leg.loan_due_at for leg in legs if leg and leg.loan_due_at), default=None)


def due_date_is_known(transaction: Transaction) -> bool:
    """That the reader's due date is known, so that the lender's loan can follow it."""
    return readers_due_at(transaction) is not None


def record_effects(
    role: Role, hold: EffectKind, workflows: frozenset[Workflow]
) -> tuple[EffectRow, ...]:
    """A virtual bib, holding and item with a hold on it: what a book needs to be asked for."""
    kinds = (
        EffectKind.VIRTUAL_BIB,
        EffectKind.VIRTUAL_HOLDING,
        EffectKind.VIRTUAL_ITEM,
        hold,
    )
    return tuple(EffectRow(kind, role, workflows, unplaced(role)) for kind in kinds)


PLACE_AT_SUPPLIER = (
    EffectRow(EffectKind.VIRTUAL_PATRON, Role.SUPPLIER, ALL - {Workflow.LOCAL}),
    EffectRow(EffectKind.SUPPLIER_HOLD, Role.SUPPLIER),
)
"""What `submit` asks for."""

_PLACING = BEFORE_DISPATCH - {DcbStatus.RESOLVED} | {DcbStatus.PICKUP_TRANSIT}
"""Until the book arrives: what staff deleted meanwhile may have to be made anew (`retry`)."""

_CLEARED_IN = LIVE - BOOK_AWAY
"""A book that is away, or on its way out, keeps the records that it is handed out by."""

STILL_NEEDED: dict[EffectKind, frozenset[DcbStatus]] = {
    EffectKind.VIRTUAL_PATRON: frozenset(
        {DcbStatus.RESOLVED, DcbStatus.REQUEST_PLACED_AT_BORROWING_AGENCY}
    ),
    EffectKind.SUPPLIER_HOLD: frozenset({DcbStatus.RESOLVED}),
    EffectKind.VIRTUAL_BIB: _PLACING,
    EffectKind.VIRTUAL_HOLDING: _PLACING,
    EffectKind.VIRTUAL_ITEM: _PLACING,
    EffectKind.BORROWER_HOLD: _PLACING,
    EffectKind.PICKUP_HOLD: _PLACING,
    EffectKind.VIRTUAL_ITEM_IN_TRANSIT: frozenset({DcbStatus.PICKUP_TRANSIT}),
    EffectKind.SUPPLIER_LOAN: frozenset({DcbStatus.LOANED}),
    EffectKind.BORROWER_LOAN: frozenset({DcbStatus.LOANED}),
    EffectKind.RENEWED: frozenset({DcbStatus.LOANED}),
    EffectKind.NO_RENEWAL: frozenset({DcbStatus.LOANED}),
    EffectKind.LOAN_CLOSED: frozenset({DcbStatus.RETURN_TRANSIT}) | ENDED,
    EffectKind.HOLD_CANCELLED: LIVE,
    EffectKind.VIRTUAL_ITEM_REMOVED: _CLEARED_IN,
    EffectKind.VIRTUAL_HOLDING_REMOVED: _CLEARED_IN,
    EffectKind.VIRTUAL_BIB_REMOVED: _CLEARED_IN,
    EffectKind.NOTIFY: frozenset(DcbStatus),
}
"""In which statuses an effect still makes sense; elsewhere the journey has overtaken it."""

CLEARED_BY: dict[ThingKind, EffectKind] = {
    ThingKind.LOAN: EffectKind.LOAN_CLOSED,
    ThingKind.HOLD: EffectKind.HOLD_CANCELLED,
    ThingKind.ITEM: EffectKind.VIRTUAL_ITEM_REMOVED,
    ThingKind.HOLDING: EffectKind.VIRTUAL_HOLDING_REMOVED,
    ThingKind.BIB: EffectKind.VIRTUAL_BIB_REMOVED,
}
"""How each kind of thing is cleared; the order is the one Alma allows."""

ADVISORY = frozenset({EffectKind.NO_RENEWAL})
"""Effects without which the lend goes on: refused ones are shown and retried, never parked."""

REMOVALS = frozenset(
    {
        EffectKind.VIRTUAL_ITEM_REMOVED,
        EffectKind.VIRTUAL_HOLDING_REMOVED,
        EffectKind.VIRTUAL_BIB_REMOVED,
    }
)
"""The virtual records' end."""

_CERTAIN = {str(reason) for reason, certain in OUR_HOLDS_ARE_CERTAIN.items() if certain}

_CLEARINGS = frozenset(CLEARED_BY.values())
_ORDER = {kind: n for n, kind in enumerate(CLEARED_BY)}


def wanted(rows: Iterable[EffectRow], transaction: Transaction, policy: Policy) -> Iterator[Effect]:
    """The effects of these rows for a transaction: at Almas only, and where they apply."""
    for row in rows:
        leg = transaction.leg(row.role)
        if leg is None or transaction.workflow not in row.workflows:
            continue
        if policy.is_external(leg) and row.kind is not EffectKind.NOTIFY:
            continue
        if row.only_if is None or row.only_if(transaction):
            yield Effect(row.kind, row.role, leg.host_lms)


def overtaken(transaction: Transaction) -> tuple[Intent, ...]:
    """The open intents that make no sense any more where the transaction stands now.

    One whose end is not known is no intent to drop: what it made has to be found first.
    """
    return tuple(
        intent
        for intent in transaction.intents
        if transaction.status not in STILL_NEEDED[intent.kind] and not intent.may_have_happened
    )


def goes_on_while_parked(intent: Intent, transaction: Transaction) -> bool:
    """Whether an effect is carried out though a person is waited for.

    What was half made for a request that could not be placed is removed, and a hold that would
    catch the book again is ended where it is certain that it is ours. Of a date that cannot be
    read only due dates depend.
    """
    if transaction.parked is not None and transaction.parked.reason == ParkReason.UNREADABLE_DATE:
        return intent.kind is not EffectKind.RENEWED
    if intent.kind is EffectKind.HOLD_CANCELLED:
        return transaction.parked is not None and transaction.parked.reason in _CERTAIN
    return intent.kind in REMOVALS and transaction.status in BEFORE_DISPATCH


def left_to_clear(transaction: Transaction, planned: Iterable[Effect] = ()) -> tuple[Effect, ...]:
    """For each thing of ours that is still there once the journey has ended: its removal.

    Loans first, then holds, items, holdings, bibs; not twice for one thing, nor where an effect
    that is `planned` or under way sees to it. A book that is away keeps its records, so nothing is
    cleared before the end, and of a lend that ended before its book left only the lender's hold
    until that is proved ended: its item may show by then that the book has left after all. Nor is
    anything where it is not known yet what else was made: a holding whose item turns up later
    could never be removed.
    """
    if transaction.status not in ENDED:
        return ()
    waits = transaction.status in _NOT_COME_HOME and has_lender_hold(transaction)
    seen_to: tuple[Intent | Effect, ...] = (*transaction.intents, *planned)
    under_way = {(each.kind, each.role, each.thing_id) for each in seen_to}
    unknown = {
        intent.role
        for intent in transaction.intents
        if intent.may_have_happened and intent.kind not in _CLEARINGS
    }
    things = sorted(
        (
            thing
            for thing in transaction.things
            if thing.is_ours_to_clear
            and thing.role not in unknown
            and (thing.role is Role.SUPPLIER or not waits)
        ),
        key=lambda thing: _ORDER[thing.kind],
    )
    removals = (
        Effect(CLEARED_BY[thing.kind], thing.role, thing.host_lms, thing.id) for thing in things
    )
    return tuple(
        removal
        for removal in removals
        if not {(removal.kind, removal.role, id) for id in (removal.thing_id, "")} & under_way
    )


_NOT_COME_HOME = ENDED - {DcbStatus.COMPLETED}


def handed_over(transaction: Transaction) -> tuple[Thing, ...]:
    """What is no business of ours any more once a library lends its own book to its own reader."""
    if transaction.status is not DcbStatus.HANDED_OFF_AS_LOCAL:
        return ()
    return tuple(
        replace(thing, state=ThingState.HANDED_OVER)
        for thing in transaction.things
        if thing.is_ours_to_clear
    )


def has_lender_hold(transaction: Transaction) -> bool:
    """Whether a hold of ours still stands in the lender's Alma, as far as our ledger knows."""
    return any(
        thing.kind is ThingKind.HOLD and thing.role is Role.SUPPLIER and thing.is_ours_to_clear
        for thing in transaction.things
    )


def is_cleared(transaction: Transaction) -> bool:
    """Whether the ledger shows nothing of ours that is still there, and nothing is under way."""
    return not any(thing.is_ours_to_clear for thing in transaction.things) and not any(
        intent.is_open and intent.kind is not EffectKind.NOTIFY for intent in transaction.intents
    )
