"""One call to one institution's Alma: in time, within its limits, told as an answer or a failure.

The only module that touches httpx. A call in flight is never cancelled: that would poison the
connection pool for good (libs.md §2.3), so each runs in an inner task that its caller merely
waits for. The key travels in a header and nowhere else.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

import httpx
from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_exponential

from reconciler.alma.document import Node, NotADocument, parse
from reconciler.alma.failures import of_answer, of_transport, unreadable
from reconciler.alma.limiter import Limiter
from reconciler.errors import WORTH_A_RETRY, AlmaFailure, FailureKind
from reconciler.ports import Clock

ROOT = "/almaws/v1"
LARGEST_BODY = 8 * 1024 * 1024
READ_ATTEMPTS = 3
PAUSE_WHEN_THROTTLED = 1.0
CONNECTIONS = 8

_ALMA_SPOKE = frozenset(
    {
        FailureKind.REFUSED,
        FailureKind.CREDENTIALS,
        FailureKind.THROTTLED,
        FailureKind.QUOTA_EXHAUSTED,
    }
)
"""These failures show that the institution can be reached."""


@dataclass(frozen=True, slots=True)
class Timeouts:
    """Seconds. `read` is for GETs; `write_read` for writes, which Alma may take a minute over."""

    connect: float = 10.0
    read: float = 30.0
    write_read: float = 90.0


@dataclass(frozen=True, slots=True)
class Call:
    """What to ask: a path below /almaws/v1, its segments and query still unquoted."""

    method: str
    segments: tuple[str, ...]
    query: Mapping[str, str]

    @property
    def path(self) -> str:
        return ROOT + "".join(f"/{quote(segment, safe='')}" for segment in self.segments)

    def with_query(self, **more: str) -> Call:
        return replace(self, query={**self.query, **more})

    @property
    def private(self) -> tuple[str, ...]:
        """Values that Alma may echo in an error message."""
        return (*self.segments, *self.query.values())


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    headers: httpx.Headers
    body: bytes

    def document(self) -> Node:
        """The body as a tree; AlmaFailure (UNREADABLE) where a document was promised in vain."""
        try:
            return parse(self.body)
        except NotADocument as problem:
            raise unreadable(str(problem), self.status) from None


def get(*segments: str, **query: str) -> Call:
    return Call("GET", segments, query)


@dataclass(slots=True)
class Tally:
    """What became of the calls so far: how many were sent, how many Alma itself answered."""

    calls: int = 0
    answered: int = 0
    failures: Counter[FailureKind] = field(default_factory=Counter)
    remaining_today: int | None = None
    """Calls left for the whole institution, as Alma last said (`X-Exl-Api-Remaining`)."""


class Gateway:
    """The connection to one institution. Counts its calls; keeps what Alma says of the quota."""

    def __init__(
        self,
        base_url: str,
        api_key: str,
        *,
        limiter: Limiter,
        clock: Clock,
        timeouts: Timeouts | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.tally = Tally()
        self._limiter = limiter
        self._clock = clock
        self._timeouts = timeouts or Timeouts()
        self._slots = asyncio.Semaphore(CONNECTIONS)
        self._in_flight: set[asyncio.Task[Answer]] = set()
        self._retrying = AsyncRetrying(
            sleep=clock.sleep,
            stop=stop_after_attempt(READ_ATTEMPTS),
            wait=wait_exponential(multiplier=0.5, max=4),
            retry=retry_if_exception(_is_worth_a_retry),
            reraise=True,
        )
        self._client = httpx.AsyncClient(
            base_url=base_url.rstrip("/").removesuffix(ROOT),
            headers={"Authorization": f"apikey {api_key}", "Accept": "application/json"},
            follow_redirects=False,
            limits=httpx.Limits(max_connections=CONNECTIONS, max_keepalive_connections=CONNECTIONS),
            transport=transport,
            verify=tls or False,  # without a context the base URL is plain http
        )

    async def read(self, call: Call) -> Node:
        """The document that a GET promises; retried where a repetition may help.

        Raises AlmaFailure. Each attempt takes its own turn at the limiter.
        """
        return (await self.read_answer(call)).document()

    async def read_answer(self, call: Call) -> Answer:
        """As `read`, for answers that need not be documents (redirects)."""
        return await self._retrying(self._attempt, call)

    async def aclose(self) -> None:
        """Wait for the calls in flight, then close the connections."""
        if self._in_flight:
            await asyncio.wait(set(self._in_flight), timeout=self._timeouts.read)
        await self._client.aclose()

    async def _attempt(self, call: Call) -> Answer:
        await self._limiter.acquire()
        try:
            answer = await self._answer(call)
        except AlmaFailure as failure:
            self.tally.failures[failure.kind] += 1
            self.tally.answered += failure.kind in _ALMA_SPOKE
            raise
        self.tally.answered += 1
        return answer

    async def _answer(self, call: Call) -> Answer:
        answer = await self._send(call)
        self._note_quota(answer)
        if 300 <= answer.status < 400:
            return answer
        failure = of_answer(answer.status, answer.body, call.private)
        if failure is None and call.method == "GET" and not answer.body.strip():
            failure = unreadable("an empty body", answer.status)
        if failure is None:
            return answer
        if failure.kind is FailureKind.THROTTLED:
            self._limiter.pause(PAUSE_WHEN_THROTTLED)
        raise failure

    async def _send(self, call: Call) -> Answer:
        await self._slots.acquire()
        task = asyncio.create_task(self._exchange(call))
        self._in_flight.add(task)
        task.add_done_callback(self._landed)
        return await asyncio.shield(task)

    def _landed(self, task: asyncio.Task[Answer]) -> None:
        self._in_flight.discard(task)
        self._slots.release()
        if not task.cancelled():
            task.exception()

    async def _exchange(self, call: Call) -> Answer:
        self.tally.calls += 1
        limit = self._timeouts.read if call.method == "GET" else self._timeouts.write_read
        deadline = self._clock.monotonic() + 2 * limit
        timeout = httpx.Timeout(limit, connect=self._timeouts.connect)
        request = self._client.build_request(
            call.method, call.path, params=dict(call.query), timeout=timeout
        )
        try:
            response = await self._client.send(request, stream=True)
            try:
                body = await self._body(response, deadline)
            finally:
                await response.aclose()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise of_transport(error) from None
        return Answer(response.status_code, response.headers, body)

    async def _body(self, response: httpx.Response, deadline: float) -> bytes:
        body = bytearray()
        async for chunk in response.aiter_bytes():
            body += chunk
            if len(body) > LARGEST_BODY:
                raise unreadable("an answer that is too large", response.status_code)
            if self._clock.monotonic() > deadline:
                raise AlmaFailure(FailureKind.TIMEOUT)
        return bytes(body)

    def _note_quota(self, answer: Answer) -> None:
        remaining: Any = answer.headers.get("X-Exl-Api-Remaining", "")
        if remaining.isascii() and remaining.isdigit():
            self.tally.remaining_today = int(remaining)


def _is_worth_a_retry(error: BaseException) -> bool:
    return isinstance(error, AlmaFailure) and error.kind in WORTH_A_RETRY
