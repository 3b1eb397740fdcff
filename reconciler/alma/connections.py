"""The connections to one institution; the only module that touches httpx.

Eight lanes of one connection each, the warmest first: httpx's pool looks at every connection
for every request, a lane has only itself to look at. A call in flight is never cancelled, which
would poison a connection for good (libs.md §2.3): it runs in an inner task that its caller
merely waits for.
"""

from __future__ import annotations

import asyncio
import math
import ssl
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpx

from reconciler.alma.failures import of_transport, unreadable
from reconciler.errors import AlmaFailure, FailureKind
from reconciler.ports.clock import Clock

LANES = 8
LARGEST_BODY = 8 * 1024 * 1024
KEEP_ALIVE = 5.0
"""Seconds that an idle connection is kept; gateways close theirs a little later."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `read` is for GETs; `write_read` for writes, which Alma may take a minute over."""

    connect: float = 10.0
    read: float = 30.0
    write_read: float = 90.0


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer as it came, whatever it means."""

    status: int
    headers: httpx.Headers
    body: bytes


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A request: `target` is path and query, quoted. It begins by `begins_by` (monotonic seconds)
    or not at all."""

    method: str
    target: str
    headers: Mapping[str, str] = field(default_factory=dict)
    content: bytes | None = None
    begins_by: float = math.inf


class Connections:
    """At most `LANES` calls at a time to the host of `base_url`."""

    def __init__(
        self,
        base_url: str,
        *,
        clock: Clock,
        timeouts: Timeouts,
        transport: httpx.AsyncBaseTransport | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._base = base_url.rstrip("/")
        self._clock = clock
        self._timeouts = timeouts
        self._given = transport
        self._tls = tls
        self._slots = asyncio.Semaphore(LANES)
        self._idle: list[httpx.AsyncBaseTransport] = []
        self._lanes: list[httpx.AsyncBaseTransport] = []
        self._in_flight: set[asyncio.Task[Raw]] = set()

    async def exchange(self, outgoing: Outgoing) -> Raw:
        """Send and wait for the whole answer. Raises AlmaFailure when none came in time, or when
        a connection was to be had only after the time to begin (NOT_SENT)."""
        await self._slots.acquire()
        lane = self._idle.pop() if self._idle else self._new_lane()
        task = asyncio.create_task(self._over(lane, outgoing))
        self._in_flight.add(task)
        task.add_done_callback(self._landed)
        task.add_done_callback(lambda _: self._idle.append(lane))
        return await asyncio.shield(task)

    async def aclose(self) -> None:
        """Wait for the calls in flight, then close the connections."""
        if self._in_flight:
            await asyncio.wait(set(self._in_flight), timeout=self._timeouts.write_read)
        for lane in self._lanes:
            await lane.aclose()

    def _new_lane(self) -> httpx.AsyncBaseTransport:
        lane = self._given or httpx.AsyncHTTPTransport(
            verify=self._tls or False,  # without a context the base URL is plain http
            limits=httpx.Limits(
                max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP_ALIVE
            ),
            proxy=_proxy_for(self._base),
        )
        if lane not in self._lanes:
            self._lanes.append(lane)
        return lane

    def _landed(self, task: asyncio.Task[Raw]) -> None:
        self._in_flight.discard(task)
        self._slots.release()
        if not task.cancelled():
            task.exception()

    async def _over(self, lane: httpx.AsyncBaseTransport, outgoing: Outgoing) -> Raw:
        limit = self._timeouts.read if outgoing.method == "GET" else self._timeouts.write_read
        deadline = self._clock.monotonic() + 2 * limit
        waits = {"connect": self._timeouts.connect, "read": limit, "write": limit, "pool": limit}
        extensions: dict[str, Any] = {"timeout": waits}
        if outgoing.begins_by < math.inf:
            self._in_time(outgoing)
            extensions["trace"] = partial(self._traced, outgoing)
        try:
            request = httpx.Request(
                outgoing.method,
                self._base + outgoing.target,
                headers=outgoing.headers,
                content=outgoing.content,
                extensions=extensions,
            )
            response = await lane.handle_async_request(request)
            try:
                body = await self._body(response, deadline)
            finally:
                await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise of_transport(error) from None
        return Raw(response.status_code, response.headers, body)

    def _in_time(self, outgoing: Outgoing) -> None:
        if self._clock.monotonic() > outgoing.begins_by:
            raise AlmaFailure(FailureKind.NOT_SENT, message="its time to begin was over")

    async def _traced(self, outgoing: Outgoing, event: str, _: Mapping[str, Any]) -> None:
        """Told by httpcore of each of its steps: opening a connection may have taken long."""
        if event == "http11.send_request_headers.started":
            self._in_time(outgoing)

    async def _body(self, response: httpx.Response, deadline: float) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > LARGEST_BODY:
                raise unreadable("an answer that is too large", response.status_code)
            if self._clock.monotonic() > deadline:
                raise AlmaFailure(FailureKind.TIMEOUT)
        return bytes(body)


def _proxy_for(base_url: str) -> str | None:
    """The proxy that the environment names for this host (HTTPS_PROXY, NO_PROXY), if any."""
    parts = urlsplit(base_url)
    if not parts.hostname or proxy_bypass(parts.hostname):
        return None
    return getproxies().get(parts.scheme)
