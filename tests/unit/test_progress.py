"""Finished work and named checks: what the watchdog, /healthz and /readyz believe."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from reconciler.engine.health import CheckName, Health
from reconciler.engine.progress import Progress
from reconciler.engine.supervision import Duty, Supervisor
from tests.support.clock import FakeClock


def after(clock: FakeClock, seconds: float) -> None:
    clock.advance(timedelta(seconds=seconds))


def test_a_duty_is_overdue_when_it_alone_has_finished_nothing(clock: FakeClock) -> None:
    progress = Progress(clock, 60)
    progress.watch("a")
    progress.watch("b", patience=300)
    after(clock, 50)
    progress.advance("b")
    after(clock, 11)
    assert [(each.duty, each.seconds) for each in progress.overdue] == [("a", 61)]
    assert not progress.is_well
    progress.advance("a")
    assert progress.is_well
    after(clock, 61)
    progress.end("a")
    assert progress.is_well, "who has nothing to do is not waited for"


def test_a_wall_clock_that_is_stepped_makes_nobody_overdue(clock: FakeClock) -> None:
    progress = Progress(clock, 60)
    progress.watch("a")
    clock._now += timedelta(days=3650)
    assert progress.is_well


async def test_what_a_task_finishes_counts_for_what_it_works_at(clock: FakeClock) -> None:
    progress = Progress(clock, 60)

    both = asyncio.Event()

    async def run(name: str, *, finishes: bool) -> None:
        with progress.doing(name):
            if finishes:
                await asyncio.create_task(finish())  # inner tasks inherit what they work for
            await both.wait()
            assert "idle" in [each.duty for each in progress.overdue] or name == "busy"
            assert "busy" not in [each.duty for each in progress.overdue]

    async def finish() -> None:
        after(clock, 61)
        progress.advance()
        both.set()

    await asyncio.gather(run("idle", finishes=False), run("busy", finishes=True))
    assert progress.is_well
    assert progress.steps == 1


def test_what_was_never_looked_at_is_not_well(clock: FakeClock) -> None:
    health = Health(clock)
    assert not health.is_ready
    for name in CheckName:
        assert health.check(name).ok is None
        health.well(name)
    assert health.is_ready


def test_a_check_tells_changes_once(clock: FakeClock) -> None:
    health = Health(clock)
    assert health.ill(CheckName.DATABASE, "locked")
    since = health.check(CheckName.DATABASE).since
    after(clock, 60)
    assert not health.ill(CheckName.DATABASE, "locked")
    assert health.check(CheckName.DATABASE).since == since
    assert health.ill(CheckName.DATABASE, "read-only"), "another reason is news"
    assert health.well(CheckName.DATABASE)


async def test_the_first_end_of_a_duty_is_the_reason() -> None:
    supervisor = Supervisor()

    async def ends() -> None:
        await asyncio.sleep(0)

    async def raises() -> None:
        await asyncio.sleep(0.01)
        raise ValueError("secret words")

    supervisor.start(Duty("short", ends))
    supervisor.start(Duty("bad", raises))
    await supervisor.failed.wait()
    await asyncio.sleep(0.02)
    assert supervisor.reason == "short: it ended by itself"


async def test_a_duty_that_is_stopped_has_not_failed() -> None:
    supervisor = Supervisor()
    supervisor.start(Duty("long", asyncio.Event().wait))  # type: ignore[arg-type]
    await asyncio.sleep(0)
    await supervisor.stop(1)
    assert not supervisor.failed.is_set()
