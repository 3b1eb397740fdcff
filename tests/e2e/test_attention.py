"""What needs a person: parked with a reason, the rest still read, taken up again without loss."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from reconciler.core.commands.command import Command, Order
from reconciler.core.staff.advice import advice
from reconciler.core.staff.parking import STAFF_ADVICE, ParkReason
from reconciler.core.status import DcbStatus, Outcome, Role
from tests.e2e.test_paths import at_status, cleared, request_of
from tests.support.lab import Book, Lab

S, P = DcbStatus, ParkReason
Act = Callable[[Lab, Book], object]


def nothing(_lab: Lab, _book: Book) -> None:
    """A person looked, and it was right all the time."""


@dataclass(frozen=True)
class Trouble:
    """At a status something happens that no rule settles; staff put it right, and it goes on."""

    name: str
    at: DcbStatus
    happens: Act
    reason: ParkReason
    put_right: Act = nothing
    goes_on: bool = True
    ends: tuple[Act, ...] = field(default=())


def _return_and_come_home(lab: Lab, book: Book) -> None:
    lab.borrower.return_item(book.barcode, "MAIN")
    lab.lender.scan_in(book.barcode, "MAIN")


TROUBLES = [
    Trouble(
        "the reader lost it and found it again",
        S.LOANED,
        lambda lab, book: lab.borrower.mark_lost(book.barcode),
        P.ITEM_LOST,
        lambda lab, book: lab.borrower.found(book.barcode),
    ),
    Trouble(
        "the reader claims to have returned it",
        S.LOANED,
        lambda lab, book: lab.borrower.claim_returned(book.barcode),
        P.CLAIMED_RETURNED,
        lambda lab, book: lab.borrower.found(book.barcode),
    ),
    Trouble(
        "missing at the lender before it was sent",
        S.REQUEST_PLACED_AT_BORROWING_AGENCY,
        lambda lab, book: lab.lender.mark_missing(book.barcode),
        P.ITEM_LOST,
        lambda lab, book: lab.lender.found(book.barcode),
    ),
    Trouble(
        "a work order on the virtual item",
        S.READY_FOR_PICKUP,
        lambda lab, book: lab.borrower.set_process_type(book.barcode, "WORK_ORDER_DEPARTMENT"),
        P.ITEM_UNAVAILABLE,
        lambda lab, book: lab.borrower.set_process_type(book.barcode, "HOLDSHELF"),
    ),
    Trouble(
        "a word that nobody knows",
        S.READY_FOR_PICKUP,
        lambda lab, book: lab.borrower.set_process_type(book.barcode, "SOMETHING_NEW"),
        P.UNKNOWN_WORD,
        lambda lab, book: lab.borrower.set_process_type(book.barcode, "HOLDSHELF"),
    ),
    Trouble(
        "on loan to somebody else than the reader",
        S.READY_FOR_PICKUP,
        lambda lab, book: _lend_to_other(lab, book),
        P.LOAN_NOT_OURS,
        lambda lab, book: _lend_to_reader_after_all(lab, book),
    ),
]


def _lend_to_other(lab: Lab, book: Book) -> None:
    lab.borrower.add_user("passer-by")
    lab.borrower.loan(book.barcode, "passer-by", "MAIN", override=True)


def _lend_to_reader_after_all(lab: Lab, book: Book) -> None:
    lab.borrower.return_item(book.barcode, "MAIN")
    lab.borrower.loan(book.barcode, book.reader, "MAIN", override=True)


FOR_GOOD = [
    Trouble(
        "the virtual item was deleted",
        S.READY_FOR_PICKUP,
        lambda lab, book: lab.borrower.withdraw_item(book.barcode),
        P.VIRTUAL_ITEM_ABSENT,
    ),
    Trouble(
        "the lender's item was withdrawn",
        S.REQUEST_PLACED_AT_BORROWING_AGENCY,
        lambda lab, book: lab.lender.withdraw_item(book.barcode),
        P.ITEM_ABSENT,
    ),
]


async def retried(lab: Lab, book: Book) -> None:
    order = Order(Command.RETRY, "librarian", "put right", lab.clock.now())
    report = await lab.app.hands.carry_out(order, [lab.stored(book).id])
    assert [each.id for each in report.done] == [book.id]


async def finished(lab: Lab, book: Book) -> None:
    """The rest of an ordinary lend, from wherever it stands."""
    steps: tuple[tuple[DcbStatus, Act], ...] = (
        (
            S.REQUEST_PLACED_AT_BORROWING_AGENCY,
            lambda lab, b: lab.lender.scan_in(b.barcode, "MAIN"),
        ),
        (S.PICKUP_TRANSIT, lambda lab, b: lab.borrower.scan_in(b.barcode, "MAIN")),
        (S.READY_FOR_PICKUP, lambda lab, b: lab.borrower.loan(b.barcode, b.reader, "MAIN")),
        (S.LOANED, lambda lab, b: lab.borrower.return_item(b.barcode, "MAIN")),
        (S.RETURN_TRANSIT, lambda lab, b: lab.lender.scan_in(b.barcode, "MAIN")),
    )
    for status, act in steps:
        if lab.stored(book).status is status:
            act(lab, book)
            await lab.rest(book)
    after = lab.stored(book)
    assert (after.status, after.outcome) == (S.FINALISED, Outcome.SUPPLIED)
    cleared(lab, book)
    assert lab.lender_loans(book) == 1


@pytest.mark.parametrize("trouble", TROUBLES, ids=lambda each: each.name)
async def test_it_waits_for_a_person_and_goes_on_without_loss(lab: Lab, trouble: Trouble) -> None:
    book = await at_status(lab, trouble.at)
    trouble.happens(lab, book)
    stuck = await lab.rest(book)
    assert stuck.parked is not None
    assert stuck.parked.reason == trouble.reason
    assert STAFF_ADVICE[trouble.reason] in advice(stuck, lab.clock.now())
    assert stuck.next_poll_at is not None, "the rest of the journey goes on being read"
    trouble.put_right(lab, book)
    await retried(lab, book)
    after = await lab.rest(book)
    assert after.parked is None
    await finished(lab, book)


@pytest.mark.parametrize("trouble", FOR_GOOD, ids=lambda each: each.name)
async def test_what_is_gone_for_good_waits_for_a_person_and_is_closed(
    lab: Lab, trouble: Trouble
) -> None:
    book = await at_status(lab, trouble.at)
    trouble.happens(lab, book)
    stuck = await lab.rest(book)
    again = await lab.rest(book)
    assert again.parked is not None, stuck.status
    assert again.parked.reason == trouble.reason
    order = Order(Command.CLOSE, "librarian", "settled between us", lab.clock.now())
    report = await lab.app.hands.carry_out(order, [stuck.id])
    assert [each.id for each in report.done] == [book.id]
    after = await lab.rest(book)
    ended = after.status is S.FINALISED
    assert ended or after.parked or any(not each.is_over for each in after.intents)


async def test_a_lost_book_that_turns_up_at_the_lender_comes_home(lab: Lab) -> None:
    """Parked, and still read: the lender's shelf says that the book is back."""
    book = await at_status(lab, S.LOANED)
    lab.borrower.mark_lost(book.barcode)
    assert (await lab.rest(book)).parked is not None
    lab.lender.return_item(book.barcode, "MAIN")
    for _ in range(3):
        lab.clock.advance(timedelta(hours=1))
        await lab.look(book)
    after = lab.stored(book)
    assert after.status is S.COMPLETED
    assert after.parked is not None, "its effects wait, its status does not"
    await retried(lab, book)
    again = await lab.rest(book)
    assert again.status in (S.COMPLETED, S.FINALISED)


async def test_two_items_with_one_barcode_are_not_mixed_up(lab: Lab) -> None:
    """The item is followed by its ids; a second one with the same barcode changes nothing."""
    book = await at_status(lab, S.READY_FOR_PICKUP)
    other = lab.borrower.add_book("Another", "OTHER", "MAIN", "STACKS")
    lab.borrower.duplicate_barcode(other.pid, book.barcode)
    after = await lab.rest(book)
    assert (after.status, after.parked) == (S.READY_FOR_PICKUP, None)
    assert after.borrower is not None
    lab.borrower.loan(after.borrower.item_pid or "", book.reader, "MAIN")
    assert (await lab.rest(book)).status is S.LOANED


async def test_the_lender_moves_the_hold_to_another_copy(lab: Lab) -> None:
    """Before it is confirmed the copy is taken over; afterwards a person looks."""
    book = lab.wanted()
    copy = lab.lender.add_item(book.line["item"]["holding_id"], "SECOND-COPY")
    await lab.submit(book)
    await lab.cycle()
    now = lab.stored(book)
    assert now.supplier.request_id
    request = lab.lender.requests.get(request_of(now, Role.SUPPLIER))
    assert request is not None
    lab.lender.change(request, item_pid=copy.pid)
    after = await lab.rest(book)
    if now.status is S.REQUEST_PLACED_AT_SUPPLYING_AGENCY:
        assert after.supplier.item_pid == copy.pid
        assert after.borrower is not None
        assert after.borrower.item_barcode == "SECOND-COPY"
    else:
        assert after.parked is not None
        assert after.parked.reason == P.ITEM_MISMATCH


async def test_a_book_that_its_lender_misses_on_the_way_out_is_a_matter_for_a_person(
    lab: Lab,
) -> None:
    """Within a day and a look, nobody having asked; and again after `retry` while it is missing."""
    book = await at_status(lab, S.PICKUP_TRANSIT)
    lab.lender.mark_missing(book.barcode)
    missing_since = lab.clock.now()
    await by_its_own_looks(lab, book, timedelta(days=3))
    stuck = lab.stored(book)
    assert stuck.parked is not None
    assert stuck.parked.reason == P.ITEM_LOST
    assert stuck.parked.since - missing_since < timedelta(days=1, hours=12)
    await retried(lab, book)
    await lab.look(book)
    assert lab.stored(book).parked is not None, "it is still missing"
    lab.lender.found(book.barcode)
    lab.borrower.scan_in(book.barcode, "MAIN")
    await retried(lab, book)
    await lab.rest(book)
    await finished(lab, book)


async def by_its_own_looks(lab: Lab, book: Book, time: timedelta) -> None:
    """The service looks when it wants to, with nobody asking for more."""
    ends = lab.clock.now() + time
    while (at := lab.stored(book).next_poll_at) is not None and at < ends:
        lab.clock.advance(max(at - lab.clock.now(), timedelta(seconds=1)))
        await lab.cycle()
