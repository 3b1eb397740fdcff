"""Signals: an orderly end in bounded time, an end at once, settings read anew."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.model import TransactionId
from tests.support.daemon import NotifySocket, claimed, daemon, holders, quick, rows, wait_until
from tests.support.world import COMMAND, World, world


@pytest.mark.parametrize(("kind", "lends"), [("sqlite", 500), ("postgres", 150)])
def test_sigterm_in_the_middle_of_a_cycle_ends_in_time_and_leaves_nothing_half_done(
    kind: str,
    lends: int,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    tell: Callable[[str], None],
) -> None:
    url = "" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    with world(tmp_path, url) as at:
        quick(at)
        placed = [at.placed() for _ in range(lends)]
        at.track(*placed)
        at.sandbox["uni-a"].latency = 0.1
        with daemon(at) as running:
            wait_until(lambda: len(at.sandbox.calls) > 100, "100 calls")
            begun = time.monotonic()
            code = running.end(signal.SIGTERM)
            seconds = time.monotonic() - begun
        done = rows(at, "SELECT count(*) FROM transactions WHERE version > 0")[0][0]
        tell(f"{kind}: {done} of {lends} looked at, then SIGTERM: exit {code} in {seconds:.1f} s")
        assert code == 0, running.log
        assert seconds < 10
        assert 0 < done < lends
        assert claimed(at) == 0
        assert holders(at) == {}
        assert rows(at, "SELECT * FROM daemons") == []

        at.sandbox["uni-a"].latency = 0
        at.run_process("--once", "-o", "json")
        app = at.app()
        for lend in placed[:: lends // 50]:
            hops = [each.target for each in app.store.history(TransactionId(lend.id)) if each.rule]
            assert hops == ["CONFIRMED", "REQUEST_PLACED_AT_BORROWING_AGENCY"]
        app.close()
        twice = rows(
            at,
            "SELECT transaction_id FROM history WHERE kind = 'transition'"
            " GROUP BY transaction_id, to_status HAVING count(*) > 1",
        )
        assert twice == []


def test_sigint_ends_in_order_too(world: World) -> None:
    quick(world)
    with daemon(world) as running:
        running.wait_for("libraries are looked after here")
        assert running.end(signal.SIGINT) == 0
    assert holders(world) == {}


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_the_second_signal_ends_at_once(world: World, number: signal.Signals, code: int) -> None:
    quick(world)
    world.track(*(world.placed() for _ in range(40)))
    world.sandbox["uni-a"].latency = 1.5
    with daemon(world) as running:
        wait_until(lambda: world.sandbox.calls, "a call")
        running.send(number)
        running.wait_for("once more ends at once")
        begun = time.monotonic()
        assert running.end(number) == code
        assert time.monotonic() - begun < 1.0


@pytest.mark.parametrize(("number", "code"), [(signal.SIGTERM, 143), (signal.SIGINT, 130)])
def test_once_that_is_interrupted_ends_after_the_looks_under_way(
    world: World, number: signal.Signals, code: int
) -> None:
    world.track(*(world.placed() for _ in range(100)))
    world.sandbox["uni-a"].latency = 0.3
    with daemon(world, command=[COMMAND, "--once"]) as running:
        wait_until(lambda: len(world.sandbox.calls) > 20, "20 calls")
        assert running.end(number) == code, running.log
    assert claimed(world) == 0
    assert holders(world) == {}
    done = rows(world, "SELECT count(*) FROM transactions WHERE version > 0")[0][0]
    assert 0 < done < 100


# --- settings read anew --------------------------------------------------------


def test_sighup_takes_good_settings_and_refuses_bad_ones(
    world: World, heard: NotifySocket, tmp_path: Path
) -> None:
    quick(world)
    lend = world.placed()
    world.track(lend)
    world.settings["host_lms"]["uni-a"]["base_url"] = "http://127.0.0.1:9"
    world.write_settings()
    with daemon(world, NOTIFY_SOCKET=heard.path) as running:
        heard.wait_for("READY=1")
        wait_until(lambda: world.show(lend.id)["failures"] > 0, "a failed look")

        good: dict[str, Any] = world.settings["host_lms"]["uni-a"]
        good["base_url"] = world.base_url
        world.write_settings()
        running.send(signal.SIGHUP)
        running.wait_for("settings reloaded")
        heard.wait_for("READY=1", times=2)
        assert len(heard.times("RELOADING=1")) == 1
        assert int(heard.said("MONOTONIC_USEC=")[0].partition("=")[2]) > 0
        another = world.placed()
        world.track(another)
        wait_until(lambda: world.transitions(another.id), "a look by the new settings")

        for change, words in (
            ("tick: soon", "settings.yaml"),
            ("tcik: 1s", "did you mean polling.tick"),
        ):
            text = (tmp_path / "settings.yaml").read_text()
            (tmp_path / "settings.yaml").write_text(text.replace("tick: 0.2s", change))
            count = running.log.count("settings not reloaded")
            running.send(signal.SIGHUP)
            line = running.wait_for("settings not reloaded", times=count + 1)
            assert words in line
            assert "polling" in line
            (tmp_path / "settings.yaml").write_text(text)
        assert running.end() == 0


def test_a_change_that_needs_a_restart_is_refused_and_says_so(world: World) -> None:
    quick(world)
    with daemon(world) as running:
        running.wait_for("libraries are looked after here")
        world.settings["database"]["url"] = "sqlite:///elsewhere.db"
        world.write_settings()
        running.send(signal.SIGHUP)
        assert "needs a restart" in running.wait_for("settings not reloaded")
        assert running.end() == 0


def test_a_library_that_is_added_is_looked_after(world: World) -> None:
    quick(world)
    hosts = world.settings["host_lms"]
    added = hosts.pop("uni-c")
    world.write_settings()
    with daemon(world) as running:
        running.wait_for("libraries are looked after here")
        assert "uni-c" not in holders(world)
        hosts["uni-c"] = added
        world.write_settings()
        running.send(signal.SIGHUP)
        wait_until(lambda: "uni-c" in holders(world), "a lease on uni-c")
        assert running.end() == 0


# --- what cannot be begun ------------------------------------------------------


def test_what_only_a_person_can_cure_is_not_begun(world: World) -> None:
    world.run("migrate")
    settings = (world.folder / "settings.yaml").read_text()
    (world.folder / "settings.yaml").write_text(settings + "\npoling: {}\n")
    assert "polling" in world.run_process("run", check=78).err
    (world.folder / "settings.yaml").write_text(settings)
    del world.environ["KEY_A"]
    assert "KEY_A" in world.run_process("run", check=78).err
    world.environ["KEY_A"] = "KEY-uni-a"
    assert "--once" in world.run_process("run", "--all", check=64).err
