"""Thousands of journeys through seeded months: every book's transaction ends where the book is.

pytest tests/journeys -m long         # nearly twenty thousand
pytest tests/journeys --seed 7        # another draw; JOURNEYS_SEED=7 does the same
pytest tests/journeys -k "[3]" -n0    # one month alone, to look into it
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.journeys import checks
from tests.journeys.month import Month
from tests.journeys.summary import summary
from tests.support import canaries

JOURNEYS_A_MONTH = 200
MONTHS = 10
MANY_MONTHS = 100
"""What a build can wait for: 2,000 journeys; the many are played with `-m long`."""


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """In memory where there is such a place: a million commits need no disk. What the databases
    hold is kept for the search for secrets at the end of the run."""
    memory = Path("/dev/shm")  # noqa: S108 - a folder of its own below it
    made = Path(tempfile.mkdtemp(dir=memory)) if memory.is_dir() else tmp_path
    yield made
    for name, text in canaries.databases(made):
        canaries.said(name, text)
    if made != tmp_path:
        shutil.rmtree(made)


async def play(
    seed: int, number: int, journeys: int, folder: Path, tell: Callable[[str], None]
) -> None:
    month = Month(seed, number, journeys, folder)
    await month.play()
    tell(summary(month))
    wrong = [*checks.problems(month)]
    assert wrong == [], f"--seed {seed}, month {number}:\n" + "\n".join(wrong)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", range(MONTHS))
async def test_a_month_of_journeys_ends_where_the_books_are(
    number: int, seed: int, folder: Path, tell: Callable[[str], None]
) -> None:
    await play(seed, number, JOURNEYS_A_MONTH, folder, tell)


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("number", range(MONTHS, MANY_MONTHS))
async def test_many_months_of_journeys(
    number: int, seed: int, folder: Path, tell: Callable[[str], None]
) -> None:
    await play(seed, number, JOURNEYS_A_MONTH, folder, tell)
