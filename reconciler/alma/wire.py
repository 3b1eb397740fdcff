"""Alma's items, requests, loans and users as our small frozen values.

Every field may be absent, null, blank, a code object or a bare word (fixtures 1-33); only what
makes a record unusable is refused, as UNREADABLE with the field's name. Raw words are kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from reconciler.alma.document import Node, child, day_before, flag, instant, text
from reconciler.alma.failures import unreadable
from reconciler.core.mapping import item_state, loan_state, request_state
from reconciler.core.model import (
    Barcode,
    HoldingId,
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
    )


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
        user_id=_id(UserId, text(tree, "user_primary_id")),
        mms_id=_id(MmsId, text(tree, "mms_id")),
        item_pid=_id(ItemPid, text(tree, "item_id")),
        barcode=_id(Barcode, text(tree, "barcode")),
        placed_at=instant(tree, "request_time") or day_before(tree, "request_date"),
        comment=text(tree, "comment"),
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
        user_id=_id(UserId, text(tree, "user_id")),
        item_pid=_id(ItemPid, text(tree, "item_id")),
        item_barcode=_id(Barcode, text(tree, "item_barcode")),
        began_at=instant(tree, "loan_date"),
        due_at=instant(tree, "due_date"),
        returned_at=instant(tree, "return_date"),
        process=process,
    )


def primary_id(tree: Node) -> UserId:
    """A user's primary id (alma-api.md §2.2). Raises AlmaFailure when it has none."""
    value = text(tree, "primary_id")
    if value is None:
        raise unreadable("a user without primary_id")
    return UserId(value)


def _id(kind: Callable[[str], T], value: str | None) -> T | None:
    return kind(value) if value is not None else None
