"""A process of the service that kills itself, really, at a numbered point.

A point lies after every commit that changed something and after every write to an Alma. What
lies just before one of them is the same as what lies just after the one before: in between the
process does nothing that anybody else can see. The three classic mistakes are mutants of the
service that a test must be able to catch.
"""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from multiprocessing.sharedctypes import Synchronized
from typing import Any

import httpx
import pytest
from sqlalchemy import Connection, insert

from reconciler import logs
from reconciler.app import App
from reconciler.core.model import TransactionId
from reconciler.core.status import OPEN_INTENTS, IntentState
from reconciler.engine.cycle import CycleOptions
from reconciler.engine.effects import runner
from reconciler.engine.settling import Settler
from reconciler.ports.messages import MessageState
from reconciler.ports.outbox import MessageFilter
from reconciler.ports.written import Settlement
from reconciler.settings import Settings
from reconciler.store import settlements
from reconciler.store.database import Database
from reconciler.store.tables import OUTBOX

START = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
MUTANTS = ("no_intent_row", "no_settle_wait", "two_transactions")


class SharedClock:
    """Time that several processes share; it moves when one of them waits."""

    def __init__(self, seconds: Synchronized[float]) -> None:
        self.seconds = seconds

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds.value)

    def monotonic(self) -> float:
        return 1000.0 + self.seconds.value

    async def sleep(self, seconds: float) -> None:
        self.advance(max(0.0, seconds))
        await asyncio.sleep(0)

    def advance(self, seconds: float) -> None:
        with self.seconds.get_lock():
            self.seconds.value += seconds


@dataclass
class Points:
    """Counts down to the point where this process dies; 0 means never."""

    left: int
    passed: int = 0

    def here(self) -> None:
        self.passed += 1
        if self.left == self.passed:
            os.kill(os.getpid(), signal.SIGKILL)


class Watched(httpx.AsyncBaseTransport):
    """A point after every write, when Alma has answered and we have not yet read it."""

    def __init__(self, points: Points) -> None:
        self._inner = httpx.AsyncHTTPTransport(verify=False)  # no TLS: no certificates to load
        self._points = points

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        if request.method == "GET":
            return await self._inner.handle_async_request(request)
        response = await self._inner.handle_async_request(request)
        await response.aread()
        self._points.here()
        return response

    async def aclose(self) -> None:
        await self._inner.aclose()


@dataclass(frozen=True)
class Job:
    """What one process does: work on one transaction until all is quiet, or die."""

    settings: dict[str, Any]
    environ: dict[str, str]
    id: str
    die_at: int = 0
    mutant: str = ""


def run(job: Job, seconds: Synchronized[float], passed: Synchronized[int]) -> None:
    """The body of the process; says how many points it passed."""
    logs.set_up("CRITICAL", "text")
    points = Points(job.die_at)
    _watch_commits(points)
    if job.mutant:
        mutate(job.mutant, pytest.MonkeyPatch())
    asyncio.run(_work(job, SharedClock(seconds), points))
    passed.value = points.passed


async def _work(job: Job, clock: SharedClock, points: Points) -> None:
    settings = Settings.model_validate(job.settings)
    transports = {code: Watched(points) for code in ("uni-a", "uni-b", "uni-c")}
    async with App(settings, clock, job.environ, dict(transports)) as app:
        await work(app, TransactionId(job.id), clock)


async def work(app: App, id: TransactionId, clock: SharedClock) -> None:
    """Cycles until nothing of this transaction is to be done, settled or delivered soon."""
    ends = clock.now() + timedelta(hours=8)
    await app.cycle(CycleOptions(everything=True))
    while clock.now() < ends and (wait := _busy_until(app, id, clock.now())):
        clock.advance(max((wait - clock.now()).total_seconds(), 1.0))
        await app.cycle(CycleOptions())


def _busy_until(app: App, id: TransactionId, now: datetime) -> datetime | None:
    """When something is to be done next; None when all is quiet."""
    transaction = app.store.get(id)
    pending = app.outbox.messages(MessageFilter(state=MessageState.PENDING))
    held = [message.next_attempt_at for message in pending if message.next_attempt_at]
    looked_at = transaction.next_poll_at
    if looked_at is None or transaction.parked:
        return min(held, default=None)
    busy = any(intent.state in OPEN_INTENTS for intent in transaction.intents)
    soon = looked_at < now + timedelta(minutes=20)
    return min([looked_at, *held]) if busy or soon or held else None


def _watch_commits(points: Points) -> None:
    write = Database.write

    @contextmanager
    def watched(self: Database) -> Iterator[Connection]:
        with write(self) as connection:
            before = _changes(connection)
            yield connection
            writes = _changes(connection) > before
        if writes:
            points.here()

    Database.write = watched  # type: ignore[method-assign]


def _changes(connection: Connection) -> int:
    driver: Any = connection.connection.driver_connection
    changes: int = driver.total_changes
    return changes


def mutate(mutant: str, patch: pytest.MonkeyPatch) -> None:
    """Make one of the classic mistakes, until the patch is undone."""
    if mutant == "no_intent_row":
        settle_all = Settler.settle

        async def forgetful(self: Any, settlement: Settlement) -> bool:
            goes_out = any(each.state is IntentState.SENT for each in settlement.changed)
            return await settle_all(
                self, replace(settlement, changed=()) if goes_out else settlement
            )

        patch.setattr(Settler, "settle", forgetful)
    elif mutant == "no_settle_wait":
        after_a_crash, nothing = runner._after_a_crash, timedelta(0)
        patch.setattr(runner, "_after_a_crash", lambda intent, _: after_a_crash(intent, nothing))
    elif mutant == "two_transactions":
        settle = settlements.settle
        late: list[tuple[Settlement, int]] = []

        def split(connection: Connection, batch: Any) -> list[bool]:
            bare = [replace(each, notices=()) for each in batch]
            done = settle(connection, bare)
            for each, ok in zip(batch, done, strict=True):
                if ok and each.notices:
                    firsts = settlements._first_rows(connection, [each])
                    late.append((each, firsts[each.after.id]))
            return done

        patch.setattr(settlements, "settle", split)
        write = Database.write

        @contextmanager
        def twice(self: Database) -> Iterator[Connection]:
            with write(self) as connection:
                yield connection
            if late:
                waiting, late[:] = list(late), []
                with write(self) as connection:
                    for each, first in waiting:
                        at = each.history[0].at
                        notices = settlements.notice_rows(each.after.id, each.notices, first, at)
                        rows = [*notices]
                        connection.execute(insert(OUTBOX), rows)

        patch.setattr(Database, "write", twice)
    else:
        raise ValueError(mutant)
