"""The sandbox over real HTTP, on the loopback interface only."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Thread
from typing import Any, Final

from uvicorn import Config, Server
from uvicorn.protocols.http.h11_impl import H11Protocol

from reconciler.clock import sleep_blocking
from reconciler.sandbox.http.channel import TRANSPORT
from reconciler.sandbox.http.exchange import Receive, Scope, Send
from reconciler.sandbox.sandbox import Sandbox

LOOPBACK: Final = "127.0.0.1"


class _Connection(H11Protocol):
    """Hands its transport to the application, so that faults can drop the connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        peer = transport.get_extra_info("socket")
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        app: Any = self.app
        extensions = {TRANSPORT: transport}

        async def with_transport(scope: Scope, receive: Receive, send: Send) -> None:
            scope["extensions"] = extensions
            await app(scope, receive, send)

        self.app = with_transport


class Serving:
    """A running server; `base_url` has no trailing slash.

    `sandbox` may be replaced while it runs, so that many tests share one server.
    """

    def __init__(self, sandbox: Sandbox, host: str, port: int) -> None:
        if host not in (LOOPBACK, "localhost"):
            raise ValueError(f"the sandbox serves {LOOPBACK} only, not {host}")
        self.sandbox = sandbox
        self._listener = socket.create_server((LOOPBACK, port), backlog=512)
        self.port: int = self._listener.getsockname()[1]
        self.base_url = f"http://{LOOPBACK}:{self.port}"
        self._server = Server(_config(self._app))

    def run(self) -> None:
        """Serve in this thread until stopped (or interrupted, in the main thread)."""
        self._server.run(sockets=[self._listener])

    def stop(self) -> None:
        """Stop at the next tick; calls that hang are dropped."""
        self._server.should_exit = True
        for connection in tuple(self._server.server_state.connections):
            connection.loop.call_soon_threadsafe(connection.transport.abort)

    def wait_until_ready(self, thread: Thread) -> None:
        while not self._server.started:
            if not thread.is_alive():
                raise RuntimeError("the sandbox's server did not start")
            sleep_blocking(0.002)

    async def _app(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self.sandbox.app(scope, receive, send)


@contextmanager
def serve(sandbox: Sandbox, host: str = LOOPBACK, port: int = 0) -> Iterator[Serving]:
    """`with serve(sandbox) as serving: ... serving.base_url ...`; its own thread and loop."""
    serving = Serving(sandbox, host, port)
    thread = Thread(target=serving.run, name="alma-sandbox", daemon=True)
    thread.start()
    serving.wait_until_ready(thread)
    try:
        yield serving
    finally:
        serving.stop()
        thread.join(timeout=10)


def run(
    sandbox: Sandbox,
    host: str = LOOPBACK,
    port: int = 0,
    on_ready: Callable[[str], None] | None = None,
) -> None:
    """Serve until SIGINT or SIGTERM; the signal is raised again after a clean shutdown.

    `on_ready` gets the base URL once it listens.
    """
    serving = Serving(sandbox, host, port)
    if on_ready is not None:
        on_ready(serving.base_url)
    serving.run()


def _config(app: Callable[[Scope, Receive, Send], Any]) -> Config:
    return Config(
        app,
        http=_Connection,
        ws="none",
        interface="asgi3",
        proxy_headers=False,
        loop="asyncio",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        date_header=False,
        timeout_keep_alive=60,
        timeout_graceful_shutdown=2,
    )
