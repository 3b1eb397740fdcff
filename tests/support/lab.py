"""A world whose time moves only when the service waits: whole lends in a fraction of a second.

The App runs within the test; the Almas answer over a real socket (or over ASGI, where thousands
of lends are played). `rest()` lets the service work until nothing of it is due for a while.
"""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx

from reconciler.app import App
from reconciler.core.commands.placing import virtual_patron_id
from reconciler.core.model import Transaction, TransactionId
from reconciler.core.status import OPEN_INTENTS
from reconciler.engine.cycle import CycleOptions, CycleReport
from reconciler.sandbox import Institution, Sandbox, sample_world, serve
from reconciler.settings import Settings
from tests.support.clock import FakeClock
from tests.support.world import KEYS, settings_for

START = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
SETTLE = timedelta(seconds=60)
A_SECOND = timedelta(seconds=1)


@dataclass
class Book:
    """A lend in the lab: what staff act on."""

    id: str
    barcode: str
    reader: str
    line: dict[str, Any]


@dataclass
class Lab:
    sandbox: Sandbox
    clock: FakeClock
    app: App
    n: int = 0
    reports: list[CycleReport] = field(default_factory=list)

    @property
    def lender(self) -> Institution:
        return self.sandbox["uni-a"]

    @property
    def borrower(self) -> Institution:
        return self.sandbox["uni-b"]

    @property
    def third(self) -> Institution:
        return self.sandbox["uni-c"]

    # --- the service ---------------------------------------------------------

    def wanted(self, *, pickup: str | dict[str, Any] = "uni-b", **changes: Any) -> Book:
        """A new book at uni-a, a new reader at uni-b, and the line that asks for it."""
        if isinstance(pickup, dict):
            changes["pickup"], pickup = pickup, "uni-b"
        self.n += 1
        id, barcode, reader = f"lend-{self.n}", f"T{self.n:05d}", f"r-{self.n}"
        self.borrower.add_user(reader, barcodes=[f"R{self.n:05d}"])
        book = self.lender.add_book(f"Book {self.n}", barcode, "MAIN", "STACKS")
        line: dict[str, Any] = {
            "id": id,
            "patron": {"host_lms": "uni-b", "user_id": reader, "barcodes": [f"R{self.n:05d}"]},
            "item": {
                "host_lms": "uni-a",
                "mms_id": book.mms_id,
                "holding_id": book.holding_id,
                "item_pid": book.pid,
                "title": f"Book {self.n}",
            },
            "pickup": {"host_lms": pickup, "library": "MAIN"},
        }
        for part, given in changes.items():
            line[part] = {**line[part], **given} if isinstance(given, dict) else given
        return Book(id, barcode, reader, line)

    async def submit(self, book: Book) -> None:
        report = await self.app.submit([json.dumps(book.line).encode()], "test")
        assert report.refused == [], report.refused

    async def cycle(self, *, everything: bool = False) -> CycleReport:
        report = await self.app.cycle(CycleOptions(everything=everything))
        self.reports.append(report)
        return report

    async def rest(self, book: Book, *, longest: timedelta = timedelta(hours=8)) -> Transaction:
        """Look in two minutes, then whenever something is to be done, until all is quiet."""
        self.clock.advance(timedelta(minutes=2))
        ends = self.clock.now() + longest
        now, patience = await self.look(book), A_SECOND
        while now.next_poll_at is not None and self._is_busy(now) and now.next_poll_at < ends:
            self.clock.advance(max(now.next_poll_at - self.clock.now(), patience))
            is_resting = not (await self.cycle()).outcomes
            patience = min(2 * patience, timedelta(minutes=2)) if is_resting else A_SECOND
            now = self.stored(book)
        return now

    async def look(self, book: Book) -> Transaction:
        """Everything, as a person asks for it."""
        await self.cycle(everything=True)
        return self.stored(book)

    def stored(self, book: Book) -> Transaction:
        return self.app.store.get(TransactionId(book.id))

    def history(self, book: Book) -> list[str]:
        return [
            f"{each.kind} {each.detail}" for each in self.app.store.history(TransactionId(book.id))
        ]

    def _is_busy(self, transaction: Transaction) -> bool:
        waits = any(intent.state in OPEN_INTENTS for intent in transaction.intents)
        soon = self.clock.now() + timedelta(minutes=20)
        due_soon = transaction.next_poll_at is not None and transaction.next_poll_at < soon
        return transaction.parked is None and (waits or due_soon)

    # --- what stands in the Almas ----------------------------------------------

    def counts(self, book: Book) -> dict[str, int]:
        """How many of each thing the Almas hold for a lend, by their marks."""
        found: dict[str, int] = {}
        for code, role in (("uni-a", "supplier"), ("uni-b", "borrower"), ("uni-c", "pickup")):
            at = self.sandbox[code]
            for mark in (f"[DCB:{book.id}]", f"(DCB){book.id}<"):
                for kind, keys in at.ours(mark).items():
                    name = f"{role} {kind}"
                    found[name] = found.get(name, 0) + len(keys)
        return found

    def virtual_patrons(self, book: Book) -> int:
        """How many users at the lender carry the reader's identifier."""
        from reconciler.engine.placing_lines import PatronPart, PickupPart, placing
        from reconciler.engine.submit import ItemPart

        place = PickupPart(host_lms="x", library="x")
        patron = PatronPart(**book.line["patron"])
        item = ItemPart(**book.line["item"])
        identifier = virtual_patron_id(placing(patron, item, place, None, keep_names=False).patron)
        return sum(identifier in json.dumps(row) for row in self.lender.state()["users"])

    def lender_loans(self, book: Book) -> int:
        """How many loans of the lender's book there ever were."""
        loans = self.lender.state()["loans"]
        return sum(loan["item_pid"] == book.line["item"]["item_pid"] for loan in loans)


def acting_settings(base_url: str, database_url: str, **alma: Any) -> dict[str, Any]:
    return settings_for(
        base_url, database_url, **{"mode": "act", "settle": f"{SETTLE.seconds}s", **alma}
    )


@asynccontextmanager
async def lab(
    folder: Path,
    *,
    socket: bool = True,
    patience: str = "2s",
    database_url: str = "",
    transports: dict[str, httpx.AsyncBaseTransport] | None = None,
    **alma: Any,
) -> AsyncIterator[Lab]:
    """A sandbox and an App on one clock; over a socket unless `socket` is False."""
    clock = FakeClock(START)
    sandbox = sample_world(clock)
    url = database_url or f"sqlite:///{folder / 'lab.db'}"
    if socket:
        with serve(sandbox) as serving:
            async with _app(serving.base_url, url, clock, patience, transports or {}, alma) as app:
                yield Lab(sandbox, clock, app)
        return
    sandbox.sleep = clock.sleep
    direct: dict[str, httpx.AsyncBaseTransport] = {
        code: httpx.ASGITransport(sandbox.app) for code in ("uni-a", "uni-b", "uni-c")
    }
    async with _app("http://alma", url, clock, patience, direct, alma) as app:
        yield Lab(sandbox, clock, app)


@asynccontextmanager
async def _app(
    base_url: str,
    database_url: str,
    clock: FakeClock,
    patience: str,
    transports: dict[str, httpx.AsyncBaseTransport],
    alma: dict[str, Any],
) -> AsyncIterator[App]:
    given = acting_settings(base_url, database_url, **alma)
    given["http"] = dict.fromkeys(given["http"], patience)
    given["notify"] = []
    async with App(Settings.model_validate(given), clock, KEYS, transports) as app:
        app.prepare_schema()
        yield app
