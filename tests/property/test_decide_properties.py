"""What holds for every look at every transaction, whatever the libraries answer."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from reconciler.core.decide import decide
from reconciler.core.model import (
    NOT_OBSERVED,
    ItemSight,
    LegObservation,
    LoanSight,
    Observation,
    Pause,
    Remembered,
    RequestSight,
    Seen,
    Transaction,
)
from reconciler.core.status import (
    JOURNEYS,
    LIVE,
    TERMINAL,
    DcbStatus,
    ItemState,
    LoanState,
    RequestState,
    Role,
    Workflow,
)
from reconciler.core.transitions import TRANSITIONS
from reconciler.core.view.look import View
from reconciler.core.walk import Findings
from tests.support.build import EXTERNAL, NOW, leg, policy, transaction

POLICY = policy()
BY_LEDGER = {
    "PlacePatronRequestAtSupplyingAgency",
    "PlacePatronRequestAtBorrowingAgency",
    "PlacePatronRequestAtPickupAgency",
    "FinaliseRequest",
    "HandOffAsLocal",
}
"""These rules stand on our ledger, not on what a library shows."""
LEGAL = {
    (row.source, row.target, workflow)
    for row in TRANSITIONS
    if row.target
    for workflow in row.workflows
}


def seen(values: st.SearchStrategy[Any]) -> st.SearchStrategy[Any]:
    return st.one_of(
        st.just(NOT_OBSERVED),
        st.just(Seen.unreadable("no answer in time", NOW)),
        values.map(lambda value: Seen.of(value, NOW)),
    )


ITEMS = st.sampled_from(ItemState).map(lambda state: ItemSight(state, str(state)))
REQUESTS = st.builds(
    RequestSight,
    state=st.sampled_from(RequestState),
    raw=st.just("raw"),
    item_pid=st.sampled_from([None, "231"]),
)
LOANS = st.sampled_from(LoanState).map(lambda state: LoanSight(state, str(state)))
LEGS = st.builds(
    LegObservation,
    item=seen(ITEMS),
    request=seen(REQUESTS),
    loan=seen(LOANS),
    completed_loan=seen(
        st.sampled_from([LoanState.COMPLETE, LoanState.ABSENT]).map(lambda s: LoanSight(s, str(s)))
    ),
    loaned_to_other=st.booleans(),
)
LOOKS = st.fixed_dictionaries(dict.fromkeys(Role, LEGS)).map(Observation)


PAUSE = Pause(NOW, "test", "x")


@st.composite
def transactions(draw: st.DrawFn) -> Transaction:
    workflow = draw(st.sampled_from(Workflow))
    made = transaction(
        draw(st.sampled_from(DcbStatus)), workflow, paused=draw(st.sampled_from([None, PAUSE]))
    )
    legs = {}
    for each in made.legs:
        legs[each.role] = replace(
            each,
            host_lms=draw(st.sampled_from([each.host_lms, EXTERNAL])),
            request_id=draw(st.sampled_from([each.request_id, None])),
            loan_seen_at=draw(st.sampled_from([None, NOW - timedelta(days=1)])),
            item=draw(
                st.sampled_from(
                    [
                        Remembered(),
                        Remembered("IN_PLACE", "1/", NOW, NOW - timedelta(days=1)),
                        Remembered("TRANSIT", "0/TRANSIT", NOW, NOW),
                    ]
                )
            ),
        )
    return made.with_legs(legs)


LENT_AGAIN = "HandleBorrowerItemLoanedAgain"
"""The journey's only step back."""


@given(transactions(), LOOKS)
@settings(max_examples=600, deadline=None)
def test_every_hop_is_legal_and_the_journey_only_goes_on(
    before: Transaction, look: Observation
) -> None:
    decision = decide(before, look, NOW, POLICY)
    status = before.status
    for hop in decision.hops:
        assert hop.source is status
        assert (hop.source, hop.target, before.workflow) in LEGAL
        assert hop.because
        assert hop.evidence or hop.rule in BY_LEDGER
        status = hop.target
    assert decision.transaction.status is status
    journey = JOURNEYS[before.workflow]
    went_back = any(hop.rule == LENT_AGAIN for hop in decision.hops)
    if before.status in journey and status in journey and not went_back:
        assert journey.index(status) >= journey.index(before.status)


@given(transactions(), LOOKS)
@settings(max_examples=400, deadline=None)
def test_a_terminal_or_paused_transaction_never_moves_and_a_live_one_is_looked_at_again(
    before: Transaction, look: Observation
) -> None:
    decision = decide(before, look, NOW, POLICY)
    if before.status in TERMINAL or before.paused:
        assert decision.hops == ()
    at, status = decision.transaction.next_poll_at, decision.transaction.status
    if status is not DcbStatus.NOT_SUPPLIED_CURRENT_SUPPLIER:
        assert (at is not None) == (status in LIVE)
    assert at is None or at >= NOW


@given(transactions(), LOOKS)
@settings(max_examples=400, deadline=None)
def test_the_same_look_again_moves_nothing_and_parks_nothing(
    before: Transaction, look: Observation
) -> None:
    first = decide(before, look, NOW, POLICY).transaction
    # Two looks within `settle` of each other are one sight: no second look is proved by them.
    second = decide(first, look, NOW, POLICY)
    assert [hop.rule for hop in second.hops if hop.rule != "FinaliseRequest"] == []
    assert second.changes == ()
    assert second.newly_parked is None


@given(transactions(), LOOKS, st.sampled_from(Role), st.sampled_from(["item", "request", "loan"]))
@settings(max_examples=400, deadline=None)
def test_what_cannot_be_read_never_moves_further_than_what_can(
    before: Transaction, look: Observation, role: Role, what: str
) -> None:
    """Hiding one read never adds a hop that the full sight would not have made."""
    hidden = Observation(
        {
            **look.legs,
            role: replace(look.leg(role), **{what: Seen.unreadable("lost", NOW)}),
        }
    )
    full = [hop.target for hop in decide(before, look, NOW, POLICY).hops]
    less = [hop.target for hop in decide(before, hidden, NOW, POLICY).hops]
    assert less == full[: len(less)]


@given(transactions(), LOOKS)
@settings(max_examples=400, deadline=None)
def test_no_two_rows_along_the_journey_lead_to_different_statuses(
    before: Transaction, look: Observation
) -> None:
    """Detours come after them in the table: what still goes on is never read as ended."""
    findings = Findings(View.of(before, look, NOW, POLICY))
    journey = JOURNEYS[before.workflow]
    for status in DcbStatus:
        found = [
            row
            for row, _, finding in findings.ahead(status)
            if finding.holds and (row.rule != LENT_AGAIN or status is before.status)
        ]
        along = {row.target for row in found if row.target in journey}
        assert len(along) <= 1
        if along:
            assert found[0].target in along


@given(transactions(), LOOKS)
@settings(max_examples=300, deadline=None)
def test_a_failed_read_keeps_the_word_before_it(before: Transaction, look: Observation) -> None:
    after = decide(before, look, NOW, POLICY).transaction
    for each in before.legs:
        mine = after.leg(each.role)
        assert mine is not None
        if look.leg(each.role).item.value is None:
            assert (mine.item.state, mine.item.since) == (each.item.state, each.item.since)


def test_the_pickup_leg_of_tests_has_another_item() -> None:
    assert len({leg(role).item_pid for role in Role}) == 3
