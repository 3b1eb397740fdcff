"""Tenants work side by side, and none waits for another: one that is slow goes on by itself.

A round starts every tenant that is not still at work from an earlier one, and waits for those it
started, or only so long. What a straggler fails with is raised by the next round.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from datetime import timedelta
from typing import Any

from reconciler.core.model import HostLmsCode

Work = Callable[[], Coroutine[Any, Any, None]]


class Rounds:
    """At most one piece of work for each tenant at a time."""

    def __init__(self) -> None:
        self._running: dict[HostLmsCode, asyncio.Task[None]] = {}
        self.is_stopping = False
        """Nothing more is begun; what is under way comes to its end."""

    @property
    def busy(self) -> frozenset[HostLmsCode]:
        """Tenants that are still at work."""
        return frozenset(each for each, task in self._running.items() if not task.done())

    async def run(
        self, works: Mapping[HostLmsCode, Work], patience: timedelta | None = None
    ) -> frozenset[HostLmsCode]:
        """Start these and wait for them, for `patience` at most; who is still busy then.

        Raises what one of them, or a straggler of an earlier round, has raised.
        """
        started = {
            asyncio.create_task(work(), name=f"tenant {tenant}"): tenant
            for tenant, work in works.items()
            if tenant not in self.busy
        }
        self._reap()
        self._running |= {tenant: task for task, tenant in started.items()}
        if started:
            seconds = patience.total_seconds() if patience is not None else None
            await asyncio.wait(started, timeout=seconds)
        self._reap()
        return self.busy

    async def stop(self) -> None:
        """Begin nothing more, and wait for what is under way; raises as `run`."""
        self.is_stopping = True
        running = [task for task in self._running.values() if not task.done()]
        if running:
            await asyncio.wait(running)
        self._reap()

    def _reap(self) -> None:
        over = [tenant for tenant, task in self._running.items() if task.done()]
        tasks = [self._running.pop(tenant) for tenant in over]
        for error in [task.exception() for task in tasks if not task.cancelled()]:
            if error is not None:
                raise error
