"""/items and /bibs/../holdings/../items: reading, writing, scan-in (alma-api.md 5)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import quote

from reconciler.sandbox.api.bibs import ACTIONS
from reconciler.sandbox.api.call import (
    NO_CONTENT,
    Answer,
    Call,
    find_bib,
    find_item,
    list_answer,
)
from reconciler.sandbox.errors import AlmaError, refusal
from reconciler.sandbox.payloads.item import item_tree
from reconciler.sandbox.records import Item
from reconciler.sandbox.rules import inventory, scanning
from reconciler.sandbox.rules.accounts import code_of

_WRITABLE = {
    "pid",
    "barcode",
    "physical_material_type",
    "policy",
    "library",
    "location",
    *inventory.ITEM_TEXTS,
}


def by_barcode(call: Call) -> Answer:
    """302 to the long path: the redirect itself is one call, following it another (5.3)."""
    barcode = call.text("item_barcode")
    if not barcode or not barcode.strip():
        raise refusal("401690", barcode)
    found = call.view.items_with_barcode(barcode)
    if not found:
        raise refusal("401689", barcode)
    if len(found) > 1 and call.tenant.dialect.duplicate_barcode_lookup == "error":
        raise refusal("401652")
    item = found[0]
    location = call.renderer.link(
        "bibs", item.mms_id, "holdings", item.holding_id, "items", item.pid
    )
    query = _redirect_query(call)
    base = call.base if not location.startswith("http") else ""
    return Answer(302, headers=(("location", f"{base}{location}{query}"),))


def get(call: Call, mms_id: str, holding_id: str, pid: str) -> Answer:
    tolerant = call.tenant.dialect.item_path == "tolerant"
    item = find_item(call, (mms_id, holding_id, pid), tolerant=tolerant)
    return Answer(200, "item", item_tree(call.renderer, item, call.expand))


def list_of_holding(call: Call, mms_id: str, holding_id: str) -> Answer:
    find_bib(call, mms_id)
    rows = _rows(call, mms_id, holding_id)
    order = call.text("order_by")
    if order:
        down = call.text("direction", "desc").lower() == "desc"
        rows.sort(key=lambda item: _order(item, order), reverse=down)
    renderer, expand = call.renderer, call.expand
    return list_answer(call, "item", rows, lambda item: item_tree(renderer, item, expand))


def create(call: Call, mms_id: str, holding_id: str) -> Answer:
    """holding_data is a top-level block; nested in item_data it is silently ignored (5.4)."""
    bib = find_bib(call, mms_id)
    holding = call.view.holding(holding_id)
    if holding is None or holding.mms_id != bib.mms_id:
        raise refusal("402208", holding_id)
    document = call.json()
    fields = _fields(document)
    data = document.get("item_data") or {}
    if code_of(data, "base_status") == "0":
        fields["in_place"] = False
    item = inventory.create_item(call.tenant, holding, fields)
    return Answer(200, "item", item_tree(call.renderer, item))


def update(call: Call, mms_id: str, holding_id: str, pid: str) -> Answer:
    """A body with more than the writable fields is answered 500 (lessons 38)."""
    item = find_item(call, (mms_id, holding_id, pid))
    document = call.json()
    strange = set(document.get("item_data") or {}) - _WRITABLE
    if strange and call.tenant.dialect.item_put_full_body == "refused":
        raise AlmaError("INTERNAL_SERVER_ERROR", "The web server encountered an error.", 500)
    changed = inventory.update_item(call.tenant, item, _fields(document))
    return Answer(200, "item", item_tree(call.renderer, changed))


def delete(call: Call, mms_id: str, holding_id: str, pid: str) -> Answer:
    item = find_item(call, (mms_id, holding_id, pid))
    inventory.delete_item(
        call.tenant,
        item,
        override=call.flag("override"),
        holdings_action=call.choice("holdings", ACTIONS),
        bib_action=call.choice("bib", ACTIONS),
    )
    return NO_CONTENT


def operate(call: Call, mms_id: str, holding_id: str, pid: str) -> Answer:
    """op=scan; other operations are not simulated."""
    if call.text("op") != "scan":
        raise refusal("40166411", "op", call.text("op"))
    if call.view.item(pid) is None:
        raise refusal("40166411", "item_pid", pid)
    item = find_item(call, (mms_id, holding_id, pid))
    library, desk, department = (
        call.text("library"),
        call.text("circ_desk"),
        call.text("department"),
    )
    if bool(desk) == bool(department):
        raise refusal("40166415", "circ_desk,department")
    if not library:
        raise refusal("401664", "library")
    if department:
        kind = call.text("work_order_type")
        scanned = scanning.scan_at_department(call.tenant, item, department, kind)
    else:
        scanned = scanning.scan_in(call.tenant, item, library, desk, _scan_options(call))
    tree = item_tree(call.renderer, scanned.item)
    if call.tenant.dialect.style == "old":
        tree["item_data"]["requested"] = None
    tree["additional_info"] = scanned.additional_info
    return Answer(200, "item", tree)


def _scan_options(call: Call) -> scanning.ScanOptions:
    return scanning.ScanOptions(
        request_id=call.text("request_id"),
        place_on_hold_shelf=call.flag("place_on_hold_shelf"),
        register_in_house_use=call.flag("register_in_house_use", default=True),
    )


def _redirect_query(call: Call) -> str:
    query = {}
    if call.tenant.dialect.redirect_keeps_query:
        dropped = ("item_barcode", "apikey")
        query = {name: value for name, value in call.query.items() if name not in dropped}
    if call.tenant.dialect.redirect_carries_key or "apikey" in call.query:
        query["apikey"] = call.key
    if "format" in call.query:
        query["format"] = call.query["format"]
    pairs = "&".join(f"{name}={quote(value, safe='')}" for name, value in query.items())
    return f"?{pairs}" if pairs else ""


def _rows(call: Call, mms_id: str, holding_id: str) -> list[Item]:
    if holding_id == "ALL":
        rows = call.view.items_of_bib(mms_id)
    else:
        holding = call.view.holding(holding_id)
        known = holding is not None and holding.mms_id == mms_id
        if not known and call.tenant.dialect.unknown_holding_list == "401688":
            raise refusal("401688", mms_id, holding_id)
        rows = call.view.items_of_holding(holding_id) if known else []
    library, location = call.text("current_library"), call.text("current_location")
    if library and library not in call.tenant.libraries:
        raise refusal("402469")
    if library:
        rows = [item for item in rows if item.current_library == library]
    if location:
        rows = [item for item in rows if item.current_location == location]
    return rows


def _order(item: Item, name: str) -> str:
    plain = {"library": item.current_library, "location": item.current_location}
    return plain.get(name) or item.texts.get(name, "")


def _fields(document: Mapping[str, Any]) -> dict[str, Any]:
    """Item's own field names from `{holding_data, item_data}`; 40166404 for a wrong shape."""
    data, holding = document.get("item_data"), document.get("holding_data") or {}
    if not isinstance(data, Mapping) or not isinstance(holding, Mapping):
        raise refusal("40166404")
    fields: dict[str, Any] = {
        "material_type": code_of(data, "physical_material_type"),
        "policy": code_of(data, "policy"),
        "texts": {},
    }
    if "barcode" in data:
        fields["barcode"] = str(data["barcode"] or "")
    for name in inventory.ITEM_TEXTS:
        value = code_of(data, name) if name == "provenance" else data.get(name)
        if isinstance(value, (Mapping, list)):
            raise refusal("40166404")
        if value:
            fields["texts"][name] = str(value)
    if holding:
        fields |= {
            "copy_id": str(holding.get("copy_id") or ""),
            "temp_library": code_of(holding, "temp_library"),
            "temp_location": code_of(holding, "temp_location"),
            "temp_policy": code_of(holding, "temp_policy"),
        }
    return fields
