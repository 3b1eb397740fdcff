"""Alma's answers as plain trees, whatever they are written in.

JSON and XML, codes and labels, old and new shapes become the same nested dicts; the readers
below then treat absent, null, "", {} and blanks alike, and hand every id out as text. What a
body is, is decided by its content, never by its Content-Type (alma-api.md §1.2, appendix B;
fixtures 1-5).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

Node = Mapping[str, Any]

AN_HTML_PAGE = "an HTML page"

_FIRST = datetime(1000, 1, 1, tzinfo=UTC)
_LAST = datetime(9000, 1, 1, tzinfo=UTC)
_BLANK = b"\xef\xbb\xbf \t\r\n"


class NotADocument(ValueError):
    """The body is neither JSON nor XML of Alma's: empty, HTML, cut short or plain text."""


def parse(body: bytes) -> Node:
    """The tree of a body. Raises NotADocument, saying what it looked like instead."""
    text = body.strip(_BLANK)
    if not text:
        raise NotADocument("an empty body")
    if text[:1] in (b"{", b"["):
        return _from_json(text)
    if text[:1] == b"<" and not text[:9].lower().startswith((b"<!doctype", b"<html")):
        return _from_xml(text)
    raise NotADocument(AN_HTML_PAGE if text[:1] == b"<" else "plain text")


def _from_json(text: bytes) -> Node:
    try:
        tree = json.loads(text, parse_float=str)
    except (ValueError, RecursionError) as error:
        raise NotADocument("JSON that is cut short or broken") from error
    if not isinstance(tree, dict):
        raise NotADocument("JSON that is not an object")
    return tree


def _from_xml(text: bytes) -> Node:
    try:
        root = ElementTree.fromstring(text)
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise NotADocument("XML that is cut short or broken") from error
    tree = _element(root)
    name = _local_name(root)
    if name == "web_service_result":
        return {name: tree}
    return tree if isinstance(tree, dict) else {name: tree}


def _local_name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _element(element: Element) -> Any:
    """Children become keys, repeated ones lists; a code with a `desc` keeps both; else text."""
    children = list(element)
    text = (element.text or "").strip()
    if not children:
        if "desc" in element.attrib:
            return {"value": text, "desc": element.attrib["desc"]}
        return {**element.attrib, "value": text} if element.attrib else text
    tree: dict[str, Any] = dict(element.attrib)
    for child in children:
        name, value = _local_name(child), _element(child)
        if name not in tree:
            tree[name] = value
        elif isinstance(tree[name], list):
            tree[name].append(value)
        else:
            tree[name] = [tree[name], value]
    return tree


# --- readers -----------------------------------------------------------------


def field(node: Node, name: str) -> Any:
    """A field by its name, or by the camelCase name of the oldest samples; None when absent."""
    if name in node:
        return node[name]
    first, *rest = name.split("_")
    return node.get(first + "".join(part.capitalize() for part in rest))


def child(node: Node, name: str) -> Node:
    """A nested object; an empty one where there is none."""
    value = field(node, name)
    return value if isinstance(value, dict) else {}


def children(node: Node, name: str) -> tuple[Node, ...]:
    """The rows of a list, also where one row stands without a list; () when the key is absent."""
    value = field(node, name)
    rows = value if isinstance(value, list) else [value]
    return tuple(row for row in rows if isinstance(row, dict) and row)


def text(node: Node, name: str) -> str | None:
    """The code of a field: of `{"value": …}` as of a bare value. Blank in any form is None."""
    return _text(field(node, name))


def _text(value: Any) -> str | None:
    if isinstance(value, dict):
        return _text(value.get("value"))
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str | int):
        return str(value).strip() or None
    return None


def flag(node: Node, name: str) -> bool | None:
    """A boolean, also as the text "true"/"false"; None when absent or anything else."""
    value = (text(node, name) or "").lower()
    return {"true": True, "false": False}.get(value)


def number(node: Node, name: str) -> int | None:
    """A count, also as text; None when absent or not a number."""
    value = text(node, name)
    return int(value) if value is not None and value.isascii() and value.isdigit() else None


def instant(node: Node, name: str) -> datetime | None:
    """A dateTime, with or without milliseconds, or a date; aware UTC. None when unreadable.

    Alma writes calendar dates with a meaningless Z. A date is read as its midnight UTC. "Never"
    (31 December 9999) is read as a time so far away that margins can still be added to it.
    """
    value = text(node, name)
    if value is None:
        return None
    try:
        parsed = datetime.fromisoformat(_with_offset(value))
    except ValueError:
        return None
    if not _FIRST.year <= parsed.year < _LAST.year:
        return _FIRST if parsed.year < _FIRST.year else _LAST
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def written(at: datetime) -> str:
    """An instant as Alma writes it: `instant` of it is the same. "Never" is Alma's own last day."""
    if at >= _LAST:
        return "9999-12-31T23:59:00Z"
    return at.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _with_offset(value: str) -> str:
    bare = value.rstrip("zZ")
    is_utc_time = "T" in bare and bare != value
    return f"{bare}+00:00" if is_utc_time else bare


def day_before(node: Node, name: str) -> datetime | None:
    """The start of the day before a calendar date: a safe "not earlier than" in any time zone."""
    at = instant(node, name)
    return at - timedelta(days=1) if at else None
