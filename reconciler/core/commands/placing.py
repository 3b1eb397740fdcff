"""What a caller gives us to place a request with, which workflow follows, and where pickups are.

Source: interface.md §4.2, workflow.md §3 ("Choice of workflow") and its rows 1, 3, 4.
"""

from __future__ import annotations

import hashlib
from base64 import b32encode
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import tzinfo

from reconciler.core.model import (
    Barcode,
    DeskCode,
    HoldingId,
    HostLmsCode,
    Intent,
    ItemPid,
    LibraryCode,
    MmsId,
    TransactionId,
    UserId,
)
from reconciler.core.status import BEFORE_DISPATCH, DcbStatus, EffectKind, Role, Workflow


@dataclass(frozen=True, slots=True)
class Patron:
    """The reader. `names` are kept only for a library that shows names."""

    host_lms: HostLmsCode
    agency: str
    user_id: UserId
    barcodes: tuple[Barcode, ...] = ()
    names: tuple[str, ...] = ()
    patron_type: str | None = None


@dataclass(frozen=True, slots=True)
class WantedItem:
    """The lender's copy that is asked for."""

    host_lms: HostLmsCode
    agency: str
    mms_id: MmsId
    holding_id: HoldingId
    item_pid: ItemPid
    barcode: Barcode | None = None
    title: str | None = None
    author: str | None = None
    item_type: str | None = None


@dataclass(frozen=True, slots=True)
class PickupPlace:
    """Where the reader collects the book: a library of `host_lms`, optionally a desk of it."""

    host_lms: HostLmsCode
    agency: str
    library: LibraryCode
    circ_desk: DeskCode | None = None


@dataclass(frozen=True, slots=True)
class Placing:
    """All that is needed to place a request; forgotten once the book has left."""

    patron: Patron
    item: WantedItem
    pickup: PickupPlace
    note: str | None = None


@dataclass(frozen=True, slots=True)
class Party:
    """A party of a line as it was given: which system it is in, and its agency if that is told."""

    host_lms: HostLmsCode
    agency: str | None


def agency_of(party: Party, *others: Party) -> str:
    """Its agency; one that is not given is that of the first of the others that shares its system
    and has one, else the code of its system."""
    given = (each.agency for each in (party, *others) if each.host_lms == party.host_lms)
    return next((agency for agency in given if agency), party.host_lms)


@dataclass(frozen=True, slots=True)
class LibraryConfig:
    """How one Alma is set up for consortial lending (interface.md §3)."""

    sharing_library: LibraryCode | None
    sharing_circ_desk: DeskCode | None
    circ_desk: DeskCode
    cancellation_reason: str
    no_renew_item_policy: str | None
    virtual_library: LibraryCode | None
    virtual_location: str | None
    transit_library: LibraryCode | None
    item_policy: str | None
    patron_groups: dict[str, str]
    material_types: dict[str, str]
    identifier_type: str
    barcode_prefix: str
    show_names: bool
    zone: tzinfo
    """Whose calendar its dates are of."""


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why something cannot be placed: a stable code and a sentence."""

    code: str
    sentence: str


_STANDS_ON_PLACING = frozenset(
    {
        EffectKind.VIRTUAL_BIB,
        EffectKind.VIRTUAL_HOLDING,
        EffectKind.VIRTUAL_ITEM,
        EffectKind.BORROWER_HOLD,
        EffectKind.PICKUP_HOLD,
    }
)


def is_needed(status: DcbStatus, intents: Iterable[Intent]) -> bool:
    """Whether placing data, which name a reader, have to be kept.

    Until the book has left; as long as something is still being placed (made anew, the book may
    have left meanwhile); and as long as it is not known what became of an effect, since it is
    found again by them.
    """
    return status in BEFORE_DISPATCH or any(
        intent.may_have_happened or (intent.kind in _STANDS_ON_PLACING and not intent.is_over)
        for intent in intents
    )


def choose_workflow(placing: Placing) -> Workflow | Refusal:
    """By the three systems, vendors are never compared. Agencies only tell who is who inside one:
    of a lend within one system whether it is one library's own, and nothing else."""
    item, patron, pickup = placing.item, placing.patron, placing.pickup
    if item.host_lms == patron.host_lms:
        return _within_one_system(placing)
    if pickup.host_lms == item.host_lms:
        return Workflow.EXPEDITED
    if pickup.host_lms == patron.host_lms:
        return Workflow.STANDARD
    return Workflow.PICKUP_ANYWHERE


def _within_one_system(placing: Placing) -> Workflow | Refusal:
    """Lender and reader in one system: a library that lends its own book to its own reader at home,
    or a lend that is not ours."""
    system, pickup = placing.item.host_lms, placing.pickup
    if pickup.host_lms != system:
        return Refusal(
            "own_item_elsewhere",
            f"the reader's own system {system} owns the item: it cannot be lent to itself for "
            f"pickup at {pickup.host_lms}",
        )
    if len({placing.item.agency, placing.patron.agency, pickup.agency}) == 1:
        return Workflow.LOCAL
    return Refusal(
        "shared_institution",
        f"lender, reader and pickup are agencies of one system, {system}, and the item's barcode "
        "exists there already: use that system's own requests",
    )


def hold_pickup(
    role: Role, workflow: Workflow, placing: Placing, config: LibraryConfig
) -> tuple[LibraryCode, DeskCode | None] | None:
    """The pickup library (and desk) of a role's hold in its own Alma; None if not configured.

    A lender's hold is picked up "outside": at the sharing library, where no desk ever scans, so
    that Alma sends the book instead of shelving it. A real pickup code is valid only in the
    institution that it belongs to.
    """
    chosen = (placing.pickup.library, placing.pickup.circ_desk)
    outside = (config.sharing_library, config.sharing_circ_desk)
    if role is Role.SUPPLIER:
        library, desk = chosen if workflow in (Workflow.EXPEDITED, Workflow.LOCAL) else outside
    elif role is Role.PICKUP or workflow is Workflow.STANDARD:
        library, desk = chosen
    elif workflow is Workflow.PICKUP_ANYWHERE:
        library, desk = outside
    else:
        library, desk = config.virtual_library, None
    return (library, desk) if library else None


def virtual_patron_id(patron: Patron) -> str:
    """One identifier for this reader, the same in every lend, unique in any institution.

    Derived from agency and patron id, so that a second creation is refused by Alma itself; it
    does not tell who the reader is.
    """
    digest = hashlib.blake2b(
        f"{patron.agency}\x00{patron.user_id}".encode(), digest_size=10
    ).digest()
    return f"DCB-{b32encode(digest).decode()}"


MARK_BEGINS = "[DCB:"
"""How the mark of any lend begins."""


def marker(id: TransactionId) -> str:
    """What a hold's comment and an item's note carry, so that a lost answer is found again."""
    return f"{MARK_BEGINS}{id}]"


def system_number(id: TransactionId) -> str:
    """What a virtual bib's 035 carries."""
    return f"(DCB){id}"


def mapped(table: dict[str, str], word: str | None) -> str | None:
    """A consortium's type as this Alma's code; the default for types without one of their own."""
    return table.get(word or "default", table.get("default"))
