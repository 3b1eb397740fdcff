"""What a fact says: it holds, waits for something, or does not hold; and the words for each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from reconciler.core.model import Evidence, Read, ReadKind
from reconciler.core.status import ItemState, Resource
from reconciler.core.view.leg_view import LegView
from reconciler.core.view.look import View

LOANED = ItemState.LOANED
ITEM, REQUEST, LOAN = Resource.ITEM, Resource.REQUEST, Resource.LOAN


class Verdict(StrEnum):
    HOLDS = "holds"
    WAITS = "waits"
    NO = "no"


@dataclass(frozen=True, slots=True)
class Finding:
    """Whether a fact holds, why, on which words, and which further reads could settle it."""

    verdict: Verdict
    because: str
    evidence: tuple[Evidence, ...] = ()
    needs: tuple[Read, ...] = ()
    look_again_in: timedelta | None = None
    """Set where a second look, this much later, is what is waited for."""

    @property
    def holds(self) -> bool:
        return self.verdict is Verdict.HOLDS


Fact = Callable[[View], Finding]
"""What a row of the table stands on: a function of one look."""

AT_REST = frozenset({ItemState.IN_PLACE, ItemState.TRANSIT})

GONE_ASTRAY = frozenset({ItemState.LOST, ItemState.CLAIMED_RETURNED, ItemState.ABSENT})
"""Nobody knows where such a book is: a loan that ended beside it ended on paper."""


ON_ITS_SHELF = frozenset({ItemState.IN_PLACE, ItemState.REQUESTED})
"""What an item shows that nobody has touched: also a book that left without having been scanned."""

SERVES_OTHERS = frozenset({ItemState.ON_HOLD_SHELF, ItemState.LOANED})


AT_HOME = ON_ITS_SHELF | SERVES_OTHERS | {ItemState.TRANSIT, ItemState.UNAVAILABLE}


def holds(because: str, evidence: tuple[Evidence, ...]) -> Finding:
    return Finding(Verdict.HOLDS, because, evidence)


def no(because: str, evidence: tuple[Evidence, ...] = ()) -> Finding:
    return Finding(Verdict.NO, because, evidence)


def cannot_say(side: LegView, kind: ReadKind, evidence: tuple[Evidence, ...] = ()) -> Finding:
    """Waiting for one read; asked for only if it was not already tried in this look."""
    tried = side.seen.of(kind).was_asked
    needs = () if tried or side.is_external else (Read(side.role, kind),)
    return Finding(Verdict.WAITS, side.why_unknown(kind), evidence, needs)


def hold_unclear(side: LegView, evidence: tuple[Evidence, ...] = ()) -> Finding:
    """Waiting to know whether our hold stands."""
    return cannot_say(side, side.missing_hold_read, evidence)


def loan_unclear(side: LegView, evidence: tuple[Evidence, ...] = ()) -> Finding:
    """Waiting to know whether our user has the item on loan.

    Of an item that shows no loan "no" is expected, which takes all of the reads: they are asked
    for together.
    """
    missing = side.missing_loan_reads
    if not missing:
        return Finding(Verdict.WAITS, f"the {side.role}'s loan is {side.loan_state}", evidence)
    return cannot_say_any(side, missing if side.item_state is not LOANED else missing[:1], evidence)


def cannot_say_any(
    side: LegView, kinds: tuple[ReadKind, ...], evidence: tuple[Evidence, ...]
) -> Finding:
    """Waiting for several reads; the first of them that is wanting gives the reason."""
    found = [cannot_say(side, kind, evidence) for kind in kinds]
    needs = tuple(read for each in found for read in each.needs)
    return replace(found[0], needs=needs)


NO_PICKUP_SIDE = no("no library is known where the reader collects the book")
