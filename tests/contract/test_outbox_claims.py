"""What became of a message is written once, by whoever has it; on both databases."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

import pytest

from reconciler.core.model import HistoryEntry, TransactionId
from reconciler.core.status import DcbStatus, HistoryKind, Workflow
from reconciler.engine.storage import Storage
from reconciler.engine.telling import AT_ONCE, HOLD, Dispatcher
from reconciler.notify.log import LogSink
from reconciler.notify.webhook import Endpoint, WebhookSink
from reconciler.ports.messages import Delivery, DeliveryKind, Message, MessageState
from reconciler.ports.outbox import MessageFilter, Try
from reconciler.ports.written import Entrance, Notice
from reconciler.store.database import Database
from reconciler.store.outbox import SqlOutbox
from reconciler.store.sql_store import SqlStore
from tests.support.build import NOW, transaction
from tests.support.clock import FakeClock

SINK = "slow"
LATER = NOW + HOLD


@pytest.fixture
def outbox(database: Database, store: SqlStore) -> SqlOutbox:
    """Five messages, one of each of five lends, a second apart."""
    for n in range(5):
        id = TransactionId(f"t-{n}")
        made = transaction(DcbStatus.LOANED, Workflow.STANDARD, id=id)
        at = NOW - timedelta(seconds=5 - n)
        entry = HistoryEntry(at, HistoryKind.COMMAND, "test", detail="tracked")
        notice = Notice(f"m-{n}", SINK, 0, "fired", {"x": n})
        assert store.add(Entrance(made, entry, notices=(notice,)))
    return SqlOutbox(database)


def claimed(outbox: SqlOutbox, at: datetime = NOW) -> Message:
    """The first message, held from then on."""
    (message,) = outbox.claim_messages(at, at + HOLD, 1, (SINK,))
    assert message.id == "m-0"
    return message


def delivered(message: Message, at: datetime = NOW) -> Try:
    after = replace(message, state=MessageState.DELIVERED, delivered_at=at, next_attempt_at=None)
    return Try(message, after)


def failed(message: Message, again_at: datetime = LATER) -> Try:
    return Try(message, replace(message, next_attempt_at=again_at, last_error="HTTP 500"))


def given_up(message: Message) -> Try:
    after = replace(message, state=MessageState.DEAD, next_attempt_at=None, last_error="410")
    return Try(message, after)


def given_back(message: Message) -> Try:
    return Try(message, replace(message, attempts=message.attempts - 1, next_attempt_at=NOW))


def stands(outbox: SqlOutbox) -> Message:
    (message,) = outbox.messages(MessageFilter(ids=("m-0",)))
    return message


@pytest.mark.parametrize("late", [failed, given_up, given_back])
def test_what_was_received_stays_received(outbox: SqlOutbox, late: object) -> None:
    """One process stood still; another took its message over, and was quicker."""
    first = claimed(outbox)
    second = claimed(outbox, LATER)
    outbox.record([delivered(second, LATER)])
    outbox.record([late(first)])  # type: ignore[operator]
    now = stands(outbox)
    assert (now.state, now.delivered_at, now.attempts) == (MessageState.DELIVERED, LATER, 2)
    assert now.next_attempt_at is None


def test_that_it_was_received_counts_whoever_has_it_by_now(outbox: SqlOutbox) -> None:
    first = claimed(outbox)
    second = claimed(outbox, LATER)
    outbox.record([delivered(first)])
    outbox.record([failed(second, LATER + HOLD)])
    assert stands(outbox).state is MessageState.DELIVERED
    assert outbox.claim_messages(LATER + 2 * HOLD, LATER + 3 * HOLD, 1, (SINK,))[0].id == "m-1"


@pytest.mark.parametrize("late", [failed, given_up, given_back])
def test_a_claim_that_ran_out_writes_nothing_over_the_next_one(
    outbox: SqlOutbox, late: object
) -> None:
    first = claimed(outbox)
    second = claimed(outbox, LATER)
    outbox.record([late(first)])  # type: ignore[operator]
    assert stands(outbox) == second
    outbox.record([failed(second, LATER + HOLD)])
    assert stands(outbox).last_error == "HTTP 500"


@pytest.mark.parametrize("late", [failed, given_up, given_back, delivered])
def test_a_replay_keeps_its_word_against_a_try_that_was_out(
    outbox: SqlOutbox, late: object
) -> None:
    first = claimed(outbox)
    assert outbox.replay(MessageFilter(ids=("m-0",)), NOW) == 1
    outbox.record([late(first)])  # type: ignore[operator]
    now = stands(outbox)
    assert (now.state, now.attempts, now.next_attempt_at) == (MessageState.PENDING, 0, NOW)
    assert claimed(outbox).attempts == 1


@dataclass
class SlowSink:
    """Each try takes its longest time; meanwhile another process looks for work."""

    clock: FakeClock
    other: SqlOutbox
    longest: timedelta = timedelta(seconds=45)
    name: str = SINK
    tried: list[str] = field(default_factory=list)
    taken_by_another: list[str] = field(default_factory=list)

    async def deliver(self, message: Message, _now: datetime) -> Delivery:
        self.tried.append(message.id)
        self.clock.advance(self.longest)
        at = self.clock.now()
        found = self.other.claim_messages(at, at, AT_ONCE, (SINK,))
        self.taken_by_another += [each.id for each in found]
        return Delivery(DeliveryKind.DELIVERED)


async def test_nobody_takes_a_message_whose_delivery_is_under_way(
    outbox: SqlOutbox, database: Database
) -> None:
    clock = FakeClock(NOW)
    sink = SlowSink(clock, SqlOutbox(database))
    storage = Storage()
    dispatcher = Dispatcher({SINK: sink}, outbox, storage, clock, lambda *_: None)
    await dispatcher.run(timedelta(hours=1))
    storage.close()
    assert sink.taken_by_another == []
    assert sink.tried == [f"m-{n}" for n in range(5)]
    found = outbox.messages(MessageFilter())
    assert {(each.state, each.attempts) for each in found} == {(MessageState.DELIVERED, 1)}


@pytest.mark.parametrize("sink", [LogSink(), WebhookSink(Endpoint("https://example.org/", ()))])
def test_every_sink_may_try_at_least_once_while_it_has_a_message(
    sink: LogSink | WebhookSink,
) -> None:
    assert sink.longest < HOLD
