"""When to look: weeks on a virtual clock, by the shape of each wait and the desks' hours."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest

from reconciler.core.cadence import (
    AFTER_CLOSING,
    AROUND_DUE,
    JITTER,
    next_poll_at,
)
from reconciler.core.library.hours import Hours
from reconciler.core.model import Policy, Thing, Transaction, TransactionId
from reconciler.core.stages import DEFAULT_INTERVALS, live
from reconciler.core.status import LIVE, DcbStatus, Role, ThingKind
from tests.support.build import UNI_A, UNI_B, leg, policy, transaction

S = DcbStatus
MONDAY = datetime(2026, 11, 23, 8, 0, tzinfo=UTC)
VIENNA = ZoneInfo("Europe/Vienna")
DESK = Hours((*((time(9), time(17)),) * 5, (time(10), time(14)), None), VIENNA)
LEFT = (Thing("th-1", ThingKind.HOLD, Role.SUPPLIER, UNI_A),)
"""Something to be cleared: what is cleared and not supplied is not looked at any more."""

HOUR, DAY = timedelta(hours=1), timedelta(days=1)


def keeping(hours: Hours | None) -> Policy:
    made = policy()
    hosts = {code: replace(host, hours=hours) for code, host in made.hosts.items()}
    return replace(made, hosts=hosts)


def looks(
    status: DcbStatus, days: float, hours: Hours | None = None, **changes: object
) -> Iterator[datetime]:
    """Every look at a transaction that shows nothing new, from its status' first moment."""
    rules = keeping(hours)
    now = MONDAY
    current = transaction(status, status_since=now, unchanged_looks=1, things=LEFT, **changes)
    while now < MONDAY + days * DAY:
        at = next_poll_at(current, now, rules)
        assert at is not None
        assert at > now
        yield at
        now = at
        current = replace(
            current, version=current.version + 1, unchanged_looks=current.unchanged_looks + 1
        )


@pytest.mark.parametrize("status", sorted(LIVE))
def test_no_wait_is_ever_longer_than_its_ceiling(status: DcbStatus) -> None:
    tables = [live(status).pace, *([AROUND_DUE] if status is S.LOANED else [])]
    slowest = max(factor for table in tables for _, factor in table)
    ceiling = DEFAULT_INTERVALS[status] * slowest * (1 + JITTER)
    for due in (None, MONDAY + 21 * DAY):
        borrower = leg(Role.BORROWER, loan_due_at=due)
        found = [MONDAY, *looks(status, 120, borrower=borrower)]
        assert max(after - before for before, after in pairwise(found)) <= ceiling


def test_a_journey_is_looked_at_seldom_until_it_can_have_ended() -> None:
    found = list(looks(S.PICKUP_TRANSIT, 14))
    first_hours = sum(at < MONDAY + 18 * HOUR for at in found)
    a_later_day = sum(MONDAY + 2 * DAY <= at < MONDAY + 3 * DAY for at in found)
    overdue = sum(MONDAY + 9 * DAY <= at < MONDAY + 10 * DAY for at in found)
    assert first_hours <= 5
    assert 26 <= a_later_day <= 30
    assert 11 <= overdue <= 14


def test_a_loan_is_watched_most_closely_when_it_falls_due() -> None:
    due = MONDAY + 21 * DAY
    found = list(looks(S.LOANED, 60, borrower=leg(Role.BORROWER, loan_due_at=due)))

    def in_days(first: int, last: int) -> float:
        return sum(due + first * DAY <= at < due + last * DAY for at in found) / (last - first)

    assert in_days(-20, -8) < in_days(5, 13) < in_days(-5, 3)
    assert in_days(15, 30) <= in_days(5, 13) / 1.5


def test_nothing_is_looked_at_while_the_desk_is_closed_but_the_close_of_day_is() -> None:
    found = list(looks(S.READY_FOR_PICKUP, 9, DESK))
    for at in found:
        local = at.astimezone(VIENNA)
        opens, closes = {5: (10, 14)}.get(local.weekday(), (9, 17))
        assert local.weekday() != 6
        late = local - local.replace(hour=closes, minute=0, second=0, microsecond=0)
        assert late <= AFTER_CLOSING
        assert local.hour >= opens
    closings = {at.date() for at in found if at.astimezone(VIENNA).time() >= time(17)}
    assert len(closings) >= 6  # five weekdays and the next Monday
    a_day = [at for at in found if at.date() == (MONDAY + DAY).date()]
    assert 7 <= len(a_day) <= 9


def test_what_failed_is_looked_at_again_whatever_the_hour() -> None:
    night = datetime(2026, 11, 23, 23, 0, tzinfo=UTC)
    failing = transaction(S.READY_FOR_PICKUP, failures=1, status_since=night)
    at = next_poll_at(failing, night, keeping(DESK))
    assert at is not None
    assert at - night < timedelta(minutes=2)


def test_a_second_look_that_is_asked_for_comes_in_time() -> None:
    night = datetime(2026, 11, 23, 23, 0, tzinfo=UTC)
    soon = timedelta(seconds=60)
    assert next_poll_at(transaction(S.LOANED), night, keeping(DESK), soon) == night + soon


def test_something_that_moved_is_looked_at_sooner() -> None:
    def wait(**changes: object) -> timedelta:
        made: Transaction = transaction(S.READY_FOR_PICKUP, **changes)
        made = replace(made, status_since=MONDAY - DAY)
        return (next_poll_at(made, MONDAY, keeping(None)) or MONDAY) - MONDAY

    assert wait(unchanged_looks=0) < 0.7 * wait(unchanged_looks=3)


def test_a_fleet_is_spread_and_the_same_in_every_run() -> None:
    rules = keeping(DESK)
    fleet = [
        replace(transaction(S.LOANED, unchanged_looks=2), id=TransactionId(f"t-{n}"))
        for n in range(200)
    ]
    first = [next_poll_at(each, MONDAY, rules) for each in fleet]
    assert first == [next_poll_at(each, MONDAY, rules) for each in fleet]
    assert len(set(first)) > 190


def test_the_desk_that_counts_is_the_one_where_the_next_step_is_made() -> None:
    made = policy()
    night_owl = Hours((((time(0), time(0)),) * 7), UTC)
    hosts = {
        **made.hosts,
        UNI_A: replace(made.hosts[UNI_A], hours=night_owl),
        UNI_B: replace(made.hosts[UNI_B], hours=DESK),
    }
    rules = replace(made, hosts=hosts)
    evening = datetime(2026, 11, 23, 20, 0, tzinfo=UTC)

    def wait(status: DcbStatus) -> timedelta:
        waiting = transaction(status, status_since=evening - 3 * DAY, unchanged_looks=1)
        return (next_poll_at(waiting, evening, rules) or evening) - evening

    assert wait(S.READY_FOR_PICKUP) > 12 * HOUR  # the borrower's desk opens tomorrow
    assert wait(S.RETURN_TRANSIT) < 2 * HOUR


def test_hours_end_at_midnight_and_follow_the_clocks() -> None:
    hours = Hours((((time(8), time(0)),) * 7), VIENNA)
    stretch = hours.stretch_at(datetime(2026, 10, 25, 12, 0, tzinfo=UTC))
    assert stretch.closes_at == datetime(2026, 10, 25, 23, 0, tzinfo=UTC)
    before = hours.stretch_at(datetime(2026, 10, 24, 12, 0, tzinfo=UTC))
    assert before.closes_at == datetime(2026, 10, 24, 22, 0, tzinfo=UTC)
    with pytest.raises(ValueError, match="no day"):
        Hours((None,) * 7, VIENNA).stretch_at(MONDAY)
