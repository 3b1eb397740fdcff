"""The table of true ends: what people ask for on the command line."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest

from reconciler.sandbox.records import Item
from tests.support.world import Lend, World

Tell = Callable[[str], None]
PLACED = "REQUEST_PLACED_AT_BORROWING_AGENCY"


@contextmanager
def row(world: World, id: str, tell: Tell, given: str) -> Iterator[None]:
    """Told at its end, however it ended."""
    try:
        yield
    finally:
        now = world.show(id)
        outcome = f"/{now['outcome']}" if now["outcome"] else ""
        parked = f", parked {now['parked']['reason']}" if now["parked"] else ""
        tell(f"given {given} → {now['status']}{outcome}{parked}")


def looks(world: World, times: int = 3) -> None:
    """`--once --all`; what is parked or refused makes its exit code 3."""
    for _ in range(times):
        world.once(check=None)


def state(world: World, id: str) -> tuple[str, str | None]:
    """The status, and why it waits for a person."""
    now = world.show(id)
    return now["status"], now["parked"]["reason"] if now["parked"] else None


def placed(world: World, **changes: Any) -> Lend:
    lend = world.wanted(**changes)
    world.submit(lend)
    looks(world, 4)
    assert state(world, lend.id) == (PLACED, None)
    return lend


# --- another copy --------------------------------------------------------------------


def second_copy_shipped(world: World, lend: Lend) -> Item:
    """Alma serves our hold with another copy of the same bib, which is sent."""
    copy = world.lender.add_item(lend.line["item"]["holding_id"], f"{lend.barcode}-COPY2")
    world.lender.move_request(world.show(lend.id)["supplier"]["request_id"], copy.pid)
    world.lender.scan_in(copy.pid, "MAIN")
    return copy


def loans_of(world: World, pid: str) -> list[str]:
    return [loan["loan_id"] for loan in world.lender.state()["loans"] if loan["item_pid"] == pid]


def test_another_copy_is_shipped(acting: World, tell: Tell) -> None:
    """The pickup library hands it out by the virtual item's record, whatever its barcode."""
    world = acting
    lend = placed(world)
    first = lend.line["item"]["item_pid"]
    with row(world, lend.id, tell, "RET-STD placed; our hold moved to copy 2, shipped; retry"):
        virtual = world.show(lend.id)["borrower"]["item_pid"]
        copy = second_copy_shipped(world, lend)
        looks(world)
        assert state(world, lend.id) == (PLACED, "item_mismatch")
        world.run("retry", lend.id, "--reason", "let us see")
        looks(world)
        assert state(world, lend.id) == (PLACED, "item_mismatch")
        assert "--accept-copy" in world.run("explain", lend.id).out
        world.borrower.scan_in(virtual, "MAIN")
        world.borrower.loan(virtual, lend.reader, "MAIN", override=True)
        looks(world)
        assert loans_of(world, first) == []
        assert loans_of(world, copy.pid) == [], "a person has not said that it is ours"
        assert state(world, lend.id)[1] == "item_mismatch"


def test_another_copy_that_a_person_accepts(acting: World, tell: Tell) -> None:
    world = acting
    lend = placed(world)
    first = lend.line["item"]["item_pid"]
    given = "RET-STD placed; our hold moved to copy 2, shipped; retry --accept-copy"
    with row(world, lend.id, tell, given):
        virtual = world.show(lend.id)["borrower"]["item_pid"]
        copy = second_copy_shipped(world, lend)
        looks(world)
        world.run("retry", lend.id, "--accept-copy", "--reason", "copy 2 is as good")
        looks(world)
        assert state(world, lend.id) == ("PICKUP_TRANSIT", None)
        leg = world.show(lend.id)["supplier"]
        assert (leg["item_pid"], leg["item_barcode"]) == (copy.pid, copy.barcode)
        told = [row["detail"] or "" for row in world.history(lend.id)]
        assert [each for each in told if first in each and copy.pid in each], told
        world.borrower.scan_in(virtual, "MAIN")
        looks(world)
        world.borrower.loan(virtual, lend.reader, "MAIN", override=True)
        looks(world)
        assert state(world, lend.id) == ("LOANED", None)
        assert len(loans_of(world, copy.pid)) == 1
        world.borrower.return_item(virtual, "MAIN")
        looks(world)
        world.lender.return_item(copy.pid, "MAIN")
        looks(world, 5)
        assert state(world, lend.id) == ("FINALISED", None)
        assert world.show(lend.id)["outcome"] == "SUPPLIED"
        assert world.things(lend.id) == {}
        assert loans_of(world, first) == []


# --- close -----------------------------------------------------------------------------


def test_close_looks_first(acting: World, tell: Tell) -> None:
    world = acting
    lend = placed(world)
    given = "RET-STD placed; close after the lender's scan, our last look being older; close again"
    with row(world, lend.id, tell, given):
        kept = world.things(lend.id)["uni-b"]
        world.send(lend)
        said = world.run("close", lend.id, "--reason", "nobody wants it", check=None)
        assert "AWAITING_RETURN_TO_SUPPLIER" in said.out + said.err
        looks(world)
        assert state(world, lend.id) == ("AWAITING_RETURN_TO_SUPPLIER", None)
        left = world.things(lend.id)
        assert "uni-a" not in left, "the lender's hold would catch the book again"
        assert (left["uni-b"]["bibs"], left["uni-b"]["items"]) == (kept["bibs"], kept["items"])
        world.run("close", lend.id, "--reason", "it will not come back")
        looks(world, 4)
        assert state(world, lend.id) == ("FINALISED", None)
        assert world.things(lend.id) == {}


def test_close_before_the_book_has_left(acting: World, tell: Tell) -> None:
    world = acting
    lend = placed(world)
    with row(world, lend.id, tell, "RET-STD placed; close, the book still on its shelf"):
        world.run("close", lend.id, "--reason", "nobody wants it")
        looks(world, 4)
        assert state(world, lend.id) == ("FINALISED", None)
        assert world.show(lend.id)["outcome"] == "CANCELLED"
        assert world.things(lend.id) == {}


# --- frozen ------------------------------------------------------------------------------


def frozen(world: World) -> list[Lend]:
    """Lends of a library where much is suddenly not found, since its key lost a right."""
    lends = [world.placed() for _ in range(14)]
    world.track(*lends)
    looks(world, 2)
    world.sandbox.faults.add(
        "error", institution="uni-a", path="/items/", code="401683", times=None
    )
    resting = world.once(check=None)["resting"]
    assert [(each["host_lms"], each["state"]) for each in resting] == [("uni-a", "frozen")]
    world.sandbox.faults.clear()
    return lends


def retried(world: World, id: str) -> None:
    world.run("park", id, "--reason", "uni-a shows nothing any more")
    world.run("retry", id, "--reason", "the key is mended")


ASKED: dict[str, Callable[[World, str], object]] = {
    "--once --all": lambda world, _id: world.run("--once", "--all", check=None),
    "poll": lambda world, id: world.run("poll", id),
    "retry": retried,
}


@pytest.mark.parametrize("asked", ASKED)
def test_a_frozen_library_is_probed_when_a_person_asks(
    world: World, tell: Tell, asked: str
) -> None:
    """`poll` and `retry` make a lend due, the next cycle of whichever process looks at it."""
    lends = frozen(world)
    given = f"uni-a frozen for mass absence; the permission is mended; {asked}"
    with row(world, lends[0].id, tell, given):
        ASKED[asked](world, lends[0].id)
        ran = world.run("--once", "-o", "json", check=None)
        assert ran.json["resting"] == []
        assert "rests" not in world.run("list").err
        world.send(lends[0])
        after = world.once()
        assert [move["id"] for move in after["transitions"]] == [lends[0].id]
        assert state(world, lends[0].id) == ("PICKUP_TRANSIT", None)


# --- submit --------------------------------------------------------------------------------


def line_of_the_contract(world: World) -> Lend:
    """interface.md §4.2, with the ids of this sandbox."""
    lend = world.wanted(
        title="Q&A <1>",
        patron={"names": ["Ada", "Lovelace"], "patron_type": "UNDERGRAD", "agency": "UNIB"},
        item={"author": None, "item_type": "BOOK"},
    )
    lend.line["note"] = None
    return lend


def test_the_submit_line_of_the_contract(acting: World, tell: Tell) -> None:
    world = acting
    lend = line_of_the_contract(world)
    ran = world.submit(lend, check=None)
    assert ran.code == 0, ran.out + ran.err
    with row(world, lend.id, tell, "the submit line of the contract, agency on the patron only"):
        looks(world, 4)
        assert world.show(lend.id)["workflow"] == "RET-STD"
        assert state(world, lend.id) == (PLACED, None)


@pytest.mark.parametrize(
    ("pickup", "workflow"), [("uni-b", "RET-STD"), ("uni-a", "RET-EXP"), ("uni-c", "RET-PUA")]
)
def test_agencies_only_name_who_is_who(
    acting: World, tell: Tell, pickup: str, workflow: str
) -> None:
    """The systems decide, also where each party has an agency of its own."""
    world = acting
    lend = world.wanted(pickup=pickup, patron={"agency": "UNIB"}, item={"agency": "UNIA"})
    lend.line["pickup"]["agency"] = "ELSEWHERE"
    ran = world.submit(lend, check=None)
    assert ran.code == 0, ran.out + ran.err
    given = f"submit, pickup in {pickup}, three different agencies"
    with row(world, lend.id, tell, given):
        looks(world, 5)
        assert world.show(lend.id)["workflow"] == workflow
        assert state(world, lend.id)[1] is None
