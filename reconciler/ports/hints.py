"""What was glanced of bibs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from reconciler.core.library.bulk import Glanced, Trust, Watch
from reconciler.core.model import HostLmsCode
from reconciler.core.status import DcbStatus


@dataclass(frozen=True, slots=True)
class Swept:
    """What one sweep of a library found at an instant; `trusts` are those that changed."""

    tenant: HostLmsCode
    at: datetime
    glanced: tuple[Glanced, ...]
    trusts: Mapping[DcbStatus, Trust]


class Hints(Protocol):
    """What was glanced of bibs, and how far that can be trusted. Synchronous, like the store."""

    def begin(self, tenant: HostLmsCode, now: datetime, next_at: datetime) -> datetime | None:
        """Take the library's sweep that is due, and set its next; None where it was taken, else
        when one is due."""

    def leave_alone(self, tenant: HostLmsCode, until: datetime) -> None:
        """No sweep of this library before then."""

    def trusts(self, tenant: HostLmsCode) -> dict[DcbStatus, Trust]:
        """How hints have proved there, by the status that they end."""

    def watches(
        self, tenant: HostLmsCode, queues: Sequence[HostLmsCode], now: datetime
    ) -> list[Watch]:
        """The parts that wait at this library, of lends in these queues that are due soonest, and
        those that waited when they were glanced at; as quick as these are few."""

    def record(self, swept: Swept) -> int:
        """Write what a sweep found; how many lends it made due. One that is claimed or has moved
        on meanwhile is left for the next sweep."""
