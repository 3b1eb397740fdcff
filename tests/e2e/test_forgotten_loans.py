"""Libraries let go of who had a book some days after it came back; a service that did not look
meanwhile must not take that for a book which nobody had."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.core.commands.command import Command, Order
from reconciler.core.model import Transaction, TransactionId
from reconciler.core.staff.advice import advice
from reconciler.core.staff.parking import STAFF_ADVICE, ParkReason
from reconciler.core.status import DcbStatus, Outcome, Role
from tests.support.lab import Book, Lab
from tests.support.lab import lab as make_lab

S = DcbStatus
Life = Callable[[Lab, Book], None]
SILENCE = timedelta(days=8)
"""Nobody looks for longer than a returned loan shows its reader (`loans_kept`, 7 days)."""


def _hold(lab: Lab, book: Book, role: Role) -> str:
    leg = lab.stored(book).leg(role)
    return (leg.request_id if leg else None) or ""


def lent_at_the_lenders(lab: Lab, book: Book) -> None:
    lab.lender.scan_in(book.barcode, "MAIN")
    lab.lender.loan(book.barcode, lab.stored(book).supplier.user_id or "", "MAIN")
    lab.lender.return_item(book.barcode, "MAIN")


def lent_at_home(lab: Lab, book: Book) -> None:
    """The lender's staff end its hold when the book is back: no loan of theirs had ended it."""
    lab.lender.scan_in(book.barcode, "MAIN")
    lab.borrower.scan_in(book.barcode, "MAIN")
    lab.borrower.loan(book.barcode, book.reader, "MAIN")
    lab.borrower.return_item(book.barcode, "MAIN")
    lab.lender.cancel_request(_hold(lab, book, Role.SUPPLIER))
    lab.lender.scan_in(book.barcode, "MAIN")


def cancelled_by_the_reader(lab: Lab, book: Book) -> None:
    lab.borrower.patron_cancels(_hold(lab, book, Role.BORROWER))


def refused_at_the_desk(lab: Lab, book: Book) -> None:
    lab.lender.cancel_request(_hold(lab, book, Role.SUPPLIER))


LIVES: dict[str, tuple[str, Life]] = {
    "lent at the lender's": ("uni-a", lent_at_the_lenders),
    "refused at the lender's": ("uni-a", refused_at_the_desk),
    "lent at home": ("uni-b", lent_at_home),
    "cancelled by the reader": ("uni-b", cancelled_by_the_reader),
}
EACH = pytest.mark.parametrize("life", LIVES)


async def after_silence(lab: Lab, life: str, *, forgotten: bool) -> tuple[Book, Transaction]:
    """Placed, looked at, and then not looked at while all that happened and was forgotten."""
    pickup, happens = LIVES[life]
    book = lab.wanted(pickup=pickup)
    await lab.submit(book)
    assert (await lab.rest(book)).status is S.REQUEST_PLACED_AT_BORROWING_AGENCY
    happens(lab, book)
    lab.clock.advance(SILENCE)
    if forgotten:
        lab.lender.anonymise(timedelta(days=7))
        lab.borrower.anonymise(timedelta(days=7))
    return book, await lab.rest(book)


@EACH
async def test_what_alma_has_forgotten_waits_for_a_person(lab: Lab, life: str) -> None:
    book, now = await after_silence(lab, life, forgotten=True)
    assert now.status is S.REQUEST_PLACED_AT_BORROWING_AGENCY, lab.history(book)
    assert now.parked is not None
    assert now.parked.reason == ParkReason.END_UNTOLD
    assert advice(now, lab.clock.now()).startswith(STAFF_ADVICE[ParkReason.END_UNTOLD])
    order = Order(Command.CLOSE, "staff", "it stands on its shelf", lab.clock.now())
    await lab.app.hands.carry_out(order, [TransactionId(book.id)])
    ended = await lab.rest(book)
    assert (ended.status, ended.outcome) == (S.FINALISED, Outcome.UNKNOWN), lab.history(book)
    assert lab.counts(book) == {}


async def test_what_alma_still_tells_is_believed_after_any_silence(lab: Lab) -> None:
    _, lent = await after_silence(lab, "lent at the lender's", forgotten=False)
    assert (lent.status, lent.outcome) == (S.FINALISED, Outcome.SUPPLIED)
    _, lent = await after_silence(lab, "lent at home", forgotten=False)
    assert lent.status is S.RETURN_TRANSIT, "its lender's item was never seen away"
    assert "reconciler close" in next(each.because for each in lent.considered)


@pytest.mark.parametrize(
    ("life", "end"),
    [
        ("refused at the lender's", Outcome.NOT_SUPPLIED),
        ("cancelled by the reader", Outcome.CANCELLED),
    ],
)
async def test_a_library_that_keeps_loans_for_longer_may_say_so(
    life: str, end: Outcome, tmp_path: Path
) -> None:
    async with make_lab(tmp_path, patience="1s", loans_kept="30d") as at:
        book, now = await after_silence(at, life, forgotten=True)
        assert now.parked is None
        assert now.outcome is end, at.history(book)
