"""The reader, the item and the pickup place as they stand in import lines (interface.md §4.2)."""

from __future__ import annotations

import unicodedata

from pydantic import Field

from reconciler.core.commands.placing import (
    Party,
    Patron,
    PickupPlace,
    Placing,
    WantedItem,
    agency_of,
)
from reconciler.core.model import (
    Barcode,
    DeskCode,
    HoldingId,
    HostLmsCode,
    ItemPid,
    LibraryCode,
    MmsId,
    UserId,
)
from reconciler.engine.lines import Part, Text


class PatronPart(Part):
    host_lms: Text
    user_id: Text
    barcodes: list[Text] = Field(default_factory=list)
    names: list[Text] = Field(default_factory=list)
    patron_type: Text | None = None
    agency: Text | None = None


class ItemPart(Part):
    host_lms: Text
    mms_id: Text
    holding_id: Text
    item_pid: Text
    barcode: Text | None = None
    title: Text | None = None
    author: Text | None = None
    item_type: Text | None = None
    agency: Text | None = None


class PickupPart(Part):
    host_lms: Text
    library: Text
    circ_desk: Text | None = None
    agency: Text | None = None


def placing(
    patron: PatronPart, item: ItemPart, pickup: PickupPart, note: str | None, *, keep_names: bool
) -> Placing:
    """What is kept of these parts; names only where a library shows them.

    The pickup names a place of an agency, never whose the reader or the item is.
    """
    reader, lender, place = _party(patron), _party(item), _party(pickup)
    return Placing(
        patron=Patron(
            host_lms=reader.host_lms,
            agency=agency_of(reader, lender),
            user_id=UserId(patron.user_id),
            barcodes=tuple(Barcode(each) for each in dict.fromkeys(patron.barcodes)),
            names=tuple(patron.names) if keep_names else (),
            patron_type=patron.patron_type,
        ),
        item=WantedItem(
            host_lms=lender.host_lms,
            agency=agency_of(lender, reader),
            mms_id=MmsId(item.mms_id),
            holding_id=HoldingId(item.holding_id),
            item_pid=ItemPid(item.item_pid),
            barcode=Barcode(item.barcode) if item.barcode else None,
            title=_clean(item.title),
            author=_clean(item.author),
            item_type=item.item_type,
        ),
        pickup=PickupPlace(
            host_lms=place.host_lms,
            agency=agency_of(place, reader, lender),
            library=LibraryCode(pickup.library),
            circ_desk=DeskCode(pickup.circ_desk) if pickup.circ_desk else None,
        ),
        note=_clean(note),
    )


def _party(part: PatronPart | ItemPart | PickupPart) -> Party:
    return Party(HostLmsCode(part.host_lms), part.agency)


def _clean(text: str | None) -> str | None:
    """A text without what no record can carry: control characters and halves of characters."""
    if text is None:
        return None
    one_line = text.translate({ord(char): " " for char in "\t\r\n"})
    kept = "".join(char for char in one_line if not unicodedata.category(char).startswith("C"))
    return kept.strip() or None
