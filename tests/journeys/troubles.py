"""What goes wrong in the month, when, and with whom."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, ClassVar

from reconciler.sandbox import Fault

if TYPE_CHECKING:
    from tests.journeys.troubled import TroubledMonth

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
WATCHED = 20 * 60.0
"""Seconds."""


@dataclass(frozen=True)
class Trouble:
    """`at` is the institution in trouble, "" where it is our own machine or database."""

    at: str
    begins: timedelta
    lasts: timedelta
    name: ClassVar[str]
    requests: ClassVar[int] = 2
    """How many come with it."""

    @property
    def windows(self) -> list[tuple[float, float]]:
        """True seconds that are worth living through: how it begins and how it ends."""
        begins = self.begins.total_seconds()
        ends = begins + self.lasts.total_seconds()
        return [(begins - 60, begins + WATCHED), (ends - 60, ends + WATCHED)]

    async def befall(self, m: TroubledMonth) -> None:
        """From its first moment to its last."""
        raise NotImplementedError


@dataclass(frozen=True)
class Outage(Trouble):
    """First calls hang (what they write may be done), then a proxy speaks, then nobody does."""

    name = "outage"
    requests = 3

    async def befall(self, m: TroubledMonth) -> None:
        weather = m.weathers[self.at]
        weather.everywhere = Fault("hang", when="after")
        await m.until(self.begins + self.lasts / 3)
        weather.everywhere = Fault("html_502")
        await m.until(self.begins + self.lasts * 2 / 3)
        weather.everywhere, weather.unreachable = None, 1.0
        await m.until(self.begins + self.lasts)
        weather.unreachable = 0.0


@dataclass(frozen=True)
class Storm(Trouble):
    """Others use up what the institution may be called in a second: every answer is a 429."""

    name = "429 storm"

    async def befall(self, m: TroubledMonth) -> None:
        quota = m.almas[self.at].quota
        usual, quota.per_second = quota.per_second, 0
        await m.until(self.begins + self.lasts)
        quota.per_second = usual


@dataclass(frozen=True)
class DaySpent(Trouble):
    """Others use up the day's calls; at midnight there are new ones. `lasts` until then."""

    name = "day's quota spent"

    async def befall(self, m: TroubledMonth) -> None:
        m.almas[self.at].quota.remaining = 0
        await m.until(self.begins + self.lasts)


@dataclass(frozen=True)
class Slow(Trouble):
    """Every answer is right, and comes so late that it is nearly given up."""

    name = "slow answers"
    requests = 1
    seconds: ClassVar[float] = 25.0

    async def befall(self, m: TroubledMonth) -> None:
        alma = m.almas[self.at]
        usual, alma.latency = alma.latency, self.seconds
        await m.until(self.begins + self.lasts)
        alma.latency = usual


@dataclass(frozen=True)
class Restart(Trouble):
    """The database is stopped, whoever is connected, and started again later."""

    name = "database restart"

    async def befall(self, m: TroubledMonth) -> None:
        m.is_there.clear()
        m.server.stop()
        await m.until(self.begins + self.lasts)
        m.server.start()
        m.is_there.set()


@dataclass(frozen=True)
class ClockSet(Trouble):
    """Our machine's wall clock is set, while calls are under way; nothing else notices."""

    by: timedelta
    name = "clock set"

    async def befall(self, m: TroubledMonth) -> None:
        await m.somebody_works()
        m.clock.ahead += self.by
        m.looks.clock_set(self.by)
        await m.until(self.begins + self.lasts)


AFTERMATH = 2 * HOUR
"""How long after its end a trouble may still make somebody late."""

ALL: tuple[Trouble, ...] = (
    Outage("uni-b", 3 * DAY + 1 * HOUR, 12 * HOUR),
    Storm("uni-c", 5 * DAY + 2 * HOUR, 1 * HOUR),
    DaySpent("uni-d", 6 * DAY + 9 * HOUR, 7 * HOUR),
    Restart("", 8 * DAY + 3 * HOUR, timedelta(minutes=7)),
    ClockSet("", 9 * DAY + 2 * HOUR, 1 * HOUR, by=1 * HOUR),
    Slow("uni-a", 11 * DAY + 2 * HOUR, 4 * HOUR),
    ClockSet("", 13 * DAY + 4 * HOUR, 1 * HOUR, by=-1 * HOUR),
)
"""The month begins at 7:00 UTC; uni-d renews its quota at 23:00 UTC, which is its midnight."""


async def befall(m: TroubledMonth, trouble: Trouble) -> None:
    """At its time."""
    await m.until(trouble.begins)
    await trouble.befall(m)
    m.ended[trouble] = m.clock.monotonic()
