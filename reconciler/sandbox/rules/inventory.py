"""Bibs, holdings and items: creating, changing, removing (alma-api.md 5.4, 6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from types import MappingProxyType
from typing import Any, Final

from reconciler.sandbox.errors import AlmaError, refusal
from reconciler.sandbox.marc import Marc, Posted, bib_facts, read_posted
from reconciler.sandbox.records import Bib, Holding, Item
from reconciler.sandbox.rules import holds, lending
from reconciler.sandbox.rules.movement import put_in_place, relocate
from reconciler.sandbox.tenant import Tenant
from reconciler.sandbox.view import View

ITEM_TEXTS: Final = (
    "description",
    "public_note",
    "fulfillment_note",
    "internal_note_1",
    "internal_note_2",
    "internal_note_3",
    "statistics_note_1",
    "statistics_note_2",
    "statistics_note_3",
    "pieces",
    "pages",
    "enumeration_a",
    "enumeration_b",
    "enumeration_c",
    "chronology_i",
    "chronology_j",
    "inventory_number",
    "inventory_price",
    "provenance",
    "retention_note",
    "storage_location_id",
)
ITEM_CODES: Final = {"material_type": "PhysicalMaterialType", "policy": "ItemPolicy"}


def read_xml(body: bytes, root: str, code: str) -> Posted:
    """The posted record; JSON is refused with 60105, anything unreadable with `code`."""
    if body.lstrip()[:1] in (b"{", b"["):
        raise refusal("60105")
    try:
        return read_posted(body, root)
    except ValueError as error:
        raise refusal(code) from error


def create_bib(tenant: Tenant, posted: Posted) -> Bib:
    mms_id, now = tenant.new_id("mms"), tenant.now()
    return tenant.save(
        Bib(
            mms_id=mms_id,
            suppressed=bool(posted.suppressed),
            created_at=now,
            modified_at=now,
            **_bib_fields(tenant, mms_id, posted.marc),
        )
    )


def update_bib(tenant: Tenant, bib: Bib, posted: Posted) -> Bib:
    suppressed = bib.suppressed if posted.suppressed is None else posted.suppressed
    fields = _bib_fields(tenant, bib.mms_id, posted.marc)
    return tenant.change(bib, suppressed=suppressed, modified_at=tenant.now(), **fields)


def merge_bib(tenant: Tenant, merged: Bib, stays: Bib) -> Bib:
    """All that hangs on `merged` hangs on `stays` from now on, which gets its 035s as well."""
    view = View(tenant)
    for holding in view.holdings_of(merged.mms_id):
        tenant.change(holding, mms_id=stays.mms_id)
    for item in view.items_of_bib(merged.mms_id):
        tenant.change(item, mms_id=stays.mms_id)
    for active in (True, False):
        for request in view.requests_of_bib(merged.mms_id, active=active):
            tenant.change(request, mms_id=stays.mms_id)
        for loan in view.loans_of_bib(merged.mms_id, active=active):
            tenant.change(loan, mms_id=stays.mms_id)
    tenant.drop(merged)
    tenant.merged_bibs[merged.mms_id] = stays.mms_id
    ours, theirs = (
        read_posted(f"<bib>{one.record}</bib>".encode(), "bib") for one in (stays, merged)
    )
    numbers = tuple(one for one in theirs.marc.fields if one.tag == "035")
    record = replace(ours.marc, fields=(*numbers, *ours.marc.fields))
    return update_bib(tenant, stays, replace(ours, marc=record))


def delete_bib(tenant: Tenant, bib: Bib, *, override: bool) -> None:
    """Items below always refuse; bare holdings go with `override`, else refuse too."""
    view = View(tenant)
    if view.items_of_bib(bib.mms_id):
        raise refusal("4022020", "The record has items.")
    holdings = view.holdings_of(bib.mms_id)
    if holdings and not override:
        raise refusal("4022020", "The record has holdings.")
    for holding in holdings:
        tenant.drop(holding)
    for request in view.requests_of_bib(bib.mms_id):
        holds.cancel(tenant, request, "cancelled")
    tenant.drop(bib)


def merge_bibs(tenant: Tenant, keep: Bib, lose: Bib) -> Bib:
    """`lose` is gone, its id unknown; what hung there hangs at `keep`, under its own ids.

    The 035s come along. An address that still names the old id is answered as any other wrong one:
    GET item finds the item by its pid, everything else does not (5.3, 6).
    """
    records = [read_posted(f"<bib>{one.record}</bib>".encode(), "bib").marc for one in (keep, lose)]
    numbers = tuple(one for one in records[1].fields if one.tag == "035")
    fields = tuple(sorted((*records[0].fields, *numbers), key=lambda one: one.tag))
    merged = Posted(replace(records[0], fields=fields), suppressed=None)
    view, mms_id = View(tenant), keep.mms_id
    for item in view.items_of_bib(lose.mms_id):
        tenant.change(item, mms_id=mms_id)
    for holding in view.holdings_of(lose.mms_id):
        tenant.change(holding, mms_id=mms_id)
    for active in (True, False):
        for request in view.requests_of_bib(lose.mms_id, active=active):
            tenant.change(request, mms_id=mms_id)
        for loan in view.loans_of_bib(lose.mms_id, active=active):
            tenant.change(loan, mms_id=mms_id)
    tenant.drop(lose)
    changed = update_bib(tenant, keep, merged)
    holds.rebalance(tenant, mms_id)
    return changed


def create_holding(tenant: Tenant, bib: Bib, posted: Posted) -> Holding:
    holding_id, now = tenant.new_id("holding"), tenant.now()
    return tenant.save(
        Holding(
            holding_id=holding_id,
            mms_id=bib.mms_id,
            suppressed=bool(posted.suppressed),
            created_at=now,
            modified_at=now,
            **_holding_fields(tenant, holding_id, posted.marc),
        )
    )


def update_holding(tenant: Tenant, holding: Holding, posted: Posted) -> Holding:
    """Moving a holding moves its items' permanent location."""
    suppressed = holding.suppressed if posted.suppressed is None else posted.suppressed
    fields = _holding_fields(tenant, holding.holding_id, posted.marc)
    for item in View(tenant).items_of_holding(holding.holding_id):
        tenant.change(item, library=fields["library"], location=fields["location"])
    return tenant.change(holding, suppressed=suppressed, modified_at=tenant.now(), **fields)


def delete_holding(tenant: Tenant, holding: Holding, bib_action: str = "retain") -> None:
    """60214 while items exist; `bib_action` retain, delete or suppress when it was the last."""
    if View(tenant).items_of_holding(holding.holding_id):
        raise refusal("60214")
    tenant.drop(holding)
    bib = tenant.bibs.get(holding.mms_id)
    if bib is None or View(tenant).holdings_of(holding.mms_id):
        return
    if bib_action == "delete":
        delete_bib(tenant, bib, override=True)
    elif bib_action == "suppress":
        tenant.change(bib, suppressed=True, modified_at=tenant.now())


def create_item(tenant: Tenant, holding: Holding, fields: Mapping[str, Any]) -> Item:
    """`fields` are Item's own names; a missing barcode is generated or left empty (dialect)."""
    pid, now = tenant.new_id("item"), tenant.now()
    barcode = fields.get("barcode") or ""
    if not barcode and tenant.dialect.generate_barcode:
        barcode = f"A{pid[2:11]}"
    _check_codes(tenant, fields)
    _check_barcode(tenant, barcode, pid)
    texts = MappingProxyType(dict(fields.get("texts", {})))
    own = {key: value for key, value in fields.items() if key not in ("barcode", "texts")}
    item = Item(
        pid=pid,
        mms_id=holding.mms_id,
        holding_id=holding.holding_id,
        library=holding.library,
        location=holding.location,
        barcode=barcode,
        texts=texts,
        created_at=now,
        modified_at=now,
        availability_changed_at=now,
        **{"material_type": "", "policy": "", **own},
    )
    tenant.save(item)
    holds.rebalance(tenant, item.mms_id)
    return item


def update_item(tenant: Tenant, item: Item, fields: Mapping[str, Any]) -> Item:
    """Swap: texts that are not sent become empty, unless the dialect merges."""
    if tenant.dialect.item_put_on_loan == "refused" and View(tenant).active_loan(item.pid):
        raise refusal("401652")
    _check_codes(tenant, fields)
    _check_barcode(tenant, fields.get("barcode", item.barcode), item.pid)
    sent = dict(fields)
    texts = dict(sent.pop("texts", {}))
    if tenant.dialect.item_put == "merge":
        texts = {**item.texts, **texts}
    return tenant.change(item, texts=MappingProxyType(texts), **sent)


def delete_item(
    tenant: Tenant,
    item: Item,
    *,
    override: bool,
    holdings_action: str = "retain",
    bib_action: str = "retain",
) -> None:
    """401849 when on loan or requested without `override`; then the levels above, as asked."""
    _clear_circulation(tenant, item, override=override)
    tenant.drop(item)
    holding = tenant.holdings.get(item.holding_id)
    if holding is None or View(tenant).items_of_holding(holding.holding_id):
        return
    if holdings_action == "delete":
        delete_holding(tenant, holding, bib_action)
    elif holdings_action == "suppress":
        tenant.change(holding, suppressed=True, modified_at=tenant.now())


def set_process(tenant: Tenant, item: Item, process: str, *, in_place: bool = False) -> Item:
    """Any word Alma might show; "" puts the item in place."""
    changed = (
        put_in_place(tenant, item)
        if in_place and not process
        else relocate(tenant, item, process, in_place=in_place)
    )
    holds.rebalance(tenant, item.mms_id)
    return changed


def _clear_circulation(tenant: Tenant, item: Item, *, override: bool) -> None:
    view = View(tenant)
    loan, requests = view.active_loan(item.pid), view.requests_of_item(item.pid)
    firm = loan is not None and not tenant.dialect.override_deletes_loaned
    if loan is not None and (not override or firm):
        raise refusal("401849", "Item is on loan.")
    if requests and not override:
        raise refusal("401849", "Item has requests.")
    if loan is not None:
        lending.close(tenant, loan, "", "")
    for request in view.requests_of_item(item.pid):
        holds.cancel(tenant, request, "cancelled")


def _bib_fields(tenant: Tenant, mms_id: str, marc: Marc) -> dict[str, Any]:
    facts = bib_facts(marc)
    return {
        "record": marc.xml(mms_id, _stamp(tenant)),
        "title": facts["title"],
        "author": facts["author"],
        "facts": MappingProxyType(facts),
    }


def _holding_fields(tenant: Tenant, holding_id: str, marc: Marc) -> dict[str, Any]:
    field = marc.field("852")
    parts = dict(field.subfields) if field is not None else {}
    library, location = parts.get("b", ""), parts.get("c", "")
    if field is None or tenant.location_name(library, location) is None:
        raise refusal("33008", f"Invalid library or location: {library} {location}")
    call_number = " ".join(parts[code] for code in "hij" if code in parts)
    return {
        "record": marc.xml(holding_id, _stamp(tenant)),
        "library": library,
        "location": location,
        "call_number": call_number,
        "call_number_type": field.ind1.strip(),
    }


def _stamp(tenant: Tenant) -> str:
    return tenant.now().astimezone(tenant.zone).strftime("%Y%m%d%H%M%S.0")


def _check_codes(tenant: Tenant, fields: Mapping[str, Any]) -> None:
    for name, table in ITEM_CODES.items():
        code = fields.get(name)
        if code and not tenant.legal(table, code):
            raise refusal("401873", f"Invalid {name} code: {code}")


def _check_barcode(tenant: Tenant, barcode: str, pid: str) -> None:
    if not barcode:
        return
    others = [one for one in View(tenant).items_with_barcode(barcode) if one.pid != pid]
    if others:
        code = tenant.dialect.duplicate_barcode_code
        raise AlmaError(code, f"Request failed: Barcode {barcode} already exists.")
