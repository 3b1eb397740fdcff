"""What a library can show of a lend, built in the sandbox by what staff and readers do there.

Each evidence is one whole state of a role's Alma. With the other libraries as they would be,
and the transaction at any status, it is one cell of the golden table.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from reconciler.core.status import DcbStatus, Role, Workflow
from reconciler.sandbox import Institution, Sandbox
from tests.golden.places import Place

S = DcbStatus
Line = dict[str, Any]


Act = Callable[[Place], None]

SUPPLIER: dict[str, Act] = {
    "hold open, item in place": Place.hold,
    "hold open, item in transit": Place.sent,
    "hold closed, item in place, never lent": Place.cancelled,
    "hold closed, item in transit, never lent": Place.sent_and_cancelled,
    "on loan to the virtual patron": Place.lent,
    "loan of the virtual patron over, item in place": Place.returned,
    "loan over, item on the shelf for the next reader": Place.next_reader,
    "hold open, item on loan to somebody else": Place.lent_to_other,
    "hold closed, item on loan to somebody else": Place.cancelled_and_lent_to_other,
    "hold placed anew, item in place": Place.reissued,
    "hold moved to another copy, which is in transit": Place.moved_to_copy,
    "hold queues, item in transit for a local reader": Place.behind_in_transit,
    "hold queues, item on the shelf for a local reader": Place.behind_on_shelf,
    "hold queues, item on loan to a local reader": Place.behind_on_loan,
    "hold closed, item on the shelf for the next reader": Place.cancelled_and_shelved_for_other,
    "hold closed, item in a work order": Place.cancelled_and_in_department,
    "loan of the virtual patron over, item in transit": Place.returned_at_branch,
    "loan of the virtual patron over, lent to him again": Place.charged_again,
    "loan of the virtual patron over, lost and paid": Place.paid,
    "loan of the virtual patron over, item withdrawn": Place.withdrawn_while_lent,
    "item missing": Place.missing,
    "item in a work order": Place.work_order,
    "nothing readable": Place.hold,
}
PICKUP_SIDE: dict[str, Act] = {
    "hold open, virtual item in place": Place.hold,
    "hold open, virtual item in transit": Place.sent,
    "on the hold shelf": Place.shelved,
    "on loan to the reader": Place.lent,
    "loan over, virtual item in place": Place.returned,
    "hold closed, virtual item in place, never lent": Place.cancelled,
    "shelf time over, virtual item still there": Place.expired,
    "shelf time over, lent to the reader after all": Place.expired_and_lent,
    "loan over, lent to the reader again": Place.charged_again,
    "hold placed anew, virtual item in place": Place.reissued,
    "virtual item deleted": Place.withdrawn,
    "loan marked lost": Place.lost,
    "loan over, lost and paid": Place.paid,
    "claimed returned": Place.claimed,
    "a word that nobody knows": Place.unknown_word,
    "nothing readable": Place.hold,
}
AT_HOME: dict[str, Act] = {
    "hold open, virtual item in place": Place.hold,
    "hold closed, virtual item in place, never lent": Place.cancelled,
    "on loan to the reader": Place.lent,
    "loan over, virtual item in place": Place.returned,
    "loan over, lent to the reader again": Place.charged_again,
    "hold placed anew, virtual item in place": Place.reissued,
    "virtual item deleted": Place.withdrawn,
    "nothing readable": Place.hold,
}
AT_THE_LENDERS_DESK: dict[str, Act] = {
    "hold open, item in place": Place.hold,
    "on the hold shelf": Place.shelved,
    "hold closed, item in place, never lent": Place.cancelled,
    "on loan to the virtual patron": Place.lent,
    "loan of the virtual patron over, item in place": Place.returned,
    "loan over, item on the shelf for the next reader": Place.next_reader,
    "hold closed, item on loan to somebody else": Place.cancelled_and_lent_to_other,
    "shelf time over": Place.expired,
    "hold placed anew, item in place": Place.reissued,
    "hold queues, item on the shelf for a local reader": Place.behind_on_shelf,
    "loan of the virtual patron over, lent to him again": Place.charged_again,
    "loan of the virtual patron over, lost and paid": Place.paid,
    "item missing": Place.missing,
    "nothing readable": Place.hold,
}
UNREADABLE = "nothing readable"

Words = dict[str, str]
TOLD: dict[str, Words] = {
    f"said: {', '.join(f'{what} {word}' for what, word in words.items())}": words
    for words in (
        {"request": "PLACED"},
        {"request": "CANCELLED"},
        {"request": "CLOSED"},
        {"item": "IN_PLACE"},
        {"item": "TRANSIT"},
        {"item": "RECEIVED"},
        {"item": "ON_HOLD_SHELF"},
        {"item": "LOANED"},
        {"item": "LOST"},
        {"loan": "ACTIVE"},
        {"loan": "COMPLETE"},
    )
}
"""What a library that is not an Alma is said to have seen."""

_BEFORE = (
    S.REQUEST_PLACED_AT_SUPPLYING_AGENCY,
    S.CONFIRMED,
    S.REQUEST_PLACED_AT_BORROWING_AGENCY,
)
_AWAY = (S.PICKUP_TRANSIT, S.RECEIVED_AT_PICKUP, S.READY_FOR_PICKUP)
_HOMEWARD = (S.LOANED, S.RETURN_TRANSIT)
_STANDARD = (*_BEFORE, *_AWAY, *_HOMEWARD, S.AWAITING_RETURN_TO_SUPPLIER)

Sheet = tuple[Workflow, Role, dict[str, Act] | dict[str, Words], tuple[DcbStatus, ...]]

SHEETS: tuple[Sheet, ...] = (
    (Workflow.STANDARD, Role.SUPPLIER, SUPPLIER, _STANDARD),
    (Workflow.STANDARD, Role.BORROWER, PICKUP_SIDE, _STANDARD[2:]),
    (
        Workflow.PICKUP_ANYWHERE,
        Role.PICKUP,
        PICKUP_SIDE,
        (S.REQUEST_PLACED_AT_PICKUP_AGENCY, *_STANDARD[3:]),
    ),
    (
        Workflow.PICKUP_ANYWHERE,
        Role.BORROWER,
        AT_HOME,
        (S.REQUEST_PLACED_AT_PICKUP_AGENCY, *_STANDARD[3:]),
    ),
    (Workflow.EXPEDITED, Role.SUPPLIER, AT_THE_LENDERS_DESK, (*_BEFORE, *_HOMEWARD)),
    (Workflow.EXPEDITED, Role.BORROWER, AT_HOME, (_BEFORE[2], *_HOMEWARD)),
    (Workflow.LOCAL, Role.SUPPLIER, AT_THE_LENDERS_DESK, _BEFORE[:2]),
    (Workflow.STANDARD, Role.SUPPLIER, TOLD, (S.RESOLVED, *_STANDARD)),
    (Workflow.STANDARD, Role.BORROWER, TOLD, _STANDARD[2:]),
    (
        Workflow.PICKUP_ANYWHERE,
        Role.PICKUP,
        TOLD,
        (S.REQUEST_PLACED_AT_PICKUP_AGENCY, *_STANDARD[3:]),
    ),
)
"""Workflow, whose library shows something, what it can show, and from which statuses."""

_USUAL: dict[Role, dict[DcbStatus, Act]] = {
    Role.SUPPLIER: {
        **dict.fromkeys((*_BEFORE, S.REQUEST_PLACED_AT_PICKUP_AGENCY), Place.hold),
        **dict.fromkeys(_AWAY, Place.sent),
        **dict.fromkeys(_HOMEWARD, Place.lent),
        S.AWAITING_RETURN_TO_SUPPLIER: Place.sent_and_cancelled,
    },
    Role.BORROWER: {
        **dict.fromkeys((S.RESOLVED, *_BEFORE, S.REQUEST_PLACED_AT_PICKUP_AGENCY), Place.hold),
        S.PICKUP_TRANSIT: Place.sent,
        S.RECEIVED_AT_PICKUP: Place.sent,
        S.READY_FOR_PICKUP: Place.shelved,
        S.LOANED: Place.lent,
        S.RETURN_TRANSIT: Place.returned,
        S.AWAITING_RETURN_TO_SUPPLIER: Place.cancelled,
    },
}


def usual(workflow: Workflow, role: Role, status: DcbStatus) -> Act:
    """What a library shows at a status when nothing is out of the ordinary there."""
    if workflow is Workflow.PICKUP_ANYWHERE and role is Role.BORROWER:
        waits = status not in (S.LOANED, S.RETURN_TRANSIT, S.AWAITING_RETURN_TO_SUPPLIER)
        return Place.hold if waits else _USUAL[role][status]
    if workflow is Workflow.EXPEDITED and role is Role.BORROWER and status in _AWAY:
        return Place.hold
    return _USUAL[Role.SUPPLIER if role is Role.SUPPLIER else Role.BORROWER][status]


@dataclass(frozen=True)
class Cell:
    workflow: Workflow
    role: Role
    evidence: str
    status: DcbStatus

    @property
    def sheet(self) -> tuple[Workflow, Role, str]:
        return self.workflow, self.role, self.evidence

    @property
    def told(self) -> Words | None:
        """What is said of the role's library; None where it is an Alma."""
        return TOLD.get(self.evidence)


def cells() -> list[Cell]:
    return [
        Cell(workflow, role, evidence, status)
        for workflow, role, acts, statuses in SHEETS
        for evidence in acts
        for status in statuses
    ]


_ACTS: dict[tuple[Workflow, Role, str], Act] = {
    (workflow, role, evidence): act
    for workflow, role, acts, _ in SHEETS
    for evidence, act in acts.items()
    if not isinstance(act, dict)
}


def build(sandbox: Sandbox, n: int, cell: Cell) -> Line:
    """The cell's world in the sandbox, and the line that tracks it."""
    line: Line = {
        "id": f"cell-{n}",
        "workflow": str(cell.workflow),
        "status": str(cell.status),
        "patron": {"host_lms": "uni-b", "user_id": f"r-{n}", "barcodes": []},
        "item": _item_part(n),
        "pickup": {"host_lms": "uni-b", "library": "MAIN"},
    }
    for role, code in (("supplier", "uni-a"), ("borrower", "uni-b"), ("pickup", "uni-c")):
        if role == "pickup" and cell.workflow is not Workflow.PICKUP_ANYWHERE:
            continue
        if role == "borrower" and cell.workflow is Workflow.LOCAL:
            continue
        if role == cell.role and cell.told is not None:
            line[role] = {**line.get(role, {}), "host_lms": "ext"}
            continue
        place = _place(sandbox[code], n, Role(role), cell.workflow)
        leg = _leg(code, place)
        if role == "borrower" and cell.status in (S.RESOLVED, *_BEFORE[:2]):
            leg = {"host_lms": code, "user_id": place.user}
        line[role] = {**line.get(role, {}), **leg} if role == "pickup" else leg
        act = usual(cell.workflow, Role(role), cell.status)
        if role == cell.role:
            act = _ACTS[cell.workflow, cell.role, cell.evidence]
        act(place)
        if role == cell.role and cell.evidence == UNREADABLE:
            ours = f"{place.user}/|{place.pid}|T{n:05d}"
            sandbox.faults.add("json_500", institution=code, path=ours, times=None)
    return line


def _item_part(n: int) -> Line:
    ids = {"mms_id": "1", "holding_id": "1", "item_pid": "1"}
    return {"host_lms": "uni-a", **ids, "barcode": f"T{n:05d}", "title": f"Book {n}"}


def _place(at: Institution, n: int, role: Role, workflow: Workflow) -> Place:
    is_virtual = role is not Role.SUPPLIER
    user = f"r-{n}" if role is Role.BORROWER else f"vp-{role}-{n}"
    at.add_user(user, "" if role is Role.BORROWER else "DCB")
    shelf = ("DCB", "DCBVIRTUAL") if is_virtual else ("MAIN", "STACKS")
    book = at.add_book(f"Book {n}", f"T{n:05d}", *shelf)
    outside = {
        Role.SUPPLIER: workflow in (Workflow.STANDARD, Workflow.PICKUP_ANYWHERE),
        Role.BORROWER: workflow is Workflow.PICKUP_ANYWHERE,
        Role.PICKUP: False,
    }[role]
    pickup = "RES_OUT" if outside else "MAIN"
    if workflow is Workflow.EXPEDITED and is_virtual:
        pickup = "DCB"
    hold = at.place_hold(user, book.pid, pickup)
    return Place(at, user, book.pid, hold.request_id, is_virtual)


def _leg(code: str, place: Place) -> Line:
    item = place.at.items.get(place.pid)
    assert item is not None
    return {
        "host_lms": code,
        "user_id": place.user,
        "request_id": place.request_id,
        "mms_id": item.mms_id,
        "holding_id": item.holding_id,
        "item_pid": item.pid,
        "item_barcode": item.barcode,
    }
