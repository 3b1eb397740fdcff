"""/api/v1: transactions and tenants as JSON, in the shapes of the commands (interface.md §5)."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from reconciler.core.model import HostLmsCode, TransactionId
from reconciler.core.status import DcbStatus
from reconciler.engine.desk import BadRequest
from reconciler.engine.health import Health
from reconciler.engine.tenants import tenants_view
from reconciler.ports.reports import Filter
from reconciler.web.answers import Current, json_answer
from reconciler.wording import did_you_mean

MOST_ROWS = 1000
ROWS = 100
_PARAMETERS = ("status", "tenant", "parked", "limit", "offset")


@dataclass(frozen=True, slots=True)
class Records:
    app: Current
    health: Health

    async def transactions(self, request: Request) -> Response:
        """`?status=`, `?tenant=`, `?parked=true`, `?limit=` (100, at most 1000), `?offset=`."""
        filter = self._filter(request)
        return json_answer(await self.app().storage.run(self.app().desk.page, filter))

    async def transaction(self, request: Request) -> Response:
        id = TransactionId(request.path_params["id"])
        return json_answer(await self.app().storage.run(self.app().desk.show, id))

    async def history(self, request: Request) -> Response:
        id = TransactionId(request.path_params["id"])
        return json_answer(await self.app().storage.run(self.app().desk.history, id))

    async def tenants(self, _: Request) -> Response:
        app = self.app()
        census = await app.census()
        tallies = app.libraries.institution_tallies
        return json_answer(tenants_view(app.policy, census, tallies, app.progress, self.health))

    def _filter(self, request: Request) -> Filter:
        asked = request.query_params
        for name in asked:
            if name not in _PARAMETERS:
                raise BadRequest(f"{name}: {did_you_mean(name, _PARAMETERS)}")
        status, tenant = asked.get("status"), asked.get("tenant")
        if status is not None and status not in DcbStatus.__members__:
            raise BadRequest(f"status {status}: {did_you_mean(status, DcbStatus.__members__)}")
        hosts = self.app().settings.host_lms
        if tenant is not None and tenant not in hosts:
            raise BadRequest(f"tenant {tenant}: {did_you_mean(tenant, hosts)}")
        if asked.get("parked", "false") not in ("true", "false"):
            raise BadRequest("parked: expected true or false")
        return Filter(
            status=DcbStatus(status) if status else None,
            tenant=HostLmsCode(tenant) if tenant else None,
            parked=asked.get("parked") == "true",
            limit=_number(request, "limit", ROWS, MOST_ROWS),
            offset=_number(request, "offset", 0, 2**31),
        )


def _number(request: Request, name: str, default: int, most: int) -> int:
    text = request.query_params.get(name, str(default))
    if not (text.isascii() and text.isdigit()) or int(text) > most:
        raise BadRequest(f"{name}: expected a number up to {most}")
    return int(text)
