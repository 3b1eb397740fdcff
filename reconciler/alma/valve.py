"""What a call to one institution has to pass: its pauses and rests, its quota, its turn.

Effects go before polls. While an institution rests, one call at a time goes to see how things
are, and everybody else is turned away at once instead of waiting: a rest may take hours.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from reconciler.alma.account import Account
from reconciler.alma.limiter import Limiter
from reconciler.core.library import breaker as core
from reconciler.core.library.breaker import Admission, Purpose, TenantStanding, Terms, admission
from reconciler.core.status import Resource, TenantState
from reconciler.errors import SPEAKS_OF_AN_OUTAGE, AlmaFailure, FailureKind
from reconciler.ports.clock import Clock
from reconciler.ports.quotas import SharedQuota

FAILURES_IN_A_ROW = 10
DIFFERENT_TARGETS = 3
"""So many calls in a row, about so many different things, have to fail for an outage: a single
thing that cannot be read is that thing's trouble."""

MOST_VAIN_PROBES = 20
"""So many looks in a row may show nothing of what is missing before the next one has to wait. Lends
of every status come up: where a third of the looks lost something, nearly always one of these shows
whether it is back."""

GLANCE = 0.25
"""Seconds after which a waiting call sees whether a probe has ended the pause."""


@dataclass(frozen=True, slots=True)
class Permit:
    """Leave to make one call."""

    sent_at: float
    is_probe: bool = False


@dataclass(slots=True)
class _Waiter:
    purpose: Purpose
    permit: asyncio.Future[Permit]


class Valve:
    """The way to one institution, for all work of this process."""

    def __init__(
        self, terms: Terms, rate: float, clock: Clock, shared: SharedQuota | None = None
    ) -> None:
        self.terms = terms
        self._clock = clock
        self._account = Account(terms, clock, shared)
        self._limiter = Limiter(rate, clock, self._account.slice if shared else None)
        self._effects: deque[_Waiter] = deque()
        self._polls: deque[_Waiter] = deque()
        self._server: asyncio.Task[None] | None = None
        self._failed: Counter[FailureKind] = Counter()
        self._failed_targets: set[str] = set()
        self._struck_at = float("-inf")
        self._probed_at: datetime | None = None
        self._vain_probes = 0

    @property
    def standing(self) -> TenantStanding:
        return self._account.standing

    def adopt(self, standing: TenantStanding) -> None:
        """What another process has found, unless this one has found something since."""
        self._account.adopt(standing)

    # --- before a call -------------------------------------------------------

    async def enter(self, purpose: Purpose) -> Permit:
        """Wait for leave to call. Raises AlmaFailure (RESTING) where that could take long."""
        if self.standing.is_open and not self._waits and self._limiter.take():
            return self._permit()
        waiter = _Waiter(purpose, asyncio.get_running_loop().create_future())
        (self._polls if purpose is Purpose.POLL else self._effects).append(waiter)
        if self._server is None or self._server.done():
            self._server = asyncio.create_task(self._serve())
        return await waiter.permit

    @property
    def _waits(self) -> bool:
        return bool(self._effects or self._polls)

    async def _serve(self) -> None:
        """Let those who wait through, one after the other."""
        while (waiter := self._head()) is not None:
            verdict = admission(self.standing, waiter.purpose, self._clock.now())
            if verdict is Admission.REST:
                self._drop(waiter)
                waiter.permit.set_exception(self._rests())
            elif verdict is Admission.WAIT:
                left = self.standing.until_resumed(self._clock.now())
                await self._clock.sleep(min(GLANCE, left.total_seconds()))
            else:
                await self._limiter.turn()
                self._let_through()

    def _let_through(self) -> None:
        """Give the turn that was waited for to whoever is first by now, if he still may go."""
        waiter = self._head()
        if waiter is None:
            return
        verdict = admission(self.standing, waiter.purpose, self._clock.now())
        if verdict not in (Admission.GO, Admission.PROBE):
            return
        self._drop(waiter)
        is_probe = verdict is Admission.PROBE
        if is_probe:
            self.begin_probe()
        waiter.permit.set_result(self._permit(is_probe=is_probe))

    def _head(self) -> _Waiter | None:
        for queue in (self._effects, self._polls):
            while queue and queue[0].permit.done():  # its caller was cancelled
                queue.popleft()
            if queue:
                return queue[0]
        return None

    def _drop(self, waiter: _Waiter) -> None:
        (self._polls if waiter.purpose is Purpose.POLL else self._effects).remove(waiter)

    def _permit(self, *, is_probe: bool = False) -> Permit:
        self._account.calls += 1
        return Permit(self._clock.monotonic(), is_probe)

    def _rests(self) -> AlmaFailure:
        standing = self.standing
        return AlmaFailure(FailureKind.RESTING, message=f"{standing.state}: {standing.reason}")

    # --- after a call --------------------------------------------------------

    def told_remaining(self, remaining: int) -> None:
        """What Alma says is left of the day's calls."""
        now = self._clock.now()
        self._account.become(core.told_remaining(self.standing, self.terms, now, remaining))

    def answered(self, permit: Permit) -> None:
        """Alma itself answered, with what was asked for or with a refusal of its own."""
        self._failed.clear()
        self._failed_targets.clear()
        if self.standing.strikes and permit.sent_at <= self._struck_at:
            return  # sent before the pause: it says nothing of how things are since
        if self.standing.is_open and not self.standing.strikes:
            return
        self._account.become(core.answered(self.standing, self.terms, self._clock.now()))

    def failed(
        self, permit: Permit, failure: AlmaFailure, target: str, told: timedelta | None = None
    ) -> None:
        """A call did not bring what it promised; `told` is Alma's Retry-After."""
        now = self._clock.now()
        if failure.kind is FailureKind.REFUSED:
            self.answered(permit)
        elif failure.kind is FailureKind.THROTTLED:
            self._account.throttled += 1
            if permit.sent_at > self._struck_at:  # those sent together are one strike
                self._struck_at = self._clock.monotonic()
                self._account.become(core.throttled(self.standing, self.terms, now, told))
        elif failure.kind is FailureKind.QUOTA_EXHAUSTED:
            self._account.throttled += 1
            self._account.become(core.spent(self.standing, self.terms, now))
        elif failure.kind in SPEAKS_OF_AN_OUTAGE:
            self._count_failure(failure.kind, target)

    def _count_failure(self, kind: FailureKind, target: str) -> None:
        self._failed[kind] += 1
        if len(self._failed_targets) < DIFFERENT_TARGETS:
            self._failed_targets.add(target)
        enough = self._failed.total() >= FAILURES_IN_A_ROW
        if not enough or len(self._failed_targets) < DIFFERENT_TARGETS:
            return
        if self.standing.state in (TenantState.OUTAGE, TenantState.SPENT, TenantState.FROZEN):
            return
        reason = f"{self._failed.total()} calls in a row failed: {self._most_failures()}"
        self._account.become(core.broken(self.standing, self.terms, self._clock.now(), reason))

    def _most_failures(self) -> str:
        return ", ".join(str(kind) for kind, _ in self._failed.most_common(2))

    def freeze(self, reason: str, missing: frozenset[Resource]) -> None:
        """Much of these kinds is suddenly not found here."""
        now = self._clock.now()
        self._account.become(core.frozen(self.standing, self.terms, now, reason, missing))

    def begin_probe(self) -> None:
        """A call, or a look, begins that shows how things are."""
        self._probed_at = now = self._clock.now()
        self._account.become(core.probing(self.standing, self.terms, now))

    def found(self, seen: frozenset[Resource]) -> None:
        """Things of these kinds are seen here."""
        self._vain_probes = 0
        self._account.become(core.found(self.standing, self._clock.now(), seen))

    def showed_nothing(self) -> None:
        """A look asked for nothing of what is missing: another one may try at once."""
        self._vain_probes += 1
        if self._vain_probes < MOST_VAIN_PROBES:
            self._probe_at_once()
        else:
            self._vain_probes = 0

    def probe_now(self, asked_at: datetime) -> None:
        """A person asked at that time: the next call may see whether things are well again, unless
        one has tried since."""
        if self._probed_at is None or self._probed_at <= asked_at:
            self._vain_probes = 0
            self._probe_at_once()

    def _probe_at_once(self) -> None:
        if not self.standing.is_open:
            self._account.become(replace(self.standing, resumes_at=self._clock.now()))

    async def aclose(self) -> None:
        """Keep what was counted and found."""
        await self._account.aclose(await self._limiter.aclose())
