"""It cannot stop silently: each inner part killed or held up ends the process, or starves the
watchdog, within two of its periods."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.daemon.sabotaged import DELAY
from tests.support.daemon import NotifySocket, daemon, quick, wait_until
from tests.support.world import World

WATCHDOG = 1.5
ROOT = Path(__file__).resolve().parents[2]

ENDED = [
    ("cancel", "leases", "leases: it was cancelled"),
    ("cancel", "vigil", "vigil: it was cancelled"),
    ("cancel", "clock", "clock: it was cancelled"),
    ("cancel", "library uni-a", "library uni-a: it was cancelled"),
    ("end", "", "harm: it ended by itself"),
    ("unschedule", "", "clock: RuntimeError"),
    ("hold", "leases", "vigil: StandsStill"),
    ("hold", "clock", "vigil: StandsStill"),
    ("database", "", "vigil: StandsStill"),
    ("hang", "", "vigil: StandsStill"),
]
STARVED = [("hold", "vigil"), ("loop", "")]


def sabotaged(how: str, what: str) -> list[str]:
    return [sys.executable, "-m", "tests.daemon.sabotaged", how, what]


def prepared(at: World, how: str) -> dict[str, str]:
    quick(at)
    at.track(at.placed())
    if how == "hang":  # a library takes a call and never answers
        at.settings["http"] = dict.fromkeys(at.settings["http"], "60s")
        at.write_settings()
        at.sandbox["uni-a"].latency = 60
    if how == "cancel":
        at.sandbox["uni-a"].latency = 0.3
    return {"WATCHDOG_USEC": str(int(WATCHDOG * 1e6)), "PYTHONPATH": str(ROOT)}


@pytest.mark.parametrize(("how", "what", "why"), ENDED)
def test_a_part_that_fails_ends_the_process(
    how: str, what: str, why: str, world: World, heard: NotifySocket, tell: Callable[[str], None]
) -> None:
    environ = prepared(world, how)
    command = sabotaged(how, what)
    with daemon(world, command=command, NOTIFY_SOCKET=heard.path, **environ) as running:
        begun = time.monotonic()
        if how == "cancel" and what.startswith("library"):
            world.track(*(world.placed() for _ in range(20)))
        assert running.wait() == 1, running.log
        seconds = time.monotonic() - begun - DELAY
    tell(f"{how} {what}: {why}; ended {seconds:.1f} s after it")
    assert f"ended: {why}" in running.log
    fed = heard.times("WATCHDOG=1")
    ready = heard.times("READY=1")  # a busy machine takes its time until then
    assert not fed or fed[-1] < ready[0] + DELAY + 2 * WATCHDOG


@pytest.mark.parametrize(("how", "what"), STARVED)
def test_what_cannot_end_the_process_starves_the_watchdog(
    how: str, what: str, world: World, heard: NotifySocket, tell: Callable[[str], None]
) -> None:
    environ = prepared(world, how)
    command = sabotaged(how, what)
    with daemon(world, command=command, NOTIFY_SOCKET=heard.path, **environ) as running:
        heard.wait_for("WATCHDOG=1")
        time.sleep(DELAY)
        fed = len(heard.times("WATCHDOG=1"))
        time.sleep(WATCHDOG * 1.25)
        assert len(heard.times("WATCHDOG=1")) <= fed + 1
        last = heard.times("WATCHDOG=1")[-1]
        assert time.monotonic() - last > WATCHDOG
        tell(f"{how} {what}: the watchdog was not fed any more")
        running.process.kill()


def test_finished_work_feeds_the_watchdog(world: World, heard: NotifySocket) -> None:
    quick(world)
    with daemon(world, NOTIFY_SOCKET=heard.path, WATCHDOG_USEC="1000000") as running:
        ready = heard.wait_for("READY=1")
        fed = heard.wait_for("WATCHDOG=1", times=6)
        assert fed - ready < 5
        status = heard.said("STATUS=")[-1]
        assert status.startswith("STATUS=active; 4 of 4 libraries looked after here"), status
        wait_until(lambda: "last full cycle" in heard.said("STATUS=")[-1], "a full cycle")
        assert running.end() == 0
    assert heard.said("STOPPING=1")
