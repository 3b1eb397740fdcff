"""What of an ended lend cannot be cleared: it is left to staff, thing by thing, each with its why.

What Alma refused, what could not be read for long and what is at a library that is not acted on
stays there, and so does all that hangs on it: an item keeps its holding and its bib. Everything
else goes on being cleared. Source: workflow.md §4 (the order of removals).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from reconciler.core.effects import CLEARED_BY
from reconciler.core.model import HostLmsCode, Intent, Policy, Thing, Transaction
from reconciler.core.status import IntentState, ThingKind

_STUCK = frozenset({IntentState.PARKED, IntentState.REFUSED, IntentState.WITHHELD})
_UNREADABLE_FOR_LONG = 6
"""Looks in a row that failed, each wait twice the last: about half an hour."""

_RANK = {kind: rank for rank, kind in enumerate(CLEARED_BY)}
_CLEARS = {effect: kind for kind, effect in CLEARED_BY.items()}
_RECORDS = (ThingKind.ITEM, ThingKind.HOLDING, ThingKind.BIB)


@dataclass(frozen=True, slots=True)
class Left:
    """A thing that stays in an Alma, and why we do not remove it."""

    thing: Thing
    why: str

    def __str__(self) -> str:
        """For staff to find in Alma: kind, library and ids, but nobody's name."""
        thing = self.thing
        ids = {
            "mms_id": thing.mms_id,
            "holding_id": thing.holding_id,
            "item_pid": thing.item_pid,
            "request_id": thing.request_id,
            "loan_id": thing.loan_id,
        }
        told = " ".join(f"{name}={id}" for name, id in ids.items() if id)
        return f"{thing.kind} at {thing.host_lms} ({thing.role}) {told} – {self.why}"


Unread = Mapping[HostLmsCode, str]
"""Libraries that cannot be read, and why; given up by the person who closes."""

_NONE: Unread = {}


def stuck_intents(
    transaction: Transaction, policy: Policy, given_up: Unread = _NONE
) -> tuple[Intent, ...]:
    """Those that will not be carried out unless a person does something."""
    return tuple(
        intent
        for intent in transaction.intents
        if intent.state in _STUCK
        or intent.refusals >= _UNREADABLE_FOR_LONG
        or intent.host_lms in given_up
        or not policy.acts_at(intent.host_lms)
    )


def left_to_staff(
    transaction: Transaction, policy: Policy, given_up: Unread = _NONE
) -> tuple[Left, ...]:
    """What is ours and cannot be cleared, in the order of the ledger."""
    stuck = stuck_intents(transaction, policy, given_up)
    things = [thing for thing in transaction.things if thing.is_ours_to_clear]
    whys = (
        (thing, given_up.get(thing.host_lms) or _why(thing, things, stuck, policy))
        for thing in things
    )
    return tuple(Left(thing, why) for thing, why in whys if why is not None)


def counted(things: Iterable[Thing]) -> str:
    """How many at which library: "1 at uni-a, 4 at uni-b"."""
    found = Counter(thing.host_lms for thing in things)
    return ", ".join(f"{n} at {host}" for host, n in sorted(found.items()))


def _why(
    thing: Thing, things: list[Thing], stuck: tuple[Intent, ...], policy: Policy
) -> str | None:
    """Why a thing cannot be cleared; None when it can."""
    if not policy.acts_at(thing.host_lms):
        return f"nothing is done by us at {thing.host_lms}"
    here = [intent for intent in stuck if intent.role is thing.role]
    for intent in here:
        if intent.kind is CLEARED_BY[thing.kind] and intent.thing_id in (thing.id, ""):
            return intent.last_error or f"{intent.kind} is {intent.state}"
    return next(_hindered_by(thing, things, here), None)


def _hindered_by(thing: Thing, things: list[Thing], stuck: list[Intent]) -> Iterator[str]:
    """What stays and keeps this one: a loan or hold on the item, an item on its holding and bib."""
    for intent in stuck:
        kind = _CLEARS.get(intent.kind)
        if kind is None and intent.may_have_happened:
            yield f"it is not known what became of {intent.kind}"
        if kind is None or thing.kind not in _RECORDS or _RANK[thing.kind] <= _RANK[kind]:
            continue
        kept = next((each for each in things if each.id == intent.thing_id), None)
        if kept is None or kept.mms_id in (None, thing.mms_id):
            yield f"goes with the {kind}"
