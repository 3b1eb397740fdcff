"""Signed webhooks: CloudEvents in Standard Webhooks' headers (partners.md §3.2).

Only 2xx is success and no redirect is followed. The address is looked up once, checked and then
connected to as it is, so that a name which changes its mind reaches no private address.
"""

from __future__ import annotations

import asyncio
import base64
import binascii
import hashlib
import hmac
import http.client
import ipaddress
import json
import socket
import ssl
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

from reconciler.ports.messages import Delivery, DeliveryKind, Message

TIMEOUT = 15.0
"""Seconds for connecting, and again for each part of the answer's head."""

DEADLINE = 45.0
"""Seconds for the whole delivery."""

BUSY = frozenset({408, 425, 429})

Resolve = Callable[[str, int], list[str]]


class Refused(Exception):
    """An address that is not to be called."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to deliver to; `keys` sign, the newest first (several while one is replaced)."""

    url: str
    keys: tuple[bytes, ...]
    allow_private: bool = False


def signing_keys(secret: str) -> tuple[bytes, ...]:
    """The keys of a secret: `whsec_` and base64, or any text; several apart by blanks."""
    return tuple(_key(each) for each in secret.split())


def _key(secret: str) -> bytes:
    if not secret.startswith("whsec_"):
        return secret.encode()
    try:
        return base64.b64decode(secret.removeprefix("whsec_"), validate=True)
    except binascii.Error:
        raise ValueError("whsec_ is not followed by base64") from None


def sign(keys: tuple[bytes, ...], id: str, timestamp: int, body: bytes) -> str:
    """`webhook-signature`: one `v1,` part for each key."""
    signed = b".".join((id.encode(), str(timestamp).encode(), body))
    parts = (base64.b64encode(hmac.digest(key, signed, hashlib.sha256)) for key in keys)
    return " ".join(f"v1,{part.decode()}" for part in parts)


def addresses(host: str, port: int) -> list[str]:
    """Every address of a name, as the system's resolver knows them."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(each[4][0]) for each in found]


class WebhookSink:
    longest = timedelta(seconds=DEADLINE)

    def __init__(self, endpoint: Endpoint, resolve: Resolve = addresses) -> None:
        self._endpoint = endpoint
        self._resolve = resolve
        digest = hashlib.blake2b(endpoint.url.encode(), digest_size=4).hexdigest()
        self.name = f"webhook:{urlsplit(endpoint.url).hostname}:{digest}"

    async def deliver(self, message: Message, now: datetime) -> Delivery:
        """One try."""
        body = json.dumps(message.body, ensure_ascii=False).encode()
        timestamp = int(now.timestamp())
        headers = {
            "content-type": "application/cloudevents+json",
            "user-agent": "reconciler",
            "webhook-id": message.id,
            "webhook-timestamp": str(timestamp),
            "webhook-signature": sign(self._endpoint.keys, message.id, timestamp, body),
        }
        try:
            post = asyncio.to_thread(self._post, body, headers)
            status, retry_after = await asyncio.wait_for(post, DEADLINE)
        except TimeoutError:
            return Delivery(DeliveryKind.FAILED, "no answer in time")
        except Refused as error:
            return Delivery(DeliveryKind.FAILED, str(error))
        except (OSError, http.client.HTTPException) as error:
            return Delivery(DeliveryKind.FAILED, type(error).__name__)
        return _judged(status, retry_after, now)

    def _post(self, body: bytes, headers: dict[str, str]) -> tuple[int, str | None]:
        parts = urlsplit(self._endpoint.url)
        target = parts.path or "/"
        if parts.query:
            target = f"{target}?{parts.query}"
        connection = self._connection(parts.scheme, parts.hostname or "", parts.port)
        try:
            connection.request("POST", target, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.headers.get("retry-after")
        finally:
            connection.close()

    def _connection(self, scheme: str, host: str, port: int | None) -> http.client.HTTPConnection:
        """A connection to an address of the host that was looked at before it is called."""
        secure = scheme == "https"
        if not secure and not self._endpoint.allow_private:
            raise Refused("http is only spoken with allow_private")
        port = port or (443 if secure else 80)
        for address in (found := self._resolve(host, port)):
            if not self._endpoint.allow_private and not ipaddress.ip_address(address).is_global:
                raise Refused("the name leads to a private address")
        if not found:
            raise Refused("the name leads nowhere")
        connected = socket.create_connection((found[0], port), TIMEOUT)
        if secure:
            context = ssl.create_default_context()
            connected = context.wrap_socket(connected, server_hostname=host)
        connection = http.client.HTTPConnection(host, port, timeout=TIMEOUT)
        connection.sock = connected
        return connection


def _judged(status: int, retry_after: str | None, now: datetime) -> Delivery:
    if 200 <= status < 300:
        return Delivery(DeliveryKind.DELIVERED)
    if status == http.client.GONE:
        return Delivery(DeliveryKind.GONE, "the receiver answered 410")
    only_this = 400 <= status < 500 and status not in BUSY
    wait = _asked_wait(retry_after, now)
    return Delivery(DeliveryKind.FAILED, f"HTTP {status}", wait, is_sinks_own=not only_this)


def _asked_wait(retry_after: str | None, now: datetime) -> timedelta | None:
    """Retry-After, in seconds or as a date; nonsense is as if it were not there."""
    if retry_after is None:
        return None
    try:
        return timedelta(seconds=int(retry_after))
    except (ValueError, OverflowError):
        pass
    try:
        at = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return at - now if at.tzinfo is not None and at > now else None
