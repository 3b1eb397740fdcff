"""Every write, answered in every bad way, on Almas that show writes at once and late.

Over a socket. Whatever happens to one call, the Almas hold exactly one of each thing and nothing
is left at the end, or the transaction waits for a person and says why; what staff made by hand
is as it was. The matrix is printed at the end of the run.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler.core.commands.placing import virtual_patron_id
from reconciler.core.model import Transaction
from reconciler.core.status import DcbStatus
from tests.support.lab import Book, Lab, lab


@dataclass(frozen=True)
class Write:
    """One endpoint, where it is called, and what a lend needs so that it is called at all.

    It has to be a lend that jumps, or begins with a patron who is about to expire, or has others
    wait. A lend that was only placed is ended by its reader: what placing made is cleared then as
    at the end of any other.
    """

    name: str
    institution: str
    method: str
    path: str
    jumps: bool = False
    expires: bool = False
    wanted_by_others: bool = False

    @property
    def places(self) -> bool:
        return self in WRITES[:7]


WRITES = (
    Write("POST user", "uni-a", "POST", r"/users(\?|$)"),
    Write("PUT user", "uni-a", "PUT", r"/users/[^/?]+(\?|$)", expires=True),
    Write("POST lender hold", "uni-a", "POST", r"/requests\?"),
    Write("POST bib", "uni-b", "POST", r"/bibs(\?|$)"),
    Write("POST holding", "uni-b", "POST", r"/holdings(\?|$)"),
    Write("POST item", "uni-b", "POST", r"/items(\?|$)"),
    Write("POST borrower hold", "uni-b", "POST", r"/requests\?"),
    Write("POST scan", "uni-b", "POST", r"op=scan"),
    Write("POST loan", "uni-a", "POST", r"/loans\?"),
    Write("PUT loan", "uni-a", "PUT", r"/loans/"),
    Write("PUT item", "uni-b", "PUT", r"/items/", wanted_by_others=True),
    Write("DELETE lender hold", "uni-a", "DELETE", r"/requests/", jumps=True),
    Write("DELETE item", "uni-b", "DELETE", r"/items/"),
    Write("DELETE holding", "uni-b", "DELETE", r"/holdings/\d+(\?|$)"),
    Write("DELETE bib", "uni-b", "DELETE", r"/bibs/\d+(\?|$)"),
)

WAYS: dict[str, dict[str, Any]] = {
    "done, time-out": {"kind": "hang", "when": "after"},
    "done, reset": {"kind": "reset", "when": "after"},
    "done, 500": {"kind": "json_500", "when": "after"},
    "done, HTML": {"kind": "html_200", "when": "after"},
    "done, cut JSON": {"kind": "truncated"},
    "done, 200 with an error": {"kind": "error", "when": "after", "status": 200, "code": "401873"},
    "not done, 200 with an error": {"kind": "error", "status": 200, "code": "401873"},
    "not done, time-out": {"kind": "hang", "when": "before"},
    "refused connect": {},
    "429": {"kind": "per_second", "when": "before"},
}
LAGS = (0.0, 30.0)


class NobodyThere(httpx.AsyncBaseTransport):
    """Really connects to a port where nobody listens, for the next call that matches."""

    def __init__(self) -> None:
        self._inner = httpx.AsyncHTTPTransport(verify=False)  # no TLS: no certificates to load
        self.next: tuple[str, str] | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        import re

        if self.next is not None:
            method, path = self.next
            target = request.url.raw_path.decode()
            if request.method == method and re.search(path, target):
                self.next = None
                request.url = request.url.copy_with(host="127.0.0.1", port=9)
        return await self._inner.handle_async_request(request)

    async def aclose(self) -> None:
        await self._inner.aclose()


def staff_made(at: Lab) -> Callable[[], Any]:
    """Things like ours, made by hand; and how to see that they are as they were."""
    at.borrower.add_book("Book 1", "STAFF-B", "DCB", "DCBVIRTUAL")
    mine = at.lender.add_book("Book 1", "STAFF-A", "MAIN", "STACKS")
    at.lender.add_user("staff-made", "DCB", names=("DCB", "VPATRON"))
    at.lender.place_hold("staff-made", mine.pid, "RES_OUT", comment="made by hand")

    def seen() -> Any:
        a, b = at.lender.state(), at.borrower.state()
        return (
            [row for row in a["requests"] if row["user_key"] and row["comment"] == "made by hand"],
            [row for row in a["users"] if row["primary_id"] == "staff-made"],
            [row for row in b["items"] if row["barcode"] == "STAFF-B"],
            [row for row in b["bibs"] if "(DCB)" not in str(row)],
        )

    return seen


async def journey(at: Lab, book: Book, write: Write) -> Transaction:
    """A whole lend; it stops where it is parked."""
    await at.submit(book)
    now = await at.rest(book)
    if now.parked:
        return now
    if now.status is DcbStatus.REQUEST_PLACED_AT_BORROWING_AGENCY:
        counts = at.counts(book)
        assert {kind: n for kind, n in counts.items() if n != 1} == {}, counts
        assert set(counts) == {
            "supplier holds", "borrower bibs", "borrower items", "borrower holds",
        }  # fmt: skip
    assert at.virtual_patrons(book) == 1
    if write.places:
        assert now.borrower is not None
        at.borrower.patron_cancels(now.borrower.request_id or "")
        return await at.rest(book)
    at.lender.scan_in(book.barcode, "MAIN")
    if not write.jumps:
        if (now := await at.rest(book)).parked:
            return now
        at.borrower.scan_in(book.barcode, "MAIN")
        await at.rest(book)
        at.borrower.loan(book.barcode, book.reader, "MAIN")
        if (now := await at.rest(book)).parked:
            return now
        assert at.lender_loans(book) == 1
        if write.wanted_by_others:
            at.lender.add_user("next-reader")
            at.lender.place_hold("next-reader", book.barcode, "MAIN")
            await at.rest(book)
    else:
        at.borrower.scan_in(book.barcode, "MAIN")
        at.borrower.loan(book.barcode, book.reader, "MAIN")
    at.clock.advance(timedelta(days=3))
    at.borrower.return_item(book.barcode, "MAIN")
    if (now := await at.rest(book)).parked:
        return now
    at.clock.advance(timedelta(days=1))
    at.lender.scan_in(book.barcode, "MAIN")
    return await at.rest(book)


@pytest.mark.parametrize(
    "lag", [pytest.param(LAGS[0], marks=pytest.mark.long), LAGS[1]], ids=["no-lag", "lag"]
)
@pytest.mark.parametrize("write", WRITES, ids=lambda each: each.name.replace(" ", "-"))
async def test_a_write_is_done_once_however_it_is_answered(
    write: Write, lag: float, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    found = []
    for name, fault in WAYS.items():
        folder = tmp_path / name.replace(" ", "-").replace(",", "")
        folder.mkdir()
        found.append(await _cell(write, fault, lag, folder))
    row = ", ".join(f"{name}: {each}" for name, each in zip(WAYS, found, strict=True))
    tell(f"{write.name:<20} read lag {lag:>2.0f} s  {row}")


async def _cell(write: Write, fault: dict[str, Any], lag: float, folder: Path) -> str:
    nobody = {code: NobodyThere() for code in ("uni-a", "uni-b", "uni-c")}
    async with lab(folder, patience="0.25s", transports=dict(nobody)) as at:
        at.lender.add_user_group("DCB", loan_days=10)  # shorter than the reader's loan
        seen = staff_made(at)
        before = seen()
        book = at.wanted()
        if write.expires:
            _patron_about_to_expire(at, book)
        for code in ("uni-a", "uni-b"):
            at.sandbox[code].read_lag = lag
        at.clock.advance(timedelta(seconds=lag))
        if fault:
            at.sandbox.faults.add(
                institution=write.institution, method=write.method, path=write.path, **fault
            )
        else:
            nobody[write.institution].next = (write.method, write.path)
        ended = await journey(at, book, write)
        _was_hit(at, nobody[write.institution])
        history = "\n".join(at.history(book))
        assert seen() == before, history
        if ended.parked is not None:
            return f"parked {ended.parked.reason}"
        assert ended.status is DcbStatus.FINALISED, history
        assert at.counts(book) == {}, history
        assert at.virtual_patrons(book) == 1
        assert at.lender_loans(book) == (0 if write.jumps or write.places else 1)
        return "once"


def _was_hit(at: Lab, nobody: NobodyThere) -> None:
    assert all(fault.hits for fault in at.sandbox.faults), "the fault befell no call"
    assert nobody.next is None, "no call was refused its connection"


def _patron_about_to_expire(at: Lab, book: Book) -> None:
    """The virtual patron of an earlier lend, whose card ends soon."""
    from reconciler.core.commands.placing import Patron

    given = book.line["patron"]
    patron = Patron(given["host_lms"], given["host_lms"], given["user_id"])
    at.lender.add_user(
        virtual_patron_id(patron),
        "DCB",
        names=("DCB", "VPATRON"),
        expiry_date=at.clock.now().date() + timedelta(days=5),
    )
