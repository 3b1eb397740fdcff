"""Ticks on a clock that only the test moves: weeks asleep, steps of the wall clock, outages."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.app import App
from reconciler.core.cadence import JITTER
from reconciler.core.model import TransactionId
from reconciler.engine.daemon import Daemon, Instruments
from reconciler.engine.health import CheckName, DaemonRole, Health
from tests.support.lab import Book, Lab
from tests.support.lab import lab as make_lab


@dataclass
class Ticking:
    lab: Lab
    daemon: Daemon
    health: Health
    told: list[str] = field(default_factory=list)

    async def tick(self, after: timedelta = timedelta(0)) -> int:
        """One tick and all that it starts; how many calls it made."""
        before = len(self.lab.sandbox.calls)
        self.lab.clock.advance(after)
        await self.daemon.tick()
        await self.daemon._runs.wait_for_others(than="")
        return len(self.lab.sandbox.calls) - before

    async def placed(self) -> Book:
        book = self.lab.wanted()
        await self.lab.submit(book)
        for _ in range(10):
            await self.tick(timedelta(minutes=5))
        return book


@pytest.fixture
async def ticking(tmp_path: Path) -> AsyncIterator[Ticking]:
    async with make_lab(tmp_path, socket=False) as lab:
        health, told = Health(lab.clock), list[str]()

        async def reload() -> App:
            return lab.app

        instruments = Instruments(lab.app.progress, health, lambda *lines: told.extend(lines))
        daemon = Daemon(lab.app, lab.app.tenure, lab.clock, instruments, reload=reload)
        health.well(CheckName.CONFIG)
        yield Ticking(lab, daemon, health, told)


async def test_weeks_asleep_cost_one_look(ticking: Ticking) -> None:
    book = await ticking.placed()
    assert await ticking.tick(timedelta(days=1)) > 0
    made = await ticking.tick(timedelta(days=30))
    calls = [(each.method, each.path, each.query) for each in ticking.lab.sandbox.calls][-made:]
    assert 0 < made == len({str(each) for each in calls}), "nothing is asked twice"
    assert await ticking.tick() == 0, "no look is made up for"
    stored = ticking.lab.stored(book)
    assert stored.next_poll_at is not None
    assert stored.next_poll_at > ticking.lab.clock.now()


@pytest.mark.parametrize("years", [-10, 10])
async def test_a_wall_clock_stepped_by_years_and_back(ticking: Ticking, years: int) -> None:
    """The journey goes on, without a storm of looks and without a wait of years."""
    book = await ticking.placed()
    step = timedelta(days=365 * years)
    most = 1 + JITTER
    for by in (step, -step):
        ticking.lab.clock._now += by
        longest = max(ticking.lab.app.policy.intervals.values())
        await ticking.lab.app.pull_in(ticking.lab.clock.now())
        assert await ticking.tick() < 10
        assert await ticking.tick() == 0
        at = ticking.lab.stored(book).next_poll_at
        assert at is not None
        assert at <= ticking.lab.clock.now() + longest * most
    ticking.lab.lender.scan_in(book.barcode, "MAIN")
    for _ in range(20):
        await ticking.tick(timedelta(hours=1))
    assert "PICKUP_TRANSIT" in [
        each.target for each in ticking.lab.app.store.history(TransactionId(book.id))
    ]


async def test_ready_once_the_first_leases_are_decided(ticking: Ticking) -> None:
    assert not ticking.health.is_ready
    await ticking.tick()
    assert ticking.health.is_ready
    assert ticking.health.role is DaemonRole.ACTIVE
    assert ticking.told[0] == "READY=1"
    assert ticking.daemon.status().startswith("active; 4 of 4 libraries looked after here")


async def test_trouble_is_red_tried_again_later_each_time_and_gone_when_cured(
    ticking: Ticking,
) -> None:
    await ticking.tick()
    file = ticking.lab.app.database.url.database or ""
    shutil.move(file, f"{file}.away")
    for _ in range(60):
        await ticking.tick(timedelta(seconds=10))
    assert not ticking.health.is_ready
    assert "No such file" in ticking.health.check(CheckName.DATABASE).why
    assert 15 < ticking.daemon._troubles < 30, "every 30 seconds at most, after shorter waits"
    assert ticking.daemon.status().startswith("not ready: db: ")
    shutil.move(f"{file}.away", file)
    await ticking.tick(timedelta(seconds=30))
    assert ticking.health.is_ready
    assert ticking.daemon.status().startswith("active")


async def test_a_library_in_trouble_is_listed_and_makes_nothing_red(ticking: Ticking) -> None:
    await ticking.placed()
    ticking.lab.sandbox.faults.add("html_502", institution="uni-a", times=None)
    await ticking.tick(timedelta(days=1))
    assert ticking.health.is_ready
    assert "uni-a" in ticking.health.troubles
