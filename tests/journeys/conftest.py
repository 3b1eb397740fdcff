"""The seed of the journeys: `pytest tests/journeys --seed 7`, or JOURNEYS_SEED=7 anywhere."""

from __future__ import annotations

import os

import pytest

USUAL_SEED = 20261125


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--seed", type=int, default=None, help="the seed of the journeys")


@pytest.fixture(scope="session")
def seed(pytestconfig: pytest.Config) -> int:
    given = pytestconfig.getoption("--seed", default=None)
    return int(given if given is not None else os.environ.get("JOURNEYS_SEED", USUAL_SEED))
