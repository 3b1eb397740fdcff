"""Real PostgreSQL: whoever locks several rows takes them in one order, and whoever is given up for
another all the same does his work once more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import timedelta

import psycopg
import pytest

from reconciler.core.library.bulk import glanced
from reconciler.core.model import HistoryEntry, HostLmsCode, Intent, Pause, TransactionId
from reconciler.core.status import (
    DcbStatus,
    EffectKind,
    HistoryKind,
    IntentState,
    PauseScope,
    Role,
    Workflow,
)
from reconciler.errors import StoreUnavailable
from reconciler.ports.hints import Swept
from reconciler.ports.leases import Owner
from reconciler.ports.messages import MessageState
from reconciler.ports.outbox import MessageFilter, Try
from reconciler.ports.store import Selection
from reconciler.ports.written import Claim, Entrance, Notice, Settlement
from reconciler.store.database import Database
from reconciler.store.hints import SqlHints
from reconciler.store.leases import SqlLeases
from reconciler.store.outbox import SqlOutbox
from reconciler.store.pauses import SqlPauses
from reconciler.store.quotas import SqlQuotas
from reconciler.store.sql_store import SqlStore
from tests.support.at_once import locking, wait_for_waiting
from tests.support.build import NOW, UNI_A, UNI_B, UNI_C, transaction

ME = Owner("me")
FIRST, SECOND = "1-made-last", "2-made-first"
"""Two of each thing. As they were made, and so where nothing else is said, the second comes first.
"""
HOUR, LEASE = timedelta(hours=1), timedelta(seconds=60)


def said(what: str = "tracked") -> HistoryEntry:
    return HistoryEntry(NOW, HistoryKind.COMMAND, "test", reason="why", detail=what)


@dataclass
class Stage:
    """Two lends of one library, claimed by nobody; two messages; the leases of two libraries."""

    url: str
    database: Database
    store: SqlStore

    def claims(self) -> list[Claim]:
        """Both lends, the second one first."""
        leases = SqlLeases(self.database)
        assert leases.take(leases.all([UNI_A], NOW), ME, NOW)
        found = self.store.claim(Selection(UNI_A, due_only=False), ME, NOW, NOW + LEASE, 10)
        return sorted(found, key=lambda each: each.transaction.id, reverse=True)


@pytest.fixture
def stage(postgres_url: str) -> Iterator[Stage]:
    database = Database(postgres_url)
    store = SqlStore(database)
    for n, id in enumerate((SECOND, FIRST)):
        made = transaction(
            DcbStatus.RETURN_TRANSIT,
            Workflow.STANDARD,
            id=TransactionId(id),
            next_poll_at=NOW + (1 + n) * HOUR,
            unchanged_looks=1,
        )
        intent = Intent(
            f"i-{id}", EffectKind.VIRTUAL_BIB, Role.BORROWER, UNI_B, IntentState.PLANNED, 0
        )
        waiting = replace(intent, next_attempt_at=NOW + HOUR)
        notice = Notice(id, "log", 0, "fired", {"x": 1})
        assert store.add(Entrance(made, said(), intents=(waiting,), notices=(notice,)))
    yield Stage(postgres_url, database, store)
    database.dispose()


# --- one order -------------------------------------------------------------------------

Work = Callable[[], object]


def settling(stage: Stage) -> Work:
    batch = [Settlement(each, each.transaction, (said("look"),)) for each in stage.claims()]
    return lambda: stage.store.settle(batch)


def releasing(stage: Stage) -> Work:
    claims = stage.claims()
    return lambda: stage.store.release(claims)


def rescuing(stage: Stage) -> Work:
    stage.claims()
    return lambda: stage.store.rescue(lambda owner: owner == ME)


def pulling_in(stage: Stage) -> Work:
    return lambda: stage.store.pull_in(NOW, {DcbStatus.RETURN_TRANSIT: HOUR / 2})


def resuming(stage: Stage) -> Work:
    pauses = SqlPauses(stage.database)
    assert pauses.pause(Pause(NOW, "test", "why", PauseScope.ALL))
    return lambda: pauses.resume(None, said("resume"))


def waking(stage: Stage) -> Work:
    return lambda: SqlQuotas(stage.database).wake(UNI_B, NOW)


def recording_what_was_glanced(stage: Stage) -> Work:
    hints = SqlHints(stage.database)
    watches = hints.watches(UNI_A, (UNI_A, UNI_B, UNI_C), NOW + HOUR)
    assert [each.id for each in watches] == [SECOND, FIRST]
    found = tuple(glanced(each, "away", NOW) for each in watches)
    return lambda: hints.record(Swept(UNI_A, NOW, found, {}))


def taking_a_lease(stage: Stage) -> Work:
    """What its last owner had claimed is freed with it."""
    stage.claims()
    leases = SqlLeases(stage.database)
    seen = leases.all([UNI_A], NOW)
    return lambda: leases.take(seen, Owner("other"), NOW)


def giving_a_lease_up(stage: Stage) -> Work:
    stage.claims()
    return lambda: SqlLeases(stage.database).release(ME, [UNI_A], NOW)


LENDS = [
    settling,
    releasing,
    rescuing,
    pulling_in,
    resuming,
    waking,
    recording_what_was_glanced,
    taking_a_lease,
    giving_a_lease_up,
]


@pytest.mark.parametrize("prepare", LENDS)
def test_lends_are_locked_in_the_order_of_their_ids(
    stage: Stage, prepare: Callable[[Stage], Work]
) -> None:
    holds_nothing_later_while_it_waits(stage, prepare(stage), "transactions", "id")


LIBRARIES = (HostLmsCode(SECOND), HostLmsCode(FIRST))


def renewing(leases: SqlLeases) -> Work:
    return lambda: leases.renew(ME, NOW)


def giving_all_up(leases: SqlLeases) -> Work:
    return lambda: leases.release(ME, LIBRARIES, NOW)


def taking_all(leases: SqlLeases) -> Work:
    seen = leases.all(LIBRARIES, NOW)
    return lambda: leases.take(seen, Owner("other"), NOW)


@pytest.mark.parametrize("prepare", [renewing, giving_all_up, taking_all])
def test_leases_are_locked_in_the_order_of_their_libraries(
    stage: Stage, prepare: Callable[[SqlLeases], Work]
) -> None:
    leases = SqlLeases(stage.database)
    for library in LIBRARIES:
        assert leases.take(leases.all([library], NOW), ME, NOW)
    holds_nothing_later_while_it_waits(stage, prepare(leases), "leases", "tenant")


def replaying(outbox: SqlOutbox) -> Work:
    return lambda: outbox.replay(MessageFilter(state=MessageState.PENDING), NOW)


def recording(outbox: SqlOutbox) -> Work:
    claimed = outbox.claim_messages(NOW, NOW + LEASE, 10, ("log",))
    backwards = sorted(claimed, key=lambda each: each.id, reverse=True)
    assert [each.id for each in backwards] == [SECOND, FIRST]
    return lambda: outbox.record([Try(each, each) for each in backwards])


@pytest.mark.parametrize("prepare", [replaying, recording])
def test_messages_are_locked_in_the_order_of_their_ids(
    stage: Stage, prepare: Callable[[SqlOutbox], Work]
) -> None:
    work = prepare(SqlOutbox(stage.database))
    holds_nothing_later_while_it_waits(stage, work, "outbox", "id")


def holds_nothing_later_while_it_waits(stage: Stage, work: Work, table: str, key: str) -> None:
    """While somebody else has the first row, the work waits for that, and has not the second."""
    row = f"SELECT {key} FROM {table} WHERE {key} = %s FOR UPDATE NOWAIT"
    with ThreadPoolExecutor(1) as other:
        with locking(stage.url) as held:
            held.execute(row, [FIRST])
            done = other.submit(work)
            wait_for_waiting(stage.url)
            assert held.execute(row, [SECOND]).fetchone() is not None
        done.result(timeout=10)


# --- given up for another ------------------------------------------------------------------


@pytest.fixture
def patient(stage: Stage) -> Stage:
    """Deadlocks are looked for late: the other one is in it by then."""
    with psycopg.connect(stage.url, autocommit=True) as connection:
        name = connection.info.dbname
        connection.execute(f"ALTER DATABASE \"{name}\" SET deadlock_timeout = '2s'")
    stage.database.dispose()
    return stage


def test_a_settlement_that_is_the_victim_of_a_deadlock_is_made_once_more(patient: Stage) -> None:
    """Another program locks the same rows in another order."""
    work = settling(patient)
    row = "SELECT id FROM transactions WHERE id = %s FOR UPDATE"
    with ThreadPoolExecutor(1) as other, locking(patient.url) as held:
        held.execute(row, [SECOND])
        done = other.submit(work)
        wait_for_waiting(patient.url)
        held.execute(row, [FIRST])  # is given to us once the settlement has given way
        assert not done.done()
        held.commit()
        assert done.result(timeout=10) == [True, True]
    assert [each.detail for each in patient.store.history(TransactionId(FIRST))] == [
        "tracked",
        "look",
    ]


def test_what_could_not_be_serialised_is_made_once_more(stage: Stage) -> None:
    work = settling(stage)
    with psycopg.connect(stage.url, autocommit=True) as connection:
        name = connection.info.dbname
        stricter = "SET default_transaction_isolation = 'repeatable read'"
        connection.execute(f'ALTER DATABASE "{name}" {stricter}')
    stage.database.dispose()
    with ThreadPoolExecutor(1) as other, locking(stage.url) as held:
        held.execute("UPDATE transactions SET next_poll_at = next_poll_at")
        done = other.submit(work)
        wait_for_waiting(stage.url)
        held.commit()
        assert done.result(timeout=10) == [True, True]


def test_who_has_to_give_way_twice_says_so(patient: Stage) -> None:
    work = settling(patient)
    row = "SELECT id FROM transactions WHERE id = %s FOR UPDATE"
    with ThreadPoolExecutor(1) as other, locking(patient.url) as held:
        held.execute(row, [SECOND])
        done = other.submit(work)
        for _ in range(2):
            wait_for_waiting(patient.url)
            held.execute("SAVEPOINT before_the_first")
            held.execute(row, [FIRST])
            held.execute("ROLLBACK TO before_the_first")
        with pytest.raises(StoreUnavailable, match="deadlock"):
            done.result(timeout=10)
