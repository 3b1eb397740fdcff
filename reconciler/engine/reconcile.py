"""Reconcile one transaction: read, decide, record. The only caller of `decide`."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from loguru import logger

from reconciler.core.cadence import next_poll_at
from reconciler.core.decide import decide
from reconciler.core.model import (
    Decision,
    HostLmsCode,
    Leg,
    LegObservation,
    Observation,
    Parked,
    Policy,
    ReadKind,
    Transaction,
)
from reconciler.core.status import Role, TenantState
from reconciler.engine.absences import AbsenceWatch, misses, shown
from reconciler.engine.effects.runner import EffectRunner
from reconciler.engine.observe import Look, Readers, observe
from reconciler.engine.others import OtherLends
from reconciler.engine.settling import Recorder, Settler, as_written
from reconciler.errors import SettingsError, StoreUnavailable
from reconciler.ports.clock import Clock
from reconciler.ports.quotas import Gates
from reconciler.ports.written import Claim, Settlement

FROZEN = "nothing is concluded: much that was there is not found at one of its libraries"


class OutcomeKind(StrEnum):
    """How a reconcile ended; the set is closed."""

    DONE = "done"
    RETRY = "retry"
    PARK = "park"
    OVERTAKEN = "overtaken"
    """The claim was taken over or a person spoke meanwhile: nothing was written."""


@dataclass(frozen=True, slots=True)
class ReadFailure:
    """One read that failed, for the report of the cycle."""

    role: Role
    read: ReadKind
    reason: str


@dataclass(frozen=True, slots=True)
class Considered:
    """A look and what follows from it, recorded nowhere. `frozen` are libraries from whose answers
    nothing may be concluded now."""

    observation: Observation
    decision: Decision
    failures: tuple[ReadFailure, ...]
    frozen: tuple[HostLmsCode, ...] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    kind: OutcomeKind
    transaction: Transaction
    decision: Decision | None = None
    newly_parked: Parked | None = None
    failures: tuple[ReadFailure, ...] = ()
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Reconciler:
    readers: Readers
    recorder: Recorder
    runner: EffectRunner
    settler: Settler
    clock: Clock
    policy: Policy
    gates: Gates
    absences: AbsenceWatch
    others: OtherLends

    async def consider(self, transaction: Transaction, *, everything: bool = False) -> Considered:
        """Look and decide, and record nothing. Raises SettingsError as `check_libraries`."""
        now = self.clock.now()
        observation = await self._look(transaction, now, everything)
        return Considered(
            observation,
            decide(transaction, observation, now, self.policy),
            _failures(observation),
            tuple(leg.host_lms for leg in self._frozen(transaction)),
        )

    async def _look(self, transaction: Transaction, now: datetime, everything: bool) -> Observation:
        check_libraries(transaction, self.policy)
        look = Look(self.readers, self.policy, now, self.others, everything)
        return await observe(transaction, look)

    async def reconcile_one(self, claim: Claim, *, ordered_at: datetime | None = None) -> Outcome:
        """Look, decide and record one claimed transaction; then carry out its effects.

        `ordered_at` is when a person ordered a look at everything that there is of it, and that
        what was refused is tried again; None where it is merely due.
        A defect of ours in one transaction stays there: it is logged, shown as a failure of that
        transaction and tried again later. Trouble with the database is raised.
        """
        before = claim.transaction
        with logger.contextualize(transaction=before.id, tenant=before.tenant):
            try:
                return await self._reconcile(claim, ordered_at)
            except StoreUnavailable:
                raise
            except SettingsError as error:
                logger.bind(reason=str(error)).error("not looked at")
                return await self._retry_later(claim, str(error))
            except Exception as error:  # noqa: BLE001 - the edge of one transaction
                logger.exception("reconcile failed")
                return await self._retry_later(claim, f"{type(error).__name__} in our own code")

    async def _reconcile(self, claim: Claim, ordered_at: datetime | None) -> Outcome:
        now, everything = self.clock.now(), ordered_at is not None
        before = replace(claim.transaction, asked_at=None)
        asked_at = ordered_at or claim.transaction.asked_at
        if not self._may_look(before, asked_at):
            return await self._retry_later(claim, FROZEN)
        probed = self._frozen(before)
        observation = await self._look(before, now, asked_at is not None or bool(probed))
        for leg in probed:
            self._judge_probe(leg, observation.leg(leg.role))
        if self._is_misled(before, observation, now):
            return await self._retry_later(claim, FROZEN)
        decision = decide(before, observation, now, self.policy)
        failures = _failures(observation)
        now = self.clock.now()
        settlement = self.recorder.settlement(claim, decision, now)
        works = self.runner.has_work(as_written(settlement), now, force=everything)
        if works:
            settlement = _kept(settlement, now, now + self.runner.lease)
        if not await self.settler.settle(settlement):
            return Outcome(OutcomeKind.OVERTAKEN, before)
        after = decision.transaction
        if works:
            kept = replace(claim, transaction=as_written(settlement))
            after = await self.runner.carry_out(kept, then=after.next_poll_at, force=everything)
        parked = after.parked if before.parked is None else None
        kind = OutcomeKind.PARK if parked else OutcomeKind.DONE
        return Outcome(kind, before, decision, parked, failures)

    def _may_look(self, transaction: Transaction, asked_at: datetime | None) -> bool:
        """Not while a library is frozen, unless this look is to show whether it still is: one of
        the lends there at times, and each of which a person asks."""
        if asked_at is not None:
            for leg in transaction.legs:
                self.gates.probe_now(leg.host_lms, asked_at)
        now, frozen = self.clock.now(), self._frozen(transaction)
        resting = [leg for leg in frozen if self.gates.standing(leg.host_lms).rests(now)]
        if resting and asked_at is None:
            return False
        for leg in frozen:
            if leg not in resting:
                self.gates.begin_probe(leg.host_lms)
        return True

    def _is_misled(self, transaction: Transaction, observation: Observation, now: datetime) -> bool:
        """Whether a library shows so little that nothing may be concluded from it."""
        for each in self.absences.note(transaction, observation, now):
            self.gates.freeze(each.host_lms, each.reason, each.missing)
        return bool(self._frozen(transaction))

    def _judge_probe(self, leg: Leg, seen: LegObservation) -> None:
        """What a look at a frozen library tells of it; one that began before the freeze tells
        nothing of it."""
        standing = self.gates.standing(leg.host_lms)
        if found := shown(seen) & standing.missing:
            self.gates.found(leg.host_lms, found)
        elif not misses(leg, seen, standing):
            self.gates.showed_nothing(leg.host_lms)

    def _frozen(self, transaction: Transaction) -> list[Leg]:
        return [
            leg
            for leg in transaction.legs
            if self.gates.standing(leg.host_lms).state is TenantState.FROZEN
        ]

    async def _retry_later(self, claim: Claim, reason: str) -> Outcome:
        now = self.clock.now()
        before = claim.transaction
        after = replace(before, failures=before.failures + 1, last_poll_at=now, asked_at=None)
        after = replace(after, next_poll_at=_retry_at(after, now, self.policy))
        await self.settler.settle(Settlement(claim, after))
        return Outcome(OutcomeKind.RETRY, before, reason=reason)


def check_libraries(transaction: Transaction, policy: Policy) -> None:
    """Raises SettingsError when a library of this transaction is not in the settings any more.

    Its ids mean nothing in another system: a library leaves once its lends have ended.
    """
    for leg in transaction.legs:
        if leg.host_lms not in policy.hosts:
            raise SettingsError(
                f"host_lms.{leg.host_lms} is not in the settings, but {transaction.id} needs it "
                "until it has ended"
            )


def _kept(settlement: Settlement, now: datetime, until: datetime) -> Settlement:
    """It stays claimed while its effects are carried out; and due, should the process die of it."""
    return replace(settlement, after=replace(settlement.after, next_poll_at=now), keep_until=until)


def _retry_at(transaction: Transaction, now: datetime, policy: Policy) -> datetime:
    return next_poll_at(transaction, now, policy) or now + timedelta(hours=1)


def _failures(observation: Observation) -> tuple[ReadFailure, ...]:
    found = []
    for role, leg in observation.legs.items():
        for kind in ReadKind:
            seen = leg.of(kind)
            if seen.is_unreadable:
                found.append(ReadFailure(role, kind, seen.reason or "unknown"))
    return tuple(found)
