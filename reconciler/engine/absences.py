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


class AbsenceWatch:
    """Counts, for each library, the looks of late that lost something."""

    def __init__(self) -> None:
        self._looks: dict[HostLmsCode, deque[tuple[datetime, bool]]] = defaultdict(deque)

    def note(
        self, transaction: Transaction, observation: Observation, now: datetime
    ) -> Iterator[tuple[HostLmsCode, str]]:
        """Take a look into account; the libraries that it shows to be in trouble, and why."""
        for leg in transaction.legs:
            seen = observation.leg(leg.role)
            if not (seen.item.value or seen.request.value or seen.loan.value):
                continue
            looks = self._looks[leg.host_lms]
            looks.append((now, has_vanished(leg, seen)))
            while now - looks[0][0] > WINDOW:
                looks.popleft()
            lost = sum(vanished for _, vanished in looks)
            if lost >= AT_LEAST and lost > SHARE * len(looks):
                yield leg.host_lms, f"{lost} of {len(looks)} looks found less than before"
                looks.clear()


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
