"""The only place that reads time or makes ids.

Everything else takes a `Clock` (or a `now`) as an argument, so that weeks of polling can be
tested in milliseconds and one instant governs one decision.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from datetime import UTC, datetime


class SystemClock:
    """Wall time in aware UTC, monotonic seconds, and a cancellable sleep."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(max(0.0, seconds))


def new_id() -> str:
    """A new random id (UUID4 text) for cycles, intents and notifications."""
    return str(uuid.uuid4())


def sleep_blocking(seconds: float) -> None:
    """For threads without an event loop (the store's retry, the sandbox's slow answers)."""
    time.sleep(max(0.0, seconds))
