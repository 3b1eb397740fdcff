"""Between rows and the core's frozen values."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import RowMapping

from reconciler.core.commands.placing import Patron, PickupPlace, Placing, WantedItem
from reconciler.core.model import (
    Barcode,
    Evidence,
    HistoryEntry,
    HoldingId,
    HostLmsCode,
    Intent,
    ItemPid,
    Leg,
    LoanId,
    MmsId,
    Parked,
    Pause,
    Remembered,
    RequestId,
    RuleVerdict,
    Thing,
    Transaction,
    TransactionId,
    UserId,
)
from reconciler.core.status import (
    DcbStatus,
    EffectKind,
    HistoryKind,
    IntentState,
    Outcome,
    PauseScope,
    Resource,
    Role,
    ThingKind,
    ThingState,
    Workflow,
)

Values = dict[str, Any]

SETTLED_COLUMNS = (
    "workflow",
    "status",
    "previous_status",
    "outcome",
    "status_since",
    "dispatched_at",
    "next_poll_at",
    "last_poll_at",
    "last_full_poll_at",
    "asked_at",
    "failures",
    "unchanged_looks",
    "parked_reason",
    "parked_detail",
    "parked_since",
    "sights",
)
"""The columns that a settlement writes anew each time."""


# --- transactions ------------------------------------------------------------


def transaction_values(transaction: Transaction) -> Values:
    """The columns that a settlement writes; claims, fences and versions are the store's own."""
    parked = transaction.parked
    return {
        "workflow": str(transaction.workflow),
        "status": str(transaction.status),
        "previous_status": _text(transaction.previous_status),
        "outcome": _text(transaction.outcome),
        "status_since": transaction.status_since,
        "dispatched_at": transaction.dispatched_at,
        "next_poll_at": transaction.next_poll_at,
        "last_poll_at": transaction.last_poll_at,
        "last_full_poll_at": transaction.last_full_poll_at,
        "asked_at": transaction.asked_at,
        "failures": transaction.failures,
        "unchanged_looks": transaction.unchanged_looks,
        "parked_reason": parked.reason if parked else None,
        "parked_detail": parked.detail if parked else None,
        "parked_since": parked.since if parked else None,
        "sights": sights_values(transaction),
    }


@dataclass(slots=True)
class Parts:
    """What belongs to a transaction in other tables."""

    legs: dict[Role, Leg] = field(default_factory=dict)
    things: tuple[Thing, ...] = ()
    intents: tuple[Intent, ...] = ()
    has_placing_data: bool = False


def transaction(row: RowMapping, parts: Parts) -> Transaction:
    legs = parts.legs
    parked = None
    if row["parked_reason"] is not None:
        parked = Parked(row["parked_reason"], row["parked_detail"] or "", row["parked_since"])
    paused = None
    if row["paused_since"] is not None:
        paused = Pause(row["paused_since"], row["paused_by"], row["paused_reason"])
    return Transaction(
        id=TransactionId(row["id"]),
        tenant=HostLmsCode(row["tenant"]),
        workflow=Workflow(row["workflow"]),
        status=DcbStatus(row["status"]),
        status_since=row["status_since"],
        created_at=row["created_at"],
        supplier=legs[Role.SUPPLIER],
        borrower=legs.get(Role.BORROWER),
        pickup=legs.get(Role.PICKUP),
        previous_status=DcbStatus(row["previous_status"]) if row["previous_status"] else None,
        outcome=Outcome(row["outcome"]) if row["outcome"] else None,
        parked=parked,
        paused=paused,
        dispatched_at=row["dispatched_at"],
        next_poll_at=row["next_poll_at"],
        last_poll_at=row["last_poll_at"],
        last_full_poll_at=row["last_full_poll_at"],
        asked_at=row["asked_at"],
        failures=row["failures"],
        unchanged_looks=row["unchanged_looks"],
        considered=tuple(_verdict(each) for each in row["considered"]),
        version=row["version"],
        things=parts.things,
        intents=parts.intents,
        has_placing_data=parts.has_placing_data,
    )


def pause(row: RowMapping) -> Pause:
    """A standing pause of a library or of everything."""
    tenant = row["tenant"]
    scope = PauseScope.TENANT if tenant else PauseScope.ALL
    return Pause(
        row["since"], row["actor"], row["reason"], scope, HostLmsCode(tenant) if tenant else None
    )


def verdict_values(verdict: RuleVerdict) -> Values:
    """Also the JSON of a considered rule in `explain`."""
    return {
        "rule": verdict.rule,
        "verdict": verdict.verdict,
        "because": verdict.because,
        "evidence": [evidence_values(each) for each in verdict.evidence],
    }


def _verdict(values: Mapping[str, Any]) -> RuleVerdict:
    return RuleVerdict(
        values["rule"],
        values["verdict"],
        values["because"],
        tuple(_evidence(values["evidence"])),
    )


# --- legs --------------------------------------------------------------------

LEG_COLUMNS = (
    "user_id",
    "user_primary_id",
    "request_id",
    "mms_id",
    "holding_id",
    "item_pid",
    "item_barcode",
    "loan_id",
    "record_state",
    "request_placed_at",
    "loan_seen_at",
    "loan_due_at",
    "due_wanted_at",
    "competing_hold_at",
)


def leg_values(leg: Leg) -> Values:
    values: Values = {column: getattr(leg, column) for column in LEG_COLUMNS}
    values["host_lms"] = leg.host_lms
    return values


def leg_differs(leg: Leg, before: Leg | None) -> bool:
    """Whether the leg's own row has to be written; its words stand elsewhere."""
    return before is None or any(
        getattr(leg, column) != getattr(before, column) for column in (*LEG_COLUMNS, "host_lms")
    )


def leg(row: RowMapping, sights: Mapping[str, Mapping[str, Mapping[str, str]]]) -> Leg:
    """A leg from its own row and the words that its transaction's row keeps of it."""
    seen = sights.get(row["role"], {})
    return Leg(
        role=Role(row["role"]),
        host_lms=HostLmsCode(row["host_lms"]),
        user_id=_id(UserId, row["user_id"]),
        user_primary_id=_id(UserId, row["user_primary_id"]),
        request_id=_id(RequestId, row["request_id"]),
        mms_id=_id(MmsId, row["mms_id"]),
        holding_id=_id(HoldingId, row["holding_id"]),
        item_pid=_id(ItemPid, row["item_pid"]),
        item_barcode=_id(Barcode, row["item_barcode"]),
        loan_id=_id(LoanId, row["loan_id"]),
        item=_remembered(seen.get("item", {})),
        request=_remembered(seen.get("request", {})),
        loan=_remembered(seen.get("loan", {})),
        request_placed_at=row["request_placed_at"],
        loan_seen_at=row["loan_seen_at"],
        loan_due_at=row["loan_due_at"],
        due_wanted_at=row["due_wanted_at"],
        competing_hold_at=row["competing_hold_at"],
        record_state=row["record_state"],
    )


def sights_values(transaction: Transaction) -> Values:
    """The last words of all legs; what was never seen takes no room."""
    return {
        leg.role.value: {
            resource.value: _remembered_values(word)
            for resource in Resource
            if (word := leg.remembered(resource)) is not _NEVER_SEEN
        }
        for leg in transaction.legs
    }


_NEVER_SEEN = Remembered()


def _remembered_values(word: Remembered) -> Values:
    return {
        name: value.isoformat() if isinstance(value, datetime) else value
        for name in Remembered.__slots__
        if (value := getattr(word, name)) is not None
    }


def _remembered(values: Mapping[str, str]) -> Remembered:
    if not values:
        return _NEVER_SEEN
    return Remembered(
        state=values.get("state"),
        raw=values.get("raw"),
        seen_at=_instant(values.get("seen_at")),
        since=_instant(values.get("since")),
        failure=values.get("failure"),
        failed_at=_instant(values.get("failed_at")),
        unfilled_at=_instant(values.get("unfilled_at")),
        shelved_at=_instant(values.get("shelved_at")),
        away_at=_instant(values.get("away_at")),
    )


# --- history and intents -----------------------------------------------------


def history_values(entry: HistoryEntry, id: TransactionId, seq: int) -> Values:
    return {
        "transaction_id": id,
        "seq": seq,
        "at": entry.at,
        "kind": str(entry.kind),
        "from_status": _text(entry.source),
        "to_status": _text(entry.target),
        "rule": entry.rule,
        "inferred": entry.inferred,
        "actor": entry.actor,
        "reason": entry.reason,
        "detail": entry.detail,
        "evidence": [evidence_values(each) for each in entry.evidence],
    }


def history_entry(row: RowMapping) -> HistoryEntry:
    return HistoryEntry(
        at=row["at"],
        kind=HistoryKind(row["kind"]),
        actor=row["actor"],
        source=DcbStatus(row["from_status"]) if row["from_status"] else None,
        target=DcbStatus(row["to_status"]) if row["to_status"] else None,
        rule=row["rule"],
        inferred=row["inferred"],
        reason=row["reason"],
        detail=row["detail"],
        evidence=tuple(_evidence(row["evidence"])),
        seq=row["seq"],
    )


def evidence_values(evidence: Evidence) -> Values:
    """Also the JSON of evidence in `history`, `explain` and the API."""
    return {
        "role": str(evidence.role),
        "resource": str(evidence.resource),
        "state": evidence.state,
        "raw": evidence.raw,
        "seen_at": evidence.seen_at.isoformat() if evidence.seen_at else None,
    }


def _evidence(values: Iterable[Mapping[str, str]]) -> Iterable[Evidence]:
    for each in values:
        yield Evidence(
            role=Role(each["role"]),
            resource=Resource(each["resource"]),
            state=each["state"],
            raw=each["raw"],
            seen_at=_instant(each["seen_at"]),
        )


INTENT_COLUMNS = (
    "attempts",
    "ambiguities",
    "refusals",
    "next_attempt_at",
    "sent_at",
    "last_error",
    "last_code",
    "tracking_id",
)


def intent_values(intent: Intent) -> Values:
    """The columns that change in the life of an intent."""
    return {"state": str(intent.state)} | {name: getattr(intent, name) for name in INTENT_COLUMNS}


def intent(row: RowMapping) -> Intent:
    return Intent(
        id=row["id"],
        kind=EffectKind(row["kind"]),
        role=Role(row["role"]),
        host_lms=HostLmsCode(row["host_lms"]),
        state=IntentState(row["state"]),
        asked_by=row["asked_by"],
        thing_id=row["thing_id"],
        **{name: row[name] for name in INTENT_COLUMNS},
    )


# --- the ledger and placing data -----------------------------------------------

_THING_IDS = ("user_id", "request_id", "mms_id", "holding_id", "item_pid", "loan_id")


THING_COLUMNS = ("kind", "role", "host_lms", "state", "owned", "trusted", *_THING_IDS)


def thing_values(thing: Thing) -> Values:
    return {
        "kind": str(thing.kind),
        "role": str(thing.role),
        "host_lms": thing.host_lms,
        "state": str(thing.state),
        "owned": thing.owned,
        "trusted": thing.trusted,
        **{name: getattr(thing, name) for name in _THING_IDS},
    }


def thing(row: RowMapping) -> Thing:
    return Thing(
        id=row["id"],
        kind=ThingKind(row["kind"]),
        role=Role(row["role"]),
        host_lms=HostLmsCode(row["host_lms"]),
        state=ThingState(row["state"]),
        owned=row["owned"],
        trusted=row["trusted"],
        created_at=row["created_at"],
        **{name: row[name] for name in _THING_IDS},
    )


def placing_document(placing: Placing) -> bytes:
    return json.dumps(asdict(placing), ensure_ascii=False).encode()


def placing(document: bytes) -> Placing:
    tree = json.loads(document)
    patron = tree["patron"]
    return Placing(
        patron=Patron(
            **{
                **patron,
                "barcodes": tuple(patron["barcodes"]),
                "names": tuple(patron["names"]),
            }
        ),
        item=WantedItem(**tree["item"]),
        pickup=PickupPlace(**tree["pickup"]),
        note=tree["note"],
    )


def _instant(value: str | None) -> datetime | None:
    return datetime.fromisoformat(value) if value else None


def _text(value: str | None) -> str | None:
    return None if value is None else str(value)


def _id(kind: Any, value: str | None) -> Any:
    return None if value is None else kind(value)
