"""Every form in which Alma writes the same thing is read alike (alma-api.md §1.2, §1.3)."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from reconciler.alma import document, wire
from reconciler.alma.document import NotADocument, parse
from reconciler.errors import AlmaFailure, FailureKind

NOTHING: list[Any] = [
    None,
    "",
    "  ",
    "\n",
    {},
    {"value": ""},
    {"value": None, "desc": None},
    {"value": "", "desc": None},
    {"desc": ""},
    [],
]


@pytest.mark.parametrize("nothing", NOTHING, ids=repr)
def test_every_form_of_nothing_is_none(nothing: Any) -> None:
    assert document.text({"process_type": nothing}, "process_type") is None
    assert document.text({}, "process_type") is None
    item = {
        "item_data": {"base_status": {"value": "1"}, "process_type": nothing, "barcode": nothing}
    }
    sight = wire.item(item)
    assert (sight.state, sight.raw, sight.barcode) == ("IN_PLACE", "1/", None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("A", "A"),
        (" A ", "A"),
        ({"value": "A", "desc": "x"}, "A"),
        (9922405930001551, "9922405930001551"),
        ({"value": 17}, "17"),
        (True, "true"),
    ],
)
def test_codes_and_ids_are_text(value: Any, expected: str) -> None:
    assert document.text({"field": value}, "field") == expected


def test_long_numbers_lose_no_digits() -> None:
    tree = parse(b'{"mms_id": 99224059300015512345678, "fine": 2.50}')
    assert document.text(tree, "mms_id") == "99224059300015512345678"
    assert document.text(tree, "fine") == "2.50"


@pytest.mark.parametrize(
    ("value", "expected"),
    [(True, True), ("true", True), ("False", False), (None, None), ("maybe", None), ({}, None)],
)
def test_flags(value: Any, expected: bool | None) -> None:
    assert document.flag({"requested": value}, "requested") is expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2018-08-10T18:00:00Z", datetime(2018, 8, 10, 18, tzinfo=UTC)),
        ("2018-07-13T17:31:39.800Z", datetime(2018, 7, 13, 17, 31, 39, 800000, tzinfo=UTC)),
        ("2018-07-31Z", datetime(2018, 7, 31, tzinfo=UTC)),
        ("2018-07-28z", datetime(2018, 7, 28, tzinfo=UTC)),
        ("2018-07-31", datetime(2018, 7, 31, tzinfo=UTC)),
        ("2018-08-10T18:00:00+02:00", datetime(2018, 8, 10, 16, tzinfo=UTC)),
        ("2018-08-10T18:00:00+0200", datetime(2018, 8, 10, 16, tzinfo=UTC)),
        ("2018-08-10T18:00:00.123456789Z", datetime(2018, 8, 10, 18, 0, 0, 123456, tzinfo=UTC)),
        ("2018-08-10T18:00Z", datetime(2018, 8, 10, 18, tzinfo=UTC)),
        ("2018-08-10T18:00-05:00", datetime(2018, 8, 10, 23, tzinfo=UTC)),
        ("2018-08-10 18:00:00Z", datetime(2018, 8, 10, 18, tzinfo=UTC)),
        ("2018-08-10t18:00:00z", datetime(2018, 8, 10, 18, tzinfo=UTC)),
        ("2018-08-10+02:00", datetime(2018, 8, 10, tzinfo=UTC)),
        ({"value": "2018-08-10Z"}, datetime(2018, 8, 10, tzinfo=UTC)),
        ("2018-08-10T18:00:00", datetime(2018, 8, 10, 18, tzinfo=UTC)),
        ("9999-12-31T23:59:59-05:00", datetime(9000, 1, 1, tzinfo=UTC)),
        ("0001-01-01T00:00:00+02:00", datetime(1000, 1, 1, tzinfo=UTC)),
        ("yesterday", None),
        ("", None),
        (None, None),
        ("2018-13-45Z", None),
        ("2018-08-10T18:00:00+00:00Z", None),
        ("2018-08-10T18:00:00ZZ", None),
        ("2026-12-20 23:59:59 Europe/Berlin", None),
        ("2026-12-20T23:59:59 CET", None),
        ("2026-12-20T23:59:59[Europe/Berlin]", None),
        ("2026-12-20T24:59:59Z", None),
        ("2026-12-20x23:59:59Z", None),
        ("2026-W51-7", None),
        ("20261220", None),
        ("12/11/2026", None),
        ("1797811199000", None),
        ("٢٠٢٦-١٢-٢٠", None),
        (["2018-08-10Z", "2018-08-11Z"], None),
    ],
)
def test_dates_and_times(value: Any, expected: datetime | None) -> None:
    """What could mean two things is not read, and is told apart from what is not there."""
    assert document.instant({"at": value}, "at") == expected
    shown = "several values" if isinstance(value, list) else value
    is_there = expected is None and value not in (None, "")
    assert document.unread({"at": value}, "at") == (shown if is_there else None)


def test_a_request_is_placed_at_its_time_or_not_before_the_day_before_its_date() -> None:
    timed = {"request_status": "HISTORY", "request_time": "2021-05-18T17:28:29.880Z"}
    dated = {"request_status": "HISTORY", "request_date": "2021-05-18Z"}
    assert wire.request(timed).placed_at == datetime(2021, 5, 18, 17, 28, 29, 880000, tzinfo=UTC)
    assert wire.request(dated).placed_at == datetime(2021, 5, 17, tzinfo=UTC)


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (b"", "an empty body"),
        (b" \r\n", "an empty body"),
        (b"<html><body>x</body></html>", "an HTML page"),
        (b"\n<!DOCTYPE html><html></html>", "an HTML page"),
        (b"Service unavailable", "plain text"),
        (b'{"item": [', "JSON that is cut short or broken"),
        (b"[1, 2]", "JSON that is not an object"),
        (b"<items><item>", "XML that is cut short or broken"),
        (b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "an HTML page"),
        (b'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>', "XML that is cut"),
        (b"[" * 100_000, "JSON that is cut short or broken"),
    ],
)
def test_what_is_no_document_is_named(body: bytes, what: str) -> None:
    with pytest.raises(NotADocument, match=what):
        parse(body)


def test_a_byte_order_mark_is_no_obstacle() -> None:
    assert parse(b'\xef\xbb\xbf{"a": 1}') == {"a": 1}


def test_xml_reads_like_json() -> None:
    xml = b"""<?xml version="1.0"?><user_requests total_record_count="1"><user_request>
      <request_id>7</request_id><request_status>In Process</request_status>
      <request_sub_type desc="x">PATRON_PHYSICAL</request_sub_type><comment/>
      <item_id>23</item_id></user_request></user_requests>"""
    tree = parse(xml)
    (row,) = document.children(tree, "user_request")
    sight = wire.request(row)
    assert (sight.state, sight.raw, sight.item_pid, sight.comment) == (
        "ACTIVE",
        "In Process",
        "23",
        None,
    )
    assert document.number(tree, "total_record_count") == 1
    assert document.text(row, "request_sub_type") == "PATRON_PHYSICAL"


def test_xml_lists_of_several_rows() -> None:
    tree = parse(
        b"<item_loans><item_loan><a>1</a></item_loan><item_loan><a>2</a></item_loan></item_loans>"
    )
    assert [document.text(row, "a") for row in document.children(tree, "item_loan")] == ["1", "2"]


def test_the_temporary_location_counts_only_while_it_is_in_effect() -> None:
    def item(in_temp: bool, temp_library: str) -> wire.ItemSight:
        return wire.item(
            {
                "holding_data": {
                    "in_temp_location": in_temp,
                    "temp_library": {"value": temp_library},
                    "temp_location": {"value": " LFD "},
                },
                "item_data": {
                    "base_status": {"value": "1"},
                    "library": {"value": "MAIN"},
                    "location": {"value": "STACKS"},
                },
            }
        )

    assert (item(False, "RES").library, item(False, "RES").location) == ("MAIN", "STACKS")
    assert (item(True, "RES").library, item(True, "RES").location) == ("RES", "LFD")
    assert item(True, "").library == "MAIN"


@pytest.mark.parametrize(
    ("reader", "body", "missing"),
    [
        (wire.item, {"item_data": {"pid": "1"}}, "base_status"),
        (wire.request, {"request_id": "1"}, "request_status"),
        (wire.loan, {"loan_id": "1"}, "loan_status"),
        (wire.user, {"first_name": "x"}, "primary_id"),
    ],
)
def test_a_record_without_the_word_that_matters_is_unreadable(
    reader: Any, body: dict[str, Any], missing: str
) -> None:
    with pytest.raises(AlmaFailure, match=missing) as caught:
        reader(parse(json.dumps(body).encode()))
    assert caught.value.kind is FailureKind.UNREADABLE
