"""`LegView`: one leg and what this look showed of it, in the words of the rules.

It answers without knowing whether a library was read or a person told us. Three answers are kept
apart throughout: yes, no, and "cannot say" (unreadable or not looked at), which is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.core.model import (
    Evidence,
    ItemSight,
    Leg,
    LegObservation,
    LoanSight,
    ReadKind,
    RequestSight,
    Seen,
    SeenKind,
)
from reconciler.core.status import (
    ItemState,
    LoanState,
    RequestState,
    Resource,
    Role,
)

WORKING_REQUEST = frozenset({RequestState.ACTIVE, RequestState.ON_HOLD_SHELF})
"""Alma works for a hold in one of these states; one that is PLACED only queues."""

LIVE_REQUEST = WORKING_REQUEST | {RequestState.PLACED}
HOLD_READ_EVERY = timedelta(days=3)
"""How long a virtual item's word for it stands in for reading the hold on it."""

SAME_DUE_DATE = timedelta(minutes=1)
"""Alma keeps due dates to the minute."""

ENDED_REQUEST = frozenset({RequestState.CLOSED, RequestState.CANCELLED})


@dataclass(frozen=True, slots=True)
class LegView:
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
    counts_from: datetime | None
    """Of the lender: when the book left, or was last known to be lent; None before."""
    reissued: RequestSight | None
    """A hold of ours among the item's active ones under an id that we do not know yet."""
    others_holds: tuple[RequestSight, ...] | None
    """The item's active holds that are not ours; None where they were not read."""

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
        """Our hold as its record shows it; one that is over may go on under a new id."""
        known = self.seen.request.value
        if known is not None and known.state in ENDED_REQUEST and self.reissued is not None:
            return self.reissued
        return known

    @property
    def request_state(self) -> RequestState | None:
        return self.request.state if self.request else None

    @property
    def loan(self) -> LoanSight | None:
        """Our loan: a running one before one that is over before none; None when not known."""
        listed, known = self.seen.active_loan.value, self.seen.loan.value
        completed = None if self.is_external else self.seen.completed_loan.value
        if listed is not None and listed.state is LoanState.ACTIVE:
            return listed
        if known is not None and known.state in (LoanState.ACTIVE, LoanState.COMPLETE):
            return known
        if completed is not None and completed.state is LoanState.COMPLETE:
            return completed
        return known or listed

    @property
    def loan_state(self) -> LoanState | None:
        return self.loan.state if self.loan else None

    @property
    def has_active_loan(self) -> bool | None:
        """Whether our user has the item on loan now.

        Yes by any running loan of his. No only when the loan that we know of is over *and* the
        item's list of active loans holds none of ours: a record that is over does not say where
        the book is, and a list below a path that is wrong by now is empty (alma-api.md §1.3).
        """
        if self.is_external:
            return None if self.loan_state is None else self.loan_state is LoanState.ACTIVE
        listed, known = self.seen.active_loan.value, self.seen.loan.value
        if LoanState.ACTIVE in {each.state for each in (listed, known) if each is not None}:
            return True
        if self.missing_loan_reads or listed is None:
            return None
        is_over = known is None or known.state in (LoanState.COMPLETE, LoanState.ABSENT)
        return False if is_over and listed.state is LoanState.ABSENT else None

    @property
    def seems_to_be_on_our_loan(self) -> bool:
        """Whether the item is on a loan that falls due when ours does.

        Enough to leave the loan unread, never to conclude anything: the next reader's loan falls
        due at another time.
        """
        item, due_at = self.item, self.leg.loan_due_at
        if item is None or item.state is not ItemState.LOANED or item.due_at is None:
            return False
        return due_at is not None and abs(item.due_at - due_at) <= SAME_DUE_DATE

    @property
    def missing_loan_reads(self) -> tuple[ReadKind, ...]:
        """The reads that are still needed to say that our user does not have the item on loan."""
        by_id = self.leg.loan_id is not None and self.seen.loan.value is None
        listed = self.seen.active_loan.value is not None
        return (*([ReadKind.LOAN] if by_id else ()), *(() if listed else [ReadKind.ACTIVE_LOAN]))

    @property
    def request_is_live(self) -> bool | None:
        """Whether our hold still stands. An external library's stands until it says otherwise.

        One that is over may have been re-issued: only the item's list of holds tells.
        """
        if self.request_state is None:
            return True if self.is_external or self.hold_is_told_by_its_item else None
        if self.request_state in LIVE_REQUEST:
            return True
        if self.request_state not in ENDED_REQUEST:
            return None
        return False if self.is_external or self.others_holds is not None else None

    @property
    def hold_is_told_by_its_item(self) -> bool:
        """Whether our hold need not be read by itself: it stood when it was last read, and its
        virtual item, which serves no other, says that it is requested."""
        return self.item is not None and self.item.requested is True and self.item_may_tell_of_hold

    @property
    def item_may_tell_of_hold(self) -> bool:
        """Whether the virtual item's word counts for our hold. From time to time the hold is read
        all the same, since it may have been placed anew."""
        known = self.leg.request
        if self.role is Role.SUPPLIER or known.state not in LIVE_REQUEST or known.failure:
            return False
        return known.seen_at is not None and self.now - known.seen_at <= HOLD_READ_EVERY

    @property
    def missing_hold_read(self) -> ReadKind:
        """The read that is needed next to say whether our hold stands."""
        return ReadKind.REQUEST if self.request_state is None else ReadKind.ITEM_REQUESTS

    @property
    def hold_works(self) -> bool | None:
        """Whether Alma works for our hold: it is being fetched, sent or kept on a shelf.

        A hold that only queues does not count. An external library's counts while it stands.
        """
        if self.is_external or self.request_is_live is not True:
            return self.request_is_live
        return self.request_state in WORKING_REQUEST

    @property
    def was_shelved(self) -> bool:
        """Whether our hold is known to have reached the hold shelf here.

        An item that still stands there, with nobody else's hold on it, stands there for ours.
        """
        if self.leg.request.shelved_at or self.request_state is RequestState.ON_HOLD_SHELF:
            return True
        alone = self.others_holds is not None and not self.serves_another
        return alone and self.item_state is ItemState.ON_HOLD_SHELF

    @property
    def serves_another(self) -> bool | None:
        """Whether Alma works for somebody else's hold on the item."""
        if self.others_holds is None:
            return None
        return any(hold.state in WORKING_REQUEST for hold in self.others_holds)

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
        return self.item_state is not None and self.confirms(frozenset({self.item_state}))

    def confirms(self, states: frozenset[ItemState]) -> bool:
        """Whether the item is in one of these states, and was so in a look `settle` ago.

        Of the lender's item only looks count since the book left, or was lent: what it showed
        before, and perhaps shows again, is no first look.
        """
        before = self.leg.item
        if self.item_state not in states:
            return False
        if self.is_external:
            return True
        looks = (before.since, before.seen_at) if before.state in states else ()
        return any(
            at is not None
            and self.now - at >= self.settle
            and (self.counts_from is None or at >= self.counts_from)
            for at in looks
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
        loans = (self.seen.active_loan.value, self.seen.completed_loan.value)
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
                seen = self.seen_request
            else:
                seen = self.seen_loan
            if seen.value is not None:
                found.append(
                    Evidence(self.role, resource, seen.value.state, seen.value.raw, seen.at)
                )
        return tuple(found)

    @property
    def seen_request(self) -> Seen[RequestSight]:
        """The read that shows our hold."""
        if self.request is None or self.request is self.seen.request.value:
            return self.seen.request
        return Seen(SeenKind.VALUE, self.request, at=self.seen.item_requests.at)

    @property
    def seen_loan(self) -> Seen[LoanSight]:
        """The read that shows our loan; where none does, a failed one before one not made."""
        reads = (self.seen.active_loan, self.seen.loan, self.seen.completed_loan)
        if self.loan is not None:
            return next(seen for seen in reads if seen.value is self.loan)
        return next((seen for seen in reads if seen.was_asked), self.seen.loan)

    def why_unknown(self, kind: ReadKind) -> str:
        """In words, why a thing cannot be said: it was not looked at, or could not be read."""
        seen = self.seen.of(kind)
        thing = f"the {self.role}'s {_IN_WORDS[kind]}"
        if seen.is_unreadable:
            return f"{thing} could not be read ({seen.reason})"
        return f"{thing} was not looked at"


_IN_WORDS: dict[ReadKind, str] = {
    ReadKind.ITEM: "item",
    ReadKind.REQUEST: "request",
    ReadKind.LOAN: "loan",
    ReadKind.ACTIVE_LOAN: "list of the item's active loans",
    ReadKind.COMPLETED_LOAN: "list of the item's completed loans",
    ReadKind.ITEM_REQUESTS: "list of the item's requests",
}
