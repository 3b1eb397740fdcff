"""Several processes on one database: one acts for each library, whatever befalls the others."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable

import pytest

from tests.support.daemon import Daemon, claimed, daemon, holders, quick, rows, shares, wait_until
from tests.support.world import World

IN_A_TRANSACTION = (
    "SELECT count(*) FROM pg_stat_activity"
    " WHERE datname = current_database() AND state LIKE 'idle in transaction%'"
)
TRANSITIONS_TWICE = (
    "SELECT transaction_id FROM history WHERE kind = 'transition'"
    " GROUP BY transaction_id, to_status HAVING count(*) > 1"
)


def test_a_paused_owner_loses_its_libraries_and_every_late_write(
    postgres_world: World, tell: Callable[[str], None]
) -> None:
    """SIGSTOP in the middle of its looks for three leases, a second daemon, SIGCONT."""
    world = postgres_world
    quick(world, lease="1s")
    lends = [world.placed() for _ in range(60)]
    world.sandbox["uni-a"].latency = 0.3
    with daemon(world) as first:
        first.wait_for("libraries are looked after here")
        world.track(*lends)
        wait_until(lambda: _is_stopped_in_its_looks(world, first), "a stop in the middle of looks")
        before = rows(world, "SELECT tenant, term FROM leases")
        world.sandbox["uni-a"].latency = 0
        with daemon(world) as second:
            wait_until(lambda: shares(world).get(second.process.pid) == 4, "a takeover")
            time.sleep(3)
            first.send(signal.SIGCONT)
            first.wait_for("lease lost")
            line = first.wait_for("stale writes refused")
            tell(line.partition("WARNING ")[2])
            settled = "SELECT count(*) FROM transactions WHERE version > 0"
            wait_until(lambda: rows(world, settled) == [(len(lends),)], "all looked at")
            assert second.end() == 0
        assert "taken over" in second.log
        assert first.end() == 0
    after = dict(rows(world, "SELECT tenant, term FROM leases"))
    assert all(after[tenant] > term for tenant, term in before)
    assert rows(world, TRANSITIONS_TWICE) == []
    hops = rows(world, "SELECT count(*) FROM history WHERE kind = 'transition'")
    assert hops == [(2 * len(lends),)]
    assert claimed(world) == 0


def _is_stopped_in_its_looks(world: World, running: Daemon) -> bool:
    """Stop it, unless that was within a transaction: its server ends that by itself (`_SESSION` of
    store/database.py), and then there is no late write to refuse."""
    if claimed(world) <= 10:
        return False
    running.send(signal.SIGSTOP)
    time.sleep(0.1)
    if rows(world, IN_A_TRANSACTION) == [(0,)] and claimed(world) > 10:
        return True
    running.send(signal.SIGCONT)
    return False


def test_two_share_twenty_libraries_and_one_takes_all_again(
    postgres_world: World, tell: Callable[[str], None]
) -> None:
    world = postgres_world
    template = world.settings["host_lms"]["uni-a"]
    more = {f"lib-{n:02}": dict(template) for n in range(16)}
    world.settings["host_lms"].update(more)
    quick(world)
    with daemon(world) as first:
        wait_until(lambda: shares(world) == {first.process.pid: 20}, "twenty with the first")
        with daemon(world) as second:
            both = {first.process.pid: 10, second.process.pid: 10}
            wait_until(lambda: shares(world) == both, "ten each", lambda: str(shares(world)))
            tell(f"two daemons, twenty libraries: {sorted(shares(world).values())}")
            lends = [world.placed() for _ in range(20)]
            world.track(*lends)
            wait_until(lambda: all(map(world_moved(world), lends)), "every lend moved")
            second.process.kill()
            second.wait()
            wait_until(lambda: shares(world) == {first.process.pid: 20}, "twenty again")
        assert first.end() == 0
    assert rows(world, TRANSITIONS_TWICE) == []
    assert rows(world, "SELECT * FROM daemons") == []


def world_moved(at: World) -> Callable[[object], bool]:
    moved = {id for (id,) in rows(at, "SELECT transaction_id FROM history WHERE rule <> ''")}
    return lambda lend: getattr(lend, "id", None) in moved


def test_a_second_daemon_on_sqlite_stands_by_and_takes_over(world: World) -> None:
    quick(world)
    with daemon(world) as first:
        first.wait_for("libraries are looked after here")
        with daemon(world) as second:
            line = second.wait_for("standing by")
            assert f"process {first.process.pid}" in line
            time.sleep(1)
            assert set(shares(world)) == {first.process.pid}
            lend = world.placed()
            world.track(lend)
            wait_until(lambda: world.transitions(lend.id), "the first at work")
            assert first.end() == 0
            second.wait_for("libraries are looked after here")
            another = world.placed()
            world.track(another)
            wait_until(lambda: world.transitions(another.id), "the second at work")
            assert second.end() == 0
    assert rows(world, TRANSITIONS_TWICE) == []


def test_a_second_daemon_on_sqlite_takes_over_from_a_killed_one(world: World) -> None:
    quick(world)
    world.track(*(world.placed() for _ in range(30)))
    world.sandbox["uni-a"].latency = 0.3
    with daemon(world) as first:
        wait_until(lambda: claimed(world) > 0, "claims")
        with daemon(world) as second:
            second.wait_for("standing by")
            first.process.kill()
            first.wait()
            second.wait_for("taken over from a dead process")
            world.sandbox["uni-a"].latency = 0
            settled = "SELECT count(*) FROM transactions WHERE version > 0"
            wait_until(lambda: rows(world, settled) == [(30,)], "all looked at")
            assert second.end() == 0
    assert rows(world, TRANSITIONS_TWICE) == []


@pytest.mark.parametrize("kind", ["world", "postgres_world"])
def test_once_beside_a_daemon_leaves_its_libraries_to_it(
    kind: str, request: pytest.FixtureRequest, tell: Callable[[str], None]
) -> None:
    world: World = request.getfixturevalue(kind)
    world.settings["logging"] = {"level": "DEBUG"}
    quick(world, tick="120s")
    with daemon(world) as running:
        running.wait_for("libraries are looked after here")
        wait_until(lambda: len(holders(world)) == 4, "leases")
        running.wait_for("cycle finished", times=4)
        lend = world.placed()
        world.track(lend)
        ran = world.run_process("--once", "-o", "json", check=4)
        assert ran.json["reconciled"] == 0
        assert {each["host_lms"] for each in ran.json["left_to_others"]} == set(
            world.settings["host_lms"]
        )
        assert f"uni-a: looked after by {owner(running)}" in ran.err
        tell(ran.err.splitlines()[0])
        assert world.transitions(lend.id) == []
        assert running.end() == 0
    assert world.run_process("--once", "-o", "json").json["reconciled"] == 1


def owner(running: Daemon) -> str:
    import socket

    return f"{socket.gethostname()}, process {running.process.pid}"


def test_once_takes_what_is_free_beside_a_daemon(postgres_world: World) -> None:
    """The daemon knows but two of the libraries; --once does the rest."""
    world = postgres_world
    hosts = world.settings["host_lms"]
    gone = {code: hosts.pop(code) for code in ("uni-b", "ext")}
    quick(world)
    with daemon(world) as running:
        wait_until(lambda: set(holders(world)) == {"uni-a", "uni-c"}, "two leases")
        hosts.update(gone)
        world.write_settings()
        ran = world.run_process("--once", "-o", "json")
        assert {each["host_lms"] for each in ran.json["left_to_others"]} == {"uni-a", "uni-c"}
        assert running.end() == 0


def test_once_watches_a_silent_lease_before_it_takes_it(postgres_world: World) -> None:
    """A lease of another machine that looks old is watched for one lease, then taken."""
    world = postgres_world
    quick(world)
    lend = world.placed()
    world.track(lend)
    world.run_process("--once", "--id", "none")
    stale = "UPDATE leases SET owner = 'elsewhere/b/p|1|2|x', renewed_at = '2020-01-01 00:00:00+00'"
    from sqlalchemy import text

    from reconciler.store.database import Database

    database = Database(world.settings["database"]["url"])
    with database.write() as connection:
        connection.execute(text(stale))
    database.dispose()
    begun = time.monotonic()
    ran = world.run_process("--once", "-o", "json")
    assert time.monotonic() - begun > 2
    assert ran.json["reconciled"] == 1
    assert "taken over from a dead process" in ran.err
