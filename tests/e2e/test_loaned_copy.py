"""A loan is made only of the copy that our hold names, and of another one when a person says so."""

from __future__ import annotations

import json
from datetime import timedelta

from reconciler.core.commands.command import Command, Order
from reconciler.core.status import DcbStatus, ThingKind
from reconciler.engine.hands import HandsReport
from tests.support.lab import Book, Lab

S = DcbStatus


async def placed(at: Lab) -> Book:
    book = at.wanted()
    await at.submit(book)
    await at.rest(book)
    return book


async def shipped_another_copy(at: Lab, book: Book) -> str:
    """Alma moves our hold to the second copy, and that is sent; its pid."""
    hold = at.lender.requests.get(str(at.stored(book).supplier.request_id))
    assert hold is not None
    copy = at.lender.add_item(book.line["item"]["holding_id"], f"{book.barcode}-2")
    at.lender.change(hold, item_pid=copy.pid)
    at.lender.scan_in(f"{book.barcode}-2", "MAIN")
    return copy.pid


async def retry(at: Lab, book: Book, *, accept_copy: bool = False) -> HandsReport:
    order = Order(Command.RETRY, "cli:ada", "because", at.clock.now(), accept_copy=accept_copy)
    return await at.app.hands.carry_out(order, [at.stored(book).id])


async def lent_to_reader_with_another_copy(at: Lab) -> tuple[Book, str]:
    book = await placed(at)
    second = await shipped_another_copy(at, book)
    at.borrower.scan_in(book.barcode, "MAIN")
    at.borrower.loan(book.barcode, book.reader, "MAIN")
    for _ in range(3):
        at.clock.advance(timedelta(minutes=2))
        await at.look(book)
    return book, second


def loans_at_lender(at: Lab) -> list[str]:
    return [loan.item_pid for loan in at.lender.loans.rows()]


async def test_no_loan_is_made_of_a_copy_that_our_hold_does_not_name(lab: Lab) -> None:
    book, second = await lent_to_reader_with_another_copy(lab)
    for _ in range(2):
        parked = lab.stored(book).parked
        assert parked is not None
        assert parked.reason == "item_mismatch"
        assert "--accept-copy" in lab.app.desk.explain(lab.stored(book).id)["staff"]
        await retry(lab, book)
        await lab.rest(book)
        for _ in range(2):
            lab.clock.advance(timedelta(minutes=2))
            await lab.look(book)
        assert loans_at_lender(lab) == []
    (done,) = (await retry(lab, book, accept_copy=True)).done
    assert done.told.startswith(f"goes on with copy {second}")
    assert any("has the first copy's barcode" in each for each in done.warnings)
    now = lab.stored(book)
    assert (now.supplier.item_pid, now.supplier.item_barcode) == (second, f"{book.barcode}-2")
    (hold,) = [
        each for each in now.things if each.kind is ThingKind.HOLD and each.role == "supplier"
    ]
    assert hold.item_pid == second
    first = book.line["item"]["item_pid"]
    assert any(
        row.startswith("observation ") and first in row and second in row
        for row in lab.history(book)
    )
    now = await lab.rest(book)
    assert (now.status, now.parked) == (S.LOANED, None), lab.history(book)
    assert loans_at_lender(lab) == [second]
    made = json.loads(lab.sandbox.calls.matching("POST", "/loans", "uni-a")[0].body)
    assert made["request_id"] == {"value": now.supplier.request_id}


async def test_there_is_no_other_copy_to_be_accepted(lab: Lab) -> None:
    book = await placed(lab)
    order = Order(Command.PARK, "cli:ada", "because", lab.clock.now())
    await lab.app.hands.carry_out(order, [lab.stored(book).id])
    (skipped,) = (await retry(lab, book, accept_copy=True)).skipped
    assert "bound to no other copy" in skipped.why
    lab.sandbox.faults.add("empty_503", institution="uni-a", times=None)
    (failed,) = (await retry(lab, book, accept_copy=True)).failed
    assert "uni-a: its " in failed.why
    assert "--unread" not in failed.why


async def test_a_hold_that_is_over_makes_a_loan_without_its_id(lab: Lab) -> None:
    """After the shelf time: the lender's hold is ended, and the reader gets the book after all."""
    book = await placed(lab)
    lab.lender.scan_in(book.barcode, "MAIN")
    await lab.rest(book)
    lab.lender.cancel_request(str(lab.stored(book).supplier.request_id))
    lab.borrower.scan_in(book.barcode, "MAIN")
    lab.borrower.loan(book.barcode, book.reader, "MAIN")
    assert (await lab.rest(book)).status is S.LOANED
    (made,) = lab.sandbox.calls.matching("POST", "/loans", "uni-a")
    assert "request_id" not in json.loads(made.body)
    assert loans_at_lender(lab) == [book.line["item"]["item_pid"]]
