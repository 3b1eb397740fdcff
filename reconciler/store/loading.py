"""Whole transactions from their rows: a handful of statements, however many are loaded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from sqlalchemy import Connection, RowMapping, Table, select

from reconciler.core.model import Pause, Transaction, TransactionId
from reconciler.core.placing import is_needed as placing_is_needed
from reconciler.core.status import DcbStatus, IntentState
from reconciler.errors import UnknownTransaction
from reconciler.store import rows
from reconciler.store.tables import INTENTS, LEGS, PAUSES, PLACINGS, THINGS, TRANSACTIONS

IDS_PER_STATEMENT = 400

_OVER = (str(IntentState.DONE), str(IntentState.WITHDRAWN))


_STANDING = select(PAUSES).where(PAUSES.c.ended_at.is_(None)).order_by(PAUSES.c.since)


def load(connection: Connection, ids: Iterable[str]) -> list[Transaction]:
    """The transactions in the order of their ids as given; each must exist."""
    wanted = list(ids)
    found: dict[str, Transaction] = {}
    for start in range(0, len(wanted), IDS_PER_STATEMENT):
        some = wanted[start : start + IDS_PER_STATEMENT]
        chosen = [*_rows_of(connection, TRANSACTIONS, some, column="id")]
        parts = _parts(connection, some, chosen)
        found |= {row["id"]: rows.transaction(row, parts[row["id"]]) for row in chosen}
    standing = standing_pauses(connection)
    return [_with_pause(found[id], standing) for id in wanted]


def standing_pauses(connection: Connection) -> list[Pause]:
    """The pauses of libraries and of everything, oldest first."""
    return [rows.pause(row) for row in connection.execute(_STANDING).mappings()]


def _with_pause(transaction: Transaction, standing: Sequence[Pause]) -> Transaction:
    """The transaction with its own pause, or else one that covers it."""
    if transaction.paused:
        return transaction
    covering = next((pause for pause in standing if pause.covers(transaction)), None)
    return transaction if covering is None else replace(transaction, paused=covering)


def load_one(connection: Connection, id: TransactionId) -> Transaction:
    """Raises UnknownTransaction."""
    known = select(TRANSACTIONS.c.id).where(TRANSACTIONS.c.id == id)
    if connection.execute(known).scalar() is None:
        raise UnknownTransaction(id)
    return load(connection, [id])[0]


def _parts(
    connection: Connection, ids: Sequence[str], chosen: Sequence[RowMapping]
) -> dict[str, rows.Parts]:
    parts: dict[str, rows.Parts] = defaultdict(rows.Parts)
    sights = {row["id"]: row["sights"] for row in chosen}
    for row in _rows_of(connection, LEGS, ids):
        leg = rows.leg(row, sights[row["transaction_id"]])
        parts[row["transaction_id"]].legs[leg.role] = leg
    for row in _rows_of(connection, THINGS, ids):
        part = parts[row["transaction_id"]]
        part.things = (*part.things, rows.thing(row))
    open_intents = INTENTS.c.state.not_in(_OVER)
    for row in _rows_of(connection, INTENTS, ids, open_intents):
        part = parts[row["transaction_id"]]
        part.intents = (*part.intents, rows.intent(row))
    placing = [
        row["id"]
        for row in chosen
        if placing_is_needed(DcbStatus(row["status"]), parts[row["id"]].intents)
    ]
    known = select(PLACINGS.c.transaction_id).where(PLACINGS.c.transaction_id.in_(placing))
    for id in connection.execute(known).scalars() if placing else ():
        parts[id].has_placing_data = True
    return parts


_ORDER: dict[str, tuple[Any, ...]] = {
    "intents": (INTENTS.c.asked_by, INTENTS.c.seq),
    "things": (THINGS.c.created_at, THINGS.c.id),
}


def _rows_of(
    connection: Connection,
    table: Table,
    ids: Sequence[str],
    *conditions: Any,
    column: str = "transaction_id",
) -> Iterator[RowMapping]:
    chosen = select(table).where(table.c[column].in_(ids), *conditions)
    yield from connection.execute(chosen.order_by(*_ORDER.get(table.name, ()))).mappings()
