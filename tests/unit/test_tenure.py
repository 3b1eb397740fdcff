"""Who looks after what: by one's own monotonic clock, fairly, safe from clock steps."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from reconciler.core.model import HostLmsCode
from reconciler.engine.storage import Storage
from reconciler.engine.tenure import Process, Tenure
from reconciler.ports.leases import Owner
from reconciler.store.database import Database
from reconciler.store.leases import SqlLeases
from tests.support.clock import FakeClock

LEASE = timedelta(seconds=60)
TENANTS = tuple(HostLmsCode(f"lib-{n}") for n in range(5))


class Shared(SqlLeases):
    """As on PostgreSQL: several machines may work at once."""

    @property
    def is_shared(self) -> bool:
        return True


class Alone(SqlLeases):
    """As on SQLite: one machine."""

    @property
    def is_shared(self) -> bool:
        return False


@dataclass
class Machine:
    """A process with clocks of its own."""

    tenure: Tenure
    clock: FakeClock

    async def tick(self, *busy: HostLmsCode) -> int:
        """How many libraries it looks after then."""
        await self.tenure.attend()
        await self.tenure.renew()
        await self.tenure.rebalance(TENANTS, busy)
        return len(self.tenure.held)


Machines = Callable[..., Machine]


@pytest.fixture
def machines(database: Database, clock: FakeClock) -> Iterator[Machines]:
    storage = Storage()
    dead: set[str] = set()

    def made(name: str, *, wall: datetime | None = None, shared: bool = True) -> Machine:
        own = FakeClock(wall or clock.now())
        leases = (Shared if shared else Alone)(database)
        process = Process(Owner(name), lambda owner: owner.name in dead)
        return Machine(Tenure(leases, storage, own, process, LEASE), own)

    yield made
    storage.close()


def pass_time(seconds: float, *machines: Machine) -> None:
    for machine in machines:
        machine.clock.advance(timedelta(seconds=seconds))


async def test_one_takes_all_two_share_the_rest_is_given_up(machines: Machines) -> None:
    a, b, c = machines("a"), machines("b"), machines("c")
    assert await a.tick() == 5
    assert await b.tick() == 0
    assert (await a.tick(), await b.tick()) == (3, 2)
    await c.tick()
    found = [await each.tick() for each in (a, b, c, a, b, c)][3:]
    assert sorted(found) == [1, 2, 2]
    assert len({*a.tenure.held, *b.tenure.held, *c.tenure.held}) == 5


async def test_a_library_at_work_is_given_up_after_its_run(machines: Machines) -> None:
    a, b = machines("a"), machines("b")
    await a.tick()
    await b.tick()
    surplus = a.tenure.held[3:]
    assert await a.tick(*a.tenure.held) == 5
    assert not any(a.tenure.holds(tenant) for tenant in surplus), "its run takes up nothing more"
    assert await b.tick() == 0
    assert await a.tick() == 3
    assert await b.tick() == 2


async def test_who_stands_still_for_a_lease_is_replaced(machines: Machines) -> None:
    a, b = machines("a"), machines("b")
    await a.tick()
    assert await b.tick() == 0
    pass_time(59, b)
    assert await b.tick() == 0
    pass_time(1, b)
    assert await b.tick() == 5
    pass_time(60, a)
    assert a.tenure.held == ()
    await a.tenure.renew()
    assert a.tenure.held == ()


async def test_who_renews_is_left_in_peace_however_long(machines: Machines) -> None:
    a, b = machines("a"), machines("b")
    await a.tick()
    await b.tick()
    for _ in range(20):
        pass_time(20, a, b)
        assert (await a.tick(), await b.tick()) == (3, 2)


@pytest.mark.parametrize("step", [timedelta(hours=1), -timedelta(hours=1), timedelta(days=3650)])
async def test_a_stepped_wall_clock_neither_loses_nor_steals(
    machines: Machines, step: timedelta
) -> None:
    a, b = machines("a"), machines("b")
    await a.tick()
    await b.tick()
    await a.tick()
    await b.tick()
    for wanderer in (a, b):
        wanderer.clock._now += step
        assert (await a.tick(), await b.tick()) == (3, 2)
        pass_time(20, a, b)
        assert (await a.tick(), await b.tick()) == (3, 2)


async def test_a_daemon_that_died_counts_no_more(machines: Machines) -> None:
    a, b = machines("a"), machines("b")
    await a.tick()
    await b.tick()
    assert (await a.tick(), await b.tick()) == (3, 2)
    for _ in range(4):
        pass_time(20, a)
        await a.tick()
    assert len(a.tenure.held) == 5


async def test_giving_everything_up_frees_it_at_once(machines: Machines) -> None:
    a, b = machines("a"), machines("b")
    await a.tick()
    await a.tenure.leave()
    assert await b.tick() == 5


async def test_where_one_machine_works_alone_the_second_stands_by(machines: Machines) -> None:
    a, b = machines("a", shared=False), machines("b", shared=False)
    assert (await a.tick(), await b.tick(), await a.tick(), await b.tick()) == (5, 0, 5, 0)
    await a.tenure.leave()
    assert await b.tick() == 5


async def test_once_takes_only_what_is_free_and_says_who_has_the_rest(machines: Machines) -> None:
    a, once = machines("a"), machines("once")
    await a.tenure.take_free(TENANTS[:2])
    others = await once.tenure.take_free(TENANTS)
    assert once.tenure.held == TENANTS[2:]
    assert [(each.tenant, each.owner) for each in others] == [
        (tenant, Owner("a")) for tenant in TENANTS[:2]
    ]
    assert once.clock.slept == []


async def test_once_watches_what_looks_silent_before_it_takes_it(machines: Machines) -> None:
    a = machines("a")
    await a.tenure.take_free(TENANTS)
    once = machines("once", wall=a.clock.now() + timedelta(hours=1))
    assert await once.tenure.take_free(TENANTS) == []
    assert once.tenure.held == TENANTS
    assert sum(once.clock.slept) == pytest.approx(60, abs=2)
