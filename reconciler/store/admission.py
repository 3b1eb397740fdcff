"""How a request comes into the store: as a new transaction, or again with another lender."""

from __future__ import annotations

from datetime import datetime

from sqlalchemy import Connection, delete, insert, select, update

from reconciler.core.model import Leg, TransactionId
from reconciler.core.status import DcbStatus
from reconciler.ports.store import Tried
from reconciler.ports.written import Entrance
from reconciler.store import rows, settlements
from reconciler.store.loading import load_one
from reconciler.store.tables import LEGS, OUTBOX, PLACINGS, SUPPLIERS_TRIED, TRANSACTIONS

_T = TRANSACTIONS.c


def insert_new(connection: Connection, entrance: Entrance) -> None:
    """Raises IntegrityError when the id is there already."""
    new = entrance.transaction
    values = {
        **rows.transaction_values(new),
        "id": new.id,
        "tenant": new.tenant,
        "created_at": new.created_at,
        "considered": [],
    }
    connection.execute(insert(TRANSACTIONS), values)
    _bring_in(connection, entrance)


def reopen(connection: Connection, entrance: Entrance, version: int) -> bool:
    """Begin again with another lender; False when the transaction has moved on meanwhile.

    What happened before stays: history, ledger, and the lender that did not supply.
    """
    new, at = entrance.transaction, entrance.entry.at
    before = load_one(connection, new.id)
    moved = connection.execute(
        update(TRANSACTIONS)
        .where(
            _T.id == new.id,
            _T.version == version,
            _T.status == str(DcbStatus.NOT_SUPPLIED_CURRENT_SUPPLIER),
        )
        .values(
            **rows.transaction_values(new),
            tenant=new.tenant,
            considered=[],
            version=version + 1,
            fence=_T.fence + 1,
            claimed_by=None,
            claimed_until=None,
        )
    ).rowcount
    if not moved:
        return False
    _give_up(connection, new.id, before.supplier, at)
    connection.execute(delete(LEGS).where(LEGS.c.transaction_id == new.id))
    connection.execute(delete(PLACINGS).where(PLACINGS.c.transaction_id == new.id))
    _bring_in(connection, entrance)
    return True


def suppliers_tried(connection: Connection, id: TransactionId) -> list[Tried]:
    """The lenders that did not supply, oldest first."""
    table = SUPPLIERS_TRIED
    chosen = select(table).where(table.c.transaction_id == id).order_by(table.c.given_up_at)
    return [
        Tried(row["host_lms"], row["item_pid"], row["given_up_at"])
        for row in connection.execute(chosen).mappings()
    ]


def _bring_in(connection: Connection, entrance: Entrance) -> None:
    """What an entrance brings along, in the other tables."""
    new, at = entrance.transaction, entrance.entry.at
    legs = [
        {**rows.leg_values(leg), "transaction_id": new.id, "role": str(leg.role)}
        for leg in new.legs
    ]
    connection.execute(insert(LEGS), legs)
    if entrance.placing is not None:
        document = rows.placing_document(entrance.placing)
        connection.execute(insert(PLACINGS), {"transaction_id": new.id, "document": document})
    settlements.insert_things(connection, new.id, entrance.things, at)
    first = settlements.append(connection, new.id, (entrance.entry,))
    settlements.insert_intents(connection, new.id, entrance.intents, at, first)
    if entrance.notices:
        notices = settlements.notice_rows(new.id, entrance.notices, first, at)
        connection.execute(insert(OUTBOX), [*notices])


def _give_up(connection: Connection, id: TransactionId, supplier: Leg, at: datetime) -> None:
    connection.execute(
        insert(SUPPLIERS_TRIED),
        {
            "transaction_id": id,
            "host_lms": supplier.host_lms,
            "item_pid": supplier.item_pid or "",
            "mms_id": supplier.mms_id,
            "request_id": supplier.request_id,
            "given_up_at": at,
        },
    )
