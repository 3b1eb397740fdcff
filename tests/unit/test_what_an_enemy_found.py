"""Cases in which something was concluded, or left unsaid, that was not so; found by running."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from reconciler.core.decide import decide
from reconciler.core.evidence.homeward import CORRECTED_WITHIN
from reconciler.core.lookahead import further_reads
from reconciler.core.model import LoanId, Observation, Remembered
from reconciler.core.staff.advice import advice
from reconciler.core.staff.parking import ParkReason
from reconciler.core.status import DcbStatus, Role, Workflow
from reconciler.core.view.look import View
from tests.support.build import (
    EXTERNAL,
    NOW,
    item,
    leg,
    loan,
    look,
    policy,
    transaction,
    unreadable,
)

S = DcbStatus
DAY, SECOND = timedelta(days=1), timedelta(seconds=1)
STILL_LENT = {"loan": loan("ACTIVE"), "item": item("0/LOAN")}


def test_an_external_lenders_word_does_not_end_the_readers_loan_at_once() -> None:
    """A slip of the keyboard is corrected within minutes; a loan that was closed stays closed."""
    told = Remembered("IN_PLACE", "IN_PLACE", NOW, since=NOW)
    lender = leg(Role.SUPPLIER, host_lms=EXTERNAL, item=told)
    before = replace(transaction(S.LOANED, supplier=lender), status_since=NOW - DAY)

    def hops(after: timedelta) -> list[DcbStatus]:
        seen = look(supplier={"item": item("1/", at=NOW)}, borrower=STILL_LENT)
        decision = decide(before, seen, NOW + after, policy())
        return [hop.target for hop in decision.hops]

    assert hops(10 * SECOND) == []
    assert hops(CORRECTED_WITHIN) == [S.RETURN_TRANSIT, S.COMPLETED]


def test_in_place_while_it_was_lent_is_no_memory_of_a_way_home() -> None:
    """Tracked at LOANED, its lender's item in place all along: the return alone is seen."""
    in_place = Remembered("IN_PLACE", "1/", NOW - DAY, since=NOW - 2 * DAY)
    tracked = replace(
        transaction(S.LOANED, supplier=leg(Role.SUPPLIER, item=in_place)),
        status_since=NOW - 3 * DAY,
        created_at=NOW - 2 * DAY,
        dispatched_at=NOW - 3 * DAY,
    )
    seen = look(
        supplier={"item": item("1/"), "loan": loan("NONE"), "completed_loan": loan("NONE")},
        borrower={"item": item("0/TRANSIT"), "loan": loan("COMPLETE")},
    )
    decision = decide(tracked, seen, NOW, policy())
    assert [hop.target for hop in decision.hops] == [S.RETURN_TRANSIT]
    later = decide(decision.transaction, seen, NOW + DAY, policy())
    assert later.hops == ()
    told = advice(later.transaction, NOW + DAY)
    assert f"reconciler close {tracked.id}" in told, "what staff are told leads on"


def test_a_readers_loan_at_home_that_is_over_by_its_id_is_looked_for_in_the_list() -> None:
    """RET-PUA and RET-EXP: charged again at home it goes on under a new id, renewals included."""
    for workflow in (Workflow.PICKUP_ANYWHERE, Workflow.EXPEDITED):
        home = leg(Role.BORROWER, loan_id=LoanId("OLD"))
        before = transaction(S.LOANED, workflow, borrower=home)
        at = "pickup" if workflow is Workflow.PICKUP_ANYWHERE else "supplier"
        over = Observation(
            {
                **look(**{at: STILL_LENT}).legs,
                Role.BORROWER: replace(
                    look(borrower={"loan": loan("COMPLETE")}).leg(Role.BORROWER),
                    active_loan=look().leg(Role.BORROWER).active_loan,
                ),
            }
        )
        needs = further_reads(View.of(before, over, NOW, policy()))
        assert "borrower active_loan" in {f"{read.role} {read.kind}" for read in needs}
        again = look(
            **{at: STILL_LENT},
            borrower={
                "loan": loan("COMPLETE"),
                "active_loan": loan("ACTIVE"),
                "item": item("0/LOAN"),
            },
        )
        after = decide(before, again, NOW, policy())
        assert after.transaction.borrower is not None
        assert after.transaction.borrower.loan_id == "L1"
        assert [(each.before, each.after) for each in after.taken_over] == [("OLD", "L1")]


def test_the_newest_word_of_an_external_pickup_library_counts_whatever_it_is_about() -> None:
    """It may say "loaned" of the item or of the loan, and take either back with the other."""

    def hops(status: DcbStatus, **told: tuple[str, int]) -> list[DcbStatus]:
        words = {what: (word, NOW + n * SECOND) for what, (word, n) in told.items()}
        kept = {what: Remembered(word, word, at, since=at) for what, (word, at) in words.items()}
        before = replace(
            transaction(status, borrower=leg(Role.BORROWER, host_lms=EXTERNAL, **kept)),
            status_since=NOW,
        )
        states = {"IN_PLACE": "1/", "LOANED": "0/LOAN"}
        seen: dict[str, Any] = {
            what: item(states[word], at=at) if what == "item" else loan(word, at=at)
            for what, (word, at) in words.items()
        }
        decision = decide(before, look(borrower=seen), NOW + DAY, policy())
        return [hop.target for hop in decision.hops]

    for away in (S.RETURN_TRANSIT, S.AWAITING_RETURN_TO_SUPPLIER):
        assert hops(away, item=("LOANED", 5)) == [S.LOANED]
        assert hops(away, loan=("ACTIVE", 5)) == [S.LOANED]
        assert hops(away, item=("LOANED", -5)) == [], "said before the book was on its way home"
        assert hops(away, item=("LOANED", 5), loan=("COMPLETE", 9))[-1:] != [S.LOANED]
        assert hops(away, item=("LOANED", 9), loan=("COMPLETE", 5)) == [S.LOANED]
    assert hops(S.LOANED, item=("LOANED", 9), loan=("COMPLETE", 5)) == []
    assert hops(S.LOANED, item=("LOANED", 5), loan=("COMPLETE", 9)) == [S.RETURN_TRANSIT]
    assert hops(S.LOANED, item=("IN_PLACE", 9), loan=("ACTIVE", 5)) == [S.RETURN_TRANSIT]


def test_a_lender_that_is_not_on_alma_is_asked_by_a_person_and_that_is_said() -> None:
    before = transaction(
        S.RESOLVED, supplier=leg(Role.SUPPLIER, host_lms=EXTERNAL, request_id=None)
    )
    after = decide(before, look(), NOW, policy()).transaction
    told = advice(after, NOW)
    assert "ask it for the book" in told
    command = f"reconciler evidence --role supplier --request PLACED --reason TEXT {before.id}"
    assert command in told, "a command that can be typed"
    assert "Nothing" not in told


def test_nobody_is_told_to_send_a_book_that_others_wait_for_first() -> None:
    def told(word: str) -> str:
        kept = Remembered(word, word, NOW, since=NOW)
        lender = leg(Role.SUPPLIER, request=kept)
        return advice(transaction(S.REQUEST_PLACED_AT_BORROWING_AGENCY, supplier=lender), NOW)

    assert "only queues" in told("PLACED")
    assert "send it" in told("ACTIVE")


def test_a_loan_that_is_over_counts_beside_a_record_in_a_word_that_we_do_not_know() -> None:
    """What more is seen never proves less; the word is still set before a person."""
    nothing = {"active_loan": loan("NONE"), "completed_loan": loan("COMPLETE")}
    shown, hidden = ({**nothing, "loan": each} for each in (loan("SUSPENDED"), unreadable()))
    before = transaction(S.REQUEST_PLACED_AT_BORROWING_AGENCY, workflow=Workflow.EXPEDITED)
    more, less = (decide(before, look(supplier=each), NOW, policy()) for each in (shown, hidden))
    assert [hop.target for hop in less.hops] == [hop.target for hop in more.hops] != []
    assert more.newly_parked is not None
    assert more.newly_parked.reason == ParkReason.UNKNOWN_WORD
