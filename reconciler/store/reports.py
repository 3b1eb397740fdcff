"""`ports.Reports`: what the reports count. Each answer is one statement; nothing is written."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import Select, case, func, select

from reconciler.core.model import HostLmsCode, TransactionId
from reconciler.core.status import LIVE, DcbStatus, HistoryKind, IntentState
from reconciler.ports.figures import EndedPause, Parking, Standing, Tracked
from reconciler.ports.messages import MessageState
from reconciler.store import rows
from reconciler.store.database import Database
from reconciler.store.tables import HISTORY, INTENTS, OUTBOX, PAUSES, TRANSACTIONS

_T = TRANSACTIONS.c
_H = HISTORY.c
_LIVE = tuple(str(status) for status in LIVE)


class SqlReports:
    def __init__(self, database: Database) -> None:
        self._database = database

    def tracked(self) -> Tracked:
        live = func.coalesce(func.sum(case((_T.status.in_(_LIVE), 1), else_=0)), 0)
        chosen = select(live, func.count(), func.max(_T.last_poll_at)).select_from(TRANSACTIONS)
        ((live_ones, total, last_look_at),) = self._rows(chosen)
        return Tracked(live_ones, total, last_look_at)

    def standing(self) -> list[Standing]:
        """How many stand in each status, by tenant."""
        chosen = (
            select(
                _T.tenant,
                _T.status,
                func.count(),
                func.count(_T.parked_reason),
                func.sum(case((_T.failures > 0, 1), else_=0)),
            )
            .group_by(_T.tenant, _T.status)
            .order_by(_T.tenant, _T.status)
        )
        return [
            Standing(HostLmsCode(tenant), DcbStatus(status), count, parked, failing)
            for tenant, status, count, parked, failing in self._rows(chosen)
        ]

    def moves(self, since: datetime) -> dict[str, int]:
        """Transitions since then, by rule."""
        chosen = (
            select(_H.rule, func.count())
            .where(_H.at >= since, _H.kind == str(HistoryKind.TRANSITION))
            .group_by(_H.rule)
            .order_by(_H.rule)
        )
        return dict(self._rows(chosen))

    def parkings(self, since: datetime) -> list[Parking]:
        """What was parked since then, oldest first."""
        chosen = (
            select(_T.id, _H.at, _H.reason, _H.detail, _T.parked_reason)
            .join(TRANSACTIONS, _T.id == _H.transaction_id)
            .where(_H.at >= since, _H.kind == str(HistoryKind.ATTENTION))
            .order_by(_H.at, _T.id)
        )
        return [
            Parking(TransactionId(id), at, reason or "", detail or "", parked is not None)
            for id, at, reason, detail, parked in self._rows(chosen)
        ]

    def effects(self, since: datetime) -> dict[IntentState, int]:
        """Effects by the state that they came to since then."""
        chosen = (
            select(INTENTS.c.state, func.count())
            .where(INTENTS.c.updated_at >= since)
            .group_by(INTENTS.c.state)
        )
        found = {IntentState(state): count for state, count in self._rows(chosen)}
        return {state: found.get(state, 0) for state in IntentState}

    def undelivered(self) -> dict[MessageState, int]:
        """Notifications that nobody has received."""
        chosen = select(OUTBOX.c.state, func.count()).group_by(OUTBOX.c.state)
        found = {MessageState(state): count for state, count in self._rows(chosen)}
        waiting = (state for state in MessageState if state is not MessageState.DELIVERED)
        return {state: found.get(state, 0) for state in waiting}

    def pauses(self, since: datetime) -> list[EndedPause]:
        """Pauses of libraries and of everything that were ended since then."""
        chosen = select(PAUSES).where(PAUSES.c.ended_at >= since).order_by(PAUSES.c.ended_at)
        with self._database.read() as connection:
            return [
                EndedPause(rows.pause(row), row["ended_at"], row["ended_by"], row["end_reason"])
                for row in connection.execute(chosen).mappings()
            ]

    def _rows(self, chosen: Select[Any]) -> list[Any]:
        with self._database.read() as connection:
            return list(connection.execute(chosen))
