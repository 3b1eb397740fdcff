"""A month of standard lends between two Almas, with staff who keep hours, on a virtual clock.

Ours: the App polls the sandbox over ASGI; every call is in the sandbox's log. The peer's plan is
laid over the very same events: its interval by status on its 5-minute tick, three calls for each
Alma role and look, its calls outside of polling as counted (lessons.md E.1, E.2).
"""

from __future__ import annotations

import heapq
import random
import statistics
import sys
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, time, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory

from reconciler.core.library.hours import Hours
from reconciler.core.status import DcbStatus
from reconciler.engine.cycle import CycleOptions
from tests.bench.served import memory
from tests.support.lab import START, Book, Lab, lab

LENDS, WITHOUT_HOURS, FULL = 24, 60, 1000
SEED = 20261125
AIM = 150
OPEN = {"Mon-Fri": "09:00-19:00", "Sat": "10:00-14:00"}
HOURS = Hours((*((time(9), time(19)),) * 5, (time(10), time(14)), None), UTC)
LOAN_PERIOD = timedelta(days=21)
TICK = timedelta(seconds=10)

STEPS = ("sent", "shelved", "lent", "returned", "home")
SEEN_AS = {
    "sent": DcbStatus.PICKUP_TRANSIT,
    "shelved": DcbStatus.READY_FOR_PICKUP,
    "lent": DcbStatus.LOANED,
    "returned": DcbStatus.RETURN_TRANSIT,
    "home": DcbStatus.COMPLETED,
}
PEER_INTERVAL = {  # effective, with its tick (lessons.md E.1)
    "sent": timedelta(minutes=65),
    "shelved": timedelta(minutes=65),
    "lent": timedelta(minutes=65),
    "returned": timedelta(minutes=365),
    "home": timedelta(minutes=65),
}
PEER_ROLES, PEER_CALLS_A_ROLE, PEER_OTHER_CALLS = 2, 3, 32


@dataclass
class Story:
    """One lend: when its staff act, and when that was noticed."""

    book: Book
    begins_at: datetime
    acted_at: dict[str, datetime] = field(default_factory=dict)
    noticed_at: dict[str, datetime] = field(default_factory=dict)


async def measure() -> list[str]:
    lends = FULL if "--full" in sys.argv else LENDS
    lines = []
    for name, hours in (("desks' hours set", OPEN), ("hours not set", None)):
        lines += await _play(lends if hours else WITHOUT_HOURS, name, hours)
    return lines


async def _play(lends: int, name: str, hours: dict[str, str] | None) -> list[str]:
    chance = random.Random(SEED)
    with TemporaryDirectory(prefix="reconciler-bench-", dir=memory()) as folder:
        settings = {"open_hours": hours, "settle": "60s", "calls_per_second": 24}
        async with lab(Path(folder), socket=False, **settings) as stage:
            stories = await Month(stage, chance, lends).play()
            calls = Counter(
                "sweep" if call.method == "GET" and "p_avail" in str(call.query) else call.method
                for call in stage.sandbox.calls
            )
            refused = sum(call.status == 429 for call in stage.sandbox.calls)
    return _told(name, stories, calls, refused)


class Month:
    """Plays the lends' events in their order, and the service's cycles between them."""

    def __init__(self, stage: Lab, chance: random.Random, lends: int) -> None:
        self.stage = stage
        self.chance = chance
        self.lends = lends
        self.agenda: list[tuple[datetime, int, Callable[[], None]]] = []
        self.stories: list[Story] = []
        self.n = 0

    async def play(self) -> list[Story]:
        for _ in range(self.lends):
            begins = START + timedelta(days=self.chance.uniform(0, 7))
            book = self.stage.wanted()
            self.stories.append(
                Story(
                    book,
                    HOURS.stretch_at(begins).opens_at.replace()
                    if begins < HOURS.stretch_at(begins).opens_at
                    else begins,
                )
            )
        waiting = sorted(self.stories, key=lambda each: each.begins_at)
        while waiting or self.agenda or self._unfinished():
            now = self.stage.clock.now()
            while waiting and waiting[0].begins_at <= now:
                story = waiting.pop(0)
                await self.stage.submit(story.book)
                self._later("sent", story, now)
            while self.agenda and self.agenda[0][0] <= now:
                heapq.heappop(self.agenda)[2]()
            await self.stage.app.cycle(CycleOptions())
            self._notice()
            self._leap(waiting)
        return self.stories

    # --- staff ---------------------------------------------------------------

    def _later(self, step: str, story: Story, since: datetime) -> None:
        """Staff do the next step after its time, when the desk is open."""
        at = self._when_open(since + self._takes(step))
        self.n += 1
        heapq.heappush(self.agenda, (at, self.n, lambda: self._act(step, story)))

    def _takes(self, step: str) -> timedelta:
        days = {
            "sent": lambda: self.chance.lognormvariate(-0.1, 0.5),
            "shelved": lambda: max(0.5, self.chance.gauss(2, 0.7)),
            "lent": lambda: self.chance.lognormvariate(0.9, 0.6),
            "returned": self._loan_lasts,
            "home": lambda: max(0.5, self.chance.gauss(3, 1)),
        }
        return timedelta(days=days[step]())

    def _loan_lasts(self) -> float:
        """Most come back about when they are due; some readers are quick, some are late."""
        kind = self.chance.random()
        if kind < 0.25:
            return self.chance.uniform(1, 18)
        if kind < 0.85:
            return self.chance.gauss(20, 2)
        return self.chance.uniform(21, 30)

    def _when_open(self, at: datetime) -> datetime:
        """At an hour of that day's or the next open stretch, never before `at`."""
        stretch = HOURS.stretch_at(at)
        if stretch.opens_at <= at:
            return at
        share = self.chance.random()
        return stretch.opens_at + share * (stretch.closes_at - stretch.opens_at)

    def _act(self, step: str, story: Story) -> None:
        stage, book = self.stage, story.book
        before = STEPS[STEPS.index(step) - 1] if step != "sent" else None
        story.acted_at[step] = now = stage.clock.now()
        if step == "sent":
            stage.lender.scan_in(book.barcode, "MAIN")
        elif step == "shelved":
            stage.borrower.scan_in(book.barcode, "MAIN")
        elif step == "lent":
            due = now + LOAN_PERIOD
            stage.borrower.loan(book.barcode, book.reader, "MAIN", due=due, override=True)
        elif step == "returned":
            stage.borrower.return_item(book.barcode, "MAIN")
        else:
            stage.lender.scan_in(book.barcode, "MAIN")
        assert before is None or before in story.acted_at
        if step != STEPS[-1]:
            self._later(STEPS[STEPS.index(step) + 1], story, now)

    # --- the service ---------------------------------------------------------

    def _notice(self) -> None:
        report = self._last_hops()
        for story in self.stories:
            for target, at in report.get(story.book.id, ()):
                for step, status in SEEN_AS.items():
                    if target is status and step in story.acted_at:
                        story.noticed_at.setdefault(step, at)

    def _last_hops(self) -> dict[str, list[tuple[DcbStatus, datetime]]]:
        found: dict[str, list[tuple[DcbStatus, datetime]]] = defaultdict(list)
        with self.stage.app.database.read() as connection:
            rows = connection.exec_driver_sql(
                "SELECT transaction_id, to_status, at FROM history WHERE kind = 'transition'"
                " AND rowid > ?",
                (self._read_up_to,),
            ).all()
            self._read_up_to = connection.exec_driver_sql(
                "SELECT coalesce(max(rowid), 0) FROM history"
            ).scalar()
        for id, status, at in rows:
            instant = datetime.fromisoformat(str(at)).replace(tzinfo=UTC)
            found[id].append((DcbStatus(status), instant))
        return found

    _read_up_to = 0

    def _unfinished(self) -> bool:
        return any("home" not in story.noticed_at for story in self.stories) or bool(self._next())

    def _next(self) -> datetime | None:
        with self.stage.app.database.read() as connection:
            at = connection.exec_driver_sql(
                "SELECT min(next_poll_at) FROM transactions WHERE next_poll_at IS NOT NULL"
            ).scalar()
        return datetime.fromisoformat(str(at)).replace(tzinfo=UTC) if at else None

    def _next_sweep(self) -> datetime | None:
        with self.stage.app.database.read() as connection:
            at = connection.exec_driver_sql("SELECT min(sweep_at) FROM tenants").scalar()
        return datetime.fromisoformat(str(at)).replace(tzinfo=UTC) if at else None

    def _leap(self, waiting: list[Story]) -> None:
        """To the next thing that happens: an act, a request, or a look that is due."""
        now = self.stage.clock.now()
        ahead = [each for each in (self._next(), self._next_sweep()) if each]
        ahead += [waiting[0].begins_at] if waiting else []
        ahead += [self.agenda[0][0]] if self.agenda else []
        if ahead:
            self.stage.clock.advance(max(min(ahead) - now, TICK))


def _told(name: str, stories: list[Story], calls: Counter[str], refused: int) -> list[str]:
    per_lend = calls.total() / len(stories)
    looks = [_peer_looks(story) for story in stories]
    peer = statistics.mean(looks) * PEER_ROLES * PEER_CALLS_A_ROLE + PEER_OTHER_CALLS
    writes = calls.total() - calls["GET"] - calls["sweep"]
    lines = [
        f"month, {name}: Alma calls for a lend: {per_lend:.0f} (aim {AIM}), by the peer's plan "
        f"{peer:.0f}; {len(stories)} lends, seed {SEED}, {refused} answers 429",
        f"  writes {writes / len(stories):.1f}, reads {calls['GET'] / len(stories):.1f}, sweeps "
        f"{calls['sweep'] / len(stories):.1f} for a lend; staff keep {OPEN}, UTC",
        "  mean lag by step      ours      the peer's plan",
    ]
    for step in STEPS:
        ours = statistics.mean(
            (story.noticed_at[step] - story.acted_at[step]).total_seconds() for story in stories
        )
        theirs = PEER_INTERVAL[step].total_seconds() / 2
        lines.append(f"    {step:<10} {ours / 60:13.1f} min {theirs / 60:11.1f} min")
    return lines


def _peer_looks(story: Story) -> float:
    """How often the peer looks at this lend: each wait divided by its interval."""
    looks, since = 0.0, story.begins_at
    for step in STEPS:
        looks += (story.acted_at[step] - since) / PEER_INTERVAL[step]
        since = story.acted_at[step]
    return looks
