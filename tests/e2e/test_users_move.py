"""Accounts that are renamed, merged or deleted under a lend: what is ours is found by its own id.

A hold and a loan have ids of their own. Where the user that we know is unknown, Alma's lists for
the item tell who has them now; where they tell nothing, a person is waited for.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.core.staff.parking import STAFF_ADVICE, ParkReason
from reconciler.core.status import DcbStatus, Outcome, Role
from reconciler.sandbox import Institution
from reconciler.sandbox.records import Identifier
from reconciler.sandbox.view import View
from tests.e2e.test_attention import by_its_own_looks, finished, retried
from tests.e2e.test_paths import at_status, cleared
from tests.support.lab import Book, Lab

S = DcbStatus
Moves = Callable[[Institution, str], object]


def renamed(at: Institution, user: str) -> object:
    """By a loader that also cleared the identifiers, where the old id may have stood."""
    return at.change(at.rename_user(user, f"new-{user}"), identifiers=())


def merged(at: Institution, user: str) -> object:
    at.add_user("kept-account")
    return at.change(at.merge_users("kept-account", user), identifiers=())


MOVES = pytest.mark.parametrize("moves", [renamed, merged], ids=lambda each: each.__name__)


@MOVES
@pytest.mark.parametrize("status", [S.PICKUP_TRANSIT, S.READY_FOR_PICKUP, S.LOANED])
async def test_a_reader_under_another_id_is_followed(
    lab: Lab, status: DcbStatus, moves: Moves
) -> None:
    book = await at_status(lab, status)
    moves(lab.borrower, book.reader)
    after = await lab.rest(book)
    assert (after.status, after.parked, after.failures) == (status, None, 0)
    known = replace(book, reader=_now(lab.borrower, book))
    await finished(lab, known)


def _now(at: Institution, book: Book) -> str:
    """Who the reader is by now: by what stands in the Alma on his item."""
    (item,) = View(at).items_with_barcode(book.barcode)
    held = [*View(at).requests_of_item(item.pid), *View(at).loans_of_item(item.pid)]
    user = at.users.get(held[0].user_key)
    assert user is not None
    return user.primary_id


@MOVES
async def test_a_virtual_patron_under_another_id_still_borrows(lab: Lab, moves: Moves) -> None:
    book = await at_status(lab, S.PICKUP_TRANSIT)
    moves(lab.lender, str(lab.stored(book).supplier.user_id))
    await lab.rest(book)
    assert lab.stored(book).parked is None
    await finished(lab, book)


@MOVES
async def test_a_hold_that_went_to_another_account_is_ended_there(lab: Lab, moves: Moves) -> None:
    """The account is unknown; that does not mean that its hold is gone."""
    book = await at_status(lab, S.READY_FOR_PICKUP)
    moves(lab.lender, str(lab.stored(book).supplier.user_id))
    leg = lab.stored(book).borrower
    assert leg is not None
    lab.borrower.patron_cancels(str(leg.request_id))
    await by_its_own_looks(lab, book, timedelta(days=1))
    assert lab.stored(book).status is S.AWAITING_RETURN_TO_SUPPLIER
    assert "supplier holds" not in lab.counts(book)
    lab.lender.scan_in(book.barcode, "MAIN")
    after = await lab.rest(book)
    assert (after.status, after.outcome) == (S.FINALISED, Outcome.CANCELLED)
    cleared(lab, book)


async def test_a_loan_that_cannot_be_made_for_an_account_that_is_gone_waits_for_a_person(
    lab: Lab,
) -> None:
    """The lender's hold is not read while the book is away: the first to notice is the loan."""
    book = await at_status(lab, S.READY_FOR_PICKUP)
    patron = str(lab.stored(book).supplier.user_id)
    renamed(lab.lender, patron)
    lab.borrower.loan(book.barcode, book.reader, "MAIN")
    await by_its_own_looks(lab, book, timedelta(days=1))
    now = lab.stored(book)
    assert now.status is S.LOANED
    assert now.parked is not None
    assert now.parked.reason == ParkReason.USER_ABSENT
    _known_again(lab.lender, f"new-{patron}", patron)
    await retried(lab, book)
    await lab.rest(book)
    await finished(lab, book)


async def test_an_open_loan_of_an_account_that_is_gone_is_not_taken_for_over(lab: Lab) -> None:
    """The reader brought the book to its lender; the virtual item has to be returned first."""
    book = await at_status(lab, S.LOANED)
    renamed(lab.borrower, book.reader)
    lab.lender.return_item(book.barcode, "MAIN")
    await by_its_own_looks(lab, book, timedelta(days=6))
    after = lab.stored(book)
    assert (after.status, after.outcome) == (S.FINALISED, Outcome.SUPPLIED)
    cleared(lab, book)
    assert [row.active for row in lab.borrower.loans.rows()] == [False]


async def test_a_reader_who_is_deleted_after_the_return_leaves_nothing_behind(lab: Lab) -> None:
    book = await at_status(lab, S.RETURN_TRANSIT)
    lab.borrower.delete_user(book.reader)
    await finished(lab, book)


@pytest.mark.parametrize("was_lent", [False, True])
async def test_of_a_reader_who_is_deleted_nothing_is_concluded(lab: Lab, was_lent: bool) -> None:
    """With him went his hold, and the name of his loan: cancelled and filled look alike."""
    book = await at_status(lab, S.READY_FOR_PICKUP)
    if was_lent:
        lab.borrower.loan(book.barcode, book.reader, "MAIN")
        lab.borrower.return_item(book.barcode, "MAIN")
    lab.borrower.delete_user(book.reader)
    await _waits_for_the_account(lab, book)
    assert lab.stored(book).status is S.READY_FOR_PICKUP
    assert "supplier holds" in lab.counts(book)


async def test_who_has_the_book_cannot_be_told_and_a_person_finds_the_account(lab: Lab) -> None:
    """Renamed and served between two looks: the hold is gone, the loan names a stranger."""
    book = await at_status(lab, S.READY_FOR_PICKUP)
    renamed(lab.borrower, book.reader)
    known = replace(book, reader=f"new-{book.reader}")
    lab.borrower.loan(book.barcode, known.reader, "MAIN")
    await _waits_for_the_account(lab, book)
    assert "identifiers" in STAFF_ADVICE[ParkReason.USER_ABSENT]
    _known_again(lab.borrower, known.reader, book.reader)
    await retried(lab, book)
    assert (await lab.rest(book)).status is S.LOANED
    await finished(lab, known)


async def test_a_loan_whose_answer_was_lost_is_found_under_the_readers_new_name(lab: Lab) -> None:
    """RET-PUA: the loan at home is made by us. Left open it would be the reader's to pay for.

    The look may find the new name, by what stands on the item, before the effect asks for the old
    one; else a person is told.
    """
    book = lab.wanted(pickup="uni-c")
    await lab.submit(book)
    await lab.rest(book)
    lab.lender.scan_in(book.barcode, "MAIN")
    lab.third.scan_in(book.barcode, "MAIN")
    await lab.rest(book)
    (at_pickup,) = [leg for leg in lab.stored(book).legs if leg.role is Role.PICKUP]
    lab.third.loan(book.barcode, str(at_pickup.user_id), "MAIN")
    lab.sandbox.faults.add("reset", institution="uni-b", method="POST", path="/loans", when="after")
    await lab.look(book)
    assert [loan.active for loan in lab.borrower.loans.rows()] == [True]
    renamed(lab.borrower, book.reader)
    parked = (await lab.rest(book)).parked
    if parked is not None:
        assert parked.reason == ParkReason.USER_ABSENT
        _known_again(lab.borrower, f"new-{book.reader}", book.reader)
        await retried(lab, book)
    found = (await lab.rest(book)).borrower
    assert found is not None
    assert found.loan_id is not None
    lab.third.return_item(book.barcode, "MAIN")
    await lab.rest(book)
    lab.lender.scan_in(book.barcode, "MAIN")
    ended = await lab.rest(book)
    assert (ended.status, ended.outcome) == (S.FINALISED, Outcome.SUPPLIED), lab.history(book)
    assert [loan.active for loan in lab.borrower.loans.rows()] == [False]
    assert lab.counts(book) == {}


def _known_again(at: Institution, user: str, old_id: str) -> None:
    """What the advice says: the old id among the identifiers of the account."""
    row = View(at).find_user(user)
    assert row is not None
    at.change(row, identifiers=(*row.identifiers, Identifier(old_id, "OTHER_ID_1")))


async def test_a_reader_who_is_gone_before_his_hold_is_placed_is_a_matter_for_a_person(
    lab: Lab,
) -> None:
    book = lab.wanted()
    lab.sandbox.faults.add("json_500", institution="uni-b", path="/bibs", times=None)
    await lab.submit(book)
    assert (await lab.rest(book)).status is S.CONFIRMED
    lab.sandbox.faults.clear()
    renamed(lab.borrower, book.reader)
    await _waits_for_the_account(lab, book)


async def test_an_account_that_was_made_just_now_is_not_taken_for_gone(lab: Lab) -> None:
    """Alma shows late what was made: the virtual patron's holds are asked for at once."""
    lab.lender.read_lag = 45
    book = lab.wanted()
    lab.clock.advance(timedelta(minutes=1))
    await lab.submit(book)
    for _ in range(10):
        await lab.cycle()
        lab.clock.advance(timedelta(seconds=10))
    assert (await lab.rest(book)).parked is None
    assert not any("unknown there" in row for row in lab.history(book))
    await finished(lab, book)


async def _waits_for_the_account(lab: Lab, book: Book) -> None:
    for _ in range(5):
        lab.clock.advance(timedelta(hours=1))
        await lab.look(book)
    parked = lab.stored(book).parked
    assert parked is not None
    assert parked.reason == ParkReason.USER_ABSENT
