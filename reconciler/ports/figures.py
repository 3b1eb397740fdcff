"""What the reports count."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from reconciler.core.model import HostLmsCode, Pause, TransactionId
from reconciler.core.status import DcbStatus


@dataclass(frozen=True, slots=True)
class Tracked:
    """How much there is, and when anything was looked at last."""

    live: int
    total: int
    last_look_at: datetime | None


@dataclass(frozen=True, slots=True)
class Standing:
    """How many transactions of a tenant stand in a status."""

    tenant: HostLmsCode
    status: DcbStatus
    transactions: int
    parked: int
    failing: int
    """Whose last look had reads that failed."""


@dataclass(frozen=True, slots=True)
class Parking:
    """A transaction that was set before a person."""

    id: TransactionId
    at: datetime
    reason: str
    detail: str
    is_parked: bool
    """Whether it still waits."""


@dataclass(frozen=True, slots=True)
class EndedPause:
    """A pause of a library or of everything, and how it was ended."""

    pause: Pause
    ended_at: datetime
    actor: str
    reason: str
