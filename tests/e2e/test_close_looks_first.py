"""`close` acts on what is so now: it looks first, and says what has happened meanwhile."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.core.commands.command import Command, Order
from reconciler.core.status import DcbStatus, Outcome
from reconciler.engine.hands import HandsReport
from tests.support.lab import Book, Lab
from tests.support.lab import lab as make_lab
from tests.support.world import World

S = DcbStatus


@pytest.fixture(params=["sqlite", "postgres"])
async def any_lab(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Lab]:
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    async with make_lab(tmp_path, patience="1s", database_url=url) as made:
        yield made


async def placed(at: Lab, pickup: str = "uni-b") -> Book:
    book = at.wanted(pickup=pickup)
    await at.submit(book)
    await at.rest(book)
    return book


async def close(at: Lab, book: Book, *, unread: bool = False) -> HandsReport:
    order = Order(Command.CLOSE, "cli:ada", "because", at.clock.now(), unread=unread)
    return await at.app.hands.carry_out(order, [at.stored(book).id])


def hold_is_open(at: Lab, book: Book) -> bool:
    mark = f"[DCB:{book.id}]"
    (hold,) = [each for each in at.lender.requests.rows() if mark in (each.comment or "")]
    return hold.open


def send(at: Lab, book: Book) -> None:
    at.lender.scan_in(book.barcode, "MAIN")


def send_and_shelve(at: Lab, book: Book) -> None:
    send(at, book)
    at.borrower.scan_in(book.barcode, "MAIN")


def hand_out(at: Lab, book: Book) -> None:
    send_and_shelve(at, book)
    at.borrower.loan(book.barcode, book.reader, "MAIN")


@pytest.mark.parametrize("act", [send, send_and_shelve], ids=lambda each: each.__name__)
async def test_a_book_that_left_since_our_last_look_comes_home_first(
    any_lab: Lab, act: Callable[[Lab, Book], None]
) -> None:
    lab = any_lab
    book = await placed(lab)
    act(lab, book)
    (done,) = (await close(lab, book)).done
    assert "the book has left meanwhile: REQUEST_PLACED_AT_BORROWING_AGENCY" in done.told
    assert done.told.endswith(S.AWAITING_RETURN_TO_SUPPLIER)
    assert "close it again" in done.warnings[-1]
    now = await lab.rest(book)
    assert (now.status, now.outcome) == (S.AWAITING_RETURN_TO_SUPPLIER, None)
    assert not hold_is_open(lab, book), "else it would send the book out again"
    assert lab.counts(book)["borrower items"] == 1, "the virtual records stay"
    assert lab.sandbox.calls.matching("DELETE", "/items/") == []
    (done,) = (await close(lab, book)).done
    assert done.told == f"{S.AWAITING_RETURN_TO_SUPPLIER} → {S.CANCELLED}"
    assert (await lab.rest(book)).status is S.FINALISED
    assert lab.stored(book).outcome is Outcome.CANCELLED


async def test_a_reader_who_got_the_book_meanwhile_keeps_it(lab: Lab) -> None:
    book = await placed(lab)
    hand_out(lab, book)
    (done,) = (await close(lab, book)).done
    assert "the book has left meanwhile" in done.told
    assert "with the reader" in done.told
    now = await lab.rest(book)
    assert now.status is S.LOANED
    assert [loan.active for loan in lab.borrower.loans.rows()] == [True]
    (done,) = (await close(lab, book)).done
    assert done.told == f"{S.LOANED} → {S.COMPLETED}"


async def test_what_stands_as_it_was_known_is_ended_at_once(lab: Lab) -> None:
    book = await placed(lab)
    looked = lab.stored(book).last_poll_at
    lab.clock.advance(timedelta(minutes=5))
    calls = len(lab.sandbox.calls)
    (done,) = (await close(lab, book)).done
    assert done.told == f"{S.REQUEST_PLACED_AT_BORROWING_AGENCY} → {S.CANCELLED}"
    assert lab.stored(book).last_poll_at != looked, "it has looked"
    assert {call.method for call in list(lab.sandbox.calls)[calls:]} == {"GET"}


async def test_what_ended_by_itself_meanwhile_is_told(lab: Lab) -> None:
    book = await placed(lab)
    lab.borrower.patron_cancels(str(lab.stored(book).borrower.request_id))  # type: ignore[union-attr]
    await lab.look(book)
    lab.clock.advance(timedelta(minutes=5))
    (done,) = (await close(lab, book)).done
    assert (
        done.told == f"meanwhile: {S.REQUEST_PLACED_AT_BORROWING_AGENCY} → {S.CANCELLED}, by itself"
    )
    assert (await lab.rest(book)).status is S.FINALISED


@pytest.mark.parametrize("at", ["uni-a", "uni-b"])
async def test_where_a_library_cannot_be_read_nothing_is_ended_until_a_person_says_so(
    any_lab: Lab, at: str
) -> None:
    lab = any_lab
    book = await placed(lab)
    lab.sandbox.faults.add("empty_503", institution=at, times=None)
    (failed,) = (await close(lab, book)).failed
    assert f"{at}: its " in failed.why
    assert "--unread" in failed.why
    assert lab.stored(book).status is S.REQUEST_PLACED_AT_BORROWING_AGENCY
    (done,) = (await close(lab, book, unread=True)).done
    assert done.told == f"{S.REQUEST_PLACED_AT_BORROWING_AGENCY} → {S.CANCELLED}"
    assert any(at in each and "last known" in each for each in done.warnings)


async def test_what_stands_at_a_library_that_is_dead_for_good_is_left_to_its_staff(
    lab: Lab,
) -> None:
    book = await placed(lab)
    await close(lab, book)
    lab.sandbox.faults.add("empty_503", institution="uni-b", times=None)
    await lab.rest(book, longest=timedelta(hours=3))
    assert lab.stored(book).status is S.CANCELLED
    (skipped,) = (await close(lab, book)).skipped
    assert "with --unread, what is left there is left to its staff" in skipped.why
    (done,) = (await close(lab, book, unread=True)).done
    kinds = [each.partition(" (borrower)")[0] for each in done.left]
    assert sorted(kinds) == [f"{each} at uni-b" for each in ("bib", "hold", "holding", "item")]
    assert (lab.stored(book).status, lab.stored(book).next_poll_at) == (S.FINALISED, None)


def test_the_command_says_it_and_its_exit_code_is_partly(acting: World) -> None:
    lend = acting.wanted()
    acting.submit(lend)
    acting.once()
    acting.sandbox.faults.add("empty_503", institution="uni-a", times=None)
    said = acting.run("close", lend.id, "--reason", "x", check=3)
    assert "failed" in said.out
    assert "uni-a: its " in said.out
    acting.sandbox.faults.clear()
    acting.send(lend)
    said = acting.run("close", lend.id, "--reason", "x", "-o", "json")
    assert "the book has left meanwhile" in said.json["done"][0]["what"]
    assert acting.show(lend.id)["status"] == "AWAITING_RETURN_TO_SUPPLIER"
