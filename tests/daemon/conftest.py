from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.daemon import NotifySocket
from tests.support.world import World
from tests.support.world import world as make_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """uni-a, uni-b, uni-c over a socket, an SQLite file, settings.yaml in a folder."""
    with make_world(tmp_path) as made:
        yield made


@pytest.fixture
def heard(tmp_path: Path) -> Iterator[NotifySocket]:
    """What systemd would hear of a daemon that is started with its path as NOTIFY_SOCKET."""
    made = NotifySocket(tmp_path)
    yield made
    made.close()


@pytest.fixture
def postgres_world(tmp_path: Path, postgres_url: str) -> Iterator[World]:
    with make_world(tmp_path, postgres_url) as made:
        yield made
