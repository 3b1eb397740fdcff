"""Every path that a book can take: refused, cancelled, not collected, renewed, wanted by others."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from reconciler.core.model import Transaction
from reconciler.core.status import (
    DcbStatus,
    EffectKind,
    HistoryKind,
    IntentState,
    Outcome,
    RecordState,
    Role,
    ThingState,
    Workflow,
)
from reconciler.store.settlements import update_legs
from tests.support.lab import Book, Lab

S = DcbStatus
DAY = timedelta(days=1)


async def placed(lab: Lab, **changes: Any) -> Book:
    book = lab.wanted(**changes)
    await lab.submit(book)
    await lab.rest(book)
    return book


async def at_status(lab: Lab, status: DcbStatus) -> Book:
    """A standard lend that was brought to a status by what staff and reader did."""
    book = await placed(lab)
    acts = (
        (S.PICKUP_TRANSIT, lambda: lab.lender.scan_in(book.barcode, "MAIN")),
        (S.READY_FOR_PICKUP, lambda: lab.borrower.scan_in(book.barcode, "MAIN")),
        (S.LOANED, lambda: lab.borrower.loan(book.barcode, book.reader, "MAIN")),
        (S.RETURN_TRANSIT, lambda: lab.borrower.return_item(book.barcode, "MAIN")),
    )
    for reached, act in acts:
        if lab.stored(book).status is status:
            break
        act()
        await lab.rest(book)
        assert lab.stored(book).status is reached
    assert lab.stored(book).status is status
    return book


def request_of(transaction: Transaction, role: Role) -> str:
    leg = transaction.leg(role)
    assert leg is not None
    assert leg.request_id is not None
    return leg.request_id


def steps(lab: Lab, book: Book) -> list[tuple[str | None, DcbStatus | None]]:
    rows = lab.app.store.history(lab.stored(book).id)
    return [(each.rule, each.target) for each in rows if each.kind is HistoryKind.TRANSITION]


def cleared(lab: Lab, book: Book) -> None:
    """Nothing of the lend is left in any Alma, and our ledger says the same."""
    assert lab.counts(book) == {}
    assert not any(thing.is_ours_to_clear for thing in lab.stored(book).things)


# --- cancelled ---------------------------------------------------------------


async def test_the_reader_cancels_before_the_book_left(lab: Lab) -> None:
    book = await placed(lab)
    lab.borrower.patron_cancels(request_of(lab.stored(book), Role.BORROWER))
    after = await lab.rest(book)
    assert (after.status, after.outcome) == (S.FINALISED, Outcome.CANCELLED)
    assert steps(lab, book)[-2:] == [
        ("CancelledPatronRequest", S.CANCELLED),
        ("FinaliseRequest", S.FINALISED),
    ]
    (hold,) = [each for each in lab.lender.state()["requests"] if book.id in each["comment"]]
    assert hold["status"] == "HISTORY"
    cleared(lab, book)


async def test_one_look_is_not_enough_to_call_a_request_cancelled(lab: Lab) -> None:
    book = await placed(lab)
    lab.borrower.patron_cancels(request_of(lab.stored(book), Role.BORROWER))
    lab.clock.advance(timedelta(minutes=2))
    after = await lab.look(book)
    assert after.status is S.REQUEST_PLACED_AT_BORROWING_AGENCY
    (verdict,) = [each for each in after.considered if each.rule == "CancelledPatronRequest"]
    assert verdict.verdict == "waits"
    assert "a second look has to confirm it" in verdict.because
    assert after.next_poll_at is not None
    assert after.next_poll_at - lab.clock.now() <= timedelta(seconds=60)


@pytest.mark.parametrize("status", [S.PICKUP_TRANSIT, S.READY_FOR_PICKUP])
async def test_the_reader_cancels_while_the_book_is_away(lab: Lab, status: DcbStatus) -> None:
    book = await at_status(lab, status)
    lab.borrower.patron_cancels(request_of(lab.stored(book), Role.BORROWER))
    waiting = await lab.rest(book)
    assert waiting.status is S.AWAITING_RETURN_TO_SUPPLIER
    kept = lab.counts(book)
    assert (kept["borrower bibs"], kept["borrower items"]) == (1, 1), "the book is away"
    (hold,) = [each for each in lab.lender.state()["requests"] if book.id in each["comment"]]
    assert hold["status"] == "HISTORY", "left alive it would catch the book again"
    lab.lender.scan_in(book.barcode, "MAIN")
    after = await lab.rest(book)
    assert (after.status, after.outcome) == (S.FINALISED, Outcome.CANCELLED)
    cleared(lab, book)
    assert lab.lender_loans(book) == 0


async def test_nobody_collects_the_book(lab: Lab) -> None:
    book = await at_status(lab, S.READY_FOR_PICKUP)
    lab.borrower.expire_hold_shelf(request_of(lab.stored(book), Role.BORROWER))
    assert (await lab.rest(book)).status is S.AWAITING_RETURN_TO_SUPPLIER
    lab.borrower.scan_in(book.barcode, "MAIN")  # taken from the shelf, to be sent home
    assert (await lab.rest(book)).status is S.AWAITING_RETURN_TO_SUPPLIER
    lab.lender.scan_in(book.barcode, "MAIN")
    assert (await lab.rest(book)).status is S.FINALISED
    cleared(lab, book)


async def test_transit_proves_no_return_of_a_book_that_nobody_collected(lab: Lab) -> None:
    book = await at_status(lab, S.PICKUP_TRANSIT)
    lab.borrower.patron_cancels(request_of(lab.stored(book), Role.BORROWER))
    await lab.rest(book)
    lab.clock.advance(DAY)
    after = await lab.look(book)
    assert after.supplier.item.state == "TRANSIT"
    assert after.status is S.AWAITING_RETURN_TO_SUPPLIER


async def test_a_book_that_was_never_scanned_out_is_not_taken_for_returned(lab: Lab) -> None:
    """Sent without a scan, its lender's Alma says “in place” all the time."""
    book = await placed(lab)
    lab.borrower.scan_in(book.barcode, "MAIN")
    assert (await lab.rest(book)).status is S.READY_FOR_PICKUP
    lab.borrower.patron_cancels(request_of(lab.stored(book), Role.BORROWER))
    after = await lab.rest(book)
    assert after.status is S.AWAITING_RETURN_TO_SUPPLIER
    (verdict,) = [
        each for each in after.considered if each.rule == "HandleCancelledRequestItemReturned"
    ]
    assert "was never seen away" in verdict.because
    assert lab.counts(book)["borrower items"] == 1


# --- filled is never cancelled -----------------------------------------------


async def test_a_closed_request_with_an_unreadable_item_waits(lab: Lab) -> None:
    book = await at_status(lab, S.READY_FOR_PICKUP)
    lab.borrower.patron_cancels(request_of(lab.stored(book), Role.BORROWER))
    lab.sandbox.faults.add(
        "json_500",
        institution="uni-b",
        method="GET",
        path=r"/items/\d+(\?|$)|item_barcode",
        times=None,
    )
    lab.clock.advance(DAY)
    for _ in range(3):
        after = await lab.look(book)
        lab.clock.advance(timedelta(hours=3))
        assert after.status is S.READY_FOR_PICKUP
    lab.sandbox.faults.clear()
    assert (await lab.rest(book)).status is S.AWAITING_RETURN_TO_SUPPLIER


async def test_a_closed_request_with_a_loan_was_collected(lab: Lab) -> None:
    book = await at_status(lab, S.READY_FOR_PICKUP)
    lab.borrower.loan(book.barcode, book.reader, "MAIN")
    assert (await lab.rest(book)).status is S.LOANED


async def test_a_loan_that_came_and_went_between_two_looks_was_collected(lab: Lab) -> None:
    book = await at_status(lab, S.READY_FOR_PICKUP)
    lab.borrower.loan(book.barcode, book.reader, "MAIN")
    lab.clock.advance(timedelta(hours=2))
    lab.borrower.return_item(book.barcode, "MAIN")
    after = await lab.rest(book)
    assert after.status is S.RETURN_TRANSIT
    assert [target for _, target in steps(lab, book)][-2:] == [S.LOANED, S.RETURN_TRANSIT]


async def test_a_copy_on_loan_to_somebody_else_was_not_supplied(lab: Lab) -> None:
    book = await placed(lab)
    lab.lender.cancel_request(request_of(lab.stored(book), Role.SUPPLIER))
    lab.lender.add_user("walk-in")
    lab.lender.loan(book.barcode, "walk-in", "MAIN")
    lab.clock.advance(timedelta(minutes=2))
    assert (await lab.look(book)).status is S.REQUEST_PLACED_AT_BORROWING_AGENCY
    assert (await lab.rest(book)).status is S.NOT_SUPPLIED_CURRENT_SUPPLIER


# --- refused by the lender -----------------------------------------------------


def at_third(lab: Lab, book: Book) -> dict[str, Any]:
    """A line for the same request, with a copy of another lender."""
    copy = lab.third.add_book(
        "Another copy", f"C{len(lab.third.state()['items'])}-{book.barcode}", "MAIN", "STACKS"
    )
    item = {
        "host_lms": "uni-c",
        "mms_id": copy.mms_id,
        "holding_id": copy.holding_id,
        "item_pid": copy.pid,
        "title": "Another copy",
    }
    return {**book.line, "item": item}


async def submitted(lab: Lab, line: dict[str, Any]) -> Any:
    return await lab.app.submit([json.dumps(line).encode()], "test")


async def test_another_lender_is_asked_when_the_first_refuses(lab: Lab) -> None:
    book = await placed(lab)
    first = book.line
    early = await submitted(lab, at_third(lab, book))
    assert [each.code for each in early.refused] == ["id_in_use"]
    lab.lender.cancel_request(request_of(lab.stored(book), Role.SUPPLIER))
    refused = await lab.rest(book)
    assert (refused.status, refused.outcome) == (
        S.NOT_SUPPLIED_CURRENT_SUPPLIER,
        Outcome.NOT_SUPPLIED,
    )
    assert refused.next_poll_at is None, "nothing is left to see until the caller goes on"
    cleared(lab, book)

    again = await submitted(lab, first)
    assert [each.code for each in again.refused] == ["supplier_tried"]
    line = at_third(lab, book)
    report = await submitted(lab, line)
    assert report.accepted == [book.id]
    now = await lab.rest(book)
    assert (now.status, now.outcome) == (S.REQUEST_PLACED_AT_BORROWING_AGENCY, None)
    assert now.supplier.host_lms == "uni-c"
    assert (await submitted(lab, line)).known == [book.id]

    book.barcode = now.supplier.item_barcode or ""
    lab.third.scan_in(book.barcode, "MAIN")
    await lab.rest(book)
    lab.borrower.scan_in(book.barcode, "MAIN")
    await lab.rest(book)
    lab.borrower.loan(book.barcode, book.reader, "MAIN")
    await lab.rest(book)
    lab.borrower.return_item(book.barcode, "MAIN")
    await lab.rest(book)
    lab.third.scan_in(book.barcode, "MAIN")
    assert (await lab.rest(book)).status is S.FINALISED
    cleared(lab, book)
    told = "\n".join(lab.history(book))
    assert "not supplied by uni-a" in told
    assert [each.host_lms for each in lab.app.store.suppliers_tried(now.id)] == ["uni-a"]


async def test_the_first_lender_is_refused_even_after_the_second(lab: Lab) -> None:
    book = await placed(lab)
    first = book.line
    lab.lender.cancel_request(request_of(lab.stored(book), Role.SUPPLIER))
    await lab.rest(book)
    await submitted(lab, at_third(lab, book))
    now = await lab.rest(book)
    lab.third.cancel_request(request_of(now, Role.SUPPLIER))
    assert (await lab.rest(book)).status is S.NOT_SUPPLIED_CURRENT_SUPPLIER
    report = await submitted(lab, first)
    assert [each.code for each in report.refused] == ["supplier_tried"]


async def test_nothing_is_opened_again_while_things_of_the_first_lender_are_left(lab: Lab) -> None:
    book = await placed(lab)
    lab.sandbox.faults.add(
        "error", code="401873", institution="uni-b", method="DELETE", path="/items/", times=None
    )
    lab.lender.cancel_request(request_of(lab.stored(book), Role.SUPPLIER))
    await lab.rest(book, longest=timedelta(minutes=30))
    assert lab.stored(book).status is S.NOT_SUPPLIED_CURRENT_SUPPLIER
    report = await submitted(lab, at_third(lab, book))
    assert [each.code for each in report.refused] == ["still_clearing"]


# --- renewals and those who wait -------------------------------------------------


@dataclass
class ReadersLoan:
    loan_id: str
    loan_due_at: datetime


def readers_loan(lab: Lab, book: Book) -> ReadersLoan:
    leg = lab.stored(book).borrower
    assert leg is not None
    assert leg.loan_id is not None
    assert leg.loan_due_at is not None
    return ReadersLoan(leg.loan_id, leg.loan_due_at)


def intents(lab: Lab, book: Book, kind: EffectKind) -> list[Any]:
    found = lab.app.store.intents(lab.stored(book).id)
    return [each for each in found if each.kind is kind]


async def test_a_renewal_is_carried_to_the_lender_once(lab: Lab) -> None:
    book = await at_status(lab, S.LOANED)
    loan = readers_loan(lab, book)
    later = loan.loan_due_at + 60 * DAY
    lab.borrower.change_due_date(loan.loan_id, later)
    asked_before = len(intents(lab, book, EffectKind.RENEWED))
    after = await lab.rest(book)
    assert after.supplier.loan_due_at == later
    lab.clock.advance(DAY)
    await lab.look(book)
    await lab.look(book)
    renewals = intents(lab, book, EffectKind.RENEWED)
    assert len(renewals) == asked_before + 1
    assert renewals[-1].state is IntentState.DONE
    rows = [row for row in lab.app.store.history(after.id) if row.rule == "SupplierRenewal"]
    assert len(rows) == 1
    assert later.date().isoformat() in (rows[0].detail or "")


async def test_a_loan_that_is_never_due_is_carried_to_the_lender_as_alma_writes_it(
    lab: Lab,
) -> None:
    book = await at_status(lab, S.LOANED)
    never = datetime(9999, 12, 31, 22, 59, tzinfo=UTC)
    lab.borrower.change_due_date(readers_loan(lab, book).loan_id, never)
    after = await lab.rest(book)
    assert intents(lab, book, EffectKind.RENEWED)[-1].state is IntentState.DONE
    (due,) = [
        loan["due_date"]
        for loan in lab.lender.state()["loans"]
        if loan["loan_id"] == after.supplier.loan_id
    ]
    assert str(due).startswith("9999-12-31")
    asked = len(intents(lab, book, EffectKind.RENEWED))
    lab.clock.advance(DAY)
    await lab.look(book)
    assert len(intents(lab, book, EffectKind.RENEWED)) == asked


async def test_a_renewal_of_a_loan_that_was_taken_over_is_carried_too(lab: Lab) -> None:
    """Nothing is known of the lender's loan but that it is there: it is read once."""
    book = await at_status(lab, S.LOANED)
    before = lab.stored(book)
    forgotten = replace(before.supplier, loan_due_at=None, due_wanted_at=None)
    with lab.app.database.write() as connection:
        update_legs(connection, before.id, [forgotten])
    loan = readers_loan(lab, book)
    later = loan.loan_due_at + 60 * DAY
    lab.borrower.change_due_date(loan.loan_id, later)
    assert (await lab.rest(book)).supplier.loan_due_at == later


async def test_a_renewal_that_the_lender_does_not_keep_is_shown_and_tried_again(lab: Lab) -> None:
    book = await at_status(lab, S.LOANED)
    loan = readers_loan(lab, book)
    lab.sandbox.faults.add(
        "error", code="401822", institution="uni-a", method="PUT", path="/loans/", times=None
    )
    later = loan.loan_due_at + 60 * DAY
    lab.borrower.change_due_date(loan.loan_id, later)
    lab.clock.advance(timedelta(minutes=2))
    after = await lab.look(book)
    renewal = intents(lab, book, EffectKind.RENEWED)[-1]
    assert (renewal.state, renewal.last_code) == (IntentState.REFUSED, "401822")
    assert (after.status, after.parked) == (S.LOANED, None)
    lab.sandbox.faults.clear()
    assert (await lab.rest(book)).supplier.loan_due_at == later


async def test_a_loan_of_a_hundred_days_is_followed_to_its_end(lab: Lab) -> None:
    book = await at_status(lab, S.LOANED)
    for _ in range(5):
        lab.clock.advance(20 * DAY)
        loan_id = readers_loan(lab, book).loan_id
        lab.borrower.change_due_date(loan_id, lab.clock.now() + 25 * DAY)
        after = await lab.rest(book)
        assert after.status is S.LOANED
        assert after.next_poll_at is not None
    lab.borrower.return_item(book.barcode, "MAIN")
    assert (await lab.rest(book)).status is S.RETURN_TRANSIT


async def test_somebody_who_waits_at_the_lender_makes_a_note_on_the_virtual_item(lab: Lab) -> None:
    book = await at_status(lab, S.LOANED)
    assert intents(lab, book, EffectKind.NO_RENEWAL) == [], "our own hold never counts"
    lab.lender.add_user("next-reader")
    lab.lender.place_hold("next-reader", book.barcode, "MAIN")
    after = await lab.rest(book)
    (advice,) = intents(lab, book, EffectKind.NO_RENEWAL)
    assert advice.state is IntentState.DONE
    (item,) = lab.borrower.items.find("barcode", book.barcode)
    assert "do not renew" in item.texts["fulfillment_note"]
    assert f"[DCB:{book.id}]" in item.texts["internal_note_1"], "our mark stays"
    await lab.rest(book)
    assert len(intents(lab, book, EffectKind.NO_RENEWAL)) == 1
    assert after.status is S.LOANED
    lab.borrower.return_item(book.barcode, "MAIN")
    await lab.rest(book)
    lab.lender.scan_in(book.barcode, "MAIN")
    assert (await lab.rest(book)).status is S.FINALISED
    cleared(lab, book)


async def test_a_queue_that_cannot_be_read_is_not_an_empty_one(lab: Lab) -> None:
    book = await at_status(lab, S.LOANED)
    lab.lender.add_user("next-reader")
    lab.lender.place_hold("next-reader", book.barcode, "MAIN")
    lab.sandbox.faults.add(
        "json_500", institution="uni-a", method="GET", path="/items/.*/requests", times=None
    )
    lab.clock.advance(timedelta(hours=7))
    after = await lab.look(book)
    assert intents(lab, book, EffectKind.NO_RENEWAL) == []
    (verdict,) = [each for each in after.considered if each.rule == "HandleSupplierHoldDetected"]
    assert verdict.verdict == "waits"
    lab.sandbox.faults.clear()
    await lab.rest(book)
    assert len(intents(lab, book, EffectKind.NO_RENEWAL)) == 1


async def test_advice_that_alma_does_not_take_stops_nothing(lab: Lab) -> None:
    book = await at_status(lab, S.LOANED)
    lab.borrower.dialect.item_put_on_loan = "refused"
    lab.lender.add_user("next-reader")
    lab.lender.place_hold("next-reader", book.barcode, "MAIN")
    after = await lab.rest(book, longest=timedelta(hours=2))
    (advice,) = intents(lab, book, EffectKind.NO_RENEWAL)
    assert advice.state is IntentState.REFUSED
    assert after.parked is None
    lab.borrower.return_item(book.barcode, "MAIN")
    await lab.rest(book)
    lab.lender.scan_in(book.barcode, "MAIN")
    assert (await lab.rest(book)).status is S.FINALISED


# --- the other workflows -----------------------------------------------------


async def test_pickup_anywhere_with_three_libraries(lab: Lab) -> None:
    book = await placed(lab, pickup="uni-c")
    now = lab.stored(book)
    assert (now.workflow, now.status) == (
        Workflow.PICKUP_ANYWHERE,
        S.REQUEST_PLACED_AT_PICKUP_AGENCY,
    )
    lab.lender.scan_in(book.barcode, "MAIN")
    assert (await lab.rest(book)).status is S.PICKUP_TRANSIT
    lab.third.scan_in(book.barcode, "MAIN")
    ready = await lab.rest(book)
    assert ready.status is S.READY_FOR_PICKUP
    assert ready.pickup is not None
    assert ready.pickup.user_id is not None
    lab.third.loan(book.barcode, ready.pickup.user_id, "MAIN")
    loaned = await lab.rest(book)
    assert loaned.status is S.LOANED
    assert {thing.role for thing in loaned.things if thing.kind == "loan"} == {
        Role.SUPPLIER,
        Role.BORROWER,
    }
    lab.third.return_item(book.barcode, "MAIN")
    returned = await lab.rest(book)
    assert returned.status is S.RETURN_TRANSIT
    assert returned.borrower is not None
    assert returned.borrower.record_state == RecordState.ITEM_RETURNED
    lab.lender.scan_in(book.barcode, "MAIN")
    after = await lab.rest(book)
    assert (after.status, after.outcome) == (S.FINALISED, Outcome.SUPPLIED)
    assert after.supplier.record_state == RecordState.AVAILABLE
    assert after.borrower is not None
    assert after.borrower.record_state == RecordState.ITEM_AVAILABLE
    cleared(lab, book)


async def test_the_reader_cancels_at_home_what_a_third_library_would_hand_out(lab: Lab) -> None:
    book = await placed(lab, pickup="uni-c")
    lab.borrower.patron_cancels(request_of(lab.stored(book), Role.BORROWER))
    after = await lab.rest(book)
    assert (after.status, after.outcome) == (S.FINALISED, Outcome.CANCELLED)
    cleared(lab, book)


async def test_expedited_the_reader_collects_at_the_lender(lab: Lab) -> None:
    book = await placed(lab, pickup="uni-a")
    now = lab.stored(book)
    assert (now.workflow, now.status) == (Workflow.EXPEDITED, S.REQUEST_PLACED_AT_BORROWING_AGENCY)
    lab.lender.scan_in(book.barcode, "MAIN")
    waiting = await lab.rest(book)
    assert waiting.status is S.REQUEST_PLACED_AT_BORROWING_AGENCY
    assert waiting.supplier.item.state == "ON_HOLD_SHELF"
    assert waiting.supplier.user_id is not None
    lab.lender.loan(book.barcode, waiting.supplier.user_id, "MAIN")
    loaned = await lab.rest(book)
    assert loaned.status is S.LOANED
    assert steps(lab, book)[-1] == ("ExpeditedCheckout", S.LOANED)
    assert any(thing.kind == "loan" and thing.role is Role.BORROWER for thing in loaned.things)
    lab.lender.return_item(book.barcode, "MAIN")
    after = await lab.rest(book)
    assert (after.status, after.outcome) == (S.FINALISED, Outcome.SUPPLIED)
    cleared(lab, book)


async def test_expedited_and_not_collected(lab: Lab) -> None:
    book = await placed(lab, pickup="uni-a")
    lab.lender.scan_in(book.barcode, "MAIN")
    now = await lab.rest(book)
    lab.lender.expire_hold_shelf(request_of(now, Role.SUPPLIER))
    lab.lender.scan_in(book.barcode, "MAIN")
    after = await lab.rest(book)
    assert (after.status, after.outcome) == (S.FINALISED, Outcome.CANCELLED)
    cleared(lab, book)


async def test_a_library_lends_its_own_book_to_its_own_reader(lab: Lab) -> None:
    book = lab.wanted(pickup="uni-a")
    lab.lender.add_user("own-reader")
    book.line["patron"] = {"host_lms": "uni-a", "user_id": "own-reader"}
    await lab.submit(book)
    after = await lab.rest(book)
    assert (after.workflow, after.status) == (Workflow.LOCAL, S.HANDED_OFF_AS_LOCAL)
    assert after.next_poll_at is None
    (thing,) = after.things
    assert (thing.kind, thing.state) == ("hold", ThingState.HANDED_OVER)
    (hold,) = [each for each in lab.lender.state()["requests"] if book.id in each["comment"]]
    (user,) = [each for each in lab.lender.state()["users"] if each["key"] == hold["user_key"]]
    assert user["primary_id"] == "own-reader"
    assert lab.virtual_patrons(book) == 0
