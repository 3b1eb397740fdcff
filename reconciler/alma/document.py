"""Alma's answers as plain trees, whatever they are written in.

JSON and XML, codes and labels, old and new shapes become the same nested dicts; the readers
below then treat absent, null, "", {} and blanks alike, and hand every id out as text. What a
body is, is decided by its content, never by its Content-Type (alma-api.md §1.2, appendix B;
fixtures 1-5).
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from xml.etree.ElementTree import Element, ParseError, tostring

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

Node = Mapping[str, Any]

AN_HTML_PAGE = "an HTML page"

WRAPPERS = {
    "user_identifier": "user_identifiers",
    "user_role": "user_roles",
    "user_block": "user_blocks",
    "user_note": "user_notes",
    "user_statistic": "user_statistics",
    "proxy_for_user": "proxy_for_users",
    "rs_library": "rs_libraries",
    "library_notice": "library_notices",
    "address": "addresses",
    "address_type": "address_types",
    "email": "emails",
    "email_type": "email_types",
    "phone": "phones",
    "phone_type": "phone_types",
    "parameter": "parameters",
    "network_number": "network_numbers",
    "row": "rows",
    "copy": "copies",
}
"""The lists that XML has in an element of their own and JSON has not (fixtures 3; XSD-user)."""

_WRAPPED = {wrapper: row for row, wrapper in WRAPPERS.items()}

_FIRST = datetime(1000, 1, 1, tzinfo=UTC)
_LAST = datetime(9000, 1, 1, tzinfo=UTC)
_BLANK = b"\xef\xbb\xbf \t\r\n"

_DATE = re.compile(r"(\d{4}-\d\d-\d\d)(?:[Zz]|[+-]\d\d:\d\d)?", re.ASCII)
_TIME = re.compile(
    r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:[Zz]|[+-]\d\d:?\d\d)?", re.ASCII
)
"""The forms that can mean one thing only; `+00:00Z` and a zone's name are not among them."""

_SHOWN = 60
"""So much of a text that should be a date and is none is shown to people."""


class NotADocument(ValueError):
    """The body is neither JSON nor XML of Alma's: empty, HTML, cut short or plain text."""


class FromXml(dict[str, Any]):
    """A tree that was written in XML. It reads like one from JSON, but numbers and flags are
    texts and empty objects are blanks: it must not be sent back as JSON."""


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
    if name == "web_service_result" or not isinstance(tree, dict):
        return FromXml({name: tree})
    return FromXml(tree)


def _local_name(element: Element) -> str:
    return element.tag.rpartition("}")[2]


def _element(element: Element) -> Any:
    """Children become keys, repeated ones lists; a code with a `desc` keeps both; else text.

    What JSON has in another place is put there: the rows of a wrapper, and a MARC record.
    """
    text = (element.text or "").strip()
    if not len(element):
        if "desc" in element.attrib:
            return {"value": text, "desc": element.attrib["desc"]}
        return {**element.attrib, "value": text} if element.attrib else text
    tree: dict[str, Any] = dict(element.attrib)
    for child in element:
        name = _local_name(child)
        if name in _WRAPPED:
            tree.setdefault(_WRAPPED[name], []).extend(_wrapped_rows(child))
        elif name == "record":
            tree.setdefault("anies", []).append(tostring(child, encoding="unicode").strip())
        elif name not in tree:
            tree[name] = _element(child)
        elif isinstance(tree[name], list):
            tree[name].append(_element(child))
        else:
            tree[name] = [tree[name], _element(child)]
    return tree


def _wrapped_rows(wrapper: Element) -> list[Any]:
    """The rows of a wrapper. What else stands in it is not understood: it may be a block."""
    name = _WRAPPED[_local_name(wrapper)]
    is_known = all(_local_name(row) == name for row in wrapper)
    if not is_known or (wrapper.text or "").strip():
        raise NotADocument(f"XML whose {_local_name(wrapper)} cannot be read")
    return [_element(row) for row in wrapper]


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
    """A dateTime or a date, aware UTC. None when absent or unreadable; `unread` tells which.

    Read are the forms of alma-api.md §1.3, with or without seconds and fractions of them, with Z,
    an offset or neither (then UTC, as all of Alma's times are). Alma writes calendar dates with a
    meaningless Z: one is read as its midnight UTC. "Never" (31 December 9999) is read as a time
    so far away that margins can still be added to it.
    """
    value = text(node, name) or ""
    date = _DATE.fullmatch(value)
    if date is None and not _TIME.fullmatch(value):
        return None
    try:
        parsed = datetime.fromisoformat(date[1] if date else value.upper())
    except ValueError:
        return None
    if not _FIRST.year <= parsed.year < _LAST.year:
        return _FIRST if parsed.year < _FIRST.year else _LAST
    return parsed.replace(tzinfo=UTC) if parsed.tzinfo is None else parsed.astimezone(UTC)


def unread(node: Node, *names: str) -> str | None:
    """Alma's own text of a date that is there under one of these names though none can be read.

    None where one can be read, and where none is there: that is another thing.
    """
    if any(instant(node, name) is not None for name in names):
        return None
    told = (_as_told(field(node, name)) for name in names)
    return next((each[:_SHOWN] for each in told if each is not None), None)


def _as_told(value: Any) -> str | None:
    return "several values" if isinstance(value, list) and value else _text(value)


def day_before(node: Node, name: str) -> datetime | None:
    """The start of the day before a calendar date: a safe "not earlier than" in any time zone."""
    at = instant(node, name)
    return at - timedelta(days=1) if at else None
