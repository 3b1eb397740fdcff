"""The SQL files make the schema that the models describe, once, whole, and in order."""

from __future__ import annotations

import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlmodel import SQLModel

from reconciler.core.status import (
    TERMINAL,
    DcbStatus,
    EffectKind,
    HistoryKind,
    IntentState,
    Outcome,
    Role,
    TenantState,
    Workflow,
)
from reconciler.errors import SchemaError
from reconciler.store import migrate, tables  # noqa: F401
from reconciler.store.database import Database

NOW = datetime(2026, 11, 25, tzinfo=UTC)
ROOT = Path(__file__).resolve().parents[2]


def test_the_sql_files_equal_the_models(database: Database) -> None:
    with database.read() as connection:
        context = MigrationContext.configure(
            connection,
            opts={
                "compare_type": True,
                "compare_server_default": False,
                "include_name": lambda name, kind, _: (
                    (kind, name) != ("table", "schema_migrations")
                ),
            },
        )
        assert compare_metadata(context, SQLModel.metadata) == []


def test_applying_again_does_nothing(database: Database) -> None:
    assert migrate.migrate(database, NOW) == ()
    assert migrate.check(database) == 0
    assert not migrate.is_empty(database)


def test_a_newer_schema_is_refused(database: Database) -> None:
    with database.write() as connection:
        connection.execute(
            text("INSERT INTO schema_migrations VALUES (9999, 'future', 'x', :now)"),
            {"now": NOW.isoformat(sep=" ")},
        )
    with pytest.raises(SchemaError, match="newer reconciler"):
        migrate.check(database)


def test_a_changed_file_is_refused(database: Database) -> None:
    with database.write() as connection:
        connection.execute(text("UPDATE schema_migrations SET checksum = 'x' WHERE version = 1"))
    with pytest.raises(SchemaError, match="changed after it had been applied"):
        migrate.check(database)


def test_racing_migrators_apply_each_file_once(sqlite_url: str, postgres_server: str) -> None:
    from tests.support import postgres

    postgres.execute(postgres_server, "DROP DATABASE IF EXISTS race", "CREATE DATABASE race")
    for url in (sqlite_url, f"{postgres_server.rpartition('/')[0]}/race"):
        applied: list[int] = []

        def run(url: str = url, applied: list[int] = applied) -> None:
            database = Database(url)
            applied.append(len(migrate.migrate(database, NOW)))
            database.dispose()

        threads = [threading.Thread(target=run) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        files = len(migrate.migrations(sqlite=url.startswith("sqlite")))
        assert sum(applied) == files
    postgres.execute(postgres_server, "DROP DATABASE race WITH (FORCE)")


@pytest.mark.parametrize("folder", ["sqlite", "postgres"])
def test_the_checks_mirror_the_enums(folder: str) -> None:
    sql = "\n".join(path.read_text() for path in sorted((ROOT / "sql" / folder).glob("*.sql")))
    for enum in (
        DcbStatus,
        Role,
        Workflow,
        Outcome,
        HistoryKind,
        EffectKind,
        IntentState,
        TenantState,
    ):
        for word in enum:
            assert f"'{word}'" in sql, f"{enum.__name__}.{word} is in no CHECK of sql/{folder}"
    assert "status IN ('FINALISED', 'HANDED_OFF_AS_LOCAL', 'ERROR')" in sql
    assert {"FINALISED", "HANDED_OFF_AS_LOCAL", "ERROR"} == {str(each) for each in TERMINAL}


def test_both_folders_have_the_same_files() -> None:
    names = [
        [path.name for path in sorted((ROOT / "sql" / folder).glob("*.sql"))]
        for folder in ("sqlite", "postgres")
    ]
    assert names[0] == names[1]
    assert names[0]


def test_no_sql_reads_the_databases_clock() -> None:
    forbidden = ("now()", "current_timestamp", "clock_timestamp", "datetime('now')")
    for path in [*ROOT.glob("sql/**/*.sql"), *ROOT.glob("reconciler/store/*.py")]:
        content = path.read_text().lower()
        for word in forbidden:
            assert word not in content, f"{path.name}: {word}"
