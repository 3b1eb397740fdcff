"""The table of true ends: what may happen while the reader has the book."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

import pytest

from reconciler.core.commands.command import Command
from reconciler.core.status import DcbStatus, Role, ThingKind
from reconciler.sandbox.payloads.renderer import Renderer
from reconciler.sandbox.view import View
from tests.support.lab import Book, Lab
from tests.support.row import Row, Tell, brought_to, desk, loan_at, pickup_leg

S = DcbStatus
DAY = timedelta(days=1)

WITH_TRANSPORT = pytest.mark.parametrize("workflow", ["RET-STD", "RET-PUA"])
EVERY_WORKFLOW = pytest.mark.parametrize("workflow", ["RET-STD", "RET-PUA", "RET-EXP"])


def mistaken_check_in(lab: Lab, book: Book) -> None:
    lab.lender.return_item(book.barcode, "BRANCH")


def lent_again_to_virtual_patron(lab: Lab, book: Book) -> str:
    user = lab.stored(book).supplier.user_id or ""
    return lab.lender.loan(book.barcode, user, "MAIN", override=True).loan_id


# --- the lender's loan ends by mistake -------------------------------------------


@WITH_TRANSPORT
async def test_one_look_at_a_check_in_by_mistake(lab: Lab, tell: Tell, workflow: str) -> None:
    book = await brought_to(lab, S.LOANED, workflow)
    given = f"{workflow} LOANED; the lender checks the book in at a branch; one look"
    with Row(lab, book, tell, given) as row:
        mistaken_check_in(lab, book)
        await row.looks(1)
        row.stands(S.LOANED)
        row.reader_has_it()
        assert row.writes() == []


@pytest.mark.parametrize("looks", [0, 1], ids=["before any look", "after a look"])
@WITH_TRANSPORT
async def test_a_check_in_by_mistake_that_is_corrected(
    lab: Lab, tell: Tell, workflow: str, looks: int
) -> None:
    book = await brought_to(lab, S.LOANED, workflow)
    given = f"{workflow} LOANED; a check-in by mistake is corrected, {looks} looks later"
    with Row(lab, book, tell, given) as row:
        old = row.now.supplier.loan_id or ""
        mistaken_check_in(lab, book)
        await row.looks(looks)
        new = lent_again_to_virtual_patron(lab, book)
        now = await row.looks(4)
        row.stands(S.LOANED)
        assert now.supplier.loan_id == new
        row.took_over(("loan",), old, new)
        assert row.ledger(ThingKind.LOAN, Role.SUPPLIER) == [new]
        row.reader_has_it()
        assert row.scanned_or_deleted() == []
        await row.comes_home()


@WITH_TRANSPORT
async def test_a_check_in_that_stands_is_a_homecoming(lab: Lab, tell: Tell, workflow: str) -> None:
    """The reader brought it to the lender: his own loan is closed first."""
    book = await brought_to(lab, S.LOANED, workflow)
    given = f"{workflow} LOANED; the reader brings the book to a branch of the lender; looks"
    with Row(lab, book, tell, given) as row:
        mistaken_check_in(lab, book)
        await row.looks(4)
        assert row.now.status is S.FINALISED, lab.history(book)
        assert lab.counts(book) == {}


# --- ends of loans that are no returns ---------------------------------------------


def paid_at(code: str) -> Callable[[Lab, Book], None]:
    def act(lab: Lab, book: Book) -> None:
        at = desk(lab, book) if code == "pickup" else lab.sandbox[code]
        at.mark_lost(book.barcode)
        at.pay_lost(book.barcode)

    return act


def withdrawn(lab: Lab, book: Book) -> None:
    lab.lender.withdraw_item(book.barcode)


@pytest.mark.parametrize(
    ("what", "act", "reason"),
    [
        ("paid as lost at the lender", paid_at("uni-a"), "item_lost"),
        ("paid as lost at the pickup library", paid_at("pickup"), "item_lost"),
        ("withdrawn by the lender", withdrawn, "item_absent"),
    ],
    ids=["paid at the lender", "paid at the pickup library", "withdrawn"],
)
@WITH_TRANSPORT
async def test_a_loan_that_ends_without_a_return(
    lab: Lab,
    tell: Tell,
    workflow: str,
    what: str,
    act: Callable[[Lab, Book], None],
    reason: str,
) -> None:
    book = await brought_to(lab, S.LOANED, workflow)
    with Row(lab, book, tell, f"{workflow} LOANED; {what}") as row:
        before = lab.counts(book)
        act(lab, book)
        await row.looks(4)
        row.waits_for_a_person(S.LOANED, reason)
        if not (workflow == "RET-STD" and "pickup" in what):
            row.reader_has_it()
        assert row.scanned_or_deleted() == []
        assert lab.counts(book) == before
        await row.looks(2, DAY)
        row.waits_for_a_person(S.LOANED, reason)
        assert row.scanned_or_deleted() == []


async def test_a_loan_of_an_expedited_lend_that_is_paid_for(lab: Lab, tell: Tell) -> None:
    book = await brought_to(lab, S.LOANED, "RET-EXP")
    with Row(lab, book, tell, "RET-EXP LOANED; paid as lost at the lender's desk") as row:
        paid_at("uni-a")(lab, book)
        await row.looks(4)
        row.waits_for_a_person(S.LOANED, "item_lost")
        row.reader_has_it()
        assert row.scanned_or_deleted() == []


# --- the same lend under a new loan id -----------------------------------------------


@EVERY_WORKFLOW
async def test_discharge_and_new_charge_at_the_pickup_desk(
    lab: Lab, tell: Tell, workflow: str
) -> None:
    book = await brought_to(lab, S.LOANED, workflow)
    given = f"{workflow} LOANED; discharged and charged again for the same reader; looks"
    with Row(lab, book, tell, given) as row:
        old = pickup_leg(row.now).loan_id or ""
        new = desk(lab, book).charge_again(book.barcode, "MAIN").loan_id
        now = await row.looks(3)
        row.stands(S.LOANED)
        assert pickup_leg(now).loan_id == new
        row.took_over(("loan",), old, new)
        assert row.scanned_or_deleted() == []
        row.reader_has_it()


@EVERY_WORKFLOW
async def test_what_follows_a_new_charge(lab: Lab, tell: Tell, workflow: str) -> None:
    """A later renewal is followed at all libraries; a later loss waits for a person."""
    book = await brought_to(lab, S.LOANED, workflow)
    given = f"{workflow} LOANED; charged again, later renewed, later lost"
    with Row(lab, book, tell, given) as row:
        desk(lab, book).charge_again(book.barcode, "MAIN")
        await row.looks(3)
        later = lab.clock.now().replace(second=0, microsecond=0) + 120 * DAY
        lab.borrower.change_due_date(loan_at(lab.borrower, book).loan_id, later)
        await row.looks(3)
        row.stands(S.LOANED)
        for at in {lab.lender.code, desk(lab, book).code}:
            assert loan_at(lab.sandbox[at], book).due_date == later, at
        desk(lab, book).mark_lost(book.barcode)
        await row.looks(3)
        row.waits_for_a_person(S.LOANED, "item_lost")
        assert row.scanned_or_deleted() == []


# --- due dates ---------------------------------------------------------------------


async def test_a_renewal_at_home_is_followed_by_lender_and_pickup_library(
    lab: Lab, tell: Tell
) -> None:
    book = await brought_to(lab, S.LOANED, "RET-PUA")
    with Row(lab, book, tell, "RET-PUA LOANED; the reader renews at home; looks") as row:
        await row.looks(2)
        lab.borrower.terms_of_group("UNDERGRAD").loan_days = 90  # later than any date so far
        row.watch()
        renewed = lab.borrower.renew(loan_at(lab.borrower, book).loan_id)
        await row.looks(3)
        row.stands(S.LOANED)
        assert loan_at(lab.lender, book).due_date == renewed.due_date
        assert loan_at(lab.third, book).due_date == renewed.due_date
        await row.looks(3, DAY)
        for code in ("uni-a", "uni-c"):
            assert len(row.writes("/loans/", code)) == 1, row.writes()
        assert row.writes(institution="uni-b") == []


@pytest.mark.parametrize("style", ["named_zone", "offset_and_z"])
async def test_a_due_date_that_nobody_can_read(lab: Lab, tell: Tell, style: str) -> None:
    book = await brought_to(lab, S.LOANED)
    with Row(lab, book, tell, f"RET-STD LOANED; renewed, the due date unreadable: {style}") as row:
        await row.looks(1)
        row.watch()
        before = loan_at(lab.lender, book)
        lab.borrower.dialect.update(due_date_style=style)
        renewed = lab.borrower.renew(loan_at(lab.borrower, book).loan_id)
        text = Renderer(View(lab.borrower)).due(renewed.due_date)
        await row.looks(3)
        row.waits_for_a_person(S.LOANED, "unreadable_date")
        assert text in json.dumps([lab.app.desk.show(row.now.id), row.explain()])
        assert loan_at(lab.lender, book) == before
        assert row.writes() == []
        lab.borrower.dialect.update(due_date_style="utc")
        await row.by_hand(Command.RETRY)
        await row.looks(3)
        row.stands(S.LOANED)
        assert loan_at(lab.lender, book).due_date == renewed.due_date
