"""`ports.Quotas`: one row for each library, shared by all processes that call it.

A process takes its calls in slices of time, so that the row is touched once a second and not once
a call. The row is locked while it is read and written.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import date, datetime, timedelta

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    RowMapping,
    and_,
    bindparam,
    insert,
    or_,
    select,
    update,
)

from reconciler.core.library.breaker import TenantStanding
from reconciler.core.model import HostLmsCode
from reconciler.core.status import IntentState, Resource, TenantState
from reconciler.ports.quotas import CallsOfDay, Share, Slice
from reconciler.store.database import Database, repeated_once
from reconciler.store.libraries import locked_row
from reconciler.store.loading import IDS_PER_STATEMENT
from reconciler.store.locking import in_order
from reconciler.store.tables import CALLS, INTENTS, LEGS, TENANTS, TRANSACTIONS

FURTHEST = timedelta(seconds=30)
"""A row that is given away further ahead than this was written before a clock was set back."""

SENT_IN_VAIN = 6

_KEPT = ("since", "reason", "resumes_at", "strikes", "remaining", "remaining_at")
_WORDS = ("state", "missing")
_ROW_UPDATE = (
    update(TENANTS)
    .where(TENANTS.c.code == bindparam("of_tenant"))
    .values({name: bindparam(f"new_{name}") for name in (*_KEPT, *_WORDS, "slots_until")})
)
_COUNTED = (
    update(CALLS)
    .where(CALLS.c.tenant == bindparam("of_tenant"), CALLS.c.day == bindparam("of_day"))
    .values(
        calls=CALLS.c.calls + bindparam("more_calls", type_=Integer),
        throttled=CALLS.c.throttled + bindparam("more_throttled", type_=Integer),
    )
)
"""Made once: building a statement costs more than running it."""


class SqlQuotas:
    def __init__(self, database: Database) -> None:
        self._database = database

    @repeated_once
    def share(self, ask: Share) -> Slice:
        """Take a slice, add to the day's count, say what was found; all in one transaction."""
        with self._database.write() as connection:
            row = locked_row(connection, ask.tenant)
            standing = ask.standing or _standing(row)
            if ask.remaining is not None:
                left, at = ask.remaining
                standing = replace(standing, remaining=left, remaining_at=at)
            starts_at = _next_slot(row["slots_until"], ask.now)
            slots_until = row["slots_until"]
            if ask.seconds:
                slots_until = starts_at + timedelta(seconds=ask.seconds)
            elif ask.unused is not None and slots_until == ask.unused[1]:
                slots_until = ask.unused[0]
            if standing != _standing(row) or slots_until != row["slots_until"]:
                kept = {f"new_{name}": getattr(standing, name) for name in _KEPT}
                kept |= {"new_state": str(standing.state), "new_slots_until": slots_until}
                kept |= {"new_missing": " ".join(sorted(standing.missing))}
                connection.execute(_ROW_UPDATE, {**kept, "of_tenant": ask.tenant})
            if ask.calls or ask.throttled:
                self._count(connection, ask)
        return Slice(starts_at, standing)

    def standings(self) -> dict[HostLmsCode, TenantStanding]:
        """How each library that was ever called stands."""
        with self._database.read() as connection:
            found = connection.execute(select(TENANTS)).mappings()
            return {HostLmsCode(row["code"]): _standing(row) for row in found}

    def calls(self, since: date) -> list[CallsOfDay]:
        chosen = select(CALLS).where(CALLS.c.day >= since).order_by(CALLS.c.tenant, CALLS.c.day)
        with self._database.read() as connection:
            return [CallsOfDay(**row) for row in connection.execute(chosen).mappings()]

    @repeated_once
    def wake(self, tenant: HostLmsCode, now: datetime, most: int | None = None) -> int:
        """Make due what failed, or was not begun, while the library rested: all of it, or the
        `most` that would be due first. How many transactions that were.

        What is claimed is left alone: whoever works at it wakes once more when that has ended.
        """
        columns, waits = TRANSACTIONS.c, _waits_at(tenant)
        there = select(LEGS.c.transaction_id).where(LEGS.c.host_lms == tenant)
        held_up = or_(
            and_(columns.failures > 0, columns.id.in_(there)),
            columns.id.in_(select(INTENTS.c.transaction_id).where(waits)),
        )
        chosen = (
            select(columns.id)
            .where(columns.next_poll_at.is_not(None), columns.claimed_by.is_(None), held_up)
            .order_by(columns.next_poll_at)
            .limit(most)
        )
        unclaimed = in_order(columns.id, columns.id.in_(chosen), columns.claimed_by.is_(None))
        with self._database.write() as connection:
            ids = list(connection.execute(unclaimed).scalars())
            for start in range(0, len(ids), IDS_PER_STATEMENT):
                some = ids[start : start + IDS_PER_STATEMENT]
                connection.execute(
                    update(TRANSACTIONS)
                    .where(columns.id.in_(some), columns.next_poll_at > now)
                    .values(next_poll_at=now)
                )
                connection.execute(
                    update(INTENTS)
                    .where(waits, INTENTS.c.transaction_id.in_(some))
                    .values(next_attempt_at=now)
                )
        return len(ids)

    def _count(self, connection: Connection, ask: Share) -> None:
        more = {"more_calls": ask.calls, "more_throttled": ask.throttled}
        added = connection.execute(_COUNTED, {**more, "of_tenant": ask.tenant, "of_day": ask.day})
        if not added.rowcount:  # the library's row is locked: nobody else adds it meanwhile
            values = {"tenant": ask.tenant, "day": ask.day}
            values |= {"calls": ask.calls, "throttled": ask.throttled}
            connection.execute(insert(CALLS), values)


def _waits_at(tenant: HostLmsCode) -> ColumnElement[bool]:
    """Effects of which nothing was done yet; what may have happened keeps its own time.

    So does what was sent in vain so often that it is not the rest that holds it up.
    """
    return and_(
        INTENTS.c.host_lms == tenant,
        INTENTS.c.attempts < SENT_IN_VAIN,
        INTENTS.c.state == str(IntentState.PLANNED),
        INTENTS.c.next_attempt_at.is_not(None),
    )


def _next_slot(slots_until: datetime | None, now: datetime) -> datetime:
    if slots_until is None or slots_until < now or slots_until > now + FURTHEST:
        return now
    return slots_until


def _standing(row: RowMapping) -> TenantStanding:
    return TenantStanding(
        state=TenantState(row["state"]),
        since=row["since"],
        reason=row["reason"],
        resumes_at=row["resumes_at"],
        strikes=row["strikes"],
        remaining=row["remaining"],
        remaining_at=row["remaining_at"],
        missing=frozenset(Resource(word) for word in row["missing"].split()),
    )
