"""One cycle: everything that is due, fairly between tenants, each transaction once at a time."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial

from loguru import logger

from reconciler.core.model import HostLmsCode, TransactionId
from reconciler.core.standing import TenantStanding
from reconciler.core.status import TenantState
from reconciler.engine.reconcile import Outcome, OutcomeKind, Reconciler
from reconciler.engine.rounds import Rounds
from reconciler.engine.storage import Storage
from reconciler.ports import Claim, Clock, Gates, Owner, Quotas, Selection, Store

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


@dataclass(frozen=True, slots=True)
class CycleOptions:
    """What a cycle takes: what is due, or every live transaction; narrowed by tenant and id."""

    everything: bool = False
    tenants: tuple[HostLmsCode, ...] = ()
    ids: tuple[TransactionId, ...] = ()


@dataclass(slots=True)
class CycleReport:
    cycle_id: str
    outcomes: list[Outcome] = field(default_factory=list)
    resting: dict[HostLmsCode, TenantStanding] = field(default_factory=dict)
    """Libraries that were not polled, or not to the end, and how they stand."""
    busy: frozenset[HostLmsCode] = frozenset()
    """Tenants that are still at work: nobody waited for them."""

    @property
    def reconciled(self) -> int:
        """How many transactions were looked at and recorded."""
        settled = (OutcomeKind.DONE, OutcomeKind.PARK)
        return len({each.transaction.id for each in self.outcomes if each.kind in settled})


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
    gates: Gates
    quotas: Quotas
    rounds: Rounds

    async def run(
        self, options: CycleOptions, cycle_id: str, patience: timedelta | None = None
    ) -> CycleReport:
        """Reconcile the selection; a library's trouble is in the report.

        Raises StoreUnavailable when the database fails; what was settled before stays settled.
        """
        report = CycleReport(cycle_id)
        with logger.contextualize(cycle=cycle_id):
            freed = await self.storage.run(self.store.rescue, self.is_dead)
            if freed:
                logger.bind(transactions=freed).warning("claims of a dead process freed")
            self.gates.adopt(await self.storage.run(self.quotas.standings))
            report.busy = await self.rounds.run(
                {
                    tenant: partial(self._tenant, tenant, options, report)
                    for tenant in options.tenants or self.tenants
                },
                patience,
            )
        return report

    async def _tenant(
        self, tenant: HostLmsCode, options: CycleOptions, report: CycleReport
    ) -> None:
        """Work off one tenant's queue with a fixed number of looks under way."""
        asked_for = options.everything or bool(options.ids)
        if asked_for:
            self.gates.probe_now(tenant)
            feed = _Feed(self._named(tenant, options), lambda: self.rounds.is_stopping)
            await self._work_off(feed, report, everything=True)
            await self._give_back(feed)
        looks: Counter[TransactionId] = Counter()
        found = 1
        while (
            found and not self.rounds.is_stopping
        ):  # what was done for a transaction may have made it due again
            feed = _Feed(self._due(tenant, options, looks), partial(self._rests, tenant))
            found = await self._work_off(feed, report, everything=False)
            await self._give_back(feed)
        standing = self.gates.standing(tenant)
        is_pause = standing.state is TenantState.THROTTLED and not self._rests(tenant)
        if not (standing.is_open or is_pause):
            report.resting[tenant] = standing

    async def _work_off(self, feed: _Feed, report: CycleReport, *, everything: bool) -> int:
        """Reconcile all of these; how many there were."""
        before = len(report.outcomes)
        long_looks: set[asyncio.Task[None]] = set()

        async def look(claim: Claim) -> None:
            outcome = await self.reconciler.reconcile_one(claim, everything=everything)
            report.outcomes.append(outcome)

        async def worker() -> None:
            while (claim := await feed.next()) is not None:
                task = asyncio.create_task(look(claim))
                await asyncio.wait({task}, timeout=LONG_LOOK)
                if not task.done() and len(long_looks) < MOST_LONG_LOOKS:
                    long_looks.add(task)
                else:
                    await task

        await _all(worker() for _ in range(AT_ONCE_PER_TENANT))
        await _all(long_looks)
        return len(report.outcomes) - before

    async def _give_back(self, feed: _Feed) -> None:
        """What was claimed and is not begun any more is anybody's again."""
        if feed.left:
            await self.storage.run(self.store.release, feed.left)

    def _rests(self, tenant: HostLmsCode) -> bool:
        """Whether to stop handing out polls. A short supply of calls still serves effects."""
        if self.rounds.is_stopping:
            return True
        standing = self.gates.standing(tenant)
        return standing.state is not TenantState.SHORT and standing.rests(self.clock.now())

    async def _due(
        self, tenant: HostLmsCode, options: CycleOptions, looks: Counter[TransactionId]
    ) -> AsyncIterator[list[Claim]]:
        """Claims of what is due, oldest first, until nothing is (or one comes again and again)."""
        while claims := await self._claim_due(tenant, options):
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

    async def _claim_due(self, tenant: HostLmsCode, options: CycleOptions) -> list[Claim]:
        """A handful of what is due; one, where it is a probe; effects only, where calls are short.

        Nothing while the library rests: what is due stays due, the oldest first.
        """
        standing = self.gates.standing(tenant)
        rests = standing.rests(self.clock.now())
        effects_only = standing.state is TenantState.SHORT and rests
        if rests and not effects_only:
            return []
        selection = Selection(tenant, options.ids or None, with_effects_only=effects_only)
        is_probe = not (standing.is_open or rests)
        return await self._claim(selection, 1 if is_probe else CLAIM_AT_ONCE)

    async def _claim(self, selection: Selection, limit: int = CLAIM_AT_ONCE) -> list[Claim]:
        now = self.clock.now()
        return await self.storage.run(
            self.store.claim, selection, self.owner, now, now + self.lease, limit
        )


class _Feed:
    """Hands out claims one by one; fetches the next handful when the last one is given out.

    `left` are claims that were not handed out before it was told to stop.
    """

    def __init__(
        self, more: AsyncIterator[list[Claim]], stops: Callable[[], bool] = lambda: False
    ) -> None:
        self._more = more
        self._stops = stops
        self._ready: deque[Claim] = deque()
        self._turn = asyncio.Lock()

    @property
    def left(self) -> tuple[Claim, ...]:
        return tuple(self._ready)

    async def next(self) -> Claim | None:
        async with self._turn:
            if self._stops():
                return None
            while not self._ready:
                claims = await anext(self._more, None)
                if claims is None:
                    return None
                self._ready.extend(claims)
            return self._ready.popleft()


async def _all(work: Iterable[Awaitable[None]]) -> None:
    """Run side by side; on the first error let the others end, then raise it."""
    results = await asyncio.gather(*work, return_exceptions=True)
    for result in results:
        if isinstance(result, BaseException):
            raise result
