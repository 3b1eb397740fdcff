"""Answering, or failing to: what can be done to the connection a call came in on."""

from __future__ import annotations

import asyncio
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Final

from reconciler.sandbox.http.exchange import Receive, Scope, Send
from reconciler.sandbox.http.wire import Reply

TRANSPORT: Final = "sandbox.transport"

Headers = tuple[tuple[str, str], ...]
Sleep = Callable[[float], Awaitable[None]]


class Dropped(ConnectionResetError):
    """In-process there is no socket to drop: the caller gets this instead."""


class Channel:
    """One call's way back. Over a socket `scope` carries the transport; in-process it does not."""

    def __init__(self, scope: Scope, receive: Receive, send: Send, headers: Headers) -> None:
        self._transport: asyncio.Transport | None = scope.get("extensions", {}).get(TRANSPORT)
        self._receive = receive
        self._send = send
        self._headers = headers

    async def answer(self, reply: Reply) -> None:
        await self._start(reply, len(reply.body))
        await self._send({"type": "http.response.body", "body": reply.body})

    async def answer_slowly(self, reply: Reply, size: int, seconds: float, sleep: Sleep) -> None:
        """The body in pieces of `size` bytes, `seconds` apart."""
        await self._start(reply, len(reply.body))
        for start in range(0, len(reply.body), size):
            piece = reply.body[start : start + size]
            await self._send({"type": "http.response.body", "body": piece, "more_body": True})
            await sleep(seconds)
        await self._send({"type": "http.response.body", "body": b""})

    async def answer_half(self, reply: Reply) -> None:
        """The length of the whole body is promised, half of it sent, the connection closed."""
        transport = self._socket_or_raise()
        await self._start(reply, len(reply.body))
        half = reply.body[: len(reply.body) // 2]
        await self._send({"type": "http.response.body", "body": half, "more_body": True})
        transport.close()
        await self._gone()

    async def reset(self) -> None:
        """RST: whatever was on its way is lost."""
        transport = self._socket_or_raise()
        peer = transport.get_extra_info("socket")
        peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        transport.abort()
        await self._gone()

    async def close(self) -> None:
        """FIN without a byte of an answer."""
        self._socket_or_raise().close()
        await self._gone()

    async def hang(self) -> None:
        """No answer until the caller gives up."""
        if self._transport is None:
            raise TimeoutError("the sandbox does not answer this call")
        await self._gone()

    async def _gone(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass

    def _socket_or_raise(self) -> asyncio.Transport:
        if self._transport is None:
            raise Dropped("the sandbox dropped this call")
        return self._transport

    async def _start(self, reply: Reply, length: int) -> None:
        pairs = [*self._headers, *reply.headers, ("content-length", str(length))]
        if reply.status == 204:
            pairs.pop()
        if reply.content_type:
            pairs.append(("content-type", reply.content_type))
        headers = [(name.encode("latin-1"), one.encode("latin-1")) for name, one in pairs]
        await self._send(
            {"type": "http.response.start", "status": reply.status, "headers": headers}
        )
