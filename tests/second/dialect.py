"""Where the contract (alma-api.md) leaves a choice or marks a doubt: one switch for each."""

from __future__ import annotations

from dataclasses import dataclass, fields
from random import Random
from typing import Literal, get_args, get_type_hints

Blank = Literal["nulls", "empty_value", "empty_object", "absent", "null", "desc_only"]
Shape = Literal["list", "no_result", "object", "wrapped", "wrapped_object", "xml", "several"]
Dates = Literal["millis", "seconds", "offset", "micros"]
OddDates = Literal["none", "zone_name", "two_offsets"]
Closed = Literal["HISTORY", "401694", "401697", "401907", "401652"]


@dataclass(frozen=True, slots=True)
class Dialect:
    """One way to speak the contract. The defaults are the less obvious choices.

    What is a Literal or a bool is drawn; seconds and counts are drawn from `COUNTS`.
    """

    # words and shapes (§1.3, fixtures 1-5, 16, 22-28)
    blank: Blank = "empty_object"
    drop_nulls: bool = True
    labels: bool = True
    loan_labels: bool = True
    quoted_numbers: bool = True
    quoted_flags: bool = True
    numeric_ids: bool = False
    shuffled: bool = True
    dates: Dates = "offset"
    odd_due_dates: OddDates = "none"
    """Due dates that nobody can read with certainty; the contract has none such."""
    odd_loan_dates: OddDates = "none"
    empty_list: Literal["absent", "empty", "null"] = "absent"
    total: Literal["number", "text", "blank"] = "text"
    # errors (§1.2)
    error_shape: Shape = "wrapped_object"
    error_status: Literal["400", "404", "200"] = "400"
    error_type: Literal["json", "text"] = "text"
    closed_by_id: Closed = "401697"
    filled_by_id: Closed = "HISTORY"
    cancel_again: Literal["401694", "401697", "204"] = "401694"
    missing_item: Literal["401683", "402203", "40166411", "401689", "401652"] = "401683"
    missing_holding: Literal["60213", "402203", "60214"] = "60213"
    missing_user: Literal["401861", "401890"] = "401890"
    no_bibs: Literal["empty", "402203"] = "402203"
    barcode_clash: Literal["401652", "401873", "40166404"] = "401652"
    same_loan: Literal["400042", "401651"] = "400042"
    # the wire (§1.1)
    gzip: bool = True
    chunked: bool = True
    keep_alive: bool = False
    byte_order_mark: bool = False
    tells_remaining: bool = False
    retry_after: bool = True
    redirect: Literal["with_key", "plain", "relative", "direct"] = "with_key"
    bib_reply: Literal["xml", "json"] = "xml"
    deleted: Literal["204", "200_empty", "200_json"] = "200_json"
    page_cap: int = 2
    lag: int = 20
    by_id_lag: int = 0
    availability_lag: int = 6
    # behaviour (§3.3, §1.6, §5)
    primary_id: Literal["given", "upper", "lower"] = "upper"
    first_status: Literal["IN_PROCESS", "NOT_STARTED"] = "NOT_STARTED"
    requested: Literal["true", "null", "absent"] = "null"
    requested_process: bool = True
    two_step_shelf: bool = False
    off_the_shelf: Literal["in_place", "transit"] = "transit"
    reshelving: bool = True
    missing_ends_holds: bool = True
    anonymise: Literal["never", "blank", "drop"] = "drop"
    anonymise_days: int = 1
    loaned_items_locked: bool = True
    loans_name_items: bool = True


COUNTS = {
    "page_cap": (100, 2, 1),
    "lag": (0, 0, 5, 20),
    "by_id_lag": (0, 0, 0, 15),
    "availability_lag": (0, 0, 6),
    "anonymise_days": (1, 7),
}

NEVER = {"odd_due_dates", "odd_loan_dates"}
"""Outside of the contract: only where a test asks for it."""

SELDOM = {"numeric_ids", "byte_order_mark", "requested_process"}
"""Choices that only one old sample or one client's comment speaks of."""


def draw(seed: int) -> Dialect:
    """The same seed gives the same dialect."""
    rng = Random(seed)
    hints = get_type_hints(Dialect)
    drawn: dict[str, object] = {}
    for field in fields(Dialect):
        if field.name in NEVER:
            continue
        if field.name in COUNTS:
            drawn[field.name] = rng.choice(COUNTS[field.name])
        elif hints[field.name] is bool:
            drawn[field.name] = rng.random() < (0.1 if field.name in SELDOM else 0.5)
        else:
            drawn[field.name] = rng.choice(get_args(hints[field.name]))
    return Dialect(**drawn)  # type: ignore[arg-type]


PLAIN = Dialect(
    blank="nulls",
    drop_nulls=False,
    labels=False,
    loan_labels=False,
    quoted_numbers=False,
    quoted_flags=False,
    shuffled=False,
    dates="millis",
    total="number",
    error_shape="list",
    error_type="json",
    closed_by_id="HISTORY",
    missing_user="401861",
    gzip=False,
    chunked=False,
    keep_alive=True,
    tells_remaining=True,
    retry_after=False,
    redirect="plain",
    page_cap=100,
    lag=0,
    availability_lag=0,
    primary_id="given",
    first_status="IN_PROCESS",
    requested="true",
    requested_process=False,
    deleted="204",
    no_bibs="empty",
    off_the_shelf="in_place",
    reshelving=False,
    anonymise="never",
    loaned_items_locked=False,
)
"""What most recordings look like."""
