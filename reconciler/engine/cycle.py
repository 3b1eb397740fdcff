"""One cycle: everything that is due, fairly between tenants, each transaction once at a time."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Set
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import partial

from loguru import logger

from reconciler.core.library.breaker import TenantStanding
from reconciler.core.model import HostLmsCode, TransactionId
from reconciler.core.status import TenantState
from reconciler.engine.hints import Sweeper
from reconciler.engine.reconcile import Outcome, OutcomeKind, Reconciler
from reconciler.engine.storage import Storage
from reconciler.ports.clock import Clock
from reconciler.ports.leases import Lease, Owner
from reconciler.ports.quotas import Gates, Quotas
from reconciler.ports.store import Selection, Store
from reconciler.ports.written import Claim

AT_ONCE_PER_TENANT = 16
"""Looks under way at one tenant; its connections (8) and its limiter are the real bounds."""

LONG_LOOK = 5.0
"""Seconds after which a look no longer counts as under way: a library that answers slowly must not
hold up the looks at others. Real seconds: a matter of the event loop, not of any due time."""

MOST_LONG_LOOKS = 64

CLAIM_AT_ONCE = 60
"""Small, so that what is claimed is settled well within its lease."""

LOOKS_PER_CYCLE = 20
"""A transaction that is due again at once is looked at again, but not for ever."""


def _always(_: HostLmsCode) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class CycleOptions:
    """What a cycle takes: what is due, or every live transaction; narrowed by tenant and id."""

    everything: bool = False
    tenants: tuple[HostLmsCode, ...] = ()
    ids: tuple[TransactionId, ...] = ()
    may_go_on: Callable[[HostLmsCode], bool] = _always
    """Asked before every claim and every look: False ends the work for a library after the looks
    that are under way."""


@dataclass(slots=True)
class CycleReport:
    cycle_id: str
    outcomes: list[Outcome] = field(default_factory=list)
    held_here: tuple[HostLmsCode, ...] = ()
    held_elsewhere: tuple[Lease, ...] = ()
    """Libraries that another process looks after: nothing was done for them."""
    resting: dict[HostLmsCode, TenantStanding] = field(default_factory=dict)
    """Libraries that were not polled, or not to the end, and how they stand."""

    @property
    def reconciled(self) -> int:
        """How many transactions were looked at and recorded."""
        settled = (OutcomeKind.DONE, OutcomeKind.PARK)
        return len({each.transaction.id for each in self.outcomes if each.kind in settled})

    @property
    def counts(self) -> dict[str, int]:
        """What the cycle's log line tells."""
        written = [each for each in self.outcomes if each.kind is not OutcomeKind.OVERTAKEN]
        return {
            "reconciled": self.reconciled,
            "transitions": sum(len(each.decision.hops) for each in written if each.decision),
            "parked": sum(each.newly_parked is not None for each in written),
            "failed_reads": sum(len(each.failures) for each in written),
            "faults": sum(each.kind is OutcomeKind.RETRY for each in written),
        }


@dataclass(frozen=True, slots=True)
class Cycle:
    reconciler: Reconciler
    store: Store
    storage: Storage
    clock: Clock
    owner: Owner
    lease: timedelta
    tenants: tuple[HostLmsCode, ...]
    is_dead: Callable[[Owner], bool]
    on_end: Callable[[Outcome, float], None]
    """Told what became of each transaction that was worked at, and how many seconds that took."""
    gates: Gates
    quotas: Quotas
    sweeper: Sweeper

    async def run(self, options: CycleOptions, cycle_id: str) -> CycleReport:
        """Reconcile the selection; a library's trouble is in the report.

        Raises StoreUnavailable when the database fails; what was settled before stays settled.
        """
        report = CycleReport(cycle_id)
        began_at = self.clock.monotonic()
        with logger.contextualize(cycle=cycle_id):
            freed = await self.storage.run(self.store.rescue, self.is_dead)
            if freed:
                logger.bind(transactions=freed).warning("claims of a dead process freed")
            self.gates.adopt(await self.storage.run(self.quotas.standings))
            rested = [tenant for tenant in self.tenants if not self.gates.standing(tenant).is_open]
            tenants = options.tenants or self.tenants
            await _all(self._tenant(tenant, options, report) for tenant in tenants)
            await self._wake(rested)
            seconds = round(self.clock.monotonic() - began_at, 1)
            told = logger.bind(**report.counts, seconds=seconds)
            if len(tenants) == 1:
                told = told.bind(tenant=tenants[0])
            told.log("INFO" if report.outcomes else "DEBUG", "cycle finished")
        return report

    async def _wake(self, rested: list[HostLmsCode]) -> None:
        """What was turned away by a library that came back meanwhile, and was told so too late."""
        for tenant in rested:
            if self.gates.standing(tenant).is_open:
                await self.storage.run(self.quotas.wake, tenant, self.clock.now())

    async def _tenant(
        self, tenant: HostLmsCode, options: CycleOptions, report: CycleReport
    ) -> None:
        """Work off one tenant's queue with a fixed number of looks under way."""
        may_go_on = partial(options.may_go_on, tenant)
        if options.everything or options.ids:
            ordered_at = self.clock.now()
            if options.everything:
                self.gates.probe_now(tenant, ordered_at)
            named = _Feed(self._named(tenant, options), may_go_on, set())
            await self._work_off(named, report, ordered_at)
        elif self._goes_on(tenant, options):
            await self.sweeper.sweep(tenant)
        else:
            await self._work_off(_Feed(self._asked(tenant), may_go_on, set()), report)
        looks: Counter[TransactionId] = Counter()
        again = True
        while again:  # what was done for a transaction may have made it due again
            under_way: set[TransactionId] = set()
            more = self._due(tenant, options, looks, under_way)
            due = _Feed(more, partial(self._goes_on, tenant, options), under_way)
            again = bool(await self._work_off(due, report))
        standing = self.gates.standing(tenant)
        is_pause = standing.state is TenantState.THROTTLED and self._goes_on(tenant, options)
        if not (standing.is_open or is_pause):
            report.resting[tenant] = standing

    async def _work_off(
        self, feed: _Feed, report: CycleReport, ordered_at: datetime | None = None
    ) -> int:
        """Reconcile all of these; how many there were. What was claimed in vain is given back."""
        before = len(report.outcomes)
        under_way: set[asyncio.Task[None]] = set()

        async def look(claim: Claim) -> None:
            began_at = self.clock.monotonic()
            try:
                outcome = await self.reconciler.reconcile_one(claim, ordered_at=ordered_at)
            finally:
                feed.under_way.discard(claim.transaction.id)
            report.outcomes.append(outcome)
            self.on_end(outcome, self.clock.monotonic() - began_at)

        async def worker() -> None:
            while (claim := await feed.next()) is not None:
                task = asyncio.create_task(look(claim))
                under_way.add(task)
                await asyncio.wait({task}, timeout=LONG_LOOK)
                if task.done() or len(under_way) > AT_ONCE_PER_TENANT + MOST_LONG_LOOKS:
                    await task
                    under_way.discard(task)

        try:
            await _all(worker() for _ in range(AT_ONCE_PER_TENANT))
            await _all(under_way)
        finally:
            for task in under_way:
                task.cancel()
        if left := feed.left():
            await self.storage.run(self.store.release, left)
        return len(report.outcomes) - before

    async def _due(
        self,
        tenant: HostLmsCode,
        options: CycleOptions,
        looks: Counter[TransactionId],
        under_way: Set[TransactionId],
    ) -> AsyncIterator[list[Claim]]:
        """Claims of what is due, oldest first, until nothing is (or one comes again and again)."""
        while claims := await self._claim_due(tenant, options, under_way, looks.keys()):
            looks.update(claim.transaction.id for claim in claims)
            if max(looks.values()) > LOOKS_PER_CYCLE:
                await self.storage.run(self.store.release, claims)
                return
            yield claims

    async def _named(
        self, tenant: HostLmsCode, options: CycleOptions
    ) -> AsyncIterator[list[Claim]]:
        """Claims of what a person asked for, whatever its next look was; each one once."""
        selection = Selection(tenant, options.ids or None, due_only=False)
        wanted = await self.storage.run(self.store.live, selection, self.clock.now())
        ids = [transaction.id for transaction in wanted]
        for start in range(0, len(ids), CLAIM_AT_ONCE):
            some = tuple(ids[start : start + CLAIM_AT_ONCE])
            yield await self._claim(Selection(tenant, some, due_only=False))

    async def _asked(self, tenant: HostLmsCode) -> AsyncIterator[list[Claim]]:
        """Claims of what people have asked for of a library that rests; each one once."""
        looked_at: tuple[TransactionId, ...] = ()
        while claims := await self._claim(
            Selection(tenant, asked_only=True, passed_over=looked_at)
        ):
            looked_at += tuple(claim.transaction.id for claim in claims)
            yield claims

    def _goes_on(self, tenant: HostLmsCode, options: CycleOptions) -> bool:
        """Whether polls are still handed out. A short supply of calls serves effects on."""
        standing = self.gates.standing(tenant)
        rests = standing.state is not TenantState.SHORT and standing.rests(self.clock.now())
        return options.may_go_on(tenant) and not rests

    async def _claim_due(
        self,
        tenant: HostLmsCode,
        options: CycleOptions,
        under_way: Set[TransactionId],
        looked_at: Set[TransactionId],
    ) -> list[Claim]:
        """A handful of what is due; effects only, where calls are short. Never what is `under_way`:
        at a slow library a look outlasts its claim, and a second claim would void the first.

        One, due or not, where it is a probe: nothing may be due for long, and all waits for it.
        Another each time, since one that asked the library nothing has shown nothing.
        Nothing while the library rests: what is due stays due, the oldest first.
        """
        standing = self.gates.standing(tenant)
        rests = standing.rests(self.clock.now())
        effects_only = standing.state is TenantState.SHORT and rests
        if rests and not effects_only:
            return []
        is_probe = not (standing.is_open or rests)
        passed_over = tuple(under_way | looked_at if is_probe else under_way)
        selection = Selection(tenant, options.ids or None, not is_probe, effects_only, passed_over)
        claims = await self._claim(selection, 1 if is_probe else CLAIM_AT_ONCE)
        if is_probe and not claims:  # it lends nothing now: a lend of another's has to find out
            await self.storage.run(self.quotas.wake, tenant, self.clock.now(), 1)
        return claims

    async def _claim(self, selection: Selection, limit: int = CLAIM_AT_ONCE) -> list[Claim]:
        now = self.clock.now()
        return await self.storage.run(
            self.store.claim, selection, self.owner, now, now + self.lease, limit
        )


class _Feed:
    """Hands out claims one by one; fetches the next handful when the last one is given out.

    It dries up as soon as `may_go_on` says no; `left` are the claims that nobody took then.
    """

    def __init__(
        self,
        more: AsyncIterator[list[Claim]],
        may_go_on: Callable[[], bool],
        under_way: set[TransactionId],
    ) -> None:
        self.under_way = under_way
        """What was handed out and is not done with; whoever took it takes it out again."""
        self._more = more
        self._may_go_on = may_go_on
        self._ready: deque[Claim] = deque()
        self._turn = asyncio.Lock()

    async def next(self) -> Claim | None:
        async with self._turn:
            while self._may_go_on() and not self._ready:
                claims = await anext(self._more, None)
                if claims is None:
                    return None
                self._ready.extend(claims)
            if not self._may_go_on():
                return None
            claim = self._ready.popleft()
            self.under_way.add(claim.transaction.id)
            return claim

    def left(self) -> list[Claim]:
        return list(self._ready)


async def _all(work: Iterable[Awaitable[None]]) -> None:
    """Run side by side; on the first error let the others end, then raise it."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
