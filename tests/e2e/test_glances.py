"""Glances at a hundred bibs: they bring looks forward, and where they mislead they end by
themselves. Over the sandbox, on a virtual clock."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from reconciler.app import App
from reconciler.core.library.bulk import SWEEP_EVERY, Trust
from reconciler.core.model import HostLmsCode, Transaction, TransactionId
from reconciler.core.status import DcbStatus
from reconciler.store.hints import SqlHints
from tests.e2e.test_rests import placed, tick
from tests.support import lab as lab_module
from tests.support.lab import Lab, lab
from tests.support.world import KEYS

UNI_A, UNI_B = HostLmsCode("uni-a"), HostLmsCode("uni-b")
WAIT = DcbStatus.REQUEST_PLACED_AT_BORROWING_AGENCY
MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)


def stored(stage: Lab, id: str) -> Transaction:
    return stage.app.store.get(TransactionId(id))


def send(stage: Lab, id: str) -> None:
    stage.lender.scan_in(stored(stage, id).supplier.item_barcode or "", "MAIN")


def sweeps(stage: Lab, code: str = "uni-a") -> int:
    return sum(
        call.path == "/almaws/v1/bibs" and call.institution == code for call in stage.sandbox.calls
    )


def trust(stage: Lab, tenant: HostLmsCode = UNI_A) -> Trust:
    return SqlHints(stage.app.database).trusts(tenant).get(WAIT, Trust())


async def settled(stage: Lab, n: int) -> list[str]:
    """Lends whose book waits to be sent, glanced at once and looked at since."""
    ids = placed(stage, n, lender="uni-a", borrower="uni-b")
    await tick(stage, 1, MINUTE)
    assert (sweeps(stage), sweeps(stage, "uni-b")) == (1, 1)
    return ids


async def trusted(stage: Lab, n: int) -> list[str]:
    """The same at a library whose lists have shown five books as they were sent."""
    ids = await settled(stage, n + 5)
    for id in ids[n:]:
        stage.clock.advance(SWEEP_EVERY)
        send(stage, id)
        await tick(stage, 1, MINUTE)
        assert stored(stage, id).status is DcbStatus.PICKUP_TRANSIT
    await tick(stage, 31, MINUTE)
    assert trust(stage) == Trust("+++++")
    return ids[:n]


@pytest.fixture
def told() -> Iterator[list[str]]:
    """What was logged of lists of bibs, and all that was logged as trouble."""
    found: list[str] = []

    def note(message: object) -> None:
        record = message.record  # type: ignore[attr-defined]
        if record["level"].no > 20 or "lists of bibs" in record["message"]:
            found.append(record["message"])

    sink = logger.add(note, level="INFO")
    yield found
    logger.remove(sink)


@pytest.mark.parametrize("mode", ["act", "observe"])
async def test_a_changed_bib_brings_one_look_forward(tmp_path: Path, mode: str) -> None:
    async with lab(tmp_path, socket=False, mode=mode) as stage:
        first, *others = await settled(stage, 5)
        looked_at = {id: stored(stage, id).last_poll_at for id in others}
        send(stage, first)
        stage.clock.advance(SWEEP_EVERY)
        before = len(list(stage.sandbox.calls))
        await tick(stage, 1, MINUTE)
        assert stored(stage, first).status is DcbStatus.PICKUP_TRANSIT
        assert {id: stored(stage, id).last_poll_at for id in others} == looked_at
        paths = [call.path for call in list(stage.sandbox.calls)[before:]]
        assert paths.count("/almaws/v1/bibs") == 2
        assert len({path for path in paths if "/items/" in path}) <= 2  # of this lend alone


async def test_a_reader_who_cancels_is_noticed_at_the_other_library(tmp_path: Path) -> None:
    async with lab(tmp_path, socket=False) as stage:
        first, *_ = await settled(stage, 5)
        line = stored(stage, first).borrower
        assert line is not None
        stage.borrower.cancel_request(line.request_id or "")
        stage.clock.advance(SWEEP_EVERY)
        await tick(stage, 2, MINUTE)
        assert stored(stage, first).borrower.request.state == "CLOSED"  # type: ignore[union-attr]


async def test_the_settings_switch_them_off(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = lab_module.acting_settings

    def without(*given: Any, **alma: Any) -> dict[str, Any]:
        return {**usual(*given, **alma), "polling": {"bulk_scans": False}}

    monkeypatch.setattr(lab_module, "acting_settings", without)
    async with lab(tmp_path, socket=False) as stage:
        placed(stage, 6, lender="uni-a", borrower="uni-b")
        await tick(stage, 2, SWEEP_EVERY)
        assert (sweeps(stage), sweeps(stage, "uni-b")) == (0, 0)
        assert len(list(stage.sandbox.calls)) > 6  # it looks all the same


async def test_few_lends_are_not_worth_a_call(tmp_path: Path) -> None:
    async with lab(tmp_path, socket=False) as stage:
        placed(stage, 3, lender="uni-a", borrower="uni-b")
        await tick(stage, 60, MINUTE)
        assert (sweeps(stage), sweeps(stage, "uni-b")) == (0, 0)


async def test_where_lists_proved_right_looks_are_put_off_and_come_back_when_sweeps_end(
    tmp_path: Path,
) -> None:
    async with lab(tmp_path, socket=False) as stage:
        ids = await trusted(stage, 6)
        await tick(stage, 24, 5 * MINUTE)  # the look that has to follow a first glance
        began, before = stage.clock.now(), len(list(stage.sandbox.calls))
        await tick(stage, 5 * 12, 5 * MINUTE)
        calls = [call for call in list(stage.sandbox.calls)[before:] if call.institution == "uni-a"]
        looks = sum("/items/" in call.path for call in calls)
        assert 6 <= looks <= 8  # one each; by the hour it would be thirty
        send(stage, ids[0])
        await tick(stage, 8, 5 * MINUTE)
        assert stored(stage, ids[0]).status is DcbStatus.PICKUP_TRANSIT

        stage.lender.dialect.update(bib_list="refused")
        stage.clock.advance(SWEEP_EVERY)
        await tick(stage, 24, 5 * MINUTE)
        last = [stored(stage, id).last_poll_at for id in ids[1:]]
        assert min(at for at in last if at) > began
        due = [stored(stage, id).next_poll_at for id in ids[1:]]
        assert max(at for at in due if at) < stage.clock.now() + timedelta(hours=2)


async def test_a_list_that_misleads_is_given_up_for_a_day_and_step(
    tmp_path: Path, told: list[str]
) -> None:
    async with lab(tmp_path, socket=False) as stage:
        stage.lender.dialect.update(bib_counts="stale")
        ids = await settled(stage, 8)
        began = stage.clock.now()
        while min(stored(stage, id).last_poll_at or began for id in ids) <= began:
            await tick(stage, 1, 5 * MINUTE)
        for id in ids[:3]:
            send(stage, id)
        while WAIT in {stored(stage, id).status for id in ids[:3]}:
            await tick(stage, 1, 5 * MINUTE)
        await tick(stage, 8, 5 * MINUTE)
        assert trust(stage).record == "---"
        assert told == ["lists of bibs do not show this step: not asked for a day"]
        before = sweeps(stage)
        await tick(stage, 22, timedelta(hours=1))
        assert sweeps(stage) == before
        looked_at = stored(stage, ids[5]).last_poll_at
        assert looked_at is not None
        assert stage.clock.now() - looked_at < timedelta(hours=3)


async def test_one_miss_ends_the_trust(tmp_path: Path) -> None:
    async with lab(tmp_path, socket=False) as stage:
        ids = await trusted(stage, 6)
        await tick(stage, 24, 5 * MINUTE)
        stage.lender.dialect.update(bib_counts="stale")
        await tick(stage, 30, 5 * MINUTE)  # all hints of that change are in vain
        sent_at = stage.clock.now()
        send(stage, ids[0])
        for _ in range(13 * 12):
            await tick(stage, 1, 5 * MINUTE)
            if stored(stage, ids[0]).status is not WAIT:
                break
        assert stage.clock.now() - sent_at < timedelta(hours=7)
        await tick(stage, 8, 5 * MINUTE)
        assert trust(stage) == Trust("+++++-")
        assert not trust(stage).holds


@pytest.mark.parametrize("word", ["refused", "plain"])
async def test_a_library_that_does_not_list_is_asked_once_a_day(
    tmp_path: Path, word: str, told: list[str]
) -> None:
    async with lab(tmp_path, socket=False) as stage:
        stage.lender.dialect.update(bib_list=word)
        placed(stage, 6, lender="uni-a", borrower="uni-b")
        await tick(stage, 23 * 4, 15 * MINUTE)
        assert sweeps(stage) == 1
        assert told == ["lists of bibs are left alone for a day"]
        await tick(stage, 2 * 4, 15 * MINUTE)
        assert sweeps(stage) == 2


async def test_a_bib_that_is_not_in_the_answer_says_nothing(tmp_path: Path) -> None:
    async with lab(tmp_path, socket=False) as stage:
        first, *_ = await settled(stage, 5)
        before = stored(stage, first)
        bib = stage.lender.bibs.get(before.supplier.mms_id or "")
        assert bib is not None
        stage.lender.drop(bib)
        stage.clock.advance(SWEEP_EVERY)
        await tick(stage, 1, MINUTE)
        assert sweeps(stage) == 2
        assert stored(stage, first) == before


async def test_another_process_goes_on_where_this_one_ended(tmp_path: Path) -> None:
    async with lab(tmp_path, socket=False) as stage:
        first, *_ = await settled(stage, 5)
        settings, transports = stage.app.settings, stage.app.transports
        async with App(settings, stage.clock, KEYS, transports) as stage.app:
            await tick(stage, 20, MINUTE)
            assert sweeps(stage) == 1
            send(stage, first)
            await tick(stage, 12, MINUTE)
            assert sweeps(stage) == 2
            assert stored(stage, first).status is DcbStatus.PICKUP_TRANSIT
