"""A lender's hold is never ended unseen: in the same step it is seen whether the book has left."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from reconciler.core.model import HostLmsCode, Intent
from reconciler.core.status import (
    DcbStatus,
    EffectKind,
    IntentState,
    Role,
    ThingKind,
    ThingState,
    Workflow,
)
from reconciler.engine.effects.holds import EnsureHoldCancelled
from reconciler.engine.effects.work import Blocked, Missing, Sight, Work
from reconciler.engine.others import OtherLends
from tests.support.lab import Book, Lab

S = DcbStatus
UNI_A = HostLmsCode("uni-a")


async def placed(at: Lab) -> Book:
    book = at.wanted()
    await at.submit(book)
    assert (await at.rest(book)).status is S.REQUEST_PLACED_AT_BORROWING_AGENCY
    return book


async def seen(
    at: Lab,
    book: Book,
    status: DcbStatus = S.CANCELLED,
    dispatched_at: datetime | None = None,
    workflow: Workflow = Workflow.STANDARD,
) -> Sight:
    """What the verb sees for a lend that stands like this, before it ends anything."""
    now = at.stored(book)
    (hold,) = [
        each for each in now.things if each.kind is ThingKind.HOLD and each.role == "supplier"
    ]
    intent = Intent(
        "i", EffectKind.HOLD_CANCELLED, Role.SUPPLIER, UNI_A, IntentState.PLANNED, 1, hold.id
    )
    now = replace(now, status=status, dispatched_at=dispatched_at, workflow=workflow)
    alma, config = at.app.libraries.writer(UNI_A), at.app.configs[UNI_A]
    others = OtherLends(at.app.store, at.app.storage)
    work = Work(now, intent, alma, config, None, at.clock.now(), lambda: "new", others)
    return await EnsureHoldCancelled().look(work)


@pytest.mark.parametrize(
    ("status", "was_away", "workflow", "ends"),
    [
        (S.CANCELLED, False, Workflow.STANDARD, False),
        (S.CANCELLED, False, Workflow.PICKUP_ANYWHERE, False),
        (S.NOT_SUPPLIED_CURRENT_SUPPLIER, False, Workflow.STANDARD, False),
        (S.AWAITING_RETURN_TO_SUPPLIER, True, Workflow.STANDARD, True),
        (S.RETURN_TRANSIT, True, Workflow.STANDARD, True),
        (S.COMPLETED, True, Workflow.STANDARD, True),
        (S.CANCELLED, False, Workflow.EXPEDITED, True),
    ],
)
async def test_a_book_in_transit_for_our_hold_has_left_and_a_lend_that_knows_it_ends_the_hold(
    lab: Lab, status: DcbStatus, was_away: bool, workflow: Workflow, ends: bool
) -> None:
    book = await placed(lab)
    lab.lender.scan_in(book.barcode, "MAIN")
    sight = await seen(lab, book, status, lab.clock.now() if was_away else None, workflow)
    assert isinstance(sight, Missing if ends else Blocked)
    if isinstance(sight, Blocked):
        assert (sight.code, sight.park, sight.soon) == ("book_has_left", None, True)


async def test_a_book_that_moves_for_somebody_else_has_not_left_for_us(lab: Lab) -> None:
    """Our hold queues behind a local reader's."""
    lab.lender.dialect.update(fresh_hold="not_started")
    book = await placed(lab)
    hold = lab.lender.requests.get(str(lab.stored(book).supplier.request_id))
    assert hold is not None
    assert hold.status == "NOT_STARTED"
    lab.lender.set_process_type(book.barcode, "TRANSIT")
    assert isinstance(await seen(lab, book), Missing)


async def test_the_copy_that_the_hold_is_bound_to_is_the_one_looked_at(lab: Lab) -> None:
    book = await placed(lab)
    hold = lab.lender.requests.get(str(lab.stored(book).supplier.request_id))
    assert hold is not None
    copy = lab.lender.add_item(book.line["item"]["holding_id"], "SECOND-COPY")
    lab.lender.change(hold, item_pid=copy.pid)
    assert isinstance(await seen(lab, book), Missing)
    lab.lender.scan_in("SECOND-COPY", "MAIN")
    assert isinstance(await seen(lab, book), Blocked)


async def test_what_was_placed_for_the_reader_stays_until_the_lenders_hold_is_proved_ended(
    lab: Lab,
) -> None:
    """He cancels, and the lender sends the book before our cancel comes to it."""
    book = await placed(lab)
    lab.sandbox.faults.add("per_second", institution="uni-a", method="DELETE", times=None)
    lab.borrower.patron_cancels(str(lab.stored(book).borrower.request_id))  # type: ignore[union-attr]
    now = await lab.rest(book, longest=timedelta(minutes=5))
    assert now.status is S.CANCELLED
    lab.lender.scan_in(book.barcode, "MAIN")
    lab.sandbox.faults.clear()
    now = await lab.rest(book, longest=timedelta(minutes=30))
    assert lab.sandbox.calls.matching("DELETE", "", "uni-b") == []
    assert lab.counts(book)["borrower items"] == 1
    records = [each for each in now.things if each.role == "borrower"]
    assert {each.state for each in records if each.kind is not ThingKind.HOLD} == {
        ThingState.PRESENT
    }
