"""What the daemon drives: the service as one set of settings makes it (app.py wires it)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Protocol

from reconciler.core.model import HostLmsCode, Policy
from reconciler.engine.cycle import CycleReport
from reconciler.ports.store import Store


class Service(Protocol):
    """What one set of settings gives the daemon to do; a reload makes a new one."""

    @property
    def tenants(self) -> tuple[HostLmsCode, ...]: ...

    @property
    def tick(self) -> float:
        """Seconds."""

    @property
    def policy(self) -> Policy: ...

    @property
    def store(self) -> Store: ...

    async def work(
        self, tenant: HostLmsCode, may_go_on: Callable[[HostLmsCode], bool]
    ) -> CycleReport:
        """Everything that is due at one library; raises StoreUnavailable."""

    async def deliver(self) -> None:
        """What is due to be told; raises StoreUnavailable."""

    async def check_storage(self) -> None:
        """Raises StoreUnavailable, and SchemaError when the schema is not ours."""

    async def pull_in(self, now: datetime) -> None:
        """No next look lies further ahead than its interval; raises StoreUnavailable."""

    async def aclose(self) -> None:
        """Close the connections; may wait long for calls under way."""
