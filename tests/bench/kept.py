"""Almas whose answers are kept: the sandbox is asked once for each URL, then memory answers.

For measurements in which the Almas must cost next to nothing and yet take their time, as real
ones do. `act` lets staff do something and forgets what was kept; what changes something is always
passed on. One process serves all institutions and counts every call.
"""

from __future__ import annotations

import asyncio
import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

from reconciler.sandbox import Sandbox

Made = tuple[Sandbox, list[Any]]
Act = Callable[[Sandbox, list[Any]], None]


@dataclass(frozen=True)
class Almas:
    """The process that serves them, and what `make` made in them."""

    base_url: str
    made: list[Any]
    pipe: Connection

    def act(self, act: Act) -> None:
        """Something happens in the libraries; `act` is a function of a module."""
        self._ask(act)

    def calls(self) -> Counter[str]:
        """How often each call came (method, key, target) since this was last asked."""
        counted: Counter[str] = self._ask("calls")
        return counted

    def _ask(self, what: object) -> Any:
        self.pipe.send(what)
        return self.pipe.recv()


@contextmanager
def kept(make: Callable[[int], Made], lends: int, latency: float) -> Iterator[Almas]:
    """Serve what `make` makes; each answer takes `latency` seconds."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_run, args=(there, make, lends, latency), daemon=True)
    process.start()
    base_url, made = here.recv()
    yield Almas(base_url, made, here)
    here.send("stop")
    process.join(timeout=10)
    if process.is_alive():
        process.kill()


def _run(pipe: Connection, make: Callable[[int], Made], lends: int, latency: float) -> None:
    asyncio.run(_serve(pipe, *make(lends), latency))


async def _serve(pipe: Connection, sandbox: Sandbox, made: list[Any], latency: float) -> None:
    desk = _Desk(sandbox, latency)
    loop = asyncio.get_running_loop()
    server = await loop.create_server(lambda: _Line(desk), "127.0.0.1", 0, backlog=512)
    pipe.send((f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}", made))
    while (asked := await loop.run_in_executor(None, pipe.recv)) != "stop":
        if asked == "calls":
            pipe.send(desk.calls)
            desk.calls = Counter()
        else:
            asked(sandbox, made)
            desk.answers.clear()
            pipe.send(None)


@dataclass
class _Desk:
    sandbox: Sandbox
    latency: float
    answers: dict[bytes, bytes] = field(default_factory=dict)
    calls: Counter[str] = field(default_factory=Counter)

    async def ask(self, head: bytes, body: bytes) -> bytes:
        """The sandbox's own answer, as bytes of HTTP/1.1."""
        first, *lines = head.decode("latin-1").split("\r\n")
        method, target, _ = first.split(" ")
        path, _, query = target.partition("?")
        headers = [tuple(line.split(": ", 1)) for line in lines]
        scope: dict[str, Any] = {
            "type": "http",
            "method": method,
            "path": path,
            "raw_path": path.encode(),
            "query_string": query.encode(),
            "headers": [(name.lower().encode(), value.encode()) for name, value in headers],
        }
        sent: list[dict[str, Any]] = []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        await self.sandbox.app(scope, receive, send)
        if method != "GET":
            self.answers.clear()
        lines_out = [f"HTTP/1.1 {sent[0]['status']} Kept".encode()]
        lines_out += [name + b": " + value for name, value in sent[0]["headers"]]
        content = b"".join(message["body"] for message in sent[1:])
        return b"\r\n".join(lines_out) + b"\r\n\r\n" + content


class _Line(asyncio.Protocol):
    """One connection: a call at a time, which is how the service uses it."""

    def __init__(self, desk: _Desk) -> None:
        self._desk = desk
        self._loop = asyncio.get_running_loop()
        self._received = b""
        self._tasks: set[asyncio.Task[None]] = set()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        head, end, body = self._received.partition(b"\r\n\r\n")
        if not end or len(body) < _length(head):
            return
        self._received = b""
        self._desk.calls[_told(head)] += 1
        answer = self._desk.answers.get(head)
        if answer is not None:
            self._loop.call_later(self._desk.latency, self._transport.write, answer)
            return
        task = self._loop.create_task(self._answer(head, body))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(self, head: bytes, body: bytes) -> None:
        answer = await self._desk.ask(head, body)
        if head.startswith(b"GET "):
            self._desk.answers[head] = answer
        await asyncio.sleep(self._desk.latency)
        self._transport.write(answer)


def _length(head: bytes) -> int:
    if head.startswith(b"GET "):
        return 0
    lengths = (line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
    return int(next(lengths, b":0").partition(b":")[2])


def _told(head: bytes) -> str:
    """Method and target with the key: the same path at two institutions is two things."""
    first, *lines = head.split(b"\r\n")
    key = next(line for line in lines if line.lower().startswith(b"authorization"))
    return f"{first.rpartition(b' ')[0].decode()} {key.rpartition(b' ')[2].decode()}"
