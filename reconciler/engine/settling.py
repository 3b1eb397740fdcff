"""A decision as the rows that record it, and the one queue through which they reach the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import datetime

from reconciler.core.model import Decision, HistoryEntry, Intent, Policy
from reconciler.core.status import HistoryKind, IntentState
from reconciler.engine.storage import Storage
from reconciler.ports import Claim, Settlement, Store

ACTOR = "reconciler"
BATCH = 64


def settlement(
    claim: Claim, decision: Decision, now: datetime, policy: Policy, new_id: Callable[[], str]
) -> Settlement:
    """What is written for a decision: the new snapshot, its history rows, its intents.

    A look that shows nothing new adds no history.
    """
    history: list[HistoryEntry] = []
    intents: list[Intent] = []
    if decision.changes:
        history.append(_observed(decision, now))
    for hop in decision.hops:
        intents += (
            Intent(
                id=new_id(),
                kind=effect.kind,
                role=effect.role,
                host_lms=effect.host_lms,
                state=_first_state(policy, effect.host_lms),
                asked_by=len(history),
            )
            for effect in hop.effects
        )
        history.append(
            HistoryEntry(
                at=now,
                kind=HistoryKind.TRANSITION,
                actor=ACTOR,
                source=hop.source,
                target=hop.target,
                rule=hop.rule,
                inferred=hop.inferred,
                detail=hop.because,
                evidence=hop.evidence,
            )
        )
    if decision.newly_parked is not None:
        parked = decision.newly_parked
        history.append(
            HistoryEntry(
                now, HistoryKind.ATTENTION, ACTOR, reason=parked.reason, detail=parked.detail
            )
        )
    return Settlement(claim, decision.transaction, tuple(history), tuple(intents))


def _observed(decision: Decision, now: datetime) -> HistoryEntry:
    told = "; ".join(
        f"{change.evidence.role} {change.evidence.resource}: "
        f"{change.before or 'not seen before'} → {change.evidence.state}"
        for change in decision.changes
    )
    return HistoryEntry(
        at=now,
        kind=HistoryKind.OBSERVATION,
        actor=ACTOR,
        detail=told,
        evidence=tuple(change.evidence for change in decision.changes),
    )


def _first_state(policy: Policy, host_lms: str) -> IntentState:
    hosts = {str(code): host for code, host in policy.hosts.items()}
    host = hosts[host_lms]
    return IntentState.PLANNED if host.acts or host.is_external else IntentState.WITHHELD


class Settler:
    """Writes settlements as they come, together when several wait: one commit for many looks."""

    def __init__(self, store: Store, storage: Storage) -> None:
        self._store = store
        self._storage = storage
        self._waiting: list[tuple[Settlement, asyncio.Future[bool]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def settle(self, settlement: Settlement) -> bool:
        """Whether it was written; False when the claim had been taken over meanwhile."""
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((settlement, future))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        return await future

    async def _write(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            try:
                written = await self._storage.run(
                    self._store.settle, [settlement for settlement, _ in batch]
                )
            except Exception as error:  # noqa: BLE001 - handed to each waiter, which raises it
                for _, future in batch:
                    if not future.done():
                        future.set_exception(error)
                continue
            for (_, future), ok in zip(batch, written, strict=True):
                if not future.done():
                    future.set_result(ok)
