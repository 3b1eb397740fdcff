"""A list is whole or unreadable, over a real socket: a part of one never proves that a hold, a
loan or a record of ours is not there (workflow.md §4)."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from reconciler.alma.connections import Connections, Timeouts
from reconciler.alma.gateway import Call, Gateway, get
from reconciler.alma.lists import whole_list
from reconciler.alma.surveyor import Surveyor
from reconciler.alma.valve import Valve
from reconciler.clock import SystemClock
from reconciler.core.library.breaker import Terms
from reconciler.core.model import (
    HoldingId,
    HostLmsCode,
    ItemPid,
    MmsId,
    RequestId,
    RequestSight,
    UserId,
)
from reconciler.errors import AlmaFailure, FailureKind
from reconciler.sandbox import Institution, Sandbox, sample_world, serve

VP = UserId("vp")
HOLDS = 230
PAGES = 3


@pytest.fixture
def sandbox() -> Sandbox:
    return sample_world()


@pytest.fixture
def alma(sandbox: Sandbox) -> Institution:
    at = sandbox["uni-a"]
    at.add_user(VP, "DCB")
    return at


@pytest.fixture
def base_url(sandbox: Sandbox) -> Iterator[str]:
    with serve(sandbox) as serving:
        yield serving.base_url


@pytest.fixture
async def gateway(base_url: str) -> AsyncIterator[Gateway]:
    clock = SystemClock()
    connections = Connections(base_url, clock=clock, timeouts=Timeouts(1.0, 2.0, 1.0))
    valve = Valve(Terms(HostLmsCode("uni-a"), reserve=0), 1_000_000, clock)
    made = Gateway(connections, "KEY-uni-a", valve=valve, clock=clock)
    yield made
    await made.aclose()


@pytest.fixture
def reader(gateway: Gateway) -> Surveyor:
    return Surveyor(gateway)


async def failing(read: Awaitable[object]) -> AlmaFailure:
    with pytest.raises(AlmaFailure) as caught:
        await read
    assert caught.value.kind is FailureKind.UNREADABLE
    return caught.value


def hold_many(alma: Institution, n: int = HOLDS) -> set[str]:
    """Holds of one user, each on a book of its own; their ids."""
    held = set()
    for each in range(n):
        alma.add_book(f"Book {each}", f"T{each:04d}", "MAIN", "STACKS")
        held.add(alma.place_hold(VP, f"T{each:04d}", "RES_OUT").request_id)
    return held


def ids(holds: tuple[RequestSight, ...]) -> list[str | None]:
    return [hold.request_id for hold in holds]


def key_of(alma: Institution, barcode: str) -> tuple[MmsId, HoldingId, ItemPid]:
    (book,) = alma.items.find("barcode", barcode)
    return MmsId(book.mms_id), HoldingId(book.holding_id), ItemPid(book.pid)


# --- lists of several pages --------------------------------------------------------


@pytest.mark.parametrize("page", range(PAGES))
async def test_a_page_that_lost_a_row_is_noticed_and_the_list_walked_once_more(
    reader: Surveyor, alma: Institution, sandbox: Sandbox, gateway: Gateway, page: int
) -> None:
    held = hold_many(alma)
    fault = sandbox.faults.add("shifted_page", path="/requests", skip=page, times=1)
    listed = await reader.user_holds(VP)
    assert fault.hits == 1
    assert (set(ids(listed)), len(listed)) == (held, HOLDS)
    assert PAGES < gateway.tally.calls <= 2 * PAGES + 1


async def test_a_list_that_is_short_again_is_unreadable(
    reader: Surveyor, alma: Institution, sandbox: Sandbox, gateway: Gateway
) -> None:
    hold_many(alma)
    sandbox.faults.add("shifted_page", path="/requests", times=None)
    await failing(reader.user_holds(VP))
    assert gateway.tally.calls <= 2 * (PAGES + 1)
    sandbox.calls.reset()
    for request in alma.requests.rows()[20:]:
        alma.cancel_request(request.request_id)
    failure = await failing(reader.user_holds(VP))
    assert "ends before its total: 19 of 20" in str(failure)
    assert len(sandbox.calls) == 4, "each walk asks once more for what is missing"


async def test_the_order_of_the_rows_says_nothing(
    reader: Surveyor, alma: Institution, sandbox: Sandbox, gateway: Gateway
) -> None:
    held = hold_many(alma)
    sandbox.faults.add("reversed_list", path="/requests", times=None)
    listed = await reader.user_holds(VP)
    assert (set(ids(listed)), gateway.tally.calls) == (held, PAGES)


async def test_a_reversed_list_does_not_hide_that_a_row_is_missing(
    reader: Surveyor, alma: Institution, sandbox: Sandbox
) -> None:
    held = hold_many(alma)
    sandbox.faults.add("reversed_list", path="/requests", skip=1, times=1)
    sandbox.faults.add("shifted_page", path="/requests", times=1)
    assert set(ids(await reader.user_holds(VP))) == held


def between(gateway: Gateway, act: Callable[[], object], times: int) -> Callable[[Call], Any]:
    """Calls of a walk, with something that happens at the library after each first page."""
    left = iter(range(times))

    async def read(call: Call) -> Any:
        tree = await gateway.read(call)
        if "offset" not in call.query and next(left, None) is not None:
            act()
        return tree

    return read


@pytest.mark.parametrize("replaced", [False, True], ids=["one ends", "one ends, one begins"])
@pytest.mark.parametrize("times", [1, 2], ids=["once", "in each walk"])
async def test_a_list_that_moves_while_it_is_walked(
    alma: Institution, gateway: Gateway, replaced: bool, times: int
) -> None:
    """With a hold that ends the next ones move up: one is never seen, whatever the total says."""
    held = sorted(hold_many(alma, 150))
    spare = iter(range(100))
    ending = iter(held)

    def moved() -> None:
        alma.cancel_request(next(ending))
        if replaced:
            n = next(spare)
            alma.add_book(f"Spare {n}", f"S{n:04d}", "MAIN", "STACKS")
            alma.place_hold(VP, f"S{n:04d}", "RES_OUT")

    call = get("users", VP, "requests", request_type="HOLD", limit="100")
    walk = whole_list(between(gateway, moved, times), call, "user_request", "request_id")
    if times == 1:
        found = set(await walk)
        live = {row.request_id for row in alma.requests.rows() if row.status != "HISTORY"}
        assert found == live
        return
    failure = await failing(walk)
    assert ("rows moved" if replaced else "total changed") in str(failure)


async def test_pages_that_do_not_agree_on_the_total(
    reader: Surveyor, alma: Institution, sandbox: Sandbox, gateway: Gateway
) -> None:
    held = hold_many(alma)
    other = {"field": "total_record_count", "value": HOLDS - 1}
    sandbox.faults.add("set_field", path="/requests", skip=PAGES - 1, times=1, **other)
    assert set(ids(await reader.user_holds(VP))) == held
    assert gateway.tally.calls == 2 * PAGES
    sandbox.faults.add("set_field", path="offset=1", times=None, **other)
    assert "changed while it was read" in str(await failing(reader.user_holds(VP)))


@pytest.mark.parametrize("total", [HOLDS + 1, 98_765])
async def test_a_total_that_is_never_reached(
    reader: Surveyor, alma: Institution, sandbox: Sandbox, gateway: Gateway, total: int
) -> None:
    hold_many(alma)
    sandbox.faults.add(
        "set_field", path="/requests", times=None, field="total_record_count", value=total
    )
    assert f"{HOLDS} of {total}" in str(await failing(reader.user_holds(VP)))
    assert gateway.tally.calls == 2 * (PAGES + 1), "no call for each row that is not there"


@pytest.mark.parametrize("total", [1, "", None, "many"], ids=repr)
async def test_a_total_that_counts_nothing_ends_no_list(
    reader: Surveyor, alma: Institution, sandbox: Sandbox, total: Any
) -> None:
    """Too small, or none at all: the end is the page behind the last row."""
    held = hold_many(alma)
    kind = "missing_field" if total is None else "set_field"
    sandbox.faults.add(kind, path="/requests", times=None, field="total_record_count", value=total)
    assert set(ids(await reader.user_holds(VP))) == held


# --- lists that Alma hands out at once ------------------------------------------------


async def test_what_is_not_paged_is_asked_for_as_a_whole_and_never_by_offset(
    reader: Surveyor, alma: Institution, sandbox: Sandbox
) -> None:
    alma.place_hold(VP, "A0001", "RES_OUT")
    key = key_of(alma, "A0001")
    sandbox.faults.add("set_field", path="/requests", times=2, field="total_record_count", value=3)
    assert "1 of 3" in str(await failing(reader.item_requests(*key)))
    calls = sandbox.calls.matching("GET", "/requests")
    assert [call.query for call in calls] == ["", ""]
    assert len(await reader.item_requests(*key)) == 1


async def test_more_rows_than_the_total_of_an_unpaged_list_are_all_there_is(
    reader: Surveyor, alma: Institution, sandbox: Sandbox, gateway: Gateway
) -> None:
    alma.add_user("other", "DCB")
    alma.place_hold(VP, "A0001", "RES_OUT")
    alma.place_hold("other", "A0001", "RES_OUT")
    sandbox.faults.add(
        "set_field", path="/requests", times=None, field="total_record_count", value=1
    )
    assert len(await reader.item_requests(*key_of(alma, "A0001"))) == 2
    assert gateway.tally.calls == 1


# --- answers that are no lists --------------------------------------------------------

ROW = {"request_id": "7", "request_status": "IN_PROCESS"}
OTHER = {**ROW, "request_id": "8"}

ANSWERS: list[tuple[str, Any, list[str] | None]] = [
    ("nothing, and it says so", {"total_record_count": 0}, []),
    ("nothing, as text", {"total_record_count": "0"}, []),
    ("an empty list", {"user_request": [], "total_record_count": 0}, []),
    ("null", {"user_request": None, "total_record_count": 0}, []),
    ("an empty list without a total", {"user_request": []}, []),
    ("one row without a list", {"user_request": ROW, "total_record_count": 1}, ["7"]),
    ("the total as text", {"user_request": [ROW, OTHER], "total_record_count": "2"}, ["7", "8"]),
    ("no total", {"user_request": [ROW, OTHER]}, ["7", "8"]),
    ("a row twice, counted once", {"user_request": [ROW, ROW], "total_record_count": 1}, ["7"]),
    ("a row twice, counted twice", {"user_request": [ROW, ROW], "total_record_count": 2}, None),
    ("a row too few", {"user_request": [ROW], "total_record_count": 2}, None),
    ("no row", {"total_record_count": 1}, None),
    ("a row without its id", {"user_request": [ROW, {}], "total_record_count": 1}, None),
    (
        "an id that is blank",
        {"user_request": [{**ROW, "request_id": " "}], "total_record_count": 1},
        None,
    ),
    ("a row that is none", {"user_request": [ROW, None], "total_record_count": 1}, None),
    ("a word", {"user_request": "none", "total_record_count": 0}, None),
    ("rows that are words", {"user_request": ["7"], "total_record_count": 1}, None),
    ("something else", {"item_loan": []}, None),
    ("an empty object", {}, None),
]


@pytest.mark.parametrize(("answer", "rows"), [each[1:] for each in ANSWERS],
                         ids=[each[0] for each in ANSWERS])  # fmt: skip
@pytest.mark.parametrize("paged", [False, True], ids=["at once", "paged"])
async def test_an_answer_is_a_list_or_it_is_unreadable(
    reader: Surveyor,
    alma: Institution,
    sandbox: Sandbox,
    answer: Any,
    rows: list[str] | None,
    paged: bool,
) -> None:
    """Each answer is given whatever the offset: a list that starts anew does not go on for ever."""
    body, kind = json.dumps(answer), "application/json"
    sandbox.faults.add("status", path="/requests", times=None, status=200, body=body,
                       content_type=kind)  # fmt: skip
    read = reader.user_holds(VP) if paged else reader.item_requests(*key_of(alma, "A0001"))
    if rows is None:
        assert "a list of user_request" in str(await failing(read))
    else:
        assert ids(await read) == rows


async def test_the_hold_of_a_row_without_an_id_may_be_ours(
    reader: Surveyor, alma: Institution, sandbox: Sandbox
) -> None:
    """A general error for a hold and its row without an id do not make it a closed one."""
    hold = alma.place_hold(VP, "A0001", "RES_OUT")
    sandbox.faults.add("error", path="/requests/", code="401652", times=None)
    sandbox.faults.add("missing_field", path="/requests", field="request_id", times=None)
    await failing(reader.request(VP, RequestId(hold.request_id)))
    sandbox.faults.clear()
    sandbox.faults.add("error", path="/requests/", code="401652", times=None)
    assert (await reader.request(VP, RequestId(hold.request_id))).state == "ACTIVE"


@pytest.mark.parametrize(
    ("field", "is_readable"), [("loan_date", False), ("return_date", True), ("due_date", True)]
)
async def test_loans_that_cannot_be_told_apart_in_time_are_unreadable(
    reader: Surveyor, alma: Institution, sandbox: Sandbox, field: str, is_readable: bool
) -> None:
    """Whose a loan is, is told by when it began; the other dates tell nothing of that."""
    alma.loan("A0001", VP, "MAIN")
    alma.return_item("A0001", "MAIN")
    key, odd = key_of(alma, "A0001"), "2026-12-20 23:59:59 Europe/Berlin"
    sandbox.faults.add("set_field", path="/loans", times=None, field=field, value=odd)
    if is_readable:
        assert len(await reader.item_loans(*key, completed=True)) == 1
        return
    failure = await failing(reader.item_loans(*key, completed=True))
    assert (failure.code, odd in str(failure)) == ("UNREADABLE_DATE", True)


EVERY: dict[str, Callable[[Surveyor, Institution], Awaitable[object]]] = {
    "item_requests": lambda at, alma: at.item_requests(*key_of(alma, "A0001")),
    "item_loans": lambda at, alma: at.item_loans(*key_of(alma, "A0001"), completed=True),
    "user_loans": lambda at, _: at.user_loans(VP, completed=False),
    "user_holds": lambda at, _: at.user_holds(VP),
    "bibs_with_number": lambda at, _: at.bibs_with_number("(DCB)1"),
    "holdings": lambda at, alma: at.holdings(key_of(alma, "A0001")[0]),
    "has_location": lambda at, _: at.has_location("MAIN", "STACKS"),
    "libraries": lambda at, _: at.libraries(),
    "desks": lambda at, _: at.desks("MAIN"),
}


@pytest.mark.parametrize("name", EVERY)
async def test_no_list_is_empty_because_its_rows_are_missing(
    reader: Surveyor, alma: Institution, sandbox: Sandbox, name: str
) -> None:
    assert await EVERY[name](reader, alma) is not None
    sandbox.faults.add("empty_page", times=None)
    assert "ends before its total" in str(await failing(EVERY[name](reader, alma)))


UNCOUNTED: dict[str, Callable[[Surveyor, Institution], Awaitable[object]]] = {
    "request_options": lambda at, alma: at.request_options(*key_of(alma, "A0001"), VP),
    "codes": lambda at, _: at.codes("UserGroups"),
}


@pytest.mark.parametrize("name", [*EVERY, *UNCOUNTED])
async def test_what_is_no_list_is_not_an_empty_one(
    reader: Surveyor, alma: Institution, sandbox: Sandbox, name: str
) -> None:
    read = {**EVERY, **UNCOUNTED}[name]
    assert await read(reader, alma) is not None
    sandbox.faults.add("status", times=None, status=200, body='{"link":"x"}',
                       content_type="application/json")  # fmt: skip
    assert "is no list" in str(await failing(read(reader, alma)))
