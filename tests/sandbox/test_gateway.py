"""Keys, rights, formats, error forms, quotas, the call log (alma-api.md 1)."""

from __future__ import annotations

import time
from datetime import timedelta

import httpx
import pytest

from reconciler.sandbox import Sandbox
from tests.sandbox.conftest import Alma, code_of
from tests.support.clock import FakeClock

UNAUTHORIZED = "API-key not defined or not configured to allow this API."


def xml_refusal(response: httpx.Response) -> str:
    assert response.status_code == 400
    assert response.headers["content-type"] == "application/xml;charset=UTF-8"
    assert 'xmlns="http://com/exlibris/urm/general/xmlbeans"' in response.text
    return response.text.partition("<errorCode>")[2].partition("<")[0]


@pytest.mark.parametrize("key", ["", "apikey WRONG", "Bearer KEY-uni-a"])
def test_a_wrong_key_is_refused_in_xml_although_json_was_asked(key: str, uni_a: Alma) -> None:
    response = uni_a.call("GET", "/conf/test", headers={"authorization": key})
    assert xml_refusal(response) == "UNAUTHORIZED"
    assert UNAUTHORIZED in response.text
    assert "x-exl-api-remaining" not in response.headers


def test_the_key_may_stand_in_the_query_and_is_never_logged(uni_a: Alma, world: Sandbox) -> None:
    plain = {"authorization": ""}
    response = uni_a.call("GET", "/users/local-1", params={"apikey": "KEY-uni-a"}, headers=plain)
    assert response.status_code == 200
    [call] = world.calls
    assert (call.path, call.query) == ("/almaws/v1/users/local-1", "")
    assert "KEY" not in str(call)


def test_rights_by_area(uni_a: Alma) -> None:
    uni_a.institution.revoke("KEY-uni-a", ["users"])
    uni_a.institution.grant("KEY-uni-a", "read", ["bibs"])
    assert xml_refusal(uni_a.call("GET", "/users/operation/test")) == "UNAUTHORIZED"
    assert uni_a.call("GET", "/bibs/test").status_code == 200
    assert uni_a.call("GET", "/items", params={"item_barcode": "A0001"}).status_code == 302
    assert xml_refusal(uni_a.call("POST", "/bibs/test")) == "UNAUTHORIZED"
    assert uni_a.call("POST", "/conf/test").status_code == 200
    uni_a.institution.grant("KEY-uni-a", "read", ["users"])
    response = uni_a.call("POST", "/users/local-1", params={"op": "auth"})
    assert code_of(response) == "401866"


def test_each_key_opens_its_institution(uni_a: Alma, uni_b: Alma) -> None:
    assert uni_a.call("GET", "/users/reader-b1").status_code == 400
    assert uni_b.get("/users/reader-b1")["last_name"] == "Lovelace"


def test_formats(uni_a: Alma) -> None:
    for headers, query, kind in (
        ({"accept": "*/*"}, {}, "xml"),
        ({"accept": "*/*"}, {"format": "json"}, "json"),
        ({"accept": "application/json"}, {"format": "xml"}, "xml"),
    ):
        response = uni_a.call("GET", "/users/nobody", params=query, headers=headers)
        assert response.headers["content-type"] == f"application/{kind};charset=UTF-8"
    text = uni_a.call("GET", "/users/local-1", headers={"accept": "*/*"}).text
    assert '<user_group desc="Undergraduate">UNDERGRAD</user_group>' in text
    assert "<user_identifiers><user_identifier><value>L0001</value>" in text


def test_xml_lists_and_labels(uni_a: Alma) -> None:
    uni_a.hold("local-1", "A0001", "BRANCH", comment="<&>")
    text = uni_a.call("GET", "/users/local-1/requests", headers={"accept": "application/xml"}).text
    assert '<user_requests total_record_count="1"><user_request>' in text
    assert "<request_status>In Process</request_status>" in text
    assert "<comment>&lt;&amp;&gt;</comment>" in text


@pytest.mark.parametrize(
    "path", ["/nothing", "/users/x/nothing", "/bibs//holdings", "/conf", "/users/x/requests/1/2"]
)
def test_unknown_addresses(path: str, uni_a: Alma) -> None:
    response = uni_a.call("GET", path)
    assert response.status_code == 404
    error = response.json()["web_service_result"]["errorList"]["error"]
    assert error == {"errorCode": "NOT_FOUND", "errorMessage": "", "trackingId": "unknown"}


def test_error_shapes(uni_a: Alma) -> None:
    def body(shape: str) -> dict[str, object]:
        uni_a.institution.dialect.update(error_shape=shape)
        return uni_a.call("GET", "/users/nobody").json()

    assert body("list")["result"] is None
    assert "result" not in body("no_result")
    assert body("object")["errorsExist"] == "true"
    assert set(body("wrapped")) == {"web_service_result"}


def test_headers(uni_a: Alma) -> None:
    first, second = uni_a.call("GET", "/conf/test"), uni_a.call("GET", "/nothing")
    assert first.headers["server"] == "Layer7-API-Gateway"
    assert first.headers["date"] == "Wed, 25 Nov 2026 09:00:00 GMT"
    assert first.headers["x-request-id"] != second.headers["x-request-id"]
    remaining = [int(one.headers["x-exl-api-remaining"]) for one in (first, second)]
    assert remaining == [999_999, 999_998]


def test_calls_per_second(uni_a: Alma, clock: FakeClock, world: Sandbox) -> None:
    uni_a.institution.quota.per_second = 3
    codes = [uni_a.call("GET", "/conf/test").status_code for _ in range(4)]
    assert codes == [200, 200, 200, 429]
    refused = uni_a.call("GET", "/users/local-1")
    assert refused.json()["errorList"]["error"] == [
        {
            "errorCode": "PER_SECOND_THRESHOLD",
            "errorMessage": "HTTP requests are more than allowed per second. "
            "See https://goo.gl/2x1c1M ",
        }
    ]
    assert [call.performed for call in world.calls] == [True, True, True, False, False]
    clock.advance(timedelta(seconds=1))
    assert uni_a.call("GET", "/conf/test").status_code == 200
    assert uni_a.institution.quota.remaining == 999_996


def test_the_daily_quota_comes_back_at_local_midnight(uni_a: Alma, clock: FakeClock) -> None:
    uni_a.institution.quota.remaining = 1
    assert uni_a.call("GET", "/conf/test").headers["x-exl-api-remaining"] == "0"
    assert code_of(uni_a.call("GET", "/conf/test")) == "DAILY_THRESHOLD"
    uni_a.institution.dialect.update(threshold_body="xml")
    response = uni_a.call("GET", "/conf/test")
    assert response.status_code == 429
    assert "<errorCode>DAILY_THRESHOLD</errorCode>" in response.text
    clock.advance(timedelta(hours=13, minutes=59))  # 23:59 in Vienna
    assert uni_a.call("GET", "/conf/test").status_code == 429
    clock.advance(timedelta(minutes=1))
    assert uni_a.call("GET", "/conf/test").headers["x-exl-api-remaining"] == "999999"


def test_latency(uni_a: Alma) -> None:
    uni_a.institution.latency = 0.05
    started = time.perf_counter()
    uni_a.call("GET", "/conf/test")
    assert time.perf_counter() - started >= 0.05


def test_the_call_log(uni_a: Alma, world: Sandbox) -> None:
    uni_a.hold("local-1", "A0001", "BRANCH", comment="ours")
    uni_a.call("GET", "/users/nobody")
    posted = world.calls.matching("POST", r"/users/[^/]+/requests\?item_pid=")
    assert [(call.status, call.performed) for call in posted] == [(200, True)]
    assert '"comment":"ours"' in posted[0].body
    assert [call.status for call in world.calls.matching(since=posted[0].seq)] == [400]
    world.calls.reset()
    assert len(world.calls) == 0
    uni_a.call("GET", "/conf/test")
    assert [call.seq for call in world.calls] == [3]


def test_two_callers_at_once(uni_a: Alma) -> None:
    """Staff in another thread than the server: the lock keeps every act whole."""
    from concurrent.futures import ThreadPoolExecutor

    def borrow_and_return(number: int) -> None:
        barcode = f"T{number}"
        uni_a.institution.add_book(barcode, barcode, "MAIN", "STACKS")
        for _ in range(5):
            uni_a.institution.loan(barcode, "local-1", "MAIN")
            uni_a.scan(barcode, "MAIN")

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(borrow_and_return, range(4)))
    complete = uni_a.get("/users/local-1/loans", loan_status="Complete", limit=100)
    assert complete["total_record_count"] == 20
