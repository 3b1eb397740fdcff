"""What is not known is stored as such on both databases, and hides no transaction from polling."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields, replace
from datetime import timedelta
from typing import Any

from sqlalchemy import Connection, Engine, event, text

from reconciler.core.decide import decide
from reconciler.core.model import HistoryEntry, HostLmsCode, Leg, Pause, Transaction, TransactionId
from reconciler.core.status import DcbStatus, HistoryKind, Role, Workflow
from reconciler.ports.leases import Owner
from reconciler.ports.store import Selection
from reconciler.ports.written import Claim, Entrance, Settlement
from reconciler.store.database import Database
from reconciler.store.pauses import SqlPauses
from reconciler.store.sql_store import SqlStore
from tests.contract.test_store import hold
from tests.support.build import NOW, UNI_A, item, loan, look, policy, request

ME = Owner("me")
LEASE = timedelta(seconds=60)
BARE = Transaction(
    id=TransactionId("t-1"),
    tenant=UNI_A,
    workflow=Workflow.STANDARD,
    status=DcbStatus.LOANED,
    status_since=NOW,
    created_at=NOW,
    supplier=Leg(Role.SUPPLIER, UNI_A),
    next_poll_at=NOW,
)
COMMAND = HistoryEntry(NOW, HistoryKind.COMMAND, "test")


def claimed(store: SqlStore, now: Any = NOW) -> list[Claim]:
    hold(store, ME)
    return store.claim(Selection(UNI_A), ME, now, now + LEASE, 10)


def test_a_transaction_of_which_nothing_is_known_comes_back_as_it_was(store: SqlStore) -> None:
    """Every field that may be empty is: of the transaction, its leg and its words."""
    empty = {each.name for each in fields(Leg) if getattr(BARE.supplier, each.name) is None}
    assert {"user_id", "request_id", "mms_id", "item_pid", "item_barcode", "loan_id"} <= empty
    assert store.add(Entrance(BARE, COMMAND))
    assert store.get(BARE.id) == BARE


def test_a_look_that_showed_only_words_is_stored_and_the_next_one_too(store: SqlStore) -> None:
    """A sight with no id, no date, no comment: neither the decision nor the database minds."""
    store.add(Entrance(BARE, COMMAND))
    sights = look(
        supplier={
            "item": item("0/"),
            "request": request("NOT_STARTED", bound=False),
            "loan": loan("NONE"),
        }
    )
    for hours in (0, 24):
        (held,) = claimed(store, NOW + timedelta(hours=hours))
        after = decide(held.transaction, sights, NOW + timedelta(hours=hours), policy()).transaction
        assert store.settle([Settlement(held, after)]) == [True]
        stored = store.get(BARE.id)
        assert stored == replace(after, version=held.transaction.version + 1)
        assert stored.next_poll_at is not None


def test_a_row_that_lacks_everything_with_a_default_is_polled(
    store: SqlStore, database: Database
) -> None:
    """As a migration, or another program, may have left it."""
    columns = {
        "id": "t-1", "tenant": "uni-a", "workflow": "RET-STD", "status": "LOANED",
        "status_since": NOW, "created_at": NOW, "next_poll_at": NOW,
        "sights": "{}", "considered": "[]",
    }  # fmt: skip
    names = ", ".join(columns)
    values = ", ".join(f":{name}" for name in columns)
    with database.write() as connection:
        if database.is_sqlite:
            at = NOW.replace(tzinfo=None).isoformat(sep=" ", timespec="microseconds")
            columns = {key: at if each is NOW else each for key, each in columns.items()}
        connection.execute(
            text(f"INSERT INTO transactions ({names}) VALUES ({values})"),
            columns,
        )
        connection.execute(
            text("INSERT INTO legs (transaction_id, role, host_lms) VALUES ('t-1', :r, 'uni-a')"),
            {"r": str(Role.SUPPLIER)},
        )
    (held,) = claimed(store)
    assert held.transaction == BARE


# --- the due query --------------------------------------------------------------------


@contextmanager
def statements() -> Iterator[list[tuple[str, Any]]]:
    """What is sent to a database meanwhile."""
    sent: list[tuple[str, Any]] = []

    def note(_c: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        sent.append((statement, parameters))

    event.listen(Engine, "before_cursor_execute", note)
    try:
        yield sent
    finally:
        event.remove(Engine, "before_cursor_execute", note)


def test_the_claim_itself_reads_the_index_of_what_is_due(
    store: SqlStore, database: Database
) -> None:
    """The statement that `claim` really sends, so that query and partial index cannot drift."""
    for n in range(200):
        id = TransactionId(f"t-{n}")
        store.add(Entrance(replace(BARE, id=id, next_poll_at=NOW + timedelta(days=n)), COMMAND))
    with statements() as sent:
        assert len(claimed(store)) == 1
    (claim,) = [each for each in sent if "claimed_until" in each[0] and "RETURNING" in each[0]]
    with database.write() as connection:
        plan = _plan(connection, database, *claim)
    assert "transactions_due" in plan


def _plan(connection: Connection, database: Database, statement: str, parameters: Any) -> str:
    explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
    if not database.is_sqlite:
        # So few rows are read faster without any index: is this one usable at all?
        connection.execute(text("SET LOCAL enable_seqscan = off"))
    return "\n".join(
        str(row) for row in connection.exec_driver_sql(explain + statement, parameters)
    )


def test_the_tenants_are_those_that_something_is_polled_for(
    store: SqlStore, database: Database
) -> None:
    assert store.tenants() == []
    for n, tenant in enumerate(("uni-b", "uni-a", "uni-b", "uni-c", "uni-d")):
        made = replace(BARE, id=TransactionId(f"t-{n}"), tenant=HostLmsCode(tenant))
        store.add(Entrance(made, COMMAND))
    ended = replace(
        BARE,
        id=TransactionId("ended"),
        tenant=HostLmsCode("gone"),
        status=DcbStatus.FINALISED,
        next_poll_at=None,
    )
    store.add(Entrance(ended, COMMAND))
    pause = Pause(NOW, "test", "asked the library")
    SqlPauses(database).pause_transaction(TransactionId("t-4"), pause, COMMAND)
    assert store.tenants() == ["uni-a", "uni-b", "uni-c"]
