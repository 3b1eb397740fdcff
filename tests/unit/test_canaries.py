"""The search for secrets at the end of the run can find them."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from tests.support import canaries


@pytest.mark.parametrize(
    "text",
    [
        "Authorization: apikey KEY-uni-a",
        "user Ada Lovelace is blocked",
        "card R00001 expired",
        'sent {"user_identifier":[]}',
    ],
)
def test_a_canary_is_found(text: str) -> None:
    assert canaries.found_in(text)
    assert not canaries.found_in("supplier item TRANSIT (0/TRANSIT) T00001 DCB-ABC")


def test_a_canary_in_a_database_is_found(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "kept.db")
    connection.execute("CREATE TABLE t (a TEXT, b BLOB)")
    connection.execute("INSERT INTO t VALUES ('said by Noether', x'00')")
    connection.commit()
    connection.close()
    searched, found = canaries.search(canaries.databases(tmp_path))
    assert (searched, len(found)) == (1, 1)
    (tmp_path / "kept.db").unlink()
