"""Where an item goes: onto a hold shelf, on its way, home (alma-api.md 3.3, 5.5)."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, Final

from reconciler.sandbox.records import (
    IN_PROCESS,
    IN_TRANSIT,
    NOT_STARTED,
    ON_HOLD_SHELF,
    ON_SHELF,
    SHELF_PROCESSING,
    Item,
    Letter,
    Request,
)
from reconciler.sandbox.tenant import HOLD_SHELF_DAYS, Tenant

HOLDSHELF: Final = "HOLDSHELF"
TRANSIT: Final = "TRANSIT"


def relocate(tenant: Tenant, item: Item, process: str, *, in_place: bool = False) -> Item:
    """Give the item a process (or none) and forget where it was bound for."""
    return tenant.change(
        item,
        process=process,
        in_place=in_place,
        bound_for="",
        work_order_type="",
        work_order_at="",
        reshelve_until=None,
        availability_changed_at=tenant.now(),
    )


def put_in_place(tenant: Tenant, item: Item, reshelving_seconds: float = 0.0) -> Item:
    placed = relocate(tenant, item, "", in_place=True)
    if reshelving_seconds <= 0:
        return placed
    until = tenant.now() + timedelta(seconds=reshelving_seconds)
    return tenant.change(placed, reshelve_until=until)


def send_home(tenant: Tenant, item: Item) -> Item:
    """In transit for reshelving: no request travels with it."""
    return tenant.change(relocate(tenant, item, TRANSIT), bound_for=item.current_library)


def send_to_pickup(tenant: Tenant, item: Item, request: Request) -> Item:
    """In transit for a hold; the request is bound to this item from now on."""
    library = request.pickup_library
    _follow(tenant, request, item, status=IN_PROCESS, task=IN_TRANSIT)
    return tenant.change(relocate(tenant, item, TRANSIT), bound_for=library)


def shelve_for(tenant: Tenant, item: Item, request: Request, *, processing: bool = False) -> Item:
    """On the hold shelf of the pickup library, or in the step before it when the desk has one."""
    if processing:
        _follow(tenant, request, item, status=IN_PROCESS, task=SHELF_PROCESSING)
    elif request.task != ON_SHELF:
        write_letter(tenant, "FulPlaceOnHoldShelfLetter", request)
        expires = tenant.today() + timedelta(days=HOLD_SHELF_DAYS)
        _follow(tenant, request, item, status=ON_HOLD_SHELF, task=ON_SHELF, expires_on=expires)
    return relocate(tenant, item, HOLDSHELF)


def queue_again(tenant: Tenant, request: Request) -> Request:
    """The item was lost to this request: it waits in the queue as if nothing had been done."""
    return tenant.change(
        request,
        status=NOT_STARTED,
        task="",
        expires_on=None,
        managed_library="",
        managed_desk="",
        item_pid=request.item_pid if request.item_level else "",
    )


def write_letter(tenant: Tenant, kind: str, request: Request) -> None:
    user = tenant.users.get(request.user_key)
    if user is not None:
        letter = Letter(tenant.now(), kind, user.primary_id, request.request_id)
        tenant.letters.append(letter)


def _follow(tenant: Tenant, request: Request, item: Item, **fields: Any) -> None:
    """The request travels with the item, in the care of its pickup desk."""
    library = tenant.libraries.get(request.pickup_library)
    desk = request.pickup_desk or (library.desk_for_holds() if library is not None else "")
    if request.expires_on is None:
        fields.setdefault("expires_on", tenant.today() + timedelta(days=HOLD_SHELF_DAYS))
    tenant.change(
        request,
        item_pid=item.pid,
        holding_id=item.holding_id,
        managed_library=request.pickup_library,
        managed_desk=desk,
        **fields,
    )
