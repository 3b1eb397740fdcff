"""One look laid beside our snapshot: what each side showed, in the words of the rules.

`Side` answers questions about one leg without knowing whether a library was read or a person
told us. Three answers are kept apart throughout: yes, no, and "cannot say" (unreadable or not
looked at), which is None.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.core.model import (
    Evidence,
    ItemSight,
    Leg,
    LegObservation,
    LoanSight,
    Observation,
    Policy,
    ReadKind,
    RequestSight,
    Seen,
    Thing,
    Transaction,
)
from reconciler.core.status import (
    ItemState,
    LoanState,
    RequestState,
    Resource,
    Role,
    ThingKind,
    pickup_side,
)

LIVE_REQUEST = frozenset({RequestState.PLACED, RequestState.ACTIVE, RequestState.ON_HOLD_SHELF})
ENDED_REQUEST = frozenset({RequestState.CLOSED, RequestState.CANCELLED})


@dataclass(frozen=True, slots=True)
class Side:
    """One leg and what this look showed of it."""

    leg: Leg
    seen: LegObservation
    is_external: bool
    settle: timedelta
    now: datetime
    loans_kept: timedelta
    """How long a loan that is over can still be read with its reader."""
    placed_on_item: bool
    """Whether our ledger says that we placed this leg's hold, on one copy."""
    placed_at: datetime
    """Before this no loan can have come of this leg's hold."""

    @property
    def role(self) -> Role:
        return self.leg.role

    @property
    def item(self) -> ItemSight | None:
        return self.seen.item.value

    @property
    def item_state(self) -> ItemState | None:
        return self.item.state if self.item else None

    @property
    def request(self) -> RequestSight | None:
        return self.seen.request.value

    @property
    def request_state(self) -> RequestState | None:
        return self.request.state if self.request else None

    @property
    def loan(self) -> LoanSight | None:
        """Our loan: active before completed before absent; None when it cannot be said."""
        active, completed = self.seen.loan.value, self.seen.completed_loan.value
        if active is not None and active.state is not LoanState.ABSENT:
            return active
        if completed is not None and completed.state is LoanState.COMPLETE:
            return completed
        return active

    @property
    def loan_state(self) -> LoanState | None:
        return self.loan.state if self.loan else None

    @property
    def request_is_live(self) -> bool | None:
        """Whether our hold still stands. An external library's stands until it says otherwise."""
        if self.request_state is None:
            return True if self.is_external else None
        if self.request_state in LIVE_REQUEST:
            return True
        return False if self.request_state in ENDED_REQUEST else None

    @property
    def hold_is_bound(self) -> bool:
        """Whether a copy is bound to our hold: Alma says so, or we placed it on one copy."""
        request = self.request
        named = request is not None and bool(request.item_pid or request.barcode)
        return named or self.placed_on_item

    @property
    def request_has_ended(self) -> bool:
        return self.request_is_live is False

    @property
    def loan_was_seen(self) -> bool:
        """Whether a loan of ours is known to have existed here."""
        return self.leg.loan_seen_at is not None or self.leg.loan_id is not None

    @property
    def item_state_confirmed(self) -> bool:
        """The same state in two looks at least `settle` apart; a person's word needs no second."""
        before = self.leg.item
        if self.is_external:
            return self.item_state is not None
        return (
            self.item_state is not None
            and before.state == self.item_state
            and before.since is not None
            and self.now - before.since >= self.settle
        )

    @property
    def request_end_confirmed(self) -> bool:
        """Whether an earlier look, at least `settle` ago, showed the request as ended too."""
        before = self.leg.request
        return (
            self.request_has_ended
            and before.state in ENDED_REQUEST
            and before.since is not None
            and self.now - before.since >= self.settle
        )

    @property
    def is_unfilled(self) -> bool:
        """Whether this look proves that our hold has not been filled and the book brought back.

        Our hold stands; or the virtual item, which serves no other lend, waits for it; or no loan
        came of it, which can be told as long as the last proof is not so old that such a loan
        would be forgotten.
        """
        item = self.item if self.role is not Role.SUPPLIER else None
        waits = item is not None and (item.requested or item.state is ItemState.ON_HOLD_SHELF)
        told = self.shows_no_loan and not self.end_is_forgotten
        return bool(self.request_is_live or waits or told)

    @property
    def shows_no_loan(self) -> bool:
        """Whether both lists were read, of loans that run and of those that are over, and no loan
        of ours stands there."""
        loans = (self.seen.loan.value, self.seen.completed_loan.value)
        return all(loan is not None and loan.state is LoanState.ABSENT for loan in loans)

    @property
    def end_is_forgotten(self) -> bool:
        """Whether our hold may have been filled, and the loan it came to been returned, so long
        ago that Alma tells nobody any more: that it shows no loan of ours proves nothing then."""
        unfilled_at = max(self.placed_at, self.leg.request.unfilled_at or self.placed_at)
        return self.now - unfilled_at > self.loans_kept

    def evidence(self, *resources: Resource) -> tuple[Evidence, ...]:
        """The words this look showed for these resources, for history and explanation."""
        found = []
        for resource in resources:
            seen: Seen[ItemSight] | Seen[RequestSight] | Seen[LoanSight]
            if resource is Resource.ITEM:
                seen = self.seen.item
            elif resource is Resource.REQUEST:
                seen = self.seen.request
            else:
                seen = (
                    self.seen.loan
                    if self.loan is self.seen.loan.value
                    else (self.seen.completed_loan)
                )
            if seen.value is not None:
                found.append(
                    Evidence(self.role, resource, seen.value.state, seen.value.raw, seen.at)
                )
        return tuple(found)

    def why_unknown(self, kind: ReadKind) -> str:
        """In words, why a thing cannot be said: it was not looked at, or could not be read."""
        seen = self.seen.of(kind)
        thing = f"the {self.role} {kind.replace('_', ' ')}"
        if seen.is_unreadable:
            return f"{thing} could not be read ({seen.reason})"
        return f"{thing} was not looked at"


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


@dataclass(frozen=True, slots=True)
class View:
    """The whole picture that one decision is made from; it does not change while deciding."""

    transaction: Transaction
    now: datetime
    policy: Policy
    observation: Observation
    sides: Mapping[Role, Side]

    @classmethod
    def of(
        cls, transaction: Transaction, observation: Observation, now: datetime, policy: Policy
    ) -> View:
        sides = {
            leg.role: Side(
                leg,
                observation.leg(leg.role),
                policy.is_external(leg),
                policy.settle(leg),
                now,
                policy.loans_kept(leg),
                any(not hold.trusted for hold in _holds_of(transaction, leg)),
                _placed_at(transaction, leg),
            )
            for leg in transaction.legs
        }
        return cls(transaction, now, policy, observation, sides)

    def side(self, role: Role) -> Side | None:
        return self.sides.get(role)

    @property
    def supplier(self) -> Side:
        return self.sides[Role.SUPPLIER]

    @property
    def pickup_side(self) -> Side | None:
        """The side where the reader collects the book; None when that library is not known."""
        return self.sides.get(pickup_side(self.transaction.workflow))
