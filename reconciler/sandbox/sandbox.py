"""Several institutions behind one gateway, as a plain ASGI application."""

from __future__ import annotations

from threading import RLock

from reconciler.clock import SystemClock
from reconciler.sandbox.acts.log import ActLog
from reconciler.sandbox.clocks import Clock
from reconciler.sandbox.http.calls import CallLog
from reconciler.sandbox.http.channel import Channel, Sleep
from reconciler.sandbox.http.control import control
from reconciler.sandbox.http.exchange import Receive, Scope, Send, read_exchange
from reconciler.sandbox.http.faults import FaultList
from reconciler.sandbox.http.gateway import ROOT, Gateway
from reconciler.sandbox.http.wire import not_found_reply
from reconciler.sandbox.institution import Institution
from reconciler.sandbox.tenant import Tenant


class Sandbox:
    """`app` is the ASGI application; `calls`, `acts` and `faults` are for tests.

    `clock` gives Alma's time; `sleep` is how faults and latency wait (real time by default).
    Python and HTTP may act from different threads: one lock guards the world.
    """

    def __init__(self, clock: Clock | None = None, sleep: Sleep | None = None) -> None:
        self.clock: Clock = clock or SystemClock()
        self.sleep: Sleep = sleep or SystemClock().sleep
        self.lock = RLock()
        self.institutions: dict[str, Institution] = {}
        self.calls = CallLog()
        self.acts = ActLog()
        self.faults = FaultList()
        self._gateway = Gateway(self)

    def add_institution(self, code: str, key: str = "", zone: str = "UTC") -> Institution:
        """A new, empty institution; `key` (default `KEY-<code>`) gets every right."""
        suffix = f"{(6421 + 37 * len(self.institutions)) % 10_000:04d}"
        institution = Institution(code, self.clock, zone, suffix, self.lock)
        institution.acts = self.acts
        institution.grant(key or f"KEY-{code}")
        self.institutions[code] = institution
        return institution

    def __getitem__(self, code: str) -> Institution:
        return self.institutions[code]

    def tenant_of_key(self, key: str) -> Tenant | None:
        for institution in self.institutions.values():
            if key in institution.keys:
                return institution
        return None

    async def app(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            raise RuntimeError(f"the sandbox speaks HTTP only, not {scope['type']}")
        exchange = await read_exchange(scope, receive)
        if exchange.segments[:2] == ROOT:
            await self._gateway.serve(exchange, scope, receive, send)
            return
        if exchange.segments[0] == "sandbox":
            reply = control(self, exchange)
        else:
            reply = not_found_reply(as_json=exchange.wants_json)
        await Channel(scope, receive, send, ()).answer(reply)
