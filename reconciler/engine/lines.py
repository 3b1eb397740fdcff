"""JSON Lines, read one by one: each is a valid model or a BadLine that names field and reason."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Annotated, Any, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from reconciler.wording import problem

LARGEST_LINE = 256 * 1024


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that was not taken: which, which field, why; `code` where a rule refused it."""

    line: int
    field: str
    problem: str
    id: str | None = None
    code: str | None = None


def _no_blanks(id: str) -> str:
    if any(char.isspace() or char == "/" for char in id):
        raise ValueError("expected an id without blanks or slashes")
    return id


Text = Annotated[str, StringConstraints(strict=True, strip_whitespace=True, min_length=1)]
Id = Annotated[Text, StringConstraints(max_length=100), AfterValidator(_no_blanks)]


class Line(BaseModel):
    """A line; fields that it does not know are errors."""

    model_config = ConfigDict(extra="forbid")

    id: Id


class Part(BaseModel):
    """An object within a line."""

    model_config = ConfigDict(extra="forbid")


L = TypeVar("L", bound=Line)


def read_lines(lines: Iterable[bytes], model: type[L]) -> Iterator[tuple[int, L | BadLine]]:
    """The lines of a file, numbered from 1; blank ones are skipped."""
    for number, raw in enumerate(lines, start=1):
        if not raw.strip():
            continue
        parsed = _parsed(number, raw)
        if isinstance(parsed, BadLine):
            yield number, parsed
            continue
        try:
            yield number, model.model_validate(parsed)
        except ValidationError as error:
            yield number, _bad(number, parsed, error)


def _parsed(number: int, raw: bytes) -> dict[str, Any] | BadLine:
    if len(raw) > LARGEST_LINE:
        return BadLine(number, "line", f"longer than {LARGEST_LINE // 1024} KiB")
    try:
        text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError:
        return BadLine(number, "line", "not UTF-8 text")
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" at column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        return BadLine(number, "line", f"not JSON{where}; expected one object on one line")
    if not isinstance(parsed, dict):
        return BadLine(number, "line", "expected a JSON object {…}")
    return parsed


def _bad(number: int, parsed: dict[str, Any], error: ValidationError) -> BadLine:
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or "line"
    id = parsed.get("id")
    return BadLine(number, field, problem(first), id if isinstance(id, str) else None)
