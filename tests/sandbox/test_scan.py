"""Scan-in: parameters, destinations, what it closes and counts (alma-api.md 5.5)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from reconciler.sandbox import AlmaError
from tests.sandbox.conftest import DESK, Alma
from tests.support.clock import FakeClock


@pytest.mark.parametrize(
    ("code", "query"),
    [
        ("40166415", {"library": "MAIN"}),
        ("40166415", {"library": "MAIN", "circ_desk": DESK, "department": "DIGI"}),
        ("401664", {"circ_desk": DESK}),
        ("40166411", {"library": "MAIN", "circ_desk": "NO_DESK"}),
        ("40166411", {"library": "NOWHERE", "circ_desk": DESK}),
        ("40166411", {"op": "lend", "library": "MAIN", "circ_desk": DESK}),
    ],
)
def test_parameters(code: str, query: dict[str, str], uni_a: Alma) -> None:
    path = uni_a.item_path("A0001")
    assert uni_a.refused("POST", path, None, **{"op": "scan"} | query) == code


def test_an_unknown_item(uni_a: Alma) -> None:
    good = uni_a.item_path("A0001")
    where = {"op": "scan", "library": "MAIN", "circ_desk": DESK}
    unknown = good[:-17] + "23999999999999999"
    assert uni_a.refused("POST", unknown, None, **where) == "40166411"
    wrong_holding = good.replace("/holdings/22", "/holdings/29")
    assert uni_a.refused("POST", wrong_holding, None, **where) == "401683"


def test_in_place_at_its_own_library(uni_a: Alma) -> None:
    reply = uni_a.scan("A0001", "MAIN", register_in_house_use="false")
    assert reply["additional_info"] == (
        "Item's destination is: Reshelve to Main Stacks. Request/Process Type: . "
        "Requester: . Requester ID: . Place in Queue: 0"
    )
    assert uni_a.item_state("A0001") == "1/"
    assert uni_a.item("A0001").in_house_uses == 0
    uni_a.scan("A0001", "MAIN")
    assert uni_a.item("A0001").in_house_uses == 1


def test_home_from_another_library(uni_a: Alma) -> None:
    reply = uni_a.scan("A0001", "BRANCH")
    assert "destination is: Main Library" in reply["additional_info"]
    assert "Type: Transit for reshelving" in reply["additional_info"]
    assert uni_a.item_state("A0001") == "0/TRANSIT"
    uni_a.scan("A0001", "MAIN")
    assert uni_a.item_state("A0001") == "1/"
    assert uni_a.item("A0001").in_house_uses == 0


def test_the_sentence_names_the_hold(uni_a: Alma) -> None:
    uni_a.hold("local-1", "A0001", "MAIN")
    reply = uni_a.scan("A0001", "MAIN")
    assert "destination is: On Hold Shelf" in reply["additional_info"]
    assert "Requester: Lena Local. Requester ID: local-1." in reply["additional_info"]
    assert reply["item_data"]["process_type"] == {"value": "HOLDSHELF", "desc": "Hold Shelf"}


def test_a_second_scan_at_the_pickup_is_harmless_and_another_desk_moves_it(uni_a: Alma) -> None:
    rid = uni_a.hold("local-1", "A0001", "BRANCH")["request_id"]
    for _ in range(2):
        uni_a.scan("A0001", "BRANCH")
        assert uni_a.item_state("A0001") == "0/HOLDSHELF requested"
    assert len(uni_a.institution.letters) == 1
    uni_a.scan("A0001", "MAIN")
    assert uni_a.item_state("A0001") == "0/TRANSIT requested"
    assert uni_a.request_state(rid) == "IN_PROCESS Transit Item"


def test_a_return_closes_the_loan(uni_a: Alma) -> None:
    loan = uni_a.lend("local-1", "A0001")
    uni_a.scan("A0001", "BRANCH")
    closed = uni_a.get(f"/users/local-1/loans/{loan['loan_id']}")
    assert closed["loan_status"] == "COMPLETE"
    assert closed["return_circ_desk"]["value"] == DESK
    assert closed["return_date"].startswith("2026-11-25T09:00")
    assert uni_a.item_state("A0001") == "0/TRANSIT"


def test_requested_is_null_in_an_old_scan_reply(uni_a: Alma) -> None:
    uni_a.institution.dialect.update(style="old")
    assert uni_a.scan("A0001", "MAIN")["item_data"]["requested"] is None


def test_hold_shelf_processing_takes_a_second_step(uni_a: Alma) -> None:
    uni_a.institution.add_circ_desk("BRANCH", "BACK", hold_shelf_processing=True)
    rid = uni_a.hold("local-1", "A0001", "BRANCH")["request_id"]
    uni_a.scan("A0001", "BRANCH", circ_desk="BACK")
    assert uni_a.request_state(rid) == "IN_PROCESS Hold Shelf Processing"
    uni_a.scan("A0001", "BRANCH", circ_desk="BACK")
    assert uni_a.request_state(rid) == "ON_HOLD_SHELF On Hold Shelf"
    uni_a.institution.patron_cancels(rid)
    other = uni_a.hold("local-1", "A0002", "BRANCH")["request_id"]
    uni_a.scan("A0002", "BRANCH", circ_desk="BACK", place_on_hold_shelf="true")
    assert uni_a.request_state(other) == "ON_HOLD_SHELF On Hold Shelf"


def test_a_desk_without_hold_shelf_sends_it_to_one_that_has(uni_a: Alma) -> None:
    uni_a.institution.add_circ_desk("BRANCH", "KIOSK", has_hold_shelf=False)
    rid = uni_a.hold("local-1", "A0001", "BRANCH")["request_id"]
    uni_a.scan("A0001", "BRANCH", circ_desk="KIOSK")
    assert uni_a.request_state(rid) == "IN_PROCESS Transit Item"


def test_a_hold_for_a_desk_is_shelved_at_that_desk_only(uni_a: Alma) -> None:
    uni_a.institution.add_circ_desk("BRANCH", "NORTH")
    rid = uni_a.hold(
        "local-1",
        "A0001",
        "BRANCH",
        pickup_location_type="CIRCULATION_DESK",
        pickup_location_circulation_desk="NORTH",
    )["request_id"]
    uni_a.scan("A0001", "BRANCH")
    assert uni_a.request_state(rid) == "IN_PROCESS Transit Item"
    uni_a.scan("A0001", "BRANCH", circ_desk="NORTH")
    assert uni_a.request_state(rid) == "ON_HOLD_SHELF On Hold Shelf"


def test_awaiting_reshelving_ends_by_itself(uni_a: Alma, clock: FakeClock) -> None:
    uni_a.institution.libraries["MAIN"].locations["STACKS"].reshelving_seconds = 3600
    uni_a.lend("local-1", "A0001")
    data = uni_a.scan("A0001", "MAIN")["item_data"]
    assert (data["base_status"]["value"], data["awaiting_reshelving"]) == ("1", True)
    clock.advance(timedelta(hours=1))
    data = uni_a.get(uni_a.item_path("A0001"))["item_data"]
    assert (data["base_status"]["value"], data["awaiting_reshelving"]) == ("1", False)


def test_into_a_department_and_back(uni_a: Alma) -> None:
    path = uni_a.item_path("A0001")
    query = {"library": "MAIN", "department": "DIGI", "work_order_type": "Digiproj"}
    reply = uni_a.post(path, None, op="scan", **query)
    assert reply["item_data"]["work_order_at"] == {"value": "DIGI", "desc": "Digitisation"}
    assert uni_a.item_state("A0001") == "0/WORK_ORDER_DEPARTMENT"
    uni_a.scan("A0001", "MAIN")
    assert uni_a.item_state("A0001") == "1/"


def test_a_work_order_waits_before_the_hold(uni_a: Alma) -> None:
    rid = uni_a.hold("local-1", "A0001", "BRANCH")["request_id"]
    uni_a.institution.work_order("A0001")
    assert uni_a.item_state("A0001") == "0/WORK_ORDER_DEPARTMENT requested"
    assert uni_a.request_state(rid) == "NOT_STARTED"
    uni_a.scan("A0001", "MAIN")
    assert uni_a.request_state(rid) == "IN_PROCESS Transit Item"


def test_request_id_chooses_among_holds(uni_a: Alma) -> None:
    uni_a.institution.add_user("second")
    uni_a.hold("local-1", "A0001", "BRANCH")
    chosen = uni_a.hold("second", "A0001", "MAIN")["request_id"]
    uni_a.scan("A0001", "MAIN", request_id=chosen)
    assert uni_a.request_state(chosen) == "ON_HOLD_SHELF On Hold Shelf"


def test_lost_claimed_and_found(uni_a: Alma) -> None:
    staff = uni_a.institution
    loan = staff.loan("A0001", "local-1", "MAIN")
    address = f"/users/local-1/loans/{loan.loan_id}"
    for act, process, status in (
        (staff.mark_lost, "LOST_LOAN", "LOST"),
        (staff.claim_returned, "CLAIM_RETURNED_LOAN", "CLAIMED_RETURN"),
        (staff.found, "LOAN", "NORMAL"),
    ):
        act("A0001")
        assert uni_a.item_state("A0001") == f"0/{process}"
        shown = uni_a.get(address)
        assert (shown["loan_status"], shown["process_status"]) == ("ACTIVE", status)
    staff.mark_lost("A0001")
    uni_a.scan("A0001", "MAIN")
    assert uni_a.item_state("A0001") == "1/"
    assert uni_a.get(address)["loan_status"] == "COMPLETE"


def test_staff_meet_the_same_refusals(uni_a: Alma) -> None:
    with pytest.raises(AlmaError, match="40166411"):
        uni_a.institution.scan_in("A0001", "MAIN", "NO_DESK")
