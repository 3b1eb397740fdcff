"""What must never be said or kept: keys, readers' names and cards, what is sent to Alma.

Every test's output and log lines, every command's output and every database are searched at the
end of the run (tests/conftest.py); one find fails it.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path

CANARIES = {
    "an API key": re.compile(r"KEY-uni-[abc]"),
    "a webhook's secret": re.compile(r"whsec_a2tra2"),
    "a reader's name": re.compile(r"Lovelace|Noether|Somerville|Canaryfirst|Canarylast"),
    "a reader's card": re.compile(r"\b[RBC]0\d{3,4}\b"),
    "a body of a request": re.compile(r"\"user_identifier\"|\"pickup_location_type\"|<datafield"),
}
SEPARATOR = "\x1e"
FOLDER = "TESTS_SAID"
"""The environment variable that leads every test process to the same folder."""


def found_in(text: str) -> dict[str, str]:
    """The canaries in a text, with what stands around each."""
    finds = {name: pattern.search(text) for name, pattern in CANARIES.items()}
    return {
        name: text[max(0, find.start() - 60) : find.end() + 20]
        for name, find in finds.items()
        if find
    }


class Texts:
    """Texts of all test processes, kept in a folder until the end of the run."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, where: str, text: str) -> None:
        if text.strip():
            with (self.folder / f"{os.getpid()}.txt").open("a", encoding="utf-8") as file:
                file.write(f"{where}\n{text}{SEPARATOR}")

    def __iter__(self) -> Iterator[tuple[str, str]]:
        for path in sorted(self.folder.glob("*.txt")):
            for part in path.read_text(encoding="utf-8", errors="replace").split(SEPARATOR):
                where, _, text = part.partition("\n")
                if text:
                    yield where, text


def said(where: str, text: str) -> None:
    """Keep a text for the search at the end of the run."""
    Texts(Path(os.environ[FOLDER])).add(where, text)


def databases(folder: Path) -> Iterator[tuple[str, str]]:
    """The text columns of every SQLite database below a folder."""
    for path in sorted(folder.rglob("*.db")):
        if path.is_symlink() or any(part.is_symlink() for part in path.parents):
            continue
        yield str(path), "\n".join(_texts(path))


def _texts(path: Path) -> Iterable[str]:
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        names = connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
        for (table,) in names.fetchall():
            for row in connection.execute(f'SELECT * FROM "{table}"'):
                yield " ".join(value for value in row if isinstance(value, str))
        connection.close()
    except sqlite3.DatabaseError:
        return  # a test broke it on purpose


def search(texts: Iterable[tuple[str, str]]) -> tuple[int, list[str]]:
    """How many texts were searched, and what was found where."""
    finds, searched = [], 0
    for where, text in texts:
        searched += 1
        finds += [f"{where}: {name}: {around!r}" for name, around in found_in(text).items()]
    return searched, finds
