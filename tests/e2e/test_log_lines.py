"""What the installed service says of its work: one line a cycle, as JSON where that is set."""

from __future__ import annotations

import json
from typing import Any

from tests.support.world import World


def rows(err: str, message: str) -> list[Any]:
    found = [json.loads(line) for line in err.splitlines() if line.startswith("{")]
    return [row for row in found if row["message"] == message]


def test_a_cycle_is_one_line_with_its_counts(world: World) -> None:
    world.write_settings(logging={"format": "json", "level": "INFO"})
    lends = [world.placed(), world.placed()]
    world.track(*lends)
    world.send(lends[0])
    world.sandbox.faults.add("json_500", institution="uni-b", method="GET", times=None)
    ran = world.run("--once", "--all", check=3)
    (row,) = rows(ran.err, "cycle finished")
    assert row["reconciled"] == 2
    assert row["transitions"] >= 1
    assert row["failed_reads"] >= 1
    assert (row["parked"], row["faults"]) == (0, 0)
    assert row["seconds"] >= 0
    assert row["cycle"]
    assert row["level"] == "INFO"


def test_a_cycle_with_nothing_to_do_says_nothing(world: World) -> None:
    world.write_settings(logging={"format": "json", "level": "INFO"})
    assert rows(world.run("--once").err, "cycle finished") == []
    world.write_settings(logging={"format": "json", "level": "DEBUG"})
    (row,) = rows(world.run("--once").err, "cycle finished")
    assert (row["level"], row["reconciled"]) == ("DEBUG", 0)
