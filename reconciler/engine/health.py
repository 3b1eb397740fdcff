"""Whether this process can do its work: named checks for /readyz, told once when they change.

A library in trouble is listed and never makes the service unready: the others go on.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from loguru import logger

from reconciler.core.model import HostLmsCode
from reconciler.ports.clock import Clock


class CheckName(StrEnum):
    DATABASE = "db"
    SCHEMA = "schema"
    LEASE = "lease"
    CONFIG = "config"


class DaemonRole(StrEnum):
    ACTIVE = "active"
    """At least one library is looked after here."""
    STANDBY = "standby"
    """Others look after every library; this process takes over when one of them ends."""


@dataclass(frozen=True, slots=True)
class Check:
    """`ok` is None until it was looked at for the first time: unknown is not well."""

    name: CheckName
    ok: bool | None
    why: str
    since: datetime


class Health:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        now = clock.now()
        self._checks = {name: Check(name, None, "not looked at yet", now) for name in CheckName}
        self.role = DaemonRole.STANDBY
        self.troubles: dict[HostLmsCode, str] = {}
        """Libraries in trouble and why; listed, never red."""

    def well(self, name: CheckName, why: str = "") -> bool:
        """The check holds; whether that is news."""
        return self._set(Check(name, True, why, self._clock.now()))

    def ill(self, name: CheckName, why: str) -> bool:
        """The check fails, and why in words for the operator; whether that is news."""
        return self._set(Check(name, False, why, self._clock.now()))

    def check(self, name: CheckName) -> Check:
        return self._checks[name]

    @property
    def checks(self) -> tuple[Check, ...]:
        """All of them, in a fixed order."""
        return tuple(self._checks[name] for name in CheckName)

    @property
    def is_ready(self) -> bool:
        """What /readyz answers; standing by is ready."""
        return all(check.ok for check in self._checks.values())

    def _set(self, check: Check) -> bool:
        """Loud once for each change, quiet while it stays; a new reason is a change."""
        before = self._checks[check.name]
        if (before.ok, before.why) == (check.ok, check.why):
            return False
        self._checks[check.name] = check
        told = logger.bind(check=check.name.value, detail=check.why)
        if not check.ok:
            told.error("not ready")
        elif before.ok is False:
            told.info("ready again")
        return True
