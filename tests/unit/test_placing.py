"""Which pickup place a hold names, by role and workflow, and who a virtual patron is."""

from __future__ import annotations

import itertools
from typing import Any

import pytest

from reconciler.core.commands.placing import (
    LibraryConfig,
    Patron,
    PickupPlace,
    Placing,
    Refusal,
    WantedItem,
    choose_workflow,
    hold_pickup,
    virtual_patron_id,
)
from reconciler.core.model import (
    DeskCode,
    HoldingId,
    HostLmsCode,
    ItemPid,
    LibraryCode,
    MmsId,
    UserId,
)
from reconciler.core.status import Role, Workflow
from reconciler.engine import placing_lines
from reconciler.engine.placing_lines import ItemPart, PatronPart, PickupPart
from reconciler.settings import AlmaSettings
from tests.support.build import UNI_A, UNI_B, UNI_C

CHOSEN, OUTSIDE, VIRTUAL = "chosen", "outside", "virtual"


def config(**changes: Any) -> LibraryConfig:
    given = {
        "type": "alma",
        "base_url": "https://alma.example",
        "api_key": {"env": "KEY"},
        "sharing_library": "OUT",
        "sharing_circ_desk": "OUT_DESK",
        "virtual_library": "DCB",
        **changes,
    }
    return AlmaSettings.model_validate(given).config()


def placing(lender: HostLmsCode, reader: HostLmsCode, pickup: HostLmsCode) -> Placing:
    return Placing(
        Patron(reader, reader, UserId("r")),
        WantedItem(lender, lender, MmsId("1"), HoldingId("2"), ItemPid("3")),
        PickupPlace(pickup, pickup, LibraryCode("PICKUP"), DeskCode("PICKUP_DESK")),
    )


PLACING = placing(UNI_A, UNI_B, UNI_B)
PLACES = {CHOSEN: ("PICKUP", "PICKUP_DESK"), OUTSIDE: ("OUT", "OUT_DESK"), VIRTUAL: ("DCB", None)}

TABLE = {
    (Workflow.STANDARD, Role.SUPPLIER): OUTSIDE,
    (Workflow.STANDARD, Role.BORROWER): CHOSEN,
    (Workflow.PICKUP_ANYWHERE, Role.SUPPLIER): OUTSIDE,
    (Workflow.PICKUP_ANYWHERE, Role.BORROWER): OUTSIDE,
    (Workflow.PICKUP_ANYWHERE, Role.PICKUP): CHOSEN,
    (Workflow.EXPEDITED, Role.SUPPLIER): CHOSEN,
    (Workflow.EXPEDITED, Role.BORROWER): VIRTUAL,
    (Workflow.LOCAL, Role.SUPPLIER): CHOSEN,
}
"""workflow.md §3, rows 1, 3 and 4: every role that a workflow has."""


@pytest.mark.parametrize(("case", "wanted"), TABLE.items(), ids=lambda each: "-".join(each))
def test_the_pickup_place_follows_from_role_and_workflow(
    case: tuple[Workflow, Role], wanted: str
) -> None:
    workflow, role = case
    assert hold_pickup(role, workflow, PLACING, config()) == PLACES[wanted]


@pytest.mark.parametrize(
    "case", [case for case, wanted in TABLE.items() if wanted != CHOSEN], ids="-".join
)
def test_without_its_setting_there_is_no_pickup_place_and_none_is_made_up(
    case: tuple[Workflow, Role],
) -> None:
    workflow, role = case
    bare = config(sharing_library=None, virtual_library=None)
    assert hold_pickup(role, workflow, PLACING, bare) is None


PATTERNS = {
    "aaa": Workflow.LOCAL,
    "aab": "own_item_elsewhere",
    "aba": Workflow.EXPEDITED,
    "abb": Workflow.STANDARD,
    "abc": Workflow.PICKUP_ANYWHERE,
}
"""Which of lender, reader and pickup share a system, and what follows."""

ONE_AGENCY = {
    # what is given of (item, patron, pickup); "-" is nothing
    "---", "x--", "-x-", "xx-", "-xx", "x-x", "xxx",
}  # fmt: skip
"""Within one system: that lender, reader and pickup are one agency. A pickup that alone names an
agency names another than the system's own."""


def test_the_workflow_follows_from_the_three_systems_whatever_the_agencies_are_called() -> None:
    """Every combination of systems and agencies."""
    for systems in itertools.product((UNI_A, UNI_B, UNI_C), repeat=3):
        first = list(dict.fromkeys(systems))
        pattern = "".join("abc"[first.index(each)] for each in systems)
        for given in itertools.product("-xy", repeat=3):
            expected: str = PATTERNS[pattern]
            is_one = {"x", "y"} - {*given} and "".join(given).replace("y", "x") in ONE_AGENCY
            if pattern == "aaa" and not is_one:
                expected = "shared_institution"
            found = choose_workflow(line_of(systems, given))
            code = found.code if isinstance(found, Refusal) else found
            assert code == expected, (systems, given)


def line_of(systems: tuple[HostLmsCode, ...], given: tuple[str, ...]) -> Placing:
    item, patron, pickup = (None if each == "-" else each for each in given)
    return placing_lines.placing(
        PatronPart(host_lms=systems[1], user_id="r", agency=patron),
        ItemPart(host_lms=systems[0], mms_id="1", holding_id="2", item_pid="3", agency=item),
        PickupPart(host_lms=systems[2], library="MAIN", agency=pickup),
        None,
        keep_names=False,
    )


@pytest.mark.parametrize(
    ("systems", "given", "expected"),
    [
        ((UNI_A, UNI_B, UNI_B), "-x-", (UNI_A, "x", "x")),
        ((UNI_A, UNI_B, UNI_A), "xy-", ("x", "y", "x")),
        ((UNI_A, UNI_B, UNI_C), "xy-", ("x", "y", UNI_C)),
        ((UNI_A, UNI_B, UNI_B), "--x", (UNI_A, UNI_B, "x")),
        ((UNI_A, UNI_A, UNI_A), "xy-", ("x", "y", "y")),
        ((UNI_A, UNI_A, UNI_A), "x--", ("x", "x", "x")),
        ((UNI_A, UNI_A, UNI_A), "-x-", ("x", "x", "x")),
    ],
)
def test_an_agency_that_is_not_given_is_that_of_the_party_whose_system_it_shares(
    systems: tuple[HostLmsCode, ...], given: str, expected: tuple[str, ...]
) -> None:
    """Lender, reader, pickup. The pickup never tells whose the reader is: he would be another
    virtual patron at each place where he collects."""
    made = line_of(systems, tuple(given))
    assert (made.item.agency, made.patron.agency, made.pickup.agency) == expected


def test_a_virtual_patron_is_one_for_each_reader_and_agency_whatever_the_cards() -> None:
    one = Patron(UNI_B, "agency-1", UserId("r"))
    again = Patron(UNI_B, "agency-1", UserId("r"), names=("Ada",), patron_type="STAFF")
    elsewhere = Patron(UNI_B, "agency-2", UserId("r"))
    assert virtual_patron_id(one) == virtual_patron_id(again)
    assert virtual_patron_id(one) != virtual_patron_id(elsewhere)
