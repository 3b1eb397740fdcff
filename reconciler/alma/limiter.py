"""How often one institution may be asked: evenly spaced turns, in slices that are ours alone.

All processes share one row for each institution (`ports.SharedQuota`): each takes a second of it
at a time, and the next second while it uses the first. Source of the numbers: libs.md §2.5 (24/s
keeps every sliding second at or below 25).
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from reconciler.ports.clock import Clock

NEGLIGIBLE = 1e-6
"""Seconds below which a wait is over; no clock is more exact."""

SLICE = 1.0
"""Seconds taken at a time: at most one call of the database a second."""

CARRIED = 0.25
"""How late a turn may be, in gaps, for the next not to be late as well. More would let turns
bunch, and what leaves in time may arrive in one second more than was allowed."""

COLD = 1.0
"""Seconds without a turn after which the next ones start slowly: the first calls of a burst wait
for their connections, those that follow do not, and all of them may arrive in one second."""

WARMING, WARMING_SHARE = 1.0, 0.75
"""For so many seconds a burst has this share of the rate: its first calls may be late by 0.25 s."""

Fetch = Callable[[float], Awaitable[float]]
"""Take this many seconds; how many seconds after the asking they start."""


class Limiter:
    """At most `rate` turns a second, spaced, so that no window of a second holds more.

    For one waiter at a time. `fetch` is absent where nobody else calls.
    """

    def __init__(self, rate: float, clock: Clock, fetch: Fetch | None = None) -> None:
        self._gap = 1 / rate
        self._clock = clock
        self._fetch = fetch
        self._next = clock.monotonic()
        self._used_at = self._warm_at = float("-inf")
        self._ends = self._next if fetch else float("inf")
        self._coming: asyncio.Task[float] | None = None

    def take(self) -> bool:
        """A turn without waiting, if there is one right now."""
        now = self._clock.monotonic()
        if self._next - now > NEGLIGIBLE or max(self._next, now) >= self._ends:
            return False
        self._spend(now)
        return True

    async def turn(self) -> None:
        """Wait for a turn."""
        while not self.take():
            now = self._clock.monotonic()
            if max(self._next, now) >= self._ends:
                await self._next_slice()
            else:
                await self._clock.sleep(self._next - now)

    async def aclose(self) -> float:
        """Wait for a slice that is being fetched; how many seconds at its end are left unused."""
        if self._fetch is None:
            return 0.0
        if self._coming is not None:
            await self._next_slice()
        return max(0.0, self._ends - max(self._next, self._clock.monotonic()))

    def _spend(self, now: float) -> None:
        if now - self._used_at > COLD:
            self._warm_at = now + WARMING
        self._used_at = now
        gap = self._gap if now >= self._warm_at else self._gap / WARMING_SHARE
        self._next = max(self._next, now - CARRIED * gap) + gap
        if self._fetch and self._coming is None and self._ends - now < SLICE / 2:
            self._coming = asyncio.create_task(self._fetched(self._fetch))

    async def _next_slice(self) -> None:
        """The slice that is on its way, or a new one: an unused one may be over by now."""
        if self._fetch is None:
            return
        coming = self._coming or asyncio.create_task(self._fetched(self._fetch))
        self._coming = coming
        try:
            starts = await asyncio.shield(coming)
        finally:
            if coming.done():
                self._coming = None
        self._next = max(self._next, starts)
        self._ends = starts + SLICE

    async def _fetched(self, fetch: Fetch) -> float:
        """When the slice starts, by the monotonic clock: the wall clock may be set meanwhile."""
        asked_at = self._clock.monotonic()
        return asked_at + await fetch(SLICE)
