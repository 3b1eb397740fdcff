"""Alma's gateway: keys, rights, thresholds, faults, the call log; then the API behind it."""

from __future__ import annotations

from datetime import datetime
from email.utils import format_datetime
from typing import TYPE_CHECKING, Final

from reconciler.sandbox.api.call import Call
from reconciler.sandbox.api.router import AREAS, dispatch
from reconciler.sandbox.errors import AlmaError, UnknownPath
from reconciler.sandbox.http.calls import Received
from reconciler.sandbox.http.channel import Channel
from reconciler.sandbox.http.exchange import Exchange, Receive, Scope, Send
from reconciler.sandbox.http.faults import Fault
from reconciler.sandbox.http.misbehaviour import deliver, distort, other_exchange
from reconciler.sandbox.http.wire import (
    Reply,
    error_reply,
    gateway_reply,
    not_found_reply,
    reply_to,
    tracking_id,
)
from reconciler.sandbox.tenant import Tenant
from reconciler.sandbox.view import View

if TYPE_CHECKING:
    from reconciler.sandbox.sandbox import Sandbox

ROOT: Final = ("almaws", "v1")


class Gateway:
    """Handles every call below /almaws/v1 for all institutions: the key selects which."""

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._served = 0

    async def serve(self, exchange: Exchange, scope: Scope, receive: Receive, send: Send) -> None:
        sandbox = self._sandbox
        with sandbox.lock:
            tenant = sandbox.tenant_of_key(exchange.key)
            received = sandbox.calls.add(self._received(exchange, tenant))
            admitted = _admit(exchange, tenant)
            fault = None if isinstance(admitted, Reply) else self._fault(exchange, admitted)
            headers = self._headers(tenant)
        channel = Channel(scope, receive, send, headers)
        if isinstance(admitted, Reply):
            received.status = admitted.status
            await channel.answer(admitted)
            return
        if admitted.latency > 0:
            await sandbox.sleep(admitted.latency)
        if fault is not None:
            await self._misbehave(fault, admitted, exchange, received, channel)
            return
        reply = self._perform(exchange, admitted, received)
        received.status = reply.status
        await channel.answer(reply)

    async def _misbehave(
        self,
        fault: Fault,
        tenant: Tenant,
        exchange: Exchange,
        received: Received,
        channel: Channel,
    ) -> None:
        received.fault = fault.name
        sandbox = self._sandbox
        done: Reply | None = None
        if fault.kind == "other" and exchange.method == "GET":
            shown = sandbox.institutions.get(str(fault.value), tenant)
            done = self._perform(other_exchange(shown, exchange), shown, received)
        elif fault.when == "after":
            done = self._perform(exchange, tenant, received)
        if fault.kind == "delay":
            await sandbox.sleep(fault.seconds)
            done = done or self._perform(exchange, tenant, received)
        reply = distort(fault, exchange, done or Reply(200), tenant.dialect)
        received.status = 0
        received.status = await deliver(fault, channel, reply, sandbox.sleep)

    def _perform(self, exchange: Exchange, tenant: Tenant, received: Received) -> Reply:
        """Let the API do what is asked, under the lock: one call at a time changes the world."""
        as_json = exchange.wants_json
        with self._sandbox.lock:
            reading = exchange.method == "GET"
            view = View.lagging(tenant) if reading else View(tenant)
            call = Call(
                tenant=tenant,
                view=view,
                method=exchange.method,
                path=_api_path(exchange),
                query=exchange.query,
                headers=exchange.headers,
                body=exchange.body,
                base=exchange.base,
                key=exchange.key,
            )
            try:
                answer = dispatch(call)
                received.performed = True
                return reply_to(answer, tenant.dialect, as_json=as_json)
            except AlmaError as error:
                tracking = tracking_id(tenant.now(), received.seq)
                shape = tenant.dialect.error_shape
                return error_reply(error, tracking, shape, as_json=as_json)
            except UnknownPath:
                return not_found_reply(as_json=as_json)

    def _fault(self, exchange: Exchange, tenant: Tenant) -> Fault | None:
        address = f"{exchange.path}?{exchange.query_text}"
        return self._sandbox.faults.take(tenant.code, exchange.method, address)

    def _received(self, exchange: Exchange, tenant: Tenant | None) -> Received:
        return Received(
            seq=0,
            at=self._sandbox.clock.now(),
            institution=tenant.code if tenant is not None else "",
            method=exchange.method,
            path=exchange.path,
            query=exchange.query_text,
            body=exchange.body.decode("utf-8", "replace"),
        )

    def _headers(self, tenant: Tenant | None) -> tuple[tuple[str, str], ...]:
        self._served += 1
        number = self._served
        request_id = "".join(chr(97 + number * 7 // 26**place % 26) for place in range(10))
        headers = [
            ("server", "Layer7-API-Gateway"),
            ("date", _http_date(self._sandbox.clock.now())),
            ("x-request-id", request_id),
        ]
        if tenant is not None:
            headers.append(("x-exl-api-remaining", str(tenant.quota.remaining)))
        return tuple(headers)


def _api_path(exchange: Exchange) -> tuple[str, ...]:
    path = exchange.segments[len(ROOT) :]
    while path and not path[-1]:
        path = path[:-1]
    return path


def _admit(exchange: Exchange, tenant: Tenant | None) -> Tenant | Reply:
    """The key's institution, or the gateway's own refusal: then nothing was done."""
    if tenant is None or not _allowed(exchange, tenant):
        return gateway_reply("UNAUTHORIZED", 400, as_json=False)
    threshold = tenant.quota.take()
    if threshold is None:
        return tenant
    as_json = exchange.wants_json and tenant.dialect.threshold_body == "json"
    return gateway_reply(threshold, 429, as_json=as_json)


def _allowed(exchange: Exchange, tenant: Tenant) -> bool:
    """GET needs read, the rest write; op=auth is a read (2.6). Unknown areas are a 404's matter."""
    path = _api_path(exchange)
    area = AREAS.get(path[0]) if path else None
    right = tenant.keys.get(exchange.key, {}).get(area) if area is not None else "write"
    reading = exchange.method == "GET" or exchange.query.get("op") == "auth"
    return right == "write" or (right == "read" and reading)


def _http_date(now: datetime) -> str:
    return format_datetime(now, usegmt=True)
