"""Which address answers what (interface.md §6). Everything else is a JSON sentence."""

from __future__ import annotations

from starlette.applications import Starlette
from starlette.datastructures import Headers
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from reconciler.engine.health import Health
from reconciler.engine.supervision import Duty
from reconciler.web.answers import Current, guarded, not_found, refusal, wrong_method
from reconciler.web.probes import Probes
from reconciler.web.records import Records
from reconciler.web.server import WebServer, is_loopback


def site(app: Current, health: Health) -> Starlette:
    """The pages of one daemon."""
    probes, records = Probes(app, health), Records(app, health)
    routes = {
        "/healthz": probes.healthz,
        "/readyz": probes.readyz,
        "/metrics": probes.metrics,
        "/api/v1/transactions": records.transactions,
        "/api/v1/transactions/{id}": records.transaction,
        "/api/v1/transactions/{id}/history": records.history,
        "/api/v1/tenants": records.tenants,
    }
    made = Starlette(
        routes=[Route(path, guarded(run), methods=["GET"]) for path, run in routes.items()],
        exception_handlers={404: not_found, 405: wrong_method},
    )
    made.router.redirect_slashes = False
    return made


def web_server(app: Current, health: Health) -> WebServer:
    """Listening already. Raises SettingsError when the address of the settings is taken.

    The App should be `metered`, or /metrics has nothing to tell.
    """
    web = app().settings.web
    pages: ASGIApp = site(app, health)
    if is_loopback(web.host):
        pages = _OwnNameOnly(pages)
    return WebServer(pages, web.host, web.port)


def web_duty(app: Current, health: Health) -> Duty:
    """The server as a part of the daemon; raises as `web_server`."""
    return Duty("web", web_server(app, health).run)


class _OwnNameOnly:
    """On loopback only loopback's names are answered to.

    A page in the browser of somebody at this machine could otherwise point a name of its own
    here and read on.
    """

    def __init__(self, pages: ASGIApp) -> None:
        self._pages = pages

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        host = Headers(scope=scope).get("host", "localhost")
        name = host.rpartition(":")[0] if not host.endswith("]") and ":" in host else host
        if is_loopback(name):
            await self._pages(scope, receive, send)
        else:
            answer = refusal(421, "this is reconciler on loopback, not the host that was asked for")
            await answer(scope, receive, send)
