"""Import files: JSON Lines in, transactions out, each bad line named with its field and reason.

Contract: interface.md §4. A line is taken whole or not at all; the good lines of a file are
taken although others are bad.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Annotated, Any

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    StrictBool,
    StringConstraints,
    ValidationError,
)

from reconciler.core.model import (
    Barcode,
    HoldingId,
    HostLmsCode,
    ItemPid,
    Leg,
    LoanId,
    MmsId,
    Policy,
    RequestId,
    Transaction,
    TransactionId,
    UserId,
)
from reconciler.core.status import (
    BOOK_AWAY,
    TERMINAL,
    DcbStatus,
    Role,
    Workflow,
)
from reconciler.wording import did_you_mean, problem

Text = Annotated[str, StringConstraints(strict=True, strip_whitespace=True, min_length=1)]

LARGEST_LINE = 256 * 1024


@dataclass(frozen=True, slots=True)
class BadLine:
    """A line that was not taken: which, which field, why."""

    line: int
    field: str
    problem: str
    id: str | None = None


class _Line(BaseModel):
    model_config = ConfigDict(extra="forbid")


class _LegLine(_Line):
    host_lms: Text
    user_id: Text | None = None
    request_id: Text | None = None
    mms_id: Text | None = None
    holding_id: Text | None = None
    item_pid: Text | None = None
    item_barcode: Text | None = None
    loan_id: Text | None = None


class PatronLine(_Line):
    host_lms: Text
    user_id: Text
    barcodes: list[Text] = Field(default_factory=list)
    names: list[Text] = Field(default_factory=list)
    patron_type: Text | None = None
    agency: Text | None = None


class ItemLine(_Line):
    host_lms: Text
    mms_id: Text
    holding_id: Text
    item_pid: Text
    barcode: Text | None = None
    title: Text | None = None
    author: Text | None = None
    item_type: Text | None = None
    agency: Text | None = None


class _PickupLine(_LegLine):
    """A leg of a third library (§4.1), or the place where the book is to be collected (§4.2)."""

    library: Text | None = None
    circ_desk: Text | None = None
    agency: Text | None = None


def _no_blanks(id: str) -> str:
    if any(char.isspace() or char == "/" for char in id):
        raise ValueError("expected an id without blanks or slashes")
    return id


class TrackLine(_Line):
    id: Annotated[Text, StringConstraints(max_length=100), AfterValidator(_no_blanks)]
    status: DcbStatus
    supplier: _LegLine
    workflow: Workflow | None = None
    status_since: datetime | None = None
    borrower: _LegLine | None = None
    pickup: _PickupLine | None = None
    patron: PatronLine | None = None
    item: ItemLine | None = None
    owned: StrictBool = False
    note: str | None = None


_S = DcbStatus
_HOLD = ("user_id", "request_id", "item")
_LOAN = ("user_id", "item")

_AT_SUPPLIER: dict[DcbStatus, tuple[str, ...]] = {
    _S.REQUEST_PLACED_AT_SUPPLYING_AGENCY: _HOLD,
    _S.CONFIRMED: _HOLD,
    _S.REQUEST_PLACED_AT_BORROWING_AGENCY: _HOLD,
    _S.REQUEST_PLACED_AT_PICKUP_AGENCY: _HOLD,
    _S.PICKUP_TRANSIT: _HOLD,
    _S.RECEIVED_AT_PICKUP: _HOLD,
    _S.READY_FOR_PICKUP: _HOLD,
    _S.LOANED: _LOAN,
    _S.RETURN_TRANSIT: _LOAN,
    _S.AWAITING_RETURN_TO_SUPPLIER: ("item",),
}
_AT_PICKUP_SIDE: dict[DcbStatus, tuple[str, ...]] = {
    _S.REQUEST_PLACED_AT_BORROWING_AGENCY: _HOLD,
    _S.REQUEST_PLACED_AT_PICKUP_AGENCY: _HOLD,
    _S.PICKUP_TRANSIT: _HOLD,
    _S.RECEIVED_AT_PICKUP: _HOLD,
    _S.READY_FOR_PICKUP: _HOLD,
    _S.LOANED: _LOAN,
}
"""The ids that an Alma's leg must already have in a status; other statuses need none."""

_ITEM_KEY = ("mms_id", "holding_id", "item_pid")


def track_lines(
    lines: Iterable[bytes], policy: Policy, now: datetime
) -> Iterator[tuple[int, Transaction | BadLine]]:
    """The transactions of a `track` file, line by line from 1; blank lines are skipped."""
    for number, raw in enumerate(lines, start=1):
        if not raw.strip():
            continue
        parsed = _parsed(number, raw)
        if isinstance(parsed, BadLine):
            yield number, parsed
            continue
        try:
            line = TrackLine.model_validate(parsed)
        except ValidationError as error:
            yield number, _bad(number, parsed, error)
            continue
        misfit = _misfit(line, policy)
        if misfit is not None:
            yield number, BadLine(number, misfit[0], misfit[1], line.id)
        else:
            yield number, _transaction(line, policy, now)


def _parsed(number: int, raw: bytes) -> dict[str, Any] | BadLine:
    if len(raw) > LARGEST_LINE:
        return BadLine(number, "line", f"longer than {LARGEST_LINE // 1024} KiB")
    try:
        text = raw.decode("utf-8-sig" if number == 1 else "utf-8")
    except UnicodeDecodeError:
        return BadLine(number, "line", "not UTF-8 text")
    try:
        parsed = json.loads(text)
    except (ValueError, RecursionError) as error:
        where = f" at column {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        return BadLine(number, "line", f"not JSON{where}; expected one object on one line")
    if not isinstance(parsed, dict):
        return BadLine(number, "line", "expected a JSON object {…}")
    return parsed


def _bad(number: int, parsed: dict[str, Any], error: ValidationError) -> BadLine:
    first = error.errors(include_url=False)[0]
    field = ".".join(str(part) for part in first["loc"]) or "line"
    id = parsed.get("id")
    return BadLine(number, field, problem(first), id if isinstance(id, str) else None)


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
    status: DcbStatus, role: Role, leg: _LegLine, workflow: Workflow, policy: Policy
) -> str | None:
    if policy.hosts[HostLmsCode(leg.host_lms)].is_external:
        return None
    table = _AT_SUPPLIER if role is Role.SUPPLIER else _AT_PICKUP_SIDE
    if role is Role.PICKUP and status is _S.REQUEST_PLACED_AT_BORROWING_AGENCY:
        return None
    if workflow is Workflow.EXPEDITED and role is Role.BORROWER and status in BOOK_AWAY:
        return None
    for name in table.get(status, ()):
        if name != "item":
            if getattr(leg, name) is None:
                return name
        elif leg.item_barcode is None:
            lacking = next((key for key in _ITEM_KEY if getattr(leg, key) is None), None)
            if lacking is not None:
                return lacking
    return None


def _legs(line: TrackLine) -> list[tuple[Role, _LegLine]]:
    legs: list[tuple[Role, _LegLine]] = [(Role.SUPPLIER, line.supplier)]
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


def _leg(role: Role, line: _LegLine) -> Leg:
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
