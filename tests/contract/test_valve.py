"""The way to one institution: spaced turns, effects first, one probe at a time while it rests."""

from __future__ import annotations

import asyncio
import itertools
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest

from reconciler.alma.limiter import Limiter
from reconciler.alma.valve import MOST_VAIN_PROBES, Valve
from reconciler.core.library.breaker import Purpose, Terms
from reconciler.core.model import HostLmsCode
from reconciler.core.status import Resource, TenantState
from reconciler.errors import AlmaFailure, FailureKind
from reconciler.store.database import Database
from reconciler.store.quotas import SqlQuotas
from tests.support.build import UNI_A
from tests.support.clock import FakeClock

START = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
THROTTLED = AlmaFailure(FailureKind.THROTTLED, http_status=429)
DOWN = AlmaFailure(FailureKind.UNREACHABLE)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START)


@pytest.fixture
def valve(clock: FakeClock) -> Valve:
    return Valve(Terms(UNI_A, reserve=100), 24, clock)


@dataclass
class Alma:
    """The other end: answers as `mood` says, and keeps when it was called."""

    valve: Valve
    clock: FakeClock
    mood: str = "well"
    called_at: list[float] = field(default_factory=list)

    async def call(self, purpose: Purpose = Purpose.POLL, target: str = "") -> bool:
        """Whether the call was made; False where the valve turned it away."""
        try:
            permit = await self.valve.enter(purpose)
        except AlmaFailure as failure:
            if failure.kind is FailureKind.RESTING:
                return False
            raise
        self.called_at.append(permit.sent_at)
        mood = self.mood
        if mood == "alternating":
            mood = "well" if len(self.called_at) % 2 else "throttled"
        if mood == "well":
            self.valve.answered(permit)
        else:
            failure = THROTTLED if mood == "throttled" else DOWN
            self.valve.failed(permit, failure, target or f"/{len(self.called_at)}")
        return True


@pytest.fixture
def alma(valve: Valve, clock: FakeClock) -> Alma:
    return Alma(valve, clock)


async def busy(alma: Alma, minutes: float, every: float = 1.0) -> None:
    """Somebody wants to call all the time."""
    ends = alma.clock.monotonic() + 60 * minutes
    while alma.clock.monotonic() < ends:
        await alma.call()
        alma.clock.advance(timedelta(seconds=every))
        await asyncio.sleep(0)


# --- turns -------------------------------------------------------------------


async def test_no_second_holds_more_than_the_rate(alma: Alma) -> None:
    await asyncio.gather(*(alma.call() for _ in range(120)))
    grants = alma.called_at
    assert len(grants) == 120
    assert max(sum(start <= at < start + 1 for at in grants) for start in grants) <= 25
    assert 5.1 <= grants[-1] - grants[0] <= 5.4


async def test_late_first_calls_arrive_in_no_second_with_too_many_others(alma: Alma) -> None:
    """The first eight open their connections, which takes a quarter of a second each."""
    for _ in range(2):
        await asyncio.gather(*(alma.call() for _ in range(120)))
        alma.clock.advance(timedelta(seconds=2))
    for grants in (alma.called_at[:120], alma.called_at[120:]):
        arrived = sorted([*(at + 0.25 for at in grants[:8]), *grants[8:]])
        assert max(sum(start <= at < start + 1 for at in arrived) for start in arrived) <= 25


async def test_effects_go_before_polls(valve: Valve) -> None:
    order: list[Purpose] = []

    async def one(purpose: Purpose) -> None:
        await valve.enter(purpose)
        order.append(purpose)

    polls = [one(Purpose.POLL) for _ in range(10)]
    effects = [one(Purpose.EFFECT_READ), one(Purpose.EFFECT_WRITE)]
    await asyncio.gather(*polls, *effects)
    assert [order.index(each) < 3 for each in (Purpose.EFFECT_READ, Purpose.EFFECT_WRITE)] == [
        True,
        True,
    ]


async def test_a_cancelled_waiter_costs_nobody_else_a_turn(alma: Alma, valve: Valve) -> None:
    waiting = [asyncio.create_task(valve.enter(Purpose.POLL)) for _ in range(5)]
    await asyncio.sleep(0)
    for task in waiting[1:]:
        task.cancel()
    await asyncio.wait(waiting)
    assert await alma.call()


# --- 429 of the second -------------------------------------------------------


async def test_an_hour_of_nothing_but_429_and_quick_recovery(alma: Alma, clock: FakeClock) -> None:
    alma.mood = "throttled"
    began = clock.monotonic()
    await busy(alma, minutes=60)
    after_first = [at for at in alma.called_at if at - began > 90]
    assert len(alma.called_at) - len(after_first) <= 9  # 1, 2, 4 … seconds at first
    gaps = [b - a for a, b in itertools.pairwise(after_first)]
    assert min(gaps) >= 60
    alma.mood, well_from = "well", clock.monotonic()
    await busy(alma, minutes=2)
    first_good = next(at for at in alma.called_at if at >= well_from)
    assert first_good - well_from < 120
    assert alma.valve.standing.is_open
    assert len([at for at in alma.called_at if at > first_good]) > 20


async def test_429s_of_calls_sent_together_are_one_strike(valve: Valve) -> None:
    permits = [await valve.enter(Purpose.POLL) for _ in range(8)]
    for permit in permits:
        valve.failed(permit, THROTTLED, "/x")
    assert valve.standing.strikes == 1
    valve.answered(permits[0])  # sent before the pause
    assert valve.standing.state is TenantState.THROTTLED


async def test_every_second_call_refused_slows_down_and_turns_nobody_away(alma: Alma) -> None:
    alma.mood = "alternating"
    made = [await alma.call() for _ in range(100)]
    assert all(made)
    assert len(alma.called_at) / (alma.called_at[-1] - alma.called_at[0]) < 3


# --- outage ------------------------------------------------------------------


async def test_many_alike_failures_are_one_outage_and_one_probe_a_minute(
    alma: Alma, clock: FakeClock, valve: Valve
) -> None:
    alma.mood = "down"
    await busy(alma, minutes=12 * 60, every=5)
    assert valve.standing.state is TenantState.OUTAGE
    assert "unreachable" in valve.standing.reason
    gaps = [b - a for a, b in itertools.pairwise(alma.called_at[10:])]
    assert min(gaps) >= 60
    alma.mood, well_from = "well", clock.monotonic()
    await busy(alma, minutes=2)
    assert valve.standing.is_open
    assert min(at for at in alma.called_at if at >= well_from) - well_from < 80


async def test_one_thing_that_cannot_be_read_is_no_outage(alma: Alma, valve: Valve) -> None:
    alma.mood = "down"
    for _ in range(100):
        await alma.call(target="/bibs/1/items/2")
    assert valve.standing.is_open


async def test_a_refusal_of_its_own_is_an_answer(alma: Alma, valve: Valve) -> None:
    alma.mood = "down"
    for _ in range(9):
        await alma.call()
    permit = await valve.enter(Purpose.POLL)
    valve.failed(permit, AlmaFailure(FailureKind.REFUSED, code="401689"), "/y")
    for _ in range(9):
        await alma.call()
    assert valve.standing.is_open


async def test_a_write_waits_for_the_end_of_an_outage(alma: Alma, clock: FakeClock) -> None:
    alma.mood = "down"
    for _ in range(10):
        await alma.call()
    clock.advance(timedelta(minutes=5))
    assert not await alma.call(Purpose.EFFECT_WRITE)
    alma.mood = "well"
    assert await alma.call(Purpose.EFFECT_READ)
    assert await alma.call(Purpose.EFFECT_WRITE)


# --- shared between processes --------------------------------------------------


class Direct:
    """`ports.SharedQuota` without a thread."""

    def __init__(self, quotas: SqlQuotas) -> None:
        self.quotas = quotas
        self.asked = 0

    async def share(self, ask):  # type: ignore[no-untyped-def]
        self.asked += 1
        return self.quotas.share(ask)

    async def wake(self, tenant: HostLmsCode, now: datetime) -> int:
        return self.quotas.wake(tenant, now)


async def test_processes_share_a_quota_and_ask_once_a_second(
    database: Database, clock: FakeClock
) -> None:
    shared = Direct(SqlQuotas(database))
    terms = Terms(UNI_A, reserve=0)
    granted: list[float] = []
    valves = [Valve(terms, 24, clock, shared) for _ in range(3)]

    async def use(valve: Valve) -> None:
        granted.extend([(await valve.enter(Purpose.POLL)).sent_at for _ in range(80)])

    await asyncio.gather(*(use(valve) for valve in valves))
    granted.sort()
    busiest = max(sum(start <= at < start + 1 for at in granted) for start in granted)
    assert busiest <= 25
    assert shared.asked <= (granted[-1] - granted[0]) + len(valves) + 1
    for valve in valves:
        await valve.aclose()
    assert sum(each.calls for each in shared.quotas.calls(START.date())) == 240


async def test_what_is_taken_and_not_used_is_given_back(
    database: Database, clock: FakeClock
) -> None:
    shared = Direct(SqlQuotas(database))
    for _ in range(5):  # five short lived processes, one after the other
        valve = Valve(Terms(UNI_A, reserve=0), 24, clock, shared)
        await valve.enter(Purpose.POLL)
        await valve.aclose()
    assert clock.monotonic() - 1000.0 < 0.5


async def test_a_rest_outlives_the_process_and_is_found_by_the_others(
    database: Database, clock: FakeClock
) -> None:
    quotas = SqlQuotas(database)
    first = Alma(Valve(Terms(UNI_A, reserve=100), 24, clock, Direct(quotas)), clock, "down")
    for _ in range(10):
        await first.call()
    await first.valve.aclose()
    found = quotas.standings()[UNI_A]
    assert found.state is TenantState.OUTAGE
    second = Alma(Valve(Terms(UNI_A, reserve=100), 24, clock, Direct(quotas)), clock)
    second.valve.adopt(found)
    assert not await second.call()
    clock.advance(timedelta(seconds=80))
    assert await second.call()
    await second.valve.aclose()
    assert quotas.standings()[UNI_A].is_open


GONE = frozenset({Resource.ITEM})


class OnItsWay(Direct):
    """Answers that are made at once and arrive when the test lets them."""

    def __init__(self, quotas: SqlQuotas) -> None:
        super().__init__(quotas)
        self.arrive = [asyncio.Event() for _ in range(3)]

    async def share(self, ask):  # type: ignore[no-untyped-def]
        answer, arrives = await super().share(ask), self.arrive[self.asked - 1]
        await arrives.wait()
        return answer


async def turns() -> None:
    for _ in range(10):
        await asyncio.sleep(0)


async def test_a_freeze_is_not_undone_by_an_answer_that_was_on_its_way(
    database: Database, clock: FakeClock
) -> None:
    """The database told how the library stood before; Alma's next answer, which tells the quota,
    made that the standing, and the freeze was forgotten."""
    shared = OnItsWay(SqlQuotas(database))
    valve = Valve(Terms(UNI_A, reserve=0), 24, clock, shared)
    entering = asyncio.create_task(valve.enter(Purpose.POLL))
    await turns()
    valve.freeze("much is gone", GONE)
    await turns()
    assert shared.asked == 2, "for a slice, and to tell of the freeze"
    shared.arrive[0].set()
    await entering
    standings = [valve.standing]
    valve.told_remaining(500)
    for each in shared.arrive:
        each.set()
    await valve.aclose()
    standings += [valve.standing, shared.quotas.standings()[UNI_A]]
    assert {(each.state, each.missing) for each in standings} == {(TenantState.FROZEN, GONE)}
    assert standings[-1].remaining == 500


async def test_what_one_process_found_is_not_undone_by_the_quota_that_another_is_told(
    database: Database, clock: FakeClock
) -> None:
    quotas = SqlQuotas(database)
    one, other = (Valve(Terms(UNI_A, reserve=0), 24, clock, Direct(quotas)) for _ in range(2))
    for valve in (one, other):
        await valve.enter(Purpose.POLL)
    one.freeze("much is gone", GONE)
    other.told_remaining(500)
    for valve in (one, other, one):
        clock.advance(timedelta(seconds=2))
        await valve.enter(Purpose.POLL)
    for valve in (one, other):
        await valve.aclose()
    found = quotas.standings()[UNI_A]
    assert (found.state, found.missing, found.remaining) == (TenantState.FROZEN, GONE, 500)
    assert {each.standing.state for each in (one, other)} == {TenantState.FROZEN}


def test_a_freeze_ends_kind_by_kind_and_a_person_probes_once(clock: FakeClock) -> None:
    valve = Valve(Terms(UNI_A, reserve=0), 24, clock)
    kinds = frozenset({Resource.ITEM, Resource.REQUEST})
    valve.freeze("gone", kinds - {Resource.REQUEST})
    valve.freeze("more is gone", kinds)
    assert (valve.standing.missing, valve.standing.reason) == (kinds, "gone")
    assert valve.standing.rests(clock.now())
    valve.found(frozenset({Resource.LOAN}))
    assert valve.standing.missing == kinds
    asked_at = clock.now()
    valve.probe_now(asked_at)
    assert not valve.standing.rests(clock.now())
    clock.advance(timedelta(seconds=1))
    valve.begin_probe()
    valve.probe_now(asked_at)
    assert valve.standing.rests(clock.now()), "it was probed since"
    valve.found(frozenset({Resource.ITEM}))
    assert (valve.standing.state, valve.standing.missing) == (
        TenantState.FROZEN,
        {Resource.REQUEST},
    )
    assert not valve.standing.rests(clock.now()), "the rest is looked for at once"
    valve.found(kinds)
    assert valve.standing.is_open


def test_looks_that_show_nothing_are_followed_by_others_for_a_while(clock: FakeClock) -> None:
    valve = Valve(Terms(UNI_A, reserve=0), 24, clock)
    valve.freeze("gone", GONE)
    for _ in range(2):
        looks = 0
        while True:
            valve.begin_probe()
            valve.showed_nothing()
            looks += 1
            if valve.standing.rests(clock.now()):
                break
        assert looks == MOST_VAIN_PROBES
        clock.advance(timedelta(minutes=20))


async def test_a_clock_that_was_set_back_does_not_stop_the_calls(
    database: Database, clock: FakeClock
) -> None:
    shared = Direct(SqlQuotas(database))
    ahead = FakeClock(START + timedelta(hours=1))
    await Valve(Terms(UNI_A, reserve=0), 24, ahead, shared).enter(Purpose.POLL)
    await Valve(Terms(UNI_A, reserve=0), 24, clock, shared).enter(Purpose.POLL)
    assert clock.monotonic() - 1000.0 < 2


async def test_without_a_database_the_limiter_goes_by_itself(clock: FakeClock) -> None:
    limiter = Limiter(10, clock)
    for _ in range(11):
        await limiter.turn()
    assert clock.monotonic() - 1000.0 == pytest.approx(1.25, abs=0.11)
