"""MARCXML in and out: what Alma reads from a bib or holding, and what it writes back."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from html import escape
from typing import Any, Final

from defusedxml import ElementTree
from defusedxml.common import DefusedXmlException

PROLOG: Final = '<?xml version="1.0" encoding="UTF-16"?>'


@dataclass(frozen=True, slots=True)
class DataField:
    tag: str
    ind1: str
    ind2: str
    subfields: tuple[tuple[str, str], ...]

    def xml(self) -> str:
        inner = "".join(
            f'<subfield code="{escape(code)}">{escape(value)}</subfield>'
            for code, value in self.subfields
        )
        return (
            f'<datafield ind1="{escape(self.ind1)}" ind2="{escape(self.ind2)}"'
            f' tag="{escape(self.tag)}">{inner}</datafield>'
        )


@dataclass(frozen=True, slots=True)
class Marc:
    leader: str
    controls: tuple[tuple[str, str], ...]
    fields: tuple[DataField, ...]

    def values(self, tags: Iterable[str], code: str) -> list[str]:
        wanted = set(tags)
        return [
            value
            for one in self.fields
            if one.tag in wanted
            for name, value in one.subfields
            if name == code and value
        ]

    def first(self, tags: Iterable[str], code: str) -> str | None:
        return next(iter(self.values(tags, code)), None)

    def field(self, tag: str) -> DataField | None:
        return next((one for one in self.fields if one.tag == tag), None)

    def xml(self, control_001: str, control_005: str) -> str:
        """The record as Alma stores it: 001 and 005 are its own, whatever was sent."""
        own = [("001", control_001), ("005", control_005)]
        controls = own + [one for one in self.controls if one[0] not in ("001", "005")]
        parts = [f"<record><leader>{escape(self.leader)}</leader>"]
        parts += [
            f'<controlfield tag="{escape(tag)}">{escape(value)}</controlfield>'
            for tag, value in controls
        ]
        parts += [one.xml() for one in self.fields]
        return "".join(parts) + "</record>"


@dataclass(frozen=True, slots=True)
class Posted:
    """The body of a bib or holding write: its record and its suppress flag (None: not sent)."""

    marc: Marc
    suppressed: bool | None


def read_posted(body: bytes, root: str) -> Posted:
    """Parse `<bib>` or `<holding>`; ValueError when it is not such a document with a record."""
    try:
        document = ElementTree.fromstring(body)
    except (ElementTree.ParseError, DefusedXmlException) as error:
        raise ValueError(f"not XML: {error}") from error
    if _local(document) != root:
        raise ValueError(f"root is {_local(document)}, not {root}")
    record = next((child for child in document if _local(child) == "record"), None)
    if record is None:
        raise ValueError("no record")
    flag = next((one for one in document if _local(one) == "suppress_from_publishing"), None)
    suppressed = None if flag is None else (flag.text or "").strip().lower() == "true"
    return Posted(_read_record(record), suppressed)


def bib_facts(marc: Marc) -> dict[str, Any]:
    """The bib fields that Alma derives from the record, as recorded JSON names them."""
    title = [value for code in "ab" for value in marc.values(["245"], code)]
    return {
        "title": " ".join(title),
        "author": marc.first(["100", "110", "111"], "a"),
        "issn": marc.first(["022"], "a"),
        "isbn": marc.first(["020"], "a"),
        "complete_edition": marc.first(["250"], "a") or "",
        "network_number": marc.values(["035"], "a"),
        "place_of_publication": marc.first(["260", "264"], "a"),
        "date_of_publication": marc.first(["260", "264"], "c"),
        "publisher_const": marc.first(["260", "264"], "b"),
    }


def bib_xml(title: str, author: str | None = None, numbers: Iterable[str] = (), **more: str) -> str:
    """A small `<bib>` document; `more` takes isbn, place, publisher, year, suppressed."""
    fields = [DataField("020", " ", " ", (("a", more["isbn"]),))] if "isbn" in more else []
    fields += [DataField("035", " ", " ", (("a", number),)) for number in numbers]
    if author:
        fields.append(DataField("100", "1", " ", (("a", author),)))
    fields.append(DataField("245", "1", "0", (("a", title),)))
    imprint = [
        (code, more[key])
        for code, key in (("a", "place"), ("b", "publisher"), ("c", "year"))
        if key in more
    ]
    if imprint:
        fields.append(DataField("260", " ", " ", tuple(imprint)))
    record = Marc(
        "00000nam a2200000 a 4500", (("008", "261125s2026    xx |||||||||||||| ||eng d"),), ()
    )
    record = Marc(record.leader, record.controls, tuple(fields))
    return f"<bib>{_suppress(more.get('suppressed', 'false'))}{record.xml('0', '0')}</bib>"


def holding_xml(library: str, location: str, call_number: str, suppressed: bool = False) -> str:
    """A small `<holding>` document with one 852."""
    field = DataField("852", "8", " ", (("b", library), ("c", location), ("h", call_number)))
    controls = (("008", "1011252u    8   4001uueng0000000"),)
    record = Marc("00000nx  a22000001n 4500", controls, (field,))
    return f"<holding>{_suppress(str(suppressed).lower())}{record.xml('0', '0')}</holding>"


def _suppress(word: str) -> str:
    return f"<suppress_from_publishing>{word}</suppress_from_publishing>"


def _local(element: Any) -> str:
    return str(element.tag).rpartition("}")[2]


def _read_record(record: Any) -> Marc:
    leader = ""
    controls: list[tuple[str, str]] = []
    fields: list[DataField] = []
    for child in record:
        name = _local(child)
        if name == "leader":
            leader = child.text or ""
        elif name == "controlfield":
            controls.append((child.get("tag", ""), child.text or ""))
        elif name == "datafield":
            fields.append(_read_field(child))
    return Marc(leader, tuple(controls), tuple(fields))


def _read_field(element: Any) -> DataField:
    subfields = tuple(
        (one.get("code", ""), one.text or "") for one in element if _local(one) == "subfield"
    )
    return DataField(
        element.get("tag", ""), element.get("ind1", " "), element.get("ind2", " "), subfields
    )
