from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from tests.support.lab import Lab
from tests.support.lab import lab as make_lab
from tests.support.world import World
from tests.support.world import world as make_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """uni-a, uni-b, uni-c over a socket, an SQLite file, settings.yaml in a folder."""
    with make_world(tmp_path) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgres"])
def any_world(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """The same on both databases."""
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    with make_world(tmp_path, url) as made:
        yield made


@pytest.fixture
def acting(tmp_path: Path) -> Iterator[World]:
    """As `world`, and every library is acted on."""
    with make_world(tmp_path, mode="act") as made:
        yield made


@pytest.fixture
async def lab(tmp_path: Path) -> AsyncIterator[Lab]:
    """The App within the test, on a clock that moves when it waits; every library is acted on."""
    async with make_lab(tmp_path, patience="1s") as made:
        yield made
