"""Every way in which Alma, its gateway or the network can say no, as one typed failure.

Classification goes by the error code in the body first and by the HTTP status second, because
the same code comes with different statuses (lessons 7, fixtures 34-37).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

import httpx

from reconciler.alma.document import (
    AN_HTML_PAGE,
    Node,
    NotADocument,
    child,
    children,
    flag,
    parse,
    text,
)
from reconciler.core.mapping import GENERAL_ERROR, NOT_FOUND_CODES
from reconciler.errors import AlmaFailure, FailureKind

_BY_CODE: dict[str, FailureKind] = {
    "PER_SECOND_THRESHOLD": FailureKind.THROTTLED,
    "DAILY_THRESHOLD": FailureKind.QUOTA_EXHAUSTED,
    "UNAUTHORIZED": FailureKind.CREDENTIALS,
    "FORBIDDEN": FailureKind.CREDENTIALS,
    "INTERNAL_SERVER_ERROR": FailureKind.SERVER_ERROR,
    "ROUTING_ERROR": FailureKind.SERVER_ERROR,
    "GENERAL_ERROR": FailureKind.SERVER_ERROR,
}
"""Codes of the gateway (alma-api.md §1.2); every other code is Alma's own refusal."""

_OWN_DOMAIN = (
    "base_url must name the API gateway (api-REGION.hosted.exlibrisgroup.com), "
    "not the institution's own Alma address"
)

_PROVES_ABSENCE = frozenset().union(*NOT_FOUND_CODES.values())
"""These say "there is none" whatever the HTTP status (lesson 7)."""

_ALMA_SAYS = frozenset(
    """
    a accession action address alma an analytics api api-key authority barcode barcodes bib block
    blocked booking call cannot catalog cataloging circulation code community could current daily
    date db delete deletion delivery description desk digitization due elements error errors
    exactly exl expiry external failed field for fulfillment general get given group header holding
    holdings http id identifier ill input instance institution institutional internal invalid
    inventory is item items json library line linked loan local location mandatory manifestation
    marc matching missing mms mmsid move must network new no not number on only operation
    organization parameter parse partner path patron patron's physical pickup pid please po poline
    policy primary process put received record refresh remote request requested requestid requests
    resource rest restricted routing scan scope search see set sharing shipping source status step
    storage the there this threshold title tracking unauthorized unique unknown unsupported update
    uri url user value vocabulary warning work workflow xml your zone
    """.split()  # noqa: SIM905 - as a list it would fill a page
)
"""Words that Alma's messages write with a capital. Any other such word may be a name: a message
quotes the fields of a person as it likes, and a name cannot be told by its form alone."""

_WORD = re.compile(r"[\w'-]+")

_TRACKING_ID = re.compile(r"\b(E\d{2}-\d{10}-[A-Z0-9]{5}-AWAE\d+)\b", re.ASCII)
"""By it Ex Libris finds a call in its logs: it names nobody, and is all that a ticket needs."""

_INVALID_KEY = re.compile(r"invalid api.?key|api-key not defined", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class ErrorBody:
    """The first error of an error body."""

    code: str | None
    message: str
    tracking_id: str | None


def error_in(tree: Node) -> ErrorBody | None:
    """The error that a body carries, in any of its recorded forms; None where there is none.

    Of several the first that says more than "general error".
    """
    tree = child(tree, "web_service_result") or tree
    errors = children(child(tree, "errorList"), "error")
    if not errors:
        return ErrorBody(None, "", None) if flag(tree, "errorsExist") else None
    telling = (each for each in errors if text(each, "errorCode") != GENERAL_ERROR)
    first = next(telling, errors[0])
    message, told = text(first, "errorMessage") or "", text(first, "trackingId")
    in_message = _TRACKING_ID.search(message)
    is_one = told is not None and _TRACKING_ID.fullmatch(told) is not None
    tracking_id = in_message[1] if in_message and not is_one else told
    return ErrorBody(text(first, "errorCode"), message, tracking_id)


def of_answer(status: int, body: bytes, private: Iterable[str] = ()) -> Node | None:
    """The document of a success; None where it has no body. Raises AlmaFailure otherwise.

    A success has a 2xx status and, where there is a body, a document without an error in it.
    `private` are values of the call that Alma may echo in its message; they are masked.
    """
    tree, problem = _read(body)
    error = error_in(tree) if tree is not None else None
    if error is not None:
        raise AlmaFailure(
            _kind(status, error),
            http_status=status,
            code=error.code,
            message=masked(error.message, private),
            tracking_id=error.tracking_id,
        )
    if problem is None and 200 <= status < 300:
        return tree
    if status == 401 and problem == AN_HTML_PAGE:
        problem = f"{problem}; {_OWN_DOMAIN}"
    raise AlmaFailure(_without_code(status), http_status=status, message=problem or "")


def of_transport(error: httpx.HTTPError | httpx.InvalidURL) -> AlmaFailure:
    """The failure that httpx's exception means; its text (which may hold a URL) is not kept."""
    if isinstance(error, httpx.ConnectError | httpx.ConnectTimeout | httpx.PoolTimeout):
        return AlmaFailure(FailureKind.UNREACHABLE)
    if isinstance(error, httpx.TimeoutException):
        return AlmaFailure(FailureKind.TIMEOUT)
    if isinstance(error, httpx.TransportError):
        return AlmaFailure(FailureKind.CONNECTION_LOST)
    return AlmaFailure(FailureKind.UNREADABLE)


def unreadable(what: str, status: int = 200, code: str | None = None) -> AlmaFailure:
    """An answer that came, but is not what was promised; `code` is one of ours for it."""
    return AlmaFailure(FailureKind.UNREADABLE, http_status=status, code=code, message=what)


def masked(message: str, private: Iterable[str] = ()) -> str:
    """A message of Alma's without the values of the call, names, addresses, numbers, long text.

    A tracking id that stands in it is kept.
    """
    values = sorted({each for each in private if len(each) > 1}, key=len, reverse=True)
    parts = _TRACKING_ID.split(message)
    told = (part if n % 2 else _masked(part, values) for n, part in enumerate(parts))
    return " ".join("".join(told).split())[:300]


def _masked(text: str, private: Iterable[str]) -> str:
    for value in private:
        text = re.sub(re.escape(value), "…", text, flags=re.IGNORECASE)
    text = re.sub(r"\S+@\S+", "…", text)
    text = re.sub(r"\S*\d{3,}\S*", "…", text)
    return _WORD.sub(_unless_a_name, text)


def _unless_a_name(word: re.Match[str]) -> str:
    """The word where it is all lower-case Latin letters or one that Alma itself capitalises."""
    said = word[0]
    known = said.lower() in _ALMA_SAYS or (said.isascii() and said == said.lower())
    return said if known else "…"


def _read(body: bytes) -> tuple[Node | None, str | None]:
    """The document of a body, or what is wrong with it; neither where it is empty."""
    if not body.strip():
        return None, None
    try:
        return parse(body), None
    except NotADocument as problem:
        return None, str(problem)


def _kind(status: int, error: ErrorBody) -> FailureKind:
    if error.code in _BY_CODE:
        return _BY_CODE[error.code]
    if error.code in _PROVES_ABSENCE:
        return FailureKind.REFUSED
    if error.code is None or status in (401, 403, 429) or status >= 500:
        return _without_code(status)
    if _INVALID_KEY.search(error.message):
        return FailureKind.CREDENTIALS
    return FailureKind.REFUSED


def _without_code(status: int) -> FailureKind:
    if status in (401, 403):
        return FailureKind.CREDENTIALS
    if status == 429:
        return FailureKind.THROTTLED
    if status >= 500:
        return FailureKind.SERVER_ERROR
    return FailureKind.UNREADABLE
