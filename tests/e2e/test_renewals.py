"""Row 15: whoever of reader and pickup desk has the later date, it holds at all the libraries."""

from __future__ import annotations

import json
from collections import Counter
from datetime import datetime, timedelta
from typing import Any

import pytest

from reconciler.core.status import DcbStatus, IntentState
from reconciler.sandbox.records import Loan
from tests.support.lab import Book, Lab

S = DcbStatus
DAY = timedelta(days=1)
LONGER = 60 * DAY
CODES = {"supplier": "uni-a", "borrower": "uni-b", "pickup": "uni-c"}
DESKS = {"uni-a": "supplier", "uni-b": "borrower", "uni-c": "pickup"}
"""The role at whose desk the reader collects, by where that is."""


async def lent(at: Lab, pickup: str) -> Book:
    book = at.wanted(pickup=pickup)
    await at.submit(book)
    await at.rest(book)
    at.lender.scan_in(book.barcode, "MAIN")
    await at.rest(book)
    here, role = at.sandbox[pickup], DESKS[pickup]
    if pickup != "uni-a":
        here.scan_in(book.barcode, "MAIN")
        await at.rest(book)
    here.loan(book.barcode, str(getattr(at.stored(book), role).user_id), "MAIN")
    await at.rest(book)
    assert (await looked(at, book)) is S.LOANED, at.history(book)
    return book


async def looked(at: Lab, book: Book) -> DcbStatus:
    at.clock.advance(timedelta(hours=7))
    await at.look(book)
    return (await at.rest(book)).status


def loans(at: Lab, book: Book) -> dict[str, Loan]:
    """The active loan of each role's item."""
    legs = {role: getattr(at.stored(book), role) for role in CODES}
    return {
        role: loan
        for role, leg in legs.items()
        if leg is not None
        for loan in at.sandbox[CODES[role]].loans.rows()
        if loan.active and loan.item_pid == leg.item_pid
    }


def dates(at: Lab, book: Book) -> set[datetime]:
    return {loan.due_date.replace(second=0, microsecond=0) for loan in loans(at, book).values()}


def renewals(at: Lab) -> Counter[str]:
    """How often each library was asked for another due date."""
    puts = at.sandbox.calls.matching("PUT", "/loans/")
    return Counter(call.institution for call in puts if call.institution is not None)


WHO_RENEWS = [
    ("uni-b", "borrower", {"uni-a"}),
    ("uni-c", "borrower", {"uni-a", "uni-c"}),
    ("uni-c", "pickup", {"uni-a", "uni-b"}),
    ("uni-a", "borrower", {"uni-a"}),
    ("uni-a", "supplier", {"uni-b"}),
]
"""Where the book is collected, whose loan is renewed, and who follows."""


@pytest.mark.parametrize(("pickup", "renewed", "follow"), WHO_RENEWS)
async def test_whoever_renews_all_loans_follow_once(
    lab: Lab, pickup: str, renewed: str, follow: set[str]
) -> None:
    book = await lent(lab, pickup)
    if pickup != "uni-b":
        assert len(dates(lab, book)) == 1, "the first dates are one as well"
    before, loan = renewals(lab), loans(lab, book)[renewed]
    lab.sandbox[CODES[renewed]].change_due_date(loan.loan_id, loan.due_date + LONGER)
    for _ in range(3):
        assert await looked(lab, book) is S.LOANED
    assert dates(lab, book) == {(loan.due_date + LONGER).replace(second=0, microsecond=0)}
    assert renewals(lab) - before == Counter(follow)


@pytest.mark.parametrize("keeps", ["uni-a", "uni-c"])
async def test_a_library_that_keeps_an_earlier_date_is_not_asked_again_until_the_reader_renews(
    lab: Lab, keeps: str
) -> None:
    book = await lent(lab, "uni-c")
    own = loans(lab, book)
    (kept,) = [own[role] for role, code in CODES.items() if code == keeps]
    body = {"loan_id": kept.loan_id, "loan_status": "ACTIVE", "due_date": _text(kept.due_date)}
    _answers(lab, keeps, body)
    before = renewals(lab)
    home = own["borrower"]
    lab.borrower.change_due_date(home.loan_id, home.due_date + LONGER)
    for _ in range(4):
        await looked(lab, book)
        lab.clock.advance(DAY)
    assert (renewals(lab) - before)[keeps] == 1
    assert any(f"{keeps} keeps {kept.due_date.date()}" in row for row in lab.history(book))
    assert lab.stored(book).parked is None
    assert [each for each in lab.stored(book).intents if each.state is IntentState.REFUSED] == []
    lab.borrower.change_due_date(home.loan_id, home.due_date + 2 * LONGER)
    await looked(lab, book)
    assert (renewals(lab) - before)[keeps] == 2


async def test_a_date_that_alma_moves_to_its_closing_time_is_no_renewal(lab: Lab) -> None:
    """Else each library would push the other one for ever."""
    book = await lent(lab, "uni-c")
    home = loans(lab, book)["borrower"]
    lab.borrower.change_due_date(home.loan_id, home.due_date + LONGER)
    assert await looked(lab, book) is S.LOANED
    for role in ("pickup", "supplier"):
        loan = loans(lab, book)[role]
        later = loan.due_date + timedelta(hours=13)
        lab.sandbox[CODES[role]].change_due_date(loan.loan_id, later)
    before = renewals(lab)
    for _ in range(3):
        await looked(lab, book)
    assert renewals(lab) == before


def _text(at: datetime) -> str:
    return at.isoformat(timespec="seconds").replace("+00:00", "Z")


def _answers(lab: Lab, code: str, body: dict[str, Any]) -> None:
    """This library takes no later date, and says so by answering with the one that it keeps."""
    lab.sandbox.faults.add(
        "status",
        status=200,
        body=json.dumps(body),
        content_type="application/json",
        institution=code,
        method="PUT",
        path="/loans/",
        when="before",
        times=None,
    )
