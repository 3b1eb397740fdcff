"""What `doctor` is told of our database. Nothing is made, moved or migrated by looking."""

from __future__ import annotations

import json
import stat
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from sqlalchemy import Connection, select

from reconciler.core.model import HostLmsCode, LibraryCode
from reconciler.core.status import EffectKind, IntentState
from reconciler.errors import SchemaError, StoreUnavailable
from reconciler.ports.survey import DatabaseSight
from reconciler.store import migrate
from reconciler.store.database import Database
from reconciler.store.filesystem import MOUNTS, filesystem_of
from reconciler.store.tables import INTENTS, PLACINGS


def survey(database: Database, mounts: Path = MOUNTS) -> DatabaseSight:
    """Never raises: what could not be looked at is said."""
    sight = DatabaseSight(database.shown)
    if database.file is not None:
        folder = database.file.parent
        sight = replace(
            sight,
            folder=str(folder),
            filesystem=filesystem_of(folder, mounts),
            open_to_others=tuple(_open_to_others(database.file)),
        )
        if not folder.is_dir():
            return replace(sight, problem=f"{folder}: no such folder")
    if database.is_missing_file:
        return replace(sight, is_new=True)
    try:
        return _schema(database, sight)
    except StoreUnavailable as error:
        return replace(sight, problem=str(error))


def _schema(database: Database, sight: DatabaseSight) -> DatabaseSight:
    if migrate.is_empty(database):
        return replace(sight, is_new=True)
    try:
        missing = migrate.check(database)
    except SchemaError as error:
        return replace(sight, schema_problem=str(error))
    if missing:
        return replace(sight, missing_migrations=missing)
    with database.read() as connection:
        return replace(sight, written=_written(connection), pickups=_pickups(connection))


def _written(connection: Connection) -> dict[HostLmsCode, frozenset[EffectKind]]:
    """Sent, not merely found done: what stood there already proves no right to write."""
    columns = INTENTS.c
    sent = (
        select(columns.host_lms, columns.kind)
        .where(columns.state == str(IntentState.DONE), columns.attempts > 0)
        .distinct()
    )
    kinds: dict[HostLmsCode, set[EffectKind]] = defaultdict(set)
    for row in connection.execute(sent):
        kinds[HostLmsCode(row.host_lms)].add(EffectKind(row.kind))
    return {code: frozenset(each) for code, each in kinds.items()}


def _pickups(connection: Connection) -> dict[HostLmsCode, frozenset[LibraryCode]]:
    places: dict[HostLmsCode, set[LibraryCode]] = defaultdict(set)
    for document in connection.execute(select(PLACINGS.c.document)).scalars():
        pickup = json.loads(document)["pickup"]
        places[HostLmsCode(pickup["host_lms"])].add(LibraryCode(pickup["library"]))
    return {code: frozenset(each) for code, each in places.items()}


def _open_to_others(file: Path) -> Iterator[str]:
    """Which of the database's files anybody on this machine may read or change."""
    for path in (file, file.with_name(f"{file.name}-wal"), file.with_name(f"{file.name}-shm")):
        try:
            mode = path.stat().st_mode
        except OSError:
            continue  # not there, or not to be looked at: then the database itself tells
        if mode & stat.S_IRWXO:
            yield str(path)
