"""The shared row of each library's quota, written on the store's thread."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from reconciler.core.model import HostLmsCode
from reconciler.engine.storage import Storage
from reconciler.ports.quotas import Quotas, Share, Slice


@dataclass(frozen=True, slots=True)
class StoredQuota:
    """`ports.SharedQuota`."""

    quotas: Quotas
    storage: Storage

    async def share(self, ask: Share) -> Slice:
        return await self.storage.run(self.quotas.share, ask)

    async def wake(self, tenant: HostLmsCode, now: datetime) -> int:
        return await self.storage.run(self.quotas.wake, tenant, now)
