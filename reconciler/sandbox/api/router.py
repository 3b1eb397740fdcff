"""Addresses and methods to endpoints; anything else is UnknownPath."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from reconciler.sandbox.api import bibs, conf, items, loans, requests, users
from reconciler.sandbox.api.call import Answer, Call
from reconciler.sandbox.errors import UnknownPath

Endpoint = Callable[..., Answer]

_ITEM = "bibs/*/holdings/*/items/*"

ROUTES: Final[tuple[tuple[str, str, Endpoint], ...]] = (
    ("GET", "users", users.search),
    ("POST", "users", users.create),
    ("GET", "users/operation/test", conf.probe),
    ("POST", "users/operation/test", conf.probe),
    ("GET", "users/*", users.get),
    ("PUT", "users/*", users.update),
    ("DELETE", "users/*", users.delete),
    ("POST", "users/*", users.operate),
    ("GET", "users/*/requests", requests.list_of_user),
    ("POST", "users/*/requests", requests.create),
    ("GET", "users/*/requests/*", requests.get),
    ("PUT", "users/*/requests/*", requests.update),
    ("DELETE", "users/*/requests/*", requests.cancel),
    ("GET", "users/*/loans", loans.list_of_user),
    ("POST", "users/*/loans", loans.create),
    ("GET", "users/*/loans/*", loans.get),
    ("POST", "users/*/loans/*", loans.operate),
    ("PUT", "users/*/loans/*", loans.update),
    ("GET", "bibs/test", conf.probe),
    ("POST", "bibs/test", conf.probe),
    ("GET", "bibs", bibs.find),
    ("POST", "bibs", bibs.create),
    ("GET", "bibs/*", bibs.get),
    ("PUT", "bibs/*", bibs.update),
    ("DELETE", "bibs/*", bibs.delete),
    ("GET", "bibs/*/requests", requests.list_of_bib),
    ("POST", "bibs/*/requests", requests.create_on_bib),
    ("GET", "bibs/*/requests/*", requests.get_of_bib),
    ("DELETE", "bibs/*/requests/*", requests.cancel_on_bib),
    ("GET", "bibs/*/request-options", requests.options_of_bib),
    ("GET", "bibs/*/loans", loans.list_of_bib),
    ("GET", "bibs/*/loans/*", loans.get_of_bib),
    ("GET", "bibs/*/holdings", bibs.list_holdings),
    ("POST", "bibs/*/holdings", bibs.create_holding),
    ("GET", "bibs/*/holdings/*", bibs.get_holding),
    ("PUT", "bibs/*/holdings/*", bibs.update_holding),
    ("DELETE", "bibs/*/holdings/*", bibs.delete_holding),
    ("GET", "bibs/*/holdings/*/items", items.list_of_holding),
    ("POST", "bibs/*/holdings/*/items", items.create),
    ("GET", _ITEM, items.get),
    ("PUT", _ITEM, items.update),
    ("DELETE", _ITEM, items.delete),
    ("POST", _ITEM, items.operate),
    ("GET", f"{_ITEM}/requests", requests.list_of_item),
    ("POST", f"{_ITEM}/requests", requests.create_on_item),
    ("GET", f"{_ITEM}/requests/*", requests.get_of_item),
    ("DELETE", f"{_ITEM}/requests/*", requests.cancel_on_item),
    ("GET", f"{_ITEM}/request-options", requests.options_of_item),
    ("GET", f"{_ITEM}/loans", loans.list_of_item),
    ("POST", f"{_ITEM}/loans", loans.create_on_item),
    ("GET", f"{_ITEM}/loans/*", loans.get_of_item),
    ("GET", "items", items.by_barcode),
    ("GET", "conf/test", conf.probe),
    ("POST", "conf/test", conf.probe),
    ("GET", "conf/general", conf.general),
    ("GET", "conf/libraries", conf.libraries),
    ("GET", "conf/libraries/*", conf.library),
    ("GET", "conf/libraries/*/locations", conf.locations),
    ("POST", "conf/libraries/*/locations", conf.create_location),
    ("GET", "conf/libraries/*/locations/*", conf.location),
    ("GET", "conf/libraries/*/circ-desks", conf.desks),
    ("GET", "conf/libraries/*/circ-desks/*", conf.desk),
    ("GET", "conf/code-tables/*", conf.code_table),
    ("GET", "task-lists/test", conf.probe),
    ("POST", "task-lists/test", conf.probe),
    ("GET", "task-lists/requested-resources", conf.requested_resources),
    ("POST", "task-lists/requested-resources", conf.mark_reported),
)

AREAS: Final = {
    "users": "users",
    "bibs": "bibs",
    "items": "bibs",
    "conf": "conf",
    "task-lists": "task-lists",
}


@dataclass(slots=True)
class _Node:
    children: dict[str, _Node] = field(default_factory=dict)
    endpoints: dict[str, Endpoint] = field(default_factory=dict)


def _tree() -> _Node:
    root = _Node()
    for method, pattern, endpoint in ROUTES:
        node = root
        for segment in pattern.split("/"):
            node = node.children.setdefault(segment, _Node())
        node.endpoints[method] = endpoint
    return root


_ROOT: Final = _tree()


def dispatch(call: Call) -> Answer:
    """Run the endpoint of the call's path (segments after /almaws/v1, decoded)."""
    found = _match(_ROOT, call.path, ())
    if found is None:
        raise UnknownPath
    node, captured = found
    endpoint = node.endpoints.get(call.method)
    if endpoint is None:
        raise UnknownPath
    return endpoint(call, *captured)


def _match(
    node: _Node, path: tuple[str, ...], captured: tuple[str, ...]
) -> tuple[_Node, tuple[str, ...]] | None:
    if not path:
        return (node, captured) if node.endpoints else None
    segment, rest = path[0], path[1:]
    if not segment:
        return None
    literal = node.children.get(segment)
    if literal is not None:
        found = _match(literal, rest, captured)
        if found is not None:
            return found
    wild = node.children.get("*")
    return _match(wild, rest, (*captured, segment)) if wild is not None else None
