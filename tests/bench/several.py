"""Two daemons on one PostgreSQL against one, with a backlog due at each of 20 libraries.

Real `reconciler run` processes, each held to a share of a core: what bounds a daemon is its own
processor time, and few cores for daemons, database and Almas would measure the machine. Every
library lends to all others, so both daemons call every Alma. One daemon on a whole core keeps up
with the 25 calls a second of 20 libraries; so the rate is lifted. The rounds take turns, one
daemon and two, and the median of each counts.

Nothing may be doubled: a look that was due is settled once and asks each of its questions once. In
a last round, not timed, the lenders have sent their books and the second daemon ends in the middle
of the work: every lend moves once and every virtual item is scanned once.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import psycopg

from reconciler.app import App
from reconciler.sandbox import Sandbox, add_ordinary_institution
from reconciler.settings import Settings
from tests.bench.held import held, processor_time
from tests.bench.kept import Almas, kept
from tests.support import canaries, postgres
from tests.support.daemon import Daemon, daemon, shares, wait_until
from tests.support.world import World, settings_for

LIBRARIES = 20
LENDS = 800
ROUNDS = 3
LATENCY = 0.1
HELD = 0.25
AIM = 1.6
PATIENCE = 180.0

CODES = [f"lib-{n:02}" for n in range(LIBRARIES)]
KEYS = {f"KEY_{n:02}": f"KEY-{code}" for n, code in enumerate(CODES)}
STATUS, SENT = "REQUEST_PLACED_AT_BORROWING_AGENCY", "PICKUP_TRANSIT"


async def measure() -> list[str]:
    return _measure()


def _measure() -> list[str]:
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory(prefix="reconciler-bench-")))
        os.environ[canaries.FOLDER] = str(folder / "said")
        almas = stack.enter_context(kept(make, LENDS, LATENCY))
        url = stack.enter_context(postgres.server())
        bench = _Bench(almas, _world(folder, almas.base_url, url), psycopg.connect(url))
        bench.connection.autocommit = True
        bench.track()
        with daemon(bench.world) as first:
            bench.warm_up(first)
            bench.rounds(first)
            calls = bench.check_looks()
        moved = bench.leave_in_the_middle()
        _, finds = canaries.search(canaries.Texts(folder / "said"))
        assert not finds, finds
    return _told(bench, calls, moved)


def _told(bench: _Bench, calls: int, moved: int) -> list[str]:
    one, two = (statistics.median(bench.took[n]) for n in (1, 2))
    return [
        f"several: two daemons ÷ one, {LIBRARIES} libraries, PostgreSQL: {one / two:.2f} "
        f"(aim {AIM}), nothing doubled",
        f"  {LENDS / two:.1f} looks/s with two, {LENDS / one:.1f} with one; {LENDS} due in "
        f"{_times(bench.took[2])} with two, {_times(bench.took[1])} with one, in turns",
        f"  {calls} GETs a round, each answer after {LATENCY} s, rate lifted, no fsync",
        f"  each daemon held to {HELD} of a core; their processor time {_times(bench.spent[2])} "
        f"with two, {_times(bench.spent[1])} with one",
        f"  the second ended when {moved} of {LENDS} lends had moved: each moved once, each "
        "virtual item was scanned once, no write was stale",
    ]


@dataclass
class _Bench:
    almas: Almas
    world: World
    connection: psycopg.Connection[Any]
    took: dict[int, list[float]] = field(default_factory=lambda: {1: [], 2: []})
    spent: dict[int, list[float]] = field(default_factory=lambda: {1: [], 2: []})

    def track(self) -> None:
        app = App(Settings.model_validate(self.world.settings), environ=dict(KEYS))
        app.prepare_schema()
        report = app.desk.track([json.dumps(line).encode() for line in self.almas.made], "bench")
        assert len(report.accepted) == LENDS, report.refused[:3]
        app.close()

    # --- rounds --------------------------------------------------------------

    def warm_up(self, first: Daemon) -> None:
        """The first look reads more, and the Almas' answers are made."""
        self.wait_for_shares(first)
        self._none_left("version = 0", "the first look at each")
        self.almas.calls()

    def rounds(self, first: Daemon) -> None:
        """One daemon, two daemons, in turns."""
        for _ in range(ROUNDS):
            self._measured(first)
            with daemon(self.world) as second:
                self.wait_for_shares(first, second)
                self._measured(first, second)
                assert second.end() == 0
            self.wait_for_shares(first)

    def _measured(self, *daemons: Daemon) -> None:
        pids = [each.process.pid for each in daemons]
        before = sum(map(processor_time, pids))
        with held(HELD, *pids):
            started = time.perf_counter()
            self.make_due()
            self.settled()
            self.took[len(pids)].append(time.perf_counter() - started)
        self.spent[len(pids)].append(sum(map(processor_time, pids)) - before)

    def make_due(self) -> None:
        self.connection.execute("UPDATE transactions SET next_poll_at = '2000-01-01'")

    def settled(self) -> None:
        """Until nothing is due and nothing under way."""
        self._none_left("next_poll_at < '2001-01-01'", "everything to be settled")

    def _none_left(self, condition: str, what: str) -> None:
        left = f"SELECT count(*) FROM transactions WHERE {condition} OR claimed_by IS NOT NULL"
        self._until(lambda: self.one(left) == 0, what)

    def wait_for_shares(self, *daemons: Daemon) -> None:
        fair = {each.process.pid: LIBRARIES // len(daemons) for each in daemons}
        self._until(lambda: shares(self.world) == fair, "fair shares")

    def _until(self, look: Callable[[], bool], what: str) -> None:
        wait_until(look, what, seconds=PATIENCE, pause=0.1)

    def one(self, query: str) -> Any:
        row = self.connection.execute(query).fetchone()
        return row[0] if row else None

    # --- what must be true -----------------------------------------------------

    def check_looks(self) -> int:
        """Each due look was settled once and asked nothing twice; the calls of a round."""
        looks = 2 * ROUNDS
        versions = "SELECT DISTINCT version FROM transactions"
        found = self.connection.execute(versions).fetchall()
        assert found == [(1 + looks,)], found
        assert self.one("SELECT count(*) FROM transactions WHERE failures > 0") == 0
        calls = self.almas.calls()
        odd = {call: n for call, n in calls.items() if n != looks}
        assert not odd, Counter(odd.values())
        return len(calls)

    def leave_in_the_middle(self) -> int:
        """The books leave; the second daemon ends while that is noticed. How many had moved."""
        self.almas.act(send)
        hops = "SELECT count(*) FROM history WHERE kind = 'transition'"
        with daemon(self.world) as first, daemon(self.world) as second:
            self.wait_for_shares(first, second)
            self.make_due()
            self._until(lambda: self.one(hops) >= LENDS // 5, "a fifth of the hops")
            assert second.end() == 0
            moved: int = self.one(hops)
            done = "SELECT count(*) FROM intents WHERE state = 'done'"
            self._until(lambda: self.one(done) == LENDS, "every scan")
            self.settled()
            self.wait_for_shares(first)
            assert first.end() == 0
        assert moved < LENDS, "all had moved before the second daemon ended"
        assert "stale writes" not in first.log + second.log
        self.check_moves()
        return moved

    def check_moves(self) -> None:
        each = (
            "SELECT count(*), count(DISTINCT transaction_id) FROM history WHERE kind = 'transition'"
        )
        assert self.connection.execute(each).fetchone() == (LENDS, LENDS)
        moved = (
            f"SELECT count(*) FROM transactions WHERE status = '{SENT}' AND parked_reason IS NULL"
        )
        assert self.one(moved) == LENDS
        writes = Counter({k: n for k, n in self.almas.calls().items() if not k.startswith("GET ")})
        assert len(writes) == writes.total() == LENDS, writes.most_common(3)


def _times(seconds: list[float]) -> str:
    return "/".join(f"{each:.1f}" for each in seconds) + " s"


# --- the stage -----------------------------------------------------------------


def make(lends: int) -> tuple[Sandbox, list[Any]]:
    """Placed lends that wait to be sent, from every library to all others alike."""
    sandbox = Sandbox()
    for code in CODES:
        add_ordinary_institution(sandbox, code)
    world = World(Path(), sandbox, "", {}, {})
    lines = []
    for n in range(lends):
        lender, borrower = n % LIBRARIES, (n + 1 + n // LIBRARIES % (LIBRARIES - 1)) % LIBRARIES
        lend = world.placed(status=STATUS, between=(CODES[lender], CODES[borrower]))
        lines.append({**lend.line, "owned": True})
    return sandbox, lines


def send(sandbox: Sandbox, lines: list[Any]) -> None:
    """Every lender sends its books."""
    for line in lines:
        supplier = line["supplier"]
        sandbox[supplier["host_lms"]].scan_in(supplier["item_barcode"], "MAIN")


def _world(folder: Path, base_url: str, database_url: str) -> World:
    settings = settings_for(base_url, database_url, mode="act")
    host = settings["host_lms"]["uni-a"]
    hosts = {code: {**host, "api_key": {"env": key}} for code, key in zip(CODES, KEYS, strict=True)}
    settings["polling"] = {"tick": "1s"}
    settings["http"] = {"read_timeout": "30s", "write_read_timeout": "10s"}
    made = World(folder, Sandbox(), base_url, {**settings, "host_lms": hosts}, dict(KEYS))
    made.write_settings()
    return made
