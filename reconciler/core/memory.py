"""What a leg keeps of a look: the last readable words, since when, and the ids learnt from them.

A failed read changes only the failure beside the word; a value that was not asked for changes
nothing. Of an external library nothing is read: its words come from evidence and stay as told.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from reconciler.core.model import (
    Change,
    Evidence,
    ItemSight,
    Leg,
    LoanSight,
    Observation,
    Policy,
    Remembered,
    RequestSight,
    Seen,
    Transaction,
)
from reconciler.core.status import DcbStatus, LoanState, Resource, Role
from reconciler.core.view import Side, View


def remember(leg: Leg, view: View) -> Leg:
    """The leg as it stands after this look."""
    side = view.side(leg.role)
    if side is None or side.is_external:
        return leg
    seen = side.seen
    request = _word(leg.request, seen.request)
    leg = replace(
        leg,
        item=_word(leg.item, seen.item),
        request=request if not side.is_unfilled else replace(request, unfilled_at=view.now),
        loan=_word(leg.loan, _loan_seen(side)),
        user_id=seen.user_id or leg.user_id,
        user_primary_id=seen.user_primary_id or leg.user_primary_id,
    )
    leg = _with_loan(_with_request(_with_item(leg, side.item), side.request), side, view.now)
    if view.transaction.status is DcbStatus.REQUEST_PLACED_AT_SUPPLYING_AGENCY:
        return _with_bound_copy(leg, side.request)
    return leg


def changes_of(
    transaction: Transaction, observation: Observation, policy: Policy
) -> tuple[Change, ...]:
    """The canonical words of this look that differ from the last ones seen."""
    changes = []
    for leg in transaction.legs:
        if policy.is_external(leg):
            continue
        seen = observation.leg(leg.role)
        words: tuple[tuple[Resource, Seen[ItemSight] | Seen[RequestSight] | Seen[LoanSight]], ...]
        words = (
            (Resource.ITEM, seen.item),
            (Resource.REQUEST, seen.request),
            (Resource.LOAN, _newest_loan(seen.loan, seen.completed_loan)),
        )
        for resource, word in words:
            before = leg.remembered(resource).state
            if word.value is not None and _is_news(word.value.state, before):
                evidence = Evidence(leg.role, resource, word.value.state, word.value.raw, word.at)
                changes.append(Change(evidence, before))
    return tuple(changes)


def _is_news(state: str, before: str | None) -> bool:
    """That no loan of ours exists is news only after one was seen."""
    return state != before and not (before is None and state == LoanState.ABSENT)


def _word(
    before: Remembered, seen: Seen[ItemSight] | Seen[RequestSight] | Seen[LoanSight]
) -> Remembered:
    if seen.value is not None:
        same = before.state == seen.value.state
        return Remembered(
            state=seen.value.state,
            raw=seen.value.raw,
            seen_at=seen.at,
            since=before.since if same else seen.at,
            unfilled_at=before.unfilled_at,
        )
    if seen.is_unreadable:
        return replace(before, failure=seen.reason, failed_at=seen.at)
    return before


def _loan_seen(side: Side) -> Seen[LoanSight]:
    return _newest_loan(side.seen.loan, side.seen.completed_loan)


def _newest_loan(active: Seen[LoanSight], completed: Seen[LoanSight]) -> Seen[LoanSight]:
    """A loan that was found says more than a list without one; a failed read says least."""
    found = [
        seen
        for seen in (active, completed)
        if seen.value is not None and seen.value.state is not LoanState.ABSENT
    ]
    read = [seen for seen in (active, completed) if seen.value is not None]
    asked = [seen for seen in (active, completed) if seen.was_asked]
    return next(iter((*found, *read, *asked)), active)


def _with_item(leg: Leg, item: ItemSight | None) -> Leg:
    """Ids are taken from Alma's answer; the barcode and pid only where we had none."""
    if item is None or item.pid is None:
        return leg
    if leg.item_pid is not None and leg.item_pid != item.pid:
        return leg
    return replace(
        leg,
        item_pid=item.pid,
        mms_id=item.mms_id or leg.mms_id,
        holding_id=item.holding_id or leg.holding_id,
        item_barcode=leg.item_barcode or item.barcode,
    )


def _with_request(leg: Leg, request: RequestSight | None) -> Leg:
    if request is None or request.placed_at is None:
        return leg
    return replace(leg, request_placed_at=request.placed_at)


def _with_bound_copy(leg: Leg, request: RequestSight | None) -> Leg:
    """The copy that Alma bound to the lender's hold, if it is another than the one asked for.

    Its holding is not told by the request: it is found by the barcode at the next look.
    """
    if leg.role is not Role.SUPPLIER or request is None or request.item_pid is None:
        return leg
    if request.item_pid == leg.item_pid:
        return leg
    return replace(
        leg,
        item_pid=request.item_pid,
        item_barcode=request.barcode,
        mms_id=request.mms_id or leg.mms_id,
        holding_id=None,
        item=Remembered(),
    )


def _with_loan(leg: Leg, side: Side, now: datetime) -> Leg:
    loan = side.loan
    if loan is None or loan.state not in (LoanState.ACTIVE, LoanState.COMPLETE):
        return leg
    return replace(
        leg,
        loan_id=loan.loan_id or leg.loan_id,
        loan_seen_at=leg.loan_seen_at or now,
        loan_due_at=loan.due_at or leg.loan_due_at,
    )
