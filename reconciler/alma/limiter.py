"""How often one institution may be asked: evenly spaced grants, first come first served."""

from __future__ import annotations

import asyncio

from reconciler.ports import Clock

_NEGLIGIBLE = 1e-6
"""Seconds below which a wait is over; no clock is more exact."""


class Limiter:
    """At most `rate` grants a second, spaced, so that no window of a second holds more.

    `pause` holds everybody back for a while: Alma said that it was asked too often. Source of
    the numbers: libs.md §2.5 (24/s keeps every sliding second at or below 25).
    """

    def __init__(self, rate: float, clock: Clock) -> None:
        self._gap = 1 / rate
        self._clock = clock
        self._next = clock.monotonic()
        self._turn = asyncio.Lock()

    def pause(self, seconds: float) -> None:
        self._next = max(self._next, self._clock.monotonic() + seconds)

    async def acquire(self) -> None:
        async with self._turn:
            while (wait := self._next - (now := self._clock.monotonic())) > _NEGLIGIBLE:
                await self._clock.sleep(wait)
            self._next = max(self._next, now - self._gap) + self._gap
