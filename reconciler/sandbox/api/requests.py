"""Requests of users, items and bibs (alma-api.md 3)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.sandbox.api.call import (
    NO_CONTENT,
    Answer,
    Call,
    all_answer,
    find_bib,
    find_item,
    find_user,
    list_answer,
)
from reconciler.sandbox.errors import refusal
from reconciler.sandbox.payloads.request import options_tree, request_tree
from reconciler.sandbox.records import Bib, Item, Request, User
from reconciler.sandbox.rules import holds
from reconciler.sandbox.rules.accounts import code_of, date_of

_TYPES = ("all_types", "HOLD", "DIGITIZATION", "BOOKING", "MOVE", "WORK_ORDER")


def list_of_user(call: Call, user_id: str) -> Answer:
    user = find_user(call, user_id)
    rows = _listed(call, call.view.requests_of_user(user.key, active=_wants_active(call)))
    renderer = call.renderer
    return list_answer(call, "user_request", rows, lambda row: request_tree(renderer, row))


def list_of_item(call: Call, mms_id: str, holding_id: str, pid: str) -> Answer:
    item = find_item(call, (mms_id, holding_id, pid))
    rows = _listed(call, call.view.requests_of_item(item.pid, active=_wants_active(call)))
    return all_answer("user_request", [request_tree(call.renderer, row) for row in rows])


def list_of_bib(call: Call, mms_id: str) -> Answer:
    bib = find_bib(call, mms_id)
    rows = _listed(call, call.view.requests_of_bib(bib.mms_id, active=_wants_active(call)))
    if call.tenant.dialect.bib_requests == "title_level":
        rows = [row for row in rows if not row.item_level]
    return all_answer("user_request", [request_tree(call.renderer, row) for row in rows])


def get(call: Call, user_id: str, request_id: str) -> Answer:
    """`/users/ALL/requests/{id}` finds it without the owner (3.5)."""
    user = None if user_id == "ALL" else find_user(call, user_id)
    request = _find(call, request_id, user)
    return Answer(200, "user_request", request_tree(call.renderer, request))


def get_of_bib(call: Call, mms_id: str, request_id: str) -> Answer:
    bib = find_bib(call, mms_id)
    request = _find(call, request_id)
    if request.mms_id != bib.mms_id:
        raise refusal(call.tenant.dialect.unknown_request_get)
    return Answer(200, "user_request", request_tree(call.renderer, request))


def get_of_item(call: Call, mms_id: str, holding_id: str, pid: str, request_id: str) -> Answer:
    find_item(call, (mms_id, holding_id, pid))
    return get_of_bib(call, mms_id, request_id)


def create(call: Call, user_id: str) -> Answer:
    user = find_user(call, user_id)
    pid, mms_id = call.text("item_pid"), call.text("mms_id")
    if bool(pid) == bool(mms_id):
        raise refusal("40166415", "mms_id,item_pid")
    if not pid:
        return _place(call, user, find_bib(call, mms_id), None)
    item = call.view.item(pid)
    bib = call.view.bib(item.mms_id) if item is not None else None
    if item is None or bib is None:
        raise refusal("60328")
    return _place(call, user, bib, item)


def create_on_bib(call: Call, mms_id: str) -> Answer:
    return _place(call, find_user(call, call.text("user_id")), find_bib(call, mms_id), None)


def create_on_item(call: Call, mms_id: str, holding_id: str, pid: str) -> Answer:
    user = find_user(call, call.text("user_id"))
    item = find_item(call, (mms_id, holding_id, pid))
    return _place(call, user, find_bib(call, item.mms_id), item)


def update(call: Call, user_id: str, request_id: str) -> Answer:
    """Pickup, comment and last interest date may change."""
    request = _find_open(call, request_id, find_user(call, user_id))
    document = call.json()
    pickup = _pickup(document)
    holds.check_pickup(call.tenant, pickup)
    changed = call.tenant.change(
        request,
        pickup_type=pickup.type,
        pickup_library=pickup.library,
        pickup_desk=pickup.desk,
        comment=document.get("comment"),
        last_interest_date=date_of(document, "last_interest_date"),
    )
    return Answer(200, "user_request", request_tree(call.renderer, changed))


def cancel(call: Call, user_id: str, request_id: str) -> Answer:
    return _cancel(call, _find_open(call, request_id, find_user(call, user_id)))


def cancel_on_bib(call: Call, mms_id: str, request_id: str) -> Answer:
    find_bib(call, mms_id)
    return _cancel(call, _find_open(call, request_id))


def cancel_on_item(call: Call, mms_id: str, holding_id: str, pid: str, request_id: str) -> Answer:
    find_item(call, (mms_id, holding_id, pid))
    return _cancel(call, _find_open(call, request_id))


def options_of_item(call: Call, mms_id: str, holding_id: str, pid: str) -> Answer:
    return _options(call, [find_item(call, (mms_id, holding_id, pid))])


def options_of_bib(call: Call, mms_id: str) -> Answer:
    return _options(call, call.view.items_of_bib(find_bib(call, mms_id).mms_id))


def _wants_active(call: Call) -> bool:
    return call.choice("status", ("active", "history")) == "active"


def _listed(call: Call, rows: list[Request]) -> list[Request]:
    """History is listed only where requests are not anonymised at completion (1.6)."""
    if not _wants_active(call) and not call.tenant.dialect.request_history_listed:
        return []
    kind = call.choice("request_type", _TYPES)
    return [row for row in rows if not row.forgotten and kind in ("all_types", row.request_type)]


def _find(call: Call, request_id: str, user: User | None = None) -> Request:
    request = call.view.request(request_id)
    if request is None or request.forgotten or _hidden(call, request):
        raise refusal(call.tenant.dialect.unknown_request_get)
    if user is not None and request.user_key != user.key:
        raise refusal(call.tenant.dialect.unknown_request_get)
    return request


def _hidden(call: Call, request: Request) -> bool:
    dialect = call.tenant.dialect
    rules = {
        "fulfilled": dialect.fulfilled_request,
        "cancelled": dialect.cancelled_request,
        "expired": dialect.expired_request,
    }
    return not request.open and rules.get(request.closed_why, "history") == "not_found"


def _find_open(call: Call, request_id: str, user: User | None = None) -> Request:
    request = call.view.request(request_id)
    if request is None or not request.open or (user and request.user_key != user.key):
        raise refusal(call.tenant.dialect.unknown_request_delete)
    return request


def _pickup(document: Mapping[str, Any]) -> holds.Pickup:
    return holds.Pickup(
        type=str(document.get("pickup_location_type") or ""),
        library=str(document.get("pickup_location_library") or ""),
        desk=str(document.get("pickup_location_circulation_desk") or ""),
    )


def _place(call: Call, user: User, bib: Bib, item: Item | None) -> Answer:
    document = call.json()
    kind = document.get("request_type")
    if not kind:
        raise refusal("401664", "request_type")
    if kind != "HOLD":
        raise refusal("60331")
    order = holds.HoldOrder(
        user=user,
        bib=bib,
        item=item,
        pickup=_pickup(document),
        comment=document.get("comment"),
        description=document.get("description"),
        material_type=code_of(document, "material_type"),
        last_interest_date=date_of(document, "last_interest_date"),
        allow_same=call.flag("allow_same_request"),
    )
    request = holds.place(call.tenant, order)
    return Answer(200, "user_request", request_tree(call.renderer, request))


def _cancel(call: Call, request: Request) -> Answer:
    reason = call.text("reason")
    if not reason:
        raise refusal("401664", "reason")
    table = call.tenant.code_tables["RequestCancellationReasons"]
    if call.tenant.dialect.validate_cancel_reason and not table.legal(reason):
        raise refusal("40166411", "reason", reason)
    notify = call.flag("notify_user", default=True)
    holds.cancel(call.tenant, request, "cancelled", notify=notify)
    return NO_CONTENT


def _options(call: Call, items: list[Item]) -> Answer:
    user_id = call.text("user_id")
    user = find_user(call, user_id) if user_id else None
    holdable = any(holds.can_request(call.tenant, user, item) for item in items)
    primary_id = user.primary_id if user is not None else ""
    return Answer(200, "request_options", options_tree(call.renderer, primary_id, holdable))
