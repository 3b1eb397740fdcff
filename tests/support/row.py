"""One row of the table of true ends: what people did to a lend, and how it stands after looks."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Self

from reconciler.core.commands.command import Command, Order
from reconciler.core.model import HistoryEntry, Leg, Transaction
from reconciler.core.status import (
    DcbStatus,
    HistoryKind,
    Outcome,
    Role,
    Side,
    ThingKind,
    ThingState,
)
from reconciler.sandbox import Institution
from reconciler.sandbox.records import Item, Loan
from reconciler.sandbox.view import View
from tests.support.lab import Book, Lab

S = DcbStatus
Tell = Callable[[str], None]

PICKUP_AT = {"RET-STD": "uni-b", "RET-PUA": "uni-c", "RET-EXP": "uni-a"}
"""Where a reader of uni-b collects a book of uni-a, by workflow."""

LONGER_THAN_SETTLE = timedelta(minutes=2)


def desk(lab: Lab, book: Book) -> Institution:
    """The institution where the reader collects the book."""
    return lab.sandbox[book.line["pickup"]["host_lms"]]


def pickup_leg(now: Transaction) -> Leg:
    leg = now.leg(Side.PICKUP.role(now.workflow))
    assert leg is not None
    return leg


def hold_of(now: Transaction, role: Role) -> str:
    leg = now.leg(role)
    assert leg is not None
    assert leg.request_id is not None
    return leg.request_id


def item_at(at: Institution, book: Book) -> Item:
    """The item with the book's barcode: the real one at the lender, a virtual one elsewhere."""
    (item,) = at.items.find("barcode", book.barcode)
    return item


def loan_at(at: Institution, book: Book) -> Loan:
    """The active loan of that item."""
    loan = View(at).active_loan(item_at(at, book).pid)
    assert loan is not None, f"not on loan in {at.code}"
    return loan


def lend_at_desk(lab: Lab, book: Book) -> Loan:
    """The reader takes the book, past whatever Alma would ask a clerk to confirm."""
    user = pickup_leg(lab.stored(book)).user_id
    assert user is not None
    return desk(lab, book).loan(book.barcode, user, "MAIN", override=True)


async def brought_to(lab: Lab, status: DcbStatus, workflow: str = "RET-STD") -> Book:
    """A lend that staff and reader brought to a status in the ordinary way.

    Expedited there is no transport: what stands on the lender's hold shelf is still "placed".
    """
    book = lab.wanted(pickup=PICKUP_AT[workflow])
    await lab.submit(book)
    now = await lab.rest(book)
    assert (now.workflow, now.parked) == (workflow, None), lab.history(book)
    steps: list[Callable[[], object]] = [
        lambda: lab.lender.scan_in(book.barcode, "MAIN"),
        lambda: desk(lab, book).scan_in(book.barcode, "MAIN"),
        lambda: lend_at_desk(lab, book),
        lambda: desk(lab, book).return_item(book.barcode, "MAIN"),
    ]
    for step in steps[1:] if workflow == "RET-EXP" else steps:
        if now.status is status:
            break
        step()
        now = await lab.rest(book)
    assert now.status is status, lab.history(book)
    return book


@dataclass
class Row:
    """`with Row(...)`: from here on what is written is watched; at its end the row is told."""

    lab: Lab
    book: Book
    tell: Tell
    given: str
    _since: int = 0

    def __enter__(self) -> Self:
        self.watch()
        return self

    def __exit__(self, *_: object) -> None:
        self.tell(f"given {self.given} → {self.end}")

    @property
    def now(self) -> Transaction:
        return self.lab.stored(self.book)

    @property
    def end(self) -> str:
        now = self.now
        outcome = f"/{now.outcome}" if now.outcome else ""
        return f"{now.status}{outcome}{f', parked {now.parked.reason}' if now.parked else ''}"

    async def looks(self, times: int = 3, every: timedelta = LONGER_THAN_SETTLE) -> Transaction:
        """`--once --all`, so often; each later than what was just done needs to settle."""
        for _ in range(times):
            self.lab.clock.advance(every)
            await self.lab.look(self.book)
        return self.now

    async def by_hand(self, command: Command) -> None:
        order = Order(command, "cli:ada", "because", self.lab.clock.now())
        report = await self.lab.app.hands.carry_out(order, [self.now.id])
        assert [each.id for each in report.done] == [self.book.id], report

    # --- what was written ------------------------------------------------------

    def watch(self) -> None:
        """Forget what was written until now."""
        self._since = max((call.seq for call in self.lab.sandbox.calls), default=0)

    def writes(self, path: str = "", institution: str = "") -> list[str]:
        """Every call since that could have changed something, oldest first."""
        calls = self.lab.sandbox.calls.matching("", path, institution, self._since)
        return [
            f"{call.institution} {call.method} {call.path}?{call.query}"
            for call in calls
            if call.method != "GET"
        ]

    def scanned_or_deleted(self) -> list[str]:
        return [each for each in self.writes() if "op=scan" in each or " DELETE " in each]

    # --- what the service says ---------------------------------------------------

    def explain(self) -> dict[str, Any]:
        return self.lab.app.desk.explain(self.now.id)

    def verdict(self, rule: str) -> tuple[str, str]:
        """What the newest look made of a rule, and why."""
        (found,) = [each for each in self.now.considered if each.rule == rule]
        return found.verdict, found.because

    def history(self) -> list[HistoryEntry]:
        return list(self.lab.app.store.history(self.now.id))

    def rules(self) -> list[str | None]:
        return [each.rule for each in self.history() if each.kind is HistoryKind.TRANSITION]

    # --- what has to be so -------------------------------------------------------

    def stands(self, status: DcbStatus) -> None:
        now = self.now
        assert (now.status, now.parked) == (status, None), self.lab.history(self.book)

    def waits_for_a_person(self, status: DcbStatus, reason: str) -> None:
        now = self.now
        parked = now.parked.reason if now.parked else None
        assert (now.status, parked) == (status, reason), self.lab.history(self.book)
        staff = self.explain()["staff"]
        assert any(f"reconciler {each} {now.id}" in staff for each in ("retry", "close")), staff

    def reader_has_it(self) -> None:
        """His own loan, at home where that is an Alma of the lend, was not touched."""
        loan = loan_at(self.lab.borrower, self.book)
        user = self.lab.borrower.users.get(loan.user_key)
        assert user is not None
        assert user.primary_id == self.book.reader

    def took_over(self, words: tuple[str, ...], old: str, new: str) -> None:
        """One history row names the kind of id, the old and the new one (interface.md §5)."""
        told = [
            each.detail
            for each in self.history()
            if each.kind is HistoryKind.OBSERVATION and old in (each.detail or "")
        ]
        told = [each for each in told if new in (each or "")]
        assert len(told) == 1, self.lab.history(self.book)
        assert any(word in (told[0] or "") for word in words), told

    def ledger(self, kind: ThingKind, role: Role) -> list[str | None]:
        """The ids of what the ledger says is there."""
        return [
            each.loan_id if kind is ThingKind.LOAN else each.request_id
            for each in self.now.things
            if each.kind is kind and each.role is role and each.state is ThingState.PRESENT
        ]

    async def comes_home(self) -> None:
        """The reader returns it, the lender has it again: over, and nothing of ours is left."""
        desk(self.lab, self.book).return_item(self.book.barcode, "MAIN")
        if self.now.workflow != "RET-EXP":
            await self.looks(2)
            self.stands(S.RETURN_TRANSIT)
            self.lab.lender.return_item(self.book.barcode, "MAIN")
        await self.looks(4)
        self.is_over(Outcome.SUPPLIED)

    def is_over(self, outcome: Outcome) -> None:
        now = self.now
        assert (now.status, now.outcome, now.parked) == (S.FINALISED, outcome, None), (
            self.lab.history(self.book)
        )
        assert self.lab.counts(self.book) == {}
        for code in ("uni-a", "uni-b", "uni-c"):
            loans = self.lab.sandbox[code].loans.rows()
            ours = [each for each in loans if each.active and each.barcode == self.book.barcode]
            assert ours == [], code
