"""What asks for an act without moving the status: a renewal, and a hold of others (rows 15, 16).

Both hold while the reader has the book, and each fires once for what it saw: once for each new
due date, once for each time that somebody begins to wait.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta

from reconciler.core.evidence.finding import Fact, Finding, Verdict
from reconciler.core.model import Read, ReadKind, RequestSight
from reconciler.core.status import DcbStatus, LoanState, Resource, Role, Side
from reconciler.core.view.leg_view import SAME_DUE_DATE, LegView
from reconciler.core.view.look import View
from reconciler.core.view.ours import is_our_user

A_DAY = timedelta(days=1)


def _readers_sides(view: View) -> Iterator[LegView]:
    """Where a loan of the reader's stands: at home his own, at the pickup desk the one that he got
    the book by. In on-site lending that desk is the lender's."""
    for role in dict.fromkeys((Role.BORROWER, Side.PICKUP.role(view.transaction.workflow))):
        side = view.side(role)
        if side is not None and side.loan is not None and side.loan_state is LoanState.ACTIVE:
            yield side


def _readers_loan_unknown(view: View) -> Finding | None:
    """That the reader's own loan at home is over by its id, and may go on under a new one."""
    home = view.side(Role.BORROWER)
    if home is None or home.is_external or home.role is view.pickup_role:
        return None
    if home.loan_state is not LoanState.COMPLETE or home.has_active_loan is not None:
        return None
    kinds = [kind for kind in home.missing_loan_reads if not home.seen.of(kind).was_asked]
    needs = tuple(Read(Role.BORROWER, kind) for kind in kinds)
    told = "the reader's loan at home is over; it may go on under a new id"
    return Finding(Verdict.WAITS, told, home.evidence(Resource.LOAN), needs)


def _due_at(side: LegView) -> datetime | None:
    """Until when the reader may keep the book, by this loan; what we asked for counts as we asked:
    Alma moves a date to the closing time of its library, which nobody has renewed."""
    due_at, asked = side.loan.due_at if side.loan else None, side.leg.due_wanted_at
    if due_at is None or asked is None:
        return due_at
    return asked if asked <= due_at < asked + A_DAY else due_at


def latest_due_at(view: View) -> datetime | None:
    dates = [due_at for side in _readers_sides(view) if (due_at := _due_at(side))]
    return max(dates, default=None)


def lags_behind(role: Role) -> Fact:
    """Row 15: the reader's loan runs longer than this library was last told, or than its own."""

    def finds(view: View) -> Finding:
        side = view.side(role)
        if side is None:
            return Finding(Verdict.NO, f"this transaction has no {role} leg")
        if side.is_external:
            return Finding(Verdict.NO, f"the {role} is not an Alma: it renews its loans by itself")
        unknown = _readers_loan_unknown(view)
        if unknown is not None:
            return unknown
        seen = tuple(each for of in _readers_sides(view) for each in of.evidence(Resource.LOAN))
        if not seen:
            return Finding(Verdict.NO, "no active loan of the reader's was seen in this look")
        for each in (*_readers_sides(view), side):
            if each.loan is not None and each.loan.raw_due_at is not None:
                told = f"the {each.role}'s due date cannot be read (“{each.loan.raw_due_at}”)"
                return Finding(Verdict.WAITS, told, seen)
        latest = latest_due_at(view)
        if latest is None:
            return Finding(Verdict.NO, "the reader's loan shows no due date", seen)
        shown = side.loan.due_at if side.loan else None
        known = [each for each in (side.leg.due_wanted_at, side.leg.loan_due_at, shown) if each]
        if not known:
            is_new = view.transaction.status is not DcbStatus.LOANED
            vain = is_new or side.seen.loan.was_asked or side.leg.user_id is None
            needs = () if vain else (Read(role, ReadKind.LOAN),)
            return Finding(Verdict.WAITS, f"the {role}'s due date is not known yet", seen, needs)
        if latest <= max(known) + SAME_DUE_DATE:
            return Finding(Verdict.NO, f"the {role}'s loan runs as long as the reader's", seen)
        told = f"the reader's loan was renewed until {latest.date().isoformat()}"
        return Finding(Verdict.HOLDS, told, seen)

    return finds


def hold_detected(view: View) -> Finding:
    """Row 16: somebody else waits for the lender's item. Our own hold never counts."""
    side = view.supplier
    if side.is_external:
        return Finding(Verdict.NO, "the supplier is not an Alma: its queue is not read")
    if side.item is not None and side.item.requested is False:
        return Finding(Verdict.NO, "nobody waits for the supplier's item")
    listed = side.seen.item_requests.value
    if listed is None and side.item is None:
        return Finding(Verdict.WAITS, side.why_unknown(ReadKind.ITEM))
    if listed is None:
        tried = side.seen.item_requests.was_asked
        needs = () if tried else (Read(Role.SUPPLIER, ReadKind.ITEM_REQUESTS),)
        return Finding(Verdict.WAITS, side.why_unknown(ReadKind.ITEM_REQUESTS), needs=needs)
    others = sum(not _is_ours(side, each) for each in listed)
    if not others:
        return Finding(Verdict.NO, "nobody else waits for the supplier's item")
    if side.leg.competing_hold_at is not None:
        return Finding(Verdict.NO, "that others wait for the supplier's item is known already")
    return Finding(Verdict.HOLDS, f"{others} hold(s) of others wait for the supplier's item")


def nobody_else_waits(side: LegView) -> bool:
    """Whether this look proves that the lender's item is free of holds of others."""
    listed = side.seen.item_requests.value
    is_free = side.item is not None and side.item.requested is False
    return is_free or (listed is not None and all(_is_ours(side, each) for each in listed))


def _is_ours(side: LegView, request: RequestSight) -> bool:
    same = request.request_id is not None and request.request_id == side.leg.request_id
    return same or is_our_user(side.leg, request.user_id)
