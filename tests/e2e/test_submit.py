"""`submit`: whatever stands against a request is said with a code, before anything is written."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.commands.placing import Patron, virtual_patron_id
from tests.support.lab import lab
from tests.support.world import Lend, World


def refusal(world: World, lend: Lend) -> tuple[str, str]:
    ran = world.submit(lend, check=3)
    assert ran.json["accepted"] == []
    (bad,) = ran.json["refused"]
    assert bad["line"] == 1
    assert bad["id"] == lend.id
    assert [call for call in world.sandbox.calls if call.method != "GET"] == []
    assert world.run("list", "-o", "json").json["total"] == 0
    assert bad["code"], bad
    return bad["code"], bad["problem"]


def virtual_patron_of(lend: Lend) -> str:
    given = lend.line["patron"]
    return virtual_patron_id(Patron(given["host_lms"], given["host_lms"], given["user_id"]))


def block(world: World, lend: Lend) -> None:
    world.borrower.block_user(lend.reader)


def expire(world: World, lend: Lend) -> None:
    world.borrower.expire_user(lend.reader, world.borrower.today() - timedelta(days=2))


def expire_some_day(world: World, _: Lend) -> None:
    world.sandbox.faults.add("set_field", institution="uni-b", path="/users/", times=None,
                             field="expiry_date", value="2030-01-01 Europe/Berlin")  # fmt: skip


def deactivate(world: World, lend: Lend) -> None:
    world.borrower.deactivate_user(lend.reader)


def block_virtual_patron(world: World, lend: Lend) -> None:
    id = virtual_patron_of(lend)
    world.lender.add_user(id, "DCB")
    world.lender.block_user(id)


def take_barcode(world: World, lend: Lend) -> None:
    world.borrower.add_book("Somebody's own", lend.barcode, "MAIN", "STACKS")


def mark_missing(world: World, lend: Lend) -> None:
    world.lender.set_process_type(lend.barcode, "MISSING")


def keep_at_sharing_library(world: World, lend: Lend) -> None:
    world.lender.move_item(lend.barcode, "RES_OUT", "OUT", temporary=False)


CASES: list[tuple[str, str, Callable[[World, Lend], object], dict[str, Any]]] = [
    ("patron_unknown", "uni-b knows no user", lambda *_: None, {"patron": {"user_id": "nobody"}}),
    ("patron_blocked", "the reader at uni-b is blocked", block, {}),
    ("patron_expired", "has expired", expire, {}),
    ("patron_expiry_unreadable", "“2030-01-01 Europe/Berlin”", expire_some_day, {}),
    ("patron_inactive", "is not active", deactivate, {}),
    ("patron_blocked", "the virtual patron at uni-a", block_virtual_patron, {}),
    ("item_unknown", "uni-a knows no such item", lambda *_: None, {"item": {"item_pid": "231"}}),
    ("item_mismatch", "another item", lambda *_: None, {"item": {"barcode": "OTHER"}}),
    ("item_not_lendable", "is LOST (0/MISSING)", mark_missing, {}),
    ("sharing_library_is_home", "put it on the hold shelf", keep_at_sharing_library, {}),
    ("barcode_taken", "uni-b has an item with the same barcode", take_barcode, {}),
    ("own_item_elsewhere", "owns the item", lambda *_: None, {"patron": {"host_lms": "uni-a"}}),
    (
        "shared_institution",
        "use that system's own requests",
        lambda *_: None,
        {"patron": {"host_lms": "uni-a"}, "pickup": {"host_lms": "uni-a", "agency": "branch"}},
    ),
]


@pytest.mark.parametrize(
    ("code", "says", "act", "changes"),
    CASES,
    ids=[f"{n}-{case[0]}" for n, case in enumerate(CASES)],
)
def test_what_stands_against_a_request_is_said_before_anything_is_written(
    acting: World,
    code: str,
    says: str,
    act: Callable[[World, Lend], object],
    changes: dict[str, Any],
) -> None:
    lend = acting.wanted(**changes)
    act(acting, lend)
    found, sentence = refusal(acting, lend)
    assert found == code
    assert says in sentence


@pytest.mark.parametrize(
    ("at", "refused"),
    [("2026-11-25T22:30Z", []), ("2026-11-25T23:30Z", ["patron_expired"])],
    ids=["the last evening", "after midnight at the library"],
)
async def test_a_card_expires_by_the_calendar_of_its_library(
    tmp_path: Path, at: str, refused: list[str]
) -> None:
    async with lab(tmp_path, socket=False, timezone="Europe/Berlin") as stage:
        book = stage.wanted()
        last_day = stage.clock.now().date()
        stage.borrower.expire_user(book.reader, last_day)
        stage.clock.advance(datetime.fromisoformat(at) - stage.clock.now())
        report = await stage.app.submit([json.dumps(book.line).encode()], "test")
        assert [each.code for each in report.refused] == refused


@pytest.mark.parametrize(
    ("host", "change", "code", "says"),
    [
        ("uni-a", {"sharing_library": None}, "not_configured", "uni-a.sharing_library"),
        ("uni-b", {"virtual_location": None}, "not_configured", "virtual_location"),
        ("uni-a", {"patron_groups": {"STAFF": "X"}}, "not_mapped", "uni-a.patron_groups"),
        ("uni-b", {"material_types": {"DVD": "DVD"}}, "not_mapped", "uni-b.material_types: BOOK"),
    ],
)
def test_what_the_settings_lack_is_said_without_a_call(
    acting: World, host: str, change: dict[str, Any], code: str, says: str
) -> None:
    hosts = acting.settings["host_lms"]
    acting.write_settings(host_lms={**hosts, host: {**hosts[host], **change}})
    lend = acting.wanted(item={"item_type": "BOOK"}, patron={"patron_type": "UNDERGRAD"})
    found, sentence = refusal(acting, lend)
    assert (found, says in sentence) == (code, True), sentence
    assert acting.sandbox.calls.matching() == []


def test_a_library_that_cannot_be_asked_refuses_nothing_for_good(acting: World) -> None:
    lend = acting.wanted()
    acting.sandbox.faults.add("json_500", institution="uni-a", times=None)
    code, sentence = refusal(acting, lend)
    assert code == "library_unreachable"
    assert "server error" in sentence
    acting.sandbox.faults.clear()
    assert acting.submit(lend).json["accepted"] == [lend.id]


def test_valid_lines_are_taken_beside_bad_ones_and_nothing_twice(acting: World) -> None:
    good, bad = acting.wanted(), acting.wanted(patron={"user_id": "nobody"})
    lines = [json.dumps(good.line), "{}", json.dumps(bad.line), json.dumps({**good.line, "x": 1})]
    ran = acting.run("submit", "-", "-o", "json", stdin="\n".join(lines), check=3)
    assert ran.json["accepted"] == [good.id]
    assert [(each["line"], each["field"]) for each in ran.json["refused"]] == [
        (2, "id"),
        (3, "line"),
        (4, "x"),
    ]
    assert "line 3: patron_unknown: uni-b knows no user" in ran.err
    again = acting.submit(good)
    assert (again.json["accepted"], again.json["known"]) == ([], [good.id])
    acting.once()
    acting.once()
    posts = acting.sandbox.calls.matching("POST", "/users/")
    assert len(posts) == 2  # the lender's hold and the borrower's


def test_the_workflow_follows_from_the_three_systems(acting: World) -> None:
    lends = {
        "RET-STD": acting.wanted(),
        "RET-EXP": acting.wanted(pickup="uni-a"),
        "RET-PUA": acting.wanted(pickup="uni-c"),
    }
    local = acting.wanted(pickup="uni-a")
    acting.lender.add_user("home-reader")
    local.line["patron"] = {"host_lms": "uni-a", "user_id": "home-reader"}
    lends["RET-LOCAL"] = local
    acting.submit(*lends.values())
    assert {workflow: acting.show(lend.id)["workflow"] for workflow, lend in lends.items()} == {
        workflow: workflow for workflow in lends
    }


@pytest.mark.parametrize(
    "changes",
    [
        {"patron": {"agency": "UNIB"}},
        {"patron": {"agency": "UNIB"}, "pickup": {"agency": "another agency of uni-b"}},
    ],
    ids=["interface.md §4.2", "collected at another agency of the reader's system"],
)
def test_a_pickup_in_the_readers_system_is_the_ordinary_way(
    acting: World, changes: dict[str, Any]
) -> None:
    lend = acting.wanted(**changes)
    assert acting.submit(lend).json["accepted"] == [lend.id]
    assert acting.show(lend.id)["workflow"] == "RET-STD"


def test_a_reader_who_collects_where_the_item_stands_is_what_on_site_lending_is(
    acting: World,
) -> None:
    """There the shelf is meant; and a desk of its own at the sharing library is another place."""
    on_site = acting.wanted(pickup="uni-a")
    keep_at_sharing_library(acting, on_site)
    assert acting.submit(on_site).json["accepted"] == [on_site.id]
    hosts = acting.settings["host_lms"]
    acting.lender.add_circ_desk("RES_OUT", "OUT_DESK")
    with_desk = {**hosts["uni-a"], "sharing_circ_desk": "OUT_DESK"}
    acting.write_settings(host_lms={**hosts, "uni-a": with_desk})
    sent = acting.wanted()
    keep_at_sharing_library(acting, sent)
    assert acting.submit(sent).json["accepted"] == [sent.id]


@pytest.mark.parametrize(
    ("pickup", "cards", "warned"),
    [("uni-b", [], False), ("uni-a", [], True), ("uni-c", [], True), ("uni-c", ["7"], False)],
)
def test_a_reader_whom_the_pickup_desk_cannot_scan_is_told_of_at_once(
    acting: World, pickup: str, cards: list[str], warned: bool
) -> None:
    """Taken all the same: the desk may know other ways, but nobody is surprised there."""
    lend = acting.wanted(pickup=pickup, patron={"barcodes": cards})
    ran = acting.submit(lend)
    assert ran.json["accepted"] == [lend.id]
    assert ("no card number" in ran.err) is warned
    (row,) = acting.history(lend.id)
    assert ("no card number" in row["detail"]) is warned


@pytest.mark.parametrize(
    ("process", "lendable"),
    [
        ("", True),
        ("REQUESTED", True),
        ("LOAN", True),
        ("TRANSIT", True),
        ("HOLDSHELF", True),
        ("MISSING", False),
        ("WORK_ORDER_DEPARTMENT", False),
        ("TECHNICAL", False),
        ("SOMETHING_NEW", False),
    ],
)
def test_a_copy_is_lendable_in_the_states_of_a_closed_list(
    acting: World, process: str, lendable: bool
) -> None:
    lend = acting.wanted()
    acting.lender.set_process_type(lend.barcode, process, in_place=True)
    ran = acting.submit(lend, check=0 if lendable else 3)
    assert ran.json["accepted"] == ([lend.id] if lendable else [])
    for refused in ran.json["refused"]:
        assert refused["code"] == "item_not_lendable"
        assert process in refused["problem"], "the word itself is told"


def test_plan_and_dry_run_show_what_would_be_made_in_order(acting: World) -> None:
    lend = acting.wanted()
    acting.submit(lend)
    planned = acting.run("plan", "-o", "json").json["transactions"]
    assert [row["effects"] for row in planned] == [
        ["ensure_virtual_patron", "ensure_supplier_hold"]
    ]
    acting.run("plan", "--detailed-exitcode", check=2)
    acting.run("--once", "--dry-run")
    assert [call for call in acting.sandbox.calls if call.method != "GET"] == []


def test_what_an_observed_library_would_be_asked_for_is_withheld_until_it_acts(
    acting: World,
) -> None:
    hosts = acting.settings["host_lms"]
    observed = {**hosts, "uni-a": {**hosts["uni-a"], "mode": "observe"}}
    acting.write_settings(host_lms=observed)
    lend = acting.wanted()
    acting.submit(lend)
    acting.once()
    effects = acting.show(lend.id)["effects"]
    assert [(each["kind"], each["state"]) for each in effects] == [
        ("ensure_virtual_patron", "withheld"),
        ("ensure_supplier_hold", "withheld"),
    ]
    assert "withheld" in acting.run("plan").out
    assert [call for call in acting.sandbox.calls if call.method != "GET"] == []
    acting.write_settings()
    acting.once()
    assert acting.show(lend.id)["status"] == "REQUEST_PLACED_AT_BORROWING_AGENCY"


def test_a_client_of_an_observed_library_has_no_writing_methods(world: World) -> None:
    from reconciler.alma.writer import Writer
    from reconciler.errors import SettingsError
    from reconciler.ports.alma import AlmaReader, AlmaWriter

    app = world.app()
    reader = app.libraries.reader("uni-a")  # type: ignore[arg-type]
    writing = set(dir(AlmaWriter)) - set(dir(AlmaReader))
    assert writing >= {"create_loan", "place_hold", "delete_item", "scan_in"}
    assert [name for name in writing if hasattr(reader, name)] == []
    assert not isinstance(reader, Writer)
    with pytest.raises(SettingsError, match="observe"):
        app.libraries.writer("uni-a")  # type: ignore[arg-type]
    app.close()
