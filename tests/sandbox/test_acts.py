"""What staff do that shows only by its traces: another id, another copy, another record."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from reconciler.sandbox import ActRefused
from tests.sandbox.conftest import Alma
from tests.sandbox.test_inventory import make_virtual

MARK = "[DCB:tx-1]"


# --- loans -----------------------------------------------------------------------


def test_a_lost_book_that_is_paid_for(uni_a: Alma) -> None:
    staff = uni_a.institution
    loan = staff.loan("A0001", "local-1", "MAIN")
    with pytest.raises(ActRefused, match="not marked as lost"):
        staff.pay_lost("A0001")
    staff.mark_lost("A0001")
    staff.pay_lost("A0001")
    assert uni_a.item_state("A0001") == "0/LOST_LOAN_AND_PAID"
    shown = uni_a.get(f"/users/local-1/loans/{loan.loan_id}")
    assert (shown["loan_status"], shown["process_status"]) == ("COMPLETE", "LOST")
    path = uni_a.item_path("A0001")
    assert uni_a.get(f"{path}/loans") == {"total_record_count": 0}
    (row,) = uni_a.get(f"{path}/loans", loan_status="Complete")["item_loan"]
    assert row["loan_id"] == loan.loan_id
    staff.found("A0001")
    assert uni_a.item_state("A0001") == "1/"


def test_a_loan_that_is_charged_again_has_another_id(uni_a: Alma) -> None:
    staff = uni_a.institution
    with pytest.raises(ActRefused, match="is not on loan"):
        staff.charge_again("A0001", "MAIN")
    first = staff.loan("A0001", "local-1", "MAIN")
    due = datetime(2027, 2, 1, 12, 0, tzinfo=UTC)
    second = staff.charge_again("A0001", "BRANCH", due=due)
    assert second.loan_id != first.loan_id
    assert uni_a.item_state("A0001") == "0/LOAN"
    rows = uni_a.get("/users/local-1/loans")["item_loan"]
    assert [(row["loan_id"], row["due_date"]) for row in rows] == [
        (second.loan_id, "2027-02-01T12:00:00Z")
    ]
    closed = uni_a.get(f"/users/local-1/loans/{first.loan_id}")
    assert (closed["loan_status"], closed["process_status"]) == ("COMPLETE", "NORMAL")


def test_who_waits_does_not_get_what_is_charged_again(uni_a: Alma) -> None:
    uni_a.institution.add_user("second")
    uni_a.institution.loan("A0001", "local-1", "MAIN")
    waiting = uni_a.hold("second", "A0001", "MAIN")["request_id"]
    uni_a.institution.charge_again("A0001", "MAIN")
    assert uni_a.item_state("A0001") == "0/LOAN requested"
    assert uni_a.request_state(waiting) == "NOT_STARTED"


# --- requests ----------------------------------------------------------------------


@pytest.mark.parametrize("where", ["shelf", "transit", "hold shelf"])
def test_a_request_that_is_placed_anew_stands_where_it_stood(where: str, uni_a: Alma) -> None:
    staff = uni_a.institution
    old = uni_a.hold("local-1", "A0001", "BRANCH", comment=MARK)["request_id"]
    if where != "shelf":
        staff.scan_in("A0001", "MAIN")
    if where == "hold shelf":
        staff.scan_in("A0001", "BRANCH")
    stood, item = uni_a.request_state(old), uni_a.item_state("A0001")
    new = staff.reissue_request(old).request_id
    assert new != old
    assert uni_a.request_state(old) == "HISTORY"
    assert uni_a.request_state(new) == stood
    assert uni_a.item_state("A0001") == item
    (row,) = uni_a.get(f"{uni_a.item_path('A0001')}/requests")["user_request"]
    assert (row["request_id"], row["user_primary_id"], row["comment"]) == (new, "local-1", MARK)
    loan = staff.loan("A0001", "local-1", "MAIN", override=True)
    assert loan.request_id == new


def test_a_request_that_is_moved_to_another_copy(uni_a: Alma) -> None:
    staff = uni_a.institution
    copy = staff.add_item(uni_a.item("A0001").holding_id, "COPY").pid
    rid = uni_a.hold("local-1", "A0001", "BRANCH", comment=MARK)["request_id"]
    with pytest.raises(ActRefused, match="no copy of what"):
        staff.move_request(rid, "A0002")
    staff.move_request(rid, "COPY")
    assert uni_a.request_state(rid) == "IN_PROCESS Pickup From Shelf"
    row = uni_a.get(f"/users/local-1/requests/{rid}")
    assert (row["item_id"], row["barcode"], row["comment"]) == (copy, "COPY", MARK)
    assert uni_a.item_state("A0001") == "1/"
    staff.scan_in("COPY", "MAIN")
    assert uni_a.item_state("COPY") == "0/TRANSIT requested"
    staff.scan_in("A0001", "MAIN")
    assert uni_a.item_state("A0001") == "1/", "nobody asks for the first copy any more"


def test_a_copy_that_was_on_its_way_goes_home_when_its_request_is_moved(uni_a: Alma) -> None:
    staff = uni_a.institution
    staff.add_item(uni_a.item("A0001").holding_id, "COPY")
    rid = uni_a.hold("local-1", "A0001", "BRANCH")["request_id"]
    staff.scan_in("A0001", "MAIN")
    staff.move_request(rid, "COPY")
    assert uni_a.item_state("A0001") == "0/TRANSIT"
    assert uni_a.request_state(rid) == "IN_PROCESS Pickup From Shelf"


def test_staff_choose_whom_a_scan_serves(uni_a: Alma) -> None:
    staff = uni_a.institution
    staff.add_user("second")
    first = uni_a.hold("local-1", "A0001", "RES_OUT")["request_id"]
    chosen = uni_a.hold("second", "A0001", "BRANCH")["request_id"]
    staff.scan_in("A0001", "MAIN", request_id=chosen)
    assert uni_a.item_state("A0001") == "0/TRANSIT requested"
    assert uni_a.request_state(first) == "NOT_STARTED"
    assert uni_a.request_state(chosen) == "IN_PROCESS Transit Item"
    staff.scan_in("A0001", "BRANCH")
    staff.loan("A0001", "second", "BRANCH")
    staff.return_item("A0001", "MAIN")
    assert uni_a.request_state(first) == "IN_PROCESS Transit Item"


# --- records -------------------------------------------------------------------------


def test_a_record_that_is_merged_brings_its_numbers_holdings_and_requests(uni_b: Alma) -> None:
    staff = uni_b.institution
    own = staff.add_book("The library's own", "OWN", "MAIN", "STACKS")
    lost, holding_id, item = make_virtual(uni_b)
    pid = item["item_data"]["pid"]
    rid = uni_b.hold("reader-b1", "A0001", "MAIN")["request_id"]
    with pytest.raises(ActRefused, match="into itself"):
        staff.merge_bibs(lost, lost)
    staff.merge_bibs(own.mms_id, lost)
    kept = uni_b.get(f"/bibs/{own.mms_id}")
    assert kept["title"] == "The library's own"
    assert kept["suppress_from_publishing"] == "false"
    assert kept["network_number"] == ["(DCB)tx-1"]
    (found,) = uni_b.get("/bibs", other_system_id="(DCB)tx-1")["bib"]
    assert found["mms_id"] == own.mms_id
    rows = uni_b.get(f"/bibs/{own.mms_id}/holdings")["holding"]
    assert {row["holding_id"] for row in rows} == {own.holding_id, holding_id}
    assert uni_b.item_path("A0001") == (f"/bibs/{own.mms_id}/holdings/{holding_id}/items/{pid}")
    assert uni_b.get(f"/users/reader-b1/requests/{rid}")["mms_id"] == own.mms_id
    loan = uni_b.lend("reader-b1", "A0001", "DCB")
    assert loan["mms_id"] == own.mms_id


def test_the_old_id_of_a_merged_record_is_a_wrong_one(uni_b: Alma) -> None:
    own = uni_b.institution.add_book("The library's own", "OWN", "MAIN", "STACKS")
    lost, holding_id, _ = make_virtual(uni_b)
    old = uni_b.item_path("A0001")
    uni_b.institution.merge_bibs(own.mms_id, lost)
    assert uni_b.refused("GET", f"/bibs/{lost}") == "402203"
    assert uni_b.refused("DELETE", f"/bibs/{lost}") == "402203"
    assert uni_b.get("/bibs", mms_id=lost) == {"bib": [], "total_record_count": 0}
    assert uni_b.get(f"/bibs/{lost}/holdings") == {"total_record_count": 0}
    assert uni_b.refused("GET", f"/bibs/{lost}/holdings/{holding_id}") == "402208"
    assert uni_b.refused("DELETE", f"/bibs/{lost}/holdings/{holding_id}") == "402203"
    assert uni_b.get(old)["bib_data"]["mms_id"] == own.mms_id, "found by its pid alone"
    assert uni_b.refused("DELETE", old) == "401683"
    uni_b.institution.dialect.update(item_path="strict")
    assert uni_b.refused("GET", old) == "401683"
    uni_b.delete(uni_b.item_path("A0001"))
    uni_b.delete(f"/bibs/{own.mms_id}/holdings/{holding_id}")
    assert uni_b.get(f"/bibs/{own.mms_id}/holdings")["total_record_count"] == 1


# --- dates ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("style", "text"),
    [
        ("utc", "2026-12-20T22:59:59Z"),
        ("named_zone", "2026-12-20 23:59:59 Europe/Vienna"),
        ("offset_and_z", "2026-12-20T22:59:59+00:00Z"),
    ],
)
def test_due_dates_as_an_alma_may_write_them(style: str, text: str, uni_a: Alma) -> None:
    staff = uni_a.institution
    staff.dialect.update(due_date_style=style)
    due = datetime(2026, 12, 20, 22, 59, 59, tzinfo=UTC)
    loan = staff.loan("A0001", "local-1", "MAIN", due=due)
    assert uni_a.get(f"/users/local-1/loans/{loan.loan_id}")["due_date"] == text
    item = uni_a.get(uni_a.item_path("A0001"), expand="due_date")
    assert item["item_data"]["due_date"] == text
