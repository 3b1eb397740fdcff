"""`ports.Pauses`: who has stopped what, and since when."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, func, insert, select, text, update
from sqlalchemy.exc import IntegrityError

from reconciler.core.model import HistoryEntry, HostLmsCode, Pause, TransactionId
from reconciler.core.status import IntentState, PauseScope
from reconciler.store import settlements
from reconciler.store.database import Database, repeated_once
from reconciler.store.loading import load_one, standing_pauses
from reconciler.store.locking import updated_in_order
from reconciler.store.tables import INTENTS, LEGS, PAUSES, TRANSACTIONS

_P = PAUSES.c
_T = TRANSACTIONS.c


class SqlPauses:
    def __init__(self, database: Database) -> None:
        self._database = database

    # --- libraries, and everything -------------------------------------------

    @repeated_once
    def pause(self, pause: Pause) -> bool:
        """Stop a library or everything; False when it is stopped already."""
        values = {
            "tenant": pause.tenant or "",
            "since": pause.since,
            "actor": pause.actor,
            "reason": pause.reason,
        }
        try:
            with self._database.write() as connection:
                self._wait_for_settlements(connection)
                connection.execute(insert(PAUSES), values)
        except IntegrityError:
            return False
        return True

    @repeated_once
    def resume(self, tenant: HostLmsCode | None, entry: HistoryEntry) -> bool:
        """End the pause of a library, or of everything; what it covered is due then."""
        with self._database.write() as connection:
            ended = connection.execute(
                update(PAUSES)
                .where(_P.tenant == (tenant or ""), _P.ended_at.is_(None))
                .values(ended_at=entry.at, ended_by=entry.actor, end_reason=entry.reason)
            ).rowcount
            if ended:
                _make_due(connection, entry.at, *_within(tenant))
        return bool(ended)

    def standing(self) -> list[Pause]:
        """The pauses of libraries and of everything, oldest first."""
        with self._database.read() as connection:
            return standing_pauses(connection)

    # --- single transactions -------------------------------------------------

    @repeated_once
    def pause_transaction(self, id: TransactionId, pause: Pause, entry: HistoryEntry) -> bool:
        """Stop one; False when it is stopped already. Raises UnknownTransaction.

        Its version stays, so that what became of an effect that is out already is still written.
        """
        with self._database.write() as connection:
            load_one(connection, id)
            paused = connection.execute(
                update(TRANSACTIONS)
                .where(_T.id == id, _T.paused_since.is_(None))
                .values(paused_since=pause.since, paused_by=pause.actor, paused_reason=pause.reason)
            ).rowcount
            if paused:
                settlements.append(connection, id, (entry,))
        return bool(paused)

    @repeated_once
    def resume_transaction(self, id: TransactionId, entry: HistoryEntry) -> bool:
        """End its own pause; False when there is none. Raises UnknownTransaction."""
        with self._database.write() as connection:
            load_one(connection, id)
            resumed = connection.execute(
                update(TRANSACTIONS)
                .where(_T.id == id, _T.paused_since.is_not(None))
                .values(paused_since=None, paused_by=None, paused_reason=None)
            ).rowcount
            if resumed:
                settlements.append(connection, id, (entry,))
                _make_due(connection, entry.at, _T.id == id)
        return bool(resumed)

    # --- what is under way ---------------------------------------------------

    def in_flight(self, pause: Pause, id: TransactionId | None, now: datetime) -> int:
        """How many effects that went out before a pause are still waiting for their answer."""
        within = [_T.id == id] if pause.scope is PauseScope.TRANSACTION else _within(pause.tenant)
        chosen = (
            select(func.count())
            .select_from(INTENTS)
            .join(TRANSACTIONS, INTENTS.c.transaction_id == _T.id)
            .where(INTENTS.c.state == str(IntentState.SENT), _T.claimed_until > now, *within)
        )
        with self._database.read() as connection:
            found: int = connection.execute(chosen).scalar_one()
        return found

    def _wait_for_settlements(self, connection: Connection) -> None:
        """Settlements that were written without seeing this pause end first.

        SQLite has one writer anyway. On PostgreSQL every settlement reads `pauses` in the
        statement that guards it, and so holds a lock that this one waits for.
        """
        if not self._database.is_sqlite:
            connection.execute(text("LOCK TABLE pauses IN ACCESS EXCLUSIVE MODE"))


def _within(tenant: HostLmsCode | None) -> list[ColumnElement[bool]]:
    """The transactions in which a library has a part; all of them for None."""
    if tenant is None:
        return []
    return [_T.id.in_(select(LEGS.c.transaction_id).where(LEGS.c.host_lms == tenant))]


def _make_due(connection: Connection, at: datetime, *which: Any) -> None:
    later = updated_in_order(_T.id, _T.next_poll_at > at, *which)
    connection.execute(later.values(next_poll_at=at))
