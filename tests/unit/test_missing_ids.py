"""An id that is not known: nothing is read by it, everything else goes on being read."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from reconciler.core.decide import decide
from reconciler.core.lookahead import first_reads
from reconciler.core.model import Leg, LegObservation, Observation, ReadKind, Transaction
from reconciler.core.status import LIVE, DcbStatus, Role, Workflow
from reconciler.core.view.look import View
from reconciler.engine.submit import SubmitLine
from tests.support.build import NOW, item, leg, look, policy, request, transaction

IDS = ("user_id", "request_id", "mms_id", "holding_id", "item_pid", "item_barcode", "loan_id")
NEEDED = {
    ReadKind.REQUEST: lambda leg: leg.user_id and leg.request_id,
    ReadKind.ITEM: lambda leg: leg.has_item_key,
    ReadKind.LOAN: lambda leg: leg.user_id,
    ReadKind.ACTIVE_LOAN: lambda leg: leg.user_id,
    ReadKind.COMPLETED_LOAN: lambda leg: leg.user_id,
    ReadKind.ITEM_REQUESTS: lambda leg: leg.has_item_key,
}
"""What has to be known for a read to be made; total over the reads."""


def without(role: Role, name: str, status: DcbStatus, workflow: Workflow) -> Transaction:
    made = transaction(status, workflow)
    mine = made.leg(role)
    assert mine is not None
    return made.with_legs({role: replace(mine, **{name: None})})


def reads(of: Transaction) -> set[tuple[Role, ReadKind]]:
    view = View.of(of, Observation({}), NOW, policy())
    return {(read.role, read.kind) for read in first_reads(view, everything=True)}


def test_every_read_says_what_it_needs() -> None:
    assert set(NEEDED) == set(ReadKind)


@pytest.mark.parametrize("name", IDS)
@pytest.mark.parametrize("role", Role)
def test_one_unknown_id_costs_the_reads_that_need_it_and_no_other(role: Role, name: str) -> None:
    workflow = Workflow.PICKUP_ANYWHERE
    for status in LIVE:
        whole = reads(transaction(status, workflow))
        lacking = without(role, name, status, workflow)
        mine = lacking.leg(role)
        assert mine is not None
        found = reads(lacking)
        assert {each for each in found if each[0] is not role} == {
            each for each in whole if each[0] is not role
        }
        assert all(NEEDED[kind](mine) for at, kind in found if at is role)
        after = decide(lacking, look(**{role.value: _glance(mine)}), NOW, policy()).transaction
        assert (
            after.next_poll_at is not None or after.status not in LIVE or _waits_for_caller(after)
        )


def _glance(mine: Leg) -> LegObservation:
    """What is seen of a leg of which one id is not known."""
    fields: dict[str, Any] = {}
    if mine.has_item_key:
        fields["item"] = item("1/")
    if mine.user_id and mine.request_id:
        fields["request"] = request("IN_PROCESS")
    return LegObservation(**fields)


def _waits_for_caller(after: Transaction) -> bool:
    return after.status is DcbStatus.NOT_SUPPLIED_CURRENT_SUPPLIER


LINE: dict[str, Any] = {
    "id": "t-1",
    "patron": {"host_lms": "uni-b", "user_id": "P1"},
    "item": {"host_lms": "uni-a", "mms_id": "991", "holding_id": "221", "item_pid": "231"},
    "pickup": {"host_lms": "uni-b", "library": "MAIN"},
}


@pytest.mark.parametrize("nothing", [None, "", "  "], ids=repr)
@pytest.mark.parametrize("name", ["mms_id", "holding_id", "item_pid"])
def test_an_item_is_named_by_all_three_of_its_ids_or_not_at_all(
    name: str, nothing: str | None
) -> None:
    SubmitLine.model_validate(LINE)
    with pytest.raises(ValueError, match=name):
        SubmitLine.model_validate({**LINE, "item": {**LINE["item"], name: nothing}})
    short = {key: value for key, value in LINE["item"].items() if key != name}
    with pytest.raises(ValueError, match=name):
        SubmitLine.model_validate({**LINE, "item": short})


def test_an_item_without_one_of_its_ids_has_no_path() -> None:
    for name in ("mms_id", "holding_id", "item_pid"):
        assert not replace(leg(Role.SUPPLIER), **{name: None}).has_item_path
