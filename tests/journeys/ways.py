"""How a book goes from one place to the next: by what the slip of a scan says."""

from __future__ import annotations

from collections.abc import Awaitable, Iterator
from datetime import timedelta
from typing import TYPE_CHECKING

from reconciler.core.staff.parking import ParkReason
from reconciler.core.status import Workflow
from tests.journeys.book import Book, Event, Where
from tests.journeys.desks import Say, Slip

if TYPE_CHECKING:
    from tests.journeys.month import Month

Life = Iterator[timedelta | Awaitable[None]]
DAY = timedelta(days=1)


def obey(m: Month, book: Book, slip: Slip) -> None:
    """The book goes where the slip says."""
    now, chance = m.now(), m.luck(book)
    if slip.say is Say.SEND_OUT:
        book.took("sent out again") if book.ever(Event.LEFT) else None
        book.happened(Event.LEFT, now)
        book.where, book.library = Where.OUTBOUND, desk_of(chance.odds(0.12), book)
    elif slip.say is Say.SEND_HOME:
        if not book.ever(Event.LENT):
            book.took("sent home unlent")
        book.where, book.library = Where.HOMEBOUND, desk_of(chance.odds(0.15), book)
    elif slip.say is Say.CARRY:
        book.took("scanned at the wrong library")
        at_home = book.where in (Where.LENDERS_DESK, Where.SHELF, Where.DEPARTMENT)
        at_home = at_home or book.plan.workflow is Workflow.EXPEDITED
        book.where, book.library = (Where.LENDERS_DESK if at_home else Where.DESK), slip.library
    elif slip.say is Say.FOR_US:
        book.happened(Event.SHELVED, now)
        book.where = Where.HOLD_SHELF
    elif slip.say is Say.FOR_NEXT:
        book.took("the next reader already waited")
        book.where = Where.NEXT_READER
    elif slip.say is Say.RESHELVE:
        book.where = Where.SHELF


def desk_of(wrong: bool, book: Book) -> str:
    """The library where it will be unpacked; by mistake, or habit, a branch."""
    if wrong:
        book.took("unpacked at the wrong library")
    return "BRANCH" if wrong else "MAIN"


def to_department(m: Month, book: Book, what: str) -> None:
    book.took(what)
    book.excuses.add(ParkReason.ITEM_UNAVAILABLE)
    m.almas[book.plan.lender].work_order(book.pid)
    book.where = Where.DEPARTMENT
