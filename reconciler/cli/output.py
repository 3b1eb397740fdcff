"""Data on stdout as table, json, jsonl or csv; everything said to people on stderr."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from typing import Any

Row = Mapping[str, Any]


class Format(StrEnum):
    TABLE = "table"
    JSON = "json"
    JSONL = "jsonl"
    CSV = "csv"


def say(text: str) -> None:
    """A message for a person."""
    sys.stderr.write(text + "\n")


def put(text: str) -> None:
    """A line of data."""
    sys.stdout.write(text + "\n")


def put_json(document: Any) -> None:
    put(json.dumps(document, ensure_ascii=False, indent=2))


def put_rows(rows: Sequence[Row], columns: Sequence[str], format: Format, document: Any) -> None:
    """Rows in a format; `json` prints the whole document that they are part of."""
    if format is Format.JSON:
        put_json(document)
    elif format is Format.JSONL:
        for row in rows:
            put(json.dumps(row, ensure_ascii=False))
    elif format is Format.CSV:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(columns)
        writer.writerows([_cell(row.get(column)) for column in columns] for row in rows)
    else:
        table(columns, ([_cell(row.get(column)) for column in columns] for row in rows))


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """Aligned columns; on a terminal as wide as it is, in a pipe never wrapped."""
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, pad_edge=False, header_style="bold", show_edge=False)
    for column in columns:
        grid.add_column(column.replace("_", " "), overflow="fold", no_wrap=not sys.stdout.isatty())
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    console = Console(file=sys.stdout, width=None if sys.stdout.isatty() else 1000, highlight=False)
    with console.capture() as capture:
        console.print(grid)
    sys.stdout.write("\n".join(line.rstrip() for line in capture.get().splitlines()) + "\n")


def _cell(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, Mapping):
        return str(value.get("reason") or json.dumps(value, ensure_ascii=False))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list | tuple):
        return ", ".join(_cell(each) for each in value)
    return str(value)
