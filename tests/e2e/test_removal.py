"""What was made is removed only while it is ours, wherever cataloguers have moved it meanwhile."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.core.model import Transaction
from reconciler.core.staff.parking import ParkReason
from reconciler.core.status import DcbStatus, Outcome, ThingKind, ThingState
from reconciler.sandbox.records import Bib
from tests.support.lab import Book, Lab

S = DcbStatus


async def lent(at: Lab) -> Book:
    book = at.wanted()
    await at.submit(book)
    await at.rest(book)
    at.lender.scan_in(book.barcode, "MAIN")
    await at.rest(book)
    at.borrower.scan_in(book.barcode, "MAIN")
    await at.rest(book)
    at.borrower.loan(book.barcode, book.reader, "MAIN")
    assert (await at.rest(book)).status is S.LOANED
    return book


async def brought_home(at: Lab, book: Book) -> Transaction:
    at.borrower.return_item(book.barcode, "MAIN")
    await at.rest(book)
    at.lender.scan_in(book.barcode, "MAIN")
    return await at.rest(book)


def virtual(at: Lab, book: Book) -> tuple[str, str, str]:
    """The ids of what was made at the borrower: bib, holding, item."""
    of = {each.kind: each for each in at.stored(book).things if each.role == "borrower"}
    item = of[ThingKind.ITEM]
    return str(of[ThingKind.BIB].mms_id), str(of[ThingKind.HOLDING].holding_id), str(item.item_pid)


def own_record(at: Lab, **more: Any) -> Bib:
    """A record of the borrower's own, with a copy of its own."""
    bib = at.borrower.add_bib("The same title", **more)
    holding = at.borrower.add_holding(bib.mms_id, "MAIN", "STACKS")
    at.borrower.add_item(holding.holding_id, "OWN-COPY")
    return bib


def deleted(at: Lab) -> list[str]:
    return [call.path for call in at.sandbox.calls if call.method == "DELETE"]


def bib_row(at: Lab, book: Book) -> ThingState:
    (state,) = [each.state for each in at.stored(book).things if each.kind is ThingKind.BIB]
    return state


def parked_at_the_end(at: Lab, book: Book, says: str) -> None:
    now = at.stored(book)
    assert now.status is S.COMPLETED, at.history(book)
    assert now.parked is not None, at.history(book)
    assert now.parked.reason == ParkReason.NOT_OURS_ANY_MORE
    assert says in now.parked.detail


@pytest.mark.parametrize("numbers", [(), ("(OCoLC)1",)], ids=["no number", "a number of its own"])
@pytest.mark.parametrize("old_id", ["gone", "survivor"])
@pytest.mark.parametrize("path", ["tolerant", "strict"])
async def test_after_a_merge_ours_is_removed_and_the_librarys_own_record_is_left_alone(
    lab: Lab, path: str, old_id: str, numbers: tuple[str, ...]
) -> None:
    lab.borrower.dialect.update(item_path=path, merged_bib=old_id)
    book = await lent(lab)
    mms_id, holding_id, pid = virtual(lab, book)
    own = own_record(lab, numbers=numbers)
    lab.borrower.merge_bib(mms_id, own.mms_id)
    now = await brought_home(lab, book)
    assert (now.status, now.outcome) == (S.FINALISED, Outcome.SUPPLIED), lab.history(book)
    assert lab.borrower.items.get(pid) is None
    assert lab.borrower.holdings.get(holding_id) is None
    assert lab.borrower.bibs.get(own.mms_id) is not None
    assert len(lab.borrower.items.find("barcode", "OWN-COPY")) == 1
    assert not [path for path in deleted(lab) if path.endswith((mms_id, own.mms_id))]
    told = f"bib {mms_id} was merged into {own.mms_id}, which is left as it is"
    assert any(told in row for row in lab.history(book)), lab.history(book)
    assert bib_row(lab, book) is ThingState.HANDED_OVER


async def test_a_holding_that_the_library_uses_by_now_is_left_to_a_person(lab: Lab) -> None:
    book = await lent(lab)
    mms_id, holding_id, _pid = virtual(lab, book)
    own = own_record(lab)
    lab.borrower.merge_bib(mms_id, own.mms_id)
    lab.borrower.add_item(holding_id, "ANOTHER-COPY")
    await brought_home(lab, book)
    parked_at_the_end(lab, book, "the holding has items that are not ours")
    assert lab.borrower.holdings.get(holding_id) is not None
    assert len(lab.borrower.items.find("barcode", "ANOTHER-COPY")) == 1
    assert lab.borrower.items.find("barcode", book.barcode) == []


async def test_a_bib_that_readers_can_see_is_no_virtual_one(lab: Lab) -> None:
    book = await lent(lab)
    mms_id, _holding_id, _pid = virtual(lab, book)
    bib = lab.borrower.bibs.get(mms_id)
    assert bib is not None
    lab.borrower.change(bib, suppressed=False)
    await brought_home(lab, book)
    parked_at_the_end(lab, book, "readers may see it")
    assert lab.borrower.bibs.get(mms_id) is not None
    assert not [path for path in deleted(lab) if path.endswith(mms_id)]


async def test_a_bib_with_a_holding_of_the_librarys_own_is_left_to_a_person(lab: Lab) -> None:
    """Merged the other way round: the library's copy hangs on our record."""
    book = await lent(lab)
    mms_id, _holding_id, _pid = virtual(lab, book)
    own = lab.borrower.add_holding(mms_id, "MAIN", "STACKS")
    await brought_home(lab, book)
    parked_at_the_end(lab, book, "has a holding that is not ours")
    assert lab.borrower.holdings.get(own.holding_id) is not None
    assert not [path for path in deleted(lab) if path.endswith(mms_id)]


async def test_an_item_whose_barcode_another_item_has_is_not_called_gone(lab: Lab) -> None:
    lab.borrower.dialect.update(item_path="strict")
    book = await lent(lab)
    mms_id, _holding_id, pid = virtual(lab, book)
    own = own_record(lab)
    lab.borrower.merge_bib(mms_id, own.mms_id)
    lab.borrower.return_item(book.barcode, "MAIN")
    await lab.rest(book)
    item = lab.borrower.items.get(pid)
    assert item is not None
    (copy,) = lab.borrower.items.find("barcode", "OWN-COPY")
    lab.borrower.change(item, barcode="RELABELLED")
    lab.borrower.change(copy, barcode=book.barcode)
    lab.lender.scan_in(book.barcode, "MAIN")
    await lab.rest(book)
    parked_at_the_end(lab, book, "its barcode is another item's")
    assert lab.borrower.items.get(pid) is not None
    assert deleted(lab) == []
