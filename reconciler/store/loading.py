"""Whole transactions from their rows: a handful of statements, however many are loaded."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import replace

from sqlalchemy import BindParameter, Connection, RowMapping, bindparam, select

from reconciler.core.commands.placing import is_needed as placing_is_needed
from reconciler.core.model import Pause, Transaction, TransactionId
from reconciler.core.status import DcbStatus, IntentState
from reconciler.errors import UnknownTransaction
from reconciler.store import rows
from reconciler.store.tables import INTENTS, LEGS, PAUSES, PLACINGS, THINGS, TRANSACTIONS

IDS_PER_STATEMENT = 400

_OVER = (str(IntentState.DONE), str(IntentState.WITHDRAWN))

_IDS: BindParameter[Sequence[str]] = bindparam("ids", expanding=True)
_TRANSACTIONS = select(TRANSACTIONS).where(TRANSACTIONS.c.id.in_(_IDS))
_LEGS = select(LEGS).where(LEGS.c.transaction_id.in_(_IDS))
_THINGS = (
    select(THINGS)
    .where(THINGS.c.transaction_id.in_(_IDS))
    .order_by(THINGS.c.created_at, THINGS.c.id)
)
_NOT_OVER = (
    select(INTENTS)
    .where(INTENTS.c.transaction_id.in_(_IDS), INTENTS.c.state.not_in(_OVER))
    .order_by(INTENTS.c.asked_by, INTENTS.c.seq)
)
_PLACED = select(PLACINGS.c.transaction_id).where(PLACINGS.c.transaction_id.in_(_IDS))
_STANDING = select(PAUSES).where(PAUSES.c.ended_at.is_(None)).order_by(PAUSES.c.since)
"""Made once: building a statement costs more than running it."""


def load(connection: Connection, ids: Iterable[str]) -> list[Transaction]:
    """The transactions in the order of their ids as given; each must exist."""
    wanted = list(ids)
    found = _found(connection, wanted)
    standing = standing_pauses(connection) if found else []
    return [_with_pause(found[id], standing) for id in wanted]


def complete(connection: Connection, chosen: Sequence[RowMapping]) -> list[Transaction]:
    """The transactions of these rows, which nothing covers that is paused."""
    parts = _parts(connection, [row["id"] for row in chosen], chosen)
    return [rows.transaction(row, parts[row["id"]]) for row in chosen]


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
    found = _found(connection, [id])
    if id not in found:
        raise UnknownTransaction(id)
    return _with_pause(found[id], standing_pauses(connection))


def _found(connection: Connection, ids: Sequence[str]) -> dict[str, Transaction]:
    found: dict[str, Transaction] = {}
    for start in range(0, len(ids), IDS_PER_STATEMENT):
        some = ids[start : start + IDS_PER_STATEMENT]
        chosen = connection.execute(_TRANSACTIONS, {"ids": some}).mappings().all()
        parts = _parts(connection, some, chosen) if chosen else {}
        found |= {row["id"]: rows.transaction(row, parts[row["id"]]) for row in chosen}
    return found


def _parts(
    connection: Connection, ids: Sequence[str], chosen: Sequence[RowMapping]
) -> dict[str, rows.Parts]:
    parts: dict[str, rows.Parts] = defaultdict(rows.Parts)
    sights = {row["id"]: row["sights"] for row in chosen}
    given = {"ids": ids}
    for row in connection.execute(_LEGS, given).mappings():
        leg = rows.leg(row, sights[row["transaction_id"]])
        parts[row["transaction_id"]].legs[leg.role] = leg
    for row in connection.execute(_THINGS, given).mappings():
        part = parts[row["transaction_id"]]
        part.things = (*part.things, rows.thing(row))
    for row in connection.execute(_NOT_OVER, given).mappings():
        part = parts[row["transaction_id"]]
        part.intents = (*part.intents, rows.intent(row))
    placing = [
        row["id"]
        for row in chosen
        if placing_is_needed(DcbStatus(row["status"]), parts[row["id"]].intents)
    ]
    for id in connection.execute(_PLACED, {"ids": placing}).scalars() if placing else ():
        parts[id].has_placing_data = True
    return parts
