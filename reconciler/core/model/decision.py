"""What follows from a look: hops, effects, and the rows of history."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from reconciler.core.model.ids import (
    HostLmsCode,
)
from reconciler.core.model.transaction import (
    Evidence,
    Intent,
    Parked,
    RuleVerdict,
    Thing,
    Transaction,
)
from reconciler.core.status import (
    DcbStatus,
    EffectKind,
    HistoryKind,
    Outcome,
    Role,
    ThingKind,
)


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
class Action:
    """An action row that fired: what it saw, and what it asks for; the status stays."""

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
    actions: tuple[Action, ...] = ()
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
