"""Our snapshot of one transaction, as it is stored: legs, ledger and intents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from reconciler.core.model.ids import (
    Barcode,
    HoldingId,
    HostLmsCode,
    ItemPid,
    LoanId,
    MmsId,
    RequestId,
    TransactionId,
    UserId,
)
from reconciler.core.status import (
    OPEN_INTENTS,
    DcbStatus,
    EffectKind,
    IntentState,
    Outcome,
    PauseScope,
    Resource,
    Role,
    ThingKind,
    ThingState,
    Workflow,
)


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
