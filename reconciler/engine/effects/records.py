"""The virtual bib, holding and item: made once, each with our mark, adopted only while it is ours.

A barcode that this Alma already uses for something else is found before anything is written.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from reconciler.core.commands.placing import mapped
from reconciler.core.mapping import Subject
from reconciler.core.model import Barcode, BibSight, HoldingId, HoldingSight, ItemSight, Thing
from reconciler.core.staff.parking import ParkReason
from reconciler.core.status import ThingKind, ThingState
from reconciler.engine.effects.work import (
    Blocked,
    Made,
    Missing,
    PlainVerb,
    Sight,
    Work,
    blocked_by,
    needs_a_person,
    not_configured,
)
from reconciler.errors import AlmaFailure
from reconciler.ports.alma import NewItem


async def item_with_barcode(work: Work) -> ItemSight | None:
    """The item that has the wanted item's barcode in this Alma; None when proved to be none."""
    return None if work.barcode is None else await find_by_barcode(work, work.barcode)


async def find_by_barcode(work: Work, barcode: Barcode) -> ItemSight | None:
    try:
        return await work.alma.item_by_barcode(barcode)
    except AlmaFailure as failure:
        if failure.proves_absent(Subject.ITEM):
            return None
        raise


async def numbered_bibs(work: Work) -> list[BibSight]:
    """The bibs that carry our number, each read whole where the search does not show it.

    A search that finds nothing is answered by an empty list or by the code for "no such bib".
    """
    try:
        found = await work.alma.bibs_with_number(work.system_number)
    except AlmaFailure as failure:
        if failure.proves_absent(Subject.BIB):
            return []
        raise
    whole = [
        bib
        if bib.system_numbers and bib.suppressed is not None
        else await work.alma.bib(bib.mms_id)
        for bib in found
    ]
    return [bib for bib in whole if work.system_number in bib.system_numbers]


def bib_rows(work: Work, bibs: list[BibSight]) -> tuple[Thing, ...]:
    return tuple(work.new_thing(ThingKind.BIB, mms_id=bib.mms_id) for bib in bibs)


def is_marked(work: Work, item: ItemSight) -> bool:
    return any(work.marker in note for note in item.notes)


def is_virtual_place(work: Work, at: HoldingSight | ItemSight) -> bool:
    """Whether it stands where our virtual records stand."""
    config = work.config
    place = (at.library, at.location)
    return None not in place and place == (config.virtual_library, config.virtual_location)


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
        found = [bib for bib in await numbered_bibs(work) if self._is_ours(work, bib)]
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
        return Made(bib_rows(work, bibs), leg, f"virtual bib {bibs[0].mms_id}")

    def _is_ours(self, work: Work, bib: BibSight) -> bool:
        """A merge carries our number into a record of the library's own: one that readers can see
        is not ours, and beside the bib that the ledger knows no other is."""
        known = [
            thing
            for thing in work.transaction.things
            if thing.kind is ThingKind.BIB
            and thing.role is work.intent.role
            and thing.state is ThingState.PRESENT
        ]
        is_known = any(thing.mms_id == bib.mms_id for thing in known)
        return bib.suppressed is True and (is_known or not known)


class EnsureVirtualHolding(PlainVerb):
    async def look(self, work: Work) -> Sight:
        library, location = work.config.virtual_library, work.config.virtual_location
        if library is None or location is None:
            return not_configured("virtual_library or virtual_location")
        mms_id = work.leg.mms_id
        if mms_id is None:
            return needs_a_person(ParkReason.MISSING_PLACING_DATA, "the virtual bib is not known")
        holdings = await work.alma.holdings(mms_id)
        ours = [each for each in holdings if is_virtual_place(work, each)]
        if ours:
            return self._taken(work, sorted(each.holding_id for each in ours))
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
        """Every holding of our own bib at the virtual location is ours; the first is used."""
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
        if is_marked(work, item):
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
        """Where it stands is told by Alma's answer: it may have been moved to another record."""
        leg = replace(
            work.leg,
            mms_id=item.mms_id or work.leg.mms_id,
            holding_id=item.holding_id or work.leg.holding_id,
            item_pid=item.pid,
            item_barcode=work.barcode,
        )
        thing = work.new_thing(
            ThingKind.ITEM, mms_id=leg.mms_id, holding_id=leg.holding_id, item_pid=leg.item_pid
        )
        return Made((thing,), leg, f"virtual item {item.pid}")
