"""How libraries stand and how often they are called, as people see it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from reconciler.core.library.breaker import TenantStanding, Terms
from reconciler.core.model import HostLmsCode
from reconciler.engine.views import Json, instant
from reconciler.ports.quotas import CallsOfDay

TOO_EARLY = timedelta(hours=1)
"""Before so much of a day has passed, its pace says nothing."""

DAY = timedelta(days=1)


def standing_view(tenant: HostLmsCode, standing: TenantStanding) -> Json:
    """A library that is not open, in the report of a cycle and in `explain`."""
    return {
        "host_lms": tenant,
        "state": standing.state,
        "since": instant(standing.since),
        "reason": standing.reason,
        "next_probe_at": instant(standing.resumes_at),
    }


def resting_sentence(tenant: HostLmsCode, standing: TenantStanding) -> str:
    """The same for people."""
    return (
        f"{tenant} rests since {instant(standing.since)}: {standing.state}: {standing.reason}; "
        f"next probe at {instant(standing.resumes_at)}"
    )


def not_open(standings: Mapping[HostLmsCode, TenantStanding]) -> dict[HostLmsCode, TenantStanding]:
    return {tenant: each for tenant, each in standings.items() if not each.is_open}


def calls_view(
    terms: Terms, standing: TenantStanding, days: Iterable[CallsOfDay], now: datetime
) -> Json:
    """One library in `report calls`.

    `remaining` is what Alma last said today, for the whole institution; null where it has not.
    `at_midnight` supposes that we go on as we did today; what others will call is not known.
    """
    today = terms.day_of(now)
    ours = next((day for day in days if day.day == today), None)
    used = ours.calls if ours else 0
    said_at = standing.remaining_at
    is_of_today = said_at is not None and terms.day_of(said_at) == today
    remaining = standing.remaining if is_of_today else None
    return {
        "host_lms": terms.code,
        "state": standing.state,
        "used_today": used,
        "refused_today": ours.throttled if ours else 0,
        "remaining": remaining,
        "remaining_said_at": instant(said_at) if is_of_today else None,
        "reserve": terms.reserve,
        "at_midnight": _forecast(terms, used, remaining, now),
        "renewed_at": instant(terms.next_midnight(now)),
        "reason": standing.reason or None,
        "next_probe_at": instant(standing.resumes_at),
    }


def _forecast(terms: Terms, used: int, remaining: int | None, now: datetime) -> int | None:
    left = terms.next_midnight(now) - now
    passed = DAY - left
    if remaining is None or passed < TOO_EARLY:
        return None
    return remaining - round(used * (left / passed))
