"""The tables as SQLModel classes. The truth is `sql/`; a test proves that the two are equal."""

from __future__ import annotations

from datetime import date, datetime
from typing import Any

from sqlalchemy import JSON, CheckConstraint, Index, Table, UniqueConstraint, text
from sqlmodel import Field, SQLModel


class TransactionRow(SQLModel, table=True):
    __tablename__ = "transactions"
    __table_args__ = (
        Index(
            "transactions_due",
            "tenant",
            "next_poll_at",
            sqlite_where=text("next_poll_at IS NOT NULL AND paused_since IS NULL"),
            postgresql_where=text("next_poll_at IS NOT NULL AND paused_since IS NULL"),
        ),
        Index(
            "transactions_claimed",
            "claimed_by",
            sqlite_where=text("claimed_by IS NOT NULL"),
            postgresql_where=text("claimed_by IS NOT NULL"),
        ),
        Index(
            "transactions_failing",
            "failures",
            sqlite_where=text("failures > 0"),
            postgresql_where=text("failures > 0"),
        ),
        Index(
            "transactions_asked",
            "tenant",
            sqlite_where=text("asked_at IS NOT NULL"),
            postgresql_where=text("asked_at IS NOT NULL"),
        ),
        Index("transactions_status", "status", "status_since"),
        CheckConstraint("(parked_reason IS NULL) = (parked_since IS NULL)", name="parked_is_whole"),
        CheckConstraint(
            "(paused_since IS NULL) = (paused_by IS NULL)"
            " AND (paused_since IS NULL) = (paused_reason IS NULL)",
            name="pause_is_whole",
        ),
    )

    id: str = Field(primary_key=True)
    tenant: str
    workflow: str
    status: str
    previous_status: str | None = None
    outcome: str | None = None
    status_since: datetime
    created_at: datetime
    dispatched_at: datetime | None = None
    next_poll_at: datetime | None = None
    last_poll_at: datetime | None = None
    last_full_poll_at: datetime | None = None
    asked_at: datetime | None = None
    failures: int = 0
    unchanged_looks: int = 0
    sights: dict[str, Any] = Field(sa_type=JSON)
    """The last words seen, by role and resource: rewritten by every look."""
    considered: list[dict[str, Any]] = Field(sa_type=JSON)
    """What the last look made of each rule, for `explain`."""
    parked_reason: str | None = None
    parked_detail: str | None = None
    parked_since: datetime | None = None
    paused_since: datetime | None = None
    paused_by: str | None = None
    paused_reason: str | None = None
    history_length: int = 0
    version: int = 0
    fence: int = 0
    claimed_by: str | None = None
    claimed_until: datetime | None = None


class LeaseRow(SQLModel, table=True):
    """Which process looks after a library. `term` guards every write for its transactions."""

    __tablename__ = "leases"

    tenant: str = Field(primary_key=True)
    owner: str | None = None
    term: int = 0
    beat: int = 0
    renewed_at: datetime


class DaemonRow(SQLModel, table=True):
    """A daemon that takes its share of the libraries."""

    __tablename__ = "daemons"

    owner: str = Field(primary_key=True)
    beat: int = 0
    renewed_at: datetime


class LegRow(SQLModel, table=True):
    """One library's part: what stands for the transaction there. Changes rarely."""

    __tablename__ = "legs"
    __table_args__ = (
        Index("legs_request", "host_lms", "request_id"),
        Index("legs_item", "host_lms", "item_pid"),
        Index(
            "legs_loan",
            "host_lms",
            "loan_id",
            sqlite_where=text("loan_id IS NOT NULL"),
            postgresql_where=text("loan_id IS NOT NULL"),
        ),
    )

    transaction_id: str = Field(primary_key=True, foreign_key="transactions.id")
    role: str = Field(primary_key=True)
    host_lms: str
    user_id: str | None = None
    user_primary_id: str | None = None
    request_id: str | None = None
    mms_id: str | None = None
    holding_id: str | None = None
    item_pid: str | None = None
    item_barcode: str | None = None
    loan_id: str | None = None
    record_state: str | None = None
    request_placed_at: datetime | None = None
    loan_seen_at: datetime | None = None
    loan_due_at: datetime | None = None
    due_wanted_at: datetime | None = None
    competing_hold_at: datetime | None = None


class HistoryRow(SQLModel, table=True):
    """What happened, append-only. `evidence` is a list of role, resource, state, raw, seen_at."""

    __tablename__ = "history"

    transaction_id: str = Field(primary_key=True, foreign_key="transactions.id")
    seq: int = Field(primary_key=True)
    at: datetime
    kind: str
    from_status: str | None = None
    to_status: str | None = None
    rule: str | None = None
    inferred: bool = False
    actor: str
    reason: str | None = None
    detail: str | None = None
    evidence: list[dict[str, Any]] = Field(sa_type=JSON)


class IntentRow(SQLModel, table=True):
    """An intended effect. `asked_by` is the history row that asked for it, `seq` its place among
    the effects of that row."""

    __tablename__ = "intents"
    __table_args__ = (
        UniqueConstraint(
            "transaction_id", "asked_by", "kind", "role", "thing_id", name="intent_once_per_hop"
        ),
        Index("intents_of_transaction", "transaction_id", "asked_by", "seq"),
        Index(
            "intents_not_over",
            "transaction_id",
            sqlite_where=text("state NOT IN ('done', 'withdrawn')"),
            postgresql_where=text("state NOT IN ('done', 'withdrawn')"),
        ),
    )

    id: str = Field(primary_key=True)
    transaction_id: str = Field(foreign_key="transactions.id")
    seq: int
    asked_by: int
    kind: str
    role: str
    host_lms: str
    thing_id: str = ""
    state: str
    attempts: int = 0
    ambiguities: int = 0
    refusals: int = 0
    next_attempt_at: datetime | None = None
    sent_at: datetime | None = None
    last_error: str | None = None
    last_code: str | None = None
    tracking_id: str | None = None
    created_at: datetime
    updated_at: datetime


class ThingRow(SQLModel, table=True):
    """The ledger: what exists in an Alma for a lend, and what became of it."""

    __tablename__ = "things"
    __table_args__ = (
        Index("things_of_transaction", "transaction_id"),
        Index(
            "things_loan",
            "host_lms",
            "loan_id",
            sqlite_where=text("loan_id IS NOT NULL"),
            postgresql_where=text("loan_id IS NOT NULL"),
        ),
    )

    id: str = Field(primary_key=True)
    transaction_id: str = Field(foreign_key="transactions.id")
    kind: str
    role: str
    host_lms: str
    state: str
    owned: bool
    trusted: bool
    user_id: str | None = None
    request_id: str | None = None
    mms_id: str | None = None
    holding_id: str | None = None
    item_pid: str | None = None
    loan_id: str | None = None
    created_at: datetime
    ended_at: datetime | None = None


class PlacingRow(SQLModel, table=True):
    """What a request is placed with; it names a reader and is kept until the book has left."""

    __tablename__ = "placings"

    transaction_id: str = Field(primary_key=True, foreign_key="transactions.id")
    document: bytes


class SupplierTriedRow(SQLModel, table=True):
    """A lender that did not supply; it is not asked a second time."""

    __tablename__ = "suppliers_tried"

    transaction_id: str = Field(primary_key=True, foreign_key="transactions.id")
    host_lms: str = Field(primary_key=True)
    item_pid: str = Field(primary_key=True)
    mms_id: str | None = None
    request_id: str | None = None
    given_up_at: datetime


class PauseRow(SQLModel, table=True):
    """A pause of a library, or of everything (`tenant` is '' then); ended ones are kept."""

    __tablename__ = "pauses"
    __table_args__ = (
        Index(
            "pauses_standing",
            "tenant",
            unique=True,
            sqlite_where=text("ended_at IS NULL"),
            postgresql_where=text("ended_at IS NULL"),
        ),
    )

    tenant: str = Field(primary_key=True)
    since: datetime = Field(primary_key=True)
    actor: str
    reason: str
    ended_at: datetime | None = None
    ended_by: str | None = None
    end_reason: str | None = None


class OutboxRow(SQLModel, table=True):
    """What the outside is told: one row for each event and sink."""

    __tablename__ = "outbox"
    __table_args__ = (
        UniqueConstraint("transaction_id", "seq", "sink", name="outbox_once_per_event"),
        Index(
            "outbox_due",
            "next_attempt_at",
            sqlite_where=text("state = 'pending'"),
            postgresql_where=text("state = 'pending'"),
        ),
    )

    id: str = Field(primary_key=True)
    transaction_id: str = Field(foreign_key="transactions.id")
    seq: int
    sink: str
    type: str
    body: dict[str, Any] = Field(sa_type=JSON)
    state: str
    attempts: int = 0
    created_at: datetime
    next_attempt_at: datetime | None = None
    delivered_at: datetime | None = None
    last_error: str | None = None


class TenantRow(SQLModel, table=True):
    """How a library stands with us, and up to when its calls are given away."""

    __tablename__ = "tenants"

    code: str = Field(primary_key=True)
    slots_until: datetime | None = None
    state: str
    since: datetime | None = None
    reason: str = ""
    resumes_at: datetime | None = None
    strikes: int = 0
    remaining: int | None = None
    remaining_at: datetime | None = None
    missing: str = ""
    """While frozen: the kinds of things that are not found there, apart by blanks."""
    sweep_at: datetime | None = None
    """When its bibs are glanced at next."""


class MarkRow(SQLModel, table=True):
    """What the last glance at a bib showed, for one lend: a hint where to look."""

    __tablename__ = "marks"
    __table_args__ = (Index("marks_of_library", "host_lms"),)

    transaction_id: str = Field(primary_key=True, foreign_key="transactions.id")
    role: str = Field(primary_key=True)
    host_lms: str
    status: str
    fingerprint: str
    since: datetime
    glanced_at: datetime
    looked_at: datetime | None = None
    hinted_at: datetime | None = None
    vain: int = 0


class HintTrustRow(SQLModel, table=True):
    """How hints have proved at a library, by the status that a step ends."""

    __tablename__ = "hint_trust"

    host_lms: str = Field(primary_key=True)
    status: str = Field(primary_key=True)
    record: str = ""
    off_until: datetime | None = None


class CallsRow(SQLModel, table=True):
    """How often a library was called on one of its days."""

    __tablename__ = "calls"

    tenant: str = Field(primary_key=True)
    day: date = Field(primary_key=True)
    calls: int = 0
    throttled: int = 0


def _table(model: type[SQLModel]) -> Table:
    table: Table = model.__table__  # type: ignore[attr-defined]
    return table


TRANSACTIONS = _table(TransactionRow)
LEASES = _table(LeaseRow)
DAEMONS = _table(DaemonRow)
LEGS = _table(LegRow)
HISTORY = _table(HistoryRow)
INTENTS = _table(IntentRow)
THINGS = _table(ThingRow)
PLACINGS = _table(PlacingRow)
SUPPLIERS_TRIED = _table(SupplierTriedRow)
PAUSES = _table(PauseRow)
OUTBOX = _table(OutboxRow)
TENANTS = _table(TenantRow)
MARKS = _table(MarkRow)
HINT_TRUST = _table(HintTrustRow)
CALLS = _table(CallsRow)
"""The models' tables, for Core statements."""
