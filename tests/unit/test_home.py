"""When a book is home at its lender although its return was never seen at the other library."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.core.decide import decide
from reconciler.core.model import LoanId, Observation, Remembered, Seen, Transaction
from reconciler.core.staff.parking import ParkReason
from reconciler.core.status import DcbStatus, Outcome, RecordState, Role
from tests.support.build import (
    EXTERNAL,
    NOW,
    SETTLE,
    item,
    leg,
    loan,
    look,
    policy,
    request,
    transaction,
    unreadable,
)

S = DcbStatus
HOUR, DAY = timedelta(hours=1), timedelta(days=1)
BACK = {"item": item("0/TRANSIT")}
STILL_LENT = {"loan": loan("ACTIVE"), "item": item("0/LOAN")}


def hops(before: Transaction, observation: Observation) -> list[tuple[DcbStatus, bool]]:
    decision = decide(before, observation, NOW, policy())
    return [(hop.target, hop.inferred) for hop in decision.hops]


OVER = Remembered("COMPLETE", "COMPLETE", NOW - timedelta(hours=1), since=NOW - timedelta(hours=1))


def loaned(**supplier: object) -> Transaction:
    return transaction(S.LOANED, supplier=leg(Role.SUPPLIER, **supplier))


HOME = [(S.RETURN_TRANSIT, True), (S.COMPLETED, False)]


ENDED = {"request": request("HISTORY"), "item_requests": Seen.of((), NOW)}


def seen_before(raw: str) -> Remembered:
    """The same word an hour ago."""
    state = item(raw).value.state
    return Remembered(state, raw, NOW - HOUR, since=NOW - HOUR)


@pytest.mark.parametrize("raw", ["1/", "0/TRANSIT", "0/WORK_ORDER_DEPARTMENT"])
def test_a_closed_loan_and_the_book_at_home_complete_in_two_looks(raw: str) -> None:
    home = {"item": item(raw), "loan": loan("COMPLETE"), **ENDED}
    sights = look(supplier=home, borrower=STILL_LENT)
    once = loaned(loan_seen_at=NOW - 5 * DAY)
    assert hops(once, sights) == []
    assert (
        hops(loaned(loan_seen_at=NOW - 5 * DAY, item=seen_before(raw), loan=OVER), sights) == HOME
    )


@pytest.mark.parametrize("raw", ["0/LOST_LOAN_AND_PAID", "0/MISSING", "0/CLAIM_RETURNED_LOAN"])
@pytest.mark.parametrize("status", [S.LOANED, S.RETURN_TRANSIT])
def test_a_loan_that_ended_on_paper_is_no_return(status: DcbStatus, raw: str) -> None:
    home = {"item": item(raw), "loan": loan("COMPLETE"), **ENDED}
    before = replace(
        loaned(loan_seen_at=NOW - 5 * DAY, item=seen_before(raw), loan=OVER), status=status
    )
    reader = STILL_LENT if status is S.LOANED else {"item": item("0/TRANSIT")}
    decision = decide(before, look(supplier=home, borrower=reader), NOW, policy())
    assert (decision.hops, decision.newly_parked is not None) == ((), True)


@pytest.mark.parametrize("status", [S.LOANED, S.RETURN_TRANSIT])
def test_a_closed_loan_alone_proves_nothing(status: DcbStatus) -> None:
    for item_seen in (unreadable(), item("1/")):
        lender = {"item": item_seen, "loan": loan("COMPLETE"), "active_loan": unreadable(), **ENDED}
        seen = look(supplier=lender, borrower={"item": item("0/TRANSIT")})
        before = replace(
            loaned(loan_seen_at=NOW - 5 * DAY, item=seen_before("1/"), loan=OVER), status=status
        )
        assert hops(before, seen) == []


def test_completing_sets_the_outcome_and_the_words_of_our_record() -> None:
    sights = look(supplier={"item": item("1/"), "loan": loan("COMPLETE")}, borrower=STILL_LENT)
    before = loaned(loan_seen_at=NOW - 5 * DAY, item=seen_before("1/"), loan=OVER)
    after = decide(before, sights, NOW, policy()).transaction
    assert after.outcome is Outcome.SUPPLIED
    assert after.supplier.record_state == RecordState.AVAILABLE
    assert after.borrower is not None
    assert after.borrower.record_state == RecordState.ITEM_AVAILABLE


WEAK = look(
    supplier={"item": item("1/"), "loan": loan("NONE"), "completed_loan": loan("NONE")},
    borrower=STILL_LENT,
)


def test_in_place_without_a_loan_on_record_needs_a_second_look_and_a_loan_seen_before() -> None:
    first = loaned(loan_seen_at=NOW - timedelta(days=5))
    decision = decide(first, WEAK, NOW, policy())
    assert decision.hops == ()
    assert decision.transaction.next_poll_at == NOW + SETTLE

    settled = replace(
        decision.transaction,
        supplier=replace(
            decision.transaction.supplier,
            item=Remembered("IN_PLACE", "1/", NOW - SETTLE, since=NOW - SETTLE),
            loan=Remembered("ABSENT", "", NOW - SETTLE, since=NOW - SETTLE),
        ),
    )
    assert hops(settled, WEAK) == HOME

    too_soon = replace(
        settled,
        supplier=replace(
            settled.supplier,
            item=Remembered("IN_PLACE", "1/", NOW, since=NOW - SETTLE + timedelta(seconds=1)),
        ),
    )
    assert hops(too_soon, WEAK) == []


def test_before_any_loan_was_seen_in_place_moves_nothing() -> None:
    long_in_place = Remembered("IN_PLACE", "1/", NOW - SETTLE, since=NOW - timedelta(days=3))
    assert hops(loaned(item=long_in_place), WEAK) == []
    assert hops(loaned(item=long_in_place, loan_id=LoanId("L1"), loan=OVER), WEAK) == HOME


def test_what_the_lenders_item_showed_before_it_was_lent_is_no_first_look() -> None:
    """In place since before the book left, and in place again after a check-in by mistake."""
    stale = Remembered("IN_PLACE", "1/", NOW - 9 * DAY, since=NOW - 9 * DAY)
    before = replace(
        loaned(loan_seen_at=NOW - 5 * DAY, item=stale, loan_id=LoanId("L1")),
        dispatched_at=NOW - 8 * DAY,
    )
    home = look(
        supplier={"item": item("1/"), "loan": loan("COMPLETE"), **ENDED}, borrower=STILL_LENT
    )
    first = decide(before, home, NOW, policy())
    assert first.hops == ()
    at_once = decide(first.transaction, home, NOW + timedelta(seconds=5), policy())
    assert at_once.hops == ()
    later = NOW + SETTLE
    second = decide(first.transaction, home, later, policy())
    assert [hop.target for hop in second.hops] == [S.RETURN_TRANSIT, S.COMPLETED]


@pytest.mark.parametrize(
    "status",
    [
        S.REQUEST_PLACED_AT_BORROWING_AGENCY,
        S.PICKUP_TRANSIT,
        S.RECEIVED_AT_PICKUP,
        S.READY_FOR_PICKUP,
    ],
)
def test_before_the_book_was_loaned_in_place_at_the_lender_proves_nothing(
    status: DcbStatus,
) -> None:
    sights = look(
        supplier={"item": item("1/"), "request": request("HISTORY"), "loan": loan("NONE")},
        borrower={"item": item("0/TRANSIT"), "request": request("IN_PROCESS")},
    )
    before = transaction(
        status,
        supplier=leg(
            Role.SUPPLIER,
            loan_seen_at=NOW - timedelta(days=2),
            item=Remembered("IN_PLACE", "1/", NOW, since=NOW - timedelta(days=2)),
        ),
    )
    assert hops(before, sights) == []


def test_an_active_loan_at_the_lender_contradicts_in_place() -> None:
    sights = look(supplier={"item": item("1/"), "loan": loan("ACTIVE")}, borrower=STILL_LENT)
    before = loaned(
        loan_seen_at=NOW - timedelta(days=2),
        item=Remembered("IN_PLACE", "1/", NOW, since=NOW - timedelta(days=1)),
    )
    assert hops(before, sights) == []


def test_transit_at_the_lender_proves_no_return_without_a_closed_loan() -> None:
    sights = look(
        supplier={
            "item": item("0/TRANSIT"),
            "loan": loan("NONE"),
            "completed_loan": loan("NONE"),
            "request": request("IN_PROCESS"),
        }
    )
    assert hops(transaction(S.RETURN_TRANSIT), sights) == []


@pytest.mark.parametrize("raw", ["0/HOLDSHELF", "0/REQUESTED", "0/LOAN"])
def test_a_book_that_already_serves_the_next_reader_is_home(raw: str) -> None:
    sights = {
        "item": item(raw),
        "loan": loan("NONE"),
        "completed_loan": loan("NONE"),
        "loaned_to_other": raw == "0/LOAN",
    }
    closed = look(supplier={**sights, **ENDED}, borrower=BACK)
    waiting = {**sights, "request": request("IN_PROCESS"), "loaned_to_other": False}
    ours = look(supplier=waiting, borrower=BACK)
    seen = leg(Role.SUPPLIER, loan_seen_at=NOW - 5 * DAY)
    before = transaction(S.RETURN_TRANSIT, supplier=seen)
    assert hops(before, closed) == [(S.COMPLETED, False)]
    assert hops(before, ours) == ([(S.COMPLETED, False)] if raw == "0/REQUESTED" else [])


@pytest.mark.parametrize(("raw", "counts"), [("0/HOLDSHELF", 2), ("0/LOAN", 2), ("0/REQUESTED", 0)])
def test_without_a_loan_of_ours_two_looks_at_the_next_reader_tell(raw: str, counts: int) -> None:
    """Requested alone is what a book shows that was sent unscanned: that proves nothing."""
    lender = {
        "item": item(raw),
        "loan": loan("NONE"),
        "completed_loan": loan("NONE"),
        "loaned_to_other": raw == "0/LOAN",
        **ENDED,
    }
    closed = look(supplier=lender, borrower=BACK)
    assert hops(transaction(S.RETURN_TRANSIT), closed) == []
    again = transaction(
        S.RETURN_TRANSIT,
        supplier=leg(Role.SUPPLIER, item=seen_before(raw)),
        previous_status=S.LOANED,
    )
    assert hops(again, closed) == ([(S.COMPLETED, False)] if counts == 2 else [])


def test_a_book_tracked_on_its_way_home_has_no_memory() -> None:
    """In place in two looks is home; one that lay in place while it was lent never left."""
    lender = {"item": item("1/"), "loan": loan("NONE"), "completed_loan": loan("NONE")}
    seen = look(supplier=lender, borrower={"item": item("0/TRANSIT")})
    tracked = replace(transaction(S.RETURN_TRANSIT), dispatched_at=NOW - 12 * DAY)
    assert hops(tracked, seen) == []
    twice = replace(tracked, supplier=leg(Role.SUPPLIER, item=seen_before("1/")))
    assert hops(twice, seen) == [(S.COMPLETED, False)]
    ours = replace(twice, previous_status=S.LOANED)
    decision = decide(ours, seen, NOW, policy())
    assert decision.hops == ()
    assert "reconciler close" in next(
        each.because
        for each in decision.verdicts
        if each.rule == "HandleBorrowerRequestReturnTransit"
    )


def test_an_external_lender_is_believed_once_it_speaks_after_the_loan() -> None:
    def lender(said_at: timedelta) -> Transaction:
        told = Remembered("IN_PLACE", "IN_PLACE", NOW + said_at, since=NOW + said_at)
        return replace(
            transaction(S.LOANED, supplier=leg(Role.SUPPLIER, host_lms=EXTERNAL, item=told)),
            status_since=NOW - timedelta(days=1),
        )

    def sight(said_at: timedelta) -> Observation:
        return look(supplier={"item": item("1/", at=NOW + said_at)}, borrower=STILL_LENT)

    later, before = timedelta(hours=-1), timedelta(days=-2)
    assert hops(lender(later), sight(later)) == HOME
    assert hops(lender(before), sight(before)) == []


def test_in_place_for_one_look_alone_is_no_return() -> None:
    """A stray word between two looks at the loan: the next "in place" begins anew."""
    now, current = NOW, loaned(loan_seen_at=NOW - timedelta(days=5))
    for raw, word in (("1/", "NONE"), ("0/LOAN", "ACTIVE"), ("1/", "NONE")):
        lender = {
            "item": item(raw, at=now),
            "loan": loan(word, at=now),
            "completed_loan": loan("NONE", at=now),
            **ENDED,
        }
        decision = decide(current, look(supplier=lender, borrower=STILL_LENT), now, policy())
        assert decision.hops == ()
        current, now = decision.transaction, now + timedelta(hours=6)
    assert current.supplier.item.since == now - timedelta(hours=6)


def test_a_hold_that_was_used_up_before_the_book_was_sent_waits_for_a_person() -> None:
    over = {"item": item("1/"), "loan": loan("COMPLETE"), **ENDED}
    over |= {"completed_loan": loan("COMPLETE")}
    waiting = {"item": item("1/"), "request": request("IN_PROCESS")}
    seen = look(supplier=over, borrower=waiting)
    for status in (S.REQUEST_PLACED_AT_SUPPLYING_AGENCY, S.REQUEST_PLACED_AT_BORROWING_AGENCY):
        first = decide(transaction(status), seen, NOW, policy())
        assert (first.hops, first.newly_parked) == ((), None)
        later = decide(first.transaction, seen, NOW + SETTLE, policy())
        assert later.newly_parked is not None
        assert later.newly_parked.reason == ParkReason.HOLD_USED_UP
        lent = {"item": item("0/LOAN"), "request": request("HISTORY"), "loan": loan("ACTIVE")}
        again = look(supplier=lent, borrower=waiting)
        assert decide(later.transaction, again, NOW + DAY, policy()).hops != ()


def test_home_without_a_look_at_the_pickup_library_waits_for_one() -> None:
    """The reader may have the book again: his loan is looked for before anything ends under it."""
    home = {"item": item("1/"), "loan": loan("COMPLETE"), **ENDED}
    before = replace(
        loaned(loan_seen_at=NOW - 5 * DAY, loan_id=LoanId("L1")), status=S.RETURN_TRANSIT
    )
    assert hops(before, look(supplier=home)) == []
    assert hops(before, look(supplier=home, borrower=BACK)) == [(S.COMPLETED, False)]
    assert hops(before, look(supplier=home, borrower=STILL_LENT)) == [(S.LOANED, False)]
