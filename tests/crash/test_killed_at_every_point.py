"""Killed at every point of placing, loan and clean-up, restarted: everything once, nothing left.

A real process, a real SIGKILL, Almas over a socket that show writes 30 seconds late. Only time is
not real: the processes share a clock that moves when one of them waits.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerContext
from pathlib import Path
from typing import Any

import pytest

from reconciler.app import App
from reconciler.core.model import TransactionId
from reconciler.core.status import DcbStatus, HistoryKind
from reconciler.ports.messages import EventType, MessageState
from reconciler.ports.outbox import MessageFilter
from reconciler.sandbox import sample_world, serve
from reconciler.settings import Settings
from tests.crash import child
from tests.crash.child import Job, SharedClock
from tests.support.lab import Book, Lab, acting_settings
from tests.support.world import KEYS

LAG = 30.0
JOURNEY = (
    DcbStatus.RESOLVED,
    DcbStatus.REQUEST_PLACED_AT_SUPPLYING_AGENCY,
    DcbStatus.CONFIRMED,
    DcbStatus.REQUEST_PLACED_AT_BORROWING_AGENCY,
    DcbStatus.PICKUP_TRANSIT,
    DcbStatus.RECEIVED_AT_PICKUP,
    DcbStatus.READY_FOR_PICKUP,
    DcbStatus.LOANED,
    DcbStatus.RETURN_TRANSIT,
    DcbStatus.COMPLETED,
    DcbStatus.FINALISED,
)


def _processes() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["tests.crash.preloaded"])
    return context


def _submit(lab: Lab, book: Book) -> None:
    """Nothing: the request is submitted when the stage is set."""


STAGES: tuple[tuple[str, Callable[[Lab, Book], object]], ...] = (
    ("placing", _submit),
    ("transit", lambda lab, book: lab.lender.scan_in(book.barcode, "MAIN")),
    ("shelf", lambda lab, book: lab.borrower.scan_in(book.barcode, "MAIN")),
    ("loan", lambda lab, book: lab.borrower.loan(book.barcode, book.reader, "MAIN")),
    ("return", lambda lab, book: lab.borrower.return_item(book.barcode, "MAIN")),
    ("clean-up", lambda lab, book: lab.lender.scan_in(book.barcode, "MAIN")),
)
"""What people do, and after each act the service works until all is quiet."""


@dataclass
class Run:
    """One lend. In one of its stages the service is a process that dies at a numbered point."""

    lab: Lab
    book: Book
    processes: ForkServerContext
    clock: SharedClock
    settings: dict[str, Any]
    mutant: str = ""
    problems: list[str] = field(default_factory=list)
    doubled: bool = False

    def killed(self, die_at: int) -> int:
        """A process that works until all is quiet, or dies; how many points it passed (0: died)."""
        passed = self.processes.Value("i", 0)
        job = Job(self.settings, KEYS, self.book.id, die_at, self.mutant)
        process = self.processes.Process(target=child.run, args=(job, self.clock.seconds, passed))
        process.start()
        process.join(60)
        assert process.exitcode in (0, -signal.SIGKILL), f"ended with {process.exitcode}"
        return passed.value if process.exitcode == 0 else 0

    def expect(self, what: str, found: Any, wanted: object) -> None:
        if found != wanted:
            self.problems.append(f"{what}: {found}, not {wanted}")
            counts = found.values() if isinstance(found, Mapping) else (found,)
            self.doubled |= any(isinstance(n, int) and n > 1 for n in counts)

    async def play(self, stage: str, die_at: int) -> int:
        """From `submit` to FINALISED; how many points the stage has (0: the process died)."""
        lab, book, points = self.lab, self.book, 0
        for name, act in STAGES:
            act(lab, book)
            self.clock.advance(120.0)
            if name == stage:
                points = self.killed(die_at)
            await child.work(lab.app, TransactionId(book.id), self.clock)
            self.check(name)
            if self.problems:
                return points
        self.check_record()
        return points

    def check(self, stage: str) -> None:
        lab, book = self.lab, self.book
        if stage == "placing":
            self.expect("placed", lab.counts(book), PLACED)
            self.expect("virtual patrons", lab.virtual_patrons(book), 1)
        elif stage == "loan":
            self.expect("lender's loans", lab.lender_loans(book), 1)
        elif stage == "clean-up":
            self.expect("left behind", lab.counts(book), {})

    def check_record(self) -> None:
        """Every transition once in the history, and once in the outbox, delivered."""
        app = self.lab.app
        entries = app.store.history(TransactionId(self.book.id))
        hops = [each for each in entries if each.kind is HistoryKind.TRANSITION]
        self.expect("path", [each.target for each in hops], list(JOURNEY[1:]))
        told = Counter(
            message.seq
            for message in app.outbox.messages(MessageFilter())
            if message.type == EventType.FIRED and message.state is MessageState.DELIVERED
        )
        self.expect("told", told, Counter(each.seq for each in hops))


PLACED = {"supplier holds": 1, "borrower bibs": 1, "borrower items": 1, "borrower holds": 1}


@asynccontextmanager
async def prepared(folder: Path, mutant: str = "") -> AsyncIterator[Run]:
    processes = _processes()
    clock = SharedClock(processes.Value("d", 0.0))
    sandbox = sample_world(clock)
    with serve(sandbox) as serving:
        settings = acting_settings(serving.base_url, f"sqlite:///{folder / 'lend.db'}")
        settings["http"] = dict.fromkeys(settings["http"], "10s")
        async with App(Settings.model_validate(settings), clock, KEYS) as app:
            app.prepare_schema()
            lab = Lab(sandbox, clock, app)  # type: ignore[arg-type]
            lab.lender.add_user_group("DCB", loan_days=10)  # so that a due date has to be set
            book = lab.wanted()
            await lab.submit(book)
            for code in ("uni-a", "uni-b"):
                sandbox[code].read_lag = LAG
            yield Run(lab, book, processes, clock, settings, mutant)


async def played(
    folder: Path, stage: str = "", die_at: int = 0, mutant: str = ""
) -> tuple[Run, int]:
    folder = folder / f"{stage}-{die_at}"
    folder.mkdir()
    async with prepared(folder, mutant) as run:
        points = await run.play(stage, die_at)
    return run, points


SHARES = 2
WRITES_MOST = ("placing", "loan", "clean-up")
"""Every second point of these in the ordinary run; all points of all stages with `-m long`."""


@pytest.mark.timeout(600)
@pytest.mark.parametrize("share", [0, pytest.param(1, marks=pytest.mark.long)])
@pytest.mark.parametrize(
    "stage",
    [
        pytest.param(name, marks=[] if name in WRITES_MOST else [pytest.mark.long])
        for name, _ in STAGES
    ],
)
async def test_killed_at_every_point(
    stage: str, share: int, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    whole, points = await played(tmp_path, stage)
    assert whole.problems == []
    assert points
    mine = range(1 + share, points + 1, SHARES)
    bad = {}
    for n in mine:
        run, left = await played(tmp_path, stage, n)
        assert left == 0, f"point {n} was never reached"
        if run.problems:
            bad[n] = run.problems
    tell(f"{stage}: {len(mine)} of {points} points, each killed there: everything once")
    assert bad == {}


@pytest.mark.timeout(600)
@pytest.mark.parametrize("mutant", child.MUTANTS)
async def test_the_classic_mistakes_are_caught(
    mutant: str, tmp_path: Path, tell: Callable[[str], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each mistake is harmless until the process dies, and is then found by what it doubles or
    forgets."""
    child.mutate(mutant, monkeypatch)  # the process that is started again makes it, too
    whole, points = await played(tmp_path, "placing", 0, mutant)
    assert whole.problems == [], "the mutant has to work as long as nothing dies"
    for n in sorted(range(1, points + 1), key=lambda n: abs(n - points // 2)):
        run, _ = await played(tmp_path, "placing", n, mutant)
        if run.problems:
            tell(f"{mutant}: caught at point {n} of placing: {run.problems[0]}")
            assert run.doubled or mutant == "two_transactions"
            return
    pytest.fail(f"{mutant} was not caught at any point")
