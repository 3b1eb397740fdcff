"""Which reads could change the next decision, by status and role.

A full look starts with the reads of the status (`stages.py`), at every library that a rule of the
status asks, and goes on with those that the facts of the rows ahead still need, given what was just
seen (a loan is asked for only once the item has moved). Between two full looks most are light: one
read, the one that the next step shows in, and the rest only if it shows anything new. A full look
comes at least once a day. Nothing is read whose id is unknown, and nothing of an external library.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import timedelta

from reconciler.core.model import Leg, Read, ReadKind, SideRead
from reconciler.core.stages import STAGES
from reconciler.core.status import (
    BEFORE_LOAN,
    DcbStatus,
    Resource,
)
from reconciler.core.view.leg_view import ENDED_REQUEST, LIVE_REQUEST, LegView
from reconciler.core.view.look import View
from reconciler.core.walk import Findings, stands_at, walk

FULL_LOOK_EVERY = timedelta(days=1)
"""What a light look does not read is read at least this often: seldom is not never."""

ASKED_BACK = 0.4
"""A look that was wanted sooner than this share of the usual interval is full: it confirms
what the last one suspected, or sees what was just done."""

SEEN_IN_TIME = 0.25
"""After this share of the time for which a library keeps loans the reader's hold is looked at: the
rest is left for days on which nothing can be read."""

_RESOURCE_READS = {
    Resource.ITEM: ReadKind.ITEM,
    Resource.REQUEST: ReadKind.REQUEST,
    Resource.LOAN: ReadKind.LOAN,
}


def first_reads(view: View, *, everything: bool = False) -> tuple[Read, ...]:
    """The reads that a look starts with.

    `everything` adds each resource with a known id, for a look that a person asked for. What was
    never seen of a leg is read once in any case, so that its record is whole.
    """
    status = view.transaction.status
    wanted: dict[Read, None] = dict.fromkeys(_reads(view, _full(status)))
    if not everything and _is_due_in_full(view):
        wanted = {read: None for read in wanted if not _is_told_by_its_item(view, read)}
    elif not everything:
        light = tuple(read for read in _telltale(view, status) if _can_read(view, read))
        wanted = dict.fromkeys(light) or wanted
    for leg in view.transaction.legs:
        for resource, kind in _RESOURCE_READS.items():
            never = leg.remembered(resource).seen_at is None and resource is not Resource.LOAN
            if everything or never:
                wanted[Read(leg.role, kind)] = None
    return tuple(read for read in wanted if _can_read(view, read))


def further_reads(view: View) -> tuple[Read, ...]:
    """What is still worth reading after what this look has shown; () when the look is done.

    These are the needs of the facts ahead of where the evidence leads, so that a journey that
    jumped is caught up in a single look; and the usual reads of that status, in a full look all of
    them, else, if it is a new status, the one in which its next step shows.
    """
    findings = Findings(view)
    status = stands_at(findings, walk(findings))
    moved = status is not view.transaction.status
    is_full = _is_due_in_full(view)
    if not (moved or is_full) and _is_light_and_quiet(view):
        return ()
    ahead = ((row, found) for row, _, found in findings.ahead(status))
    needs = dict.fromkeys(
        read
        for row, found in ahead
        for read in found.needs
        if row.target is not None or not moved  # what is only just lent has nothing to renew
    )
    if is_full:
        needs |= dict.fromkeys(_reads(view, _full(status)))
    elif moved:
        needs |= dict.fromkeys(_telltale(view, status))
    return tuple(
        read
        for read in needs
        if _can_read(view, read) and not (_was_read(view, read) or _is_told_by_its_item(view, read))
    )


def _is_due_in_full(view: View) -> bool:
    """The first look, one after a failure, one that was asked for soon, and now and then one.

    Also each while a hold is over and nothing has come of it yet: that it is still over is no
    sign that nothing is new. And before it was last seen to stand so long ago that its end could
    not be told any more.
    """
    transaction = view.transaction
    last, due = transaction.last_poll_at, transaction.next_poll_at
    last_full = transaction.last_full_poll_at
    if last is None or due is None or last_full is None or transaction.failures:
        return True
    if _end_is_unexplained(view) or _hold_was_seen_long_ago(view):
        return True
    if due - last < ASKED_BACK * view.policy.intervals.get(transaction.status, timedelta(0)):
        return True
    return view.now - last_full >= FULL_LOOK_EVERY


def is_full(view: View) -> bool:
    """Whether this look read all that its status could need."""
    reads = _reads(view, _full(view.transaction.status))
    return all(
        _was_read(view, read) or _is_told_by_its_item(view, read)
        for read in reads
        if _can_read(view, read)
    )


def _is_told_by_its_item(view: View, read: Read) -> bool:
    """Whether a hold need not be read by itself, or, before its item was read in this look, perhaps
    need not."""
    side = view.side(read.role)
    if read.kind is not ReadKind.REQUEST or side is None:
        return False
    return side.hold_is_told_by_its_item or (
        side.item_may_tell_of_hold and not side.seen.item.was_asked
    )


def _end_is_unexplained(view: View) -> bool:
    """Whether a hold that this status waits on was last seen to be over."""
    holds = _reads(view, _full(view.transaction.status))
    legs = (view.transaction.leg(read.role) for read in holds if read.kind is ReadKind.REQUEST)
    return any(
        leg.request.state in ENDED_REQUEST and not view.policy.is_external(leg)
        for leg in legs
        if leg is not None
    )


def _hold_was_seen_long_ago(view: View) -> bool:
    """Whether much of the time is over in which an end of the reader's hold could be told."""
    side = view.pickup_side
    if side is None or view.transaction.status not in BEFORE_LOAN:
        return False
    unfilled_at = side.leg.request.unfilled_at
    return unfilled_at is not None and view.now - unfilled_at > side.loans_kept * SEEN_IN_TIME


def _is_light_and_quiet(view: View) -> bool:
    """Whether this is a light look whose one read shows what the last look showed."""
    telltale = _telltale(view, view.transaction.status)
    seen = [view.observation.leg(read.role).of(read.kind) for read in telltale]
    asked_more = any(
        _was_read(view, Read(role, kind))
        for role in view.sides
        for kind in ReadKind
        if Read(role, kind) not in telltale
    )
    if asked_more or not seen or not all(each.value is not None for each in seen):
        return False
    return all(_as_before(side) for side in view.sides.values())


def _telltale(view: View, status: DcbStatus) -> tuple[Read, ...]:
    """What a light look at this status reads.

    A loan whose id is not known would be looked for in a list: its item tells as much.
    """
    looks = view.transaction.unchanged_looks
    stage = STAGES[status].live
    chosen = stage.light if stage else ()
    reads = _reads(view, tuple((side, kind) for side, kind, n in chosen if looks % n == n - 1))
    return tuple(
        read if _is_direct(view, read) else replace(read, kind=ReadKind.ITEM) for read in reads
    )


def _as_before(side: LegView) -> bool:
    """Whether nothing that was read of this side differs from what is remembered of it."""
    seen, leg = side.seen, side.leg
    words = ((seen.item, leg.item), (seen.request, leg.request), (seen.loan, leg.loan))
    if any(now.value is not None and now.value.raw != then.raw for now, then in words):
        return False
    item_is_free = side.item is not None and side.item.requested is False
    return not (item_is_free and leg.request.state in LIVE_REQUEST)


def _full(status: DcbStatus) -> tuple[SideRead, ...]:
    stage = STAGES[status].live
    return stage.full if stage else ()


def _reads(view: View, wanted: Iterable[SideRead]) -> tuple[Read, ...]:
    workflow = view.transaction.workflow
    return tuple(dict.fromkeys(Read(side.role(workflow), kind) for side, kind in wanted))


def _is_direct(view: View, read: Read) -> bool:
    """Whether it takes one call: a loan whose id is not known is looked for in a list."""
    leg = view.transaction.leg(read.role)
    return read.kind is not ReadKind.LOAN or (leg is not None and leg.loan_id is not None)


def _was_read(view: View, read: Read) -> bool:
    return view.observation.leg(read.role).of(read.kind).was_asked


def _can_read(view: View, read: Read) -> bool:
    leg = view.transaction.leg(read.role)
    if leg is None or view.policy.is_external(leg):
        return False
    return _has_ids(leg, read.kind)


def _has_ids(leg: Leg, kind: ReadKind) -> bool:
    if kind is ReadKind.REQUEST:
        return bool(leg.user_id and leg.request_id)
    if kind is ReadKind.LOAN:
        return bool(leg.user_id) and bool(leg.loan_id or leg.has_item_key)
    if kind in (ReadKind.ACTIVE_LOAN, ReadKind.COMPLETED_LOAN):
        return bool(leg.user_id) and leg.has_item_key
    return leg.has_item_key
