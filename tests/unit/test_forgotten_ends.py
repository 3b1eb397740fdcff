"""A hold that ended so long ago that Alma may have forgotten the loan it was filled by: it is no
cancellation, and no loan; it waits for a person."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from reconciler.core.commands.close import close
from reconciler.core.commands.command import Command, Order, Step
from reconciler.core.commands.retry import retry
from reconciler.core.decide import decide
from reconciler.core.lookahead import SEEN_IN_TIME, first_reads
from reconciler.core.model import Decision, Observation, Remembered, Thing, Transaction
from reconciler.core.staff.parking import ParkReason
from reconciler.core.status import DcbStatus, Outcome, Role, ThingKind, Workflow
from reconciler.core.view.look import View
from tests.support.build import (
    LOANS_KEPT,
    NOW,
    SETTLE,
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
from tests.unit.test_closed_requests import AT_LENDER, AWAY, HOUR, IN_PLACE_BEFORE, UNFILLED

S, W = DcbStatus, Workflow
DAY = timedelta(days=1)
FRESH = NOW - LOANS_KEPT + HOUR
OLD = NOW - LOANS_KEPT - HOUR
AT_BORROWER = {"request": request("IN_PROCESS"), "item": item("1/")}

SIGHTS: dict[tuple[Workflow, DcbStatus], dict[str, Any]] = {
    (W.STANDARD, S.REQUEST_PLACED_AT_BORROWING_AGENCY): {
        "supplier": AT_LENDER,
        "borrower": UNFILLED,
    },
    (W.STANDARD, S.PICKUP_TRANSIT): {"supplier": AWAY, "borrower": UNFILLED},
    (W.STANDARD, S.READY_FOR_PICKUP): {"supplier": AWAY, "borrower": UNFILLED},
    (W.PICKUP_ANYWHERE, S.REQUEST_PLACED_AT_PICKUP_AGENCY): {
        "supplier": AT_LENDER,
        "borrower": AT_BORROWER,
        "pickup": UNFILLED,
    },
    (W.EXPEDITED, S.REQUEST_PLACED_AT_SUPPLYING_AGENCY): {"supplier": UNFILLED},
    (W.EXPEDITED, S.REQUEST_PLACED_AT_BORROWING_AGENCY): {
        "supplier": UNFILLED,
        "borrower": AT_BORROWER,
    },
}
"""Where the reader's hold may have been filled, and what is seen of one that has ended."""
WAYS = pytest.mark.parametrize(("workflow", "status"), SIGHTS, ids=str)


def ended(workflow: Workflow, status: DcbStatus, last: datetime, *, looks: int = 2) -> Transaction:
    """One whose closed holds were last seen to stand then, and closed an hour ago."""
    before = transaction(status, workflow)
    word = Remembered("CLOSED", "HISTORY", NOW - HOUR, NOW - HOUR, unfilled_at=last)
    if looks == 1:
        word = Remembered("PLACED", "NOT_STARTED", last, last, unfilled_at=last)
    roles = [Role(name) for name, sight in SIGHTS[workflow, status].items() if sight is UNFILLED]
    legs = [leg for role in roles if (leg := before.leg(role)) is not None]
    return before.with_legs(
        {leg.role: replace(leg, request=word, item=IN_PLACE_BEFORE) for leg in legs}
    )


def decided(before: Transaction, **sights: Any) -> Decision:
    return decide(before, look(**sights), NOW, policy())


@WAYS
def test_while_the_loan_would_show_its_absence_proves_that_there_was_none(
    workflow: Workflow, status: DcbStatus
) -> None:
    made = decided(ended(workflow, status, FRESH), **SIGHTS[workflow, status])
    assert [hop.target for hop in made.hops] != []
    assert made.newly_parked is None


@WAYS
def test_later_it_proves_nothing_and_a_person_is_told(
    workflow: Workflow, status: DcbStatus
) -> None:
    made = decided(ended(workflow, status, OLD), **SIGHTS[workflow, status])
    assert made.hops == ()
    assert made.newly_parked is not None
    assert made.newly_parked.reason == ParkReason.END_UNTOLD
    assert "longer than a returned loan is kept there (7 days)" in made.newly_parked.detail
    waits = [each.because for each in made.verdicts if each.verdict == "waits"]
    assert any("the reader may have had the book, or not" in because for because in waits)


@WAYS
def test_one_look_is_only_a_suspicion(workflow: Workflow, status: DcbStatus) -> None:
    made = decided(ended(workflow, status, OLD, looks=1), **SIGHTS[workflow, status])
    assert (made.hops, made.newly_parked) == ((), None)
    assert made.transaction.next_poll_at is not None
    assert made.transaction.next_poll_at - NOW <= SETTLE


@WAYS
@pytest.mark.parametrize("hidden", ["loan", "completed_loan", "request"])
def test_what_cannot_be_read_is_not_forgotten(
    workflow: Workflow, status: DcbStatus, hidden: str
) -> None:
    sights = {
        role: {**sight, hidden: unreadable()} if sight is UNFILLED else sight
        for role, sight in SIGHTS[workflow, status].items()
    }
    made = decided(ended(workflow, status, OLD), **sights)
    assert (made.hops, made.newly_parked) == ((), None)


@WAYS
def test_a_loan_that_still_shows_is_the_loan(workflow: Workflow, status: DcbStatus) -> None:
    sights = {
        role: {**sight, "completed_loan": loan("COMPLETE")} if sight is UNFILLED else sight
        for role, sight in SIGHTS[workflow, status].items()
    }
    made = decided(ended(workflow, status, OLD), **sights)
    assert made.newly_parked is None
    assert made.transaction.outcome not in (Outcome.CANCELLED, Outcome.NOT_SUPPLIED)


@WAYS
def test_a_loan_that_was_seen_is_no_secret_once_it_is_forgotten(
    workflow: Workflow, status: DcbStatus
) -> None:
    """The lend had to wait for something else when its reader had the book."""
    before = ended(workflow, status, OLD)
    seen = before.with_legs(
        {
            leg.role: replace(leg, loan_seen_at=NOW - LOANS_KEPT)
            for leg in before.legs
            if SIGHTS[workflow, status].get(leg.role) is UNFILLED
        }
    )
    made = decided(seen, **SIGHTS[workflow, status])
    assert made.newly_parked is None
    assert made.transaction.outcome not in (Outcome.CANCELLED, Outcome.NOT_SUPPLIED)
    if status not in (S.REQUEST_PLACED_AT_SUPPLYING_AGENCY, S.CONFIRMED):
        assert S.LOANED in [hop.target for hop in made.hops]
        assert S.RETURN_TRANSIT in [hop.target for hop in made.hops]


# --- whose hold it is that may have been filled -----------------------------------------

REFUSED = {"supplier": UNFILLED, "borrower": AT_BORROWER}


def refused(status: DcbStatus, borrower: Remembered | None) -> Transaction:
    """A lender's hold that ended long ago; the reader's own has this word, or is not placed."""
    before = transaction(status)
    assert before.borrower is not None
    closed = Remembered("CLOSED", "HISTORY", NOW - HOUR, NOW - HOUR, unfilled_at=OLD)
    reader = replace(before.borrower, request=borrower or Remembered())
    if borrower is None:
        reader = replace(reader, request_id=None)
    lender = replace(before.supplier, request=closed, item=IN_PLACE_BEFORE)
    return before.with_legs({Role.SUPPLIER: lender, Role.BORROWER: reader})


def test_the_lender_has_refused_where_no_reader_can_have_had_the_book() -> None:
    unplaced = refused(S.CONFIRMED, None)
    assert [hop.target for hop in decided(unplaced, **REFUSED).hops] == [
        S.NOT_SUPPLIED_CURRENT_SUPPLIER
    ]
    stands = refused(S.REQUEST_PLACED_AT_BORROWING_AGENCY, Remembered("ACTIVE", "", OLD, OLD))
    assert [hop.target for hop in decided(stands, **REFUSED).hops] == [
        S.NOT_SUPPLIED_CURRENT_SUPPLIER
    ]


def test_the_lender_has_not_refused_where_the_readers_hold_is_over_as_well() -> None:
    closed = Remembered("CLOSED", "HISTORY", NOW - HOUR, NOW - HOUR, unfilled_at=OLD)
    over = refused(S.REQUEST_PLACED_AT_BORROWING_AGENCY, closed)
    made = decided(over, supplier=UNFILLED, borrower=UNFILLED)
    assert made.hops == ()
    assert made.newly_parked is not None
    assert made.newly_parked.reason == ParkReason.END_UNTOLD


# --- since when it is known to have stood -------------------------------------------------


def test_a_hold_is_known_not_to_be_filled_when_it_was_last_seen_to_stand() -> None:
    first = decided(transaction(S.READY_FOR_PICKUP), borrower=AT_BORROWER).transaction
    assert first.borrower is not None
    assert first.borrower.request.unfilled_at == NOW
    gone = look(borrower={"request": request("HISTORY"), "item": item("1/")})
    later = decide(first, gone, NOW + HOUR, policy()).transaction
    assert later.borrower is not None
    assert (later.borrower.request.state, later.borrower.request.unfilled_at) == ("CLOSED", NOW)


@pytest.mark.parametrize(
    ("raw", "free", "proves"),
    [("0/HOLDSHELF", None, True), ("0/TRANSIT", False, True), ("0/TRANSIT", True, False)],
)
@pytest.mark.parametrize("workflow", [W.STANDARD, W.EXPEDITED])
def test_a_virtual_item_that_waits_tells_it_too_but_a_real_one_may_wait_for_others(
    workflow: Workflow, raw: str, free: bool | None, proves: bool
) -> None:
    role = Role.SUPPLIER if workflow is W.EXPEDITED else Role.BORROWER
    before = transaction(S.REQUEST_PLACED_AT_BORROWING_AGENCY, workflow)
    made = decided(before, **{role: {"item": item(raw, free=free)}}).transaction.leg(role)
    assert made is not None
    assert (made.request.unfilled_at == NOW) is (proves and role is Role.BORROWER)


def test_one_that_was_never_seen_to_stand_counts_from_when_it_was_placed() -> None:
    closed = Remembered("CLOSED", "HISTORY", NOW - HOUR, NOW - HOUR)
    mine = leg(Role.BORROWER, request=closed, item=IN_PLACE_BEFORE)
    never = transaction(S.READY_FOR_PICKUP, borrower=mine)
    sights = SIGHTS[W.STANDARD, S.READY_FOR_PICKUP]
    assert decided(never, **sights).newly_parked is not None
    hold = Thing("h", ThingKind.HOLD, Role.BORROWER, UNI_B, request_id=mine.request_id)
    for placed in (
        replace(never, created_at=FRESH),
        replace(never, things=(replace(hold, created_at=FRESH),)),
        replace(never, borrower=replace(mine, request_placed_at=FRESH)),
    ):
        made = decided(placed, **sights)
        assert [hop.target for hop in made.hops] == [S.AWAITING_RETURN_TO_SUPPLIER]


@WAYS
def test_looks_that_still_told_go_on_telling(workflow: Workflow, status: DcbStatus) -> None:
    """Closed, no loan, but its item does not tell why: each such look is a proof up to its time."""
    sights = SIGHTS[workflow, status]
    first = ended(workflow, status, FRESH, looks=1)
    busy = {
        role: {**sight, "item": item("0/SOMETHING")} if sight is UNFILLED else sight
        for role, sight in sights.items()
    }
    made = decide(first, look(**busy), NOW, policy())
    assert made.hops == ()
    made = replace(made, transaction=replace(made.transaction, parked=None))
    later = NOW + LOANS_KEPT - HOUR
    made = decide(made.transaction, look(**sights), later, policy())
    assert made.newly_parked is None
    last = NOW + LOANS_KEPT
    assert decide(made.transaction, look(**sights), last, policy()).hops != ()


# --- looking in time ---------------------------------------------------------------------


def quiet(status: DcbStatus, word: Remembered) -> Transaction:
    """One of which the last looks showed nothing new, and no second look was asked for."""
    before = transaction(
        status,
        unchanged_looks=1,
        last_poll_at=NOW - 8 * HOUR,
        last_full_poll_at=NOW - HOUR,
        next_poll_at=NOW,
    )
    seen = Remembered("IN_PLACE", "1/", NOW - HOUR, NOW - HOUR)
    return before.with_legs(
        {each.role: replace(each, item=seen, request=word) for each in before.legs}
    )


def reads(before: Transaction) -> set[str]:
    view = View.of(before, Observation({}), NOW, policy())
    return {f"{read.role} {read.kind}" for read in first_reads(view)}


@pytest.mark.parametrize(
    "status",
    [
        S.REQUEST_PLACED_AT_SUPPLYING_AGENCY,
        S.CONFIRMED,
        S.REQUEST_PLACED_AT_BORROWING_AGENCY,
        S.PICKUP_TRANSIT,
        S.RECEIVED_AT_PICKUP,
        S.READY_FOR_PICKUP,
    ],
)
def test_a_hold_that_is_over_is_looked_into_at_each_look(status: DcbStatus) -> None:
    """That it is closed as before is no news, and no reason to look no further."""
    closed = Remembered("CLOSED", "HISTORY", NOW, NOW - HOUR, unfilled_at=NOW - 2 * HOUR)
    stands = Remembered("ACTIVE", "IN_PROCESS", NOW, NOW - HOUR, unfilled_at=NOW)
    assert len(reads(quiet(status, stands))) == 1
    assert len(reads(quiet(status, closed))) >= 2


def test_the_readers_hold_is_looked_at_before_its_end_could_be_forgotten() -> None:
    def seen(ago: timedelta) -> Transaction:
        last = NOW - 4 * DAY
        return quiet(S.PICKUP_TRANSIT, Remembered("ACTIVE", "", last, last, unfilled_at=NOW - ago))

    assert "borrower request" not in reads(seen(LOANS_KEPT * SEEN_IN_TIME))
    assert "borrower request" in reads(seen(LOANS_KEPT * SEEN_IN_TIME + HOUR))


def test_a_closed_hold_that_the_items_list_still_shows_is_looked_at_again_soon() -> None:
    """Right after it was placed a reader that lags shows it as gone."""
    before = transaction(S.REQUEST_PLACED_AT_SUPPLYING_AGENCY)
    mine = before.supplier.request_id
    stands = request("IN_PROCESS").value
    assert stands is not None
    listed = replace(request("IN_PROCESS"), value=(replace(stands, request_id=mine),))
    made = decided(before, supplier={**UNFILLED, "item_requests": listed})
    assert made.hops == ()
    assert made.transaction.next_poll_at is not None
    assert made.transaction.next_poll_at - NOW <= SETTLE


# --- what a person makes of it --------------------------------------------------------------


@WAYS
def test_taken_up_again_it_is_told_again_since_nothing_else_can_move_it(
    workflow: Workflow, status: DcbStatus
) -> None:
    parked = decided(ended(workflow, status, OLD), **SIGHTS[workflow, status]).transaction
    step = retry(parked, Order(Command.RETRY, "staff", "looked", NOW), policy())
    assert isinstance(step, Step)
    assert step.after.parked is None
    again = decided(step.after, **SIGHTS[workflow, status])
    assert again.newly_parked is not None
    assert again.newly_parked.reason == ParkReason.END_UNTOLD


@WAYS
@pytest.mark.parametrize("parked", [True, False], ids=["parked", "just taken up"])
def test_closed_by_hand_its_outcome_is_unknown(
    workflow: Workflow, status: DcbStatus, parked: bool
) -> None:
    waits = decided(ended(workflow, status, OLD), **SIGHTS[workflow, status]).transaction
    waits = waits if parked else replace(waits, parked=None)
    step = close(waits, Order(Command.CLOSE, "staff", "on its shelf", NOW), policy())
    assert isinstance(step, Step)
    assert (step.after.status, step.after.outcome) == (S.COMPLETED, Outcome.UNKNOWN)
