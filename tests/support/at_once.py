"""Two who act at the same time, made to interleave as a test wants it and not by luck."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import TypeVar

import psycopg

from reconciler.core.model import Transaction, TransactionId
from reconciler.store.database import Database
from reconciler.store.sql_store import SqlStore

T = TypeVar("T")
PATIENCE = 20.0


def at_once(*calls: Callable[[], T]) -> list[T]:
    """The answers of calls that run side by side; what one of them raises is raised."""
    with ThreadPoolExecutor(len(calls)) as threads:
        return [each.result(PATIENCE) for each in [threads.submit(call) for call in calls]]


class MeetsAfterReading(SqlStore):
    """A store whose first reading of a transaction is over only when everybody has read."""

    def __init__(self, database: Database, all_have_read: threading.Barrier) -> None:
        super().__init__(database)
        self._all_have_read = all_have_read
        self._has_met = False

    def get(self, id: TransactionId) -> Transaction:
        try:
            return super().get(id)
        finally:
            if not self._has_met:
                self._has_met = True
                self._all_have_read.wait(PATIENCE)


# --- PostgreSQL: rows that somebody else has locked -------------------------------


@contextmanager
def locking(url: str) -> Iterator[psycopg.Connection[tuple[object, ...]]]:
    """A connection in a transaction; what it locks is free again when the block ends."""
    with psycopg.connect(url.replace("postgresql+psycopg", "postgresql")) as connection:
        connection.execute("SET deadlock_timeout = '60s'")
        yield connection


def wait_for_waiting(url: str, number: int = 1) -> None:
    """Until so many connections to this database wait for a lock."""
    query = (
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND wait_event_type = 'Lock'"
    )
    ends = time.monotonic() + PATIENCE
    with psycopg.connect(url, autocommit=True) as connection:
        while time.monotonic() < ends:
            row = connection.execute(query).fetchone()
            if row is not None and row[0] >= number:
                return
            time.sleep(0.01)
    raise AssertionError(f"fewer than {number} connections wait for a lock")
