"""Who looks after which library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from reconciler.core.model import HostLmsCode


@dataclass(frozen=True, slots=True)
class Owner:
    """Who holds claims: unique to one process; `claimed_until` bounds what its death costs."""

    name: str


@dataclass(frozen=True, slots=True)
class Lease:
    """Who looks after a library: `owner`, or nobody. `term` is raised by every taking, `beat` by
    whatever happens to the lease; `renewed_at` (wall) is for people."""

    tenant: HostLmsCode
    owner: Owner | None
    term: int
    beat: int
    renewed_at: datetime


@dataclass(frozen=True, slots=True)
class Presence:
    """A daemon that takes its share of the libraries, or would."""

    owner: Owner
    beat: int


class Leases(Protocol):
    """The leases on libraries. Synchronous, as `Store`; raises StoreUnavailable."""

    @property
    def is_shared(self) -> bool:
        """Whether several machines can work on this database at once."""

    def all(self, tenants: Sequence[HostLmsCode], now: datetime) -> list[Lease]:
        """The leases on these libraries; one that was never taken is there, and free."""

    def take(self, seen: Sequence[Lease], owner: Owner, now: datetime) -> list[Lease]:
        """Take those that still are as they were seen, and free what their last owners had
        claimed; the ones taken."""

    def renew(self, owner: Owner, now: datetime) -> list[Lease]:
        """Renew every lease of an owner; those that are still its own."""

    def release(self, owner: Owner, tenants: Sequence[HostLmsCode], now: datetime) -> None:
        """Give leases up, with every claim that their owner still has there."""

    def attend(self, owner: Owner, now: datetime) -> None:
        """Say that this daemon is here."""

    def present(self) -> list[Presence]:
        """The daemons that have said so, and not yet goodbye."""

    def leave(self, owner: Owner) -> None:
        """Forget a daemon: it said goodbye, or it is dead."""
