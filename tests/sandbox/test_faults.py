"""Each kind of fault as an httpx client meets it, over a socket and in-process."""

from __future__ import annotations

import json
import time
from typing import Any

import httpx
import pytest

from reconciler.sandbox import Dropped, Fault, Sandbox
from reconciler.sandbox.http.faults import KINDS, PRESETS
from tests.sandbox.conftest import Alma, code_of

USER = "/users/local-1"


def hold(alma: Alma) -> httpx.Response:
    body = {
        "request_type": "HOLD",
        "pickup_location_type": "LIBRARY",
        "pickup_location_library": "BRANCH",
    }
    query = {"item_pid": alma.item("A0001").pid}
    return alma.call("POST", f"{USER}/requests", params=query, json=body)


# --- the connection -------------------------------------------------------------

DROPS: list[tuple[str, type[Exception]]] = [
    ("reset", httpx.ReadError),
    ("close", httpx.RemoteProtocolError),
    ("hang", httpx.ReadTimeout),
]


@pytest.mark.parametrize(("kind", "error"), DROPS)
@pytest.mark.parametrize("when", ["before", "after"])
def test_a_dropped_write_was_done_or_not(
    kind: str, error: type[Exception], when: str, uni_a: Alma, world: Sandbox
) -> None:
    world.faults.add(kind, method="POST", path="/requests", when=when)
    uni_a.http.timeout = httpx.Timeout(0.2)
    with pytest.raises(error):
        hold(uni_a)
    done = when == "after"
    assert bool(uni_a.institution.ours("BRANCH").get("holds")) is done
    [call] = world.calls.matching("POST")
    assert (call.status, call.fault, call.performed) == (0, kind, done)
    assert hold(uni_a).status_code == (400 if done else 200)


def test_half_an_answer(uni_a: Alma, world: Sandbox) -> None:
    world.faults.add("cut")
    with pytest.raises(httpx.RemoteProtocolError, match="complete message body"):
        uni_a.call("GET", USER)
    assert uni_a.call("GET", USER).status_code == 200


def test_truncated_json(uni_a: Alma, world: Sandbox) -> None:
    world.faults.add("truncated")
    response = uni_a.call("GET", USER)
    assert response.status_code == 200
    with pytest.raises(ValueError, match=r"Unterminated|Expecting"):
        response.json()


def test_slow_bytes(uni_a: Alma, world: Sandbox) -> None:
    size = len(uni_a.call("GET", "/conf/test").content) // 4
    world.faults.add("slow", size=size, seconds=0.02)
    started = time.perf_counter()
    assert uni_a.call("GET", "/conf/test").json()["test"].startswith("GET - OK")
    assert time.perf_counter() - started >= 0.08


def test_an_encoding_that_is_none(uni_a: Alma, world: Sandbox) -> None:
    world.faults.add("gzip")
    with pytest.raises(httpx.DecodingError):
        uni_a.call("GET", USER)


@pytest.mark.parametrize("when", ["before", "after"])
def test_a_late_answer(when: str, uni_a: Alma, world: Sandbox) -> None:
    world.faults.add("delay", seconds=0.05, when=when)
    started = time.perf_counter()
    assert uni_a.get(USER)["primary_id"] == "local-1"
    assert time.perf_counter() - started >= 0.05


def test_done_although_the_caller_gave_up(uni_a: Alma, world: Sandbox) -> None:
    world.faults.add("delay", seconds=1, when="after", path="op=scan")
    with pytest.raises(httpx.ReadTimeout):
        uni_a.call(
            "POST",
            uni_a.item_path("A0001"),
            params={"op": "scan", "library": "BRANCH", "circ_desk": "DEFAULT_CIRC_DESK"},
            timeout=0.1,
        )
    assert uni_a.item_state("A0001") == "0/TRANSIT"


# --- whole answers in place of the right one ---------------------------------------

ANSWERS = {
    "json_500": (500, "application/json;charset=UTF-8", "INTERNAL_SERVER_ERROR"),
    "empty_500": (500, None, ""),
    "html_502": (502, "text/html;charset=UTF-8", "502 Bad Gateway"),
    "empty_503": (503, None, ""),
    "html_504": (504, "text/html;charset=UTF-8", "504 Gateway Timeout"),
    "html_401": (401, "text/html;charset=UTF-8", "HTTP Status 401 - Unauthorized"),
    "forbidden_403": (403, "application/json;charset=UTF-8", "Invalid API Key"),
    "html_429": (429, "text/html;charset=UTF-8", "<html>"),
    "html_200": (200, "text/html;charset=UTF-8", "<html>"),
    "empty_200": (200, None, ""),
    "garbage_200": (200, "text/plain", "OK"),
    "per_second": (429, "application/json;charset=UTF-8", "PER_SECOND_THRESHOLD"),
    "daily": (429, "application/json;charset=UTF-8", "DAILY_THRESHOLD"),
}


@pytest.mark.parametrize("kind", ANSWERS)
def test_an_answer_instead(kind: str, uni_a: Alma, world: Sandbox) -> None:
    status, content_type, text = ANSWERS[kind]
    world.faults.add(kind, when="after")
    response = hold(uni_a)
    assert response.status_code == status
    assert response.headers.get("content-type") == content_type
    assert text in response.text
    assert bool(response.content) is bool(text)
    assert uni_a.institution.ours("BRANCH")["holds"]
    assert world.calls.matching("POST")[0].fault == kind


def test_a_code_of_our_choice(uni_a: Alma, world: Sandbox) -> None:
    world.faults.add("error", code="402504")
    world.faults.add("error", code="401861", status=404, message="gone", times=None)
    assert code_of(uni_a.call("GET", USER)) == "402504"
    response = uni_a.call("GET", USER)
    assert (response.status_code, code_of(response)) == (404, "401861")
    assert "gone" in response.text


def test_a_status_of_our_choice(uni_a: Alma, world: Sandbox) -> None:
    world.faults.add("status", status=409, body='{"a":1}', content_type="application/json")
    response = uni_a.call("GET", USER)
    assert (response.status_code, response.json()) == (409, {"a": 1})


# --- tampered answers ------------------------------------------------------------------


def test_xml_although_json_was_asked(uni_a: Alma, world: Sandbox) -> None:
    world.faults.add("xml")
    response = uni_a.call("GET", USER)
    assert response.headers["content-type"].startswith("application/xml")
    assert "<primary_id>local-1</primary_id>" in response.text


@pytest.mark.parametrize(
    ("kind", "more", "path", "seen"),
    [
        (
            "set_field",
            {"field": "item_data.process_type", "value": {"value": "NEW"}},
            "item",
            "NEW",
        ),
        ("unknown_word", {"field": "user_request.request_status"}, "list", "SOMETHING_NEW"),
        ("unknown_word", {"field": "request_status"}, "list", "SOMETHING_NEW"),
        ("set_field", {"field": "total_record_count", "value": 98765}, "list", "98765"),
        ("set_field", {"field": "item_data.base_status.value", "value": 7}, "item", '"value":7'),
    ],
)
def test_fields_that_change(
    kind: str, more: dict[str, Any], path: str, seen: str, uni_a: Alma, world: Sandbox
) -> None:
    hold(uni_a)
    world.faults.add(kind, **more)
    address = uni_a.item_path("A0001") if path == "item" else f"{USER}/requests"
    assert seen in uni_a.call("GET", address).text
    assert seen not in uni_a.call("GET", address).text


def test_fields_that_are_missing(uni_a: Alma, world: Sandbox) -> None:
    hold(uni_a)
    world.faults.add("missing_field", field="request_id")
    world.faults.add("missing_field", field="item_data.base_status")
    assert "request_id" not in uni_a.get(f"{USER}/requests")["user_request"][0]
    assert "base_status" not in uni_a.get(uni_a.item_path("A0001"))["item_data"]


def test_an_empty_page_with_a_total(uni_a: Alma, world: Sandbox) -> None:
    hold(uni_a)
    world.faults.add("empty_page")
    assert uni_a.get(f"{USER}/requests") == {"total_record_count": 1}


def test_somebody_elses_answer(uni_a: Alma, world: Sandbox) -> None:
    staff = uni_a.institution
    staff.add_user("stranger")
    own = staff.loan("A0001", "local-1", "MAIN")
    staff.loan("A0002", "stranger", "MAIN")
    world.faults.add("other", times=3)
    assert uni_a.get(USER)["primary_id"] == "stranger"
    assert uni_a.get(uni_a.item_path("A0001"))["item_data"]["barcode"] == "A0002"
    assert uni_a.get(f"{USER}/loans/{own.loan_id}")["user_id"] == "stranger"


def test_another_institutions_answer(uni_a: Alma, uni_b: Alma, world: Sandbox) -> None:
    uni_b.institution.add_book("Theirs", "THEIRS", "MAIN", "STACKS")
    world.faults.add("other", value="uni-b", path="/items/")
    data = uni_a.get(uni_a.item_path("A0001"))["item_data"]
    assert data["barcode"] == "THEIRS"


def test_pages_that_shift_or_turn_round(uni_a: Alma, world: Sandbox) -> None:
    for barcode in ("A0001", "A0002", "A0003"):
        uni_a.hold("local-1", barcode, "BRANCH")
    world.faults.add("shifted_page")
    world.faults.add("reversed_list")
    for expected in (["A0002", "A0003"], ["A0003", "A0002", "A0001"]):
        page = uni_a.get(f"{USER}/requests")
        assert [row["barcode"] for row in page["user_request"]] == expected
        assert page["total_record_count"] == 3


# --- which calls ------------------------------------------------------------------------


def test_a_schedule(uni_a: Alma, uni_b: Alma, world: Sandbox) -> None:
    fault = world.faults.add(
        "empty_503", institution="uni-a", method="GET", path="^/almaws/v1/users/", skip=1, times=2
    )
    assert uni_b.call("GET", "/users/reader-b1").status_code == 200
    assert uni_a.call("GET", "/conf/test").status_code == 200
    codes = [uni_a.call("GET", USER).status_code for _ in range(5)]
    assert codes == [200, 503, 503, 200, 200]
    assert (fault.seen, fault.hits) == (5, 2)
    world.faults.add("empty_500", times=None)
    assert [uni_a.call("GET", USER).status_code for _ in range(3)] == [500] * 3
    world.faults.clear()
    assert uni_a.call("GET", USER).status_code == 200


def test_faults_are_checked_when_made() -> None:
    with pytest.raises(ValueError, match="unknown kind of fault 'nonsense'"):
        Fault("nonsense")
    with pytest.raises(ValueError, match="before or after"):
        Fault("reset", when="during")
    assert Fault("truncated", when="before").when == "after"
    assert Fault("html_502").name == "html_502"


def test_every_kind_is_tried_here() -> None:
    tried = {*ANSWERS, *(kind for kind, _ in DROPS)}
    tried |= {"cut", "truncated", "slow", "gzip", "delay", "error", "status", "xml"}
    tried |= {"set_field", "missing_field", "unknown_word", "empty_page", "other"}
    tried |= {"shifted_page", "reversed_list"}
    assert tried == KINDS | set(PRESETS)


# --- in-process ----------------------------------------------------------------------------


async def test_in_process_a_dropped_call_raises(world: Sandbox) -> None:
    transport = httpx.ASGITransport(app=world.app)
    headers = {"authorization": "apikey KEY-uni-a", "accept": "application/json"}
    async with httpx.AsyncClient(
        transport=transport, base_url="http://alma", headers=headers
    ) as client:
        address = "/almaws/v1/users/local-1"
        assert (await client.get(address)).json()["primary_id"] == "local-1"
        for kind, error in (("reset", Dropped), ("close", Dropped), ("hang", TimeoutError)):
            world.faults.add(kind)
            with pytest.raises(error):
                await client.get(address)
        world.faults.add("truncated")
        with pytest.raises(json.JSONDecodeError):
            (await client.get(address)).json()
        world.faults.add("slow", size=500, seconds=0)
        assert (await client.get(address)).json()["primary_id"] == "local-1"
