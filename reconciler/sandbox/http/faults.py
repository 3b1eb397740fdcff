"""What can be made to go wrong, for which calls, and how often."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, fields
from dataclasses import field as dataclass_field
from typing import Any, Final

from reconciler.sandbox.http.wire import HTML, JSON

NEED_ANSWER: Final = frozenset(
    {
        "truncated",
        "cut",
        "slow",
        "other",
        "missing_field",
        "set_field",
        "xml",
        "gzip",
        "empty_page",
        "shifted_page",
        "reversed_list",
    }
)
KINDS: Final = frozenset(
    {"delay", "hang", "reset", "close", "status", "error", "per_second", "daily", *NEED_ANSWER}
)

_HTML_502: Final = "<html><body><h1>502 Bad Gateway</h1></body></html>"
_HTML_401: Final = (
    "<!doctype html><html><head><title>HTTP Status 401 - Unauthorized</title></head>"
    "<body><h1>HTTP Status 401 - Unauthorized</h1></body></html>"
)
_JSON_500: Final = (
    '{"errorsExist":true,"errorList":{"error":[{"errorCode":"INTERNAL_SERVER_ERROR",'
    '"errorMessage":"The web server encountered an unexpected condition that prevented it from '
    'fulfilling the request.","trackingId":"E01-2511092332-FAULT-AWAE0000000500"}]},"result":null}'
)
_JSON_403: Final = (
    '{"errorsExist":true,"errorList":{"error":[{"errorCode":"INVALID_REQUEST",'
    '"errorMessage":"Invalid API Key"}]},"result":null}'
)

PRESETS: Final[dict[str, dict[str, Any]]] = {
    "json_500": {"kind": "status", "status": 500, "body": _JSON_500, "content_type": JSON},
    "empty_500": {"kind": "status", "status": 500},
    "html_502": {"kind": "status", "status": 502, "body": _HTML_502, "content_type": HTML},
    "empty_503": {"kind": "status", "status": 503},
    "html_504": {
        "kind": "status",
        "status": 504,
        "body": _HTML_502.replace("502 Bad Gateway", "504 Gateway Timeout"),
        "content_type": HTML,
    },
    "html_401": {"kind": "status", "status": 401, "body": _HTML_401, "content_type": HTML},
    "forbidden_403": {"kind": "status", "status": 403, "body": _JSON_403, "content_type": JSON},
    "html_429": {"kind": "status", "status": 429, "body": _HTML_502, "content_type": HTML},
    "html_200": {"kind": "status", "status": 200, "body": _HTML_502, "content_type": HTML},
    "empty_200": {"kind": "status", "status": 200},
    "garbage_200": {"kind": "status", "status": 200, "body": "OK", "content_type": "text/plain"},
    "unknown_word": {"kind": "set_field", "value": "SOMETHING_NEW"},
}


@dataclass(slots=True)
class Fault:
    """One fault and the calls it befalls.

    Matches by `institution` and `method` (None: any) and by `path`, a regular expression searched
    in `path?query` (without the key). Of the matching calls the first `skip` pass, the next
    `times` are hit (None: all). `when` says whether Alma does what was asked: "before" = not done,
    "after" = done, then the fault; kinds that need the real answer are always "after".
    `kind` is a word of KINDS or a name of PRESETS; the other fields belong to some kinds only:
    seconds (delay, slow), status/body/content_type (status), code/message/status (error),
    field/value (set_field, missing_field: dotted, lists are walked), size (slow), value (other:
    the code of the institution whose data is shown instead).
    """

    kind: str
    institution: str | None = None
    method: str | None = None
    path: str = ""
    when: str = "before"
    skip: int = 0
    times: int | None = 1
    name: str = ""
    seconds: float = 1.0
    status: int = 0
    body: str = ""
    content_type: str = ""
    code: str = "401652"
    message: str = ""
    field: str = ""
    value: Any = None
    size: int = 16
    seen: int = dataclass_field(default=0, init=False)
    hits: int = dataclass_field(default=0, init=False)

    def __post_init__(self) -> None:
        self.name = self.name or self.kind
        for name, one in PRESETS.get(self.kind, {}).items():
            if name == "kind" or not getattr(self, name):
                setattr(self, name, one)
        if self.kind not in KINDS:
            known = ", ".join(sorted(KINDS | set(PRESETS)))
            raise ValueError(f"unknown kind of fault {self.kind!r}; known: {known}")
        if self.when not in ("before", "after"):
            raise ValueError(f"when is before or after, not {self.when!r}")
        if self.kind in NEED_ANSWER:
            self.when = "after"
        re.compile(self.path)

    def befalls(self, institution: str, method: str, address: str) -> bool:
        """Whether this call is hit; counts it either way when it matches."""
        if self.institution not in (None, institution) or self.method not in (None, method):
            return False
        if not re.search(self.path, address):
            return False
        self.seen += 1
        if self.seen <= self.skip or (self.times is not None and self.hits >= self.times):
            return False
        self.hits += 1
        return True


class FaultList:
    """Faults in the order added; a call meets the first that befalls it."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []

    def add(self, kind: str, **options: Any) -> Fault:
        """`add("reset", method="POST", path="/loans", when="after", times=2)`."""
        fault = Fault(kind, **options)
        self._faults.append(fault)
        return fault

    def take(self, institution: str, method: str, address: str) -> Fault | None:
        for fault in self._faults:
            if fault.befalls(institution, method, address):
                return fault
        return None

    def clear(self) -> None:
        self._faults.clear()

    def rows(self) -> list[dict[str, Any]]:
        return [asdict(fault) for fault in self._faults]

    def __iter__(self) -> Iterator[Fault]:
        return iter(tuple(self._faults))


def fault_fields() -> set[str]:
    """The names that a fault takes."""
    return {one.name for one in fields(Fault) if one.init}
