"""Settlements: the one way in which state, history, intents and the ledger are written.

Each is guarded by its claim's fence, by the version it was decided on, and by the standing pauses.
Many settlements take one statement for each table; only when a guard did not hold for one of them
are they written one by one, to see which. A person's command is written the same way, without a
claim: only while nobody has one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Connection,
    Integer,
    bindparam,
    delete,
    exists,
    func,
    insert,
    or_,
    select,
    update,
)

from reconciler.core.commands.placing import is_needed as placing_is_needed
from reconciler.core.model import HistoryEntry, Intent, Leg, Thing, TransactionId
from reconciler.core.status import ThingState
from reconciler.ports.messages import MessageState
from reconciler.ports.written import Intervention, Notice, Settlement, Written, happened_at
from reconciler.store import rows
from reconciler.store.locking import lock
from reconciler.store.standing import MAY_FIRE
from reconciler.store.tables import (
    HISTORY,
    INTENTS,
    LEASES,
    LEGS,
    OUTBOX,
    PLACINGS,
    THINGS,
    TRANSACTIONS,
)

_T = TRANSACTIONS.c

_SETTLED: dict[str, Any] = {name: bindparam(f"new_{name}") for name in rows.SETTLED_COLUMNS}

_GUARDED_UPDATE = (
    update(TRANSACTIONS)
    .where(
        _T.id == bindparam("of_id"),
        _T.version == bindparam("of_version"),
        _T.fence == bindparam("of_fence"),
        exists().where(
            LEASES.c.tenant == _T.tenant,
            LEASES.c.owner == bindparam("of_owner"),
            LEASES.c.term == bindparam("of_term"),
        ),
        MAY_FIRE,
    )
    .values(
        {
            **_SETTLED,
            "considered": func.coalesce(
                bindparam("new_considered", type_=JSON(none_as_null=True)), _T.considered
            ),
            "history_length": _T.history_length + bindparam("new_rows", type_=Integer),
            "version": _T.version + 1,
            "claimed_by": bindparam("new_claimed_by"),
            "claimed_until": bindparam("new_claimed_until"),
        }
    )
)
_GIVEN_BACK = (
    update(TRANSACTIONS)
    .where(_T.id == bindparam("of_id"), _T.fence == bindparam("of_fence"))
    .values(claimed_by=None, claimed_until=None)
)
_INTERVENTION = (
    update(TRANSACTIONS)
    .where(
        _T.id == bindparam("of_id"),
        _T.version == bindparam("of_version"),
        or_(_T.claimed_until.is_(None), _T.claimed_until <= bindparam("now")),
        MAY_FIRE,
    )
    .values(
        {
            **_SETTLED,
            "history_length": _T.history_length + bindparam("new_rows", type_=Integer),
            "version": _T.version + 1,
            "claimed_by": None,
            "claimed_until": None,
        }
    )
)
_LEG_UPDATE = (
    update(LEGS)
    .where(LEGS.c.transaction_id == bindparam("of_id"), LEGS.c.role == bindparam("of_role"))
    .values({name: bindparam(f"new_{name}") for name in (*rows.LEG_COLUMNS, "host_lms")})
)
_INTENT_UPDATE = (
    update(INTENTS)
    .where(INTENTS.c.id == bindparam("of_id"))
    .values(
        {name: bindparam(f"new_{name}") for name in ("state", *rows.INTENT_COLUMNS, "updated_at")}
    )
)
_LENGTHS = select(_T.id, _T.history_length).where(_T.id.in_(bindparam("ids", expanding=True)))
_THING_UPDATE = (
    update(THINGS)
    .where(THINGS.c.id == bindparam("of_id"))
    .values({name: bindparam(f"new_{name}") for name in (*rows.THING_COLUMNS, "ended_at")})
)
_PLACED = delete(PLACINGS).where(PLACINGS.c.transaction_id == bindparam("of_id"))
_NEW_HISTORY, _NEW_INTENTS = insert(HISTORY), insert(INTENTS)
_NEW_THINGS, _NEW_NOTICES = insert(THINGS), insert(OUTBOX)
"""Made once: building a statement costs more than running it."""


def settle(connection: Connection, settlements: Sequence[Settlement]) -> list[bool]:
    """Write each; False for one whose claim was taken over or whose version has moved on."""
    if len(settlements) == 1:
        return [_settle_one(connection, settlements[0])]
    lock(connection, _T.id, [each.before.id for each in settlements])
    together = connection.begin_nested()
    if _guarded(connection, settlements):
        _write_parts(connection, settlements)
        together.commit()
        return [True] * len(settlements)
    together.rollback()
    return [_settle_one(connection, each) for each in settlements]


def is_stale(connection: Connection, settlement: Settlement) -> bool:
    """Whether its process has lost the lease on the library meanwhile."""
    claim = settlement.claim
    held = select(LEASES.c.tenant).where(
        LEASES.c.tenant == claim.transaction.tenant,
        LEASES.c.owner == claim.owner.name,
        LEASES.c.term == claim.term,
    )
    return connection.execute(held).scalar() is None


def intervene(connection: Connection, intervention: Intervention, now: datetime) -> bool:
    """Write a person's command; False while the transaction is claimed, when it has moved on, or
    when a pause forbids it."""
    values = {**_written(intervention), "now": now}
    if connection.execute(_INTERVENTION, values).rowcount != 1:
        return False
    _write_parts(connection, [intervention])
    return True


def update_legs(connection: Connection, id: TransactionId, legs: Sequence[Leg]) -> None:
    connection.execute(_LEG_UPDATE, [_leg_parameters(id, leg) for leg in legs])


def append(connection: Connection, id: TransactionId, entries: Sequence[HistoryEntry]) -> int:
    """Append to the history outside a settlement; the number of its first new row."""
    length: int = connection.execute(
        update(TRANSACTIONS)
        .where(_T.id == id)
        .values(history_length=_T.history_length + len(entries))
        .returning(_T.history_length)
    ).scalar_one()
    first = length - len(entries) + 1
    connection.execute(
        _NEW_HISTORY,
        [rows.history_values(entry, id, first + n) for n, entry in enumerate(entries)],
    )
    return first


def insert_intents(
    connection: Connection, id: TransactionId, intents: Sequence[Intent], at: datetime, first: int
) -> None:
    """New intents; their `asked_by` counts from the history row `first`."""
    if intents:
        connection.execute(_NEW_INTENTS, [*_new_intents(id, intents, at, first)])


def insert_things(
    connection: Connection, id: TransactionId, things: Sequence[Thing], at: datetime
) -> None:
    if things:
        connection.execute(
            _NEW_THINGS,
            [
                {**rows.thing_values(thing), "id": thing.id, "transaction_id": id, "created_at": at}
                for thing in things
            ],
        )


def _guarded(connection: Connection, settlements: Sequence[Settlement]) -> bool:
    """Write the transactions' own rows; whether every guard held."""
    updated = connection.execute(_GUARDED_UPDATE, [_parameters(each) for each in settlements])
    return updated.rowcount == len(settlements)


def _settle_one(connection: Connection, settlement: Settlement) -> bool:
    """One whose guard does not hold gives its claim back: nobody goes on working under it."""
    if not _guarded(connection, [settlement]):
        given_back = {"of_id": settlement.before.id, "of_fence": settlement.claim.fence}
        connection.execute(_GIVEN_BACK, given_back)
        return False
    _write_parts(connection, [settlement])
    return True


def _parameters(settlement: Settlement) -> dict[str, Any]:
    before, after = settlement.before, settlement.after
    considered = None
    if after.considered != before.considered:
        considered = [rows.verdict_values(each) for each in after.considered]
    kept = settlement.keep_until is not None
    return {
        **_written(settlement),
        "new_considered": considered,
        "new_claimed_by": settlement.claim.owner.name if kept else None,
        "new_claimed_until": settlement.keep_until,
        "of_fence": settlement.claim.fence,
        "of_owner": settlement.claim.owner.name,
        "of_term": settlement.claim.term,
    }


def _written(written: Written) -> dict[str, Any]:
    values = {f"new_{name}": each for name, each in rows.transaction_values(written.after).items()}
    return {
        **values,
        "new_rows": len(written.history),
        "of_id": written.before.id,
        "of_version": written.before.version,
        "of_fires": written.fires,
    }


def _write_parts(connection: Connection, settlements: Sequence[Written]) -> None:
    """What belongs to settlements whose guards held, in the other tables."""
    legs = [
        _leg_parameters(each.after.id, leg)
        for each in settlements
        for leg in each.after.legs
        if rows.leg_differs(leg, each.before.leg(leg.role))
    ]
    if legs:
        connection.execute(_LEG_UPDATE, legs)
    for each in settlements:
        if each.changed or each.things or _is_placed(each):
            _write_ledger(connection, each)
    _write_history(connection, [each for each in settlements if each.history])


def _write_history(connection: Connection, settlements: Sequence[Written]) -> None:
    """History rows, and the intents and notices that hang on them."""
    if not settlements:
        return
    firsts = _first_rows(connection, settlements)
    connection.execute(
        _NEW_HISTORY,
        [
            rows.history_values(entry, each.after.id, firsts[each.after.id] + n)
            for each in settlements
            for n, entry in enumerate(each.history)
        ],
    )
    for each in settlements:
        first, at = firsts[each.after.id], each.history[0].at
        insert_intents(connection, each.after.id, each.planned, at, first)
        if each.notices:
            notices = notice_rows(each.after.id, each.notices, first, at)
            connection.execute(_NEW_NOTICES, [*notices])


def _write_ledger(connection: Connection, settlement: Written) -> None:
    id, at = settlement.after.id, happened_at(settlement)
    if settlement.changed:
        changed = [_intent_parameters(intent, at) for intent in settlement.changed]
        connection.execute(_INTENT_UPDATE, changed)
    known = {thing.id for thing in settlement.before.things}
    insert_things(connection, id, [each for each in settlement.things if each.id not in known], at)
    if moved := [_thing_parameters(each, at) for each in settlement.things if each.id in known]:
        connection.execute(_THING_UPDATE, moved)
    if _is_placed(settlement):
        connection.execute(_PLACED, {"of_id": id})


def _is_placed(written: Written) -> bool:
    """Whether this ends the time in which the reader's data are needed."""
    before, after = written.before, written.after
    if not placing_is_needed(before.status, before.intents):
        return False
    changed = {intent.id: intent for intent in written.changed}
    intents = [changed.get(intent.id, intent) for intent in before.intents]
    return not placing_is_needed(after.status, intents)


def _first_rows(connection: Connection, settlements: Sequence[Written]) -> dict[str, int]:
    """The number of each transaction's first new history row; its length counts them already."""
    ids = [each.after.id for each in settlements]
    lengths = connection.execute(_LENGTHS, {"ids": ids})
    length = {row.id: row.history_length for row in lengths}
    return {each.after.id: length[each.after.id] - len(each.history) + 1 for each in settlements}


def _leg_parameters(id: TransactionId, leg: Leg) -> dict[str, Any]:
    values = {f"new_{name}": each for name, each in rows.leg_values(leg).items()}
    return {**values, "of_id": id, "of_role": str(leg.role)}


def _thing_parameters(thing: Thing, at: datetime) -> dict[str, Any]:
    values = {f"new_{name}": each for name, each in rows.thing_values(thing).items()}
    ended_at = at if thing.state is not ThingState.PRESENT else None
    return {**values, "new_ended_at": ended_at, "of_id": thing.id}


def _intent_parameters(intent: Intent, at: datetime) -> dict[str, Any]:
    values = {f"new_{name}": each for name, each in rows.intent_values(intent).items()}
    return {**values, "new_updated_at": at, "of_id": intent.id}


def _new_intents(
    id: TransactionId, intents: Sequence[Intent], at: datetime, first: int
) -> Iterator[dict[str, Any]]:
    for n, intent in enumerate(intents):
        yield {
            **rows.intent_values(intent),
            "id": intent.id,
            "transaction_id": id,
            "seq": n,
            "asked_by": first + intent.asked_by,
            "kind": str(intent.kind),
            "role": str(intent.role),
            "host_lms": intent.host_lms,
            "thing_id": intent.thing_id,
            "created_at": at,
            "updated_at": at,
        }


def notice_rows(
    id: TransactionId, notices: Sequence[Notice], first: int, at: datetime
) -> Iterator[dict[str, Any]]:
    """Notices as rows of the outbox; what they tell of counts from the history row `first`."""
    for notice in notices:
        yield {
            "id": notice.id,
            "transaction_id": id,
            "seq": first + notice.of,
            "sink": notice.sink,
            "type": notice.type,
            "body": notice.body,
            "state": MessageState.PENDING.value,
            "created_at": at,
            "next_attempt_at": at,
        }
