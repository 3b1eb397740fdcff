"""Loans: made of the copy that our hold names, given the reader's date, closed at the end."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from reconciler.core.mapping import Subject
from reconciler.core.model import (
    ItemPid,
    ItemSight,
    Leg,
    LoanId,
    LoanSight,
    Remembered,
    RequestId,
    RequestSight,
    UserId,
)
from reconciler.core.staff.parking import ParkReason
from reconciler.core.status import (
    EffectKind,
    LoanState,
    RequestState,
    Role,
    ThingKind,
)
from reconciler.core.view.leg_view import LIVE_REQUEST, SAME_DUE_DATE
from reconciler.core.view.ours import is_our_user, our_loan
from reconciler.engine.effects.circulation import is_ours_to_move, item_of, no_item
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
    needs_a_person,
    not_configured,
    user_absent,
)
from reconciler.errors import AlmaFailure
from reconciler.ports.alma import ItemKey, NewLoan


async def _find_ours(
    work: Work, active: tuple[LoanSight, ...]
) -> tuple[Leg, LoanSight | None] | Blocked:
    """Our loan among the item's active ones, and the leg with the id by which Alma names our user.

    Where it knows nobody by the id that we have, whose loan it is cannot be said: he may have
    been renamed.
    """
    leg = work.leg
    mine = await work.not_of_others(leg, active)
    ours = our_loan(work.transaction, leg, mine)
    strangers = [loan for loan in mine if not is_our_user(leg, loan.user_id)]
    if ours is None and strangers and leg.user_id is not None:
        try:
            user = await work.alma.user(leg.user_id)
        except AlmaFailure as failure:
            if failure.proves_absent(Subject.USER):
                return user_absent(work)
            raise
        leg = replace(leg, user_primary_id=user.primary_id)
        mine = await work.not_of_others(leg, active)
        ours = our_loan(work.transaction, leg, mine)
    if ours is None and len(mine) < len(active):
        told = "the item is still on loan for another lend of the same reader"
        return needs_a_person(ParkReason.ON_LOAN_TO_OTHER, told)
    return leg, ours


@dataclass(frozen=True, slots=True)
class _ToLend:
    item: ItemSight
    pid: ItemPid
    request_id: RequestId | None
    """The hold that the loan fills; None where that is over: the book is lent without one."""


class EnsureLoan(PlainVerb):
    """A loan of this leg's item to this leg's user, at the item's own library.

    Only of the copy that our hold names: Alma may have moved it to another one and sent that.
    """

    async def look(self, work: Work) -> Sight:
        leg = work.leg
        if leg.user_id is None:
            return needs_a_person(ParkReason.MISSING_PLACING_DATA, "the user is not known")
        if not leg.has_item_key:
            return no_item(work)
        key = await self._key(work)
        active = await work.alma.item_loans(
            key.mms_id, key.holding_id, key.item_pid, completed=False
        )
        found = await _find_ours(work, active)
        if isinstance(found, Blocked):
            return found
        leg, ours = found
        if ours is not None:
            return self._taken(work, leg, ours)
        hold = await self._hold(work)
        if isinstance(hold, Blocked):
            return hold
        if hold is not None and hold.item_pid not in (None, key.item_pid):
            return _another_copy("our hold is bound to another copy than this lend's")
        if any(not is_our_user(leg, loan.user_id) for loan in active):
            return needs_a_person(
                ParkReason.ON_LOAN_TO_OTHER, "the item is on loan to somebody else"
            )
        completed = await work.alma.item_loans(
            key.mms_id, key.holding_id, key.item_pid, completed=True
        )
        over = our_loan(work.transaction, leg, await work.not_of_others(leg, completed))
        if leg.request_placed_at and over is not None:
            return Moot("the loan was made and is over already")
        stands = hold is not None and hold.state in LIVE_REQUEST
        item = await item_of(work, key)
        if item.pid not in (None, key.item_pid):
            return _another_copy("Alma answered with another item")
        return Missing(_ToLend(item, key.item_pid, leg.request_id if stands else None))

    async def _key(self, work: Work) -> ItemKey:
        """Where the item stands; found by its barcode where that is not known yet."""
        leg = work.leg
        if leg.has_item_path or leg.item_barcode is None:
            return work.item_key()
        item = await work.alma.item_by_barcode(leg.item_barcode)
        if not (item.mms_id and item.holding_id and item.pid):
            raise LookupError("an item without its ids")
        return ItemKey(item.mms_id, item.holding_id, item.pid)

    async def _hold(self, work: Work) -> RequestSight | Blocked | None:
        """Our hold as it stands now; None when there is none any more."""
        leg = work.leg
        if leg.user_id is None or leg.request_id is None:
            return None
        try:
            hold = await work.alma.request(leg.user_id, leg.request_id)
        except AlmaFailure as failure:
            if failure.proves_absent(Subject.REQUEST):
                return None
            if failure.proves_absent(Subject.USER):
                return user_absent(work)
            raise
        if hold.state is RequestState.UNKNOWN:
            return needs_a_person(ParkReason.UNKNOWN_WORD, f"the hold is {hold.raw}")
        return hold

    async def act(self, work: Work, found: Any) -> Made | None:
        leg, to_lend = work.leg, found
        if leg.user_id is None or to_lend.item.library is None:
            raise LookupError("a loan without its user or the item's library")
        made = await work.alma.create_loan(
            NewLoan(
                user_id=leg.user_id,
                item_pid=to_lend.pid,
                library=to_lend.item.library,
                circ_desk=work.config.circ_desk,
                request_id=to_lend.request_id,
            )
        )
        return self._taken(work, leg, made) if made.loan_id else None

    async def refused(self, work: Work, failure: AlmaFailure) -> Sight:
        return user_absent(work) if failure.proves_absent(Subject.USER) else blocked_by(failure)

    def _taken(self, work: Work, leg: Leg, loan: LoanSight) -> Made:
        thing = work.new_thing(
            ThingKind.LOAN, user_id=leg.user_id, item_pid=leg.item_pid, loan_id=loan.loan_id
        )
        taken = replace(
            leg,
            loan_id=loan.loan_id,
            loan=Remembered(loan.state, loan.raw, work.now, since=work.now),
            loan_seen_at=leg.loan_seen_at or work.now,
            loan_due_at=loan.due_at or leg.loan_due_at,
        )
        return Made((thing,), taken, f"loan {loan.loan_id}")


def _another_copy(told: str) -> Blocked:
    return needs_a_person(ParkReason.ITEM_MISMATCH, f"{told}: no loan is made")


class EnsureDueDate(PlainVerb):
    """This leg's loan runs as long as the reader's (`Leg.due_wanted_at`)."""

    async def look(self, work: Work) -> Sight:
        leg = work.leg
        wanted = leg.due_wanted_at
        if wanted is None or wanted <= work.now:
            return Moot("the reader's due date is not known or has passed")
        if leg.user_id is None or leg.loan_id is None:
            if self._is_being_made(work):
                return Blocked("no_loan_yet", "the loan whose date is to be set is not made yet")
            return Moot("there is no loan whose date could be set")
        try:
            loan = await work.alma.loan(leg.user_id, leg.loan_id)
        except AlmaFailure as failure:
            if failure.proves_absent(Subject.USER):
                return user_absent(work)
            raise
        if loan.state is not LoanState.ACTIVE:
            return Moot("the loan is over")
        if loan.raw_due_at is not None:
            told = f"the due date of the {work.intent.role}'s loan cannot be read"
            return needs_a_person(ParkReason.UNREADABLE_DATE, f"{told} (“{loan.raw_due_at}”)")
        if loan.due_at is not None and loan.due_at >= wanted - SAME_DUE_DATE:
            taken = replace(leg, loan_due_at=loan.due_at)
            return Made(leg=taken, note=f"due {loan.due_at.date().isoformat()}")
        return Missing(wanted)

    def _is_being_made(self, work: Work) -> bool:
        """Whether the loan is still asked for, perhaps in vain until a person has acted."""
        of = (EffectKind.SUPPLIER_LOAN, EffectKind.BORROWER_LOAN)
        intents = (each for each in work.transaction.intents if each.role is work.intent.role)
        return any(each.kind in of and not each.is_over for each in intents)

    async def act(self, work: Work, found: Any) -> Made | Moot | None:
        """An answer with an earlier date is an answer: this library's terms allow no longer loan,
        and it is not asked again until the reader renews."""
        leg = work.leg
        if leg.user_id is None or leg.loan_id is None:
            raise LookupError("a due date without its loan")
        loan = await work.alma.set_due_date(leg.user_id, leg.loan_id, found)
        if loan.due_at is not None and loan.due_at < found - SAME_DUE_DATE:
            kept = loan.due_at.date().isoformat()
            return Moot(f"{work.intent.host_lms} keeps {kept}, earlier than the reader's date")
        return None


class EnsureLoanClosed(PlainVerb):
    """A loan that is over: a virtual item's by a scan, the lender's by the lender's own staff."""

    async def look(self, work: Work) -> Sight:
        leg, thing = work.leg, work.thing or work.known(ThingKind.LOAN)
        loan_id = (thing.loan_id if thing else None) or leg.loan_id
        user_id = (thing.user_id if thing else None) or leg.user_id
        if loan_id is None or user_id is None:
            return await self._on_the_item(work) or Made(gone(thing), note="no loan")
        loan = await self._loan(work, user_id, loan_id)
        if loan is None or loan.state is LoanState.COMPLETE:
            over = Made(gone(thing), note=f"loan {loan_id} over")
            return await self._on_the_item(work) or over
        return await self._to_be_closed(work)

    async def _on_the_item(self, work: Work) -> Sight | None:
        """Our loan of the virtual item itself, if there is one: that we made and whose answer was
        lost, or that the desk made anew for the same reader (a corrected charge has another id)."""
        if work.intent.role is Role.SUPPLIER or not work.leg.has_item_path:
            return None
        found = await _find_ours(work, await self._active(work))
        if isinstance(found, Blocked):
            return found
        return await self._to_be_closed(work) if found[1] else None

    async def _active(self, work: Work) -> tuple[LoanSight, ...]:
        """The item's active loans; none where it is proved to be there no more."""
        key = _key_of_leg(work)
        try:
            return await work.alma.item_loans(
                key.mms_id, key.holding_id, key.item_pid, completed=False
            )
        except AlmaFailure as failure:
            if failure.proves_absent(Subject.ITEM):
                return ()
            raise

    async def _to_be_closed(self, work: Work) -> Sight:
        if work.intent.role is Role.SUPPLIER:
            return Blocked("lender_loan_open", "the lender's loan is still open")
        key = _key_of_leg(work)
        item = await item_of(work, key)
        if not is_ours_to_move(work, item):
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
            if failure.proves_absent(Subject.LOAN):
                return None
            if not failure.proves_absent(Subject.USER):
                raise
        active = await self._active(work)
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
