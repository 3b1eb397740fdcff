"""The daemon: ticks until it is told to stop, and cannot stop silently.

A tick looks after the database and the leases, then starts a run for each library held here that
has none under way: a slow library holds up nobody but itself. Every inner task is supervised.
Stopping, reloading and losing a lease all end runs the same way, after the looks under way.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from loguru import logger

from reconciler.core.cadence import backoff
from reconciler.core.model import HostLmsCode
from reconciler.engine.cycle import CycleReport
from reconciler.engine.health import CheckName, DaemonRole, Health
from reconciler.engine.progress import Progress
from reconciler.engine.runs import Runs, Trouble
from reconciler.engine.service import Service
from reconciler.engine.supervision import Duty, Supervisor
from reconciler.engine.tenure import Tenure
from reconciler.engine.ticker import Ticker
from reconciler.engine.vigil import LOOKS, Tell, Vigil
from reconciler.errors import SchemaError, SettingsError, StoreUnavailable
from reconciler.ports.clock import Clock
from reconciler.processes import shown

DRAIN = 6.0
"""Seconds that the transactions under way have to end when the process is told to stop."""

FAREWELL = 2.0
"""Seconds for giving back claims and leases; what is left then is freed by its lease."""

A_MOMENT = 0.5
"""Seconds for what has nothing left to do but to end."""

LONGEST_WAIT = 30.0
"""Seconds between two tries at a database in trouble, at most (or a tick, if that is longer)."""

CLOCK_INTERVAL = 5.0
"""Seconds between two looks at whether the wall clock was stepped, at most."""

TICKS, LEASES, CLOCK = "ticks", "leases", "clock"
DELIVERY, RELOAD = "notifications", "reload"


@dataclass(frozen=True, slots=True)
class Instruments:
    """What others read (web, systemd) and the daemon writes."""

    progress: Progress
    health: Health
    tell: Tell


class Daemon:
    """`reload` gives the service of the settings as they are now, or raises SettingsError."""

    def __init__(
        self,
        service: Service,
        tenure: Tenure,
        clock: Clock,
        instruments: Instruments,
        *,
        reload: Callable[[], Awaitable[Service]],
        tasks: Sequence[Duty] = (),
    ) -> None:
        self._service = service
        self._tenure = tenure
        self._clock = clock
        self._progress = instruments.progress
        self._health = instruments.health
        self._tell = instruments.tell
        self._reload = reload
        self._supervisor = Supervisor()
        self._ticker = Ticker(service.tick, clock, self.tick)
        vigil = Vigil(self._progress, clock, self._tell, self.status)
        self._duties = (
            Duty("vigil", vigil.run),
            Duty(LEASES, self._keep_leases),
            Duty(CLOCK, self._watch_clock),
            *tasks,
        )
        self._stopping = asyncio.Event()
        self._ticking = asyncio.Lock()
        self._held_back = False
        self._reload_asked = False
        self._is_ready = False
        self._runs = Runs(self._progress, self._supervisor, self._in_trouble)
        self._round: set[HostLmsCode] = set()
        self._troubles = 0
        self._retry_at = 0.0
        self._stale_writes = 0

    # --- from outside --------------------------------------------------------

    async def run(self) -> str | None:
        """Work until `stop`; why it had to end otherwise. Never raises for trouble outside."""
        self._health.well(CheckName.CONFIG)
        self._progress.watch(TICKS, max(self._progress.patience, 3 * self._service.tick))
        for duty in self._duties:
            self._supervisor.start(duty)
        self._ticker.start()
        ends = [
            asyncio.ensure_future(event.wait())
            for event in (self._stopping, self._supervisor.failed)
        ]
        await asyncio.wait(ends, return_when=asyncio.FIRST_COMPLETED)
        for end in ends:
            end.cancel()
        await self._drain()
        return self._supervisor.reason

    def stop(self) -> None:
        """Take up nothing more, end what is under way, give everything back."""
        self._stopping.set()

    def reload(self) -> None:
        """Take over the settings as they are now, between two transactions."""
        self._reload_asked = True
        self._runs.start(RELOAD, self._reload_settings)

    def status(self) -> str:
        """One line for people."""
        ill = next((check for check in self._health.checks if check.ok is False), None)
        if ill is not None:
            return f"not ready: {ill.name}: {ill.why}"
        held, all_of_them = len(self._tenure.held), len(self._service.tenants)
        said = f"{self._health.role}; {held} of {all_of_them} libraries looked after here"
        if self._health.troubles:
            said += f"; in trouble: {', '.join(sorted(self._health.troubles))}"
        at = self._progress.last_full_cycle_at
        return said + (f"; last full cycle {at:%Y-%m-%d %H:%M:%SZ}" if at else "")

    # --- ticks ---------------------------------------------------------------

    async def tick(self) -> None:
        """Look after the database and the leases, then see to it that every library is worked at.

        Ends the process on an error that nobody foresaw; trouble with the database is waited out.
        """
        try:
            async with self._ticking:
                if self._may_try():
                    await self._tick()
        except (StoreUnavailable, SchemaError) as error:
            self._in_trouble(error)
            self._try_later()
        except Exception as error:  # noqa: BLE001 - APScheduler would swallow it
            logger.opt(exception=error).error("a tick failed")
            self._supervisor.fail(TICKS, type(error).__name__)
        self._progress.advance(TICKS)
        if not self._stopping.is_set():
            self._tell(f"STATUS={self.status()}")

    def _may_try(self) -> bool:
        stops = self._stopping.is_set() or self._held_back
        return not stops and self._clock.monotonic() >= self._retry_at

    async def _tick(self) -> None:
        await self._service.check_storage()
        if not self._is_well():
            await self._recover()
        await self._tenure.attend()
        await self._look_after_leases()
        for check in (CheckName.DATABASE, CheckName.SCHEMA):
            self._health.well(check)
        self._troubles = 0
        if not self._is_ready:
            self._is_ready = True
            self._tell("READY=1", f"STATUS={self.status()}")
        if self._held_back:
            return
        for tenant in self._tenure.held:
            self._runs.start(_run(tenant), partial(self._work, tenant))
        self._runs.start(DELIVERY, self._deliver)

    def _is_well(self) -> bool:
        return all(self._health.check(name).ok for name in (CheckName.DATABASE, CheckName.SCHEMA))

    async def _recover(self) -> None:
        """The database answers again: prove that it can be written, free what we left behind."""
        await self._tenure.renew()
        idle = [tenant for tenant in self._tenure.held if _run(tenant) not in self._runs]
        await self._tenure.release(idle)  # with the claims that could not be given back

    async def _look_after_leases(self) -> None:
        busy = {tenant for tenant in self._service.tenants if _run(tenant) in self._runs}
        others = await self._tenure.rebalance(self._service.tenants, busy)
        standby = not self._tenure.held and bool(self._service.tenants)
        role = DaemonRole.STANDBY if standby else DaemonRole.ACTIVE
        news = self._health.well(CheckName.LEASE, role)
        self._health.role = role
        if news and standby:
            owners = ", ".join(sorted({shown(lease.owner) for lease in others if lease.owner}))
            logger.bind(detail=owners).warning("standing by: every library is looked after")
        elif news:
            logger.bind(count=len(self._tenure.held)).info("libraries are looked after here")

    # --- runs ----------------------------------------------------------------

    async def _work(self, tenant: HostLmsCode) -> None:
        report = await self._service.work(tenant, self._may_go_on)
        self._note_result(tenant, report)
        stale = self._service.store.stale_writes
        if stale > self._stale_writes:
            logger.bind(count=stale).warning("stale writes refused: the lease went to another")
            self._stale_writes = stale

    def _note_result(self, tenant: HostLmsCode, report: CycleReport) -> None:
        now = self._clock.now()
        reasons = Counter(
            failure.reason for outcome in report.outcomes for failure in outcome.failures
        )
        if reasons:
            reason, _ = reasons.most_common(1)[0]
            self._health.troubles[tenant] = f"{reasons.total()} reads failed: {reason}"
        else:
            self._health.troubles.pop(tenant, None)
            self._progress.last_success_at[tenant] = now
        self._round.add(tenant)
        if self._round.issuperset(self._tenure.held):
            self._round.clear()
            self._progress.last_full_cycle_at = now

    async def _deliver(self) -> None:
        await self._service.deliver()

    def _may_go_on(self, tenant: HostLmsCode) -> bool:
        stops = self._stopping.is_set() or self._held_back or self._supervisor.failed.is_set()
        return not stops and self._is_well() and self._tenure.holds(tenant)

    # --- leases, clock, trouble ------------------------------------------------

    async def _keep_leases(self) -> None:
        """Renew at a third of the lease, whatever the ticks do."""
        self._progress.watch(LEASES)
        while True:
            await self._clock.sleep(self._tenure.renew_interval)
            try:
                await self._tenure.renew()
            except StoreUnavailable as error:
                self._in_trouble(error)
                if not self._tenure.held:
                    self._health.ill(CheckName.LEASE, "no lease could be renewed in time")
            self._progress.advance(LEASES)

    async def _watch_clock(self) -> None:
        """After a step back nothing may wait for a time that lies beyond every interval."""
        self._progress.watch(CLOCK)
        while True:
            await self._clock.sleep(min(CLOCK_INTERVAL, self._progress.patience / LOOKS))
            if self._ticker.step() < 0:
                self._runs.start(CLOCK, self._after_a_step_back)
            self._progress.advance(CLOCK)

    async def _after_a_step_back(self) -> None:
        """Once now, and once for what was under way: it is written by the time that was."""
        await self._service.pull_in(self._clock.now())
        await self._runs.wait_for(_run(tenant) for tenant in self._service.tenants)
        await self._service.pull_in(self._clock.now())

    def _in_trouble(self, error: Trouble) -> None:
        """Stop acting, and say so once."""
        is_schema = isinstance(error, SchemaError)
        self._health.ill(CheckName.SCHEMA if is_schema else CheckName.DATABASE, str(error))
        if not self._is_ready:
            self._tell(f"STATUS={self.status()}", "EXTEND_TIMEOUT_USEC=120000000")

    def _try_later(self) -> None:
        """The next tick that does something comes later each time."""
        self._troubles += 1
        wait = backoff(self._service.tick, self._troubles, LONGEST_WAIT)
        self._retry_at = self._clock.monotonic() + wait

    # --- reload and end ------------------------------------------------------

    async def _reload_settings(self) -> None:
        while self._reload_asked:  # also when it was asked again meanwhile
            self._reload_asked = False
            await self._reload_once()

    async def _reload_once(self) -> None:
        microseconds = int(self._clock.monotonic() * 1_000_000)
        self._tell("RELOADING=1", f"MONOTONIC_USEC={microseconds}")
        try:
            new = await self._reload()
        except SettingsError as error:
            why = f"the new settings were refused, the old ones stay: {error}"
            self._health.well(CheckName.CONFIG, why)
            logger.bind(reason=str(error)).error("settings not reloaded; the old ones stay")
        else:
            await self._change_over(new)
            self._health.well(CheckName.CONFIG, "")
            logger.info("settings reloaded")
        self._tell("READY=1", f"STATUS={self.status()}")

    async def _change_over(self, new: Service) -> None:
        """Between two transactions: runs of the old settings end first."""
        self._held_back = True
        try:
            await self._runs.wait_for_others(than=RELOAD)
            old, self._service = self._service, new
            await old.aclose()
        finally:
            self._held_back = False
        self._ticker.every(new.tick)

    async def _drain(self) -> None:
        """End what is under way at a transaction's boundary, in bounded time."""
        self._tell("STOPPING=1", "STATUS=stopping")
        logger.bind(count=len(self._runs)).info("stopping")
        self._stopping.set()
        self._ticker.stop()
        # a tick under way could take leases that were just given back
        _, cancelled = await asyncio.gather(
            _within(DRAIN, self._ticking.acquire()), self._runs.end(DRAIN, A_MOMENT)
        )
        await self._supervisor.stop(A_MOMENT)
        await _within(FAREWELL, self._say_goodbye())
        await _within(A_MOMENT, self._service.aclose())
        self._ticker.close()
        await self._clock.sleep(0)  # the scheduler ends one turn of the loop later
        logger.bind(count=cancelled).info("stopped")

    async def _say_goodbye(self) -> None:
        try:
            await self._tenure.leave()
        except StoreUnavailable as error:
            logger.bind(reason=str(error)).error("leases not given back; they end by themselves")


def _run(tenant: HostLmsCode) -> str:
    return f"library {tenant}"


async def _within(seconds: float, work: Coroutine[Any, Any, object]) -> None:
    """Give this so much time; what does not end then is left behind, not cancelled."""
    await asyncio.wait({asyncio.create_task(work)}, timeout=seconds)
