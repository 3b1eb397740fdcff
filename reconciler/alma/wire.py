"""Alma's items, requests, loans and users as our small frozen values.

Every field may be absent, null, blank, a code object or a bare word (fixtures 1-33); only what
makes a record unusable is refused, as UNREADABLE with the field's name. Raw words are kept, and so
is the text of a date that is there and cannot be read: it is another thing than no date.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from reconciler.alma.document import (
    WRAPPERS,
    FromXml,
    Node,
    child,
    children,
    day_before,
    field,
    flag,
    instant,
    number,
    text,
    unread,
)
from reconciler.alma.failures import unreadable
from reconciler.alma.marc import NotMarc, availability, system_numbers
from reconciler.core.mapping import (
    ACTIVE_WORD,
    is_an_id,
    item_state,
    loan_state,
    request_state,
)
from reconciler.core.model import (
    Barcode,
    BibGlance,
    BibSight,
    HoldingId,
    HoldingSight,
    ItemPid,
    ItemSight,
    LibraryCode,
    LoanId,
    LoanSight,
    LocationCode,
    MmsId,
    RequestId,
    RequestSight,
    UserId,
    UserSight,
)

T = TypeVar("T")


def item(tree: Node) -> ItemSight:
    """An item from `{bib_data, holding_data, item_data}` (alma-api.md §5.1).

    Library and location are the current ones: those of `holding_data` only while
    `in_temp_location` is true. Raises AlmaFailure when it names neither status nor process.
    """
    bib, holding, data = (child(tree, f"{part}_data") for part in ("bib", "holding", "item"))
    base, process = text(data, "base_status"), text(data, "process_type")
    if base is None and process is None:
        raise unreadable("an item without base_status and process_type")
    state, raw = item_state(base, process)
    temporary = holding if flag(holding, "in_temp_location") else {}
    return ItemSight(
        state=state,
        raw=raw,
        mms_id=_id(MmsId, text(bib, "mms_id")),
        holding_id=_id(HoldingId, text(holding, "holding_id")),
        pid=_id(ItemPid, text(data, "pid")),
        barcode=_id(Barcode, text(data, "barcode")),
        library=_id(LibraryCode, text(temporary, "temp_library") or text(data, "library")),
        location=_id(LocationCode, text(temporary, "temp_location") or text(data, "location")),
        requested=flag(data, "requested"),
        policy=text(data, "policy"),
        title=text(bib, "title"),
        fulfillment_note=text(data, "fulfillment_note"),
        document=tree,
        notes=tuple(
            note for n in ("1", "2", "3") if (note := text(data, f"internal_note_{n}")) is not None
        ),
    )


_ITEM_CODES = ("physical_material_type", "policy", "library", "location")
_ITEM_TEXTS = (
    "pid",
    "barcode",
    "description",
    "public_note",
    "fulfillment_note",
    *(f"{kind}_note_{n}" for kind in ("internal", "statistics") for n in (1, 2, 3)),
)


def writable_item(tree: Node) -> dict[str, Any]:
    """What of an item may be sent back: the body that is known to be taken, and its texts.

    A PUT with more than that is answered by an internal error (alma-api.md §5.4).
    """
    data = child(tree, "item_data") or tree
    codes = {name: {"value": word} for name in _ITEM_CODES if (word := text(data, name))}
    texts = {name: word for name in _ITEM_TEXTS if (word := text(data, name))}
    return {**codes, **texts}


def request(tree: Node) -> RequestSight:
    """A user request (alma-api.md §3.1). Raises AlmaFailure when it has no request_status."""
    status = text(tree, "request_status")
    if status is None:
        raise unreadable("a request without request_status")
    state, raw = request_state(status)
    return RequestSight(
        state=state,
        raw=raw,
        request_id=_id(RequestId, text(tree, "request_id")),
        user_id=_user_id(tree, "user_primary_id"),
        mms_id=_id(MmsId, text(tree, "mms_id")),
        item_pid=_id(ItemPid, text(tree, "item_id")),
        barcode=_id(Barcode, text(tree, "barcode")),
        placed_at=instant(tree, "request_time") or day_before(tree, "request_date"),
        raw_placed_at=unread(tree, "request_time", "request_date"),
        comment=text(tree, "comment"),
        pickup_library=_id(LibraryCode, text(tree, "pickup_location_library")),
    )


def loan(tree: Node) -> LoanSight:
    """An item loan (alma-api.md §4.1). Raises AlmaFailure when it has no loan_status."""
    status = text(tree, "loan_status")
    if status is None:
        raise unreadable("a loan without loan_status")
    process = text(tree, "process_status")
    state, raw = loan_state(status, process)
    return LoanSight(
        state=state,
        raw=raw,
        loan_id=_id(LoanId, text(tree, "loan_id")),
        user_id=_user_id(tree, "user_id"),
        item_pid=_id(ItemPid, text(tree, "item_id")),
        item_barcode=_id(Barcode, text(tree, "item_barcode")),
        began_at=instant(tree, "loan_date"),
        due_at=instant(tree, "due_date"),
        returned_at=instant(tree, "return_date"),
        process=process,
        raw_began_at=unread(tree, "loan_date"),
        raw_due_at=unread(tree, "due_date"),
        raw_returned_at=unread(tree, "return_date"),
    )


def user(tree: Node) -> UserSight:
    """A user (alma-api.md §2.2). Raises AlmaFailure when it has no primary_id, or where its lists
    of identifiers and blocks are not understood entirely: a blocked user never reads as free.

    Without a list of blocks there are none, but in XML, where Alma writes an empty one. What came
    as XML has no `document`: only JSON can be sent back.
    """
    primary = _user_id(tree, "primary_id")
    if primary is None:
        raise unreadable("a user without primary_id")
    is_xml = isinstance(tree, FromXml)
    if is_xml and "user_block" not in tree:
        raise unreadable("a user in XML without user_blocks")
    expires = instant(tree, "expiry_date")
    return UserSight(
        primary_id=primary,
        identifiers=tuple(
            value
            for row in _rows(tree, "user_identifier")
            if _is_active(row, "status") and (value := text(row, "value")) is not None
        ),
        group=text(tree, "user_group"),
        is_active=_is_active(tree, "status"),
        blocks=tuple(
            text(row, "block_description") or text(row, "block_type") or "block"
            for row in _rows(tree, "user_block")
            if _is_active(row, "block_status")
        ),
        expires_on=expires.date() if expires else None,
        document={} if is_xml else tree,
        raw_expires_on=unread(tree, "expiry_date"),
    )


def _rows(tree: Node, name: str) -> tuple[Node, ...]:
    """The rows of a list of which none may be overlooked. Raises AlmaFailure."""
    value, rows = field(tree, name), children(tree, name)
    is_blank = value in (None, {}) or (isinstance(value, str) and not value.strip())
    count = len(value) if isinstance(value, list) else int(not is_blank)
    if len(rows) != count or WRAPPERS[name] in tree:
        raise unreadable(f"a user whose {name} cannot be read")
    return rows


def bib(tree: Node) -> BibSight:
    """A bib, read whole (alma-api.md §6). Raises AlmaFailure when it has no mms_id or no record
    that can be read: without one nobody knows whose it is."""
    record = _marcxml(tree)
    if record is None:
        raise unreadable("a bib without its record")
    return BibSight(_mms_id(tree), _read(system_numbers, record))


def listed_bib(tree: Node) -> BibSight:
    """A bib of a list, where the record may be left out: then no number is told. Raises as `bib`
    otherwise."""
    record = _marcxml(tree)
    return BibSight(_mms_id(tree), _read(system_numbers, record) if record else ())


def created_bib(tree: Node) -> BibSight:
    """The answer to a bib that was just made: its id is all that is new (alma-api.md §6)."""
    return BibSight(_mms_id(tree))


def glance(tree: Node) -> BibGlance:
    """A bib of a list with `expand=p_avail,requests` (alma-api.md §8); raises as `listed_bib`."""
    record = _marcxml(tree)
    return BibGlance(
        _mms_id(tree), _read(availability, record) if record else (), number(tree, "requests")
    )


def holding(tree: Node) -> HoldingSight:
    """A row of a bib's holdings, or a created one (alma-api.md §6)."""
    holding_id = text(tree, "holding_id")
    if holding_id is None:
        raise unreadable("a holding without holding_id")
    return HoldingSight(
        HoldingId(holding_id),
        _id(LibraryCode, text(tree, "library")),
        _id(LocationCode, text(tree, "location")),
    )


def _mms_id(tree: Node) -> MmsId:
    mms_id = text(tree, "mms_id")
    if mms_id is None:
        raise unreadable("a bib without mms_id")
    return MmsId(mms_id)


def _marcxml(tree: Node) -> str | None:
    """The text of a bib's MARC record; None where the answer shows none."""
    records = field(tree, "anies")
    record = records[0] if isinstance(records, list) and records else records
    if record in (None, [], {}) or (isinstance(record, str) and not record.strip()):
        return None
    return str(record)


def _read(reading: Callable[[str], T], record: str) -> T:
    try:
        return reading(record)
    except NotMarc as problem:
        raise unreadable(str(problem)) from problem


def _is_active(node: Node, name: str) -> bool:
    """A state that is not told is an active one; Alma leaves it out of short answers."""
    return (text(node, name) or ACTIVE_WORD).upper() == ACTIVE_WORD


def _user_id(tree: Node, name: str) -> UserId | None:
    """A user's primary id; None where Alma says in its place that there is none."""
    value = text(tree, name)
    return UserId(value) if value is not None and is_an_id(value) else None


def _id(kind: Callable[[str], T], value: str | None) -> T | None:
    return kind(value) if value is not None else None
