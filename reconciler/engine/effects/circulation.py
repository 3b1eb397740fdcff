"""Loans and scans: the lender's loan, the virtual item's way, a loan closed, a date carried over.

The lender's real item is never scanned by us: only a book that stands there may be.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reconciler.core.mapping import Subject
from reconciler.core.measures import SAME_DUE_DATE
from reconciler.core.model import ItemSight, Leg, LoanId, LoanSight, Thing, UserId
from reconciler.core.ours import is_our_user, our_loan
from reconciler.core.parking import ParkReason
from reconciler.core.status import ItemState, LoanState, Role, ThingKind, pickup_side
from reconciler.core.view import LIVE_REQUEST
from reconciler.engine.effects.records import is_marked
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
    is_absent,
    needs_a_person,
    not_configured,
    user_absent,
)
from reconciler.errors import AlmaFailure
from reconciler.ports.alma import ItemKey, NewLoan

PLEASE_DO_NOT_RENEW = "Please do not renew: another reader waits for this book at its library."


def _is_ours_to_move(work: Work, item: ItemSight) -> bool:
    """Whether an item is a virtual one of ours: by its mark, or declared by who tracked it."""
    thing = work.known(ThingKind.ITEM, item_pid=work.leg.item_pid)
    return is_marked(work, item) or (thing is not None and thing.owned and thing.trusted)


async def _find_ours(
    work: Work, active: tuple[LoanSight, ...]
) -> tuple[Leg, LoanSight | None] | Blocked:
    """Our loan among the item's active ones, and the leg with the id by which Alma names our user.

    Where it knows nobody by the id that we have, whose loan it is cannot be said: he may have
    been renamed.
    """
    leg = work.leg
    ours = our_loan(work.transaction, leg, active)
    strangers = [loan for loan in active if not is_our_user(leg, loan.user_id)]
    if ours is not None or not strangers or leg.user_id is None:
        return leg, ours
    try:
        user = await work.alma.user(leg.user_id)
    except AlmaFailure as failure:
        if is_absent(failure, Subject.USER):
            return user_absent(work)
        raise
    leg = replace(leg, user_primary_id=user.primary_id)
    return leg, our_loan(work.transaction, leg, active)


async def _item(work: Work, key: ItemKey) -> ItemSight:
    return await work.alma.item(key.mms_id, key.holding_id, key.item_pid)


class EnsureInTransit(PlainVerb):
    """The virtual item in transit: a scan where its hold is not picked up sends it there."""

    async def look(self, work: Work) -> Sight:
        leg = work.leg
        library = work.config.transit_library
        if library is None:
            return not_configured("transit_library or virtual_library")
        item = await _item(work, work.item_key())
        if item.state is ItemState.TRANSIT:
            return Made(note="the virtual item is in transit")
        if item.state in (ItemState.ON_HOLD_SHELF, ItemState.LOANED):
            return Moot("the book has arrived already")
        if not _is_ours_to_move(work, item):
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


class EnsureLoan(PlainVerb):
    """A loan of this leg's item to this leg's user, at the item's own library."""

    async def look(self, work: Work) -> Sight:
        if work.leg.user_id is None:
            return needs_a_person(ParkReason.MISSING_PLACING_DATA, "the user is not known")
        key = work.item_key()
        active = await work.alma.item_loans(
            key.mms_id, key.holding_id, key.item_pid, completed=False
        )
        found = await _find_ours(work, active)
        if isinstance(found, Blocked):
            return found
        leg, ours = found
        if ours is not None:
            return self._taken(work, leg, ours)
        if any(not is_our_user(leg, loan.user_id) for loan in active):
            return needs_a_person(
                ParkReason.ON_LOAN_TO_OTHER, "the item is on loan to somebody else"
            )
        completed = await work.alma.item_loans(
            key.mms_id, key.holding_id, key.item_pid, completed=True
        )
        if leg.request_placed_at and our_loan(work.transaction, leg, completed) is not None:
            return Moot("the loan was made and is over already")
        return Missing(await _item(work, key))

    async def act(self, work: Work, found: Any) -> Made | None:
        leg, item = work.leg, found
        if leg.user_id is None or item.library is None:
            raise LookupError("a loan without its user or the item's library")
        made = await work.alma.create_loan(
            NewLoan(
                user_id=leg.user_id,
                item_pid=work.item_key().item_pid,
                library=item.library,
                circ_desk=work.config.circ_desk,
                request_id=leg.request_id,
            )
        )
        return self._taken(work, leg, made) if made.loan_id else None

    async def refused(self, work: Work, failure: AlmaFailure) -> Sight:
        return user_absent(work) if is_absent(failure, Subject.USER) else blocked_by(failure)

    def _taken(self, work: Work, leg: Leg, loan: LoanSight) -> Made:
        thing = work.new_thing(
            ThingKind.LOAN, user_id=leg.user_id, item_pid=leg.item_pid, loan_id=loan.loan_id
        )
        taken = replace(
            leg,
            loan_id=loan.loan_id,
            loan_seen_at=leg.loan_seen_at or work.now,
            loan_due_at=loan.due_at or leg.loan_due_at,
        )
        return Made((thing,), taken, f"loan {loan.loan_id}")


class EnsureDueDate(PlainVerb):
    """The lender's loan runs as long as the reader's; not before its own date can be read."""

    async def look(self, work: Work) -> Sight:
        leg = work.leg
        reader = work.transaction.leg(pickup_side(work.transaction.workflow))
        wanted = reader.loan_due_at if reader else None
        if wanted is None or wanted <= work.now:
            return Moot("the reader's due date is not known or has passed")
        if leg.user_id is None or leg.loan_id is None:
            return Moot("there is no lender's loan whose date could be set")
        try:
            loan = await work.alma.loan(leg.user_id, leg.loan_id)
        except AlmaFailure as failure:
            if is_absent(failure, Subject.USER):
                return user_absent(work)
            raise
        if loan.state is not LoanState.ACTIVE:
            return Moot("the lender's loan is over")
        if loan.raw_due_at is not None:
            told = f"the due date of the lender's loan cannot be read (“{loan.raw_due_at}”)"
            return needs_a_person(ParkReason.UNREADABLE_DATE, told)
        if loan.due_at is not None and loan.due_at >= wanted - SAME_DUE_DATE:
            taken = replace(leg, loan_due_at=loan.due_at)
            return Made(leg=taken, note=f"due {loan.due_at.date().isoformat()}")
        return Missing(wanted)

    async def act(self, work: Work, found: Any) -> Made | Blocked | None:
        """An answer with an earlier date is a refusal: the lender's terms allow no longer loan."""
        leg = work.leg
        if leg.user_id is None or leg.loan_id is None:
            raise LookupError("a due date without its loan")
        loan = await work.alma.set_due_date(leg.user_id, leg.loan_id, found)
        if loan.due_at is not None and loan.due_at < found - SAME_DUE_DATE:
            kept = loan.due_at.date().isoformat()
            return Blocked("due_date_not_kept", f"the lender's Alma keeps {kept}")
        return None


class EnsureNoRenewal(PlainVerb):
    """Advice at the desk: a note on the virtual item, and a policy that forbids renewals."""

    async def look(self, work: Work) -> Sight:
        item = await _item(work, work.item_key())
        policy = work.config.no_renew_item_policy
        if PLEASE_DO_NOT_RENEW in (item.fulfillment_note or "") and policy in (None, item.policy):
            return Made(note="the virtual item says: please do not renew")
        if item.state is not ItemState.LOANED:
            return Moot("the virtual item is not on loan any more")
        if not _is_ours_to_move(work, item):
            return Moot("the item does not carry our mark: it is not ours to change")
        return Missing(item)

    async def act(self, work: Work, found: Any) -> Made | None:
        before = found.fulfillment_note
        note = f"{before} {PLEASE_DO_NOT_RENEW}" if before else PLEASE_DO_NOT_RENEW
        await work.alma.annotate_item(found, note, work.config.no_renew_item_policy)
        return None


class EnsureLoanClosed(PlainVerb):
    """A loan that is over: a virtual item's by a scan, the lender's by the lender's own staff."""

    async def look(self, work: Work) -> Sight:
        leg, thing = work.leg, work.thing or work.known(ThingKind.LOAN)
        loan_id = (thing.loan_id if thing else None) or leg.loan_id
        user_id = (thing.user_id if thing else None) or leg.user_id
        if loan_id is None or user_id is None:
            return await self._look_for_one(work, thing)
        loan = await self._loan(work, user_id, loan_id)
        if loan is None or loan.state is LoanState.COMPLETE:
            return Made(gone(thing), note=f"loan {loan_id} over")
        return await self._to_be_closed(work, thing)

    async def _look_for_one(self, work: Work, thing: Thing | None) -> Sight:
        """A loan that we may have made, and whose answer was lost: on the virtual item itself."""
        if work.intent.role is Role.SUPPLIER or not work.leg.has_item_path:
            return Made(gone(thing), note="no loan")
        key = work.item_key()
        active = await work.alma.item_loans(
            key.mms_id, key.holding_id, key.item_pid, completed=False
        )
        found = await _find_ours(work, active)
        if isinstance(found, Blocked):
            return found
        return await self._to_be_closed(work, thing) if found[1] else Made(note="no loan")

    async def _to_be_closed(self, work: Work, thing: Thing | None) -> Sight:
        if work.intent.role is Role.SUPPLIER:
            return Blocked("lender_loan_open", "the lender's loan is still open")
        key = work.item_key() if not thing else _key_of_leg(work)
        item = await _item(work, key)
        if not _is_ours_to_move(work, item):
            return Moot("the item does not carry our mark: its loan is not ours to close")
        library = work.config.transit_library
        if library is None:
            return not_configured("transit_library or virtual_library")
        return Missing((key, library))

    async def _loan(self, work: Work, user_id: UserId, loan_id: LoanId) -> LoanSight | None:
        """The loan by its id; where its user is not known any more, among its item's active ones.

        None when it is proved to be there no more.
        """
        try:
            return await work.alma.loan(user_id, loan_id)
        except AlmaFailure as failure:
            if is_absent(failure, Subject.LOAN):
                return None
            if not is_absent(failure, Subject.USER):
                raise
        key = _key_of_leg(work)
        active = await work.alma.item_loans(
            key.mms_id, key.holding_id, key.item_pid, completed=False
        )
        return next((each for each in active if each.loan_id == loan_id), None)

    async def act(self, work: Work, found: Any) -> Made | None:
        key, library = found
        await work.alma.scan_in(key, library, work.config.circ_desk)
        return None

    async def refused(self, _work: Work, failure: AlmaFailure) -> Sight:
        return needs_a_person(ParkReason.LOAN_NOT_CLOSED, blocked_by(failure).sentence)


def _key_of_leg(work: Work) -> ItemKey:
    leg = work.leg
    if not (leg.mms_id and leg.holding_id and leg.item_pid):
        raise LookupError("an item without its ids")
    return ItemKey(leg.mms_id, leg.holding_id, leg.item_pid)
