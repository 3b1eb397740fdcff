"""Every way to say no becomes one typed failure, by code first and HTTP status second."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Callable

import httpx
import pytest

from reconciler.alma.document import parse
from reconciler.alma.failures import error_in, masked, of_answer, of_transport
from reconciler.errors import AlmaFailure, FailureKind
from tests.support.recorded import recorded

K = FailureKind
TRACKING_ID = "E01-0510215437-ZAEZP-AWAE376692603"


def refused(status: int, content: bytes) -> AlmaFailure:
    with pytest.raises(AlmaFailure) as caught:
        of_answer(status, content)
    return caught.value


def body(code: str, message: str = "") -> bytes:
    error = {"errorCode": code, "errorMessage": message, "trackingId": "E01-1"}
    return json.dumps({"errorsExist": True, "errorList": {"error": [error]}}).encode()


@pytest.mark.parametrize("status", [400, 404, 500])
def test_a_not_found_code_counts_whatever_the_status(status: int) -> None:
    failure = refused(status, body("401861"))
    assert (failure.kind, failure.code) == (K.REFUSED, "401861")


@pytest.mark.parametrize(
    ("status", "content", "kind"),
    [
        (400, body("401129"), K.REFUSED),
        (400, body("401652"), K.REFUSED),
        (500, body("401652"), K.SERVER_ERROR),
        (400, body("UNAUTHORIZED"), K.CREDENTIALS),
        (403, body("INVALID_REQUEST"), K.CREDENTIALS),
        (403, b"", K.CREDENTIALS),
        (400, body("60000", "Invalid API Key"), K.CREDENTIALS),
        (401, b"<html>Unauthorized</html>", K.CREDENTIALS),
        (429, body("PER_SECOND_THRESHOLD"), K.THROTTLED),
        (429, body("DAILY_THRESHOLD"), K.QUOTA_EXHAUSTED),
        (429, b"<html>slow down</html>", K.THROTTLED),
        (429, b"", K.THROTTLED),
        (502, b"<html>Bad Gateway</html>", K.SERVER_ERROR),
        (503, b"", K.SERVER_ERROR),
        (500, b"oops", K.SERVER_ERROR),
        (400, b"oops", K.UNREADABLE),
        (404, b"Not Found", K.UNREADABLE),
        (
            404,
            b'{"web_service_result":{"errorsExist":true,"errorList":{"error":'
            b'{"errorCode":"NOT_FOUND","errorMessage":"","trackingId":"unknown"}}}}',
            K.REFUSED,
        ),
        (200, b"<html>login</html>", K.UNREADABLE),
        (200, b'{"item":', K.UNREADABLE),
        (200, body("401652"), K.REFUSED),
        (200, b'{"errorsExist":"true"}', K.UNREADABLE),
    ],
)
def test_kinds(status: int, content: bytes, kind: FailureKind) -> None:
    assert refused(status, content).kind is kind


def test_a_success_is_its_document() -> None:
    assert of_answer(204, b"") is None
    assert of_answer(200, b" ") is None
    assert of_answer(200, b'{"a": 1}') == {"a": 1}


def test_the_wrong_host_is_named() -> None:
    failure = refused(401, b"<html>HTTP Status 401 - Unauthorized</html>")
    assert "API gateway" in str(failure)


REQUEST = httpx.Request("GET", "https://host/path?apikey=SECRET")


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.ConnectError("x", request=REQUEST), K.UNREACHABLE),
        (httpx.ConnectTimeout("x", request=REQUEST), K.UNREACHABLE),
        (httpx.PoolTimeout("x", request=REQUEST), K.UNREACHABLE),
        (httpx.ReadTimeout("x", request=REQUEST), K.TIMEOUT),
        (httpx.WriteTimeout("x", request=REQUEST), K.TIMEOUT),
        (httpx.ReadError("x", request=REQUEST), K.CONNECTION_LOST),
        (httpx.WriteError("x", request=REQUEST), K.CONNECTION_LOST),
        (httpx.RemoteProtocolError("x", request=REQUEST), K.CONNECTION_LOST),
        (httpx.DecodingError("x", request=REQUEST), K.UNREADABLE),
        (httpx.InvalidURL("x"), K.UNREADABLE),
    ],
)
def test_httpx_exceptions(error: httpx.HTTPError | httpx.InvalidURL, kind: FailureKind) -> None:
    failure = of_transport(error)
    assert failure.kind is kind
    assert "SECRET" not in repr(failure.__dict__)


def test_every_transport_error_of_httpx_is_classified() -> None:
    def concrete(error: type[Exception]) -> list[type[Exception]]:
        below = [each for child in error.__subclasses__() for each in concrete(child)]
        return [error, *below]

    for kind in concrete(httpx.TransportError):
        assert of_transport(kind("x")).kind in {K.UNREACHABLE, K.TIMEOUT, K.CONNECTION_LOST}


def test_only_a_refused_connection_and_429_prove_that_nothing_happened() -> None:
    proving = {kind for kind in FailureKind if AlmaFailure(kind).nothing_happened}
    assert proving == {
        K.UNREACHABLE,
        K.THROTTLED,
        K.QUOTA_EXHAUSTED,
        K.RESTING,
        K.NOT_SENT,
    }


@pytest.mark.parametrize(
    ("message", "private", "expected"),
    [
        (
            "User with identifier ada@uni.org was not found.",
            (),
            "User with identifier … was not found.",
        ),
        ("No items found for barcode 0042.", (), "No items found for barcode …"),
        ("Loan of P/1 x refused", ("P/1 x",), "Loan of … refused"),
        ("a  b\n c", (), "a b c"),
        ("Item renew period exceeded.", (), "Item renew period exceeded."),
        ("Path not found (/test/path)", (), "Path not found (/test/path)"),
        ("Partner code is not valid", (), "Partner code is not valid"),
        ("Primary identifier is missing", (), "Primary identifier is missing"),
        ("Primary identifier of Grete", (), "Primary identifier of …"),
        (
            f"Failed for 0042 of Grete. Tracking ID: {TRACKING_ID}. Call us.",
            (),
            f"Failed for … of …. Tracking ID: {TRACKING_ID}. Call us.",
        ),
        (f"Failed ({TRACKING_ID})", ("AWAE", "E01", TRACKING_ID), f"Failed ({TRACKING_ID})"),
        ("Failed E01-12-ABC-AWAE1", (), "Failed …"),
    ],
)
def test_messages_are_masked(message: str, private: tuple[str, ...], expected: str) -> None:
    assert masked(message, private) == expected


@pytest.mark.parametrize("codes", [("401652", "401689"), ("401689", "401652")])
def test_of_several_errors_the_one_counts_that_says_more(codes: tuple[str, str]) -> None:
    rows = [{"errorCode": code, "errorMessage": ""} for code in codes]
    body = json.dumps({"errorsExist": True, "errorList": {"error": rows}}).encode()
    with pytest.raises(AlmaFailure) as caught:
        of_answer(400, body)
    assert caught.value.code == "401689"


@pytest.mark.parametrize(
    ("told", "message", "expected"),
    [
        ("E01-1", "", "E01-1"),
        (TRACKING_ID, "", TRACKING_ID),
        (None, f"Failed. Tracking id {TRACKING_ID}", TRACKING_ID),
        ("unknown", f"Failed. Tracking id {TRACKING_ID}", TRACKING_ID),
        ("unknown", "Failed.", "unknown"),
        (TRACKING_ID, "E02-0801211404-4N5IL-AWAE1460478537", TRACKING_ID),
        (None, "Failed.", None),
    ],
)
def test_a_tracking_id_is_taken_from_where_it_stands(
    told: str | None, message: str, expected: str | None
) -> None:
    error = {"errorCode": "401873", "errorMessage": message, "trackingId": told}
    failure = refused(400, json.dumps({"errorList": {"error": [error]}}).encode())
    assert failure.tracking_id == expected


def test_the_words_of_recorded_messages_are_not_taken_for_names(
    tell: Callable[[str], None],
) -> None:
    """Every word of Alma's that is written with a capital is kept; ids and numbers are not."""
    kept = Counter[str]()
    for path in recorded("errors"):
        found = None if "html" in path.name else error_in(parse(path.read_bytes()))
        message = found.message if found else ""
        capitals = re.findall(r"\b[A-Z][A-Za-z-]*\b(?!\d)", message)
        assert [word for word in capitals if word not in masked(message)] == [], path.name
        kept.update(capitals)
    assert len(kept) > 15
    tell(f"errors: {sum(kept.values())} capitalised words of recorded messages are kept")


def test_the_documented_messages_are_kept_but_for_their_placeholders() -> None:
    (table,) = [path for path in recorded("errors") if "official" in path.name]
    endpoints = json.loads(table.read_text(encoding="utf-8"))
    messages = {row["message"] for codes in endpoints.values() for row in codes.values()}
    lost = {
        word
        for message in messages
        for word in re.findall(r"[\w'-]+", message)
        if word not in masked(message) and not re.search(r"\d{3}", word)
    }
    placeholders = {"X", "XXX", "Y", "Z"}
    may_be_names = {"Fine", "One", "InstanceOf", "hasInstance"}
    assert lost == placeholders | may_be_names
