"""What the outside is told and how patiently: event types, states, and the waits between tries.

Source: partners.md §3.2 (CloudEvents inside Standard Webhooks).
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from reconciler.core.cadence import share_of
from reconciler.core.model import TransactionId


class EventType(StrEnum):
    FIRED = "org.dcb.reconciler.transition.fired.v1"
    PARKED = "org.dcb.reconciler.transaction.parked.v1"


class MessageState(StrEnum):
    PENDING = "pending"
    DELIVERED = "delivered"
    DEAD = "dead"
    """Given up after the last try; `outbox replay` sends it again, with the same id."""


@dataclass(frozen=True, slots=True)
class Message:
    """One event for one sink. Its id is the same in every try, so that receivers can drop twins."""

    id: str
    transaction: TransactionId
    seq: int
    sink: str
    type: str
    body: dict[str, Any]
    state: MessageState
    attempts: int
    created_at: datetime
    next_attempt_at: datetime | None = None
    delivered_at: datetime | None = None
    last_error: str | None = None


class DeliveryKind(StrEnum):
    DELIVERED = "delivered"
    FAILED = "failed"
    GONE = "gone"
    """The receiver says that it wants no more of it: never tried again."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """How one try went. `wait` is what the receiver asked for, if it did."""

    kind: DeliveryKind
    reason: str | None = None
    wait: timedelta | None = None
    is_sinks_own: bool = True
    """Whether other messages would fail alike; False where only this one is refused."""


_HOUR = timedelta(hours=1)
WAITS = (
    timedelta(seconds=5),
    timedelta(minutes=5),
    timedelta(minutes=30),
    2 * _HOUR,
    5 * _HOUR,
    10 * _HOUR,
    14 * _HOUR,
    20 * _HOUR,
    24 * _HOUR,
)
"""After the first try, the second, …; after the last one a message is dead."""

LONGEST_ASKED_WAIT = 24 * _HOUR
JITTER = 0.1


def next_try_at(message: Message, now: datetime, asked: timedelta | None) -> datetime | None:
    """When to try again after `message.attempts` tries; None when it is given up."""
    if message.attempts > len(WAITS):
        return None
    spread = 1 + JITTER * share_of(message.id, message.attempts)
    wait = WAITS[max(message.attempts, 1) - 1] * spread
    return now + max(wait, min(asked or timedelta(0), LONGEST_ASKED_WAIT))
