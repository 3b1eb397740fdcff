"""One Alma, to read and to write."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from reconciler.core.model import (
    Barcode,
    BibGlance,
    BibSight,
    DeskCode,
    HoldingId,
    HoldingSight,
    ItemPid,
    ItemSight,
    LibraryCode,
    LoanId,
    LoanSight,
    MmsId,
    RequestId,
    RequestSight,
    UserId,
    UserSight,
)


class AlmaReader(Protocol):
    """One institution's Alma, read only. Every method raises `AlmaFailure` and nothing else."""

    async def item(self, mms_id: MmsId, holding_id: HoldingId, pid: ItemPid) -> ItemSight: ...

    async def item_by_barcode(self, barcode: Barcode) -> ItemSight: ...

    async def request(self, user_id: UserId, request_id: RequestId) -> RequestSight: ...

    async def item_requests(
        self, mms_id: MmsId, holding_id: HoldingId, pid: ItemPid
    ) -> tuple[RequestSight, ...]: ...

    async def loan(self, user_id: UserId, loan_id: LoanId) -> LoanSight: ...

    async def item_loans(
        self, mms_id: MmsId, holding_id: HoldingId, pid: ItemPid, *, completed: bool
    ) -> tuple[LoanSight, ...]: ...

    async def user_loans(self, user_id: UserId, *, completed: bool) -> tuple[LoanSight, ...]: ...

    async def user(self, user_id: str) -> UserSight:
        """The user whom Alma finds under any of the user's identifiers."""

    async def user_holds(self, user_id: UserId) -> tuple[RequestSight, ...]:
        """The user's active holds."""

    async def bib(self, mms_id: MmsId) -> BibSight: ...

    async def bibs_with_number(self, system_number: str) -> tuple[BibSight, ...]: ...

    async def glances(self, mms_ids: Sequence[MmsId]) -> tuple[BibGlance, ...]:
        """What one call tells of up to 100 bibs; one that is missing there says nothing."""

    async def holdings(self, mms_id: MmsId) -> tuple[HoldingSight, ...]: ...

    async def holding_items(
        self, mms_id: MmsId, holding_id: HoldingId
    ) -> tuple[ItemSight, ...]: ...

    async def request_options(
        self, mms_id: MmsId, holding_id: HoldingId, pid: ItemPid, user_id: UserId
    ) -> tuple[str, ...]:
        """What Alma offers this user for this item ("HOLD"); pickup places are not considered."""

    async def has_location(self, library: str, location: str) -> bool: ...

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class NewUser:
    """A virtual patron to be made (workflow.md §4)."""

    identifier: str
    identifier_type: str
    group: str
    first_name: str
    last_name: str
    barcodes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class NewHold:
    """An item-level hold to be placed."""

    user_id: UserId
    item_pid: ItemPid
    library: LibraryCode
    circ_desk: DeskCode | None
    comment: str


@dataclass(frozen=True, slots=True)
class NewItem:
    """A virtual item to be made below a virtual holding."""

    mms_id: MmsId
    holding_id: HoldingId
    barcode: str
    material_type: str
    policy: str | None
    note: str


@dataclass(frozen=True, slots=True)
class NewLoan:
    user_id: UserId
    item_pid: ItemPid
    library: LibraryCode
    circ_desk: DeskCode
    request_id: RequestId | None = None


@dataclass(frozen=True, slots=True)
class ItemKey:
    mms_id: MmsId
    holding_id: HoldingId
    item_pid: ItemPid


class AlmaWriter(AlmaReader, Protocol):
    """One institution's Alma, to be acted on. Built for libraries in mode `act` only.

    No method is ever repeated by itself: what failed may have happened, and the caller's intent
    decides what to do about it. All raise `AlmaFailure` and nothing else.
    """

    def until(self, deadline: float) -> AlmaWriter:
        """The same, whose writes begin by then (monotonic seconds) or fail as NOT_SENT."""

    async def create_user(self, new: NewUser) -> UserSight: ...

    async def extend_user(self, user: UserSight, until: date) -> UserSight:
        """Send the whole record back with a later expiry date."""

    async def place_hold(self, new: NewHold) -> RequestSight: ...

    async def cancel_hold(self, user_id: UserId, request_id: RequestId, reason: str) -> None: ...

    async def create_bib(
        self, title: str, author: str | None, system_number: str, today: date
    ) -> BibSight: ...

    async def delete_bib(self, mms_id: MmsId, *, override: bool = False) -> None: ...

    async def create_holding(self, mms_id: MmsId, library: str, location: str) -> HoldingSight: ...

    async def delete_holding(self, mms_id: MmsId, holding_id: HoldingId) -> None: ...

    async def create_item(self, new: NewItem) -> ItemSight: ...

    async def delete_item(self, key: ItemKey, *, override: bool = False) -> None: ...

    async def annotate_item(self, item: ItemSight, note: str, policy: str | None) -> ItemSight:
        """Send the item back with a fulfilment note, and another policy where one is given."""

    async def scan_in(self, key: ItemKey, library: str, circ_desk: str) -> ItemSight: ...

    async def create_loan(self, new: NewLoan) -> LoanSight: ...

    async def set_due_date(
        self, user_id: UserId, loan_id: LoanId, due_at: datetime
    ) -> LoanSight: ...
