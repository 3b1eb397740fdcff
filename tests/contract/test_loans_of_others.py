"""Whose a loan is, by our own ledger; on both databases, by an index."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from sqlalchemy import text

from reconciler.core.model import (
    HistoryEntry,
    HostLmsCode,
    Leg,
    LoanId,
    LoanSight,
    Thing,
    TransactionId,
)
from reconciler.core.status import DcbStatus, HistoryKind, Role, ThingKind, ThingState, Workflow
from reconciler.engine.others import OtherLends
from reconciler.engine.storage import Storage
from reconciler.ports.written import Entrance
from reconciler.store.database import Database
from reconciler.store.sql_store import _LOANS_OF_OTHERS, SqlStore
from tests.support.build import NOW, UNI_A, UNI_B, UNI_C, leg, loan, transaction

MINE = TransactionId("mine")
L = [LoanId(f"L{n}") for n in range(6)]


def add(store: SqlStore, id: str, loan_id: str | None, *things: Thing, over: bool = False) -> None:
    made = transaction(
        DcbStatus.FINALISED if over else DcbStatus.LOANED,
        Workflow.STANDARD,
        id=TransactionId(id),
        supplier=leg(Role.SUPPLIER, loan_id=loan_id),
        next_poll_at=None if over else NOW,
    )
    entry = HistoryEntry(NOW, HistoryKind.COMMAND, "test", detail="tracked")
    assert store.add(Entrance(made, entry, things=things))


def thing(loan_id: str, host_lms: HostLmsCode = UNI_A) -> Thing:
    return Thing(
        f"th-{loan_id}-{host_lms}",
        ThingKind.LOAN,
        Role.SUPPLIER,
        host_lms,
        ThingState.GONE,
        loan_id=LoanId(loan_id),
    )


@pytest.fixture
def known(store: SqlStore) -> SqlStore:
    """L1 is a live lend's, L2 and L3 an ended one's, L4 mine, L5 another library's, L0 nobody's."""
    add(store, "live", "L1")
    add(store, "over", "L2", thing("L3"), over=True)
    add(store, "mine", "L4", thing("L4"))
    add(store, "elsewhere", None, thing("L5", UNI_C))
    return store


def test_the_loans_of_other_lends_are_known_live_and_ended_alike(known: SqlStore) -> None:
    assert known.loans_of_others(UNI_A, L, MINE) == {"L1", "L2", "L3"}
    assert known.loans_of_others(UNI_A, L, TransactionId("over")) == {"L1", "L4"}
    assert known.loans_of_others(UNI_C, L, MINE) == {"L5"}
    assert known.loans_of_others(UNI_B, L, MINE) == frozenset()
    assert known.loans_of_others(UNI_A, [L[0]], MINE) == frozenset()


@pytest.mark.usefixtures("known")
def test_they_are_found_by_an_index_however_many_lends_there_are(database: Database) -> None:
    given = {"host_lms": UNI_A, "loan_ids": L, "of_id": MINE}
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(text("SET LOCAL enable_seqscan = off"))
        with_values = {"dialect": connection.dialect, "compile_kwargs": {"literal_binds": True}}
        shown = str(_LOANS_OF_OTHERS.params(**given).compile(**with_values))
        explain = "EXPLAIN QUERY PLAN " if database.is_sqlite else "EXPLAIN "
        plan = "\n".join(str(row) for row in connection.exec_driver_sql(explain + shown))
    assert "things_loan" in plan
    assert "legs_loan" in plan
    assert "SCAN things" not in plan
    assert "SCAN legs" not in plan


class Asked(SqlStore):
    """Keeps what it was asked."""

    def __init__(self, database: Database) -> None:
        super().__init__(database)
        self.asked: list[set[str]] = []

    def loans_of_others(
        self, host_lms: HostLmsCode, loan_ids: Collection[LoanId], id: TransactionId
    ) -> frozenset[LoanId]:
        self.asked.append(set(loan_ids))
        return super().loans_of_others(host_lms, loan_ids, id)


def shown(of: Leg, *ids: str, began_at: datetime = NOW) -> tuple[LoanSight, ...]:
    """Active loans of a leg's item to its user."""
    seen = loan("ACTIVE", of).value
    assert seen is not None
    return tuple(replace(seen, loan_id=LoanId(id), began_at=began_at) for id in ids)


async def test_the_store_is_asked_only_where_a_loan_would_be_news(
    known: SqlStore, database: Database
) -> None:
    """And only at the lender: a virtual item serves one lend."""
    storage, store = Storage(), Asked(database)
    others, mine = OtherLends(store, storage), known.get(MINE)
    lender, reader = mine.supplier, mine.borrower
    assert reader is not None
    left = await others.left_out(mine, lender, shown(lender, "L4", "L1", "L0"))
    assert [each.loan_id for each in left] == ["L4", "L0"]
    assert store.asked.pop() == {"L1", "L0"}
    dated = replace(lender, request_placed_at=NOW - timedelta(days=1))
    for of, given in (
        (lender, shown(lender, "L4")),
        (reader, shown(reader, "L1")),
        (lender, shown(reader, "L1")),
        (dated, shown(lender, "L1", began_at=NOW - timedelta(days=20))),
        (lender, ()),
    ):
        assert await others.left_out(mine, of, given) == given
    assert store.asked == []
    storage.close()
