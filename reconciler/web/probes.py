"""/healthz, /readyz, /metrics: for systemd, load balancers and Prometheus (operators.md §4.3)."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass, field

from prometheus_client import CONTENT_TYPE_LATEST
from starlette.requests import Request
from starlette.responses import Response

from reconciler.app import App
from reconciler.engine.health import Check, Health
from reconciler.errors import StoreUnavailable
from reconciler.ports.reports import Census
from reconciler.web.answers import Current, lines

CENSUS_WITHIN = 5.0
"""Seconds; a scraper waits for 10 by default."""
CENSUS_LASTS = 10.0
"""Seconds for which the database's numbers are told again without counting anew."""


@dataclass(slots=True)
class Probes:
    app: Current
    health: Health
    _counting: asyncio.Lock = field(default_factory=asyncio.Lock)
    _counted_at: float | None = None

    async def healthz(self, _: Request) -> Response:
        """Whether what should move does: no database and no library is asked."""
        progress = self.app().progress
        overdue = progress.overdue
        if not overdue:
            told = f"ok: {progress.steps} steps finished, the last {progress.age:.0f} s ago"
            return lines(200, told)
        return lines(
            503, *(f"{each.duty}: nothing finished for {each.seconds:.0f} s" for each in overdue)
        )

    async def readyz(self, request: Request) -> Response:
        """Whether this process can do its work. A library in trouble is listed, never red."""
        health = self.health
        status = 200 if health.is_ready else 503
        word = "ready" if health.is_ready else "not ready"
        told = [f"{word} role={health.role}"]
        if "verbose" in request.query_params:
            told += [_told(check) for check in health.checks]
            told += self._libraries()
        else:
            told += [_told(check) for check in health.checks if not check.ok]
        return lines(status, *told)

    def _libraries(self) -> Iterator[str]:
        for code in self.app().settings.host_lms:
            trouble = next((why for at, why in self.health.troubles.items() if at == code), None)
            yield f"library {code}: {trouble or 'no trouble known'}"

    async def metrics(self, _: Request) -> Response:
        """Prometheus' text format; a database that cannot be read leaves its numbers out."""
        app = self.app()
        await self._refresh(app)
        metrics = app.metrics
        metrics.institutions(app.libraries.institution_tallies)
        metrics.stale_writes(app.store.stale_writes)
        metrics.daemon(app.progress, self.health)
        return Response(metrics.exposition(), media_type=CONTENT_TYPE_LATEST)

    async def _refresh(self, app: App) -> None:
        """Count, unless somebody has just counted; several scrapers count once."""
        async with self._counting:
            now = app.clock.monotonic()
            if self._counted_at is not None and now - self._counted_at < CENSUS_LASTS:
                return
            app.metrics.census(await _census(app), app.clock.now())
            self._counted_at = now


async def _census(app: App) -> Census | None:
    """None when the database cannot be read, or keeps us waiting."""
    try:
        async with asyncio.timeout(CENSUS_WITHIN):
            return await app.census()
    except (StoreUnavailable, TimeoutError):
        return None


def _told(check: Check) -> str:
    mark = {True: "ok", False: "FAILED", None: "unknown"}[check.ok]
    return f"{check.name}: {mark}{f': {check.why}' if check.why else ''}"
