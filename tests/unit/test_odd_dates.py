"""A date that is there and cannot be read decides nothing: it is shown, and what needs it waits."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from reconciler.core.decide import decide
from reconciler.core.model import (
    Decision,
    LoanId,
    LoanSight,
    Observation,
    RequestSight,
    Seen,
    Transaction,
)
from reconciler.core.staff.parking import ParkReason
from reconciler.core.status import BOOK_AWAY, DcbStatus, LoanState, Role
from reconciler.core.view.ours import UNREADABLE_DATE, began_after_our_request, our_loan, undated
from tests.support.build import LONG_AGO, NOW, item, leg, loan, look, policy, request, transaction

S = DcbStatus
RENEWAL = "SupplierRenewal"
ODD = "2026-12-20 23:59:59 Europe/Berlin"
DUE = NOW + timedelta(days=20)


def lent(**supplier: object) -> Transaction:
    seen = {"loan_seen_at": LONG_AGO, "loan_due_at": DUE, **supplier}
    borrower = leg(Role.BORROWER, loan_id=LoanId("L1"), loan_seen_at=LONG_AGO, loan_due_at=DUE)
    return transaction(S.LOANED, supplier=leg(Role.SUPPLIER, **seen), borrower=borrower)


def loan_with(word: str = "ACTIVE", **dates: object) -> Seen[LoanSight]:
    seen = loan(word)
    assert seen.value is not None
    return replace(seen, value=replace(seen.value, **dates))  # type: ignore[arg-type]


LENT = lent()


def decided(
    readers: Seen[LoanSight], lenders: Seen[LoanSight] | None = None, before: Transaction = LENT
) -> Decision:
    """What a look decides that shows the reader's loan, and the lender's where it is given."""
    supplier: dict[str, object] = {"item": item("0/LOAN", free=True)}
    if lenders is not None:
        supplier["loan"] = lenders
    seen = look(supplier=supplier, borrower={"loan": readers, "item": item("0/LOAN")})
    return decide(before, seen, NOW, policy())


def renewal(decision: Decision) -> tuple[str, str]:
    (said,) = [each for each in decision.verdicts if each.rule == RENEWAL]
    return said.verdict, said.because


# --- due dates -----------------------------------------------------------------------


def test_the_readers_due_date_parks_waits_and_stays_as_it_was_known() -> None:
    decision = decided(loan_with(raw_due_at=ODD))
    parked = decision.newly_parked
    assert parked is not None
    assert parked.reason == ParkReason.UNREADABLE_DATE
    assert parked.detail == f"at the borrower: when the loan is due cannot be read (“{ODD}”)"
    assert renewal(decision) == ("waits", f"the borrower's due date cannot be read (“{ODD}”)")
    assert (decision.actions, decision.hops) == ((), ())
    after = decision.transaction
    assert after.borrower is not None
    assert (after.borrower.loan_due_at, after.supplier.loan_due_at) == (DUE, DUE)
    assert after.supplier.due_wanted_at is None


def test_the_lenders_due_date_is_waited_for_as_well() -> None:
    later = DUE + timedelta(days=30)
    assert decided(loan_with(due_at=later)).actions
    decision = decided(loan_with(due_at=later), loan_with(raw_due_at=ODD))
    assert renewal(decision) == ("waits", f"the supplier's due date cannot be read (“{ODD}”)")
    assert decision.actions == ()
    assert decision.transaction.supplier.loan_due_at == DUE
    assert decision.newly_parked is not None
    assert "at the supplier" in decision.newly_parked.detail


def test_a_due_date_that_is_not_there_is_no_sight_of_one() -> None:
    decision = decided(loan_with(due_at=None))
    assert decision.newly_parked is None
    assert renewal(decision) == ("no", "the reader's loan shows no due date")
    assert decision.transaction.borrower is not None
    assert decision.transaction.borrower.loan_due_at == DUE


def test_of_a_loan_that_is_over_no_date_matters() -> None:
    over = loan_with("COMPLETE", raw_due_at=ODD, raw_began_at=ODD, raw_returned_at=ODD)
    decision = decided(over)
    assert decision.newly_parked is None


def test_it_parks_again_after_retry_while_it_cannot_be_read() -> None:
    parked = decided(loan_with(raw_due_at=ODD)).transaction
    assert parked.parked is not None
    retried = replace(parked, parked=None)
    again = decided(loan_with(raw_due_at=ODD), before=retried)
    assert again.newly_parked is not None
    assert renewal(again)[0] == "waits"
    assert decided(loan_with(due_at=DUE), before=retried).newly_parked is None


@pytest.mark.parametrize("status", sorted(BOOK_AWAY - {S.AWAITING_RETURN_TO_SUPPLIER}))
@pytest.mark.parametrize("role", [Role.SUPPLIER, Role.BORROWER])
def test_it_parks_wherever_the_book_is(status: DcbStatus, role: Role) -> None:
    seen = look(**{role.value: {"loan": loan_with(raw_due_at=ODD)}})
    decision = decide(transaction(status), seen, NOW, policy())
    assert decision.newly_parked is not None
    assert decision.newly_parked.reason == ParkReason.UNREADABLE_DATE


# --- when a request or a loan began -----------------------------------------------------


def test_when_a_request_was_placed() -> None:
    seen = request("IN_PROCESS")
    assert isinstance(seen.value, RequestSight)
    odd = replace(seen, value=replace(seen.value, raw_placed_at=ODD))
    known = leg(Role.SUPPLIER, request_placed_at=LONG_AGO)
    before = transaction(S.REQUEST_PLACED_AT_BORROWING_AGENCY, supplier=known)
    decision = decide(before, look(supplier={"request": odd, "item": item("1/")}), NOW, policy())
    assert decision.newly_parked is not None
    assert "when the request was placed" in decision.newly_parked.detail
    assert ODD in decision.newly_parked.detail
    assert decision.transaction.supplier.request_placed_at == LONG_AGO


@pytest.mark.parametrize("kind", ["loan", "completed_loan"])
def test_a_list_of_loans_that_cannot_be_told_apart_is_shown(kind: str) -> None:
    unread: Seen[LoanSight] = Seen.unreadable(f"a loan with the date “{ODD}”", NOW, UNREADABLE_DATE)
    seen: Observation = look(borrower={kind: unread, "item": item("0/LOAN")})
    decision = decide(transaction(S.READY_FOR_PICKUP), seen, NOW, policy())
    assert decision.hops == ()
    assert decision.newly_parked is not None
    assert decision.newly_parked.reason == ParkReason.UNREADABLE_DATE
    assert ODD in decision.newly_parked.detail


PLACED = LONG_AGO
LATER, EARLIER = PLACED + timedelta(days=1), PLACED - timedelta(days=1)


@pytest.mark.parametrize("placed_at", [None, PLACED])
@pytest.mark.parametrize("state", [LoanState.ACTIVE, LoanState.COMPLETE])
def test_a_loan_that_began_some_day_is_not_ours_for_want_of_a_date(
    placed_at: datetime | None, state: LoanState
) -> None:
    ours = leg(Role.SUPPLIER, request_placed_at=placed_at)
    odd = LoanSight(
        state, "x", user_id=ours.user_id, item_pid=ours.item_pid, raw_began_at=ODD,
        returned_at=NOW,
    )  # fmt: skip
    before = transaction(S.LOANED)
    assert not began_after_our_request(before, ours, odd)
    assert our_loan(before, ours, [odd]) is None
    assert undated(odd) == ODD
    virtual = leg(Role.BORROWER, request_placed_at=placed_at)
    theirs = replace(odd, user_id=virtual.user_id, item_pid=virtual.item_pid)
    assert our_loan(before, virtual, [theirs]) == theirs, "a virtual item serves one lend"


@pytest.mark.parametrize(
    ("dates", "told"),
    [
        ({}, None),
        ({"began_at": LATER}, None),
        ({"began_at": LATER, "raw_returned_at": ODD}, None),
        ({"raw_returned_at": ODD}, ODD),
        ({"raw_began_at": ODD, "returned_at": NOW}, ODD),
        ({"raw_due_at": ODD}, None),
    ],
)
def test_which_dates_tell_whose_loan_it_is(dates: dict[str, object], told: str | None) -> None:
    sight = replace(LoanSight(LoanState.COMPLETE, "COMPLETE"), **dates)  # type: ignore[arg-type]
    assert undated(sight) == told


@pytest.mark.parametrize(("began_at", "is_ours"), [(LATER, True), (EARLIER, False), (None, True)])
def test_a_date_that_is_read_or_missing_counts_as_before(
    began_at: datetime | None, is_ours: bool
) -> None:
    ours = leg(Role.SUPPLIER, request_placed_at=PLACED)
    sight = LoanSight(LoanState.ACTIVE, "ACTIVE", began_at=began_at)
    assert began_after_our_request(transaction(S.LOANED), ours, sight) is is_ours
