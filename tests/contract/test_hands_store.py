"""What people's commands promise on both databases: guarded writes, pauses, figures."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.core.model import (
    HistoryEntry,
    HostLmsCode,
    Intent,
    Parked,
    Pause,
    Thing,
    Transaction,
    TransactionId,
)
from reconciler.core.status import (
    DcbStatus,
    EffectKind,
    HistoryKind,
    IntentState,
    PauseScope,
    Role,
    ThingKind,
    ThingState,
    Workflow,
)
from reconciler.errors import UnknownTransaction
from reconciler.ports.leases import Owner
from reconciler.ports.messages import MessageState
from reconciler.ports.reports import Filter, LateSince
from reconciler.ports.store import Selection
from reconciler.ports.written import Claim, Entrance, Intervention, Notice, Settlement
from reconciler.store.database import Database
from reconciler.store.leases import SqlLeases
from reconciler.store.pauses import SqlPauses
from reconciler.store.reports import SqlReports
from reconciler.store.sql_store import SqlStore
from tests.support.build import NOW, UNI_A, UNI_B, leg, transaction

S = DcbStatus
ME = Owner("me")
LEASE = timedelta(seconds=60)
ID = TransactionId("t-1")
UNI_C = HostLmsCode("uni-c")
PAUSE = Pause(NOW, "cli:ada", "Alma moves house")
PAUSE_B = replace(PAUSE, scope=PauseScope.TENANT, tenant=UNI_B)
PAUSE_C = replace(PAUSE, scope=PauseScope.TENANT, tenant=UNI_C)
PAUSE_ALL = replace(PAUSE, scope=PauseScope.ALL)


def said(detail: str = "tracked", at: timedelta = timedelta(0)) -> HistoryEntry:
    return HistoryEntry(NOW + at, HistoryKind.COMMAND, "cli:ada", reason="why", detail=detail)


def intent(state: IntentState = IntentState.PLANNED, **changes: object) -> Intent:
    made = Intent("i-1", EffectKind.SUPPLIER_LOAN, Role.SUPPLIER, UNI_A, state, asked_by=0)
    return replace(made, **changes)  # type: ignore[arg-type]


def add(store: SqlStore, id: str = "t-1", **changes: object) -> Transaction:
    made = replace(
        transaction(S.LOANED, Workflow.STANDARD),
        id=TransactionId(id),
        next_poll_at=NOW,
        pickup=None,
        **changes,  # type: ignore[arg-type]
    )
    assert store.add(Entrance(made, said(), intents=(intent(id=f"i-{id}"),)))
    return store.get(TransactionId(id))


def claim(store: SqlStore, at: timedelta = timedelta(0)) -> list[Claim]:
    """Claims of one who looks after the library of these transactions."""
    leases = SqlLeases(store._database)
    (lease,) = leases.all([UNI_A], NOW)
    if lease.owner != ME:
        assert leases.take([lease], ME, NOW)
    now = NOW + at
    return store.claim(Selection(), ME, now, now + LEASE, 10)


def parked(before: Transaction) -> Intervention:
    after = replace(before, parked=Parked("by_hand", "why", NOW))
    return Intervention(before, after, (said("park"),))


def moved(of: Claim) -> Settlement:
    before = of.transaction
    hop = HistoryEntry(
        NOW, HistoryKind.TRANSITION, "reconciler", S.LOANED, S.RETURN_TRANSIT, "HandleReturn"
    )
    after = replace(before, status=S.RETURN_TRANSIT, previous_status=S.LOANED)
    return Settlement(of, after, (hop,))


# --- a person's command is written whole, and only where nobody is at work --------------


def test_all_of_a_command_is_written_at_once(store: SqlStore, database: Database) -> None:
    before = add(store)
    thing = Thing("th-1", ThingKind.BIB, Role.BORROWER, UNI_B, ThingState.HANDED_OVER)
    new = intent(id="i-2", kind=EffectKind.HOLD_CANCELLED)
    notice = Notice("n-1", "log", 0, "fired", {"x": 1})
    written = Intervention(
        before,
        replace(before, status=S.COMPLETED, previous_status=S.LOANED),
        (
            HistoryEntry(
                NOW, HistoryKind.TRANSITION, "cli:ada", S.LOANED, S.COMPLETED, "ClosedByHand"
            ),
        ),
        planned=(new,),
        changed=(replace(before.intents[0], state=IntentState.WITHDRAWN),),
        things=(thing,),
        notices=(notice,),
    )
    assert store.intervene(written, NOW)
    after = store.get(ID)
    assert (after.status, after.version) == (S.COMPLETED, before.version + 1)
    assert after.things == (thing,)
    assert [(each.id, each.asked_by) for each in after.intents] == [("i-2", 2)]
    assert [(entry.seq, entry.actor) for entry in store.history(ID)][-1] == (2, "cli:ada")
    assert SqlReports(database).undelivered()[MessageState.PENDING] == 1


def test_a_command_on_what_has_moved_on_is_not_written(store: SqlStore) -> None:
    before = add(store)
    assert store.intervene(parked(before), NOW)
    assert not store.intervene(parked(before), NOW)
    assert len(store.history(ID)) == 2


def test_a_command_waits_for_the_end_of_a_claim(store: SqlStore) -> None:
    before = add(store)
    (held,) = claim(store)
    assert not store.intervene(parked(before), NOW)
    assert store.settle([Settlement(held, held.transaction)]) == [True]
    assert store.intervene(parked(store.get(ID)), NOW)


def test_a_process_that_outlived_its_lease_writes_nothing_over_a_command(store: SqlStore) -> None:
    before = add(store)
    (stale,) = claim(store)
    assert store.intervene(parked(before), NOW + LEASE)
    assert store.settle([moved(stale)]) == [False]
    now = store.get(ID)
    assert now.parked is not None
    assert now.status is S.LOANED


def test_two_people_at_once_one_is_written(store: SqlStore) -> None:
    before = add(store)
    results: list[bool] = []
    start = threading.Barrier(4)

    def act() -> None:
        start.wait()
        results.append(store.intervene(parked(before), NOW))

    threads = [threading.Thread(target=act) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == [False, False, False, True]
    assert len(store.history(ID)) == 2


def test_a_settlement_that_is_refused_gives_its_claim_back(store: SqlStore) -> None:
    add(store)
    (held,) = claim(store)
    assert store.amend(held.transaction, [leg(Role.SUPPLIER)], said("evidence"))
    assert store.settle([moved(held)]) == [False]
    assert [each.transaction.id for each in claim(store)] == [ID]


# --- pauses ------------------------------------------------------------------


@pytest.mark.parametrize("scope", ["transaction", "tenant", "all"])
def test_nothing_that_is_paused_is_claimed_or_fires(
    store: SqlStore, database: Database, scope: str
) -> None:
    add(store)
    pauses = SqlPauses(database)
    (held,) = claim(store)
    pause(pauses, scope)
    assert store.settle([moved(held)]) == [False]
    out = replace(held.transaction.intents[0], state=IntentState.SENT)
    assert store.settle([Settlement(held, held.transaction, changed=(out,))]) == [False]
    assert claim(store) == []
    assert store.live(Selection(), NOW) == []
    now = store.get(ID)
    assert (now.status, now.intents[0].state) == (S.LOANED, IntentState.PLANNED)
    assert now.paused is not None
    assert (now.paused.scope, now.paused.actor) == (PauseScope(scope), "cli:ada")
    resume(pauses, scope)
    assert store.get(ID).paused is None
    assert [each.transaction.id for each in claim(store)] == [ID]


@pytest.mark.parametrize("scope", ["transaction", "tenant", "all"])
def test_what_became_of_an_effect_is_written_under_a_pause(
    store: SqlStore, database: Database, scope: str
) -> None:
    add(store)
    pauses = SqlPauses(database)
    (held,) = claim(store)
    sent = replace(held.transaction.intents[0], state=IntentState.SENT, attempts=1)
    out = Settlement(held, held.transaction, changed=(sent,), keep_until=NOW + LEASE)
    assert store.settle([out]) == [True]
    asked = pause(pauses, scope)
    assert pauses.in_flight(asked, ID, NOW) == 1
    held = replace(held, transaction=store.get(ID))
    done = replace(sent, state=IntentState.DONE)
    thing = Thing("th-1", ThingKind.LOAN, Role.SUPPLIER, UNI_A)
    end = Settlement(held, held.transaction, (said("done"),), changed=(done,), things=(thing,))
    assert store.settle([end]) == [True]
    assert pauses.in_flight(asked, ID, NOW) == 0
    assert store.get(ID).things == (thing,)


def test_in_one_batch_only_what_is_paused_is_refused(store: SqlStore, database: Database) -> None:
    for n in range(3):
        add(store, f"t-{n}")
    held = claim(store)
    stopped = held[1].transaction.id
    SqlPauses(database).pause_transaction(stopped, PAUSE, said("pause"))
    assert store.settle([moved(each) for each in held]) == [True, False, True]


def test_a_library_is_paused_in_whatever_role_it_has(store: SqlStore, database: Database) -> None:
    add(store, "lends", supplier=leg(Role.SUPPLIER, host_lms=UNI_C))
    add(store, "borrows", borrower=leg(Role.BORROWER, host_lms=UNI_C))
    add(store, "neither")
    pauses = SqlPauses(database)
    assert pauses.pause(PAUSE_C)
    assert [each.transaction.id for each in claim(store)] == ["neither"]
    assert store.get(TransactionId("lends")).paused == PAUSE_C
    assert store.get(TransactionId("neither")).paused is None


def test_a_pause_is_made_once_and_its_end_is_kept(store: SqlStore, database: Database) -> None:
    add(store)
    pauses, reports = SqlPauses(database), SqlReports(database)
    assert pauses.pause(PAUSE_B)
    assert not pauses.pause(replace(PAUSE_B, since=NOW + LEASE, actor="cli:bob"))
    assert pauses.standing() == [PAUSE_B]
    assert pauses.resume(UNI_B, said(at=LEASE))
    assert not pauses.resume(UNI_B, said(at=LEASE))
    (ended,) = reports.pauses(NOW)
    assert (ended.pause, ended.ended_at, ended.actor) == (PAUSE_B, NOW + LEASE, "cli:ada")
    assert pauses.pause(replace(PAUSE_B, since=NOW + 2 * LEASE))


def test_pausing_one_twice_and_one_that_is_not_there(store: SqlStore, database: Database) -> None:
    add(store)
    pauses = SqlPauses(database)
    assert pauses.pause_transaction(ID, PAUSE, said("pause"))
    assert not pauses.pause_transaction(ID, PAUSE, said("pause"))
    assert pauses.resume_transaction(ID, said("resume"))
    assert not pauses.resume_transaction(ID, said("resume"))
    assert [entry.detail for entry in store.history(ID)] == ["tracked", "pause", "resume"]
    for call in (
        lambda: pauses.pause_transaction(TransactionId("nope"), PAUSE, said()),
        lambda: pauses.resume_transaction(TransactionId("nope"), said()),
    ):
        with pytest.raises(UnknownTransaction):
            call()


def test_a_command_that_moves_is_refused_under_a_pause_and_one_that_does_not_is_written(
    store: SqlStore, database: Database
) -> None:
    before = add(store)
    SqlPauses(database).pause(PAUSE_ALL)
    closing = Intervention(before, replace(before, status=S.COMPLETED), (said("close"),))
    assert not store.intervene(closing, NOW)
    assert store.intervene(parked(before), NOW)


def test_a_resumed_transaction_is_due_and_an_ended_one_stays_ended(
    store: SqlStore, database: Database
) -> None:
    add(store)
    later = NOW + timedelta(days=3)
    over = replace(
        transaction(S.FINALISED, Workflow.STANDARD), id=TransactionId("over"), next_poll_at=None
    )
    assert store.add(Entrance(over, said()))
    (held,) = claim(store)
    store.settle([Settlement(held, replace(held.transaction, next_poll_at=later))])
    pauses = SqlPauses(database)
    pauses.pause(PAUSE_ALL)
    assert pauses.resume(None, said(at=LEASE))
    assert store.get(ID).next_poll_at == NOW + LEASE
    assert store.get(TransactionId("over")).next_poll_at is None


def pause(pauses: SqlPauses, scope: str) -> Pause:
    if scope == "transaction":
        assert pauses.pause_transaction(ID, PAUSE, said("pause"))
        return PAUSE
    asked = PAUSE_B if scope == "tenant" else PAUSE_ALL
    assert pauses.pause(asked)
    return asked


def resume(pauses: SqlPauses, scope: str) -> None:
    if scope == "transaction":
        assert pauses.resume_transaction(ID, said("resume"))
    else:
        assert pauses.resume(UNI_B if scope == "tenant" else None, said("resume"))


# --- figures -----------------------------------------------------------------


def test_what_may_be_late_is_found_by_status_and_by_due_date(store: SqlStore) -> None:
    old, due = NOW - timedelta(days=30), NOW - timedelta(days=15)
    add(store, "fresh")
    add(store, "late", status=S.PICKUP_TRANSIT, status_since=old)
    add(store, "overdue", borrower=leg(Role.BORROWER, host_lms=UNI_B, loan_due_at=due))
    late = LateSince({S.PICKUP_TRANSIT: NOW - timedelta(days=7)}, NOW - timedelta(days=14))
    assert {each.id for each in store.find(Filter(late=late))} == {"late", "overdue"}


def test_the_figures_count_what_is_there(store: SqlStore, database: Database) -> None:
    reports = SqlReports(database)
    nothing = reports.tracked()
    assert (nothing.live, nothing.total, nothing.last_look_at) == (0, 0, None)
    add(store, "t-1", failures=2, last_poll_at=NOW)
    add(store, "t-2", parked=Parked("item_lost", "x", NOW))
    over = replace(
        transaction(S.FINALISED, Workflow.STANDARD), id=TransactionId("over"), next_poll_at=None
    )
    assert store.add(Entrance(over, said()))
    (first, *_) = claim(store)
    assert store.settle([moved(first)]) == [True]
    tracked = reports.tracked()
    assert (tracked.live, tracked.total, tracked.last_look_at) == (2, 3, NOW)
    assert sum(each.transactions for each in reports.standing()) == 3
    assert sum(each.parked for each in reports.standing()) == 1
    assert sum(each.failing for each in reports.standing()) == 1
    assert reports.moves(NOW) == {"HandleReturn": 1}
    assert reports.moves(NOW + LEASE) == {}
    assert reports.effects(NOW - LEASE)[IntentState.PLANNED] == 2
    assert reports.effects(NOW - LEASE)[IntentState.DONE] == 0
