"""A library where much is suddenly not found is frozen; whoever asks finds out whether it still is.

Over a socket, by the commands that people type, on both databases.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable

import pytest

from reconciler.core.library.breaker import TenantStanding
from reconciler.core.model import HostLmsCode
from reconciler.core.status import Resource, TenantState
from tests.support.world import Lend, World

LENDS = 12
LOST: dict[Resource, dict[str, str]] = {
    Resource.ITEM: {"path": r"/items/", "code": "401683"},
    Resource.REQUEST: {"path": r"/users/[^/]+/requests/\d", "code": "401694"},
}
"""What a key sees that has lost a right: answers that look like absence."""

WAITS = "REQUEST_PLACED_AT_BORROWING_AGENCY"


def standing(world: World) -> TenantStanding:
    with_database = world.app()
    found = with_database.quotas.standings()[HostLmsCode("uni-a")]
    with_database.close()
    return found


def statuses(world: World) -> dict[str, int]:
    counts: dict[str, int] = world.run("list", "--counts", "-o", "json").json["counts"]
    return counts


def frozen(world: World, kind: Resource) -> list[Lend]:
    """Lends of uni-a that wait for their books; then its key loses a right."""
    lends = [world.placed() for _ in range(LENDS)]
    world.track(*lends)
    world.once()
    assert statuses(world) == {WAITS: LENDS}
    world.sandbox.faults.add("error", institution="uni-a", times=None, **LOST[kind])
    world.once(check=3)
    found = standing(world)
    assert (found.state, found.missing) == (TenantState.FROZEN, {kind})
    return lends


def all_at_once(world: World, _: Lend) -> None:
    world.once(check=None)


def one_by_its_id(world: World, lend: Lend) -> None:
    world.run("--once", "--id", lend.id, check=None)


def polled(world: World, lend: Lend) -> None:
    world.run("poll", lend.id)
    world.run("--once", check=None)


def tried_again(world: World, lend: Lend) -> None:
    world.run("park", lend.id, "--reason", "to see what is the matter")
    world.run("retry", lend.id, "--reason", "the key may be well again")
    world.run("--once", check=None)


Asking = Callable[[World, Lend], None]
ASKING: list[Asking] = [polled, tried_again, one_by_its_id, all_at_once]
WAYS = [(Resource.ITEM, ask) for ask in ASKING]
WAYS += [(Resource.REQUEST, polled), (Resource.REQUEST, all_at_once)]


@pytest.mark.parametrize(("kind", "ask"), WAYS)
def test_once_it_is_mended_whoever_asks_thaws_it_at_once_and_the_lends_go_on(
    any_world: World, kind: Resource, ask: Asking
) -> None:
    world = any_world
    lends = frozen(world, kind)
    for lend in lends:
        world.send(lend)
    world.sandbox.faults.clear()
    world.run("--once", check=None)
    assert standing(world).state is TenantState.FROZEN, "nobody has asked"
    assert statuses(world) == {WAITS: LENDS}
    ask(world, lends[-1])
    assert standing(world).is_open
    assert world.show(lends[-1].id)["status"] == "PICKUP_TRANSIT"
    if ask is all_at_once:
        assert statuses(world) == {"PICKUP_TRANSIT": LENDS}
    world.once()
    assert statuses(world) == {"PICKUP_TRANSIT": LENDS}
    rows = [row for lend in lends for row in world.history(lend.id)]
    assert [row["to"] for row in rows if row["kind"] == "transition"].count("CANCELLED") == 0


@pytest.mark.parametrize("kind", list(LOST))
def test_while_it_is_not_mended_it_stays_frozen_and_nothing_is_concluded(
    any_world: World, kind: Resource
) -> None:
    world = any_world
    lends = frozen(world, kind)
    for n, ask in itertools.product((0, -1), ASKING):
        ask(world, lends[n])
        found = standing(world)
        assert (found.state, found.missing) == (TenantState.FROZEN, {kind})
    assert statuses(world) == {WAITS: LENDS}
    assert world.run("list", "--parked", "-o", "json").json["total"] == 0
    moved = [row["to"] for lend in lends for row in world.history(lend.id) if row["to"]]
    assert set(moved) == {"CONFIRMED", WAITS}


@pytest.mark.parametrize("ask", [polled, one_by_its_id, all_at_once])
def test_an_outage_that_is_over_is_found_to_be_so_at_once(any_world: World, ask: Asking) -> None:
    world = any_world
    lends = [world.placed() for _ in range(4)]
    world.track(*lends)
    world.once()
    world.sandbox.faults.add("html_502", institution="uni-a", times=None)
    world.once(check=3)
    assert standing(world).state is TenantState.OUTAGE
    before = len(list(world.sandbox.calls))
    ask(world, lends[0])
    asked = [call for call in list(world.sandbox.calls)[before:] if call.institution == "uni-a"]
    assert len(asked) <= 3, "one probe, tried as often as any read"
    world.sandbox.faults.clear()
    world.run("--once", check=None)
    assert standing(world).state is TenantState.OUTAGE, "nobody has asked"
    ask(world, lends[0])
    assert standing(world).is_open
    world.run("--once")  # what was turned away while the probe was out is due again
    assert {world.show(each.id)["supplier"]["item"]["failure"] for each in lends} == {None}


def test_a_lend_that_never_had_what_is_missing_does_not_end_the_freeze(any_world: World) -> None:
    """Its item is there as ever: that says nothing of the requests that are not."""
    world = any_world
    lent = world.placed()
    world.track(lent)
    world.once()
    for act in (world.send, world.shelve, world.borrow):
        act(lent)
        world.once()
    assert world.show(lent.id)["status"] == "LOANED"
    lends = [world.placed() for _ in range(LENDS)]
    world.track(*lends)
    world.once()
    world.lender.dialect.update(fulfilled_request="not_found")
    world.sandbox.faults.add("error", institution="uni-a", times=None, **LOST[Resource.REQUEST])
    world.once(check=3)
    polled(world, lent)
    assert standing(world).state is TenantState.FROZEN
    assert statuses(world) == {WAITS: LENDS, "LOANED": 1}


def test_a_book_that_is_really_gone_does_not_keep_the_others_frozen(any_world: World) -> None:
    """It is the first that is looked at, and shows that things are missing as before."""
    world = any_world
    lends = frozen(world, Resource.ITEM)
    gone, there = lends[0], lends[1]
    world.sandbox.faults.clear()
    world.lender.withdraw_item(gone.barcode)
    for lend in (gone, there):
        world.run("poll", lend.id)
    world.send(there)
    world.run("--once", check=None)
    assert standing(world).is_open
    assert world.show(there.id)["status"] == "PICKUP_TRANSIT"


def test_what_a_person_asks_for_is_looked_at_once_and_the_rest_is_left_alone(
    any_world: World,
) -> None:
    world = any_world
    lends = frozen(world, Resource.ITEM)
    world.run("poll", lends[0].id)
    before = len(list(world.sandbox.calls))
    world.run("--once", check=3)
    asked = len(list(world.sandbox.calls)) - before
    assert 1 <= asked <= 10
    world.run("--once", check=3)
    assert len(list(world.sandbox.calls)) - before == asked
