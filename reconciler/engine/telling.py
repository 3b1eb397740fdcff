"""Telling the outside: notices written with what they tell of, then delivered from the outbox.

Every transition and every parking reaches every sink at least once, in order for each
transaction, with an id that stays the same. A sink in trouble holds up nobody but itself.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from loguru import logger

from reconciler.core.model import HistoryEntry, Transaction
from reconciler.core.status import HistoryKind
from reconciler.engine.storage import Storage
from reconciler.ports.clock import Clock
from reconciler.ports.messages import (
    WAITS,
    Delivery,
    DeliveryKind,
    EventType,
    Message,
    MessageState,
    next_try_at,
)
from reconciler.ports.outbox import Outbox, Sink, Try
from reconciler.ports.written import Notice

AT_ONCE = 100
HOLD = timedelta(minutes=2)
"""Until then no other process takes the same message: what cannot be tried within is given back."""


@dataclass(frozen=True, slots=True)
class Herald:
    """Makes the notices of what happened: one for each event and sink."""

    sinks: tuple[str, ...]
    new_id: Callable[[], str]

    def notices(self, after: Transaction, history: Sequence[HistoryEntry]) -> tuple[Notice, ...]:
        """What these history rows have to tell of the transaction as it stands after them."""
        return tuple(self._notices(after, history))

    def _notices(self, after: Transaction, history: Sequence[HistoryEntry]) -> Iterator[Notice]:
        for n, entry in enumerate(history):
            told = _told(after, entry)
            if told is None:
                continue
            type, data = told
            for sink in self.sinks:
                id = self.new_id()
                body = _cloud_event(id, type, after, entry, data)
                yield Notice(id, sink, n, type, body)


def _told(after: Transaction, entry: HistoryEntry) -> tuple[EventType, dict[str, Any]] | None:
    """The data of an event: ids and words only, never a name, a card or a text of Alma's."""
    if entry.kind is HistoryKind.TRANSITION:
        data = {
            "transaction": after.id,
            "from": entry.source,
            "to": entry.target,
            "rule": entry.rule,
            "role": entry.evidence[0].role if entry.evidence else None,
            "outcome": after.outcome,
            "inferred": entry.inferred,
        }
        return EventType.FIRED, data
    if entry.kind is HistoryKind.ATTENTION and after.parked is not None:
        data = {"transaction": after.id, "status": after.status, "reason": after.parked.reason}
        return EventType.PARKED, data
    return None


def _cloud_event(
    id: str, type: EventType, after: Transaction, entry: HistoryEntry, data: Mapping[str, Any]
) -> dict[str, Any]:
    """CloudEvents 1.0, structured."""
    return {
        "specversion": "1.0",
        "id": id,
        "source": f"/tenants/{after.tenant}/reconciler",
        "type": type,
        "subject": after.id,
        "time": entry.at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "datacontenttype": "application/json",
        "data": dict(data),
    }


@dataclass(slots=True)
class DeliveryTally:
    delivered: int = 0
    failed: int = 0
    dead: int = 0


@dataclass(frozen=True, slots=True)
class Dispatcher:
    """Delivers what is due. Delivery is claimed first, so that two processes seldom send twins."""

    sinks: Mapping[str, Sink]
    outbox: Outbox
    storage: Storage
    clock: Clock
    on_end: Callable[[str, MessageState], None]
    """Told of each try: the sink, and the state that it left the message in."""
    tally: DeliveryTally = field(default_factory=DeliveryTally)

    async def run(self, within: timedelta) -> None:
        """Deliver until nothing is due, or the time is used up. Raises StoreUnavailable."""
        ends = self.clock.monotonic() + within.total_seconds()
        while (began_at := self.clock.monotonic()) < ends:
            now = self.clock.now()
            messages = await self.storage.run(
                self.outbox.claim_messages, now, now + HOLD, AT_ONCE, tuple(self.sinks)
            )
            if not messages:
                return
            by_sink: dict[str, list[Message]] = defaultdict(list)
            for message in messages:
                by_sink[message.sink].append(message)
            until = began_at + HOLD.total_seconds()
            work = (self._deliver(self.sinks[name], some, until) for name, some in by_sink.items())
            await asyncio.gather(*work)

    async def _deliver(self, sink: Sink, messages: Sequence[Message], until: float) -> None:
        """One sink's messages, one after the other, as far as they are held for long enough; while
        it is in trouble the rest waits."""
        for n, message in enumerate(messages):
            if self.clock.monotonic() + sink.longest.total_seconds() > until:
                await self._give_back(messages[n:], self.clock.now())
                return
            delivery = await sink.deliver(message, self.clock.now())
            await self._record(message, delivery)
            if delivery.kind is DeliveryKind.FAILED and delivery.is_sinks_own:
                await self._give_back(messages[n + 1 :], self.clock.now() + WAITS[0])
                return

    async def _give_back(self, untried: Sequence[Message], due_at: datetime) -> None:
        """These were claimed and not tried."""
        tries = [
            Try(each, replace(each, attempts=each.attempts - 1, next_attempt_at=due_at))
            for each in untried
        ]
        await self.storage.run(self.outbox.record, tries)

    async def _record(self, message: Message, delivery: Delivery) -> None:
        after = self._after(message, delivery)
        if after.state is MessageState.DELIVERED:
            self.tally.delivered += 1
        elif after.state is MessageState.DEAD:
            self.tally.dead += 1
            logger.bind(transaction=message.transaction, reason=delivery.reason).error(
                "notification given up"
            )
        else:
            self.tally.failed += 1
        await self.storage.run(self.outbox.record, [Try(message, after)])
        self.on_end(message.sink, after.state)

    def _after(self, message: Message, delivery: Delivery) -> Message:
        now = self.clock.now()
        if delivery.kind is DeliveryKind.DELIVERED:
            return replace(
                message,
                state=MessageState.DELIVERED,
                delivered_at=now,
                next_attempt_at=None,
                last_error=None,
            )
        again = None
        if delivery.kind is DeliveryKind.FAILED:
            again = next_try_at(message, now, delivery.wait)
        state = MessageState.PENDING if again else MessageState.DEAD
        return replace(message, state=state, next_attempt_at=again, last_error=delivery.reason)
