"""Which pickup place a hold names, by role and workflow, and who a virtual patron is."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.model import (
    DeskCode,
    HoldingId,
    HostLmsCode,
    ItemPid,
    LibraryCode,
    MmsId,
    UserId,
)
from reconciler.core.placing import (
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
from reconciler.core.status import Role, Workflow
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


def test_two_almas_are_two_systems() -> None:
    assert choose_workflow(placing(UNI_A, UNI_B, UNI_B)) is Workflow.STANDARD
    assert choose_workflow(placing(UNI_A, UNI_B, UNI_A)) is Workflow.EXPEDITED
    assert choose_workflow(placing(UNI_A, UNI_B, UNI_C)) is Workflow.PICKUP_ANYWHERE
    assert choose_workflow(placing(UNI_A, UNI_A, UNI_A)) is Workflow.LOCAL
    refused = choose_workflow(placing(UNI_A, UNI_A, UNI_B))
    assert isinstance(refused, Refusal)
    assert refused.code == "own_item_elsewhere"


def test_a_virtual_patron_is_one_for_each_reader_and_agency_whatever_the_cards() -> None:
    one = Patron(UNI_B, "agency-1", UserId("r"))
    again = Patron(UNI_B, "agency-1", UserId("r"), names=("Ada",), patron_type="STAFF")
    elsewhere = Patron(UNI_B, "agency-2", UserId("r"))
    assert virtual_patron_id(one) == virtual_patron_id(again)
    assert virtual_patron_id(one) != virtual_patron_id(elsewhere)
