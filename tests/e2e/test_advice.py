"""Advice that a reader should not renew: for whom, where it is written, and when it cannot be.

It may never stop a lend: what cannot be done is shown, tried again, and the book comes home.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.model import Intent
from reconciler.core.status import DcbStatus, EffectKind
from tests.support.lab import Book, Lab
from tests.support.lab import lab as make_lab

S = DcbStatus
NO_RENEWALS = "READING"


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """As the folder's, with a policy that forbids renewals."""
    async with make_lab(tmp_path, patience="1s", no_renew_item_policy=NO_RENEWALS) as made:
        yield made


async def lent(at: Lab) -> Book:
    book = at.wanted()
    await at.submit(book)
    await at.rest(book)
    for act in (
        lambda: at.lender.scan_in(book.barcode, "MAIN"),
        lambda: at.borrower.scan_in(book.barcode, "MAIN"),
        lambda: at.borrower.loan(book.barcode, book.reader, "MAIN"),
    ):
        act()
        now = await at.rest(book)
    assert now.status is S.LOANED
    return book


async def home(at: Lab, book: Book) -> DcbStatus:
    at.borrower.return_item(book.barcode, "MAIN")
    await at.rest(book)
    at.lender.scan_in(book.barcode, "MAIN")
    return (await at.rest(book)).status


def somebody_waits(at: Lab, book: Book) -> None:
    at.lender.place_hold("local-1", book.barcode, "MAIN")


def effect(at: Lab, book: Book, kind: EffectKind) -> Intent:
    return [each for each in at.app.store.intents(at.stored(book).id) if each.kind is kind][-1]


def item_writes(at: Lab) -> list[tuple[str, str]]:
    calls = at.sandbox.calls.matching("PUT", "/items/")
    return [(call.institution, call.path.rsplit("/", 1)[1]) for call in calls]


async def test_our_own_hold_warns_nobody(lab: Lab) -> None:
    """Also where Alma keeps it open until the return, so that the item looks asked for."""
    lab.lender.dialect.update(loan_closes_request="at_return")
    book = await lent(lab)
    for _ in range(3):
        lab.clock.advance(timedelta(days=1))
        await lab.look(book)
    assert item_writes(lab) == []


async def test_who_waits_is_told_at_the_readers_desk_once(lab: Lab) -> None:
    book = await lent(lab)
    pid = lab.stored(book).borrower.item_pid  # type: ignore[union-attr]
    somebody_waits(lab, book)
    for _ in range(3):
        lab.clock.advance(timedelta(days=1))
        await lab.look(book)
    (virtual,) = lab.borrower.items.find("barcode", book.barcode)
    assert "do not renew" in virtual.texts["fulfillment_note"]
    assert virtual.policy == NO_RENEWALS
    assert item_writes(lab) == [("uni-b", pid)]
    assert any("HandleSupplierHoldDetected" in str(row) for row in _rows(lab, book))
    assert await home(lab, book) is S.FINALISED


def _rows(at: Lab, book: Book) -> list[Any]:
    return at.app.store.history(at.stored(book).id)


NOT_DONE: dict[str, dict[str, Any]] = {
    "no such endpoint": {"kind": "status", "status": 404},
    "not implemented": {"kind": "status", "status": 501},
    "an unknown code": {"kind": "error", "code": "40166499"},
    "said to be done, not done": {
        "kind": "status",
        "status": 200,
        "body": '{"item_data":{"base_status":{"value":"0"}}}',
        "content_type": "application/json",
    },
}


@pytest.mark.parametrize("answer", NOT_DONE)
async def test_advice_that_alma_does_not_take_is_shown_and_stops_nothing(
    lab: Lab, answer: str
) -> None:
    book = await lent(lab)
    lab.sandbox.faults.add(
        institution="uni-b", method="PUT", path="/items/", times=None, **NOT_DONE[answer]
    )
    somebody_waits(lab, book)
    for _ in range(4):
        lab.clock.advance(timedelta(hours=6))
        now = await lab.look(book)
    assert (now.status, now.parked) == (S.LOANED, None)
    shown = effect(lab, book, EffectKind.NO_RENEWAL)
    assert shown.is_open
    assert shown.last_error
    assert "ensure_no_renewal" in json.dumps(lab.app.desk.explain(now.id)["pending_effects"])
    assert await home(lab, book) is S.FINALISED


async def test_an_item_that_is_not_ours_is_not_written_on(lab: Lab) -> None:
    book = await lent(lab)
    (virtual,) = lab.borrower.items.find("barcode", book.barcode)
    texts = {name: text for name, text in virtual.texts.items() if "[DCB" not in str(text)}
    lab.borrower.change(virtual, texts=texts)
    somebody_waits(lab, book)
    lab.clock.advance(timedelta(days=1))
    await lab.look(book)
    assert item_writes(lab) == []
    assert any("not ours to change" in row for row in lab.history(book))
