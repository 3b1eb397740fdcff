"""The virtual item at desks: its way to the pickup library, and the advice not to renew.

The lender's real item is never scanned by us: only a book that stands there may be.
"""

from __future__ import annotations

from typing import Any

from reconciler.core.model import (
    ItemSight,
)
from reconciler.core.staff.parking import ParkReason
from reconciler.core.status import (
    ItemState,
    Role,
    ThingKind,
)
from reconciler.core.view.leg_view import LIVE_REQUEST
from reconciler.engine.effects.records import is_marked
from reconciler.engine.effects.work import (
    Blocked,
    Made,
    Missing,
    Moot,
    PlainVerb,
    Sight,
    Work,
    needs_a_person,
    not_configured,
)
from reconciler.ports.alma import ItemKey

PLEASE_DO_NOT_RENEW = "Please do not renew: another reader waits for this book at its library."


def is_ours_to_move(work: Work, item: ItemSight) -> bool:
    """Whether an item is a virtual one of ours: by its mark, or declared by who tracked it."""
    thing = work.known(ThingKind.ITEM, item_pid=work.leg.item_pid)
    return is_marked(work, item) or (thing is not None and thing.owned and thing.trusted)


def no_item(work: Work) -> Blocked:
    virtual = work.intent.role is not Role.SUPPLIER
    reason = ParkReason.VIRTUAL_ITEM_ABSENT if virtual else ParkReason.ITEM_ABSENT
    return needs_a_person(reason, f"the {work.intent.role}'s item is not known")


async def item_of(work: Work, key: ItemKey) -> ItemSight:
    return await work.alma.item(key.mms_id, key.holding_id, key.item_pid)


class EnsureInTransit(PlainVerb):
    """The virtual item in transit: a scan where its hold is not picked up sends it there."""

    async def look(self, work: Work) -> Sight:
        leg = work.leg
        library = work.config.transit_library
        if library is None:
            return not_configured("transit_library or virtual_library")
        if not leg.has_item_path:
            return no_item(work)
        item = await item_of(work, work.item_key())
        if item.state is ItemState.TRANSIT:
            return Made(note="the virtual item is in transit")
        if item.state in (ItemState.ON_HOLD_SHELF, ItemState.LOANED):
            return Moot("the book has arrived already")
        if item.state not in (ItemState.IN_PLACE, ItemState.REQUESTED):  # a scan would end a loan
            return Moot(f"the virtual item is {item.state}: it does not wait to be sent")
        if not is_ours_to_move(work, item):
            return Moot("the item does not carry our mark: it is not ours to move")
        if leg.user_id is None or leg.request_id is None:
            return Moot("the virtual item has no hold")
        hold = await work.alma.request(leg.user_id, leg.request_id)
        if hold.state not in LIVE_REQUEST:
            return Moot("the hold on the virtual item has ended")
        if hold.pickup_library is None:
            return Made(note="not scanned: Alma does not tell where the hold is picked up")
        if hold.pickup_library == library:
            return Made(
                note=f"not scanned: {library} is also the pickup library and would shelve the item"
            )
        return Missing(library)

    async def act(self, work: Work, found: Any) -> Made | Blocked | None:
        item = await work.alma.scan_in(work.item_key(), found, work.config.circ_desk)
        if item.state is ItemState.ON_HOLD_SHELF:
            return needs_a_person(
                ParkReason.SHELVED_BY_SCAN, f"a scan at {found} put the virtual item on the shelf"
            )
        return None


class EnsureNoRenewal(PlainVerb):
    """Advice at the desk: a note on the virtual item, and a policy that forbids renewals."""

    async def look(self, work: Work) -> Sight:
        if not work.leg.has_item_path:
            return no_item(work)
        item = await item_of(work, work.item_key())
        policy = work.config.no_renew_item_policy
        if PLEASE_DO_NOT_RENEW in (item.fulfillment_note or "") and policy in (None, item.policy):
            return Made(note="the virtual item says: please do not renew")
        if item.state is not ItemState.LOANED:
            return Moot("the virtual item is not on loan any more")
        if not is_ours_to_move(work, item):
            return Moot("the item does not carry our mark: it is not ours to change")
        return Missing(item)

    async def act(self, work: Work, found: Any) -> Made | None:
        before = found.fulfillment_note
        note = f"{before} {PLEASE_DO_NOT_RENEW}" if before else PLEASE_DO_NOT_RENEW
        await work.alma.annotate_item(found, note, work.config.no_renew_item_policy)
        return None
