"""The virtual bib, holding and item: made once, marked as ours, removed only while they are.

A barcode that this Alma already uses for something else is found before anything is written.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reconciler.core.mapping import GENERAL_ERROR, Subject
from reconciler.core.model import BibSight, HoldingId, ItemSight, Thing
from reconciler.core.parking import ParkReason
from reconciler.core.placing import mapped
from reconciler.core.status import ItemState, ThingKind
from reconciler.engine.effects.work import (
    Blocked,
    Made,
    Missing,
    PlainVerb,
    Sight,
    Work,
    blocked_by,
    gone,
    is_absent,
    needs_a_person,
    not_configured,
)
from reconciler.errors import AlmaFailure, FailureKind
from reconciler.ports.alma import ItemKey, NewItem

ITEM_DELETE_ERROR = "401849"
BIB_DELETE_ERROR = "4022020"
"""Alma's catch-all refusals of a delete without override (alma-api.md §5.4, §6)."""


async def item_with_barcode(work: Work) -> ItemSight | None:
    """The item that has the wanted item's barcode in this Alma; None when proved to be none."""
    if work.barcode is None:
        return None
    try:
        return await work.alma.item_by_barcode(work.barcode)
    except AlmaFailure as failure:
        if is_absent(failure, Subject.ITEM):
            return None
        raise


async def our_bibs(work: Work) -> list[BibSight]:
    """The bibs that carry our number, each read whole where the search does not show it.

    A search that finds nothing is answered by an empty list or by the code for "no such bib".
    """
    try:
        found = await work.alma.bibs_with_number(work.system_number)
    except AlmaFailure as failure:
        if is_absent(failure, Subject.BIB):
            return []
        raise
    whole = [bib if bib.system_numbers else await work.alma.bib(bib.mms_id) for bib in found]
    return [bib for bib in whole if work.system_number in bib.system_numbers]


def _rows(work: Work, bibs: list[BibSight]) -> tuple[Thing, ...]:
    return tuple(work.new_thing(ThingKind.BIB, mms_id=bib.mms_id) for bib in bibs)


def is_marked(work: Work, item: ItemSight) -> bool:
    return any(work.marker in note for note in item.notes)


def barcode_taken(*, undo: bool) -> Blocked:
    return needs_a_person(
        ParkReason.BARCODE_TAKEN,
        "this Alma has another item with the same barcode; nothing is placed over it",
        undo=undo,
    )


class EnsureVirtualBib(PlainVerb):
    async def look(self, work: Work) -> Sight:
        if work.placing is None:
            return needs_a_person(ParkReason.MISSING_PLACING_DATA, "the title is not known")
        if work.barcode is None:
            return needs_a_person(ParkReason.BARCODE_MISSING, "the lender's item has no barcode")
        found = await our_bibs(work)
        if found:
            return self._taken(work, found)
        taken = await item_with_barcode(work)
        if taken is not None and not is_marked(work, taken):
            return barcode_taken(undo=False)
        return Missing(work.placing.item)

    async def act(self, work: Work, found: Any) -> Made | None:
        bib = await work.alma.create_bib(
            found.title, found.author, work.system_number, work.now.date()
        )
        return self._taken(work, [bib])

    def _taken(self, work: Work, bibs: list[BibSight]) -> Made:
        """The first is used; should a lost answer have left a second, it is cleared later."""
        bibs = sorted(bibs, key=lambda bib: bib.mms_id)
        leg = replace(work.leg, mms_id=bibs[0].mms_id)
        return Made(_rows(work, bibs), leg, f"virtual bib {bibs[0].mms_id}")


class EnsureVirtualHolding(PlainVerb):
    async def look(self, work: Work) -> Sight:
        library, location = work.config.virtual_library, work.config.virtual_location
        if library is None or location is None:
            return not_configured("virtual_library or virtual_location")
        mms_id = work.leg.mms_id
        if mms_id is None:
            return needs_a_person(ParkReason.MISSING_PLACING_DATA, "the virtual bib is not known")
        holdings = await work.alma.holdings(mms_id)
        if holdings:
            return self._taken(work, sorted(each.holding_id for each in holdings))
        if not await work.alma.has_location(library, location):
            return needs_a_person(
                ParkReason.LOCATION_UNKNOWN, f"library {library} has no location {location}"
            )
        return Missing((mms_id, library, location))

    async def act(self, work: Work, found: Any) -> Made | None:
        mms_id, library, location = found
        made = await work.alma.create_holding(mms_id, library, location)
        return self._taken(work, [made.holding_id])

    def _taken(self, work: Work, holding_ids: list[HoldingId]) -> Made:
        """Every holding of our own bib is ours; the first is used."""
        leg = work.leg
        things = tuple(
            work.new_thing(ThingKind.HOLDING, mms_id=leg.mms_id, holding_id=each)
            for each in holding_ids
        )
        return Made(things, replace(leg, holding_id=holding_ids[0]), f"holding {holding_ids[0]}")


class EnsureVirtualItem(PlainVerb):
    async def look(self, work: Work) -> Sight:
        leg, placing = work.leg, work.placing
        if placing is None or leg.mms_id is None or leg.holding_id is None:
            return needs_a_person(
                ParkReason.MISSING_PLACING_DATA, "the virtual holding is not known"
            )
        if work.barcode is None:
            return needs_a_person(ParkReason.BARCODE_MISSING, "the lender's item has no barcode")
        material = mapped(work.config.material_types, placing.item.item_type)
        if material is None:
            return not_configured("material_types")
        found = await item_with_barcode(work)
        if found is None:
            return Missing(
                NewItem(
                    mms_id=leg.mms_id,
                    holding_id=leg.holding_id,
                    barcode=work.barcode,
                    material_type=material,
                    policy=work.config.item_policy,
                    note=work.marker,
                )
            )
        return self._found(work, found)

    def _found(self, work: Work, item: ItemSight) -> Sight:
        if item.mms_id == work.leg.mms_id or is_marked(work, item):
            return self._taken(work, item)
        return barcode_taken(undo=True)

    async def act(self, work: Work, found: Any) -> Made | None:
        made = await work.alma.create_item(found)
        return self._taken(work, made) if made.pid else None

    async def refused(self, work: Work, failure: AlmaFailure) -> Sight:
        """No code for a barcode that is taken is documented: ask who has it."""
        found = await item_with_barcode(work)
        if found is not None:
            return self._found(work, found)
        refusal = blocked_by(failure)
        return replace(refusal, undo=refusal.park is not None)

    def _taken(self, work: Work, item: ItemSight) -> Made:
        leg = work.leg
        thing = work.new_thing(
            ThingKind.ITEM,
            mms_id=leg.mms_id,
            holding_id=leg.holding_id,
            item_pid=item.pid,
        )
        taken = replace(leg, item_pid=item.pid, item_barcode=work.barcode)
        return Made((thing,), taken, f"virtual item {item.pid}")


class EnsureItemRemoved(PlainVerb):
    async def look(self, work: Work) -> Sight:
        thing = work.thing
        key = work.item_key()
        try:
            item = await work.alma.item(key.mms_id, key.holding_id, key.item_pid)
        except AlmaFailure as failure:
            if is_absent(failure, Subject.ITEM) or await self._has_no_witness(work, failure):
                return Made(gone(thing), note=f"virtual item {key.item_pid} removed")
            raise
        if item.state is ItemState.LOANED:
            return Blocked("still_on_loan", "the virtual item is on loan")
        if not is_marked(work, item) and not (thing and thing.trusted):
            return needs_a_person(ParkReason.NOT_OURS_ANY_MORE, "the item does not carry our mark")
        return Missing(key)

    async def _has_no_witness(self, work: Work, failure: AlmaFailure) -> bool:
        """A general error for the item proves nothing; that nothing has its barcode, too, does."""
        told = failure.kind is FailureKind.REFUSED and failure.code == GENERAL_ERROR
        if not told or work.barcode is None:
            return False
        return await item_with_barcode(work) is None

    async def act(self, work: Work, found: Any) -> Made | None:
        """Refused without override though nobody has or wants the item: then with it."""
        try:
            await work.alma.delete_item(found)
        except AlmaFailure as failure:
            if failure.code != ITEM_DELETE_ERROR or await self._is_wanted(work, found):
                raise
            await work.alma.delete_item(found, override=True)
        return None

    async def _is_wanted(self, work: Work, key: ItemKey) -> bool:
        item = await work.alma.item(key.mms_id, key.holding_id, key.item_pid)
        holds = await work.alma.item_requests(key.mms_id, key.holding_id, key.item_pid)
        return item.state is ItemState.LOANED or bool(holds)

    async def refused(self, work: Work, failure: AlmaFailure) -> Sight:
        if is_absent(failure, Subject.ITEM):
            return Made(gone(work.thing), note="the item was gone already")
        return blocked_by(failure)


class EnsureHoldingRemoved(PlainVerb):
    async def look(self, work: Work) -> Sight:
        thing = work.thing
        if thing is None or thing.mms_id is None or thing.holding_id is None:
            return Made(gone(thing), note="no holding")
        try:
            holdings = await work.alma.holdings(thing.mms_id)
        except AlmaFailure as failure:
            if is_absent(failure, Subject.BIB):
                holdings = ()
            else:
                raise
        if all(each.holding_id != thing.holding_id for each in holdings):
            return Made(gone(thing), note=f"holding {thing.holding_id} removed")
        return Missing(thing)

    async def act(self, work: Work, found: Any) -> Made | None:
        await work.alma.delete_holding(found.mms_id, found.holding_id)
        return None

    async def refused(self, work: Work, failure: AlmaFailure) -> Sight:
        if is_absent(failure, Subject.HOLDING):
            return Made(gone(work.thing), note="the holding was gone already")
        return blocked_by(failure)


class EnsureBibRemoved(PlainVerb):
    async def look(self, work: Work) -> Sight:
        thing = work.thing
        if thing is None or thing.mms_id is None:
            return Made(gone(thing), note="no bib")
        try:
            bib = await work.alma.bib(thing.mms_id)
        except AlmaFailure as failure:
            if is_absent(failure, Subject.BIB):
                return await self._removed(work, thing)
            raise
        if work.system_number not in bib.system_numbers and not thing.trusted:
            return needs_a_person(
                ParkReason.NOT_OURS_ANY_MORE,
                "the bib does not carry our number any more: it was merged or overlaid",
            )
        return Missing(thing.mms_id)

    async def _removed(self, work: Work, thing: Thing) -> Made:
        """Should a lost answer have left a second bib of ours, it is known from here on."""
        more = [bib for bib in await our_bibs(work) if bib.mms_id != thing.mms_id]
        told = f"virtual bib {thing.mms_id} removed"
        return Made((*gone(thing), *_rows(work, more)), note=told)

    async def act(self, work: Work, found: Any) -> Made | None:
        """Refused without override though nothing hangs on our bib: then with it (lesson 20)."""
        try:
            await work.alma.delete_bib(found)
        except AlmaFailure as failure:
            if failure.code != BIB_DELETE_ERROR or await work.alma.holdings(found):
                raise
            await work.alma.delete_bib(found, override=True)
        return None

    async def refused(self, work: Work, failure: AlmaFailure) -> Sight:
        if is_absent(failure, Subject.BIB):
            return Made(gone(work.thing), note="the bib was gone already")
        return blocked_by(failure)
