"""Thirty days with an outage, storms, a database restart and a clock that is set, in one run.

pytest tests/journeys/test_trouble.py -m long         # more lends, at the usual cadence
pytest tests/journeys/test_trouble.py --seed 7        # another draw
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from reconciler.app import App
from reconciler.core.library import breaker
from reconciler.core.model import Decision, Parked
from reconciler.core.staff.parking import ParkReason
from reconciler.engine import reconcile
from reconciler.engine.ticker import Ticker
from tests.journeys import checks, reckoning
from tests.journeys.summary import summary
from tests.journeys.troubled import SLOWER, Plot, TroubledMonth
from tests.journeys.troubles import ALL, DAY, HOUR, ClockSet, DaySpent, Outage, Storm, Trouble
from tests.support import canaries, postgres
from tests.support.timeline import Timeline

JOURNEYS = 16
MANY_JOURNEYS = 60
FEW = 6

pytestmark = pytest.mark.timeout(600)

_numbers = itertools.count(1)


@pytest.fixture(scope="module")
def server() -> Iterator[postgres.Server]:
    """Our own: it is stopped under the service."""
    with postgres.stoppable() as made:
        yield made


@pytest.fixture
def url(server: postgres.Server) -> Iterator[str]:
    name = f"trouble_{next(_numbers)}"
    postgres.execute(server.url, f"CREATE DATABASE {name}")
    made = f"{server.url.rpartition('/')[0]}/{name}"
    yield made
    canaries.said(name, postgres.dump(made))


def run(work: Coroutine[Any, Any, list[str]]) -> list[str]:
    with asyncio.Runner(loop_factory=Timeline) as runner:
        return runner.run(work)


async def lived(month: TroubledMonth, until: timedelta | None = None) -> list[str]:
    """Play it, to its end or until then; what is wrong."""
    if until is None:
        await month.play()
        return [*checks.problems(month), *reckoning.problems(month)]
    await month.play(until, to_the_end=False)
    return [*reckoning.problems(month)]


@pytest.mark.parametrize(
    ("journeys", "slower"),
    [
        pytest.param(JOURNEYS, SLOWER, id="few"),
        pytest.param(MANY_JOURNEYS, 1, id="many", marks=pytest.mark.long),
    ],
)
def test_thirty_days_with_trouble(
    journeys: int,
    slower: int,
    seed: int,
    server: postgres.Server,
    url: str,
    tell: Callable[[str], None],
) -> None:
    async def play() -> list[str]:
        month = TroubledMonth(seed, Plot(ALL, journeys, slower), server, url)
        async with month.put_away():
            wrong = await lived(month)
            tell(f"{summary(month)}\n{reckoning.table(month)}")
        assert month.reason is None, month.reason
        return wrong

    assert run(play()) == [], f"--seed {seed}"


# --- the checks can fail: each of these services is broken, and is caught ----------


def waits_for_the_slow(patch: pytest.MonkeyPatch) -> None:
    """One run for all libraries, one after the other, each until it could be worked off."""
    work, turn = App.work, asyncio.Lock()

    async def in_turn(app: App, tenant: Any, may_go_on: Any) -> Any:
        async with turn:
            report = await work(app, tenant, may_go_on)
            while not app.libraries.gates.standing(tenant).is_open and may_go_on(tenant):
                await app.clock.sleep(60)
                report = await work(app, tenant, may_go_on)
            return report

    patch.setattr(App, "work", in_turn)


def parks_what_it_cannot_read(patch: pytest.MonkeyPatch) -> None:
    """Gives up on a lend after three looks that failed."""
    real = reconcile.decide

    def decide(*given: Any) -> Decision:
        decision = real(*given)
        after = decision.transaction
        if after.failures < 3 or after.parked is not None:
            return decision
        parked = Parked(ParkReason.ITEM_UNAVAILABLE, "three looks failed", given[2])
        return replace(decision, transaction=replace(after, parked=parked), newly_parked=parked)

    patch.setattr(reconcile, "decide", decide)


def never_notices_a_set_clock(patch: pytest.MonkeyPatch) -> None:
    """Waits until the old time comes again."""
    patch.setattr(Ticker, "step", lambda _: 0.0)


def asks_on_in_a_storm(patch: pytest.MonkeyPatch) -> None:
    """Takes a 429 for a failure like any other."""
    patch.setattr(breaker, "throttled", lambda before, *_: before)


def alarms_at_every_word(patch: pytest.MonkeyPatch) -> None:
    """Takes the last call of a day for a day that is merely short."""
    told = breaker.told_remaining

    def short(before: Any, terms: Any, now: Any, remaining: int) -> Any:
        return told(before, terms, now, max(1, remaining))

    patch.setattr(breaker, "told_remaining", short)


OUTAGE = Outage("uni-b", 1 * DAY, 3 * HOUR)
BROKEN: dict[Callable[[pytest.MonkeyPatch], None], tuple[Trouble, str]] = {
    waits_for_the_slow: (OUTAGE, "late by"),
    parks_what_it_cannot_read: (OUTAGE, "parked on"),
    never_notices_a_set_clock: (ClockSet("", 1 * DAY, 1 * HOUR, by=-1 * HOUR), "late by"),
    asks_on_in_a_storm: (Storm("uni-c", 1 * DAY, HOUR / 3), "calls a minute in the 429 storm"),
    alarms_at_every_word: (DaySpent("uni-d", 1 * DAY + 14 * HOUR, 2 * HOUR), "alarms instead of 1"),
}


_ONLY_IN_LONG = (asks_on_in_a_storm, alarms_at_every_word)


@pytest.mark.parametrize(
    "breaks",
    [
        pytest.param(
            each, id=each.__name__, marks=[pytest.mark.long] if each in _ONLY_IN_LONG else []
        )
        for each in BROKEN
    ],
)
def test_a_broken_service_is_caught(
    breaks: Callable[[pytest.MonkeyPatch], None],
    server: postgres.Server,
    url: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    trouble, words = BROKEN[breaks]

    async def play() -> list[str]:
        plot = Plot((trouble,), FEW, spread=1 * DAY)
        month = TroubledMonth(1, plot, server, url)
        async with month.put_away():
            return await lived(month, trouble.begins + trouble.lasts + 2 * HOUR)

    breaks(monkeypatch)
    wrong = run(play())
    assert any(words in each for each in wrong), wrong
