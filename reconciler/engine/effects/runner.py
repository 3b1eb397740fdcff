"""Carries intents out, one after the other for each library: look, act, confirm, record.

An intent is recorded as sent before its first byte goes out. Every step is a settlement under the
claim's fence, so that a process that lost its claim writes nothing and sends nothing more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from loguru import logger

from reconciler.core.commands.placing import LibraryConfig
from reconciler.core.effects import CLEARED_BY, STILL_NEEDED, goes_on_while_parked
from reconciler.core.mapping import ALREADY_THERE
from reconciler.core.model import (
    HistoryEntry,
    HostLmsCode,
    Intent,
    Parked,
    Policy,
    Transaction,
)
from reconciler.core.status import (
    EffectKind,
    HistoryKind,
    IntentState,
    Role,
    ThingKind,
    ThingState,
)
from reconciler.engine.effects import ending
from reconciler.engine.effects.ending import Ending
from reconciler.engine.effects.verbs import VERBS
from reconciler.engine.effects.work import Blocked, Made, Missing, Moot, Sight, Work
from reconciler.engine.others import OtherLends
from reconciler.engine.settling import ACTOR, Settler, as_written
from reconciler.engine.storage import Storage
from reconciler.errors import AlmaFailure
from reconciler.ports.alma import AlmaWriter
from reconciler.ports.clock import Clock
from reconciler.ports.store import Store
from reconciler.ports.written import Claim, Settlement

STEPS_AT_ONCE = 60
"""More steps than any transaction has effects; a guard against one that never ends."""

BEGINS_WITHIN = timedelta(seconds=10)
"""A write that has not begun so long after its intent was recorded as sent never begins: whoever
takes over from a process that stands still may count on that."""

_PROGRESS = (IntentState.DONE, IntentState.WITHDRAWN)

_TURN = {kind: turn for turn, kind in enumerate(CLEARED_BY.values(), start=1)}
"""Removals among each other keep the order that Alma allows, whenever they were asked for: a loan
that is found late has to end before the removal of its item, asked for earlier."""


@dataclass(slots=True)
class EffectTally:
    done: int = 0
    failed: int = 0
    ambiguous: int = 0

    def count(self, state: IntentState) -> None:
        if state is IntentState.DONE:
            self.done += 1
        elif state is IntentState.AMBIGUOUS:
            self.ambiguous += 1
        elif state is not IntentState.WITHDRAWN:
            self.failed += 1


@dataclass(frozen=True, slots=True)
class EffectRunner:
    writers: Callable[[HostLmsCode], AlmaWriter]
    configs: Mapping[HostLmsCode, LibraryConfig]
    policy: Policy
    store: Store
    storage: Storage
    settler: Settler
    clock: Clock
    new_id: Callable[[], str]
    lease: timedelta
    """Longer than any write may take: a claim outlives the call that it covers."""
    longest_write: timedelta
    """How long a library may still be at work on a call whose caller has died."""

    on_end: Callable[[Intent], None]
    """Told of each step, as it left its intent."""

    tally: EffectTally = field(default_factory=EffectTally)

    def has_work(self, transaction: Transaction, now: datetime, *, force: bool = False) -> bool:
        """Whether an effect of this transaction is to be carried out now."""
        return next(self._due(transaction, now, force=force), None) is not None

    async def carry_out(
        self, claim: Claim, *, then: datetime | None, force: bool = False
    ) -> Transaction:
        """Every effect that is due, until none is; then give the claim back, due again at `then`.

        The transaction as this leaves it, as far as it is known.

        When something was done the transaction is due again at once: what was done is evidence.
        `force` tries also what was refused and waits for a later time, once; an ambiguous effect
        waits for its settle time in any case.
        """
        progress = False
        tried: set[str] = set()
        for _ in range(STEPS_AT_ONCE):
            intent = self._next(claim.transaction, tried, force=force)
            if intent is None:
                break
            tried.add(intent.id)
            end, marked = await self._step(claim, intent)
            if marked is None:
                return _lost(claim)
            progress = progress or end.intent.state in _PROGRESS
            settlement = self._settlement(marked, end)
            left = as_written(settlement)
            is_last = self._next(left, tried, force=force) is None
            if is_last:
                settlement = self._given_back(settlement, left, None if progress else then)
            if not await self.settler.settle(settlement):
                return _lost(claim)
            claim = replace(claim, transaction=as_written(settlement))
            if is_last:
                return claim.transaction
        idle = Settlement(claim, claim.transaction)
        idle = self._given_back(idle, claim.transaction, None if progress else then)
        await self.settler.settle(idle)
        return claim.transaction

    def _next(self, transaction: Transaction, tried: set[str], *, force: bool) -> Intent | None:
        """The effect that comes next, each one once."""
        due = self._due(transaction, self.clock.now(), force=force)
        return next((intent for intent in due if intent.id not in tried), None)

    def _due(self, transaction: Transaction, now: datetime, *, force: bool) -> Iterator[Intent]:
        """The first open intent at each library, if its time has come.

        While a person is waited for only a few go on, and none past one whose end is not known.
        """
        if transaction.paused:
            return
        seen: set[tuple[Role, str]] = set()
        for intent in _in_turn(transaction.intents):
            place = (intent.role, intent.host_lms)
            if not intent.is_open or place in seen or not self._acts(intent):
                continue
            if transaction.parked and not goes_on_while_parked(intent, transaction):
                seen |= {place} if intent.may_have_happened else set()
                continue
            seen.add(place)
            waits = intent.next_attempt_at is not None and intent.next_attempt_at > now
            if not waits or (force and not intent.may_have_happened):
                yield intent

    def _acts(self, intent: Intent) -> bool:
        host = self.policy.hosts.get(intent.host_lms)
        return host is not None and host.acts and intent.kind in VERBS

    async def _step(self, claim: Claim, intent: Intent) -> tuple[Ending, Claim | None]:
        """One intent from where it stands to its next state, and the claim to write that under."""
        now = self.clock.now()
        settle = self.policy.hosts[intent.host_lms].settle
        intent = _after_a_crash(intent, BEGINS_WITHIN + self.longest_write + settle)
        if intent.may_have_happened and (intent.next_attempt_at or now) > now:
            return Ending(intent, "", is_news=False), claim
        work = await self._work(claim, intent, now)
        with logger.contextualize(effect=intent.kind, role=intent.role, host_lms=intent.host_lms):
            end, marked = await self._attempt(claim, work)
        if marked is not None:
            self.tally.count(end.intent.state)
            self.on_end(end.intent)
        return end, marked

    async def _attempt(self, claim: Claim, work: Work) -> tuple[Ending, Claim | None]:
        """Look; where that proves it missing, record that it is sent, and send it."""
        intent, now = work.intent, work.now
        try:
            sight = await VERBS[intent.kind].look(work)
        except AlmaFailure as failure:
            return ending.unreadable(intent, failure, now), claim
        shown_from = self._shown_from(work, sight)
        if shown_from is not None and shown_from > now:
            return ending.not_shown_yet(intent, shown_from), claim
        if not isinstance(sight, Missing):
            return self._ended(intent, sight, now), claim
        if work.transaction.status not in STILL_NEEDED[intent.kind]:
            return ending.moot(intent, Moot("the journey has overtaken it")), claim
        stuck = ending.still_missing(intent, now)
        if stuck is not None:
            return stuck, claim
        deadline = self.clock.monotonic() + BEGINS_WITHIN.total_seconds()
        sent = replace(
            intent,
            state=IntentState.SENT,
            attempts=intent.attempts + 1,
            sent_at=self.clock.now(),
            next_attempt_at=None,
        )
        going_out = self._settlement(claim, Ending(sent, "", is_news=False))
        if not await self.settler.settle(going_out):
            return Ending(sent, ""), None
        marked = replace(claim, transaction=as_written(going_out))
        alma = work.alma.until(deadline)
        return await self._send(replace(work, intent=sent, alma=alma), sight), marked

    def _shown_from(self, work: Work, sight: Sight) -> datetime | None:
        """From when on it counts that Alma does not show a thing, if that is what was seen."""
        if not isinstance(sight, Made):
            return None
        settle = self.policy.hosts[work.intent.host_lms].settle
        absent = (each.created_at for each in sight.things if each.state is ThingState.GONE)
        return max((at + settle for at in absent if at is not None), default=None)

    async def _send(self, work: Work, missing: Missing) -> Ending:
        """The write, and what its answer proves."""
        intent, verb = work.intent, VERBS[work.intent.kind]
        settle = self.policy.hosts[intent.host_lms].settle
        try:
            made = await verb.act(work, missing.found)
        except AlmaFailure as failure:
            now = self.clock.now()
            if not ending.is_refusal(failure):
                return ending.failed(intent, failure, now, settle)
            return await self._refused(work, failure)
        if made is not None:
            return self._ended(intent, made, self.clock.now())
        return await self._confirmed(work)

    async def _confirmed(self, work: Work) -> Ending:
        """Look again after a write whose answer is no proof."""
        intent, now = work.intent, self.clock.now()
        settle = self.policy.hosts[intent.host_lms].settle
        try:
            sight = await VERBS[intent.kind].look(work)
        except AlmaFailure as failure:
            return ending.ambiguous(intent, f"done, not confirmed: {failure}", now, settle)
        if isinstance(sight, Missing):
            return ending.ambiguous(intent, "done, but Alma does not show it yet", now, settle)
        return self._ended(intent, sight, now)

    async def _refused(self, work: Work, failure: AlmaFailure) -> Ending:
        """Alma said no. "Already there" is looked at: ours is adopted, another's is a conflict.

        Not shown yet it may be ours still; said twice, it is another's.
        """
        intent, verb = work.intent, VERBS[work.intent.kind]
        settle, code = self.policy.hosts[intent.host_lms].settle, failure.code
        try:
            if code in ALREADY_THERE:
                sight = await verb.look(work)
                if not isinstance(sight, Missing):
                    return self._ended(intent, sight, self.clock.now(), failure)
                if intent.last_code != code:
                    now = self.clock.now()
                    return ending.ambiguous(intent, str(failure), now, settle, code)
            sight = await verb.refused(work, failure)
        except AlmaFailure as unread:
            return ending.ambiguous(intent, str(unread), self.clock.now(), settle)
        return self._ended(intent, sight, self.clock.now(), failure)

    def _ended(
        self, intent: Intent, sight: Sight, now: datetime, failure: AlmaFailure | None = None
    ) -> Ending:
        if isinstance(sight, Made):
            return ending.done(intent, sight)
        if isinstance(sight, Blocked):
            return ending.blocked(intent, sight, now, failure)
        if isinstance(sight, Moot):
            return ending.moot(intent, sight)
        raise AssertionError("what is missing has not ended")

    # --- recording -----------------------------------------------------------

    def _settlement(self, claim: Claim, end: Ending) -> Settlement:
        """A step's end as it is written; the claim is kept."""
        now = self.clock.now()
        before, intent = claim.transaction, end.intent
        after = before if end.leg is None else before.with_legs({end.leg.role: end.leg})
        parks = end.park is not None and before.parked is None
        if end.park and parks:
            detail = f"{intent.kind} at {intent.host_lms}: {end.told}"
            after = replace(after, parked=Parked(end.park, detail, now))
        history = _history(intent, end, now, parks=parks)
        undo = self._undo(before, intent, len(history)) if end.undo else ()
        return Settlement(
            claim,
            after,
            history,
            planned=undo,
            changed=(intent,),
            things=end.things,
            keep_until=now + self.lease,
        )

    def _undo(self, transaction: Transaction, intent: Intent, rows: int) -> tuple[Intent, ...]:
        """Remove the records that were half made for an item that cannot be."""
        removal = {
            ThingKind.HOLDING: EffectKind.VIRTUAL_HOLDING_REMOVED,
            ThingKind.BIB: EffectKind.VIRTUAL_BIB_REMOVED,
        }
        return tuple(
            Intent(
                self.new_id(),
                effect,
                intent.role,
                intent.host_lms,
                IntentState.PLANNED,
                asked_by=rows - 1,
                thing_id=thing.id,
            )
            for kind, effect in removal.items()
            for thing in transaction.things
            if thing.kind is kind
            and thing.role is intent.role
            and thing.state is ThingState.PRESENT
            and thing.owned
        )

    def _given_back(
        self, settlement: Settlement, left: Transaction, then: datetime | None
    ) -> Settlement:
        """The same without keeping the claim: due again at `then`, if no effect that is `left` is
        sooner; None is at once."""
        due = [
            intent.next_attempt_at
            for intent in left.intents
            if intent.is_open and intent.next_attempt_at is not None and self._acts(intent)
        ]
        at = min([*due, then or self.clock.now()])
        return replace(
            settlement, after=replace(settlement.after, next_poll_at=at), keep_until=None
        )

    async def _work(self, claim: Claim, intent: Intent, now: datetime) -> Work:
        placing = None
        if claim.transaction.has_placing_data:
            placing = await self.storage.run(self.store.placing, claim.transaction.id)
        return Work(
            claim.transaction,
            intent,
            self.writers(intent.host_lms),
            self.configs[intent.host_lms],
            placing,
            now,
            self.new_id,
            OtherLends(self.store, self.storage),
        )


def _lost(claim: Claim) -> Transaction:
    logger.warning("claim lost while carrying out an effect")
    return claim.transaction


def _in_turn(intents: tuple[Intent, ...]) -> Iterator[Intent]:
    """As they were asked for, but removals in their own order."""
    removals = (intent for intent in intents if intent.kind in _TURN)
    in_turn = iter(sorted(removals, key=lambda each: _TURN[each.kind]))
    for intent in intents:
        yield next(in_turn) if intent.kind in _TURN else intent


def _after_a_crash(intent: Intent, patience: timedelta) -> Intent:
    """An intent that is sent when somebody comes to it was left by a process that died."""
    if intent.state is not IntentState.SENT or intent.sent_at is None:
        return intent
    return replace(
        intent,
        state=IntentState.AMBIGUOUS,
        ambiguities=intent.ambiguities + 1,
        next_attempt_at=intent.sent_at + patience,
        last_error="sent by a process that did not live to see the answer",
    )


def _history(
    intent: Intent, end: Ending, now: datetime, *, parks: bool
) -> tuple[HistoryEntry, ...]:
    if not end.is_news:
        return ()
    kind = HistoryKind.ATTENTION if parks else HistoryKind.EFFECT
    where = f"{intent.kind} at {intent.host_lms} ({intent.role})"
    detail = f"{where}: {intent.state}: {end.told}"
    return (HistoryEntry(now, kind, ACTOR, reason=end.code, detail=detail),)
