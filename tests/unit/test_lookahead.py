"""Only what could change the next decision is read, and nothing whose id is unknown."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.core.lookahead import (
    FULL_LOOK_EVERY,
    first_reads,
    further_reads,
)
from reconciler.core.model import Observation, Remembered, Seen, Transaction
from reconciler.core.status import DcbStatus, Role, Workflow
from reconciler.core.view.leg_view import HOLD_READ_EVERY
from reconciler.core.view.look import View
from tests.support.build import (
    EXTERNAL,
    NOW,
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
SEEN = Remembered("IN_PLACE", "1/", NOW, since=NOW)


def known(
    status: DcbStatus, workflow: Workflow = Workflow.STANDARD, **changes: object
) -> Transaction:
    """A transaction of which everything was seen before."""
    before = transaction(status, workflow, **changes)
    return before.with_legs(
        {each.role: replace(each, item=SEEN, request=SEEN, loan=SEEN) for each in before.legs}
    )


def quiet(status: DcbStatus, looks: int = 1, **changes: object) -> Transaction:
    """One of which the last looks showed nothing new, and no second look was asked for."""
    before = known(status, unchanged_looks=looks, last_full_poll_at=NOW - HOUR, **changes)
    return replace(before, last_poll_at=NOW - timedelta(hours=8), next_poll_at=NOW)


def reads(before: Transaction, observation: Observation | None = None) -> set[str]:
    view = View.of(before, observation or Observation({}), NOW, policy())
    found = first_reads(view) if observation is None else further_reads(view)
    return {f"{read.role} {read.kind}" for read in found}


EXPECTED = {
    S.RESOLVED: set(),
    S.REQUEST_PLACED_AT_SUPPLYING_AGENCY: {"supplier request", "supplier item"},
    S.CONFIRMED: {"supplier request", "supplier item"},
    S.REQUEST_PLACED_AT_BORROWING_AGENCY: {
        "supplier request",
        "supplier item",
        "borrower item",
        "borrower request",
    },
    S.PICKUP_TRANSIT: {"borrower item", "borrower request"},
    S.RECEIVED_AT_PICKUP: {"borrower item", "borrower request"},
    S.READY_FOR_PICKUP: {"borrower item", "borrower request"},
    S.LOANED: {"borrower loan", "supplier item"},
    S.RETURN_TRANSIT: {"supplier item", "borrower item"},
    S.COMPLETED: set(),
    S.AWAITING_RETURN_TO_SUPPLIER: {"supplier item", "borrower item", "borrower request"},
}


@pytest.mark.parametrize(("status", "expected"), EXPECTED.items())
def test_what_a_look_starts_with(status: DcbStatus, expected: set[str]) -> None:
    assert reads(known(status)) == expected


def test_where_the_reader_collects_elsewhere_his_own_library_is_read_as_well() -> None:
    away = {"pickup item", "pickup request", "borrower item", "borrower request"}
    assert reads(known(S.PICKUP_TRANSIT, Workflow.PICKUP_ANYWHERE)) == away
    at_home = {"pickup loan", "borrower loan", "supplier item"}
    assert reads(known(S.LOANED, Workflow.PICKUP_ANYWHERE)) == at_home
    expedited = {"supplier loan", "borrower loan", "supplier item"}
    assert reads(known(S.LOANED, Workflow.EXPEDITED)) == expedited
    waiting = {"supplier item", "supplier request", "borrower item", "borrower request"}
    assert reads(known(S.REQUEST_PLACED_AT_BORROWING_AGENCY, Workflow.EXPEDITED)) == waiting


def test_what_was_never_seen_is_read_once() -> None:
    assert reads(transaction(S.RETURN_TRANSIT)) == {
        "supplier item",
        "supplier request",
        "borrower item",
        "borrower request",
    }


def test_a_resource_without_an_id_is_not_read() -> None:
    bare = transaction(
        S.REQUEST_PLACED_AT_SUPPLYING_AGENCY,
        borrower=leg(Role.BORROWER, request_id=None, item_pid=None, item_barcode=None),
    )
    assert reads(bare) == {"supplier item", "supplier request"}
    no_user = transaction(S.LOANED, borrower=None, supplier=leg(Role.SUPPLIER, user_id=None))
    assert reads(no_user) == {"supplier item"}


def test_an_external_library_is_never_read() -> None:
    told = transaction(S.PICKUP_TRANSIT, borrower=leg(Role.BORROWER, host_lms=EXTERNAL))
    assert reads(told) == {"supplier item", "supplier request"}


def test_the_loan_is_asked_for_only_when_the_item_is_lent() -> None:
    waiting = look(borrower={"item": item("0/HOLDSHELF"), "request": request("ON_HOLD_SHELF")})
    assert reads(known(S.READY_FOR_PICKUP), waiting) == set()
    lent = look(borrower={"item": item("0/LOAN"), "request": request("HISTORY")})
    assert reads(known(S.READY_FOR_PICKUP), lent) == {"borrower active_loan"}


def test_a_closed_request_makes_us_look_for_the_loan_that_was_missed() -> None:
    closed = look(borrower={"item": item("1/"), "request": request("HISTORY")})
    assert reads(known(S.READY_FOR_PICKUP), closed) == {
        "borrower active_loan",
        "borrower completed_loan",
        "borrower item_requests",
    }


def test_a_failed_read_is_not_tried_twice_in_one_look() -> None:
    failed = look(
        borrower={
            "item": item("0/LOAN"),
            "request": request("HISTORY"),
            "loan": unreadable(),
        }
    )
    assert reads(known(S.READY_FOR_PICKUP), failed) == set()


def test_the_lenders_list_of_loans_is_asked_for_before_anything_is_concluded() -> None:
    lent = {"loan": loan("ACTIVE")}
    in_place = look(supplier={"item": item("1/", free=True)}, borrower=lent)
    assert reads(known(S.LOANED), in_place) == {"supplier active_loan"}
    by_id = known(S.LOANED, supplier=leg(Role.SUPPLIER, loan_id="L1"))
    assert reads(by_id, in_place) == {"supplier loan", "supplier active_loan"}
    on_loan = look(supplier={"item": item("0/LOAN", free=True)}, borrower=lent)
    assert reads(by_id, on_loan) == {"supplier loan"}


def test_a_journey_that_jumped_is_caught_up_in_one_look() -> None:
    returned = look(
        borrower={"item": item("1/"), "loan": loan("COMPLETE")}, supplier={"item": item("1/")}
    )
    jumped = look(
        borrower={
            "item": item("1/"),
            "request": request("HISTORY"),
            "completed_loan": loan("COMPLETE"),
        }
    )
    assert "supplier item" in reads(known(S.READY_FOR_PICKUP), jumped)
    assert "supplier active_loan" in reads(known(S.LOANED), returned)


# --- light looks -------------------------------------------------------------

LOANED_BY_ID = {"borrower": leg(Role.BORROWER, loan_id="L1")}
RETURNED_BY_ID = {"supplier": leg(Role.SUPPLIER, loan_id="L1")}


@pytest.mark.parametrize(
    ("status", "changes", "expected"),
    [
        (S.REQUEST_PLACED_AT_BORROWING_AGENCY, {}, {"supplier item"}),
        (S.PICKUP_TRANSIT, {}, {"borrower item"}),
        (S.READY_FOR_PICKUP, {}, {"borrower item"}),
        (S.LOANED, LOANED_BY_ID, {"borrower loan"}),
        (S.RETURN_TRANSIT, RETURNED_BY_ID, {"supplier loan"}),
        (S.RETURN_TRANSIT, {}, {"supplier item"}),
    ],
)
def test_a_look_between_two_full_ones_is_one_read(
    status: DcbStatus, changes: dict[str, Any], expected: set[str]
) -> None:
    assert reads(quiet(status, **changes)) == expected


def test_a_light_look_that_shows_nothing_new_is_over() -> None:
    same = look(borrower={"item": item("1/")})
    assert reads(quiet(S.READY_FOR_PICKUP), same) == set()


def test_a_light_look_that_shows_anything_new_becomes_full() -> None:
    lent = look(borrower={"item": item("0/LOAN")})
    assert {"borrower request", "borrower active_loan"} <= reads(quiet(S.READY_FOR_PICKUP), lent)
    failed = look(borrower={"item": unreadable()})
    assert "borrower request" in reads(quiet(S.READY_FOR_PICKUP), failed)


def test_an_item_that_is_no_longer_requested_makes_us_ask_for_the_request() -> None:
    held = Remembered("PLACED", "NOT_STARTED", NOW, since=NOW)
    waiting = quiet(S.READY_FOR_PICKUP)
    waiting = waiting.with_legs({each.role: replace(each, request=held) for each in waiting.legs})
    in_place = item("1/").value
    assert in_place is not None
    free = look(borrower={"item": Seen.of(replace(in_place, requested=False), NOW)})
    wanted = look(borrower={"item": Seen.of(replace(in_place, requested=True), NOW)})
    assert "borrower request" in reads(waiting, free)
    assert reads(waiting, wanted) == set()


def test_a_look_is_full_first_after_a_failure_when_asked_for_soon_and_once_a_day() -> None:
    full = {"borrower item", "borrower request"}
    usual = quiet(S.READY_FOR_PICKUP)
    assert reads(replace(usual, last_poll_at=None)) == full
    assert reads(replace(usual, failures=1)) == full
    assert reads(replace(usual, last_poll_at=NOW - timedelta(minutes=1))) == full
    old = replace(usual, last_full_poll_at=NOW - FULL_LOOK_EVERY)
    assert reads(old) == full
    assert reads(replace(usual, last_full_poll_at=None)) == full
    assert timedelta(days=1) >= FULL_LOOK_EVERY, "seldom is not never (workflow.md §3)"
    assert reads(replace(old, last_full_poll_at=NOW - FULL_LOOK_EVERY + HOUR)) == {"borrower item"}


def test_a_hold_that_its_virtual_item_tells_of_is_read_only_now_and_then() -> None:
    held = Remembered("ACTIVE", "IN_PROCESS", NOW - HOUR, since=NOW - HOUR)
    due = replace(quiet(S.READY_FOR_PICKUP), last_full_poll_at=None)
    due = due.with_legs({each.role: replace(each, request=held) for each in due.legs})
    assert reads(due) == {"borrower item"}
    told = look(borrower={"item": item("0/HOLDSHELF", free=False)})
    assert reads(due, told) == set()
    for free in (True, None):
        untold = look(borrower={"item": item("0/HOLDSHELF", free=free)})
        assert reads(due, untold) == {"borrower request"}
    of_old = replace(held, seen_at=NOW - HOLD_READ_EVERY - HOUR)
    long_ago = due.with_legs({each.role: replace(each, request=of_old) for each in due.legs})
    assert reads(long_ago) == {"borrower item", "borrower request"}
    assert "supplier request" in reads(replace(due, status=S.REQUEST_PLACED_AT_BORROWING_AGENCY)), (
        "others may wait for the lender's real item"
    )
