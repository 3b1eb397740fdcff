"""One HTTP request as the sandbox sees it, whether it came over a socket or in-process."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qsl, unquote, urlencode

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Exchange:
    """`segments` are decoded one by one, so that an id may hold a slash (alma-api.md 2.2)."""

    method: str
    path: str
    segments: tuple[str, ...]
    query: dict[str, str]
    headers: dict[str, str]
    body: bytes

    @property
    def base(self) -> str:
        return f"http://{self.headers.get('host', 'localhost')}"

    @property
    def query_text(self) -> str:
        """The query without the key: this is what may be logged."""
        return urlencode({name: one for name, one in self.query.items() if name != "apikey"})

    @property
    def key(self) -> str:
        """From the header `Authorization: apikey K`, else from the query."""
        scheme, _, value = self.headers.get("authorization", "").partition(" ")
        return value.strip() if scheme.lower() == "apikey" else self.query.get("apikey", "")

    @property
    def wants_json(self) -> bool:
        """XML is the default, also for */* (1.1)."""
        form = self.query.get("format", "").lower()
        return form == "json" if form else "json" in self.headers.get("accept", "")


async def read_exchange(scope: Scope, receive: Receive) -> Exchange:
    raw_path = bytes(scope.get("raw_path") or scope["path"].encode()).decode("latin-1")
    headers = {name.decode("latin-1"): one.decode("latin-1") for name, one in scope["headers"]}
    segments = tuple(unquote(one) for one in raw_path.strip("/").split("/"))
    return Exchange(
        method=scope["method"],
        path=raw_path,
        segments=segments,
        query=dict(parse_qsl(scope["query_string"].decode("latin-1"), keep_blank_values=True)),
        headers=headers,
        body=await _read_body(receive),
    )


async def _read_body(receive: Receive) -> bytes:
    parts: list[bytes] = []
    while True:
        message = await receive()
        parts.append(message.get("body", b""))
        if message["type"] != "http.request" or not message.get("more_body"):
            return b"".join(parts)
