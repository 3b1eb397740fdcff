"""The rows of one simulated Alma, immutable so that a lagging reader can keep an older version.

Ids are strings of digits beyond 2^53, as in Alma (alma-api.md 5.1). Instants are aware UTC.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from types import MappingProxyType
from typing import Any, Final

NOT_STARTED: Final = "NOT_STARTED"
IN_PROCESS: Final = "IN_PROCESS"
ON_HOLD_SHELF: Final = "ON_HOLD_SHELF"
HISTORY: Final = "HISTORY"

PICK: Final = "Pickup From Shelf"
IN_TRANSIT: Final = "Transit Item"
SHELF_PROCESSING: Final = "Hold Shelf Processing"
ON_SHELF: Final = "On Hold Shelf"
WORK_ORDER: Final = "In Process"
ON_LOAN: Final = "Loan"

ACTIVE: Final = "ACTIVE"
COMPLETE: Final = "COMPLETE"

NOTHING: Final[Mapping[str, Any]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Identifier:
    value: str
    id_type: str
    status: str = ACTIVE
    note: str | None = None
    segment: str = "Internal"


@dataclass(frozen=True, slots=True)
class Block:
    """A block on a user; `code` is the refusal that a loan meets (alma-api.md 4.3)."""

    block_type: str
    description: str
    note: str = ""
    status: str = ACTIVE
    created_at: datetime | None = None
    code: str = "401163"


@dataclass(frozen=True, slots=True)
class User:
    """`key` never changes; `primary_id` may. `other` keeps the rest of the document as sent."""

    key: str
    primary_id: str
    first_name: str
    last_name: str
    user_group: str
    record_type: str = "PUBLIC"
    account_type: str = "INTERNAL"
    external_id: str = ""
    status: str = ACTIVE
    expiry_date: date | None = None
    identifiers: tuple[Identifier, ...] = ()
    blocks: tuple[Block, ...] = ()
    roles: tuple[str, ...] = ("200",)
    emails: tuple[str, ...] = ()
    password: str = ""
    edited_by_hand: frozenset[str] = frozenset()
    other: Mapping[str, Any] = field(default_factory=lambda: NOTHING)
    created_at: datetime | None = None

    @property
    def full_name(self) -> str:
        return f"{self.first_name} {self.last_name}".strip()

    def lookup_values(self) -> tuple[str, ...]:
        """Every value that `all_unique` matches, case folded."""
        values = [self.primary_id, *self.emails]
        values += [one.value for one in self.identifiers if one.status == ACTIVE]
        return tuple({value.casefold(): None for value in values if value})


@dataclass(frozen=True, slots=True)
class Bib:
    mms_id: str
    record: str
    title: str
    author: str | None
    suppressed: bool
    facts: Mapping[str, Any]
    created_at: datetime
    modified_at: datetime

    @property
    def system_numbers(self) -> tuple[str, ...]:
        return tuple(self.facts["network_number"])


@dataclass(frozen=True, slots=True)
class Holding:
    holding_id: str
    mms_id: str
    record: str
    library: str
    location: str
    call_number: str
    call_number_type: str
    suppressed: bool
    created_at: datetime
    modified_at: datetime


@dataclass(frozen=True, slots=True)
class Item:
    """`library`/`location` are the permanent ones; a temporary location, when set, is in force."""

    pid: str
    mms_id: str
    holding_id: str
    barcode: str
    library: str
    location: str
    material_type: str
    policy: str
    created_at: datetime
    modified_at: datetime
    availability_changed_at: datetime
    in_place: bool = True
    process: str = ""
    temp_library: str = ""
    temp_location: str = ""
    temp_policy: str = ""
    copy_id: str = ""
    bound_for: str = ""
    work_order_type: str = ""
    work_order_at: str = ""
    reshelve_until: datetime | None = None
    in_house_uses: int = 0
    texts: Mapping[str, str] = field(default_factory=lambda: NOTHING)

    @property
    def current_library(self) -> str:
        return self.temp_library if self.temp_location and self.temp_library else self.library

    @property
    def current_location(self) -> str:
        return self.temp_location or self.location

    @property
    def on_shelf(self) -> bool:
        return self.in_place and not self.process


@dataclass(frozen=True, slots=True)
class Request:
    """A hold or a work order. `item_pid` is "" until an item is bound (title-level requests)."""

    request_id: str
    task_id: str
    additional_id: str
    user_key: str
    mms_id: str
    placed_at: datetime
    status: str = NOT_STARTED
    task: str = ""
    request_type: str = "HOLD"
    sub_type: str = "PATRON_PHYSICAL"
    holding_id: str = ""
    item_pid: str = ""
    item_level: bool = True
    pickup_type: str = "LIBRARY"
    pickup_library: str = ""
    pickup_desk: str = ""
    target: str = ""
    comment: str | None = None
    description: str | None = None
    material_type: str = ""
    last_interest_date: date | None = None
    expires_on: date | None = None
    managed_library: str = ""
    managed_desk: str = ""
    closed_at: datetime | None = None
    closed_why: str = ""
    reported: bool = False
    forgotten: bool = False

    @property
    def open(self) -> bool:
        return self.status != HISTORY

    @property
    def moving(self) -> bool:
        """The bound item has left its shelf for this request."""
        return self.task in (IN_TRANSIT, SHELF_PROCESSING, ON_SHELF, ON_LOAN)


@dataclass(frozen=True, slots=True)
class Loan:
    """`user_key` is "" once anonymised (alma-api.md 1.6)."""

    loan_id: str
    user_key: str
    item_pid: str
    mms_id: str
    holding_id: str
    barcode: str
    library: str
    desk: str
    loan_date: datetime
    due_date: datetime
    status: str = ACTIVE
    process_status: str = "NORMAL"
    request_id: str = ""
    return_date: datetime | None = None
    return_library: str = ""
    return_desk: str = ""
    renewals: int = 0
    last_renew_date: datetime | None = None
    last_renew_status: tuple[str, str] | None = None

    @property
    def active(self) -> bool:
        return self.status == ACTIVE


@dataclass(frozen=True, slots=True)
class Letter:
    """A letter to a patron; `notify_user=false` on a cancellation sends none (3.7)."""

    at: datetime
    kind: str
    user_id: str
    request_id: str
