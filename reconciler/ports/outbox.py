"""Telling others what happened."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Protocol

from reconciler.core.model import TransactionId
from reconciler.ports.messages import Delivery, Message, MessageState


class Sink(Protocol):
    """One place that is told of events."""

    @property
    def name(self) -> str:
        """The same over restarts; it tells no secret."""

    @property
    def longest(self) -> timedelta:
        """No try takes longer."""

    async def deliver(self, message: Message, now: datetime, /) -> Delivery:
        """One try; never raises."""


@dataclass(frozen=True, slots=True)
class MessageFilter:
    """What `outbox list` shows and `outbox replay` sends again."""

    ids: tuple[str, ...] = ()
    state: MessageState | None = None
    transaction: TransactionId | None = None
    since: datetime | None = None


@dataclass(frozen=True, slots=True)
class Try:
    """A message as it was claimed, and as it stands after what became of it."""

    claimed: Message
    after: Message


class Outbox(Protocol):
    """The messages of our database; they are written by settlements."""

    def claim_messages(
        self, now: datetime, until: datetime, limit: int, sinks: Sequence[str]
    ) -> list[Message]:
        """Messages that are due and whose turn it is, oldest first; held until `until`."""

    def record(self, tries: Sequence[Try]) -> None:
        """How deliveries went. What was received stays received, whoever says otherwise later; all
        else is written only of a message that is still claimed as it was."""

    def messages(self, filter: MessageFilter) -> list[Message]: ...

    def replay(self, filter: MessageFilter, now: datetime) -> int:
        """Send these again, with their old ids; how many there are."""
