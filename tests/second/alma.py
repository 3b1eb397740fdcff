"""Several institutions behind one gateway, over real sockets; the key selects which."""

from __future__ import annotations

import gzip
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import datetime
from email.utils import format_datetime
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import parse_qsl, quote, unquote
from xml.etree import ElementTree

from tests.second.calls import Asked, Calls, Route, find_route
from tests.second.dialect import Dialect
from tests.second.institution import Institution, Item
from tests.second.payloads import xml
from tests.second.refusals import Refused, envelope

ROOT = "/almaws/v1/"
JSON = "application/json;charset=UTF-8"
HTML = b"<!DOCTYPE html><html><body><h1>502 Bad Gateway</h1></body></html>"

NOT_DONE = ("429", "reset", "500", "503_empty")
TOLD = ("DAILY_THRESHOLD", "UNAUTHORIZED", "401652", "401683", "html_403")
"""Answers of their own; nothing is done."""
DONE = ("silent_done", "cut_done", "500_done", "html_done", "truncated_done", "empty_done")


@dataclass(slots=True)
class Trouble:
    """What happens to the next calls of one kind: a word of NOT_DONE or DONE."""

    kind: str
    method: str
    route: str
    times: int = 1
    happened: int = 0


@dataclass(frozen=True, slots=True)
class Answer:
    status: int
    type: str
    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class Alma:
    """The gateway. `troubles` are taken in order; `fate` may add others at random."""

    def __init__(self, now: Callable[[], datetime]) -> None:
        self.now = now
        self.lock = Lock()
        self.institutions: dict[str, Institution] = {}
        self.troubles: list[Trouble] = []
        self.fate: Callable[[Institution, str, str], str | None] = _none
        """What else happens to a call, by institution, method and route."""
        self.released = Event()
        self.url = ""

    def add(self, code: str, dialect: Dialect) -> Institution:
        here = Institution(code, f"KEY-{code}", self.now, dialect)
        self.institutions[here.key] = here
        return here

    @contextmanager
    def served(self) -> Iterator[None]:
        server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        server.daemon_threads = True
        self.url = f"http://127.0.0.1:{server.server_address[1]}"
        thread = Thread(target=server.serve_forever, args=(0.02,), daemon=True)
        thread.start()
        try:
            yield
        finally:
            self.released.set()
            server.shutdown()
            server.server_close()
            thread.join()

    def trouble_for(self, here: Institution, method: str, route: str) -> str | None:
        for each in self.troubles:
            if each.times and (each.method, each.route) == (method, route):
                each.times -= 1
                each.happened += 1
                return each.kind
        return self.fate(here, method, route)


def _none(_here: Institution, _method: str, _route: str) -> None:
    return None


def _handler(alma: Alma) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            _Conversation(self, alma, self.rfile.read(length)).hold()

        do_POST = do_PUT = do_DELETE = do_GET

        def log_message(self, *args: object) -> None:
            """Nothing on the screen of the tests."""

        def date_time_string(self, _timestamp: float | None = None) -> str:
            return format_datetime(alma.now(), usegmt=True)

    return Handler


class _Conversation:
    """One call and its answer, with whatever happens to it on the way."""

    def __init__(self, wire: BaseHTTPRequestHandler, alma: Alma, content: bytes) -> None:
        self.wire, self.alma, self.content = wire, alma, content
        path, _, query = wire.path.partition("?")
        self.path = path
        self.query = dict(parse_qsl(query, keep_blank_values=True))
        self.here: Institution | None = None

    def hold(self) -> None:
        try:
            self.here = self._institution()
            route, held = self._route()
        except Refused as refused:
            self._send(self._refusal(refused, "-"))
            return
        with self.alma.lock:
            kind = self.alma.trouble_for(self.here, self.wire.command, route.pattern)
            done = kind is None or kind.endswith("_done")
            answer = self._do(route, held) if done else None
            if not done:
                self.here.log.append((self.wire.command, route.pattern, f"({kind})"))
        self._deliver(kind, answer)

    def _institution(self) -> Institution:
        known = self.alma.institutions
        sent = self.wire.headers.get("Authorization", "")
        if "apikey" in self.query:
            next(iter(known.values())).violations.append("the key stands in a query")
        here = known.get(sent.removeprefix("apikey "))
        if here is None:
            self.here = next(iter(known.values()))
            raise Refused("UNAUTHORIZED", "API-key not defined or not configured.")
        return here

    def _route(self) -> tuple[Route, tuple[str, ...]]:
        assert self.here is not None
        parts = tuple(unquote(each) for each in self.path.removeprefix(ROOT).split("/"))
        try:
            route, held = find_route(self.wire.command, parts)
        except LookupError as error:
            self.here.violations.append(str(error))
            raise Refused("NOT_FOUND", "", 404) from None
        self._check(route)
        return route, held

    def _check(self, route: Route) -> None:
        """What the contract asks of every call."""
        assert self.here is not None
        told = self.here.violations
        name = f"{route.method} {route.pattern}"
        accepts = self.wire.headers.get("Accept", "*/*")
        if not accepts.startswith(("application/json", "application/xml")):
            told.append(f"{name} accepts {accepts}")
        if accepts.startswith("application/xml") and route.takes != "xml":
            told.append(f"{name} asks for XML")
        if extra := set(self.query) - set(route.query.split()):
            told.append(f"{name} with unknown {sorted(extra)}")
        if int(self.query.get("limit", "0")) > 100:
            told.append(f"{name} asks for more than 100")
        sent = self.wire.headers.get("Content-Type", "")
        if route.takes and not sent.startswith(f"application/{route.takes}"):
            if route.takes == "xml":
                raise Refused("60105", "JSON is not supported for this API.")
            told.append(f"{name} sends {sent or 'no type'}")

    def _do(self, route: Route, held: tuple[str, ...]) -> Answer:
        assert self.here is not None
        calls = Calls(self.here)
        try:
            body = self._body(route)
            result = route.handler(calls, Asked(held, self.query, body))
        except Refused as refused:
            return self._refusal(refused, route.pattern)
        self.here.log.append((route.method, route.pattern, "ok"))
        if isinstance(result, Item):
            return self._redirect(result, calls)
        if result is None:
            return self._removed()
        if isinstance(result, tuple):
            if self.here.dialect.bib_reply == "xml" or "xml" in self.wire.headers["Accept"]:
                return Answer(200, "application/xml;charset=UTF-8", xml(*result))
            result = result[1]
        return Answer(200, JSON, calls.says.encoded(result))

    def _removed(self) -> Answer:
        assert self.here is not None
        how = self.here.dialect.deleted
        if how == "204":
            return Answer(204, "", b"")
        return Answer(200, JSON, b"{}" if how == "200_json" else b"")

    def _body(self, route: Route) -> Any:
        if not route.takes:
            return None
        try:
            if route.takes == "xml":
                return ElementTree.fromstring(self.content)  # noqa: S314
            return json.loads(self.content)
        except (ValueError, ElementTree.ParseError):
            raise Refused("401676", "The body cannot be read.") from None

    def _refusal(self, refused: Refused, pattern: str) -> Answer:
        assert self.here is not None
        self.here.log.append((self.wire.command, pattern, refused.code))
        return Answer(*envelope(refused, self.here.dialect))

    def _redirect(self, item: Item, calls: Calls) -> Answer:
        assert self.here is not None
        how = self.here.dialect.redirect
        if how == "direct":
            return Answer(200, JSON, calls.says.encoded(calls.says.item(item)))
        ids = (item.mms_id, item.holding_id, item.pid)
        path = ROOT + "bibs/{}/holdings/{}/items/{}".format(*(quote(each, "") for each in ids))
        tail = {"with_key": f"?apikey={self.here.key}"}.get(how, "")
        host = "" if how == "relative" else self.alma.url
        return Answer(302, "text/html", b"", {"Location": host + path + tail})

    # --- on the way back --------------------------------------------------------

    def _deliver(self, kind: str | None, answer: Answer | None) -> None:
        if kind in ("reset", "cut_done"):
            return self._hang_up()
        if kind == "silent_done":
            self.alma.released.wait(5)
            return self._hang_up()
        if kind == "429":
            return self._send(self._throttled())
        if kind in ("500", "500_done"):
            refused = Refused("INTERNAL_SERVER_ERROR", "null", 500)
            return self._send(self._refusal(refused, f"({kind})"))
        if kind == "html_403":
            return self._send(Answer(403, "text/html", HTML))
        if kind in TOLD:
            status = 429 if kind == "DAILY_THRESHOLD" else 400
            return self._send(self._refusal(Refused(kind, "", status), f"({kind})"))
        if kind == "503_empty":
            return self._send(Answer(503, "", b""))
        assert answer is not None
        if kind == "html_done":
            answer = Answer(200, "text/html", HTML)
        elif kind == "empty_done":
            answer = Answer(200, JSON, b"")
        elif kind == "truncated_done":
            answer = Answer(200, JSON, answer.body[: len(answer.body) // 2] or b"{")
        return self._send(answer)

    def _throttled(self) -> Answer:
        assert self.here is not None
        headers = {"Retry-After": "1"} if self.here.dialect.retry_after else {}
        body = {"errorsExist": True, "result": None, "errorList": {"error": [
            {"errorCode": "PER_SECOND_THRESHOLD", "errorMessage": "too many"}]}}  # fmt: skip
        return Answer(429, JSON, json.dumps(body).encode(), headers)

    def _hang_up(self) -> None:
        self.wire.close_connection = True
        self.wire.connection.close()

    def _send(self, answer: Answer) -> None:
        assert self.here is not None
        wire, dialect, body = self.wire, self.here.dialect, answer.body
        wire.send_response(answer.status)
        if answer.type:
            wire.send_header("Content-Type", answer.type)
        for name, value in answer.headers.items():
            wire.send_header(name, value)
        if dialect.tells_remaining:
            wire.send_header("X-Exl-Api-Remaining", str(500_000 - len(self.here.log)))
        if dialect.gzip and body and "gzip" in wire.headers.get("Accept-Encoding", ""):
            body = gzip.compress(body)
            wire.send_header("Content-Encoding", "gzip")
        if not dialect.keep_alive:
            wire.send_header("Connection", "close")
            wire.close_connection = True
        if answer.status == 204:
            wire.end_headers()
            return
        if dialect.chunked and body:
            wire.send_header("Transfer-Encoding", "chunked")
            half = len(body) // 2 + 1
            parts = [each for each in (body[:half], body[half:]) if each]
            body = b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in parts) + b"0\r\n\r\n"
        else:
            wire.send_header("Content-Length", str(len(body)))
        wire.end_headers()
        with suppress(ConnectionError):  # the client gave up
            wire.wfile.write(body)
