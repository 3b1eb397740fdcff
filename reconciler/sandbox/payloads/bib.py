"""Bibs and holdings: MARC inside `anies`, availability as AVA fields (alma-api.md 6, 8)."""

from __future__ import annotations

from reconciler.sandbox.marc import PROLOG, DataField
from reconciler.sandbox.payloads.item import bib_data, flag, known_facts
from reconciler.sandbox.payloads.renderer import Renderer, Tree
from reconciler.sandbox.records import Bib, Holding


def bib_tree(
    renderer: Renderer, bib: Bib, expand: frozenset[str] = frozenset(), *, brief: bool = False
) -> Tree:
    """`expand` takes p_avail (AVA in the record, so never in a brief view) and requests.

    Stale counts are those of a day when everything was at home.
    """
    record = bib.record
    if "p_avail" in expand:
        extra = "".join(field.xml() for field in _availability(renderer, bib))
        record = record.replace("</record>", f"{extra}</record>")
    tree: Tree = {
        "mms_id": bib.mms_id,
        "record_format": "marc21",
        "linked_record_id": {"value": None, "type": None},
        "title": bib.title,
        "author": bib.author,
        "issn": bib.facts["issn"],
        "isbn": bib.facts["isbn"],
        "holdings": {"value": None, "link": renderer.link("bibs", bib.mms_id, "holdings")},
        "created_by": "System",
        "created_date": renderer.day(bib.created_at),
        "last_modified_by": "System",
        "last_modified_date": renderer.day(bib.modified_at),
        "suppress_from_publishing": flag(bib.suppressed),
        "suppress_from_external_search": "false",
        "sync_with_oclc": "NONE",
        "sync_with_libraries_australia": "NONE",
        "originating_system": "OTHER",
        "originating_system_id": bib.mms_id,
        "anies": [PROLOG + record],
        "link": None,
        **known_facts(bib),
    }
    if "requests" in expand:
        is_stale = renderer.tenant.dialect.bib_counts == "stale"
        count = 0 if is_stale else len(renderer.view.requests_of_bib(bib.mms_id))
        link = renderer.link("bibs", bib.mms_id, "requests") if count else None
        tree["requests"] = {"value": count, "link": link}
    if brief:
        del tree["anies"]
    return tree


def holding_tree(renderer: Renderer, holding: Holding) -> Tree:
    return {
        "holding_id": holding.holding_id,
        "created_by": "System",
        "created_date": renderer.day(holding.created_at),
        "last_modified_by": "System",
        "last_modified_date": renderer.day(holding.modified_at),
        "originating_system": renderer.tenant.institution_code,
        "originating_system_id": holding.holding_id,
        "suppress_from_publishing": flag(holding.suppressed),
        "calculated_suppress_from_publishing": flag(holding.suppressed),
        "anies": [PROLOG + holding.record],
    }


def holdings_tree(renderer: Renderer, mms_id: str, holdings: list[Holding]) -> Tree:
    """The list carries bib_data beside its rows (fixtures 42)."""
    if not holdings:
        return {"total_record_count": 0}
    rows = [
        {
            "holding_id": one.holding_id,
            "library": renderer.library(one.library),
            "location": renderer.location(one.library, one.location),
            "call_number": one.call_number,
            "suppress_from_publishing": flag(one.suppressed),
            "link": renderer.link("bibs", mms_id, "holdings", one.holding_id),
        }
        for one in holdings
    ]
    bib = renderer.view.bib(mms_id)
    return {
        "holding": rows,
        "bib_data": bib_data(renderer, mms_id, bib),
        "total_record_count": len(rows),
    }


def _availability(renderer: Renderer, bib: Bib) -> list[DataField]:
    tenant = renderer.tenant
    fields = []
    for holding in renderer.view.holdings_of(bib.mms_id):
        items = renderer.view.items_of_holding(holding.holding_id)
        is_stale = tenant.dialect.bib_counts == "stale"
        away = 0 if is_stale else sum(1 for item in items if not item.on_shelf)
        state = "check_holdings" if not items else "available"
        if items and away == len(items):
            state = "unavailable"
        location = tenant.location_name(holding.library, holding.location)
        subfields = (
            ("0", bib.mms_id),
            ("8", holding.holding_id),
            ("a", tenant.institution_code),
            ("b", holding.library),
            ("c", location or holding.location),
            ("d", holding.call_number),
            ("e", state),
            ("f", str(len(items))),
            ("g", str(away)),
            ("j", holding.location),
            ("k", holding.call_number_type),
            ("p", "1"),
            ("q", tenant.library_name(holding.library) or holding.library),
        )
        fields.append(DataField("AVA", " ", " ", subfields))
    return fields
