"""The installed command against Almas over a socket: lends follow their books home."""

from __future__ import annotations

import json
import sqlite3
import time
from typing import Any

import pytest

from tests.support.world import World, unreachable_url

SIGHT = {"state", "raw", "seen_at", "failure"}
LEG = {
    "host_lms", "user_id", "request_id", "mms_id", "holding_id", "item_pid", "item_barcode",
    "loan_id", "due_at", "record_state", "item", "request", "loan",
}  # fmt: skip
SHOW = {
    "id", "workflow", "status", "previous_status", "next_expected", "outcome", "parked", "paused",
    "status_since", "next_poll_at", "last_poll_at", "failures", "supplier", "borrower", "pickup",
    "effects", "things", "suppliers_tried",
}  # fmt: skip


def test_a_lend_follows_its_book_home_on_both_databases(any_world: World) -> None:
    world = any_world
    lend = world.placed()
    world.track(lend)
    assert world.show(lend.id)["status"] == "REQUEST_PLACED_AT_SUPPLYING_AGENCY"
    steps = (
        (lambda _: None, "REQUEST_PLACED_AT_BORROWING_AGENCY"),
        (world.send, "PICKUP_TRANSIT"),
        (world.shelve, "READY_FOR_PICKUP"),
        (world.borrow, "LOANED"),
        (world.give_back, "RETURN_TRANSIT"),
        (world.come_home, "COMPLETED"),
    )
    for act, status in steps:
        act(lend)
        world.once()
        assert world.show(lend.id)["status"] == status
    shown = world.show(lend.id)
    assert shown["outcome"] == "SUPPLIED"
    assert all(not inferred for _, _, inferred in world.transitions(lend.id))
    assert world.sandbox.calls.matching("POST") == []


def test_show_has_the_shape_of_the_contract_for_every_live_status(world: World) -> None:
    lends = {}
    for status in (
        "RESOLVED",
        "REQUEST_PLACED_AT_SUPPLYING_AGENCY",
        "CONFIRMED",
        "REQUEST_PLACED_AT_BORROWING_AGENCY",
        "REQUEST_PLACED_AT_PICKUP_AGENCY",
        "PICKUP_TRANSIT",
        "RECEIVED_AT_PICKUP",
        "READY_FOR_PICKUP",
        "LOANED",
        "RETURN_TRANSIT",
        "COMPLETED",
        "NOT_SUPPLIED_CURRENT_SUPPLIER",
        "AWAITING_RETURN_TO_SUPPLIER",
        "CANCELLED",
    ):
        lends[status] = world.placed(pua=True, status=status)
    world.track(*lends.values())
    report = world.once(check=None)
    assert report["reconciled"] == len(lends)
    assert set(report) == {
        "cycle_id", "reconciled", "transitions", "effects", "parked", "errors", "notifications",
        "alma_calls", "left_to_others", "resting",
    }  # fmt: skip
    for lend in lends.values():
        shown = world.show(lend.id)
        assert set(shown) == SHOW
        assert shown["id"] == lend.id
        for role in ("supplier", "borrower", "pickup"):
            assert set(shown[role]) == LEG
            for word in ("item", "request", "loan"):
                assert set(shown[role][word]) == SIGHT
    seen = world.show(lends["PICKUP_TRANSIT"].id)
    assert seen["supplier"]["item"]["raw"] == "1/"
    assert (seen["supplier"]["request"]["state"], seen["supplier"]["request"]["raw"]) == (
        "ACTIVE",
        "IN_PROCESS",
    )
    assert seen["last_poll_at"].endswith("Z")


def test_in_place_at_the_lender_completes_through_return_transit(world: World) -> None:
    lend = world.placed()
    for act in (world.send, world.shelve, world.borrow):
        act(lend)
    lend.line["status"] = "LOANED"
    world.track(lend)
    world.once()
    world.come_home(lend)
    report = world.once()
    assert [(each["to"], each["inferred"]) for each in report["transitions"]] == [
        ("RETURN_TRANSIT", True),
        ("COMPLETED", False),
    ]
    assert [(to, inferred) for _, to, inferred in world.transitions(lend.id)] == [
        ("RETURN_TRANSIT", True),
        ("COMPLETED", False),
    ]


def test_returned_at_another_branch_completes_by_the_closed_loan(world: World) -> None:
    lend = world.placed()
    for act in (world.send, world.shelve, world.borrow):
        act(lend)
    lend.line["status"] = "LOANED"
    world.track(lend)
    world.once()
    world.come_home(lend, "BRANCH")
    world.once()
    shown = world.show(lend.id)
    assert shown["supplier"]["item"]["state"] == "TRANSIT"
    assert shown["supplier"]["loan"]["state"] == "COMPLETE"
    assert shown["status"] == "COMPLETED"


def test_before_a_loan_was_seen_in_place_at_the_lender_moves_nothing(world: World) -> None:
    lend = world.placed()
    lend.line["status"] = "READY_FOR_PICKUP"
    loaned = world.placed()
    loaned.line["status"] = "LOANED"
    world.borrower.loan(loaned.barcode, loaned.reader, "MAIN", override=True)
    world.track(lend, loaned)
    for _ in range(3):
        assert world.once()["transitions"] == []
    assert world.show(loaned.id)["supplier"]["item"]["state"] == "IN_PLACE"


def test_an_anonymised_loan_needs_two_looks(world: World) -> None:
    hosts = world.settings["host_lms"]
    world.write_settings(host_lms={**hosts, "uni-a": {**hosts["uni-a"], "settle": "1s"}})
    lend = world.placed()
    for act in (world.send, world.shelve, world.borrow):
        act(lend)
    lend.line["status"] = "LOANED"
    world.track(lend)
    world.once()
    world.come_home(lend)
    world.lender.anonymise()
    assert world.once()["transitions"] == []
    time.sleep(1)
    assert [each["to"] for each in world.once()["transitions"]] == ["RETURN_TRANSIT", "COMPLETED"]


def test_the_same_sight_many_times_adds_no_history(world: World) -> None:
    lend = world.placed()
    world.track(lend)
    world.once()
    before = world.history(lend.id)
    for _ in range(5):
        world.once()
    assert world.history(lend.id) == before


def test_a_barcode_alone_finds_the_item_and_its_ids(world: World) -> None:
    lend = world.placed()
    for leg in ("supplier", "borrower"):
        for name in ("mms_id", "holding_id", "item_pid"):
            lend.line[leg][name] = None
    world.track(lend)
    world.once()
    shown = world.show(lend.id)
    assert shown["supplier"]["item_pid"]
    assert shown["supplier"]["item"]["state"] == "IN_PLACE"
    world.send(lend)
    world.once()
    assert world.show(lend.id)["status"] == "PICKUP_TRANSIT"


def test_the_installed_command_does_the_same(world: World) -> None:
    lend = world.placed()
    world.run_process("track", "-", stdin=json.dumps(lend.line))
    world.send(lend)
    report = world.run_process("--once", "-o", "json").json
    assert [each["to"] for each in report["transitions"]] == [
        "CONFIRMED",
        "REQUEST_PLACED_AT_BORROWING_AGENCY",
        "PICKUP_TRANSIT",
    ]
    assert report["alma_calls"] == {"uni-a": 2, "uni-b": 2}
    world.run_process("run", "--once", "--id", lend.id)
    assert "PICKUP_TRANSIT" in world.run_process("list").out
    world.run_process("--nonsense", check=64)


@pytest.mark.parametrize("tail", ["/", "/almaws/v1", "/almaws/v1/"])
def test_the_base_url_may_name_the_root_of_the_api(world: World, tail: str) -> None:
    hosts = {
        code: {**host, "base_url": host["base_url"] + tail} if host["type"] == "alma" else host
        for code, host in world.settings["host_lms"].items()
    }
    world.write_settings(host_lms=hosts)
    world.track(world.placed())
    assert world.once()["reconciled"] == 1


# --- nothing but GET ---------------------------------------------------------


def test_plan_dry_run_and_observe_send_nothing_but_get(world: World) -> None:
    lend = world.placed()
    for act in (world.send, world.shelve, world.borrow):
        act(lend)
    world.track(lend)
    planned = world.run("plan", "-o", "json").json["transactions"]
    assert [row["to"] for row in planned][-1] == "LOANED"
    assert {"id", "from", "to", "rule", "because", "effects"} <= set(planned[0])
    assert planned[-1]["effects"] == ["ensure_supplier_loan", "ensure_renewed"]
    world.run("plan", "--detailed-exitcode", check=2)
    dry = world.run("--once", "--dry-run", "-o", "json").json["transactions"]
    assert _timeless(dry) == _timeless(planned)
    assert world.show(lend.id)["status"] == "REQUEST_PLACED_AT_SUPPLYING_AGENCY"
    assert len(world.history(lend.id)) == 1

    world.once()
    shown = world.show(lend.id)
    assert shown["status"] == "LOANED"
    effects = {effect["kind"]: effect["state"] for effect in shown["effects"]}
    assert effects["ensure_supplier_loan"] == "withheld"
    calls = world.sandbox.calls.matching()
    assert calls
    assert {call.method for call in calls} == {"GET"}
    world.run("plan", "--detailed-exitcode", check=0)


def _timeless(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    evidence = [[{**each, "seen_at": None} for each in row["evidence"]] for row in rows]
    return [{**row, "evidence": seen} for row, seen in zip(rows, evidence, strict=True)]


def test_plan_on_a_new_database_makes_none(world: World) -> None:
    world.run("plan")
    assert not (world.folder / "reconciler.db").exists()


# --- trouble -----------------------------------------------------------------


def test_one_failed_read_hides_no_other_and_the_next_look_heals(world: World) -> None:
    lend = world.placed()
    world.track(lend)
    world.sandbox.faults.add("html_502", institution="uni-a", path="/requests/", times=None)
    report = world.once(check=3)
    assert {(each["role"], each["read"]) for each in report["errors"]} == {("supplier", "request")}
    shown = world.show(lend.id)
    assert shown["failures"] == 1
    assert shown["supplier"]["request"]["failure"]["reason"].startswith("server error")
    assert shown["supplier"]["item"]["state"] == "IN_PLACE"
    assert shown["borrower"]["request"]["state"] == "ACTIVE"
    explained = world.run("explain", lend.id, "-o", "json").json
    assert explained["failures"][0]["host_lms"] == "uni-a"
    world.sandbox.faults.clear()
    world.once()
    assert world.show(lend.id)["failures"] == 0


def test_a_library_that_cannot_be_reached_stops_no_other(world: World) -> None:
    here, gone = world.placed(), world.placed()
    gone.line["supplier"]["host_lms"] = "uni-c"
    hosts = {**world.settings["host_lms"]}
    hosts["uni-c"] = {**hosts["uni-c"], "base_url": unreachable_url()}
    world.write_settings(host_lms=hosts)
    world.track(here, gone)
    report = world.once(check=3)
    assert {each["id"] for each in report["errors"]} == {gone.id}
    assert world.show(here.id)["status"] == "REQUEST_PLACED_AT_BORROWING_AGENCY"
    assert world.show(gone.id)["status"] == "REQUEST_PLACED_AT_SUPPLYING_AGENCY"


def test_nothing_reachable_is_75_and_a_refused_key_77(world: World) -> None:
    lend = world.placed()
    world.track(lend)
    world.environ["KEY_A"] = world.environ["KEY_B"] = "wrong"
    report = world.once(check=77)
    assert "credentials refused" in report["errors"][0]["reason"]
    assert "wrong" not in str(report)
    hosts = {
        code: {**host, "base_url": unreachable_url()} if host["type"] == "alma" else host
        for code, host in world.settings["host_lms"].items()
    }
    world.write_settings(host_lms=hosts)
    world.once(check=75)
    assert world.show(lend.id)["status"] == "REQUEST_PLACED_AT_SUPPLYING_AGENCY"


def test_a_missing_key_is_a_settings_error(world: World) -> None:
    del world.environ["KEY_A"]
    world.track(world.placed())
    ran = world.run("--once", check=78)
    assert "host_lms.uni-a.api_key: environment variable KEY_A" in ran.err


@pytest.mark.parametrize("settings", ["polling: {bach: 1}\n", "a: [\n"])
def test_wrong_settings_are_78_and_name_the_line(world: World, settings: str) -> None:
    (world.folder / "settings.yaml").write_text(settings)
    ran = world.run("--once", check=78)
    assert "settings.yaml:" in ran.err


def test_a_missing_settings_file_is_78(world: World) -> None:
    ran = world.run("--settings", "nowhere.yaml", "list", check=78)
    assert "nowhere.yaml: No such file" in ran.err


def test_an_unknown_word_is_parked_and_the_rest_goes_on_being_read(world: World) -> None:
    lend = world.placed()
    world.track(lend)
    world.once()
    world.lender.set_process_type(lend.barcode, "SHIPPED_TO_MARS")
    report = world.once(check=3)
    assert report["parked"][0]["reason"] == "unknown_word"
    shown = world.show(lend.id)
    assert shown["parked"]["reason"] == "unknown_word"
    assert "SHIPPED_TO_MARS" in shown["parked"]["detail"]
    assert shown["supplier"]["item"]["state"] == "UNKNOWN"
    world.borrower.patron_cancels(lend.line["borrower"]["request_id"])
    world.once()
    assert world.show(lend.id)["borrower"]["request"]["state"] == "CLOSED"


# --- importing ---------------------------------------------------------------


def test_bad_lines_are_named_and_the_good_ones_taken(world: World) -> None:
    good = world.placed()
    lines = [
        json.dumps(good.line),
        "nonsense",
        json.dumps({**good.line, "id": "x", "status": "LOANEDD"}),
    ]
    ran = world.run("track", "-", "-o", "json", stdin="\n".join(lines), check=3)
    assert ran.json["accepted"] == [good.id]
    assert [(bad["line"], bad["field"]) for bad in ran.json["refused"]] == [
        (2, "line"),
        (3, "status"),
    ]
    assert "line 3: status: did you mean LOANED?" in ran.err
    again = world.run("track", "-", "-o", "json", stdin=lines[0])
    assert (again.json["accepted"], again.json["known"]) == ([], [good.id])


def test_evidence_moves_an_external_library(world: World) -> None:
    lend = world.placed()
    lend.line["borrower"] = {"host_lms": "ext"}
    world.track(lend)
    world.once()
    world.send(lend)
    world.once()
    tell = ("evidence", lend.id, "--role", "borrower", "--reason", "they rang")
    world.run(*tell, "--item", "ON_HOLD_SHELF")
    world.once()
    assert world.show(lend.id)["status"] == "READY_FOR_PICKUP"
    world.run(*tell, "--loan", "active")
    world.once()
    world.lend_to_virtual_patron(lend)
    assert world.show(lend.id)["status"] == "LOANED"
    world.once()
    world.run(*tell, "--item", "TRANSIT")
    world.once()
    assert world.show(lend.id)["status"] == "RETURN_TRANSIT"
    told = [row for row in world.history(lend.id) if row["kind"] == "command"]
    assert (told[1]["reason"], told[1]["evidence"][0]["state"]) == ("they rang", "ON_HOLD_SHELF")
    world.run(
        "evidence", lend.id, "--role", "supplier", "--item", "TRANSIT", "--reason", "x", check=64
    )
    world.run(*tell, "--item", "TRANSITT", check=64)


def test_lists_in_every_format(world: World) -> None:
    lends = [world.placed() for _ in range(2)]
    world.track(*lends)
    listed = world.run("list", "-o", "json").json
    assert listed["total"] == 2
    assert set(listed["transactions"][0]) == {
        "id", "workflow", "status", "status_since", "next_expected", "next_poll_at", "parked",
        "paused", "supplier", "borrower", "pickup",
    }  # fmt: skip
    assert len(world.run("list", "-o", "jsonl").out.splitlines()) == 2
    assert world.run("list", "-o", "csv").out.splitlines()[0].startswith("id,workflow,status")
    assert world.run("list", "--counts", "-o", "json").json["counts"] == {
        "REQUEST_PLACED_AT_SUPPLYING_AGENCY": 2
    }
    assert world.run("list", "--tenant", "uni-c", "-o", "json").json["total"] == 0
    world.run("list", "--status", "LOANEDD", check=64)
    world.run("list", "--tenant", "uni-x", check=64)
    world.run("show", "nope", check=1)


# --- what is kept ------------------------------------------------------------


def test_no_key_and_no_name_is_kept_or_said(world: World) -> None:
    lend = world.placed()
    world.sandbox["uni-b"].add_user("canary", names=("Canaryfirst", "Canarylast"))
    world.track(lend)
    world.environ["KEY_A"] = "KEY-uni-a"
    world.sandbox.faults.add(
        "error",
        institution="uni-b",
        path="/requests",
        code="401652",
        message="User Canarylast with barcode CANARY12345 is odd",
        times=None,
    )
    said = [world.run("--once", "--all", "--log-level", "TRACE", check=3)]
    said += [world.run(command, lend.id) for command in ("show", "history", "explain")]
    spoken = "".join(ran.out + ran.err for ran in said)
    for canary in ("KEY-uni-a", "KEY-uni-b", "CANARY12345"):
        assert canary not in spoken
        assert canary not in _database_text(world)


def _database_text(world: World) -> str:
    connection = sqlite3.connect(world.folder / "reconciler.db")
    tables = [
        row[0] for row in connection.execute("SELECT name FROM sqlite_master WHERE type='table'")
    ]
    rows: list[Any] = []
    for table in tables:
        rows += connection.execute(f"SELECT * FROM {table}").fetchall()
    connection.close()
    return str(rows)
