"""Placing, queueing, ending holds (alma-api.md 3.3, 3.6, 3.7)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any

from reconciler.sandbox.errors import refusal
from reconciler.sandbox.places import Library
from reconciler.sandbox.records import (
    HISTORY,
    IN_PROCESS,
    NOT_STARTED,
    PICK,
    Bib,
    Item,
    Request,
    User,
)
from reconciler.sandbox.rules.movement import (
    HOLDSHELF,
    put_in_place,
    queue_again,
    send_home,
    send_to_pickup,
    shelve_for,
    write_letter,
)
from reconciler.sandbox.tenant import HOLD_SHELF_DAYS, Tenant
from reconciler.sandbox.view import View

_NOT_REQUESTABLE = ("MISSING", "LOST_LOAN", "LOST_LOAN_AND_PAID", "LOST_ILL")


@dataclass(frozen=True, slots=True)
class Pickup:
    type: str = "LIBRARY"
    library: str = ""
    desk: str = ""


@dataclass(frozen=True, slots=True)
class HoldOrder:
    """`item` None is a title-level hold. `allow_same` = allow_same_request of the API."""

    user: User
    bib: Bib
    item: Item | None
    pickup: Pickup
    comment: str | None = None
    description: str | None = None
    material_type: str = ""
    last_interest_date: date | None = None
    allow_same: bool = False


def place(tenant: Tenant, order: HoldOrder) -> Request:
    """A new hold, started at once when its item is free on the shelf."""
    check_pickup(tenant, order.pickup)
    _check_user(tenant, order.user)
    _check_fulfillable(tenant, order)
    _check_not_twice(tenant, order)
    request = Request(
        **_new_numbers(tenant),
        user_key=order.user.key,
        mms_id=order.bib.mms_id,
        placed_at=tenant.now(),
        holding_id=order.item.holding_id if order.item else "",
        item_pid=order.item.pid if order.item else "",
        item_level=order.item is not None,
        pickup_type=order.pickup.type,
        pickup_library=order.pickup.library,
        pickup_desk=order.pickup.desk,
        comment=order.comment,
        description=order.description,
        material_type=order.material_type,
        last_interest_date=order.last_interest_date,
    )
    tenant.save(request)
    rebalance(tenant, order.bib.mms_id)
    return tenant.requests.get(request.request_id) or request


def check_pickup(tenant: Tenant, pickup: Pickup) -> None:
    """401891, 401895, 60308, 60324: the place itself is wrong."""
    if pickup.type in ("USER_HOME_ADDRESS", "USER_WORK_ADDRESS"):
        raise refusal("60308")
    if pickup.type == "INSTITUTION":
        raise refusal("60324")
    if pickup.type not in ("LIBRARY", "CIRCULATION_DESK"):
        raise refusal("401664", "pickup_location_type")
    if not pickup.library:
        raise refusal("401664", "pickup_location_library")
    library = tenant.libraries.get(pickup.library)
    if library is None:
        raise refusal("401891", pickup.library)
    if pickup.type == "CIRCULATION_DESK" and pickup.desk not in library.desks:
        raise refusal("401895", pickup.desk, pickup.library)


def can_request(tenant: Tenant, user: User | None, item: Item) -> bool:
    """Terms of use alone, as request-options tells them: the pickup place is not considered."""
    if user is not None and not tenant.terms_of_group(user.user_group).may_request:
        return False
    if item.process in _NOT_REQUESTABLE:
        return False
    return tenant.terms_of_policy(item.temp_policy or item.policy).requestable


def rebalance(tenant: Tenant, mms_id: str) -> None:
    """Start the first hold of each free item of a title; the others wait."""
    view = View(tenant)
    free: list[Item] = []
    for item in view.items_of_bib(mms_id):
        queue = [one for one in view.requests_of_item(item.pid) if one.request_type == "HOLD"]
        waiting = [one for one in queue if not one.moving]
        on_shelf = item.on_shelf and len(waiting) == len(queue)
        for position, request in enumerate(waiting):
            _set_picking(tenant, request, item if on_shelf and position == 0 else None)
        if on_shelf and not queue and can_request(tenant, None, item):
            free.append(item)
    titles = [one for one in view.requests_of_bib(mms_id) if not one.item_pid]
    for position, request in enumerate(titles):
        _set_picking(tenant, request, free[position] if position < len(free) else None)


def end(tenant: Tenant, request: Request, why: str) -> Request:
    """Close the record only: HISTORY, with the reason that Alma does not show (3.3)."""
    return tenant.change(request, status=HISTORY, task="", closed_at=tenant.now(), closed_why=why)


def cancel(tenant: Tenant, request: Request, why: str, *, notify: bool = True) -> Request:
    """End an open request; its item goes to the next in the queue, home, or into place."""
    if notify:
        write_letter(tenant, "FulCancelRequestLetter", request)
    closed = end(tenant, request, why)
    item = tenant.items.get(request.item_pid)
    if item is not None and request.moving:
        _release(tenant, item, request)
    rebalance(tenant, request.mms_id)
    return closed


def reissue(tenant: Tenant, request: Request) -> Request:
    """The same request under a new id, for the same user with the same comment; the old one is
    HISTORY. What its item does goes on for the new one."""
    numbers = _new_numbers(tenant)
    anew = tenant.save(replace(request, **numbers, placed_at=tenant.now()))
    end(tenant, request, "reissued")
    rebalance(tenant, request.mms_id)
    return tenant.requests.get(anew.request_id) or anew


def move_to_copy(tenant: Tenant, request: Request, copy: Item) -> Request:
    """Another copy of the title serves the request; the first goes to who waits, or home."""
    left = tenant.items.get(request.item_pid)
    waiting = queue_again(tenant, request)
    moved = tenant.change(waiting, item_pid=copy.pid, holding_id=copy.holding_id)
    if left is not None and request.moving:
        _release(tenant, left, request)
    rebalance(tenant, request.mms_id)
    return tenant.requests.get(moved.request_id) or moved


def next_in_queue(tenant: Tenant, item: Item) -> Request | None:
    """The request an item should serve: one under way, else the oldest, started ones first."""
    view = View(tenant)
    bound = [one for one in view.requests_of_item(item.pid) if one.request_type == "HOLD"]
    moving = next((one for one in bound if one.moving), None)
    if moving is not None:
        return moving
    titles = [one for one in view.requests_of_bib(item.mms_id) if not one.item_pid]
    if titles and not can_request(tenant, None, item):
        titles = []
    queue = sorted(bound + titles, key=lambda one: (one.status == NOT_STARTED, one.request_id))
    return queue[0] if queue else None


def _new_numbers(tenant: Tenant) -> dict[str, Any]:
    """The three numbers that a request goes by."""
    request_id = tenant.new_id("request")
    digits = request_id[3:10]
    return {
        "request_id": request_id,
        "task_id": tenant.new_id("task"),
        "additional_id": f"{digits[:3]}-{digits[3:6]}-{digits[6:]}",
    }


def _check_user(tenant: Tenant, user: User) -> None:
    if user.expiry_date is not None and user.expiry_date < tenant.today():
        raise refusal("401873", "Patron's card has expired.")
    block = next((one for one in user.blocks if one.status == "ACTIVE"), None)
    if block is not None:
        raise refusal("401873", f"Patron is blocked: {block.description}.")


def _check_fulfillable(tenant: Tenant, order: HoldOrder) -> None:
    library = tenant.libraries[order.pickup.library]
    items = [order.item] if order.item else View(tenant).items_of_bib(order.bib.mms_id)
    if not any(_serves(tenant, order.user, item, library) for item in items):
        raise refusal("401129")


def _serves(tenant: Tenant, user: User, item: Item, pickup: Library) -> bool:
    if pickup.resource_sharing and tenant.dialect.resource_sharing_pickup == "refused":
        return False
    age = tenant.now() - item.availability_changed_at
    if age < timedelta(seconds=tenant.index_lag):
        return False
    owner = tenant.libraries.get(item.current_library)
    place = owner.locations.get(item.current_location) if owner is not None else None
    if place is not None and place.pickups is not None and pickup.code not in place.pickups:
        return False
    return can_request(tenant, user, item)


def _check_not_twice(tenant: Tenant, order: HoldOrder) -> None:
    for one in View(tenant).requests_of_user(order.user.key):
        same_item = order.item is not None and one.item_pid == order.item.pid
        same_title = one.mms_id == order.bib.mms_id and not order.allow_same
        if same_item or same_title:
            raise refusal("401136")


def _set_picking(tenant: Tenant, request: Request, item: Item | None) -> None:
    if item is None or tenant.dialect.fresh_hold == "not_started":
        if request.status != NOT_STARTED:
            queue_again(tenant, request)
        return
    if request.task == PICK:
        return
    library = tenant.libraries.get(item.current_library)
    tenant.change(
        request,
        status=IN_PROCESS,
        task=PICK,
        managed_library=item.current_library,
        managed_desk=library.desk_for_holds() if library is not None else "",
        expires_on=tenant.today() + timedelta(days=HOLD_SHELF_DAYS),
    )


def _release(tenant: Tenant, item: Item, ended: Request) -> None:
    """The item was moving for a request that has just ended."""
    shelved = item.process == HOLDSHELF
    if shelved and tenant.dialect.cancelled_on_shelf == "stays":
        return
    following = next_in_queue(tenant, item)
    if following is not None:
        if shelved and following.pickup_library == ended.pickup_library:
            shelve_for(tenant, item, following)
        else:
            send_to_pickup(tenant, item, following)
    elif shelved and ended.pickup_library == item.current_library:
        put_in_place(tenant, item)
    elif item.process in (HOLDSHELF, "TRANSIT"):
        send_home(tenant, item)
