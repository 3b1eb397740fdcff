"""Each field of a sight is copied from the field of Alma's document that has its name.

Every value of these documents is unlike the others, so that one that was taken from a neighbour
(a location for a library, a bib's id for an item's) is seen.
"""

from __future__ import annotations

from dataclasses import fields
from datetime import UTC, date, datetime
from typing import Any

import pytest

from reconciler.alma import wire
from reconciler.core.model import BibSight, ItemSight, LoanSight, MmsId, RequestSight
from reconciler.core.status import ItemState, LoanState, RequestState
from reconciler.errors import AlmaFailure

ITEM = {
    "bib_data": {"mms_id": "9911", "title": "A title", "author": "An author"},
    "holding_data": {
        "holding_id": "2211",
        "call_number": "QA 76",
        "in_temp_location": False,
        "temp_library": {"value": "TEMP_LIB"},
        "temp_location": {"value": "TEMP_LOC"},
    },
    "item_data": {
        "pid": "2311",
        "barcode": "0042",
        "base_status": {"value": "0", "desc": "Item not in place"},
        "process_type": {"value": "TRANSIT", "desc": "Transit"},
        "library": {"value": "LIB", "desc": "The library"},
        "location": {"value": "LOC", "desc": "The location"},
        "policy": {"value": "POL"},
        "physical_material_type": {"value": "BOOK"},
        "requested": True,
        "fulfillment_note": "at the desk",
        "public_note": "for readers",
        "internal_note_1": "first",
        "internal_note_3": "third",
    },
}
REQUEST = {
    "request_id": "7711",
    "user_primary_id": "user-1",
    "mms_id": "9911",
    "item_id": "2311",
    "barcode": "0042",
    "request_status": "IN_PROCESS",
    "request_type": "HOLD",
    "request_time": "2026-11-01T10:00:00Z",
    "request_date": "2026-10-31Z",
    "pickup_location": "The library",
    "pickup_location_library": "LIB",
    "pickup_location_circulation_desk": "DESK",
    "comment": "[DCB:1]",
}
LOAN = {
    "loan_id": "5511",
    "loan_status": "ACTIVE",
    "process_status": "NORMAL",
    "user_id": "user-1",
    "item_id": "2311",
    "item_barcode": "0042",
    "mms_id": "9911",
    "loan_date": "2026-11-01T10:00:00Z",
    "due_date": "2026-12-01T10:00:00Z",
    "return_date": "2026-11-20T10:00:00Z",
    "library": {"value": "LIB"},
    "location_code": {"value": "LOC"},
}


def test_an_item() -> None:
    assert wire.item(ITEM) == ItemSight(
        state=ItemState.TRANSIT,
        raw="0/TRANSIT",
        mms_id="9911",
        holding_id="2211",
        pid="2311",
        barcode="0042",
        library="LIB",
        location="LOC",
        requested=True,
        policy="POL",
        title="A title",
        notes=("first", "third"),
        fulfillment_note="at the desk",
    )


def test_a_request() -> None:
    assert wire.request(REQUEST) == RequestSight(
        state=RequestState.ACTIVE,
        raw="IN_PROCESS",
        request_id="7711",
        user_id="user-1",
        mms_id="9911",
        item_pid="2311",
        barcode="0042",
        placed_at=datetime(2026, 11, 1, 10, tzinfo=UTC),
        comment="[DCB:1]",
        pickup_library="LIB",
    )


def test_a_loan() -> None:
    assert wire.loan(LOAN) == LoanSight(
        state=LoanState.ACTIVE,
        raw="ACTIVE/NORMAL",
        loan_id="5511",
        user_id="user-1",
        item_pid="2311",
        item_barcode="0042",
        began_at=datetime(2026, 11, 1, 10, tzinfo=UTC),
        due_at=datetime(2026, 12, 1, 10, tzinfo=UTC),
        returned_at=datetime(2026, 11, 20, 10, tzinfo=UTC),
        process="NORMAL",
    )


BARE: list[tuple[Any, dict[str, Any]]] = [
    (wire.item, {"item_data": {"base_status": {"value": "1"}}}),
    (wire.request, {"request_status": "HISTORY"}),
    (wire.loan, {"loan_status": "COMPLETE"}),
]


@pytest.mark.parametrize(("read", "body"), BARE, ids=["item", "request", "loan"])
def test_a_document_with_its_word_alone_is_read_and_the_rest_is_not_known(
    read: Any, body: dict[str, Any]
) -> None:
    sight = read(body)
    known = {field.name for field in fields(sight) if getattr(sight, field.name) not in (None, ())}
    assert known - {"document"} == {"state", "raw"}


# --- users -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("told", "expected"),
    [
        ("2026-05-01Z", date(2026, 5, 1)),
        ("2026-05-01", date(2026, 5, 1)),
        (None, None),
        ("", None),
        ("next spring", None),
    ],
)
def test_the_end_of_a_card_with_and_without_its_z(told: str | None, expected: date | None) -> None:
    assert wire.user({"primary_id": "u", "expiry_date": told}).expires_on == expected


def test_only_active_blocks_and_identifiers_count() -> None:
    user = wire.user(
        {
            "primary_id": "u",
            "status": {"value": "INACTIVE"},
            "user_block": [
                {"block_type": {"value": "LOAN"}, "block_status": "ACTIVE"},
                {"block_type": {"value": "OLD"}, "block_status": "INACTIVE"},
            ],
            "user_identifier": [
                {"value": "A", "id_type": {"value": "BARCODE"}, "status": "ACTIVE"},
                {"value": "B", "id_type": {"value": "BARCODE"}, "status": "INACTIVE"},
            ],
        }
    )
    assert (user.is_active, user.blocks, user.identifiers) == (False, ("LOAN",), ("A",))


RECORDS = [None, "", "<record/>", "<record><datafield tag='035'>", "not XML"]


def bib_with(record: str | None) -> dict[str, Any]:
    return {"mms_id": "991"} | ({} if record is None else {"anies": [record]})


@pytest.mark.parametrize("record", RECORDS)
def test_a_bib_whose_record_is_missing_or_broken_is_not_one_without_our_number(
    record: str | None,
) -> None:
    """Nobody could tell any more that it is ours: it would be left behind, or made again."""
    with pytest.raises(AlmaFailure, match="record"):
        wire.bib(bib_with(record))
    if record:
        with pytest.raises(AlmaFailure, match="record"):
            wire.listed_bib(bib_with(record))
        with pytest.raises(AlmaFailure, match="record"):
            wire.glance(bib_with(record))
    else:
        assert wire.listed_bib(bib_with(record)) == BibSight(MmsId("991")), "read whole afterwards"


@pytest.mark.parametrize("record", RECORDS)
def test_of_a_bib_that_was_just_made_the_id_is_enough(record: str | None) -> None:
    """The answer is documented as XML, without the text of JSON answers (§6)."""
    assert wire.created_bib(bib_with(record)) == BibSight(MmsId("991"))


def test_a_record_that_is_no_marc_has_no_numbers() -> None:
    """Dublin Core is recorded (bibs/helper2424__bib-with-availability.json); ours are MARC."""
    assert wire.bib(bib_with("<record><title>A</title></record>")) == BibSight(MmsId("991"))


# --- dates that cannot be read ------------------------------------------------------

ODD_DATES = [
    "2026-12-20 23:59:59 Europe/Berlin",
    "2026-12-20T23:59:59+00:00Z",
    "20.12.2026",
    "next spring",
]


@pytest.mark.parametrize("odd", ODD_DATES)
def test_a_date_that_cannot_be_read_is_kept_as_alma_says_it(odd: str) -> None:
    loan = wire.loan({**LOAN, "loan_date": odd, "due_date": odd, "return_date": odd})
    assert (loan.began_at, loan.due_at, loan.returned_at) == (None, None, None)
    assert (loan.raw_began_at, loan.raw_due_at, loan.raw_returned_at) == (odd, odd, odd)
    user = wire.user({"primary_id": "u", "expiry_date": odd})
    assert (user.expires_on, user.raw_expires_on) == (None, odd)


@pytest.mark.parametrize("nothing", [None, "", " ", {}, {"value": None}], ids=repr)
def test_no_date_is_another_thing(nothing: Any) -> None:
    loan = wire.loan({**LOAN, "loan_date": nothing, "due_date": nothing, "return_date": nothing})
    assert (loan.raw_began_at, loan.raw_due_at, loan.raw_returned_at) == (None, None, None)
    assert wire.user({"primary_id": "u", "expiry_date": nothing}).raw_expires_on is None


@pytest.mark.parametrize(
    ("time", "day", "placed_at", "raw"),
    [
        ("2026-11-01T10:00:00Z", "odd", datetime(2026, 11, 1, 10, tzinfo=UTC), None),
        ("odd", "2026-11-01Z", datetime(2026, 10, 31, tzinfo=UTC), None),
        ("odd", "odder", None, "odd"),
        ("odd", None, None, "odd"),
        (None, "odder", None, "odder"),
        (None, None, None, None),
    ],
)
def test_a_request_has_two_dates_and_one_is_enough(
    time: str | None, day: str | None, placed_at: datetime | None, raw: str | None
) -> None:
    """The day before a date is a bound that holds, whatever the time beside it says."""
    request = wire.request({**REQUEST, "request_time": time, "request_date": day})
    assert (request.placed_at, request.raw_placed_at) == (placed_at, raw)


def test_a_long_text_is_cut_before_people_are_shown_it() -> None:
    raw = wire.loan({**LOAN, "due_date": "x" * 500}).raw_due_at
    assert raw == "x" * 60


# --- users without an id ------------------------------------------------------------

NOBODY = "no primary id (123456789023)"


def test_no_primary_id_is_no_id() -> None:
    """Alma writes this text where a contact without identifiers is named."""
    assert wire.loan({**LOAN, "user_id": NOBODY}).user_id is None
    assert wire.request({**REQUEST, "user_primary_id": NOBODY.upper()}).user_id is None
    with pytest.raises(AlmaFailure, match="without primary_id"):
        wire.user({"primary_id": NOBODY})
    assert wire.loan({**LOAN, "user_id": "nobody"}).user_id == "nobody"
