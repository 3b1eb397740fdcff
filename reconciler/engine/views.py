"""The JSON shapes that people and programs see: `show`, `list`, `history`, `explain`, a cycle.

Contract: interface.md §5. Times are RFC 3339 UTC with a Z. One place for each shape, used by
the commands and by the HTTP routes alike.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from reconciler.core.lookahead import first_reads
from reconciler.core.model import (
    Evidence,
    HistoryEntry,
    Intent,
    Leg,
    Observation,
    Pause,
    Policy,
    Remembered,
    RuleVerdict,
    Thing,
    Transaction,
)
from reconciler.core.staff.advice import advice, believes
from reconciler.core.stages import next_expected
from reconciler.core.status import Resource
from reconciler.core.view.look import View
from reconciler.ports.messages import Message
from reconciler.ports.store import Tried

Json = dict[str, Any]


def instant(at: datetime | None) -> str | None:
    """2026-11-25T09:12:13Z, with milliseconds only where there are some."""
    if at is None:
        return None
    at = at.astimezone(UTC)
    precision = "milliseconds" if at.microsecond else "seconds"
    return at.isoformat(timespec=precision).replace("+00:00", "Z")


def transaction_view(
    transaction: Transaction, intents: Sequence[Intent], tried: Sequence[Tried] = ()
) -> Json:
    """`show ID`; `tried` are the lenders that did not supply."""
    expected = next_expected(transaction.status, transaction.workflow)
    return {
        "id": transaction.id,
        "workflow": transaction.workflow,
        "status": transaction.status,
        "previous_status": transaction.previous_status,
        "next_expected": expected,
        "outcome": transaction.outcome,
        "parked": _parked(transaction),
        "paused": _paused(transaction),
        "status_since": instant(transaction.status_since),
        "next_poll_at": instant(transaction.next_poll_at),
        "last_poll_at": instant(transaction.last_poll_at),
        "failures": transaction.failures,
        "supplier": _leg(transaction.supplier),
        "borrower": _leg(transaction.borrower),
        "pickup": _leg(transaction.pickup),
        "effects": [_effect(intent) for intent in intents],
        "things": [_thing(thing) for thing in transaction.things],
        "suppliers_tried": [
            {
                "host_lms": each.host_lms,
                "item_pid": each.item_pid,
                "given_up_at": instant(each.given_up_at),
            }
            for each in tried
        ],
    }


def row_view(transaction: Transaction) -> Json:
    """One row of `list`."""
    return {
        "id": transaction.id,
        "workflow": transaction.workflow,
        "status": transaction.status,
        "status_since": instant(transaction.status_since),
        "next_expected": next_expected(transaction.status, transaction.workflow),
        "next_poll_at": instant(transaction.next_poll_at),
        "parked": _parked(transaction),
        "paused": _paused(transaction),
        "supplier": transaction.supplier.host_lms,
        "borrower": transaction.borrower.host_lms if transaction.borrower else None,
        "pickup": transaction.pickup.host_lms if transaction.pickup else None,
    }


def history_view(transaction: Transaction, entries: Sequence[HistoryEntry]) -> Json:
    """`history ID`."""
    return {"id": transaction.id, "history": [_history_row(entry) for entry in entries]}


def explanation_view(
    transaction: Transaction, intents: Sequence[Intent], policy: Policy, now: datetime
) -> Json:
    """`explain ID`: what we believe, every rule considered, what failed, what comes next."""
    view = View.of(transaction, Observation({}), now, policy)
    reads = [f"{read.role} {read.kind}" for read in first_reads(view)]
    return {
        "id": transaction.id,
        "status": transaction.status,
        "believes": believes(transaction),
        "parked": _parked(transaction),
        "paused": _paused(transaction),
        "rules": [_verdict(each, transaction) for each in transaction.considered],
        "pending_effects": [_effect(each) for each in intents if not each.is_over],
        "failures": [
            {
                "role": leg.role,
                "resource": resource,
                "host_lms": leg.host_lms,
                "reason": word.failure,
                "at": instant(word.failed_at),
            }
            for leg in transaction.legs
            for resource in Resource
            if (word := leg.remembered(resource)).failure
        ],
        "next_look": {"at": instant(transaction.next_poll_at), "reads": reads},
        "staff": advice(transaction, now),
    }


def message_view(message: Message) -> Json:
    """A row of `outbox list`."""
    return {
        "id": message.id,
        "transaction": message.transaction,
        "seq": message.seq,
        "type": message.type,
        "sink": message.sink,
        "state": message.state,
        "attempts": message.attempts,
        "created_at": instant(message.created_at),
        "next_attempt_at": instant(message.next_attempt_at),
        "delivered_at": instant(message.delivered_at),
        "last_error": message.last_error,
    }


def evidence_view(evidence: Evidence) -> Json:
    return {
        "role": evidence.role,
        "resource": evidence.resource,
        "state": evidence.state,
        "raw": evidence.raw,
        "seen_at": instant(evidence.seen_at),
    }


def _parked(transaction: Transaction) -> Json | None:
    parked = transaction.parked
    if parked is None:
        return None
    return {"reason": parked.reason, "detail": parked.detail, "since": instant(parked.since)}


def _paused(transaction: Transaction) -> Json | None:
    return pause_view(transaction.paused) if transaction.paused else None


def pause_view(pause: Pause) -> Json:
    """Who has stopped it, and what else with it."""
    return {
        "reason": pause.reason,
        "actor": pause.actor,
        "since": instant(pause.since),
        "scope": pause.scope,
        "tenant": pause.tenant,
    }


def _leg(leg: Leg | None) -> Json | None:
    if leg is None:
        return None
    return {
        "host_lms": leg.host_lms,
        "user_id": leg.user_id,
        "request_id": leg.request_id,
        "mms_id": leg.mms_id,
        "holding_id": leg.holding_id,
        "item_pid": leg.item_pid,
        "item_barcode": leg.item_barcode,
        "loan_id": leg.loan_id,
        "due_at": instant(leg.loan_due_at),
        "record_state": leg.record_state,
        "item": _word(leg.item),
        "request": _word(leg.request),
        "loan": _word(leg.loan),
    }


def _word(word: Remembered) -> Json:
    """`failure` says why the newest read failed; the state beside it is the last readable one."""
    failure = None
    if word.failure is not None:
        failure = {"reason": word.failure, "at": instant(word.failed_at)}
    return {
        "state": word.state,
        "raw": word.raw,
        "seen_at": instant(word.seen_at),
        "failure": failure,
    }


def _effect(intent: Intent) -> Json:
    return {
        "id": intent.id,
        "kind": intent.kind,
        "role": intent.role,
        "host_lms": intent.host_lms,
        "state": intent.state,
        "attempts": intent.attempts,
        "next_attempt_at": instant(intent.next_attempt_at),
        "last_error": intent.last_error,
        "code": intent.last_code,
        "tracking_id": intent.tracking_id,
    }


def _thing(thing: Thing) -> Json:
    """A row of the ledger: what was made, where, and whether it is still there."""
    return {
        "kind": thing.kind,
        "role": thing.role,
        "host_lms": thing.host_lms,
        "state": thing.state,
        "owned": thing.owned,
        "user_id": thing.user_id,
        "request_id": thing.request_id,
        "mms_id": thing.mms_id,
        "holding_id": thing.holding_id,
        "item_pid": thing.item_pid,
        "loan_id": thing.loan_id,
    }


def _history_row(entry: HistoryEntry) -> Json:
    return {
        "seq": entry.seq,
        "at": instant(entry.at),
        "kind": entry.kind,
        "from": entry.source,
        "to": entry.target,
        "rule": entry.rule,
        "inferred": entry.inferred,
        "actor": entry.actor,
        "reason": entry.reason,
        "evidence": [evidence_view(each) for each in entry.evidence],
        "detail": entry.detail,
    }


def _verdict(verdict: RuleVerdict, transaction: Transaction) -> Json:
    return {
        "rule": verdict.rule,
        "verdict": verdict.verdict,
        "because": verdict.because,
        "evidence": [
            evidence_view(each) | {"seen_at": _last_seen(each, transaction)}
            for each in verdict.evidence
        ],
    }


def _last_seen(evidence: Evidence, transaction: Transaction) -> str | None:
    leg = transaction.leg(evidence.role)
    return instant(leg.remembered(evidence.resource).seen_at) if leg else None
