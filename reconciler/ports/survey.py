"""What `doctor` sees of libraries, of the database and of secrets."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from reconciler.core.model import HostLmsCode, LibraryCode
from reconciler.core.status import EffectKind
from reconciler.errors import FailureKind


@dataclass(frozen=True, slots=True)
class CallMade:
    """One call to Alma that was answered or given up. `endpoint` holds no id. Seconds."""

    endpoint: str
    failure: FailureKind | None
    waited: float
    """For its turn under the limit."""
    seconds: float


@dataclass(frozen=True, slots=True)
class InstitutionTally:
    """What one Alma said of itself; None where it has not."""

    daily_reserve: int
    remaining_today: int | None
    clock_ahead: float | None


class KeyArea(StrEnum):
    """The areas of an API key that this service needs (alma-api.md §1.1)."""

    USERS = "Users"
    BIBS = "Bibs"
    CONFIGURATION = "Configuration"


@dataclass(frozen=True, slots=True)
class LibrarySight:
    code: LibraryCode
    is_resource_sharing: bool | None
    """None where Alma does not say."""


@dataclass(frozen=True, slots=True)
class InstitutionSight:
    """Whose Alma a key opens; `environment` is Alma's own word (PRODUCTION, SANDBOX)."""

    code: str | None
    name: str | None
    environment: str | None


class AlmaSurveyor(Protocol):
    """How one Alma is set up, for `doctor`: GETs only. Every method raises `AlmaFailure`."""

    @property
    def remaining_today(self) -> int | None:
        """Calls left for the whole institution, as Alma last said; None if it never did."""

    @property
    def clock_ahead(self) -> float | None:
        """Seconds by which Alma's clock is ahead of ours; None if no answer told its time."""

    async def probe(self, area: KeyArea) -> None:
        """Whether the key may read an area: it may if this returns."""

    async def institution(self) -> InstitutionSight: ...

    async def libraries(self) -> tuple[LibrarySight, ...]: ...

    async def locations(self, library: str) -> Mapping[str, bool | None]:
        """The codes of its locations, and whether each is suppressed; None where Alma is silent."""

    async def desks(self, library: str) -> tuple[str, ...]: ...

    async def codes(self, table: str) -> Mapping[str, bool]:
        """The codes of a code table, and whether each is enabled."""


@dataclass(frozen=True, slots=True)
class DatabaseSight:
    """What `doctor` sees of our database; nothing of it is made by looking."""

    shown: str
    """The URL without its password."""
    problem: str | None = None
    """Why it cannot be reached or read."""
    is_new: bool = False
    missing_migrations: int = 0
    schema_problem: str | None = None
    folder: str | None = None
    """Of an SQLite file."""
    filesystem: str | None = None
    """The kind of the folder's file system; None where that cannot be told."""
    open_to_others: tuple[str, ...] = ()
    """The files of an SQLite database that anybody on this machine may read."""
    written: Mapping[HostLmsCode, frozenset[EffectKind]] | None = None
    """The kinds of effects that were sent and done, by library; None when not readable."""
    pickups: Mapping[HostLmsCode, frozenset[LibraryCode]] | None = None
    """Where the lends that are not sent yet are to be collected; None when not readable."""


@dataclass(frozen=True, slots=True)
class SecretSight:
    """A secret of the settings: its key there, and why it cannot be used."""

    key: str
    problem: str | None = None
