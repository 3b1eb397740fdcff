"""Import lines: the good ones are taken, each bad one is named with line, field and reason."""

from __future__ import annotations

import json
from typing import Any

import pytest

from reconciler.core.model import Transaction
from reconciler.core.status import DcbStatus, EffectKind, Role, ThingKind, Workflow
from reconciler.engine.intake import Registrar, track_lines
from reconciler.engine.lines import BadLine
from reconciler.engine.settling import Recorder
from reconciler.ports.written import Entrance
from tests.support.build import NOW, policy

LEG_A = {
    "host_lms": "uni-a",
    "user_id": "V1",
    "request_id": "R1",
    "mms_id": "991",
    "holding_id": "221",
    "item_pid": "231",
    "item_barcode": "B1",
    "loan_id": None,
}
LEG_B = {**LEG_A, "host_lms": "uni-b", "user_id": "P1", "request_id": "R2", "item_pid": "232"}
LINE: dict[str, Any] = {
    "id": "6b1f0c1e-0000-4000-8000-000000000001",
    "workflow": "RET-STD",
    "status": "LOANED",
    "status_since": "2026-11-01T10:00:00Z",
    "supplier": LEG_A,
    "borrower": LEG_B,
    "pickup": None,
}


def entrances(*lines: dict[str, Any] | bytes) -> list[Entrance | BadLine]:
    raw = [line if isinstance(line, bytes) else json.dumps(line).encode() for line in lines]
    ids = iter(range(1000))
    new_id = lambda: f"id-{next(ids)}"  # noqa: E731
    registrar = Registrar(Recorder(policy(), new_id), new_id, "test")
    return list(track_lines(raw, policy(), NOW, registrar))


def read(*lines: dict[str, Any] | bytes) -> list[Transaction | BadLine]:
    return [each if isinstance(each, BadLine) else each.transaction for each in entrances(*lines)]


def entrance(line: dict[str, Any]) -> Entrance:
    (made,) = entrances(line)
    assert isinstance(made, Entrance)
    return made


def test_the_line_of_the_contract_is_taken() -> None:
    (taken,) = read(LINE)
    assert isinstance(taken, Transaction)
    assert taken.status is DcbStatus.LOANED
    assert taken.status_since.isoformat() == "2026-11-01T10:00:00+00:00"
    assert taken.supplier.item_pid == "231"
    assert taken.borrower is not None
    assert taken.borrower.request_id == "R2"
    assert (taken.pickup, taken.tenant, taken.next_poll_at) == (None, "uni-a", NOW)


def test_only_id_status_and_the_lender_are_required_where_the_status_needs_no_ids() -> None:
    (taken,) = read({"id": "t", "status": "RESOLVED", "supplier": {"host_lms": "uni-a"}})
    assert isinstance(taken, Transaction)
    assert (taken.workflow, taken.borrower) == (Workflow.STANDARD, None)


def test_an_external_library_needs_no_ids() -> None:
    (taken,) = read({**LINE, "supplier": {"host_lms": "external"}})
    assert isinstance(taken, Transaction)
    assert taken.tenant == "uni-b"


def test_a_barcode_stands_for_the_items_ids() -> None:
    lender = {"host_lms": "uni-a", "user_id": "V1", "request_id": "R1", "item_barcode": "B1"}
    (taken,) = read({**LINE, "supplier": lender})
    assert isinstance(taken, Transaction)


def test_pickup_anywhere_has_three_legs() -> None:
    third = {**LEG_A, "host_lms": "uni-c"}
    (taken,) = read({**LINE, "workflow": "RET-PUA", "pickup": third})
    assert isinstance(taken, Transaction)
    assert taken.leg(Role.PICKUP) is not None


def test_a_terminal_status_is_taken_and_never_looked_at() -> None:
    (taken,) = read({**LINE, "status": "ERROR"})
    assert isinstance(taken, Transaction)
    assert taken.next_poll_at is None


@pytest.mark.parametrize(
    ("change", "field", "problem"),
    [
        ({"id": None}, "id", "expected text"),
        ({"id": ""}, "id", "expected some text"),
        ({"id": 17}, "id", "a number would lose digits"),
        ({"id": "a b"}, "id", "without blanks or slashes"),
        ({"status": "LOANEDD"}, "status", "did you mean LOANED?"),
        ({"status": None}, "status", "expected one of RESOLVED"),
        ({"workflow": "RET-STDD"}, "workflow", "did you mean RET-STD?"),
        ({"status_since": "yesterday"}, "status_since", "2026-11-01T10:00:00Z"),
        ({"status_since": "2026-11-01T10:00:00"}, "status_since", "with its zone"),
        ({"supplier": {"user_id": "V1"}}, "supplier.host_lms", "missing"),
        ({"supplier": {**LEG_A, "host_lms": "uni-aa"}}, "supplier.host_lms", "did you mean uni-a?"),
        ({"supplier": {**LEG_A, "requst_id": "R"}}, "supplier.requst_id", "unknown field"),
        ({"supplier": {**LEG_A, "mms_id": 991}}, "supplier.mms_id", "a number would lose digits"),
        ({"supplier": {**LEG_A, "user_id": None}}, "supplier.user_id", "a transaction that is"),
        (
            {"supplier": {**LEG_A, "item_barcode": None, "holding_id": None}},
            "supplier.holding_id",
            "missing",
        ),
        ({"workflow": "RET-PUA"}, "pickup", "a pickup library of its own"),
        (
            {"status": "PICKUP_TRANSIT", "borrower": {**LEG_B, "request_id": None}},
            "borrower.request_id",
            "a transaction that is PICKUP_TRANSIT has one",
        ),
    ],
)
def test_a_bad_line_names_its_field_and_what_was_expected(
    change: dict[str, Any], field: str, problem: str
) -> None:
    good, bad, after = read(LINE, {**LINE, **change}, {**LINE, "id": "other"})
    assert isinstance(good, Transaction)
    assert isinstance(after, Transaction)
    assert isinstance(bad, BadLine)
    assert (bad.line, bad.field) == (2, field)
    assert problem in bad.problem


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        (b"nonsense", "not JSON at column 1"),
        (b'{"id": "t"', "not JSON"),
        (b"[1]", "a JSON object"),
        (b"\xff\xfe", "not UTF-8"),
        (b'{"id": "' + b"x" * 300_000 + b'"}', "longer than 256 KiB"),
        (b"[" * 100_000, "not JSON"),
    ],
)
def test_a_line_that_is_no_object_is_named(raw: bytes, problem: str) -> None:
    blank, bad = b"\n", raw
    results = read(LINE, blank, bad)
    assert isinstance(results[1], BadLine)
    assert (results[1].line, results[1].field) == (3, "line")
    assert problem in results[1].problem


def test_a_byte_order_mark_is_no_obstacle() -> None:
    (taken,) = read(b"\xef\xbb\xbf" + json.dumps(LINE).encode())
    assert isinstance(taken, Transaction)


# --- what comes along with a line --------------------------------------------

PLACING = {
    "patron": {"host_lms": "uni-b", "user_id": "P1", "names": ["Ada", "Lovelace"]},
    "item": {"host_lms": "uni-a", "mms_id": "991", "holding_id": "221", "item_pid": "231"},
    "pickup": {"host_lms": "uni-b", "library": "MAIN"},
}


def test_what_is_tracked_is_not_ours_unless_its_line_says_so() -> None:
    assert entrance(LINE).things == ()
    owned = entrance({**LINE, "owned": True}).things
    assert [(thing.role, thing.kind) for thing in owned] == [
        (Role.SUPPLIER, ThingKind.HOLD),
        (Role.BORROWER, ThingKind.HOLD),
        (Role.BORROWER, ThingKind.BIB),
        (Role.BORROWER, ThingKind.HOLDING),
        (Role.BORROWER, ThingKind.ITEM),
    ]
    assert all(thing.owned and thing.trusted for thing in owned)


def test_what_a_tracked_line_still_needs_is_placed_where_the_data_are_given() -> None:
    borrower = {"host_lms": "uni-b", "user_id": "P1"}
    line = {**LINE, "status": "CONFIRMED", "borrower": borrower}
    assert entrance(line).intents == ()
    placed = entrance({**line, **PLACING})
    assert [intent.kind for intent in placed.intents] == [
        EffectKind.VIRTUAL_BIB,
        EffectKind.VIRTUAL_HOLDING,
        EffectKind.VIRTUAL_ITEM,
        EffectKind.BORROWER_HOLD,
    ]
    assert placed.placing is not None
    assert placed.placing.patron.names == ()


def test_a_resolved_line_with_placing_data_is_placed_from_the_start() -> None:
    line = {"id": "t", "status": "RESOLVED", "supplier": {"host_lms": "uni-a"}, **PLACING}
    assert [intent.kind for intent in entrance(line).intents] == [
        EffectKind.VIRTUAL_PATRON,
        EffectKind.SUPPLIER_HOLD,
    ]
