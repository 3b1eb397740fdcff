"""Alma answers a write with 200 and an error in its body: it is looked at, and neither believed."""

from __future__ import annotations

from datetime import timedelta

from reconciler.core.status import DcbStatus, ThingKind, ThingState
from tests.support.lab import Book, Lab


async def placed(lab: Lab) -> Book:
    book = lab.wanted()
    await lab.submit(book)
    now = await lab.rest(book)
    assert now.status is DcbStatus.REQUEST_PLACED_AT_BORROWING_AGENCY
    return book


async def test_a_hold_that_is_called_unknown_is_not_taken_for_ended(lab: Lab) -> None:
    book = await placed(lab)
    before = lab.stored(book)
    assert before.borrower is not None
    fault = lab.sandbox.faults.add(
        "error", institution="uni-a", method="DELETE", path="/requests/", status=200, code="401697"
    )
    lab.borrower.patron_cancels(before.borrower.request_id or "")
    after = await lab.rest(book)
    assert fault.hits == 1
    (hold,) = [
        each
        for each in after.things
        if each.kind is ThingKind.HOLD and each.request_id == before.supplier.request_id
    ]
    assert hold.state is ThingState.GONE
    assert lab.counts(book) == {}, lab.history(book)


async def test_a_loan_that_was_made_is_taken_although_it_is_called_refused(lab: Lab) -> None:
    book = await placed(lab)
    fault = lab.sandbox.faults.add(
        "error",
        institution="uni-a",
        method="POST",
        path=r"/loans\?",
        when="after",
        status=200,
        code="401651",
    )
    lab.lender.scan_in(book.barcode, "MAIN")
    await lab.rest(book)
    lab.borrower.scan_in(book.barcode, "MAIN")
    await lab.rest(book)
    lab.borrower.loan(book.barcode, book.reader, "MAIN")
    lab.clock.advance(timedelta(minutes=2))
    await lab.look(book)
    assert fault.hits == 1
    after = await lab.rest(book)
    assert (after.status, after.parked) == (DcbStatus.LOANED, None), lab.history(book)
    assert after.supplier.loan_id is not None
    assert lab.lender_loans(book) == 1
