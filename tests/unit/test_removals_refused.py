"""A removal that is refused again and again is told to a person; other effects are tried on."""

from __future__ import annotations

import pytest

from reconciler.core.model import HostLmsCode, Intent
from reconciler.core.staff.parking import ParkReason
from reconciler.core.status import EffectKind, IntentState, Role
from reconciler.engine.effects.ending import MOST_REMOVALS, blocked
from reconciler.engine.effects.work import Blocked
from tests.support.build import NOW

CURABLE = Blocked("60212", "the holding cannot be deleted yet")


@pytest.mark.parametrize(
    ("kind", "parks"),
    [(EffectKind.VIRTUAL_HOLDING_REMOVED, True), (EffectKind.SUPPLIER_LOAN, False)],
)
def test_what_cannot_be_removed_waits_for_a_person_after_a_day_of_tries(
    kind: EffectKind, parks: bool
) -> None:
    intent = Intent("i", kind, Role.BORROWER, HostLmsCode("uni-b"), IntentState.PLANNED, 0)
    for _ in range(MOST_REMOVALS):
        end = blocked(intent, CURABLE, NOW, None)
        assert (end.park, end.intent.state) == (None, IntentState.REFUSED)
        intent = end.intent
    end = blocked(intent, CURABLE, NOW, None)
    assert end.park == (ParkReason.EFFECT_REFUSED if parks else None)
    assert (end.intent.state is IntentState.PARKED) is parks
