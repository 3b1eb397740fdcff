"""Holds: placed on one copy with our mark in the comment, found again by it, ended for good."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reconciler.core.commands.placing import hold_pickup
from reconciler.core.mapping import Subject
from reconciler.core.model import DeskCode, ItemSight, LibraryCode, RequestSight, Thing
from reconciler.core.staff.parking import ParkReason
from reconciler.core.status import (
    BOOK_AWAY,
    DcbStatus,
    ItemState,
    RequestState,
    Role,
    ThingKind,
    Workflow,
)
from reconciler.core.view.leg_view import ENDED_REQUEST, LIVE_REQUEST
from reconciler.core.view.ours import our_loan, reissued_hold
from reconciler.engine.effects.work import (
    Blocked,
    Made,
    Missing,
    Moot,
    PlainVerb,
    Sight,
    Work,
    blocked_by,
    gone,
    is_absent_for_long,
    needs_a_person,
    not_configured,
    user_absent,
)
from reconciler.errors import AlmaFailure
from reconciler.ports.alma import NewHold

WORKED_FOR = frozenset({RequestState.ACTIVE, RequestState.ON_HOLD_SHELF})
"""Alma works for such a hold; one that is only placed queues, and the item moves for others."""


class EnsureHold(PlainVerb):
    """A role's hold for its user on its item; the pickup place follows from role and workflow."""

    async def look(self, work: Work) -> Sight:
        leg = work.leg
        if leg.user_id is None or leg.item_pid is None or work.placing is None:
            return needs_a_person(
                ParkReason.MISSING_PLACING_DATA, "user, item or pickup is not known"
            )
        place = self._place(work)
        if place is None:
            return not_configured("sharing_library")
        try:
            listed = await work.alma.user_holds(leg.user_id)
        except AlmaFailure as failure:
            if failure.proves_absent(Subject.USER) and is_absent_for_long(work, failure):
                return user_absent(work)
            raise
        holds = [
            await self._whole(work, hold)
            for hold in listed
            if hold.item_pid in (None, leg.item_pid)
        ]
        ours = [hold for hold in holds if work.marker in (hold.comment or "")]
        if ours:
            return self._taken(work, ours[0])
        if any(hold.item_pid == leg.item_pid for hold in holds):
            return needs_a_person(
                ParkReason.HOLD_NOT_OURS, "the user has a hold on this item that is not ours"
            )
        if work.intent.ambiguities and await self._was_filled(work):
            told = "the hold may have been made, and the book was lent to this user since"
            return needs_a_person(ParkReason.AMBIGUOUS_TWICE, told)
        return Missing(place)

    async def _was_filled(self, work: Work) -> bool:
        """Whether a hold that may have been made is gone because the book was lent by it. Made
        again it would catch the book for a reader who has had it; a hold on a virtual item
        catches nothing, and its id is what the journey goes on by."""
        if work.intent.role is not Role.SUPPLIER:
            return False
        key = work.item_key()
        for completed in (False, True):
            loans = await work.alma.item_loans(
                key.mms_id, key.holding_id, key.item_pid, completed=completed
            )
            mine = await work.not_of_others(work.leg, loans)
            if our_loan(work.transaction, work.leg, mine) is not None:
                return True
        return False

    async def act(self, work: Work, found: Any) -> Made | None:
        leg, (library, desk) = work.leg, found
        if leg.user_id is None or leg.item_pid is None:
            raise LookupError("a hold without its ids")
        note = work.placing.note if work.placing else None
        comment = f"{note} {work.marker}" if note else work.marker
        made = await work.alma.place_hold(
            NewHold(leg.user_id, leg.item_pid, library, desk, comment)
        )
        return self._taken(work, made) if made.request_id else None

    async def refused(self, work: Work, failure: AlmaFailure) -> Sight:
        if failure.code != "401129":
            return blocked_by(failure)
        return blocked_by(failure, await self._why_no_item(work))

    async def _whole(self, work: Work, hold: RequestSight) -> RequestSight:
        """The hold with its comment, which a list does not always show."""
        if hold.comment is not None or hold.request_id is None or work.leg.user_id is None:
            return hold
        return await work.alma.request(work.leg.user_id, hold.request_id)

    def _place(self, work: Work) -> tuple[LibraryCode, DeskCode | None] | None:
        if work.placing is None:
            return None
        return hold_pickup(work.intent.role, work.transaction.workflow, work.placing, work.config)

    def _taken(self, work: Work, hold: RequestSight) -> Made:
        leg = work.leg
        thing = work.new_thing(ThingKind.HOLD, user_id=leg.user_id, request_id=hold.request_id)
        taken = replace(
            leg,
            request_id=hold.request_id,
            request_placed_at=hold.placed_at or leg.request_placed_at,
        )
        return Made((thing,), taken, f"hold {hold.request_id}")

    async def _why_no_item(self, work: Work) -> str:
        """401129 names nothing: say of what, for whom, to where, and what Alma offers."""
        leg, place = work.leg, self._place(work)
        told = f" (item {leg.item_pid}, pickup {place[0] if place else '?'}"
        try:
            if leg.user_id and leg.mms_id and leg.holding_id and leg.item_pid:
                user = await work.alma.user(leg.user_id)
                offered = await work.alma.request_options(
                    leg.mms_id, leg.holding_id, leg.item_pid, leg.user_id
                )
                told += f", user group {user.group}"
                if "HOLD" in offered:
                    told += "; a hold is offered, so the pickup library is what is refused: a "
                    told += "resource sharing library cannot be one"
                else:
                    told += "; no hold is offered to this group: its terms of use forbid it"
        except AlmaFailure:
            told += "; what is offered could not be asked"
        return f"{told})"


_CALLED_OFF = frozenset({DcbStatus.CANCELLED, DcbStatus.NOT_SUPPLIED_CURRENT_SUPPLIER})


class EnsureHoldCancelled(PlainVerb):
    """A hold of ours ended and read back; one that is already gone is a success."""

    async def look(self, work: Work) -> Sight:
        thing = work.thing or work.known(ThingKind.HOLD, request_id=work.leg.request_id)
        if thing is None or not thing.owned:
            return Moot("the hold was placed by somebody else: it is not ours to end")
        leg, request_id = work.leg, thing.request_id
        user_id = leg.user_id if request_id == leg.request_id else thing.user_id
        if user_id is None or request_id is None:
            return Made(gone(thing), note="no hold")
        thing = replace(thing, user_id=user_id)
        try:
            hold = await work.alma.request(user_id, request_id)
        except AlmaFailure as failure:
            if failure.proves_absent(Subject.USER):
                return await self._without_its_user(work, thing)
            if failure.proves_absent(Subject.REQUEST):
                return await self._ended(work, thing)
            raise
        if hold.request_id not in (None, thing.request_id):
            return needs_a_person(ParkReason.ITEM_MISMATCH, "Alma answered with another hold")
        if hold.state in ENDED_REQUEST:
            return await self._ended(work, thing)
        if hold.state in LIVE_REQUEST:
            return await self._while_it_stands(work, hold) or Missing(thing)
        return needs_a_person(ParkReason.UNKNOWN_WORD, f"the hold is {hold.raw}")

    async def _ended(self, work: Work, thing: Thing) -> Sight:
        """One of the lender's that is over may have been placed anew: it would catch the book. Not
        one that the book was lent by."""
        over = Made(gone(thing), note=f"hold {thing.request_id} ended")
        leg = work.leg
        if work.intent.role is not Role.SUPPLIER or leg.loan_seen_at is not None:
            return over
        if not (leg.mms_id and leg.holding_id and leg.item_pid):
            return over
        if work.transaction.status in _CALLED_OFF and await self._was_filled(work):
            told = "the book was lent by this hold: the lend goes on until it is back"
            return Blocked("book_has_left", told, soon=True)
        try:
            listed = await work.alma.item_requests(leg.mms_id, leg.holding_id, leg.item_pid)
        except AlmaFailure as failure:
            if failure.proves_absent(Subject.ITEM):
                return over
            raise
        known = replace(leg, request_id=thing.request_id)
        again = reissued_hold(work.transaction, known, listed)
        if again is None:
            return over
        anew = replace(thing, request_id=again.request_id, user_id=again.user_id or thing.user_id)
        return await self._while_it_stands(work, again) or Missing(anew)

    async def _was_filled(self, work: Work) -> bool:
        """Whether our user has the lender's book on loan, though the lend is called off."""
        leg = work.leg
        if not (leg.mms_id and leg.holding_id and leg.item_pid):
            return False
        active = await work.alma.item_loans(
            leg.mms_id, leg.holding_id, leg.item_pid, completed=False
        )
        mine = await work.not_of_others(leg, active)
        return our_loan(work.transaction, leg, mine) is not None

    async def _while_it_stands(self, work: Work, hold: RequestSight) -> Blocked | None:
        """A lender's hold is never ended unseen: a book in transit for it has left, and a lend that
        does not know that yet learns it first. Once it does, the hold is ended all the same: left
        alive it would send the book out again."""
        if not self._may_have_left(work):
            return None
        item = await self._bound_item(work, hold)
        if item is None or isinstance(item, Blocked):
            return item
        if item.state is ItemState.TRANSIT and hold.state in WORKED_FOR:
            told = "the lender's book has left for this hold: the lend goes on until it is back"
            return Blocked("book_has_left", told, soon=True)
        return None

    def _may_have_left(self, work: Work) -> bool:
        """On-site lending sends no book; of one that is known to have left we know already."""
        transaction = work.transaction
        return (
            work.intent.role is Role.SUPPLIER
            and transaction.workflow in (Workflow.STANDARD, Workflow.PICKUP_ANYWHERE)
            and transaction.status not in BOOK_AWAY
            and transaction.dispatched_at is None
        )

    async def _bound_item(self, work: Work, hold: RequestSight) -> ItemSight | Blocked | None:
        """The copy that the hold is bound to, which may be another than the one asked for; None
        when it is proved to be there no more."""
        leg = work.leg
        is_legs = hold.item_pid in (None, leg.item_pid)
        barcode = hold.barcode or (leg.item_barcode if is_legs else None)
        try:
            if is_legs and leg.mms_id and leg.holding_id and leg.item_pid:
                return await work.alma.item(leg.mms_id, leg.holding_id, leg.item_pid)
            if barcode is not None:
                return await work.alma.item_by_barcode(barcode)
        except AlmaFailure as failure:
            if failure.proves_absent(Subject.ITEM):
                return None
            raise
        told = "the hold is bound to a copy that cannot be looked at"
        return needs_a_person(ParkReason.ITEM_MISMATCH, told)

    async def _without_its_user(self, work: Work, thing: Thing) -> Sight:
        """Deleted with its holds, or renamed or merged: the item's list of holds tells which."""
        leg = work.leg
        if not (leg.mms_id and leg.holding_id and leg.item_pid):
            return user_absent(work)
        try:
            listed = await work.alma.item_requests(leg.mms_id, leg.holding_id, leg.item_pid)
        except AlmaFailure as failure:
            if failure.proves_absent(Subject.ITEM):
                return Made(gone(thing), note=f"hold {thing.request_id} went with its item")
            raise
        hold = next((each for each in listed if each.request_id == thing.request_id), None)
        if hold is None:
            return Made(gone(thing), note=f"hold {thing.request_id} went with its user")
        if hold.user_id is None:
            return user_absent(work)
        stands = await self._while_it_stands(work, hold)
        return stands or Missing(replace(thing, user_id=hold.user_id))

    async def act(self, work: Work, found: Any) -> Made | None:
        reason = work.config.cancellation_reason
        await work.alma.cancel_hold(found.user_id, found.request_id, reason)
        return None

    async def refused(self, work: Work, failure: AlmaFailure) -> Sight:
        if failure.proves_absent(Subject.REQUEST):
            thing = work.thing or work.known(ThingKind.HOLD, request_id=work.leg.request_id)
            return Made(gone(thing), note="the hold was gone already")
        return blocked_by(failure)
