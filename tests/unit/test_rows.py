"""Each row of workflow.md §3 fires on its evidence, and its wrong-role twin does not.

The twin is the same sight at another library, with nothing to see where the row looks. The
table is printed at the end of the run, to be read beside workflow.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.core.decide import decide
from reconciler.core.model import ItemSight, Leg, Remembered, RequestSight, Seen, Thing, Transaction
from reconciler.core.status import DcbStatus, ItemState, RequestState, Role, ThingKind, Workflow
from reconciler.core.transitions import TRANSITIONS
from tests.support.build import (
    EXTERNAL,
    NOW,
    UNI_A,
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

S, W = DcbStatus, Workflow
HOUR = timedelta(hours=1)
Sights = dict[str, Mapping[str, Any]]

SUPPLIER, BORROWER, PICKUP = leg(Role.SUPPLIER), leg(Role.BORROWER), leg(Role.PICKUP)


@dataclass(frozen=True)
class Case:
    row: str
    workflow: Workflow
    source: DcbStatus
    target: DcbStatus
    sights: Sights
    twin: Sights
    """The same words at the wrong library: nothing may fire."""
    unplaced: Role | None = None
    """For rows that stand on our ledger: the twin's request is not placed."""
    left: Role | None = None
    """The same: in the twin a thing of ours is left there."""
    second_look: bool = False
    """What it stands on has to have been seen before."""
    away: bool = False
    """The lender's item was seen away before."""
    external: Role | None = None
    """Whose library is not an Alma: it says what it saw, and has no ids."""


def case(row: str, workflow: Workflow, way: tuple[DcbStatus, DcbStatus], **at: Any) -> Case:
    twin, unplaced, left = at.pop("twin"), at.pop("unplaced", None), at.pop("left", None)
    again, external = at.pop("second_look", False), at.pop("external", None)
    away = at.pop("away", False)
    return Case(row, workflow, *way, at, twin, unplaced, left, again, away, external)


ACTIVE, PLACED, SHELF = request("IN_PROCESS"), request("NOT_STARTED"), request("ON_HOLD_SHELF")
CLOSED = request("HISTORY")
CANCELLED = Seen.of(RequestSight(RequestState.CANCELLED, "CANCELLED"), NOW)
TRANSIT = {"item": item("0/TRANSIT"), "request": ACTIVE}
IN_PLACE = {"item": item("1/"), "request": ACTIVE}
ON_SHELF = {"item": item("0/HOLDSHELF"), "request": SHELF}
LENT = {"item": item("0/LOAN"), "request": CLOSED, "loan": loan("ACTIVE")}
RETURNED = {"item": item("1/"), "request": CLOSED, "loan": loan("COMPLETE")}
NO_LOAN = {"item": item("1/"), "loan": loan("NONE"), "completed_loan": loan("NONE")}

BACK = {"item": item("0/TRANSIT")}
HOMEWARD = {
    "item": item("0/TRANSIT"),
    "loan": loan("COMPLETE"),
    "request": CLOSED,
    "item_requests": Seen.of((), NOW),
}
UNFILLED = {**NO_LOAN, "request": CLOSED, "item_requests": Seen.of((), NOW)}
LENT_AND_RETURNED = {**UNFILLED, "completed_loan": loan("COMPLETE")}
UNLISTED = {**UNFILLED, "item_requests": unreadable()}

CONFIRM = (S.REQUEST_PLACED_AT_SUPPLYING_AGENCY, S.CONFIRMED)
PLACE = (S.CONFIRMED, S.REQUEST_PLACED_AT_BORROWING_AGENCY)
SEND = (S.REQUEST_PLACED_AT_BORROWING_AGENCY, S.PICKUP_TRANSIT)
SEND_PUA = (S.REQUEST_PLACED_AT_PICKUP_AGENCY, S.PICKUP_TRANSIT)
RECEIVE = (S.PICKUP_TRANSIT, S.RECEIVED_AT_PICKUP)
SHELVE = (S.RECEIVED_AT_PICKUP, S.READY_FOR_PICKUP)
LEND = (S.READY_FOR_PICKUP, S.LOANED)
RETURN = (S.LOANED, S.RETURN_TRANSIT)
COMPLETE = (S.RETURN_TRANSIT, S.COMPLETED)

NOT_PLACED = {"request": ACTIVE, "item": item("1/")}

PLACE_SUPPLIER = (S.RESOLVED, S.REQUEST_PLACED_AT_SUPPLYING_AGENCY)
PLACE_PICKUP = (S.REQUEST_PLACED_AT_BORROWING_AGENCY, S.REQUEST_PLACED_AT_PICKUP_AGENCY)
UNREAD: Sights = {}

CASES = [
    case("1", W.STANDARD, PLACE_SUPPLIER, twin=UNREAD, unplaced=Role.SUPPLIER),
    case("3", W.STANDARD, PLACE, twin=UNREAD, unplaced=Role.BORROWER),
    case("4", W.PICKUP_ANYWHERE, PLACE_PICKUP, twin=UNREAD, unplaced=Role.PICKUP),
    case("11", W.STANDARD, (S.COMPLETED, S.FINALISED), twin=UNREAD, left=Role.BORROWER),
    case("11", W.STANDARD, (S.CANCELLED, S.FINALISED), twin=UNREAD, left=Role.BORROWER),
    case("2", W.STANDARD, CONFIRM, supplier=IN_PLACE, twin={"borrower": IN_PLACE}),
    case(
        "2",
        W.STANDARD,
        CONFIRM,
        supplier={"request": PLACED, "item": item("1/")},
        twin={"borrower": {"request": PLACED}},
    ),
    case(
        "2",
        W.STANDARD,
        CONFIRM,
        supplier={"request": request("In Process", bound=False), "item": item("0/HOLDSHELF")},
        twin={"borrower": ON_SHELF},
    ),
    case("5", W.STANDARD, SEND, supplier=TRANSIT, twin={"borrower": TRANSIT}),
    case("5", W.PICKUP_ANYWHERE, SEND_PUA, supplier=TRANSIT, twin={"pickup": TRANSIT}),
    case(
        "6",
        W.STANDARD,
        RECEIVE,
        borrower={"item": item("0/HOLDSHELF")},
        twin={"supplier": {"item": item("0/HOLDSHELF")}},
    ),
    case(
        "6",
        W.PICKUP_ANYWHERE,
        RECEIVE,
        pickup={"item": item("0/HOLDSHELF")},
        twin={"borrower": {"item": item("0/HOLDSHELF")}},
    ),
    case(
        "7",
        W.STANDARD,
        SHELVE,
        borrower={"item": item("0/HOLDSHELF"), "request": SHELF},
        twin={"supplier": ON_SHELF},
    ),
    case("7", W.PICKUP_ANYWHERE, SHELVE, pickup=ON_SHELF, twin={"borrower": ON_SHELF}),
    case("8", W.STANDARD, LEND, borrower=LENT, twin={"supplier": LENT}),
    case("8", W.PICKUP_ANYWHERE, LEND, pickup=LENT, twin={"borrower": LENT}),
    case("9", W.STANDARD, RETURN, borrower=RETURNED, twin={"supplier": NO_LOAN}),
    case(
        "9",
        W.STANDARD,
        RETURN,
        borrower={"item": item("0/TRANSIT"), "loan": loan("NONE")},
        twin={"supplier": {**NO_LOAN, "item": item("0/TRANSIT")}},
    ),
    case("9", W.STANDARD, RETURN, borrower=NO_LOAN, twin={"supplier": NO_LOAN}),
    case("9", W.PICKUP_ANYWHERE, RETURN, pickup=RETURNED, twin={"borrower": RETURNED}),
    case(
        "9",
        W.EXPEDITED,
        RETURN,
        supplier={"item": item("1/"), "loan": loan("NONE")},
        twin={"borrower": RETURNED},
    ),
    case(
        "9a",
        W.STANDARD,
        (S.RETURN_TRANSIT, S.LOANED),
        borrower=LENT,
        supplier=LENT,
        twin={"supplier": LENT},
    ),
    case(
        "10",
        W.STANDARD,
        COMPLETE,
        supplier=NO_LOAN,
        borrower=BACK,
        twin={"borrower": NO_LOAN},
        away=True,
    ),
    case(
        "10",
        W.STANDARD,
        COMPLETE,
        supplier=HOMEWARD,
        borrower=BACK,
        twin={"borrower": HOMEWARD},
    ),
    case(
        "10",
        W.PICKUP_ANYWHERE,
        COMPLETE,
        supplier={"item": item("1/"), "loan": loan("COMPLETE")},
        pickup=BACK,
        twin={"borrower": RETURNED, "pickup": RETURNED},
    ),
    *(
        case(
            "12",
            workflow,
            (source, S.NOT_SUPPLIED_CURRENT_SUPPLIER),
            supplier=UNFILLED,
            borrower={"item": item("1/"), "request": ACTIVE},
            **({"pickup": {"item": item("1/"), "request": ACTIVE}} if "PUA" in workflow else {}),
            twin={"supplier": UNLISTED},
            second_look=True,
        )
        for workflow, source in (
            (W.STANDARD, S.REQUEST_PLACED_AT_SUPPLYING_AGENCY),
            (W.STANDARD, S.CONFIRMED),
            (W.STANDARD, S.REQUEST_PLACED_AT_BORROWING_AGENCY),
            (W.PICKUP_ANYWHERE, S.REQUEST_PLACED_AT_PICKUP_AGENCY),
            (W.EXPEDITED, S.REQUEST_PLACED_AT_BORROWING_AGENCY),
            (W.LOCAL, S.REQUEST_PLACED_AT_SUPPLYING_AGENCY),
        )
    ),
    case(
        "12",
        W.STANDARD,
        (S.RESOLVED, S.NOT_SUPPLIED_CURRENT_SUPPLIER),
        supplier={"request": CANCELLED},
        borrower={"item": item("1/"), "request": ACTIVE},
        twin={"borrower": {"item": item("1/"), "request": CANCELLED}},
        external=Role.SUPPLIER,
    ),
    *(
        case(
            "13",
            workflow,
            (source, S.CANCELLED),
            supplier=IN_PLACE,
            **{"pickup": NOT_PLACED, role: UNFILLED},
            twin={"supplier": IN_PLACE, "pickup": NOT_PLACED, role: UNLISTED},
            second_look=True,
        )
        for workflow, source, role in (
            (W.STANDARD, S.REQUEST_PLACED_AT_BORROWING_AGENCY, "borrower"),
            (W.EXPEDITED, S.REQUEST_PLACED_AT_BORROWING_AGENCY, "borrower"),
            (W.PICKUP_ANYWHERE, S.REQUEST_PLACED_AT_PICKUP_AGENCY, "borrower"),
            (W.PICKUP_ANYWHERE, S.REQUEST_PLACED_AT_PICKUP_AGENCY, "pickup"),
        )
    ),
    *(
        case(
            "14a",
            workflow,
            (source, S.AWAITING_RETURN_TO_SUPPLIER),
            **{role: UNFILLED},
            twin={"supplier": UNFILLED},
            second_look=True,
        )
        for workflow, role in ((W.STANDARD, "borrower"), (W.PICKUP_ANYWHERE, "pickup"))
        for source in (S.PICKUP_TRANSIT, S.RECEIVED_AT_PICKUP, S.READY_FOR_PICKUP)
    ),
    case(
        "14b",
        W.STANDARD,
        (S.AWAITING_RETURN_TO_SUPPLIER, S.CANCELLED),
        supplier={"item": item("1/")},
        borrower={"item": item("0/TRANSIT"), "completed_loan": loan("NONE")},
        twin={"borrower": {"item": item("1/")}},
        away=True,
    ),
    case(
        "14a",
        W.STANDARD,
        (S.CANCELLED, S.AWAITING_RETURN_TO_SUPPLIER),
        supplier=TRANSIT,
        twin={"supplier": {"item": item("0/TRANSIT"), "request": PLACED}},
        left=Role.SUPPLIER,
    ),
    case(
        "14a",
        W.PICKUP_ANYWHERE,
        (S.CANCELLED, S.AWAITING_RETURN_TO_SUPPLIER),
        supplier=LENT,
        twin={"borrower": LENT, "supplier": {"item": item("1/"), "request": ACTIVE}},
        left=Role.SUPPLIER,
    ),
    case(
        "14c",
        W.EXPEDITED,
        (S.CANCELLED, S.LOANED),
        supplier=LENT,
        twin={"borrower": LENT, "supplier": {"item": item("1/"), "request": ACTIVE}},
        left=Role.SUPPLIER,
    ),
    case(
        "14c",
        W.STANDARD,
        (S.AWAITING_RETURN_TO_SUPPLIER, S.LOANED),
        borrower=LENT,
        twin={"supplier": LENT},
    ),
    case(
        "17",
        W.EXPEDITED,
        (S.REQUEST_PLACED_AT_BORROWING_AGENCY, S.LOANED),
        supplier=LENT,
        twin={"borrower": LENT},
    ),
    case(
        "18",
        W.LOCAL,
        (S.CONFIRMED, S.HANDED_OFF_AS_LOCAL),
        twin=UNREAD,
        unplaced=Role.SUPPLIER,
    ),
]


def decided(before: Transaction, sights: Sights) -> list[tuple[str, DcbStatus, bool]]:
    decision = decide(before, look(**sights), NOW, policy())
    return [(hop.rule, hop.target, hop.inferred) for hop in decision.hops]


def _before(leg: Leg, each: Case, what: str) -> Remembered:
    """The same word as the case will show, seen an hour ago."""
    seen = {**each.sights, **each.twin}.get(str(leg.role), {}).get(what)
    if seen is None:
        return Remembered()
    word, raw = str(seen.value.state), seen.value.raw
    return Remembered(word, raw, NOW - HOUR, NOW - HOUR, unfilled_at=NOW - 2 * HOUR)


def stands(each: Case) -> Transaction:
    """Where the case begins; what the row after next would stand on is not there yet."""
    made = transaction(each.source, each.workflow, has_placing_data=True)
    if each.second_look:
        made = made.with_legs(
            {
                one.role: replace(
                    one, item=_before(one, each, "item"), request=_before(one, each, "request")
                )
                for one in made.legs
            }
        )
    if each.left is Role.SUPPLIER:
        made = replace(made, things=(Thing("th-1", ThingKind.HOLD, each.left, UNI_A),))
    if each.away:
        gone = Remembered("TRANSIT", "0/TRANSIT", NOW - HOUR, NOW - HOUR, away_at=NOW - HOUR)
        made = made.with_legs({Role.SUPPLIER: replace(made.supplier, item=gone)})
    if each.external is not None:
        told = leg(each.external, host_lms=EXTERNAL, user_id=None, request_id=None)
        made = made.with_legs({each.external: told})
    next_role = {"2": Role.BORROWER, "3": Role.PICKUP}.get(each.row)
    if each.source is S.CONFIRMED and each.row == "12":
        next_role = Role.BORROWER
    if next_role is not None and made.leg(next_role) is not None:
        made = made.with_legs({next_role: leg(next_role, request_id=None)})
    return made


@pytest.mark.parametrize(
    "each", CASES, ids=lambda each: f"row-{each.row}-{each.workflow}-{each.source}"
)
def test_a_row_fires_on_its_own_evidence_and_its_wrong_role_twin_does_not(each: Case) -> None:
    before = stands(each)
    fired = decided(before, each.sights)
    assert fired, f"row {each.row} did not fire"
    rule, target, inferred = fired[0]
    assert (target, inferred) == (each.target, False)
    assert rule == _rule(each)
    assert decided(_as_twin(each, before), each.twin) == []


def _as_twin(each: Case, before: Transaction) -> Transaction:
    if each.unplaced is not None:
        unplaced = leg(each.unplaced, request_id=None)
        return before.with_legs({each.unplaced: unplaced})
    if each.left is Role.BORROWER:
        return replace(before, things=(Thing("th-1", ThingKind.HOLD, each.left, UNI_B),))
    return before


def _rule(each: Case) -> str:
    (row,) = {
        row.rule
        for row in TRANSITIONS
        if row.number == each.row and (row.source, row.target) == (each.source, each.target)
    }
    return row


def test_every_row_of_the_table_is_covered(tell: Callable[[str], None]) -> None:
    covered = {(each.row, each.source) for each in CASES}
    own_evidence = {(row.number, row.source) for row in TRANSITIONS if row.target}
    assert own_evidence <= covered
    lines = ["row  workflow  from → to  on"]
    for each in CASES:
        words = "; ".join(
            f"{role} "
            + ", ".join(
                f"{what} {seen.value.state if seen.value else 'none'}"
                for what, seen in seen_at.items()
            )
            for role, seen_at in each.sights.items()
        )
        lines.append(f"{each.row:<4} {each.workflow:<9} {each.source} → {each.target}  {words}")
    tell("\n".join(lines))


# --- catching up -------------------------------------------------------------


def way(before: Transaction, sights: Sights) -> list[tuple[DcbStatus, bool]]:
    return [(target, inferred) for _, target, inferred in decided(before, sights)]


def test_transit_seen_before_the_confirmation_confirms_first() -> None:
    before = transaction(S.REQUEST_PLACED_AT_SUPPLYING_AGENCY)
    assert way(before, {"supplier": TRANSIT}) == [
        (S.CONFIRMED, False),
        (S.REQUEST_PLACED_AT_BORROWING_AGENCY, False),
        (S.PICKUP_TRANSIT, False),
    ]


@pytest.mark.parametrize("state", [ItemState.TRANSIT, ItemState.ON_HOLD_SHELF])
def test_a_lender_without_an_alma_that_says_only_where_the_book_goes_has_taken_it_up(
    state: ItemState,
) -> None:
    told = leg(Role.SUPPLIER, host_lms=EXTERNAL, user_id=None, request_id=None)
    before = transaction(
        S.RESOLVED, supplier=told, borrower=leg(Role.BORROWER, request_id=None, item_pid=None)
    )
    said = {"supplier": {"item": Seen.of(ItemSight(state, str(state)), NOW)}}
    assert way(before, said) == [
        (S.REQUEST_PLACED_AT_SUPPLYING_AGENCY, True),
        (S.CONFIRMED, False),
    ]
    at_an_alma = before.with_legs({Role.SUPPLIER: leg(Role.SUPPLIER, request_id=None)})
    assert way(at_an_alma, said) == []


def test_an_unplaced_borrower_request_is_never_inferred() -> None:
    before = transaction(
        S.REQUEST_PLACED_AT_SUPPLYING_AGENCY, borrower=leg(Role.BORROWER, request_id=None)
    )
    assert way(before, {"supplier": TRANSIT, "borrower": LENT}) == [(S.CONFIRMED, False)]


def test_a_loan_seen_in_transit_passes_the_shelf() -> None:
    assert way(transaction(S.PICKUP_TRANSIT), {"borrower": LENT}) == [
        (S.RECEIVED_AT_PICKUP, False),
        (S.READY_FOR_PICKUP, False),
        (S.LOANED, False),
    ]


def test_a_loan_seen_although_the_item_could_not_be_read_is_enough() -> None:
    sights = {"borrower": {"request": CLOSED, "loan": loan("ACTIVE")}}
    assert way(transaction(S.PICKUP_TRANSIT), sights) == [
        (S.RECEIVED_AT_PICKUP, True),
        (S.READY_FOR_PICKUP, True),
        (S.LOANED, False),
    ]


def test_a_loan_opened_and_closed_between_two_looks_passes_loaned() -> None:
    sights = {"borrower": LENT_AND_RETURNED}
    assert way(transaction(S.READY_FOR_PICKUP), sights) == [
        (S.LOANED, True),
        (S.RETURN_TRANSIT, False),
    ]
    assert way(transaction(S.REQUEST_PLACED_AT_BORROWING_AGENCY), sights) == [
        (S.PICKUP_TRANSIT, True),
        (S.RECEIVED_AT_PICKUP, True),
        (S.READY_FOR_PICKUP, True),
        (S.LOANED, True),
        (S.RETURN_TRANSIT, False),
    ]


def test_a_shelf_seen_only_by_the_request_is_inferred() -> None:
    sights = {"borrower": {"request": SHELF}}
    assert way(transaction(S.PICKUP_TRANSIT), sights) == [
        (S.RECEIVED_AT_PICKUP, True),
        (S.READY_FOR_PICKUP, True),
    ]


def test_the_whole_journey_between_two_looks() -> None:
    sights = {
        "supplier": {**HOMEWARD, "item": item("1/")},
        "borrower": LENT_AND_RETURNED,
    }
    before = transaction(S.REQUEST_PLACED_AT_SUPPLYING_AGENCY)
    never_lent = {**sights, "supplier": {**UNFILLED, "completed_loan": loan("NONE")}}
    assert way(before, never_lent)[-1] == (S.RETURN_TRANSIT, False)
    assert [target for target, _ in way(before, sights)] == [
        S.CONFIRMED,
        S.REQUEST_PLACED_AT_BORROWING_AGENCY,
        S.PICKUP_TRANSIT,
        S.RECEIVED_AT_PICKUP,
        S.READY_FOR_PICKUP,
        S.LOANED,
        S.RETURN_TRANSIT,
        S.COMPLETED,
    ]
