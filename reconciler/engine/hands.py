"""The commands of people's hands: poll, retry, park, close, one transaction at a time.

A command is written by compare-and-set, and only while no process is at work on the transaction:
neither overwrites the other. Each is judged anew on the snapshot that it is written on, so what
has changed since a person looked is said, not acted on.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from reconciler.core.closing import close
from reconciler.core.model import HistoryEntry, Policy, Transaction, TransactionId
from reconciler.core.orders import ASKS_FOR_A_LOOK, Command, Judge, Order, Step, Unfit, park, poll
from reconciler.core.retrying import retry
from reconciler.core.status import HistoryKind, IntentState
from reconciler.engine.settling import Recorder
from reconciler.engine.storage import Storage
from reconciler.engine.telling import Herald
from reconciler.errors import StoreUnavailable, UnknownTransaction
from reconciler.ports.clock import Clock
from reconciler.ports.leases import Owner
from reconciler.ports.store import Store
from reconciler.ports.written import Intervention

JUDGES: dict[Command, Judge] = {
    Command.POLL: poll,
    Command.RETRY: retry,
    Command.PARK: park,
    Command.CLOSE: close,
}

LOOK_AGAIN = 0.2
"""Seconds between two tries while a process is at work on the transaction."""


@dataclass(frozen=True, slots=True)
class Done:
    id: TransactionId
    told: str
    warnings: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    """What stays in an Alma, for staff to remove."""


@dataclass(frozen=True, slots=True)
class NotDone:
    id: TransactionId
    why: str


@dataclass(slots=True)
class HandsReport:
    done: list[Done] = field(default_factory=list)
    failed: list[NotDone] = field(default_factory=list)
    skipped: list[NotDone] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Preview:
    """What a command on a filter would take, and what it would leave, before anything is done."""

    eligible: tuple[TransactionId, ...]
    skipped: tuple[NotDone, ...]

    @property
    def found(self) -> int:
        return len(self.eligible) + len(self.skipped)


@dataclass(frozen=True, slots=True)
class Hands:
    store: Store
    storage: Storage
    recorder: Recorder
    herald: Herald
    clock: Clock
    policy: Policy
    patience: timedelta
    """How long a command waits for a process that is at work on its transaction."""
    is_dead: Callable[[Owner], bool]

    def preview(self, order: Order, transactions: Iterable[Transaction]) -> Preview:
        """Which of these the command fits, and why it does not fit the others."""
        eligible: list[TransactionId] = []
        skipped: list[NotDone] = []
        for transaction in transactions:
            judged = JUDGES[order.command](transaction, order, self.policy)
            if isinstance(judged, Unfit):
                skipped.append(NotDone(transaction.id, judged.why))
            else:
                eligible.append(transaction.id)
        return Preview(tuple(eligible), tuple(skipped))

    async def carry_out(self, order: Order, ids: Sequence[TransactionId]) -> HandsReport:
        """One after the other; what happens to one does not stop the others.

        Raises StoreUnavailable when the database fails before anything was done.
        """
        report = HandsReport()
        for id in dict.fromkeys(ids):
            try:
                await self._one(order, id, report)
            except UnknownTransaction:
                report.failed.append(NotDone(id, "no such transaction"))
            except StoreUnavailable as error:
                if not report.done:
                    raise
                report.failed.append(NotDone(id, f"database: {error}"))
        return report

    async def _one(self, order: Order, id: TransactionId, report: HandsReport) -> None:
        waits_until = self.clock.monotonic() + self.patience.total_seconds()
        while True:
            transaction = await self.storage.run(self.store.get, id)
            judged = JUDGES[order.command](transaction, order, self.policy)
            if isinstance(judged, Unfit):
                report.skipped.append(NotDone(id, judged.why))
                return
            intervention = self._intervention(order, transaction, judged)
            now = self.clock.now()
            if await self.storage.run(self.store.intervene, intervention, now):
                report.done.append(Done(id, judged.told, judged.warnings, judged.left))
                return
            if self.clock.monotonic() >= waits_until:
                why = f"a process has been at work on it for {self.patience}; try again"
                report.failed.append(NotDone(id, why))
                return
            if not await self.storage.run(self.store.rescue, self.is_dead):
                await self.clock.sleep(LOOK_AGAIN)

    def _intervention(self, order: Order, before: Transaction, step: Step) -> Intervention:
        history = tuple(_history(order, step))
        asked_at = order.at if order.command in ASKS_FOR_A_LOOK else before.asked_at
        return Intervention(
            before,
            replace(step.after, asked_at=asked_at),
            history,
            planned=tuple(self.recorder.intents(step.asked, asked_by=0)),
            changed=step.changed,
            things=step.things,
            notices=self.herald.notices(step.after, history),
        )


def _history(order: Order, step: Step) -> Iterator[HistoryEntry]:
    """The command first: what it asks for is asked by that row."""
    yield _said(order, step)
    if step.parked is not None:
        parked = step.parked
        yield HistoryEntry(
            order.at,
            HistoryKind.ATTENTION,
            order.actor,
            reason=parked.reason,
            detail=parked.detail,
        )
    for intent in step.changed:
        if intent.state is IntentState.WITHDRAWN:
            what = f"{intent.kind} at {intent.host_lms}: withdrawn by {order.command}"
            yield HistoryEntry(order.at, HistoryKind.EFFECT, order.actor, detail=what)
    for thing in step.left:
        what = f"left to staff: {thing}"
        yield HistoryEntry(order.at, HistoryKind.EFFECT, order.actor, detail=what)


def _said(order: Order, step: Step) -> HistoryEntry:
    hop = step.hop
    if hop is None:
        detail = f"{order.command}: {step.told}"
        return HistoryEntry(
            order.at, HistoryKind.COMMAND, order.actor, reason=order.reason, detail=detail
        )
    return HistoryEntry(
        order.at,
        HistoryKind.TRANSITION,
        order.actor,
        source=hop.source,
        target=hop.target,
        rule=hop.rule,
        reason=order.reason,
        detail="; ".join(step.warnings) or None,
    )
