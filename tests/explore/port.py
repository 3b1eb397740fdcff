"""The engine's way into the model: `ports.alma` over a function that answers calls.

No method ever waits, so the real coroutines of the engine run through it without pause.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

from reconciler.core.mapping import item_state, loan_state, request_state
from reconciler.core.model import (
    BibGlance,
    BibSight,
    HoldingSight,
    ItemSight,
    LoanSight,
    RequestSight,
    TransactionId,
    UserSight,
)
from reconciler.core.commands.placing import marker, system_number
from reconciler.errors import AlmaFailure, FailureKind
from reconciler.ports.alma import ItemKey, NewHold, NewItem, NewLoan, NewUser
from tests.explore import times
from tests.explore.alma import CLOSED, NORMAL, Bib, Hold, Holding, Item, Loan

ID = TransactionId("lend-1")
BARCODE, OTHER_BARCODE = "T00001", "T00002"
MARK, NUMBER = marker(ID), system_number(ID)
ADVICE = "Please do not renew: another reader waits for this book at its library."

Ask = Callable[[tuple[Any, ...]], tuple[Any, ...]]

_STATUS = {
    "NOT_STARTED": "NOT_STARTED",
    "PICKING": "IN_PROCESS",
    "MOVING": "IN_PROCESS",
    "SHELVED": "ON_HOLD_SHELF",
    CLOSED: "HISTORY",
}


@cache
def item_sight(item: Item, requested: bool, due: int) -> ItemSight:
    state, raw = item_state("0" if item.process else "1", item.process)
    return ItemSight(
        state,
        raw,
        mms_id=item.mms,
        holding_id=item.hid,
        pid=item.pid,
        barcode=OTHER_BARCODE if item.pid == "Ai2" else BARCODE,
        library=item.library,
        location="DCBVIRTUAL" if item.library == "DCB" else "STACKS",
        requested=requested,
        due_at=times.due_at(due) if due else None,
        policy="DCB",
        notes=(MARK,) if item.marked else (),
        fulfillment_note=ADVICE if item.noted else None,
    )


@cache
def request_sight(hold: Hold) -> RequestSight:
    state, raw = request_state(_STATUS[hold.at])
    return RequestSight(
        state,
        raw,
        request_id=hold.rid,
        user_id=hold.user,
        item_pid=hold.pid,
        barcode=OTHER_BARCODE if hold.pid == "Ai2" else BARCODE,
        placed_at=times.record_at(hold.stamp, old=hold.old),
        comment=MARK if hold.marked else "",
        pickup_library=hold.pickup,
    )


@cache
def loan_sight(loan: Loan) -> LoanSight:
    status = "ACTIVE" if loan.is_active else "COMPLETE"
    state, raw = loan_state(status, loan.process)
    began_at = times.record_at(loan.stamp, old=loan.old)
    return LoanSight(
        state,
        raw,
        loan_id=loan.lid,
        user_id=loan.user or None,
        item_pid=loan.pid,
        item_barcode=OTHER_BARCODE if loan.pid == "Ai2" else BARCODE,
        began_at=began_at,
        due_at=times.due_at(loan.due),
        returned_at=None if loan.is_active else began_at + timedelta(seconds=30),
        process=None if loan.process == NORMAL else loan.process,
    )


@cache
def bib_sight(bib: Bib) -> BibSight:
    """Ours carries our number alone; the library's own has one of its own before it."""
    own = () if bib.is_ours else ("(OCoLC)1",)
    return BibSight(bib.mms, (*own, *((NUMBER,) if bib.numbered else ())), bib.is_ours)


@cache
def holding_sight(holding: Holding) -> HoldingSight:
    place = ("DCB", "DCBVIRTUAL") if holding.is_ours else ("MAIN", "STACKS")
    return HoldingSight(holding.hid, *place, holding.mms)


def user_sight(name: str, asked_for: str) -> UserSight:
    return UserSight(primary_id=name, identifiers=(asked_for,), group="DCB")


def failure(kind: FailureKind, code: str | None = None) -> AlmaFailure:
    return AlmaFailure(kind, code=code)


class Alma:
    """`AlmaReader` and `AlmaWriter`, as the engine knows them."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask

    async def aclose(self) -> None: ...

    def until(self, _deadline: float) -> Alma:
        return self

    # --- reads -------------------------------------------------------------------

    async def item(self, mms_id: Any, holding_id: Any, pid: Any) -> ItemSight:  # noqa: ARG002
        return item_sight(*self._ask(("item", pid)))

    async def item_by_barcode(self, barcode: Any) -> ItemSight:
        other = barcode == OTHER_BARCODE
        return item_sight(*self._ask(("item_by_other_barcode" if other else "item_by_barcode",)))

    async def request(self, user_id: Any, request_id: Any) -> RequestSight:  # noqa: ARG002
        return request_sight(*self._ask(("request", request_id)))

    async def item_requests(
        self, mms_id: Any, holding_id: Any, pid: Any
    ) -> tuple[RequestSight, ...]:
        call = ("item_requests", pid, (mms_id, holding_id))
        return tuple(map(request_sight, self._ask(call)[0]))

    async def loan(self, user_id: Any, loan_id: Any) -> LoanSight:  # noqa: ARG002
        return loan_sight(*self._ask(("loan", loan_id)))

    async def item_loans(
        self, mms_id: Any, holding_id: Any, pid: Any, *, completed: bool
    ) -> tuple[LoanSight, ...]:
        call = ("item_loans", pid, completed, (mms_id, holding_id))
        return tuple(map(loan_sight, self._ask(call)[0]))

    async def user_loans(self, user_id: Any, *, completed: bool) -> tuple[LoanSight, ...]:
        return tuple(map(loan_sight, self._ask(("user_loans", user_id, completed))[0]))

    async def user(self, user_id: str) -> UserSight:
        name = "vp" if user_id.startswith("DCB-") else user_id
        return user_sight(*self._ask(("user", name)), user_id)

    async def user_holds(self, user_id: Any) -> tuple[RequestSight, ...]:
        return tuple(map(request_sight, self._ask(("user_holds", user_id))[0]))

    async def bib(self, mms_id: Any) -> BibSight:
        return bib_sight(*self._ask(("bib", mms_id)))

    async def bibs_with_number(self, system_number: str) -> tuple[BibSight, ...]:  # noqa: ARG002
        return tuple(map(bib_sight, self._ask(("bibs_with_number",))[0]))

    async def glances(self, mms_ids: Sequence[Any]) -> tuple[BibGlance, ...]:  # noqa: ARG002
        return ()

    async def holdings(self, mms_id: Any) -> tuple[HoldingSight, ...]:
        return tuple(map(holding_sight, self._ask(("holdings", mms_id))[0]))

    async def holding_items(self, mms_id: Any, holding_id: Any) -> tuple[ItemSight, ...]:  # noqa: ARG002
        return tuple(item_sight(*each) for each in self._ask(("holding_items", holding_id))[0])

    async def request_options(self, *_ids: Any) -> tuple[str, ...]:
        return ("HOLD",)

    async def has_location(self, _library: str, _location: str) -> bool:
        return True

    # --- writes ------------------------------------------------------------------

    async def create_user(self, new: NewUser) -> UserSight:
        return user_sight(*self._ask(("create_user", "vp")), new.identifier)

    async def extend_user(self, user: UserSight, until: date) -> UserSight:
        raise AssertionError("no user of the model ever expires")

    async def place_hold(self, new: NewHold) -> RequestSight:
        marked = MARK in new.comment
        call = ("place_hold", new.user_id, new.item_pid, new.library, marked)
        return request_sight(*self._ask(call))

    async def cancel_hold(self, user_id: Any, request_id: Any, reason: str) -> None:  # noqa: ARG002
        self._ask(("cancel_hold", request_id))

    async def create_bib(self, *_about: Any) -> BibSight:
        return bib_sight(*self._ask(("create_bib",)))

    async def delete_bib(self, mms_id: Any, *, override: bool = False) -> None:
        self._ask(("delete_bib", mms_id, override))

    async def create_holding(self, mms_id: Any, library: str, location: str) -> HoldingSight:  # noqa: ARG002
        return holding_sight(*self._ask(("create_holding", mms_id)))

    async def delete_holding(self, mms_id: Any, holding_id: Any) -> None:
        self._ask(("delete_holding", mms_id, holding_id))

    async def create_item(self, new: NewItem) -> ItemSight:
        return item_sight(*self._ask(("create_item", new.mms_id, new.holding_id)))

    async def delete_item(self, key: ItemKey, *, override: bool = False) -> None:
        self._ask(("delete_item", key.item_pid, override, (key.mms_id, key.holding_id)))

    async def annotate_item(self, item: ItemSight, note: str, policy: str | None) -> ItemSight:  # noqa: ARG002
        return item_sight(*self._ask(("annotate_item", item.pid)))

    async def scan_in(self, key: ItemKey, library: str, circ_desk: str) -> ItemSight:  # noqa: ARG002
        call = ("scan_in", key.item_pid, library, (key.mms_id, key.holding_id))
        return item_sight(*self._ask(call))

    async def create_loan(self, new: NewLoan) -> LoanSight:
        return loan_sight(*self._ask(("create_loan", new.user_id, new.item_pid)))

    async def set_due_date(self, user_id: Any, loan_id: Any, due_at: datetime) -> LoanSight:  # noqa: ARG002
        return loan_sight(*self._ask(("set_due_date", loan_id, times.due_periods(due_at))))
