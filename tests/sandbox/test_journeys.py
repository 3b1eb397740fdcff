"""The state matrices of alma-api.md 10: both sides of a consortial lend, in-process."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from reconciler.sandbox import Institution, Sandbox, add_ordinary_institution, sample_world
from reconciler.sandbox.marc import bib_xml, holding_xml
from tests.sandbox.conftest import DESK, START
from tests.support.clock import FakeClock

MARK = "[DCB-REQUEST:tx-1]"


class Side:
    """One institution's API without a socket."""

    def __init__(self, institution: Institution, client: httpx.AsyncClient) -> None:
        self.staff = institution
        self._client = client

    async def call(self, method: str, path: str, **more: Any) -> dict[str, Any]:
        headers = {"authorization": f"apikey KEY-{self.staff.code}", "accept": "application/json"}
        address = f"http://alma/almaws/v1{path}"
        response = await self._client.request(method, address, headers=headers, **more)
        assert response.status_code in (200, 204), response.text
        return response.json() if response.content else {}

    async def hold(self, user: str, pid: str, pickup: str) -> str:
        body = {
            "request_type": "HOLD",
            "pickup_location_type": "LIBRARY",
            "pickup_location_library": pickup,
            "comment": MARK,
        }
        query = {"item_pid": pid}
        row = await self.call("POST", f"/users/{user}/requests", params=query, json=body)
        return str(row["request_id"])

    async def seen(self, pid: str, request_id: str) -> tuple[str, str, str]:
        """Item, request and loan of the item as a poll sees them."""
        item = await self.call("GET", f"/bibs/0/holdings/ALL/items/{pid}")
        data = item["item_data"]
        state = f"{data['base_status']['value']}/{data['process_type'].get('value', '')}"
        request = await self.call("GET", f"/users/ALL/requests/{request_id}")
        mms_id, holding_id = item["bib_data"]["mms_id"], item["holding_data"]["holding_id"]
        path = f"/bibs/{mms_id}/holdings/{holding_id}/items/{pid}/loans"
        active = (await self.call("GET", path)).get("item_loan", [])
        complete = (await self.call("GET", path, params={"loan_status": "Complete"})).get(
            "item_loan"
        )
        loan = "ACTIVE" if active else "COMPLETE" if complete else "none"
        return (
            f"{state}{' requested' if data['requested'] else ''}",
            request["request_status"],
            loan,
        )


@pytest.fixture
async def sides() -> AsyncIterator[tuple[Side, Side]]:
    clock = FakeClock(START)
    world = sample_world(clock)
    transport = httpx.ASGITransport(app=world.app)
    async with httpx.AsyncClient(transport=transport) as client:
        yield Side(world["uni-a"], client), Side(world["uni-b"], client)


async def test_the_lender(sides: tuple[Side, Side]) -> None:
    lender, _ = sides
    staff = lender.staff
    virtual = staff.add_user("virtual-1", "DCB").primary_id
    pid = staff.items.find("barcode", "A0001")[0].pid
    rid = await lender.hold(virtual, pid, "RES_OUT")
    assert await lender.seen(pid, rid) == ("1/ requested", "IN_PROCESS", "none")
    staff.scan_in("A0001", "MAIN")
    assert await lender.seen(pid, rid) == ("0/TRANSIT requested", "IN_PROCESS", "none")
    body = {
        "circ_desk": {"value": DESK},
        "library": {"value": "MAIN"},
        "request_id": {"value": rid},
    }
    await lender.call("POST", f"/users/{virtual}/loans", params={"item_pid": pid}, json=body)
    assert await lender.seen(pid, rid) == ("0/LOAN", "HISTORY", "ACTIVE")
    staff.scan_in("A0001", "BRANCH")
    assert await lender.seen(pid, rid) == ("0/TRANSIT", "HISTORY", "COMPLETE")
    staff.scan_in("A0001", "MAIN")
    assert await lender.seen(pid, rid) == ("1/", "HISTORY", "COMPLETE")
    assert staff.ours(MARK) == {}


async def test_the_lender_with_the_wrong_pickup(sides: tuple[Side, Side]) -> None:
    lender, _ = sides
    pid = lender.staff.items.find("barcode", "A0001")[0].pid
    rid = await lender.hold("local-1", pid, "MAIN")
    lender.staff.scan_in("A0001", "MAIN")
    assert await lender.seen(pid, rid) == ("0/HOLDSHELF requested", "ON_HOLD_SHELF", "none")


async def test_the_lender_cancels_or_loses_it(sides: tuple[Side, Side]) -> None:
    lender, _ = sides
    staff = lender.staff
    pid = staff.items.find("barcode", "A0001")[0].pid
    rid = await lender.hold("local-1", pid, "RES_OUT")
    staff.cancel_request(rid)
    assert await lender.seen(pid, rid) == ("1/", "HISTORY", "none")
    rid = await lender.hold("local-1", pid, "RES_OUT")
    staff.mark_missing("A0001")
    assert await lender.seen(pid, rid) == ("0/MISSING requested", "NOT_STARTED", "none")
    staff.found("A0001")
    staff.scan_in("A0001", "MAIN")
    staff.loan("A0001", "local-1", "MAIN")
    staff.mark_lost("A0001")
    assert await lender.seen(pid, rid) == ("0/LOST_LOAN", "HISTORY", "ACTIVE")


async def virtual_item(borrower: Side) -> str:
    xml = {"content-type": "application/xml"}
    headers = {"authorization": "apikey KEY-uni-b", "accept": "application/json", **xml}
    client = borrower._client
    bib = await client.post(
        "http://alma/almaws/v1/bibs", content=bib_xml("Lent", numbers=[MARK]), headers=headers
    )
    path = f"/bibs/{bib.json()['mms_id']}/holdings"
    holding = await client.post(
        f"http://alma/almaws/v1{path}",
        content=holding_xml("DCB", "DCBVIRTUAL", MARK),
        headers=headers,
    )
    body = {"item_data": {"barcode": "A0001", "policy": {"value": "DCB"}, "internal_note_1": MARK}}
    item = await borrower.call("POST", f"{path}/{holding.json()['holding_id']}/items", json=body)
    return str(item["item_data"]["pid"])


async def test_the_borrower(sides: tuple[Side, Side]) -> None:
    _, borrower = sides
    staff = borrower.staff
    pid = await virtual_item(borrower)
    rid = await borrower.hold("reader-b1", pid, "MAIN")
    assert set(staff.ours(MARK)) == {"bibs", "holdings", "items", "holds"}
    assert await borrower.seen(pid, rid) == ("1/ requested", "IN_PROCESS", "none")
    item = staff.items.get(pid)
    assert item is not None
    path = f"/bibs/{item.mms_id}/holdings/{item.holding_id}/items/{pid}"
    scan = {"op": "scan", "library": "DCB", "circ_desk": DESK, "register_in_house_use": "false"}
    await borrower.call("POST", path, params=scan)
    assert await borrower.seen(pid, rid) == ("0/TRANSIT requested", "IN_PROCESS", "none")
    staff.scan_in("A0001", "MAIN")
    assert await borrower.seen(pid, rid) == ("0/HOLDSHELF requested", "ON_HOLD_SHELF", "none")
    staff.loan("A0001", "reader-b1", "MAIN")
    assert await borrower.seen(pid, rid) == ("0/LOAN", "HISTORY", "ACTIVE")
    staff.return_item("A0001", "MAIN")
    assert await borrower.seen(pid, rid) == ("0/TRANSIT", "HISTORY", "COMPLETE")
    query = {"override": "true", "holdings": "delete", "bib": "delete"}
    await borrower.call("DELETE", path, params=query)
    assert staff.ours(MARK) == {}


async def test_the_reader_cancels_at_the_borrower(sides: tuple[Side, Side]) -> None:
    _, borrower = sides
    pid = await virtual_item(borrower)
    rid = await borrower.hold("reader-b1", pid, "MAIN")
    borrower.staff.patron_cancels(rid)
    assert await borrower.seen(pid, rid) == ("1/", "HISTORY", "none")


async def test_a_month_in_a_moment() -> None:
    """Thousands of calls with a clock that only the test moves."""
    clock = FakeClock(START)
    world = Sandbox(clock, clock.sleep)
    staff = add_ordinary_institution(world, "uni-x", "Europe/Vienna")
    staff.add_user("reader")
    for number in range(20):
        staff.add_book(f"Title {number}", f"X{number}", "MAIN", "STACKS")
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app=world.app)) as client:
        side = Side(staff, client)
        for day in range(30):
            barcode = f"X{day % 20}"
            staff.place_hold("reader", barcode, "BRANCH")
            staff.scan_in(barcode, "BRANCH")
            staff.loan(barcode, "reader", "BRANCH")
            clock.advance(timedelta(hours=23))
            for _ in range(10):
                rows = await side.call("GET", "/users/reader/loans", params={"limit": 100})
                assert rows["total_record_count"] == 1
            staff.return_item(barcode, "MAIN")
            clock.advance(timedelta(hours=1))
            staff.anonymise()
    assert len(world.calls) == 300
    assert staff.quota.remaining == 999_990  # renewed each midnight: the last day counts
    assert not staff.ours("BRANCH").get("holds")
