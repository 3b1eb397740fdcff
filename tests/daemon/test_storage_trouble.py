"""Trouble with the database: loud once, nothing half written, back by itself when it is cured."""

from __future__ import annotations

import os
import resource
import shutil
import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support import postgres
from tests.support.daemon import Daemon, NotifySocket, daemon, quick, rows, wait_until
from tests.support.world import COMMAND, Lend, World, world

WITHOUT_ROOTS_RIGHTS = ["setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
"""Root writes to whatever is read-only; the service, which is never root, does not."""


def file_of(at: World) -> Path:
    return at.folder / "reconciler.db"


def looked_after(at: World, lend: Lend, running: Daemon) -> None:
    """The daemon works: a lend that comes in now moves."""
    at.track(lend)
    wait_until(lambda: at.transitions(lend.id), "a transition", lambda: running.log)


def recovers(at: World, running: Daemon, heard: NotifySocket) -> None:
    """Ready again, at work again, and nothing was written twice or by halves."""
    running.wait_for("ready again")
    looked_after(at, at.placed(), running)
    assert "not ready" not in heard.said("STATUS=")[-1]
    twice = (
        "SELECT transaction_id FROM history WHERE kind = 'transition'"
        " GROUP BY transaction_id, to_status HAVING count(*) > 1"
    )
    assert rows(at, twice) == []
    counted = rows(
        at,
        "SELECT t.id FROM transactions t LEFT JOIN history h ON h.transaction_id = t.id"
        " GROUP BY t.id, t.history_length HAVING count(h.seq) <> t.history_length",
    )
    assert counted == []
    assert running.end() == 0


def is_red(running: Daemon, heard: NotifySocket, words: str) -> None:
    """Said at ERROR, once, with the exact reason, and in the status line."""
    line = running.wait_for("not ready")
    assert "ERROR" in line
    assert words in line, line
    wait_until(
        lambda: any(words in said for said in heard.said("STATUS=not ready")), "a red status"
    )
    time.sleep(1)
    same = [each for each in running.lines if "not ready" in each and words in each]
    assert len(same) <= 2, running.log


def test_postgresql_restarted(tmp_path: Path, heard: NotifySocket) -> None:
    with postgres.stoppable() as server, world(tmp_path, server.url) as at:
        quick(at)
        with daemon(at, NOTIFY_SOCKET=heard.path) as running:
            running.wait_for("libraries are looked after here")
            looked_after(at, at.placed(), running)
            for _ in range(30):
                at.track(at.placed())
            server.stop()
            running.wait_for("not ready")
            wait_until(lambda: heard.said("STATUS=not ready: db"), "a red status")
            assert running.process.poll() is None
            server.start()
            recovers(at, running, heard)


def test_postgresql_that_comes_later_is_waited_for(tmp_path: Path, heard: NotifySocket) -> None:
    with postgres.stoppable() as server, world(tmp_path, server.url) as at:
        quick(at)
        server.stop()
        with daemon(at, NOTIFY_SOCKET=heard.path) as running:
            is_red(running, heard, "refused")
            assert heard.times("READY=1") == []
            assert heard.said("EXTEND_TIMEOUT_USEC=")
            server.start()
            heard.wait_for("READY=1")
            recovers(at, running, heard)


def test_sqlite_made_read_only(world: World, heard: NotifySocket) -> None:
    quick(world)
    command: list[str | Path] = [COMMAND, "run"]
    if os.geteuid() == 0:
        assert shutil.which("setpriv"), "setpriv (util-linux) is needed to test this as root"
        command = [*WITHOUT_ROOTS_RIGHTS, *command]
    with daemon(world, command=command, NOTIFY_SOCKET=heard.path) as running:
        running.wait_for("libraries are looked after here")
        looked_after(world, world.placed(), running)
        file_of(world).chmod(0o444)
        is_red(running, heard, "read-only")
        file_of(world).chmod(0o644)
        recovers(world, running, heard)


def test_sqlite_on_a_full_disk(world: World, heard: NotifySocket) -> None:
    """A limit to the size of files stands for the disk: every write fails as on a full one."""
    quick(world)
    with daemon(world, NOTIFY_SOCKET=heard.path) as running:
        running.wait_for("libraries are looked after here")
        looked_after(world, world.placed(), running)
        pid = running.process.pid
        soft, hard = resource.prlimit(pid, resource.RLIMIT_FSIZE)
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (0, hard))
        world.track(*(world.placed() for _ in range(20)))
        is_red(running, heard, "db")
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (soft, hard))
        recovers(world, running, heard)


@pytest.mark.long
def test_sqlite_locked_by_somebody_else(world: World, heard: NotifySocket) -> None:
    quick(world, lease="60s")
    with daemon(world, NOTIFY_SOCKET=heard.path) as running:
        running.wait_for("libraries are looked after here")
        looked_after(world, world.placed(), running)
        other = sqlite3.connect(file_of(world), isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        is_red(running, heard, "locked")
        other.execute("ROLLBACK")
        other.close()
        recovers(world, running, heard)


def test_sqlite_file_taken_away_and_brought_back(world: World, heard: NotifySocket) -> None:
    quick(world)
    with daemon(world, NOTIFY_SOCKET=heard.path) as running:
        running.wait_for("libraries are looked after here")
        looked_after(world, world.placed(), running)
        copy = world.folder / "copy.db"
        source, target = sqlite3.connect(file_of(world)), sqlite3.connect(copy)
        source.backup(target)
        source.close()
        target.close()
        for suffix in ("", "-wal", "-shm"):
            Path(f"{file_of(world)}{suffix}").unlink(missing_ok=True)
        line = running.wait_for("not ready")
        assert "No such file" in line or "the file is gone" in line
        time.sleep(1)
        assert not file_of(world).exists(), "a new, empty database is no cure"
        copy.rename(file_of(world))
        recovers(world, running, heard)


def test_no_database_but_a_file_of_something_else(world: World, heard: NotifySocket) -> None:
    quick(world)
    file_of(world).write_bytes(b"This is a letter to the library. " * 200)
    with daemon(world, NOTIFY_SOCKET=heard.path) as running:
        is_red(running, heard, "not a database")
        assert heard.times("READY=1") == []
        file_of(world).unlink()
        world.run("migrate")
        recovers(world, running, heard)


NEWER = "INSERT INTO schema_migrations VALUES (9999, 'future', 'x', '2026-11-25 09:00:00')"


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_a_newer_schema_stops_it_and_is_not_begun_with(
    kind: str,
    tmp_path: Path,
    heard: NotifySocket,
    request: pytest.FixtureRequest,
    tell: Callable[[str], None],
) -> None:
    from sqlalchemy import text

    from reconciler.store.database import Database

    url = "" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    with world(tmp_path, url) as at:
        quick(at)
        with daemon(at, NOTIFY_SOCKET=heard.path) as running:
            running.wait_for("libraries are looked after here")
            lend = at.placed()
            looked_after(at, lend, running)
            database = Database(at.settings["database"]["url"])
            with database.write() as connection:
                connection.execute(text(NEWER))
            is_red(running, heard, "made by a newer reconciler")
            looks = rows(at, "SELECT version FROM transactions")
            with database.write() as connection:
                connection.execute(text("UPDATE transactions SET next_poll_at = created_at"))
            time.sleep(1)
            assert rows(at, "SELECT version FROM transactions") == looks, "it acted"
            tell(at.run_process("run", check=78).err.strip())
            with database.write() as connection:
                connection.execute(text("DELETE FROM schema_migrations WHERE version = 9999"))
            database.dispose()
            recovers(at, running, heard)
