"""What the engine needs from the outside, as protocols: time, one Alma to read, the store."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol

from reconciler.core.figures import EndedPause, Parking, Standing, Tracked
from reconciler.core.hints import Glanced, Trust, Watch
from reconciler.core.model import (
    Barcode,
    BibGlance,
    BibSight,
    DeskCode,
    HistoryEntry,
    HoldingId,
    HoldingSight,
    HostLmsCode,
    Intent,
    ItemPid,
    ItemSight,
    Leg,
    LibraryCode,
    LoanId,
    LoanSight,
    MmsId,
    Pause,
    RequestId,
    RequestSight,
    Thing,
    Transaction,
    TransactionId,
    UserId,
    UserSight,
)
from reconciler.core.outbox import Delivery, Message, MessageState
from reconciler.core.placing import Placing
from reconciler.core.standing import TenantStanding
from reconciler.core.status import DcbStatus, EffectKind, IntentState
from reconciler.errors import FailureKind


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

    async def user(self, user_id: str) -> UserSight:
        """The user whom Alma finds under any of the user's identifiers."""

    async def user_holds(self, user_id: UserId) -> tuple[RequestSight, ...]:
        """The user's active holds."""

    async def bib(self, mms_id: MmsId) -> BibSight: ...

    async def bibs_with_number(self, system_number: str) -> tuple[BibSight, ...]: ...

    async def glances(self, mms_ids: Sequence[MmsId]) -> tuple[BibGlance, ...]:
        """What one call tells of up to 100 bibs; one that is missing there says nothing."""

    async def holdings(self, mms_id: MmsId) -> tuple[HoldingSight, ...]: ...

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


@dataclass(frozen=True, slots=True)
class CallMade:
    """One call to Alma that was answered or given up. `endpoint` holds no id. Seconds."""

    endpoint: str
    failure: FailureKind | None
    waited: float
    """For its turn under the limit."""
    seconds: float


@dataclass(frozen=True, slots=True)
class InstitutionTally:
    """What one Alma said of itself; None where it has not."""

    daily_reserve: int
    remaining_today: int | None
    clock_ahead: float | None


class KeyArea(StrEnum):
    """The areas of an API key that this service needs (alma-api.md §1.1)."""

    USERS = "Users"
    BIBS = "Bibs"
    CONFIGURATION = "Configuration"


@dataclass(frozen=True, slots=True)
class LibrarySight:
    code: LibraryCode
    is_resource_sharing: bool | None
    """None where Alma does not say."""


@dataclass(frozen=True, slots=True)
class InstitutionSight:
    """Whose Alma a key opens; `environment` is Alma's own word (PRODUCTION, SANDBOX)."""

    code: str | None
    name: str | None
    environment: str | None


class AlmaSurveyor(Protocol):
    """How one Alma is set up, for `doctor`: GETs only. Every method raises `AlmaFailure`."""

    @property
    def remaining_today(self) -> int | None:
        """Calls left for the whole institution, as Alma last said; None if it never did."""

    @property
    def clock_ahead(self) -> float | None:
        """Seconds by which Alma's clock is ahead of ours; None if no answer told its time."""

    async def probe(self, area: KeyArea) -> None:
        """Whether the key may read an area: it may if this returns."""

    async def institution(self) -> InstitutionSight: ...

    async def libraries(self) -> tuple[LibrarySight, ...]: ...

    async def locations(self, library: str) -> Mapping[str, bool | None]:
        """The codes of its locations, and whether each is suppressed; None where Alma is silent."""

    async def desks(self, library: str) -> tuple[str, ...]: ...

    async def codes(self, table: str) -> Mapping[str, bool]:
        """The codes of a code table, and whether each is enabled."""


@dataclass(frozen=True, slots=True)
class DatabaseSight:
    """What `doctor` sees of our database; nothing of it is made by looking."""

    shown: str
    """The URL without its password."""
    problem: str | None = None
    """Why it cannot be reached or read."""
    is_new: bool = False
    missing_migrations: int = 0
    schema_problem: str | None = None
    folder: str | None = None
    """Of an SQLite file."""
    filesystem: str | None = None
    """The kind of the folder's file system; None where that cannot be told."""
    open_to_others: tuple[str, ...] = ()
    """The files of an SQLite database that anybody on this machine may read."""
    written: Mapping[HostLmsCode, frozenset[EffectKind]] | None = None
    """The kinds of effects that were sent and done, by library; None when not readable."""
    pickups: Mapping[HostLmsCode, frozenset[LibraryCode]] | None = None
    """Where the lends that are not sent yet are to be collected; None when not readable."""


@dataclass(frozen=True, slots=True)
class SecretSight:
    """A secret of the settings: its key there, and why it cannot be used."""

    key: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds claims: unique to one process; `claimed_until` bounds what its death costs."""

    name: str


@dataclass(frozen=True, slots=True)
class Claim:
    """A transaction that this process alone may settle, until its lease ends.

    `fence` was raised by the claim: whoever claims it later makes this one worthless. So does a
    new `term` of the lease on its library.
    """

    transaction: Transaction
    fence: int
    owner: Owner
    term: int


@dataclass(frozen=True, slots=True)
class Lease:
    """Who looks after a library: `owner`, or nobody. `term` is raised by every taking, `beat` by
    whatever happens to the lease; `renewed_at` (wall) is for people."""

    tenant: HostLmsCode
    owner: Owner | None
    term: int
    beat: int
    renewed_at: datetime


@dataclass(frozen=True, slots=True)
class Presence:
    """A daemon that takes its share of the libraries, or would."""

    owner: Owner
    beat: int


class Leases(Protocol):
    """The leases on libraries. Synchronous, as `Store`; raises StoreUnavailable."""

    @property
    def is_shared(self) -> bool:
        """Whether several machines can work on this database at once."""

    def all(self, tenants: Sequence[HostLmsCode], now: datetime) -> list[Lease]:
        """The leases on these libraries; one that was never taken is there, and free."""

    def take(self, seen: Sequence[Lease], owner: Owner, now: datetime) -> list[Lease]:
        """Take those that still are as they were seen, and free what their last owners had
        claimed; the ones taken."""

    def renew(self, owner: Owner, now: datetime) -> list[Lease]:
        """Renew every lease of an owner; those that are still its own."""

    def release(self, owner: Owner, tenants: Sequence[HostLmsCode], now: datetime) -> None:
        """Give leases up, with every claim that their owner still has there."""

    def attend(self, owner: Owner, now: datetime) -> None:
        """Say that this daemon is here."""

    def present(self) -> list[Presence]:
        """The daemons that have said so, and not yet goodbye."""

    def leave(self, owner: Owner) -> None:
        """Forget a daemon: it said goodbye, or it is dead."""


@dataclass(frozen=True, slots=True)
class Selection:
    """Which transactions: all live ones of a tenant, or these ids; due ones only, or any."""

    tenant: HostLmsCode | None = None
    ids: tuple[TransactionId, ...] | None = None
    due_only: bool = True
    with_effects_only: bool = False
    """Only those with an effect that is still to be carried out."""
    under_way: tuple[TransactionId, ...] = ()
    """Not these: the process is at work on them, though their claims may be over by now."""


@dataclass(frozen=True, slots=True)
class Notice:
    """What one sink is told of one history row. `of` counts within the settlement's history."""

    id: str
    sink: str
    of: int
    type: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is written for one claim: all of it in one transaction of the database, or nothing.

    The only way in which a status, a leg, a history row, an intent or the ledger changes.
    """

    claim: Claim
    after: Transaction
    history: tuple[HistoryEntry, ...] = ()
    planned: tuple[Intent, ...] = ()
    """New intents; their `asked_by` counts within `history`, from 0."""
    changed: tuple[Intent, ...] = ()
    """Intents as they stand now."""
    things: tuple[Thing, ...] = ()
    """Rows of the ledger, new or as they stand now."""
    notices: tuple[Notice, ...] = ()
    keep_until: datetime | None = None
    """Keep the claim, with a lease until then; it is given back otherwise."""

    @property
    def before(self) -> Transaction:
        return self.claim.transaction

    @property
    def fires(self) -> bool:
        """Whether it moves a status or lets an effect go out: what a pause forbids.

        What became of an effect that is out already is written under a pause, too.
        """
        return self.after.status is not self.before.status or any(
            intent.state is IntentState.SENT for intent in self.changed
        )


@dataclass(frozen=True, slots=True)
class Intervention:
    """What a person's command writes of one transaction: all of it or nothing, and only while no
    process is at work on it and it still stands as it was seen (`before`)."""

    before: Transaction
    after: Transaction
    history: tuple[HistoryEntry, ...]
    planned: tuple[Intent, ...] = ()
    changed: tuple[Intent, ...] = ()
    things: tuple[Thing, ...] = ()
    notices: tuple[Notice, ...] = ()

    @property
    def fires(self) -> bool:
        return self.after.status is not self.before.status


Written = Settlement | Intervention


def happened_at(written: Written) -> datetime:
    """The instant that its rows of the ledger carry."""
    if written.history:
        return written.history[0].at
    return written.after.last_poll_at or written.after.created_at


@dataclass(frozen=True, slots=True)
class Entrance:
    """A transaction that comes in, with what it brings along."""

    transaction: Transaction
    entry: HistoryEntry
    placing: Placing | None = None
    intents: tuple[Intent, ...] = ()
    things: tuple[Thing, ...] = ()
    notices: tuple[Notice, ...] = ()
    replaces: int | None = None
    """The version of the transaction that it opens again; None for a new one."""


@dataclass(frozen=True, slots=True)
class Tried:
    """A lender that did not supply a transaction."""

    host_lms: HostLmsCode
    item_pid: ItemPid
    given_up_at: datetime


class Sink(Protocol):
    """One place that is told of events."""

    @property
    def name(self) -> str:
        """The same over restarts; it tells no secret."""

    async def deliver(self, message: Message, now: datetime, /) -> Delivery:
        """One try; never raises."""


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """What `outbox list` shows and `outbox replay` sends again."""

    ids: tuple[str, ...] = ()
    state: MessageState | None = None
    transaction: TransactionId | None = None
    since: datetime | None = None


class Outbox(Protocol):
    """The messages of our database; they are written by settlements."""

    def claim_messages(
        self, now: datetime, until: datetime, limit: int, sinks: Sequence[str]
    ) -> list[Message]:
        """Messages that are due and whose turn it is, oldest first; held until `until`."""

    def record_messages(self, messages: Sequence[Message]) -> None:
        """How deliveries went."""

    def messages(self, filter: MessageFilter) -> list[Message]: ...

    def replay(self, filter: MessageFilter, now: datetime) -> int:
        """Send these again, with their old ids; how many there are."""


@dataclass(frozen=True, slots=True)
class LateSince:
    """Which transactions may have stood too long: those in a status since before an instant."""

    in_status: Mapping[DcbStatus, datetime]
    due_before: datetime
    """Loans with a due date before this; the others are LOANED since before `in_status`."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What `list` shows."""

    status: DcbStatus | None = None
    tenant: HostLmsCode | None = None
    parked: bool = False
    live: bool = False
    """Only what is not over yet."""
    late: LateSince | None = None
    limit: int | None = None
    """At most so many, after the first `offset`."""
    offset: int = 0


class TransactionHealth(StrEnum):
    """How a live transaction is, apart from its status; the first word that fits."""

    PAUSED = "paused"
    PARKED = "parked"
    FAILING = "failing"
    """Its last look could not read everything."""
    HEALTHY = "healthy"


@dataclass(frozen=True, slots=True)
class HealthCount:
    tenant: HostLmsCode
    status: DcbStatus
    health: TransactionHealth
    count: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many wait, and since when the first of them."""

    count: int
    oldest_at: datetime


@dataclass(frozen=True, slots=True)
class Census:
    """What stands in the database at one moment, counted."""

    standing: tuple[HealthCount, ...]
    """Live transactions."""
    due: Mapping[HostLmsCode, Waiting]
    ambiguous: Mapping[tuple[HostLmsCode, EffectKind], int]
    outbox: Mapping[str, Waiting]
    """Pending messages, by sink."""


class Pauses(Protocol):
    """Who has stopped what. A pause holds from the commit of its row: nothing fires under it."""

    def pause(self, pause: Pause) -> bool:
        """Stop a library or everything; False when it is stopped already."""

    def resume(self, tenant: HostLmsCode | None, entry: HistoryEntry) -> bool:
        """End the pause of a library, or of everything; what it covered is due then.

        False when there is none.
        """

    def pause_transaction(self, id: TransactionId, pause: Pause, entry: HistoryEntry) -> bool:
        """Stop one; False when it is stopped already. Raises UnknownTransaction."""

    def resume_transaction(self, id: TransactionId, entry: HistoryEntry) -> bool:
        """End its own pause; False when there is none. Raises UnknownTransaction."""

    def standing(self) -> list[Pause]:
        """The pauses of libraries and of everything, oldest first."""

    def in_flight(self, pause: Pause, id: TransactionId | None, now: datetime) -> int:
        """How many effects that went out before a pause are still waiting for their answer."""


class Reports(Protocol):
    """What the reports count, as it stands in our database."""

    def tracked(self) -> Tracked: ...

    def standing(self) -> list[Standing]: ...

    def moves(self, since: datetime) -> dict[str, int]:
        """Transitions since then, by rule."""

    def parkings(self, since: datetime) -> list[Parking]:
        """What was parked since then, oldest first."""

    def effects(self, since: datetime) -> dict[IntentState, int]:
        """Effects by the state that they came to since then."""

    def undelivered(self) -> dict[MessageState, int]:
        """Notifications that nobody has received."""

    def pauses(self, since: datetime) -> list[EndedPause]:
        """Pauses of libraries and of everything that were ended since then."""


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

    def placing(self, id: TransactionId) -> Placing | None:
        """What it is placed with; None once that is forgotten."""

    def intervene(self, intervention: Intervention, now: datetime) -> bool:
        """Write a person's command; False while a process is at work on the transaction, when it
        has moved on, or when a pause forbids it."""

    def amend(self, id: TransactionId, legs: Sequence[Leg], entry: HistoryEntry) -> None:
        """Replace legs by a person's word and make the transaction due; raises as `get`."""


@dataclass(frozen=True, slots=True)
class Share:
    """What one process asks of the row that all processes share for one library.

    `seconds` is the length of the slice of time that it wants for its calls alone (0: none).
    `calls` and `throttled` were made since the last time; `standing` is what it has found, None
    where it has found nothing new.
    """

    tenant: HostLmsCode
    now: datetime
    day: date
    seconds: float = 0.0
    calls: int = 0
    throttled: int = 0
    standing: TenantStanding | None = None
    unused: tuple[datetime, datetime] | None = None
    """The end of the last slice, given back from this instant on: (from, end)."""


@dataclass(frozen=True, slots=True)
class Slice:
    """A stretch of time in which nobody else calls, and how the library stands by now."""

    starts_at: datetime
    standing: TenantStanding


@dataclass(frozen=True, slots=True)
class CallsOfDay:
    """How often we called one library on one of its days, and how often that was too often."""

    tenant: HostLmsCode
    day: date
    calls: int
    throttled: int


class Quotas(Protocol):
    """The calls to each library as all processes share them. Synchronous, like the store."""

    def share(self, ask: Share) -> Slice:
        """Take a slice, add to the day's count, say what was found; all in one transaction."""

    def standings(self) -> dict[HostLmsCode, TenantStanding]:
        """How each library that was ever called stands."""

    def calls(self, since: date) -> list[CallsOfDay]: ...

    def wake(self, tenant: HostLmsCode, now: datetime, most: int | None = None) -> int:
        """Make due what failed, or was not begun, while the library rested: all of it, or the
        `most` that would be due first. How many transactions that were."""


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep of a library found at an instant; `trusts` are those that changed."""

    tenant: HostLmsCode
    at: datetime
    glanced: tuple[Glanced, ...]
    trusts: Mapping[DcbStatus, Trust]


class Hints(Protocol):
    """What was glanced of bibs, and how far that can be trusted. Synchronous, like the store."""

    def begin(self, tenant: HostLmsCode, now: datetime, next_at: datetime) -> datetime | None:
        """Take the library's sweep that is due, and set its next; None where it was taken, else
        when one is due."""

    def leave_alone(self, tenant: HostLmsCode, until: datetime) -> None:
        """No sweep of this library before then."""

    def trusts(self, tenant: HostLmsCode) -> dict[DcbStatus, Trust]:
        """How hints have proved there, by the status that they end."""

    def watches(
        self, tenant: HostLmsCode, queues: Sequence[HostLmsCode], now: datetime
    ) -> list[Watch]:
        """The parts that wait at this library, of lends in these queues that are due soonest, and
        those that waited when they were glanced at; as quick as these are few."""

    def record(self, swept: Swept) -> int:
        """Write what a sweep found; how many lends it made due. One that is claimed or has moved
        on meanwhile is left for the next sweep."""


class SharedQuota(Protocol):
    """`Quotas` for those who must not wait for a disk."""

    async def share(self, ask: Share) -> Slice: ...

    async def wake(self, tenant: HostLmsCode, now: datetime) -> int: ...


class Gates(Protocol):
    """How each library stands, as this process knows it."""

    def standing(self, tenant: HostLmsCode) -> TenantStanding: ...

    def freeze(self, tenant: HostLmsCode, reason: str) -> None:
        """Conclude nothing more from what this library shows, until things are found again."""

    def begin_probe(self, tenant: HostLmsCode) -> None:
        """A look begins that shows whether things are found again."""

    def thaw(self, tenant: HostLmsCode) -> None:
        """Things are found again."""

    def probe_now(self, tenant: HostLmsCode) -> None:
        """A person asks: an outage is probed at once, whenever the next probe was to be."""

    def adopt(self, standings: Mapping[HostLmsCode, TenantStanding]) -> None:
        """What other processes have found meanwhile."""
