"""`ports.Store` over a Database: one code for SQLite and PostgreSQL.

The hot path (claim, load, settle) uses Core statements on the models' tables. A claim is one
guarded UPDATE that raises the fence; a settlement is guarded by fence and version, and writes
state, history and intents in one transaction or not at all.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    Connection,
    Integer,
    Select,
    Table,
    bindparam,
    func,
    insert,
    or_,
    select,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlmodel import SQLModel

from reconciler.core.model import (
    HistoryEntry,
    HostLmsCode,
    Intent,
    Leg,
    Transaction,
    TransactionId,
)
from reconciler.core.status import Role
from reconciler.errors import UnknownTransaction
from reconciler.ports import Claim, Filter, Owner, Selection, Settlement
from reconciler.store import rows
from reconciler.store.database import Database
from reconciler.store.tables import HistoryRow, IntentRow, LegRow, TransactionRow

IDS_PER_STATEMENT = 400


def _table(model: type[SQLModel]) -> Table:
    table: Table = model.__table__  # type: ignore[attr-defined]
    return table


TRANSACTIONS = _table(TransactionRow)
LEGS = _table(LegRow)
HISTORY = _table(HistoryRow)
INTENTS = _table(IntentRow)
_T = TRANSACTIONS.c


class SqlStore:
    def __init__(self, database: Database) -> None:
        self._database = database

    # --- claims --------------------------------------------------------------

    def claim(
        self, selection: Selection, owner: Owner, now: datetime, until: datetime, limit: int
    ) -> list[Claim]:
        """Claim up to `limit` unclaimed transactions, oldest due first.

        One statement: the rows are picked in a CTE (materialised and SKIP LOCKED on PostgreSQL,
        so that two claimers neither wait for each other nor share a row).
        """
        free = or_(_T.claimed_until.is_(None), _T.claimed_until <= now)
        picked = (
            _selected(select(_T.id), selection, now)
            .where(free)
            .order_by(_T.next_poll_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
            .cte("picked")
            .prefix_with("MATERIALIZED", dialect="postgresql")
        )
        taken = (
            update(TRANSACTIONS)
            .where(_T.id.in_(select(picked.c.id)))
            .values(claimed_by=owner.name, claimed_until=until, fence=_T.fence + 1)
            .returning(_T.id, _T.fence)
        )
        with self._database.write() as connection:
            fences = {row.id: row.fence for row in connection.execute(taken)}
            found = _load(connection, fences)
        oldest_first = sorted(found, key=lambda each: each.next_poll_at or now)
        return [Claim(each, fences[each.id]) for each in oldest_first]

    def release(self, claims: Sequence[Claim]) -> None:
        """Give claims back unsettled."""
        with self._database.write() as connection:
            for claim in claims:
                connection.execute(
                    update(TRANSACTIONS)
                    .where(_T.id == claim.transaction.id, _T.fence == claim.fence)
                    .values(claimed_by=None, claimed_until=None)
                )

    def rescue(self, is_dead: Callable[[Owner], bool]) -> int:
        """Free the claims of owners that are known to be dead; how many transactions it freed."""
        held = select(_T.claimed_by).where(_T.claimed_by.is_not(None)).distinct()
        with self._database.read() as connection:
            owners = connection.execute(held).scalars().all()
        dead = [owner for owner in owners if is_dead(Owner(owner))]
        if not dead:
            return 0
        freed = (
            update(TRANSACTIONS)
            .where(_T.claimed_by.in_(dead))
            .values(claimed_by=None, claimed_until=None)
        )
        with self._database.write() as connection:
            return connection.execute(freed).rowcount

    # --- settlements ---------------------------------------------------------

    def settle(self, settlements: Sequence[Settlement]) -> list[bool]:
        """Write each; False for one whose claim was taken over or whose version has moved on.

        All of them in one statement for each table; only when a guard did not hold for one of
        them are they written one by one, to see which.
        """
        with self._database.write() as connection:
            together = connection.begin_nested()
            if _guarded(connection, settlements):
                _write_parts(connection, settlements)
                together.commit()
                return [True] * len(settlements)
            together.rollback()
            return [_settle_one(connection, each) for each in settlements]

    # --- reading -------------------------------------------------------------

    def live(self, selection: Selection, now: datetime) -> list[Transaction]:
        """The live transactions of a selection, without claiming them."""
        with self._database.read() as connection:
            chosen = _selected(select(_T.id), selection, now).order_by(_T.next_poll_at)
            return _load(connection, _ids(connection, chosen))

    def get(self, id: TransactionId) -> Transaction:
        """Raises UnknownTransaction."""
        with self._database.read() as connection:
            return _one(connection, id)

    def find(self, filter: Filter) -> list[Transaction]:
        """The transactions that `list` shows, longest in their status first."""
        chosen = select(_T.id).order_by(_T.status_since, _T.id)
        if filter.status is not None:
            chosen = chosen.where(_T.status == str(filter.status))
        if filter.parked:
            chosen = chosen.where(_T.parked_reason.is_not(None))
        if filter.tenant is not None:
            chosen = chosen.where(_involves(filter.tenant))
        with self._database.read() as connection:
            return _load(connection, _ids(connection, chosen))

    def history(self, id: TransactionId) -> list[HistoryEntry]:
        chosen = select(HISTORY).where(HISTORY.c.transaction_id == id).order_by(HISTORY.c.seq)
        with self._database.read() as connection:
            return [rows.history_entry(row) for row in connection.execute(chosen).mappings()]

    def intents(self, id: TransactionId) -> list[Intent]:
        chosen = (
            select(INTENTS)
            .where(INTENTS.c.transaction_id == id)
            .order_by(INTENTS.c.asked_by, INTENTS.c.seq)
        )
        with self._database.read() as connection:
            return [rows.intent(row) for row in connection.execute(chosen).mappings()]

    # --- people's words ------------------------------------------------------

    def add(self, transaction: Transaction, entry: HistoryEntry) -> bool:
        """Store a new transaction; False when the id is known already (nothing is changed)."""
        values = {
            **rows.transaction_values(transaction),
            "id": transaction.id,
            "tenant": transaction.tenant,
            "created_at": transaction.created_at,
            "considered": [],
        }
        try:
            with self._database.write() as connection:
                connection.execute(insert(TRANSACTIONS), values)
                connection.execute(
                    insert(LEGS),
                    [
                        {
                            **rows.leg_values(leg),
                            "transaction_id": transaction.id,
                            "role": str(leg.role),
                        }
                        for leg in transaction.legs
                    ],
                )
                _append(connection, transaction.id, (entry,))
        except IntegrityError:
            if self._knows(transaction.id):
                return False
            raise
        return True

    def amend(self, id: TransactionId, legs: Sequence[Leg], entry: HistoryEntry) -> None:
        """Replace legs by a person's word and make the transaction due; raises as `get`.

        The version moves on, so a look that is under way is settled by nobody and looked anew.
        """
        with self._database.write() as connection:
            after = _one(connection, id).with_legs({leg.role: leg for leg in legs})
            connection.execute(_LEG_UPDATE, [_leg_parameters(id, leg) for leg in legs])
            connection.execute(
                update(TRANSACTIONS)
                .where(_T.id == id)
                .values(
                    version=_T.version + 1,
                    next_poll_at=entry.at,
                    sights=rows.sights_values(after),
                )
            )
            _append(connection, id, (entry,))

    def pause(self, id: TransactionId, now: datetime, entry: HistoryEntry) -> None:
        """Stop looking at a transaction until a person resumes it; raises as `get`."""
        with self._database.write() as connection:
            _one(connection, id)
            connection.execute(
                update(TRANSACTIONS)
                .where(_T.id == id)
                .values(paused_since=now, version=_T.version + 1)
            )
            _append(connection, id, (entry,))

    def _knows(self, id: TransactionId) -> bool:
        with self._database.read() as connection:
            found = connection.execute(select(_T.id).where(_T.id == id))
            return found.scalar() is not None


# --- statements --------------------------------------------------------------


def _selected(query: Select[tuple[str]], selection: Selection, now: datetime) -> Select[tuple[str]]:
    query = query.where(_T.next_poll_at.is_not(None), _T.paused_since.is_(None))
    if selection.tenant is not None:
        query = query.where(_T.tenant == selection.tenant)
    if selection.ids is not None:
        query = query.where(_T.id.in_(selection.ids))
    if selection.due_only:
        query = query.where(_T.next_poll_at <= now)
    return query


def _involves(tenant: HostLmsCode) -> Any:
    legs = select(LEGS.c.transaction_id).where(LEGS.c.host_lms == tenant)
    return _T.id.in_(legs)


def _ids(connection: Connection, chosen: Select[Any]) -> list[str]:
    return list(connection.execute(chosen).scalars())


def _load(connection: Connection, ids: Iterable[str]) -> list[Transaction]:
    """Whole transactions in the order of their ids as given."""
    wanted = list(ids)
    found: dict[str, Transaction] = {}
    for start in range(0, len(wanted), IDS_PER_STATEMENT):
        some = wanted[start : start + IDS_PER_STATEMENT]
        chosen = connection.execute(select(TRANSACTIONS).where(_T.id.in_(some))).mappings().all()
        sights = {row["id"]: row["sights"] for row in chosen}
        legs: dict[str, dict[Role, Leg]] = defaultdict(dict)
        for row in connection.execute(
            select(LEGS).where(LEGS.c.transaction_id.in_(some))
        ).mappings():
            leg = rows.leg(row, sights[row["transaction_id"]])
            legs[row["transaction_id"]][leg.role] = leg
        found |= {row["id"]: rows.transaction(row, legs[row["id"]]) for row in chosen}
    return [found[id] for id in wanted]


def _one(connection: Connection, id: TransactionId) -> Transaction:
    if connection.execute(select(_T.id).where(_T.id == id)).scalar() is None:
        raise UnknownTransaction(id)
    return _load(connection, [id])[0]


_SETTLED = tuple(rows.SETTLED_COLUMNS)

_GUARDED_UPDATE = (
    update(TRANSACTIONS)
    .where(
        _T.id == bindparam("of_id"),
        _T.version == bindparam("of_version"),
        _T.fence == bindparam("of_fence"),
    )
    .values(
        {
            **{name: bindparam(f"new_{name}") for name in _SETTLED},
            "considered": func.coalesce(
                bindparam("new_considered", type_=JSON(none_as_null=True)), _T.considered
            ),
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
"""Made once: building a statement costs more than running it."""


def _guarded(connection: Connection, settlements: Sequence[Settlement]) -> bool:
    """Write the transactions' own rows; whether every guard held."""
    updated = connection.execute(_GUARDED_UPDATE, [_parameters(each) for each in settlements])
    return updated.rowcount == len(settlements)


def _settle_one(connection: Connection, settlement: Settlement) -> bool:
    if not _guarded(connection, [settlement]):
        return False
    _write_parts(connection, [settlement])
    return True


def _parameters(settlement: Settlement) -> dict[str, Any]:
    before, after = settlement.claim.transaction, settlement.after
    values = {f"new_{name}": each for name, each in rows.transaction_values(after).items()}
    considered = None
    if after.considered != before.considered:
        considered = [rows.verdict_values(each) for each in after.considered]
    return {
        **values,
        "new_considered": considered,
        "new_rows": len(settlement.history),
        "of_id": before.id,
        "of_version": before.version,
        "of_fence": settlement.claim.fence,
    }


def _write_parts(connection: Connection, settlements: Sequence[Settlement]) -> None:
    """Legs that changed, history and intents of settlements whose guards held."""
    legs = [
        _leg_parameters(each.after.id, leg)
        for each in settlements
        for leg in each.after.legs
        if rows.leg_differs(leg, each.claim.transaction.leg(leg.role))
    ]
    if legs:
        connection.execute(_LEG_UPDATE, legs)
    spoken = [each for each in settlements if each.history]
    if not spoken:
        return
    firsts = _first_rows(connection, spoken)
    connection.execute(
        insert(HISTORY),
        [
            rows.history_values(entry, each.after.id, firsts[each.after.id] + n)
            for each in spoken
            for n, entry in enumerate(each.history)
        ],
    )
    intents = [values for each in spoken for values in _intents(each, firsts[each.after.id])]
    if intents:
        connection.execute(insert(INTENTS), intents)


def _first_rows(connection: Connection, settlements: Sequence[Settlement]) -> dict[str, int]:
    """The number of each transaction's first new history row; its length counts them already."""
    ids = [each.after.id for each in settlements]
    lengths = select(_T.id, _T.history_length).where(_T.id.in_(ids))
    length = {row.id: row.history_length for row in connection.execute(lengths)}
    return {each.after.id: length[each.after.id] - len(each.history) + 1 for each in settlements}


def _leg_parameters(id: TransactionId, leg: Leg) -> dict[str, Any]:
    values = {f"new_{name}": each for name, each in rows.leg_values(leg).items()}
    return {**values, "of_id": id, "of_role": str(leg.role)}


def _intents(settlement: Settlement, first: int) -> Iterator[dict[str, Any]]:
    at = settlement.history[0].at
    for n, intent in enumerate(settlement.intents):
        yield {
            "id": intent.id,
            "transaction_id": settlement.after.id,
            "seq": n,
            "asked_by": first + intent.asked_by,
            "kind": str(intent.kind),
            "role": str(intent.role),
            "host_lms": intent.host_lms,
            "state": str(intent.state),
            "created_at": at,
            "updated_at": at,
        }


def _append(connection: Connection, id: TransactionId, entries: Sequence[HistoryEntry]) -> int:
    """Append to the history; the number of its first new row."""
    length: int = connection.execute(
        update(TRANSACTIONS)
        .where(_T.id == id)
        .values(history_length=_T.history_length + len(entries))
        .returning(_T.history_length)
    ).scalar_one()
    first = length - len(entries) + 1
    connection.execute(
        insert(HISTORY),
        [rows.history_values(entry, id, first + n) for n, entry in enumerate(entries)],
    )
    return first
