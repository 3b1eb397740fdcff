"""What stands between the service and the Almas: calls that fail in every known way, and death.

The Almas answer in process. A call that the sandbox drops, or leaves unanswered, is the error
that httpx would have raised; a call that hangs takes as long as the caller is willing to wait.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from typing import Any

import httpx

from reconciler.sandbox import Dropped, Fault, Sandbox
from tests.journeys.chance import Chance
from tests.support.clock import FakeClock

_READ: dict[str, dict[str, Any]] = {
    "500": {"kind": "json_500"},
    "502 HTML": {"kind": "html_502"},
    "200 HTML": {"kind": "html_200"},
    "empty 200": {"kind": "empty_200"},
    "truncated": {"kind": "truncated"},
    "time-out": {"kind": "hang"},
    "reset": {"kind": "reset"},
    "429": {"kind": "per_second"},
    "429 HTML": {"kind": "html_429"},
    "401 HTML": {"kind": "html_401"},
}
_WRITE: dict[str, dict[str, Any]] = {
    "done, time-out": {"kind": "hang", "when": "after"},
    "done, reset": {"kind": "reset", "when": "after"},
    "done, 500": {"kind": "json_500", "when": "after"},
    "done, 200 HTML": {"kind": "html_200", "when": "after"},
    "done, truncated": {"kind": "truncated"},
    "done, general error": {"kind": "error", "when": "after"},
    "not done, time-out": {"kind": "hang"},
    "not done, 500": {"kind": "json_500"},
    "not done, reset": {"kind": "reset"},
    "429": {"kind": "per_second"},
    "503": {"kind": "empty_503"},
}


class Weather:
    """Draws a fault for some calls (it stands in the sandbox's list of faults), counts them."""

    def __init__(self, chance: Chance, *, read: float, write: float) -> None:
        self._chance = chance
        self.read, self.write = read, write
        self.unreachable = 0.0
        self.met: Counter[str] = Counter()
        self.ambiguous: list[str] = []
        """The addresses of writes whose caller could not know what became of them."""

    def clear_up(self) -> None:
        self.read = self.write = self.unreachable = 0.0

    def take(self, _institution: str, method: str, address: str) -> Fault | None:
        """As `FaultList.take`: the fault that befalls this call, if any."""
        reading = method == "GET"
        if not self._chance.odds(self.read if reading else self.write):
            return None
        name = self._chance.one_of([*(_READ if reading else _WRITE)])
        self.met[f"{'read' if reading else 'write'}: {name}"] += 1
        if not reading and name != "429":
            self.ambiguous.append(address)
        return Fault(**(_READ if reading else _WRITE)[name])

    def is_cut_off(self) -> bool:
        """Whether the network does not even let this call out."""
        cut = self.unreachable > 0 and self._chance.odds(self.unreachable)
        self.met["refused connect"] += cut
        return cut


class TenantWeather(Weather):
    """One institution's; `everywhere` befalls every call."""

    everywhere: Fault | None = None

    def take(self, institution: str, method: str, address: str) -> Fault | None:
        if self.everywhere is None:
            return super().take(institution, method, address)
        self.met[self.everywhere.name] += 1
        return self.everywhere


class Weathers:
    """As the sandbox's list of faults: to each institution its own weather."""

    def __init__(self, weathers: dict[str, TenantWeather]) -> None:
        self._weathers = weathers

    def take(self, institution: str, method: str, address: str) -> Fault | None:
        return self._weathers[institution].take(institution, method, address)


class Death:
    """When the process dies: at its n-th call from now, before it is sent or after it is done."""

    def __init__(self) -> None:
        self.at_call: int | None = None
        self.after = False
        self.came = asyncio.Event()

    def strikes(self) -> bool:
        if self.at_call is None:
            return False
        self.at_call -= 1
        return self.at_call <= 0

    async def take(self) -> None:
        """Nothing of this process moves any more."""
        self.came.set()
        await asyncio.Future()


class Line(httpx.AsyncBaseTransport):
    """One process's line to the Almas."""

    def __init__(self, sandbox: Sandbox, weather: Weather, death: Death, clock: FakeClock) -> None:
        self._almas = httpx.ASGITransport(sandbox.app)
        self._weather, self._death, self._clock = weather, death, clock

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        dies = self._death.strikes()
        if (dies and not self._death.after) or self._death.came.is_set():
            await self._death.take()
        if self._weather.is_cut_off():
            raise httpx.ConnectError("refused")
        try:
            response = await self._almas.handle_async_request(request)
        except TimeoutError:
            patience = request.extensions["timeout"]["read"]
            await self._clock.sleep(patience)
            raise httpx.ReadTimeout("no answer") from None
        except Dropped:
            raise httpx.RemoteProtocolError("dropped") from None
        if dies:
            await self._death.take()
        return response
