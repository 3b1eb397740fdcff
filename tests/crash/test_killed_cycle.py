"""A real process is really killed in the middle of a cycle; the next `--once` ends the same."""

from __future__ import annotations

import signal
import subprocess
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.core.model import TransactionId
from tests.support.world import COMMAND, World, world

LENDS = 200


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
def test_killed_in_the_middle_of_a_cycle(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest, tell: Callable[[str], None]
) -> None:
    url = "" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    with world(tmp_path, url) as at:
        lends = [at.placed() for _ in range(LENDS)]
        for lend in lends:
            at.send(lend)
            at.shelve(lend)
        at.track(*lends)
        at.sandbox["uni-a"].latency = 0.01
        killed_after = _run_and_kill(at, calls=250)
        settled = Counter(
            row["status"] for row in at.run("list", "-o", "json").json["transactions"]
        )
        tell(f"{kind}: killed after {killed_after} calls, then {dict(settled)}")
        assert 0 < settled["READY_FOR_PICKUP"] < LENDS
        at.sandbox["uni-a"].latency = 0

        report = at.run_process("--once", "-o", "json").json
        assert report["reconciled"] == LENDS - settled["READY_FOR_PICKUP"]
        app = at.app()
        for lend in lends:
            entries = app.store.history(TransactionId(lend.id))
            hops = [(each.target, each.inferred) for each in entries if each.target]
            assert hops == [
                ("CONFIRMED", False),
                ("REQUEST_PLACED_AT_BORROWING_AGENCY", False),
                ("PICKUP_TRANSIT", False),
                ("RECEIVED_AT_PICKUP", False),
                ("READY_FOR_PICKUP", False),
            ]
        app.close()


def _run_and_kill(at: World, calls: int) -> int:
    """SIGKILL `--once` once it has made this many calls; returns how many it had made."""
    process = subprocess.Popen(
        [COMMAND, "--once"],
        cwd=at.folder,
        env=at.process_environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    deadline = time.monotonic() + 30
    while len(at.sandbox.calls) < calls:
        assert process.poll() is None, "it ended before it could be killed"
        assert time.monotonic() < deadline
        time.sleep(0.005)
    process.send_signal(signal.SIGKILL)
    assert process.wait() == -signal.SIGKILL
    return len(at.sandbox.calls)
