"""How long is too long, by status."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.core.staff.lateness import due_date, is_late, limit
from reconciler.core.stages import DEFAULT_TOO_LONG
from reconciler.core.status import LIVE, TERMINAL, DcbStatus, Role, Workflow
from tests.support.build import NOW, leg, transaction

S = DcbStatus
DAY = timedelta(days=1)


@pytest.mark.parametrize("status", sorted(LIVE - {S.LOANED}))
def test_a_status_is_late_after_its_time_and_not_before(status: DcbStatus) -> None:
    allowed = DEFAULT_TOO_LONG[status]
    at = replace(transaction(status), status_since=NOW - allowed)
    assert not is_late(at, DEFAULT_TOO_LONG, NOW)
    assert is_late(at, DEFAULT_TOO_LONG, NOW + timedelta(seconds=1))


@pytest.mark.parametrize("status", sorted(TERMINAL))
def test_what_is_over_is_never_late(status: DcbStatus) -> None:
    at = replace(transaction(status), status_since=NOW - 1000 * DAY)
    assert limit(at, DEFAULT_TOO_LONG) is None
    assert not is_late(at, DEFAULT_TOO_LONG, NOW)


def test_a_loan_counts_from_its_due_date_however_long_it_runs() -> None:
    loaned = replace(
        transaction(S.LOANED),
        status_since=NOW - 100 * DAY,
        borrower=leg(Role.BORROWER, loan_due_at=NOW - 13 * DAY),
    )
    assert not is_late(loaned, DEFAULT_TOO_LONG, NOW)
    assert is_late(loaned, DEFAULT_TOO_LONG, NOW + 2 * DAY)
    found = limit(loaned, DEFAULT_TOO_LONG)
    assert found is not None
    assert (found.until, found.rule) == (NOW + DAY, "due date + 14 d")


def test_a_loan_without_a_due_date_has_a_fixed_age() -> None:
    loaned = replace(transaction(S.LOANED), status_since=NOW - 56 * DAY)
    assert not is_late(loaned, DEFAULT_TOO_LONG, NOW)
    assert is_late(loaned, DEFAULT_TOO_LONG, NOW + timedelta(seconds=1))
    found = limit(loaned, DEFAULT_TOO_LONG)
    assert found is not None
    assert found.rule == "56 d (no due date known)"


def test_the_readers_due_date_counts_and_the_lenders_stands_in_for_it() -> None:
    early, late = NOW, NOW + DAY
    both = replace(
        transaction(S.LOANED, Workflow.PICKUP_ANYWHERE),
        supplier=leg(Role.SUPPLIER, loan_due_at=early),
        pickup=leg(Role.PICKUP, loan_due_at=late),
    )
    assert due_date(both) == late
    assert due_date(replace(both, pickup=leg(Role.PICKUP))) == early
    assert due_date(replace(both, pickup=leg(Role.PICKUP), supplier=leg(Role.SUPPLIER))) is None


def test_settings_change_a_limit() -> None:
    at = replace(transaction(S.PICKUP_TRANSIT), status_since=NOW - 2 * DAY)
    mine = {**DEFAULT_TOO_LONG, S.PICKUP_TRANSIT: timedelta(hours=36)}
    assert is_late(at, mine, NOW)
    found = limit(at, mine)
    assert found is not None
    assert found.rule == "1 d 12 h"
