"""Thirty days in which everything goes wrong once: the real daemon on a clock that jumps.

Real: the App, its Daemon (APScheduler, leases, runs, valves, vigil), a PostgreSQL server of its own
that is really stopped, Almas with staff. Replaced: time (tests/support/timeline.py: what nobody
waits for takes none), the network (ASGI in this process), the store's thread (its calls run within
the loop, so that the same seed plays the same month). In quiet hours the clock leaps over up to
`LEAP` at once, as if the machine slept: ticks that were missed are one.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from loguru import logger

import reconciler.app as composition
from reconciler.app import App
from reconciler.core.model import HostLmsCode
from reconciler.core.stages import DEFAULT_INTERVALS
from reconciler.core.status import DcbStatus, Workflow
from reconciler.engine.daemon import Daemon, Instruments
from reconciler.engine.health import Health
from reconciler.sandbox import Sandbox, sample_world
from reconciler.sandbox.seed import add_ordinary_institution
from reconciler.settings import Settings
from tests.journeys import people
from tests.journeys.book import Book
from tests.journeys.chance import Chance
from tests.journeys.month import START, Month
from tests.journeys.plans import EXTERNAL, Oddity, Plan, draw
from tests.journeys.punctuality import Looks, WatchedStorage
from tests.journeys.troubles import Trouble, befall
from tests.journeys.weather import Death, Line, TenantWeather, Weathers
from tests.support.lab import acting_settings
from tests.support.postgres import Server
from tests.support.timeline import HostClock, Timeline, scheduler_of
from tests.support.world import KEYS

ZONES = {
    "uni-a": "Europe/Vienna",
    "uni-b": "Europe/Berlin",
    "uni-c": "Europe/London",
    "uni-d": "Europe/Paris",
}
ENVIRON = {
    **KEYS,
    "KEY_D": "KEY-uni-d",
    "WATCHDOG_USEC": str(24 * 3600 * 1_000_000),
}
"""The vigil is told to be patient: in a leap everything stands still."""

TICK = timedelta(minutes=2)
LEAP = timedelta(hours=4)
LEAP_IN_TROUBLE = timedelta(minutes=15)
SLACK = 0.5
"""Intervals by which a leap may pass over a look: fewer of them bring more looks each."""

SLOWER, QUICK = 8, timedelta(minutes=15)
"""Longer intervals than this are so many times longer here: fewer looks show the same."""

OTHERS = (Workflow.STANDARD, Workflow.STANDARD, Workflow.PICKUP_ANYWHERE, Workflow.LOCAL)
"""In turn, the workflows of those that do not come with a trouble."""

A_MOMENT = 2.0
LATENCY = 0.3
MONTH = timedelta(days=30)


@dataclass(frozen=True)
class Said:
    """A line of the log, with the true second of it."""

    at: float
    level: str
    message: str
    bound: dict[str, Any]

    def __str__(self) -> str:
        at = START + timedelta(seconds=self.at)
        bound = " ".join(f"{key}={value}" for key, value in self.bound.items())
        return f"{at:%d %H:%M:%S} {self.level} {self.message} {bound}"


@dataclass(frozen=True)
class Plot:
    """What a month is to be like."""

    troubles: Sequence[Trouble]
    journeys: int
    slower: int = SLOWER
    spread: timedelta = timedelta(days=5)
    """Within this the requests come that do not come with a trouble."""


class TroubledMonth(Month):
    """To be made and played within a Timeline."""

    clock: HostClock  # type: ignore[assignment]

    def __init__(self, seed: int, plot: Plot, server: Server, url: str) -> None:
        self.server, self.plot, self.troubles = server, plot, plot.troubles
        self._url = url
        loop = asyncio.get_running_loop()
        assert isinstance(loop, Timeline)
        self._loop = loop
        self.is_there = asyncio.Event()
        self.is_there.set()
        self.windows = [window for each in plot.troubles for window in each.windows]
        """True seconds in which nothing is leapt over."""
        self.ended: dict[Trouble, float] = {}
        self.records: list[Said] = []
        super().__init__(seed, 0, plot.journeys, Path())

    # --- what the month is like ------------------------------------------------

    def _world(self) -> Sandbox:
        """Four Almas on true time; our machine's clock is another."""
        self.clock = HostClock(self._loop, START)
        self.true = HostClock(self._loop, START)
        sandbox = sample_world(self.true, self.true.sleep)
        add_ordinary_institution(sandbox, "uni-d", ZONES["uni-d"])
        self.weathers = {
            code: TenantWeather(Chance(self.seed, code), read=0.0, write=0.0) for code in ZONES
        }
        for code in ZONES:
            sandbox[code].quota.per_second = 25
            sandbox[code].latency = LATENCY
        return sandbox

    def _draw_oddities(self, odds: Chance) -> frozenset[Oddity]:  # noqa: ARG002
        """Nothing that people would have to see to happens beside the troubles."""
        return frozenset()

    def _draw_plan(self, luck: Chance) -> Plan:
        """Four libraries, and nothing that would have to wait for a person.

        Some requests come with each trouble: since the last tick before it, and where it is our own
        also after it has begun. They concern the library that is in it.
        """
        n = len(self._luck) - 1
        plan, trouble = draw(luck, self.plot.spread), self._trouble_of(n)
        codes = [*ZONES]
        lender = codes.pop(int(luck.between(0, len(codes))))
        home = codes.pop(int(luck.between(0, len(codes))))
        third = codes.pop(int(luck.between(0, len(codes))))
        starts_after, workflow = plan.starts_after, OTHERS[n % len(OTHERS)]
        if trouble is not None:
            after = n % 2 and not trouble.at
            starts_after = trouble.begins + luck.minutes(0.1, 1.8) * (1 if after else -1)
            local = plan.workflow is Workflow.LOCAL
            workflow = Workflow.STANDARD if local else plan.workflow
            if trouble.at not in ("", lender):
                home, third = trouble.at, home if third == trouble.at else third
        pickup = {
            Workflow.STANDARD: home,
            Workflow.PICKUP_ANYWHERE: third,
            Workflow.EXPEDITED: lender,
            Workflow.LOCAL: lender,
        }[workflow]
        return replace(
            plan,
            workflow=workflow,
            lender=lender,
            home=lender if workflow is Workflow.LOCAL else home,
            pickup=pickup,
            starts_after=starts_after,
            claims_returned=False,
            asks_next=False,
            mischief="",
        )

    def _trouble_of(self, n: int) -> Trouble | None:
        """The trouble that this journey begins with, if any."""
        concerned = [each for each in self.troubles for _ in range(each.requests)]
        return concerned[n] if n < len(concerned) else None

    def _draw_settings(self) -> Settings:
        given = acting_settings("http://alma", self._url, calls_per_second=24)
        given["notify"] = []
        given["http"] = {}
        given["polling"] = {
            "tick": f"{TICK.seconds}s",
            "lease": "12h",
            "cadence": {
                status.value: f"{self.plot.slower * interval.total_seconds():.0f}s"
                for status, interval in DEFAULT_INTERVALS.items()
                if interval > QUICK
            },
        }
        hosts = given["host_lms"]
        del hosts[EXTERNAL]
        for code, zone in ZONES.items():
            key = {"env": f"KEY_{code[-1].upper()}"}
            hosts[code] = {**hosts["uni-a"], "api_key": key, "timezone": zone}
        self._draw_dialects()
        self.sandbox.faults = Weathers(self.weathers)  # type: ignore[assignment]
        return Settings.model_validate(given)

    def _process(self) -> App:
        self.death = Death()
        lines = {
            code: Line(self.sandbox, self.weathers[code], self.death, self.clock)  # type: ignore[arg-type]
            for code in ZONES
        }
        app = App(self._settings, self.clock, ENVIRON, lines)
        self.looks = Looks(self.clock, self._loop.awake_at, app.policy.intervals)
        app.__dict__["storage"] = WatchedStorage(self.death, self.looks)
        return app

    # --- time --------------------------------------------------------------------

    def now(self) -> datetime:
        """True time."""
        return self.true.now()

    def seconds(self, at: datetime) -> float:
        return (at - START).total_seconds()

    async def _reach(self, at: datetime) -> None:
        """Leap from tick to tick while all is quiet; people wait until the database is there."""
        while (left := (at - self.now()).total_seconds()) > 0:
            await asyncio.sleep(min(left, A_MOMENT))
            left = (at - self.now()).total_seconds()
            if left > 0 and (leap := min(left, self._quiet_for())) > A_MOMENT:
                self._loop.leap(leap)
                await asyncio.sleep(leap)
        await self.is_there.wait()

    async def until(self, at: timedelta) -> None:
        """That long after the beginning."""
        await asyncio.sleep(at.total_seconds() - self._loop.time())

    def _quiet_for(self) -> float:
        """Seconds in which nothing would happen."""
        now = self._loop.time()
        if self._is_busy() or any(start <= now < end for start, end in self.windows):
            return 0.0
        until = min((start for start, _ in self.windows if start > now), default=now + 1e9)
        all_open = all(
            self.app.libraries.gates.standing(HostLmsCode(code)).is_open for code in ZONES
        )
        longest = LEAP if all_open else LEAP_IN_TROUBLE
        due_in = max(self.looks.needed_by(SLACK) - now, TICK.total_seconds())
        return min(longest.total_seconds(), due_in, until - now)

    def _is_busy(self) -> bool:
        return any(task.get_name().startswith("library ") for task in asyncio.all_tasks())

    async def somebody_works(self) -> None:
        """Until calls are under way."""
        while not self._is_busy():  # noqa: ASYNC110 - the daemon tells nobody
            await asyncio.sleep(0.1)

    # --- the service -------------------------------------------------------------

    def status(self, book: Book) -> DcbStatus:
        return self.stored(book).status

    async def submit(self, book: Book) -> None:
        await super().submit(book)
        if book.placed:
            self.looks.expect(self.stored(book))

    async def look(self, *, everything: bool = False) -> None:
        """Nobody asks for a look: the daemon is there."""

    async def play(self, until: timedelta = MONTH, *, to_the_end: bool = True) -> None:
        """The days, and then, if wanted, as long as the journeys under way take."""
        made, composition.new_id = composition.new_id, self._new_id
        logger.remove()
        sink = logger.add(self._heard, level="INFO", format="{message}")
        try:
            with scheduler_of(self.clock):
                await self._play(until, to_the_end)
        finally:
            logger.remove(sink)
            composition.new_id = made

    async def _play(self, until: timedelta, to_the_end: bool) -> None:
        self.app = self._process()
        self.app.prepare_schema()
        self.health = Health(self.clock)
        self.daemon = Daemon(
            self.app,
            self.app.tenure,
            self.clock,
            Instruments(self.app.progress, self.health, self._told),
            reload=self._reload,
        )
        running = asyncio.create_task(self.daemon.run(), name="daemon")
        troubles = [asyncio.create_task(befall(self, each)) for each in self.troubles]
        for book in self.books:
            self.begin(people.life(self, book))
        await self._watching(running, self._days(until, to_the_end))
        self.daemon.stop()
        self.reason = await running
        for each in troubles:
            each.cancel()
        await asyncio.gather(*troubles, return_exceptions=True)
        await self.app.__aexit__()

    async def _days(self, until: timedelta, to_the_end: bool) -> None:
        ends = START + until
        while self._events and self._events[0][0] < ends:
            await self._next()
        await self._reach(ends)
        if to_the_end:
            await self._close()

    async def _watching(self, running: asyncio.Task[Any], life: Awaitable[None]) -> None:
        """The month goes on only for as long as the daemon does."""
        playing = asyncio.ensure_future(life)
        await asyncio.wait({running, playing}, return_when=asyncio.FIRST_COMPLETED)
        if not playing.done():
            playing.cancel()
            with suppress(asyncio.CancelledError):
                await playing
            raise AssertionError(f"the daemon ended: {running.result()}\n{self.story()}")
        playing.result()

    @asynccontextmanager
    async def put_away(self) -> AsyncIterator[None]:
        """Ends at last what a broken service has left running, and the connections."""
        try:
            yield
        finally:
            left = asyncio.all_tasks() - {asyncio.current_task()}
            for task in left:
                task.cancel()
            await asyncio.gather(*left, return_exceptions=True)
            self.app.database.dispose()

    async def _reload(self) -> App:
        raise AssertionError("nobody asked for a reload")

    # --- what it says -------------------------------------------------------------

    def _told(self, *assignments: str) -> None:
        """As systemd: nobody listens."""

    def _heard(self, message: Any) -> None:
        record, error = message.record, message.record["exception"]
        bound = {**record["extra"], **({"error": type(error.value).__name__} if error else {})}
        self.records.append(Said(self._loop.time(), record["level"].name, record["message"], bound))

    def story(self) -> str:
        """What an operator would have read at WARNING or worse."""
        return "\n".join(str(each) for each in self.records if each.level != "INFO")
