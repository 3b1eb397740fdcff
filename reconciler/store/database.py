"""Engines and units of work: one shape for SQLite and PostgreSQL.

SQLite: WAL, `synchronous=FULL`, and BEGIN IMMEDIATE for whatever may write, because a deferred
transaction that reads and then writes fails at once when another process wrote in between
(reliability.md §3). PostgreSQL: psycopg 3, a small pool.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError

from reconciler.errors import SettingsError, StoreUnavailable

P = ParamSpec("P")
R = TypeVar("R")

BUSY_TIMEOUT_MS = 10_000
POOL_SIZE = 4

_SESSION = {"idle_in_transaction_session_timeout": "5s", "lock_timeout": "10s"}
"""PostgreSQL: a process that stands still in a transaction must not keep its locks, or nobody could
take over from it; and nobody waits for a lock without an end."""

_NOTICE_A_DEAD_SERVER = {
    "keepalives_idle": 15,
    "keepalives_interval": 5,
    "keepalives_count": 3,
    "tcp_user_timeout": 30_000,
}
"""libpq: a server that went away without a word is given up after half a minute."""


_CONFLICTS = frozenset({"40P01", "40001"})
"""PostgreSQL's codes for the victim of a deadlock, and for what could not be serialised."""


class WriteConflict(StoreUnavailable):
    """A transaction was given up in favour of another one; nothing of it was kept."""


def repeated_once(call: Callable[P, R]) -> Callable[P, R]:
    """A method that writes, made once more where it had to give way to somebody else's."""

    @wraps(call)
    def repeated(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return call(*args, **kwargs)
        except WriteConflict:
            return call(*args, **kwargs)

    return repeated


class Database:
    """A database by its URL. `write()` and `read()` are transactions: rolled back on an error."""

    def __init__(self, url: str) -> None:
        self.url = _supported(url)
        self.is_sqlite = self.url.get_backend_name() == "sqlite"
        self._engine = _sqlite(self.url) if self.is_sqlite else _postgres(self.url)
        self._identity: int | None = None

    @property
    def shown(self) -> str:
        """The URL without its password."""
        return self.url.render_as_string(hide_password=True)

    @property
    def file(self) -> Path | None:
        """The file of an SQLite database that has one."""
        return _file(self.url)

    @property
    def is_missing_file(self) -> bool:
        """Whether this is an SQLite file that does not exist (connecting would make it)."""
        return self.file is not None and not self.file.exists()

    def verify(self) -> None:
        """What an open connection would not notice: its file was removed, replaced, or protected.

        Raises StoreUnavailable. A replaced file is connected to anew.
        """
        path = self.file
        if path is None:
            return
        try:
            identity = path.stat().st_ino
        except OSError as error:
            self.dispose()
            raise StoreUnavailable(f"{path}: {error.strerror}") from None
        for needed in (path, path.parent):
            if not os.access(needed, os.W_OK):
                raise StoreUnavailable(f"{needed}: it cannot be written to (read-only)")
        if self._identity not in (None, identity):
            self.dispose()
        self._identity = identity

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """A transaction that may write; committed at the end of the block.

        Raises StoreUnavailable when the database cannot be reached, is locked, full or read-only.
        """
        self._refuse_a_new_file()
        with _plain_errors(), self._engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """A transaction that only reads; on SQLite it does not take the writer's lock."""
        self._refuse_a_new_file()
        with _plain_errors(), self._engine.connect() as connection:
            if self.is_sqlite:
                connection = connection.execution_options(reads_only=True)
            yield connection

    def _refuse_a_new_file(self) -> None:
        """Connecting would make a new, empty file in the place of one that was there."""
        if self._identity is not None and self.is_missing_file:
            raise StoreUnavailable(f"{self.url.database}: the file is gone")

    def dispose(self) -> None:
        self._engine.dispose()


def _supported(url: str) -> URL:
    try:
        parsed = make_url(url)
        name = parsed.get_backend_name()
    except (ArgumentError, NoSuchModuleError) as error:
        raise SettingsError(f"database.url: not a database URL ({error})") from None
    if name == "postgresql":
        return parsed.set(drivername="postgresql+psycopg")
    if name != "sqlite":
        raise SettingsError(f"database.url: {name} is not supported; use sqlite or postgresql")
    return parsed


def _file(url: URL) -> Path | None:
    name = url.database
    if url.get_backend_name() != "sqlite" or not name or name == ":memory:":
        return None
    return Path(name)


def _sqlite(url: URL) -> Engine:
    engine = create_engine(url, hide_parameters=True, connect_args={"check_same_thread": False})

    @event.listens_for(engine, "do_connect")
    def _make_private(_dialect: Any, _record: Any, _args: Any, _parameters: Any) -> None:
        """A new file holds readers' ids: its owner's only, and SQLite's files beside it alike."""
        file = _file(url)
        if file is not None:
            with contextlib.suppress(OSError):  # it is there, or connecting says why it cannot be
                os.close(os.open(file, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600))

    @event.listens_for(engine, "connect")
    def _configure(dbapi: Any, _record: Any) -> None:
        dbapi.isolation_level = None  # the driver's own BEGIN would be a deferred one
        for pragma in (
            f"busy_timeout={BUSY_TIMEOUT_MS}",
            "journal_mode=WAL",
            "synchronous=FULL",
            "foreign_keys=ON",
        ):
            dbapi.execute(f"PRAGMA {pragma}")

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        reads_only = connection.get_execution_options().get("reads_only", False)
        connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")

    return engine


def _postgres(url: URL) -> Engine:
    engine = create_engine(
        url,
        pool_size=POOL_SIZE,
        max_overflow=0,
        hide_parameters=True,
        pool_pre_ping=True,
        connect_args={"connect_timeout": 10, **_NOTICE_A_DEAD_SERVER},
    )

    @event.listens_for(engine, "connect")
    def _configure(dbapi: Any, _record: Any) -> None:
        for setting, value in _SESSION.items():
            dbapi.execute(f"SET {setting} = '{value}'")
        dbapi.commit()

    return engine


@contextmanager
def _plain_errors() -> Iterator[None]:
    """The driver's errors without the statement and its values, which hold people's ids."""
    try:
        yield
    except DBAPIError as error:
        if type(error).__name__ in ("IntegrityError", "DataError", "ProgrammingError"):
            raise
        reason = str(error.orig).strip().splitlines()
        gave_way = getattr(error.orig, "sqlstate", None) in _CONFLICTS
        kind = WriteConflict if gave_way else StoreUnavailable
        raise kind(reason[0] if reason else "unknown error") from None
