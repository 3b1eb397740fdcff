"""`ports.Leases`: which process looks after which library.

Nothing here compares times: a lease is taken by whoever saw it stand still (engine/tenure.py),
and only if it still stands as it was seen.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping, bindparam, delete, insert, select, update
from sqlalchemy.exc import IntegrityError

from reconciler.core.model import HostLmsCode
from reconciler.ports.leases import Lease, Owner, Presence
from reconciler.store.database import Database, repeated_once
from reconciler.store.locking import lock, updated_in_order
from reconciler.store.tables import DAEMONS, LEASES, TRANSACTIONS

_L = LEASES.c
_T = TRANSACTIONS.c

_AT = _L.tenant.in_(bindparam("tenants", expanding=True))
_OF = select(LEASES).where(_AT)
_TAKING = (
    update(LEASES)
    .where(
        _L.tenant == bindparam("of_tenant"),
        _L.term == bindparam("seen_term"),
        _L.beat == bindparam("seen_beat"),
    )
    .values(
        owner=bindparam("new_owner"),
        term=_L.term + 1,
        beat=_L.beat + 1,
        renewed_at=bindparam("now"),
    )
    .returning(*_L)
)
_OWN = _L.owner == bindparam("of_owner")
_RELEASING = updated_in_order(_L.tenant, _OWN, _AT).values(
    owner=None, beat=_L.beat + 1, renewed_at=bindparam("now")
)
_RENEWING = (
    updated_in_order(_L.tenant, _OWN)
    .values(beat=_L.beat + 1, renewed_at=bindparam("now"))
    .returning(*_L)
)
_THERE = _T.tenant.in_(bindparam("tenants", expanding=True))
_FREED = {"claimed_by": None, "claimed_until": None, "fence": _T.fence + 1}
"""The fences rise too: what the claims' holders still write is refused."""
_FREEING = updated_in_order(_T.id, _T.claimed_by.is_not(None), _THERE).values(_FREED)
_FREEING_OWN = updated_in_order(_T.id, _T.claimed_by == bindparam("of_owner"), _THERE).values(
    _FREED
)
"""Made once: building a statement costs more than running it."""


class SqlLeases:
    def __init__(self, database: Database) -> None:
        self._database = database

    @property
    def is_shared(self) -> bool:
        return not self._database.is_sqlite

    def all(self, tenants: Sequence[HostLmsCode], now: datetime) -> list[Lease]:
        """The leases on these libraries; one that was never taken is there, and free."""
        found = self._of(tenants)
        if any(tenant not in found for tenant in tenants):
            for tenant in tenants:
                if tenant not in found:
                    self._make(tenant, now)
            found = self._of(tenants)
        return [found[tenant] for tenant in tenants]

    @repeated_once
    def take(self, seen: Sequence[Lease], owner: Owner, now: datetime) -> list[Lease]:
        """Take those that still are as they were seen, and free what their last owners had
        claimed; the ones taken."""
        taken = []
        with self._database.write() as connection:
            lock(connection, _L.tenant, [lease.tenant for lease in seen])
            for lease in seen:
                given = {"of_tenant": lease.tenant, "new_owner": owner.name, "now": now}
                given |= {"seen_term": lease.term, "seen_beat": lease.beat}
                row = connection.execute(_TAKING, given).mappings().one_or_none()
                if row is not None:
                    taken.append(_lease(row))
            if taken:
                connection.execute(_FREEING, {"tenants": [each.tenant for each in taken]})
        return taken

    @repeated_once
    def renew(self, owner: Owner, now: datetime) -> list[Lease]:
        """Renew every lease of an owner; those that are still its own."""
        given = {"of_owner": owner.name, "now": now}
        with self._database.write() as connection:
            return [_lease(row) for row in connection.execute(_RENEWING, given).mappings()]

    @repeated_once
    def release(self, owner: Owner, tenants: Sequence[HostLmsCode], now: datetime) -> None:
        """Give leases up, with every claim that their owner still has there."""
        given = {"of_owner": owner.name, "tenants": tenants, "now": now}
        with self._database.write() as connection:
            connection.execute(_RELEASING, given)
            connection.execute(_FREEING_OWN, given)

    @repeated_once
    def attend(self, owner: Owner, now: datetime) -> None:
        """Say that this daemon is here."""
        again = (
            update(DAEMONS)
            .where(DAEMONS.c.owner == owner.name)
            .values(beat=DAEMONS.c.beat + 1, renewed_at=now)
        )
        with self._database.write() as connection:
            if not connection.execute(again).rowcount:
                connection.execute(
                    insert(DAEMONS), {"owner": owner.name, "beat": 0, "renewed_at": now}
                )

    def present(self) -> list[Presence]:
        """The daemons that have said so, and not yet goodbye."""
        chosen = select(DAEMONS).order_by(DAEMONS.c.owner)
        with self._database.read() as connection:
            rows = connection.execute(chosen).mappings()
            return [Presence(Owner(row["owner"]), row["beat"]) for row in rows]

    @repeated_once
    def leave(self, owner: Owner) -> None:
        """Forget a daemon: it said goodbye, or it is dead."""
        with self._database.write() as connection:
            connection.execute(delete(DAEMONS).where(DAEMONS.c.owner == owner.name))

    def _of(self, tenants: Sequence[HostLmsCode]) -> dict[HostLmsCode, Lease]:
        with self._database.read() as connection:
            found = connection.execute(_OF, {"tenants": tenants}).mappings()
            leases = [_lease(row) for row in found]
        return {lease.tenant: lease for lease in leases}

    @repeated_once
    def _make(self, tenant: HostLmsCode, now: datetime) -> None:
        try:
            with self._database.write() as connection:
                connection.execute(
                    insert(LEASES), {"tenant": tenant, "term": 0, "beat": 0, "renewed_at": now}
                )
        except IntegrityError:
            return  # another process was quicker


def _lease(row: RowMapping) -> Lease:
    values: dict[str, Any] = dict(row)
    owner = values["owner"]
    return Lease(
        HostLmsCode(values["tenant"]),
        None if owner is None else Owner(owner),
        values["term"],
        values["beat"],
        values["renewed_at"],
    )
