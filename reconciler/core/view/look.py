"""`View`: one look laid beside our snapshot, leg by leg."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from reconciler.core.model import (
    Leg,
    LegObservation,
    Observation,
    Policy,
    Thing,
    Transaction,
)
from reconciler.core.status import (
    Role,
    Side,
    ThingKind,
)
from reconciler.core.view.leg_view import LegView
from reconciler.core.view.ours import is_our_hold, reissued_hold


def _holds_of(transaction: Transaction, leg: Leg) -> Iterator[Thing]:
    """The ledger's rows of the hold that this leg goes by."""
    for thing in transaction.things:
        is_hold = thing.kind is ThingKind.HOLD and thing.role is leg.role
        if is_hold and thing.request_id == leg.request_id:
            yield thing


def _placed_at(transaction: Transaction, leg: Leg) -> datetime:
    """When the hold was placed, as nearly as is known; what was tracked stood when it was told."""
    placed = (leg.request_placed_at, *(hold.created_at for hold in _holds_of(transaction, leg)))
    return max((transaction.created_at, *(at for at in placed if at is not None)))


def _counts_from(transaction: Transaction, leg: Leg) -> datetime | None:
    if leg.role is not Role.SUPPLIER:
        return None
    known = (transaction.dispatched_at, leg.loan_seen_at)
    return max((at for at in known if at is not None), default=None)


def _side(
    transaction: Transaction, leg: Leg, seen: LegObservation, now: datetime, policy: Policy
) -> LegView:
    listed = seen.item_requests.value
    return LegView(
        leg,
        seen,
        policy.is_external(leg),
        policy.settle(leg),
        now,
        policy.loans_kept(leg),
        any(not hold.trusted for hold in _holds_of(transaction, leg)),
        _placed_at(transaction, leg),
        _counts_from(transaction, leg),
        reissued_hold(transaction, leg, listed or ()),
        None
        if listed is None
        else tuple(hold for hold in listed if not is_our_hold(transaction, leg, hold)),
    )


@dataclass(frozen=True, slots=True)
class View:
    """The whole picture that one decision is made from; it does not change while deciding."""

    transaction: Transaction
    now: datetime
    policy: Policy
    observation: Observation
    sides: Mapping[Role, LegView]

    @classmethod
    def of(
        cls, transaction: Transaction, observation: Observation, now: datetime, policy: Policy
    ) -> View:
        sides = {
            leg.role: _side(transaction, leg, observation.leg(leg.role), now, policy)
            for leg in transaction.legs
        }
        return cls(transaction, now, policy, observation, sides)

    def side(self, role: Role) -> LegView | None:
        return self.sides.get(role)

    @property
    def supplier(self) -> LegView:
        return self.sides[Role.SUPPLIER]

    @property
    def pickup_role(self) -> Role:
        """Whose library the reader collects the book at."""
        return Side.PICKUP.role(self.transaction.workflow)

    @property
    def pickup_side(self) -> LegView | None:
        """The side where the reader collects the book; None when that library is not known."""
        return self.sides.get(self.pickup_role)
