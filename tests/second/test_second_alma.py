"""The service on an Alma that others wrote from the contract, in its less obvious readings.

Whatever the dialect: it ends as the book does, nothing is done twice, nothing of ours is left,
nothing is sent that the contract does not know.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
from ruamel.yaml import YAML

from reconciler.core.commands.command import Command, Order
from tests.second import scenes
from tests.second.alma import DONE, NOT_DONE, Alma, Trouble
from tests.second.calls import ITEM
from tests.second.dialect import PLAIN, Dialect, draw
from tests.second.scenes import SCENES
from tests.second.stage import CODES, Stage, equip, keys, settings, stage
from tests.support import canaries

Three = tuple[Dialect, Dialect, Dialect]

EXPECTED = {
    ("POST", "users/{}/requests", "401129"),  # the index lags behind a new item (§1.5)
    ("POST", "users/{}/loans", "401163"),  # the scene with a block
    ("PUT", ITEM, "401652"),  # an item on loan may be locked (§5.4)
}
"""Refusals that a scene or a dialect is about; any other refused write is the service's fault."""

ODD = (Dialect(), Dialect(), Dialect())


def _three(seed: int) -> Three:
    return draw(3 * seed), draw(3 * seed + 1), draw(3 * seed + 2)


def _refused(at: Stage) -> list[tuple[str, str, str]]:
    calls = {call for each in at.all for call in each.log}
    return sorted(call for call in calls - EXPECTED if call[0] != "GET" and call[2] != "ok")


async def _play(folder: Path, name: str, dialects: Three) -> None:
    async with stage(folder, dialects) as at:
        lend = await SCENES[name](at)
        assert at.wrongs(lend) == []
        assert _refused(at) == []


SELDOM = (
    "cancelled_before_dispatch_at_the_third",
    "shelf_time_over_at_the_third",
    "collected_without_a_scan",
    "work_order_waits",
    "a_chapter_missed",
    "wrong_libraries",
    "lender_ends_its_hold_after_dispatch",
    "standard",
    "wrong_holding_in_the_line",
)
"""Near relatives of other scenes: played in the long run only."""


@pytest.mark.parametrize(
    ("seed", "name"),
    [
        pytest.param(seed, name, marks=[pytest.mark.long] if name in SELDOM else [])
        for seed, name in enumerate(SCENES, 1)
    ],
)
async def test_each_scene_in_a_dialect_of_its_own(tmp_path: Path, seed: int, name: str) -> None:
    await _play(tmp_path, name, _three(seed))


@pytest.mark.long
@pytest.mark.parametrize("name", SCENES)
@pytest.mark.parametrize("seed", range(100, 120))
async def test_each_scene_in_many_dialects(tmp_path: Path, seed: int, name: str) -> None:
    await _play(tmp_path, name, _three(seed))


async def test_the_least_obvious_of_every_choice(tmp_path: Path) -> None:
    await _play(tmp_path, "three_libraries", ODD)


# --- one doubt of the contract at a time ------------------------------------------

DOUBTS = {
    "a created bib is answered in XML": replace(PLAIN, bib_reply="xml"),
    "no bib with this number": replace(PLAIN, no_bibs="402203"),
    "a general error for an item that is gone": replace(PLAIN, missing_item="401652"),
    "a general error for a request that is over": replace(
        PLAIN, closed_by_id="401652", filled_by_id="401652", page_cap=1
    ),
}


@pytest.mark.parametrize("doubt", DOUBTS)
async def test_a_doubt_read_the_other_way(tmp_path: Path, doubt: str) -> None:
    dialect = DOUBTS[doubt]
    await _play(tmp_path, "shelf_time_over", (dialect, dialect, dialect))


async def test_a_general_error_for_a_living_request_ends_nothing(tmp_path: Path) -> None:
    """The list of active holds says that it lives, whatever reading it alone says."""
    async with stage(tmp_path, (PLAIN, PLAIN, PLAIN)) as at:
        lend = await scenes.placed(at)
        sick = Trouble("401652", "GET", "users/{}/requests/{}", times=1000)
        at.alma.troubles = [sick]
        for _ in range(4):
            at.clock.advance(timedelta(minutes=5))
            await at.look()
        assert sick.happened >= 4
        await scenes.stands(at, lend, scenes.S.REQUEST_PLACED_AT_BORROWING_AGENCY)
        at.alma.troubles = []
        scenes.send(at, lend)
        await scenes.stands(at, lend, scenes.S.PICKUP_TRANSIT)


async def test_a_loan_that_is_never_due(tmp_path: Path) -> None:
    async with stage(tmp_path, (PLAIN, PLAIN, PLAIN)) as at:
        lend = await scenes.on_shelf(at)
        scenes.collect(at, lend).due = datetime(9999, 12, 31, 23, 59, tzinfo=UTC)
        await scenes.stands(at, lend, scenes.S.LOANED)
        scenes.bring_back(at, lend)
        await scenes.home(at, lend)
        assert at.wrongs(lend) == []


@pytest.mark.parametrize("odd", ["zone_name", "two_offsets"])
@pytest.mark.parametrize("which", ["odd_due_dates", "odd_loan_dates"])
async def test_dates_that_nobody_can_read(tmp_path: Path, which: str, odd: str) -> None:
    """Of a loan nothing is concluded from them; a person is told, and it ends as the book does."""
    strange = replace(PLAIN, **{which: odd})
    async with stage(tmp_path, (PLAIN, strange, PLAIN)) as at:
        lend = await scenes.on_shelf(at)
        scenes.collect(at, lend)
        now = await at.rest(lend)
        tells = "Europe/Berlin" if odd == "zone_name" else "+00:00Z"
        assert now.parked is not None
        assert (now.parked.reason, tells in now.parked.detail) == ("unreadable_date", True)
        lent = which == "odd_due_dates"
        assert now.status is (scenes.S.LOANED if lent else scenes.S.READY_FOR_PICKUP)
        assert bool(at.loans("uni-a")) is lent, "only due dates wait for a due date"
        scenes.bring_back(at, lend)
        now = await at.pass_days(lend, 2)
        assert now.status is (scenes.S.RETURN_TRANSIT if lent else scenes.S.READY_FOR_PICKUP)
        at["uni-b"].dialect = PLAIN
        order = Order(Command.RETRY, "librarian", "the dates are mended", at.clock.now())
        await at.app.hands.carry_out(order, [now.id])
        await scenes.stands(at, lend, scenes.S.RETURN_TRANSIT)
        await scenes.home(at, lend)
        assert at.wrongs(lend) == []


# --- faults ----------------------------------------------------------------------

WRITES = (
    ("three_libraries", "POST", "users"),
    ("three_libraries", "POST", "users/{}/requests"),
    ("three_libraries", "POST", "bibs"),
    ("three_libraries", "POST", "bibs/{}/holdings"),
    ("three_libraries", "POST", "bibs/{}/holdings/{}/items"),
    ("three_libraries", "POST", ITEM),
    ("three_libraries", "POST", "users/{}/loans"),
    ("three_libraries", "DELETE", ITEM),
    ("three_libraries", "DELETE", "bibs/{}/holdings/{}"),
    ("three_libraries", "DELETE", "bibs/{}"),
    ("shelf_time_over", "DELETE", "users/{}/requests/{}"),
    ("straight_to_the_lender", "POST", ITEM),
    ("two_books_for_one_reader", "PUT", "users/{}"),
    ("renewed", "PUT", "users/{}/loans/{}"),
    ("next_reader_waits", "PUT", ITEM),
)
KINDS = (*NOT_DONE, *DONE)
FAULTS = [(write, kind) for write in WRITES for kind in KINDS]


async def _play_with_a_fault(
    folder: Path, write: tuple[str, str, str], kind: str, dialects: Three
) -> None:
    name, method, route = write
    trouble = Trouble(kind, method, route)
    async with stage(folder, dialects) as at:
        at.alma.troubles.append(trouble)
        lend = await SCENES[name](at)
        assert trouble.happened == 1
        assert at.wrongs(lend) == []


@pytest.mark.parametrize(("write", "kind"), Random(7).sample(FAULTS, 3))
async def test_a_write_that_goes_wrong_once(
    tmp_path: Path, write: tuple[str, str, str], kind: str
) -> None:
    unlocked = replace(Dialect(), loaned_items_locked=False)
    await _play_with_a_fault(tmp_path, write, kind, (unlocked, unlocked, unlocked))


@pytest.mark.long
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("write", WRITES)
async def test_every_write_that_goes_wrong_in_every_way(
    tmp_path: Path, write: tuple[str, str, str], kind: str
) -> None:
    await _play_with_a_fault(tmp_path, write, kind, (PLAIN, PLAIN, PLAIN))


READ_FAULTS = ("429", "reset", "500", "503_empty", "html_403", "401652")


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
async def test_reads_that_often_go_wrong(tmp_path: Path, seed: int) -> None:
    """A fifth of all reads fail in some way; the lend goes its way a little later."""
    rng = Random(seed)
    async with stage(tmp_path, _three(200 + seed)) as at:
        at.alma.fate = lambda _here, method, _route: (
            rng.choice(READ_FAULTS[:4]) if method == "GET" and rng.random() < 0.2 else None
        )
        lend = await scenes.standard(at)
        assert at.wrongs(lend) == []


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        ("401652", "uni-b"),
        *(
            pytest.param(kind, code, marks=pytest.mark.long)
            for kind in (*READ_FAULTS, "DAILY_THRESHOLD", "UNAUTHORIZED")
            for code in ("uni-a", "uni-b")
        ),
    ],
)
async def test_nothing_is_concluded_from_a_library_that_says_nothing(
    tmp_path: Path, kind: str, code: str
) -> None:
    """A day of it, and then everything goes on."""
    async with stage(tmp_path, (PLAIN, PLAIN, PLAIN)) as at:
        lend = await scenes.placed(at)
        at.alma.fate = lambda here, _method, _route: kind if here.code == code else None
        now = await at.pass_days(lend, 1)
        assert (now.status, now.parked) == (scenes.S.REQUEST_PLACED_AT_BORROWING_AGENCY, None)
        at.alma.fate = lambda _here, _method, _route: None
        at.clock.advance(timedelta(hours=24))
        await at.rest(lend)
        scenes.send(at, lend)
        await scenes.stands(at, lend, scenes.S.PICKUP_TRANSIT)
        scenes.collect(at, lend)
        scenes.bring_back(at, lend)
        await scenes.stands(at, lend, scenes.S.RETURN_TRANSIT)
        await scenes.home(at, lend)
        assert at.wrongs(lend) == []


# --- the installed command ---------------------------------------------------------

COMMAND = Path(sys.executable).parent / "reconciler"


class Shell:
    """`reconciler` as people call it, in a folder with settings."""

    def __init__(self, folder: Path, alma: Alma) -> None:
        self.folder = folder
        given = settings(alma.url, folder, settle="1s")
        with (folder / "settings.yaml").open("w", encoding="utf-8") as file:
            YAML(typ="safe").dump(given, file)

    def __call__(self, *arguments: str, given: str = "") -> tuple[int, str]:
        ran = subprocess.run(
            [str(COMMAND), *arguments],
            cwd=self.folder,
            env={**os.environ, **keys()},
            input=given,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        canaries.said(f"reconciler {arguments[0]}", ran.stdout + ran.stderr)
        return ran.returncode, ran.stdout + ran.stderr


@contextmanager
def _served() -> Iterator[Alma]:
    alma = Alma(lambda: datetime.now(UTC))
    for n, code in enumerate(CODES):
        equip(alma.add(code, replace(draw(50 + n), lag=0, by_id_lag=0, availability_lag=0)))
    with alma.served():
        yield alma


def test_the_command_places_a_lend_and_finds_everything_in_order(tmp_path: Path) -> None:
    with _served() as alma:
        shell = Shell(tmp_path, alma)
        here = {each.code: each for each in alma.institutions.values()}
        here["uni-b"].add_user("reader-1", "R0001")
        book = here["uni-a"].add_book("+F1&#1%", "MAIN")
        item = {"mms_id": book.mms_id, "holding_id": book.holding_id, "item_pid": book.pid}
        line = {
            "id": "lend-1",
            "patron": {"host_lms": "uni-b", "user_id": "reader-1", "barcodes": ["R0001"]},
            "item": {"host_lms": "uni-a", **item, "title": "Q&A <1>"},
            "pickup": {"host_lms": "uni-b", "library": "MAIN"},
        }
        code, told = shell("submit", "-", given=json.dumps(line))
        assert code == 0, told
        code, told = shell("--once")
        assert code == 0, told
        code, told = shell("show", "lend-1", "-o", "json")
        assert json.loads(told)["status"] == "REQUEST_PLACED_AT_BORROWING_AGENCY", told
        code, told = shell("doctor")
        assert code in (0, 3), told
        assert [told for each in here.values() for told in each.violations] == []
        assert len(here["uni-a"].holds) == len(here["uni-b"].holds) == 1
