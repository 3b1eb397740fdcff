"""What lists, figures and reports ask of our database."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from reconciler.core.model import HostLmsCode
from reconciler.core.status import DcbStatus, EffectKind, IntentState
from reconciler.ports.figures import EndedPause, Parking, Standing, Tracked
from reconciler.ports.messages import MessageState


@dataclass(frozen=True, slots=True)
class LateSince:
    """Which transactions may have stood too long: those in a status since before an instant."""

    in_status: Mapping[DcbStatus, datetime]
    due_before: datetime
    """Loans with a due date before this; the others are LOANED since before `in_status`."""


@dataclass(frozen=True, slots=True)
class Filter:
    """What `list` shows."""

    status: DcbStatus | None = None
    tenant: HostLmsCode | None = None
    parked: bool = False
    live: bool = False
    """Only what is not over yet."""
    late: LateSince | None = None
    limit: int | None = None
    """At most so many, after the first `offset`."""
    offset: int = 0


class TransactionHealth(StrEnum):
    """How a live transaction is, apart from its status; the first word that fits."""

    PAUSED = "paused"
    PARKED = "parked"
    FAILING = "failing"
    """Its last look could not read everything."""
    HEALTHY = "healthy"


@dataclass(frozen=True, slots=True)
class HealthCount:
    tenant: HostLmsCode
    status: DcbStatus
    health: TransactionHealth
    count: int


@dataclass(frozen=True, slots=True)
class Waiting:
    """How many wait, and since when the first of them."""

    count: int
    oldest_at: datetime


@dataclass(frozen=True, slots=True)
class Census:
    """What stands in the database at one moment, counted."""

    standing: tuple[HealthCount, ...]
    """Live transactions."""
    due: Mapping[HostLmsCode, Waiting]
    ambiguous: Mapping[tuple[HostLmsCode, EffectKind], int]
    outbox: Mapping[str, Waiting]
    """Pending messages, by sink."""


class Reports(Protocol):
    """What the reports count, as it stands in our database."""

    def tracked(self) -> Tracked: ...

    def standing(self) -> list[Standing]: ...

    def moves(self, since: datetime) -> dict[str, int]:
        """Transitions since then, by rule."""

    def parkings(self, since: datetime) -> list[Parking]:
        """What was parked since then, oldest first."""

    def effects(self, since: datetime) -> dict[IntentState, int]:
        """Effects by the state that they came to since then."""

    def undelivered(self) -> dict[MessageState, int]:
        """Notifications that nobody has received."""

    def pauses(self, since: datetime) -> list[EndedPause]:
        """Pauses of libraries and of everything that were ended since then."""
