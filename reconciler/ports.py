"""What the engine needs from the outside, as protocols: time, one Alma to read, the store."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from reconciler.core.model import (
    Barcode,
    HistoryEntry,
    HoldingId,
    HostLmsCode,
    Intent,
    ItemPid,
    ItemSight,
    Leg,
    LoanId,
    LoanSight,
    MmsId,
    RequestId,
    RequestSight,
    Transaction,
    TransactionId,
    UserId,
)
from reconciler.core.status import DcbStatus


class Clock(Protocol):
    def now(self) -> datetime:
        """The wall clock, aware UTC."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    async def sleep(self, seconds: float) -> None: ...


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

    async def primary_id(self, user_id: UserId) -> UserId:
        """The primary id of the user whom Alma finds under any of the user's identifiers."""

    async def aclose(self) -> None: ...


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds claims: unique to one process; `claimed_until` bounds what its death costs."""

    name: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A transaction that this process alone may settle, until its lease ends.

    `fence` was raised by the claim: whoever claims it later makes this one worthless.
    """

    transaction: Transaction
    fence: int


@dataclass(frozen=True, slots=True)
class Selection:
    """Which transactions: all live ones of a tenant, or these ids; due ones only, or any."""

    tenant: HostLmsCode | None = None
    ids: tuple[TransactionId, ...] | None = None
    due_only: bool = True


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is written for one claim, in one transaction of the database."""

    claim: Claim
    after: Transaction
    history: tuple[HistoryEntry, ...] = ()
    intents: tuple[Intent, ...] = ()
    """New intents; their `asked_by` counts within `history`, from 0."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What `list` shows."""

    status: DcbStatus | None = None
    tenant: HostLmsCode | None = None
    parked: bool = False


class Store(Protocol):
    """Our database. Synchronous: the engine calls it on a thread of its own."""

    def claim(
        self, selection: Selection, owner: Owner, now: datetime, until: datetime, limit: int
    ) -> list[Claim]:
        """Claim up to `limit` unclaimed transactions, oldest due first."""

    def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """Write each; False for one whose claim was taken over or whose version has moved on."""

    def release(self, claims: Sequence[Claim]) -> None:
        """Give claims back unsettled."""

    def rescue(self, is_dead: Callable[[Owner], bool]) -> int:
        """Free the claims of owners that are known to be dead; how many transactions it freed."""

    def live(self, selection: Selection, now: datetime) -> list[Transaction]:
        """The live transactions of a selection, without claiming them."""

    def get(self, id: TransactionId) -> Transaction:
        """Raises UnknownTransaction."""

    def find(self, filter: Filter) -> list[Transaction]: ...

    def history(self, id: TransactionId) -> list[HistoryEntry]: ...

    def intents(self, id: TransactionId) -> list[Intent]: ...

    def add(self, transaction: Transaction, entry: HistoryEntry) -> bool:
        """Store a new transaction; False when the id is known already (nothing is changed)."""

    def amend(self, id: TransactionId, legs: Sequence[Leg], entry: HistoryEntry) -> None:
        """Replace legs by a person's word and make the transaction due; raises as `get`."""
