"""The control side over HTTP: staff, faults, settings, logs, state."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from reconciler.sandbox import Sandbox
from tests.sandbox.conftest import Alma


@pytest.fixture
def control(uni_a: Alma) -> httpx.Client:
    return uni_a.http


def staff(control: httpx.Client, act: str, **arguments: Any) -> httpx.Response:
    return control.post(f"/sandbox/uni-a/staff/{act}", json=arguments)


def test_acts_over_http_are_the_acts_of_python(control: httpx.Client, world: Sandbox) -> None:
    loan = staff(
        control, "loan", item="A0001", user="local-1", library="MAIN", due="2027-01-01T12:00:00Z"
    )
    assert loan.json()["result"]["due_date"] == "2027-01-01T12:00:00.000Z"
    scanned = staff(control, "scan_in", item="A0001", library="BRANCH").json()["result"]
    assert scanned["process"] == "TRANSIT"
    staff(control, "expire_user", user="local-1", on="2026-11-01")
    world["uni-b"].block_user("reader-b1")
    acts = control.get("/sandbox/acts").json()["acts"]
    assert [act["act"] for act in acts] == ["loan", "scan_in", "expire_user", "block_user"]
    assert str(next(iter(world.acts))).startswith("1 2026-11-25 09:00:00 uni-a loan item=A0001")
    assert [act.outcome for act in world.acts][1] == "0/TRANSIT"


@pytest.mark.parametrize(
    ("act", "arguments", "status", "text"),
    [
        ("dance", {}, 404, "no act 'dance'; there are: anonymise, block_user"),
        ("scan_in", {}, 400, "missing: item, library; unknown: -"),
        ("scan_in", {"item": "A", "library": "M", "desk": "D"}, 400, "unknown: desk"),
        ("scan_in", {"item": "NONE", "library": "MAIN"}, 400, "no item NONE in uni-a"),
        ("scan_in", {"item": "A0001", "library": "X"}, 400, "no desk in library X"),
        ("loan", {"item": "A0001", "user": "x", "library": "MAIN"}, 400, "no user x in uni-a"),
        ("renew", {"loan_id": "1"}, 400, "no active loan 1"),
        ("cancel_request", {"request_id": "1"}, 400, "no open request 1"),
        ("return_item", {"item": "A0001", "library": "MAIN"}, 400, "is not on loan"),
        ("mark_lost", {"item": "A0001"}, 400, "is not on loan"),
        ("change_due_date", {"loan_id": "1", "due": "2027-01-01"}, 400, "needs a time zone"),
        ("place_hold", {"user": "local-1", "item": "A0001", "pickup": "X"}, 400, "401891"),
    ],
)
def test_acts_that_cannot_be(
    act: str, arguments: dict[str, Any], status: int, text: str, control: httpx.Client
) -> None:
    response = staff(control, act, **arguments)
    assert response.status_code == status
    assert text in response.json()["error"]


def test_faults_over_http(control: httpx.Client, uni_a: Alma) -> None:
    made = control.post("/sandbox/faults", json={"kind": "empty_503", "path": "/conf", "times": 1})
    assert made.json()["fault"]["status"] == 503
    assert uni_a.call("GET", "/conf/test").status_code == 503
    assert control.get("/sandbox/faults").json()["faults"][0]["hits"] == 1
    assert control.delete("/sandbox/faults").json() == {"done": "yes"}
    assert control.get("/sandbox/faults").json() == {"faults": []}
    for bad in ({}, {"kind": "hang", "speed": 1}, {"kind": "nonsense"}, [1]):
        assert control.post("/sandbox/faults", json=bad).status_code == 400


def test_the_log_over_http(control: httpx.Client, uni_a: Alma) -> None:
    uni_a.call("GET", "/users/local-1", params={"apikey": "KEY-uni-a", "expand": "loans"})
    uni_a.call("GET", "/conf/test")
    calls = control.get("/sandbox/log", params={"institution": "uni-a"}).json()["calls"]
    assert calls[0] == {
        "seq": 1,
        "time": "2026-11-25T09:00:00.000Z",
        "institution": "uni-a",
        "method": "GET",
        "path": "/almaws/v1/users/local-1",
        "query": "expand=loans",
        "status": 200,
        "fault": None,
        "performed": True,
    }
    later = control.get("/sandbox/log", params={"since": "1"}).json()["calls"]
    assert [call["path"] for call in later] == ["/almaws/v1/conf/test"]
    control.post("/sandbox/log/reset")
    assert control.get("/sandbox/log").json() == {"calls": []}


def test_state_and_marks(control: httpx.Client, uni_a: Alma) -> None:
    uni_a.hold("local-1", "A0001", "BRANCH", comment="[tx-1]")
    state = control.get("/sandbox/uni-a/state").json()
    assert len(state["items"]) == 9
    assert state["requests"][0]["status"] == "IN_PROCESS"
    ours = control.get("/sandbox/uni-a/ours", params={"marker": "[tx-1]"}).json()
    assert ours == {"holds": [state["requests"][0]["request_id"]]}
    assert control.get("/sandbox/uni-a/ours").status_code == 400
    assert control.get("/sandbox/uni-x/state").status_code == 404
    assert control.get("/sandbox/uni-a/nothing").status_code == 404
    assert control.get("/elsewhere").status_code == 404


def test_settings_over_http(control: httpx.Client, world: Sandbox) -> None:
    sent = {"read_lag": 2.5, "per_second": 7, "remaining": 3, "dialect": {"style": "old"}}
    assert control.post("/sandbox/uni-a/settings", json=sent).json() == {"done": "yes"}
    institution = world["uni-a"]
    assert institution.read_lag == 2.5
    assert institution.quota.per_second == 7
    assert institution.quota.remaining == 3
    assert institution.dialect.style == "old"
    for bad in (
        {"speed": 1},
        {"dialect": {"style": "blue"}},
        {"dialect": {"colour": "red"}},
        {"read_lag": "2"},
    ):
        assert control.post("/sandbox/uni-a/settings", json=bad).status_code == 400


def test_the_overview_lists_what_can_be_done(control: httpx.Client) -> None:
    overview = control.get("/sandbox").json()
    assert set(overview["institutions"]) == {"uni-a", "uni-b", "uni-c"}
    assert overview["acts"]["scan_in"] == {
        "item": "required",
        "library": "required",
        "circ_desk": "default ''",
        "request_id": "default ''",
    }
    assert "reset" in overview["faults"]["kinds"]
    assert overview["switches"]["style"] == ["new", "old", "label", "lean"]
