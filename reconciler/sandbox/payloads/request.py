"""A hold or work order (alma-api.md 3.1, A1) and the options of an item (3.6)."""

from __future__ import annotations

from reconciler.sandbox.payloads.renderer import (
    Renderer,
    Tree,
    coded,
    date_text,
    instant_text,
    unset,
)
from reconciler.sandbox.records import (
    HISTORY,
    IN_TRANSIT,
    NOT_STARTED,
    ON_SHELF,
    PICK,
    SHELF_PROCESSING,
    Request,
)

_SUB_TYPES = {"PATRON_PHYSICAL": "Patron physical item request"}
_TASKS = {
    "de": {
        PICK: "Aus Regal holen",
        IN_TRANSIT: "Exemplar transportieren",
        SHELF_PROCESSING: "Bearbeitung Abholregal",
        ON_SHELF: "Im Abholregal",
    }
}


def request_tree(renderer: Renderer, request: Request) -> Tree:
    view = renderer.view
    bib = view.bib(request.mms_id)
    item = view.item(request.item_pid) if request.item_pid else None
    user = view.user(request.user_key)
    waits = request.status == NOT_STARTED
    tree: Tree = {
        "title": bib.title if bib is not None else None,
        "author": bib.author if bib is not None else None,
        "description": request.description,
        "volume": "",
        "issue": "",
        "part": "",
        "comment": request.comment,
        "barcode": item.barcode if item is not None else None,
        "user_primary_id": user.primary_id if user is not None else None,
        "request_id": request.request_id,
        "additional_id": request.additional_id,
        "request_type": request.request_type,
        "request_sub_type": coded(
            request.sub_type, _SUB_TYPES.get(request.sub_type, request.sub_type)
        ),
        "mms_id": request.mms_id,
        "holding_id": request.holding_id or None,
    }
    tree.update(_places(renderer, request))
    tree.update(
        {
            "material_type": renderer.code("PhysicalMaterialType", request.material_type)
            if request.material_type
            else unset(),
            "last_interest_date": date_text(request.last_interest_date),
            "date_of_publication": "",
            "request_status": request.status,
            "place_in_queue": view.place_in_queue(request) if waits else None,
            "request_date": renderer.day(request.placed_at),
            "request_time": instant_text(request.placed_at),
            "task_name": _task_name(renderer, request),
            "expiry_date": date_text(request.expires_on),
            "item_id": request.item_pid or None,
        }
    )
    if not renderer.tenant.dialect.request_times:
        del tree["request_time"]
    return _without_absent(tree)


def options_tree(renderer: Renderer, user_id: str, holdable: bool) -> Tree:
    """HOLD is missing where the terms of use refuse it; that is all Alma says (fixtures 24)."""
    options: list[Tree] = []
    if holdable:
        url = renderer.link("users", user_id, "requests") + "/"
        options.append({"type": coded("HOLD", "Hold"), "request_url": url})
    options.append({"type": coded("PURCHASE", "Purchase")})
    return {"request_option": options}


def _places(renderer: Renderer, request: Request) -> Tree:
    tenant = renderer.tenant
    managed = (request.managed_library, request.managed_desk)
    tree: Tree = {
        "pickup_location": tenant.library_name(request.pickup_library),
        "pickup_location_type": request.pickup_type,
        "pickup_location_library": request.pickup_library,
        "pickup_location_circulation_desk": request.pickup_desk or None,
        "target_destination": None,
        "managed_by_library": tenant.library_name(managed[0]) or "",
        "managed_by_circulation_desk": tenant.desk_name(*managed) or "",
        "managed_by_library_code": managed[0],
        "managed_by_circulation_desk_code": managed[1],
    }
    if request.request_type != "HOLD":
        target = request.target
        tree.update(pickup_location=None, pickup_location_type=None, pickup_location_library=None)
        tree["target_destination"] = coded(target, tenant.departments.get(target, target))
    if request.pickup_type == "CIRCULATION_DESK":
        desk = tenant.desk_name(request.pickup_library, request.pickup_desk)
        tree["pickup_location"] = f"{tree['pickup_location']} - {desk}"
    return tree


def _task_name(renderer: Renderer, request: Request) -> str | None:
    if request.status in (NOT_STARTED, HISTORY) or not request.task:
        return None
    return _TASKS.get(renderer.language, {}).get(request.task, request.task)


_NEVER_NULL = (
    "holding_id",
    "pickup_location",
    "pickup_location_type",
    "pickup_location_library",
    "pickup_location_circulation_desk",
    "target_destination",
    "user_primary_id",
    "last_interest_date",
    "place_in_queue",
    "task_name",
    "expiry_date",
    "item_id",
)


def _without_absent(tree: Tree) -> Tree:
    """Fields that recordings of any age leave out rather than show as null."""
    for name in _NEVER_NULL:
        if tree[name] is None:
            del tree[name]
    return tree
