"""One copy goes out twice to the same virtual patron, and Alma shows a request's date only."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from reconciler.core.model import Transaction, TransactionId
from reconciler.core.staff.parking import ParkReason
from reconciler.core.status import DcbStatus, LoanState, Outcome, Resource, Role
from reconciler.engine.desk import Statement
from tests.support.lab import Book, Lab
from tests.support.lab import lab as make_lab

S = DcbStatus
ITEM_KEY = ("mms_id", "holding_id", "item_pid")


@pytest.fixture(params=["sqlite", "postgres"])
async def lab(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Lab]:
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    async with make_lab(tmp_path, patience="1s", database_url=url) as made:
        for code in ("uni-a", "uni-b", "uni-c"):
            made.sandbox[code].dialect.update(request_times=False)
        yield made


async def lent(lab: Lab, book: Book) -> Transaction:
    await lab.submit(book)
    await lab.rest(book)
    lab.lender.scan_in(book.barcode, "MAIN")
    await lab.rest(book)
    lab.borrower.scan_in(book.barcode, "MAIN")
    await lab.rest(book)
    lab.borrower.loan(book.barcode, book.reader, "MAIN")
    return await lab.rest(book)


async def brought_home(lab: Lab, book: Book) -> Transaction:
    lab.borrower.return_item(book.barcode, "MAIN")
    await lab.rest(book)
    lab.lender.scan_in(book.barcode, "MAIN")
    return await lab.rest(book)


def again(book: Book) -> Book:
    id = f"{book.id}-again"
    return replace(book, id=id, line={**book.line, "id": id})


async def test_the_loan_of_an_earlier_lend_is_not_taken_for_the_next_ones(lab: Lab) -> None:
    first = lab.wanted()
    one = await lent(lab, first)
    assert (await brought_home(lab, first)).status is S.FINALISED
    second = again(first)
    other = await lent(lab, second)
    history = lab.history(second)
    assert (other.status, other.parked) == (S.LOANED, None), history
    assert one.supplier.user_id == other.supplier.user_id, "the same virtual patron"
    assert other.supplier.request_placed_at is not None
    assert one.created_at > other.supplier.request_placed_at, "a date tells them not apart"
    assert other.supplier.loan_id not in (None, one.supplier.loan_id), history
    assert lab.lender_loans(second) == 2
    ended = await brought_home(lab, second)
    assert (ended.status, ended.outcome) == (S.FINALISED, Outcome.SUPPLIED), lab.history(second)


async def test_a_lend_that_was_only_placed_is_not_filled_by_an_earlier_loan(lab: Lab) -> None:
    """The hold of the second one is cancelled by the lender, and that is how it is understood."""
    first = lab.wanted()
    await lent(lab, first)
    await brought_home(lab, first)
    second = again(first)
    await lab.submit(second)
    placed = await lab.rest(second)
    assert placed.status is S.REQUEST_PLACED_AT_BORROWING_AGENCY
    lab.lender.cancel_request(placed.supplier.request_id or "")
    after = await lab.rest(second)
    assert (after.status, after.outcome) == (
        S.NOT_SUPPLIED_CURRENT_SUPPLIER,
        Outcome.NOT_SUPPLIED,
    ), lab.history(second)


async def test_a_hold_of_unknown_end_was_not_filled_by_the_loan_of_another_lend(lab: Lab) -> None:
    """It is tracked while the book is out for the first one, so nothing stood against it. (What
    comes after its hold waits: the first one's virtual item has the barcode.)"""
    first = lab.wanted()
    await lent(lab, first)
    second = again(first)
    lost = lab.sandbox.faults.add(
        "reset", institution="uni-a", method="POST", path=r"/requests\?", when="before"
    )
    line = {**second.line, "status": "RESOLVED", "workflow": "RET-STD"}
    line |= {"supplier": {"host_lms": "uni-a"}, "borrower": {"host_lms": "uni-b"}}
    line["supplier"] |= {each: second.line["item"][each] for each in ITEM_KEY}
    line["borrower"]["user_id"] = second.reader
    assert lab.app.desk.track([json.dumps(line).encode()], "test").refused == []
    placed = await lab.rest(second)
    assert lost.hits == 1
    assert placed.supplier.request_id is not None, lab.history(second)


async def test_a_loan_that_another_lend_still_has_is_not_this_ones(lab: Lab) -> None:
    """The lender's staff never checked the book in, and sent it out again."""
    first = lab.wanted()
    held = (await lent(lab, first)).supplier
    hold = lab.lender.place_hold(held.user_id or "", first.barcode, "RES_OUT")
    second = again(first)
    supplier = {
        "host_lms": "uni-a",
        "user_id": held.user_id,
        "request_id": hold.request_id,
        "mms_id": held.mms_id,
        "holding_id": held.holding_id,
        "item_pid": held.item_pid,
        "item_barcode": first.barcode,
    }
    line = {"id": second.id, "workflow": "RET-STD", "status": "READY_FOR_PICKUP"}
    line |= {"supplier": supplier, "borrower": {"host_lms": "ext"}}
    lab.app.desk.track([json.dumps(line).encode()], "test")
    collected = Statement(Role.BORROWER, {Resource.LOAN: LoanState.ACTIVE}, "they rang")
    lab.app.desk.evidence(TransactionId(second.id), collected, "test")
    after = await lab.look(second)
    history = lab.history(second)
    assert after.status is S.LOANED, history
    assert after.parked is not None, history
    assert after.parked.reason == ParkReason.ON_LOAN_TO_OTHER
    assert "another lend" in after.parked.detail
    assert after.supplier.loan_id is None
    assert lab.stored(first).supplier.loan_id == held.loan_id
    assert lab.lender_loans(first) == 1
