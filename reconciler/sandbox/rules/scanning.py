"""Scan-in: the one act that decides where an item goes next (alma-api.md 5.5)."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.sandbox.errors import refusal
from reconciler.sandbox.places import CircDesk
from reconciler.sandbox.records import ON_SHELF, SHELF_PROCESSING, Item, Request
from reconciler.sandbox.rules import holds, lending
from reconciler.sandbox.rules.movement import (
    put_in_place,
    relocate,
    send_home,
    send_to_pickup,
    shelve_for,
)
from reconciler.sandbox.tenant import Tenant
from reconciler.sandbox.view import View

_HOLD_LABEL = "Patron physical item request"


@dataclass(frozen=True, slots=True)
class ScanOptions:
    request_id: str = ""
    place_on_hold_shelf: bool = False
    register_in_house_use: bool = True


_PLAIN = ScanOptions()


@dataclass(frozen=True, slots=True)
class Scanned:
    """The item afterwards and Alma's sentence about it."""

    item: Item
    additional_info: str


def scan_in(
    tenant: Tenant, item: Item, library: str, desk: str, options: ScanOptions = _PLAIN
) -> Scanned:
    """Close a loan, then: hold shelf, transit to the pickup, into place, or transit home."""
    place = _desk(tenant, library, desk)
    loan = View(tenant).active_loan(item.pid)
    if loan is not None:
        lending.close(tenant, loan, library, desk)
    _close_work_orders(tenant, item)
    request = _request_to_serve(tenant, item, options.request_id)
    if request is not None:
        scanned = _serve(tenant, item, request, place, (library, options))
    elif library == item.current_library:
        scanned = _reshelve(tenant, item, options)
    else:
        send_home(tenant, item)
        name = tenant.library_name(item.current_library) or item.current_library
        scanned = _sentence(name, "Transit for reshelving", queue=1)
    holds.rebalance(tenant, item.mms_id)
    return Scanned(tenant.items.get(item.pid) or item, scanned)


def scan_at_department(tenant: Tenant, item: Item, department: str, work_order: str) -> Scanned:
    """Into a work-order department: 0 / WORK_ORDER_DEPARTMENT."""
    if department not in tenant.departments:
        raise refusal("40166411", "department", department)
    loan = View(tenant).active_loan(item.pid)
    if loan is not None:
        lending.close(tenant, loan, item.current_library, "")
    moved = relocate(tenant, item, "WORK_ORDER_DEPARTMENT")
    moved = tenant.change(moved, work_order_type=work_order, work_order_at=department)
    holds.rebalance(tenant, item.mms_id)
    return Scanned(moved, _sentence(tenant.departments[department], "In Process", queue=0))


def _desk(tenant: Tenant, library: str, desk: str) -> CircDesk:
    found = tenant.libraries.get(library)
    if found is None:
        raise refusal("40166411", "library", library)
    if desk not in found.desks:
        raise refusal("40166411", "circ_desk", desk)
    return found.desks[desk]


def _close_work_orders(tenant: Tenant, item: Item) -> None:
    for one in View(tenant).requests_of_item(item.pid):
        if one.request_type == "WORK_ORDER":
            holds.end(tenant, one, "fulfilled")


def _request_to_serve(tenant: Tenant, item: Item, request_id: str) -> Request | None:
    chosen = tenant.requests.get(request_id) if request_id else None
    if chosen is not None and chosen.open and chosen.mms_id == item.mms_id:
        return chosen
    return holds.next_in_queue(tenant, item)


def _serve(
    tenant: Tenant,
    item: Item,
    request: Request,
    place: CircDesk,
    scan: tuple[str, ScanOptions],
) -> str:
    library, options = scan
    user = tenant.users.get(request.user_key)
    who = (user.full_name, user.primary_id) if user is not None else ("", "")
    queue = View(tenant).place_in_queue(request)
    if not _picked_up_here(request, library, place):
        send_to_pickup(tenant, item, request)
        name = tenant.library_name(request.pickup_library) or request.pickup_library
        return _sentence(name, _HOLD_LABEL, who, queue)
    waits = place.hold_shelf_processing and not options.place_on_hold_shelf
    again = request.task in (SHELF_PROCESSING, ON_SHELF)
    shelve_for(tenant, item, request, processing=waits and not again)
    return _sentence("On Hold Shelf", _HOLD_LABEL, who, queue)


def _picked_up_here(request: Request, library: str, place: CircDesk) -> bool:
    if request.pickup_library != library or not place.has_hold_shelf:
        return False
    return request.pickup_type != "CIRCULATION_DESK" or request.pickup_desk == place.code


def _reshelve(tenant: Tenant, item: Item, options: ScanOptions) -> str:
    library = tenant.libraries[item.current_library]
    shelf = library.locations.get(item.current_location)
    if not item.on_shelf:
        put_in_place(tenant, item, shelf.reshelving_seconds if shelf is not None else 0.0)
    elif options.register_in_house_use:
        tenant.change(item, in_house_uses=item.in_house_uses + 1)
    name = shelf.name if shelf is not None else item.current_location
    return _sentence(f"Reshelve to {name}", "", queue=0)


def _sentence(
    destination: str, process: str, who: tuple[str, str] = ("", ""), queue: int = 0
) -> str:
    return (
        f"Item's destination is: {destination}. Request/Process Type: {process}. "
        f"Requester: {who[0]}. Requester ID: {who[1]}. Place in Queue: {queue}"
    )
