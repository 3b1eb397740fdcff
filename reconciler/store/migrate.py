"""Applies the plain SQL files of `sql/`, each once, each in one transaction, checksummed.

Forward only. A changed file or a schema that is newer than this version is refused.
"""

from __future__ import annotations

import hashlib
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from sqlalchemy import Connection, inspect, text

from reconciler.errors import SchemaError
from reconciler.store.database import Database

_LOCK = 7_215_341
"""PostgreSQL advisory lock: two migrators never interleave."""

_CREATE = """
CREATE TABLE IF NOT EXISTS schema_migrations (
    version INTEGER NOT NULL PRIMARY KEY,
    name VARCHAR NOT NULL,
    checksum VARCHAR NOT NULL,
    applied_at {timestamp} NOT NULL
)
"""


@dataclass(frozen=True, slots=True)
class Migration:
    version: int
    name: str
    sql: str

    @property
    def checksum(self) -> str:
        return hashlib.sha256(self.sql.encode()).hexdigest()


def migrations(*, sqlite: bool) -> tuple[Migration, ...]:
    """The files for one kind of database, in order. Raises SchemaError on a bad name."""
    folder = _sql_folder() / ("sqlite" if sqlite else "postgres")
    found = []
    for path in sorted(folder.glob("*.sql")):
        match = re.fullmatch(r"(\d{4})_(\w+)\.sql", path.name)
        if match is None:
            raise SchemaError(f"{path.name}: migrations are named NNNN_name.sql")
        found.append(Migration(int(match[1]), match[2], path.read_text(encoding="utf-8")))
    return tuple(found)


def migrate(database: Database, now: datetime) -> tuple[Migration, ...]:
    """Bring the schema up to date; returns what was applied (() if nothing was to be done)."""
    applied = []
    while (migration := _apply_next(database, now)) is not None:
        applied.append(migration)
    return tuple(applied)


def check(database: Database) -> int:
    """How many migrations are missing (0 when up to date).

    Raises SchemaError when the schema is newer than this version or a file was changed.
    """
    with database.read() as connection:
        return len(_pending(connection, database))


def is_empty(database: Database) -> bool:
    """Whether no schema was ever made here."""
    with database.read() as connection:
        return not inspect(connection).has_table("schema_migrations")


def _apply_next(database: Database, now: datetime) -> Migration | None:
    with database.write() as connection:
        if not database.is_sqlite:
            connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
        timestamp = "DATETIME" if database.is_sqlite else "TIMESTAMP WITH TIME ZONE"
        connection.exec_driver_sql(_CREATE.format(timestamp=timestamp))
        pending = _pending(connection, database)
        if not pending:
            return None
        first = pending[0]
        for statement in _statements(first.sql, sqlite=database.is_sqlite):
            connection.exec_driver_sql(statement)
        connection.execute(
            text("INSERT INTO schema_migrations VALUES (:version, :name, :checksum, :at)"),
            {
                "version": first.version,
                "name": first.name,
                "checksum": first.checksum,
                "at": now.isoformat(sep=" "),
            },
        )
        return first


def _pending(connection: Connection, database: Database) -> tuple[Migration, ...]:
    known = migrations(sqlite=database.is_sqlite)
    applied: dict[int, str] = {}
    if inspect(connection).has_table("schema_migrations"):
        rows = connection.execute(text("SELECT version, checksum FROM schema_migrations"))
        applied = {row.version: row.checksum for row in rows}
    newer = applied.keys() - {each.version for each in known}
    if newer:
        raise SchemaError(
            f"the database has migration {max(newer)}, which this version does not know: "
            "it was made by a newer reconciler; run that one"
        )
    for each in known:
        if each.version in applied and applied[each.version] != each.checksum:
            raise SchemaError(f"migration {each.version} was changed after it had been applied")
    return tuple(each for each in known if each.version not in applied)


def _statements(sql: str, *, sqlite: bool) -> Iterator[str]:
    """SQLite's driver takes one statement at a time; PostgreSQL's takes a whole file."""
    if not sqlite:
        yield sql
        return
    statement = ""
    for line in sql.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        yield statement


def _sql_folder() -> Path:
    """Beside the package in a checkout, inside it in an installed wheel."""
    package = Path(__file__).resolve().parents[1]
    inside = package / "sql"
    return inside if inside.is_dir() else package.parent / "sql"
