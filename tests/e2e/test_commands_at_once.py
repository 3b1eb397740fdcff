"""Two people give a command for the same request at the same time, each at a machine of his own."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import pytest

from reconciler.core.status import DcbStatus
from reconciler.engine.desk import IntakeReport
from tests.support.at_once import MeetsAfterReading, at_once, locking, wait_for_waiting
from tests.support.world import Lend, World


def submitted_at_once(world: World, *lines: dict[str, Any]) -> list[IntakeReport]:
    """What each is told; all have read what is stored before anybody writes."""
    all_have_read = threading.Barrier(len(lines))

    def submit(line: dict[str, Any]) -> IntakeReport:
        async def submitted() -> IntakeReport:
            async with world.app() as app:
                app.store = MeetsAfterReading(app.database, all_have_read)
                return await app.submit([json.dumps(line).encode()], "test")

        return asyncio.run(submitted())

    return at_once(*(lambda line=line: submit(line) for line in lines))  # type: ignore[misc]


def another_copy(world: World, lend: Lend, lender: str) -> dict[str, Any]:
    """The same request for a copy of another library."""
    world.n += 1
    copy = world.sandbox[lender].add_book("Another copy", f"N{world.n:05d}", "MAIN", "STACKS")
    item = {"mms_id": copy.mms_id, "holding_id": copy.holding_id, "item_pid": copy.pid}
    return {**lend.line, "item": {"host_lms": lender, "title": "Another copy", **item}}


def outcomes(reports: list[IntakeReport]) -> list[tuple[int, int, list[str | None]]]:
    return sorted(
        (len(each.accepted), len(each.known), [bad.code for bad in each.refused])
        for each in reports
    )


@pytest.fixture
def acting_world(any_world: World) -> World:
    """On both databases, and every library is acted on."""
    for host in any_world.settings["host_lms"].values():
        if host["type"] == "alma":
            host["mode"] = "act"
    any_world.write_settings()
    return any_world


def test_of_two_books_for_one_request_the_second_is_refused_and_not_called_known(
    acting_world: World,
) -> None:
    world = acting_world
    lend = world.wanted()
    other = another_copy(world, lend, "uni-c")
    reports = submitted_at_once(world, lend.line, other)
    assert outcomes(reports) == [(0, 0, ["id_in_use"]), (1, 0, [])]


def test_the_same_line_twice_is_one_request(acting_world: World) -> None:
    world = acting_world
    lend = world.wanted()
    reports = submitted_at_once(world, lend.line, lend.line)
    assert outcomes(reports) == [(0, 1, []), (1, 0, [])]


def test_of_two_next_lenders_the_second_is_refused_and_not_called_known(
    acting_world: World,
) -> None:
    world = acting_world
    lend = world.wanted()
    world.submit(lend)
    world.once()
    hold = world.show(lend.id)["supplier"]["request_id"]
    world.lender.cancel_request(hold)
    for _ in range(4):
        world.once(check=None)
    assert world.show(lend.id)["status"] == DcbStatus.NOT_SUPPLIED_CURRENT_SUPPLIER
    one, other = (another_copy(world, lend, "uni-c") for _ in range(2))
    reports = submitted_at_once(world, one, other)
    assert outcomes(reports) == [(0, 0, ["id_in_use"]), (1, 0, [])]
    now = world.show(lend.id)
    assert [each["host_lms"] for each in now["suppliers_tried"]] == ["uni-a"]
    assert now["supplier"]["item_pid"] in {each["item"]["item_pid"] for each in (one, other)}
    assert now["status"] == DcbStatus.RESOLVED


@contextmanager
def held_until_both_wait(world: World) -> Iterator[None]:
    """Nobody writes before both commands have come as far as that. What waits for PostgreSQL can be
    seen; for SQLite they are given four times as long as a command takes."""
    url = world.settings["database"]["url"]
    if url.startswith("sqlite"):
        held = sqlite3.connect(world.folder / "reconciler.db", isolation_level=None)
        held.execute("BEGIN IMMEDIATE")
        yield
        time.sleep(2)
        held.close()
    else:
        with locking(url) as connection:
            connection.execute("SELECT id FROM transactions FOR UPDATE")
            yield
            wait_for_waiting(url, 2)


def test_two_commands_that_state_evidence_at_once_are_both_kept(any_world: World) -> None:
    """Two real processes."""
    world = any_world
    lend = world.placed()
    lend.line["borrower"] = {"host_lms": "ext"}
    world.track(lend)
    tell = ("evidence", lend.id, "--role", "borrower", "--reason", "they rang")
    with ThreadPoolExecutor(2) as people:
        with held_until_both_wait(world):
            words = (("--item", "ON_HOLD_SHELF"), ("--loan", "ACTIVE"))
            said = [people.submit(world.run_process, *tell, *word) for word in words]
        assert [each.result().code for each in said] == [0, 0]
    borrower = world.show(lend.id)["borrower"]
    assert (borrower["item"]["state"], borrower["loan"]["state"]) == ("ON_HOLD_SHELF", "ACTIVE")
    rows = [row["detail"] for row in world.history(lend.id) if row["kind"] == "command"]
    assert sorted(rows)[:2] == ["evidence", "evidence"]
