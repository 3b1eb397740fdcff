"""Log lines: constant messages, bound words of an allow-list, and never a secret."""

from __future__ import annotations

import ast
import io
import json
import logging
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from loguru import logger

from reconciler import logs

KEY = "l8xx-secret-of-an-alma"

Lines = Callable[[], list[str]]


@pytest.fixture
def written() -> Iterator[Callable[..., Lines]]:
    def start(format: str = "json", level: str = "INFO") -> Lines:
        stream = io.StringIO()
        logs.set_up(level, format, stream)
        return lambda: stream.getvalue().splitlines()

    yield start
    logger.remove()
    logging.basicConfig(handlers=[logging.NullHandler()], force=True)


def rows(lines: Lines) -> list[Any]:
    return [json.loads(line) for line in lines()]


def test_json_is_one_object_a_line(written: Callable[..., Lines]) -> None:
    lines = written()
    logger.bind(tenant="uni-a", reconciled=3).info("cycle finished")
    (row,) = rows(lines)
    assert row == {
        "at": row["at"],
        "level": "INFO",
        "message": "cycle finished",
        "tenant": "uni-a",
        "reconciled": 3,
    }
    assert row["at"][10] == "T"


def test_a_text_that_spans_lines_stays_one_json_line(written: Callable[..., Lines]) -> None:
    lines = written()
    logger.bind(detail="one\ntwo").info("said")
    try:
        raise ValueError("three\nfour")
    except ValueError:
        logger.exception("failed")
    first, second = rows(lines)
    assert first["detail"] == "one\ntwo"
    assert second["exception"].endswith("ValueError: three\nfour")


def test_what_is_not_on_the_list_is_dropped(written: Callable[..., Lines]) -> None:
    lines = written()
    logger.bind(patron="Ada Lovelace", body='{"user_identifier": 1}', tenant="uni-a").info("said")
    assert set(rows(lines)[0]) == {"at", "level", "message", "tenant"}


@pytest.mark.parametrize("format", ["json", "text"])
def test_a_secret_stands_nowhere(written: Callable[..., Lines], format: str) -> None:
    """In a value, in an exception's text, in its local variables, in another library's line."""
    logs.keep_secret(KEY)
    lines = written(format)
    local = {"key": KEY}
    logger.bind(detail=f"with {KEY}", reason="apikey=abcdef&x=1").warning("said")
    try:
        raise RuntimeError(f"{local['key']} was refused")
    except RuntimeError:
        logger.exception("failed")
    logging.getLogger("somebody").warning("Authorization: apikey %s", KEY)
    logging.getLogger("httpx").warning("GET https://alma/?apikey=abcdef")
    told = "\n".join(lines())
    assert told.count("***") >= 3
    assert KEY not in told
    assert "abcdef" not in told


def test_an_exception_is_told_without_names_and_numbers(written: Callable[..., Lines]) -> None:
    lines = written()
    reader = {"name": "Noether", "card": "B0001234", "mail": "emmy@example.org"}
    try:
        raise KeyError(f"no user with {reader['card']} or {reader['mail']}")
    except KeyError:
        logger.exception("failed")
    (row,) = rows(lines)
    assert "B0001234" not in row["exception"]
    assert "emmy@" not in row["exception"]
    assert "Noether" not in row["exception"]
    assert "test_logs.py" in row["exception"]


def test_other_libraries_are_quiet_below_a_warning(written: Callable[..., Lines]) -> None:
    lines = written("json", "DEBUG")
    for name in ("httpx", "uvicorn.error", "apscheduler.scheduler", "sqlalchemy.engine"):
        logging.getLogger(name).info("HTTP Request: GET https://alma/users/1")
    assert lines() == []
    logging.getLogger("uvicorn.error").warning("Invalid HTTP request received.")
    assert rows(lines)[0]["source"] == "uvicorn.error"


def test_the_level_decides(written: Callable[..., Lines]) -> None:
    lines = written("text", "WARNING")
    logger.info("small talk")
    logger.warning("told")
    assert [line.split()[1:] for line in lines()] == [["WARNING", "told"]]


def test_work_goes_on_when_nobody_listens(written: Callable[..., Lines]) -> None:
    written()
    stream = io.StringIO()
    logs.set_up("INFO", "json", stream)
    stream.close()
    logger.info("to nobody")


def test_every_message_in_the_code_is_a_constant() -> None:
    """Names and numbers travel as bound words, which are on a list; never inside the text."""
    levels = {"trace", "debug", "info", "success", "warning", "error", "critical", "exception"}
    found = []
    for path in (Path(logs.__file__).parent).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)):
                continue
            owner = ast.unparse(node.func.value)
            logs_it = "logger" in owner or owner in ("told", "bound")
            constant = len(node.args) == 1 and _is_constant(node.args[0])
            if node.func.attr in levels and logs_it and not constant:
                found.append(f"{path.name}:{node.lineno}")
    assert found == []


def _is_constant(told: ast.expr) -> bool:
    return isinstance(told, ast.Constant) or (isinstance(told, ast.Name) and told.id.isupper())


def test_every_bound_word_in_the_code_is_on_the_list() -> None:
    bound = set()
    for path in (Path(logs.__file__).parent).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                owner = ast.unparse(node.func.value)
                if node.func.attr in ("bind", "contextualize") and owner in ("logger", "bound"):
                    bound |= {word.arg for word in node.keywords if word.arg}
    assert bound - logs.BOUND == set()
    assert len(bound) > 8
