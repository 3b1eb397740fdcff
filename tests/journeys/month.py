"""A month in a consortium of three Almas and a library without one, on a clock that jumps.

People's lives and the service's looks are events of one queue, in the order of their times, in
one event loop: the same seed plays the same month. The service is the real App with a real
database; the store's calls run inside the loop, so that no thread's luck decides what comes next.
"""

from __future__ import annotations

import asyncio
import heapq
import itertools
import json
import random
import sqlite3
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from math import inf
from pathlib import Path
from typing import Any

import reconciler.app as composition
from reconciler.app import App
from reconciler.core.commands.command import Command, Order
from reconciler.core.model import Transaction, TransactionId
from reconciler.core.staff.parking import ParkReason
from reconciler.core.status import TERMINAL, DcbStatus, Resource, Role, Workflow
from reconciler.engine import cycle
from reconciler.engine.cycle import CycleOptions
from reconciler.engine.desk import Statement
from reconciler.engine.settling import as_written
from reconciler.engine.storage import Storage
from reconciler.ports.reports import Filter
from reconciler.ports.store import Store
from reconciler.ports.written import Settlement
from reconciler.sandbox import Institution, Sandbox, sample_world
from reconciler.settings import Settings
from tests.journeys import people
from tests.journeys.book import IN_PLACE_ALL_ALONG, UNTOLD, Book, Event, Where
from tests.journeys.chance import Chance
from tests.journeys.desks import AlmaDesk, Desk, ExternalDesk
from tests.journeys.plans import EXTERNAL, OF_THE_READER, Oddity, Plan, draw, draw_oddities
from tests.journeys.ways import Life
from tests.journeys.weather import Death, Line, Weather
from tests.support.clock import FakeClock
from tests.support.lab import acting_settings
from tests.support.world import KEYS

START = datetime(2026, 3, 2, 7, 0, tzinfo=UTC)
MONTH = timedelta(days=30)
ROUNDS = 6
RETRIES_BY_HAND = 2
HOME_IS_SEEN_WITHIN = timedelta(days=1)
LOOKS_UNTIL_QUIET = 5
COMPARED_EVERY = 16
REQUESTS_WITHIN = timedelta(days=20)
READERS = 60
RETENTION = timedelta(days=7)
FORGETTING = ("new", "lean")
"""The styles of Alma whose nightly job runs in these months; any would do."""
PERSON = "staff"

Happening = Callable[[], Any]


class InlineStorage(Storage):
    """Store calls within the loop: a dead process makes none.

    Now and then what a process believes to have written is compared with what stands there.
    """

    def __init__(self, death: Death) -> None:
        super().__init__()
        self._death = death
        self._settlements = 0

    async def run(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        if self._death.came.is_set():
            raise asyncio.CancelledError
        answer = call(*args, **kwargs)
        if call.__name__ == "settle":
            for settlement, is_written in zip(args[0], answer, strict=True):
                self._settlements += 1
                if is_written and self._settlements % COMPARED_EVERY == 0:
                    compare(call.__self__, settlement)
        return answer


def compare(store: Store, settlement: Settlement) -> None:
    believed, stored = as_written(settlement), store.get(settlement.before.id)
    told, kept = (
        replace(each, intents=tuple(replace(intent, asked_by=0) for intent in each.intents))
        for each in (believed, stored)
    )
    assert told == kept, f"written: {kept}\nbelieved: {told}"


class Month:
    def __init__(self, seed: int, number: int, journeys: int, folder: Path) -> None:
        self.seed, self.number = seed, number
        self.chance = Chance(seed, number, "month")
        self.clock = FakeClock(START)
        self.sandbox = self._world()
        self.almas: dict[str, Institution] = {**self.sandbox.institutions}
        self.weather = Weather(Chance(seed, number, "weather"), read=0.0, write=0.0)
        self.sandbox.faults = self.weather  # type: ignore[assignment]
        self.deaths = 0
        self.cycles = 0
        self.counts: Counter[str] = Counter()
        self._ids = random.Random(f"{seed}:{number}:ids")
        self._events: list[tuple[datetime, int, Happening]] = []
        self._order = itertools.count()
        self._copies = itertools.count()
        self._lives = 0
        self.closing = False
        self._file = folder / "month.db"
        self._settings = self._draw_settings()
        self._luck: dict[int, Chance] = {}
        self._odds: dict[int, Chance] = {}
        self.books = [self._book(n) for n in range(journeys)]
        self.desks: dict[str, Desk] = {
            **{code: AlmaDesk(alma) for code, alma in self.almas.items()},
            EXTERNAL: ExternalDesk(EXTERNAL, self.tell, self.status, self.chance),
        }
        self.death = Death()
        self.app = self._process()

    # --- what the month is like ------------------------------------------------

    def _world(self) -> Sandbox:
        return sample_world(self.clock, self.clock.sleep)

    def _draw_plan(self, luck: Chance) -> Plan:
        return draw(luck, REQUESTS_WITHIN)

    def _draw_oddities(self, odds: Chance) -> frozenset[Oddity]:
        return draw_oddities(odds)

    def _draw_settings(self) -> Settings:
        """Settings and Almas that differ from month to month, as libraries do."""
        chance = self.chance
        given = acting_settings("http://alma", f"sqlite:///{self._file}")
        given["notify"] = []
        slow = chance.one_of((0.6, 1.0, 1.6))
        hours = {DcbStatus.LOANED: 40, DcbStatus.RETURN_TRANSIT: 20, DcbStatus.PICKUP_TRANSIT: 20}
        given["polling"] = {
            "cadence": {
                status.value: f"{int(hours.get(status, 14) * slow)}h"
                for status in DcbStatus
                if status not in TERMINAL and status is not DcbStatus.RESOLVED
            }
        }
        self._draw_dialects()
        self.fault_rates = chance.one_of(((0.0, 0.0), (0.01, 0.02), (0.03, 0.06)))
        return Settings.model_validate(given)

    def _draw_dialects(self) -> None:
        chance = self.chance
        lag = chance.one_of((0.0, 0.0, 20.0, 45.0))
        for alma in self.almas.values():
            alma.read_lag = lag
            alma.dialect.update(
                style=chance.one_of(("new", "old", "label", "lean")),
                error_shape=chance.one_of(("list", "no_result", "object", "wrapped")),
                fresh_hold=chance.by_weight({"in_process": 0.8, "not_started": 0.2}),
                cancelled_on_shelf=chance.one_of(("moves", "stays")),
                loan_closes_request=chance.by_weight({"at_loan": 0.8, "at_return": 0.2}),
                cancelled_request=chance.one_of(("history", "not_found")),
                fulfilled_request=chance.one_of(("history", "not_found")),
                past_end=chance.one_of(("no_key", "empty_list", "60217")),
            )

    def luck(self, book: Book) -> Chance:
        return self._luck[book.n]

    def odds(self, book: Book) -> Chance:
        """The luck of what people do beside: a stream of its own, so that it shifts no other."""
        return self._odds[book.n]

    def _book(self, n: int) -> Book:
        luck = self._luck[n] = Chance(self.seed, self.number, n)
        odds = self._odds[n] = Chance(self.seed, self.number, n, "odd")
        plan = replace(self._draw_plan(luck), oddities=self._draw_oddities(odds))
        shared = plan.mischief not in OF_THE_READER
        k = int(luck.between(0, READERS)) if shared else READERS + n
        card = f"R0{[*self.almas, EXTERNAL].index(plan.home) + 1}{k:03d}"
        made = Book(n, plan, f"j{self.number}-{n}", f"T{n:05d}", card, f"reader-{plan.home}-{k}")
        if plan.home in self.almas:
            home = self.almas[plan.home]
            if home.users.find("value", card.casefold()) == []:
                home.add_user(made.reader, barcodes=[card])
        if plan.lender in self.almas:
            made.pid = (
                self.almas[plan.lender].add_book(f"Book {n}", made.barcode, "MAIN", "STACKS").pid
            )
        return made

    @property
    def ends(self) -> datetime:
        """Later than anything that happens in the month and at its close."""
        return START + 12 * MONTH

    # --- the service -----------------------------------------------------------

    def _process(self) -> App:
        """A new process on the same database."""
        self.death = Death()
        line = Line(self.sandbox, self.weather, self.death, self.clock)
        app = App(self._settings, self.clock, KEYS, dict.fromkeys(self.almas, line))
        app.__dict__["storage"] = InlineStorage(self.death)
        return app

    async def submit(self, book: Book) -> None:
        report = await self._survive(
            self.app.submit([json.dumps(self._line(book)).encode()], PERSON)
        )
        if report is None:
            return
        book.placed = bool(report.accepted or report.known)
        book.refusal = report.refused[0].code or "" if report.refused else ""

    async def ask_next(self, book: Book, other: Book) -> None:
        """The same request of another lender, who has the book from then on if it is taken."""
        report = await self._survive(
            self.app.submit([json.dumps(self._line(other)).encode()], PERSON)
        )
        if report is None:
            return
        book.refusal = report.refused[0].code or "" if report.refused else ""
        if report.accepted or report.known:
            book.took("asked of the next lender")
            book.goes_to_next_lender(other)

    def another_copy(self, book: Book, plan: Plan) -> Book:
        """A copy of the book at the lender of another plan."""
        barcode = f"N{next(self._copies):05d}"
        copy = self.almas[plan.lender].add_book(f"Book {book.n}", barcode, "MAIN", "STACKS")
        return replace(book, plan=plan, pid=copy.pid, barcode=barcode)

    def _line(self, book: Book) -> dict[str, Any]:
        plan = book.plan
        item = {"host_lms": plan.lender, "mms_id": "m", "holding_id": "h", "item_pid": book.barcode}
        if book.pid:
            row = self.almas[plan.lender].items.get(book.pid)
            assert row is not None
            item |= {"mms_id": row.mms_id, "holding_id": row.holding_id, "item_pid": row.pid}
        reader = {"host_lms": plan.home, "user_id": book.reader, "barcodes": [book.card]}
        return {
            "id": book.id,
            "patron": reader,
            "item": {**item, "barcode": book.barcode, "title": f"Book {book.n}"},
            "pickup": {"host_lms": plan.pickup, "library": "MAIN"},
        }

    async def look(self, *, everything: bool = False) -> None:
        """One cycle of the service, which may be its last."""
        self.cycles += 1
        await self._survive(self.app.cycle(CycleOptions(everything=everything)))

    async def _survive(self, work: Any) -> Any:
        """What the work gives; None when the process died over it, and another took its place."""
        task = asyncio.ensure_future(work)
        end = asyncio.ensure_future(self.death.came.wait())
        await asyncio.wait({task, end}, return_when=asyncio.FIRST_COMPLETED)
        if task.done() and not self.death.came.is_set():
            end.cancel()
            return task.result()
        others = asyncio.all_tasks() - {asyncio.current_task()}
        for each in others:
            each.cancel()
        await asyncio.gather(*others, return_exceptions=True)
        self.app.database.dispose()
        self.deaths += 1
        self.app = self._process()
        return None

    def stored(self, book: Book) -> Transaction:
        return self.app.store.get(TransactionId(book.id))

    def status(self, book: Book) -> DcbStatus:
        """Read past the store, which loads a whole transaction: people ask for it all the time."""
        asked = "SELECT status FROM transactions WHERE id = ?"
        return DcbStatus(self._rows.execute(asked, (book.id,)).fetchone()[0])

    def tell(self, book: Book, role: Role, words: dict[Resource, str]) -> None:
        """What people of an external library say."""
        self.app.desk.evidence(TransactionId(book.id), Statement(role, words, "seen"), PERSON)

    # --- time ------------------------------------------------------------------

    def now(self) -> datetime:
        return self.clock.now()

    def desk(self, code: str) -> Desk:
        return self.desks[code]

    def begin(self, life: Life) -> None:
        """Let a life go on from now."""
        self._lives += 1
        self._after(timedelta(0), lambda: self._live(life))

    def _after(self, wait: timedelta, what: Happening) -> None:
        heapq.heappush(self._events, (self.now() + wait, next(self._order), what))

    async def _live(self, life: Life) -> None:
        for step in life:
            if isinstance(step, timedelta):
                self._after(step, lambda: self._live(life))
                return
            await step
        self._lives -= 1

    async def _next(self) -> None:
        at, _, what = heapq.heappop(self._events)
        await self._reach(at)
        await what()

    async def _reach(self, at: datetime) -> None:
        """Let the time come."""
        if at > self.now():
            self.clock.advance(at - self.now())

    def is_at_rest(self, book: Book) -> bool:
        """Whether nobody has a reason to touch the book, as far as staff can see."""
        if book.plan.workflow is Workflow.LOCAL:
            return True
        if book.where is Where.LOST:
            return not book.plan.found_again
        if book.where is not Where.SHELF or self.desk(book.plan.lender).wants(book):
            return False
        return self.closing or self.status(book) in TERMINAL

    # --- the month -------------------------------------------------------------

    async def play(self) -> None:
        """Thirty days, then an end: faults stop and staff finish what they have to do."""
        made, long_look = composition.new_id, cycle.LONG_LOOK
        composition.new_id = self._new_id
        cycle.LONG_LOOK = inf  # real seconds: a slow machine must not play another month
        try:
            self.app = self._process()
            self.app.prepare_schema()
            self._rows = sqlite3.connect(self._file, isolation_level=None)
            for book in self.books:
                self.begin(people.life(self, book))
            self._after(timedelta(0), self._looks)
            self._after(timedelta(0), self._storms)
            self._after(timedelta(hours=16), self._nights)
            while self.now() < START + MONTH:
                await self._next()
            await self._close()
        finally:
            composition.new_id, cycle.LONG_LOOK = made, long_look
            await self.app.__aexit__()
            self._rows.close()

    def _new_id(self) -> str:
        return str(uuid.UUID(int=self._ids.getrandbits(128), version=4))

    async def _looks(self) -> None:
        """The service looks, after minutes or after days; some of its processes die of it."""
        chance = self.chance
        if chance.odds(0.03):
            self.death.at_call = int(chance.between(1, 60))
            self.death.after = chance.odds(0.5)
        await self.look()
        if self.closing:
            return
        kind = chance.by_weight({"soon": 0.3, "hours": 0.52, "day": 0.14, "days": 0.04})
        gap = {
            "soon": chance.minutes(1, 40),
            "hours": chance.hours(0.7, 6),
            "day": chance.hours(8, 26),
            "days": chance.days(1.2, 4),
        }[kind]
        self._after(gap, self._looks)

    async def _storms(self) -> None:
        """Fair weather and foul: now and then everything fails for hours."""
        if self.closing:
            return
        stormy = self.fault_rates[0] > 0 and self.chance.odds(0.12)
        self.weather.read, self.weather.write = (0.3, 0.3) if stormy else self.fault_rates
        self.weather.unreachable = 0.3 if stormy else 0.0
        self._after(self.chance.hours(2, 40), self._storms)

    async def _nights(self) -> None:
        """In some libraries the users of what has long been over are forgotten every night."""
        for alma in self.almas.values():
            if alma.dialect.style in FORGETTING:
                alma.anonymise(RETENTION)
        if not self.closing:
            self._after(timedelta(days=1), self._nights)

    async def _close(self) -> None:
        """Everybody finishes; the service goes on looking until it is quiet.

        Staff also ask for a look at everything, as they do for what `report stuck` shows them.
        """
        self.closing = True
        self.weather.clear_up()
        for _ in range(ROUNDS):
            await self._finish_lives()
            for n in range(LOOKS_UNTIL_QUIET):
                await self._reach(self.now() + timedelta(hours=13))
                await self.look(everything=n % 2 == 0)
                await self._see_to_what_waits()
            unfinished = [book for book in self.books if self._is_unfinished(book)]
            if not unfinished:
                return
            for book in unfinished:
                self.begin(people.the_book(self, book))

    async def _see_to_what_waits(self) -> None:
        """Staff take up what is parked, once its cause is gone; what no retry cures they close."""
        books = {book.id: book for book in self.books if book.where is not Where.LOST}
        for transaction in self.app.store.find(Filter(parked=True)):
            book = books.get(transaction.id)
            if book is None or transaction.parked is None:
                continue
            if transaction.parked.reason == ParkReason.END_UNTOLD:
                await self._close_untold(book)
                continue
            cured = people.can_cure(self, book, transaction.parked.reason)
            again = cured and (book.seen_to < RETRIES_BY_HAND or not self._is_long_home(book))
            await self.by_hand(book, Command.RETRY if again else Command.CLOSE)
        for status in (DcbStatus.AWAITING_RETURN_TO_SUPPLIER, DcbStatus.RETURN_TRANSIT):
            for transaction in self.app.store.find(Filter(status)):
                book = books.get(transaction.id)
                told = any("reconciler close" in each.because for each in transaction.considered)
                if book is not None and book.is_home and told:
                    book.took(IN_PLACE_ALL_ALONG)
                    await self.by_hand(book, Command.CLOSE)

    def _is_long_home(self, book: Book) -> bool:
        """A book that just came home is left to the service, which has to see it there twice."""
        came = book.last.get(Event.HOME)
        return book.is_home and (came is None or self.now() - came > HOME_IS_SEEN_WITHIN)

    async def _close_untold(self, book: Book) -> None:
        """No retry tells what Alma has forgotten: it is closed if the reader has not the book."""
        if book.where is not Where.READER:
            book.took(UNTOLD)
            await self.by_hand(book, Command.CLOSE)

    async def by_hand(self, book: Book, command: Command) -> None:
        book.seen_to += 1
        book.took(f"{command} by hand")
        if self.death.came.is_set():
            return
        order = Order(command, PERSON, "seen to", self.now())
        await self.app.hands.carry_out(order, [TransactionId(book.id)])

    def _is_unfinished(self, book: Book) -> bool:
        """Whether people still have to do something that they can see."""
        return book.placed and not book.in_hands and not self.is_at_rest(book)

    async def _finish_lives(self) -> None:
        ends = self.now() + 2 * MONTH  # lost, found again and renewed twice, a book is long away
        while self._lives and self.now() < ends:
            self._after(timedelta(hours=12), self.look)
            then = self.now() + timedelta(hours=12)
            while self._events and self._events[0][0] <= then:
                await self._next()
            await self._see_to_what_waits()
