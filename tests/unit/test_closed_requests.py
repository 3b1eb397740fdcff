"""What a request that is gone means, status by status: Alma says the same for "filled", "cancelled"
and "expired", so it is found by the loan and the item, and never guessed.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.core.decide import decide
from reconciler.core.model import Observation, Remembered, Seen, Thing, Transaction
from reconciler.core.status import JOURNEYS, DcbStatus, Outcome, Role, ThingKind, Workflow
from tests.support.build import (
    NOW,
    UNI_B,
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
HOUR = timedelta(hours=1)
CLOSED = request("HISTORY")
NOBODY = Seen.of((), NOW)
CLOSED_BEFORE = Remembered("CLOSED", "HISTORY", NOW - HOUR, NOW - HOUR, unfilled_at=NOW - 2 * HOUR)
IN_PLACE_BEFORE = Remembered("IN_PLACE", "1/", NOW - HOUR, NOW - HOUR)
UNFILLED = {
    "request": CLOSED,
    "item": item("1/"),
    "loan": loan("NONE"),
    "completed_loan": loan("NONE"),
    "item_requests": NOBODY,
}
"""Gone, no loan came of it, and the item is at rest without it."""
AT_LENDER = {"request": request("IN_PROCESS"), "item": item("1/")}
AWAY = {"request": request("IN_PROCESS"), "item": item("0/TRANSIT")}


def seen_before(status: DcbStatus, role: Role) -> Transaction:
    """A transaction that saw the same an hour ago: a second look confirms it."""
    made = transaction(status)
    mine = made.leg(role)
    assert mine is not None
    return made.with_legs({role: replace(mine, request=CLOSED_BEFORE, item=IN_PLACE_BEFORE)})


def path(before: Transaction, observation: Observation) -> list[DcbStatus]:
    return [hop.target for hop in decide(before, observation, NOW, policy()).hops]


READER_GONE = {
    S.REQUEST_PLACED_AT_BORROWING_AGENCY: [S.CANCELLED],
    S.PICKUP_TRANSIT: [S.AWAITING_RETURN_TO_SUPPLIER],
    S.RECEIVED_AT_PICKUP: [S.AWAITING_RETURN_TO_SUPPLIER],
    S.READY_FOR_PICKUP: [S.AWAITING_RETURN_TO_SUPPLIER],
}
"""Only here is the reader's missing hold a cancellation; from the loan on it is no news at all."""


@pytest.mark.parametrize("status", JOURNEYS[Workflow.STANDARD][3:-1])
def test_the_readers_missing_hold_by_status(status: DcbStatus) -> None:
    lender = AT_LENDER if status is S.REQUEST_PLACED_AT_BORROWING_AGENCY else AWAY
    found = path(seen_before(status, Role.BORROWER), look(supplier=lender, borrower=UNFILLED))
    after_the_loan = [S.RETURN_TRANSIT] if status is S.LOANED else []
    cleared = [S.FINALISED] if status is S.COMPLETED else []
    assert found == (READER_GONE.get(status) or after_the_loan or cleared)


@pytest.mark.parametrize("status", READER_GONE)
@pytest.mark.parametrize("hidden", ["item", "loan", "completed_loan", "item_requests"])
def test_one_proof_that_cannot_be_read_and_nothing_is_concluded(
    status: DcbStatus, hidden: str
) -> None:
    lender = AT_LENDER if status is S.REQUEST_PLACED_AT_BORROWING_AGENCY else AWAY
    sights: dict[str, Any] = {**UNFILLED, hidden: unreadable()}
    assert path(seen_before(status, Role.BORROWER), look(supplier=lender, borrower=sights)) == []


@pytest.mark.parametrize("status", READER_GONE)
def test_one_look_alone_ends_nothing(status: DcbStatus) -> None:
    lender = AT_LENDER if status is S.REQUEST_PLACED_AT_BORROWING_AGENCY else AWAY
    decision = decide(transaction(status), look(supplier=lender, borrower=UNFILLED), NOW, policy())
    assert decision.hops == ()
    assert decision.transaction.next_poll_at is not None
    assert decision.transaction.next_poll_at - NOW <= timedelta(minutes=2)


@pytest.mark.parametrize("status", [S.PICKUP_TRANSIT, S.RECEIVED_AT_PICKUP, S.READY_FOR_PICKUP])
def test_a_hold_that_went_with_the_loan_is_the_loan(status: DcbStatus) -> None:
    """Checkout ends the hold, so that both are seen at once: an ordinary collection."""
    lent = {**UNFILLED, "item": item("0/LOAN"), "loan": loan("ACTIVE")}
    found = path(seen_before(status, Role.BORROWER), look(supplier=AWAY, borrower=lent))
    assert found[-1] is S.LOANED


@pytest.mark.parametrize("status", [S.PICKUP_TRANSIT, S.RECEIVED_AT_PICKUP, S.READY_FOR_PICKUP])
@pytest.mark.parametrize("item_reads", [True, False])
def test_a_hold_that_went_with_a_loan_that_is_over_is_a_return_once_its_item_is_read(
    status: DcbStatus, item_reads: bool
) -> None:
    seen_item = item("1/") if item_reads else unreadable()
    over = {**UNFILLED, "item": seen_item, "completed_loan": loan("COMPLETE")}
    found = path(seen_before(status, Role.BORROWER), look(supplier=AWAY, borrower=over))
    assert found[-1] is (S.RETURN_TRANSIT if item_reads else S.LOANED)


def test_on_loan_to_whom_cannot_be_read_is_no_cancellation() -> None:
    lent = {**UNFILLED, "item": item("0/LOAN"), "loan": unreadable()}
    before = seen_before(S.READY_FOR_PICKUP, Role.BORROWER)
    assert path(before, look(supplier=AWAY, borrower=lent)) == []


@pytest.mark.parametrize(
    "status",
    [
        S.PICKUP_TRANSIT,
        S.RECEIVED_AT_PICKUP,
        S.READY_FOR_PICKUP,
        S.LOANED,
        S.RETURN_TRANSIT,
        S.AWAITING_RETURN_TO_SUPPLIER,
    ],
)
def test_the_lenders_missing_hold_refuses_nothing_once_the_book_has_left(
    status: DcbStatus,
) -> None:
    sights = {**UNFILLED, "item": item("0/TRANSIT")}
    found = path(
        seen_before(status, Role.SUPPLIER),
        look(supplier=sights, borrower={"request": request("IN_PROCESS"), "item": item("1/")}),
    )
    assert S.NOT_SUPPLIED_CURRENT_SUPPLIER not in found
    assert S.CANCELLED not in found


# --- the way home of what nobody collected -------------------------------------------

AWAITING = transaction(
    S.AWAITING_RETURN_TO_SUPPLIER,
    dispatched_at=NOW - timedelta(days=3),
    supplier=leg(
        Role.SUPPLIER,
        item=Remembered("TRANSIT", "0/TRANSIT", NOW - HOUR, NOW - HOUR, away_at=NOW - HOUR),
    ),
)
HOME = look(
    supplier={"item": item("1/")},
    borrower={"item": item("0/TRANSIT"), "completed_loan": loan("NONE")},
)


@pytest.mark.parametrize("raw", ["0/TRANSIT", "0/HOLDSHELF", "0/REQUESTED", "0/LOAN", "0/"])
def test_only_the_lenders_shelf_ends_the_wait(raw: str) -> None:
    assert path(AWAITING, look(supplier={"item": item(raw)})) == []


@pytest.mark.parametrize("raw", ["1/", "0/TRANSIT", "0/HOLDSHELF"])
def test_nothing_that_the_borrowers_item_shows_ends_it(raw: str) -> None:
    sights = look(supplier={"item": unreadable()}, borrower={"item": item(raw)})
    assert path(AWAITING, sights) == []


def test_what_nobody_collected_ends_as_cancelled_and_never_as_supplied() -> None:
    after = decide(AWAITING, HOME, NOW, policy()).transaction
    assert (after.status, after.outcome) == (S.CANCELLED, Outcome.CANCELLED)
    last = decide(after, look(), NOW + HOUR, policy()).transaction
    assert (last.status, last.outcome) == (S.FINALISED, Outcome.CANCELLED)


def test_the_records_stay_as_long_as_the_book_is_away() -> None:
    ours = tuple(
        Thing(f"th-{kind}", kind, Role.BORROWER, UNI_B)
        for kind in (ThingKind.HOLD, ThingKind.BIB, ThingKind.HOLDING, ThingKind.ITEM)
    )
    away = replace(AWAITING, things=ours)
    for raw in ("0/TRANSIT", "0/HOLDSHELF"):
        assert decide(away, look(supplier={"item": item(raw)}), NOW, policy()).clearing == ()
    home = decide(away, HOME, NOW, policy())
    assert {effect.thing_id for effect in home.clearing} == {thing.id for thing in ours}
