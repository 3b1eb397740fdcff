"""The valves of all libraries, as the engine sees them."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from datetime import datetime

from reconciler.alma.valve import Valve
from reconciler.core.library.breaker import TenantStanding
from reconciler.core.model import HostLmsCode
from reconciler.core.status import Resource

_OPEN = TenantStanding()


class Valves:
    """`ports.Gates`. A library that is not an Alma is always open: it is never called."""

    def __init__(self, valves: Mapping[HostLmsCode, Valve]) -> None:
        self._valves = valves

    def __getitem__(self, tenant: HostLmsCode) -> Valve:
        return self._valves[tenant]

    def standing(self, tenant: HostLmsCode) -> TenantStanding:
        valve = self._valves.get(tenant)
        return valve.standing if valve else _OPEN

    def freeze(self, tenant: HostLmsCode, reason: str, missing: frozenset[Resource]) -> None:
        """Conclude nothing more from what this library shows, until such things are seen again."""
        if tenant in self._valves:
            self._valves[tenant].freeze(reason, missing)

    def begin_probe(self, tenant: HostLmsCode) -> None:
        """A look begins that shows whether things are found again."""
        if tenant in self._valves:
            self._valves[tenant].begin_probe()

    def found(self, tenant: HostLmsCode, seen: frozenset[Resource]) -> None:
        """A look has seen things of these kinds there."""
        if tenant in self._valves:
            self._valves[tenant].found(seen)

    def showed_nothing(self, tenant: HostLmsCode) -> None:
        """A look asked for nothing of what is missing there."""
        if tenant in self._valves:
            self._valves[tenant].showed_nothing()

    def probe_now(self, tenant: HostLmsCode, asked_at: datetime) -> None:
        """A person asked at that time: whatever rests is probed at once, once."""
        if tenant in self._valves:
            self._valves[tenant].probe_now(asked_at)

    def adopt(self, standings: Mapping[HostLmsCode, TenantStanding]) -> None:
        """What other processes have found meanwhile."""
        for tenant, standing in standings.items():
            if tenant in self._valves:
                self._valves[tenant].adopt(standing)

    async def aclose(self) -> None:
        await asyncio.gather(*(valve.aclose() for valve in self._valves.values()))
