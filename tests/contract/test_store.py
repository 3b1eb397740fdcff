"""One suite for both databases: what a store promises, whatever it stands on."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError, IntegrityError

from reconciler.core.model import (
    Evidence,
    HistoryEntry,
    HostLmsCode,
    Intent,
    Parked,
    Pause,
    Remembered,
    RuleVerdict,
    Transaction,
    TransactionId,
)
from reconciler.core.status import (
    DcbStatus,
    EffectKind,
    HistoryKind,
    IntentState,
    Outcome,
    Resource,
    Role,
    Workflow,
)
from reconciler.errors import UnknownTransaction
from reconciler.ports.leases import Owner
from reconciler.ports.reports import Filter
from reconciler.ports.store import Selection
from reconciler.ports.written import Claim, Entrance, Settlement
from reconciler.store.database import Database
from reconciler.store.leases import SqlLeases
from reconciler.store.pauses import SqlPauses
from reconciler.store.sql_store import SqlStore
from tests.support.build import NOW, UNI_A, UNI_B, leg, transaction

ME, OTHER = Owner("me"), Owner("other")
LEASE = timedelta(seconds=60)
DUE = Selection(UNI_A)


def command(detail: str = "tracked") -> HistoryEntry:
    return HistoryEntry(NOW, HistoryKind.COMMAND, "test", detail=detail)


def made(id: str, **changes: object) -> Transaction:
    fresh = transaction(DcbStatus.LOANED, Workflow.PICKUP_ANYWHERE)
    return replace(fresh, id=TransactionId(id), **changes)  # type: ignore[arg-type]


def add(store: SqlStore, *ids: str, **changes: object) -> None:
    for id in ids:
        assert store.add(Entrance(made(id, **changes), command()))


def claim(
    store: SqlStore,
    owner: Owner = ME,
    at: timedelta = timedelta(0),
    limit: int = 10,
    selection: Selection = DUE,
) -> list[Claim]:
    """Claims of one who looks after the library (others have none: test_leases.py)."""
    hold(store, owner, selection.tenant or UNI_A)
    now = NOW + at
    return store.claim(selection, owner, now, now + LEASE, limit)


def hold(store: SqlStore, owner: Owner, tenant: HostLmsCode = UNI_A) -> None:
    leases = SqlLeases(store._database)
    (lease,) = leases.all([tenant], NOW)
    if lease.owner != owner:
        assert leases.take([lease], owner, NOW)


def hop() -> HistoryEntry:
    return HistoryEntry(
        NOW,
        HistoryKind.TRANSITION,
        "reconciler",
        source=DcbStatus.LOANED,
        target=DcbStatus.RETURN_TRANSIT,
        rule="HandleBorrowerRequestReturnTransit",
        inferred=True,
        evidence=(Evidence(Role.SUPPLIER, Resource.ITEM, "IN_PLACE", "1/", NOW),),
    )


# --- what goes in comes out --------------------------------------------------


def test_a_transaction_comes_back_as_it_was(store: SqlStore) -> None:
    whole = made(
        "t-1",
        previous_status=DcbStatus.READY_FOR_PICKUP,
        outcome=Outcome.SUPPLIED,
        parked=Parked("item_lost", "at the supplier", NOW),
        dispatched_at=NOW - timedelta(days=3),
        last_poll_at=NOW,
        last_full_poll_at=NOW,
        failures=2,
        unchanged_looks=5,
        supplier=leg(
            Role.SUPPLIER,
            item=Remembered("LOANED", "0/LOAN", NOW, NOW, "no answer in time", NOW, away_at=NOW),
            request=Remembered("CLOSED", "HISTORY", NOW, NOW, unfilled_at=NOW, shelved_at=NOW),
            request_placed_at=NOW,
            loan_seen_at=NOW,
            loan_due_at=NOW,
            record_state="AVAILABLE",
        ),
    )
    assert store.add(Entrance(whole, command()))
    assert store.get(TransactionId("t-1")) == whole
    assert [entry.seq for entry in store.history(TransactionId("t-1"))] == [1]


def test_adding_twice_changes_nothing(store: SqlStore) -> None:
    add(store, "t-1")
    assert not store.add(Entrance(made("t-1", status=DcbStatus.COMPLETED), command()))
    assert store.get(TransactionId("t-1")).status is DcbStatus.LOANED
    assert len(store.history(TransactionId("t-1"))) == 1


def test_an_unknown_id_is_said_so(store: SqlStore) -> None:
    with pytest.raises(UnknownTransaction):
        store.get(TransactionId("nope"))


# --- claims ------------------------------------------------------------------


def test_what_is_claimed_is_claimed_once(store: SqlStore) -> None:
    add(store, "t-1", "t-2")
    assert {each.transaction.id for each in claim(store)} == {"t-1", "t-2"}
    assert claim(store) == []


def test_a_claim_that_ran_out_is_free_and_its_fence_is_worthless(store: SqlStore) -> None:
    add(store, "t-1")
    (stale,) = claim(store)
    (fresh,) = claim(store, at=LEASE)
    assert fresh.fence == stale.fence + 1
    assert store.settle([Settlement(stale, stale.transaction, (hop(),))]) == [False]
    assert store.settle([Settlement(fresh, fresh.transaction, (hop(),))]) == [True]
    assert [entry.seq for entry in store.history(TransactionId("t-1"))] == [1, 2]


def test_oldest_due_first_and_never_more_than_asked_for(store: SqlStore) -> None:
    for n in range(5):
        add(store, f"t-{n}", next_poll_at=NOW - timedelta(minutes=n))
    add(store, "later", next_poll_at=NOW + timedelta(minutes=1))
    assert [each.transaction.id for each in claim(store, limit=3)] == ["t-4", "t-3", "t-2"]
    assert [each.transaction.id for each in claim(store)] == ["t-1", "t-0"]
    assert claim(store) == []


def test_selections(store: SqlStore, database: Database) -> None:
    add(store, "due")
    add(store, "later", next_poll_at=NOW + timedelta(days=1))
    add(store, "elsewhere", tenant=UNI_B)
    add(store, "paused")
    add(store, "ended", status=DcbStatus.FINALISED, next_poll_at=None)
    pause = Pause(NOW, "test", "x")
    SqlPauses(database).pause_transaction(TransactionId("paused"), pause, command("pause"))

    def live(selection: Selection) -> set[str]:
        return {each.id for each in store.live(selection, NOW)}

    assert live(Selection()) == {"due", "elsewhere"}
    assert live(Selection(UNI_A)) == {"due"}
    assert live(Selection(UNI_A, due_only=False)) == {"due", "later"}
    assert live(Selection(ids=(TransactionId("later"),), due_only=False)) == {"later"}


def test_release_gives_back(store: SqlStore) -> None:
    add(store, "t-1")
    store.release(claim(store))
    assert len(claim(store)) == 1


def test_the_claims_of_a_dead_process_are_freed_at_once(store: SqlStore) -> None:
    add(store, "t-1")
    add(store, "t-2", tenant=UNI_B)
    claim(store, ME)
    claim(store, OTHER, selection=Selection(UNI_B))
    assert store.rescue(lambda owner: owner == ME) == 1
    assert [each.transaction.id for each in claim(store, ME)] == ["t-1"]
    assert claim(store, OTHER, selection=Selection(UNI_B)) == []


def test_two_claimers_at_once_share_nothing(store: SqlStore) -> None:
    add(store, *(f"t-{n}" for n in range(60)))
    hold(store, ME)
    found: dict[str, list[str]] = {"a": [], "b": []}

    def work(name: str) -> None:
        while claims := claim(store, limit=7):
            found[name] += [each.transaction.id for each in claims]

    threads = [threading.Thread(target=work, args=(name,)) for name in found]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found["a"] + found["b"]) == 60
    assert set(found["a"]).isdisjoint(found["b"])


# --- settlements -------------------------------------------------------------


def test_a_settlement_writes_state_history_and_intents_together(store: SqlStore) -> None:
    add(store, "t-1")
    (held,) = claim(store)
    seen = Remembered("IN_PLACE", "1/", NOW, NOW)
    verdict = RuleVerdict(
        "R", "waits", "b", (Evidence(Role.SUPPLIER, Resource.ITEM, "IN_PLACE", "1/", None),)
    )
    after = replace(
        held.transaction,
        status=DcbStatus.RETURN_TRANSIT,
        previous_status=DcbStatus.LOANED,
        next_poll_at=NOW + timedelta(hours=1),
        supplier=replace(held.transaction.supplier, item=seen),
        considered=(verdict,),
    )
    intent = Intent("i-1", EffectKind.LOAN_CLOSED, Role.BORROWER, UNI_B, IntentState.PLANNED, 0)
    assert store.settle([Settlement(held, after, (hop(),), (intent,))]) == [True]

    stored = store.get(TransactionId("t-1"))
    assert stored == replace(after, version=1, intents=(replace(intent, asked_by=2),))
    entries = store.history(TransactionId("t-1"))
    assert entries[1] == replace(hop(), seq=2)
    (found,) = store.intents(TransactionId("t-1"))
    assert (found.id, found.kind, found.state, found.asked_by) == (
        "i-1",
        EffectKind.LOAN_CLOSED,
        IntentState.PLANNED,
        2,
    )
    assert claim(store, at=timedelta(hours=2)) != []


def test_a_version_that_moved_on_refuses_the_whole_settlement(store: SqlStore) -> None:
    add(store, "t-1", "t-2")
    first, second = claim(store)
    told = replace(first.transaction.supplier, item=Remembered("TRANSIT", "TRANSIT", NOW, NOW))
    assert store.amend(first.transaction, [told], command("evidence"))
    intent = Intent("i-1", EffectKind.LOAN_CLOSED, Role.BORROWER, UNI_B, IntentState.PLANNED, 0)
    results = store.settle(
        [
            Settlement(first, first.transaction, (hop(),), (intent,)),
            Settlement(second, second.transaction, (hop(),)),
        ]
    )
    assert results == [False, True]
    assert store.intents(first.transaction.id) == []
    assert [each.detail for each in store.history(first.transaction.id)] == ["tracked", "evidence"]
    assert store.get(first.transaction.id).supplier.item.state == "TRANSIT"


def test_the_same_settlement_twice_is_written_once(store: SqlStore) -> None:
    add(store, "t-1")
    (held,) = claim(store)
    once = Settlement(held, held.transaction, (hop(),))
    assert store.settle([once]) == [True]
    assert store.settle([once]) == [False]
    assert len(store.history(TransactionId("t-1"))) == 2


def test_a_failing_settlement_leaves_nothing_half_done(store: SqlStore) -> None:
    add(store, "t-1", "t-2")
    first, second = claim(store)
    twin = Intent("same", EffectKind.LOAN_CLOSED, Role.BORROWER, UNI_B, IntentState.PLANNED, 0)
    with pytest.raises(IntegrityError):
        store.settle(
            [
                Settlement(first, first.transaction, (hop(),), (twin,)),
                Settlement(second, second.transaction, (hop(),), (twin,)),
            ]
        )
    for each in (first, second):
        assert len(store.history(each.transaction.id)) == 1
        assert store.get(each.transaction.id).version == 0


# --- the database guards too -------------------------------------------------


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE transactions SET status = 'SHIPPED'",
        "UPDATE transactions SET workflow = 'RET-X'",
        "UPDATE transactions SET outcome = 'LOST'",
        "UPDATE transactions SET next_poll_at = NULL",
        "UPDATE transactions SET parked_reason = 'x'",
        "UPDATE transactions SET claimed_by = 'x'",
        "UPDATE legs SET role = 'lender'",
        "UPDATE history SET detail = 'rewritten'",
        "INSERT INTO history (transaction_id, seq, at, kind, actor, evidence)"
        " SELECT transaction_id, seq, at, kind, actor, evidence FROM history",
        "INSERT INTO history (transaction_id, seq, at, kind, actor, evidence)"
        " SELECT transaction_id, 9, at, 'transition', actor, evidence FROM history",
    ],
)
def test_the_database_refuses_what_must_not_be(
    store: SqlStore, database: Database, statement: str
) -> None:
    add(store, "t-1")
    with pytest.raises((DBAPIError, IntegrityError)), database.write() as connection:
        connection.execute(text(statement))


def test_the_due_query_uses_its_index(store: SqlStore, database: Database) -> None:
    add(store, *(f"t-{n}" for n in range(300)))
    explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
    query = (
        "SELECT id FROM transactions WHERE next_poll_at IS NOT NULL AND paused_since IS NULL"
        " AND tenant = 'uni-a' AND next_poll_at <= '2020-01-01' ORDER BY next_poll_at LIMIT 10"
    )
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join(str(row) for row in connection.execute(text(explain + query)))
    assert "transactions_due" in plan


def test_what_a_person_asked_for_is_found_by_its_index_and_once(
    store: SqlStore, database: Database
) -> None:
    add(store, *(f"t-{n}" for n in range(300)))
    add(store, "asked", asked_at=NOW)
    explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
    query = "SELECT id FROM transactions WHERE tenant = 'uni-a' AND asked_at IS NOT NULL"
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        plan = "\n".join(str(row) for row in connection.execute(text(explain + query)))
    assert "transactions_asked" in plan
    asked = Selection(UNI_A, asked_only=True)
    (held,) = claim(store, selection=asked)
    assert (held.transaction.id, held.transaction.asked_at) == ("asked", NOW)
    looked_at = replace(held.transaction, asked_at=None)
    assert store.settle([Settlement(held, looked_at)]) == [True]
    assert claim(store, selection=asked) == []


# --- lists -------------------------------------------------------------------


def test_find_filters(store: SqlStore) -> None:
    add(store, "t-1")
    add(store, "t-2", parked=Parked("item_lost", "x", NOW))
    add(store, "t-3", status=DcbStatus.COMPLETED, supplier=leg(Role.SUPPLIER, host_lms=UNI_B))

    def found(filter: Filter) -> list[str]:
        return [each.id for each in store.find(filter)]

    assert found(Filter()) == ["t-1", "t-2", "t-3"]
    assert found(Filter(status=DcbStatus.COMPLETED)) == ["t-3"]
    assert found(Filter(parked=True)) == ["t-2"]
    assert found(Filter(tenant=UNI_A)) == ["t-1", "t-2"]
