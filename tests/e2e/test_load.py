"""How often a library is asked, and by how many at once."""

from __future__ import annotations

import asyncio
from collections import Counter
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.app import App
from reconciler.core.status import DcbStatus, HistoryKind
from reconciler.engine.cycle import CycleOptions
from reconciler.engine.reconcile import OutcomeKind
from tests.support.lab import Lab, lab
from tests.support.world import KEYS, World

S = DcbStatus
LENDS = 4


@pytest.mark.parametrize("kind", ["sqlite", "postgres"])
async def test_two_services_on_one_lend_do_everything_once(
    kind: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Both take all there is, at the same time, again and again."""
    url = "" if kind == "sqlite" else request.getfixturevalue("postgres_url")
    async with lab(tmp_path, patience="2s", database_url=url) as at:
        books = [at.wanted() for _ in range(LENDS)]
        for book in books:
            await at.submit(book)
        async with App(at.app.settings, at.clock, KEYS) as other:
            for step in (None, at.lender, at.borrower):
                for book in books if step else ():
                    step.scan_in(book.barcode, "MAIN")
                for _ in range(4):
                    at.clock.advance(timedelta(minutes=2))
                    everything = CycleOptions(everything=True)
                    await asyncio.gather(at.app.cycle(everything), other.cycle(everything))
        for book in books:
            assert at.stored(book).status is S.READY_FOR_PICKUP, at.history(book)
            assert set(at.counts(book).values()) == {1}
            assert at.virtual_patrons(book) == 1
            rows = at.app.store.history(at.stored(book).id)
            hops = Counter(row.target for row in rows if row.kind is HistoryKind.TRANSITION)
            assert set(hops.values()) == {1}
        scans = at.sandbox.calls.matching("POST", "op=scan", "uni-b")
        assert len(scans) == LENDS


async def test_a_look_that_outlasts_its_claim_is_made_once(any_world: World) -> None:
    """A library that answers slowly: looks take longer than the lease of their claims."""
    any_world.settings["polling"] = {"lease": "1s"}
    any_world.write_settings()
    lends = [any_world.placed() for _ in range(24)]
    any_world.track(*lends)
    for library in (any_world.lender, any_world.borrower):
        library.latency = 0.4
    async with any_world.app() as app:
        report = await app.cycle(CycleOptions())
    assert [each.kind for each in report.outcomes] == [OutcomeKind.DONE] * len(lends)
    calls = Counter((call.institution, call.path) for call in any_world.sandbox.calls)
    assert set(calls.values()) == {1}


async def test_a_day_of_waiting_lends_costs_each_library_a_bounded_number_of_calls(
    tmp_path: Path,
) -> None:
    """Lends in transit and lends on loan, followed by their own due times for 24 hours."""
    async with lab(tmp_path, socket=False) as at:
        books = [at.wanted() for _ in range(LENDS)]
        for book in books:
            await at.submit(book)
            await at.rest(book)
            at.lender.scan_in(book.barcode, "MAIN")
            await at.rest(book)
        for book in books[: LENDS // 2]:
            at.borrower.scan_in(book.barcode, "MAIN")
            at.borrower.loan(book.barcode, book.reader, "MAIN")
            assert (await at.rest(book)).status is S.LOANED
        at.sandbox.calls.reset()
        await _a_day(at)
        calls = Counter(call.institution for call in at.sandbox.calls)
        # Hourly in transit and six-hourly on loan, two reads each time, as jitter may have it.
        hourly, on_loan = LENDS - LENDS // 2, LENDS // 2
        assert calls["uni-b"] <= hourly * 28 * 2 + on_loan * 6 * 2
        assert calls["uni-a"] <= on_loan * 6 * 2
        assert min(calls.values()) > 0


async def _a_day(at: Lab) -> None:
    ends = at.clock.now() + timedelta(days=1)
    while at.clock.now() < ends:
        at.clock.advance(timedelta(minutes=30))
        await at.cycle()
