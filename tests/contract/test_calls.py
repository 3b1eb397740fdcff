"""Each method of the port is the very call of Alma's contract, and each write leaves a trace.

A wrong segment of a path is refused by Alma with a code that looks like a business rule, so it
can go unseen for months (lesson 19); a write that does nothing but says so to nobody, too (36).
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from inspect import iscoroutinefunction
from typing import Any

import httpx
import pytest

from reconciler.alma.connections import Connections, Timeouts
from reconciler.alma.gateway import JSON, Call, Gateway
from reconciler.alma.valve import Valve
from reconciler.alma.writer import Writer
from reconciler.core.library.breaker import Terms
from reconciler.core.model import (
    Barcode,
    DeskCode,
    HoldingId,
    HostLmsCode,
    ItemPid,
    LibraryCode,
    LoanId,
    MmsId,
    RequestId,
    UserId,
)
from reconciler.errors import AlmaFailure
from reconciler.ports.alma import (
    AlmaReader,
    AlmaWriter,
    ItemKey,
    NewHold,
    NewItem,
    NewLoan,
    NewUser,
)
from reconciler.sandbox import Institution, Sandbox, sample_world
from tests.support.build import NOW
from tests.support.clock import FakeClock

DESK = DeskCode("DEFAULT_CIRC_DESK")
NEW_USER = NewUser("DCB-1", "INST_ID", "DCB", "DCB", "VPATRON", ("C0001",))


@dataclass
class Stage:
    """uni-a with one user, and three books: in place, asked for by the user, lent to the user."""

    alma: Institution
    sandbox: Sandbox
    writer: Writer
    gateway: Gateway

    def __post_init__(self) -> None:
        self.alma.add_user("vp", "DCB")
        self.user = UserId("vp")
        self.free, self.asked, self.lent = (self._book(n) for n in (1, 2, 3))
        hold = self.alma.place_hold("vp", self.asked.item_pid, "RES_OUT")
        loan = self.alma.loan(self.lent.item_pid, "vp", "MAIN", override=True)
        self.request, self.loan = RequestId(hold.request_id), LoanId(loan.loan_id)
        self.bib = MmsId(self.alma.add_bib("No holdings").mms_id)
        self.holding = HoldingId(self.alma.add_holding(self.bib, "DCB", "DCBVIRTUAL").holding_id)
        self.bare_bib = MmsId(self.alma.add_bib("Nothing below it").mms_id)

    def _book(self, n: int) -> ItemKey:
        book = self.alma.add_book(f"Book {n}", f"T{n:04d}", "MAIN", "STACKS")
        return ItemKey(MmsId(book.mms_id), HoldingId(book.holding_id), ItemPid(book.pid))

    @property
    def held(self) -> tuple[MmsId, HoldingId, ItemPid]:
        return self.free.mms_id, self.free.holding_id, self.free.item_pid

    async def annotate(self) -> None:
        item = await self.writer.item(*self.held)
        self.sandbox.calls.reset()
        await self.writer.annotate_item(item, "Please do not renew", None)

    async def extend(self) -> None:
        user = await self.writer.user("vp")
        self.sandbox.calls.reset()
        await self.writer.extend_user(user, date(2030, 1, 1))


Act = Callable[[Stage], Awaitable[object]]
ITEM = "/bibs/{free.mms_id}/holdings/{free.holding_id}/items/{free.item_pid}"

READS: dict[str, tuple[Act, str]] = {
    "item": (lambda at: at.writer.item(*at.held), f"GET {ITEM}?expand=due_date"),
    "item_by_barcode": (
        lambda at: at.writer.item_by_barcode(Barcode("T0001")),
        f"GET /items?item_barcode=T0001 GET {ITEM}?",
    ),
    "request": (
        lambda at: at.writer.request(at.user, at.request),
        "GET /users/vp/requests/{request}?",
    ),
    "item_requests": (lambda at: at.writer.item_requests(*at.held), f"GET {ITEM}/requests?"),
    "loan": (lambda at: at.writer.loan(at.user, at.loan), "GET /users/vp/loans/{loan}?"),
    "item_loans": (
        lambda at: at.writer.item_loans(*at.held, completed=True),
        f"GET {ITEM}/loans?loan_status=Complete&limit=100",
    ),
    "user_loans": (
        lambda at: at.writer.user_loans(at.user, completed=False),
        "GET /users/vp/loans?loan_status=Active&limit=100",
    ),
    "user": (lambda at: at.writer.user("vp"), "GET /users/vp?"),
    "user_holds": (
        lambda at: at.writer.user_holds(at.user),
        "GET /users/vp/requests?request_type=HOLD&limit=100",
    ),
    "bib": (lambda at: at.writer.bib(at.bib), "GET /bibs/{bib}?"),
    "bibs_with_number": (
        lambda at: at.writer.bibs_with_number("(DCB)1"),
        "GET /bibs?other_system_id=%28DCB%291",
    ),
    "glances": (
        lambda at: at.writer.glances([at.bib, at.bare_bib]),
        "GET /bibs?mms_id={bib}%2C{bare_bib}&view=full&expand=p_avail%2Crequests",
    ),
    "holdings": (lambda at: at.writer.holdings(at.bib), "GET /bibs/{bib}/holdings?"),
    "holding_items": (
        lambda at: at.writer.holding_items(at.bib, at.holding),
        "GET /bibs/{bib}/holdings/{holding}/items?limit=100",
    ),
    "request_options": (
        lambda at: at.writer.request_options(*at.held, at.user),
        f"GET {ITEM}/request-options?user_id=vp",
    ),
    "has_location": (
        lambda at: at.writer.has_location("DCB", "DCBVIRTUAL"),
        "GET /conf/libraries/DCB/locations?",
    ),
}
WRITES: dict[str, tuple[Act, str]] = {
    "create_user": (lambda at: at.writer.create_user(NEW_USER), "POST /users?"),
    "extend_user": (lambda at: at.extend(), "PUT /users/vp?"),
    "place_hold": (
        lambda at: at.writer.place_hold(
            NewHold(at.user, at.free.item_pid, LibraryCode("RES_OUT"), None, "[DCB:1]")
        ),
        "POST /users/vp/requests?item_pid={free.item_pid}",
    ),
    "cancel_hold": (
        lambda at: at.writer.cancel_hold(at.user, at.request, "CannotBeFulfilled"),
        "DELETE /users/vp/requests/{request}?reason=CannotBeFulfilled&notify_user=false",
    ),
    "create_bib": (
        lambda at: at.writer.create_bib("A & B", None, "(DCB)1", NOW.date()),
        "POST /bibs?",
    ),
    "delete_bib": (lambda at: at.writer.delete_bib(at.bare_bib), "DELETE /bibs/{bare_bib}?"),
    "create_holding": (
        lambda at: at.writer.create_holding(at.bare_bib, "DCB", "DCBVIRTUAL"),
        "POST /bibs/{bare_bib}/holdings?",
    ),
    "delete_holding": (
        lambda at: at.writer.delete_holding(at.bib, at.holding),
        "DELETE /bibs/{bib}/holdings/{holding}?",
    ),
    "create_item": (
        lambda at: at.writer.create_item(
            NewItem(at.bib, at.holding, "V0001", "BOOK", "DCB", "[DCB:1]")
        ),
        "POST /bibs/{bib}/holdings/{holding}/items?",
    ),
    "delete_item": (lambda at: at.writer.delete_item(at.free), f"DELETE {ITEM}?"),
    "annotate_item": (lambda at: at.annotate(), f"PUT {ITEM}?"),
    "scan_in": (
        lambda at: at.writer.scan_in(at.free, "BRANCH", DESK),
        f"POST {ITEM}?op=scan&library=BRANCH&circ_desk=DEFAULT_CIRC_DESK"
        "&register_in_house_use=false",
    ),
    "create_loan": (
        lambda at: at.writer.create_loan(
            NewLoan(at.user, at.free.item_pid, LibraryCode("MAIN"), DESK)
        ),
        "POST /users/vp/loans?item_pid={free.item_pid}",
    ),
    "set_due_date": (
        lambda at: at.writer.set_due_date(at.user, at.loan, NOW + timedelta(days=20)),
        "PUT /users/vp/loans/{loan}?",
    ),
}
XML = {"create_bib", "create_holding"}


@pytest.fixture
async def stage() -> Any:
    clock = FakeClock(NOW)
    sandbox = sample_world(clock)
    connections = Connections(
        "http://alma",
        clock=clock,
        timeouts=Timeouts(1.0, 1.0, 1.0),
        transport=httpx.ASGITransport(sandbox.app),
    )
    valve = Valve(Terms(HostLmsCode("uni-a"), reserve=0), 1_000_000, clock)
    gateway = Gateway(connections, "KEY-uni-a", valve=valve, clock=clock)
    yield Stage(sandbox["uni-a"], sandbox, Writer(gateway), gateway)
    await gateway.aclose()


def methods(port: type) -> set[str]:
    """What calls a library; the rest makes no call."""
    return {name for name, each in vars(port).items() if iscoroutinefunction(each)} - {"aclose"}


def test_every_method_of_the_port_is_called_here() -> None:
    assert set(READS) == methods(AlmaReader)
    assert set(WRITES) == methods(AlmaWriter)


@pytest.mark.parametrize("name", READS)
async def test_a_read_is_the_call_of_the_contract(stage: Stage, name: str) -> None:
    before = rows_of(stage)
    await _expect_calls(stage, *READS[name])
    assert rows_of(stage) == before


@pytest.mark.parametrize("name", WRITES)
async def test_a_write_is_the_call_of_the_contract_and_leaves_a_trace(
    stage: Stage, name: str
) -> None:
    before = rows_of(stage)
    await _expect_calls(stage, *WRITES[name])
    assert rows_of(stage) != before
    (call,) = stage.sandbox.calls
    if call.method in ("POST", "PUT") and name != "scan_in":
        assert call.body[:1] == ("<" if name in XML else "{")


async def _expect_calls(stage: Stage, act: Act, wanted: str) -> None:
    stage.sandbox.calls.reset()
    await act(stage)
    calls = [
        f"{call.method} {call.path.removeprefix('/almaws/v1')}?{call.query}"
        for call in stage.sandbox.calls
    ]
    assert " ".join(calls) == wanted.format_map(_Ids(stage))


class _Ids(dict[str, object]):
    def __init__(self, stage: Stage) -> None:
        super().__init__(vars(stage))


def rows_of(stage: Stage) -> dict[str, Any]:
    state = stage.alma.state()
    del state["remaining"]
    return state


# --- answers without a body ------------------------------------------------------

DELETES = ("cancel_hold", "delete_item", "delete_holding", "delete_bib")
SUCCESSES: dict[str, dict[str, Any]] = {
    "204": {},
    "200 and nothing": {"kind": "status", "status": 200},
    "200 and a body": {
        "kind": "status",
        "status": 200,
        "body": "{}",
        "content_type": "application/json",
    },
}


@pytest.mark.parametrize("answer", SUCCESSES)
@pytest.mark.parametrize("name", DELETES)
async def test_any_success_of_a_delete_is_one(stage: Stage, name: str, answer: str) -> None:
    before = rows_of(stage)
    if SUCCESSES[answer]:
        stage.sandbox.faults.add(method="DELETE", when="after", **SUCCESSES[answer])
    act, _ = WRITES[name]
    await act(stage)
    assert rows_of(stage) != before


# --- a new user --------------------------------------------------------------------

MANDATORY = ("record_type", "account_type", "status", "user_group", "last_name")


async def made_body(stage: Stage) -> dict[str, Any]:
    await stage.writer.create_user(NEW_USER)
    (call,) = stage.sandbox.calls.matching("POST", "/users")
    body: dict[str, Any] = json.loads(call.body)
    stage.alma.delete_user("DCB-1")
    return body


async def refusal(stage: Stage, body: dict[str, Any]) -> str | None:
    with pytest.raises(AlmaFailure) as caught:
        await stage.gateway.write(Call("POST", ("users",), {}, json.dumps(body).encode(), JSON))
    return caught.value.code


@pytest.mark.parametrize("name", MANDATORY)
async def test_a_new_user_has_every_mandatory_field(stage: Stage, name: str) -> None:
    body = await made_body(stage)
    assert body[name]
    assert await refusal(stage, {**body, name: None}) == "401664"


async def test_a_new_user_is_external_since_an_internal_one_may_not_have_an_external_id(
    stage: Stage,
) -> None:
    body = await made_body(stage)
    assert body["external_id"]
    assert await refusal(stage, {**body, "account_type": {"value": "INTERNAL"}}) == "401853"


# --- an item is changed by the fields that Alma takes --------------------------------


async def test_an_item_goes_back_with_the_fields_that_alma_takes_and_its_texts(
    stage: Stage,
) -> None:
    """A PUT of the whole record is an internal error in Alma, and a shorter one empties texts."""
    (row,) = stage.alma.items.find("barcode", "T0001")
    stage.alma.change(row, texts={**row.texts, "public_note": "for readers"})
    await stage.annotate()
    (call,) = stage.sandbox.calls.matching("PUT", "/items/")
    sent = json.loads(call.body)
    assert set(sent) == {"item_data"}
    assert set(sent["item_data"]) <= {
        "pid", "barcode", "physical_material_type", "policy", "library", "location",
        "description", "public_note", "fulfillment_note",
        "internal_note_1", "internal_note_2", "internal_note_3",
        "statistics_note_1", "statistics_note_2", "statistics_note_3",
    }  # fmt: skip
    (after,) = stage.alma.items.find("barcode", "T0001")
    assert after.texts["fulfillment_note"] == "Please do not renew"
    assert after.texts["public_note"] == "for readers"


# --- due dates ------------------------------------------------------------------------


async def test_a_due_date_is_set_to_the_minute_that_was_asked_for(stage: Stage) -> None:
    due = datetime.fromisoformat("2026-12-24T17:00:00+00:00")
    assert (await stage.writer.set_due_date(stage.user, stage.loan, due)).due_at == due
