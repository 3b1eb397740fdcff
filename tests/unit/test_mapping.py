"""Alma's words to ours: workflow.md §2, word by word, and what is not a word of the contract."""

from __future__ import annotations

import pytest

from reconciler.core.mapping import (
    ITEM_BY_PROCESS,
    LOAN_BY_STATUS,
    NOT_FOUND_CODES,
    REQUEST_BY_STATUS,
    Subject,
    item_state,
    loan_state,
    request_state,
)
from reconciler.core.status import ItemState, LoanState, RequestState

PROCESSES = {
    "LOAN": ItemState.LOANED,
    "TRANSIT": ItemState.TRANSIT,
    "HOLDSHELF": ItemState.ON_HOLD_SHELF,
    "REQUESTED": ItemState.REQUESTED,
    "MISSING": ItemState.LOST,
    "LOST_LOAN": ItemState.LOST,
    "LOST_LOAN_AND_PAID": ItemState.LOST,
    "LOST_ILL": ItemState.LOST,
    "CLAIM_RETURNED_LOAN": ItemState.CLAIMED_RETURNED,
    "ACQ": ItemState.UNAVAILABLE,
    "TECHNICAL": ItemState.UNAVAILABLE,
    "WORK_ORDER_DEPARTMENT": ItemState.UNAVAILABLE,
    "ILL": ItemState.UNAVAILABLE,
    "TRANSIT_TO_REMOTE_STORAGE": ItemState.UNAVAILABLE,
}


@pytest.mark.parametrize(("process", "expected"), PROCESSES.items())
@pytest.mark.parametrize("base", ["0", "1", None])
def test_the_process_decides_whatever_the_base_status(
    process: str, expected: ItemState, base: str | None
) -> None:
    state, raw = item_state(base, process)
    assert state is expected
    assert raw == f"{base or ''}/{process}"


def test_no_process_of_the_contract_is_left_out() -> None:
    assert set(ITEM_BY_PROCESS) == set(PROCESSES)


@pytest.mark.parametrize("blank", [None, "", " ", "\n"])
@pytest.mark.parametrize(
    ("base", "expected"), [("1", ItemState.IN_PLACE), ("0", ItemState.UNAVAILABLE)]
)
def test_a_blank_process_is_none(blank: str | None, base: str, expected: ItemState) -> None:
    assert item_state(base, blank) == (expected, f"{base}/")


@pytest.mark.parametrize(("base", "process"), [("2", None), ("1", "SHIPPED"), (None, "Ausleihe")])
def test_any_other_word_stays_unknown_and_keeps_its_raw_form(
    base: str | None, process: str | None
) -> None:
    state, raw = item_state(base, process)
    assert state is ItemState.UNKNOWN
    assert (process or base or "").upper() in raw


@pytest.mark.parametrize(
    ("word", "expected"),
    [
        ("NOT_STARTED", RequestState.PLACED),
        ("Not Started", RequestState.PLACED),
        ("IN_PROCESS", RequestState.ACTIVE),
        ("In Process", RequestState.ACTIVE),
        (" in  process ", RequestState.ACTIVE),
        ("ON_HOLD_SHELF", RequestState.ON_HOLD_SHELF),
        ("On Hold Shelf", RequestState.ON_HOLD_SHELF),
        ("HISTORY", RequestState.CLOSED),
        ("History", RequestState.CLOSED),
        ("REJECTED", RequestState.UNKNOWN),
        ("SHIPPED_PHYSICALLY", RequestState.UNKNOWN),
    ],
)
def test_request_words_as_codes_and_as_labels(word: str, expected: RequestState) -> None:
    state, raw = request_state(word)
    assert state is expected
    assert raw == word.strip()


@pytest.mark.parametrize(
    ("status", "process", "expected", "raw"),
    [
        ("ACTIVE", "NORMAL", LoanState.ACTIVE, "ACTIVE/NORMAL"),
        ("Active", None, LoanState.ACTIVE, "ACTIVE"),
        ("ACTIVE", "CLAIMED_RETURN", LoanState.ACTIVE, "ACTIVE/CLAIMED_RETURN"),
        ("ACTIVE", "LOST", LoanState.ACTIVE, "ACTIVE/LOST"),
        ("COMPLETE", "RENEW", LoanState.COMPLETE, "COMPLETE/RENEW"),
        ("PENDING", None, LoanState.UNKNOWN, "PENDING"),
    ],
)
def test_loan_words(status: str, process: str | None, expected: LoanState, raw: str) -> None:
    assert loan_state(status, process) == (expected, raw)


def test_the_tables_map_to_words_that_alma_can_have() -> None:
    told_only = {ItemState.RECEIVED, ItemState.ABSENT, ItemState.UNKNOWN, ItemState.IN_PLACE}
    assert set(ITEM_BY_PROCESS.values()) == set(ItemState) - told_only
    assert set(REQUEST_BY_STATUS.values()) == set(RequestState) - {
        RequestState.CANCELLED,
        RequestState.UNKNOWN,
    }
    assert set(LOAN_BY_STATUS.values()) == {LoanState.ACTIVE, LoanState.COMPLETE}


def test_every_subject_has_its_not_found_codes_and_no_catch_all_is_among_them() -> None:
    assert set(NOT_FOUND_CODES) == set(Subject)
    everything = frozenset().union(*NOT_FOUND_CODES.values())
    catch_all = {"401652", "60101", "402119", "GENERAL_ERROR", "UNAUTHORIZED"}
    assert not everything & catch_all
    assert "NOT_FOUND" not in everything, "said of an address that is none"
    assert NOT_FOUND_CODES[Subject.USER] == {"401861", "401890"}
