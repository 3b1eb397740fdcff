"""How an unset field looks, by style; and that every switch is checked."""

from __future__ import annotations

import pytest

from reconciler.sandbox import Dialect
from tests.sandbox.conftest import Alma


def test_unset_by_style(uni_a: Alma) -> None:
    def process_type() -> object:
        return uni_a.get(uni_a.item_path("A0001"))["item_data"].get("process_type", "absent")

    dialect = uni_a.institution.dialect
    assert process_type() == {"value": ""}
    dialect.update(style="old")
    assert process_type() == {"value": "", "desc": None}
    dialect.update(style="lean")
    assert process_type() == "absent"


def test_lean_mixes_codes_and_labels(uni_a: Alma) -> None:
    uni_a.institution.dialect.update(style="lean")
    for barcode in ("A0001", "A0002"):
        uni_a.hold("local-1", barcode, "BRANCH")
    rows = uni_a.get("/users/local-1/requests")["user_request"]
    assert {row["request_status"] for row in rows} == {"IN_PROCESS", "In Process"}
    assert not any(value in (None, "", {}) for row in rows for value in row.values())


def test_ids_are_beyond_what_a_float_can_hold(uni_a: Alma) -> None:
    item = uni_a.get(uni_a.item_path("A0001"))
    rid = uni_a.hold("local-1", "A0001", "BRANCH")["request_id"]
    ids = [item["bib_data"]["mms_id"], item["holding_data"]["holding_id"], rid]
    assert all(int(one) > 2**53 and one.endswith("6421") for one in ids)


def test_unknown_switches_are_refused_and_change_nothing() -> None:
    dialect = Dialect()
    with pytest.raises(ValueError, match="unknown switch 'stile'"):
        dialect.update(stile="old")
    with pytest.raises(ValueError, match="style takes new, old, label, lean"):
        dialect.update(language="de", style="blue")
    assert dialect == Dialect()
    assert Dialect.choices()["loan_ids"] == (True, False)
    assert Dialect.choices()["missing_item_code"] == ()
