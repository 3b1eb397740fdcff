"""An item: `{bib_data, holding_data, item_data, link}` (alma-api.md 5.1)."""

from __future__ import annotations

from reconciler.sandbox.payloads.renderer import (
    Renderer,
    Tree,
    coded,
    instant_text,
    unset,
)
from reconciler.sandbox.records import Bib, Holding, Item

_FACTS = ("network_number", "place_of_publication", "date_of_publication", "publisher_const")
_ENUMERATION = tuple(f"enumeration_{letter}" for letter in "abcdefgh")
_CHRONOLOGY = tuple(f"chronology_{letter}" for letter in "ijklm")
_CALL_NUMBER_TYPES = {"0": "Library of Congress classification", "8": "Other scheme"}


def item_tree(renderer: Renderer, item: Item, expand: frozenset[str] = frozenset()) -> Tree:
    """`expand` takes due_date and due_date_policy."""
    bib = renderer.view.bib(item.mms_id)
    holding = renderer.view.holding(item.holding_id)
    levels = ("bibs", item.mms_id, "holdings", item.holding_id)
    return {
        "bib_data": bib_data(renderer, item.mms_id, bib),
        "holding_data": _holding_data(renderer, item, holding),
        "item_data": _item_data(renderer, item, expand),
        "link": renderer.link(*levels, "items", item.pid),
    }


def bib_data(renderer: Renderer, mms_id: str, bib: Bib | None) -> Tree:
    if bib is None:
        return {"mms_id": mms_id, "title": None}
    return {
        "title": bib.title,
        "author": bib.author,
        "issn": bib.facts["issn"],
        "isbn": bib.facts["isbn"],
        "mms_id": bib.mms_id,
        "bib_suppress_from_publishing": flag(bib.suppressed),
        "complete_edition": bib.facts["complete_edition"],
        **known_facts(bib),
        "link": renderer.link("bibs", bib.mms_id),
    }


def known_facts(bib: Bib) -> Tree:
    """Numbers and imprint: left out when the record has none, never null."""
    return {name: bib.facts[name] for name in _FACTS if bib.facts[name]}


def flag(value: bool) -> str:
    """Suppress flags are strings (fixtures 12)."""
    return "true" if value else "false"


def _holding_data(renderer: Renderer, item: Item, holding: Holding | None) -> Tree:
    call_number = holding.call_number if holding is not None else ""
    kind = holding.call_number_type if holding is not None else ""
    call_number_type = coded(kind, _CALL_NUMBER_TYPES.get(kind, kind))
    suppressed = flag(holding is not None and holding.suppressed)
    temp_library = item.temp_library
    return {
        "holding_id": item.holding_id,
        "holding_suppress_from_publishing": suppressed,
        "calculated_suppress_from_publishing": suppressed,
        "permanent_call_number_type": call_number_type,
        "permanent_call_number": call_number,
        "call_number_type": call_number_type,
        "call_number": call_number,
        "accession_number": "",
        "copy_id": item.copy_id,
        "in_temp_location": bool(item.temp_location),
        "temp_library": renderer.library(temp_library) if temp_library else unset(),
        "temp_location": renderer.location(temp_library, item.temp_location)
        if item.temp_location
        else unset(),
        "temp_call_number_type": coded("", None),
        "temp_call_number": "",
        "temp_call_number_source": "",
        "temp_policy": renderer.code("ItemPolicy", item.temp_policy),
        "link": renderer.link("bibs", item.mms_id, "holdings", item.holding_id),
    }


def _item_data(renderer: Renderer, item: Item, expand: frozenset[str]) -> Tree:
    tenant = renderer.tenant
    texts = item.texts
    tree: Tree = {
        "pid": item.pid,
        "barcode": item.barcode,
        "policy": renderer.code("ItemPolicy", item.policy),
        "provenance": coded(texts.get("provenance", ""), texts.get("provenance")),
        "description": texts.get("description", ""),
        "library": renderer.library(item.current_library),
        "location": renderer.location(item.current_library, item.current_location),
        "pages": texts.get("pages", ""),
        "pieces": texts.get("pieces", ""),
        "requested": renderer.view.is_requested(item),
        "creation_date": renderer.day(item.created_at),
        "modification_date": renderer.day(item.modified_at),
        "base_status": coded("1", "Item in place")
        if item.in_place
        else coded("0", "Item not in place"),
        "awaiting_reshelving": _awaiting(renderer, item),
        "reshelving_time": instant_text(item.reshelve_until) if _awaiting(renderer, item) else None,
        "physical_material_type": renderer.code("PhysicalMaterialType", item.material_type),
        "po_line": "",
        "is_magnetic": False,
        "arrival_date": renderer.day(item.created_at),
        "year_of_issue": "",
    }
    tree.update((name, texts.get(name, "")) for name in _ENUMERATION + _CHRONOLOGY)
    tree.update(
        {
            "break_indicator": coded("", None),
            "pattern_type": coded("", None),
            "linking_number": "",
            "type_of_unit": "",
            "receiving_operator": "import",
            "process_type": coded(item.process, tenant.describe("PROCESSTYPE", item.process)),
        }
    )
    if item.work_order_at:
        kind, at = item.work_order_type, item.work_order_at
        tree["work_order_type"] = coded(kind, kind)
        tree["work_order_at"] = coded(at, tenant.departments.get(at, at))
    tree.update(_notes(item))
    tree.update(_due(renderer, item, expand))
    return tree


def _awaiting(renderer: Renderer, item: Item) -> bool:
    now = renderer.view.at or renderer.tenant.now()
    return item.reshelve_until is not None and now < item.reshelve_until


def _notes(item: Item) -> Tree:
    texts = item.texts
    return {
        "inventory_number": texts.get("inventory_number", ""),
        "inventory_price": texts.get("inventory_price", ""),
        "alternative_call_number": "",
        "alternative_call_number_type": coded("", None),
        "storage_location_id": texts.get("storage_location_id", ""),
        "public_note": texts.get("public_note", ""),
        "fulfillment_note": texts.get("fulfillment_note", ""),
        "internal_note_1": texts.get("internal_note_1", ""),
        "internal_note_2": texts.get("internal_note_2", ""),
        "internal_note_3": texts.get("internal_note_3", ""),
        "statistics_note_1": texts.get("statistics_note_1", ""),
        "statistics_note_2": texts.get("statistics_note_2", ""),
        "statistics_note_3": texts.get("statistics_note_3", ""),
        "edition": None,
        "imprint": None,
        "language": None,
        "physical_condition": unset(),
        "committed_to_retain": unset(),
        "retention_reason": coded("", None),
        "retention_note": texts.get("retention_note", ""),
    }


def _due(renderer: Renderer, item: Item, expand: frozenset[str]) -> Tree:
    """The loan's due date stands in the item only on request (5.1)."""
    loan = renderer.view.active_loan(item.pid)
    tree: Tree = {}
    if "due_date" in expand and loan is not None:
        tree["due_date"] = renderer.due(loan.due_date)
    if "due_date_policy" in expand:
        loanable = renderer.tenant.terms_of_policy(item.policy).loanable
        tree["due_date_policy"] = "Loanable" if loanable else "Not loanable"
    return tree
