"""The calls to each library, and how it stands."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Protocol

from reconciler.core.library.breaker import TenantStanding
from reconciler.core.model import HostLmsCode
from reconciler.core.status import Resource


@dataclass(frozen=True, slots=True)
class Share:
    """What one process asks of the row that all processes share for one library.

    `seconds` is the length of the slice of time that it wants for its calls alone (0: none).
    `calls` and `throttled` were made since the last time; `standing` is what it has found, None
    where it has found nothing new; `remaining` is how many calls Alma says are left today, and
    when it said so: each answer says that, and it tells nothing of what others have found.
    """

    tenant: HostLmsCode
    now: datetime
    day: date
    seconds: float = 0.0
    calls: int = 0
    throttled: int = 0
    standing: TenantStanding | None = None
    remaining: tuple[int, datetime] | None = None
    unused: tuple[datetime, datetime] | None = None
    """The end of the last slice, given back from this instant on: (from, end)."""


@dataclass(frozen=True, slots=True)
class Slice:
    """A stretch of time in which nobody else calls, and how the library stands by now."""

    starts_at: datetime
    standing: TenantStanding


@dataclass(frozen=True, slots=True)
class CallsOfDay:
    """How often we called one library on one of its days, and how often that was too often."""

    tenant: HostLmsCode
    day: date
    calls: int
    throttled: int


class Quotas(Protocol):
    """The calls to each library as all processes share them. Synchronous, like the store."""

    def share(self, ask: Share) -> Slice:
        """Take a slice, add to the day's count, say what was found; all in one transaction."""

    def standings(self) -> dict[HostLmsCode, TenantStanding]:
        """How each library that was ever called stands."""

    def calls(self, since: date) -> list[CallsOfDay]: ...

    def wake(self, tenant: HostLmsCode, now: datetime, most: int | None = None) -> int:
        """Make due what failed, or was not begun, while the library rested: all of it, or the
        `most` that would be due first. How many transactions that were."""


class SharedQuota(Protocol):
    """`Quotas` for those who must not wait for a disk."""

    async def share(self, ask: Share) -> Slice: ...

    async def wake(self, tenant: HostLmsCode, now: datetime) -> int: ...


class Gates(Protocol):
    """How each library stands, as this process knows it."""

    def standing(self, tenant: HostLmsCode) -> TenantStanding: ...

    def freeze(self, tenant: HostLmsCode, reason: str, missing: frozenset[Resource]) -> None:
        """Conclude nothing more from what this library shows, until such things are seen again."""

    def begin_probe(self, tenant: HostLmsCode) -> None:
        """A look begins that shows whether things are found again."""

    def found(self, tenant: HostLmsCode, seen: frozenset[Resource]) -> None:
        """A look has seen things of these kinds there."""

    def showed_nothing(self, tenant: HostLmsCode) -> None:
        """A look asked for nothing of what is missing there."""

    def probe_now(self, tenant: HostLmsCode, asked_at: datetime) -> None:
        """A person asked at that time: whatever rests is probed at once, once."""

    def adopt(self, standings: Mapping[HostLmsCode, TenantStanding]) -> None:
        """What other processes have found meanwhile."""
