"""One call to one institution's Alma: within its limits, told as a document or a failure.

The key travels in a header and nowhere else. Reads are repeated where that may help, each
attempt in its own turn at the limiter; writes never are (their intents decide).
"""

from __future__ import annotations

import json
import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, urlencode

from tenacity import AsyncRetrying, retry_if_exception, stop_after_attempt, wait_exponential

from reconciler.alma.connections import Connections, Outgoing, Raw
from reconciler.alma.document import Node
from reconciler.alma.failures import of_answer, unreadable
from reconciler.alma.valve import Valve
from reconciler.core.library.breaker import Purpose
from reconciler.errors import WORTH_A_RETRY, AlmaFailure, FailureKind
from reconciler.ports.clock import Clock
from reconciler.ports.survey import CallMade

ROOT = "/almaws/v1"
JSON = "application/json"
READ_ATTEMPTS = 3

_ALMA_SPOKE = frozenset(
    {
        FailureKind.REFUSED,
        FailureKind.CREDENTIALS,
        FailureKind.THROTTLED,
        FailureKind.QUOTA_EXHAUSTED,
    }
)
"""These failures show that the institution can be reached."""

_WORDS = frozenset(
    """
    bibs circ-desks code-tables conf general holdings items libraries loans locations operation
    request-options requests test users
    """.split()  # noqa: SIM905 - as a list it would fill a page
)
"""The segments of the API's own paths; any other segment is an id."""


@dataclass(frozen=True, slots=True)
class Call:
    """What to ask: a path below /almaws/v1, its segments and query still unquoted."""

    method: str
    segments: tuple[str, ...]
    query: Mapping[str, str]
    content: bytes | None = None
    content_type: str = ""

    @property
    def target(self) -> str:
        """Path and query, quoted: an id is one segment, whatever characters it has."""
        path = ROOT + "".join(f"/{quote(segment, safe='')}" for segment in self.segments)
        return f"{path}?{urlencode(self.query)}" if self.query else path

    def with_query(self, **more: str) -> Call:
        return replace(self, query={**self.query, **more})

    @property
    def private(self) -> tuple[str, ...]:
        """Values that Alma may echo in an error message."""
        told: Iterable[str] = ()
        if self.content is not None and self.content_type == JSON:
            told = _strings(json.loads(self.content))
        ids = (segment for segment in self.segments if segment not in _WORDS)
        return (*ids, *self.query.values(), *told)

    @property
    def endpoint(self) -> str:
        """Method and path with a placeholder for each id, for metrics and reports."""
        path = (each if each in _WORDS else "{id}" for each in self.segments if each)
        return f"{self.method} {'/'.join(path)}"


@dataclass(frozen=True, slots=True)
class Answer:
    """A success, or a redirect (then `location` says where to)."""

    tree: Node | None
    location: str | None = None

    def document(self) -> Node:
        """The body as a tree; AlmaFailure (UNREADABLE) where a document was promised in vain."""
        if self.tree is None:
            raise unreadable("an empty body")
        return self.tree


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
    clock_ahead: float | None = None
    """Seconds by which Alma's clock was ahead of ours at its last answer (`Date`)."""


class Gateway:
    """The connection to one institution. Counts its calls; its valve hears how they went."""

    def __init__(
        self, connections: Connections, api_key: str, *, valve: Valve, clock: Clock
    ) -> None:
        self.tally = Tally()
        self.on_end: Callable[[CallMade], None] = _nobody_asked
        """Told of every call that was answered or given up."""
        self._connections = connections
        self._valve = valve
        self._clock = clock
        self._reads_for = Purpose.POLL
        self._write_until = math.inf
        self._headers = {
            "Authorization": f"apikey {api_key}",
            "Accept": "application/json",
            "Accept-Encoding": "gzip, deflate",
        }
        self._retrying = AsyncRetrying(
            sleep=clock.sleep,
            stop=stop_after_attempt(READ_ATTEMPTS),
            wait=wait_exponential(multiplier=0.5, max=4),
            retry=retry_if_exception(_is_worth_a_retry),
            reraise=True,
        )

    def for_effects(self) -> Gateway:
        """The same connection, for calls that effects need: they go before polls."""
        same = copy(self)
        same._reads_for = Purpose.EFFECT_READ
        return same

    def writing_until(self, deadline: float) -> Gateway:
        """The same connection; a write that would begin later (monotonic seconds) is not sent."""
        same = copy(self)
        same._write_until = deadline
        return same

    async def read(self, call: Call) -> Node:
        """The document that a GET promises; retried where a repetition may help.

        Raises AlmaFailure. Each attempt takes its own turn at the limiter.
        """
        return (await self.read_answer(call)).document()

    async def read_once(self, call: Call) -> Node:
        """As `read`, for what may as well be left: it is not repeated."""
        return (await self._attempt(call)).document()

    async def read_answer(self, call: Call) -> Answer:
        """As `read`, for answers that need not be documents (redirects)."""
        return await self._retrying(self._attempt, call)

    async def write(self, call: Call) -> Answer:
        """One attempt at a write. Raises AlmaFailure, which says whether it proves anything."""
        return await self._attempt(call)

    async def aclose(self) -> None:
        await self._connections.aclose()

    async def _attempt(self, call: Call) -> Answer:
        asked_at = self._clock.monotonic()
        purpose = self._reads_for if call.method == "GET" else Purpose.EFFECT_WRITE
        permit = await self._valve.enter(purpose)
        sent_at = self._clock.monotonic()
        failed: FailureKind | None = None
        raw: Raw | None = None
        try:
            raw = await self._send(call)
            self._note_quota(raw)
            self._note_time(raw)
            answer = self._understood(call, raw)
        except AlmaFailure as failure:
            failed = failure.kind
            self.tally.failures[failed] += 1
            self.tally.answered += failed in _ALMA_SPOKE
            self._valve.failed(permit, failure, call.target, self._told_pause(raw))
            raise
        finally:
            self.tally.calls += failed is not FailureKind.NOT_SENT
            seconds = self._clock.monotonic() - sent_at
            self.on_end(CallMade(call.endpoint, failed, sent_at - asked_at, seconds))
        self.tally.answered += 1
        self._valve.answered(permit)
        return answer

    def _understood(self, call: Call, raw: Raw) -> Answer:
        location = raw.headers.get("Location")
        if 300 <= raw.status < 400 and location:
            return Answer(None, location)
        to_a_write = call.method != "GET"
        answer = Answer(of_answer(raw.status, raw.body, call.private, to_a_write=to_a_write))
        if not to_a_write:
            answer.document()
        return answer

    async def _send(self, call: Call) -> Raw:
        headers = self._headers
        if call.content is not None:
            headers = {**headers, "Content-Type": call.content_type}
        begins_by = math.inf if call.method == "GET" else self._write_until
        return await self._connections.exchange(
            Outgoing(call.method, call.target, headers, call.content, begins_by)
        )

    def _note_quota(self, raw: Raw) -> None:
        """What Alma says is left; anything but a plain number says nothing."""
        remaining = raw.headers.get("X-Exl-Api-Remaining", "")
        if remaining.isascii() and remaining.isdigit() and len(remaining) < 12:
            self.tally.remaining_today = int(remaining)
            self._valve.told_remaining(int(remaining))

    def _told_pause(self, raw: Raw | None) -> timedelta | None:
        """Alma's Retry-After: seconds, or an instant; None where it says nothing sensible."""
        told = raw.headers.get("Retry-After", "") if raw is not None else ""
        if told.isascii() and told.isdigit() and len(told) < 12:
            return timedelta(seconds=int(told))
        try:
            at = parsedate_to_datetime(told)
        except ValueError:
            return None
        return at - self._clock.now() if at.tzinfo else None

    def _note_time(self, raw: Raw) -> None:
        """The header has whole seconds: on average half a second has passed since its own."""
        try:
            told = parsedate_to_datetime(raw.headers.get("Date", ""))
        except ValueError:
            return
        if told.tzinfo is not None:
            self.tally.clock_ahead = (told - self._clock.now()).total_seconds() + 0.5


def _nobody_asked(_: CallMade) -> None:
    """Nobody wants to know of calls that have ended."""


def _strings(tree: Any) -> Iterator[str]:
    """Every text of a JSON body but Alma's own short code words."""
    if isinstance(tree, str):
        if not tree.isupper():
            yield tree
    elif isinstance(tree, dict):
        for value in tree.values():
            yield from _strings(value)
    elif isinstance(tree, list):
        for value in tree:
            yield from _strings(value)


def _is_worth_a_retry(error: BaseException) -> bool:
    return isinstance(error, AlmaFailure) and error.kind in WORTH_A_RETRY
