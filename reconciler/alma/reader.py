"""Reading one Alma: the endpoints that a look needs, each as a typed value or an AlmaFailure."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qsl, unquote, urlsplit

from reconciler.alma import wire
from reconciler.alma.document import Node, children, flag
from reconciler.alma.failures import unreadable
from reconciler.alma.gateway import ROOT, Call, Gateway, get
from reconciler.alma.lists import PAGE, whole_list
from reconciler.core.mapping import GENERAL_ERROR
from reconciler.core.model import (
    Barcode,
    BibGlance,
    BibSight,
    HoldingId,
    HoldingSight,
    ItemPid,
    ItemSight,
    LoanId,
    LoanSight,
    MmsId,
    RequestId,
    RequestSight,
    UserId,
    UserSight,
)
from reconciler.core.status import RequestState
from reconciler.core.view.ours import UNREADABLE_DATE, undated
from reconciler.errors import AlmaFailure, FailureKind


class Reader:
    """`ports.AlmaReader` over a Gateway. It has no method that writes."""

    def __init__(self, gateway: Gateway) -> None:
        self._gateway = gateway

    async def item(self, mms_id: MmsId, holding_id: HoldingId, pid: ItemPid) -> ItemSight:
        """alma-api.md §5.1, §5.3: with the due date of the loan that it is on."""
        call = get(*item_path(mms_id, holding_id, pid), expand="due_date")
        return wire.item(await self._gateway.read(call))

    async def item_by_barcode(self, barcode: Barcode) -> ItemSight:
        """alma-api.md §5.3: a 302 to the item's own path, followed by hand.

        Only path and query of its Location are used, on our own base URL: the key is never sent
        to another host, and a key that stands in the Location is dropped.
        """
        answer = await self._gateway.read_answer(get("items", item_barcode=barcode))
        if answer.location:
            answer = await self._gateway.read_answer(_same_host(answer.location))
        return wire.item(answer.document())

    async def request(self, user_id: UserId, request_id: RequestId) -> RequestSight:
        """alma-api.md §3.5.

        The only code documented for a request that is over is the general error. It proves
        nothing by itself; that all of the user's active holds were listed and it is not one of
        them does.
        """
        call = get("users", user_id, "requests", request_id)
        try:
            return wire.request(await self._gateway.read(call))
        except AlmaFailure as failure:
            if failure.kind is not FailureKind.REFUSED or failure.code != GENERAL_ERROR:
                raise
            over = RequestSight(RequestState.CLOSED, f"{failure.code}, not among the active holds")
        active = await self.user_holds(user_id)
        return next((hold for hold in active if hold.request_id == request_id), over)

    async def item_requests(
        self, mms_id: MmsId, holding_id: HoldingId, pid: ItemPid
    ) -> tuple[RequestSight, ...]:
        """The item's active requests, ours among them (alma-api.md §3.8)."""
        path = (*item_path(mms_id, holding_id, pid), "requests")
        rows = await self._list(get(*path), "user_request", "request_id")
        return tuple(wire.request(row) for row in rows.values())

    async def loan(self, user_id: UserId, loan_id: LoanId) -> LoanSight:
        """alma-api.md §4.4."""
        return wire.loan(await self._gateway.read(get("users", user_id, "loans", loan_id)))

    async def item_loans(
        self, mms_id: MmsId, holding_id: HoldingId, pid: ItemPid, *, completed: bool
    ) -> tuple[LoanSight, ...]:
        """The item's active loans (none or one), or its completed ones (alma-api.md §4.5)."""
        return await self._loans((*item_path(mms_id, holding_id, pid), "loans"), completed)

    async def user_loans(self, user_id: UserId, *, completed: bool) -> tuple[LoanSight, ...]:
        """The user's active loans, or the completed ones that are not anonymised (§4.2)."""
        return await self._loans(("users", user_id, "loans"), completed)

    async def _loans(self, path: tuple[str, ...], completed: bool) -> tuple[LoanSight, ...]:
        """Loans, of each of which can be told when it was: by that one knows whose it is.

        One that began at a date which cannot be read makes the list unreadable. Left out, or taken
        for another lend's, it would prove that there is no loan of ours.
        """
        status = "Complete" if completed else "Active"
        call = get(*path, loan_status=status, limit=str(PAGE))
        rows = await self._list(call, "item_loan", "loan_id")
        loans = tuple(wire.loan(row) for row in rows.values())
        for loan in loans:
            if (raw := undated(loan)) is not None:
                raise unreadable(f"a loan with the date “{raw}”", code=UNREADABLE_DATE)
        return loans

    async def user(self, user_id: str) -> UserSight:
        """alma-api.md §2.2: any identifier finds the user; the primary id is what Alma uses."""
        return wire.user(await self._gateway.read(get("users", user_id)))

    async def user_holds(self, user_id: UserId) -> tuple[RequestSight, ...]:
        """alma-api.md §3.4."""
        call = get("users", user_id, "requests", request_type="HOLD", limit=str(PAGE))
        rows = await self._list(call, "user_request", "request_id")
        return tuple(wire.request(row) for row in rows.values())

    async def bib(self, mms_id: MmsId) -> BibSight:
        """alma-api.md §6."""
        return wire.bib(await self._gateway.read(get("bibs", mms_id)))

    async def bibs_with_number(self, system_number: str) -> tuple[BibSight, ...]:
        """The bibs with this number in 035 (alma-api.md §6); () when there are none."""
        rows = await self._list(get("bibs", other_system_id=system_number), "bib", "mms_id")
        return tuple(wire.listed_bib(row) for row in rows.values())

    async def glances(self, mms_ids: Sequence[MmsId]) -> tuple[BibGlance, ...]:
        """alma-api.md §8: up to 100 bibs in one call, tried once. AVA needs a full view."""
        query = {"mms_id": ",".join(mms_ids), "view": "full", "expand": "p_avail,requests"}
        tree = await self._gateway.read_once(get("bibs", **query))
        return tuple(wire.glance(row) for row in children(tree, "bib"))

    async def holdings(self, mms_id: MmsId) -> tuple[HoldingSight, ...]:
        """alma-api.md §6. The list names the bib beside its rows (fixtures 42)."""
        answers: list[Node] = []

        async def read(call: Call) -> Node:
            answers.append(await self._gateway.read(call))
            return answers[-1]

        rows = await whole_list(read, get("bibs", mms_id, "holdings"), "holding", "holding_id")
        return tuple(wire.holding(row, answers[-1]) for row in rows.values())

    async def holding_items(self, mms_id: MmsId, holding_id: HoldingId) -> tuple[ItemSight, ...]:
        """The items of a holding (alma-api.md §5.3)."""
        call = get("bibs", mms_id, "holdings", holding_id, "items", limit=str(PAGE))
        rows = await self._list(call, "item", "pid")
        return tuple(wire.item(row) for row in rows.values())

    async def request_options(
        self, mms_id: MmsId, holding_id: HoldingId, pid: ItemPid, user_id: UserId
    ) -> tuple[str, ...]:
        """alma-api.md §3.6: a type that is not listed is not offered."""
        path = (*item_path(mms_id, holding_id, pid), "request-options")
        return tuple(await self._list(get(*path, user_id=user_id), "request_option", "type"))

    async def has_location(self, library: str, location: str) -> bool:
        """Whether this library has this location (alma-api.md §7)."""
        return location in await self.locations(library)

    async def locations(self, library: str) -> dict[str, bool | None]:
        """The codes of a library's locations, and whether each is suppressed from publishing
        (None where Alma does not say; alma-api.md §7)."""
        call = get("conf", "libraries", library, "locations")
        rows = await self._list(call, "location", "code")
        return {code: flag(row, "suppress_from_publishing") for code, row in rows.items()}

    async def aclose(self) -> None:
        await self._gateway.aclose()

    async def _list(self, call: Call, name: str, key: str) -> dict[str, Node]:
        """A whole list, or AlmaFailure: see `whole_list`."""
        return await whole_list(self._gateway.read, call, name, key)


def item_path(mms_id: MmsId, holding_id: HoldingId, pid: ItemPid) -> tuple[str, ...]:
    return ("bibs", mms_id, "holdings", holding_id, "items", pid)


def _same_host(location: str) -> Call:
    parts = urlsplit(location)
    _, root, path = parts.path.partition(ROOT)
    if not root:
        raise unreadable("a redirect that leads out of the API", 302)
    query = {name: value for name, value in parse_qsl(parts.query) if name != "apikey"}
    return Call("GET", tuple(unquote(each) for each in path.strip("/").split("/")), query)
