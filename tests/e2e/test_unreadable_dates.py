"""A date that is there and cannot be read: shown with Alma's text, and nothing is concluded.

Neither "no limit" nor "not due" (workflow.md §2); what depends on it waits until it can be read.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from reconciler.core.model import Transaction
from reconciler.core.staff.advice import advice
from reconciler.core.staff.parking import STAFF_ADVICE, ParkReason
from reconciler.core.status import DcbStatus, EffectKind, IntentState, Outcome, Role
from tests.e2e.test_attention import retried
from tests.e2e.test_paths import at_status, cleared, intents, placed, readers_loan, request_of
from tests.support.lab import Book, Lab
from tests.support.world import World

S = DcbStatus
DAY = timedelta(days=1)
ZONE = "2026-12-20 23:59:59 Europe/Berlin"
TWO_OFFSETS = "2026-12-20T23:59:59+00:00Z"
ODD = pytest.mark.parametrize("odd", [ZONE, TWO_OFFSETS])


def says(lab: Lab, code: str, field: str, odd: str, path: str = "/loans") -> None:
    """From now on this library writes a date so."""
    lab.sandbox.faults.add(
        "set_field", institution=code, path=path, times=None, field=field, value=odd
    )


def waits_for_a_person(now: Transaction, odd: str) -> None:
    assert now.parked is not None
    assert now.parked.reason == ParkReason.UNREADABLE_DATE
    assert f"“{odd}”" in now.parked.detail


def renewals(lab: Lab, book: Book) -> list[Any]:
    return intents(lab, book, EffectKind.RENEWED)


def due_dates_sent(lab: Lab, code: str) -> list[Any]:
    return lab.sandbox.calls.matching("PUT", "/loans/", code)


# --- due dates --------------------------------------------------------------------


@ODD
async def test_a_renewal_until_a_date_that_cannot_be_read(lab: Lab, odd: str) -> None:
    """What was known stays known, nothing is carried over, and it is, once the date is readable."""
    book = await at_status(lab, S.LOANED)
    loan = readers_loan(lab, book)
    asked_before, sent_before = len(renewals(lab, book)), len(due_dates_sent(lab, "uni-a"))
    lenders_date = lab.stored(book).supplier.loan_due_at
    later = loan.loan_due_at + 60 * DAY
    lab.borrower.change_due_date(loan.loan_id, later)
    says(lab, "uni-b", "due_date", odd)
    for _ in range(3):
        lab.clock.advance(timedelta(hours=2))
        now = await lab.look(book)
    waits_for_a_person(now, odd)
    assert now.status is S.LOANED
    assert STAFF_ADVICE[ParkReason.UNREADABLE_DATE] in advice(now, lab.clock.now())
    assert readers_loan(lab, book).loan_due_at == loan.loan_due_at
    assert now.supplier.loan_due_at == lenders_date
    (rule,) = [each for each in now.considered if each.rule == "SupplierRenewal"]
    assert (rule.verdict, odd in rule.because) == ("waits", True)
    assert len(renewals(lab, book)) == asked_before
    await retried(lab, book)
    now = await lab.rest(book)
    waits_for_a_person(now, odd)
    assert len(due_dates_sent(lab, "uni-a")) == sent_before
    lab.sandbox.faults.clear()
    await retried(lab, book)
    assert (await lab.rest(book)).supplier.loan_due_at == later
    assert len(due_dates_sent(lab, "uni-a")) == sent_before + 1


@ODD
async def test_a_loan_whose_due_date_never_could_be_read_comes_home(lab: Lab, odd: str) -> None:
    book = await at_status(lab, S.READY_FOR_PICKUP)
    says(lab, "uni-b", "due_date", odd)
    lab.borrower.loan(book.barcode, book.reader, "MAIN")
    now = await lab.rest(book)
    waits_for_a_person(now, odd)
    assert now.status is S.LOANED, "the reader has the book, whenever it is due"
    assert now.borrower is not None
    assert now.borrower.loan_due_at is None
    await lab.rest(book)
    assert lab.lender_loans(book) == 1, "only due dates wait for a date"
    assert (renewals(lab, book), due_dates_sent(lab, "uni-a")) == ([], [])
    lab.borrower.return_item(book.barcode, "MAIN")
    assert (await lab.rest(book)).status is S.RETURN_TRANSIT, "of a loan that is over it is nothing"
    lab.lender.scan_in(book.barcode, "MAIN")
    await lab.rest(book)
    after = await lab.rest(book)
    assert (after.status, after.outcome) == (S.FINALISED, Outcome.SUPPLIED)
    cleared(lab, book)


@ODD
async def test_a_lenders_date_that_cannot_be_read_is_not_written_over(lab: Lab, odd: str) -> None:
    """It may be later than the reader's."""
    book = await at_status(lab, S.LOANED)
    loan = readers_loan(lab, book)
    asked, sent = len(renewals(lab, book)), len(due_dates_sent(lab, "uni-a"))
    says(lab, "uni-a", "due_date", odd)
    later = loan.loan_due_at + 60 * DAY
    lab.borrower.change_due_date(loan.loan_id, later)
    now = await lab.rest(book)
    waits_for_a_person(now, odd)
    assert (len(renewals(lab, book)), len(due_dates_sent(lab, "uni-a"))) == (asked, sent)
    lab.sandbox.faults.clear()
    await retried(lab, book)
    assert (await lab.rest(book)).supplier.loan_due_at == later


@ODD
async def test_the_effect_itself_does_not_write_over_it_either(lab: Lab, odd: str) -> None:
    """Asked for while the lender's date could be read, and tried again when it cannot: also when a
    person has said `retry` to it."""
    book = await at_status(lab, S.LOANED)
    loan = readers_loan(lab, book)
    lab.sandbox.faults.add("error", code="401822", institution="uni-a", method="PUT", path="/loans")
    later = loan.loan_due_at + 60 * DAY
    lab.borrower.change_due_date(loan.loan_id, later)
    lab.clock.advance(timedelta(minutes=2))
    await lab.look(book)
    refused, sent = renewals(lab, book)[-1], len(due_dates_sent(lab, "uni-a"))
    assert (refused.state, refused.last_code) == (IntentState.REFUSED, "401822")
    says(lab, "uni-a", "due_date", odd)
    lab.clock.advance(refused.next_attempt_at - lab.clock.now())
    await lab.cycle()
    waits_for_a_person(lab.stored(book), odd)
    await retried(lab, book)
    now = await lab.rest(book)
    waits_for_a_person(now, odd)
    assert renewals(lab, book)[-1].state is not IntentState.DONE
    assert len(due_dates_sent(lab, "uni-a")) == sent
    lab.sandbox.faults.clear()
    await retried(lab, book)
    assert (await lab.rest(book)).supplier.loan_due_at == later


# --- when a loan or a request began ------------------------------------------------


@ODD
async def test_nobodys_loan_is_not_no_loan(lab: Lab, odd: str) -> None:
    """Whether the loan is this lend's cannot be told, so neither can that there was none: the
    request is not called cancelled when the book is back."""
    book = await at_status(lab, S.READY_FOR_PICKUP)
    says(lab, "uni-b", "loan_date", odd)
    lab.borrower.loan(book.barcode, book.reader, "MAIN")
    now = await lab.rest(book)
    waits_for_a_person(now, odd)
    assert now.status is S.READY_FOR_PICKUP
    lab.borrower.return_item(book.barcode, "MAIN")
    for _ in range(4):
        lab.clock.advance(timedelta(hours=6))
        now = await lab.look(book)
        assert (now.status, now.outcome) == (S.READY_FOR_PICKUP, None)
    lab.sandbox.faults.clear()
    await retried(lab, book)
    assert (await lab.rest(book)).status is S.RETURN_TRANSIT
    lab.lender.scan_in(book.barcode, "MAIN")
    assert (await lab.rest(book)).outcome is Outcome.SUPPLIED


@ODD
async def test_a_loan_that_is_known_by_its_id_goes_on(lab: Lab, odd: str) -> None:
    book = await at_status(lab, S.LOANED)
    says(lab, "uni-b", "loan_date", odd, path=r"/users/[^/]+/loans/")
    now = await lab.look(book)
    waits_for_a_person(now, odd)
    lab.borrower.return_item(book.barcode, "MAIN")
    assert (await lab.look(book)).status is S.RETURN_TRANSIT


async def test_a_request_without_a_date_that_can_be_read(lab: Lab) -> None:
    book = await placed(lab)
    known = lab.stored(book).supplier.request_placed_at
    says(lab, "uni-a", "request_time", ZONE, "/requests")
    now = await lab.look(book)
    assert now.parked is None, "the day is told as well, and is enough"
    lab.sandbox.faults.clear()
    answer = lab.lender.requests.get(request_of(now, Role.SUPPLIER))
    assert answer is not None
    body = (
        f'{{"request_id":"{answer.request_id}","request_status":"IN_PROCESS",'
        f'"request_time":"{ZONE}","request_date":"someday"}}'
    )
    lab.sandbox.faults.add("status", institution="uni-a", path=r"/requests/\d", times=None,
                           status=200, body=body, content_type="application/json")  # fmt: skip
    now = await lab.look(book)
    waits_for_a_person(now, ZONE)
    assert now.supplier.request_placed_at is not None
    assert known is not None


# --- expiry dates ------------------------------------------------------------------


@ODD
async def test_a_virtual_patron_whose_end_cannot_be_read_is_neither_used_nor_extended(
    lab: Lab, odd: str
) -> None:
    first = await placed(lab)
    book = lab.wanted(patron=first.line["patron"])
    await lab.submit(book)
    says(lab, "uni-a", "expiry_date", odd, "/users/DCB-[^/]*$|/users/DCB-[^/]*\\?")
    now = await lab.rest(book)
    waits_for_a_person(now, odd)
    assert (now.status, now.supplier.request_id) == (S.RESOLVED, None)
    assert lab.sandbox.calls.matching("PUT", "/users/", "uni-a") == []
    lab.sandbox.faults.clear()
    await retried(lab, book)
    assert (await lab.rest(book)).status is S.REQUEST_PLACED_AT_BORROWING_AGENCY


# --- as people see it --------------------------------------------------------------


@ODD
def test_show_and_explain_have_almas_text(world: World, odd: str) -> None:
    lend = world.placed()
    world.track(lend)
    for act in (world.send, world.shelve):
        act(lend)
        world.once()
    world.sandbox.faults.add("set_field", institution="uni-b", path="/loans", times=None,
                             field="due_date", value=odd)  # fmt: skip
    world.borrow(lend)
    world.once(check=3)
    world.once()
    shown = world.show(lend.id)
    assert shown["status"] == "LOANED"
    assert shown["parked"]["reason"] == "unreadable_date"
    assert odd in shown["parked"]["detail"]
    assert shown["borrower"]["due_at"] is None
    explained = world.run("explain", lend.id, "-o", "json").json
    (rule,) = [each for each in explained["rules"] if each["rule"] == "SupplierRenewal"]
    assert rule["verdict"] == "waits"
    assert odd in rule["because"]
    assert "correct the date" in explained["staff"]
    assert odd in world.run("explain", lend.id).out
