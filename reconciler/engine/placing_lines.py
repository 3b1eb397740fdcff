"""The reader, the item and the pickup place as they stand in import lines (interface.md §4.2)."""

from __future__ import annotations

import unicodedata

from pydantic import Field

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
from reconciler.core.placing import Patron, PickupPlace, Placing, WantedItem
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


def placing(
    patron: PatronPart,
    item: ItemPart,
    pickup: PickupPlace,
    note: str | None,
    *,
    keep_names: bool,
) -> Placing:
    """What is kept of these parts; names only where a library shows them."""
    return Placing(
        patron=Patron(
            host_lms=HostLmsCode(patron.host_lms),
            agency=patron.agency or patron.host_lms,
            user_id=UserId(patron.user_id),
            barcodes=tuple(Barcode(each) for each in dict.fromkeys(patron.barcodes)),
            names=tuple(patron.names) if keep_names else (),
            patron_type=patron.patron_type,
        ),
        item=WantedItem(
            host_lms=HostLmsCode(item.host_lms),
            agency=item.agency or item.host_lms,
            mms_id=MmsId(item.mms_id),
            holding_id=HoldingId(item.holding_id),
            item_pid=ItemPid(item.item_pid),
            barcode=Barcode(item.barcode) if item.barcode else None,
            title=_clean(item.title),
            author=_clean(item.author),
            item_type=item.item_type,
        ),
        pickup=pickup,
        note=_clean(note),
    )


def pickup_place(
    host_lms: str, agency: str | None, library: str, circ_desk: str | None
) -> PickupPlace:
    return PickupPlace(
        host_lms=HostLmsCode(host_lms),
        agency=agency or host_lms,
        library=LibraryCode(library),
        circ_desk=DeskCode(circ_desk) if circ_desk else None,
    )


def _clean(text: str | None) -> str | None:
    """A text without what no record can carry: control characters and halves of characters."""
    if text is None:
        return None
    one_line = text.translate({ord(char): " " for char in "\t\r\n"})
    kept = "".join(char for char in one_line if not unicodedata.category(char).startswith("C"))
    return kept.strip() or None
