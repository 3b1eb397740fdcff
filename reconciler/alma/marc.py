"""The MARC21 XML of virtual records: written by an XML writer, with true fields only.

Alma takes bibs and holdings as XML alone (alma-api.md §6). Control characters, which no XML can
carry, are left out of any text; everything else, of any script, goes in as it is.
"""

from __future__ import annotations

import re
from datetime import date
from xml.etree.ElementTree import Element, ParseError, SubElement, tostring

from defusedxml import ElementTree

_NOT_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_PROLOG = re.compile(r"^\s*<\?xml[^>]*\?>")


class NotMarc(ValueError):
    """A text that should be a record, and shows nothing of one."""


def bib(title: str, author: str | None, system_number: str, today: date) -> bytes:
    """A suppressed bib: title, the author as an uncontrolled name, our number in 035.

    Nothing is coded that we do not know: 008 is fill characters behind the date of entry.
    """
    root, record = _record("bib")
    _leader(record, "00000nam a2200000 u 4500")
    _control(record, "008", f"{today:%y%m%d}" + "|" * 34)
    _data(record, "035", (" ", " "), a=system_number)
    _data(record, "245", ("0", "0"), a=title)
    if author:
        _data(record, "720", (" ", " "), a=author)
    return _written(root)


def holding(library: str, location: str) -> bytes:
    """A suppressed holding at one library and location (852 $b $c)."""
    root, record = _record("holding")
    _leader(record, "00000nx  a22000001n 4500")
    _control(record, "008", "|" * 32)
    _data(record, "852", (" ", " "), b=library, c=location)
    return _written(root)


def clean(text: str) -> str:
    """Text without what XML cannot carry, on one line."""
    return _NOT_XML.sub("", text).translate({ord(char): " " for char in "\t\r\n"})


def system_numbers(record: str) -> tuple[str, ...]:
    """Every 035 $a of a MARCXML record as Alma hands it out. Raises NotMarc."""
    return tuple(
        (subfield.text or "").strip()
        for field in _fields(record, "035")
        for subfield in field
        if subfield.get("code") == "a" and subfield.text
    )


def availability(record: str) -> tuple[tuple[str, ...], ...]:
    """$8, $e, $f and $g of every AVA (alma-api.md §8), sorted: their order says nothing. ""
    where a subfield is missing; () when there is no AVA. Raises NotMarc."""
    found = []
    for field in _fields(record, "AVA"):
        words = {subfield.get("code"): (subfield.text or "").strip() for subfield in field}
        found.append(tuple(words.get(code, "") for code in "8efg"))
    return tuple(sorted(found))


def _fields(record: str, tag: str) -> list[Element]:
    """The data fields with this tag; none where the record is no MARC (Dublin Core is recorded).

    The prolog says UTF-16, which it is not (fixtures 42).
    """
    try:
        parts = list(ElementTree.fromstring(_PROLOG.sub("", record)).iter())
    except (ParseError, ValueError) as error:
        raise NotMarc("a record that is cut short or broken") from error
    if len(parts) == 1:
        raise NotMarc("a record without any field")
    return [
        part
        for part in parts
        if part.tag.rpartition("}")[2] == "datafield" and part.get("tag") == tag
    ]


def _record(kind: str) -> tuple[Element, Element]:
    root = Element(kind)
    SubElement(root, "suppress_from_publishing").text = "true"
    return root, SubElement(root, "record")


def _leader(record: Element, text: str) -> None:
    SubElement(record, "leader").text = text


def _control(record: Element, tag: str, text: str) -> None:
    SubElement(record, "controlfield", {"tag": tag}).text = text


def _data(record: Element, tag: str, indicators: tuple[str, str], **subfields: str) -> None:
    ind1, ind2 = indicators
    field = SubElement(record, "datafield", {"tag": tag, "ind1": ind1, "ind2": ind2})
    for code, text in subfields.items():
        SubElement(field, "subfield", {"code": code}).text = clean(text)


def _written(root: Element) -> bytes:
    written: bytes = tostring(root, encoding="utf-8", xml_declaration=True)
    return written
