"""Where the physical book is and what happened to it: the truth that the service cannot see.

Nothing here looks at the service or at what an Alma shows. `ends_well` is the oracle: which end a
transaction may have, given only what physically happened.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum

from reconciler.core.staff.parking import ParkReason
from reconciler.core.status import DcbStatus, Outcome, Workflow
from tests.journeys.plans import Oddity, Plan


class Where(StrEnum):
    SHELF = "on the lender's shelf"
    DEPARTMENT = "in a department of the lender"
    OUTBOUND = "on its way to the reader"
    DESK = "at the pickup library's desk"
    HOLD_SHELF = "on the hold shelf"
    READER = "with the reader"
    HOMEBOUND = "on its way home"
    LENDERS_DESK = "at a desk of the lender"
    NEXT_READER = "with the lender's next reader"
    LOST = "lost"


class Event(StrEnum):
    """What is remembered of a book, with the first instant at which it was so."""

    LEFT = "left the lender's shelf"
    ARRIVED = "reached the pickup library"
    SHELVED = "stood on the hold shelf"
    LENT = "was lent to the reader"
    RETURNED = "was brought back by the reader"
    HOME = "came home"
    CANCELLED = "was not wanted any more"
    REFUSED = "was refused by the lender"
    LOST = "got lost"


UNTOLD = "closed untold"
"""The path of a lend whose hold ended so long unseen that its Alma had forgotten how."""

IN_PLACE_ALL_ALONG = "closed, as its lender's Alma never saw it away"
"""The path of a lend whose book came home unseen, and was never seen to have left."""

CLOSED_AS_UNKNOWN = frozenset(
    {
        "reader deleted",
        IN_PLACE_ALL_ALONG,
        Oddity.PAID_FOR,
        Oddity.PAID_AT_LENDER,
        Oddity.BROUGHT_TO_LENDER,
    }
)
"""Where a person who closes cannot be told how it went. What the reader brought to the lender was
never checked in where it was lent, and a lender that refused our loan shows no return."""

BY_ALMAS_WORD = timedelta(minutes=1)
"""So much later than a check-in, or its correction, an Alma may still show what was before."""

HOME = frozenset({Where.SHELF, Where.NEXT_READER, Where.DEPARTMENT})


@dataclass
class Book:
    """One journey: the book, its reader, and what happened so far."""

    n: int
    plan: Plan
    id: str
    barcode: str
    card: str
    reader: str
    pid: str = ""
    where: Where = Where.SHELF
    library: str = "MAIN"
    """The library, of whatever institution it is in, where the book is or is bound for."""
    in_hands: bool = False
    """Whether somebody still goes on with it."""
    placed: bool = False
    """Whether the service took the request at all."""
    refusal: str = ""
    former: list[tuple[Plan, str]] = field(default_factory=list)
    """The copies of other lenders that were asked for before: the plan of then, and the pid."""
    former_readers: list[str] = field(default_factory=list)
    """Ids that the reader's account had before."""
    mistakes: list[tuple[datetime, datetime]] = field(default_factory=list)
    """From when until when the lender's Alma said by mistake that the book was back."""
    staffs_loans: int = 0
    """Further loans to our reader that the lender's staff made."""
    seen_to: int = 0
    """How often a person took it up by hand."""
    first: dict[Event, datetime] = field(default_factory=dict)
    last: dict[Event, datetime] = field(default_factory=dict)
    paths: dict[str, None] = field(default_factory=dict)
    """The kinds of detours taken, in order."""
    excuses: set[ParkReason] = field(default_factory=set)
    """Why a person may be waited for, given what people did."""

    def happened(self, event: Event, at: datetime) -> None:
        self.first.setdefault(event, at)
        self.last[event] = at

    def goes_to_next_lender(self, other: Book) -> None:
        """Another copy at another library: nothing has happened to it yet."""
        self.former.append((self.plan, self.pid))
        self.plan, self.pid, self.barcode = other.plan, other.pid, other.barcode
        self.where, self.library = Where.SHELF, "MAIN"
        self.mistakes, self.staffs_loans = [], 0
        for events in (self.first, self.last):
            for event in [each for each in events if each is not Event.CANCELLED]:
                del events[event]

    def took(self, path: str) -> None:
        self.paths[path] = None

    def ever(self, event: Event) -> bool:
        return event in self.first

    def is_home_by_mistake(self, at: datetime) -> bool:
        """Whether an Alma said for long enough, by then, that the book is at the lender's."""
        return any(
            since + BY_ALMAS_WORD <= at <= until + BY_ALMAS_WORD for since, until in self.mistakes
        )

    @property
    def is_home(self) -> bool:
        return self.where in HOME


End = tuple[DcbStatus, Outcome | None]


def ends_well(book: Book) -> frozenset[End]:
    """The ends that fit where the book is and what it went through."""
    if book.plan.workflow is Workflow.LOCAL:
        return frozenset({(DcbStatus.HANDED_OFF_AS_LOCAL, None)})
    if not book.is_home:
        return frozenset()
    unknown: set[End] = {(DcbStatus.FINALISED, Outcome.UNKNOWN)} if UNTOLD in book.paths else set()
    if book.ever(Event.LENT):
        outcomes = {Outcome.SUPPLIED}
        if "close by hand" in book.paths and CLOSED_AS_UNKNOWN & book.paths.keys():
            outcomes.add(Outcome.UNKNOWN)
        return frozenset((DcbStatus.FINALISED, outcome) for outcome in outcomes) | unknown
    ends = unknown
    if book.ever(Event.CANCELLED):
        ends.add((DcbStatus.FINALISED, Outcome.CANCELLED))
    expedited = book.plan.workflow is Workflow.EXPEDITED
    if book.ever(Event.REFUSED) or (expedited and book.ever(Event.CANCELLED)):
        # collected at the lender's, its hold is the reader's: Alma does not tell who ended it
        ends.add((DcbStatus.NOT_SUPPLIED_CURRENT_SUPPLIER, Outcome.NOT_SUPPLIED))
        if "close by hand" in book.paths:
            ends.add((DcbStatus.FINALISED, Outcome.NOT_SUPPLIED))
    return frozenset(ends)


MUST_HAVE_HAPPENED: dict[DcbStatus, Event] = {
    DcbStatus.PICKUP_TRANSIT: Event.LEFT,
    DcbStatus.RECEIVED_AT_PICKUP: Event.ARRIVED,
    DcbStatus.READY_FOR_PICKUP: Event.SHELVED,
    DcbStatus.LOANED: Event.LENT,
    DcbStatus.RETURN_TRANSIT: Event.RETURNED,
    DcbStatus.COMPLETED: Event.HOME,
}
"""No status before the thing that it tells of has happened."""
