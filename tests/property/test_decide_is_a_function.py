"""`decide` is a function of one snapshot: the same in, the same out, and nothing is changed."""

from __future__ import annotations

import copy
from dataclasses import FrozenInstanceError, fields, replace
from datetime import timedelta

import pytest
from hypothesis import given, settings

from reconciler.core import walk as walking
from reconciler.core.decide import decide
from reconciler.core.evidence.finding import Finding, Verdict
from reconciler.core.model import Observation, Transaction
from reconciler.core.status import DcbStatus
from reconciler.core.transitions import MAX_HOPS, TRANSITIONS, Transition
from tests.property.test_decide_properties import LOOKS, transactions
from tests.support.build import NOW, look, policy, transaction


@given(transactions(), LOOKS)
@settings(max_examples=200, deadline=None)
def test_the_same_snapshot_gives_the_same_decision_and_stays_as_it_was(
    before: Transaction, sights: Observation
) -> None:
    kept, seen = copy.deepcopy(before), copy.deepcopy(sights)
    decision = decide(before, sights, NOW, policy())
    assert (before, sights) == (kept, seen)
    assert decide(kept, seen, NOW, policy()) == decision


def test_a_snapshot_cannot_be_changed_while_it_is_decided_on() -> None:
    made = transaction(DcbStatus.LOANED)
    for each in (made, made.supplier, look()):
        name = fields(each)[0].name
        with pytest.raises(FrozenInstanceError):
            setattr(each, name, None)


@given(transactions(), LOOKS)
@settings(max_examples=200, deadline=None)
def test_a_look_walks_no_further_than_the_longest_journey(
    before: Transaction, sights: Observation
) -> None:
    current, now, path = before, NOW, [before.status]
    for _ in range(4):
        decision = decide(current, sights, now, policy())
        path += [hop.target for hop in decision.hops]
        current, now = decision.transaction, now + timedelta(hours=1)
    assert len(path) - 1 <= MAX_HOPS + 2
    assert len(set(path)) == len(path), "a status was entered twice by looking alone"


def test_a_table_that_loops_is_stopped_before_anything_fires(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Two rows that lead to each other on a fact that stays true."""
    found = next(row for row in TRANSITIONS if row.source is DcbStatus.LOANED)
    assert found.target is not None
    there = replace(found, own=lambda _view: Finding(Verdict.HOLDS, "always so"))
    back = replace(there, source=found.target, target=there.source)

    def looping(status: DcbStatus, _workflow: object) -> tuple[Transition, ...]:
        return (there,) if status is there.source else (back,)

    monkeypatch.setattr(walking, "rows_from", looping)
    with pytest.raises(AssertionError, match="loops"):
        decide(transaction(DcbStatus.LOANED), look(), NOW, policy())


def test_an_error_is_a_mark_on_a_status_and_never_a_status() -> None:
    """No row leads to ERROR: where the book is stays known, whatever failed."""
    assert [row for row in TRANSITIONS if DcbStatus.ERROR in (row.source, row.target)] == []
