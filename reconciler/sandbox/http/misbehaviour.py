"""Faults at work: each turns the right answer, or none, into what the caller gets."""

from __future__ import annotations

import copy
from collections.abc import Callable
from dataclasses import replace
from typing import Any, Final

from reconciler.sandbox.dialect import Dialect
from reconciler.sandbox.errors import AlmaError, text_of
from reconciler.sandbox.http.channel import Channel, Sleep
from reconciler.sandbox.http.exchange import Exchange
from reconciler.sandbox.http.faults import Fault
from reconciler.sandbox.http.wire import JSON, Reply, error_reply, gateway_reply, with_tree
from reconciler.sandbox.payloads.style import in_style
from reconciler.sandbox.tenant import Tenant

DROPPED: Final = 0


async def deliver(fault: Fault, channel: Channel, reply: Reply, sleep: Sleep) -> int:
    """Carry out a fault of the connection, or send the reply; the status the caller saw."""
    if fault.kind == "hang":
        await channel.hang()
    elif fault.kind == "reset":
        await channel.reset()
    elif fault.kind == "close":
        await channel.close()
    elif fault.kind == "cut":
        await channel.answer_half(reply)
    elif fault.kind == "slow":
        await channel.answer_slowly(reply, fault.size, fault.seconds, sleep)
        return reply.status
    else:
        await channel.answer(reply)
        return reply.status
    return DROPPED


def distort(fault: Fault, exchange: Exchange, reply: Reply, dialect: Dialect) -> Reply:
    """The reply that a fault puts in place of the right one; connections are not touched."""
    as_json = exchange.wants_json
    if fault.kind in ("per_second", "daily"):
        code = "PER_SECOND_THRESHOLD" if fault.kind == "per_second" else "DAILY_THRESHOLD"
        return gateway_reply(code, 429, as_json=dialect.threshold_body == "json" and as_json)
    if fault.kind == "error":
        error = AlmaError(fault.code, fault.message or text_of(fault.code), fault.status or 400)
        tracking = "E01-2511092332-FAULT-AWAE0000000400"
        return error_reply(error, tracking, dialect.error_shape, as_json=as_json)
    if fault.kind == "status":
        return Reply(fault.status, fault.body.encode(), fault.content_type)
    tamper = _TAMPERING.get(fault.kind)
    return tamper(fault, reply, dialect) if tamper is not None else reply


def other_exchange(tenant: Tenant, exchange: Exchange) -> Exchange:
    """The same read of another user, item, request or loan than was asked for."""
    segments = list(exchange.segments)
    for place, name in enumerate(segments[:-1]):
        asked = segments[place + 1]
        other = _other_id(tenant, name, asked)
        if other:
            segments[place + 1] = other
            if name in ("requests", "loans"):
                segments = _under_owner(tenant, name, segments, other)
    return replace(exchange, segments=tuple(segments))


def _truncate(_fault: Fault, reply: Reply, _dialect: Dialect) -> Reply:
    return replace(reply, body=reply.body[: len(reply.body) // 2])


def _gzip(_fault: Fault, reply: Reply, _dialect: Dialect) -> Reply:
    return replace(reply, headers=(*reply.headers, ("content-encoding", "gzip")))


def _as_xml(_fault: Fault, reply: Reply, dialect: Dialect) -> Reply:
    if reply.tree is None:
        return reply
    return with_tree(reply, reply.tree, dialect, as_json=False)


def _edit(fault: Fault, reply: Reply, dialect: Dialect) -> Reply:
    if reply.tree is None:
        return reply
    tree = copy.deepcopy(in_style(reply.tree, dialect.style))
    _walk(tree, fault.field.split("."), fault)
    return with_tree(reply, tree, dialect, as_json=reply.content_type == JSON)


def _page(fault: Fault, reply: Reply, dialect: Dialect) -> Reply:
    """A page without rows, without its first row, or in reverse; the total stays as it was."""
    if not isinstance(reply.tree, dict) or "total_record_count" not in reply.tree:
        return reply
    tree = dict(reply.tree)
    for name, rows in reply.tree.items():
        if isinstance(rows, list):
            tree[name] = rows[::-1] if fault.kind == "reversed_list" else rows[1:]
            if fault.kind == "empty_page":
                del tree[name]
    if fault.kind == "empty_page":
        tree["total_record_count"] = max(1, tree["total_record_count"])
    return with_tree(reply, tree, dialect, as_json=reply.content_type == JSON)


_TAMPERING: Final[dict[str, Callable[[Fault, Reply, Dialect], Reply]]] = {
    "truncated": _truncate,
    "gzip": _gzip,
    "xml": _as_xml,
    "missing_field": _edit,
    "set_field": _edit,
    "empty_page": _page,
    "shifted_page": _page,
    "reversed_list": _page,
}


def _walk(tree: Any, names: list[str], fault: Fault) -> None:
    if isinstance(tree, list):
        for row in tree:
            _walk(row, names, fault)
        return
    if not isinstance(tree, dict):
        return
    if names[0] not in tree and len(tree) <= 2:
        for rows in tree.values():
            if isinstance(rows, list):
                _walk(rows, names, fault)
        return
    if len(names) > 1:
        _walk(tree.setdefault(names[0], {}), names[1:], fault)
    elif fault.kind == "missing_field":
        tree.pop(names[0], None)
    else:
        tree[names[0]] = fault.value


def _other_id(tenant: Tenant, kind: str, asked: str) -> str:
    ids: dict[str, Callable[[], list[str]]] = {
        "users": lambda: [row.primary_id for row in tenant.users.rows()],
        "items": lambda: [row.pid for row in tenant.items.rows()],
        "requests": lambda: [row.request_id for row in tenant.requests.rows()],
        "loans": lambda: [row.loan_id for row in tenant.loans.rows()],
        "bibs": lambda: [row.mms_id for row in tenant.bibs.rows()],
    }
    found = ids[kind]() if kind in ids else []
    return next((one for one in found if one != asked), "")


def _under_owner(tenant: Tenant, kind: str, segments: list[str], row_id: str) -> list[str]:
    """A request or loan is read below its owner: put the owner of the other one there."""
    if segments[2:3] != ["users"]:
        return segments
    request, loan = tenant.requests.get(row_id), tenant.loans.get(row_id)
    row = request if kind == "requests" else loan
    owner = tenant.users.get(row.user_key) if row is not None else None
    return [*segments[:3], owner.primary_id, *segments[4:]] if owner is not None else segments
