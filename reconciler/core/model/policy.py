"""The settings that a decision depends on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta

from reconciler.core.library.hours import Hours
from reconciler.core.model.ids import (
    HostLmsCode,
)
from reconciler.core.model.transaction import Leg
from reconciler.core.status import (
    DcbStatus,
)


@dataclass(frozen=True, slots=True)
class HostPolicy:
    """What the core has to know of one library system."""

    is_external: bool
    acts: bool
    """False in `observe` mode: effects are recorded and shown, never carried out."""
    settle: timedelta
    loans_kept: timedelta
    """How long a loan that is over can still be read with its reader (alma-api.md §1.6)."""
    hours: Hours | None = None
    """When its desks are open; None where that is not known."""


@dataclass(frozen=True, slots=True)
class Policy:
    """The settings that a decision depends on."""

    hosts: Mapping[HostLmsCode, HostPolicy]
    intervals: Mapping[DcbStatus, timedelta]

    def is_external(self, leg: Leg) -> bool:
        return self.hosts[leg.host_lms].is_external

    def acts_at(self, code: HostLmsCode) -> bool:
        """Whether a library is acted on; one that the settings do not know any more is not."""
        host = self.hosts.get(code)
        return host is not None and host.acts

    def settle(self, leg: Leg) -> timedelta:
        return self.hosts[leg.host_lms].settle

    def loans_kept(self, leg: Leg) -> timedelta:
        return self.hosts[leg.host_lms].loans_kept
