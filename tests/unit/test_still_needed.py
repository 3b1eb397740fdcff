"""Which effects still make sense where a lend stands, and what is cleared when."""

from __future__ import annotations

from dataclasses import replace

import pytest

from reconciler.core.effects import left_to_clear, overtaken
from reconciler.core.model import Intent, RequestId, Thing, Transaction
from reconciler.core.status import (
    BOOK_AWAY,
    ENDED,
    LIVE,
    DcbStatus,
    EffectKind,
    IntentState,
    Role,
    ThingKind,
    ThingState,
    Workflow,
)
from tests.support.build import UNI_A, UNI_B, transaction

S, K = DcbStatus, EffectKind
REMOVALS = (K.VIRTUAL_ITEM_REMOVED, K.VIRTUAL_HOLDING_REMOVED, K.VIRTUAL_BIB_REMOVED)
PLACING = (K.VIRTUAL_BIB, K.VIRTUAL_HOLDING, K.VIRTUAL_ITEM, K.BORROWER_HOLD, K.PICKUP_HOLD)
BOOK_ARRIVES_NOWHERE = LIVE - {
    S.CONFIRMED,
    S.REQUEST_PLACED_AT_SUPPLYING_AGENCY,
    S.REQUEST_PLACED_AT_BORROWING_AGENCY,
    S.REQUEST_PLACED_AT_PICKUP_AGENCY,
    S.PICKUP_TRANSIT,
}


def with_intent(status: DcbStatus, kind: EffectKind, state: IntentState) -> Transaction:
    intent = Intent("i-1", kind, Role.BORROWER, UNI_B, state, 1)
    return replace(transaction(status), intents=(intent,))


@pytest.mark.parametrize("kind", REMOVALS)
@pytest.mark.parametrize("status", sorted(LIVE))
def test_no_record_is_removed_while_the_book_is_away(status: DcbStatus, kind: EffectKind) -> None:
    planned = overtaken(with_intent(status, kind, IntentState.PLANNED))
    assert bool(planned) is (status in BOOK_AWAY)
    sent = overtaken(with_intent(status, kind, IntentState.AMBIGUOUS))
    assert sent == (), "what may have happened is looked at first"


@pytest.mark.parametrize("kind", PLACING)
@pytest.mark.parametrize("status", sorted(LIVE))
def test_a_record_is_made_until_the_book_has_arrived(status: DcbStatus, kind: EffectKind) -> None:
    planned = overtaken(with_intent(status, kind, IntentState.PLANNED))
    assert bool(planned) is (status in BOOK_ARRIVES_NOWHERE)


def things(hold: ThingState, *, owned: bool = True) -> tuple[Thing, ...]:
    return (
        Thing("1", ThingKind.HOLD, Role.SUPPLIER, UNI_A, hold, owned, request_id=RequestId("701")),
        Thing("2", ThingKind.HOLD, Role.BORROWER, UNI_B, request_id=RequestId("702")),
        Thing("3", ThingKind.ITEM, Role.BORROWER, UNI_B),
        Thing("4", ThingKind.BIB, Role.BORROWER, UNI_B),
    )


@pytest.mark.parametrize("workflow", [w for w in Workflow if w is not Workflow.LOCAL])
@pytest.mark.parametrize("status", sorted(LIVE))
def test_what_was_placed_for_the_reader_waits_for_the_end_of_the_lenders_hold(
    status: DcbStatus, workflow: Workflow
) -> None:
    """A lend whose book came home need not wait: it can be on its way no more."""
    lend = replace(transaction(status, workflow), things=things(ThingState.PRESENT))
    waits = {"1"} if status in ENDED else set()
    if status is S.COMPLETED:
        waits = {"1", "2", "3", "4"}
    assert {each.thing_id for each in left_to_clear(lend)} == waits


@pytest.mark.parametrize("state", [ThingState.GONE, ThingState.HANDED_OVER])
@pytest.mark.parametrize("status", sorted(ENDED))
def test_once_the_lenders_hold_is_no_more_the_rest_is_cleared(
    status: DcbStatus, state: ThingState
) -> None:
    lend = replace(transaction(status), things=things(state))
    assert [each.thing_id for each in left_to_clear(lend)] == ["2", "3", "4"]


def test_a_hold_that_somebody_else_placed_is_not_waited_for() -> None:
    lend = replace(transaction(S.CANCELLED), things=things(ThingState.PRESENT, owned=False))
    assert [each.thing_id for each in left_to_clear(lend)] == ["2", "3", "4"]
