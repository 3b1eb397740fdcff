"""One look: read what could change the next decision, all at once, each read for itself.

A read that fails is recorded as unreadable and hides no other. What is worth reading is decided
by `core.lookahead`, round by round, until nothing more could matter.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from reconciler.core.lookahead import first_reads, further_reads
from reconciler.core.mapping import Subject
from reconciler.core.model import (
    Barcode,
    HoldingId,
    HostLmsCode,
    ItemPid,
    ItemSight,
    Leg,
    LegObservation,
    LoanSight,
    MmsId,
    Observation,
    Policy,
    Read,
    ReadKind,
    RequestSight,
    Seen,
    Transaction,
)
from reconciler.core.status import ItemState, LoanState, RequestState, Resource, Role
from reconciler.core.view.look import View
from reconciler.core.view.ours import (
    checked_item,
    checked_loan,
    checked_request,
    is_our_item,
    is_our_user,
    our_loan,
)
from reconciler.engine.others import OtherLends
from reconciler.errors import AlmaFailure, FailureKind
from reconciler.ports.alma import AlmaReader

T = TypeVar("T")

MAX_ROUNDS = 12
"""More rounds than any chain of reads needs; a guard against a fact that is never satisfied."""

NO_LOAN = LoanSight(state=LoanState.ABSENT, raw="none in the list")

Readers = Callable[[HostLmsCode], AlmaReader]
ItemKey = tuple[MmsId, HoldingId, ItemPid]


@dataclass(frozen=True, slots=True)
class Look:
    """Where and when a look is made, and whether a person asked to see everything."""

    readers: Readers
    policy: Policy
    now: datetime
    others: OtherLends
    everything: bool = False


async def observe(transaction: Transaction, look: Look) -> Observation:
    """What the libraries show of a transaction now. Never raises for a library's trouble."""
    legs = {leg.role: _told(leg) for leg in transaction.legs if look.policy.is_external(leg)}
    view = View.of(transaction, Observation(legs), look.now, look.policy)
    reads = first_reads(view, everything=look.everything) or further_reads(view)
    for _ in range(MAX_ROUNDS):
        if not reads:
            break
        transaction, legs = await _round(transaction, legs, reads, look)
        view = View.of(transaction, Observation(legs), look.now, look.policy)
        reads = further_reads(view)
    return Observation(legs)


async def _round(
    transaction: Transaction,
    legs: Mapping[Role, LegObservation],
    reads: tuple[Read, ...],
    look: Look,
) -> tuple[Transaction, dict[Role, LegObservation]]:
    """Make these reads side by side; the transaction comes back with the item ids learnt."""
    results = await asyncio.gather(*(_read(transaction, read, look) for read in reads))
    seen = dict(legs)
    for read, fields in zip(reads, results, strict=True):
        seen[read.role] = replace(seen.get(read.role, LegObservation()), **fields)
    learnt = {leg.role: _with_item_path(leg, seen.get(leg.role)) for leg in transaction.legs}
    return transaction.with_legs(learnt), seen


async def _read(transaction: Transaction, read: Read, look: Look) -> dict[str, Any]:
    """The fields of a LegObservation that one read fills."""
    leg = transaction.leg(read.role)
    if leg is None:
        return {}
    glance = _Glance(transaction, leg, look.readers(leg.host_lms), look.now, look.others)
    return await {
        ReadKind.ITEM: glance.item,
        ReadKind.REQUEST: glance.request,
        ReadKind.LOAN: glance.loan,
        ReadKind.ACTIVE_LOAN: glance.active_loan,
        ReadKind.COMPLETED_LOAN: glance.completed_loan,
        ReadKind.ITEM_REQUESTS: glance.item_requests,
    }[read.kind]()


@dataclass(frozen=True, slots=True)
class _Glance:
    """The reads of one leg at its Alma."""

    transaction: Transaction
    leg: Leg
    alma: AlmaReader
    at: datetime
    others: OtherLends

    async def item(self) -> dict[str, Any]:
        try:
            seen = checked_item(self.leg, await self._find_item(), self.at)
        except AlmaFailure as failure:
            absent = ItemSight(ItemState.ABSENT, raw=failure.code or "")
            seen = _absent_or_unreadable(failure, Subject.ITEM, absent, self.at)
        return {"item": seen}

    async def request(self) -> dict[str, Any]:
        if self.leg.user_id is None or self.leg.request_id is None:
            return {}
        try:
            found = await self.alma.request(self.leg.user_id, self.leg.request_id)
            seen = checked_request(self.leg, found, self.at)
        except AlmaFailure as failure:
            if failure.proves_absent(Subject.USER) and (held := await self._held_by_another()):
                return held
            closed = RequestSight(RequestState.CLOSED, raw=failure.code or "")
            seen = _absent_or_unreadable(failure, Subject.REQUEST, closed, self.at)
        return {"request": seen}

    async def _held_by_another(self) -> dict[str, Any]:
        """Our hold among those on its item, where its user is not known any more; {} if not."""
        try:
            listed = await self.alma.item_requests(*await self._item_key())
        except AlmaFailure:
            return {}
        ours = next((each for each in listed if each.request_id == self.leg.request_id), None)
        if ours is None or ours.user_id is None:
            return {}
        return {"request": Seen.of(ours, self.at), "user_id": ours.user_id}

    async def loan(self) -> dict[str, Any]:
        """Our loan by its id; where Alma does not know that (any more), among the active ones."""
        if self.leg.user_id is None:
            return {}
        if self.leg.loan_id is not None:
            try:
                found = await self.alma.loan(self.leg.user_id, self.leg.loan_id)
                return {"loan": checked_loan(self.leg, found, self.at)}
            except AlmaFailure as failure:
                if failure.proves_absent(Subject.USER):
                    return await self._lent_to_another()
                if not failure.proves_absent(Subject.LOAN):
                    return {"loan": _unreadable(failure, self.at)}
        return await self._active()

    async def active_loan(self) -> dict[str, Any]:
        """Our loan among the item's active ones, whatever id we know."""
        return await (self._active() if self.leg.loan_id is None else self._listed(completed=False))

    async def _active(self) -> dict[str, Any]:
        """The same where no record is known by its id: the list tells all there is to tell."""
        fields = await self._listed(completed=False)
        return {**fields, "loan": fields["active_loan"]}

    async def _lent_to_another(self) -> dict[str, Any]:
        """Our loan in its item's list, where its user is not known any more."""
        fields = await self._active()
        found: LoanSight | None = fields["loan"].value
        if found is not None and found.user_id and not is_our_user(self.leg, found.user_id):
            fields["user_id"] = found.user_id
        return fields

    async def completed_loan(self) -> dict[str, Any]:
        return await self._listed(completed=True)

    async def item_requests(self) -> dict[str, Any]:
        seen: Seen[tuple[RequestSight, ...]]
        try:
            seen = Seen.of(await self.alma.item_requests(*await self._item_key()), self.at)
        except AlmaFailure as failure:
            seen = _unreadable(failure, self.at)
        return {"item_requests": seen}

    async def _listed(self, *, completed: bool) -> dict[str, Any]:
        """Our loan in the item's list. Alma may name our user by another of his ids: then ask."""
        name = "completed_loan" if completed else "active_loan"
        try:
            loans = await self._loans(completed=completed)
            leg = self.leg
            mine = await self.others.left_out(self.transaction, leg, loans)
            found = our_loan(self.transaction, leg, mine)
            strangers = [loan for loan in mine if not is_our_user(leg, loan.user_id)]
            if found is None and strangers and leg.user_id and leg.user_primary_id is None:
                known = await self.alma.user(leg.user_id)
                leg = replace(leg, user_primary_id=known.primary_id)
                mine = await self.others.left_out(self.transaction, leg, loans)
                found = our_loan(self.transaction, leg, mine)
        except AlmaFailure as failure:
            return {name: _unreadable(failure, self.at)}
        fields: dict[str, Any] = {name: Seen.of(found or NO_LOAN, self.at)}
        if leg.user_primary_id is not None:
            fields["user_primary_id"] = leg.user_primary_id
        if not completed:
            is_another_lends = len(mine) < len(loans)
            fields["loaned_to_other"] = found is None and (bool(strangers) or is_another_lends)
        return fields

    async def _loans(self, *, completed: bool) -> tuple[LoanSight, ...]:
        """The loans of our item; by its user where the item's own path is not known yet."""
        leg = self.leg
        if leg.has_item_path or leg.user_id is None:
            return await self.alma.item_loans(*await self._item_key(), completed=completed)
        loans = await self.alma.user_loans(leg.user_id, completed=completed)
        return tuple(loan for loan in loans if is_our_item(leg, loan))

    async def _find_item(self) -> ItemSight:
        leg = self.leg
        if leg.mms_id and leg.holding_id and leg.item_pid:
            try:
                return await self.alma.item(leg.mms_id, leg.holding_id, leg.item_pid)
            except AlmaFailure as failure:
                if leg.item_barcode is None or not failure.proves_absent(Subject.ITEM):
                    raise
                return await self._elsewhere(leg.item_barcode, failure)
        if leg.item_barcode is None:
            raise AlmaFailure(FailureKind.UNREADABLE, message="no id of the item is known")
        return await self.alma.item_by_barcode(leg.item_barcode)

    async def _elsewhere(self, barcode: Barcode, gone: AlmaFailure) -> ItemSight:
        """The same item below another record, where merging or relinking has put it. Another item
        that has its barcode now is not it."""
        found = await self.alma.item_by_barcode(barcode)
        if found.pid != self.leg.item_pid:
            raise gone
        return found

    async def _item_key(self) -> ItemKey:
        leg = self.leg
        if leg.mms_id and leg.holding_id and leg.item_pid:
            return leg.mms_id, leg.holding_id, leg.item_pid
        item = await self._find_item()
        if item.mms_id and item.holding_id and item.pid:
            return item.mms_id, item.holding_id, item.pid
        raise AlmaFailure(FailureKind.UNREADABLE, message="an item without its ids")


def _absent_or_unreadable(
    failure: AlmaFailure, subject: Subject, absent: T, at: datetime
) -> Seen[T]:
    """Only a not-found code of the contract means that there is none."""
    if failure.proves_absent(subject):
        return Seen.of(absent, at)
    return _unreadable(failure, at)


def _unreadable(failure: AlmaFailure, at: datetime) -> Seen[Any]:
    return Seen.unreadable(str(failure), at, failure.code or failure.kind)


def _with_item_path(leg: Leg, seen: LegObservation | None) -> Leg:
    """The leg with the ids of its item, once an answer has named them."""
    item = seen.item.value if seen else None
    if item is None or item.pid is None or (leg.has_item_path and item.pid != leg.item_pid):
        return leg
    return replace(
        leg,
        mms_id=item.mms_id or leg.mms_id,
        holding_id=item.holding_id or leg.holding_id,
        item_pid=item.pid,
    )


def _told(leg: Leg) -> LegObservation:
    """What an external library last said, as evidence."""
    fields: dict[str, Any] = {}
    item, request, loan = (leg.remembered(each) for each in Resource)
    if item.state and item.seen_at:
        fields["item"] = Seen.of(ItemSight(ItemState(item.state), item.raw or ""), item.seen_at)
    if request.state and request.seen_at:
        fields["request"] = Seen.of(
            RequestSight(RequestState(request.state), request.raw or ""), request.seen_at
        )
    if loan.state and loan.seen_at:
        fields["loan"] = Seen.of(LoanSight(LoanState(loan.state), loan.raw or ""), loan.seen_at)
    return LegObservation(**fields)
