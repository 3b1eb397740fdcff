"""Our database of transactions."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from reconciler.core.commands.placing import Placing
from reconciler.core.model import (
    HistoryEntry,
    HostLmsCode,
    Intent,
    ItemPid,
    Leg,
    LoanId,
    Transaction,
    TransactionId,
)
from reconciler.core.status import DcbStatus
from reconciler.ports.leases import Owner
from reconciler.ports.reports import Filter
from reconciler.ports.written import Claim, Entrance, Intervention, Settlement


@dataclass(frozen=True, slots=True)
class Selection:
    """Which transactions: all live ones of a tenant, or these ids; due ones only, or any."""

    tenant: HostLmsCode | None = None
    ids: tuple[TransactionId, ...] | None = None
    due_only: bool = True
    with_effects_only: bool = False
    """Only those with an effect that is still to be carried out."""
    passed_over: tuple[TransactionId, ...] = ()
    """Not these: the process is at work on them, though their claims may be over by now, or it has
    just looked at them in vain."""
    asked_only: bool = False
    """Only those that a person asked to be looked at."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A lender that did not supply a transaction."""

    host_lms: HostLmsCode
    item_pid: ItemPid
    given_up_at: datetime


class Store(Protocol):
    """Our database. Synchronous: the engine calls it on a thread of its own."""

    def claim(
        self, selection: Selection, owner: Owner, now: datetime, until: datetime, limit: int
    ) -> list[Claim]:
        """Claim up to `limit` unclaimed transactions of libraries that `owner` has the lease of,
        oldest due first."""

    def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """Write each; False for one whose claim was taken over or whose version has moved on."""

    @property
    def stale_writes(self) -> int:
        """How many settlements were refused so far because the lease had gone to another."""

    def release(self, claims: Sequence[Claim]) -> None:
        """Give claims back unsettled."""

    def rescue(self, is_dead: Callable[[Owner], bool]) -> int:
        """Free the claims of owners that are known to be dead; how many transactions it freed."""

    def pull_in(self, now: datetime, intervals: Mapping[DcbStatus, timedelta]) -> int:
        """Bring next looks forward that lie more than their status' interval ahead; how many."""

    def tenants(self) -> list[HostLmsCode]:
        """Every library that a transaction is still polled for; as quick as they are few."""

    def live(self, selection: Selection, now: datetime) -> list[Transaction]:
        """The live transactions of a selection, without claiming them."""

    def get(self, id: TransactionId) -> Transaction:
        """Raises UnknownTransaction."""

    def find(self, filter: Filter) -> list[Transaction]: ...

    def count(self, filter: Filter) -> int:
        """How many there are, whatever the filter's limit."""

    def history(self, id: TransactionId) -> list[HistoryEntry]: ...

    def intents(self, id: TransactionId) -> list[Intent]: ...

    def add(self, entrance: Entrance) -> bool:
        """Store a new transaction; False when the id is known already (nothing is changed)."""

    def reopen(self, entrance: Entrance, version: int) -> bool:
        """Begin again with another lender; False when the transaction has moved on meanwhile."""

    def suppliers_tried(self, id: TransactionId) -> list[Tried]:
        """The lenders that did not supply, oldest first."""

    def loans_of_others(
        self, host_lms: HostLmsCode, loan_ids: Collection[LoanId], id: TransactionId
    ) -> frozenset[LoanId]:
        """Those of these loans of a library that belong to another transaction than `id`, a live
        or an ended one; as quick as they are few."""

    def placing(self, id: TransactionId) -> Placing | None:
        """What it is placed with; None once that is forgotten."""

    def intervene(self, intervention: Intervention, now: datetime) -> bool:
        """Write a person's command; False while a process is at work on the transaction, when it
        has moved on, or when a pause forbids it."""

    def amend(self, before: Transaction, legs: Sequence[Leg], entry: HistoryEntry) -> bool:
        """Replace legs by a person's word and make the transaction due; False when it has moved on
        since it was read as `before`."""
