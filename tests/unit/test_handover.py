"""What `close` leaves to staff of an ended lend: what cannot be cleared and what hangs on it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.commands.close import close
from reconciler.core.commands.command import Command, Order, Step, Unfit
from reconciler.core.commands.handover import left_to_staff
from reconciler.core.decide import decide
from reconciler.core.model import HoldingId, Intent, ItemPid, MmsId, Thing, Transaction
from reconciler.core.status import (
    DcbStatus,
    EffectKind,
    IntentState,
    Outcome,
    Role,
    ThingKind,
    ThingState,
)
from tests.support.build import HOST_OF, NOW, look, policy, transaction

S, K, E = DcbStatus, ThingKind, EffectKind
BIB, OTHER_BIB = MmsId("991"), MmsId("992")
ORDER = Order(Command.CLOSE, "cli:ada", "because", NOW)


def thing(kind: ThingKind, role: Role = Role.BORROWER, n: int = 1, **ids: Any) -> Thing:
    return Thing(f"{role}-{kind}-{n}", kind, role, HOST_OF[role], **ids)


ITEM = thing(K.ITEM, mms_id=BIB, holding_id=HoldingId("221"), item_pid=ItemPid("231"))
HOLDING = thing(K.HOLDING, mms_id=BIB, holding_id=HoldingId("221"))
RECORDS = (thing(K.BIB, mms_id=BIB), HOLDING, ITEM)
SECOND_BIB = thing(K.BIB, n=2, mms_id=OTHER_BIB)
HOLD = thing(K.HOLD)
LENDERS = (thing(K.HOLD, Role.SUPPLIER), thing(K.LOAN, Role.SUPPLIER))


def refused(kind: EffectKind, of: Thing | None = None, role: Role = Role.BORROWER) -> Intent:
    return Intent(
        "i-1",
        kind,
        of.role if of else role,
        HOST_OF[of.role if of else role],
        IntentState.REFUSED,
        asked_by=1,
        thing_id=of.id if of else "",
        last_error="401849: no",
    )


def ended(things: tuple[Thing, ...], *intents: Intent, **changes: Any) -> Transaction:
    return transaction(changes.pop("status", S.COMPLETED), things=things, intents=intents)


@pytest.mark.parametrize(
    ("things", "intent", "left"),
    [
        (RECORDS, refused(E.VIRTUAL_ITEM_REMOVED, ITEM), {"item", "holding", "bib"}),
        (RECORDS, refused(E.VIRTUAL_HOLDING_REMOVED, HOLDING), {"holding", "bib"}),
        ((*RECORDS, SECOND_BIB), refused(E.VIRTUAL_BIB_REMOVED, SECOND_BIB), {"bib"}),
        ((*RECORDS, HOLD), refused(E.HOLD_CANCELLED, HOLD), {"hold", "item", "holding", "bib"}),
        (RECORDS, refused(E.LOAN_CLOSED), {"item", "holding", "bib"}),
        (LENDERS, refused(E.LOAN_CLOSED, LENDERS[1]), {"loan"}),
        (LENDERS, refused(E.HOLD_CANCELLED, role=Role.SUPPLIER), {"hold"}),
        ((*RECORDS, *LENDERS), refused(E.LOAN_CLOSED, LENDERS[1]), {"loan"}),
    ],
    ids=lambda each: str(getattr(each, "kind", "")) or None,
)
def test_what_stays_when_one_removal_is_refused(
    things: tuple[Thing, ...], intent: Intent, left: set[str]
) -> None:
    found = left_to_staff(ended(things, intent), policy())
    assert {str(each.thing.kind) for each in found} == left
    assert [each.why for each in found].count("401849: no") <= 1
    assert len({each.thing.id for each in found}) == len(left)


def test_a_library_that_is_not_acted_on_keeps_what_is_there_and_no_other_does() -> None:
    found = left_to_staff(ended((*RECORDS, *LENDERS)), policy(b="observe"))
    assert {each.thing.host_lms for each in found} == {HOST_OF[Role.BORROWER]}
    assert len(found) == len(RECORDS)


def test_what_is_not_known_to_be_made_keeps_everything_at_its_library() -> None:
    """Its Alma could not be read for long: what was sent may still turn up on these records."""
    lost = replace(
        refused(E.VIRTUAL_ITEM), state=IntentState.AMBIGUOUS, refusals=6, last_error="no answer"
    )
    stands = ended((*RECORDS[:2], *LENDERS), lost)
    step = close(stands, ORDER, policy())
    assert isinstance(step, Step)
    assert {(each.kind, each.state) for each in step.things} == {
        (K.BIB, ThingState.HANDED_OVER),
        (K.HOLDING, ThingState.HANDED_OVER),
    }
    assert step.warnings == ("ensure_virtual_item at uni-b was sent and its end is not known",)
    assert (step.hop, step.after.status) == (None, S.COMPLETED)


def test_the_rest_is_cleared_before_it_ends_and_a_person_is_told_so() -> None:
    stands = ended((*RECORDS, *LENDERS), refused(E.VIRTUAL_BIB_REMOVED, RECORDS[0]))
    step = close(stands, ORDER, policy())
    assert isinstance(step, Step)
    assert step.told == "left to staff: 1 at uni-b; still being cleared: 2 at uni-a, 2 at uni-b"
    assert [each.id for each in step.changed] == ["i-1"]
    assert step.after.next_poll_at == NOW


@pytest.mark.parametrize("state", [IntentState.REFUSED, IntentState.PLANNED])
def test_what_was_not_supplied_ends_by_itself_once_the_rest_is_cleared(state: IntentState) -> None:
    """A person has said that it is over, and need not come back to say so again."""
    intent = replace(refused(E.VIRTUAL_BIB_REMOVED, RECORDS[0]), state=state)
    not_supplied = ended(RECORDS, intent, status=S.NOT_SUPPLIED_CURRENT_SUPPLIER)
    step = close(replace(not_supplied, outcome=Outcome.NOT_SUPPLIED), ORDER, policy())
    assert isinstance(step, Step)
    assert step.told.startswith(f"{S.NOT_SUPPLIED_CURRENT_SUPPLIER} → {S.CANCELLED}; ")
    assert step.told.endswith(f"still being cleared: {2 + (state is IntentState.PLANNED)} at uni-b")
    assert step.hop is not None
    given = {thing.id: thing for thing in step.things}
    cleared = tuple(
        given.get(each.id, replace(each, state=ThingState.GONE)) for each in step.after.things
    )
    after = replace(step.after, things=cleared, intents=())
    last = decide(after, look(), NOW, policy()).transaction
    assert (last.status, last.outcome) == (S.FINALISED, Outcome.NOT_SUPPLIED)


def test_with_nothing_else_to_clear_it_ends_at_once() -> None:
    step = close(ended((RECORDS[0],), refused(E.VIRTUAL_BIB_REMOVED, RECORDS[0])), ORDER, policy())
    assert isinstance(step, Step)
    assert step.hop is not None
    assert (step.after.status, step.after.next_poll_at) == (S.FINALISED, None)
    assert step.left == ("bib at uni-b (borrower) mms_id=991 – 401849: no",)


def test_what_is_just_being_cleared_is_left_alone() -> None:
    under_way = replace(refused(E.VIRTUAL_ITEM_REMOVED, ITEM), state=IntentState.PLANNED)
    assert isinstance(close(ended(RECORDS, under_way), ORDER, policy()), Unfit)
