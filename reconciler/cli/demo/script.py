"""What happens in the demo: lends, step by step, and how each of them has to end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import timedelta

from reconciler.cli.demo.stage import Lend, Stage
from reconciler.core.status import DcbStatus, ItemState, LoanState, Outcome, Resource, Role

Act = Callable[[Stage, Lend], Awaitable[Lend] | object]
"""What somebody does; one that submits anew hands back the lend as it goes on."""

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class Scene:
    """Some time passes, somebody does something, and then we look."""

    after: timedelta
    who: str
    does: str
    act: Act


@dataclass(frozen=True, slots=True)
class Story:
    id: str
    about: str
    book: int
    scenes: tuple[Scene, ...]
    external_borrower: bool = False
    ends: DcbStatus = DcbStatus.FINALISED
    outcome: Outcome = Outcome.SUPPLIED
    before: Act | None = None
    """What goes wrong while the request is being placed."""


def _nothing(_stage: Stage, _lend: Lend) -> None:
    """Nobody does anything; we only look."""


def _send(stage: Stage, lend: Lend) -> None:
    stage.lender.scan_in(lend.barcode, "MAIN")


def _shelve(stage: Stage, lend: Lend) -> None:
    stage.borrower.scan_in(lend.barcode, "MAIN")


def _borrow(stage: Stage, lend: Lend) -> None:
    stage.borrower.loan(lend.barcode, lend.reader, "MAIN")


def _return(stage: Stage, lend: Lend) -> None:
    stage.borrower.return_item(lend.barcode, "MAIN")


def _come_home(stage: Stage, lend: Lend) -> None:
    stage.lender.scan_in(lend.barcode, "MAIN")


def _come_home_to_its_branch(stage: Stage, lend: Lend) -> None:
    stage.lender.scan_in(lend.barcode, "BRANCH")


def _everything_out(stage: Stage, lend: Lend) -> None:
    for act in (_send, _shelve, _borrow, _return):
        act(stage, lend)


def _lose_an_answer(stage: Stage, _: Lend) -> None:
    stage.sandbox.faults.add(
        "reset", institution="uni-b", method="POST", path="/items", when="after"
    )


def _fail(stage: Stage, _: Lend) -> None:
    stage.sandbox.faults.add("html_502", institution="uni-a", times=None)


def _recover(stage: Stage, _: Lend) -> None:
    stage.sandbox.faults.clear()


def _reader_cancels(stage: Stage, lend: Lend) -> None:
    stage.borrower.patron_cancels(stage.request_of(lend, Role.BORROWER))


def _lender_refuses(stage: Stage, lend: Lend) -> None:
    stage.lender.cancel_request(stage.request_of(lend, Role.SUPPLIER))


def _next_copy(stage: Stage, lend: Lend) -> Awaitable[Lend]:
    return stage.submit(lend.id, 9)


def _tell_shelved(stage: Stage, lend: Lend) -> None:
    stage.say(lend, {Resource.ITEM: ItemState.ON_HOLD_SHELF})


def _tell_loaned(stage: Stage, lend: Lend) -> None:
    stage.say(lend, {Resource.ITEM: ItemState.LOANED, Resource.LOAN: LoanState.ACTIVE})


def _tell_returned(stage: Stage, lend: Lend) -> None:
    stage.say(lend, {Resource.ITEM: ItemState.TRANSIT, Resource.LOAN: LoanState.COMPLETE})


STORIES = (
    Story(
        "lend-1",
        "an ordinary lend between two Almas",
        1,
        (
            Scene(3 * HOUR, "uni-a", "scans the book in and sends it", _send),
            Scene(DAY, "uni-b", "scans the book in: it goes to the hold shelf", _shelve),
            Scene(2 * DAY, "uni-b", "loans the book to its reader", _borrow),
            Scene(20 * DAY, "uni-b", "takes the book back from its reader", _return),
            Scene(2 * DAY, "uni-a", "scans the book in: it is home", _come_home),
        ),
    ),
    Story(
        "lend-2",
        "a lend that jumps: sent, shelved, loaned and returned between two looks",
        2,
        (
            Scene(9 * DAY, "both", "send, shelve, loan and take back the book", _everything_out),
            Scene(DAY, "uni-a", "scans the book in: it is home", _come_home),
        ),
    ),
    Story(
        "lend-3",
        "a lend to a library without an Alma, whose staff tell what they see",
        5,
        (
            Scene(3 * HOUR, "uni-a", "scans the book in and sends it", _send),
            Scene(DAY, "town-c", "says: on our hold shelf", _tell_shelved),
            Scene(DAY, "town-c", "says: our reader has it", _tell_loaned),
            Scene(12 * DAY, "town-c", "says: it is back", _tell_returned),
            Scene(2 * DAY, "uni-a", "scans the book in: it is home", _come_home),
        ),
        external_borrower=True,
    ),
    Story(
        "lend-4",
        "a lost answer, a library out of order, and a reader who brings the book to the lender",
        3,
        (
            Scene(5 * MINUTE, "nobody", "does anything; we ask what became of it", _nothing),
            Scene(HOUR, "uni-a", "answers every call with an error page", _fail),
            Scene(HOUR, "uni-a", "is well again", _recover),
            Scene(HOUR, "uni-a", "scans the book in and sends it", _send),
            Scene(DAY, "uni-b", "scans the book in: it goes to the hold shelf", _shelve),
            Scene(DAY, "uni-b", "loans the book to its reader", _borrow),
            Scene(9 * DAY, "uni-a", "scans the book in: the reader brought it here", _come_home),
            Scene(5 * MINUTE, "nobody", "does anything; a second look confirms it", _nothing),
        ),
        before=_lose_an_answer,
    ),
    Story(
        "lend-5",
        "a reader who no longer wants the book while it is on its way",
        4,
        (
            Scene(3 * HOUR, "uni-a", "scans the book in and sends it", _send),
            Scene(5 * HOUR, "reader", "cancels at home", _reader_cancels),
            Scene(5 * MINUTE, "nobody", "does anything; a second look confirms it", _nothing),
            Scene(4 * DAY, "uni-a", "scans the book in at its branch", _come_home_to_its_branch),
        ),
        outcome=Outcome.CANCELLED,
    ),
    Story(
        "lend-6",
        "a lender that refuses, and another copy that is found",
        7,
        (
            Scene(
                2 * HOUR, "uni-a", "cannot find the book and cancels the request", _lender_refuses
            ),
            Scene(5 * MINUTE, "nobody", "does anything; a second look confirms it", _nothing),
            Scene(HOUR, "service", "submits the request again, with another copy", _next_copy),
            Scene(3 * HOUR, "uni-a", "scans the book in and sends it", _send),
            Scene(DAY, "uni-b", "scans the book in: it goes to the hold shelf", _shelve),
            Scene(DAY, "uni-b", "loans the book to its reader", _borrow),
            Scene(9 * DAY, "uni-b", "takes the book back from its reader", _return),
            Scene(2 * DAY, "uni-a", "scans the book in: it is home", _come_home),
        ),
    ),
)
