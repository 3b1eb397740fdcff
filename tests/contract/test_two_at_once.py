"""Two people, or a person and a look, write to one lend at the same time: both words are kept."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.clock import new_id
from reconciler.core.model import HistoryEntry, Pause, Remembered, Transaction, TransactionId
from reconciler.core.status import DcbStatus, HistoryKind, Resource, Role, Workflow
from reconciler.engine.desk import Desk, Statement
from reconciler.engine.settling import Recorder
from reconciler.ports.leases import Owner
from reconciler.ports.store import Selection
from reconciler.ports.written import Entrance, Intervention, Settlement
from reconciler.store.database import Database
from reconciler.store.leases import SqlLeases
from reconciler.store.pauses import SqlPauses
from reconciler.store.sql_store import SqlStore
from tests.support.at_once import MeetsAfterReading, at_once
from tests.support.build import EXTERNAL, NOW, UNI_A, leg, policy, transaction
from tests.support.clock import FakeClock

ID = TransactionId("t-1")
LEASE = timedelta(seconds=60)
RECORDER = Recorder(policy(), new_id)


def said(what: str) -> HistoryEntry:
    return HistoryEntry(NOW, HistoryKind.COMMAND, "cli:ada", reason="why", detail=what)


def stored(store: SqlStore) -> Transaction:
    """A lend whose reader's library is not an Alma."""
    borrower = leg(Role.BORROWER, host_lms=EXTERNAL)
    made = transaction(DcbStatus.LOANED, Workflow.STANDARD, id=ID, borrower=borrower)
    assert store.add(Entrance(made, said("tracked")))
    return store.get(ID)


def desk(store: SqlStore) -> Desk:
    return Desk(store, policy(), FakeClock(NOW), RECORDER, new_id, {})


def states(item: str | None = None, **words: str) -> Statement:
    given = {"item": item, **words} if item else words
    told = {Resource(name): word for name, word in given.items()}
    return Statement(Role.BORROWER, told, "they rang")  # type: ignore[arg-type]


def details(store: SqlStore) -> list[str | None]:
    return sorted(entry.detail or "" for entry in store.history(ID))


def both_readers(database: Database) -> Sequence[MeetsAfterReading]:
    """Two who have both read the lend before one of them writes."""
    both = threading.Barrier(2)
    return [MeetsAfterReading(database, both) for _ in range(2)]


def test_two_statements_about_one_library_are_both_kept(
    store: SqlStore, database: Database
) -> None:
    stored(store)
    one, other = (desk(each) for each in both_readers(database))
    at_once(
        lambda: one.evidence(ID, states("TRANSIT"), "cli:ada"),
        lambda: other.evidence(ID, states(loan="COMPLETE"), "cli:bob"),
    )
    told = store.get(ID).borrower
    assert told is not None
    assert (told.item.state, told.loan.state) == ("TRANSIT", "COMPLETE")
    assert details(store) == ["evidence", "evidence", "tracked"]


def test_a_statement_keeps_what_a_look_has_written_since_it_was_begun(
    store: SqlStore, database: Database
) -> None:
    stored(store)
    (lease,) = SqlLeases(database).all([UNI_A], NOW)
    assert SqlLeases(database).take([lease], Owner("me"), NOW)
    (held,) = store.claim(Selection(UNI_A), Owner("me"), NOW, NOW + LEASE, 1)

    class LookedAtMeanwhile(SqlStore):
        """A look is settled between a person's reading and writing, once."""

        looks = 1

        def get(self, id: TransactionId) -> Transaction:
            before = super().get(id)
            if self.looks:
                self.looks -= 1
                seen = Remembered("LOANED", "0/LOAN", NOW, NOW)
                supplier = replace(held.transaction.supplier, item=seen, user_primary_id="p")
                borrower = replace(held.transaction.borrower, record_state="ITEM_RETURNED")
                after = replace(held.transaction, supplier=supplier, borrower=borrower)
                assert self.settle([Settlement(held, after, (said("look"),))]) == [True]
            return before

    desk(LookedAtMeanwhile(database)).evidence(ID, states("TRANSIT"), "cli:ada")
    now = store.get(ID)
    assert now.borrower is not None
    assert (now.supplier.item.state, now.supplier.user_primary_id) == ("LOANED", "p")
    assert (now.borrower.item.state, now.borrower.record_state) == ("TRANSIT", "ITEM_RETURNED")
    assert details(store) == ["evidence", "look", "tracked"]


def test_a_statement_and_a_command_are_both_kept(store: SqlStore) -> None:
    """The command judges anew when its snapshot is overtaken: it says so, and writes nothing."""
    before = stored(store)
    desk(store).evidence(ID, states("TRANSIT"), "cli:ada")
    parking = Intervention(before, replace(before, unchanged_looks=9), (said("park"),))
    assert not store.intervene(parking, NOW)
    assert store.get(ID).unchanged_looks == 0
    again = Intervention(store.get(ID), replace(store.get(ID), unchanged_looks=9), (said("park"),))
    assert store.intervene(again, NOW)
    now = store.get(ID)
    assert now.borrower is not None
    assert (now.borrower.item.state, now.unchanged_looks) == ("TRANSIT", 9)


def test_a_pause_and_a_statement_are_both_kept(store: SqlStore, database: Database) -> None:
    stored(store)
    reader, pauses = MeetsAfterReading(database, both := threading.Barrier(2)), SqlPauses(database)

    def pause() -> None:
        both.wait()
        assert pauses.pause_transaction(ID, Pause(NOW, "cli:bob", "why"), said("pause"))

    at_once(lambda: desk(reader).evidence(ID, states("TRANSIT"), "cli:ada"), pause)
    now = store.get(ID)
    assert now.borrower is not None
    assert (now.borrower.item.state, now.paused is not None) == ("TRANSIT", True)
    assert details(store) == ["evidence", "pause", "tracked"]


@pytest.mark.parametrize("number", [2, 4])
def test_of_several_pauses_at_once_one_is_made_and_every_resume_counts_once(
    store: SqlStore, database: Database, number: int
) -> None:
    stored(store)
    pauses, all_are_there = SqlPauses(database), threading.Barrier(number)

    def pause() -> bool:
        all_are_there.wait()
        return pauses.pause_transaction(ID, Pause(NOW, "cli:bob", "why"), said("pause"))

    def resume() -> bool:
        all_are_there.wait()
        return pauses.resume_transaction(ID, said("resume"))

    assert sum(at_once(*[pause] * number)) == 1
    assert sum(at_once(*[resume] * number)) == 1
    assert details(store) == ["pause", "resume", "tracked"]
    assert store.get(ID).paused is None


def test_of_two_who_bring_in_the_same_lend_one_does(store: SqlStore) -> None:
    both = threading.Barrier(2)
    made = transaction(DcbStatus.LOANED, Workflow.STANDARD, id=ID)

    def bring_in() -> bool:
        both.wait()
        return store.add(Entrance(made, said("tracked")))

    assert sorted(at_once(bring_in, bring_in)) == [False, True]
    assert details(store) == ["tracked"]
