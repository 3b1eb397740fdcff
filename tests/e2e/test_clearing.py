"""However a lend ends, nothing of ours is left, and what is said to be gone was seen to be gone."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest

from reconciler.core.commands.command import Command, Order
from reconciler.core.model import Transaction
from reconciler.core.staff.parking import ParkReason
from reconciler.core.status import (
    DcbStatus,
    EffectKind,
    IntentState,
    Outcome,
    ThingKind,
    ThingState,
)
from tests.support.lab import Book, Lab

S = DcbStatus


async def placed(at: Lab, **changes: Any) -> Book:
    book = at.wanted(**changes)
    await at.submit(book)
    await at.rest(book)
    return book


async def sent(at: Lab) -> Book:
    book = await placed(at)
    at.lender.scan_in(book.barcode, "MAIN")
    assert (await at.rest(book)).status is S.PICKUP_TRANSIT
    return book


async def shelved(at: Lab) -> Book:
    book = await sent(at)
    at.borrower.scan_in(book.barcode, "MAIN")
    assert (await at.rest(book)).status is S.READY_FOR_PICKUP
    return book


def hold_of(at: Lab, book: Book, role: str) -> str:
    leg = getattr(at.stored(book), role)
    return str(leg.request_id)


def reader_cancels(at: Lab, book: Book) -> None:
    at.borrower.patron_cancels(hold_of(at, book, "borrower"))


def is_open(at: Lab, book: Book) -> bool:
    """Whether the lender's hold still stands."""
    (row,) = [
        each for each in at.lender.requests.rows() if f"[DCB:{book.id}]" in (each.comment or "")
    ]
    return row.open


# --- endings ---------------------------------------------------------------------


def nothing_is_left(at: Lab, book: Book) -> None:
    assert at.counts(book) == {}
    assert [thing for thing in at.stored(book).things if thing.is_ours_to_clear] == []
    assert at.lender_loans(book) == 0


async def test_refused_before_anything_was_placed_at_the_borrower(lab: Lab) -> None:
    lab.sandbox.faults.add("json_500", institution="uni-b", path="/bibs", times=None)
    book = await placed(lab)
    assert lab.stored(book).status is S.CONFIRMED
    lab.lender.cancel_request(hold_of(lab, book, "supplier"))
    now = await lab.rest(book)
    assert (now.status, now.outcome) == (S.NOT_SUPPLIED_CURRENT_SUPPLIER, Outcome.NOT_SUPPLIED)
    nothing_is_left(lab, book)


async def test_the_records_stay_while_the_book_is_away_and_it_is_not_sent_out_again(
    lab: Lab,
) -> None:
    book = await sent(lab)
    reader_cancels(lab, book)
    for _ in range(2):
        assert (await lab.rest(book)).status is S.AWAITING_RETURN_TO_SUPPLIER
        assert lab.counts(book) == {"borrower bibs": 1, "borrower items": 1}
        assert not is_open(lab, book)
        lab.clock.advance(timedelta(days=3))
    lab.lender.scan_in(book.barcode, "MAIN")
    (item,) = lab.lender.items.find("barcode", book.barcode)
    assert item.process == "", "the book was sent out again"
    now = await lab.rest(book)
    assert (now.status, now.outcome) == (S.FINALISED, Outcome.CANCELLED)
    nothing_is_left(lab, book)


# --- while a person is waited for --------------------------------------------------


async def test_a_hold_that_would_catch_the_book_is_ended_though_a_person_is_waited_for(
    lab: Lab,
) -> None:
    book = await shelved(lab)
    lab.lender.mark_missing(book.barcode)
    parked = (await lab.look(book)).parked
    assert parked is not None
    assert parked.reason == ParkReason.ITEM_LOST
    reader_cancels(lab, book)
    now = await looked_at(lab, book)
    assert (now.status, now.parked) == (S.AWAITING_RETURN_TO_SUPPLIER, parked)
    assert not is_open(lab, book)
    assert lender_hold(now) is ThingState.GONE
    assert lab.counts(book) == {"borrower bibs": 1, "borrower items": 1}, "the rest waits"


async def test_such_a_cancel_that_is_refused_is_tried_again_by_itself(lab: Lab) -> None:
    book = await shelved(lab)
    lab.lender.mark_missing(book.barcode)
    parked = (await lab.look(book)).parked
    reader_cancels(lab, book)
    lab.sandbox.faults.add("error", code="401873", method="DELETE", path="/requests/", times=None)
    await looked_at(lab, book)
    assert is_open(lab, book)
    lab.sandbox.faults.clear()
    ends = lab.clock.now() + timedelta(hours=1)
    while is_open(lab, book):
        due = lab.stored(book).next_poll_at
        assert due is not None
        assert due < ends, "a look that comes at its usual time is too late"
        lab.clock.advance(max(due - lab.clock.now(), timedelta(seconds=1)))
        await lab.cycle()
    assert lab.stored(book).parked == parked


async def test_a_second_trouble_does_not_hide_the_first(lab: Lab) -> None:
    book = await shelved(lab)
    lab.lender.mark_missing(book.barcode)
    parked = (await lab.look(book)).parked
    reader_cancels(lab, book)
    lab.sandbox.faults.add("error", code="60340", method="DELETE", path="/requests/", times=None)
    now = await looked_at(lab, book)
    assert now.parked == parked
    (cancel,) = [each for each in now.intents if each.kind is EffectKind.HOLD_CANCELLED]
    assert (cancel.state, cancel.last_code) == (IntentState.PARKED, "60340")
    lab.sandbox.faults.clear()
    await by_hand(lab, book, Command.RETRY)
    await lab.rest(book)
    assert not is_open(lab, book)


async def test_nothing_is_ended_once_a_person_has_set_it_aside(lab: Lab) -> None:
    book = await shelved(lab)
    await by_hand(lab, book, Command.PARK)
    reader_cancels(lab, book)
    assert (await looked_at(lab, book)).status is S.AWAITING_RETURN_TO_SUPPLIER
    assert is_open(lab, book)
    await by_hand(lab, book, Command.RETRY)
    await lab.rest(book)
    assert not is_open(lab, book)


async def test_a_hold_that_may_be_anothers_is_left_alone_until_a_person_has_looked(
    lab: Lab,
) -> None:
    """The lender's staff bound it to another copy after the first had been confirmed."""
    book = await placed(lab)
    hold = lab.lender.requests.get(hold_of(lab, book, "supplier"))
    assert hold is not None
    copy = lab.lender.add_item(book.line["item"]["holding_id"], "SECOND-COPY")
    lab.lender.change(hold, item_pid=copy.pid)
    parked = (await lab.look(book)).parked
    assert parked is not None
    assert parked.reason == ParkReason.ITEM_MISMATCH
    reader_cancels(lab, book)
    assert (await looked_at(lab, book)).status is S.CANCELLED
    assert is_open(lab, book)
    await by_hand(lab, book, Command.RETRY)
    now = await lab.rest(book)
    assert now.status is S.FINALISED
    assert not is_open(lab, book)


async def looked_at(lab: Lab, book: Book) -> Transaction:
    """Twice, as a cancellation has to be seen; and once more for what it asked for."""
    for _ in range(3):
        lab.clock.advance(timedelta(minutes=2))
        await lab.look(book)
    return lab.stored(book)


async def by_hand(lab: Lab, book: Book, command: Command) -> None:
    order = Order(command, "cli:ada", "because", lab.clock.now())
    report = await lab.app.hands.carry_out(order, [lab.stored(book).id])
    assert report.skipped == report.failed == []


# --- what is gone already ----------------------------------------------------------


def hold_cancelled(at: Lab, book: Book) -> None:
    at.lender.cancel_request(hold_of(at, book, "supplier"))


def item_withdrawn(at: Lab, book: Book) -> None:
    at.borrower.withdraw_item(book.barcode)


def everything_deleted(at: Lab, book: Book) -> None:
    at.borrower.delete_item(book.barcode)


@pytest.mark.parametrize("shown_as", ["history", "not_found"])
@pytest.mark.parametrize(
    "gone", [hold_cancelled, item_withdrawn, everything_deleted], ids=lambda each: each.__name__
)
async def test_what_is_gone_already_is_a_success(
    lab: Lab, gone: Callable[[Lab, Book], None], shown_as: str
) -> None:
    """Somebody was quicker than our clean-up, and Alma tells of it in one way or another."""
    for each in (lab.lender, lab.borrower):
        each.dialect.update(cancelled_request=shown_as, fulfilled_request=shown_as)
    book = await placed(lab)
    lab.sandbox.faults.add("per_second", method="DELETE", times=None)
    reader_cancels(lab, book)
    await lab.rest(book, longest=timedelta(minutes=10))
    assert lab.stored(book).status is S.CANCELLED, lab.history(book)
    gone(lab, book)
    lab.sandbox.faults.clear()
    now = await lab.rest(book)
    assert (now.status, now.parked) == (S.FINALISED, None), lab.history(book)
    assert lab.counts(book) == {}


async def test_what_is_turned_away_again_and_again_is_not_pressed(lab: Lab) -> None:
    book = await placed(lab)
    lab.sandbox.faults.add("per_second", method="DELETE", times=None)
    reader_cancels(lab, book)
    await lab.rest(book, longest=timedelta(minutes=10))
    calls = list(lab.sandbox.calls)
    tried = Counter(call.path for call in calls if call.method == "DELETE")
    assert len(tried) == 1, "the lender's hold: the rest waits until that is proved ended"
    assert all(5 < times <= 30 for times in tried.values()), "each half a minute, not each second"
    lab.clock.advance(timedelta(minutes=1))
    assert len((await lab.cycle()).outcomes) <= 3, "and nothing is looked at over and over"
    lab.sandbox.faults.clear()
    assert (await lab.rest(book)).status is S.FINALISED


async def test_a_hold_that_the_loan_filled_is_no_hold_to_cancel(lab: Lab) -> None:
    book = await shelved(lab)
    lab.borrower.loan(book.barcode, book.reader, "MAIN")
    assert (await lab.rest(book)).status is S.LOANED
    lab.borrower.return_item(book.barcode, "MAIN")
    await lab.rest(book)
    lab.lender.scan_in(book.barcode, "MAIN")
    assert (await lab.rest(book)).status is S.FINALISED
    assert lab.sandbox.calls.matching("DELETE", "/requests/") == []


# --- verified, not assumed ------------------------------------------------------------


def lender_hold(now: Transaction) -> ThingState:
    (thing,) = [
        each for each in now.things if each.kind is ThingKind.HOLD and each.role == "supplier"
    ]
    return thing.state


async def test_a_cancel_that_was_answered_but_not_done_is_not_believed(lab: Lab) -> None:
    book = await sent(lab)
    lab.sandbox.faults.add(
        "status", status=204, institution="uni-a", method="DELETE", path="/requests/", times=1
    )
    reader_cancels(lab, book)
    await lab.look(book)
    lab.clock.advance(timedelta(minutes=2))
    now = await lab.look(book)
    assert now.status is S.AWAITING_RETURN_TO_SUPPLIER
    assert is_open(lab, book)
    assert lender_hold(now) is ThingState.PRESENT
    (intent,) = [each for each in now.intents if each.kind is EffectKind.HOLD_CANCELLED]
    assert intent.state is IntentState.AMBIGUOUS
    now = await lab.rest(book)
    assert not is_open(lab, book)
    assert lender_hold(now) is ThingState.GONE


async def test_a_cancel_that_is_refused_is_shown_and_tried_again(lab: Lab) -> None:
    book = await sent(lab)
    lab.sandbox.faults.add(
        "error", code="401873", institution="uni-a", method="DELETE", path="/requests/", times=2
    )
    reader_cancels(lab, book)
    await lab.look(book)
    lab.clock.advance(timedelta(minutes=2))
    now = await lab.look(book)
    assert (now.status, now.parked) == (S.AWAITING_RETURN_TO_SUPPLIER, None)
    shown = lab.app.desk.explain(now.id)["pending_effects"]
    assert [(each["kind"], each["code"]) for each in shown] == [
        (EffectKind.HOLD_CANCELLED, "401873")
    ]
    await lab.rest(book)
    assert not is_open(lab, book)


# --- the next lender ------------------------------------------------------------------


async def next_line(at: Lab, book: Book, lender: str, pickup: str) -> dict[str, Any]:
    """The same request for a copy of another library, to be collected at `pickup`."""
    at.n += 1
    copy = at.sandbox[lender].add_book("Another copy", f"N{at.n:05d}", "MAIN", "STACKS")
    item = {"mms_id": copy.mms_id, "holding_id": copy.holding_id, "item_pid": copy.pid}
    line = {**book.line, "item": {"host_lms": lender, "title": "Another copy", **item}}
    return {**line, "pickup": {"host_lms": pickup, "library": "MAIN"}}


async def asked(at: Lab, line: dict[str, Any]) -> list[str | None]:
    """Submit; the codes of what stands against it."""
    report = await at.app.submit([json.dumps(line).encode()], "test")
    return [bad.code for bad in report.refused]


async def refused_by(at: Lab, book: Book, lender: str) -> Transaction:
    at.sandbox[lender].cancel_request(hold_of(at, book, "supplier"))
    now = await at.rest(book)
    assert now.status is S.NOT_SUPPLIED_CURRENT_SUPPLIER, at.history(book)
    assert at.counts(book) == {}
    return now


WORKFLOWS = {
    "RET-STD": ("uni-a", "uni-b"),
    "RET-PUA": ("uni-a", "uni-c"),
    "RET-EXP": ("uni-c", "uni-c"),
}
"""Lender and pickup for the reader of uni-b."""


@pytest.mark.parametrize(
    "path",
    [("RET-STD", "RET-PUA", "RET-EXP"), ("RET-PUA", "RET-STD")],
    ids="→".join,
)
async def test_another_lender_may_mean_another_workflow_and_none_is_asked_twice(
    lab: Lab, path: tuple[str, ...]
) -> None:
    """What is to be cleared is told by the ledger, whichever workflow placed it."""
    book = lab.wanted()
    lines = []
    for workflow in path:
        lender, pickup = WORKFLOWS[workflow]
        line = await next_line(lab, book, lender, pickup)
        assert await asked(lab, line) == []
        now = await lab.rest(book)
        assert now.workflow == workflow
        assert all(leg.request_id for leg in now.legs), lab.history(book)
        lines.append(line)
        await refused_by(lab, book, lender)
    for line in lines:
        assert await asked(lab, line) == ["supplier_tried"]
    assert all(
        thing.state is ThingState.GONE
        for thing in lab.stored(book).things
        if thing.kind is not ThingKind.VIRTUAL_PATRON
    )
    told = "\n".join(lab.history(book))
    assert all(f"item {line['item']['item_pid']}" in told for line in lines[:-1])
