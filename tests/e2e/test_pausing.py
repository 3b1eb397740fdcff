"""pause and resume: once `pause` has returned nothing fires."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.world import COMMAND, Lend, World
from tests.support.world import world as make_world

TARGETS = {
    "transaction": lambda lend: ("--id", lend.id),
    "tenant": lambda _: ("--tenant", "uni-b"),
    "all": lambda _: ("--all",),
}


@pytest.fixture(params=["sqlite", "postgres"])
def any_acting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A world that is acted on, on each database."""
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    with make_world(tmp_path, url, mode="act") as made:
        yield made


def writes(world: World) -> int:
    """Calls that change something, as the Almas received them."""
    return sum(call.method != "GET" for call in world.sandbox.calls)


@contextmanager
def cycling(world: World) -> Iterator[subprocess.Popen[str]]:
    """The installed command at work in another process."""
    with subprocess.Popen(
        [COMMAND, "--once", "--all"],
        cwd=world.folder,
        env=world.process_environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        yield process
        process.communicate(timeout=90)


def wait_for_writes(world: World, n: int) -> None:
    ends = time.monotonic() + 60
    while writes(world) < n and time.monotonic() < ends:
        time.sleep(0.01)
    assert writes(world) >= n


def wait_for_call(world: World, method: str, path: str) -> None:
    ends = time.monotonic() + 60
    while not list(world.sandbox.calls.matching(method, path)):
        assert time.monotonic() < ends
        time.sleep(0.01)


@pytest.mark.parametrize("scope", TARGETS)
def test_what_is_paused_is_not_looked_at_and_is_due_when_resumed(
    any_acting: World, scope: str
) -> None:
    world = any_acting
    lend = world.wanted()
    world.submit(lend)
    what = TARGETS[scope](lend)
    before = len(world.sandbox.calls)
    said = world.run("pause", *what, "--reason", "Alma is updated")
    assert "nothing is read or done until: reconciler resume" in said.err
    document = world.once()
    assert (document["reconciled"], len(world.sandbox.calls)) == (0, before)
    again = world.run("pause", *what, "--reason", "twice")
    assert "paused already, since" in again.err
    assert "Alma is updated" in again.err
    assert world.run("resume", *what, "--reason", "it is back").err.strip().endswith("is due now")
    assert world.run("resume", *what, "--reason", "twice").err.strip().endswith("was not paused")
    assert world.run("--once", "-o", "json").json["reconciled"] == 1
    assert world.show(lend.id)["status"] == "REQUEST_PLACED_AT_BORROWING_AGENCY"


@pytest.mark.parametrize("scope", TARGETS)
def test_a_pause_is_shown_wherever_one_looks(world: World, scope: str) -> None:
    lend = world.placed()
    world.track(lend)
    world.run("pause", *TARGETS[scope](lend), "--reason", "Alma is updated")
    paused = world.show(lend.id)["paused"]
    assert (paused["scope"], paused["reason"]) == (scope, "Alma is updated")
    assert paused["actor"].startswith("cli:")
    (row,) = world.run("list", "-o", "json").json["transactions"]
    assert row["paused"] == paused
    assert "PAUSED" in world.run("show", lend.id).out
    told = world.run("explain", lend.id).out
    option = " ".join(TARGETS[scope](lend))
    assert f"reconciler resume {option} --reason TEXT" in told
    assert f"first: reconciler resume {option} --reason TEXT" in (
        world.run("poll", lend.id, check=3).out
    )
    if scope != "transaction":
        assert "paused: " in world.run("list").err
        assert "paused: " in world.run("--once").err
        assert "PAUSED: " in world.run("report", "daily").out


def test_a_library_is_paused_with_all_it_has_a_part_in(world: World) -> None:
    """uni-c only collects; a lend without it goes on."""
    with_c, without = world.placed(pua=True), world.placed()
    world.track(with_c, without)
    world.run("pause", "--tenant", "uni-c", "--reason", "x")
    assert world.once()["reconciled"] == 1
    assert world.show(with_c.id)["last_poll_at"] is None
    assert world.show(without.id)["last_poll_at"] is not None


def test_pauses_are_ended_one_by_one(world: World) -> None:
    lend = world.placed()
    world.track(lend)
    for what in (("--id", lend.id), ("--tenant", "uni-a"), ("--all",)):
        world.run("pause", *what, "--reason", f"{what[0]} is stopped")
    said = world.run("resume", "--id", lend.id, "--reason", "x").err
    assert "still paused (--tenant is stopped): reconciler resume --tenant uni-a" in said
    said = world.run("resume", "--tenant", "uni-a", "--reason", "x").err
    assert "still paused: everything (--all is stopped)" in said
    world.run("resume", "--all", "--reason", "x")
    assert world.once()["reconciled"] == 1


@pytest.mark.parametrize(
    "arguments",
    [
        ("pause", "--reason", "x"),
        ("pause", "--all", "--tenant", "uni-a", "--reason", "x"),
        ("pause", "--all"),
        ("pause", "--tenant", "uni-x", "--reason", "x"),
        ("resume", "--reason", "x"),
    ],
    ids=" ".join,
)
def test_a_pause_that_is_not_whole_is_a_usage_error(
    world: World, arguments: tuple[str, ...]
) -> None:
    world.run(*arguments, check=64)
    world.run("pause", "--id", "nobody", "--reason", "x", check=1)


def test_a_paused_lend_is_not_closed_and_can_be_parked(world: World) -> None:
    lend = world.placed()
    world.track(lend)
    world.run("pause", "--all", "--reason", "x")
    assert "paused by" in world.run("close", lend.id, "--reason", "y", check=3).out
    world.run("park", lend.id, "--reason", "y")
    assert world.show(lend.id)["status"] == "REQUEST_PLACED_AT_SUPPLYING_AGENCY"


# --- beside a running cycle --------------------------------------------------


@pytest.mark.parametrize("scope", TARGETS)
def test_after_pause_has_returned_nothing_fires(any_acting: World, scope: str) -> None:
    """Another process places lends at slow Almas; the pause comes in the middle of it."""
    world = any_acting
    lends = [world.wanted() for _ in range(1 if scope == "transaction" else 6)]
    world.submit(*lends)
    world.sandbox.faults.add("delay", seconds=0.15, path="/almaws", times=None)
    with cycling(world) as process:
        wait_for_writes(world, 2)
        world.run("pause", *TARGETS[scope](lends[0]), "--reason", "stop")
        fired = writes(world)
        statuses = [world.show(lend.id)["status"] for lend in lends]
        _, err = process.communicate(timeout=90)
        assert process.returncode in (0, 3), err
    assert writes(world) == fired
    assert [world.show(lend.id)["status"] for lend in lends] == statuses
    assert "REQUEST_PLACED_AT_BORROWING_AGENCY" not in statuses
    world.sandbox.faults.clear()
    world.run("resume", *TARGETS[scope](lends[0]), "--reason", "go on")
    for _ in range(3):
        world.once(check=None)
    assert {len(keys) for lend in lends for keys in made(world, lend)} == {1}
    assert {world.show(lend.id)["status"] for lend in lends} == {
        "REQUEST_PLACED_AT_BORROWING_AGENCY"
    }


@pytest.mark.parametrize("scope", TARGETS)
def test_an_effect_that_was_being_looked_at_does_not_go_out(any_acting: World, scope: str) -> None:
    """The pause comes between the look and the write that would follow it."""
    world = any_acting
    lend = world.wanted()
    world.submit(lend)
    world.sandbox.faults.add(
        "delay", seconds=1.5, institution="uni-a", method="GET", path="/users/[^/]+/requests"
    )
    with cycling(world):
        wait_for_call(world, "GET", "/requests")
        world.run("pause", *TARGETS[scope](lend), "--reason", "stop")
        fired = writes(world)
        assert world.show(lend.id)["supplier"]["request_id"] is None
    assert writes(world) == fired
    states = {each["kind"]: each["state"] for each in world.show(lend.id)["effects"]}
    assert states["ensure_supplier_hold"] == "planned"


@pytest.mark.parametrize("scope", TARGETS)
def test_a_lend_that_was_being_looked_at_does_not_move(any_world: World, scope: str) -> None:
    """The pause comes while the libraries are read; what they said is read again on resume."""
    lend = any_world.placed(status="REQUEST_PLACED_AT_BORROWING_AGENCY")
    any_world.track(lend)
    any_world.send(lend)
    any_world.sandbox.faults.add("delay", seconds=1.5, institution="uni-a", method="GET")
    with cycling(any_world):
        wait_for_call(any_world, "GET", "/almaws")
        any_world.run("pause", *TARGETS[scope](lend), "--reason", "stop")
    assert any_world.transitions(lend.id) == []
    any_world.run("resume", *TARGETS[scope](lend), "--reason", "go on")
    any_world.run("--once")
    assert [target for _, target, _ in any_world.transitions(lend.id)] == ["PICKUP_TRANSIT"]


def made(world: World, lend: Lend) -> list[list[str]]:
    return [keys for kinds in world.things(lend.id).values() for keys in kinds.values()]


def test_pause_waits_for_the_answer_of_a_call_that_is_out(any_acting: World) -> None:
    """What had gone out is written down under the pause: nothing is lost, nothing made twice."""
    world = any_acting
    lend = world.wanted()
    world.submit(lend)
    world.sandbox.faults.add(
        "delay", seconds=1.5, institution="uni-a", method="POST", path="/requests", when="after"
    )
    with cycling(world):
        wait_for_call(world, "POST", "/requests")
        world.run("pause", "--all", "--reason", "stop")
        shown = world.show(lend.id)
        states = {each["kind"]: each["state"] for each in shown["effects"]}
        assert states["ensure_supplier_hold"] == "done"
        assert shown["supplier"]["request_id"] is not None
    assert shown["status"] == "RESOLVED"
    world.run("resume", "--all", "--reason", "go on")
    world.once()
    assert len(world.things(lend.id)["uni-a"]["holds"]) == 1


def test_a_call_that_never_answers_is_told(acting: World) -> None:
    lend = acting.wanted()
    acting.submit(lend)
    acting.write_settings(
        http={"connect_timeout": "1s", "read_timeout": "8s", "write_read_timeout": "8s"}
    )
    acting.sandbox.faults.add(
        "delay", seconds=6, institution="uni-a", method="POST", path="/users", when="after"
    )
    with cycling(acting):
        wait_for_writes(acting, 1)
        acting.write_settings(
            http={"connect_timeout": "1s", "read_timeout": "1s", "write_read_timeout": "1s"}
        )
        said = acting.run("pause", "--all", "--reason", "stop", check=3)
        assert "still without an answer: 1;" in said.err
