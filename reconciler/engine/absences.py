"""Much that suddenly is not found says more about a library than about its books.

A key that lost a right, a maintenance page, a purge: answers that look like absence, for many
transactions at once. Where they are many, the library is frozen before anything is concluded
(reliability.md P23).
"""

from __future__ import annotations

from collections import defaultdict, deque
from collections.abc import Iterator
from datetime import datetime, timedelta

from reconciler.core.model import HostLmsCode, Leg, LegObservation, Observation, Transaction
from reconciler.core.status import ItemState, LoanState, RequestState
from reconciler.core.view import LIVE_REQUEST

WINDOW = timedelta(minutes=15)
AT_LEAST = 10
SHARE = 0.3
"""So many looks, and so large a share of those of the window, that lost something."""


class _Looks:
    """The looks of the window at one library; how many of them lost something is kept count of."""

    def __init__(self) -> None:
        self._looks: deque[tuple[datetime, bool]] = deque()
        self.lost = 0

    def __len__(self) -> int:
        return len(self._looks)

    def add(self, at: datetime, lost: bool) -> None:
        self._looks.append((at, lost))
        self.lost += lost
        while at - self._looks[0][0] > WINDOW:
            self.lost -= self._looks.popleft()[1]


class AbsenceWatch:
    """Counts, for each library, the looks of late that lost something."""

    def __init__(self) -> None:
        self._at: dict[HostLmsCode, _Looks] = defaultdict(_Looks)

    def note(
        self, transaction: Transaction, observation: Observation, now: datetime
    ) -> Iterator[tuple[HostLmsCode, str]]:
        """Take a look into account; the libraries that it shows to be in trouble, and why."""
        for leg in transaction.legs:
            seen = observation.leg(leg.role)
            if not (seen.item.value or seen.request.value or seen.loan.value):
                continue
            looks = self._at[leg.host_lms]
            looks.add(now, has_vanished(leg, seen))
            if looks.lost >= AT_LEAST and looks.lost > SHARE * len(looks):
                yield leg.host_lms, f"{looks.lost} of {len(looks)} looks found less than before"
                del self._at[leg.host_lms]


def is_found(leg: Leg, seen: LegObservation) -> bool:
    """Whether this look found the item of a leg, and all that an earlier one had found."""
    item = seen.item.value
    there = item is not None and item.state is not ItemState.ABSENT
    return there and not has_vanished(leg, seen)


def has_vanished(leg: Leg, seen: LegObservation) -> bool:
    """Whether this look did not find what an earlier one had found, with no move that explains it.

    A request and a loan end in the ordinary way when the item moves; only one that is gone while
    the item stands where it stood is missing.
    """
    item = seen.item.value
    if item is not None and item.state is ItemState.ABSENT:
        return leg.item.state not in (None, ItemState.ABSENT)
    if item is None or item.state != leg.item.state:
        return False
    request, loan = seen.request.value, seen.loan.value
    request_gone = (
        request is not None
        and request.state is RequestState.CLOSED
        and request.request_id is None
        and leg.request.state in LIVE_REQUEST
    )
    loan_gone = (
        loan is not None and loan.state is LoanState.ABSENT and leg.loan.state == LoanState.ACTIVE
    )
    return request_gone or loan_gone
