"""Which libraries this process looks after: leases, kept by renewal, lost by standing still.

Every judgement of time is made on this process's own monotonic clock. A lease of ours holds for
`lease` after the start of its last renewal. Another's is over when it has not moved for as long
while we watched, or when its process is known to be dead. So a stepped wall clock, ours or
another machine's, neither loses nor steals a library; and should both of two processes still
believe in one lease, its term refuses the older one's writes.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta

from loguru import logger

from reconciler.core.model import HostLmsCode
from reconciler.engine.storage import Storage
from reconciler.errors import StoreUnavailable
from reconciler.ports.clock import Clock
from reconciler.ports.leases import Lease, Leases, Owner

RENEWALS = 3
"""A lease is renewed at a third, so that two renewals may fail."""


@dataclass(frozen=True, slots=True)
class _Sighting:
    beat: int
    at: float


class _Watch:
    """How long something of another process has stood still before our eyes."""

    def __init__(self) -> None:
        self._seen: dict[str, _Sighting] = {}

    def seconds_still(self, what: str, beat: int, now: float) -> float:
        seen = self._seen.get(what)
        if seen is None or seen.beat != beat:
            self._seen[what] = _Sighting(beat, now)
            return 0.0
        return now - seen.at


@dataclass(frozen=True, slots=True)
class Process:
    """This process among the others: its name, and which names are certainly those of dead ones."""

    owner: Owner
    is_dead: Callable[[Owner], bool]


class Tenure:
    def __init__(
        self, leases: Leases, storage: Storage, clock: Clock, process: Process, lease: timedelta
    ) -> None:
        self._leases = leases
        self._storage = storage
        self._clock = clock
        self._me = process.owner
        self._is_dead = process.is_dead
        self.lease = lease
        self._until: dict[HostLmsCode, float] = {}
        self._leaving: set[HostLmsCode] = set()
        self._watch = _Watch()

    # --- what is held --------------------------------------------------------

    def holds(self, tenant: HostLmsCode) -> bool:
        """Whether work for this library may be taken up now."""
        return self._is_current(tenant) and tenant not in self._leaving

    @property
    def held(self) -> tuple[HostLmsCode, ...]:
        return tuple(tenant for tenant in self._until if self._is_current(tenant))

    @property
    def renew_interval(self) -> float:
        """Seconds between two renewals."""
        return self.lease.total_seconds() / RENEWALS

    def _is_current(self, tenant: HostLmsCode) -> bool:
        return self._clock.monotonic() < self._until.get(tenant, -math.inf)

    # --- keeping -------------------------------------------------------------

    async def renew(self) -> None:
        """Renew what is held; what has gone to another is dropped. Raises StoreUnavailable."""
        if not self._until:
            return  # and before there is a schema there is nothing to renew
        asked_at = self._clock.monotonic()
        renewed = await self._storage.run(self._leases.renew, self._me, self._clock.now())
        ours = {lease.tenant for lease in renewed}
        for tenant in [each for each in self._until if each not in ours]:
            del self._until[tenant]
            self._leaving.discard(tenant)
            logger.bind(tenant=tenant).warning("lease lost: another process has taken it over")
        for tenant in ours:
            self._until[tenant] = asked_at + self.lease.total_seconds()

    async def attend(self) -> None:
        """Say that this daemon is here, for the others' fair shares."""
        await self._storage.run(self._leases.attend, self._me, self._clock.now())

    async def keep(self) -> None:
        """Renew at a third of the lease until cancelled; what cannot be renewed is lost in time."""
        while True:
            await self._clock.sleep(self.renew_interval)
            with suppress(StoreUnavailable):  # whoever works meets it too, and says so
                await self.renew()

    # --- taking and giving up ------------------------------------------------

    async def take_free(self, tenants: Sequence[HostLmsCode]) -> list[Lease]:
        """Take every one of these that nobody looks after; the leases of the others.

        A lease that has not been renewed for long by its own record is watched, for at most one
        lease's time: the record's clock may be wrong.
        """
        waits_until = self._clock.monotonic() + self.lease.total_seconds()
        while True:
            others = await self._take(await self._all(tenants), most=len(tenants))
            silent = [lease for lease in others if self._looks_silent(lease)]
            if not silent or self._clock.monotonic() > waits_until:
                return others
            await self._clock.sleep(min(1.0, self.renew_interval))

    async def rebalance(
        self, tenants: Sequence[HostLmsCode], busy: Collection[HostLmsCode]
    ) -> list[Lease]:
        """Take or give up until this daemon has its fair share; who has the others.

        A library that is worked at is given up when its run has ended, which `holds` brings about.
        """
        leases = await self._all(tenants)
        share = await self._share(leases)
        unknown = [tenant for tenant in self._until if tenant not in tenants]
        mine = [tenant for tenant in self.held if tenant in tenants]
        self._leaving = {*unknown, *mine[share:]}
        gone = [tenant for tenant in self._leaving if tenant not in busy]
        if gone:
            await self.release(gone)
        others = await self._take(leases, most=share)
        return [lease for lease in others if lease.owner is not None]

    async def release(self, tenants: Iterable[HostLmsCode]) -> None:
        """Give leases up, with the claims that go with them. Raises StoreUnavailable."""
        gone = tuple(tenants)
        for tenant in gone:
            self._until.pop(tenant, None)
            self._leaving.discard(tenant)
        await self._storage.run(self._leases.release, self._me, gone, self._clock.now())

    async def leave(self) -> None:
        """Give everything up: this process ends. Raises StoreUnavailable."""
        await self.release([*self._until])
        await self._storage.run(self._leases.leave, self._me)

    # --- judging -------------------------------------------------------------

    async def _all(self, tenants: Sequence[HostLmsCode]) -> list[Lease]:
        return await self._storage.run(self._leases.all, tenants, self._clock.now())

    async def _take(self, leases: Sequence[Lease], most: int) -> list[Lease]:
        """Take free ones up to `most` in all; the leases that others have, or may take."""
        mine = self.held
        others = [lease for lease in leases if lease.tenant not in mine]
        free = [lease for lease in others if self._is_free(lease)]  # asked of all: it watches them
        chosen = free[: max(0, most - len(mine))]
        if not chosen:
            return others
        asked_at, now = self._clock.monotonic(), self._clock.now()
        taken = await self._storage.run(self._leases.take, chosen, self._me, now)
        owner_before = {lease.tenant: lease.owner for lease in chosen}
        for lease in taken:
            self._until[lease.tenant] = asked_at + self.lease.total_seconds()
            if owner_before[lease.tenant] not in (None, self._me):
                logger.bind(tenant=lease.tenant).warning("library taken over from a dead process")
        ours = {lease.tenant for lease in taken}
        return [lease for lease in others if lease.tenant not in ours]

    def _is_free(self, lease: Lease) -> bool:
        if lease.owner is None or lease.owner == self._me or self._is_dead(lease.owner):
            return True
        still = self._watch.seconds_still(lease.tenant, lease.beat, self._clock.monotonic())
        return still >= self.lease.total_seconds()

    def _looks_silent(self, lease: Lease) -> bool:
        """Whether its own record says that it is over; only a reason to watch it."""
        return abs(self._clock.now() - lease.renewed_at) > self.lease

    async def _share(self, leases: Sequence[Lease]) -> int:
        """How many libraries are this daemon's part."""
        if not self._leases.is_shared:
            has_another = any(lease.owner and not self._is_free(lease) for lease in leases)
            return 0 if has_another else len(leases)
        present = await self._storage.run(self._leases.present)
        alive = 0
        for each in present:
            if each.owner != self._me and self._is_gone(each.owner, each.beat):
                await self._storage.run(self._leases.leave, each.owner)
            else:
                alive += 1
        return math.ceil(len(leases) / max(1, alive))

    def _is_gone(self, daemon: Owner, beat: int) -> bool:
        if self._is_dead(daemon):
            return True
        still = self._watch.seconds_still(daemon.name, beat, self._clock.monotonic())
        return still >= self.lease.total_seconds()
