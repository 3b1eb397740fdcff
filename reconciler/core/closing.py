"""`close`: a person says that a lend is over; it moves to the ending that is true to what we know.

Before the book left it is cancelled. While the book is away nobody saw it come home, so how it
went stays UNKNOWN; clean-up and row 11 follow as after any ending. What already ended and cannot
be cleared is handed over: it is no business of ours any more, and staff are told what is left.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from reconciler.core.effects import (
    EffectRow,
    is_cleared,
    left_to_clear,
    loan_may_be_open,
    overtaken,
    wanted,
)
from reconciler.core.model import Hop, Intent, Policy, Thing, Transaction
from reconciler.core.orders import Order, Step, Unfit, over, paused
from reconciler.core.status import (
    BOOK_AWAY,
    ENDED,
    TERMINAL,
    DcbStatus,
    EffectKind,
    IntentState,
    ItemState,
    LoanState,
    Outcome,
    Role,
    ThingKind,
    ThingState,
)
from reconciler.core.transitions import VIA_PICKUP_LIBRARY

S = DcbStatus
CLOSED_BY_HAND = "ClosedByHand"


@dataclass(frozen=True, slots=True)
class Ending:
    """Where `close` leads to; no outcome leaves the one that is known already."""

    target: DcbStatus
    outcome: Outcome | None = None
    effects: tuple[EffectRow, ...] = ()


_LOANS_CLOSED = (
    EffectRow(EffectKind.LOAN_CLOSED, Role.BORROWER, only_if=loan_may_be_open(Role.BORROWER)),
    EffectRow(EffectKind.LOAN_CLOSED, Role.PICKUP, only_if=loan_may_be_open(Role.PICKUP)),
)
_NEVER_LEFT = Ending(S.CANCELLED, Outcome.CANCELLED)
_NEVER_COLLECTED = Ending(S.CANCELLED, Outcome.CANCELLED, _LOANS_CLOSED)
_AWAY = Ending(
    S.COMPLETED,
    Outcome.UNKNOWN,
    (
        *_LOANS_CLOSED,
        EffectRow(EffectKind.NOTIFY, Role.BORROWER),
        EffectRow(EffectKind.NOTIFY, Role.PICKUP, VIA_PICKUP_LIBRARY),
    ),
)
_ENDED = Ending(S.FINALISED)

ENDINGS: dict[DcbStatus, Ending] = {
    S.RESOLVED: _NEVER_LEFT,
    S.REQUEST_PLACED_AT_SUPPLYING_AGENCY: _NEVER_LEFT,
    S.CONFIRMED: _NEVER_LEFT,
    S.REQUEST_PLACED_AT_BORROWING_AGENCY: _NEVER_LEFT,
    S.REQUEST_PLACED_AT_PICKUP_AGENCY: _NEVER_LEFT,
    S.PICKUP_TRANSIT: _AWAY,
    S.RECEIVED_AT_PICKUP: _AWAY,
    S.READY_FOR_PICKUP: _AWAY,
    S.LOANED: _AWAY,
    S.RETURN_TRANSIT: _AWAY,
    S.AWAITING_RETURN_TO_SUPPLIER: _NEVER_COLLECTED,
    S.COMPLETED: _ENDED,
    S.CANCELLED: _ENDED,
    S.NOT_SUPPLIED_CURRENT_SUPPLIER: _ENDED,
}
"""Per live status. A reader who gave up is known to have: that lend is cancelled, as by row 14b."""


_STUCK = frozenset({IntentState.PARKED, IntentState.REFUSED, IntentState.WITHHELD})
_UNREADABLE_FOR_LONG = 6
"""Looks in a row that failed, each wait twice the last: about half an hour."""


def close(transaction: Transaction, order: Order, policy: Policy) -> Step | Unfit:
    """End it. A paused transaction moves for nobody."""
    if transaction.status in TERMINAL:
        return over(transaction)
    if transaction.paused:
        return Unfit(paused(transaction))
    if transaction.status in ENDED:
        return _hand_over(transaction, order, policy)
    ending = ENDINGS[transaction.status]
    after = _moved(transaction, ending, order)
    effects = tuple(wanted(ending.effects, after, policy))
    asked = (*effects, *left_to_clear(after, effects))
    return Step(
        replace(after, next_poll_at=order.at),
        f"{transaction.status} → {after.status}",
        _hop(transaction, after, order),
        asked,
        tuple(_withdrawn(overtaken(after))),
        warnings=tuple(_warnings(transaction)),
    )


def _hand_over(transaction: Transaction, order: Order, policy: Policy) -> Step | Unfit:
    """Over already: what could not be cleared is left to staff, thing by thing."""
    if not is_cleared(transaction) and not _cannot_be_cleared(transaction, policy):
        return Unfit(
            f"{transaction.status} already, and what is left is being cleared: nothing of it was "
            "refused"
        )
    left = [thing for thing in transaction.things if thing.is_ours_to_clear]
    after = replace(_moved(transaction, ENDINGS[transaction.status], order), next_poll_at=None)
    return Step(
        after,
        f"{transaction.status} → {after.status}",
        _hop(transaction, after, order),
        changed=tuple(_withdrawn(transaction.intents)),
        things=tuple(replace(thing, state=ThingState.HANDED_OVER) for thing in left),
        warnings=tuple(_unknown_ends(transaction)),
        left=tuple(described(thing) for thing in left),
    )


def _cannot_be_cleared(transaction: Transaction, policy: Policy) -> bool:
    """Alma said no, cannot be read for long, or is not acted on; or a person is waited for."""
    return transaction.parked is not None or any(
        intent.state in _STUCK
        or intent.refusals >= _UNREADABLE_FOR_LONG
        or not policy.acts_at(intent.host_lms)
        for intent in transaction.intents
    )


def _moved(transaction: Transaction, ending: Ending, order: Order) -> Transaction:
    return replace(
        transaction,
        status=ending.target,
        previous_status=transaction.status,
        status_since=order.at,
        outcome=ending.outcome or transaction.outcome,
        parked=None,
        acknowledged=(),
    )


def _hop(before: Transaction, after: Transaction, order: Order) -> Hop:
    return Hop(
        rule=CLOSED_BY_HAND,
        source=before.status,
        target=after.status,
        inferred=False,
        because=order.reason or "",
        evidence=(),
        outcome=after.outcome,
    )


def _withdrawn(intents: tuple[Intent, ...]) -> Iterator[Intent]:
    for intent in intents:
        yield replace(intent, state=IntentState.WITHDRAWN, next_attempt_at=None)


def _warnings(transaction: Transaction) -> Iterator[str]:
    """What a person who says "over" should know to be still open."""
    supplier = transaction.supplier
    if transaction.status in BOOK_AWAY and supplier.item.state != ItemState.IN_PLACE:
        seen = supplier.item.state or "never seen"
        yield f"the lender's item at {supplier.host_lms} is not known to be in place (last: {seen})"
    for leg in transaction.legs:
        of_ours = [
            thing
            for thing in transaction.things
            if thing.kind is ThingKind.LOAN and thing.role is leg.role and thing.is_ours_to_clear
        ]
        if of_ours or leg.loan.state == LoanState.ACTIVE:
            loan = f" {leg.loan_id}" if leg.loan_id else ""
            yield f"the {leg.role}'s loan{loan} at {leg.host_lms} is still open"


def _unknown_ends(transaction: Transaction) -> Iterator[str]:
    for intent in transaction.intents:
        if intent.may_have_happened:
            yield f"{intent.kind} at {intent.host_lms} was sent and its end is not known"


def described(thing: Thing) -> str:
    """A thing for staff to find in Alma: its kind, library and ids, but nobody's name."""
    ids = {
        "mms_id": thing.mms_id,
        "holding_id": thing.holding_id,
        "item_pid": thing.item_pid,
        "request_id": thing.request_id,
        "loan_id": thing.loan_id,
    }
    told = " ".join(f"{name}={id}" for name, id in ids.items() if id)
    return f"{thing.kind} at {thing.host_lms} ({thing.role}) {told}"
