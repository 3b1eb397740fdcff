"""`track`: requests that somebody else has placed, as transactions to be followed from here.

Contract: interface.md §4.1. A line is taken whole or not at all; the good lines of a file are
taken although others are bad.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from datetime import UTC, datetime

from pydantic import StrictBool

from reconciler.core.commands.placing import Placing
from reconciler.core.effects import PLACE_AT_SUPPLIER, EffectRow, wanted
from reconciler.core.model import (
    Barcode,
    HistoryEntry,
    HoldingId,
    HostLmsCode,
    ItemPid,
    Leg,
    LoanId,
    MmsId,
    Policy,
    RequestId,
    Thing,
    Transaction,
    TransactionId,
    UserId,
)
from reconciler.core.stages import STAGES
from reconciler.core.status import (
    BOOK_AWAY,
    TERMINAL,
    DcbStatus,
    HistoryKind,
    Role,
    ThingKind,
    Workflow,
)
from reconciler.core.transitions import TRANSITIONS
from reconciler.engine.lines import BadLine, Line, Part, Text, read_lines
from reconciler.engine.placing_lines import ItemPart, PatronPart, PickupPart, placing
from reconciler.engine.settling import Recorder
from reconciler.ports.written import Entrance
from reconciler.wording import did_you_mean


class _LegPart(Part):
    host_lms: Text
    user_id: Text | None = None
    request_id: Text | None = None
    mms_id: Text | None = None
    holding_id: Text | None = None
    item_pid: Text | None = None
    item_barcode: Text | None = None
    loan_id: Text | None = None


class _PickupPart(_LegPart):
    """A leg of a third library (§4.1), or the place where the book is to be collected (§4.2)."""

    library: Text | None = None
    circ_desk: Text | None = None
    agency: Text | None = None


class TrackLine(Line):
    status: DcbStatus
    supplier: _LegPart
    workflow: Workflow | None = None
    status_since: datetime | None = None
    borrower: _LegPart | None = None
    pickup: _PickupPart | None = None
    patron: PatronPart | None = None
    item: ItemPart | None = None
    owned: StrictBool = False
    note: str | None = None


_ITEM_KEY = ("mms_id", "holding_id", "item_pid")


def track_lines(
    lines: Iterable[bytes], policy: Policy, now: datetime, desk: Registrar
) -> Iterator[Entrance | BadLine]:
    """What the lines of a `track` file bring in, or what is wrong with each."""
    for number, line in read_lines(lines, TrackLine):
        if isinstance(line, BadLine):
            yield line
            continue
        misfit = _misfit(line, policy)
        if misfit is not None:
            yield BadLine(number, misfit[0], misfit[1], line.id)
        else:
            yield desk.entrance(line, policy, now)


def _misfit(line: TrackLine, policy: Policy) -> tuple[str, str] | None:
    """The first field that does not fit the rest, and why."""
    for role, leg in _legs(line):
        if HostLmsCode(leg.host_lms) not in policy.hosts:
            hint = did_you_mean(leg.host_lms, policy.hosts)
            return f"{role}.host_lms", f"not a host_lms of the settings; {hint}"
    workflow = _workflow(line)
    if workflow is Workflow.PICKUP_ANYWHERE and line.pickup is None:
        return "pickup", "missing: RET-PUA has a pickup library of its own"
    for role, leg in _legs(line):
        missing = _missing(line.status, role, leg, workflow, policy)
        if missing is not None:
            return f"{role}.{missing}", f"missing: a transaction that is {line.status} has one"
    if line.status_since is not None and line.status_since.tzinfo is None:
        return "status_since", "expected a time with its zone, such as 2026-11-01T10:00:00Z"
    return None


def _missing(
    status: DcbStatus, role: Role, leg: _LegPart, workflow: Workflow, policy: Policy
) -> str | None:
    if policy.hosts[HostLmsCode(leg.host_lms)].is_external:
        return None
    stage = STAGES[status]
    if stage.places is role:
        return None
    if workflow is Workflow.EXPEDITED and role is Role.BORROWER and status in BOOK_AWAY:
        return None
    for name in stage.lender_has if role is Role.SUPPLIER else stage.pickup_has:
        if name != "item":
            if getattr(leg, name) is None:
                return name
        elif leg.item_barcode is None:
            lacking = next((key for key in _ITEM_KEY if getattr(leg, key) is None), None)
            if lacking is not None:
                return lacking
    return None


def _legs(line: TrackLine) -> list[tuple[Role, _LegPart]]:
    legs: list[tuple[Role, _LegPart]] = [(Role.SUPPLIER, line.supplier)]
    if line.borrower is not None:
        legs.append((Role.BORROWER, line.borrower))
    if line.pickup is not None and _workflow(line) is Workflow.PICKUP_ANYWHERE:
        legs.append((Role.PICKUP, line.pickup))
    return legs


def _workflow(line: TrackLine) -> Workflow:
    """As given; else pickup anywhere where a third library has a leg of its own."""
    if line.workflow is not None:
        return line.workflow
    own_leg = line.pickup is not None and (line.pickup.request_id or line.pickup.item_pid)
    return Workflow.PICKUP_ANYWHERE if own_leg else Workflow.STANDARD


class Registrar:
    """Makes entrances of lines: the transaction, its ledger, and what is still to be placed."""

    def __init__(self, recorder: Recorder, new_id: Callable[[], str], actor: str) -> None:
        self._recorder = recorder
        self._new_id = new_id
        self._actor = actor

    def entrance(self, line: TrackLine, policy: Policy, now: datetime) -> Entrance:
        transaction = _transaction(line, policy, now)
        given = _placing(line)
        entry = HistoryEntry(
            now, HistoryKind.COMMAND, self._actor, detail=f"tracked as {line.status}"
        )
        effects = wanted(_to_place(line.status), transaction, policy) if given else ()
        return Entrance(
            transaction,
            entry,
            given,
            intents=tuple(self._recorder.intents(effects, asked_by=0)),
            things=tuple(self._owned(transaction)) if line.owned else (),
        )

    def _owned(self, transaction: Transaction) -> Iterator[Thing]:
        """The records and holds of a line that says they are ours to clear."""
        for leg in transaction.legs:
            ids: list[tuple[ThingKind, dict[str, object]]] = []
            if leg.request_id:
                ids.append((ThingKind.HOLD, {"user_id": leg.user_id, "request_id": leg.request_id}))
            if leg.role is not Role.SUPPLIER and leg.mms_id and leg.holding_id and leg.item_pid:
                bib = {"mms_id": leg.mms_id}
                holding = {**bib, "holding_id": leg.holding_id}
                ids += [
                    (ThingKind.BIB, {**bib}),
                    (ThingKind.HOLDING, {**holding}),
                    (ThingKind.ITEM, {**holding, "item_pid": leg.item_pid}),
                ]
            for kind, given in ids:
                yield Thing(
                    self._new_id(),
                    kind,
                    leg.role,
                    leg.host_lms,
                    trusted=True,
                    **given,  # type: ignore[arg-type]
                )


def _to_place(status: DcbStatus) -> tuple[EffectRow, ...]:
    """What a transaction that comes in at a status still has to have placed."""
    if status is DcbStatus.RESOLVED:
        return PLACE_AT_SUPPLIER
    if STAGES[status].places is None:
        return ()
    return tuple(effect for row in TRANSITIONS if row.target is status for effect in row.effects)


def _placing(line: TrackLine) -> Placing | None:
    pickup = line.pickup
    if line.patron is None or line.item is None or pickup is None or pickup.library is None:
        return None
    place = PickupPart(
        host_lms=pickup.host_lms,
        library=pickup.library,
        circ_desk=pickup.circ_desk,
        agency=pickup.agency,
    )
    return placing(line.patron, line.item, place, line.note, keep_names=False)


def _transaction(line: TrackLine, policy: Policy, now: datetime) -> Transaction:
    legs = {role: _leg(role, leg) for role, leg in _legs(line)}
    since = line.status_since.astimezone(UTC) if line.status_since else now
    return Transaction(
        id=TransactionId(line.id),
        tenant=home_tenant(legs.values(), policy),
        workflow=_workflow(line),
        status=line.status,
        status_since=min(since, now),
        created_at=now,
        supplier=legs[Role.SUPPLIER],
        borrower=legs.get(Role.BORROWER),
        pickup=legs.get(Role.PICKUP),
        next_poll_at=None if line.status in TERMINAL else now,
        dispatched_at=since if line.status in BOOK_AWAY else None,
    )


def _leg(role: Role, line: _LegPart) -> Leg:
    return Leg(
        role=role,
        host_lms=HostLmsCode(line.host_lms),
        user_id=UserId(line.user_id) if line.user_id else None,
        request_id=RequestId(line.request_id) if line.request_id else None,
        mms_id=MmsId(line.mms_id) if line.mms_id else None,
        holding_id=HoldingId(line.holding_id) if line.holding_id else None,
        item_pid=ItemPid(line.item_pid) if line.item_pid else None,
        item_barcode=Barcode(line.item_barcode) if line.item_barcode else None,
        loan_id=LoanId(line.loan_id) if line.loan_id else None,
    )


def home_tenant(legs: Iterable[Leg], policy: Policy) -> HostLmsCode:
    """The library in whose queue a transaction stands: the first Alma, else the first library."""
    codes = [leg.host_lms for leg in legs]
    return next((code for code in codes if not policy.hosts[code].is_external), codes[0])
