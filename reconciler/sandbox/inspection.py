"""Everything an institution holds, as plain JSON, for assertions and for a look by people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from typing import Any

from reconciler.sandbox.payloads.renderer import date_text, instant_text
from reconciler.sandbox.table import Table
from reconciler.sandbox.tenant import Tenant


def plain(value: Any) -> Any:
    """Rows, sets and instants as JSON types; the XML of records is kept as text."""
    if value is None or isinstance(value, (str, int, float)):  # first, since most values are such
        return value
    if isinstance(value, datetime):
        return instant_text(value)
    if isinstance(value, date):
        return date_text(value)
    if is_dataclass(value) and not isinstance(value, type):
        return {one.name: plain(getattr(value, one.name)) for one in fields(value)}
    if isinstance(value, Mapping):
        return {str(key): plain(one) for key, one in value.items()}
    if isinstance(value, (frozenset, set)):
        return sorted(plain(one) for one in value)
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value


def state(tenant: Tenant) -> dict[str, Any]:
    """`{users, bibs, holdings, items, requests, loans, letters, remaining}`."""
    tables: dict[str, Table[Any]] = {
        "users": tenant.users,
        "bibs": tenant.bibs,
        "holdings": tenant.holdings,
        "items": tenant.items,
        "requests": tenant.requests,
        "loans": tenant.loans,
    }
    rows: dict[str, Any] = {name: plain(table.rows()) for name, table in tables.items()}
    rows["letters"] = plain(tenant.letters)
    rows["remaining"] = tenant.quota.remaining
    return rows


def ours(tenant: Tenant, marker: str) -> dict[str, list[str]]:
    """Ids of what carries `marker` anywhere: users, bibs, holdings, items, open holds.

    A kind without any is left out, so `{}` means that nothing of ours is left.
    """
    kinds: dict[str, list[tuple[str, Any]]] = {
        "users": [(row.primary_id, row) for row in tenant.users.rows()],
        "bibs": [(row.mms_id, row) for row in tenant.bibs.rows()],
        "holdings": [(row.holding_id, row) for row in tenant.holdings.rows()],
        "items": [(row.pid, row) for row in tenant.items.rows()],
        "holds": [(row.request_id, row) for row in tenant.requests.rows() if row.open],
    }
    found = {
        kind: [key for key, row in rows if marker in json.dumps(plain(row), ensure_ascii=False)]
        for kind, rows in kinds.items()
    }
    return {kind: keys for kind, keys in found.items() if keys}
