"""Configuration answers: libraries, locations, desks, code tables, general (alma-api.md 7)."""

from __future__ import annotations

from reconciler.sandbox.payloads.item import flag
from reconciler.sandbox.payloads.renderer import Renderer, Tree, coded
from reconciler.sandbox.places import CircDesk, CodeTable, Library, Location

LOCATION_TYPES = {
    "OPEN": "Open",
    "CLOSED": "Closed",
    "REMOTE": "Remote Storage",
    "STAFF": "Staff Only",
    "ORDER": "Order Only",
}


def library_tree(renderer: Renderer, library: Library) -> Tree:
    tenant = renderer.tenant
    default = next(iter(library.locations.values()), None)
    return {
        "code": library.code,
        "id": library.id,
        "name": library.name,
        "path": f"{tenant.institution_code[:-5]}.{tenant.institution_code}.{library.code}",
        "description": None,
        "resource_sharing": library.resource_sharing,
        "campus": coded("", None),
        "proxy": "",
        "default_location": coded(default.code, default.name) if default else coded("", None),
        "link": renderer.link("conf", "libraries", library.code),
    }


def location_tree(renderer: Renderer, library: Library, location: Location) -> Tree:
    tree: Tree = {
        "code": location.code,
        "name": location.name,
        "external_name": location.name,
        "type": coded(location.type, LOCATION_TYPES.get(location.type)),
        "remote_storage": "",
        "map": "",
        "suppress_from_publishing": flag(location.suppressed),
        "fulfillment_unit": coded(location.fulfillment_unit, location.fulfillment_unit),
        "accession_placement": coded("none", "None"),
        "call_number_type": coded("", None),
        "link": renderer.link("conf", "libraries", library.code, "locations", location.code),
    }
    if renderer.tenant.dialect.location_desks:
        desks = location.desks or tuple(library.desks)
        tree["circ_desk"] = [_serving_desk(renderer, library, code) for code in desks]
    return tree


def desk_row(renderer: Renderer, library: Library, desk: CircDesk) -> Tree:
    return {
        "code": desk.code,
        "name": desk.name,
        "link": renderer.link("conf", "libraries", library.code, "circ-desks", desk.code),
    }


def desk_tree(renderer: Renderer, library: Library, desk: CircDesk) -> Tree:
    """Only the single-desk read says whether the desk has a hold shelf."""
    served = [
        {"location_code": one.code, "location_name": one.name}
        for one in library.locations.values()
        if not one.desks or desk.code in one.desks
    ]
    return {
        **desk_row(renderer, library, desk),
        "primary": next(iter(library.desks)) == desk.code,
        "reading_room_desk": False,
        "has_hold_shelf": desk.has_hold_shelf,
        "location": served,
    }


def code_table_tree(table: CodeTable) -> Tree:
    return {
        "name": table.name,
        "description": table.name,
        "row": [
            {
                "code": code,
                "description": label,
                "default": False,
                "enabled": code not in table.disabled,
            }
            for code, label in table.rows.items()
        ],
    }


def general_tree(renderer: Renderer) -> Tree:
    tenant = renderer.tenant
    return {
        "institution": coded(tenant.institution_code, tenant.name),
        "environment_type": "SANDBOX",
        "alma_url": renderer.base,
        "time_zone": tenant.zone.key,
        "language": coded("en", "English"),
    }


def _serving_desk(renderer: Renderer, library: Library, code: str) -> Tree:
    return {
        "circ_desk_code": code,
        "circ_desk_name": renderer.tenant.desk_name(library.code, code),
        "check_in": True,
        "check_out": True,
        "reshelve": True,
        "link": renderer.link("conf", "libraries", library.code, "circ-desks", code),
    }
