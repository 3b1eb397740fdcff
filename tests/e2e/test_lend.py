"""Whole lends, from `submit` to FINALISED, with everything that is made and cleared away."""

from __future__ import annotations

from tests.support.world import World


def test_an_ordinary_lend_leaves_nothing_behind(acting: World) -> None:
    world = acting
    lend = world.wanted()
    world.submit(lend)
    world.once()
    print(world.run("show", lend.id).out)
    print(world.run("history", lend.id).out)
    assert world.show(lend.id)["status"] == "REQUEST_PLACED_AT_BORROWING_AGENCY"
    assert {code: set(held) for code, held in world.things(lend.id).items()} == {
        "uni-a": {"holds"},
        "uni-b": {"bibs", "items", "holds"},
    }
    steps = (
        (world.send, "PICKUP_TRANSIT"),
        (world.shelve, "READY_FOR_PICKUP"),
        (world.check_out, "LOANED"),
        (world.give_back, "RETURN_TRANSIT"),
        (world.come_home, "FINALISED"),
    )
    for act, status in steps:
        act(lend)
        world.once()
        print(status, world.run("show", lend.id).out)
        assert world.show(lend.id)["status"] == status
    assert world.things(lend.id) == {}
