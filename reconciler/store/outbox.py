"""`ports.Outbox`: what the outside is still to be told, in order for each transaction and sink."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import ColumnElement, Integer, RowMapping, bindparam, exists, select, update

from reconciler.core.model import TransactionId
from reconciler.ports.messages import Message, MessageState
from reconciler.ports.outbox import MessageFilter, Try
from reconciler.store.database import Database, repeated_once
from reconciler.store.locking import lock, updated_in_order
from reconciler.store.tables import OUTBOX

_O = OUTBOX.c
_EARLIER = OUTBOX.alias("earlier")
_WAITS_FOR_ANOTHER = exists().where(
    _EARLIER.c.transaction_id == _O.transaction_id,
    _EARLIER.c.sink == _O.sink,
    _EARLIER.c.seq < _O.seq,
    _EARLIER.c.state == MessageState.PENDING.value,
)
_PICKED = (
    select(_O.id)
    .where(
        _O.state == MessageState.PENDING.value,
        _O.next_attempt_at <= bindparam("now"),
        _O.sink.in_(bindparam("sinks", expanding=True)),
        ~_WAITS_FOR_ANOTHER,
    )
    .order_by(_O.created_at, _O.seq)
    .limit(bindparam("limit", type_=Integer))
    .with_for_update(skip_locked=True)
    .cte("picked")
    .prefix_with("MATERIALIZED", dialect="postgresql")
)
_TAKING = (
    update(OUTBOX)
    .where(_O.id.in_(select(_PICKED.c.id)))
    .values(next_attempt_at=bindparam("until"), attempts=_O.attempts + 1)
    .returning(*OUTBOX.c)
)
_COLUMNS = ("state", "attempts", "next_attempt_at", "delivered_at", "last_error")
_RECORDED = (
    update(OUTBOX)
    .where(
        _O.id == bindparam("of_id"),
        _O.state == MessageState.PENDING.value,
        _O.attempts == bindparam("of_attempts"),
        _O.next_attempt_at == bindparam("of_until"),
    )
    .values({name: bindparam(f"new_{name}") for name in _COLUMNS})
)
_RECEIVED = (
    update(OUTBOX)
    .where(
        _O.id == bindparam("of_id"),
        _O.state != MessageState.DELIVERED.value,
        _O.attempts >= bindparam("of_attempts"),
    )
    .values({name: bindparam(f"new_{name}") for name in _COLUMNS})
)
"""Whoever has claimed it since: that it was received is true. Only a replay, which counts the tries
from 0 again, asks for more than that."""


class SqlOutbox:
    @repeated_once
    def __init__(self, database: Database) -> None:
        self._database = database

    @repeated_once
    def claim_messages(
        self, now: datetime, until: datetime, limit: int, sinks: Sequence[str]
    ) -> list[Message]:
        """Messages that are due and whose turn it is, oldest first; held until `until`."""
        given = {"now": now, "until": until, "limit": limit, "sinks": sinks}
        with self._database.write() as connection:
            found = [_message(row) for row in connection.execute(_TAKING, given).mappings()]
        return sorted(found, key=lambda each: (each.created_at, each.seq))

    @repeated_once
    def record(self, tries: Sequence[Try]) -> None:
        """How deliveries went. What was received stays received, whoever says otherwise later; all
        else is written only of a message that is still claimed as it was."""
        if not tries:
            return
        received = [each for each in tries if each.after.state is MessageState.DELIVERED]
        others = [each for each in tries if each.after.state is not MessageState.DELIVERED]
        with self._database.write() as connection:
            lock(connection, _O.id, [each.claimed.id for each in tries])
            if received:
                connection.execute(_RECEIVED, [_kept(each) for each in received])
            if others:
                connection.execute(_RECORDED, [_kept(each) for each in others])

    def messages(self, filter: MessageFilter) -> list[Message]:
        """What `outbox list` shows, newest last."""
        chosen = select(OUTBOX).order_by(_O.created_at, _O.transaction_id, _O.seq)
        chosen = chosen.where(*_conditions(filter))
        with self._database.read() as connection:
            return [_message(row) for row in connection.execute(chosen).mappings()]

    @repeated_once
    def replay(self, filter: MessageFilter, now: datetime) -> int:
        """Send these again, with their old ids; how many there are."""
        again = updated_in_order(_O.id, *_conditions(filter)).values(
            state=MessageState.PENDING.value, next_attempt_at=now, attempts=0, delivered_at=None
        )
        with self._database.write() as connection:
            return connection.execute(again).rowcount


def _conditions(filter: MessageFilter) -> list[ColumnElement[bool]]:
    conditions: list[ColumnElement[bool]] = []
    if filter.ids:
        conditions.append(_O.id.in_(filter.ids))
    if filter.state is not None:
        conditions.append(_O.state == filter.state.value)
    if filter.transaction is not None:
        conditions.append(_O.transaction_id == filter.transaction)
    if filter.since is not None:
        conditions.append(_O.created_at >= filter.since)
    return conditions


def _kept(one: Try) -> dict[str, Any]:
    claimed, after = one.claimed, one.after
    return {
        "of_id": claimed.id,
        "of_attempts": claimed.attempts,
        "of_until": claimed.next_attempt_at,
        "new_state": after.state.value,
        "new_attempts": after.attempts,
        "new_next_attempt_at": after.next_attempt_at,
        "new_delivered_at": after.delivered_at,
        "new_last_error": after.last_error,
    }


def _message(row: RowMapping) -> Message:
    return Message(
        id=row["id"],
        transaction=TransactionId(row["transaction_id"]),
        seq=row["seq"],
        sink=row["sink"],
        type=row["type"],
        body=row["body"],
        state=MessageState(row["state"]),
        attempts=row["attempts"],
        created_at=row["created_at"],
        next_attempt_at=row["next_attempt_at"],
        delivered_at=row["delivered_at"],
        last_error=row["last_error"],
    )
