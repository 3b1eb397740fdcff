"""What one look does to a transaction besides moving it: memory, failures, parking, next look."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.core.cadence import LONGEST_RETRY, next_poll_at
from reconciler.core.decide import decide
from reconciler.core.model import (
    ItemSight,
    LegObservation,
    LoanId,
    Parked,
    Pause,
    Remembered,
    Seen,
    Thing,
    UserId,
)
from reconciler.core.stages import DEFAULT_INTERVALS, live
from reconciler.core.status import (
    BEFORE_DISPATCH,
    LIVE,
    TERMINAL,
    DcbStatus,
    ItemState,
    Resource,
    Role,
    ThingKind,
    ThingState,
    Workflow,
)
from reconciler.core.view.ours import MISMATCH
from tests.support.build import (
    EXTERNAL,
    NOW,
    SETTLE,
    UNI_A,
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
WAITING = look(
    supplier={"item": item("1/"), "request": request("IN_PROCESS")},
    borrower={"item": item("1/"), "request": request("IN_PROCESS")},
)


def test_the_same_look_a_hundred_times_is_one_change_and_no_hop() -> None:
    now = NOW
    current = transaction(S.REQUEST_PLACED_AT_BORROWING_AGENCY)
    changes = 0
    for n in range(100):
        decision = decide(current, WAITING, now, policy())
        assert decision.hops == ()
        changes += len(decision.changes)
        assert decision.transaction.unchanged_looks == n
        current, now = decision.transaction, now + timedelta(hours=1)
    assert changes == 4


def test_a_label_instead_of_a_code_is_no_change() -> None:
    before = decide(
        transaction(S.REQUEST_PLACED_AT_BORROWING_AGENCY), WAITING, NOW, policy()
    ).transaction
    labels = look(
        supplier={"item": item("1/"), "request": request("In Process")},
        borrower={"item": item("1/"), "request": request("In Process")},
    )
    assert decide(before, labels, NOW, policy()).changes == ()


@pytest.mark.parametrize("role", ["supplier", "borrower"])
@pytest.mark.parametrize("what", ["item", "request"])
def test_a_failed_read_changes_the_failures_and_the_next_look_and_hides_no_other(
    role: str, what: str
) -> None:
    before = decide(
        transaction(S.REQUEST_PLACED_AT_BORROWING_AGENCY), WAITING, NOW, policy()
    ).transaction
    sights = {
        name: {"item": item("1/"), "request": request("In Process")}
        for name in ("supplier", "borrower")
    }
    sights[role][what] = unreadable(NOW + timedelta(hours=1))
    later = NOW + timedelta(hours=1)
    decision = decide(before, look(**sights), later, policy())
    after = decision.transaction
    assert (decision.hops, decision.changes, after.failures) == ((), (), 1)
    failed = after.leg(Role(role))
    assert failed is not None
    word = failed.remembered(Resource(what))
    known = before.leg(Role(role))
    assert known is not None
    assert word.state == known.remembered(Resource(what)).state
    assert word.failure == "no answer in time"
    assert after.next_poll_at is not None
    assert after.next_poll_at - later < timedelta(minutes=2)
    recovered = decide(after, WAITING, later, policy()).transaction
    assert recovered.failures == 0
    healed = recovered.leg(Role(role))
    assert healed is not None
    assert healed.remembered(Resource(what)).failure is None


def test_unreadable_moves_nothing_from_any_status() -> None:
    nothing = LegObservation(
        item=unreadable(),
        request=unreadable(),
        loan=unreadable(),
        completed_loan=unreadable(),
        item_requests=unreadable(),
    )
    for workflow in Workflow:
        for status in DcbStatus:
            before = transaction(status, workflow)
            if status in BEFORE_DISPATCH:  # so that no request is in our ledger
                before = before.with_legs(
                    {each.role: replace(each, request_id=None) for each in before.legs}
                )
            observation = look(supplier=nothing, borrower=nothing, pickup=nothing)
            hops = decide(before, observation, NOW, policy()).hops
            assert [hop.rule for hop in hops if hop.rule != "FinaliseRequest"] == []


@pytest.mark.parametrize("status", DcbStatus)
def test_every_live_status_has_a_next_look_and_a_terminal_one_none(status: DcbStatus) -> None:
    made = transaction(
        status,
        supplier=leg(Role.SUPPLIER, request_id=None),
        borrower=leg(Role.BORROWER, request_id=None),
        things=(Thing("th-1", ThingKind.HOLD, Role.SUPPLIER, UNI_A),),
    )
    after = decide(made, look(), NOW, policy()).transaction
    if status in LIVE:
        assert after.next_poll_at is not None
        slowest = max(factor for _, factor in live(status).pace)
        assert NOW < after.next_poll_at <= NOW + 1.2 * slowest * DEFAULT_INTERVALS[status]
    else:
        assert status in TERMINAL
        assert after.next_poll_at is None


def test_what_was_not_supplied_is_looked_at_until_its_clean_up_is_proved() -> None:
    thing = Thing("th-1", ThingKind.HOLD, Role.SUPPLIER, UNI_A)
    ended = transaction(S.NOT_SUPPLIED_CURRENT_SUPPLIER, things=(thing,))
    assert decide(ended, look(), NOW, policy()).transaction.next_poll_at is not None
    gone = replace(ended, things=(replace(thing, state=ThingState.GONE),))
    assert decide(gone, look(), NOW, policy()).transaction.next_poll_at is None


def test_failures_back_off_to_an_hour_and_never_beyond_the_interval() -> None:
    waits = [
        (next_poll_at(replace(transaction(S.LOANED), failures=n), NOW, policy()) or NOW) - NOW
        for n in range(1, 12)
    ]
    assert waits[0] < timedelta(minutes=2)
    assert max(waits) <= LONGEST_RETRY * 1.1
    assert waits[-1] > timedelta(minutes=50)


def test_jitter_spreads_and_repeats() -> None:
    def at(id: str) -> timedelta:
        spread = replace(transaction(S.READY_FOR_PICKUP), id=id)
        return (next_poll_at(spread, NOW, policy()) or NOW) - NOW

    waits = {at(f"t-{n}") for n in range(50)}
    assert len(waits) > 45
    assert at("t-1") == at("t-1")


# --- ids and memory ----------------------------------------------------------


def test_our_loan_is_remembered_with_its_id_and_due_date() -> None:
    seen = loan("ACTIVE")
    value = seen.value
    assert value is not None
    due = NOW + timedelta(days=21)
    sights = look(borrower={"loan": replace(seen, value=replace(value, due_at=due))})
    after = decide(transaction(S.LOANED), sights, NOW, policy()).transaction
    assert after.borrower is not None
    assert (after.borrower.loan_id, after.borrower.loan_due_at) == (LoanId("L1"), due)
    assert after.borrower.loan_seen_at == NOW


def test_a_look_without_a_word_blanks_nothing() -> None:
    first = decide(transaction(S.LOANED), WAITING, NOW, policy()).transaction
    second = decide(first, look(borrower={"loan": loan("ACTIVE")}), NOW, policy()).transaction
    assert second.supplier == first.supplier
    assert second.borrower is not None
    assert second.borrower.item.state == ItemState.IN_PLACE


def test_an_alias_of_the_user_is_kept() -> None:
    seen = LegObservation(loan=loan("ACTIVE"), user_primary_id=UserId("primary-2"))
    after = decide(transaction(S.LOANED), look(borrower=seen), NOW, policy()).transaction
    assert after.borrower is not None
    assert after.borrower.user_primary_id == "primary-2"


def test_what_an_external_library_said_is_not_seen_anew_by_a_look() -> None:
    told = leg(Role.BORROWER, host_lms=EXTERNAL)
    before = transaction(S.LOANED, borrower=told)
    decision = decide(before, look(borrower={"loan": loan("ACTIVE")}), NOW, policy())
    assert decision.transaction.borrower == told
    assert decision.changes == ()


# --- parking and pausing -----------------------------------------------------


def test_a_lost_item_is_parked_once_and_the_journey_goes_on_being_moved() -> None:
    lost = look(
        supplier={"item": item("0/LOST_LOAN"), "loan": loan("ACTIVE/LOST")},
        borrower={"loan": loan("ACTIVE")},
    )
    first = decide(transaction(S.LOANED), lost, NOW, policy())
    assert first.newly_parked is not None
    assert first.newly_parked.reason == "item_lost"
    second = decide(first.transaction, lost, NOW, policy())
    assert second.newly_parked is None
    assert second.transaction.parked == first.newly_parked
    returned = look(
        supplier={"item": item("0/LOST_LOAN"), "loan": loan("ACTIVE/LOST")},
        borrower={"item": item("1/"), "loan": loan("COMPLETE")},
    )
    third = decide(second.transaction, returned, NOW, policy())
    assert [hop.target for hop in third.hops] == [S.RETURN_TRANSIT]
    assert third.transaction.parked == first.newly_parked


def test_retry_with_the_cause_in_sight_parks_again_at_the_next_look() -> None:
    missing = look(supplier={"item": item("0/MISSING"), "request": request("IN_PROCESS")})
    confirmed = transaction(S.CONFIRMED, borrower=None, has_placing_data=True)
    first = decide(confirmed, missing, NOW, policy())
    assert first.newly_parked is not None
    retried = replace(first.transaction, parked=None)
    again = decide(retried, missing, NOW, policy())
    assert again.newly_parked is not None
    assert again.newly_parked.reason == first.newly_parked.reason
    found = look(supplier={"item": item("1/"), "request": request("IN_PROCESS")})
    assert decide(retried, found, NOW, policy()).newly_parked is None


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        ({"item": item("0/SOMETHING_NEW")}, "unknown_word"),
        ({"request": request("SHIPPED")}, "unknown_word"),
        ({"item": item("0/CLAIM_RETURNED_LOAN")}, "claimed_returned"),
        ({"item": item("0/WORK_ORDER_DEPARTMENT")}, "item_unavailable"),
        ({"item": Seen.unreadable("another item", NOW, MISMATCH)}, "item_mismatch"),
        ({"item": item("0/LOAN"), "loan": loan("NONE"), "loaned_to_other": True}, "loan_not_ours"),
    ],
)
def test_what_needs_a_person_is_parked_with_a_reason_code(
    seen: dict[str, object], reason: str
) -> None:
    decision = decide(transaction(S.PICKUP_TRANSIT), look(borrower=seen), NOW, policy())
    assert decision.newly_parked is not None
    assert decision.newly_parked.reason == reason
    assert "borrower" in decision.newly_parked.detail


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        ({"item": Seen.of(ItemSight(ItemState.ABSENT, "401689"), NOW)}, "virtual_item_absent"),
        ({"request": Seen.unreadable("refused 401861", NOW, "401861")}, "user_absent"),
    ],
)
def test_absence_is_parked_only_when_it_is_seen_twice(seen: dict[str, object], reason: str) -> None:
    first = decide(transaction(S.PICKUP_TRANSIT), look(borrower=seen), NOW, policy())
    assert first.newly_parked is None
    assert first.transaction.next_poll_at is not None
    assert first.transaction.next_poll_at - NOW <= timedelta(minutes=1)
    second = decide(first.transaction, look(borrower=seen), NOW + SETTLE, policy())
    assert second.newly_parked is not None
    assert second.newly_parked.reason == reason


def test_unavailable_before_the_book_left_is_only_a_lender_that_cannot_send_yet() -> None:
    sights = look(supplier={"item": item("0/"), "request": request("NOT_STARTED")})
    decision = decide(transaction(S.REQUEST_PLACED_AT_BORROWING_AGENCY), sights, NOW, policy())
    assert decision.newly_parked is None


def test_a_paused_transaction_is_remembered_but_not_moved() -> None:
    paused = transaction(S.REQUEST_PLACED_AT_BORROWING_AGENCY, paused=Pause(NOW, "test", "x"))
    sights = look(supplier={"item": item("0/TRANSIT"), "request": request("IN_PROCESS")})
    decision = decide(paused, sights, NOW, policy())
    assert decision.hops == ()
    assert decision.transaction.supplier.item.state == ItemState.TRANSIT


def test_parked_by_hand_stays_parked() -> None:
    parked = Parked("by_hand", "asked the lender", NOW)
    before = transaction(S.PICKUP_TRANSIT, parked=parked)
    assert decide(before, WAITING, NOW, policy()).transaction.parked == parked


def test_every_rule_considered_is_explained() -> None:
    decision = decide(transaction(S.REQUEST_PLACED_AT_BORROWING_AGENCY), WAITING, NOW, policy())
    verdict = decision.verdicts[0]
    assert (verdict.rule, verdict.verdict) == ("HandleSupplierInTransit", "no")
    assert verdict.because == "the supplier's item is IN_PLACE, not in transit"
    assert {each.raw for each in verdict.evidence} == {"1/", "IN_PROCESS"}
    assert [(each.rule, each.verdict, each.because) for each in decision.verdicts[1:]] == [
        ("HandleSupplierRequestCancelled", "no", "the supplier's request stands"),
        ("CancelledPatronRequest", "no", "the borrower's request stands"),
    ]


TAKEN = {"item": item("0/LOAN"), "loan": loan("NONE"), "loaned_to_other": True}


@pytest.mark.parametrize(
    ("status", "waited", "reason"),
    [
        (S.REQUEST_PLACED_AT_BORROWING_AGENCY, "ON_HOLD_SHELF", "loan_not_ours"),
        (S.REQUEST_PLACED_AT_BORROWING_AGENCY, "ACTIVE", None),
        (S.REQUEST_PLACED_AT_BORROWING_AGENCY, "PLACED", None),
        (S.LOANED, "ON_HOLD_SHELF", None),
    ],
)
def test_a_book_from_the_readers_hold_shelf_that_another_has_needs_a_person(
    status: DcbStatus, waited: str, reason: str | None
) -> None:
    """Whoever borrows a book that our reader only queues for, or has had, is not our business."""
    word = Remembered(waited, waited, NOW - timedelta(hours=1), NOW - timedelta(hours=1))
    before = transaction(status, Workflow.EXPEDITED, supplier=leg(Role.SUPPLIER, request=word))
    seen = {**TAKEN, "request": request("NOT_STARTED")}
    parked = decide(before, look(supplier=seen), NOW, policy()).newly_parked
    assert (parked.reason if parked else None) == reason
