"""Libraries in trouble, on a virtual clock: they rest and the others go on."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from reconciler.core.model import HostLmsCode, TransactionId
from reconciler.core.stages import DEFAULT_INTERVALS
from reconciler.core.status import DcbStatus, TenantState
from reconciler.engine.cycle import CycleOptions
from reconciler.sandbox import Sandbox
from tests.support.lab import Lab, lab
from tests.support.world import World

UNI_A, UNI_B, UNI_C = (HostLmsCode(f"uni-{letter}") for letter in "abc")
MINUTE = timedelta(minutes=1)


def placed(stage: Lab, n: int, *, lender: str, borrower: str) -> list[str]:
    """Lends that wait for their book to be sent; their ids."""
    ids = []
    for _ in range(n):
        stage.n += 1
        id, barcode = f"{lender}-{stage.n}", f"T{stage.n:05d}"
        line: dict[str, Any] = {
            "id": id,
            "workflow": "RET-STD",
            "status": "REQUEST_PLACED_AT_BORROWING_AGENCY",
        }
        for role, code, pickup, place in (
            ("supplier", lender, "RES_OUT", ("MAIN", "STACKS")),
            ("borrower", borrower, "MAIN", ("DCB", "DCBVIRTUAL")),
        ):
            at, user = stage.sandbox[code], f"{role}-{stage.n}"
            at.add_user(user)
            book = at.add_book(f"Book {stage.n}", barcode, *place)
            hold = at.place_hold(user, barcode, pickup)
            line[role] = {
                "host_lms": code,
                "user_id": user,
                "request_id": hold.request_id,
                "mms_id": book.mms_id,
                "holding_id": book.holding_id,
                "item_pid": book.pid,
                "item_barcode": barcode,
            }
        stage.app.desk.track([json.dumps(line).encode()], "test")
        ids.append(id)
    return ids


async def tick(stage: Lab, times: int, every: timedelta = MINUTE) -> None:
    for _ in range(times):
        await stage.app.cycle(CycleOptions())
        stage.clock.advance(every)


def soonest(stage: Lab, ids: list[str]) -> datetime:
    """When the next of these is due."""
    due = [stage.app.store.get(TransactionId(id)).next_poll_at for id in ids]
    return min(at for at in due if at is not None)


def calls_to(sandbox: Sandbox, code: str, since: datetime) -> int:
    return sum(call.institution == code and call.at >= since for call in sandbox.calls)


@pytest.fixture
def alarms() -> Any:
    """What was logged as an error."""
    found: list[str] = []
    sink = logger.add(lambda message: found.append(message.record["message"]), level="ERROR")
    yield found
    logger.remove(sink)


async def test_twelve_hours_without_one_library(tmp_path: Path, alarms: list[str]) -> None:
    async with lab(tmp_path, socket=False, calls_per_second=1000) as stage:
        down = placed(stage, 6, lender="uni-a", borrower="uni-b")
        mixed = placed(stage, 3, lender="uni-c", borrower="uni-a")
        well = placed(stage, 6, lender="uni-c", borrower="uni-b")
        await tick(stage, 24, 5 * MINUTE)
        fault = stage.sandbox.faults.add("html_502", institution="uni-a", times=None)
        began = stage.clock.now()
        overdue = timedelta(0)
        for _ in range(12 * 12):
            await tick(stage, 1, 5 * MINUTE)
            for id in well:
                due = stage.app.store.get(TransactionId(id)).next_poll_at
                assert due is not None
                overdue = max(overdue, stage.clock.now() - due)
        fault.times = 0
        assert overdue <= DEFAULT_INTERVALS[DcbStatus.REQUEST_PLACED_AT_BORROWING_AGENCY]
        asked = calls_to(stage.sandbox, "uni-a", began)
        assert asked <= 12 * 12 + 60
        assert alarms == ["library rests"]
        assert stage.app.libraries.gates.standing(UNI_A).state is TenantState.OUTAGE

        ended = stage.clock.now()
        while not stage.app.libraries.gates.standing(UNI_A).is_open:
            await tick(stage, 1, timedelta(seconds=10))
            assert stage.clock.now() - ended < 2 * MINUTE
        recovered = stage.clock.now()
        await tick(stage, 12, timedelta(seconds=10))
        for id in (*down, *mixed):
            now = stage.app.store.get(TransactionId(id))
            assert now.parked is None
            assert now.failures == 0, id
            assert now.last_poll_at is not None
            assert now.last_poll_at >= recovered - timedelta(seconds=20)
        assert alarms == ["library rests"]


async def test_a_library_that_lends_nothing_is_found_to_be_back_by_the_lends_of_others(
    tmp_path: Path, alarms: list[str]
) -> None:
    """Nothing is polled for it: only what others lend to it can see how it is."""
    async with lab(tmp_path, socket=False, calls_per_second=1000) as stage:
        ids = placed(stage, 3, lender="uni-c", borrower="uni-a")
        for n in range(1, len(ids) + 1):
            stage.third.scan_in(f"T{n:05d}", "MAIN")
        await tick(stage, 60, 5 * MINUTE)
        fault = stage.sandbox.faults.add("html_502", institution="uni-a", times=None)
        await tick(stage, 12 * 12, 5 * MINUTE)
        assert stage.app.libraries.gates.standing(UNI_A).state is TenantState.OUTAGE
        while soonest(stage, ids) < stage.clock.now() + 10 * MINUTE:
            await tick(stage, 1)
        fault.times = 0
        ended = stage.clock.now()
        while not stage.app.libraries.gates.standing(UNI_A).is_open:
            await tick(stage, 1, timedelta(seconds=10))
            assert stage.clock.now() - ended < 2 * MINUTE
        await tick(stage, 12, timedelta(seconds=10))
        found = [stage.app.store.get(TransactionId(id)) for id in ids]
        assert {each.failures for each in found} == {0}
        assert alarms == ["library rests"]


async def test_what_waits_for_a_library_that_rests_does_not_use_up_the_others(
    tmp_path: Path,
) -> None:
    """An effect that cannot be begun costs a look now and then, and is begun once it may be."""
    async with lab(tmp_path, socket=False, calls_per_second=1000) as stage:
        placed(stage, 6, lender="uni-b", borrower="uni-c")
        await tick(stage, 12, 5 * MINUTE)
        book = stage.wanted()  # of uni-a, for a reader of uni-b
        await stage.submit(book)
        fault = stage.sandbox.faults.add("html_502", institution="uni-b", times=None)
        await tick(stage, 60)
        assert stage.app.libraries.gates.standing(UNI_B).state is TenantState.OUTAGE
        assert stage.counts(book).get("borrower bibs", 0) == 0
        since = stage.clock.now()
        await tick(stage, 120)
        asked = calls_to(stage.sandbox, "uni-a", since)
        assert asked <= 2 * 120 / 15 + 4
        fault.times = 0
        await tick(stage, 12)
        assert stage.counts(book)["borrower bibs"] == 1


async def test_polling_stops_at_the_reserve_effects_go_on_and_midnight_ends_it(
    tmp_path: Path,
) -> None:
    async with lab(tmp_path, socket=False, daily_reserve=500, calls_per_second=1000) as stage:
        placed(stage, 30, lender="uni-a", borrower="uni-c")
        stage.lender.quota.remaining = 520
        await tick(stage, 1)
        assert stage.app.libraries.gates.standing(UNI_A).state is TenantState.SHORT
        assert 480 <= stage.lender.quota.remaining < 500
        book = stage.wanted()
        left, probes_from = stage.lender.quota.remaining, stage.clock.now()
        await tick(stage, 120)
        assert left - stage.lender.quota.remaining <= 2 * 60 / 15 + 1
        await stage.submit(book)  # its effects are done although polling rests
        await tick(stage, 10)
        assert stage.counts(book)["supplier holds"] == 1
        midnight = (stage.clock.now() + timedelta(days=1)).replace(hour=0, minute=0, second=0)
        stage.clock.advance(midnight - stage.clock.now())
        await tick(stage, 3)
        assert stage.app.libraries.gates.standing(UNI_A).is_open
        assert calls_to(stage.sandbox, "uni-a", midnight) > 30
        assert probes_from < midnight


async def test_a_used_up_day_is_probed_every_quarter_of_an_hour(tmp_path: Path) -> None:
    async with lab(tmp_path, socket=False, daily_reserve=0, calls_per_second=1000) as stage:
        ids = placed(stage, 30, lender="uni-a", borrower="uni-c")
        stage.lender.quota.remaining = 5
        await tick(stage, 1)
        assert stage.app.libraries.gates.standing(UNI_A).state is TenantState.SPENT
        since = stage.clock.now()
        await tick(stage, 180)
        assert 9 <= calls_to(stage.sandbox, "uni-a", since) <= 13
        stage.lender.quota.remaining = 10_000  # the institution bought more
        await tick(stage, 20)
        assert stage.app.libraries.gates.standing(UNI_A).is_open
        for id in ids:
            assert stage.app.store.get(TransactionId(id)).parked is None


async def test_much_that_is_suddenly_not_found_freezes_the_library(
    tmp_path: Path, alarms: list[str]
) -> None:
    async with lab(tmp_path, socket=False, calls_per_second=1000) as stage:
        ids = placed(stage, 40, lender="uni-a", borrower="uni-c")
        await tick(stage, 5, timedelta(minutes=30))
        stage.sandbox.faults.add(
            "error", institution="uni-a", path="/items/", code="401683", times=None
        )
        await tick(stage, 130)
        found = [stage.app.store.get(TransactionId(id)) for id in ids]
        assert alarms == ["library rests"]
        assert stage.app.libraries.gates.standing(UNI_A).state is TenantState.FROZEN
        assert {each.status for each in found} == {DcbStatus.REQUEST_PLACED_AT_BORROWING_AGENCY}
        assert sum(each.parked is not None for each in found) == 0
        stage.sandbox.faults.clear()
        await tick(stage, 40)
        assert stage.app.libraries.gates.standing(UNI_A).is_open
        assert all(stage.app.store.get(TransactionId(id)).failures == 0 for id in ids)


def test_people_see_who_rests_and_how_much_is_left(any_world: World) -> None:
    world = any_world
    lends = [world.placed() for _ in range(4)]
    world.track(*lends)
    world.once()
    report = world.run("report", "calls", "-o", "json").json["libraries"]
    by_code = {row["host_lms"]: row for row in report}
    asked = world.sandbox.calls
    assert by_code["uni-a"]["used_today"] == sum(call.institution == "uni-a" for call in asked)
    assert by_code["uni-a"]["remaining"] == world.lender.quota.remaining
    assert by_code["uni-c"]["remaining"] is None  # never asked: unknown, not 0
    world.sandbox.faults.add("html_502", institution="uni-a", times=None)
    ran = world.run("--once", "--all", "-o", "json", check=3)
    assert [each["host_lms"] for each in ran.json["resting"]] == ["uni-a"]
    assert "uni-a rests since" in world.run("list").err
    assert "uni-a rests since" in world.run("report", "calls").err
    told = world.run("explain", lends[0].id, "-o", "json").json["resting"]
    assert told[0]["state"] == "outage"
    assert "server error" in told[0]["reason"]
    before = len(list(world.sandbox.calls))
    world.run("--once", "--tenant", "uni-a", check=3)  # still resting: not even called
    assert len(list(world.sandbox.calls)) == before
