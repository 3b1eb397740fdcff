"""The table of true ends: what may happen before the book has left the lender."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from reconciler.core.commands.command import Command
from reconciler.core.status import DcbStatus, Outcome, Role, ThingKind
from reconciler.sandbox import Institution
from tests.support.lab import Book, Lab
from tests.support.row import (
    PICKUP_AT,
    Row,
    Tell,
    brought_to,
    desk,
    hold_of,
    item_at,
    lend_at_desk,
)

S = DcbStatus

PLACED = {
    "RET-STD": S.REQUEST_PLACED_AT_BORROWING_AGENCY,
    "RET-PUA": S.REQUEST_PLACED_AT_PICKUP_AGENCY,
    "RET-EXP": S.REQUEST_PLACED_AT_BORROWING_AGENCY,
}
WITH_TRANSPORT = pytest.mark.parametrize("workflow", ["RET-STD", "RET-PUA"])
EVERY_WORKFLOW = pytest.mark.parametrize("workflow", PLACED)


# --- the lender's queue --------------------------------------------------------------


async def behind_a_local_reader(lab: Lab, workflow: str, queue: str) -> Book:
    """The lender's book in transit for its own reader, whose hold comes before ours."""
    lab.lender.add_user("ahead")
    if queue == "was there first":
        book = lab.wanted(pickup=PICKUP_AT[workflow])
        lab.lender.place_hold("ahead", book.barcode, "BRANCH")
        await lab.submit(book)
        await lab.rest(book)
        lab.lender.scan_in(book.barcode, "MAIN")
    else:
        book = await brought_to(lab, PLACED[workflow], workflow)
        his = lab.lender.place_hold("ahead", book.barcode, "BRANCH")
        lab.lender.scan_in(book.barcode, "MAIN", request_id=his.request_id)
    ours = lab.lender.requests.get(hold_of(lab.stored(book), Role.SUPPLIER))
    assert ours is not None
    assert (ours.status, item_at(lab.lender, book).process) == ("NOT_STARTED", "TRANSIT")
    return book


@pytest.mark.parametrize("queue", ["was there first", "is served first"])
@WITH_TRANSPORT
async def test_a_book_that_moves_for_a_local_reader(
    lab: Lab, tell: Tell, workflow: str, queue: str
) -> None:
    book = await behind_a_local_reader(lab, workflow, queue)
    given = f"{workflow} placed; a local reader {queue}, the item goes in transit for him"
    with Row(lab, book, tell, f"{given}; later it is our turn") as row:
        his_way: list[Callable[[], object]] = [
            lambda: None,
            lambda: lab.lender.scan_in(book.barcode, "BRANCH"),
            lambda: lab.lender.loan(book.barcode, "ahead", "BRANCH"),
        ]
        for happens in his_way:
            happens()
            await row.looks(3)
            row.stands(PLACED[workflow])
            assert item_at(desk(lab, book), book).on_shelf, "the virtual item was moved"
            assert row.writes() == []
        lab.lender.return_item(book.barcode, "MAIN")
        await row.looks(2)
        row.stands(S.PICKUP_TRANSIT)
        assert item_at(desk(lab, book), book).process == "TRANSIT"


@EVERY_WORKFLOW
async def test_our_hold_is_placed_anew_by_the_lenders_staff(
    lab: Lab, tell: Tell, workflow: str
) -> None:
    book = await brought_to(lab, PLACED[workflow], workflow)
    given = f"{workflow} placed; the lender's staff re-issue our hold; the reader cancels later"
    with Row(lab, book, tell, given) as row:
        old = hold_of(row.now, Role.SUPPLIER)
        new = lab.lender.reissue_request(old).request_id
        now = await row.looks(3)
        row.stands(PLACED[workflow])
        assert now.supplier.request_id == new
        row.took_over(("hold", "request"), old, new)
        assert row.ledger(ThingKind.HOLD, Role.SUPPLIER) == [new]
        assert row.writes() == []
        lab.borrower.patron_cancels(hold_of(now, Role.BORROWER))
        await row.looks(5)
        row.is_over(Outcome.CANCELLED)
        assert len(row.writes(f"/requests/{new}", "uni-a")) == 1
        assert row.writes(f"/requests/{old}", "uni-a") == []


@EVERY_WORKFLOW
async def test_a_hold_that_was_placed_anew_is_served(lab: Lab, tell: Tell, workflow: str) -> None:
    """At the lender and, of the reader's hold on our virtual item, at home."""
    book = await brought_to(lab, PLACED[workflow], workflow)
    given = f"{workflow} placed; lender and home re-issue both holds; the book is lent and returned"
    with Row(lab, book, tell, given) as row:
        olds = {role: hold_of(row.now, role) for role in (Role.SUPPLIER, Role.BORROWER)}
        news = {
            Role.SUPPLIER: lab.lender.reissue_request(olds[Role.SUPPLIER]).request_id,
            Role.BORROWER: lab.borrower.reissue_request(olds[Role.BORROWER]).request_id,
        }
        await row.looks(3)
        row.stands(PLACED[workflow])
        for role, new in news.items():
            assert hold_of(row.now, role) == new
            row.took_over(("hold", "request"), olds[role], new)
        lab.lender.scan_in(book.barcode, "MAIN")
        await row.looks(2)
        if workflow != "RET-EXP":
            row.stands(S.PICKUP_TRANSIT)
            desk(lab, book).scan_in(book.barcode, "MAIN")
            await row.looks(2)
        lend_at_desk(lab, book)
        await row.looks(3)
        row.stands(S.LOANED)
        await row.comes_home()


# --- refused -------------------------------------------------------------------------


def walk_in(at: Institution, book: Book) -> None:
    at.loan(book.barcode, "local", "MAIN")


def repair(at: Institution, book: Book) -> None:
    at.work_order(book.barcode)


def next_in_queue(at: Institution, book: Book) -> None:
    at.place_hold("local", book.barcode, "MAIN")
    at.scan_in(book.barcode, "MAIN")


@pytest.mark.parametrize("act", [walk_in, repair, next_in_queue], ids=lambda each: each.__name__)
@WITH_TRANSPORT
async def test_a_copy_that_goes_to_somebody_else_and_our_hold_is_cancelled(
    lab: Lab, tell: Tell, workflow: str, act: Callable[[Institution, Book], None]
) -> None:
    book = await brought_to(lab, PLACED[workflow], workflow)
    given = f"{workflow} placed; the lender cancels our hold, the copy: {act.__name__}; two looks"
    with Row(lab, book, tell, given) as row:
        lab.lender.add_user("local")
        lab.lender.cancel_request(hold_of(row.now, Role.SUPPLIER))
        act(lab.lender, book)
        await row.looks(1)
        row.stands(PLACED[workflow])
        now = await row.looks(1)
        row.stands(S.NOT_SUPPLIED_CURRENT_SUPPLIER)
        assert now.outcome is Outcome.NOT_SUPPLIED
        await row.looks(3)
        row.stands(S.NOT_SUPPLIED_CURRENT_SUPPLIER)
        assert lab.counts(book) == {}
    if workflow == "RET-STD":
        await another_lender_is_asked(lab, book)


async def another_lender_is_asked(lab: Lab, book: Book) -> None:
    copy = lab.third.add_book("Another copy", f"C-{book.barcode}", "MAIN", "STACKS")
    item: dict[str, Any] = {
        "host_lms": "uni-c",
        "mms_id": copy.mms_id,
        "holding_id": copy.holding_id,
        "item_pid": copy.pid,
        "title": "Another copy",
    }
    report = await lab.app.submit([json.dumps({**book.line, "item": item}).encode()], "test")
    assert report.accepted == [book.id], report.refused
    now = await lab.rest(book)
    assert (now.status, now.parked) == (S.REQUEST_PLACED_AT_BORROWING_AGENCY, None)
    assert now.supplier.host_lms == "uni-c"


async def test_a_hold_that_is_cancelled_while_the_copy_is_on_loan(lab: Lab, tell: Tell) -> None:
    """The same in the other order: first the loan, past our hold, then the cancelling."""
    book = await brought_to(lab, PLACED["RET-STD"])
    given = "RET-STD placed; lent to a walk-in past our hold, which is cancelled later"
    with Row(lab, book, tell, given) as row:
        lab.lender.add_user("local")
        lab.lender.loan(book.barcode, "local", "MAIN", override=True)
        await row.looks(3)
        row.stands(PLACED["RET-STD"])
        lab.lender.cancel_request(hold_of(row.now, Role.SUPPLIER))
        await row.looks(1)
        row.stands(PLACED["RET-STD"])
        await row.looks(1)
        row.stands(S.NOT_SUPPLIED_CURRENT_SUPPLIER)


# --- never collected at the lender's desk ----------------------------------------------


@pytest.mark.parametrize("why", ["the shelf time runs out", "the reader cancels at home"])
async def test_expedited_and_never_collected(lab: Lab, tell: Tell, why: str) -> None:
    book = await brought_to(lab, PLACED["RET-EXP"], "RET-EXP")
    lab.lender.scan_in(book.barcode, "MAIN")
    await lab.rest(book)
    with Row(lab, book, tell, f"RET-EXP on the lender's hold shelf; {why}; looks") as row:
        if "shelf time" in why:
            lab.lender.expire_hold_shelf(hold_of(row.now, Role.SUPPLIER))
        else:
            lab.borrower.patron_cancels(hold_of(row.now, Role.BORROWER))
        await row.looks(5)
        row.is_over(Outcome.CANCELLED)
        assert "CancelledPatronRequest" in row.rules()
        assert "HandleSupplierRequestCancelled" not in row.rules()


# --- our virtual item is deleted ---------------------------------------------------------


@WITH_TRANSPORT
async def test_a_virtual_item_that_a_cataloguer_deletes(
    lab: Lab, tell: Tell, workflow: str
) -> None:
    book = await brought_to(lab, PLACED[workflow], workflow)
    given = f"{workflow} placed; a cataloguer deletes our virtual item; looks, retry, looks"
    with Row(lab, book, tell, given) as row:
        at = desk(lab, book)
        at.withdraw_item(book.barcode)
        await row.looks(4)
        row.waits_for_a_person(PLACED[workflow], "virtual_item_absent")
        staff = row.explain()["staff"]
        assert "virtual" in staff, staff
        assert "send" not in staff, staff
        assert "book by its barcode" not in staff, staff
        assert row.writes() == []
        await row.by_hand(Command.RETRY)
        now = await row.looks(5)
        assert now.status is PLACED[workflow]
        if now.parked is None:
            item, hold = item_at(at, book), at.requests.get(_pickup_hold(row))
            assert item.on_shelf
            assert hold is not None
            assert (hold.open, hold.item_pid) == (True, item.pid)
            return
        row.waits_for_a_person(PLACED[workflow], "virtual_item_absent")
        assert "send" not in row.explain()["staff"]
        await row.by_hand(Command.CLOSE)
        await row.looks(4)
        row.is_over(Outcome.CANCELLED)


def _pickup_hold(row: Row) -> str:
    return hold_of(row.now, Role.PICKUP if row.now.workflow == "RET-PUA" else Role.BORROWER)
