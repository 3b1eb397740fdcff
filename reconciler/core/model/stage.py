"""What a row of `core/stages.py` holds: all that depends on a status alone."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from enum import Enum, auto

from reconciler.core.model.readings import ReadKind
from reconciler.core.status import DcbStatus, Role, Side

SideRead = tuple[Side, ReadKind]
LightRead = tuple[Side, ReadKind, int]
"""A read, and in every how many of the light polls it is made."""

Pace = tuple[tuple[timedelta, float], ...]
"""From which age on the interval is multiplied by what; ages ascend, the first is 0."""


class Closing(Enum):
    """What `close` makes of a status (`commands/close.py` says where each leads)."""

    NEVER_LEFT = auto()
    AWAY = auto()
    NEVER_COLLECTED = auto()
    ENDED = auto()


@dataclass(frozen=True, slots=True, kw_only=True)
class Live:
    """What is done about a status that is not over."""

    next_step_at: Side
    """At whose desk the next step is made."""
    interval: timedelta
    """The usual time between two polls; settings may change it (`polling.cadence`)."""
    pace: Pace
    full: tuple[SideRead, ...] = ()
    """What a full poll reads: every library that a rule of the status asks."""
    light: tuple[LightRead, ...] = ()
    """What a light poll reads: where the next step shows, and seldom the other side: where the
    reader may have cancelled, or where the lender may have marked as missing what does not arrive.
    An item that is no longer requested tells that our hold ended (alma-api.md §3.3)."""
    shown_by: tuple[Side, ...] = ()
    """On which sides a list of bibs may show what ends this wait (`library/bulk.py`). Not the
    arrival at the hold shelf: an item is unavailable there as it was on its way. Where the book has
    not left yet, the reader's cancelling shows on the other side."""
    scan_interval: timedelta = timedelta(minutes=30)
    """How often a lend is looked up in such a list: for the long wait of a loan less often."""
    too_long: timedelta
    """How long it may last before it is reported; settings may change it (`polling.too_long`).
    LOANED counts from the due date."""
    when_late: str
    """What staff do about one that is late."""
    closing: Closing


@dataclass(frozen=True, slots=True, kw_only=True)
class Stage:
    """A status, in all that depends on it alone."""

    belief: str
    to_do: str
    live: Live | None = None
    places: Role | None = None
    """Whose request is placed next."""
    lender_has: tuple[str, ...] = ()
    pickup_has: tuple[str, ...] = ()
    """The ids that the lender's leg, and those of the other side, have by then at an Alma."""
    after_detour: DcbStatus | None = None
    """What follows where the status is on no workflow's undisturbed path."""
