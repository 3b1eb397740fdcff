"""The values that a decision is made from and made of: frozen, without I/O.

`Transaction` is our snapshot, `Observation` is what one look showed, `Decision` is what follows.
Instants are aware UTC. Ids are Alma's own text (they do not fit a JSON number without loss).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from enum import StrEnum
from typing import Any, Generic, NewType, TypeVar

from reconciler.core.hours import Hours
from reconciler.core.status import (
    OPEN_INTENTS,
    DcbStatus,
    EffectKind,
    HistoryKind,
    IntentState,
    ItemState,
    LoanState,
    Outcome,
    PauseScope,
    RequestState,
    Resource,
    Role,
    ThingKind,
    ThingState,
    Workflow,
)

TransactionId = NewType("TransactionId", str)
HostLmsCode = NewType("HostLmsCode", str)
MmsId = NewType("MmsId", str)
HoldingId = NewType("HoldingId", str)
ItemPid = NewType("ItemPid", str)
RequestId = NewType("RequestId", str)
LoanId = NewType("LoanId", str)
UserId = NewType("UserId", str)
Barcode = NewType("Barcode", str)
LibraryCode = NewType("LibraryCode", str)
LocationCode = NewType("LocationCode", str)
DeskCode = NewType("DeskCode", str)

T = TypeVar("T")


# --- what a look showed ------------------------------------------------------


class SeenKind(StrEnum):
    VALUE = "value"
    UNREADABLE = "unreadable"
    NOT_OBSERVED = "not observed"


@dataclass(frozen=True, slots=True)
class Seen(Generic[T]):
    """One thing that was looked at: a value, unreadable for a reason, or not looked at.

    "Not there" is a value of each vocabulary (`ItemState.ABSENT`, `RequestState.CLOSED`,
    `LoanState.ABSENT`), given only for a not-found answer of the contract. A read that failed
    is unreadable: never a state, never a default.
    """

    kind: SeenKind
    value: T | None = None
    reason: str | None = None
    code: str | None = None
    """Alma's own error code, where it gave one."""
    at: datetime | None = None

    @classmethod
    def of(cls, value: T, at: datetime) -> Seen[T]:
        return cls(SeenKind.VALUE, value=value, at=at)

    @classmethod
    def unreadable(cls, reason: str, at: datetime, code: str | None = None) -> Seen[T]:
        return cls(SeenKind.UNREADABLE, reason=reason, code=code, at=at)

    @property
    def is_unreadable(self) -> bool:
        return self.kind is SeenKind.UNREADABLE

    @property
    def was_asked(self) -> bool:
        return self.kind is not SeenKind.NOT_OBSERVED


@dataclass(frozen=True, slots=True)
class ItemSight:
    """An item as one read showed it. `raw` is Alma's "base_status/process_type"."""

    state: ItemState
    raw: str
    mms_id: MmsId | None = None
    holding_id: HoldingId | None = None
    pid: ItemPid | None = None
    barcode: Barcode | None = None
    library: LibraryCode | None = None
    location: LocationCode | None = None
    requested: bool | None = None
    due_at: datetime | None = None
    """When the loan that it is on falls due, where Alma was asked to tell."""
    policy: str | None = None
    title: str | None = None
    notes: tuple[str, ...] = ()
    """Internal notes, where our mark stands on items that we made."""
    fulfillment_note: str | None = None
    """What Alma shows at the desk whenever the item is loaned, returned or renewed."""
    document: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """Alma's whole record, so that an update can send back what it does not know."""


@dataclass(frozen=True, slots=True)
class RequestSight:
    """A hold as one read showed it. `item_pid` is None while no copy is bound to it."""

    state: RequestState
    raw: str
    request_id: RequestId | None = None
    user_id: UserId | None = None
    mms_id: MmsId | None = None
    item_pid: ItemPid | None = None
    barcode: Barcode | None = None
    placed_at: datetime | None = None
    comment: str | None = None
    pickup_library: LibraryCode | None = None
    raw_placed_at: str | None = None
    """Alma's text of when it was placed, if it says so and it cannot be read; else None."""


@dataclass(frozen=True, slots=True)
class UserSight:
    """A user as one read showed it. `blocks` are the active ones, as Alma describes them.

    `document` is Alma's whole record, so that an update can send back what it does not know; {}
    where it came in a form that cannot be sent back.
    """

    primary_id: UserId
    identifiers: tuple[str, ...] = ()
    group: str | None = None
    is_active: bool = True
    blocks: tuple[str, ...] = ()
    expires_on: date | None = None
    document: Mapping[str, Any] = field(default_factory=dict)
    raw_expires_on: str | None = None
    """Alma's text of an expiry date that is there and cannot be read; else None."""

    def answers_to(self, identifier: str) -> bool:
        """Whether this is the user who has the identifier; Alma ignores case."""
        names = {each.casefold() for each in (self.primary_id, *self.identifiers)}
        return identifier.casefold() in names


@dataclass(frozen=True, slots=True)
class BibSight:
    """A bib record: its id, the system numbers (035) that say whose it is, and whether it is kept
    out of the catalogue that readers see; None where Alma does not tell."""

    mms_id: MmsId
    system_numbers: tuple[str, ...] = ()
    suppressed: bool | None = None


@dataclass(frozen=True, slots=True)
class BibGlance:
    """What a list of bibs shows of one: a hint where to look, never evidence.

    `availability` has Alma's own words for each holding (AVA $8, $e, $f, $g); `requests` is None
    where they are not counted.
    """

    mms_id: MmsId
    availability: tuple[tuple[str, ...], ...] = ()
    requests: int | None = None


@dataclass(frozen=True, slots=True)
class HoldingSight:
    """A holding. `mms_id` is the bib that the answer names: a merged one's holdings may be listed
    under its old id."""

    holding_id: HoldingId
    library: LibraryCode | None = None
    location: LocationCode | None = None
    mms_id: MmsId | None = None


@dataclass(frozen=True, slots=True)
class LoanSight:
    """A loan as one read showed it. `raw` is "loan_status/process_status".

    `raw_began_at`, `raw_due_at`, `raw_returned_at` are Alma's own text of a date that is there and
    cannot be read (then the date itself is None): that is not a loan without one. Else None.
    """

    state: LoanState
    raw: str
    loan_id: LoanId | None = None
    user_id: UserId | None = None
    item_pid: ItemPid | None = None
    item_barcode: Barcode | None = None
    began_at: datetime | None = None
    due_at: datetime | None = None
    returned_at: datetime | None = None
    process: str | None = None
    raw_began_at: str | None = None
    raw_due_at: str | None = None
    raw_returned_at: str | None = None


NOT_OBSERVED: Seen[Any] = Seen(SeenKind.NOT_OBSERVED)


class ReadKind(StrEnum):
    """The reads that a look can consist of; each is one field of `LegObservation`."""

    ITEM = "item"
    REQUEST = "request"
    LOAN = "loan"
    ACTIVE_LOAN = "active_loan"
    COMPLETED_LOAN = "completed_loan"
    ITEM_REQUESTS = "item_requests"


AnySeen = Seen[ItemSight] | Seen[RequestSight] | Seen[LoanSight] | Seen[tuple[RequestSight, ...]]


@dataclass(frozen=True, slots=True)
class LegObservation:
    """What one look showed of one leg.

    `loan` is our loan as it was found by its id, or among the item's active loans where no id is
    known; a record read by its id tells of that record alone. `active_loan` is our loan among the
    item's active ones, `completed_loan` among its completed ones; both are ABSENT when the list
    was read and holds none of ours. `loaned_to_other` says that the active loan is somebody
    else's. `item_requests` are the item's active requests, ours among them.
    """

    item: Seen[ItemSight] = NOT_OBSERVED
    request: Seen[RequestSight] = NOT_OBSERVED
    loan: Seen[LoanSight] = NOT_OBSERVED
    active_loan: Seen[LoanSight] = NOT_OBSERVED
    completed_loan: Seen[LoanSight] = NOT_OBSERVED
    loaned_to_other: bool = False
    item_requests: Seen[tuple[RequestSight, ...]] = NOT_OBSERVED
    user_primary_id: UserId | None = None
    """Learnt where Alma names our user otherwise than we do."""
    user_id: UserId | None = None
    """Who has our hold or loan by now, where the user that we knew is not known any more."""

    def of(self, kind: ReadKind) -> AnySeen:
        seen: AnySeen = getattr(self, kind.value)
        return seen

    @property
    def failed(self) -> bool:
        """Whether at least one read of this look failed."""
        return any(self.of(kind).is_unreadable for kind in ReadKind)


_NOTHING_SEEN = LegObservation()


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at a transaction, all roles together: decided on once, as one snapshot."""

    legs: Mapping[Role, LegObservation]

    def leg(self, role: Role) -> LegObservation:
        return self.legs.get(role, _NOTHING_SEEN)


@dataclass(frozen=True, slots=True)
class Read:
    role: Role
    kind: ReadKind


# --- our snapshot ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Remembered:
    """The last readable word for one resource, and since when it has been the same.

    `failure` is why the newest read failed; the word before it stays.
    """

    state: str | None = None
    raw: str | None = None
    seen_at: datetime | None = None
    since: datetime | None = None
    failure: str | None = None
    failed_at: datetime | None = None
    unfilled_at: datetime | None = None
    """Of a hold: the last look that proved that no loan had come of it and ended."""
    shelved_at: datetime | None = None
    """Of a hold: when it was first seen on a hold shelf."""
    away_at: datetime | None = None
    """Of the lender's item: when it was first seen in transit or on loan since the book left."""


@dataclass(frozen=True, slots=True)
class Leg:
    """One library's part of a transaction: which ids stand for it there, what was last seen."""

    role: Role
    host_lms: HostLmsCode
    user_id: UserId | None = None
    user_primary_id: UserId | None = None
    """Learnt when Alma names the same user otherwise than `user_id` does."""
    request_id: RequestId | None = None
    mms_id: MmsId | None = None
    holding_id: HoldingId | None = None
    item_pid: ItemPid | None = None
    item_barcode: Barcode | None = None
    loan_id: LoanId | None = None
    item: Remembered = Remembered()
    request: Remembered = Remembered()
    loan: Remembered = Remembered()
    request_placed_at: datetime | None = None
    loan_seen_at: datetime | None = None
    """When a loan of ours was first seen ACTIVE here."""
    loan_due_at: datetime | None = None
    due_wanted_at: datetime | None = None
    """The reader's due date that was last asked for here, whatever became of it."""
    competing_hold_at: datetime | None = None
    """Since when somebody else waits for the lender's item."""
    record_state: str | None = None

    def remembered(self, resource: Resource) -> Remembered:
        word: Remembered = getattr(self, resource.value)
        return word

    def with_word(self, resource: Resource, word: Remembered) -> Leg:
        """The leg with another last word for one resource."""
        if resource is Resource.ITEM:
            return replace(self, item=word)
        if resource is Resource.REQUEST:
            return replace(self, request=word)
        return replace(self, loan=word)

    @property
    def has_item_key(self) -> bool:
        """An item is read by all three of its ids, or found again by its barcode."""
        return bool(self.item_barcode) or self.has_item_path

    @property
    def has_item_path(self) -> bool:
        return bool(self.mms_id and self.holding_id and self.item_pid)


@dataclass(frozen=True, slots=True)
class Parked:
    """Waits for a person; only a person's command takes it out. `reason` is a stable code."""

    reason: str
    detail: str
    since: datetime


@dataclass(frozen=True, slots=True)
class Pause:
    """A person has stopped all work: on this transaction, on a whole library, or on everything."""

    since: datetime
    actor: str
    reason: str
    scope: PauseScope = PauseScope.TRANSACTION
    tenant: HostLmsCode | None = None
    """The library, where `scope` is one; whoever has a part there is covered, in any role."""

    def covers(self, transaction: Transaction) -> bool:
        """Whether this pause of a library or of everything stops the transaction."""
        if self.scope is PauseScope.TENANT:
            return any(leg.host_lms == self.tenant for leg in transaction.legs)
        return self.scope is PauseScope.ALL

    def resume_command(self, transaction: Transaction) -> str:
        """What a person types to end it."""
        what = {
            PauseScope.TRANSACTION: f"--id {transaction.id}",
            PauseScope.TENANT: f"--tenant {self.tenant}",
            PauseScope.ALL: "--all",
        }[self.scope]
        return f"reconciler resume {what} --reason TEXT"


@dataclass(frozen=True, slots=True)
class Evidence:
    """One observed word that a rule stood on, with Alma's own beside it."""

    role: Role
    resource: Resource
    state: str
    raw: str | None
    seen_at: datetime | None


@dataclass(frozen=True, slots=True)
class RuleVerdict:
    """One rule that was considered: it `fires`, `waits` for something, or does not (`no`)."""

    rule: str
    verdict: str
    because: str
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class Thing:
    """One row of the ledger: something that exists in an Alma for this lend.

    Only what is `owned` is ever changed or removed by us. `trusted` things were declared ours by
    whoever tracked them; others carry our mark.
    """

    id: str
    kind: ThingKind
    role: Role
    host_lms: HostLmsCode
    state: ThingState = ThingState.PRESENT
    owned: bool = True
    trusted: bool = False
    user_id: UserId | None = None
    request_id: RequestId | None = None
    mms_id: MmsId | None = None
    holding_id: HoldingId | None = None
    item_pid: ItemPid | None = None
    loan_id: LoanId | None = None
    created_at: datetime | None = field(default=None, compare=False)
    """Since when the ledger has it; set by the store."""

    @property
    def is_ours_to_clear(self) -> bool:
        """Still there, ours, and not the virtual patron, who stays."""
        return (
            self.owned
            and self.state is ThingState.PRESENT
            and self.kind is not ThingKind.VIRTUAL_PATRON
        )


@dataclass(frozen=True, slots=True)
class Intent:
    """An effect as it stands in the store.

    `asked_by` is the history row that asked for it; `thing_id` the ledger row that it removes.
    `attempts` counts what was sent, `ambiguities` those of them whose end is not known.
    """

    id: str
    kind: EffectKind
    role: Role
    host_lms: HostLmsCode
    state: IntentState
    asked_by: int
    thing_id: str = ""
    attempts: int = 0
    ambiguities: int = 0
    refusals: int = 0
    next_attempt_at: datetime | None = None
    sent_at: datetime | None = None
    last_error: str | None = None
    last_code: str | None = None
    tracking_id: str | None = None

    @property
    def is_open(self) -> bool:
        return self.state in OPEN_INTENTS

    @property
    def is_over(self) -> bool:
        return self.state in (IntentState.DONE, IntentState.WITHDRAWN)

    @property
    def may_have_happened(self) -> bool:
        """Sent, and its end not known: the world has to be looked at before anything else."""
        return self.state in (IntentState.SENT, IntentState.AMBIGUOUS)


@dataclass(frozen=True, slots=True)
class Transaction:
    """One DCB patron request that we look after, as it is stored."""

    id: TransactionId
    tenant: HostLmsCode
    """The library whose queue and quota it belongs to: the first Alma, the lender's before all."""
    workflow: Workflow
    status: DcbStatus
    status_since: datetime
    created_at: datetime
    supplier: Leg
    borrower: Leg | None = None
    pickup: Leg | None = None
    previous_status: DcbStatus | None = None
    outcome: Outcome | None = None
    parked: Parked | None = None
    paused: Pause | None = None
    """Its own pause, or one of a library or of everything that covers it."""
    dispatched_at: datetime | None = None
    """When the book was first known to have left the lender."""
    next_poll_at: datetime | None = None
    last_poll_at: datetime | None = None
    last_full_poll_at: datetime | None = None
    """When everything that its status could need was last looked at."""
    asked_at: datetime | None = None
    """When a person asked for a look at it; None once it was looked at."""
    failures: int = 0
    """Looks in a row in which at least one read failed."""
    unchanged_looks: int = 0
    considered: tuple[RuleVerdict, ...] = ()
    """What the newest look made of each rule, for `explain`; evidence without its instants."""
    version: int = 0
    things: tuple[Thing, ...] = ()
    """The ledger."""
    intents: tuple[Intent, ...] = ()
    """Effects that are not over yet: open, withheld or parked ones."""
    has_placing_data: bool = False

    @property
    def legs(self) -> tuple[Leg, ...]:
        return tuple(leg for leg in (self.supplier, self.borrower, self.pickup) if leg)

    def leg(self, role: Role) -> Leg | None:
        leg: Leg | None = getattr(self, role.value)
        return leg

    def with_legs(self, legs: Mapping[Role, Leg]) -> Transaction:
        return replace(
            self,
            supplier=legs.get(Role.SUPPLIER, self.supplier),
            borrower=legs.get(Role.BORROWER, self.borrower),
            pickup=legs.get(Role.PICKUP, self.pickup),
        )


# --- what follows ------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Effect:
    """An outward act: an ensure verb at one library, about one thing of the ledger if named."""

    kind: EffectKind
    role: Role
    host_lms: HostLmsCode
    thing_id: str = ""


@dataclass(frozen=True, slots=True)
class Hop:
    """One legal step of status. `inferred`: its own evidence was not seen, later evidence was."""

    rule: str
    source: DcbStatus
    target: DcbStatus
    inferred: bool
    because: str
    evidence: tuple[Evidence, ...]
    effects: tuple[Effect, ...] = ()
    outcome: Outcome | None = None


@dataclass(frozen=True, slots=True)
class Measure:
    """A rule that fired without moving the status: what it saw, and what it asks for."""

    rule: str
    because: str
    evidence: tuple[Evidence, ...]
    effects: tuple[Effect, ...] = ()


@dataclass(frozen=True, slots=True)
class Change:
    """A word that differs from the last one seen."""

    evidence: Evidence
    before: str | None


@dataclass(frozen=True, slots=True)
class TakenOver:
    """A record that stands for this lend from now on in another's place: a hold or a loan that
    was re-issued, or the copy that Alma bound."""

    kind: ThingKind
    role: Role
    before: str
    after: str


@dataclass(frozen=True, slots=True)
class Decision:
    """What one look leads to. `transaction` is the snapshot as it will be stored."""

    transaction: Transaction
    hops: tuple[Hop, ...]
    changes: tuple[Change, ...]
    verdicts: tuple[RuleVerdict, ...]
    newly_parked: Parked | None = None
    measures: tuple[Measure, ...] = ()
    clearing: tuple[Effect, ...] = ()
    """What the ledger still has to be cleared of."""
    things: tuple[Thing, ...] = ()
    """Rows of the ledger that change: handed over, or with the id of a record taken over."""
    taken_over: tuple[TakenOver, ...] = ()
    withdrawn: tuple[Intent, ...] = ()
    """Intents that the journey has overtaken."""


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One row of a transaction's append-only history. `seq` is 0 until it is stored."""

    at: datetime
    kind: HistoryKind
    actor: str
    source: DcbStatus | None = None
    target: DcbStatus | None = None
    rule: str | None = None
    inferred: bool = False
    reason: str | None = None
    detail: str | None = None
    evidence: tuple[Evidence, ...] = ()
    seq: int = 0


@dataclass(frozen=True, slots=True)
class HostPolicy:
    """What the core has to know of one library system."""

    is_external: bool
    acts: bool
    """False in `observe` mode: effects are recorded and shown, never carried out."""
    settle: timedelta
    loans_kept: timedelta
    """How long a loan that is over can still be read with its reader (alma-api.md §1.6)."""
    hours: Hours | None = None
    """When its desks are open; None where that is not known."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings that a decision depends on."""

    hosts: Mapping[HostLmsCode, HostPolicy]
    intervals: Mapping[DcbStatus, timedelta]

    def is_external(self, leg: Leg) -> bool:
        return self.hosts[leg.host_lms].is_external

    def acts_at(self, code: HostLmsCode) -> bool:
        """Whether a library is acted on; one that the settings do not know any more is not."""
        host = self.hosts.get(code)
        return host is not None and host.acts

    def settle(self, leg: Leg) -> timedelta:
        return self.hosts[leg.host_lms].settle

    def loans_kept(self, leg: Leg) -> timedelta:
        return self.hosts[leg.host_lms].loans_kept
