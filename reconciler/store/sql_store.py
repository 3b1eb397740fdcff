"""`ports.Store` over a Database: one code for SQLite and PostgreSQL.

The hot path (claim, load, settle) uses Core statements on the models' tables. A claim is one
guarded UPDATE that raises the fence; a settlement is guarded by fence and version, and writes
state, history and intents in one transaction or not at all.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from functools import cache
from typing import Any, NamedTuple

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Select,
    and_,
    bindparam,
    func,
    or_,
    select,
    union,
    update,
)
from sqlalchemy.exc import IntegrityError
from sqlalchemy.sql.dml import ReturningUpdate

from reconciler.core.commands.placing import Placing
from reconciler.core.model import (
    HistoryEntry,
    HostLmsCode,
    Intent,
    Leg,
    LoanId,
    Transaction,
    TransactionId,
)
from reconciler.core.status import LIVE, OPEN_INTENTS, DcbStatus
from reconciler.ports.leases import Owner
from reconciler.ports.reports import Filter, LateSince
from reconciler.ports.store import Selection, Tried
from reconciler.ports.written import Claim, Entrance, Intervention, Settlement
from reconciler.store import admission, rows, settlements
from reconciler.store.database import Database, repeated_once
from reconciler.store.loading import complete, load, load_one
from reconciler.store.locking import lock, updated_in_order
from reconciler.store.standing import IS_COVERED
from reconciler.store.tables import (
    HISTORY,
    INTENTS,
    LEASES,
    LEGS,
    PLACINGS,
    THINGS,
    TRANSACTIONS,
)

_T = TRANSACTIONS.c
_LIVE = tuple(str(status) for status in LIVE)

_LOST_MEANWHILE = -1
"""No lease ever has this term: what is settled under it is refused."""


class SqlStore:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._stale_writes = 0

    @property
    @repeated_once
    def stale_writes(self) -> int:
        return self._stale_writes

    # --- claims --------------------------------------------------------------

    @repeated_once
    def claim(
        self, selection: Selection, owner: Owner, now: datetime, until: datetime, limit: int
    ) -> list[Claim]:
        """Claim up to `limit` unclaimed transactions of libraries that `owner` has the lease of,
        oldest due first.

        One statement: the rows are picked in a CTE (materialised and SKIP LOCKED on PostgreSQL,
        so that two claimers neither wait for each other nor share a row). It waits for no row, so
        it may take them in the order of their due times.
        """
        given = {
            **_asked_for(selection, now),
            "of_owner": owner.name,
            "until": until,
            "limit": limit,
        }
        with self._database.write() as connection:
            taken = connection.execute(_taking(_Shape.of(selection)), given).mappings().all()
            if not taken:
                return []
            found = complete(connection, taken)
            of_mine = connection.execute(_TERMS, {"of_owner": owner.name})
            terms = {row.tenant: row.term for row in of_mine}
        fences = {row["id"]: row["fence"] for row in taken}
        oldest_first = sorted(found, key=lambda each: each.next_poll_at or now)
        return [
            Claim(each, fences[each.id], owner, terms.get(each.tenant, _LOST_MEANWHILE))
            for each in oldest_first
        ]

    @repeated_once
    def release(self, claims: Sequence[Claim]) -> None:
        """Give claims back unsettled."""
        with self._database.write() as connection:
            lock(connection, _T.id, [claim.transaction.id for claim in claims])
            for claim in claims:
                connection.execute(
                    update(TRANSACTIONS)
                    .where(_T.id == claim.transaction.id, _T.fence == claim.fence)
                    .values(claimed_by=None, claimed_until=None)
                )

    @repeated_once
    def rescue(self, is_dead: Callable[[Owner], bool]) -> int:
        """Free the claims of owners that are known to be dead; how many transactions it freed."""
        held = select(_T.claimed_by).where(_T.claimed_by.is_not(None)).distinct()
        with self._database.read() as connection:
            owners = connection.execute(held).scalars().all()
        dead = [owner for owner in owners if is_dead(Owner(owner))]
        if not dead:
            return 0
        freed = updated_in_order(_T.id, _T.claimed_by.in_(dead)).values(
            claimed_by=None, claimed_until=None
        )
        with self._database.write() as connection:
            return connection.execute(freed).rowcount

    @repeated_once
    def pull_in(self, now: datetime, intervals: Mapping[DcbStatus, timedelta]) -> int:
        """Bring next looks forward that lie more than their status' interval ahead; how many."""
        pulled = 0
        for status, interval in intervals.items():
            late = _T.next_poll_at > now + interval
            nearer = updated_in_order(_T.id, _T.status == str(status), late)
            with self._database.write() as connection:
                pulled += connection.execute(nearer.values(next_poll_at=now + interval)).rowcount
        return pulled

    # --- settlements ---------------------------------------------------------

    @repeated_once
    def settle(self, batch: Sequence[Settlement]) -> list[bool]:
        """Write each; False for one whose claim was taken over or whose version has moved on."""
        with self._database.write() as connection:
            written = settlements.settle(connection, batch)
            refused = [each for each, ok in zip(batch, written, strict=True) if not ok]
            stale = sum(settlements.is_stale(connection, each) for each in refused)
        self._stale_writes += stale
        return written

    # --- reading -------------------------------------------------------------

    def tenants(self) -> list[HostLmsCode]:
        """Every library that a transaction is still polled for.

        From one to the next along the index of what is due: O(tenants), never O(tracked).
        """
        found: list[HostLmsCode] = []
        polled = select(func.min(_T.tenant)).where(
            _T.next_poll_at.is_not(None), _T.paused_since.is_(None)
        )
        with self._database.read() as connection:
            tenant = connection.execute(polled).scalar()
            while tenant is not None:
                found.append(HostLmsCode(tenant))
                tenant = connection.execute(polled.where(_T.tenant > tenant)).scalar()
        return found

    def live(self, selection: Selection, now: datetime) -> list[Transaction]:
        """The live transactions of a selection, without claiming them."""
        with self._database.read() as connection:
            chosen = _selected(_Shape.of(selection)).order_by(_T.next_poll_at)
            return load(connection, _ids(connection, chosen, _asked_for(selection, now)))

    def get(self, id: TransactionId) -> Transaction:
        """Raises UnknownTransaction."""
        with self._database.read() as connection:
            return load_one(connection, id)

    def find(self, filter: Filter) -> list[Transaction]:
        """The transactions that `list` shows, longest in their status first."""
        chosen = (
            select(_T.id)
            .where(*_conditions(filter))
            .order_by(_T.status_since, _T.id)
            .limit(filter.limit)
            .offset(filter.offset or None)
        )
        with self._database.read() as connection:
            return load(connection, _ids(connection, chosen))

    def count(self, filter: Filter) -> int:
        """How many there are, whatever the filter's limit."""
        counted = select(func.count()).select_from(TRANSACTIONS).where(*_conditions(filter))
        with self._database.read() as connection:
            return connection.execute(counted).scalar_one()

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

    @repeated_once
    def add(self, entrance: Entrance) -> bool:
        """Store a new transaction; False when the id is known already (nothing is changed)."""
        try:
            with self._database.write() as connection:
                admission.insert_new(connection, entrance)
        except IntegrityError:
            if self._knows(entrance.transaction.id):
                return False
            raise
        return True

    @repeated_once
    def reopen(self, entrance: Entrance, version: int) -> bool:
        """Begin again with another lender; False when the transaction has moved on meanwhile."""
        with self._database.write() as connection:
            return admission.reopen(connection, entrance, version)

    def suppliers_tried(self, id: TransactionId) -> list[Tried]:
        """The lenders that did not supply, oldest first."""
        with self._database.read() as connection:
            return admission.suppliers_tried(connection, id)

    def loans_of_others(
        self, host_lms: HostLmsCode, loan_ids: Collection[LoanId], id: TransactionId
    ) -> frozenset[LoanId]:
        """Those of these loans of a library that belong to another transaction than `id`, a live
        or an ended one: one step in two indexes for each."""
        given = {"host_lms": host_lms, "loan_ids": list(loan_ids), "of_id": id}
        with self._database.read() as connection:
            found = connection.execute(_LOANS_OF_OTHERS, given).scalars()
            return frozenset(LoanId(each) for each in found)

    def placing(self, id: TransactionId) -> Placing | None:
        """What it is placed with; None once that is forgotten."""
        with self._database.read() as connection:
            document = connection.execute(_PLACING, {"of_id": id}).scalar()
        return None if document is None else rows.placing(document)

    @repeated_once
    def amend(self, before: Transaction, legs: Sequence[Leg], entry: HistoryEntry) -> bool:
        """Replace legs by a person's word and make the transaction due; False when it has moved on
        since it was read as `before`.

        The version moves on, so a look that is under way is settled by nobody and looked anew.
        """
        after = before.with_legs({leg.role: leg for leg in legs})
        amended = (
            update(TRANSACTIONS)
            .where(_T.id == before.id, _T.version == before.version)
            .values(
                version=_T.version + 1,
                next_poll_at=entry.at,
                sights=rows.sights_values(after),
            )
        )
        with self._database.write() as connection:
            if connection.execute(amended).rowcount != 1:
                return False
            settlements.update_legs(connection, before.id, legs)
            settlements.append(connection, before.id, (entry,))
        return True

    @repeated_once
    def intervene(self, intervention: Intervention, now: datetime) -> bool:
        """Write a person's command; False while a process is at work on the transaction, when it
        has moved on, or when a pause forbids it."""
        with self._database.write() as connection:
            return settlements.intervene(connection, intervention, now)

    def _knows(self, id: TransactionId) -> bool:
        with self._database.read() as connection:
            found = connection.execute(select(_T.id).where(_T.id == id))
            return found.scalar() is not None


# --- statements --------------------------------------------------------------


class _Shape(NamedTuple):
    """What a selection asks for, without the values: each shape is one statement."""

    tenant: bool
    ids: bool
    due: bool
    effects: bool
    asked: bool
    passed_over: bool

    @classmethod
    def of(cls, selection: Selection) -> _Shape:
        return cls(
            selection.tenant is not None,
            selection.ids is not None,
            selection.due_only,
            selection.with_effects_only,
            selection.asked_only,
            bool(selection.passed_over),
        )


def _asked_for(selection: Selection, now: datetime) -> dict[str, Any]:
    """The values of a selection's statement."""
    return {
        "now": now,
        "of_tenant": selection.tenant,
        "ids": selection.ids,
        "passed_over": selection.passed_over,
    }


def _selected(shape: _Shape) -> Select[tuple[str]]:
    query = select(_T.id).where(
        _T.next_poll_at.is_not(None), _T.paused_since.is_(None), ~IS_COVERED
    )
    if shape.tenant:
        query = query.where(_T.tenant == bindparam("of_tenant"))
    if shape.ids:
        query = query.where(_T.id.in_(bindparam("ids", expanding=True)))
    if shape.due:
        query = query.where(_T.next_poll_at <= bindparam("now"))
    if shape.effects:
        still_open = INTENTS.c.state.in_([str(each) for each in OPEN_INTENTS])
        query = query.where(_T.id.in_(select(INTENTS.c.transaction_id).where(still_open)))
    if shape.asked:
        query = query.where(_T.asked_at.is_not(None))
    if shape.passed_over:
        query = query.where(_T.id.not_in(bindparam("passed_over", expanding=True)))
    return query


@cache
def _taking(shape: _Shape) -> ReturningUpdate[Any]:
    """The statement that claims; made once for each shape, since building it costs more than
    running it."""
    free = or_(_T.claimed_until.is_(None), _T.claimed_until <= bindparam("now"))
    picked = (
        _selected(shape)
        .where(free, _T.tenant.in_(select(LEASES.c.tenant).where(_MINE)))
        .order_by(_T.next_poll_at)
        .limit(bindparam("limit", type_=Integer))
        .with_for_update(skip_locked=True)
        .cte("picked")
        .prefix_with("MATERIALIZED", dialect="postgresql")
    )
    return (
        update(TRANSACTIONS)
        .where(_T.id.in_(select(picked.c.id)))
        .values(
            claimed_by=bindparam("of_owner"),
            claimed_until=bindparam("until"),
            fence=_T.fence + 1,
        )
        .returning(*_T)
    )


_PLACING = select(PLACINGS.c.document).where(PLACINGS.c.transaction_id == bindparam("of_id"))
_LOANS_OF_OTHERS = union(
    *(
        select(table.c.loan_id).where(
            table.c.host_lms == bindparam("host_lms"),
            table.c.loan_id.in_(bindparam("loan_ids", expanding=True)),
            table.c.transaction_id != bindparam("of_id"),
        )
        for table in (THINGS, LEGS)
    )
)
_MINE = LEASES.c.owner == bindparam("of_owner")
_TERMS = select(LEASES.c.tenant, LEASES.c.term).where(_MINE)


def _conditions(filter: Filter) -> Iterator[ColumnElement[bool]]:
    if filter.status is not None:
        yield _T.status == str(filter.status)
    if filter.parked:
        yield _T.parked_reason.is_not(None)
    if filter.live:
        yield _T.status.in_(_LIVE)
    if filter.tenant is not None:
        yield _involves(filter.tenant)
    if filter.late is not None:
        yield _may_be_late(filter.late)


def _involves(tenant: HostLmsCode) -> Any:
    legs = select(LEGS.c.transaction_id).where(LEGS.c.host_lms == tenant)
    return _T.id.in_(legs)


def _may_be_late(late: LateSince) -> Any:
    """A little more than is late: whose due date counts is decided where the rule stands."""
    standing = [
        and_(_T.status == str(status), _T.status_since < since)
        for status, since in late.in_status.items()
    ]
    overdue = select(LEGS.c.transaction_id).where(LEGS.c.loan_due_at < late.due_before)
    loaned = and_(_T.status == str(DcbStatus.LOANED), _T.id.in_(overdue))
    return or_(*standing, loaned)


def _ids(
    connection: Connection, chosen: Select[Any], given: dict[str, Any] | None = None
) -> list[str]:
    return list(connection.execute(chosen, given).scalars())
