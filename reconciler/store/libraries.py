"""The row that all processes share for one library."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, RowMapping, bindparam, select

from reconciler.core.model import HostLmsCode
from reconciler.core.status import TenantState
from reconciler.store.tables import TENANTS

_ROW = select(TENANTS).where(TENANTS.c.code == bindparam("of_tenant")).with_for_update()
"""Made once: building a statement costs more than running it."""


def locked_row(connection: Connection, tenant: HostLmsCode) -> RowMapping:
    """The library's row, made if there is none, and ours until the end of the transaction."""
    given = {"of_tenant": tenant}
    found = connection.execute(_ROW, given).mappings().first()
    if found is None:
        values = {"code": tenant, "state": str(TenantState.OPEN), "reason": "", "strikes": 0}
        values["missing"] = ""
        upsert = inserting(connection, TENANTS).values(values).on_conflict_do_nothing()
        connection.execute(upsert)
        found = connection.execute(_ROW, given).mappings().one()
    return found


def inserting(connection: Connection, table: Any) -> Any:
    """An INSERT that knows ON CONFLICT, which both databases have in the same words."""
    if connection.dialect.name == "sqlite":
        from sqlalchemy.dialects.sqlite import insert
    else:
        from sqlalchemy.dialects.postgresql import insert  # type: ignore[assignment]
    return insert(table)
