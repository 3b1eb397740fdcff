"""A list of Alma's, whole or not at all (workflow.md §4, "A list that is walked is whole").

Alma's lists have a total, and those that take a page size are walked by offset. What ends or comes
while that goes on shifts the rows behind it, so that one is seen twice and another never; and an
answer may simply be short. A part of a list must never prove that something is not in it.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from reconciler.alma.document import Node, children, field, number, text
from reconciler.alma.failures import unreadable
from reconciler.alma.gateway import Call

PAGE = 100
"""Alma's largest page; its default of 10 truncates silently (alma-api.md §1.3)."""

WALKS = 2

_TOTAL = "total_record_count"


class _NotWholeError(Exception):
    """What one walk showed instead of the whole list."""


@dataclass(frozen=True, slots=True)
class _Page:
    rows: dict[str, Node]
    """By their ids."""
    length: int
    total: int | None


async def whole_list(
    read: Callable[[Call], Awaitable[Node]], call: Call, name: str, key: str
) -> dict[str, Node]:
    """Every row of the list `name`, by the field `key` that tells them apart, in Alma's order.

    Walked a second time where the first did not show the whole of it; then AlmaFailure
    (UNREADABLE), which says why. A call without a page size (`limit`) asks for all at once.
    """
    told = ""
    for _ in range(WALKS):
        try:
            return await _walk(read, call, name, key)
        except _NotWholeError as flaw:
            told = str(flaw)
    raise unreadable(f"a list of {name} {told}")


async def _walk(
    read: Callable[[Call], Awaitable[Node]], call: Call, name: str, key: str
) -> dict[str, Node]:
    """The rows of one walk. Raises _NotWholeError.

    The list is whole when its distinct ids reach the total, the same on each page. One that ends
    while another begins leaves the total as it is: so each page begins with the last row of the
    one before, which shows that nothing moved. Alma may keep its pages shorter than it was asked
    to, so a short page is no end; where there is no total, or one that the rows exceed, the end is
    a page that shows no new row.
    """
    page = _page(await read(call), name, key)
    found, total, offset = dict(page.rows), page.total, page.length
    has_new = bool(found)
    while "limit" in call.query and has_new and not _is_reached(total, len(found), offset):
        overlap = 1 if page.length > 1 else 0
        page = _page(await read(call.with_query(offset=str(offset - overlap))), name, key)
        if page.total != total:
            raise _NotWholeError("whose total changed while it was read")
        if overlap and page.rows and not page.rows.keys() & found.keys():
            raise _NotWholeError("whose rows moved while it was read")
        has_new = not page.rows.keys() <= found.keys()
        found |= page.rows
        offset += page.length - overlap
    if total is not None and len(found) < total:
        raise _NotWholeError(f"that ends before its total: {len(found)} of {total}")
    return found


def _is_reached(total: int | None, found: int, offset: int) -> bool:
    return total is not None and found <= total <= offset


def _page(tree: Node, name: str, key: str) -> _Page:
    """The rows of one answer, each of which has to be told apart. Raises _NotWholeError."""
    value = field(tree, name)
    if value is None and name not in tree and _TOTAL not in tree:
        raise _NotWholeError("that is no list")
    rows = children(tree, name)
    length = len(value) if isinstance(value, list) else int(value not in (None, "", {}))
    ids = [text(row, key) for row in rows]
    if len(rows) != length or None in ids:
        raise _NotWholeError(f"with a row that has no {key}")
    by_id = {id: row for id, row in zip(ids, rows, strict=True) if id is not None}
    return _Page(by_id, length, number(tree, _TOTAL))
