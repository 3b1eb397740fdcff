"""Who locks more than one row locks them in the order of their keys: nobody waits in a circle.

The order is the database's own (`ORDER BY`), which its collation decides: a list sorted here might
be in another one. SQLite has one writer at a time and locks no rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache

from sqlalchemy import Column, ColumnElement, Connection, Select, bindparam, select, update
from sqlalchemy.sql.dml import Update


def lock(connection: Connection, key: Column[str], keys: Sequence[str]) -> None:
    """Lock the rows with these keys until the end of the transaction."""
    if connection.dialect.name != "sqlite" and len(keys) > 1:
        connection.execute(_locking(key), {"keys": keys})


def in_order(key: Column[str], *which: ColumnElement[bool]) -> Select[str]:
    """The keys of some rows, which the reading locks one after the other.

    As an UPDATE locks them: whoever only refers to such a row need not wait.
    """
    return select(key).where(*which).order_by(key).with_for_update(key_share=True)


def updated_in_order(key: Column[str], *which: ColumnElement[bool]) -> Update:
    """An UPDATE of some rows of a key's table, which locks them one after the other first."""
    return update(key.table).where(key.in_(in_order(key, *which)))


@cache
def _locking(key: Column[str]) -> Select[str]:
    """Made once for each key: building a statement costs more than running it."""
    return in_order(key, key.in_(bindparam("keys", expanding=True)))
