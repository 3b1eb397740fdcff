"""Libraries, desks, locations, code tables and terms of use of one institution (alma-api.md 7)."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class CircDesk:
    code: str
    name: str
    has_hold_shelf: bool = True
    hold_shelf_processing: bool = False


@dataclass(slots=True)
class Location:
    """`desks` that lend and take back; empty means every desk of the library.

    `pickups` limits the libraries that a hold on its items may name; None means any.
    `reshelving_seconds`: how long a returned item shows `awaiting_reshelving`.
    """

    code: str
    name: str
    suppressed: bool = False
    type: str = "OPEN"
    fulfillment_unit: str = "General"
    desks: tuple[str, ...] = ()
    pickups: frozenset[str] | None = None
    reshelving_seconds: float = 0.0


@dataclass(slots=True)
class Library:
    """`resource_sharing` marks an ILL library: never a pickup place (alma-api.md 3.6)."""

    code: str
    id: str
    name: str
    resource_sharing: bool = False
    desks: dict[str, CircDesk] = field(default_factory=dict)
    locations: dict[str, Location] = field(default_factory=dict)

    def desk_for_holds(self) -> str:
        """The desk a hold for this library is kept at: the first with a hold shelf."""
        for desk in self.desks.values():
            if desk.has_hold_shelf:
                return desk.code
        return next(iter(self.desks), "")


@dataclass(slots=True)
class CodeTable:
    name: str
    rows: dict[str, str] = field(default_factory=dict)
    disabled: set[str] = field(default_factory=set)

    def legal(self, code: str) -> bool:
        return code in self.rows and code not in self.disabled


@dataclass(slots=True)
class GroupTerms:
    """What a user group may do. `renewals` None means without limit."""

    may_request: bool = True
    may_borrow: bool = True
    loan_days: int = 28
    loan_limit: int | None = None
    renewals: int | None = None


@dataclass(slots=True)
class ItemTerms:
    """What an item policy allows."""

    loanable: bool = True
    requestable: bool = True
    renewable: bool = True
