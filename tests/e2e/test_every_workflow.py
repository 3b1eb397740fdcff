"""Whole lends with an Alma in every role: placed, lent, home, nothing left.

Beside the path it is watched what was written: never to the lender's catalogue, always in the
order that Alma allows, and not one call that Alma had to refuse.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import pytest

from reconciler.core.status import DcbStatus, EffectKind
from reconciler.sandbox import Institution
from tests.support.lab import Book, Lab

S = DcbStatus
Act = Callable[[Lab, Book], object]


def _send(at: Lab, book: Book) -> None:
    at.lender.scan_in(book.barcode, "MAIN")


def _lend_at(code: str) -> Act:
    def act(at: Lab, book: Book) -> None:
        here = at.sandbox[code]
        role = {"uni-a": "supplier", "uni-b": "borrower", "uni-c": "pickup"}[code]
        leg = getattr(at.stored(book), role)
        here.loan(book.barcode, leg.user_id, "MAIN")

    return act


def _shelve_at(code: str) -> Act:
    return lambda at, book: at.sandbox[code].scan_in(book.barcode, "MAIN")


def _return_at(code: str) -> Act:
    return lambda at, book: at.sandbox[code].return_item(book.barcode, "MAIN")


@dataclass(frozen=True)
class Journey:
    pickup: str
    placed: DcbStatus
    steps: tuple[tuple[Act, DcbStatus], ...]


def _with_transport(pickup: str, placed: DcbStatus) -> Journey:
    return Journey(
        pickup,
        placed,
        (
            (_send, S.PICKUP_TRANSIT),
            (_shelve_at(pickup), S.READY_FOR_PICKUP),
            (_lend_at(pickup), S.LOANED),
            (_return_at(pickup), S.RETURN_TRANSIT),
            (_send, S.FINALISED),
        ),
    )


JOURNEYS = {
    "RET-STD": _with_transport("uni-b", S.REQUEST_PLACED_AT_BORROWING_AGENCY),
    "RET-PUA": _with_transport("uni-c", S.REQUEST_PLACED_AT_PICKUP_AGENCY),
    "RET-EXP": Journey(
        "uni-a",
        S.REQUEST_PLACED_AT_BORROWING_AGENCY,
        (
            (_shelve_at("uni-a"), S.REQUEST_PLACED_AT_BORROWING_AGENCY),
            (_lend_at("uni-a"), S.LOANED),
            (_return_at("uni-a"), S.FINALISED),
        ),
    ),
}


def open_loans(of: Institution) -> list[str]:
    return [loan.item_pid for loan in of.loans.rows() if loan.active]


def everywhere(at: Lab) -> Iterator[Institution]:
    yield from (at.lender, at.borrower, at.third)


@pytest.mark.parametrize("workflow", JOURNEYS)
async def test_a_whole_lend_with_an_alma_in_every_role(lab: Lab, workflow: str) -> None:
    journey = JOURNEYS[workflow]
    book = lab.wanted(pickup=journey.pickup)
    await lab.submit(book)
    placed = await lab.rest(book)
    assert (placed.workflow, placed.status) == (workflow, journey.placed), lab.history(book)
    for leg in placed.legs:
        assert leg.request_id, f"no hold at the {leg.role}"
    for act, status in journey.steps:
        act(lab, book)
        assert (await lab.rest(book)).status is status, lab.history(book)
    assert lab.counts(book) == {}
    assert [loan for each in everywhere(lab) for loan in open_loans(each)] == []
    assert lab.lender_loans(book) == 1
    assert lab.virtual_patrons(book) == 1
    _watch_what_was_written(lab)


def _watch_what_was_written(at: Lab) -> None:
    writes = [call for call in at.sandbox.calls if call.method != "GET"]
    assert [call.row() for call in writes if call.status not in (200, 204)] == []
    assert [
        call.row() for call in writes if "/bibs" in call.path and call.institution == "uni-a"
    ] == []
    for code in ("uni-b", "uni-c"):
        removed = [
            call.path for call in writes if call.institution == code and call.method == "DELETE"
        ]
        assert removed == sorted(removed, key=_level)


def _level(path: str) -> int:
    """Holds, then items, holdings, bibs."""
    order = ("/requests/", "/items/", "/holdings/", "/bibs/")
    return next(n for n, part in enumerate(order) if part in path)


@pytest.mark.parametrize("is_back", [False, True], ids=["still lent", "brought back"])
async def test_a_hold_whose_answer_was_lost_is_not_made_again_once_the_book_was_lent_by_it(
    lab: Lab, is_back: bool
) -> None:
    """Made anew it would catch the book for a reader who has had it, and lend it to him twice."""
    book = lab.wanted(pickup="uni-a")
    await lab.submit(book)
    lab.sandbox.faults.add("truncated", institution="uni-a", method="POST", path="/requests")
    await lab.look(book)
    (hold,) = [each for each in lab.stored(book).intents if each.may_have_happened]
    assert hold.kind is EffectKind.SUPPLIER_HOLD
    _shelve_at("uni-a")(lab, book)
    _lend_at("uni-a")(lab, book)
    if is_back:
        _return_at("uni-a")(lab, book)
    await lab.rest(book)
    holds = lab.sandbox.calls.matching("POST", "/requests", "uni-a")
    assert len(holds) == 1, lab.history(book)
    parked = lab.stored(book).parked
    assert parked is not None, lab.history(book)
    assert parked.reason == "ambiguous_twice"
    assert "was lent to this user since" in parked.detail
