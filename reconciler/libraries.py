"""The libraries' Almas as the App reaches them: a gateway with its key and valve for each.

What speaks HTTP is imported when the first library is called: commands that call none start
faster without it.
"""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING

from reconciler import logs
from reconciler.core.model import HostLmsCode
from reconciler.errors import SettingsError
from reconciler.ports.alma import AlmaReader, AlmaWriter
from reconciler.ports.clock import Clock
from reconciler.ports.quotas import SharedQuota
from reconciler.ports.survey import AlmaSurveyor, CallMade, InstitutionTally
from reconciler.settings import Settings

if TYPE_CHECKING:
    import httpx

    from reconciler.alma.gateway import Gateway, Tally
    from reconciler.alma.valves import Valves


@dataclass
class Libraries:
    settings: Settings
    clock: Clock
    environ: Mapping[str, str]
    transports: Mapping[str, httpx.AsyncBaseTransport]
    shared: SharedQuota | None
    """Where processes share each library's quota; None where nothing may be kept."""
    on_call: Callable[[HostLmsCode, CallMade], None]
    """Told of every call that was answered or given up."""

    _gateways: dict[HostLmsCode, Gateway] = field(default_factory=dict)

    def reader(self, code: HostLmsCode) -> AlmaReader:
        """The reader of one Alma, for looks."""
        from reconciler.alma.reader import Reader

        return Reader(self._gateway(code))

    def urgent_reader(self, code: HostLmsCode) -> AlmaReader:
        """The same for what somebody waits for: it goes before polls and below the reserve."""
        from reconciler.alma.reader import Reader

        return Reader(self._gateway(code).for_effects())

    def writer(self, code: HostLmsCode) -> AlmaWriter:
        """What acts on one Alma. For a library that only observes there is none.

        Raises SettingsError then: nothing may ask for it.
        """
        from reconciler.alma.writer import Writer

        if self.settings.alma_hosts()[code].mode != "act":
            raise SettingsError(f"host_lms.{code} is in mode observe: it is not acted on")
        return Writer(self._gateway(code).for_effects())

    def surveyor(self, code: HostLmsCode) -> AlmaSurveyor:
        """How one Alma is set up; a person who asks is answered below the daily reserve too.

        Raises SettingsError when its key cannot be found.
        """
        from reconciler.alma.surveyor import Surveyor

        return Surveyor(self._gateway(code).for_effects())

    @cached_property
    def gates(self) -> Valves:
        """What each call has to pass. Where nothing may be kept, its rate is halved: other
        processes do not know of it."""
        from reconciler.alma.valve import Valve
        from reconciler.alma.valves import Valves

        share = 1.0 if self.shared else 0.5
        return Valves(
            {
                code: Valve(
                    host.terms(code), host.calls_per_second * share, self.clock, self.shared
                )
                for code, host in self.settings.alma_hosts().items()
            }
        )

    # --- keys ----------------------------------------------------------------

    def key(self, code: HostLmsCode) -> str:
        """Raises SettingsError when it cannot be found."""
        try:
            key = self.settings.alma_hosts()[code].api_key.resolve(self.environ)
        except SettingsError as error:
            raise SettingsError(f"host_lms.{code}.api_key: {error}") from None
        logs.keep_secret(key)
        return key

    def check_keys(self) -> None:
        """Raises SettingsError when the key of an Alma cannot be found."""
        for code in self.settings.alma_hosts():
            self.key(code)

    # --- what they said ------------------------------------------------------

    @property
    def tallies(self) -> dict[HostLmsCode, Tally]:
        """What became of the calls to each Alma that was called."""
        return {code: gateway.tally for code, gateway in self._gateways.items()}

    @property
    def institution_tallies(self) -> dict[HostLmsCode, InstitutionTally]:
        """What each Alma that was called said of itself."""
        hosts = self.settings.alma_hosts()
        return {
            code: InstitutionTally(
                hosts[code].daily_reserve, tally.remaining_today, tally.clock_ahead
            )
            for code, tally in self.tallies.items()
        }

    async def aclose(self) -> None:
        """Close the connections; calls under way are waited for."""
        await asyncio.gather(*(gateway.aclose() for gateway in self._gateways.values()))
        if "gates" in vars(self):
            await self.gates.aclose()

    # --- one library's gateway -------------------------------------------------

    def _gateway(self, code: HostLmsCode) -> Gateway:
        if code not in self._gateways:
            self._gateways[code] = self._new_gateway(code)
        return self._gateways[code]

    def _new_gateway(self, code: HostLmsCode) -> Gateway:
        from reconciler.alma.connections import Connections, Timeouts
        from reconciler.alma.gateway import ROOT, Gateway

        host, http = self.settings.alma_hosts()[code], self.settings.http
        connections = Connections(
            host.base_url.rstrip("/").removesuffix(ROOT),
            clock=self.clock,
            timeouts=Timeouts(
                http.connect_timeout.total_seconds(),
                http.read_timeout.total_seconds(),
                http.write_read_timeout.total_seconds(),
            ),
            transport=self.transports.get(code),
            tls=self._tls if host.base_url.startswith("https") else None,
        )
        gateway = Gateway(connections, self.key(code), valve=self.gates[code], clock=self.clock)
        gateway.on_end = partial(self.on_call, code)
        return gateway

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """One for all: loading the certificates takes 20 ms."""
        return ssl.create_default_context()
