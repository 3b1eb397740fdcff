"""Much that suddenly is not found says more about a library than about its books.

A key that lost a right, a maintenance page, a purge: answers that look like absence, for many
transactions at once. Where they are many, the library is frozen before anything is concluded
(reliability.md P23).
"""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.core.library.breaker import TenantStanding
from reconciler.core.model import HostLmsCode, Leg, LegObservation, Observation, Transaction
from reconciler.core.status import ItemState, LoanState, RequestState, Resource
from reconciler.core.view.leg_view import LIVE_REQUEST

WINDOW = timedelta(minutes=15)
AT_LEAST = 10
SHARE = 0.3
"""So many looks, and so large a share of those of the window, that lost something."""


class _Looks:
    """The looks of the window at one library, and what each of them lost."""

    def __init__(self) -> None:
        self._looks: deque[tuple[datetime, Resource | None]] = deque()
        self._lost: Counter[Resource] = Counter()

    def __len__(self) -> int:
        return len(self._looks)

    @property
    def lost(self) -> int:
        """How many lost something."""
        return self._lost.total()

    @property
    def missing(self) -> frozenset[Resource]:
        """The kinds of what they lost."""
        return frozenset(kind for kind, number in self._lost.items() if number)

    def add(self, at: datetime, lost: Resource | None) -> None:
        self._looks.append((at, lost))
        if lost is not None:
            self._lost[lost] += 1
        while at - self._looks[0][0] > WINDOW:
            _, over = self._looks.popleft()
            if over is not None:
                self._lost[over] -= 1


@dataclass(frozen=True, slots=True)
class MassAbsence:
    """A library where much is suddenly not found."""

    host_lms: HostLmsCode
    reason: str
    missing: frozenset[Resource]


class AbsenceWatch:
    """Counts, for each library, the looks of late that lost something."""

    def __init__(self) -> None:
        self._at: dict[HostLmsCode, _Looks] = defaultdict(_Looks)

    def note(
        self, transaction: Transaction, observation: Observation, now: datetime
    ) -> Iterator[MassAbsence]:
        """Take a look into account; the libraries that it shows to be in trouble, and why."""
        for leg in transaction.legs:
            seen = observation.leg(leg.role)
            if not (seen.item.value or seen.request.value or seen.loan.value):
                continue
            looks = self._at[leg.host_lms]
            looks.add(now, lost(leg, seen))
            if looks.lost >= AT_LEAST and looks.lost > SHARE * len(looks):
                reason = f"{looks.lost} of {len(looks)} looks found less than before"
                yield MassAbsence(leg.host_lms, reason, looks.missing)
                del self._at[leg.host_lms]


def shown(seen: LegObservation) -> frozenset[Resource]:
    """The kinds of things that this look found: that one is over is told by a record, too."""
    item, request, loan = seen.item.value, seen.request.value, seen.loan.value
    there = {
        Resource.ITEM: item is not None and item.state is not ItemState.ABSENT,
        Resource.REQUEST: request is not None and request.request_id is not None,
        Resource.LOAN: loan is not None and loan.state is not LoanState.ABSENT,
    }
    return frozenset(kind for kind, is_there in there.items() if is_there)


def misses(leg: Leg, seen: LegObservation, standing: TenantStanding) -> bool:
    """Whether this look shows that what a frozen library misses is still not there: it lost
    something itself, or it did so shortly before the freeze, which remembered it as absent."""
    if lost(leg, seen) is not None:
        return True
    began_at = standing.since
    return any(
        word.since is not None and began_at is not None and word.since >= began_at - WINDOW
        for kind in standing.missing - shown(seen)
        if (word := leg.remembered(kind)).state in _ABSENT
    )


_ABSENT = (ItemState.ABSENT, RequestState.CLOSED, LoanState.ABSENT)


def lost(leg: Leg, seen: LegObservation) -> Resource | None:
    """What this look did not find although an earlier one had, with no move that explains it.

    A request and a loan end in the ordinary way when the item moves; only one that is gone while
    the item stands where it stood is missing.
    """
    item = seen.item.value
    if item is not None and item.state is ItemState.ABSENT:
        return Resource.ITEM if leg.item.state not in (None, ItemState.ABSENT) else None
    if item is None or item.state != leg.item.state:
        return None
    request, loan = seen.request.value, seen.loan.value
    request_gone = (
        request is not None
        and request.state is RequestState.CLOSED
        and request.request_id is None
        and leg.request.state in LIVE_REQUEST
    )
    if request_gone:
        return Resource.REQUEST
    loan_gone = (
        loan is not None and loan.state is LoanState.ABSENT and leg.loan.state == LoanState.ACTIVE
    )
    return Resource.LOAN if loan_gone else None
