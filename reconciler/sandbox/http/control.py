"""`/sandbox/...`: staff, faults, settings and logs over HTTP, for people and other programs.

GET  /sandbox                                what there is: institutions, acts, faults, switches
GET  /sandbox/log?institution=&since=&path=  calls of the API; POST /sandbox/log/reset forgets
GET  /sandbox/acts                           acts of staff and patrons
GET, POST, DELETE /sandbox/faults            faults in force; add one (JSON, see faults.Fault)
GET  /sandbox/{institution}/state            every row
GET  /sandbox/{institution}/ours?marker=     ids of what carries a text
POST /sandbox/{institution}/staff/{act}      an act, its arguments as a JSON object
POST /sandbox/{institution}/settings         read_lag, index_lag, latency, per_second, remaining,
                                             daily, dialect: {switch: word}
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import date, datetime
from inspect import Signature
from typing import TYPE_CHECKING, Any

from reconciler.sandbox.acts.log import ActRefused, acts_of
from reconciler.sandbox.dialect import Dialect
from reconciler.sandbox.errors import AlmaError
from reconciler.sandbox.http.exchange import Exchange
from reconciler.sandbox.http.faults import KINDS, PRESETS, fault_fields
from reconciler.sandbox.http.wire import JSON, Reply
from reconciler.sandbox.inspection import plain
from reconciler.sandbox.institution import Institution

if TYPE_CHECKING:
    from reconciler.sandbox.sandbox import Sandbox

_SECONDS = ("read_lag", "index_lag", "latency")
_CALLS = ("per_second", "daily", "remaining")


class Refused(Exception):
    """A 400 (or 404) of the control side, with its reason."""

    def __init__(self, reason: str, status: int = 400) -> None:
        super().__init__(reason)
        self.status = status


def control(sandbox: Sandbox, exchange: Exchange) -> Reply:
    """Answer a call below /sandbox; errors are `{"error": text}`."""
    try:
        with sandbox.lock:
            tree = _route(sandbox, exchange)
    except Refused as refused:
        return _reply({"error": str(refused)}, refused.status)
    except (ActRefused, AlmaError, ValueError, TypeError) as error:
        return _reply({"error": str(error)}, 400)
    return _reply(tree, 200)


def _reply(tree: Any, status: int) -> Reply:
    return Reply(status, json.dumps(tree, ensure_ascii=False).encode(), JSON)


def _route(sandbox: Sandbox, exchange: Exchange) -> Any:
    path = exchange.segments[1:]
    plain_routes: dict[tuple[str, tuple[str, ...]], Callable[[], Any]] = {
        ("GET", ()): lambda: _overview(sandbox),
        ("GET", ("log",)): lambda: _log(sandbox, exchange),
        ("POST", ("log", "reset")): lambda: _done(sandbox.calls.reset),
        ("GET", ("acts",)): lambda: {"acts": [plain(act) for act in sandbox.acts]},
        ("GET", ("faults",)): lambda: {"faults": sandbox.faults.rows()},
        ("POST", ("faults",)): lambda: _add_fault(sandbox, _document(exchange)),
        ("DELETE", ("faults",)): lambda: _done(sandbox.faults.clear),
    }
    found = plain_routes.get((exchange.method, path))
    if found is not None:
        return found()
    institution = sandbox.institutions.get(path[0]) if path else None
    if institution is None:
        raise Refused(f"no such address: {exchange.method} {exchange.path}", 404)
    return _institution(institution, exchange, path[1:])


def _institution(institution: Institution, exchange: Exchange, path: tuple[str, ...]) -> Any:
    if exchange.method == "GET" and path == ("state",):
        return institution.state()
    if exchange.method == "GET" and path == ("ours",):
        return institution.ours(exchange.query.get("marker") or _missing("marker"))
    if exchange.method == "POST" and path[:1] == ("staff",) and len(path) == 2:
        return _act(institution, path[1], _document(exchange))
    if exchange.method == "POST" and path == ("settings",):
        return _settings(institution, _document(exchange))
    raise Refused(f"no such address: {exchange.method} {exchange.path}", 404)


def _overview(sandbox: Sandbox) -> dict[str, Any]:
    acts = acts_of(Institution)
    return {
        "institutions": {
            code: {"keys": sorted(one.keys), "libraries": sorted(one.libraries)}
            for code, one in sandbox.institutions.items()
        },
        "acts": {name: _parameters(signature) for name, signature in acts.items()},
        "faults": {"kinds": sorted(KINDS), "presets": sorted(PRESETS)},
        "switches": {name: list(words) for name, words in Dialect.choices().items()},
    }


def _parameters(signature: Signature) -> dict[str, str]:
    return {
        name: "required" if one.default is Signature.empty else f"default {one.default!r}"
        for name, one in signature.parameters.items()
        if name != "self"
    }


def _log(sandbox: Sandbox, exchange: Exchange) -> dict[str, Any]:
    since = exchange.query.get("since", "0")
    calls = sandbox.calls.matching(
        path=exchange.query.get("path", ""),
        institution=exchange.query.get("institution", ""),
        since=int(since),
    )
    return {"calls": [call.row() for call in calls]}


def _done(what: Callable[[], None]) -> dict[str, str]:
    what()
    return {"done": "yes"}


def _add_fault(sandbox: Sandbox, document: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(document) - fault_fields())
    if unknown or "kind" not in document:
        names = ", ".join(sorted(fault_fields()))
        raise Refused(f"a fault has a kind and any of: {names}; not {', '.join(unknown)}")
    kind = document.pop("kind")
    return {"fault": plain(sandbox.faults.add(kind, **document))}


def _act(institution: Institution, name: str, document: dict[str, Any]) -> dict[str, Any]:
    acts = acts_of(Institution)
    signature = acts.get(name)
    if signature is None:
        raise Refused(f"no act {name!r}; there are: {', '.join(sorted(acts))}", 404)
    known = [one for one in signature.parameters.values() if one.name != "self"]
    names = [one.name for one in known]
    unknown = sorted(set(document) - set(names))
    missing = [
        one.name for one in known if one.default is Signature.empty and one.name not in document
    ]
    if unknown or missing:
        raise Refused(
            f"{name} takes {', '.join(names) or 'nothing'}; "
            f"missing: {', '.join(missing) or '-'}; unknown: {', '.join(unknown) or '-'}"
        )
    arguments = {one: _argument(one, value) for one, value in document.items()}
    return {"result": plain(getattr(institution, name)(**arguments))}


def _argument(name: str, value: Any) -> Any:
    if name == "due" and value is not None:
        moment = datetime.fromisoformat(str(value))
        if moment.tzinfo is None:
            raise Refused("due needs a time zone, e.g. 2026-12-24T12:00:00Z")
        return moment
    if name == "on" and value is not None:
        return date.fromisoformat(str(value))
    return value


def _settings(institution: Institution, document: dict[str, Any]) -> dict[str, Any]:
    unknown = sorted(set(document) - {*_SECONDS, *_CALLS, "dialect"})
    if unknown:
        raise Refused(f"unknown: {', '.join(unknown)}; known: {', '.join((*_SECONDS, *_CALLS))}")
    for name in set(document) - {"dialect"}:
        unlimited = name == "per_second" and document[name] is None
        if not unlimited and type(document[name]) not in (int, float):
            raise Refused(f"{name} is a number, not {document[name]!r}")
    institution.dialect.update(**document.pop("dialect", {}))
    for name, value in document.items():
        setattr(institution if name in _SECONDS else institution.quota, name, value)
    return {"done": "yes"}


def _document(exchange: Exchange) -> dict[str, Any]:
    if not exchange.body:
        return {}
    document = json.loads(exchange.body)
    if not isinstance(document, dict):
        raise Refused("the body is a JSON object")
    return document


def _missing(name: str) -> str:
    raise Refused(f"missing: {name}")
