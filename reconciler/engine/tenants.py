"""The JSON of `/api/v1/tenants`: how each library stands with us."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.core.model import HostLmsCode, Policy
from reconciler.engine.health import Health
from reconciler.engine.progress import Progress
from reconciler.engine.views import Json, instant
from reconciler.ports.reports import Census, TransactionHealth
from reconciler.ports.survey import InstitutionTally


def tenants_view(
    policy: Policy,
    census: Census,
    tallies: Mapping[HostLmsCode, InstitutionTally],
    progress: Progress,
    health: Health,
) -> Json:
    """One row for each library of the settings. What is not known is null, never 0."""
    return {
        "tenants": [
            _row(code, policy, census, tallies.get(code))
            | {
                "last_success_at": instant(progress.last_success_at.get(code)),
                "trouble": health.troubles.get(code),
            }
            for code in policy.hosts
        ]
    }


def _row(code: HostLmsCode, policy: Policy, census: Census, tally: InstitutionTally | None) -> Json:
    host, due = policy.hosts[code], census.due.get(code)
    mode = "act" if host.acts else "observe"
    ambiguous = sum(count for (at, _), count in census.ambiguous.items() if at == code)
    return {
        "host_lms": code,
        "type": "external" if host.is_external else "alma",
        "mode": None if host.is_external else mode,
        "transactions": {
            str(health): sum(
                each.count
                for each in census.standing
                if each.tenant == code and each.health is health
            )
            for health in TransactionHealth
        },
        "due": due.count if due else 0,
        "oldest_due_at": instant(due.oldest_at) if due else None,
        "ambiguous_writes": ambiguous,
        "remaining_today": tally.remaining_today if tally else None,
        "daily_reserve": tally.daily_reserve if tally else None,
        "clock_ahead": tally.clock_ahead if tally else None,
    }
