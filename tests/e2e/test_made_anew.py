"""Our own virtual item, deleted by a cataloguer before the book was sent: `retry` makes it anew."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.core.commands.command import Command, Order
from reconciler.core.model import Transaction
from reconciler.core.staff.parking import ParkReason
from reconciler.core.status import DcbStatus, Outcome, ThingKind
from reconciler.ports.written import Intervention
from tests.support.lab import Book, Lab

S = DcbStatus
ROLES = {"uni-b": "borrower", "uni-c": "pickup"}


async def placed(at: Lab, pickup: str = "uni-b") -> Book:
    book = at.wanted(pickup=pickup)
    await at.submit(book)
    await at.rest(book)
    return book


def withdrawn(at: Lab, book: Book, code: str) -> None:
    """The item alone; holding and bib stay."""
    at.sandbox[code].withdraw_item(book.barcode)


def deleted(at: Lab, book: Book, code: str) -> None:
    """With its holding and bib."""
    at.sandbox[code].delete_item(book.barcode)


def merged(at: Lab, book: Book, code: str) -> None:
    """Into a record of the library's own, and then withdrawn there."""
    here = at.sandbox[code]
    own = here.add_bib("The same title")
    here.add_item(here.add_holding(own.mms_id, "MAIN", "STACKS").holding_id, "OWN-COPY")
    here.merge_bib(str(getattr(at.stored(book), ROLES[code]).mms_id), own.mms_id)
    here.withdraw_item(book.barcode)


async def parked(at: Lab, book: Book) -> Transaction:
    for _ in range(3):
        at.clock.advance(timedelta(minutes=2))
        now = await at.look(book)
    assert now.parked is not None, at.history(book)
    if now.parked.reason == ParkReason.ITEM_ABSENT:
        known = replace(now.parked, reason=ParkReason.VIRTUAL_ITEM_ABSENT)
        assert at.app.store.intervene(
            Intervention(now, replace(now, parked=known), ()), at.clock.now()
        )
    return at.stored(book)


async def retry(at: Lab, book: Book) -> str:
    order = Order(Command.RETRY, "cli:ada", "because", at.clock.now())
    (done,) = (await at.app.hands.carry_out(order, [at.stored(book).id])).done
    return done.told


async def to_its_end(at: Lab, book: Book, code: str) -> Transaction:
    here, leg = at.sandbox[code], getattr(at.stored(book), ROLES[code])
    for act in (
        lambda: at.lender.scan_in(book.barcode, "MAIN"),
        lambda: here.scan_in(book.barcode, "MAIN"),
        lambda: here.loan(book.barcode, str(leg.user_id), "MAIN"),
        lambda: here.return_item(book.barcode, "MAIN"),
        lambda: at.lender.scan_in(book.barcode, "MAIN"),
    ):
        act()
        await at.rest(book)
    return at.stored(book)


@pytest.mark.parametrize("gone", [withdrawn, deleted, merged], ids=lambda each: each.__name__)
@pytest.mark.parametrize("code", ["uni-b", "uni-c"])
async def test_a_retry_before_the_book_is_sent_makes_the_record_anew(
    lab: Lab, gone: Callable[[Lab, Book, str], None], code: str
) -> None:
    book = await placed(lab, code)
    before = lab.stored(book)
    gone(lab, book, code)
    now = await parked(lab, book)
    told = lab.app.desk.explain(now.id)["staff"]
    assert "somebody deleted it" in told
    assert "shelf" not in told
    assert await retry(lab, book) == "not parked any more, effects asked for anew: 4"
    told = lab.app.desk.explain(now.id)["staff"]
    assert "the book stays at the lender" in told
    assert "send it" not in told
    now = await lab.rest(book)
    assert (now.status, now.parked) == (before.status, None), lab.history(book)
    leg, old = getattr(now, ROLES[code]), getattr(before, ROLES[code])
    assert leg.item_pid not in (None, old.item_pid)
    assert leg.request_id not in (None, old.request_id)
    counts = lab.counts(book)
    assert [counts[f"{ROLES[code]} {kind}"] for kind in ("items", "holds")] == [1, 1]
    ended = await to_its_end(lab, book, code)
    assert (ended.status, ended.outcome) == (S.FINALISED, Outcome.SUPPLIED), lab.history(book)
    left = {kind: n for kind, n in lab.counts(book).items() if n and not kind.endswith("bibs")}
    assert left == {}
    if gone is merged:
        (copy,) = lab.sandbox[code].items.find("barcode", "OWN-COPY")
        assert lab.sandbox[code].bibs.get(copy.mms_id) is not None
        assert lab.sandbox[code].holdings.get(copy.holding_id) is not None


async def test_what_is_made_anew_is_made_although_the_book_is_sent_meanwhile(lab: Lab) -> None:
    """Else it would arrive where nobody can hand it out, and nothing would ever be seen of it."""
    book = await placed(lab)
    deleted(lab, book, "uni-b")
    await parked(lab, book)
    await retry(lab, book)
    lab.sandbox.faults.add("per_second", institution="uni-b", method="POST", times=None)
    await lab.look(book)
    lab.lender.scan_in(book.barcode, "MAIN")
    now = await lab.rest(book, longest=timedelta(minutes=10))
    assert now.status is S.PICKUP_TRANSIT
    lab.sandbox.faults.clear()
    now = await lab.rest(book)
    assert now.borrower is not None
    assert now.borrower.request_id is not None, lab.history(book)
    (item,) = lab.borrower.items.find("barcode", book.barcode)
    assert item.process == "TRANSIT"
    lab.borrower.scan_in(book.barcode, "MAIN")
    assert (await lab.rest(book)).status is S.READY_FOR_PICKUP
    assert lab.app.store.placing(now.id) is None, "and the reader's data are forgotten"


async def test_a_record_that_is_not_ours_is_not_made_anew(lab: Lab) -> None:
    book = await placed(lab)
    now = lab.stored(book)
    things = tuple(replace(each, owned=False) for each in now.things if each.kind is ThingKind.ITEM)
    assert lab.app.store.intervene(Intervention(now, now, (), things=things), lab.clock.now())
    deleted(lab, book, "uni-b")
    await parked(lab, book)
    assert await retry(lab, book) == "not parked any more"
    await lab.rest(book)
    assert lab.borrower.items.find("barcode", book.barcode) == []
