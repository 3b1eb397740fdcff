"""`retry`: out of parking, and what was refused is tried again from its beginning.

While what parked it is in sight, the next look parks it again. What was half made and has been
removed since is asked for anew, in its whole order: an item cannot stand on a bib that is gone.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from reconciler.core.commands.command import Order, Step, Unfit, over, paused
from reconciler.core.effects import ALL, REMOVALS, record_effects, wanted
from reconciler.core.model import (
    NOT_OBSERVED,
    Effect,
    Intent,
    Leg,
    Policy,
    Remembered,
    Thing,
    Transaction,
)
from reconciler.core.staff.parking import ParkReason
from reconciler.core.status import (
    BEFORE_DISPATCH,
    TERMINAL,
    EffectKind,
    IntentState,
    ItemState,
    Role,
    ThingKind,
    ThingState,
)

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


_HOLD_AT = {
    Role.BORROWER: EffectKind.BORROWER_HOLD,
    Role.PICKUP: EffectKind.PICKUP_HOLD,
}


def retry(transaction: Transaction, order: Order, policy: Policy) -> Step | Unfit:
    """Try again what a person has seen to."""
    if transaction.status in TERMINAL:
        return over(transaction)
    if order.accept_copy and order.looked is not None:
        return _with_the_other_copy(transaction, order, policy)
    refused = [intent for intent in transaction.intents if intent.state in TRIED_AGAIN]
    if transaction.parked is None and not refused:
        return Unfit("not parked, nothing refused")
    return _again(transaction, order, policy)


def _again(transaction: Transaction, order: Order, policy: Policy) -> Step:
    undone = [role for role in _HOLD_AT if _was_undone(transaction, role)]
    deleted = [role for role in _HOLD_AT if _was_deleted(transaction, role)]
    legs = {
        leg.role: _forgotten(leg, transaction) if leg.role in undone else _made_anew(leg)
        for leg in transaction.legs
        if leg.role in (*undone, *deleted)
    }
    forgotten = transaction.with_legs(legs)
    anew = tuple(_placing(forgotten, (*undone, *deleted), policy))
    changed = tuple(_changed(transaction, {each.role for each in anew}, policy))
    after = replace(
        forgotten,
        parked=None,
        next_poll_at=order.at,
    )
    told = _told(transaction.parked is not None, changed, anew)
    warnings = (paused(transaction),) if transaction.paused else ()
    return Step(after, told, None, anew, changed, warnings=warnings)


def _with_the_other_copy(transaction: Transaction, order: Order, policy: Policy) -> Step | Unfit:
    """The copy that our hold is bound to, as the look showed it, is this lend's from now on."""
    leg, looked = transaction.supplier, order.looked
    seen = looked.observation.leg(Role.SUPPLIER).request if looked else NOT_OBSERVED
    if seen.value is None:
        why = f" ({seen.reason})" if seen.reason else ""
        return Unfit(f"what the lender's hold is bound to could not be read{why}")
    pid, barcode = seen.value.item_pid, seen.value.barcode
    if pid is None or pid == leg.item_pid:
        return Unfit("the lender's hold is bound to no other copy than this lend's")
    if barcode is None:
        return Unfit(f"the lender's hold is bound to copy {pid}, whose barcode Alma does not tell")
    if any(_is_open_loan(thing) for thing in transaction.things):
        return Unfit(f"the first copy is on loan for this lend ({leg.loan_id}): end that first")
    other = replace(
        leg,
        item_pid=pid,
        item_barcode=barcode,
        mms_id=seen.value.mms_id or leg.mms_id,
        holding_id=None,
        item=Remembered(),
    )
    step = _again(replace(transaction, supplier=other), order, policy)
    hold = (each for each in transaction.things if each.kind is ThingKind.HOLD)
    return replace(
        step,
        told=", ".join(each for each in (f"goes on with copy {pid}", step.told) if each),
        things=tuple(
            replace(each, item_pid=pid) for each in hold if each.request_id == leg.request_id
        ),
        taken_over=(f"supplier item: {leg.item_pid} → {pid}, the copy that our hold is bound to",),
        warnings=(*step.warnings, *_other_barcodes(transaction, barcode)),
    )


def _is_open_loan(thing: Thing) -> bool:
    is_lenders = thing.kind is ThingKind.LOAN and thing.role is Role.SUPPLIER
    return is_lenders and thing.state is ThingState.PRESENT


def _other_barcodes(transaction: Transaction, barcode: str) -> Iterator[str]:
    """The book that arrives has another barcode than the virtual item made for the first copy."""
    for leg in transaction.legs:
        is_virtual = leg.role is not Role.SUPPLIER and leg.item_pid is not None
        if is_virtual and leg.item_barcode not in (None, barcode):
            yield (
                f"the virtual item {leg.item_pid} at {leg.host_lms} has the first copy's barcode: "
                "correct it there, or a scan of the book does not find it"
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
        intent.role is role and intent.kind in REMOVALS and not intent.is_over
        for intent in transaction.intents
    )
    return undoing or any(
        each.state is ThingState.GONE and each.kind not in present for each in records
    )


def _is_record(thing: Thing) -> bool:
    return thing.kind in _STANDS_ON


def _was_deleted(transaction: Transaction, role: Role) -> bool:
    """Whether our own virtual item was seen to be gone before the book was sent: it, and all that
    it stands on as far as that is gone, too, can be made anew."""
    leg, parked = transaction.leg(role), transaction.parked
    if leg is None or parked is None or parked.reason != ParkReason.VIRTUAL_ITEM_ABSENT:
        return False
    is_ours = any(
        each.kind is ThingKind.ITEM and each.role is role and each.owned
        for each in transaction.things
    )
    can_be = transaction.has_placing_data and transaction.status in BEFORE_DISPATCH
    return is_ours and can_be and leg.item.state == ItemState.ABSENT


def _placing(transaction: Transaction, roles: Iterable[Role], policy: Policy) -> Iterator[Effect]:
    """All that a role's request stands on, and the request: what is there already is found."""
    if transaction.status in BEFORE_DISPATCH:
        for role in roles:
            yield from wanted(record_effects(role, _HOLD_AT[role], ALL), transaction, policy)


def _made_anew(leg: Leg) -> Leg:
    """The leg without any id but the user's: a record may have been merged or moved as well."""
    return replace(
        leg,
        mms_id=None,
        holding_id=None,
        item_pid=None,
        item_barcode=None,
        request_id=None,
        request_placed_at=None,
        item=Remembered(),
        request=Remembered(),
    )


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
