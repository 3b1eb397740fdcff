"""Pause and resume: a transaction, a library with everything it has a part in, or all of it.

Once `pause` has returned nothing fires: no status moves and no call goes out that would change
anything. Notifications of what had happened before go on being delivered.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.core.model import HistoryEntry, HostLmsCode, Pause, TransactionId
from reconciler.core.status import HistoryKind, PauseScope
from reconciler.engine.storage import Storage
from reconciler.ports.clock import Clock
from reconciler.ports.pauses import Pauses
from reconciler.ports.store import Store

LOOK_AGAIN = 0.1


@dataclass(frozen=True, slots=True)
class Target:
    """What is paused or resumed: one transaction, one library, or everything."""

    id: TransactionId | None = None
    tenant: HostLmsCode | None = None

    @property
    def scope(self) -> PauseScope:
        if self.id is not None:
            return PauseScope.TRANSACTION
        return PauseScope.ALL if self.tenant is None else PauseScope.TENANT


@dataclass(frozen=True, slots=True)
class Paused:
    pause: Pause
    """The one that holds now: an older one where there was one."""
    is_new: bool
    in_flight: int
    """Effects that had gone out before, and whose answers did not come while it was waited."""


@dataclass(frozen=True, slots=True)
class Pausing:
    pauses: Pauses
    store: Store
    storage: Storage
    clock: Clock
    patience: timedelta
    """How long an answer may take: longer than any write."""

    async def pause(self, target: Target, actor: str, reason: str) -> Paused:
        """Stop it, and wait for the answers of what is out already. Raises UnknownTransaction."""
        now = self.clock.now()
        pause = Pause(now, actor, reason, target.scope, target.tenant)
        if target.id is None:
            is_new = await self.storage.run(self.pauses.pause, pause)
        else:
            entry = _entry(now, actor, reason, "pause")
            is_new = await self.storage.run(self.pauses.pause_transaction, target.id, pause, entry)
        in_flight = await self._ended(pause, target.id)
        return Paused(pause if is_new else await self._holding(target, pause), is_new, in_flight)

    async def resume(self, target: Target, actor: str, reason: str) -> bool:
        """What it covered is due now; False when it was not paused. Raises UnknownTransaction."""
        entry = _entry(self.clock.now(), actor, reason, "resume")
        if target.id is None:
            return await self.storage.run(self.pauses.resume, target.tenant, entry)
        return await self.storage.run(self.pauses.resume_transaction, target.id, entry)

    async def _ended(self, pause: Pause, id: TransactionId | None) -> int:
        """Wait until nothing that it covers is in flight; how much still is."""
        waits_until = self.clock.monotonic() + self.patience.total_seconds()
        while True:
            now = self.clock.now()
            in_flight = await self.storage.run(self.pauses.in_flight, pause, id, now)
            if not in_flight or self.clock.monotonic() >= waits_until:
                return in_flight
            await self.clock.sleep(LOOK_AGAIN)

    async def _holding(self, target: Target, asked: Pause) -> Pause:
        if target.id is not None:
            transaction = await self.storage.run(self.store.get, target.id)
            return transaction.paused or asked
        standing = await self.storage.run(self.pauses.standing)
        same = (each for each in standing if each.tenant == target.tenant)
        return next(same, asked)


def _entry(now: datetime, actor: str, reason: str, what: str) -> HistoryEntry:
    return HistoryEntry(now, HistoryKind.COMMAND, actor, reason=reason, detail=what)
