"""While the reader has the book: others who wait for it, and loans that are renewed.

Somebody waits only when a hold of somebody else was read; how many wait is never a number that
could not be read. Each rule fires once for what it saw.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from reconciler.core.decide import decide
from reconciler.core.mapping import request_state
from reconciler.core.model import (
    Decision,
    Intent,
    LoanSight,
    Observation,
    RequestId,
    RequestSight,
    Seen,
    Transaction,
    UserId,
)
from reconciler.core.status import DcbStatus, EffectKind, IntentState, Role, Workflow
from tests.support.build import (
    NOW,
    UNI_A,
    item,
    leg,
    loan,
    look,
    policy,
    transaction,
    unreadable,
)

S, W = DcbStatus, Workflow
SUPPLIER, BORROWER, PICKUP = Role.SUPPLIER, Role.BORROWER, Role.PICKUP
DETECTED, RENEWAL = "HandleSupplierHoldDetected", "SupplierRenewal"
DUE = NOW + timedelta(days=20)


def hold(request_id: str, user: str) -> RequestSight:
    state, raw = request_state("IN_PROCESS")
    return RequestSight(state, raw, RequestId(request_id), UserId(user))


OURS = leg(Role.SUPPLIER)
BY_ID = hold(str(OURS.request_id), "somebody")
BY_USER = hold("7999", str(OURS.user_id))
OTHERS = hold("7777", "local-reader")


def lent(**supplier: Any) -> Transaction:
    seen = {"loan_seen_at": NOW - timedelta(days=5), "loan_due_at": DUE, **supplier}
    return transaction(S.LOANED, supplier=leg(Role.SUPPLIER, **seen))


def readers_loan(due: datetime | None = DUE) -> Seen[LoanSight]:
    seen = loan("ACTIVE")
    assert seen.value is not None
    return replace(seen, value=replace(seen.value, due_at=due))


def queue(holds: Seen[Any], due: datetime | None = DUE) -> Observation:
    return look(
        supplier={"item": item("0/LOAN", free=False), "item_requests": holds},
        borrower={"loan": readers_loan(due), "item": item("0/LOAN")},
    )


def rules(decision: Decision) -> list[str]:
    return [action.rule for action in decision.actions]


# --- others who wait -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("holds", "expected"),
    [
        ((), []),
        ((BY_ID,), []),
        ((BY_USER,), []),
        ((BY_ID, OTHERS), [DETECTED]),
        ((OTHERS,), [DETECTED]),
    ],
    ids=["none", "ours-by-id", "ours-by-user", "ours-and-another", "another"],
)
def test_only_the_holds_of_others_count(
    holds: tuple[RequestSight, ...], expected: list[str]
) -> None:
    assert rules(decide(lent(), queue(Seen.of(holds, NOW)), NOW, policy())) == expected


def test_a_queue_that_cannot_be_read_is_not_an_empty_one() -> None:
    """What was known stays known, nothing new is concluded, and `explain` says why."""
    known = lent(competing_hold_at=NOW - timedelta(days=1))
    decision = decide(known, queue(unreadable()), NOW, policy())
    assert decision.actions == ()
    assert decision.transaction.supplier.competing_hold_at == NOW - timedelta(days=1)
    (said,) = [each for each in decision.verdicts if each.rule == DETECTED]
    assert said.verdict == "waits"
    assert decide(lent(), queue(unreadable()), NOW, policy()).actions == ()


@pytest.mark.parametrize(
    "status", [each for each in S if each is not S.LOANED], ids=lambda each: str(each)
)
def test_before_and_after_the_loan_nobody_is_warned(status: DcbStatus) -> None:
    sights = look(supplier={"item_requests": Seen.of((OTHERS,), NOW)})
    made = transaction(status, supplier=leg(Role.SUPPLIER, request_id=None))
    made = made.with_legs({Role.BORROWER: leg(Role.BORROWER, request_id=None)})
    assert rules(decide(made, sights, NOW, policy())) == []


def test_the_warning_is_given_once_until_nobody_waits_any_more() -> None:
    waited = queue(Seen.of((OTHERS,), NOW))
    first = decide(lent(), waited, NOW, policy())
    again = decide(first.transaction, waited, NOW + timedelta(hours=6), policy())
    assert (rules(first), rules(again)) == ([DETECTED], [])
    free = decide(again.transaction, queue(Seen.of((), NOW)), NOW, policy())
    assert free.transaction.supplier.competing_hold_at is None
    assert rules(decide(free.transaction, waited, NOW, policy())) == [DETECTED]


# --- renewals ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("due", "expected"),
    [
        (DUE, []),
        (DUE + timedelta(seconds=30), []),
        (DUE - timedelta(days=3), []),
        (None, []),
        (DUE + timedelta(days=14), [RENEWAL]),
    ],
)
def test_a_later_due_date_is_a_renewal_and_nothing_else_is(
    due: datetime | None, expected: list[str]
) -> None:
    assert rules(decide(lent(), queue(Seen.of((), NOW), due), NOW, policy())) == expected


REFUSED = Intent(
    "i-1", EffectKind.RENEWED, Role.SUPPLIER, UNI_A, IntentState.REFUSED, 1, refusals=3
)


@pytest.mark.parametrize("under_way", [(), (REFUSED,)], ids=["first", "refused-before"])
def test_a_renewal_is_carried_over_once_also_when_it_is_refused(
    under_way: tuple[Intent, ...],
) -> None:
    """The guard is false after the attempt, whatever becomes of it: there is no loop."""
    later = queue(Seen.of((), NOW), DUE + timedelta(days=14))
    first = decide(replace(lent(), intents=under_way), later, NOW, policy())
    assert rules(first) == [RENEWAL]
    asked = [effect.kind for action in first.actions for effect in action.effects]
    assert asked == ([] if under_way else [EffectKind.RENEWED])
    for hours in range(6, 60, 6):
        again = decide(first.transaction, later, NOW + timedelta(hours=hours), policy())
        assert rules(again) == []
    next_one = queue(Seen.of((), NOW), DUE + timedelta(days=28))
    assert rules(decide(first.transaction, next_one, NOW, policy())) == [RENEWAL]


# --- whose date, and whose loan follows -----------------------------------------------

EARLY, LATE = DUE, DUE + timedelta(days=14)
DATES: list[tuple[Workflow, dict[Role, datetime | None], set[Role]]] = [
    (W.STANDARD, {SUPPLIER: EARLY, BORROWER: LATE}, {SUPPLIER}),
    (W.STANDARD, {SUPPLIER: LATE, BORROWER: EARLY}, set()),
    (W.PICKUP_ANYWHERE, {SUPPLIER: EARLY, BORROWER: LATE, PICKUP: EARLY}, {SUPPLIER, PICKUP}),
    (W.PICKUP_ANYWHERE, {SUPPLIER: EARLY, BORROWER: EARLY, PICKUP: LATE}, {SUPPLIER, BORROWER}),
    (W.PICKUP_ANYWHERE, {SUPPLIER: LATE, BORROWER: LATE, PICKUP: EARLY}, {PICKUP}),
    (W.PICKUP_ANYWHERE, {SUPPLIER: LATE, BORROWER: EARLY, PICKUP: EARLY}, set()),
    (W.PICKUP_ANYWHERE, {SUPPLIER: EARLY, BORROWER: None, PICKUP: LATE}, {SUPPLIER, BORROWER}),
    (W.EXPEDITED, {SUPPLIER: EARLY, BORROWER: LATE}, {SUPPLIER}),
    (W.EXPEDITED, {SUPPLIER: LATE, BORROWER: EARLY}, {BORROWER}),
    (W.EXPEDITED, {SUPPLIER: EARLY, BORROWER: EARLY}, set()),
]
"""What this look shows at each library (None: it was not read), and who is asked to follow."""


def lent_by(workflow: Workflow) -> Transaction:
    made = transaction(S.LOANED, workflow)
    known = {"loan_seen_at": NOW - timedelta(days=5), "loan_due_at": EARLY}
    return made.with_legs({each.role: replace(each, **known) for each in made.legs})


def seen_at(dates: dict[Role, datetime | None]) -> Observation:
    return look(**{str(role): {"loan": readers_loan(at)} for role, at in dates.items() if at})


def asked(decision: Decision) -> set[Role]:
    effects = [each for action in decision.actions for each in action.effects]
    assert {each.kind for each in effects} <= {EffectKind.RENEWED}
    assert len(effects) == len({each.role for each in effects})
    return {each.role for each in effects}


@pytest.mark.parametrize(("workflow", "dates", "follow"), DATES)
def test_the_latest_date_that_the_reader_was_given_holds_at_all(
    workflow: Workflow, dates: dict[Role, datetime | None], follow: set[Role]
) -> None:
    first = decide(lent_by(workflow), seen_at(dates), NOW, policy())
    assert asked(first) == follow
    again = decide(first.transaction, seen_at(dates), NOW + timedelta(days=1), policy())
    assert asked(again) == set(), "who keeps an earlier date has answered"


def test_a_date_that_was_asked_for_by_us_is_no_renewal_of_the_readers() -> None:
    """Alma moved it to the closing time of the library."""
    lend = lent_by(W.PICKUP_ANYWHERE)
    told = {each.role: replace(each, due_wanted_at=LATE) for each in lend.legs}
    lend = lend.with_legs(told)
    moved = seen_at({SUPPLIER: LATE, BORROWER: LATE, PICKUP: LATE + timedelta(hours=13)})
    assert asked(decide(lend, moved, NOW, policy())) == set()
    renewed = seen_at({SUPPLIER: LATE, BORROWER: LATE, PICKUP: LATE + timedelta(days=7)})
    assert asked(decide(lend, renewed, NOW, policy())) == {SUPPLIER, BORROWER}
