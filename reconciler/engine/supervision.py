"""Inner tasks that may not end by themselves: one that does ends the whole, with its reason."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from loguru import logger


@dataclass(frozen=True, slots=True)
class Duty:
    """Something that runs for as long as the process does (the web server is one).

    `run` is cancelled when the process stops. If it returns or raises before, the process ends
    with a non-zero code and says which duty it was.
    """

    name: str
    run: Callable[[], Awaitable[None]]


class Supervisor:
    """Keeps duties and the tasks that they start; `failed` is set by the first unexpected end."""

    def __init__(self) -> None:
        self.failed = asyncio.Event()
        self.reason: str | None = None
        self._duties: dict[asyncio.Task[None], str] = {}

    def start(self, duty: Duty) -> None:
        task = asyncio.ensure_future(_run(duty))
        task.set_name(duty.name)
        self._duties[task] = duty.name
        task.add_done_callback(self._ended)

    def fail(self, duty: str, reason: str) -> None:
        """The process cannot go on. The first reason is kept."""
        if self.reason is None:
            self.reason = f"{duty}: {reason}"
            logger.bind(source=duty, reason=reason).critical("a part of the daemon has failed")
        self.failed.set()

    async def stop(self, within: float) -> None:
        """End every duty; what does not end in time is left behind."""
        tasks, self._duties = set(self._duties), {}
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks, timeout=within)

    def _ended(self, task: asyncio.Task[None]) -> None:
        name = self._duties.pop(task, None)
        error = None if task.cancelled() else task.exception()
        if name is None:
            return  # it was stopped
        if task.cancelled():
            self.fail(name, "it was cancelled")
        elif error is not None:
            logger.bind(source=name).opt(exception=error).error("a duty raised")
            self.fail(name, type(error).__name__)
        else:
            self.fail(name, "it ended by itself")


async def _run(duty: Duty) -> None:
    await duty.run()
