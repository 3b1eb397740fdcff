"""What people say and ask at the desk: track, evidence, list, show, history, explain.

Everything here is synchronous and local: no library is called.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from reconciler.core.model import (
    Evidence,
    HistoryEntry,
    Leg,
    Policy,
    Remembered,
    Transaction,
    TransactionId,
)
from reconciler.core.staff.lateness import LOANED_WITHOUT_DUE_DATE, is_late
from reconciler.core.status import (
    DcbStatus,
    HistoryKind,
    ItemState,
    LoanState,
    RequestState,
    Resource,
    Role,
)
from reconciler.engine.intake import Registrar, track_lines
from reconciler.engine.lines import BadLine
from reconciler.engine.reconcile import check_libraries
from reconciler.engine.settling import Recorder
from reconciler.engine.views import (
    Json,
    explanation_view,
    history_view,
    row_view,
    transaction_view,
)
from reconciler.ports.clock import Clock
from reconciler.ports.reports import Filter, LateSince
from reconciler.ports.store import Store
from reconciler.ports.written import Entrance

ITEM_WORDS = (
    ItemState.IN_PLACE,
    ItemState.REQUESTED,
    ItemState.TRANSIT,
    ItemState.RECEIVED,
    ItemState.ON_HOLD_SHELF,
    ItemState.LOANED,
    ItemState.LOST,
    ItemState.CLAIMED_RETURNED,
    ItemState.UNAVAILABLE,
)
REQUEST_WORDS = (
    RequestState.PLACED,
    RequestState.ACTIVE,
    RequestState.ON_HOLD_SHELF,
    RequestState.CLOSED,
    RequestState.CANCELLED,
)
LOAN_WORDS = (LoanState.ACTIVE, LoanState.COMPLETE)
"""What evidence may say (interface.md §2)."""


class BadRequest(Exception):
    """A person asked for something that cannot be; the text says what can."""


@dataclass(slots=True)
class IntakeReport:
    accepted: list[TransactionId] = field(default_factory=list)
    known: list[TransactionId] = field(default_factory=list)
    refused: list[BadLine] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Statement:
    """What a person says that an external library saw."""

    role: Role
    words: dict[Resource, str]
    reason: str


@dataclass(frozen=True, slots=True)
class Desk:
    store: Store
    policy: Policy
    clock: Clock
    recorder: Recorder
    new_id: Callable[[], str]
    too_long: Mapping[DcbStatus, timedelta]

    def track(self, lines: Iterable[bytes], actor: str) -> IntakeReport:
        """Take over requests that somebody else has placed. Idempotent by id."""
        report = IntakeReport()
        registrar = Registrar(self.recorder, self.new_id, actor)
        for result in track_lines(lines, self.policy, self.clock.now(), registrar):
            self._take(result, report)
        return report

    def _take(self, result: Entrance | BadLine, report: IntakeReport) -> None:
        """Store what came in, and say in the report what became of it."""
        if isinstance(result, BadLine):
            report.refused.append(result)
        else:
            added = self.store.add(result)
            (report.accepted if added else report.known).append(result.transaction.id)

    def evidence(self, id: TransactionId, statement: Statement, actor: str) -> None:
        """Record what an external library saw; the transaction becomes due.

        Raises UnknownTransaction, and BadRequest where the role's library speaks for itself.
        """
        now = self.clock.now()
        told = tuple(
            Evidence(statement.role, resource, word, word, now)
            for resource, word in statement.words.items()
        )
        entry = HistoryEntry(
            now,
            HistoryKind.COMMAND,
            actor,
            reason=statement.reason,
            detail="evidence",
            evidence=told,
        )
        written = False
        while not written:  # judged anew on what somebody else has written meanwhile
            before = self.store.get(id)
            leg = self._external_leg(before, statement.role)
            written = self.store.amend(before, [_told(leg, statement.words, now)], entry)

    def _external_leg(self, transaction: Transaction, role: Role) -> Leg:
        """The leg that evidence may be given of; raises BadRequest."""
        leg = transaction.leg(role)
        if leg is None:
            raise BadRequest(f"{transaction.id} has no {role}")
        if not self.policy.is_external(leg):
            raise BadRequest(
                f"{leg.host_lms} is an Alma and is read, not told; evidence is for libraries of "
                "type external"
            )
        return leg

    def show(self, id: TransactionId) -> Json:
        return transaction_view(
            self.store.get(id), self.store.intents(id), self.store.suppliers_tried(id)
        )

    def matching(self, filter: Filter, *, stuck: bool = False) -> Sequence[Transaction]:
        """Longest in their status first; with `stuck` only those that are there for too long."""
        if not stuck:
            return self.store.find(filter)
        now = self.clock.now()
        late = late_since(self.too_long, now)
        found = self.store.find(replace(filter, late=late))
        return [each for each in found if is_late(each, self.too_long, now)]

    def page(self, filter: Filter) -> Json:
        """Some of what `list` shows, and how much there is."""
        return {"transactions": self.list(filter), "total": self.store.count(filter)}

    def list(self, filter: Filter, *, stuck: bool = False) -> list[Json]:
        return [row_view(each) for each in self.matching(filter, stuck=stuck)]

    def counts(self, filter: Filter, *, stuck: bool = False) -> dict[str, int]:
        """How many transactions stand in each status."""
        found = Counter(str(each.status) for each in self.matching(filter, stuck=stuck))
        return dict(sorted(found.items()))

    def history(self, id: TransactionId) -> Json:
        return history_view(self.store.get(id), self.store.history(id))

    def explain(self, id: TransactionId) -> Json:
        """Raises UnknownTransaction, and SettingsError as `check_libraries`."""
        transaction: Transaction = self.store.get(id)
        check_libraries(transaction, self.policy)
        intents = self.store.intents(id)
        return explanation_view(transaction, intents, self.policy, self.clock.now())


def late_since(too_long: Mapping[DcbStatus, timedelta], now: datetime) -> LateSince:
    """Since when what is late by now must have stood in its status."""
    standing = {status: now - allowed for status, allowed in too_long.items()}
    standing[DcbStatus.LOANED] = now - LOANED_WITHOUT_DUE_DATE
    return LateSince(standing, now - too_long[DcbStatus.LOANED])


def _told(leg: Leg, words: dict[Resource, str], now: datetime) -> Leg:
    for resource, word in words.items():
        before = leg.remembered(resource)
        since = before.since if before.state == word else now
        told = Remembered(state=word, raw=word, seen_at=now, since=since)
        leg = leg.with_word(resource, told)
    return leg
