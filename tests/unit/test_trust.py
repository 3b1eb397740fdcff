"""What a glance at a bib leads to, and how trust in such glances is earned and lost."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

import pytest

from reconciler.core.library.bulk import (
    HORIZON,
    MOST_VAIN,
    SLACK,
    SWEEP_EVERY,
    Glanced,
    Mark,
    Trust,
    Watch,
    fingerprint,
    glanced,
    next_sweep_at,
    put_off,
)
from reconciler.core.library.hours import Hours
from reconciler.core.model import BibGlance, MmsId, TransactionId
from reconciler.core.stages import DEFAULT_INTERVALS, live
from reconciler.core.status import DcbStatus, Role, Workflow

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)
TRUSTED = Trust("+++++")

MARK = Mark(
    DcbStatus.RETURN_TRANSIT,
    "away",
    since=NOW - 2 * HOUR,
    glanced_at=NOW - SWEEP_EVERY,
    looked_at=NOW - HOUR,
)
WATCH = Watch(
    TransactionId("t"),
    Role.SUPPLIER,
    Workflow.STANDARD,
    DcbStatus.RETURN_TRANSIT,
    version=7,
    mms_id=MmsId("99"),
    next_poll_at=NOW + 10 * MINUTE,
    last_poll_at=NOW - HOUR,
    is_plain=True,
    mark=MARK,
)
FOUND = replace(WATCH, status=DcbStatus.COMPLETED)
"""The same lend, whose book a look has found at home since the last glance."""


def after(watch: Watch, shown: str) -> Glanced:
    return glanced(watch, shown, NOW)


def delayed(watch: Watch, trust: Trust = TRUSTED) -> datetime | None:
    found = put_off(after(watch, "away"), trust, DEFAULT_INTERVALS, NOW, NOW + SWEEP_EVERY)
    return found.next_poll_at


def test_a_fingerprint_is_of_what_alma_says_and_not_of_its_order_or_title() -> None:
    shown = BibGlance(MmsId("99"), (("22", "available", "1", "0"),), 1)
    assert fingerprint(shown) == fingerprint(replace(shown, mms_id=MmsId("98")))
    others = [
        replace(shown, availability=(("22", "unavailable", "1", "1"),)),
        replace(shown, requests=0),
        replace(shown, requests=None),
    ]
    assert len({fingerprint(shown), *map(fingerprint, others)}) == 4
    assert fingerprint(BibGlance(MmsId("99"))) is None


# --- hints -----------------------------------------------------------------------


def test_a_changed_bib_makes_its_lend_due_once() -> None:
    found = after(WATCH, "home")
    assert (found.is_hint, found.next_poll_at, found.right) == (True, NOW, None)
    assert found.mark == replace(MARK, fingerprint="home", since=NOW, glanced_at=NOW, hinted_at=NOW)
    beside = after(replace(WATCH, role=Role.BORROWER), "home")
    assert (beside.is_hint, beside.next_poll_at) == (True, WATCH.last_poll_at)
    again = after(replace(WATCH, mark=found.mark), "home")
    assert (again.is_hint, again.next_poll_at) == (False, None)


def test_the_first_glance_of_a_wait_says_nothing() -> None:
    found = after(replace(WATCH, mark=None), "away")
    assert found == Glanced(
        replace(WATCH, mark=None), Mark(WATCH.status, "away", NOW, NOW, WATCH.last_poll_at)
    )


def test_hints_that_lead_to_nothing_end() -> None:
    watch = WATCH
    for n in range(MOST_VAIN):
        found = after(watch, f"change {n}")
        assert found.is_hint
        assert found.mark is not None
        earlier = replace(found.mark, hinted_at=NOW - MINUTE)
        watch = replace(watch, mark=earlier, last_poll_at=NOW)  # looked at, and still waiting
    last = after(watch, "one more")
    assert (last.is_hint, last.mark and last.mark.vain) == (False, MOST_VAIN)
    watch = replace(watch, mark=last.mark)
    assert delayed(replace(watch, mark=replace(MARK, vain=MOST_VAIN))) is None


# --- verdicts --------------------------------------------------------------------


def test_a_step_that_the_list_shows_proves_it_right() -> None:
    assert after(FOUND, "home").right is True
    assert after(FOUND, "home").mark is None
    hinted = replace(FOUND, mark=replace(MARK, hinted_at=NOW - MINUTE))
    assert after(hinted, MARK.fingerprint).right is True


def test_a_step_that_the_list_does_not_show_proves_it_wrong() -> None:
    assert after(FOUND, "away").right is False


@pytest.mark.parametrize(
    "watch",
    [
        replace(FOUND, mark=replace(MARK, looked_at=MARK.since)),
        replace(FOUND, mark=replace(MARK, looked_at=None)),
        replace(FOUND, mark=replace(MARK, glanced_at=NOW - timedelta(days=2))),
        replace(FOUND, role=Role.BORROWER),
        replace(FOUND, status=DcbStatus.RESOLVED),
    ],
    ids=["changed before the first glance", "never looked", "long ago", "other side", "begun anew"],
)
def test_what_cannot_be_said_is_no_verdict(watch: Watch) -> None:
    assert after(watch, "away").right is None


def test_trust_takes_five_in_a_row_and_goes_with_one_miss() -> None:
    trust = Trust()
    for _ in range(4):
        trust = trust.judged(True, NOW)
    assert not trust.holds
    trust = trust.judged(True, NOW)
    assert trust.holds
    missed = trust.judged(False, NOW)
    assert not missed.holds
    assert not missed.is_off(NOW)
    for _ in range(20):
        missed = missed.judged(True, NOW)
    assert missed.holds
    assert len(missed.record) == 20


def test_several_misses_switch_a_step_off_for_a_day() -> None:
    trust = TRUSTED
    for _ in range(3):
        trust = trust.judged(False, NOW)
    assert trust.is_off(NOW)
    assert trust.is_off(NOW + 23 * HOUR)
    assert not trust.is_off(NOW + 24 * HOUR)
    assert trust.judged(False, NOW + 25 * HOUR).is_off(NOW + 26 * HOUR)
    assert not trust.is_off(NOW - timedelta(days=3))  # a clock was set back


# --- looks that are put off --------------------------------------------------------


def test_a_trusted_glance_puts_the_look_off_to_after_the_next_one() -> None:
    assert delayed(WATCH) == NOW + SWEEP_EVERY + SLACK


@pytest.mark.parametrize(
    ("watch", "trust"),
    [
        (WATCH, Trust("++++")),
        (WATCH, Trust("+++++-")),
        (replace(WATCH, is_plain=False), TRUSTED),
        (replace(WATCH, next_poll_at=NOW), TRUSTED),
        (replace(WATCH, next_poll_at=NOW + HOUR), TRUSTED),
        (replace(WATCH, last_poll_at=MARK.since), TRUSTED),
        (replace(WATCH, last_poll_at=NOW - 6 * HOUR, mark=replace(MARK, since=NOW - DAY)), TRUSTED),
        (replace(WATCH, mark=replace(MARK, hinted_at=NOW)), TRUSTED),
    ],
    ids=[
        "too few verdicts",
        "a miss",
        "something is to be done",
        "due",
        "later anyway",
        "not looked at since the bib is so",
        "looked at long ago",
        "hinted",
    ],
)
def test_a_look_stays_where_it_is(watch: Watch, trust: Trust) -> None:
    assert delayed(watch, trust) is None


def test_no_look_is_put_off_beyond_half_a_day_after_the_last() -> None:
    loan = replace(
        WATCH,
        role=Role.BORROWER,
        status=DcbStatus.LOANED,
        last_poll_at=NOW - 11 * HOUR,
        mark=replace(MARK, status=DcbStatus.LOANED, since=NOW - timedelta(days=2)),
    )
    assert delayed(loan) == NOW - 11 * HOUR + HORIZON


def test_while_the_reader_may_cancel_both_sides_have_to_be_seen() -> None:
    wait = DcbStatus.REQUEST_PLACED_AT_BORROWING_AGENCY
    sent = replace(WATCH, status=wait, mark=replace(MARK, status=wait))
    assert delayed(sent) is None
    assert delayed(replace(sent, beside_at=NOW - 2 * HOUR)) is None
    assert delayed(replace(sent, beside_at=NOW)) == NOW + SWEEP_EVERY + SLACK
    assert delayed(replace(sent, role=Role.BORROWER, beside_at=NOW)) is None


def test_the_hold_shelf_shows_nothing() -> None:
    assert live(DcbStatus.PICKUP_TRANSIT).shown_by == ()


# --- when ------------------------------------------------------------------------


def test_sweeps_keep_to_the_desks_hours_and_come_once_after_them() -> None:
    week = Hours((*((time(9), time(17)),) * 5, None, None), UTC)
    friday = datetime(2026, 11, 27, 16, 45, tzinfo=UTC)
    closing = next_sweep_at(friday, week)
    assert closing == datetime(2026, 11, 27, 17, 2, tzinfo=UTC)
    assert next_sweep_at(closing, week) == datetime(2026, 11, 30, 9, 30, tzinfo=UTC)
    assert next_sweep_at(friday, None) == friday + SWEEP_EVERY
