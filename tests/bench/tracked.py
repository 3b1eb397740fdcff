"""What a cycle over 100 due costs where a million are tracked, by what it costs among a thousand.

The rows are copies of one transaction, made by the database itself; the 100 that are due stand in
the middle of them. Memory is the peak of a process that does nothing but the cycle.
"""

from __future__ import annotations

import asyncio
import json
import os
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from reconciler import logs
from reconciler.app import App
from reconciler.engine.cycle import CycleOptions
from reconciler.settings import Settings
from reconciler.store.database import Database
from tests.bench.served import Served, memory, served
from tests.support import postgres
from tests.support.world import KEYS

FEW, MANY = 1_000, 1_000_000
DUE = 100
ROUNDS = 5
AIM_TIME, AIM_MEMORY = 1.3, 1.15
FAR = "2099-01-01 00:00:00+00:00"


async def measure() -> list[str]:
    lines = []
    for name in ("sqlite", "postgres"):
        with databases(name) as made, served(DUE) as at:
            results = []
            for tracked in (FEW, MANY):
                at.settings["database"]["url"] = made(tracked)
                fill(at, tracked)
                results.append(run(at.settings))
        (few, many) = results
        elapsed = many["cycle"] / few["cycle"]
        query = many["query"] / few["query"]
        memory = many["peak"] / few["peak"]
        lines += [
            f"tracked, {name}: cycle with {DUE} due at {MANY:,} ÷ {FEW:,} tracked: time "
            f"{elapsed:.2f} (aim {AIM_TIME}), peak memory {memory:.3f} (aim {AIM_MEMORY}); due "
            f"query {query:.2f}",
            f"  cycle {many['cycle']:.3f} s / {few['cycle']:.3f} s, query "
            f"{many['query'] * 1000:.1f} ms / {few['query'] * 1000:.1f} ms, peak "
            f"{many['peak'] / 1024:.1f} MiB / {few['peak'] / 1024:.1f} MiB, median of {ROUNDS}",
        ]
    return lines


@contextmanager
def databases(name: str) -> Iterator[Any]:
    """Makes the URL of a new database by the number of rows that it will hold."""
    if name == "postgres":
        with postgres.server() as server:

            def made(tracked: int) -> str:
                postgres.execute(server, f"CREATE DATABASE tracked_{tracked}")
                return f"{server.rpartition('/')[0]}/tracked_{tracked}"

            yield made
        return
    from tempfile import TemporaryDirectory

    with TemporaryDirectory(prefix="reconciler-bench-", dir=memory()) as folder:
        yield lambda tracked: f"sqlite:///{folder}/tracked_{tracked}.db"


def fill(at: Served, tracked: int) -> None:
    """100 lends that stand in the sandbox, and copies of one of them that are not due."""
    app = App(Settings.model_validate(at.settings), environ=dict(KEYS))
    app.prepare_schema()
    app.desk.track(at.lines, "bench")
    copy(app.database, tracked - DUE)
    app.close()


def copy(database: Database, n: int) -> None:
    """The same on both databases, but for the numbers and the statistics."""
    numbers = (
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {n})"
        if database.is_sqlite
        else "WITH n AS (SELECT generate_series(1, {n}) AS i)"
    ).format(n=n)
    with database.write() as connection:
        for table, key in (("transactions", "id"), ("legs", "transaction_id")):
            columns = connection.exec_driver_sql(f"SELECT * FROM {table} LIMIT 0").keys()
            given = {key: "'copy-' || i", "next_poll_at": f"'{FAR}'"}
            if not database.is_sqlite:
                given["next_poll_at"] = f"timestamptz '{FAR}'"
            chosen = ", ".join(given.get(each, f"t.{each}") for each in columns)
            first = f"(SELECT * FROM {table} WHERE {key} = 'lend-1')"
            names = ", ".join(columns)
            connection.exec_driver_sql(
                f"INSERT INTO {table} ({names}) {numbers} SELECT {chosen} FROM n, {first} AS t"
                if not database.is_sqlite
                else f"{numbers} INSERT INTO {table} ({names}) SELECT {chosen} FROM n, {first} AS t"
            )
    with database.write() as connection:
        connection.exec_driver_sql("ANALYZE")


def run(settings: dict[str, Any]) -> dict[str, float]:
    """Cycles in a process of their own: what they took, and its peak memory in KiB."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.bench.tracked"],
        input=json.dumps(settings),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        env={**os.environ, **KEYS},
    )
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


async def cycles(settings: dict[str, Any]) -> dict[str, float]:
    from reconciler.ports.store import Selection
    from tests.support.build import UNI_A

    app = App(Settings.model_validate(settings), environ=dict(KEYS))
    took, asked = [], []
    async with app:
        for _ in range(ROUNDS + 1):
            make_due(app)
            now = app.clock.now()
            await app.tenure.take_free((UNI_A,))
            started = time.perf_counter()
            claims = app.store.claim(Selection(UNI_A), app.owner, now, now, DUE)
            asked.append(time.perf_counter() - started)
            assert len(claims) == DUE
            app.store.release(claims)
            await app.tenure.release((UNI_A,))
            started = time.perf_counter()
            report = await app.cycle(CycleOptions())
            took.append(time.perf_counter() - started)
            assert report.reconciled == DUE
    return {
        "cycle": statistics.median(took[1:]),  # the first look reads more
        "query": statistics.median(asked[1:]),
        "peak": peak(),
    }


def peak() -> float:
    import resource

    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)


def make_due(app: App) -> None:
    with app.database.write() as connection:
        connection.exec_driver_sql(
            "UPDATE transactions SET next_poll_at = '2000-01-01 00:00:00+00:00'"
            " WHERE starts_with(id, 'lend-')"
            if not app.database.is_sqlite
            else "UPDATE transactions SET next_poll_at = '2000-01-01 00:00:00'"
            " WHERE id GLOB 'lend-*'"
        )


if __name__ == "__main__":
    logs.set_up("ERROR", "text")
    print(json.dumps(asyncio.run(cycles(json.load(sys.stdin)))))
