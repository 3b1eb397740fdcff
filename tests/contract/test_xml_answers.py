"""An answer in XML says what the same answer in JSON says, or nothing at all.

Alma may answer in XML although JSON was asked for (alma-api.md §1.2, fixtures 3 and 35). Whatever
is read wrong then is a blocked reader who may borrow, or a record of ours that nobody owns.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from reconciler.alma import wire
from reconciler.alma.connections import Connections, Timeouts
from reconciler.alma.document import Node, child, children, parse
from reconciler.alma.gateway import Gateway
from reconciler.alma.surveyor import Surveyor
from reconciler.alma.valve import Valve
from reconciler.alma.writer import Writer
from reconciler.clock import SystemClock
from reconciler.core.library.breaker import Terms
from reconciler.core.mapping import normalise
from reconciler.core.model import (
    Barcode,
    HoldingId,
    HostLmsCode,
    ItemPid,
    LoanId,
    MmsId,
    RequestId,
    RequestSight,
    UserId,
    UserSight,
)
from reconciler.errors import AlmaFailure, FailureKind
from reconciler.ports.alma import ItemKey, NewHold, NewItem, NewLoan, NewUser
from reconciler.sandbox import Sandbox, sample_world, serve
from reconciler.sandbox.payloads.xml import to_xml
from reconciler.sandbox.records import Identifier
from tests.support.recorded import recorded

NUMBER = "(DCB)lend-1"
USER = UserId("blocked one")


class World:
    """uni-a with a blocked user, and a bib of ours with two copies: one asked for, one lent."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.alma = alma = sandbox["uni-a"]
        cards = (Identifier("C1", "BARCODE"), Identifier("C2", "BARCODE", status="INACTIVE"))
        alma.add_user(USER, "DCB", identifiers=cards)
        alma.block_user(USER)
        alma.expire_user(USER, date(2027, 3, 31))
        alma.add_user("free", "DCB")
        self.bib = MmsId(alma.add_bib("Q&A <1>", numbers=[NUMBER, "(OCoLC)1"]).mms_id)
        self.holding = HoldingId(alma.add_holding(self.bib, "MAIN", "STACKS").holding_id)
        asked = alma.add_item(self.holding, "X1", policy="REGULAR")
        lent = alma.add_item(self.holding, "X2")
        self.item, self.lent = ItemPid(asked.pid), ItemPid(lent.pid)
        self.request = RequestId(alma.place_hold("free", "X1", "RES_OUT", "[DCB:1]").request_id)
        alma.place_hold("free", "A0001", "RES_OUT")
        self.loan = LoanId(alma.loan("X2", "free", "MAIN").loan_id)
        alma.loan("A0002", "free", "MAIN")

    @property
    def key(self) -> tuple[MmsId, HoldingId, ItemPid]:
        return self.bib, self.holding, self.item

    @property
    def lent_key(self) -> tuple[MmsId, HoldingId, ItemPid]:
        return self.bib, self.holding, self.lent


@pytest.fixture
def sandbox() -> Sandbox:
    return sample_world()


@pytest.fixture
def world(sandbox: Sandbox) -> World:
    return World(sandbox)


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


READS: dict[str, Callable[[Surveyor, World], Awaitable[Any]]] = {
    "item": lambda at, w: at.item(*w.key),
    "item_by_barcode": lambda at, _: at.item_by_barcode(Barcode("X2")),
    "request": lambda at, w: at.request(UserId("free"), w.request),
    "item_requests": lambda at, w: at.item_requests(*w.key),
    "user_holds": lambda at, _: at.user_holds(UserId("free")),
    "no holds": lambda at, _: at.user_holds(USER),
    "loan": lambda at, w: at.loan(UserId("free"), w.loan),
    "item_loans": lambda at, w: at.item_loans(*w.lent_key, completed=False),
    "no loans": lambda at, w: at.item_loans(*w.lent_key, completed=True),
    "user_loans": lambda at, _: at.user_loans(UserId("free"), completed=False),
    "user": lambda at, _: at.user(USER),
    "user without blocks": lambda at, _: at.user("free"),
    "bib": lambda at, w: at.bib(w.bib),
    "bibs_with_number": lambda at, _: at.bibs_with_number(NUMBER),
    "no bibs": lambda at, _: at.bibs_with_number("(DCB)nothing"),
    "glances": lambda at, w: at.glances([w.bib]),
    "holdings": lambda at, w: at.holdings(w.bib),
    "request_options": lambda at, w: at.request_options(*w.key, UserId("free")),
    "locations": lambda at, _: at.locations("MAIN"),
    "libraries": lambda at, _: at.libraries(),
    "desks": lambda at, _: at.desks("MAIN"),
    "codes": lambda at, _: at.codes("UserGroups"),
    "institution": lambda at, _: at.institution(),
}

EMPTY = {"no holds", "no loans", "no bibs"}


def comparable(sight: Any) -> Any:
    """Without what may differ: Alma's own word, a label in XML, and what could be sent back."""
    if isinstance(sight, tuple):
        return tuple(comparable(each) for each in sight)
    if isinstance(sight, RequestSight):
        return replace(sight, raw=normalise(sight.raw))
    return replace(sight, document={}) if isinstance(sight, UserSight) else sight


@pytest.mark.parametrize("name", READS)
async def test_every_read_says_the_same_in_xml(
    gateway: Gateway, world: World, sandbox: Sandbox, name: str
) -> None:
    alma = Surveyor(gateway)
    in_json = await READS[name](alma, world)
    fault = sandbox.faults.add("xml", times=None)
    in_xml = await READS[name](alma, world)
    assert fault.hits
    if isinstance(in_json, UserSight):  # a PUT replaces everything: what is text here stays here
        assert (bool(in_json.document), in_xml.document) == (True, {})
    assert comparable(in_xml) == comparable(in_json)
    assert in_json or name in EMPTY


async def test_a_block_a_card_and_our_number_are_what_is_read(
    gateway: Gateway, world: World, sandbox: Sandbox
) -> None:
    """The same in both is not enough: they are what stands there."""
    alma = Surveyor(gateway)
    sandbox.faults.add("xml", times=None)
    user = await alma.user(USER)
    assert (len(user.blocks), user.expires_on) == (1, date(2027, 3, 31))
    assert (user.answers_to("c1"), user.answers_to("C2")) == (True, False)
    assert NUMBER in (await alma.bib(world.bib)).system_numbers
    assert [each.mms_id for each in await alma.bibs_with_number(NUMBER)] == [world.bib]
    (glance,) = await alma.glances([world.bib])
    assert (glance.availability[0][0], glance.requests) == (world.holding, 1)
    assert world.alma.ours(NUMBER)


async def test_what_goes_back_to_alma_is_the_same_whichever_way_it_came(
    gateway: Gateway, world: World, sandbox: Sandbox
) -> None:
    alma = Surveyor(gateway)
    in_json = wire.writable_item((await alma.item(*world.key)).document)
    sandbox.faults.add("xml", times=None)
    assert wire.writable_item((await alma.item(*world.key)).document) == in_json


async def test_the_answers_to_writes_are_read_in_xml_as_well(
    gateway: Gateway, world: World, sandbox: Sandbox
) -> None:
    sandbox.faults.add("xml", times=None)
    writer = Writer(gateway)
    bib = await writer.create_bib("A title", None, "(DCB)2", date(2026, 11, 25))
    held = await writer.create_holding(bib.mms_id, "DCB", "DCBVIRTUAL")
    item = await writer.create_item(
        NewItem(bib.mms_id, held.holding_id, "V1", "BOOK", None, "[DCB:2]")
    )
    assert (item.state, item.barcode, item.notes) == ("IN_PLACE", "V1", ("[DCB:2]",))
    user = await writer.create_user(NewUser("DCB-2", "INST_ID", "DCB", "DCB", "VPATRON", ("B2",)))
    assert (user.primary_id, user.is_active, user.blocks) == ("DCB-2", True, ())
    assert user.answers_to("B2")
    pid = ItemPid(item.pid or "")
    hold = await writer.place_hold(NewHold(user.primary_id, pid, "RES_OUT", None, "[DCB:2]"))
    assert (hold.comment, hold.item_pid) == ("[DCB:2]", pid)
    key = ItemKey(bib.mms_id, held.holding_id, pid)
    assert (await writer.scan_in(key, "MAIN", "DEFAULT_CIRC_DESK")).state == "TRANSIT"
    world.alma.add_book("Free", "V2", "MAIN", "STACKS")
    (free,) = world.alma.items.find("barcode", "V2")
    loan = await writer.create_loan(
        NewLoan(user.primary_id, ItemPid(free.pid), "MAIN", "DEFAULT_CIRC_DESK")
    )
    assert (loan.state, loan.user_id) == ("ACTIVE", "DCB-2")


# --- recorded answers -----------------------------------------------------------------

Rows = Callable[[Node], tuple[Node, ...]]


def rows_or_itself(name: str, mark: str) -> Rows:
    return lambda tree: children(tree, name) or ((tree,) if mark in tree else ())


RECORDED: dict[str, tuple[str, Rows, Callable[[Node], Any]]] = {
    "users": ("user", lambda tree: (tree,), wire.user),
    "items": ("item", rows_or_itself("item", "item_data"), wire.item),
    "requests": ("user_request", rows_or_itself("user_request", "request_status"), wire.request),
    "loans": ("item_loan", rows_or_itself("item_loan", "loan_status"), wire.loan),
    "bibs": ("bib", rows_or_itself("bib", "anies"), wire.bib),
    "holdings": ("holding", rows_or_itself("holding", "holding_id"), wire.holding),
}


def json_files(kind: str) -> Iterator[tuple[Path, Node]]:
    for path in recorded(kind):
        if path.suffix == ".json":
            yield path, parse(path.read_bytes())


@pytest.mark.parametrize("kind", RECORDED)
def test_recorded_answers_say_the_same_in_xml(kind: str, tell: Callable[[str], None]) -> None:
    """Each recorded row, written as Alma's XML is (lists in wrappers, codes in attributes)."""
    root, rows, read = RECORDED[kind]
    count = 0
    for path, tree in json_files(kind):
        if kind == "users" and "user_block" not in tree:
            continue  # hand-made and short; Alma's XML has the wrapper, if it is empty
        for row in rows(tree):
            in_xml = read(parse(to_xml(root, row).encode()))
            assert comparable(in_xml) == comparable(read(row)), path.name
            count += 1
    assert count
    tell(f"{kind}: {count} recorded rows read alike in JSON and XML")


def test_recorded_users_with_blocks_are_blocked_in_xml() -> None:
    found = Counter[str]()
    for path, tree in json_files("users"):
        if children(tree, "user_block"):
            user = wire.user(parse(to_xml("user", tree).encode()))
            found[path.name] = len(user.blocks)
    assert found == {
        "dswalker__user-two-blocks.json": 2,
        "mlibrary__user-docsample-johns-full.json": 1,
    }


def test_recorded_bibs_in_xml_have_the_numbers_that_stand_in_them() -> None:
    """Told by another way to read them: the text between the tags."""
    field = re.compile(r'tag="035">\s*<subfield code="a">([^<]*)</subfield>')
    checked = 0
    for path in recorded("bibs"):
        if path.suffix == ".xml" and "create-body" not in path.name:
            text = path.read_text(encoding="utf-8")
            assert wire.bib(parse(text.encode())).system_numbers == tuple(field.findall(text))
            checked += len(field.findall(text))
    assert checked >= 4


def test_recorded_items_and_requests_in_xml_have_their_ids() -> None:
    seen = 0
    for kind, read in (("items", wire.item), ("requests", wire.request)):
        for path in recorded(kind):
            if path.suffix != ".xml":
                continue
            tree = parse(path.read_bytes())
            rows = children(tree, "item") or children(tree, "user_request")
            for row in rows:
                sight = read(row)
                seen += 1
                assert getattr(sight, "pid", None) or getattr(sight, "request_id", None)
                assert sight.mms_id, path.name
    assert seen >= 4


def test_a_recorded_holding_in_xml_is_read() -> None:
    for path in recorded("holdings"):
        if path.suffix == ".xml":
            tree = parse(path.read_bytes())
            assert wire.holding(tree).holding_id == "22163771200002204"
            assert child(tree, "record") == {}, "MARC stands where JSON has it"


# --- what is not understood ------------------------------------------------------------

HEAD = "<user><primary_id>u</primary_id>"
ODD_USERS = {
    "no wrapper for blocks": f"{HEAD}<status>ACTIVE</status></user>",
    "another name for a block": f"{HEAD}<user_blocks><block><x>1</x></block></user_blocks></user>",
    "a word in the wrapper": f"{HEAD}<user_blocks>LOAN</user_blocks></user>",
    "a block of one word": f"{HEAD}<user_blocks><user_block>LOAN</user_block></user_blocks></user>",
    "an empty block": f"{HEAD}<user_blocks><user_block/></user_blocks></user>",
    "a block without its wrapper, of one word": f"{HEAD}<user_block>LOAN</user_block></user>",
    "two wrappers, one of them odd": (
        f"{HEAD}<user_blocks/><user_blocks><y/></user_blocks></user>"
    ),
    "an identifier of one word": (
        f"{HEAD}<user_blocks/><user_identifiers><user_identifier>C1</user_identifier>"
        "</user_identifiers></user>"
    ),
    "a page of somebody else": "<html><head><title>Login</title></head><body/></html>",
}


@pytest.mark.parametrize("body", ODD_USERS.values(), ids=ODD_USERS)
@pytest.mark.parametrize("prolog", ["", '<?xml version="1.0" encoding="UTF-8"?>'], ids=len)
async def test_a_user_that_is_not_understood_is_unreadable_and_not_free(
    gateway: Gateway, sandbox: Sandbox, body: str, prolog: str
) -> None:
    sandbox.faults.add("status", path="/users/", times=None, status=200, body=prolog + body,
                       content_type="application/xml")  # fmt: skip
    with pytest.raises(AlmaFailure) as caught:
        await Surveyor(gateway).user(USER)
    assert caught.value.kind is FailureKind.UNREADABLE


ODD_BLOCKS: list[Any] = ["LOAN", ["LOAN"], [{}], [None], 1, {"user_block": "x"}]


@pytest.mark.parametrize("block", ODD_BLOCKS, ids=repr)
def test_blocks_that_are_no_rows_are_unreadable_in_json(block: Any) -> None:
    tree = {"primary_id": "u", "user_block": block}
    if isinstance(block, dict):
        assert wire.user(tree).blocks == ("block",), "one row without a list"
        tree = {"primary_id": "u", "user_blocks": block}
    with pytest.raises(AlmaFailure, match="user_block"):
        wire.user(tree)


@pytest.mark.parametrize("nothing", [None, "", " ", [], {}], ids=repr)
def test_every_form_of_no_blocks_is_free(nothing: Any) -> None:
    assert wire.user({"primary_id": "u", "user_block": nothing}).blocks == ()


@pytest.mark.parametrize(
    "body",
    [
        "<bib><mms_id>991</mms_id></bib>",
        "<bib><mms_id>991</mms_id><record/></bib>",
        "<bib><mms_id>991</mms_id><record>text</record></bib>",
    ],
)
def test_a_bib_without_its_fields_is_not_one_without_our_number(body: str) -> None:
    with pytest.raises(AlmaFailure) as caught:
        wire.bib(parse(body.encode()))
    assert caught.value.kind is FailureKind.UNREADABLE


def test_a_record_with_a_namespace_is_read() -> None:
    body = (
        '<bib><mms_id>991</mms_id><record xmlns="http://www.loc.gov/MARC21/slim">'
        '<leader>x</leader><datafield tag="035" ind1=" " ind2=" "><subfield code="a">(DCB)1'
        "</subfield></datafield></record></bib>"
    )
    assert wire.bib(parse(body.encode())).system_numbers == ("(DCB)1",)
