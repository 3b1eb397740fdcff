"""Pieces of work that begin and end while the daemon lives: one at a time of each name."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from typing import Any

from loguru import logger

from reconciler.engine.progress import Progress
from reconciler.engine.supervision import Supervisor
from reconciler.errors import SchemaError, StoreUnavailable

Trouble = StoreUnavailable | SchemaError


class Runs:
    """Their trouble with the database is told; any other error, or a cancellation that nobody
    ordered, ends the process."""

    def __init__(
        self, progress: Progress, supervisor: Supervisor, on_trouble: Callable[[Trouble], None]
    ) -> None:
        self._progress = progress
        self._supervisor = supervisor
        self._on_trouble = on_trouble
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._ending = False

    def __contains__(self, name: str) -> bool:
        return name in self._tasks

    def __len__(self) -> int:
        return len(self._tasks)

    def start(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        """Start this unless it is under way or all is ending."""
        if name in self._tasks or self._ending:
            return
        task = asyncio.create_task(self._supervised(name, work), name=name)
        self._tasks[name] = task
        task.add_done_callback(lambda task: self._ended(name, task))

    async def wait_for_others(self, than: str) -> None:
        """Until every run but this one has ended."""
        await self.wait_for([name for name in self._tasks if name != than])

    async def wait_for(self, names: Iterable[str]) -> None:
        """Until those of these that are under way now have ended."""
        tasks = [self._tasks[name] for name in names if name in self._tasks]
        if tasks:
            await asyncio.wait(tasks)

    async def end(self, within: float, then: float) -> int:
        """Wait for all, then cancel the rest and wait again; how many had to be cancelled.

        Nothing is lost by that: calls under way are not cancelled with their callers, and what
        was not recorded is looked at anew.
        """
        self._ending = True
        if self._tasks:
            await asyncio.wait(set(self._tasks.values()), timeout=within)
        left = set(self._tasks.values())
        for task in left:
            task.cancel()
        if left:
            await asyncio.wait(left, timeout=then)
        return len(left)

    async def _supervised(self, name: str, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
        try:
            with self._progress.doing(name):
                await work()
        except (StoreUnavailable, SchemaError) as error:
            self._on_trouble(error)
        except Exception as error:  # noqa: BLE001 - told, and ends the process
            logger.opt(exception=error).error("a run failed")
            self._supervisor.fail(name, type(error).__name__)
        self._progress.advance()

    def _ended(self, name: str, task: asyncio.Task[None]) -> None:
        del self._tasks[name]
        if task.cancelled() and not self._ending:
            self._supervisor.fail(name, "it was cancelled")
