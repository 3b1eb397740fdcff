"""A process that stood still between its record and its call does not make the call any more.

Whoever took over meanwhile looks for what the record announced, does not find it, and makes it.
A call of the older process after that would make it a second time (reliability.md P7).
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from reconciler.core.status import DcbStatus, IntentState
from reconciler.engine.effects.runner import BEGINS_WITHIN
from reconciler.engine.storage import Storage
from tests.support.clock import FakeClock
from tests.support.lab import Lab

WRITES = ("POST", "PUT", "DELETE")


class StandsStill(Storage):
    """The process is stopped right after each record of a call that is to go out."""

    def __init__(self, clock: FakeClock) -> None:
        super().__init__()
        self._clock = clock
        self.stops_for = timedelta(0)
        self.stops = 0

    async def run(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        answer = await super().run(call, *args, **kwargs)
        if call.__name__ == "settle" and any(
            intent.state is IntentState.SENT for each in args[0] for intent in each.changed
        ):
            self.stops += 1
            self._clock.advance(self.stops_for)
        return answer


@pytest.fixture
def storage(lab: Lab) -> StandsStill:
    usual = lab.app.storage
    usual.close()
    still = lab.app.__dict__["storage"] = StandsStill(lab.clock)
    return still


async def test_a_call_that_comes_too_late_is_not_made(lab: Lab, storage: StandsStill) -> None:
    book = lab.wanted()
    await lab.submit(book)
    storage.stops_for = BEGINS_WITHIN + timedelta(seconds=1)
    for _ in range(3):
        await lab.look(book)
        lab.clock.advance(timedelta(minutes=2))
    assert storage.stops >= 3
    assert [call for method in WRITES for call in lab.sandbox.calls.matching(method, "")] == []
    tried = [each for each in lab.stored(book).intents if each.attempts]
    assert tried
    assert not any(each.may_have_happened for each in tried)
    storage.stops_for = timedelta(0)
    await lab.rest(book)
    assert lab.stored(book).status is DcbStatus.REQUEST_PLACED_AT_BORROWING_AGENCY
    assert lab.counts(book)["supplier holds"] == 1


async def test_a_short_stop_changes_nothing(lab: Lab, storage: StandsStill) -> None:
    book = lab.wanted()
    await lab.submit(book)
    storage.stops_for = BEGINS_WITHIN - timedelta(seconds=5)
    await lab.rest(book)
    assert storage.stops
    assert lab.stored(book).status is DcbStatus.REQUEST_PLACED_AT_BORROWING_AGENCY
    assert lab.counts(book)["supplier holds"] == 1
