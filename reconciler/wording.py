"""How bad input is told: the nearest known word, and pydantic's errors in plain words."""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Mapping
from typing import Any


def nearest(word: object, known: Iterable[str]) -> str | None:
    """The known word that somebody probably meant; None when nothing is near."""
    if not isinstance(word, str):
        return None
    same = {each.casefold(): each for each in known}
    near = difflib.get_close_matches(word.casefold(), list(same), n=1)
    return same[near[0]] if near else None


def did_you_mean(word: object, known: Iterable[str]) -> str:
    """ "did you mean X?", or else what the words are."""
    words = list(known)
    near = nearest(word, words)
    return f"did you mean {near}?" if near else f"expected one of {', '.join(words)}"


_PLAIN = {
    "missing": "missing",
    "extra_forbidden": "unknown field",
    "string_type": "expected text in quotes (a number would lose digits)",
    "string_too_short": "expected some text",
    "datetime_parsing": "expected a time such as 2026-11-01T10:00:00Z",
    "datetime_from_date_parsing": "expected a time such as 2026-11-01T10:00:00Z",
    "datetime_type": "expected a time such as 2026-11-01T10:00:00Z",
}


def problem(error: Mapping[str, Any]) -> str:
    """One of pydantic's errors (an element of `ValidationError.errors()`) in plain words."""
    kind = error["type"]
    if kind in ("enum", "literal_error"):
        expected = str(error["ctx"]["expected"]).replace(" or ", ", ")
        return did_you_mean(error["input"], [word.strip(" '") for word in expected.split(",")])
    if kind in ("union_tag_invalid", "union_tag_not_found"):
        return f"type: expected one of {error['ctx'].get('expected_tags', 'the known types')}"
    if kind == "value_error":
        return str(error["msg"]).removeprefix("Value error, ")
    if kind in _PLAIN:
        return _PLAIN[kind]
    message = str(error["msg"])
    return message[:1].lower() + message[1:]
