"""`ports.Hints`: what was glanced of bibs and how it proved, shared by all processes.

Which lends a sweep is about is read from the end of the index of what is due: O(due within the
horizon), never O(tracked). A time that a hint sets is guarded by the version and the claim, so
that a look which began before the change cannot swallow it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from functools import cache
from typing import Any

from sqlalchemy import (
    BindParameter,
    ColumnElement,
    Connection,
    RowMapping,
    Select,
    Table,
    and_,
    bindparam,
    case,
    delete,
    or_,
    select,
    update,
)

from reconciler.core.library.bulk import (
    AT_MOST,
    FURTHEST,
    HORIZON,
    Glanced,
    Mark,
    Trust,
    Watch,
    shown_by,
)
from reconciler.core.model import HostLmsCode, MmsId, TransactionId
from reconciler.core.status import OPEN_INTENTS, DcbStatus, Role, Workflow
from reconciler.ports.hints import Swept
from reconciler.store.database import Database, repeated_once
from reconciler.store.libraries import inserting, locked_row
from reconciler.store.locking import lock
from reconciler.store.standing import IS_COVERED
from reconciler.store.tables import HINT_TRUST, INTENTS, LEGS, MARKS, TENANTS, TRANSACTIONS

_T, _L, _M = TRANSACTIONS.c, LEGS.c, MARKS.c
_BESIDE = MARKS.alias("beside")


class SqlHints:
    def __init__(self, database: Database) -> None:
        self._database = database

    @repeated_once
    def begin(self, tenant: HostLmsCode, now: datetime, next_at: datetime) -> datetime | None:
        """Take the library's sweep that is due; else when one is due."""
        with self._database.write() as connection:
            due_at: datetime | None = locked_row(connection, tenant)["sweep_at"]
            if due_at is not None and now < due_at <= now + FURTHEST:
                return due_at
            _set_next(connection, tenant, next_at)
        return None

    @repeated_once
    def leave_alone(self, tenant: HostLmsCode, until: datetime) -> None:
        with self._database.write() as connection:
            _set_next(connection, tenant, until)

    def trusts(self, tenant: HostLmsCode) -> dict[DcbStatus, Trust]:
        chosen = select(HINT_TRUST).where(HINT_TRUST.c.host_lms == tenant)
        with self._database.read() as connection:
            found = connection.execute(chosen).mappings()
            return {
                DcbStatus(row["status"]): Trust(row["record"], row["off_until"]) for row in found
            }

    def watches(
        self, tenant: HostLmsCode, queues: Sequence[HostLmsCode], now: datetime
    ) -> list[Watch]:
        """The parts that wait at this library, the soonest due first; then those that moved on."""
        given = {"library": tenant, "now": now, "queues": queues, "horizon": now + HORIZON}
        found: dict[tuple[str, str], Watch] = {}
        with self._database.read() as connection:
            for chosen in (_waiting(), _moved()):
                for row in connection.execute(chosen, given).mappings():
                    found.setdefault((row["id"], row["role"]), _watch(row))
        return list(found.values())

    @repeated_once
    def record(self, swept: Swept) -> int:
        """Write what a sweep found; how many lends it made due."""
        hints = [each for each in swept.glanced if each.is_hint]
        others = [each for each in swept.glanced if not each.is_hint]
        put_off = [_parameters(each, swept.at) for each in others if each.next_poll_at]
        with self._database.write() as connection:
            lock(connection, _T.id, [each.watch.id for each in swept.glanced])
            taken = [each for each in hints if _made_due(connection, each, swept.at)]
            if put_off:
                connection.execute(_PUT_OFF, put_off)
            _keep(connection, swept.tenant, [*others, *taken])
            _keep_trusts(connection, swept.tenant, swept.trusts)
        return len(taken)


# --- the lends of a sweep ------------------------------------------------------


def _columns() -> tuple[ColumnElement[Any], ...]:
    has_open_effects = _T.id.in_(
        select(INTENTS.c.transaction_id).where(
            INTENTS.c.transaction_id == _T.id,
            INTENTS.c.state.in_([str(each) for each in OPEN_INTENTS]),
        )
    )
    is_plain = and_(
        _T.failures == 0, _T.unchanged_looks > 0, _T.parked_reason.is_(None), ~has_open_effects
    )
    return (
        *(_T.id, _T.workflow, _T.status, _T.version, _T.next_poll_at, _T.last_poll_at),
        *(_L.role, _L.mms_id, is_plain.label("is_plain")),
        *(_M[name].label(f"mark_{name}") for name in _MARKED),
        _BESIDE.c.glanced_at.label("beside_at"),
    )


_MARKED = ("status", "fingerprint", "since", "glanced_at", "looked_at", "hinted_at", "vain")


def _lends(*, marked: bool) -> Select[Any]:
    """Lends with a part at the library that has a bib, unclaimed and not paused."""
    mark = and_(_M.transaction_id == _T.id, _M.role == _L.role)
    beside = and_(
        _BESIDE.c.transaction_id == _T.id,
        _BESIDE.c.role != _L.role,
        _BESIDE.c.status == _T.status,
    )
    joined = TRANSACTIONS.join(LEGS, _L.transaction_id == _T.id)
    joined = joined.join(MARKS, mark, isouter=not marked).join(_BESIDE, beside, isouter=True)
    return (
        select(*_columns())
        .select_from(joined)
        .where(
            _L.mms_id.is_not(None),
            or_(_T.claimed_until.is_(None), _T.claimed_until <= bindparam("now")),
            ~IS_COVERED,
        )
        .limit(AT_MOST)
    )


@cache
def _waiting() -> Select[Any]:
    """Those whose bib may show what ends their wait, the soonest due first."""
    here = _L.host_lms.concat("") == bindparam("library")
    return (
        _lends(marked=False)
        .where(
            here,  # not by the index of libraries, where all that is tracked stands
            _T.tenant.in_(bindparam("queues", expanding=True)),
            _T.next_poll_at.is_not(None),
            _T.next_poll_at <= bindparam("horizon"),
            _T.paused_since.is_(None),
            or_(*_shown()),
        )
        .order_by(_T.next_poll_at)
    )


def _shown() -> Iterator[ColumnElement[bool]]:
    for workflow in Workflow:
        for role in Role:
            statuses = [
                str(status)
                for status in DcbStatus
                if any(side.role(workflow) is role for side in shown_by(status))
            ]
            if statuses:
                yield and_(
                    _T.workflow == str(workflow), _L.role == str(role), _T.status.in_(statuses)
                )


@cache
def _moved() -> Select[Any]:
    """Those whose wait is over in which they were last glanced at."""
    return _lends(marked=True).where(_M.host_lms == bindparam("library"), _M.status != _T.status)


def _watch(row: RowMapping) -> Watch:
    mark = None
    if row["mark_status"] is not None:
        values = {name: row[f"mark_{name}"] for name in _MARKED}
        mark = Mark(**{**values, "status": DcbStatus(values["status"])})
    return Watch(
        id=TransactionId(row["id"]),
        role=Role(row["role"]),
        workflow=Workflow(row["workflow"]),
        status=DcbStatus(row["status"]),
        version=row["version"],
        mms_id=MmsId(row["mms_id"]),
        next_poll_at=row["next_poll_at"],
        last_poll_at=row["last_poll_at"],
        is_plain=bool(row["is_plain"]),
        beside_at=row["beside_at"],
        mark=mark,
    )


# --- what a sweep found ----------------------------------------------------------

_AT: BindParameter[datetime] = bindparam("at", type_=_T.next_poll_at.type)
_UNMOVED = and_(
    _T.id == bindparam("of_id"),
    _T.version == bindparam("of_version"),
    or_(_T.claimed_until.is_(None), _T.claimed_until <= bindparam("now")),
)
_MADE_DUE = (
    update(TRANSACTIONS)
    .where(_UNMOVED)
    .values(next_poll_at=case((_T.next_poll_at > _AT, _AT), else_=_T.next_poll_at))
)
_PUT_OFF = (
    update(TRANSACTIONS)
    .where(_UNMOVED, _T.next_poll_at > bindparam("now"), _T.next_poll_at < _AT)
    .values(next_poll_at=_AT)
)
_FORGOTTEN = delete(MARKS).where(
    _M.transaction_id == bindparam("of_id"), _M.role == bindparam("of_role")
)


def _made_due(connection: Connection, glanced: Glanced, now: datetime) -> bool:
    return connection.execute(_MADE_DUE, _parameters(glanced, now)).rowcount == 1


def _parameters(glanced: Glanced, now: datetime) -> dict[str, Any]:
    watch = glanced.watch
    at = glanced.next_poll_at
    return {"of_id": watch.id, "of_version": watch.version, "now": now, "at": at}


def _key(glanced: Glanced) -> tuple[str, str]:
    return glanced.watch.id, glanced.watch.role


def _keep(connection: Connection, tenant: HostLmsCode, glanced: Sequence[Glanced]) -> None:
    """The marks as they stand now; those of waits that no bib shows are forgotten."""
    over = [each.watch for each in glanced if each.mark is None]
    if over:
        gone = [{"of_id": watch.id, "of_role": str(watch.role)} for watch in over]
        connection.execute(_FORGOTTEN, gone)
    kept = [_mark_values(tenant, each.watch, each.mark) for each in glanced if each.mark]
    if kept:
        _upsert(connection, MARKS, kept)


def _mark_values(tenant: HostLmsCode, watch: Watch, mark: Mark) -> dict[str, Any]:
    values = {name: getattr(mark, name) for name in _MARKED}
    values |= {"status": str(mark.status), "host_lms": tenant}
    return {**values, "transaction_id": watch.id, "role": str(watch.role)}


def _keep_trusts(
    connection: Connection, tenant: HostLmsCode, trusts: Mapping[DcbStatus, Trust]
) -> None:
    rows = [
        {
            "host_lms": tenant,
            "status": str(status),
            "record": trust.record,
            "off_until": trust.off_until,
        }
        for status, trust in trusts.items()
    ]
    if rows:
        _upsert(connection, HINT_TRUST, rows)


def _upsert(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    statement = inserting(connection, table)
    keys = [column.name for column in table.primary_key]
    new = {column.name: statement.excluded[column.name] for column in table.columns}
    changed = {name: value for name, value in new.items() if name not in keys}
    connection.execute(statement.on_conflict_do_update(index_elements=keys, set_=changed), rows)


def _set_next(connection: Connection, tenant: HostLmsCode, at: datetime) -> None:
    connection.execute(update(TENANTS).where(TENANTS.c.code == tenant).values(sweep_at=at))
