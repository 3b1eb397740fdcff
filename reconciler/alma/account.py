"""What this process knows of one library's quota, and what all processes know together.

Changes are told once (log) and kept in the row that all share; calls are counted there whenever
the row is touched anyway. The database failing is the engine's to report: here it only means that
this process goes by what it knows itself.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from loguru import logger

from reconciler.core.library.breaker import TenantStanding, Terms
from reconciler.core.status import TenantState
from reconciler.errors import StoreUnavailable
from reconciler.ports.clock import Clock
from reconciler.ports.quotas import Share, SharedQuota, Slice

SAME_TROUBLE = timedelta(hours=1)


@dataclass(slots=True)
class _Told:
    """How often something changed here, and how much of that all others know."""

    changes: int = 0
    told: int = 0

    @property
    def is_news(self) -> bool:
        return self.changes != self.told


class Account:
    """One library's standing. `calls` and `throttled` were made since they were last counted."""

    def __init__(self, terms: Terms, clock: Clock, shared: SharedQuota | None) -> None:
        self.standing = TenantStanding()
        self.calls = 0
        self.throttled = 0
        self._terms = terms
        self._clock = clock
        self._shared = shared
        self._is_back = False
        self._found = _Told()
        self._left = _Told()
        self._alarmed_at: dict[TenantState, datetime] = {}
        self._slice_ends: datetime | None = None
        self._saver: asyncio.Task[None] | None = None

    def become(self, standing: TenantStanding) -> None:
        """A change that this process has found."""
        before, self.standing = self.standing, standing
        if standing == before:
            return
        if standing.remaining_at != before.remaining_at or standing.remaining != before.remaining:
            self._left.changes += 1
        if _only_the_remaining_calls(before, standing):
            return
        self._found.changes += 1
        if standing.state is not before.state:
            self._announce(before, standing)
        self._save_soon()

    def adopt(self, standing: TenantStanding) -> None:
        """What another process has found, unless this one has found something since.

        What it has found counts as long as others do not know it: an answer of the database may
        be older than that, and still be on its way.
        """
        if self._found.is_news:
            return
        if self._left.is_news:
            own = self.standing
            standing = replace(standing, remaining=own.remaining, remaining_at=own.remaining_at)
        self.standing = standing

    async def slice(self, seconds: float) -> float:
        """Take the next seconds for this process alone; how many seconds from now they start."""
        if self._shared is None:
            return 0.0
        now = self._clock.now()
        taken = await self._tell(self._shared, seconds)
        if taken is None:
            return 0.0
        self._slice_ends = taken.starts_at + timedelta(seconds=seconds)
        return (taken.starts_at - now).total_seconds()

    async def aclose(self, unused: float) -> None:
        """Keep what was counted and found; give back the seconds that were taken and not used."""
        if self._saver is not None:
            await asyncio.wait({self._saver})
        ends, left = self._slice_ends, timedelta(seconds=unused)
        back = (ends - left, ends) if ends is not None and unused else None
        is_news = self._found.is_news or self._left.is_news or self._is_back
        is_owed = self.calls or self.throttled or is_news or back
        if self._shared and is_owed:
            await self._tell(self._shared, 0.0, back)

    def _announce(self, before: TenantStanding, after: TenantStanding) -> None:
        bound = logger.bind(host_lms=self._terms.code, standing=str(after.state))
        if after.is_open:
            self._is_back = before.state is not TenantState.THROTTLED or before.strikes > 1
            if self._is_back:
                bound.bind(was=str(before.state)).warning("library is back")
        elif after.state is TenantState.THROTTLED:
            bound.info("library was called too often: a pause")
        elif self._was_alarmed_of(after.state):
            bound.bind(reason=after.reason).warning("library rests again")
        else:
            bound.bind(reason=after.reason).error("library rests")

    def _was_alarmed_of(self, state: TenantState) -> bool:
        """Trouble that comes back within the hour is the same trouble: one alarm."""
        now, before = self._clock.now(), self._alarmed_at.get(state)
        self._alarmed_at[state] = now
        return before is not None and now - before < SAME_TROUBLE

    def _save_soon(self) -> None:
        if self._shared is not None and (self._saver is None or self._saver.done()):
            self._saver = asyncio.create_task(self._save(self._shared))

    async def _save(self, shared: SharedQuota) -> None:
        while self._found.is_news or self._is_back:
            if await self._tell(shared, 0.0) is None:
                return  # it is told with the next slice

    async def _tell(
        self,
        shared: SharedQuota,
        seconds: float,
        unused: tuple[datetime, datetime] | None = None,
    ) -> Slice | None:
        """Say what is new, hear what others have found, take a slice; None without a database."""
        now = self._clock.now()
        ask = Share(
            tenant=self._terms.code,
            now=now,
            day=self._terms.day_of(now),
            seconds=seconds,
            calls=self.calls,
            throttled=self.throttled,
            standing=self.standing if self._found.is_news else None,
            remaining=self._remaining if self._left.is_news else None,
            unused=unused,
        )
        found, left, is_back = self._found.changes, self._left.changes, self._is_back
        self.calls = self.throttled = 0
        self._is_back = False
        try:
            answer = await shared.share(ask)
            if is_back:
                await shared.wake(self._terms.code, now)
        except StoreUnavailable:
            self.calls += ask.calls
            self.throttled += ask.throttled
            self._is_back = self._is_back or is_back
            logger.bind(host_lms=self._terms.code).warning("quota is not shared: no database")
            return None
        self._found.told = max(self._found.told, found)
        self._left.told = max(self._left.told, left)
        self.adopt(answer.standing)
        return answer

    @property
    def _remaining(self) -> tuple[int, datetime] | None:
        left, at = self.standing.remaining, self.standing.remaining_at
        return None if left is None or at is None else (left, at)


def _only_the_remaining_calls(before: TenantStanding, after: TenantStanding) -> bool:
    """Every answer changes these; they are told with the next slice."""
    same = replace(before, remaining=after.remaining, remaining_at=after.remaining_at)
    return same == after
