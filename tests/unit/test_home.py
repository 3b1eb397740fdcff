"""When a book is home at its lender although its return was never seen at the other library."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.core.decide import decide
from reconciler.core.model import LoanId, Observation, Remembered, Transaction
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
STILL_LENT = {"loan": loan("ACTIVE"), "item": item("0/LOAN")}


def hops(before: Transaction, observation: Observation) -> list[tuple[DcbStatus, bool]]:
    decision = decide(before, observation, NOW, policy())
    return [(hop.target, hop.inferred) for hop in decision.hops]


def loaned(**supplier: object) -> Transaction:
    return transaction(S.LOANED, supplier=leg(Role.SUPPLIER, **supplier))


HOME = [(S.RETURN_TRANSIT, True), (S.COMPLETED, False)]


@pytest.mark.parametrize("raw", ["1/", "0/TRANSIT", "0/WORK_ORDER_DEPARTMENT"])
def test_a_closed_loan_at_the_lender_completes_through_return_transit(raw: str) -> None:
    sights = look(supplier={"item": item(raw), "loan": loan("COMPLETE")}, borrower=STILL_LENT)
    assert hops(loaned(), sights) == HOME


def test_a_closed_loan_alone_completes_too() -> None:
    sights = look(supplier={"item": unreadable(), "loan": loan("COMPLETE")}, borrower=STILL_LENT)
    assert hops(loaned(), sights) == HOME


def test_completing_sets_the_outcome_and_the_words_of_our_record() -> None:
    sights = look(supplier={"item": item("1/"), "loan": loan("COMPLETE")}, borrower=STILL_LENT)
    after = decide(loaned(), sights, NOW, policy()).transaction
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
    assert hops(loaned(item=long_in_place, loan_id=LoanId("L1")), WEAK) == HOME


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
    closed = look(supplier={**sights, "request": request("HISTORY")})
    ours = look(supplier={**sights, "request": request("IN_PROCESS")})
    seen = leg(Role.SUPPLIER, loan_seen_at=NOW - timedelta(days=5))
    before = transaction(S.RETURN_TRANSIT, supplier=seen)
    assert hops(before, closed) == [(S.COMPLETED, False)]
    assert hops(before, ours) == []
    assert hops(transaction(S.RETURN_TRANSIT), closed) == []


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
        }
        decision = decide(current, look(supplier=lender, borrower=STILL_LENT), now, policy())
        assert decision.hops == ()
        current, now = decision.transaction, now + timedelta(hours=6)
    assert current.supplier.item.since == now - timedelta(hours=6)
