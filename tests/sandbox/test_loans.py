"""Loans: every refusal of alma-api.md 4.3 that can be simulated, renewals, due dates."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from tests.sandbox.conftest import DESK, START, Alma
from tests.support.clock import FakeClock

BODY = {"circ_desk": {"value": DESK}, "library": {"value": "MAIN"}}


def refused(alma: Alma, user: str = "local-1", barcode: str = "A0001") -> str:
    return alma.refused("POST", f"/users/{user}/loans", BODY, item_barcode=barcode)


def test_a_loan(uni_a: Alma) -> None:
    loan = uni_a.post("/users/local-1/loans", BODY, item_pid=uni_a.item("A0001").pid)
    assert loan["loan_status"] == "ACTIVE"
    assert loan["process_status"] == "NORMAL"
    assert loan["user_id"] == "local-1"
    assert loan["due_date"] == "2026-12-23T22:59:00Z"  # 23:59 in Vienna, 28 days later
    assert loan["renewable"] is True
    assert uni_a.item_state("A0001") == "0/LOAN"
    rows = uni_a.get(f"{uni_a.item_path('A0001')}/loans")["item_loan"]
    assert [row["loan_id"] for row in rows] == [loan["loan_id"]]
    assert "renewable" not in rows[0]
    mms_id = uni_a.item("A0001").mms_id
    assert uni_a.get(f"/bibs/{mms_id}/loans", expand="renewable")["item_loan"][0]["renewable"]


def test_a_loan_fulfils_the_hold_of_its_user_only(uni_a: Alma) -> None:
    uni_a.institution.add_user("second")
    own = uni_a.hold("local-1", "A0001", "RES_OUT")["request_id"]
    other = uni_a.hold("second", "A0001", "MAIN")["request_id"]
    uni_a.scan("A0001", "MAIN")
    uni_a.lend("local-1", "A0001", request_id={"value": own})
    assert uni_a.request_state(own) == "HISTORY"
    assert uni_a.request_state(other) == "NOT_STARTED"


def test_the_request_may_stay_open_until_the_return(uni_a: Alma) -> None:
    uni_a.institution.dialect.update(loan_closes_request="at_return")
    rid = uni_a.hold("local-1", "A0001", "BRANCH")["request_id"]
    uni_a.lend("local-1", "A0001")
    assert uni_a.request_state(rid) == "IN_PROCESS Loan"
    assert uni_a.item_state("A0001") == "0/LOAN"
    uni_a.scan("A0001", "MAIN")
    assert uni_a.request_state(rid) == "HISTORY"
    assert uni_a.item_state("A0001") == "1/"


@pytest.mark.parametrize("missing", ["circ_desk", "library"])
def test_mandatory_fields(missing: str, uni_a: Alma) -> None:
    body = {name: value for name, value in BODY.items() if name != missing}
    address = "/users/local-1/loans"
    assert uni_a.refused("POST", address, body, item_barcode="A0001") == "401664"


def test_the_item_must_exist(uni_a: Alma) -> None:
    assert refused(uni_a, barcode="NONE") == "401689"
    assert uni_a.refused("POST", "/users/local-1/loans", BODY) == "401672"
    assert uni_a.refused("POST", "/users/local-1/loans", BODY, item_pid="23") == "40166411"
    assert refused(uni_a, user="nobody") == "401890"


def test_the_desk_must_serve_the_location(uni_a: Alma) -> None:
    address = "/users/local-1/loans"
    branch = {**BODY, "library": {"value": "BRANCH"}}
    assert uni_a.refused("POST", address, branch, item_barcode="A0001") == "401153"
    unknown = {**BODY, "circ_desk": {"value": "NO_DESK"}}
    assert uni_a.refused("POST", address, unknown, item_barcode="A0001") == "401153"
    uni_a.institution.add_circ_desk("MAIN", "MUSIC")
    uni_a.institution.libraries["MAIN"].locations["STACKS"].desks = ("MUSIC",)
    assert refused(uni_a) == "401153"
    music = {**BODY, "circ_desk": {"value": "MUSIC"}}
    uni_a.post(address, music, item_barcode="A0001")


def test_the_pickup_desk_lends_what_is_held_there(uni_a: Alma) -> None:
    uni_a.hold("local-1", "A0001", "BRANCH")
    uni_a.scan("A0001", "BRANCH")
    uni_a.lend("local-1", "A0001", "BRANCH")


@pytest.mark.parametrize("word", ["ACQ", "TECHNICAL", "WORK_ORDER_DEPARTMENT", "SOMETHING_NEW"])
def test_items_in_process_are_not_loanable(word: str, uni_a: Alma) -> None:
    uni_a.institution.set_process_type("A0001", word)
    assert refused(uni_a) == "401651"


def test_policies_and_groups(uni_a: Alma) -> None:
    staff = uni_a.institution
    staff.add_item(uni_a.item("A0001").holding_id, "READ", policy="READING")
    assert refused(uni_a, barcode="READ") == "401651"
    staff.add_user_group("STAFF", may_borrow=False)
    staff.add_user("clerk", "STAFF")
    assert refused(uni_a, user="clerk") == "401651"


def test_an_item_started_for_another(uni_a: Alma) -> None:
    uni_a.institution.add_user("second")
    uni_a.hold("second", "A0001", "MAIN")
    assert refused(uni_a) == "401651"
    uni_a.institution.dialect.update(loan_of_requested="allowed")
    uni_a.lend("local-1", "A0001")


def test_users_who_cannot_borrow(uni_a: Alma) -> None:
    staff = uni_a.institution
    staff.expire_user("local-1")
    assert refused(uni_a) == "401168"
    staff.expire_user("local-1", START.date())
    staff.block_user("local-1", "Overdue", "see desk")
    address = "/users/local-1/loans"
    response = uni_a.call("POST", address, params={"item_barcode": "A0001"}, json=BODY)
    message = response.json()["errorList"]["error"][0]["errorMessage"]
    assert message == "LOAN  -   Overdue. see desk Scope: University A"
    staff.unblock_user("local-1")
    staff.block_user("local-1", code="401201")
    assert refused(uni_a) == "401201"
    staff.unblock_user("local-1")
    staff.remove_patron_role("local-1")
    assert refused(uni_a) == "401151"


def test_limit_and_second_copy(uni_a: Alma) -> None:
    staff = uni_a.institution
    staff.add_item(uni_a.item("A0001").holding_id, "COPY")
    staff.loan("A0001", "local-1", "MAIN")
    staff.dialect.update(second_copy="refused")
    assert refused(uni_a, barcode="COPY") == "401198"
    staff.terms_of_group("UNDERGRAD").loan_limit = 1
    assert refused(uni_a, barcode="A0002") == "401161"


def test_already_on_loan(uni_a: Alma) -> None:
    uni_a.institution.add_user("second")
    loan = uni_a.lend("local-1", "A0001")
    assert refused(uni_a) == "400042"
    assert refused(uni_a, user="second") == "401158"
    uni_a.institution.dialect.update(second_loan="renews", loan_to_another_code="401651")
    again = uni_a.lend("local-1", "A0001")
    assert again["loan_id"] == loan["loan_id"]
    assert again["due_date"] > loan["due_date"]
    assert refused(uni_a, user="second") == "401651"


def test_renewal(uni_a: Alma) -> None:
    loan = uni_a.lend("local-1", "A0001")
    address = f"/users/local-1/loans/{loan['loan_id']}"
    renewed = uni_a.post(address, None, op="renew")
    assert renewed["process_status"] == "RENEW"
    assert renewed["last_renew_status"] == {"value": "401193;", "desc": "Renewed Successfully"}
    assert renewed["due_date"] > loan["due_date"]
    assert uni_a.refused("POST", address.replace("/73", "/74"), None, op="renew") == "401823"


def test_renewals_refused(uni_a: Alma) -> None:
    staff = uni_a.institution
    staff.add_user("second")
    loan_id = uni_a.lend("local-1", "A0001")["loan_id"]
    address = f"/users/local-1/loans/{loan_id}"
    rid = uni_a.hold("second", "A0001", "MAIN")["request_id"]
    assert uni_a.refused("POST", address, None, op="renew") == "401822"
    staff.dialect.update(renewal_refusal="in_status")
    kept = uni_a.post(address, None, op="renew")
    assert kept["process_status"] == "NORMAL"
    assert kept["last_renew_status"]["desc"] == "Item has been requested by another patron."
    staff.dialect.update(renewal_refusal="error")
    staff.patron_cancels(rid)
    staff.terms_of_group("UNDERGRAD").renewals = 0
    response = uni_a.call("POST", address, params={"op": "renew"})
    message = response.json()["errorList"]["error"][0]["errorMessage"]
    assert message == f"Cannot renew loan:  {loan_id} - Item renew period exceeded."
    staff.mark_lost("A0001")
    assert uni_a.refused("POST", address, None, op="renew") == "401822"


def test_due_date(uni_a: Alma) -> None:
    loan_id = uni_a.lend("local-1", "A0001")["loan_id"]
    address = f"/users/local-1/loans/{loan_id}"
    changed = uni_a.put(address, {"due_date": "2027-01-31T22:59:00Z"})
    assert changed["due_date"] == "2027-01-31T22:59:00Z"
    assert uni_a.refused("PUT", address, {"due_date": "2020-01-01T00:00:00Z"}) == "401681"
    assert uni_a.refused("PUT", address, {}) == "401824"
    due = uni_a.get(uni_a.item_path("A0001"), expand="due_date")["item_data"]["due_date"]
    assert due == "2027-01-31T22:59:00Z"
    assert "due_date" not in uni_a.get(uni_a.item_path("A0001"))["item_data"]
    uni_a.scan("A0001", "MAIN")
    assert uni_a.refused("PUT", address, {"due_date": "2027-01-31T22:59:00Z"}) == "401823"


def test_lists_by_status_order_and_page(uni_a: Alma, clock: FakeClock) -> None:
    staff = uni_a.institution
    for number in range(12):
        staff.add_book(f"Title {number}", f"L{number:02d}", "MAIN", "STACKS")
        staff.loan(f"L{number:02d}", "local-1", "MAIN")
        clock.advance(timedelta(minutes=1))
    staff.return_item("L03", "MAIN")
    page = uni_a.get("/users/local-1/loans")
    assert (len(page["item_loan"]), page["total_record_count"]) == (10, 11)
    newest = uni_a.get("/users/local-1/loans", order_by="loan_date", direction="DESC", limit=1)
    assert newest["item_loan"][0]["item_barcode"] == "L11"
    complete = uni_a.get("/users/local-1/loans", loan_status="Complete")
    assert [row["item_barcode"] for row in complete["item_loan"]] == ["L03"]
    assert uni_a.refused("GET", "/users/local-1/loans", loan_status="Lost") == "40166411"


def test_anonymised_loans(uni_a: Alma) -> None:
    loan_id = uni_a.lend("local-1", "A0001")["loan_id"]
    uni_a.scan("A0001", "MAIN")
    assert uni_a.institution.anonymise() == 1
    address = f"/users/local-1/loans/{loan_id}"
    assert uni_a.refused("GET", address) == "401823"
    item_loans = f"{uni_a.item_path('A0001')}/loans"
    assert uni_a.get(item_loans, loan_status="Complete") == {"total_record_count": 0}
    uni_a.institution.dialect.update(anonymised_loan="blank_user")
    assert uni_a.get(address)["user_id"] == ""


def test_ids_may_be_absent(uni_a: Alma) -> None:
    uni_a.institution.dialect.update(loan_ids=False)
    assert not {"item_id", "holding_id"} & set(uni_a.lend("local-1", "A0001"))


def test_staff_may_override_and_set_any_due_date(uni_a: Alma) -> None:
    staff = uni_a.institution
    staff.block_user("local-1")
    due = datetime.fromisoformat("2026-11-20T12:00:00+00:00")
    loan = staff.loan("A0001", "local-1", "BRANCH", due=due, override=True)
    assert uni_a.get(f"/users/local-1/loans/{loan.loan_id}")["due_date"] == "2026-11-20T12:00:00Z"
