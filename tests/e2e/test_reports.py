"""`list --stuck`, `report stuck` and `report daily`."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.support.world import Lend, World


def standing(world: World, status: str, days: int) -> Lend:
    """A lend that has stood in a status for so many days."""
    lend = world.placed(status=status)
    since = datetime.now(UTC) - timedelta(days=days)
    lend.line["status_since"] = since.isoformat()
    return lend


def test_what_is_too_long_in_its_status_is_reported_oldest_first(any_world: World) -> None:
    world = any_world
    sent, ordered = standing(world, "PICKUP_TRANSIT", 8), standing(world, "CONFIRMED", 20)
    fresh, loaned = standing(world, "PICKUP_TRANSIT", 6), standing(world, "LOANED", 57)
    over = standing(world, "FINALISED", 400)
    world.track(sent, ordered, fresh, loaned, over)
    said = world.run("report", "stuck", "-o", "json")
    rows = said.json["transactions"]
    assert [row["id"] for row in rows] == [loaned.id, ordered.id, sent.id]
    assert [row["allowed"] for row in rows] == ["56 d (no due date known)", "3 d", "7 d"]
    assert [row["days"] for row in rows] == [57, 20, 8]
    assert rows[2]["staff"].startswith("The pickup library: look into the delivery bins")
    assert said.json["tracked"] == 4
    listed = world.run("list", "--stuck", "-o", "json").json
    assert [row["id"] for row in listed["transactions"]] == [loaned.id, ordered.id, sent.id]
    counts = world.run("list", "--stuck", "--counts", "-o", "json").json["counts"]
    assert counts == {"CONFIRMED": 1, "LOANED": 1, "PICKUP_TRANSIT": 1}
    one = world.run("report", "stuck", "--status", "CONFIRMED", "-o", "jsonl").out
    assert [json.loads(line)["id"] for line in one.splitlines()] == [ordered.id]


def test_a_report_reads_in_a_spreadsheet_and_at_a_desk(world: World) -> None:
    lend = standing(world, "PICKUP_TRANSIT", 8)
    world.track(lend)
    (row,) = csv.DictReader(io.StringIO(world.run("report", "stuck", "-o", "csv").out))
    assert (row["id"], row["allowed"], row["supplier"]) == (lend.id, "7 d", "uni-a")
    said = world.run("report", "stuck")
    assert lend.id in said.out
    assert "1 stuck; 1 followed, 0 over; no look yet" in said.err


def test_settings_say_what_is_too_long(world: World) -> None:
    lend = standing(world, "PICKUP_TRANSIT", 2)
    world.track(lend)
    assert world.run("report", "stuck", "-o", "json").json["transactions"] == []
    world.write_settings(polling={"too_long": {"PICKUP_TRANSIT": "1d"}})
    assert len(world.run("report", "stuck", "-o", "json").json["transactions"]) == 1
    world.write_settings(polling={"too_long": {"FINALISED": "1d"}})
    assert "it is never late" in world.run("report", "stuck", check=78).err


def test_nothing_to_show_differs_from_nobody_looked(world: World) -> None:
    said = world.run("report", "stuck")
    assert (said.out, said.err) == ("", "0 stuck; 0 followed, 0 over; no look yet\n")
    world.track(world.placed())
    world.once()
    said = world.run("report", "stuck")
    assert said.err.startswith("0 stuck; 1 followed, 0 over; last look 20")
    listed = world.run("list", "--stuck")
    assert "0 stuck transactions; 1 followed, 0 over; last look 20" in listed.err


def test_a_stuck_lend_is_closed_by_filter(any_world: World) -> None:
    late, fresh = standing(any_world, "PICKUP_TRANSIT", 30), standing(any_world, "CONFIRMED", 1)
    any_world.track(late, fresh)
    said = any_world.run("close", "--stuck", "--reason", "lost in the post", "--yes", "-o", "json")
    (done,) = said.json["done"]
    assert (done["id"], done["what"]) == (late.id, "PICKUP_TRANSIT → COMPLETED")
    assert done["warnings"] == [], "close has looked: the lender's item is in place"


def test_the_day_tells_what_happened_and_what_stands(any_world: World) -> None:
    world = any_world
    moving, lost, broken = world.placed(), world.placed(), world.placed()
    world.track(moving, lost, broken)
    world.send(moving)
    world.lender.mark_missing(lost.barcode)
    world.once(check=None)
    world.sandbox.faults.add("json_500", institution="uni-a", method="GET", times=None)
    world.once("--id", broken.id, check=None)
    document = world.run("report", "daily", "-o", "json").json
    assert document["tracked"] == 3
    assert document["last_look_at"] is not None
    assert document["transitions"]["HandleSupplierInTransit"] == 1
    (parked,) = document["newly_parked"]
    assert (parked["id"], parked["reason"], parked["still_parked"]) == (lost.id, "item_lost", True)
    assert sum(row["failed_reads"] for row in document["standing"]) == 1
    assert sum(row["transactions"] for row in document["standing"]) == 3
    assert document["effects"] == {"done": 0, "refused": 0, "ambiguous": 0}
    assert document["notifications"] == {"pending": 0, "dead": 0}
    told = world.run("report", "daily").out
    assert f"{lost.id}  item_lost: at the supplier: the item is lost or missing" in told
    assert "last look had failed reads: 1" in told


def test_the_day_as_rows(world: World) -> None:
    world.track(world.placed())
    rows: list[Any] = [*csv.DictReader(io.StringIO(world.run("report", "daily", "-o", "csv").out))]
    assert {"section": "standing", "tenant": "uni-a", "count": "1"}.items() <= rows[0].items()
    assert {row["section"] for row in rows} >= {"standing", "effects", "notifications", "stuck"}


def test_the_day_of_nobody(world: World) -> None:
    told = world.run("report", "daily").out
    assert "last look never: nothing has been looked at yet" in told
    assert "transitions: none" in told
    assert "newly parked: none" in told


def test_a_pause_that_was_ended_stands_in_the_day(world: World) -> None:
    world.run("pause", "--tenant", "uni-a", "--reason", "Alma is updated")
    world.run("resume", "--tenant", "uni-a", "--reason", "it is back")
    (ended,) = world.run("report", "daily", "-o", "json").json["resumed"]
    assert (ended["tenant"], ended["reason"], ended["end_reason"]) == (
        "uni-a", "Alma is updated", "it is back",
    )  # fmt: skip
