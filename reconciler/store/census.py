"""Counts for the metrics and the tenants' view, when somebody asks: O(live)."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from sqlalchemy import BindParameter, Connection, bindparam, case, func, select

from reconciler.core.model import HostLmsCode
from reconciler.core.status import LIVE, DcbStatus, EffectKind, IntentState
from reconciler.ports.messages import MessageState
from reconciler.ports.reports import Census, HealthCount, TransactionHealth, Waiting
from reconciler.store.database import Database
from reconciler.store.standing import IS_COVERED
from reconciler.store.tables import INTENTS, OUTBOX, TRANSACTIONS

_T = TRANSACTIONS.c

_HEALTH = case(
    (IS_COVERED, str(TransactionHealth.PAUSED)),
    (_T.parked_reason.is_not(None), str(TransactionHealth.PARKED)),
    (_T.failures > 0, str(TransactionHealth.FAILING)),
    else_=str(TransactionHealth.HEALTHY),
).label("health")


def _written_out(value: str | list[str]) -> BindParameter[Any]:
    """In the statement's own text: SQLite matches a partial index by the words of its condition."""
    return bindparam(None, value, expanding=isinstance(value, list), literal_execute=True)


_OVER = _written_out([str(IntentState.DONE), str(IntentState.WITHDRAWN)])


def census(database: Database, now: datetime) -> Census:
    """Raises StoreUnavailable when the database cannot be read."""
    with database.read() as connection:
        return Census(
            standing=_standing(connection),
            due=_due(connection, now),
            ambiguous=_ambiguous(connection),
            outbox=_outbox(connection),
        )


def _standing(connection: Connection) -> tuple[HealthCount, ...]:
    live = (
        select(_T.tenant, _T.status, _HEALTH)
        .where(_T.status.in_([str(status) for status in LIVE]))
        .subquery()
    )
    counted = select(live, func.count().label("n")).group_by(*live.c)
    return tuple(
        HealthCount(
            HostLmsCode(row.tenant), DcbStatus(row.status), TransactionHealth(row.health), row.n
        )
        for row in connection.execute(counted)
    )


def _due(connection: Connection, now: datetime) -> dict[HostLmsCode, Waiting]:
    counted = (
        select(_T.tenant, func.count().label("n"), func.min(_T.next_poll_at).label("oldest_at"))
        .where(_T.next_poll_at <= now, _T.next_poll_at.is_not(None), _T.paused_since.is_(None))
        .where(~IS_COVERED)
        .group_by(_T.tenant)
    )
    return {
        HostLmsCode(row.tenant): Waiting(row.n, row.oldest_at)
        for row in connection.execute(counted)
    }


def _ambiguous(connection: Connection) -> dict[tuple[HostLmsCode, EffectKind], int]:
    columns = INTENTS.c
    counted = (
        select(columns.host_lms, columns.kind, func.count().label("n"))
        .where(columns.state == str(IntentState.AMBIGUOUS), columns.state.not_in(_OVER))
        .group_by(columns.host_lms, columns.kind)
    )
    return {
        (HostLmsCode(row.host_lms), EffectKind(row.kind)): row.n
        for row in connection.execute(counted)
    }


def _outbox(connection: Connection) -> dict[str, Waiting]:
    columns = OUTBOX.c
    counted = (
        select(columns.sink, func.count().label("n"), func.min(columns.created_at).label("at"))
        .where(columns.state == _written_out(str(MessageState.PENDING)))
        .group_by(columns.sink)
    )
    return {row.sink: Waiting(row.n, row.at) for row in connection.execute(counted)}
