"""Transactions, looks and policies for tests, with only what a case is about spelt out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from reconciler.core.mapping import item_state, loan_state, request_state
from reconciler.core.model import (
    Barcode,
    HoldingId,
    HostLmsCode,
    HostPolicy,
    ItemPid,
    ItemSight,
    Leg,
    LegObservation,
    LoanId,
    LoanSight,
    MmsId,
    Observation,
    Policy,
    RequestId,
    RequestSight,
    Seen,
    Transaction,
    TransactionId,
    UserId,
)
from reconciler.core.stages import DEFAULT_INTERVALS
from reconciler.core.status import DcbStatus, LoanState, Role, Workflow

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
LONG_AGO = NOW - timedelta(days=10)
SETTLE = timedelta(seconds=60)
LOANS_KEPT = timedelta(days=7)

UNI_A = HostLmsCode("uni-a")
UNI_B = HostLmsCode("uni-b")
UNI_C = HostLmsCode("uni-c")
EXTERNAL = HostLmsCode("external")

HOST_OF = {Role.SUPPLIER: UNI_A, Role.BORROWER: UNI_B, Role.PICKUP: UNI_C}


def policy(**modes: str) -> Policy:
    """uni-a, uni-b, uni-c are Almas that are acted on, external is not an Alma."""
    hosts = {
        code: HostPolicy(
            is_external=False,
            acts=modes.get(code[-1], "act") == "act",
            settle=SETTLE,
            loans_kept=LOANS_KEPT,
        )
        for code in (UNI_A, UNI_B, UNI_C)
    }
    nothing = timedelta(0)
    hosts[EXTERNAL] = HostPolicy(is_external=True, acts=False, settle=nothing, loans_kept=nothing)
    return Policy(hosts, DEFAULT_INTERVALS)


def leg(role: Role, **changes: Any) -> Leg:
    """A leg with every id, its item unlike the other roles' items."""
    n = {Role.SUPPLIER: "1", Role.BORROWER: "2", Role.PICKUP: "3"}[role]
    made = Leg(
        role=role,
        host_lms=HOST_OF[role],
        user_id=UserId(f"user-{n}"),
        request_id=RequestId(f"70{n}"),
        mms_id=MmsId(f"99{n}"),
        holding_id=HoldingId(f"22{n}"),
        item_pid=ItemPid(f"23{n}"),
        item_barcode=Barcode("B1"),
    )
    return replace(made, **changes)


def transaction(
    status: DcbStatus, workflow: Workflow = Workflow.STANDARD, **changes: Any
) -> Transaction:
    """A transaction in a status, for ten days, with the legs that its workflow has."""
    made = Transaction(
        id=TransactionId("t-1"),
        tenant=UNI_A,
        workflow=workflow,
        status=status,
        status_since=LONG_AGO,
        created_at=LONG_AGO,
        supplier=leg(Role.SUPPLIER),
        borrower=leg(Role.BORROWER),
        pickup=leg(Role.PICKUP) if workflow is Workflow.PICKUP_ANYWHERE else None,
        next_poll_at=NOW,
    )
    return replace(made, **changes)


def item(
    raw: str, of: Leg | None = None, at: datetime = NOW, *, free: bool | None = None
) -> Seen[ItemSight]:
    """An item as Alma's "base/process" words: "1/", "0/TRANSIT", "0/LOAN"; `free` of requests."""
    base, _, process = raw.partition("/")
    state, seen_raw = item_state(base, process)
    ids = {"pid": of.item_pid, "mms_id": of.mms_id, "holding_id": of.holding_id} if of else {}
    requested = None if free is None else not free
    return Seen.of(ItemSight(state, seen_raw, requested=requested, **ids), at)


def request(word: str, *, bound: bool = True, at: datetime = NOW) -> Seen[RequestSight]:
    """A request by Alma's word for it, bound to a copy unless said otherwise."""
    state, raw = request_state(word)
    return Seen.of(RequestSight(state, raw, item_pid=ItemPid("231") if bound else None), at)


def loan(word: str, of: Leg | None = None, at: datetime = NOW) -> Seen[LoanSight]:
    """Our loan by Alma's word, "ACTIVE" or "COMPLETE"; "NONE" when a list holds none of ours."""
    if word == "NONE":
        return Seen.of(LoanSight(LoanState.ABSENT, "none in the list"), at)
    status, _, process = word.partition("/")
    state, raw = loan_state(status, process or None)
    user, pid = (of.user_id, of.item_pid) if of else (None, None)
    return Seen.of(
        LoanSight(state, raw, LoanId("L1"), user_id=user, item_pid=pid, process=process or None), at
    )


def unreadable(at: datetime = NOW) -> Seen[Any]:
    return Seen.unreadable("no answer in time", at, "no answer in time")


def look(**legs: LegObservation | Mapping[str, Any]) -> Observation:
    """look(supplier={"item": item("0/TRANSIT")}, borrower={…}).

    A loan is told as the service finds it: beside the item's list of active loans, where it stands
    if it runs. `active_loan` says otherwise.
    """
    return Observation(
        {
            Role(name): seen if isinstance(seen, LegObservation) else _leg_seen(seen)
            for name, seen in legs.items()
        }
    )


def _leg_seen(seen: Mapping[str, Any]) -> LegObservation:
    found = seen.get("loan")
    if found is None or "active_loan" in seen:
        return LegObservation(**seen)
    is_over = found.value is not None and found.value.state is LoanState.COMPLETE
    return LegObservation(**seen, active_loan=loan("NONE", at=found.at) if is_over else found)
