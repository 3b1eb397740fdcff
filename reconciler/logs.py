"""Logs: constant messages with bound values, to stderr; never a key, a name, a number of a card.

What is bound is an allow-list; whatever else somebody binds is dropped. Exceptions are shown as
their type, their masked message and where they came from, without local variables.
"""

from __future__ import annotations

import json
import logging
import os
import re
import sys
import traceback
from typing import TYPE_CHECKING, Any, TextIO

from loguru import logger

if TYPE_CHECKING:
    from loguru import Message, Record

BOUND = frozenset(
    {
        "attempts",
        "check",
        "code",
        "count",
        "cycle",
        "detail",
        "effect",
        "failed_reads",
        "faults",
        "host_lms",
        "parked",
        "path",
        "reason",
        "reconciled",
        "role",
        "rule",
        "seconds",
        "source",
        "standing",
        "target",
        "tenant",
        "transaction",
        "transactions",
        "transitions",
        "version",
        "was",
    }
)
"""The names that may be bound to a message (operators.md §4.4 has those of the metrics)."""

_QUIET = ("httpx", "httpcore", "apscheduler", "uvicorn", "asyncio", "sqlalchemy")
_PRIORITY = {"TRACE": 7, "DEBUG": 7, "INFO": 6, "SUCCESS": 6, "WARNING": 4, "ERROR": 3}
_secrets: set[str] = set()


def keep_secret(value: str) -> None:
    """From now on this text appears in no log line."""
    if len(value) > 3:
        _secrets.add(value)


def set_up(level: str, format: str, stream: TextIO | None = None) -> None:
    """Log to stderr (or `stream`) as `text` or `json`; other libraries' warnings come along."""
    out = stream or sys.stderr
    render = _as_json if format == "json" else _as_text
    prefix = bool(os.environ.get("JOURNAL_STREAM")) and stream is None

    def write(message: Message) -> None:
        line = _scrub(render(message.record))
        if prefix:
            priority = _PRIORITY.get(message.record["level"].name, 2)
            line = "\n".join(f"<{priority}>{part}" for part in line.splitlines())
        try:
            out.write(line + "\n")
            out.flush()
        except (OSError, ValueError):
            return  # nobody listens any more; work goes on

    logger.remove()
    logger.add(write, level=level, format="{message}", backtrace=False, diagnose=False)
    logging.basicConfig(handlers=[_Intercept()], level=logging.WARNING, force=True)
    for name in _QUIET:
        logging.getLogger(name).setLevel(logging.WARNING)


def masked(text: str) -> str:
    """A foreign text without addresses and longer numbers."""
    return re.sub(r"\S*\d{4,}\S*|\S+@\S+", "…", text)


def _as_text(record: Record) -> str:
    at = record["time"].isoformat(timespec="milliseconds")
    bound = " ".join(f"{key}={value}" for key, value in _bound(record).items())
    line = f"{at} {record['level'].name:<7} {record['message']}"
    return "\n".join(filter(None, (f"{line}  {bound}".rstrip(), _exception(record))))


def _as_json(record: Record) -> str:
    line: dict[str, Any] = {
        "at": record["time"].isoformat(timespec="milliseconds"),
        "level": record["level"].name,
        "message": record["message"],
        **_bound(record),
    }
    if error := _exception(record):
        line["exception"] = error
    return json.dumps(line, ensure_ascii=False)


def _bound(record: Record) -> dict[str, Any]:
    return {key: value for key, value in record["extra"].items() if key in BOUND}


def _exception(record: Record) -> str:
    error = record["exception"]
    if error is None or error.value is None:
        return ""
    frames = traceback.format_list(traceback.extract_tb(error.traceback))
    kind = type(error.value).__name__
    return f"{''.join(frames)}{kind}: {masked(str(error.value))[:500]}"


def _scrub(line: str) -> str:
    for secret in _secrets:
        line = line.replace(secret, "***")
    return re.sub(r"(apikey[=\s:]+)[^\s&\"',]+", r"\1***", line, flags=re.IGNORECASE)


class _Intercept(logging.Handler):
    """What other libraries log, by their name and level; their text is foreign and masked."""

    def emit(self, record: logging.LogRecord) -> None:
        text = masked(record.getMessage())[:500]
        logger.bind(source=record.name, detail=text).log(record.levelname, "library message")
