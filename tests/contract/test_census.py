"""What is counted of a database, on both kinds."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text

from reconciler.core.model import (
    HistoryEntry,
    HostLmsCode,
    Intent,
    Parked,
    Pause,
    TransactionId,
)
from reconciler.core.status import DcbStatus, EffectKind, HistoryKind, IntentState, PauseScope, Role
from reconciler.errors import StoreUnavailable
from reconciler.ports.reports import Filter, HealthCount, TransactionHealth, Waiting
from reconciler.ports.written import Entrance
from reconciler.store.census import census
from reconciler.store.database import Database
from reconciler.store.pauses import SqlPauses
from reconciler.store.sql_store import SqlStore
from tests.support.build import NOW, UNI_A, UNI_B, transaction

HOUR = timedelta(hours=1)
LOANED, FINALISED = DcbStatus.LOANED, DcbStatus.FINALISED


def add(store: SqlStore, id: str, status: DcbStatus = LOANED, **changes: object) -> None:
    intents = changes.pop("intents", ())
    made = replace(transaction(status), id=TransactionId(id), **changes)  # type: ignore[arg-type]
    entry = HistoryEntry(NOW, HistoryKind.COMMAND, "test", detail="tracked")
    assert store.add(Entrance(made, entry, intents=intents))  # type: ignore[arg-type]


def intent(n: int, state: IntentState, host: HostLmsCode = UNI_A) -> Intent:
    kinds = (EffectKind.SUPPLIER_HOLD, EffectKind.SUPPLIER_LOAN, EffectKind.VIRTUAL_PATRON)
    return Intent(f"i{n}", kinds[n % 3], Role.SUPPLIER, host, state, asked_by=0)


def test_an_empty_database_counts_nothing(database: Database) -> None:
    found = census(database, NOW)
    assert (found.standing, found.due, found.ambiguous, found.outbox) == ((), {}, {}, {})


def test_live_transactions_by_tenant_status_and_health(database: Database, store: SqlStore) -> None:
    add(store, "t-1")
    add(store, "t-2")
    add(store, "t-3", parked=Parked("item_lost", "at the supplier", NOW), failures=1)
    add(store, "t-4", failures=2)
    add(store, "t-5", tenant=UNI_B)
    add(store, "t-6", FINALISED, next_poll_at=None)
    add(store, "t-7")
    entry = HistoryEntry(NOW, HistoryKind.COMMAND, "test")
    SqlPauses(database).pause_transaction(TransactionId("t-7"), Pause(NOW, "test", "x"), entry)
    assert set(census(database, NOW).standing) == {
        HealthCount(UNI_A, LOANED, TransactionHealth.HEALTHY, 2),
        HealthCount(UNI_A, LOANED, TransactionHealth.PARKED, 1),
        HealthCount(UNI_A, LOANED, TransactionHealth.FAILING, 1),
        HealthCount(UNI_B, LOANED, TransactionHealth.HEALTHY, 1),
        HealthCount(UNI_A, LOANED, TransactionHealth.PAUSED, 1),
    }


def test_what_is_due_and_since_when(database: Database, store: SqlStore) -> None:
    add(store, "t-1", next_poll_at=NOW - 3 * HOUR)
    add(store, "t-2", next_poll_at=NOW - HOUR)
    add(store, "t-3", next_poll_at=NOW + HOUR)
    add(store, "t-4", next_poll_at=NOW + HOUR, tenant=UNI_B)
    assert census(database, NOW).due == {UNI_A: Waiting(2, NOW - 3 * HOUR)}


def test_a_paused_library_is_paused_and_not_due(database: Database, store: SqlStore) -> None:
    add(store, "t-1", next_poll_at=NOW - HOUR)
    pause = Pause(NOW, "test", "x", PauseScope.TENANT, UNI_A)
    assert SqlPauses(database).pause(pause)
    found = census(database, NOW)
    assert found.standing == (HealthCount(UNI_A, LOANED, TransactionHealth.PAUSED, 1),)
    assert found.due == {}


def test_ambiguous_writes(database: Database, store: SqlStore) -> None:
    states = (IntentState.AMBIGUOUS, IntentState.AMBIGUOUS, IntentState.DONE)
    add(store, "t-1", intents=[intent(n, state) for n, state in enumerate(states)])
    add(store, "t-2", intents=[intent(3, IntentState.AMBIGUOUS)])
    assert census(database, NOW).ambiguous == {
        (UNI_A, EffectKind.SUPPLIER_HOLD): 2,
        (UNI_A, EffectKind.SUPPLIER_LOAN): 1,
    }


def test_pending_messages_by_sink(database: Database, store: SqlStore) -> None:
    add(store, "t-1")
    rows = (
        ("m1", 1, "log", "pending", 3),
        ("m2", 2, "log", "pending", 1),
        ("m3", 1, "hook", "dead", 9),
    )
    insert = text(
        "INSERT INTO outbox (id, transaction_id, seq, sink, type, body, state, attempts, "
        "created_at) VALUES (:id, 't-1', :seq, :sink, 'x', '{}', :state, 0, :at)"
    )
    with database.write() as connection:
        for id, seq, sink, state, hours in rows:
            at = _stored(database, hours)
            values = {"id": id, "seq": seq, "sink": sink, "state": state, "at": at}
            connection.execute(insert, values)
    assert census(database, NOW).outbox == {"log": Waiting(2, NOW - 3 * HOUR)}


def _stored(database: Database, hours: int) -> object:
    at = NOW - hours * HOUR
    return at.replace(tzinfo=None).isoformat(sep=" ") if database.is_sqlite else at


def test_no_database_is_no_count(tmp_path: object) -> None:
    broken = Database(f"sqlite:///{tmp_path}/nowhere/x.db")
    with pytest.raises(StoreUnavailable):
        census(broken, NOW)


@pytest.mark.parametrize("index", ["intents_not_over", "outbox_due"])
def test_the_open_ones_are_found_by_their_index(sqlite_url: str, index: str) -> None:
    """Partial indexes: what is over is not even looked at."""
    from sqlalchemy import event

    from reconciler.store import migrate

    opened = Database(sqlite_url)
    migrate.migrate(opened, NOW)
    statements: list[str] = []
    event.listen(opened._engine, "before_cursor_execute", lambda *a: statements.append(a[2]))
    census(opened, NOW)
    table = index.split("_", maxsplit=1)[0]
    query = next(each for each in statements if f"FROM {table}" in each)
    with opened.read() as connection:
        plan = connection.exec_driver_sql(
            f"EXPLAIN QUERY PLAN {query}", tuple("x" for _ in range(query.count("?")))
        )
        assert index in " ".join(str(row) for row in plan)
    opened.dispose()


def test_a_page_and_the_whole_count(store: SqlStore) -> None:
    for n in range(5):
        add(store, f"t-{n}", status_since=NOW - n * HOUR)
    add(store, "t-9", FINALISED, next_poll_at=None)
    page = store.find(Filter(status=LOANED, limit=2, offset=1))
    assert [each.id for each in page] == ["t-3", "t-2"]
    assert store.count(Filter(status=LOANED, limit=2, offset=1)) == 5
    assert store.count(Filter()) == 6
    assert len(store.find(Filter(offset=4))) == 2
