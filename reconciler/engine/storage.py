"""The synchronous store on threads of its own, so that the event loop never waits for a disk."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextvars import copy_context
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


class Storage:
    """Runs store calls one after another on one thread (SQLite has one writer anyway)."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="store")
        self._last: Future[Any] | None = None

    @property
    def is_busy(self) -> bool:
        """Whether a call is under way, though perhaps nobody waits for it any more."""
        return self._last is not None and not self._last.done()

    async def run(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        context = copy_context()  # log bindings do not cross over by themselves
        ended = self._thread.submit(lambda: context.run(call, *args, **kwargs))
        self._last = ended
        return await asyncio.wrap_future(ended)

    def close(self) -> None:
        self._thread.shutdown(wait=True)
