"""What is brought forward when a library is back, or when a clock was set back; on both kinds."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest

from reconciler.core.model import HistoryEntry, HostLmsCode, Intent, TransactionId
from reconciler.core.stages import DEFAULT_INTERVALS
from reconciler.core.status import DcbStatus, EffectKind, HistoryKind, IntentState, Role
from reconciler.ports.written import Entrance
from reconciler.store.database import Database
from reconciler.store.quotas import SqlQuotas
from reconciler.store.sql_store import SqlStore
from tests.support.build import NOW, UNI_B, UNI_C, transaction

HOUR = timedelta(hours=1)
LOANED, CONFIRMED = DcbStatus.LOANED, DcbStatus.CONFIRMED


def add(
    store: SqlStore, id: str, status: DcbStatus = CONFIRMED, *intents: Intent, **changes: object
) -> None:
    """A lend of uni-a for uni-b, due in an hour."""
    made = replace(
        transaction(status),
        **{"id": TransactionId(id), "next_poll_at": NOW + HOUR, **changes},  # type: ignore[arg-type]
    )
    entry = HistoryEntry(NOW, HistoryKind.COMMAND, "test", detail="tracked")
    assert store.add(Entrance(made, entry, intents=intents))


def intent(id: str, host: HostLmsCode = UNI_B, state: IntentState = IntentState.PLANNED) -> Intent:
    made = Intent(id, EffectKind.VIRTUAL_BIB, Role.BORROWER, host, state, asked_by=0)
    return replace(made, next_attempt_at=NOW + HOUR)


def due_at(store: SqlStore, id: str) -> datetime | None:
    return store.get(TransactionId(id)).next_poll_at


def test_what_failed_at_a_library_is_due_when_it_is_back(
    database: Database, store: SqlStore
) -> None:
    add(store, "failed", failures=3)
    add(store, "well")
    add(store, "over", DcbStatus.FINALISED, failures=1, next_poll_at=None)
    assert SqlQuotas(database).wake(UNI_B, NOW) == 1
    assert due_at(store, "failed") == NOW
    assert due_at(store, "well") == NOW + HOUR
    assert due_at(store, "over") is None
    assert SqlQuotas(database).wake(UNI_C, NOW) == 0


def test_effects_that_were_not_begun_are_begun_when_it_is_back(
    database: Database, store: SqlStore
) -> None:
    add(store, "waits", CONFIRMED, intent("i-1"))
    add(store, "elsewhere", CONFIRMED, intent("i-2", UNI_C))
    add(store, "unsure", CONFIRMED, intent("i-3", state=IntentState.AMBIGUOUS))
    add(store, "refused", CONFIRMED, intent("i-4", state=IntentState.REFUSED))
    assert SqlQuotas(database).wake(UNI_B, NOW) == 1
    attempts = {
        id: (due_at(store, id), store.get(TransactionId(id)).intents[0].next_attempt_at)
        for id in ("waits", "elsewhere", "unsure", "refused")
    }
    later = (NOW + HOUR, NOW + HOUR)
    assert attempts == {
        "waits": (NOW, NOW),
        "elsewhere": later,
        "unsure": later,
        "refused": later,
    }


def test_one_is_woken_to_find_out_the_one_that_is_due_first(
    database: Database, store: SqlStore
) -> None:
    for n in range(3):
        add(store, f"t-{n}", failures=1, next_poll_at=NOW + (3 - n) * HOUR)
    assert SqlQuotas(database).wake(UNI_B, NOW, 1) == 1
    assert [due_at(store, f"t-{n}") for n in range(3)] == [NOW + 3 * HOUR, NOW + 2 * HOUR, NOW]


@pytest.mark.parametrize(("status", "hours"), [(CONFIRMED, 0.25), (LOANED, 6), (LOANED, 2)])
def test_after_a_step_back_nothing_lies_further_ahead_than_its_own_interval(
    store: SqlStore, status: DcbStatus, hours: float
) -> None:
    usual = 2 * HOUR if hours == 2 else 30 * HOUR
    add(store, "t", status, next_poll_at=NOW + usual)
    assert store.pull_in(NOW, DEFAULT_INTERVALS) == (hours != 2)
    assert due_at(store, "t") == NOW + hours * HOUR
