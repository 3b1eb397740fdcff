"""The table of true ends: what may happen on the way home, and while everything is cleared."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from reconciler.core.status import DcbStatus, Outcome, Role
from reconciler.sandbox.records import Bib
from tests.support.lab import Book, Lab
from tests.support.row import (
    Row,
    Tell,
    brought_to,
    desk,
    hold_of,
    item_at,
    lend_at_desk,
    loan_at,
    pickup_leg,
)

S = DcbStatus
DAY = timedelta(days=1)

WITH_TRANSPORT = pytest.mark.parametrize("workflow", ["RET-STD", "RET-PUA"])


# --- never scanned out -----------------------------------------------------------------


async def sent_unscanned(lab: Lab, workflow: str) -> Book:
    """Lent to the reader; the lender's Alma says “in place” all along and refuses its loan."""
    placed = {
        "RET-STD": S.REQUEST_PLACED_AT_BORROWING_AGENCY,
        "RET-PUA": S.REQUEST_PLACED_AT_PICKUP_AGENCY,
    }
    book = await brought_to(lab, placed[workflow], workflow)
    lab.lender.block_user(lab.stored(book).supplier.user_id or "")
    desk(lab, book).scan_in(book.barcode, "MAIN")
    await lab.rest(book)
    lend_at_desk(lab, book)
    now = await lab.rest(book, longest=timedelta(hours=2))
    assert (now.status, now.parked) == (S.LOANED, None), lab.history(book)
    assert lab.lender_loans(book) == 0
    assert item_at(lab.lender, book).on_shelf
    return book


@WITH_TRANSPORT
async def test_in_place_all_along_is_no_homecoming(lab: Lab, tell: Tell, workflow: str) -> None:
    book = await sent_unscanned(lab, workflow)
    given = f"{workflow} sent unscanned, the lender's loan refused; returned; scanned only later"
    with Row(lab, book, tell, given) as row:
        desk(lab, book).return_item(book.barcode, "MAIN")
        for _ in range(3):
            await row.looks(3)
            row.stands(S.RETURN_TRANSIT)
            lab.clock.advance(DAY)
        assert lab.counts(book)["borrower items"] == 1
        verdict, because = row.verdict("HandleBorrowerRequestReturnTransit")
        assert verdict == "waits", because
        assert "in place" in because
        assert "scan" in row.explain()["staff"]
        lab.lender.scan_in(book.barcode, "BRANCH")
        await row.looks(2)
        row.stands(S.RETURN_TRANSIT)
        lab.lender.scan_in(book.barcode, "MAIN")
        await row.looks(4)
        row.is_over(Outcome.SUPPLIED)


# --- collected after all ------------------------------------------------------------------


def shelf_time_runs_out(lab: Lab, book: Book) -> None:
    desk(lab, book).expire_hold_shelf(pickup_leg(lab.stored(book)).request_id or "")


def reader_cancels(lab: Lab, book: Book) -> None:
    desk(lab, book).patron_cancels(pickup_leg(lab.stored(book)).request_id or "")


@pytest.mark.parametrize(
    "why", [shelf_time_runs_out, reader_cancels], ids=lambda each: each.__name__
)
@WITH_TRANSPORT
async def test_the_reader_gets_the_book_after_all(
    lab: Lab, tell: Tell, workflow: str, why: Callable[[Lab, Book], None]
) -> None:
    book = await brought_to(lab, S.READY_FOR_PICKUP, workflow)
    why(lab, book)
    assert (await lab.rest(book)).status is S.AWAITING_RETURN_TO_SUPPLIER
    given = f"{workflow} AWAITING_RETURN ({why.__name__}); the reader gets the book after all"
    with Row(lab, book, tell, given) as row:
        loan = lend_at_desk(lab, book)
        await row.looks(4)
        row.stands(S.LOANED)
        assert row.rules()[-1] == "HandleCollectedAfterAll"
        assert pickup_leg(row.now).loan_id == loan.loan_id
        lent = loan_at(lab.lender, book)
        user = lab.lender.users.get(lent.user_key)
        assert user is not None
        assert user.primary_id == row.now.supplier.user_id
        row.reader_has_it()
        assert row.scanned_or_deleted() == []
        await row.comes_home()


async def test_a_loan_that_came_and_went_while_the_book_was_awaited(lab: Lab, tell: Tell) -> None:
    """The reader had it between two looks, and the lender has it again."""
    book = await brought_to(lab, S.READY_FOR_PICKUP)
    shelf_time_runs_out(lab, book)
    await lab.rest(book)
    given = "RET-STD AWAITING_RETURN; collected after all, seen as a loan, home unseen"
    with Row(lab, book, tell, given) as row:
        lend_at_desk(lab, book)
        await row.looks(3)
        row.stands(S.LOANED)
        lab.borrower.return_item(book.barcode, "MAIN")
        lab.lender.return_item(book.barcode, "MAIN")
        await row.looks(5)
        row.is_over(Outcome.SUPPLIED)


# --- home to somebody else ------------------------------------------------------------------


@pytest.mark.parametrize("seen", ["on his shelf", "on his loan", "on both"])
async def test_a_book_that_comes_home_to_a_local_reader(lab: Lab, tell: Tell, seen: str) -> None:
    book = await brought_to(lab, S.READY_FOR_PICKUP)
    shelf_time_runs_out(lab, book)
    await lab.rest(book)
    given = f"RET-STD AWAITING_RETURN; it comes home to a local reader, looked at {seen}"
    with Row(lab, book, tell, given) as row:
        lab.lender.add_user("local")
        lab.lender.place_hold("local", book.barcode, "MAIN")
        lab.lender.scan_in(book.barcode, "MAIN")
        assert item_at(lab.lender, book).process == "HOLDSHELF"
        if seen != "on his loan":
            await row.looks(1 if seen == "on both" else 4)
        lab.lender.loan(book.barcode, "local", "MAIN")
        await row.looks(5)
        now = row.now
        assert (now.status, now.outcome, now.parked) == (S.FINALISED, Outcome.CANCELLED, None), (
            lab.history(book)
        )
        assert lab.counts(book) == {}
    lab.lender.return_item(book.barcode, "MAIN")
    await the_next_request_is_placed(lab, book)


async def the_next_request_is_placed(lab: Lab, book: Book) -> None:
    """For the same book, by another reader of the same library."""
    following = lab.wanted()
    following.line["item"] = book.line["item"]
    await lab.submit(following)
    now = await lab.rest(following)
    assert (now.status, now.parked) == (S.REQUEST_PLACED_AT_BORROWING_AGENCY, None)


# --- holds that were placed anew while nobody looked ----------------------------------------


async def test_a_new_hold_of_the_lenders_does_not_catch_the_book_again(
    lab: Lab, tell: Tell
) -> None:
    """Placed anew on the way out; the reader cancels before we look, and our hold is ended."""
    book = await brought_to(lab, S.PICKUP_TRANSIT)
    given = "RET-STD PICKUP_TRANSIT; the lender re-issues our hold, the reader cancels; it is home"
    with Row(lab, book, tell, given) as row:
        new = lab.lender.reissue_request(hold_of(row.now, Role.SUPPLIER)).request_id
        lab.borrower.patron_cancels(hold_of(row.now, Role.BORROWER))
        await row.looks(4)
        row.stands(S.AWAITING_RETURN_TO_SUPPLIER)
        hold = lab.lender.requests.get(new)
        assert hold is not None
        assert not hold.open
        lab.lender.scan_in(book.barcode, "MAIN")
        assert item_at(lab.lender, book).on_shelf, "it was sent out again"
        await row.looks(4)
        row.is_over(Outcome.CANCELLED)


async def test_a_new_hold_of_the_reader_at_home_does_not_keep_our_records(
    lab: Lab, tell: Tell
) -> None:
    """Lent and returned elsewhere between two looks, his hold at home was never filled."""
    book = await brought_to(lab, S.READY_FOR_PICKUP, "RET-PUA")
    given = "RET-PUA READY; home re-issues the reader's hold; lent and returned unseen; it is home"
    with Row(lab, book, tell, given) as row:
        lab.borrower.reissue_request(hold_of(row.now, Role.BORROWER))
        lend_at_desk(lab, book)
        lab.third.return_item(book.barcode, "MAIN")
        await row.looks(3)
        row.stands(S.RETURN_TRANSIT)
        lab.lender.scan_in(book.barcode, "MAIN")
        await row.looks(5)
        row.is_over(Outcome.SUPPLIED)


# --- records that were merged ---------------------------------------------------------------


def merged(lab: Lab, book: Book) -> Bib:
    """Our virtual bib into the borrower's own, which has a copy of its own."""
    own = lab.borrower.add_book("The library's own", f"OWN-{book.barcode}", "MAIN", "STACKS")
    ours = item_at(lab.borrower, book).mms_id
    return lab.borrower.merge_bibs(own.mms_id, ours)


async def ends_supplied(lab: Lab, book: Book) -> None:
    """Everything but the look that finds the book at home."""
    lend_at_desk(lab, book)
    await lab.rest(book)
    lab.borrower.return_item(book.barcode, "MAIN")
    await lab.rest(book)
    lab.lender.return_item(book.barcode, "MAIN")


async def ends_cancelled(lab: Lab, book: Book) -> None:
    lab.borrower.patron_cancels(hold_of(lab.stored(book), Role.BORROWER))
    await lab.rest(book)
    lab.lender.scan_in(book.barcode, "MAIN")


ENDS = pytest.mark.parametrize(
    ("ends", "outcome"),
    [(ends_supplied, Outcome.SUPPLIED), (ends_cancelled, Outcome.CANCELLED)],
    ids=["supplied", "cancelled"],
)


@pytest.mark.parametrize(
    "when", ["on the hold shelf", "before clean-up", "before clean-up, strict"]
)
@ENDS
async def test_a_virtual_bib_that_was_merged_into_the_librarys_own(
    lab: Lab, tell: Tell, ends: Callable[[Lab, Book], Awaitable[None]], outcome: Outcome, when: str
) -> None:
    """`strict`: an Alma where the item is not found under its old bib."""
    book = await brought_to(lab, S.READY_FOR_PICKUP)
    with Row(lab, book, tell, f"RET-STD {outcome}; our bib merged into an own one {when}") as row:
        early = merged(lab, book) if when == "on the hold shelf" else None
        await ends(lab, book)
        bib = early or merged(lab, book)
        if "strict" in when:
            lab.borrower.dialect.update(item_path="strict")
        await row.looks(6)
        now = row.now
        assert (now.status, now.outcome, now.parked) == (S.FINALISED, outcome, None), lab.history(
            book
        )
        assert lab.borrower.items.find("barcode", book.barcode) == []
        own = own_is_untouched(row, bib)
        assert [each.holding_id for each in lab.borrower.holdings.find("bib", bib.mms_id)] == [own]
        assert any(bib.mms_id in (each.detail or "") for each in row.history()), lab.history(book)


def own_is_untouched(row: Row, bib: Bib) -> str:
    """The id of its own holding."""
    at = row.lab.borrower
    assert at.bibs.get(bib.mms_id) == bib
    deletes = [each for each in row.writes(institution="uni-b") if " DELETE " in each]
    assert [each for each in deletes if f"/bibs/{bib.mms_id}?" in each] == []
    assert [each for each in deletes if "bib=delete" in each] == []
    assert [each for each in deletes if "holdings=delete" in each] == []
    (own,) = at.items.find("barcode", f"OWN-{row.book.barcode}")
    return own.holding_id


@pytest.mark.parametrize("why", ["Alma refuses", "somebody's copy hangs there"])
@ENDS
async def test_a_holding_of_a_merged_bib_that_cannot_be_removed(
    lab: Lab, tell: Tell, ends: Callable[[Lab, Book], Awaitable[None]], outcome: Outcome, why: str
) -> None:
    book = await brought_to(lab, S.READY_FOR_PICKUP)
    given = f"RET-STD {outcome}; our bib merged into an own one, its holding stays: {why}"
    with Row(lab, book, tell, given) as row:
        bib = merged(lab, book)
        holding = item_at(lab.borrower, book).holding_id
        if why == "Alma refuses":
            lab.sandbox.faults.add(
                "error",
                code="60340",  # time does not cure it
                institution="uni-b",
                method="DELETE",
                path=rf"/holdings/{holding}\?",
                times=None,
            )
        else:
            lab.borrower.add_item(holding, "A-COPY-OF-THEIRS")
        await ends(lab, book)
        await row.looks(6)
        now = await row.looks(3, DAY)
        assert now.status in (S.COMPLETED, S.CANCELLED), lab.history(book)
        assert now.parked is not None
        assert lab.borrower.items.find("barcode", book.barcode) == []
        own_is_untouched(row, bib)
        assert lab.borrower.holdings.get(holding) is not None
