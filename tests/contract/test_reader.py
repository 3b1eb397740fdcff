"""The Alma client over a real socket: every trouble is one typed failure, lists are whole."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator
from datetime import datetime, timedelta
from typing import Any

import httpx
import pytest

from reconciler.alma.connections import Connections, Timeouts
from reconciler.alma.gateway import READ_ATTEMPTS, Gateway
from reconciler.alma.reader import Reader
from reconciler.alma.valve import Valve
from reconciler.clock import SystemClock
from reconciler.core.library.breaker import Terms
from reconciler.core.model import (
    Barcode,
    HoldingId,
    HostLmsCode,
    ItemPid,
    LoanId,
    MmsId,
    RequestId,
    UserId,
)
from reconciler.errors import AlmaFailure, FailureKind
from reconciler.ports.clock import Clock
from reconciler.sandbox import Institution, Sandbox, sample_world, serve

K = FailureKind


@pytest.fixture
def sandbox() -> Sandbox:
    return sample_world()


@pytest.fixture
def alma(sandbox: Sandbox) -> Institution:
    return sandbox["uni-a"]


@pytest.fixture
def base_url(sandbox: Sandbox) -> Iterator[str]:
    with serve(sandbox) as serving:
        yield serving.base_url


class PatientClock(SystemClock):
    """Real time, with every wait leapt over."""

    def __init__(self) -> None:
        self.leapt = 0.0

    def now(self) -> datetime:
        return super().now() + timedelta(seconds=self.leapt)

    def monotonic(self) -> float:
        return super().monotonic() + self.leapt

    async def sleep(self, seconds: float) -> None:
        self.leapt += max(0.0, seconds)
        await asyncio.sleep(0)


def gateway_to(
    base_url: str, clock: Clock, transport: httpx.AsyncBaseTransport | None = None
) -> Gateway:
    connections = Connections(
        base_url, clock=clock, timeouts=Timeouts(1.0, 0.5, 1.0), transport=transport
    )
    valve = Valve(Terms(HostLmsCode("uni-a"), reserve=0), 1_000_000, clock)
    return Gateway(connections, "KEY-uni-a", valve=valve, clock=clock)


def valve_of(gateway: Gateway) -> Valve:
    return gateway._valve


@pytest.fixture
def clock() -> PatientClock:
    return PatientClock()


@pytest.fixture
async def gateway(base_url: str, clock: PatientClock) -> AsyncIterator[Gateway]:
    made = gateway_to(base_url, clock)
    yield made
    await made.aclose()


@pytest.fixture
def reader(gateway: Gateway) -> Reader:
    return Reader(gateway)


Read = Callable[[], Any]


@pytest.fixture
def read_item(reader: Reader, alma: Institution) -> Read:
    (book,) = alma.items.find("barcode", "A0001")
    return lambda: reader.item(MmsId(book.mms_id), HoldingId(book.holding_id), ItemPid(book.pid))


async def failing(read: Read) -> AlmaFailure:
    with pytest.raises(AlmaFailure) as caught:
        await read()
    return caught.value


# --- what is read ------------------------------------------------------------


@pytest.mark.parametrize("style", ["new", "old", "label", "lean"])
async def test_items_requests_and_loans_in_every_style(
    reader: Reader, alma: Institution, read_item: Read, style: str
) -> None:
    alma.dialect.update(style=style)
    alma.add_user("vp", "DCB")
    hold = alma.place_hold("vp", "A0001", "RES_OUT", comment="[DCB:1]")
    item = await read_item()
    assert (item.state, item.raw, item.requested) == ("IN_PLACE", "1/", True)
    assert (item.barcode, item.library, item.location) == ("A0001", "MAIN", "STACKS")
    seen = await reader.request(UserId("vp"), RequestId(hold.request_id))
    assert (seen.state, seen.item_pid, seen.comment) == ("ACTIVE", item.pid, "[DCB:1]")
    key = (item.mms_id, item.holding_id, item.pid)
    (listed,) = await reader.item_requests(*key)
    assert listed.request_id == hold.request_id
    loan = alma.loan("A0001", "vp", "MAIN", override=True)
    (lent,) = await reader.item_loans(*key, completed=False)
    assert (lent.state, lent.user_id, lent.loan_id) == ("ACTIVE", "vp", loan.loan_id)
    assert (await reader.request(UserId("vp"), RequestId(hold.request_id))).state == "CLOSED"
    alma.return_item("A0001", "MAIN")
    assert await reader.item_loans(*key, completed=False) == ()
    (over,) = await reader.item_loans(*key, completed=True)
    assert (over.state, over.returned_at is not None) == ("COMPLETE", True)
    assert (await reader.loan(UserId("vp"), LoanId(loan.loan_id))).state == "COMPLETE"


async def test_the_redirect_of_a_barcode_is_followed_by_hand_and_counts_two_calls(
    reader: Reader, gateway: Gateway, alma: Institution, sandbox: Sandbox
) -> None:
    alma.dialect.update(redirect_carries_key=True)
    item = await reader.item_by_barcode(Barcode("A0001"))
    assert item.barcode == "A0001"
    assert gateway.tally.calls == 2
    assert all("apikey" not in call.query for call in sandbox.calls)


async def test_a_redirect_to_another_host_gets_no_key() -> None:
    seen: list[httpx.Request] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request)
        if "item_barcode" in request.url.query.decode():
            path = "/almaws/v1/bibs/1/holdings/2/items/3?apikey=K&view=label"
            return httpx.Response(302, headers={"Location": f"https://evil.example{path}"})
        return httpx.Response(200, json={"item_data": {"pid": "3", "base_status": {"value": "1"}}})

    made = gateway_to("https://alma.example", SystemClock(), httpx.MockTransport(answer))
    item = await Reader(made).item_by_barcode(Barcode("+F2/0 1%"))
    await made.aclose()
    assert item.pid == "3"
    assert {request.url.host for request in seen} == {"alma.example"}
    assert b"item_barcode=%2BF2%2F0+1%25" in seen[0].url.query
    assert seen[1].url.query == b"view=label"


@pytest.mark.parametrize("user", ["a/b", "a b", "a@b.c", "a+b", "a%2Fb", "ü", "a?b#c"])
async def test_any_id_is_one_segment_of_a_path(
    reader: Reader, alma: Institution, user: str
) -> None:
    alma.add_user(user)
    assert (await reader.user(user)).primary_id == user


# --- lists -------------------------------------------------------------------


async def test_a_long_list_is_walked_to_its_end(
    reader: Reader, alma: Institution, gateway: Gateway
) -> None:
    (book,) = alma.items.find("barcode", "A0001")
    alma.add_user("vp", "DCB")
    for _ in range(230):
        alma.loan("A0001", "vp", "MAIN", override=True)
        alma.return_item("A0001", "MAIN")
    key = (MmsId(book.mms_id), HoldingId(book.holding_id), ItemPid(book.pid))
    loans = await reader.item_loans(*key, completed=True)
    assert len({loan.loan_id for loan in loans}) == 230
    assert gateway.tally.calls == 3


async def test_a_list_that_ends_before_its_total_is_unreadable(
    reader: Reader, alma: Institution, sandbox: Sandbox
) -> None:
    (book,) = alma.items.find("barcode", "A0001")
    alma.add_user("vp", "DCB")
    alma.place_hold("vp", "A0001", "RES_OUT")
    sandbox.faults.add("empty_page", path="/requests", times=None)
    key = (MmsId(book.mms_id), HoldingId(book.holding_id), ItemPid(book.pid))
    failure = await failing(lambda: reader.item_requests(*key))
    assert failure.kind is K.UNREADABLE
    assert "ends before its total" in str(failure)


# --- failures ----------------------------------------------------------------

FAULTS = [
    ("json_500", {}, K.SERVER_ERROR),
    ("empty_500", {}, K.SERVER_ERROR),
    ("html_502", {}, K.SERVER_ERROR),
    ("empty_503", {}, K.SERVER_ERROR),
    ("html_504", {}, K.SERVER_ERROR),
    ("html_401", {}, K.CREDENTIALS),
    ("forbidden_403", {}, K.CREDENTIALS),
    ("html_429", {}, K.THROTTLED),
    ("per_second", {}, K.THROTTLED),
    ("daily", {}, K.QUOTA_EXHAUSTED),
    ("html_200", {}, K.UNREADABLE),
    ("empty_200", {}, K.UNREADABLE),
    ("garbage_200", {}, K.UNREADABLE),
    ("truncated", {}, K.UNREADABLE),
    ("missing_field", {"field": "item_data"}, K.UNREADABLE),
    ("gzip", {}, K.UNREADABLE),
    ("cut", {}, K.CONNECTION_LOST),
    ("reset", {}, K.CONNECTION_LOST),
    ("close", {}, K.CONNECTION_LOST),
    ("hang", {}, K.TIMEOUT),
    ("slow", {"seconds": 0.1, "size": 16}, K.TIMEOUT),
    ("error", {"code": "401652"}, K.REFUSED),
]


@pytest.mark.parametrize(("fault", "fields", "kind"), FAULTS, ids=[each[0] for each in FAULTS])
async def test_every_fault_is_one_typed_failure_and_the_next_read_is_well(
    sandbox: Sandbox,
    read_item: Read,
    clock: PatientClock,
    fault: str,
    fields: dict[str, Any],
    kind: FailureKind,
) -> None:
    sandbox.faults.add(fault, times=None, **fields)
    failure = await failing(read_item)
    assert failure.kind is kind
    assert "KEY-uni-a" not in repr(failure.__dict__)
    sandbox.faults.clear()
    if kind is K.QUOTA_EXHAUSTED:  # until midnight, or a probe in a quarter of an hour
        assert (await failing(read_item)).kind is K.RESTING
        await clock.sleep(20 * 60)
    assert (await read_item()).state == "IN_PLACE"


async def test_xml_although_json_was_asked_for_is_read(sandbox: Sandbox, read_item: Read) -> None:
    sandbox.faults.add("xml", times=None)
    assert (await read_item()).barcode == "A0001"


@pytest.mark.parametrize(
    "fault", ["json_500", "html_502", "reset", "hang", "html_200", "per_second"]
)
async def test_a_read_is_repeated_and_each_attempt_is_a_call(
    sandbox: Sandbox, read_item: Read, gateway: Gateway, fault: str
) -> None:
    sandbox.faults.add(fault, times=READ_ATTEMPTS - 1)
    assert (await read_item()).state == "IN_PLACE"
    assert gateway.tally.calls == READ_ATTEMPTS


@pytest.mark.parametrize("fault", ["daily", "html_401", "error"])
async def test_what_would_fail_alike_is_not_repeated(
    sandbox: Sandbox, read_item: Read, gateway: Gateway, fault: str
) -> None:
    sandbox.faults.add(fault, times=None)
    await failing(read_item)
    assert gateway.tally.calls == 1


async def test_nobody_listens() -> None:
    made = gateway_to("http://127.0.0.1:9", PatientClock())
    failure = await failing(lambda: Reader(made).user("x"))
    assert failure.kind is K.UNREACHABLE
    assert (made.tally.calls, made.tally.answered) == (READ_ATTEMPTS, 0)
    await made.aclose()


@pytest.mark.parametrize("shape", ["list", "no_result", "object", "wrapped"])
async def test_an_unknown_id_is_a_refusal_with_its_code_in_every_form(
    reader: Reader, alma: Institution, shape: str
) -> None:
    alma.dialect.update(error_shape=shape)
    failure = await failing(lambda: reader.user("nobody-42"))
    assert (failure.kind, failure.code) == (K.REFUSED, "401861")
    assert "nobody-42" not in str(failure)
    failure = await failing(lambda: reader.item_by_barcode(Barcode("NOPE")))
    assert failure.code == "401689"
    failure = await failing(lambda: reader.loan(UserId("local-1"), LoanId("1")))
    assert failure.code == "401823"
    failure = await failing(lambda: reader.request(UserId("local-1"), RequestId("1")))
    assert failure.code == "401694"


async def test_a_waiter_that_gives_up_poisons_no_connection(
    sandbox: Sandbox, read_item: Read
) -> None:
    sandbox.faults.add("delay", seconds=0.2, times=8)
    waiting = [asyncio.create_task(read_item()) for _ in range(8)]
    await asyncio.sleep(0.05)
    for task in waiting:
        task.cancel()
    await asyncio.gather(*waiting, return_exceptions=True)
    results = await asyncio.gather(*(read_item() for _ in range(20)))
    assert len(results) == 20


async def test_the_quota_that_alma_tells_is_kept(
    gateway: Gateway, read_item: Read, alma: Institution
) -> None:
    alma.quota.remaining = 1000
    await read_item()
    assert valve_of(gateway).standing.remaining == 999
