"""The commands of people's hands: poll, retry, park, close, one transaction at a time.

A command is written by compare-and-set, and only while no process is at work on the transaction:
neither overwrites the other. Each is judged anew on the snapshot that it is written on, so what
has changed since a person looked is said, not acted on. Some look first (`Order.looks_first`);
their look is recorded as any other, and they are judged on what it led to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import timedelta

from reconciler.core.commands.close import close
from reconciler.core.commands.command import (
    ASKS_FOR_A_LOOK,
    Command,
    Judge,
    Looked,
    Order,
    Step,
    Unfit,
    park,
    poll,
)
from reconciler.core.commands.retry import retry
from reconciler.core.model import HistoryEntry, Policy, Transaction, TransactionId
from reconciler.core.status import ENDED, TERMINAL, DcbStatus, HistoryKind, IntentState
from reconciler.engine.first_look import FirstLook, unread
from reconciler.engine.settling import Recorder
from reconciler.engine.storage import Storage
from reconciler.engine.telling import Herald
from reconciler.errors import SettingsError, StoreUnavailable, UnknownTransaction
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
class _Judged:
    """A step, the order as it was judged, and the transaction that it was judged on."""

    order: Order
    transaction: Transaction
    step: Step


_WHILE_UNREAD = {
    Command.CLOSE: (
        "nothing is ended, since the book may have left. Close it again when the library answers, "
        "or with --unread to end it on what was last known there"
    ),
    Command.RETRY: "which copy is lent cannot be told; try again when the library answers",
}


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
    first_look: FirstLook

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
        """Judge and write it; what moved on meanwhile is judged anew, as long as patience lasts."""
        waits_until = self.clock.monotonic() + self.patience.total_seconds()
        known_as: DcbStatus | None = None
        while True:
            transaction = await self.storage.run(self.store.get, id)
            known_as = known_as or transaction.status
            judged = await self._judged(order, transaction, known_as, waits_until)
            if isinstance(judged, Unfit):
                report.skipped.append(NotDone(id, judged.why))
                return
            if isinstance(judged, NotDone):
                report.failed.append(judged)
                return
            if judged is not None and await self._write(judged, waits_until):
                step = judged.step
                report.done.append(Done(id, step.told, step.warnings, step.left))
                return
            if self.clock.monotonic() >= waits_until:
                why = f"a process has been at work on it for {self.patience}; try again"
                report.failed.append(NotDone(id, why))
                return

    async def _judged(
        self, order: Order, transaction: Transaction, known_as: DcbStatus, waits_until: float
    ) -> _Judged | Unfit | NotDone | None:
        """The command's step on the transaction as it stands; None when it moved on meanwhile."""
        judge = JUDGES[order.command]
        step = judge(transaction, order, self.policy)
        if isinstance(step, Unfit) and (not order.looks_first or _stands_still(transaction)):
            return step
        if isinstance(step, Step) and not order.looks_first:
            return _Judged(order, transaction, step)
        try:
            seen = await self.first_look.at(transaction)
        except SettingsError as error:
            return NotDone(transaction.id, str(error))
        dark = unread(transaction, seen)
        if dark and not order.unread and transaction.status not in ENDED:
            told = "; ".join(f"{code}: {why}" for code, why in dark.items())
            return NotDone(transaction.id, f"{told}; {_WHILE_UNREAD[order.command]}")
        now = self.clock.now()
        if not seen.frozen:
            look = self.recorder.intervention(transaction, seen.decision, now)
            if not await self._record(look, waits_until):
                return None
            transaction = await self.storage.run(self.store.get, transaction.id)
        order = replace(order, at=now, looked=Looked(known_as, seen.observation, dark))
        step = judge(transaction, order, self.policy)
        return step if isinstance(step, Unfit) else _Judged(order, transaction, step)

    async def _write(self, judged: _Judged, waits_until: float) -> bool:
        intervention = self._intervention(judged.order, judged.transaction, judged.step)
        return await self._record(intervention, waits_until)

    async def _record(self, intervention: Intervention, waits_until: float) -> bool:
        """Write it once no process is at work on the transaction any more; False when that has
        moved on meanwhile, or patience is over."""
        notices = self.herald.notices(intervention.after, intervention.history)
        intervention = replace(intervention, notices=notices)
        before = intervention.before
        while not await self.storage.run(self.store.intervene, intervention, self.clock.now()):
            now = await self.storage.run(self.store.get, before.id)
            has_moved = now.version != before.version or now.paused != before.paused
            if has_moved or self.clock.monotonic() >= waits_until:
                return False
            if not await self.storage.run(self.store.rescue, self.is_dead):
                await self.clock.sleep(LOOK_AGAIN)
        return True

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
        )


def _stands_still(transaction: Transaction) -> bool:
    """Whether no look can make a command fit that does not fit now."""
    return transaction.status in TERMINAL or transaction.paused is not None


def _history(order: Order, step: Step) -> Iterator[HistoryEntry]:
    """The command first: what it asks for is asked by that row."""
    yield _said(order, step)
    for told in step.taken_over:
        yield HistoryEntry(order.at, HistoryKind.OBSERVATION, order.actor, detail=told)
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
