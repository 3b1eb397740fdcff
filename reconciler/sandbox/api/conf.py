"""/conf, the pick list and the area probes (alma-api.md 7, 8, 1.5)."""

from __future__ import annotations

from reconciler.sandbox.api.call import XML_ONLY, Answer, Call, all_answer, list_answer
from reconciler.sandbox.errors import refusal
from reconciler.sandbox.payloads import conf
from reconciler.sandbox.payloads.tasklist import resource_tree
from reconciler.sandbox.places import Library, Location
from reconciler.sandbox.records import PICK, Item, Request
from reconciler.sandbox.rules.accounts import code_of


def libraries(call: Call) -> Answer:
    rows = call.tenant.libraries.values()
    return all_answer("library", [conf.library_tree(call.renderer, one) for one in rows])


def library(call: Call, code: str) -> Answer:
    return Answer(200, "library", conf.library_tree(call.renderer, _library(call, code)))


def locations(call: Call, code: str) -> Answer:
    found = _library(call, code)
    rows = [conf.location_tree(call.renderer, found, place) for place in found.locations.values()]
    return all_answer("location", rows)


def location(call: Call, code: str, location_code: str) -> Answer:
    found = _library(call, code)
    place = found.locations.get(location_code)
    if place is None:
        raise refusal("402119")
    return Answer(200, "location", conf.location_tree(call.renderer, found, place))


def create_location(call: Call, code: str) -> Answer:
    found = _library(call, code)
    document = call.json()
    name, new_code = document.get("name"), document.get("code")
    if not name or not new_code or new_code in found.locations:
        raise refusal("401664", "code" if name else "name")
    kind = code_of(document, "type") or "OPEN"
    if kind not in conf.LOCATION_TYPES:
        raise refusal("60297")
    place = Location(
        code=str(new_code),
        name=str(name),
        suppressed=str(document.get("suppress_from_publishing")).lower() == "true",
        type=kind,
        fulfillment_unit=code_of(document, "fulfillment_unit") or "General",
    )
    found.locations[place.code] = place
    return Answer(200, "location", conf.location_tree(call.renderer, found, place))


def desks(call: Call, code: str) -> Answer:
    found = _library(call, code)
    renderer, rows = call.renderer, list(found.desks.values())
    return list_answer(call, "circ_desk", rows, lambda desk: conf.desk_row(renderer, found, desk))


def desk(call: Call, code: str, desk_code: str) -> Answer:
    found = _library(call, code)
    place = found.desks.get(desk_code)
    if place is None:
        raise refusal("402119")
    return Answer(200, "circ_desk", conf.desk_tree(call.renderer, found, place))


def general(call: Call) -> Answer:
    return Answer(200, "general", conf.general_tree(call.renderer))


def code_table(call: Call, name: str) -> Answer:
    table = call.tenant.code_tables.get(name)
    if table is None:
        raise refusal("40166411", "codeTableName", name)
    return Answer(200, "code_table", conf.code_table_tree(table))


def probe(call: Call) -> Answer:
    """`.../test` proves the key's right in an area: GET read, POST write."""
    text = f"{call.method} - OK - institutionCode: {call.tenant.institution_code}"
    always_xml = call.tenant.dialect.probe_body == "xml"
    return Answer(200, "test", {"test": text}, XML_ONLY if always_xml else ())


def requested_resources(call: Call) -> Answer:
    """What waits to be picked from the shelves of one library: never transit, shelf, loan."""
    rows = _to_pick(call)
    renderer = call.renderer
    return list_answer(call, "requested_resource", rows, lambda row: resource_tree(renderer, *row))


def mark_reported(call: Call) -> Answer:
    call.choice("op", ("mark_reported",))
    rows = [(item, call.tenant.change(one, reported=True)) for item, one in _to_pick(call)]
    renderer = call.renderer
    return list_answer(call, "requested_resource", rows, lambda row: resource_tree(renderer, *row))


def _library(call: Call, code: str) -> Library:
    found = call.tenant.libraries.get(code)
    if found is None:
        raise refusal("402119")
    return found


def _to_pick(call: Call) -> list[tuple[Item, Request]]:
    for name in ("library", "circ_desk"):
        if not call.text(name):
            raise refusal("401664", name)
    library = _library(call, call.text("library"))
    if call.text("circ_desk") not in library.desks:
        raise refusal("402119")
    location = call.text("location")
    rows: list[tuple[Item, Request]] = []
    for request in call.tenant.requests.rows(call.view.at):
        item = _candidate(call, request) if request.task == PICK else None
        if item is None or item.current_library != library.code:
            continue
        if location in ("", item.current_location):
            rows.append((item, request))
    return rows


def _candidate(call: Call, request: Request) -> Item | None:
    if request.item_pid:
        return call.view.item(request.item_pid)
    items = call.view.items_of_bib(request.mms_id)
    return next((item for item in items if item.on_shelf), None)
