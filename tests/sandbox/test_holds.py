"""Holds: placing, the queue, moving, ending (alma-api.md 3.3, 3.6, 3.7)."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.sandbox.conftest import START, Alma, code_of
from tests.support.clock import FakeClock

HOLD = {
    "request_type": "HOLD",
    "pickup_location_type": "LIBRARY",
    "pickup_location_library": "BRANCH",
}


# --- section 3.3, row by row ---------------------------------------------------


def test_a_hold_on_a_shelved_item_waits_to_be_picked(uni_a: Alma) -> None:
    hold = uni_a.hold("local-1", "A0001", "BRANCH", comment="[DCB-REQUEST:1]")
    assert (hold["request_status"], hold["task_name"]) == ("IN_PROCESS", "Pickup From Shelf")
    assert hold["item_id"] == uni_a.item("A0001").pid
    assert hold["barcode"] == "A0001"
    assert hold["comment"] == "[DCB-REQUEST:1]"
    assert hold["managed_by_library_code"] == "MAIN"
    assert hold["expiry_date"] > hold["request_date"]
    assert "place_in_queue" not in hold
    assert uni_a.item_state("A0001") == "1/ requested"


def test_a_hold_on_a_lent_item_is_queued(uni_a: Alma) -> None:
    uni_a.institution.add_user("reader")
    uni_a.institution.loan("A0001", "reader", "MAIN")
    hold = uni_a.hold("local-1", "A0001", "BRANCH")
    assert hold["request_status"] == "NOT_STARTED"
    assert hold["place_in_queue"] == 1
    assert "task_name" not in hold
    assert uni_a.item_state("A0001") == "0/LOAN requested"


def test_scan_shelf_loan_return(uni_a: Alma) -> None:
    rid = uni_a.hold("local-1", "A0001", "BRANCH")["request_id"]
    uni_a.institution.scan_in("A0001", "MAIN")
    assert uni_a.request_state(rid) == "IN_PROCESS Transit Item"
    assert uni_a.item_state("A0001") == "0/TRANSIT requested"
    uni_a.institution.scan_in("A0001", "BRANCH")
    assert uni_a.request_state(rid) == "ON_HOLD_SHELF On Hold Shelf"
    assert uni_a.item_state("A0001") == "0/HOLDSHELF requested"
    loan = uni_a.institution.loan("A0001", "local-1", "BRANCH")
    assert uni_a.request_state(rid) == "HISTORY"
    assert uni_a.item_state("A0001") == "0/LOAN"
    assert uni_a.get("/users/local-1/requests") == {"total_record_count": 0}
    uni_a.institution.return_item("A0001", "MAIN")
    assert uni_a.item_state("A0001") == "1/"
    assert uni_a.get(f"/users/local-1/loans/{loan.loan_id}")["loan_status"] == "COMPLETE"


def test_pickup_at_the_scanning_library_shelves_instead_of_sending(uni_a: Alma) -> None:
    uni_a.hold("local-1", "A0001", "MAIN")
    uni_a.institution.scan_in("A0001", "MAIN")
    assert uni_a.item_state("A0001") == "0/HOLDSHELF requested"


def test_pickup_at_the_sharing_library_sends_the_item_out(uni_a: Alma) -> None:
    rid = uni_a.hold("local-1", "A0001", "RES_OUT")["request_id"]
    uni_a.institution.scan_in("A0001", "MAIN")
    assert uni_a.item_state("A0001") == "0/TRANSIT requested"
    assert uni_a.request_state(rid) == "IN_PROCESS Transit Item"


def test_a_scan_elsewhere_sends_it_on(uni_a: Alma) -> None:
    rid = uni_a.hold("local-1", "A0001", "BRANCH")["request_id"]
    uni_a.institution.scan_in("A0001", "DCB")
    assert uni_a.item_state("A0001") == "0/TRANSIT requested"
    assert uni_a.request_state(rid) == "IN_PROCESS Transit Item"


@pytest.mark.parametrize("where", ["shelf", "transit", "hold shelf", "hold shelf at home"])
def test_a_cancelled_hold_lets_the_item_go(where: str, uni_a: Alma) -> None:
    staff = uni_a.institution
    pickup = "MAIN" if where == "hold shelf at home" else "BRANCH"
    rid = uni_a.hold("local-1", "A0001", pickup)["request_id"]
    if where != "shelf":
        staff.scan_in("A0001", "MAIN")
    if where == "hold shelf":
        staff.scan_in("A0001", "BRANCH")
    uni_a.delete(f"/users/local-1/requests/{rid}", reason="CannotBeFulfilled", notify_user="false")
    assert uni_a.request_state(rid) == "HISTORY"
    away = where in ("transit", "hold shelf")
    assert uni_a.item_state("A0001") == ("0/TRANSIT" if away else "1/")
    assert staff.letters == [
        letter for letter in staff.letters if letter.kind != "FulCancelRequestLetter"
    ]


def test_an_item_of_a_cancelled_hold_may_stay_on_the_hold_shelf(uni_a: Alma) -> None:
    uni_a.institution.dialect.update(cancelled_on_shelf="stays")
    rid = uni_a.hold("local-1", "A0001", "BRANCH")["request_id"]
    uni_a.institution.scan_in("A0001", "BRANCH")
    uni_a.institution.patron_cancels(rid)
    assert uni_a.item_state("A0001") == "0/HOLDSHELF"
    uni_a.institution.scan_in("A0001", "BRANCH")
    assert uni_a.item_state("A0001") == "0/TRANSIT"


def test_hold_shelf_expiry_looks_like_a_cancellation(uni_a: Alma) -> None:
    rid = uni_a.hold("local-1", "A0001", "BRANCH")["request_id"]
    uni_a.institution.scan_in("A0001", "BRANCH")
    uni_a.institution.expire_hold_shelf(rid)
    assert uni_a.request_state(rid) == "HISTORY"
    assert uni_a.item_state("A0001") == "0/TRANSIT"


# --- the queue -----------------------------------------------------------------


def test_the_next_in_the_queue_is_served_on_return(uni_a: Alma) -> None:
    staff = uni_a.institution
    for name in ("first", "second"):
        staff.add_user(name)
    staff.loan("A0001", "local-1", "MAIN")
    first = uni_a.hold("first", "A0001", "BRANCH")
    second = uni_a.hold("second", "A0001", "MAIN")
    assert (first["place_in_queue"], second["place_in_queue"]) == (1, 2)
    staff.return_item("A0001", "MAIN")
    assert uni_a.request_state(first["request_id"]) == "IN_PROCESS Transit Item"
    assert uni_a.request_state(second["request_id"]) == "NOT_STARTED"
    staff.patron_cancels(first["request_id"])
    assert uni_a.request_state(second["request_id"]) == "IN_PROCESS Transit Item"
    staff.scan_in("A0001", "MAIN")
    assert uni_a.request_state(second["request_id"]) == "ON_HOLD_SHELF On Hold Shelf"


def test_the_next_starts_when_the_first_gives_up_on_the_shelf(uni_a: Alma) -> None:
    uni_a.institution.add_user("second")
    first = uni_a.hold("local-1", "A0001", "BRANCH")["request_id"]
    second = uni_a.hold("second", "A0001", "MAIN")["request_id"]
    assert uni_a.get(f"/users/second/requests/{second}")["place_in_queue"] == 2
    uni_a.institution.cancel_request(first)
    assert uni_a.request_state(second) == "IN_PROCESS Pickup From Shelf"
    rows = uni_a.get(f"{uni_a.item_path('A0001')}/requests")["user_request"]
    assert [row["request_id"] for row in rows] == [second]


def test_a_missing_item_sends_its_hold_back_into_the_queue(uni_a: Alma) -> None:
    rid = uni_a.hold("local-1", "A0001", "BRANCH")["request_id"]
    uni_a.institution.mark_missing("A0001")
    assert uni_a.item_state("A0001") == "0/MISSING requested"
    assert uni_a.request_state(rid) == "NOT_STARTED"
    uni_a.institution.found("A0001")
    assert uni_a.request_state(rid) == "IN_PROCESS Pickup From Shelf"


def test_a_title_level_hold_is_bound_by_the_scan(uni_a: Alma) -> None:
    mms_id = uni_a.item("A0001").mms_id
    hold = uni_a.post("/users/local-1/requests", HOLD, mms_id=mms_id)
    assert hold["request_status"] == "IN_PROCESS"
    assert not {"item_id", "barcode"} & set(hold)
    assert uni_a.item_state("A0001") == "1/ requested"
    uni_a.institution.scan_in("A0001", "MAIN")
    bound = uni_a.get(f"/users/local-1/requests/{hold['request_id']}")
    assert bound["item_id"] == uni_a.item("A0001").pid
    assert bound["task_name"] == "Transit Item"


def test_holds_may_start_as_not_started(uni_a: Alma) -> None:
    uni_a.institution.dialect.update(fresh_hold="not_started")
    hold = uni_a.hold("local-1", "A0001", "BRANCH")
    assert (hold["request_status"], hold["place_in_queue"]) == ("NOT_STARTED", 1)
    uni_a.institution.scan_in("A0001", "MAIN")
    assert uni_a.request_state(hold["request_id"]) == "IN_PROCESS Transit Item"


# --- refusals --------------------------------------------------------------------


def test_no_items_can_fulfill(uni_a: Alma) -> None:
    staff = uni_a.institution
    staff.add_library("RES_SHARE", resource_sharing=True)
    staff.add_user("visitor", "VISITOR")
    staff.add_location("MAIN", "LOCAL", pickups=frozenset({"MAIN"}))
    staff.add_book("Local only", "LOCAL", "MAIN", "LOCAL")
    holding = uni_a.item("A0002").holding_id
    staff.add_item(holding, "READ", policy="READING")
    staff.mark_missing("A0003")
    sharing = {**HOLD, "pickup_location_library": "RES_SHARE"}
    cases = [
        ("local-1", "A0001", sharing),
        ("visitor", "A0001", HOLD),
        ("local-1", "READ", HOLD),
        ("local-1", "LOCAL", HOLD),
        ("local-1", "A0003", HOLD),
    ]
    for user, barcode, body in cases:
        pid = uni_a.item(barcode).pid
        code = uni_a.refused("POST", f"/users/{user}/requests", body, item_pid=pid)
        assert code == "401129", barcode


def test_request_options_tell_the_terms_of_use_only(uni_a: Alma) -> None:
    uni_a.institution.add_user("visitor", "VISITOR")
    path = f"{uni_a.item_path('A0001')}/request-options"
    allowed = uni_a.get(path, user_id="local-1")["request_option"]
    refused = uni_a.get(path, user_id="visitor")["request_option"]
    assert [one["type"]["value"] for one in allowed] == ["HOLD", "PURCHASE"]
    assert [one["type"]["value"] for one in refused] == ["PURCHASE"]


@pytest.mark.parametrize(
    ("code", "body", "query"),
    [
        ("401664", {**HOLD, "request_type": None}, {}),
        ("401664", {**HOLD, "pickup_location_type": ""}, {}),
        ("401664", {**HOLD, "pickup_location_library": ""}, {}),
        ("401891", {**HOLD, "pickup_location_library": "firest"}, {}),
        ("401895", {**HOLD, "pickup_location_type": "CIRCULATION_DESK"}, {}),
        ("60308", {**HOLD, "pickup_location_type": "USER_HOME_ADDRESS"}, {}),
        ("60331", {**HOLD, "request_type": "BOOKING"}, {}),
        ("60328", HOLD, {"item_pid": "23999"}),
        ("402203", HOLD, {"item_pid": "", "mms_id": "99999"}),
        ("402204", HOLD, {"item_pid": "", "mms_id": "abc"}),
        ("40166415", HOLD, {"mms_id": "99"}),
        ("40166415", HOLD, {"item_pid": ""}),
    ],
)
def test_a_bad_request_is_refused(
    code: str, body: dict[str, str], query: dict[str, str], uni_a: Alma
) -> None:
    query = {"item_pid": uni_a.item("A0001").pid} | query
    assert uni_a.refused("POST", "/users/local-1/requests", body, **query) == code


def test_the_same_title_twice_by_one_user(uni_a: Alma) -> None:
    staff = uni_a.institution
    second_copy = staff.add_item(uni_a.item("A0001").holding_id, "COPY").pid
    uni_a.hold("local-1", "A0001", "BRANCH")
    address = "/users/local-1/requests"
    assert uni_a.refused("POST", address, HOLD, item_pid=uni_a.item("A0001").pid) == "401136"
    assert uni_a.refused("POST", address, HOLD, item_pid=second_copy) == "401136"
    uni_a.post(address, HOLD, item_pid=second_copy, allow_same_request="true")


def test_blocked_or_expired_users_cannot_request(uni_a: Alma) -> None:
    query = {"item_pid": uni_a.item("A0001").pid}
    uni_a.institution.expire_user("local-1")
    assert uni_a.refused("POST", "/users/local-1/requests", HOLD, **query) == "401873"
    uni_a.institution.expire_user("local-1", START.date() + timedelta(days=9))
    uni_a.institution.block_user("local-1")
    assert uni_a.refused("POST", "/users/local-1/requests", HOLD, **query) == "401873"


def test_item_level_twins(uni_a: Alma) -> None:
    path = f"{uni_a.item_path('A0001')}/requests"
    rid = uni_a.post(path, HOLD, user_id="local-1")["request_id"]
    assert uni_a.get(f"{path}/{rid}")["request_id"] == rid
    mms_id = uni_a.item("A0001").mms_id
    assert uni_a.get(f"/bibs/{mms_id}/requests")["total_record_count"] == 1
    wrong = path.replace("/holdings/22", "/holdings/29")
    assert uni_a.refused("GET", wrong) == "401683"
    uni_a.delete(f"{path}/{rid}", reason="CannotBeFulfilled")
    assert uni_a.get(path) == {"total_record_count": 0}


# --- ending by API ------------------------------------------------------------------


def test_cancelling_needs_a_reason_and_can_be_repeated(uni_a: Alma) -> None:
    rid = uni_a.hold("local-1", "A0001", "BRANCH")["request_id"]
    address = f"/users/local-1/requests/{rid}"
    assert uni_a.refused("DELETE", address) == "401664"
    uni_a.delete(address, reason="ANY_TEXT_IS_TAKEN")
    assert uni_a.refused("DELETE", address, reason="x") == "401697"
    assert [letter.kind for letter in uni_a.institution.letters] == ["FulCancelRequestLetter"]
    uni_a.institution.dialect.update(unknown_request_delete="401694", validate_cancel_reason=True)
    assert uni_a.refused("DELETE", address, reason="x") == "401694"
    rid = uni_a.hold("local-1", "A0001", "BRANCH")["request_id"]
    assert uni_a.refused("DELETE", f"/users/local-1/requests/{rid}", reason="x") == "40166411"


def test_what_a_closed_request_shows_is_a_switch(uni_a: Alma) -> None:
    dialect = uni_a.institution.dialect
    rid = uni_a.hold("local-1", "A0001", "BRANCH")["request_id"]
    address = f"/users/local-1/requests/{rid}"
    uni_a.institution.patron_cancels(rid)
    assert uni_a.get(address)["request_status"] == "HISTORY"
    dialect.update(cancelled_request="not_found", unknown_request_get="401697")
    assert uni_a.refused("GET", address) == "401697"
    dialect.update(cancelled_request="history")
    assert uni_a.get("/users/local-1/requests", status="history") == {"total_record_count": 0}
    dialect.update(request_history_listed=True)
    listed = uni_a.get("/users/local-1/requests", status="history")["user_request"]
    assert [row["request_status"] for row in listed] == ["HISTORY"]
    uni_a.institution.anonymise()
    assert uni_a.refused("GET", address) == "401697"


def test_another_users_path_does_not_find_the_request(uni_a: Alma) -> None:
    uni_a.institution.add_user("other")
    rid = uni_a.hold("local-1", "A0001", "BRANCH")["request_id"]
    assert uni_a.refused("GET", f"/users/other/requests/{rid}") == "401694"
    assert uni_a.refused("DELETE", f"/users/other/requests/{rid}", reason="x") == "401697"
    assert uni_a.get(f"/users/ALL/requests/{rid}")["user_primary_id"] == "local-1"


def test_a_request_can_be_updated(uni_a: Alma) -> None:
    rid = uni_a.hold("local-1", "A0001", "BRANCH")["request_id"]
    body = {**HOLD, "pickup_location_library": "MAIN", "comment": "new"}
    changed = uni_a.put(f"/users/local-1/requests/{rid}", body)
    assert (changed["pickup_location_library"], changed["comment"]) == ("MAIN", "new")


def test_lists_are_cut_to_ten_unless_asked(uni_a: Alma) -> None:
    for number in range(12):
        uni_a.institution.add_book(f"Title {number}", f"P{number}", "MAIN", "STACKS")
        uni_a.hold("local-1", f"P{number}", "BRANCH")
    first = uni_a.get("/users/local-1/requests")
    assert (len(first["user_request"]), first["total_record_count"]) == (10, 12)
    rest = uni_a.get("/users/local-1/requests", limit=100, offset=10)
    assert (len(rest["user_request"]), rest["total_record_count"]) == (2, 12)
    assert uni_a.get("/users/local-1/requests", offset=12) == {"total_record_count": 12}
    uni_a.institution.dialect.update(past_end="empty_list")
    past = uni_a.get("/users/local-1/requests", offset=12)
    assert past == {"user_request": [], "total_record_count": 12}
    uni_a.institution.dialect.update(past_end="60217")
    assert uni_a.refused("GET", "/users/local-1/requests", offset=12) == "60217"


def test_index_lag_refuses_a_hold_for_a_while(uni_a: Alma, clock: FakeClock) -> None:
    uni_a.institution.index_lag = 10
    clock.advance(timedelta(seconds=20))
    uni_a.institution.loan("A0001", "local-1", "MAIN")
    uni_a.institution.return_item("A0001", "MAIN")
    pid = uni_a.item("A0001").pid
    assert uni_a.refused("POST", "/users/local-1/requests", HOLD, item_pid=pid) == "401129"
    clock.advance(timedelta(seconds=10))
    uni_a.hold("local-1", "A0001", "BRANCH")


def test_labels_instead_of_codes(uni_a: Alma) -> None:
    rid = uni_a.hold("local-1", "A0001", "BRANCH")["request_id"]
    uni_a.institution.dialect.update(style="label", language="de")
    row = uni_a.get(f"/users/local-1/requests/{rid}")
    assert (row["request_status"], row["task_name"]) == ("In Process", "Aus Regal holen")
    listed = uni_a.get("/users/local-1/requests", lang="en")["user_request"]
    assert [one["request_status"] for one in listed] == ["In Process"]


def test_an_unknown_user_is_401890(uni_a: Alma) -> None:
    response = uni_a.call("GET", "/users/nobody/requests")
    assert (response.status_code, code_of(response)) == (400, "401890")
