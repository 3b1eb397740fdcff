"""A decision as the rows that record it, and the one queue through which they reach the store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from datetime import datetime

from reconciler.core.commands.placing import is_needed as placing_is_needed
from reconciler.core.effects import STILL_NEEDED
from reconciler.core.model import (
    Action,
    Change,
    Decision,
    Effect,
    HistoryEntry,
    Hop,
    Intent,
    Policy,
    TakenOver,
    Transaction,
)
from reconciler.core.status import DcbStatus, EffectKind, HistoryKind, IntentState, ThingKind
from reconciler.engine.storage import Storage
from reconciler.engine.telling import Herald
from reconciler.ports.store import Store
from reconciler.ports.written import Claim, Intervention, Settlement, happened_at

ACTOR = "reconciler"
BATCH = 64


class Recorder:
    """Turns decisions into settlements. A look that shows nothing new adds no history."""

    def __init__(self, policy: Policy, new_id: Callable[[], str]) -> None:
        self._policy = policy
        self._new_id = new_id

    def settlement(self, claim: Claim, decision: Decision, now: datetime) -> Settlement:
        """What is written for a decision: snapshot, history, new intents, withdrawn intents."""
        looked = self.intervention(claim.transaction, decision, now)
        return Settlement(
            claim,
            looked.after,
            looked.history,
            planned=looked.planned,
            changed=looked.changed,
            things=looked.things,
        )

    def intervention(self, before: Transaction, decision: Decision, now: datetime) -> Intervention:
        """The same for a look that a person's command made, without a claim."""
        history: list[HistoryEntry] = []
        planned: list[Intent] = []
        if decision.changes:
            history.append(_observed(decision.changes, now))
        history += (_taken_over(each, now) for each in decision.taken_over)
        for hop in decision.hops:
            planned += self.intents(hop.effects, asked_by=len(history))
            history.append(_transition(hop, now))
        for action in decision.actions:
            planned += self.intents(action.effects, asked_by=len(history))
            history.append(_history_of(action, now))
        planned = [_unless_overtaken(each, decision.transaction.status) for each in planned]
        if decision.newly_parked is not None:
            history.append(_attention(decision, now))
        if decision.clearing:
            planned += self.intents(decision.clearing, asked_by=len(history))
            history.append(_clearing(decision.clearing, now))
        withdrawn = [
            replace(intent, state=IntentState.WITHDRAWN, next_attempt_at=None)
            for intent in decision.withdrawn
        ]
        overtaken = [each for each in planned if each.state is IntentState.WITHDRAWN]
        history += (_withdrawn(intent, now) for intent in (*overtaken, *withdrawn))
        taken_up = [*self._taken_up(decision.transaction, withdrawn)]
        return Intervention(
            before,
            decision.transaction,
            tuple(history),
            planned=tuple(planned),
            changed=(*withdrawn, *taken_up),
            things=decision.things,
        )

    def intents(self, effects: Iterable[Effect], asked_by: int) -> Iterator[Intent]:
        """New intents for effects, in their order."""
        for effect in effects:
            yield Intent(
                id=self._new_id(),
                kind=effect.kind,
                role=effect.role,
                host_lms=effect.host_lms,
                state=self._first_state(effect),
                asked_by=asked_by,
                thing_id=effect.thing_id,
            )

    def _first_state(self, effect: Effect) -> IntentState:
        if effect.kind is EffectKind.NOTIFY:
            return IntentState.DONE  # its notice is written in the same transaction
        acts = self._policy.hosts[effect.host_lms].acts
        return IntentState.PLANNED if acts else IntentState.WITHHELD

    def _taken_up(self, transaction: Transaction, withdrawn: list[Intent]) -> Iterator[Intent]:
        """Withheld intents of a library that acts by now."""
        over = {intent.id for intent in withdrawn}
        for intent in transaction.intents:
            host = self._policy.hosts.get(intent.host_lms)
            acts = host is not None and host.acts
            if intent.state is IntentState.WITHHELD and acts and intent.id not in over:
                yield replace(intent, state=IntentState.PLANNED)


def _unless_overtaken(intent: Intent, status: DcbStatus) -> Intent:
    """A look that made several hops may ask for what its last hop has made pointless."""
    if status in STILL_NEEDED[intent.kind]:
        return intent
    return replace(intent, state=IntentState.WITHDRAWN)


def _observed(changes: tuple[Change, ...], now: datetime) -> HistoryEntry:
    told = "; ".join(
        f"{change.evidence.role} {change.evidence.resource}: "
        f"{change.before or 'not seen before'} → {change.evidence.state}"
        for change in changes
    )
    return HistoryEntry(
        at=now,
        kind=HistoryKind.OBSERVATION,
        actor=ACTOR,
        detail=told,
        evidence=tuple(change.evidence for change in changes),
    )


def _taken_over(taken: TakenOver, now: datetime) -> HistoryEntry:
    what = "copy" if taken.kind is ThingKind.ITEM else taken.kind
    told = f"{taken.role} {what} taken over: {taken.before} → {taken.after}"
    return HistoryEntry(now, HistoryKind.OBSERVATION, ACTOR, detail=told)


def _transition(hop: Hop, now: datetime) -> HistoryEntry:
    return HistoryEntry(
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


def _history_of(action: Action, now: datetime) -> HistoryEntry:
    return HistoryEntry(
        at=now,
        kind=HistoryKind.EFFECT,
        actor=ACTOR,
        rule=action.rule,
        detail=action.because,
        evidence=action.evidence,
    )


def _attention(decision: Decision, now: datetime) -> HistoryEntry:
    parked = decision.newly_parked
    if parked is None:
        raise AssertionError("nothing was parked")
    return HistoryEntry(
        now, HistoryKind.ATTENTION, ACTOR, reason=parked.reason, detail=parked.detail
    )


def _clearing(effects: tuple[Effect, ...], now: datetime) -> HistoryEntry:
    what = ", ".join(f"{effect.kind} at {effect.host_lms}" for effect in effects)
    return HistoryEntry(now, HistoryKind.EFFECT, ACTOR, detail=f"to be cleared: {what}")


def _withdrawn(intent: Intent, now: datetime) -> HistoryEntry:
    detail = f"{intent.kind} at {intent.host_lms}: withdrawn, the journey has overtaken it"
    return HistoryEntry(now, HistoryKind.EFFECT, ACTOR, detail=detail)


def as_written(settlement: Settlement) -> Transaction:
    """The transaction as it stands once this is written, without reading it again.

    Only `asked_by` of new intents still counts within this settlement, and a pause that came
    meanwhile does not show: the guards of the next settlement see it.
    """
    before, after = settlement.before, settlement.after
    changed = {intent.id: intent for intent in settlement.changed}
    intents = (*(changed.get(each.id, each) for each in before.intents), *settlement.planned)
    open_ones = tuple(intent for intent in intents if not intent.is_over)
    things = {thing.id: thing for thing in before.things}
    at = happened_at(settlement)
    for thing in settlement.things:
        known = things.get(thing.id)
        things[thing.id] = replace(thing, created_at=known.created_at if known else at)
    return replace(
        after,
        version=before.version + 1,
        intents=open_ones,
        things=tuple(sorted(things.values(), key=lambda each: (each.created_at or at, each.id))),
        has_placing_data=before.has_placing_data and placing_is_needed(after.status, open_ones),
    )


class Settler:
    """Writes settlements as they come, together when several wait: one commit for many looks."""

    def __init__(self, store: Store, storage: Storage, herald: Herald) -> None:
        self._herald = herald
        self._store = store
        self._storage = storage
        self._waiting: list[tuple[Settlement, asyncio.Future[bool]]] = []
        self._writer: asyncio.Task[None] | None = None

    async def settle(self, settlement: Settlement) -> bool:
        """Whether it was written; False when the claim had been taken over meanwhile.

        What the outside is to be told of it is written with it.
        """
        notices = self._herald.notices(settlement.after, settlement.history)
        settlement = replace(settlement, notices=notices)
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
