"""The HTTP server: uvicorn in the daemon's own loop, one request to a connection, all bounded.

It owns no signal and no log of its own, and it closes on whoever is too slow: a face for
probes and people must never cost the work behind it anything.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Iterator
from ipaddress import ip_address
from typing import cast

import uvicorn
from loguru import logger
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from reconciler.errors import SettingsError

REQUEST_WITHIN = 10.0
"""Seconds from the connection to the end of the request's head."""
ANSWER_WITHIN = 30.0
"""Seconds after which a connection is gone, whether its reader has read or not."""
LARGEST_HEAD = 16 * 1024
AT_ONCE = 64
GRACE = 3
"""Seconds that answers under way may take once the service stops."""

HEADERS = [
    ("connection", "close"),
    ("cache-control", "no-store"),
    ("x-content-type-options", "nosniff"),
]


class WebServer:
    """Listens from the start; answers while `run` runs."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        """Raises SettingsError when the address cannot be listened on."""
        self._socket = _listen(host, port)
        self.address: tuple[str, int] = self._socket.getsockname()[:2]
        config = uvicorn.Config(
            app,
            http=_Impatient,
            ws="none",
            lifespan="off",
            interface="asgi3",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            headers=HEADERS,
            limit_concurrency=AT_ONCE,
            h11_max_incomplete_event_size=LARGEST_HEAD,
            timeout_graceful_shutdown=GRACE,
        )
        self._server = _Server(config)

    async def run(self) -> None:
        """Answer until cancelled; returns or raises only when something is wrong."""
        told = logger.bind(detail=f"{self.address[0]}:{self.address[1]}")
        told.info("web pages are served")
        if not is_loopback(self.address[0]):
            told.warning("web pages are open to other machines without a password")
        serving = asyncio.ensure_future(self._server.serve(sockets=[self._socket]))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            self._server.should_exit = True
            await asyncio.wait({serving}, timeout=2 * GRACE)
            raise
        finally:
            self._socket.close()


def is_loopback(host: str) -> bool:
    try:
        return ip_address(host.strip("[]").partition("%")[0]).is_loopback
    except ValueError:
        return host.lower() == "localhost"


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        return socket.create_server((host, port), family=family, backlog=AT_ONCE)
    except OSError as error:
        raise SettingsError(f"web: cannot listen on {host}:{port}: {error.strerror}") from None


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the daemon's."""
        yield


class _Impatient(H11Protocol):
    """Closes on a request that does not come, aborts on an answer that is not fetched."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._timers = (
            self.loop.call_later(REQUEST_WITHIN, self._expect_request),
            self.loop.call_later(ANSWER_WITHIN, transport.abort),
        )

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in self._timers:
            timer.cancel()
        super().connection_lost(exc)

    def _expect_request(self) -> None:
        if cast("object | None", self.cycle) is None:
            self.transport.close()
