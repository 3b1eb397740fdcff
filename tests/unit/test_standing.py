"""How a library's standing follows from what its calls bring."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from reconciler.core.library import breaker as core
from reconciler.core.library.breaker import Admission, Purpose, TenantStanding, Terms, admission
from reconciler.core.status import Resource, TenantState
from tests.support.build import UNI_A

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
TERMS = Terms(UNI_A, reserve=20_000, zone=ZoneInfo("Europe/Vienna"))
GONE = frozenset({Resource.ITEM})
MIDNIGHT = datetime(2026, 11, 25, 23, 0, tzinfo=UTC)


def test_pauses_double_up_to_a_minute_and_are_never_shortened() -> None:
    standing, pauses = TenantStanding(), []
    for _ in range(10):
        standing = core.throttled(standing, TERMS, NOW)
        assert standing.resumes_at is not None
        pauses.append((standing.resumes_at - NOW).total_seconds())
    for pause, least in zip(pauses, (1, 2, 4, 8, 16, 32, 60, 60, 60, 60), strict=True):
        assert least <= pause <= least * 1.25


@pytest.mark.parametrize(
    ("told", "least"), [(7, 7), (120, 120), (0, 1), (-5, 1), (10**6, 1)], ids=str
)
def test_a_sensible_retry_after_is_honoured(told: int, least: int) -> None:
    standing = core.throttled(TenantStanding(), TERMS, NOW, timedelta(seconds=told))
    assert standing.resumes_at is not None
    assert least <= (standing.resumes_at - NOW).total_seconds() <= max(least, 1.25)


def test_below_the_reserve_polls_rest_and_effects_go() -> None:
    short = core.told_remaining(TenantStanding(), TERMS, NOW, 19_999)
    assert short.state is TenantState.SHORT
    assert admission(short, Purpose.POLL, NOW) is Admission.REST
    assert admission(short, Purpose.EFFECT_READ, NOW) is Admission.GO
    assert admission(short, Purpose.EFFECT_WRITE, NOW) is Admission.GO
    probe_at = NOW + timedelta(minutes=20)
    assert admission(short, Purpose.POLL, probe_at) is Admission.PROBE
    assert admission(core.probing(short, TERMS, probe_at), Purpose.POLL, probe_at) is Admission.REST


def test_at_the_tenants_midnight_at_the_latest_polling_resumes() -> None:
    late = MIDNIGHT - timedelta(minutes=5)
    for dry in (
        core.spent(TenantStanding(), TERMS, late),
        core.told_remaining(TenantStanding(), TERMS, late, 1),
    ):
        assert dry.resumes_at == MIDNIGHT
        assert admission(dry, Purpose.POLL, MIDNIGHT) is Admission.PROBE
        renewed = core.answered(dry, TERMS, MIDNIGHT)
        assert renewed.state is TenantState.OPEN


def test_no_call_left_is_a_used_up_day_and_stays_one_while_it_is_probed() -> None:
    """Else each probe would be told as two changes: short, for its header, and used up."""
    spent = core.told_remaining(TenantStanding(), TERMS, NOW, 0)
    assert spent.state is TenantState.SPENT
    probe_at = NOW + timedelta(minutes=20)
    again = core.told_remaining(core.probing(spent, TERMS, probe_at), TERMS, probe_at, 0)
    assert again.state is TenantState.SPENT
    assert again.since == spent.since
    assert core.told_remaining(again, TERMS, probe_at, 10_000).state is TenantState.SHORT


def test_an_answer_says_nothing_of_the_reserve_but_more_calls_do() -> None:
    short = core.told_remaining(TenantStanding(), TERMS, NOW, 5)
    assert core.answered(short, TERMS, NOW).state is TenantState.SHORT
    assert core.told_remaining(short, TERMS, NOW, 20_000).state is TenantState.OPEN


def test_a_used_up_day_ends_with_an_answered_probe() -> None:
    spent = core.spent(TenantStanding(), TERMS, NOW)
    assert {admission(spent, each, NOW) for each in Purpose} == {Admission.REST}
    assert core.answered(spent, TERMS, NOW).state is TenantState.OPEN


def test_an_outage_is_not_probed_by_a_write_and_a_freeze_by_no_effect() -> None:
    later = NOW + timedelta(hours=1)
    outage = core.broken(TenantStanding(), TERMS, NOW, "down")
    frozen = core.frozen(TenantStanding(), TERMS, NOW, "gone", GONE)
    assert admission(outage, Purpose.EFFECT_WRITE, later) is Admission.REST
    assert admission(outage, Purpose.EFFECT_READ, later) is Admission.PROBE
    assert admission(frozen, Purpose.EFFECT_READ, later) is Admission.REST
    assert admission(frozen, Purpose.POLL, NOW) is Admission.GO  # a look that the engine starts
    assert core.answered(frozen, TERMS, later).state is TenantState.FROZEN
    assert core.found(frozen, later, GONE).state is TenantState.OPEN


def test_what_was_missing_before_a_day_ran_out_is_still_to_be_found() -> None:
    frozen = core.frozen(TenantStanding(), TERMS, NOW, "gone", GONE)
    renewed = core.answered(core.spent(frozen, TERMS, NOW), TERMS, MIDNIGHT)
    assert (renewed.state, renewed.missing) == (TenantState.FROZEN, GONE)
    assert not renewed.rests(MIDNIGHT)
    again = core.found(renewed, MIDNIGHT, GONE)
    assert (again.state, again.missing) == (TenantState.OPEN, frozenset())


def test_probes_of_an_outage_are_a_minute_apart_at_least() -> None:
    standing, at = core.broken(TenantStanding(), TERMS, NOW, "down"), NOW
    for _ in range(60):
        assert standing.resumes_at is not None
        assert timedelta(seconds=60) <= standing.resumes_at - at <= timedelta(seconds=75)
        at = standing.resumes_at
        standing = core.probing(standing, TERMS, at)


def test_every_state_admits_or_probes_somebody_in_the_end() -> None:
    much_later = NOW + timedelta(days=2)
    for state in TenantState:
        standing = replace(
            TenantStanding(), state=state, since=NOW, resumes_at=NOW + timedelta(hours=1)
        )
        found = {admission(standing, purpose, much_later) for purpose in Purpose}
        assert found & {Admission.GO, Admission.PROBE}, state


def test_an_answer_that_was_overtaken_gives_no_calls_back() -> None:
    standing = core.told_remaining(TenantStanding(), TERMS, NOW, 19_990)
    assert core.told_remaining(standing, TERMS, NOW, 20_003).state is TenantState.SHORT
    assert core.told_remaining(standing, TERMS, NOW, 20_003).remaining == 19_990
    assert core.told_remaining(standing, TERMS, NOW, 90_000).remaining == 90_000
    later = NOW + timedelta(minutes=15)
    assert core.told_remaining(standing, TERMS, later, 20_003).remaining == 20_003
