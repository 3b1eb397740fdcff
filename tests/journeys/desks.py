"""Desks where books are scanned: in an Alma, whose answer says where the book goes, or outside.

An external library has no Alma that could be read: its staff tell the service what they saw, and
now and then forget to.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from reconciler.core.status import (
    BEFORE_DISPATCH,
    DcbStatus,
    ItemState,
    LoanState,
    RequestState,
    Resource,
    Role,
    Workflow,
)
from reconciler.sandbox import ActRefused, AlmaError, Institution
from reconciler.sandbox.records import ON_SHELF, Item, Loan, Request
from reconciler.sandbox.view import View
from tests.journeys.book import Book, Event, Where
from tests.journeys.chance import Chance

SHARING, VIRTUAL = "RES_OUT", "DCB"
LOCAL = "a local reader"
"""The comment of the holds that are no business of ours."""


class Say(StrEnum):
    """What the screen says after a scan."""

    SEND_OUT = "send it out of the house"
    SEND_HOME = "it belongs to another house"
    CARRY = "carry it to another library of this house"
    FOR_US = "on the hold shelf, for our reader"
    FOR_NEXT = "on the hold shelf, for somebody else"
    RESHELVE = "back to its shelf"
    ASIDE = "no place for it"
    UNKNOWN = "no such barcode"


@dataclass(frozen=True)
class Slip:
    say: Say
    library: str = ""


class Desk(Protocol):
    def wants(self, book: Book) -> bool:
        """Whether the book stands on the list of what is to be fetched from the shelf."""

    def scan(self, book: Book, library: str) -> Slip: ...

    def lend(self, book: Book, card: str) -> None: ...

    def renew(self, book: Book) -> bool: ...

    def on_loan(self, book: Book) -> bool:
        """Whether the library believes that somebody has it."""

    def keeps_for_us(self, book: Book) -> bool:
        """Whether it still waits on this hold shelf for our reader."""

    def expire(self, book: Book) -> None:
        """Its time on the hold shelf is over."""

    def refuse(self, book: Book) -> bool:
        """The lender's staff cancel our request; False where there is none to cancel."""

    def cancel(self, book: Book) -> bool:
        """The reader cancels; False where there is nothing to cancel."""

    def mark_lost(self, book: Book) -> None: ...

    def mark_missing(self, book: Book) -> None: ...

    def claim_returned(self, book: Book) -> None: ...

    def found(self, book: Book) -> None: ...


class AlmaDesk:
    def __init__(self, alma: Institution) -> None:
        self.alma = alma

    def item(self, book: Book) -> Item | None:
        """The real item where it is at home, the virtual one of the same barcode elsewhere."""
        if book.plan.lender == self.alma.code:
            return self.alma.items.get(book.pid)
        return next(iter(View(self.alma).items_with_barcode(book.barcode)), None)

    def requests(self, book: Book) -> list[Request]:
        item = self.item(book)
        return [] if item is None else View(self.alma).requests_of_item(item.pid)

    def ours(self, book: Book) -> Request | None:
        return next((one for one in self.requests(book) if is_of(one, book)), None)

    def wants(self, book: Book) -> bool:
        item = self.item(book)
        return item is not None and item.on_shelf and bool(self.requests(book))

    def scan(self, book: Book, library: str) -> Slip:
        item = self.item(book)
        if item is None:
            return Slip(Say.UNKNOWN)
        return self._slip(book, self.alma.scan_in(item.pid, library))

    def _slip(self, book: Book, item: Item) -> Slip:
        if item.process == "HOLDSHELF":
            on_shelf = [one for one in self.requests(book) if one.task == ON_SHELF]
            ours = any(is_of(one, book) for one in on_shelf)
            return Slip(Say.FOR_US if ours else Say.FOR_NEXT if on_shelf else Say.ASIDE)
        if item.process == "TRANSIT":
            if item.bound_for == SHARING:
                return Slip(Say.SEND_OUT)
            if item.bound_for == VIRTUAL:
                return Slip(Say.SEND_HOME)
            return Slip(Say.CARRY, item.bound_for)
        return Slip(Say.RESHELVE if item.on_shelf else Say.ASIDE)

    def lend(self, book: Book, card: str) -> None:
        """At the desk that has the book; staff know better than a block on a card.

        What comes to the shelf for him though he has had it was lent to another of his accounts:
        the second time they go by the slip.
        """
        item, ours = self._known(book), self.ours(book)
        if card == book.card and book.ever(Event.LENT) and ours is not None:
            user = self.alma.users.get(ours.user_key)
            card = user.primary_id if user is not None else card
        try:
            self.alma.loan(item.pid, card, "MAIN")
        except AlmaError:
            self.alma.loan(item.pid, card, "MAIN", override=True)

    def loan(self, book: Book) -> Loan | None:
        item = self.item(book)
        return None if item is None else View(self.alma).active_loan(item.pid)

    def on_loan(self, book: Book) -> bool:
        return self.loan(book) is not None

    def renew(self, book: Book) -> bool:
        loan = self.loan(book)
        try:
            return loan is not None and self.alma.renew(loan.loan_id).active
        except AlmaError:
            return False

    def charge_again(self, book: Book) -> bool:
        """Discharge and new charge; False where it is not on loan."""
        if not self.on_loan(book):
            return False
        self.alma.charge_again(self._known(book).pid, "MAIN")
        return True

    def keeps_for_us(self, book: Book) -> bool:
        ours = self.ours(book)
        return ours is not None and ours.task == ON_SHELF

    def expire(self, book: Book) -> None:
        ours = self.ours(book)
        if ours is not None and ours.task == ON_SHELF:
            self.alma.expire_hold_shelf(ours.request_id)

    def refuse(self, book: Book) -> bool:
        ours = self.ours(book)
        if ours is None or ours.moving:
            return False
        self.alma.cancel_request(ours.request_id)
        return True

    def cancel(self, book: Book) -> bool:
        ours = self.ours(book)
        if ours is None or ours.task == "Loan":
            return False
        self.alma.patron_cancels(ours.request_id)
        return True

    def reissue(self, book: Book) -> bool:
        """Our hold is placed anew; False where there is none, or the book is on loan by it."""
        ours = self.ours(book)
        if ours is None or ours.task == "Loan":
            return False
        self.alma.reissue_request(ours.request_id)
        return True

    def serve_first(self, book: Book, local: str) -> bool:
        """The copy is sent to a local reader at the branch, whose hold is younger than ours."""
        item = self._known(book)
        try:
            his = self.alma.place_hold(local, item.pid, "BRANCH", comment=LOCAL)
        except AlmaError:
            return False
        self.alma.scan_in(item.pid, "MAIN", request_id=his.request_id)
        return True

    def sent_to_department(self, book: Book) -> bool:
        """Damaged on the way: a work order; False where it is not in the catalogue any more."""
        item = self.item(book)
        if item is None or item.process != "HOLDSHELF":
            return False
        self.alma.work_order(item.pid)
        return True

    def mark_lost(self, book: Book) -> None:
        self.alma.mark_lost(self._known(book).pid)

    def pay_lost(self, book: Book) -> None:
        self.alma.pay_lost(self._known(book).pid)

    def mark_missing(self, book: Book) -> None:
        self.alma.mark_missing(self._known(book).pid)

    def claim_returned(self, book: Book) -> None:
        self.alma.claim_returned(self._known(book).pid)

    def found(self, book: Book) -> None:
        self.alma.found(self._known(book).pid)

    def _known(self, book: Book) -> Item:
        item = self.item(book)
        if item is None:
            raise ActRefused(f"{book.id}: no item {book.barcode} in {self.alma.code}")
        return item


def is_of(request: Request, book: Book) -> bool:
    return f"[DCB:{book.id}]" in (request.comment or "")


Tell = Callable[[Book, Role, dict[Resource, str]], None]
StatusOf = Callable[[Book], DcbStatus]


class ExternalDesk:
    """A library without an Alma: its staff go by the book itself and tell what they saw."""

    def __init__(self, code: str, tell: Tell, status_of: StatusOf, chance: Chance) -> None:
        self.code, self._tell, self._status_of, self._chance = code, tell, status_of, chance

    def wants(self, book: Book) -> bool:
        """Its staff look into the consortium's list of what is asked for."""
        status = self._status_of(book)
        if status is DcbStatus.RESOLVED and not book.ever(Event.REFUSED):
            self._say(book, Role.SUPPLIER, request=RequestState.ACTIVE)
            return False
        over = book.ever(Event.LENT) or book.ever(Event.REFUSED)
        return not over and status in BEFORE_DISPATCH | {DcbStatus.PICKUP_TRANSIT}

    def scan(self, book: Book, library: str) -> Slip:  # noqa: ARG002 - as for an Alma
        if book.plan.lender == self.code:
            return self._at_the_lenders(book)
        if book.ever(Event.LENT) or book.ever(Event.CANCELLED):
            self._say(book, _reader_role(book), item=ItemState.TRANSIT, **_loan_over(book))
            return Slip(Say.SEND_HOME)
        self._say(book, _reader_role(book), item=ItemState.ON_HOLD_SHELF)
        return Slip(Say.FOR_US)

    def _at_the_lenders(self, book: Book) -> Slip:
        expedited = book.plan.workflow is Workflow.EXPEDITED
        if book.where is Where.SHELF:
            state = ItemState.ON_HOLD_SHELF if expedited else ItemState.TRANSIT
            self._say(book, Role.SUPPLIER, item=state)
            return Slip(Say.FOR_US if expedited else Say.SEND_OUT)
        self._say(book, Role.SUPPLIER, item=ItemState.IN_PLACE, **_loan_over(book))
        return Slip(Say.RESHELVE)

    def lend(self, book: Book, card: str) -> None:  # noqa: ARG002 - as for an Alma
        role = _reader_role(book)
        self._say(book, role, item=ItemState.LOANED, loan=LoanState.ACTIVE)

    def renew(self, book: Book) -> bool:  # noqa: ARG002 - nobody is told of it
        return True

    def on_loan(self, book: Book) -> bool:
        return book.ever(Event.LENT) and not book.ever(Event.RETURNED)

    def keeps_for_us(self, book: Book) -> bool:
        return not book.ever(Event.CANCELLED)

    def expire(self, book: Book) -> None:
        self._say(book, _reader_role(book), request=RequestState.CANCELLED)

    def refuse(self, book: Book) -> bool:
        self._say(book, Role.SUPPLIER, request=RequestState.CANCELLED)
        return True

    def cancel(self, book: Book) -> bool:
        role = Role.PICKUP if book.plan.pickup == self.code else Role.BORROWER
        if role.value not in book.plan.roles:
            role = Role.BORROWER
        self._say(book, role, request=RequestState.CANCELLED)
        return True

    def mark_lost(self, book: Book) -> None:
        self._say(book, _reader_role(book), item=ItemState.LOST)

    def mark_missing(self, book: Book) -> None:
        self._say(book, Role.SUPPLIER, item=ItemState.LOST)

    def claim_returned(self, book: Book) -> None:
        self._say(book, _reader_role(book), item=ItemState.CLAIMED_RETURNED)

    def found(self, book: Book) -> None:
        if book.ever(Event.LENT):
            self._say(book, _reader_role(book), item=ItemState.LOANED)
        else:
            self._say(book, Role.SUPPLIER, item=ItemState.IN_PLACE)

    def _say(self, book: Book, role: Role, **words: str) -> None:
        self._tell(book, role, {Resource(name): str(word) for name, word in words.items()})


def _reader_role(book: Book) -> Role:
    """The role whose library the reader collects the book at."""
    if book.plan.workflow is Workflow.EXPEDITED:
        return Role.SUPPLIER
    return Role.PICKUP if book.plan.workflow is Workflow.PICKUP_ANYWHERE else Role.BORROWER


def _loan_over(book: Book) -> dict[str, str]:
    return {"loan": LoanState.COMPLETE} if book.ever(Event.LENT) else {}
