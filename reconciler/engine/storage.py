"""The synchronous store on threads of its own, so that the event loop never waits for a disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Storage:
    """Runs store calls one after another on one thread (SQLite has one writer anyway)."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._at_work = False

    @property
    def is_busy(self) -> bool:
        """Whether a call is under way, though perhaps nobody waits for it any more."""
        return self._at_work

    async def run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        context = copy_context()  # log bindings do not cross over by themselves

        def work() -> R:
            self._at_work = True
            try:
                return context.run(call, *args, **kwargs)
            finally:
                self._at_work = False

        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def close(self) -> None:
        self._thread.shutdown(wait=True)
