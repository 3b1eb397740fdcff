"""Clearing what was made only just now, or found only late: both came out of the journeys."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.core.status import DcbStatus
from tests.support.lab import Lab, lab

LAG = 45.0
"""Seconds; below the lab's settle time."""


@pytest.fixture
async def late(tmp_path: Path) -> AsyncIterator[Lab]:
    """Almas whose reads show what was so 45 seconds ago."""
    async with lab(tmp_path, socket=False) as made:
        for at in (made.lender, made.borrower, made.third):
            at.read_lag = LAG
        yield made


async def test_what_is_not_shown_yet_is_not_taken_for_gone(late: Lab) -> None:
    """An expedited lend that was over before anybody looked: placed and cleared in one breath.

    Within the read lag Alma answers "not found" of what has just been made; that is no proof that
    it is gone. Journeys, seed 20261125, month 3, journey 18.
    """
    book = late.wanted(pickup="uni-a")
    late.clock.advance(timedelta(minutes=2))
    await late.submit(book)
    for _ in ("the virtual patron", "the lender's hold"):
        late.clock.advance(timedelta(minutes=20))
        await late.cycle()
    late.clock.advance(timedelta(hours=1))
    late.lender.scan_in(book.barcode, "MAIN")
    late.lender.loan(book.barcode, f"R{late.n:05d}", "MAIN")
    late.lender.return_item(book.barcode, "MAIN")
    late.clock.advance(timedelta(hours=8))
    now = await late.rest(book)
    assert now.status is DcbStatus.FINALISED
    assert late.counts(book) == {}


async def test_a_loan_that_is_found_late_ends_before_its_item_goes(tmp_path: Path) -> None:
    """The borrower's loan was made but not answered, and is found once clearing has begun.

    Its end is asked for after the removal of its item, but has to come first. Journeys, seed 1,
    month 3 of 100, journey 30.
    """
    async with lab(tmp_path, socket=False) as at:
        book = at.wanted(pickup="uni-c")
        await at.submit(book)
        await at.rest(book)
        at.lender.scan_in(book.barcode, "MAIN")
        await at.rest(book)
        at.third.scan_in(book.barcode, "MAIN")
        await at.rest(book)
        at.sandbox.faults.add(
            "error", institution="uni-b", method="POST", path="/loans", when="after"
        )
        at.third.loan(book.barcode, f"R{at.n:05d}", "MAIN")
        at.clock.advance(timedelta(hours=8))
        await at.cycle()
        at.third.return_item(book.barcode, "MAIN")
        at.lender.scan_in(book.barcode, "MAIN")
        for _ in range(6):
            at.clock.advance(timedelta(hours=8))
            await at.cycle()
        now = at.stored(book)
        assert now.status is DcbStatus.FINALISED, at.history(book)
        assert at.counts(book) == {}
