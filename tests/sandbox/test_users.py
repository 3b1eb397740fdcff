"""User records: finding, creating, swapping, removing (alma-api.md 2)."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest

from tests.sandbox.conftest import Alma, code_of

VIRTUAL: dict[str, Any] = {
    "record_type": {"value": "PUBLIC"},
    "account_type": {"value": "EXTERNAL"},
    "status": {"value": "ACTIVE"},
    "external_id": "UNIB:reader-b1",
    "first_name": "DCB",
    "last_name": "VPATRON",
    "user_group": {"value": "DCB"},
    "user_identifier": [
        {"id_type": {"value": "INST_ID"}, "value": "UNIB:reader-b1"},
        {"id_type": {"value": "BARCODE"}, "value": "B0001"},
    ],
}


def test_a_virtual_patron_gets_an_id_of_almas_making(uni_a: Alma) -> None:
    user = uni_a.post("/users", VIRTUAL)
    assert user["primary_id"].isdigit()
    assert user["external_id"] == "UNIB:reader-b1"
    assert user["user_role"][0]["role_type"]["value"] == "200"
    assert user["user_identifier"][0]["segment_type"] == "External"
    for identifier in (user["primary_id"], "UNIB:reader-b1", "b0001"):
        found = uni_a.get(f"/users/{quote(identifier, safe='')}")
        assert found["primary_id"] == user["primary_id"]


def test_the_primary_id_kept_altered_or_required(uni_a: Alma) -> None:
    dialect = uni_a.institution.dialect
    sent = {**VIRTUAL, "primary_id": "virtual/1", "user_identifier": []}
    assert uni_a.post("/users", sent)["primary_id"] == "virtual/1"
    assert uni_a.get("/users/virtual%2F1")["primary_id"] == "virtual/1"
    dialect.update(primary_id="altered")
    sent["primary_id"] = "virtual/2"
    assert uni_a.post("/users", sent)["primary_id"] != "virtual/2"
    dialect.update(primary_id="required")
    assert uni_a.refused("POST", "/users", {**VIRTUAL, "user_identifier": []}) == "401664"


@pytest.mark.parametrize(
    ("code", "change"),
    [
        ("401664", {"record_type": None}),
        ("401664", {"account_type": None}),
        ("401664", {"status": None}),
        ("401664", {"user_group": None}),
        ("401664", {"last_name": ""}),
        ("401852", {"user_group": {"value": "NOBODY"}}),
        ("401853", {"account_type": {"value": "INTERNAL"}}),
        ("401854", {"external_id": ""}),
        ("401857", {"account_type": {"value": "OTHER"}}),
        ("401864", {"record_type": {"value": "ROBOT"}}),
        ("401851", {"user_identifier": [{"id_type": {"value": "BARCODE"}, "value": "L0001"}]}),
        ("401851", {"primary_id": "LOCAL-1"}),
        ("401863", {"user_identifier": [{"id_type": {"value": "FACE"}, "value": "x"}]}),
        (
            "401658",
            {
                "user_identifier": [
                    {"id_type": {"value": "BARCODE"}, "value": "same"},
                    {"id_type": {"value": "INST_ID"}, "value": "SAME"},
                ]
            },
        ),
        ("401676", {"user_identifier": {"user_identifier": []}}),
        ("401676", {"user_identifiers": []}),
        ("401664", {"contact_info": {"address": [{"city": "X"}]}}),
    ],
)
def test_a_bad_user_is_refused(code: str, change: dict[str, Any], uni_a: Alma) -> None:
    assert uni_a.refused("POST", "/users", {**VIRTUAL, **change}) == code
    assert len(uni_a.institution.users) == 1


def test_a_user_posted_twice(uni_a: Alma) -> None:
    uni_a.post("/users", VIRTUAL)
    response = uni_a.call("POST", "/users", json=VIRTUAL)
    assert code_of(response) == "401851"
    message = response.json()["errorList"]["error"][0]["errorMessage"]
    assert message == "User with identifier UNIB:reader-b1 of type INST_ID already exists."


def test_without_a_patron_role_there_are_no_loans(uni_a: Alma) -> None:
    uni_a.institution.dialect.update(patron_role_on_create=False)
    user = uni_a.post("/users", VIRTUAL)
    assert user["user_role"] == []
    body = {"circ_desk": {"value": "DEFAULT_CIRC_DESK"}, "library": {"value": "MAIN"}}
    address = f"/users/{user['primary_id']}/loans"
    assert uni_a.refused("POST", address, body, item_barcode="A0001") == "401151"


def test_finding(uni_a: Alma) -> None:
    uni_a.institution.add_user("reader", email="reader@example.org")
    assert uni_a.get("/users/LOCAL-1")["primary_id"] == "local-1"
    assert uni_a.get("/users/reader@example.org")["primary_id"] == "reader"
    assert uni_a.get("/users/L0001", user_id_type="BARCODE")["primary_id"] == "local-1"
    assert uni_a.refused("GET", "/users/local-1", user_id_type="BARCODE") == "401890"
    assert uni_a.refused("GET", "/users/nobody") == "401861"


def test_counts_on_request(uni_a: Alma) -> None:
    uni_a.hold("local-1", "A0001", "BRANCH")
    user = uni_a.get("/users/local-1", expand="loans,requests")
    assert (user["requests"]["value"], user["loans"]["value"]) == (1, 0)
    assert "requests" not in uni_a.get("/users/local-1")


def test_searching(uni_a: Alma) -> None:
    uni_a.post("/users", VIRTUAL)
    rows = uni_a.get("/users", q="last_name~vpatron")["user"]
    assert [row["last_name"] for row in rows] == ["VPATRON"]
    assert set(rows[0]) == {"primary_id", "first_name", "last_name", "status", "link"}
    assert uni_a.get("/users", q="identifiers~B0001", expand="full")["user"][0]["user_identifier"]
    assert uni_a.refused("GET", "/users", q="external_id~UNIB:reader-b1") == "402119"


def test_a_put_swaps_everything(uni_a: Alma) -> None:
    user = uni_a.post("/users", {**VIRTUAL, "user_note": [{"note_text": "keep me"}]})
    address = f"/users/{user['primary_id']}"
    user["expiry_date"] = "2027-01-31Z"
    changed = uni_a.put(address, user)
    assert changed["expiry_date"] == "2027-01-31Z"
    assert changed["user_note"] == [{"note_text": "keep me"}]
    assert changed["user_identifier"] == user["user_identifier"]
    del user["user_note"], user["user_role"]
    swapped = uni_a.put(address, user)
    assert swapped["user_note"] == []
    assert swapped["user_role"] == changed["user_role"]
    assert uni_a.refused("PUT", address, {**user, "external_id": "other"}) == "401858"
    assert uni_a.refused("PUT", "/users/nobody", user) == "401890"


def test_a_group_edited_by_hand_stays(uni_a: Alma) -> None:
    user = uni_a.post("/users", VIRTUAL)
    address = f"/users/{user['primary_id']}"
    uni_a.institution.edit_user_group(user["primary_id"], "VISITOR")
    assert uni_a.put(address, user)["user_group"]["value"] == "VISITOR"
    assert uni_a.put(address, user, override="user_group")["user_group"]["value"] == "DCB"


def test_deleting(uni_a: Alma) -> None:
    user = uni_a.post("/users", VIRTUAL)["primary_id"]
    rid = uni_a.hold(user, "A0001", "RES_OUT")["request_id"]
    uni_a.lend(user, "A0002")
    assert uni_a.refused("DELETE", f"/users/{user}") == "401850"
    uni_a.scan("A0002", "MAIN")
    uni_a.delete(f"/users/{user}")
    assert uni_a.request_state(rid) == "HISTORY"
    assert uni_a.refused("DELETE", f"/users/{user}") == "401890"


def test_authentication(uni_a: Alma) -> None:
    uni_a.post("/users", {**VIRTUAL, "primary_id": "p", "password": "s3cret word"})
    for password, status in (("s3cret%20word", 204), ("wrong", 400)):
        headers = {"exl-user-pw": password}
        response = uni_a.call("POST", "/users/p", params={"op": "auth"}, headers=headers)
        assert response.status_code == status
    assert uni_a.refused("POST", "/users/local-1", None, op="auth", password="") == "401866"
    assert uni_a.get("/users/p", password="wrong")["primary_id"] == "p"


def test_renamed_and_merged_users(uni_a: Alma) -> None:
    staff = uni_a.institution
    rid = uni_a.hold("local-1", "A0001", "BRANCH")["request_id"]
    staff.rename_user("local-1", "renamed")
    assert uni_a.get(f"/users/ALL/requests/{rid}")["user_primary_id"] == "renamed"
    assert uni_a.refused("GET", "/users/local-1") == "401861"
    staff.add_user("survivor")
    staff.merge_users("survivor", "renamed")
    assert uni_a.get("/users/survivor/requests")["total_record_count"] == 1
    assert uni_a.get("/users/L0001")["primary_id"] == "survivor"
