"""Reads that show an earlier state: items, requests, loans, users, bibs."""

from __future__ import annotations

from datetime import timedelta

from tests.sandbox.conftest import Alma
from tests.support.clock import FakeClock


def test_everything_is_seen_late(uni_a: Alma, clock: FakeClock) -> None:
    uni_a.institution.read_lag = 10
    rid = uni_a.hold("local-1", "A0001", "BRANCH")["request_id"]
    assert uni_a.refused("GET", f"/users/local-1/requests/{rid}") == "401694"
    assert uni_a.get("/users/local-1/requests") == {"total_record_count": 0}
    assert uni_a.item_state("A0001") == "1/"
    clock.advance(timedelta(seconds=10))
    assert uni_a.item_state("A0001") == "1/ requested"
    assert uni_a.request_state(rid) == "IN_PROCESS Pickup From Shelf"

    loan_id = uni_a.lend("local-1", "A0001")["loan_id"]
    assert uni_a.refused("GET", f"/users/local-1/loans/{loan_id}") == "401823"
    assert uni_a.get("/users/local-1/requests")["total_record_count"] == 1
    clock.advance(timedelta(seconds=5))
    scanned = uni_a.scan("A0001", "BRANCH")["item_data"]
    assert scanned["process_type"]["value"] == "TRANSIT"
    assert uni_a.item_state("A0001") == "1/ requested"
    clock.advance(timedelta(seconds=5))
    assert uni_a.item_state("A0001") == "0/LOAN"
    assert uni_a.get(f"/users/local-1/loans/{loan_id}")["loan_status"] == "ACTIVE"
    clock.advance(timedelta(seconds=5))
    assert uni_a.item_state("A0001") == "0/TRANSIT"
    assert uni_a.get(f"/users/local-1/loans/{loan_id}")["loan_status"] == "COMPLETE"
    assert uni_a.request_state(rid) == "HISTORY"


def test_users_and_bibs_and_what_is_gone(uni_a: Alma, clock: FakeClock) -> None:
    staff = uni_a.institution
    staff.read_lag = 10
    mms_id = staff.add_bib("Late", numbers=["(DCB)1"]).mms_id
    staff.add_user("late")
    assert uni_a.refused("GET", f"/bibs/{mms_id}") == "402203"
    assert uni_a.get("/bibs", other_system_id="(DCB)1")["total_record_count"] == 0
    assert uni_a.refused("GET", "/users/late") == "401861"
    clock.advance(timedelta(seconds=10))
    assert uni_a.get("/bibs", other_system_id="(DCB)1")["total_record_count"] == 1
    uni_a.delete("/users/late")
    uni_a.delete(f"/bibs/{mms_id}")
    assert uni_a.get("/users/late")["primary_id"] == "late"
    assert uni_a.get(f"/bibs/{mms_id}")["title"] == "Late"
    clock.advance(timedelta(seconds=10))
    assert uni_a.refused("GET", "/users/late") == "401861"
    assert uni_a.get("/bibs", mms_id=mms_id)["total_record_count"] == 0


def test_writes_act_on_the_present(uni_a: Alma) -> None:
    uni_a.institution.read_lag = 10
    rid = uni_a.hold("local-1", "A0001", "BRANCH")["request_id"]
    uni_a.delete(f"/users/local-1/requests/{rid}", reason="CannotBeFulfilled")
    assert uni_a.refused("DELETE", f"/users/local-1/requests/{rid}", reason="x") == "401697"


def test_the_lag_can_be_switched_off(uni_a: Alma) -> None:
    uni_a.institution.read_lag = 10
    uni_a.hold("local-1", "A0001", "BRANCH")
    uni_a.institution.read_lag = 0
    assert uni_a.item_state("A0001") == "1/ requested"


def test_a_new_system_number_is_indexed_late(uni_a: Alma, clock: FakeClock) -> None:
    uni_a.institution.index_lag = 5
    uni_a.institution.add_bib("New", numbers=["(DCB)2"])
    assert uni_a.get("/bibs", other_system_id="(DCB)2")["total_record_count"] == 0
    clock.advance(timedelta(seconds=5))
    assert uni_a.get("/bibs", other_system_id="(DCB)2")["total_record_count"] == 1
