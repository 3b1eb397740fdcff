"""`retry`: out of parking, and what was refused is tried again from its beginning.

While what parked it is in sight, the next look parks it again. What was half made and has been
removed since is asked for anew, in its whole order: an item cannot stand on a bib that is gone.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from reconciler.core.effects import EffectRow, wanted
from reconciler.core.model import Effect, Intent, Leg, Policy, Thing, Transaction
from reconciler.core.orders import Order, Step, Unfit, over, paused
from reconciler.core.status import (
    TERMINAL,
    EffectKind,
    IntentState,
    Role,
    ThingKind,
    ThingState,
)
from reconciler.core.transitions import TRANSITIONS

TRIED_AGAIN = frozenset({IntentState.PARKED, IntentState.REFUSED})
_PLACING = frozenset(
    {
        EffectKind.VIRTUAL_BIB,
        EffectKind.VIRTUAL_HOLDING,
        EffectKind.VIRTUAL_ITEM,
        EffectKind.BORROWER_HOLD,
        EffectKind.PICKUP_HOLD,
    }
)
_STANDS_ON = (ThingKind.BIB, ThingKind.HOLDING, ThingKind.ITEM)


def retry(transaction: Transaction, order: Order, policy: Policy) -> Step | Unfit:
    """Try again what a person has seen to."""
    if transaction.status in TERMINAL:
        return over(transaction)
    refused = [intent for intent in transaction.intents if intent.state in TRIED_AGAIN]
    if transaction.parked is None and not refused:
        return Unfit("not parked, nothing refused")
    roles = [role for role in Role if _was_undone(transaction, role)]
    anew = tuple(_placing(transaction, roles, policy))
    changed = tuple(_changed(transaction, {each.role for each in anew}, policy))
    parked = transaction.parked
    after = replace(
        transaction.with_legs(
            {
                leg.role: _forgotten(leg, transaction)
                for leg in transaction.legs
                if leg.role in roles
            }
        ),
        parked=None,
        next_poll_at=order.at,
    )
    warnings = (paused(transaction),) if transaction.paused else ()
    return Step(
        after, _told(parked is not None, changed, anew), None, anew, changed, warnings=warnings
    )


def _told(was_parked: bool, changed: tuple[Intent, ...], anew: tuple[Effect, ...]) -> str:
    again = sum(intent.state is not IntentState.WITHDRAWN for intent in changed)
    parts = ["not parked any more"] if was_parked else []
    parts += [f"effects tried again: {again}"] if again else []
    parts += [f"effects asked for anew: {len(anew)}"] if anew else []
    return ", ".join(parts)


def _changed(transaction: Transaction, placed_anew: set[Role], policy: Policy) -> Iterator[Intent]:
    """Refused intents from their beginning; those that are asked for anew are withdrawn."""
    for intent in transaction.intents:
        replaced = intent.role in placed_anew and intent.kind in _PLACING
        if replaced and not intent.may_have_happened:
            yield replace(intent, state=IntentState.WITHDRAWN, next_attempt_at=None)
        elif intent.state in TRIED_AGAIN:
            yield from_its_beginning(intent, policy)


def from_its_beginning(intent: Intent, policy: Policy) -> Intent:
    """A refused or parked intent as if it had just been asked for."""
    acts = policy.acts_at(intent.host_lms)
    return replace(
        intent,
        state=IntentState.PLANNED if acts else IntentState.WITHHELD,
        ambiguities=0,
        refusals=0,
        next_attempt_at=None,
        last_error=None,
        last_code=None,
        tracking_id=None,
    )


def _was_undone(transaction: Transaction, role: Role) -> bool:
    """Whether something that this role's request stands on was removed, or is about to be."""
    leg = transaction.leg(role)
    if leg is None or leg.request_id is not None:
        return False
    records = [each for each in transaction.things if each.role is role and _is_record(each)]
    present = {each.kind for each in records if each.state is ThingState.PRESENT}
    undoing = any(
        intent.role is role and intent.kind in _REMOVALS and not intent.is_over
        for intent in transaction.intents
    )
    return undoing or any(
        each.state is ThingState.GONE and each.kind not in present for each in records
    )


_REMOVALS = frozenset(
    {
        EffectKind.VIRTUAL_ITEM_REMOVED,
        EffectKind.VIRTUAL_HOLDING_REMOVED,
        EffectKind.VIRTUAL_BIB_REMOVED,
    }
)


def _is_record(thing: Thing) -> bool:
    return thing.kind in _STANDS_ON


def _placing(transaction: Transaction, roles: list[Role], policy: Policy) -> Iterator[Effect]:
    """The placing effects of the present status, at these roles' libraries."""
    rows: dict[tuple[EffectKind, Role], EffectRow] = {
        (row.kind, row.role): row
        for step in TRANSITIONS
        if step.target is transaction.status
        for row in step.effects
        if row.kind in _PLACING and row.role in roles
    }
    yield from wanted(rows.values(), transaction, policy)


def _forgotten(leg: Leg, transaction: Transaction) -> Leg:
    """The leg without the ids of records that are gone."""
    gone = {
        each.kind
        for each in transaction.things
        if each.role is leg.role and _is_record(each) and each.state is ThingState.GONE
    }
    present = {
        each.kind
        for each in transaction.things
        if each.role is leg.role and _is_record(each) and each.state is ThingState.PRESENT
    }
    lost = gone - present
    return replace(
        leg,
        mms_id=None if ThingKind.BIB in lost else leg.mms_id,
        holding_id=None if ThingKind.HOLDING in lost else leg.holding_id,
        item_pid=None if ThingKind.ITEM in lost else leg.item_pid,
    )
