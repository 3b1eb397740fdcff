"""What a look showed: each answer of Alma as one read gave it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, Generic, TypeVar

from reconciler.core.model.ids import (
    Barcode,
    HoldingId,
    ItemPid,
    LibraryCode,
    LoanId,
    LocationCode,
    MmsId,
    RequestId,
    UserId,
)
from reconciler.core.status import (
    ItemState,
    LoanState,
    RequestState,
    Role,
)

T = TypeVar("T")


class SeenKind(StrEnum):
    VALUE = "value"
    UNREADABLE = "unreadable"
    NOT_OBSERVED = "not observed"


@dataclass(frozen=True, slots=True)
class Seen(Generic[T]):
    """One thing that was looked at: a value, unreadable for a reason, or not looked at.

    "Not there" is a value of each vocabulary (`ItemState.ABSENT`, `RequestState.CLOSED`,
    `LoanState.ABSENT`), given only for a not-found answer of the contract. A read that failed
    is unreadable: never a state, never a default.
    """

    kind: SeenKind
    value: T | None = None
    reason: str | None = None
    code: str | None = None
    """Alma's own error code, where it gave one."""
    at: datetime | None = None

    @classmethod
    def of(cls, value: T, at: datetime) -> Seen[T]:
        return cls(SeenKind.VALUE, value=value, at=at)

    @classmethod
    def unreadable(cls, reason: str, at: datetime, code: str | None = None) -> Seen[T]:
        return cls(SeenKind.UNREADABLE, reason=reason, code=code, at=at)

    @property
    def is_unreadable(self) -> bool:
        return self.kind is SeenKind.UNREADABLE

    @property
    def was_asked(self) -> bool:
        return self.kind is not SeenKind.NOT_OBSERVED


@dataclass(frozen=True, slots=True)
class ItemSight:
    """An item as one read showed it. `raw` is Alma's "base_status/process_type"."""

    state: ItemState
    raw: str
    mms_id: MmsId | None = None
    holding_id: HoldingId | None = None
    pid: ItemPid | None = None
    barcode: Barcode | None = None
    library: LibraryCode | None = None
    location: LocationCode | None = None
    requested: bool | None = None
    due_at: datetime | None = None
    """When the loan that it is on falls due, where Alma was asked to tell."""
    policy: str | None = None
    title: str | None = None
    notes: tuple[str, ...] = ()
    """Internal notes, where our mark stands on items that we made."""
    fulfillment_note: str | None = None
    """What Alma shows at the desk whenever the item is loaned, returned or renewed."""
    document: Mapping[str, Any] = field(default_factory=dict, repr=False, compare=False)
    """Alma's whole record, so that an update can send back what it does not know."""


@dataclass(frozen=True, slots=True)
class RequestSight:
    """A hold as one read showed it. `item_pid` is None while no copy is bound to it."""

    state: RequestState
    raw: str
    request_id: RequestId | None = None
    user_id: UserId | None = None
    mms_id: MmsId | None = None
    item_pid: ItemPid | None = None
    barcode: Barcode | None = None
    placed_at: datetime | None = None
    comment: str | None = None
    pickup_library: LibraryCode | None = None
    raw_placed_at: str | None = None
    """Alma's text of when it was placed, if it says so and it cannot be read; else None."""


@dataclass(frozen=True, slots=True)
class UserSight:
    """A user as one read showed it. `blocks` are the active ones, as Alma describes them.

    `document` is Alma's whole record, so that an update can send back what it does not know; {}
    where it came in a form that cannot be sent back.
    """

    primary_id: UserId
    identifiers: tuple[str, ...] = ()
    group: str | None = None
    is_active: bool = True
    blocks: tuple[str, ...] = ()
    expires_on: date | None = None
    document: Mapping[str, Any] = field(default_factory=dict)
    raw_expires_on: str | None = None
    """Alma's text of an expiry date that is there and cannot be read; else None."""

    def answers_to(self, identifier: str) -> bool:
        """Whether this is the user who has the identifier; Alma ignores case."""
        names = {each.casefold() for each in (self.primary_id, *self.identifiers)}
        return identifier.casefold() in names


@dataclass(frozen=True, slots=True)
class BibSight:
    """A bib record: its id, the system numbers (035) that say whose it is, and whether it is kept
    out of the catalogue that readers see; None where Alma does not tell."""

    mms_id: MmsId
    system_numbers: tuple[str, ...] = ()
    suppressed: bool | None = None


@dataclass(frozen=True, slots=True)
class BibGlance:
    """What a list of bibs shows of one: a hint where to look, never evidence.

    `availability` has Alma's own words for each holding (AVA $8, $e, $f, $g); `requests` is None
    where they are not counted.
    """

    mms_id: MmsId
    availability: tuple[tuple[str, ...], ...] = ()
    requests: int | None = None


@dataclass(frozen=True, slots=True)
class HoldingSight:
    """A holding. `mms_id` is the bib that the answer names: a merged one's holdings may be listed
    under its old id."""

    holding_id: HoldingId
    library: LibraryCode | None = None
    location: LocationCode | None = None
    mms_id: MmsId | None = None


@dataclass(frozen=True, slots=True)
class LoanSight:
    """A loan as one read showed it. `raw` is "loan_status/process_status".

    `raw_began_at`, `raw_due_at`, `raw_returned_at` are Alma's own text of a date that is there and
    cannot be read (then the date itself is None): that is not a loan without one. Else None.
    """

    state: LoanState
    raw: str
    loan_id: LoanId | None = None
    user_id: UserId | None = None
    item_pid: ItemPid | None = None
    item_barcode: Barcode | None = None
    began_at: datetime | None = None
    due_at: datetime | None = None
    returned_at: datetime | None = None
    process: str | None = None
    raw_began_at: str | None = None
    raw_due_at: str | None = None
    raw_returned_at: str | None = None


NOT_OBSERVED: Seen[Any] = Seen(SeenKind.NOT_OBSERVED)


class ReadKind(StrEnum):
    """The reads that a look can consist of; each is one field of `LegObservation`."""

    ITEM = "item"
    REQUEST = "request"
    LOAN = "loan"
    ACTIVE_LOAN = "active_loan"
    COMPLETED_LOAN = "completed_loan"
    ITEM_REQUESTS = "item_requests"


AnySeen = Seen[ItemSight] | Seen[RequestSight] | Seen[LoanSight] | Seen[tuple[RequestSight, ...]]


@dataclass(frozen=True, slots=True)
class LegObservation:
    """What one look showed of one leg.

    `loan` is our loan as it was found by its id, or among the item's active loans where no id is
    known; a record read by its id tells of that record alone. `active_loan` is our loan among the
    item's active ones, `completed_loan` among its completed ones; both are ABSENT when the list
    was read and holds none of ours. `loaned_to_other` says that the active loan is somebody
    else's. `item_requests` are the item's active requests, ours among them.
    """

    item: Seen[ItemSight] = NOT_OBSERVED
    request: Seen[RequestSight] = NOT_OBSERVED
    loan: Seen[LoanSight] = NOT_OBSERVED
    active_loan: Seen[LoanSight] = NOT_OBSERVED
    completed_loan: Seen[LoanSight] = NOT_OBSERVED
    loaned_to_other: bool = False
    item_requests: Seen[tuple[RequestSight, ...]] = NOT_OBSERVED
    user_primary_id: UserId | None = None
    """Learnt where Alma names our user otherwise than we do."""
    user_id: UserId | None = None
    """Who has our hold or loan by now, where the user that we knew is not known any more."""

    def of(self, kind: ReadKind) -> AnySeen:
        seen: AnySeen = getattr(self, kind.value)
        return seen

    @property
    def failed(self) -> bool:
        """Whether at least one read of this look failed."""
        return any(self.of(kind).is_unreadable for kind in ReadKind)


_NOTHING_SEEN = LegObservation()


@dataclass(frozen=True, slots=True)
class Observation:
    """One look at a transaction, all roles together: decided on once, as one snapshot."""

    legs: Mapping[Role, LegObservation]

    def leg(self, role: Role) -> LegObservation:
        return self.legs.get(role, _NOTHING_SEEN)


@dataclass(frozen=True, slots=True)
class Read:
    role: Role
    kind: ReadKind
