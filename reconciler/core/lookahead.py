"""Which reads could change the next decision, by status and role.

A look starts with the reads of `FIRST_READS` and goes on with those that the facts of the rows
ahead still need, given what was just seen (a loan is asked for only once the item has moved).
Nothing is read whose id is unknown, and nothing of an external library.
"""

from __future__ import annotations

from reconciler.core.measures import measures_at
from reconciler.core.model import Leg, Read, ReadKind
from reconciler.core.status import DcbStatus, Resource, Role, pickup_side
from reconciler.core.view import View
from reconciler.core.walk import Findings, stands_at, walk

_SUPPLIER = "supplier"
_PICKUP_SIDE = "pickup side"

_LENDER_HOLD = ((_SUPPLIER, ReadKind.REQUEST), (_SUPPLIER, ReadKind.ITEM))
_PICKUP_HOLD = ((_PICKUP_SIDE, ReadKind.ITEM), (_PICKUP_SIDE, ReadKind.REQUEST))

FIRST_READS: dict[DcbStatus, tuple[tuple[str, ReadKind], ...]] = {
    DcbStatus.RESOLVED: (),
    DcbStatus.REQUEST_PLACED_AT_SUPPLYING_AGENCY: _LENDER_HOLD,
    DcbStatus.CONFIRMED: _LENDER_HOLD,
    DcbStatus.REQUEST_PLACED_AT_BORROWING_AGENCY: (*_LENDER_HOLD, *_PICKUP_HOLD),
    DcbStatus.REQUEST_PLACED_AT_PICKUP_AGENCY: (*_LENDER_HOLD, *_PICKUP_HOLD),
    DcbStatus.PICKUP_TRANSIT: _PICKUP_HOLD,
    DcbStatus.RECEIVED_AT_PICKUP: _PICKUP_HOLD,
    DcbStatus.READY_FOR_PICKUP: _PICKUP_HOLD,
    DcbStatus.LOANED: ((_PICKUP_SIDE, ReadKind.LOAN), (_SUPPLIER, ReadKind.ITEM)),
    DcbStatus.RETURN_TRANSIT: ((_SUPPLIER, ReadKind.ITEM),),
    DcbStatus.COMPLETED: (),
    DcbStatus.FINALISED: (),
    DcbStatus.NOT_SUPPLIED_CURRENT_SUPPLIER: (),
    DcbStatus.AWAITING_RETURN_TO_SUPPLIER: ((_SUPPLIER, ReadKind.ITEM),),
    DcbStatus.CANCELLED: (),
    DcbStatus.HANDED_OFF_AS_LOCAL: (),
    DcbStatus.ERROR: (),
}

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
    wanted = dict.fromkeys(_usual_reads(view, view.transaction.status))
    for leg in view.transaction.legs:
        for resource, kind in _RESOURCE_READS.items():
            never = leg.remembered(resource).seen_at is None and resource is not Resource.LOAN
            if everything or never:
                wanted[Read(leg.role, kind)] = None
    return tuple(read for read in wanted if _can_read(view, read))


def further_reads(view: View) -> tuple[Read, ...]:
    """What is still worth reading after what this look has shown; () when the look is done.

    These are the needs of the facts ahead of where the evidence leads, and the usual reads of
    that status if it is a new one: so a journey that jumped is caught up in a single look.
    """
    findings = Findings(view)
    status = stands_at(findings, walk(findings))
    needs = dict.fromkeys(read for _, _, found in findings.ahead(status) for read in found.needs)
    beside = (row.finds(view) for row in measures_at(status, view.transaction))
    needs |= dict.fromkeys(read for found in beside for read in found.needs)
    if status is not view.transaction.status:
        needs |= dict.fromkeys(_usual_reads(view, status))
    return tuple(read for read in needs if _can_read(view, read) and not _was_read(view, read))


def _usual_reads(view: View, status: DcbStatus) -> tuple[Read, ...]:
    roles = {_SUPPLIER: Role.SUPPLIER, _PICKUP_SIDE: pickup_side(view.transaction.workflow)}
    return tuple(Read(roles[side], kind) for side, kind in FIRST_READS[status])


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
    if kind is ReadKind.COMPLETED_LOAN:
        return bool(leg.user_id) and leg.has_item_key
    return leg.has_item_key
