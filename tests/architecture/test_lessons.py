"""Every failure of the peer's history is held by a test of ours that is really there.

`tests/lessons.toml` has an entry for each lesson: our rule, and the tests that fail when we make
the same mistake, or why it cannot concern us.
"""

from __future__ import annotations

import ast
import tomllib
from collections import Counter
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import pytest

TESTS = Path(__file__).resolve().parents[1]
LESSONS: list[dict[str, Any]] = tomllib.loads((TESTS / "lessons.toml").read_text(encoding="utf-8"))[
    "lesson"
]
NUMBERS = range(1, 125)


@cache
def names_in(path: str) -> frozenset[str]:
    """The names of the tests that pytest collects from a file."""
    file = TESTS / path
    if not file.name.startswith("test_") or not file.is_file():
        return frozenset()
    tree = ast.parse(file.read_text(encoding="utf-8"))
    return frozenset(
        node.name
        for node in tree.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
    )


def test_every_lesson_has_one_entry() -> None:
    counts = Counter(entry["number"] for entry in LESSONS)
    assert {number for number, n in counts.items() if n > 1} == set()
    assert set(counts) == set(NUMBERS)
    assert [entry["number"] for entry in LESSONS] == sorted(counts)


@pytest.mark.parametrize("entry", LESSONS, ids=lambda entry: str(entry["number"]))
def test_a_lesson_is_held_by_tests_that_are_there_or_cannot_be_ours(entry: dict[str, Any]) -> None:
    assert set(entry) - {"tests", "not_ours"} == {"number", "rule"}
    assert entry["rule"].strip()
    assert ("tests" in entry) != ("not_ours" in entry)
    if "not_ours" in entry:
        assert entry["not_ours"].strip()
        return
    assert entry["tests"]
    missing = [
        each
        for each in entry["tests"]
        if each.partition("::")[2] not in names_in(each.partition("::")[0])
    ]
    assert missing == []


def test_the_lessons_are_counted(tell: Callable[[str], None]) -> None:
    held = [entry for entry in LESSONS if "tests" in entry]
    tests = {each for entry in held for each in entry["tests"]}
    assert len(LESSONS) == len(NUMBERS)
    tell(
        f"{len(held)} of {len(NUMBERS)} lessons are held by {len(tests)} tests, "
        f"{len(LESSONS) - len(held)} cannot be ours"
    )
