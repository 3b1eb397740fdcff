"""/bibs and their holdings (alma-api.md 6)."""

from __future__ import annotations

from typing import Final

from reconciler.sandbox.api.call import (
    NO_CONTENT,
    XML_ONLY,
    Answer,
    Call,
    find_bib,
    find_holding,
    surviving,
)
from reconciler.sandbox.errors import refusal
from reconciler.sandbox.payloads.bib import bib_tree, holding_tree, holdings_tree
from reconciler.sandbox.records import Bib, Holding
from reconciler.sandbox.rules import inventory

ACTIONS: Final = ("retain", "delete", "suppress")


def find(call: Call) -> Answer:
    """By `mms_id` (comma separated, up to 100) or `other_system_id` (an 035). None found: `[]`."""
    if system_id := call.text("other_system_id"):
        bibs = call.view.bibs_by_system_number(system_id)
    else:
        if call.tenant.dialect.bib_list == "refused":
            raise refusal("401652")
        ids = [one for one in call.text("mms_id").split(",") if one]
        if not ids or len(ids) > 100:
            raise refusal("402203", "list")
        found = (call.view.bib(one) for one in dict.fromkeys(ids))
        bibs = [bib for bib in found if bib is not None]
    brief = call.choice("view", ("full", "brief")) == "brief"
    is_plain = call.tenant.dialect.bib_list == "plain"
    expand: frozenset[str] = frozenset() if is_plain else call.expand
    rows = [bib_tree(call.renderer, bib, expand, brief=brief) for bib in bibs]
    return Answer(200, "bibs", {"bib": rows, "total_record_count": len(rows)})


def get(call: Call, mms_id: str) -> Answer:
    bib = find_bib(call, mms_id)
    brief = call.choice("view", ("full", "brief")) == "brief"
    return Answer(200, "bib", bib_tree(call.renderer, bib, call.expand, brief=brief))


def create(call: Call) -> Answer:
    """An explicit override_warning=false needs validate or check_match (section 6)."""
    checks = call.flag("validate") or call.flag("check_match")
    if not call.flag("override_warning", default=True) and not checks:
        raise refusal("401873", "Input parameter override_warning is not valid.")
    posted = inventory.read_xml(call.body, "bib", "402209")
    bib = inventory.create_bib(call.tenant, posted)
    return _bib_answer(call, bib)


def update(call: Call, mms_id: str) -> Answer:
    bib = find_bib(call, mms_id)
    posted = inventory.read_xml(call.body, "bib", "402209")
    return _bib_answer(call, inventory.update_bib(call.tenant, bib, posted))


def delete(call: Call, mms_id: str) -> Answer:
    override = call.flag("override")
    inventory.delete_bib(call.tenant, find_bib(call, mms_id), override=override)
    return NO_CONTENT


def list_holdings(call: Call, mms_id: str) -> Answer:
    """An unknown mms is an empty list here, not an error (fixtures 37)."""
    rows = call.view.holdings_of(surviving(call, mms_id))
    return Answer(200, "holdings", holdings_tree(call.renderer, mms_id, rows))


def get_holding(call: Call, mms_id: str, holding_id: str) -> Answer:
    return _holding_answer(call, find_holding(call, mms_id, holding_id))


def create_holding(call: Call, mms_id: str) -> Answer:
    bib = find_bib(call, mms_id)
    posted = inventory.read_xml(call.body, "holding", "402211")
    return _holding_answer(call, inventory.create_holding(call.tenant, bib, posted))


def update_holding(call: Call, mms_id: str, holding_id: str) -> Answer:
    holding = find_holding(call, mms_id, holding_id)
    posted = inventory.read_xml(call.body, "holding", "402211")
    return _holding_answer(call, inventory.update_holding(call.tenant, holding, posted))


def delete_holding(call: Call, mms_id: str, holding_id: str) -> Answer:
    """There is no override here: an unknown parameter is ignored, items must be gone first."""
    if call.view.bib(mms_id) is None:
        raise refusal("402203", mms_id)
    holding = call.view.holding(holding_id)
    if holding is None or holding.mms_id != mms_id:
        raise refusal("60213")
    inventory.delete_holding(call.tenant, holding, call.choice("bib", ACTIONS))
    return NO_CONTENT


def _bib_answer(call: Call, bib: Bib) -> Answer:
    tree = bib_tree(call.renderer, bib)
    always_xml = call.tenant.dialect.create_bib_reply == "xml"
    return Answer(200, "bib", tree, XML_ONLY if always_xml else ())


def _holding_answer(call: Call, holding: Holding) -> Answer:
    return Answer(200, "holding", holding_tree(call.renderer, holding))
