"""`report calls`: Alma calls by library against the day's quota."""

from __future__ import annotations

from datetime import timedelta

from reconciler.app import App
from reconciler.cli.output import Format, put_rows, say
from reconciler.cli.shell import tell_rests
from reconciler.core.library.breaker import TenantStanding
from reconciler.engine.quota_views import calls_view

COLUMNS = (
    "host_lms",
    "state",
    "used_today",
    "refused_today",
    "remaining",
    "reserve",
    "at_midnight",
    "renewed_at",
)


def put_calls(app: App, output: Format) -> None:
    """One row for each Alma of the settings."""
    now = app.clock.now()
    standings = app.quotas.standings()
    days = app.quotas.calls((now - timedelta(days=1)).date())
    rows = [
        calls_view(
            host.terms(code),
            standings.get(code, TenantStanding()),
            [day for day in days if day.tenant == code],
            now,
        )
        for code, host in app.settings.alma_hosts().items()
    ]
    put_rows(rows, COLUMNS, output, {"libraries": rows})
    if output is not Format.TABLE:
        return
    tell_rests(app)
    unsaid = [row["host_lms"] for row in rows if row["remaining"] is None]
    if unsaid:
        say(f"how many calls are left today is not known of: {', '.join(unsaid)}")
    say("at_midnight supposes that we go on as today; what others call is not known")
