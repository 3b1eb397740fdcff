"""The service on top of three of the other Almas, on a clock that moves when it waits."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from reconciler.app import App
from reconciler.core.model import Transaction, TransactionId
from reconciler.core.status import OPEN_INTENTS
from reconciler.engine.cycle import CycleOptions
from reconciler.settings import Settings
from tests.second.alma import Alma
from tests.second.dialect import Dialect
from tests.second.institution import Hold, Institution, Item, Loan
from tests.support.clock import FakeClock

START = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
CODES = ("uni-a", "uni-b", "uni-c")


@dataclass
class Lend:
    """A lend on this stage: the lender's book and the reader who wants it."""

    id: str
    book: Item
    reader: str
    line: dict[str, Any]


@dataclass
class Stage:
    alma: Alma
    clock: FakeClock
    app: App
    lends: list[Lend] = field(default_factory=list)

    def __getitem__(self, code: str) -> Institution:
        return next(each for each in self.alma.institutions.values() if each.code == code)

    @property
    def all(self) -> list[Institution]:
        return [self[code] for code in CODES]

    # --- the service ------------------------------------------------------------

    def wanted(self, pickup: str = "uni-b", patron_at: str = "uni-b") -> Lend:
        """A reader with an awkward name at one library wants a book of uni-a."""
        n = len(self.lends) + 1
        reader = f"O'Neil/{n}+x@uni.example ü"
        self[patron_at].add_user(reader, f"R{n:04d}")
        book = self["uni-a"].add_book(f"+F{n}&#{n}%", "MAIN")
        line = {
            "id": f"lend-{n}",
            "patron": {"host_lms": patron_at, "user_id": reader, "barcodes": [f"R{n:04d}"]},
            "item": {
                "host_lms": "uni-a",
                "mms_id": book.mms_id,
                "holding_id": book.holding_id,
                "item_pid": book.pid,
                "title": "Q&A <1>",
            },
            "pickup": {"host_lms": pickup, "library": "MAIN"},
        }
        self.lends.append(lend := Lend(f"lend-{n}", book, reader, line))
        return lend

    async def submit(self, lend: Lend) -> None:
        report = await self.app.submit([json.dumps(lend.line).encode()], "test")
        assert report.refused == [], report.refused

    async def look(self) -> None:
        await self.app.cycle(CycleOptions(everything=True))

    async def rest(self, lend: Lend, longest: timedelta = timedelta(hours=8)) -> Transaction:
        """Let the service work until nothing of this lend is due for a while."""
        self.clock.advance(timedelta(minutes=2))
        ends = self.clock.now() + longest
        await self.look()
        now = self.stored(lend)
        while now.next_poll_at and self._is_busy(now) and now.next_poll_at < ends:
            self.clock.advance(max(now.next_poll_at - self.clock.now(), timedelta(seconds=1)))
            await self.app.cycle(CycleOptions())
            now = self.stored(lend)
        return now

    async def pass_days(self, lend: Lend, days: float) -> Transaction:
        """Days on which nobody comes; every night Alma forgets."""
        until = self.clock.now() + timedelta(days=days)
        while (now := self.stored(lend)).next_poll_at and self.clock.now() < until:
            step = max(now.next_poll_at - self.clock.now(), timedelta(seconds=1))
            self.clock.advance(min(step, until - self.clock.now()))
            for each in self.all:
                each.forget()
            await self.app.cycle(CycleOptions())
        return self.stored(lend)

    def _is_busy(self, now: Transaction) -> bool:
        waits = any(intent.state in OPEN_INTENTS for intent in now.intents)
        soon = self.clock.now() + timedelta(minutes=20)
        return now.parked is None and (waits or (now.next_poll_at or soon) < soon)

    def stored(self, lend: Lend) -> Transaction:
        return self.app.store.get(TransactionId(lend.id))

    def story(self, lend: Lend) -> str:
        rows = self.app.store.history(TransactionId(lend.id))
        calls = [f"{each.code}: {call}" for each in self.all for call in each.log[-6:]]
        return "\n".join([*(f"{each.at} {each.kind} {each.detail}" for each in rows), *calls])

    # --- what stands in the Almas -------------------------------------------------

    def virtual(self, code: str, lend: Lend) -> Item:
        """The virtual item of a lend, as staff find it: by its barcode."""
        return next(each for each in self[code].items.values() if each.barcode == lend.book.barcode)

    def holds(self, code: str, lend: Lend) -> list[Hold]:
        return [each for each in self[code].holds.values() if lend.id in (each.comment or "")]

    def loans(self, code: str) -> list[Loan]:
        return [each for each in self[code].loans.values() if not each.returned]

    def wrongs(self, lend: Lend) -> list[str]:
        """What must not be once a lend is over, in whatever way."""
        found = [f"{each.code}: {told}" for each in self.all for told in each.violations]
        for here in self.all:
            rows = [each for each in here.holds.values() if each.is_open]
            found += [f"{here.code}: hold {each.comment} is open" for each in rows]
            found += [f"{here.code}: loan {each.id} is open" for each in self.loans(here.code)]
            found += [
                f"{here.code}: in-house use of {each.barcode}"
                for each in here.items.values()
                if each.in_house_uses
            ]
        for code in ("uni-b", "uni-c"):
            here = self[code]
            found += [f"{code}: bib {each} is left" for each in here.bibs]
            found += [f"{code}: holding {each} is left" for each in here.holdings]
            found += [f"{code}: item {each} is left" for each in here.items]
        return [*found, *self.doubles(lend)]

    def doubles(self, lend: Lend) -> list[str]:
        """What was done more than once, by what was done in all."""
        found = []
        for here in self.all:
            made = {
                "user": sum("DCB" in str(each.document["first_name"]) for each in here.users),
                "hold": len(self.holds(here.code, lend)),
                "bib": sum(lend.id in number for b in here.bibs.values() for number in b.numbers),
            }
            found += [f"{here.code}: {n} × {what}" for what, n in made.items() if n > 1]
        lent = [each for each in self["uni-a"].loans.values() if each.pid == lend.book.pid]
        return found + ([f"uni-a: lent {len(lent)} times"] if len(lent) > 1 else [])


def equip(here: Institution) -> None:
    here.add_library("MAIN", "STACKS", "QUIET ROOM")
    here.add_library("BRANCH")
    here.add_library("RES_OUT", "OUT")
    here.add_library("DCB", "DCBVIRTUAL")
    here.add_library("RES_SHARE", "IN_RS_REQ", resource_sharing=True)


def settings(base_url: str, folder: Path, **alma: Any) -> dict[str, Any]:
    """What a consortium would write for three institutions behind one gateway."""
    host = {
        "type": "alma",
        "mode": "act",
        "base_url": base_url,
        "calls_per_second": 100_000,
        "settle": "60s",
        "sharing_library": "RES_OUT",
        "virtual_library": "DCB",
        "virtual_location": "DCBVIRTUAL",
        "item_policy": "DCB",
        "patron_groups": {"default": "DCB"},
        "material_types": {"default": "BOOK"},
        **alma,
    }
    return {
        "database": {"url": f"sqlite:///{folder / 'second.db'}"},
        "http": dict.fromkeys(("connect_timeout", "read_timeout", "write_read_timeout"), "1s"),
        "notify": [],
        "host_lms": {code: {**host, "api_key": {"env": f"KEY_{code[-1]}"}} for code in CODES},
    }


def keys() -> dict[str, str]:
    return {f"KEY_{code[-1]}": f"KEY-{code}" for code in CODES}


@asynccontextmanager
async def stage(folder: Path, dialects: tuple[Dialect, Dialect, Dialect]) -> AsyncIterator[Stage]:
    clock = FakeClock(START)
    alma = Alma(clock.now)
    for code, dialect in zip(CODES, dialects, strict=True):
        equip(alma.add(code, dialect))
    with alma.served():
        given = Settings.model_validate(settings(alma.url, folder))
        async with App(given, clock, keys()) as app:
            app.prepare_schema()
            yield Stage(alma, clock, app)
