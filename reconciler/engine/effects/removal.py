"""The virtual item, holding and bib removed: looked for first, and only while they are ours.

Records are merged and relinked by cataloguers. A merge carries our number into a record of the
library's own, and our holding and item hang there from then on: those two are removed, the
record is left alone. What is not proved to be ours is a person's to look at; what is not proved
to be gone is never called gone. Source: workflow.md §4, "removal".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any

from reconciler.core.mapping import GENERAL_ERROR, NOT_FOUND_CODES, Subject
from reconciler.core.model import (
    BibSight,
    HoldingId,
    HoldingSight,
    ItemSight,
    MmsId,
    RequestSight,
    Thing,
)
from reconciler.core.staff.parking import ParkReason
from reconciler.core.status import ItemState, ThingKind, ThingState
from reconciler.core.view.ours import reissued_hold
from reconciler.engine.effects.records import (
    bib_rows,
    find_by_barcode,
    is_marked,
    is_virtual_place,
    numbered_bibs,
)
from reconciler.engine.effects.work import (
    Blocked,
    Made,
    Missing,
    PlainVerb,
    Sight,
    Work,
    blocked_by,
    gone,
    needs_a_person,
)
from reconciler.errors import AlmaFailure, FailureKind
from reconciler.ports.alma import ItemKey

ITEM_DELETE_ERROR = "401849"
BIB_DELETE_ERROR = "4022020"
"""Alma's catch-all refusals of a delete without override (alma-api.md §5.4, §6)."""


def _not_ours(what: str) -> Blocked:
    return needs_a_person(ParkReason.NOT_OURS_ANY_MORE, what)


class _Removal(PlainVerb):
    """A refusal that says "no such …" is looked at: it may be the parent that was not found."""

    subject: Subject

    async def look(self, work: Work) -> Sight:
        raise NotImplementedError

    async def refused(self, work: Work, failure: AlmaFailure) -> Sight:
        if not failure.proves_absent(self.subject):
            return blocked_by(failure)
        sight = await self.look(work)
        return blocked_by(failure) if isinstance(sight, Missing) else sight


# --- the item ----------------------------------------------------------------


class EnsureItemRemoved(_Removal):
    subject = Subject.ITEM

    async def look(self, work: Work) -> Sight:
        found = await self._find(work, work.item_key())
        if found is None:
            return Made(gone(work.thing), note=f"virtual item {work.item_key().item_pid} removed")
        if isinstance(found, Blocked):
            return found
        if not self._is_ours(work, found):
            return _not_ours("the item does not carry our mark")
        if await self._is_on_loan(work, found):
            return Blocked("still_on_loan", "the virtual item is on loan")
        return Missing(found)

    async def _is_on_loan(self, work: Work, found: ItemSight) -> bool:
        """A loan that is lost or claimed runs on, though its item does not say that it is lent."""
        if found.state in _WITHOUT_A_LOAN:
            return False
        return found.state is ItemState.LOANED or await self._has_loan(work, self._key(work, found))

    async def _has_loan(self, work: Work, key: ItemKey) -> bool:
        return bool(
            await work.alma.item_loans(key.mms_id, key.holding_id, key.item_pid, completed=False)
        )

    async def _find(self, work: Work, key: ItemKey) -> ItemSight | Blocked | None:
        """The item where the ledger has it, else by its barcode; None when it is proved gone."""
        try:
            return await work.alma.item(key.mms_id, key.holding_id, key.item_pid)
        except AlmaFailure as failure:
            told = failure.kind is FailureKind.REFUSED and failure.code == GENERAL_ERROR
            if not told and not failure.proves_absent(Subject.ITEM):
                raise
            return await self._elsewhere(work, failure)

    async def _elsewhere(self, work: Work, failure: AlmaFailure) -> ItemSight | Blocked | None:
        """An item that is not found under its path may hang on another record by now.

        A general error proves nothing by itself; that nothing has the item's barcode, too, does.
        """
        is_certain = failure.code != GENERAL_ERROR
        barcode = work.leg.item_barcode or work.barcode
        if barcode is None:
            if not is_certain:
                raise failure
            of_the_bib = failure.code in NOT_FOUND_CODES[Subject.BIB]
            return (
                _not_ours("its bib is gone, and where it is cannot be told") if of_the_bib else None
            )
        found = await find_by_barcode(work, barcode)
        if found is None or self._is_ours(work, found):
            return found
        if not is_certain:
            raise failure
        return _not_ours("the item is not where it was, and its barcode is another item's")

    def _is_ours(self, work: Work, item: ItemSight) -> bool:
        thing = work.thing
        declared = thing is not None and thing.trusted and item.pid == thing.item_pid
        return is_marked(work, item) or declared

    async def act(self, work: Work, found: Any) -> Made | Blocked | None:
        """Refused without override though nobody has or wants the item: then with it."""
        key = self._key(work, found)
        try:
            await work.alma.delete_item(key)
        except AlmaFailure as failure:
            if failure.code != ITEM_DELETE_ERROR or await self._has_loan(work, key):
                raise
            holds = await work.alma.item_requests(key.mms_id, key.holding_id, key.item_pid)
            if holds:
                return self._kept_by(work, holds)
            await work.alma.delete_item(key, override=True)
        try:
            await work.alma.item(key.mms_id, key.holding_id, key.item_pid)
        except AlmaFailure as failure:
            if failure.proves_absent(Subject.ITEM):
                told = f"virtual item {key.item_pid} removed"
                return Made((*gone(work.thing), *_moved_along(work, found)), note=told)
        return None

    def _key(self, work: Work, found: ItemSight) -> ItemKey:
        """Where Alma's answer says that it stands."""
        known = work.item_key()
        return ItemKey(
            found.mms_id or known.mms_id,
            found.holding_id or known.holding_id,
            found.pid or known.item_pid,
        )

    def _kept_by(self, work: Work, holds: Sequence[RequestSight]) -> Made | Blocked:
        """A hold of the reader's that was placed anew ends first: the ledger has it from now on,
        and the item's removal is asked for once more after it."""
        again = reissued_hold(work.transaction, work.leg, holds)
        if again is None:
            return Blocked("still_requested", "somebody else's hold is on the virtual item")
        row = work.new_thing(
            ThingKind.HOLD,
            user_id=again.user_id or work.leg.user_id,
            request_id=again.request_id,
        )
        return Made((row,), note=f"hold {again.request_id}, placed anew, has to end first")


_WITHOUT_A_LOAN = frozenset({ItemState.IN_PLACE, ItemState.TRANSIT, ItemState.REQUESTED})


def _moved_along(work: Work, item: ItemSight) -> Iterator[Thing]:
    """The row of the item's holding, where the item was found below another record than known.

    Another holding than the ledger's is ours only where our virtual records stand.
    """
    thing = work.thing
    if thing is None or item.mms_id is None or item.holding_id is None:
        return
    if item.holding_id != thing.holding_id and not is_virtual_place(work, item):
        return
    for row in work.transaction.things:
        is_its = row.kind is ThingKind.HOLDING and row.role is thing.role
        if is_its and row.holding_id == thing.holding_id and row.state is ThingState.PRESENT:
            moved = replace(row, mms_id=item.mms_id, holding_id=item.holding_id)
            if moved != row:
                yield moved


# --- the holding -------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Place:
    mms_id: MmsId
    holding_id: HoldingId


class EnsureHoldingRemoved(_Removal):
    subject = Subject.HOLDING

    async def look(self, work: Work) -> Sight:
        thing = work.thing
        if thing is None or thing.mms_id is None or thing.holding_id is None:
            return Made(gone(thing), note="no holding")
        place = await self._find(work, thing.mms_id, thing.holding_id)
        if place is None:
            return Made(gone(thing), note=f"holding {thing.holding_id} removed")
        items = await work.alma.holding_items(place.mms_id, place.holding_id)
        if not items:
            return Missing(place)
        if all(is_marked(work, item) for item in items):
            return Blocked("holding_has_items", "our item below the holding is still there")
        return _not_ours("the holding has items that are not ours")

    async def _find(self, work: Work, mms_id: MmsId, holding_id: HoldingId) -> _Place | None:
        """Below the bib that the ledger names, else below one that carries our number by now."""
        for each in await self._holdings(work, mms_id):
            if each.holding_id == holding_id:
                return _Place(each.mms_id or mms_id, holding_id)
        for bib in await numbered_bibs(work):
            holdings = () if bib.mms_id == mms_id else await self._holdings(work, bib.mms_id)
            if any(each.holding_id == holding_id for each in holdings):
                return _Place(bib.mms_id, holding_id)
        return None

    async def _holdings(self, work: Work, mms_id: MmsId) -> tuple[HoldingSight, ...]:
        """An unknown bib has none, and says so in one way or another."""
        try:
            return await work.alma.holdings(mms_id)
        except AlmaFailure as failure:
            if failure.proves_absent(Subject.BIB):
                return ()
            raise

    async def act(self, work: Work, found: Any) -> Made | None:
        await work.alma.delete_holding(found.mms_id, found.holding_id)
        try:
            left = await self._holdings(work, found.mms_id)
        except AlmaFailure:
            return None
        if any(each.holding_id == found.holding_id for each in left):
            return None
        told = f"holding {found.holding_id} removed from bib {found.mms_id}"
        return Made(gone(work.thing), note=told)


# --- the bib -----------------------------------------------------------------


class EnsureBibRemoved(_Removal):
    subject = Subject.BIB

    async def look(self, work: Work) -> Sight:
        thing = work.thing
        if thing is None or thing.mms_id is None:
            return Made(gone(thing), note="no bib")
        try:
            bib = await work.alma.bib(thing.mms_id)
        except AlmaFailure as failure:
            if failure.proves_absent(Subject.BIB):
                return await self._removed(work, thing)
            raise
        if bib.mms_id != thing.mms_id:
            return _merged(thing, bib)
        if work.system_number not in bib.system_numbers and not thing.trusted:
            return _not_ours("the bib does not carry our number any more: it was overlaid")
        if bib.suppressed is not True:
            return _not_ours("the bib is not known to be suppressed: readers may see it")
        return await self._with_holdings(work, thing) or Missing(thing.mms_id)

    async def _with_holdings(self, work: Work, bib: Thing) -> Blocked | None:
        """What still hangs on our bib: what is ours goes first, else it is no virtual one now."""
        if bib.mms_id is None:
            return None
        left = {each.holding_id for each in await work.alma.holdings(bib.mms_id)}
        ours = {
            thing.holding_id
            for thing in work.transaction.things
            if thing.kind is ThingKind.HOLDING and thing.role is bib.role
        }
        if left - ours:
            return _not_ours("the bib has a holding that is not ours")
        told = "our holding below the bib is still there"
        return Blocked("bib_has_holdings", told) if left else None

    async def _removed(self, work: Work, thing: Thing) -> Made:
        """Should a lost answer have left a second bib of ours, it is known from here on.

        Ours carries our number alone. A record with others as well is one that ours was merged
        into.
        """
        others = [bib for bib in await numbered_bibs(work) if bib.mms_id != thing.mms_id]
        seconds = [bib for bib in others if bib.suppressed and len(bib.system_numbers) == 1]
        survivor = next((bib for bib in others if bib not in seconds), None)
        if survivor is not None:
            made = _merged(thing, survivor)
            return replace(made, things=(*made.things, *bib_rows(work, seconds)))
        told = f"virtual bib {thing.mms_id} removed"
        return Made((*gone(thing), *bib_rows(work, seconds)), note=told)

    async def act(self, work: Work, found: Any) -> Made | None:
        """Refused without override though nothing hangs on our bib: then with it (lesson 20)."""
        try:
            await work.alma.delete_bib(found)
        except AlmaFailure as failure:
            if failure.code != BIB_DELETE_ERROR or await work.alma.holdings(found):
                raise
            await work.alma.delete_bib(found, override=True)
        return None


def _merged(thing: Thing, survivor: BibSight) -> Made:
    """Our bib is no record of its own any more, and the one that it went into is not ours."""
    told = f"bib {thing.mms_id} was merged into {survivor.mms_id}, which is left as it is"
    return Made((replace(thing, state=ThingState.HANDED_OVER),), note=told)
