"""poll, retry, park and close, as people give them."""

from __future__ import annotations

import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from reconciler.core.commands.close import ENDINGS
from reconciler.core.commands.command import Command, Order
from reconciler.core.model import HostLmsCode, Transaction, TransactionId
from reconciler.core.stages import live
from reconciler.core.status import (
    LIVE,
    DcbStatus,
    EffectKind,
    HistoryKind,
    IntentState,
    Outcome,
    ThingKind,
    ThingState,
)
from reconciler.engine.hands import HandsReport
from reconciler.ports.leases import Owner
from reconciler.ports.store import Selection
from reconciler.store.leases import SqlLeases
from tests.support.lab import Book, Lab
from tests.support.lab import lab as make_lab
from tests.support.world import COMMAND, World
from tests.support.world import world as make_world

S = DcbStatus


@pytest.fixture(params=["sqlite", "postgres"])
async def any_lab(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Lab]:
    """A lab on each database."""
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    async with make_lab(tmp_path, patience="1s", database_url=url) as made:
        yield made


@pytest.fixture(params=["sqlite", "postgres"])
def any_acting(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[World]:
    """A world that is acted on, on each database."""
    url = "" if request.param == "sqlite" else request.getfixturevalue("postgres_url")
    with make_world(tmp_path, url, mode="act") as made:
        yield made


async def by_hand(lab: Lab, command: Command, *books: Book) -> HandsReport:
    order = Order(command, "cli:ada", "because", lab.clock.now())
    return await lab.app.hands.carry_out(order, [TransactionId(book.id) for book in books])


async def placed(lab: Lab) -> Book:
    book = lab.wanted()
    await lab.submit(book)
    await lab.rest(book)
    return book


async def at_status(lab: Lab, status: DcbStatus) -> Book:
    book = lab.wanted()
    if status is S.RESOLVED:
        lab.sandbox.faults.add("error", code="401136", method="POST", path="/requests", times=None)
    await lab.submit(book)
    acts = (
        (S.REQUEST_PLACED_AT_BORROWING_AGENCY, lambda: None),
        (S.PICKUP_TRANSIT, lambda: lab.lender.scan_in(book.barcode, "MAIN")),
        (S.READY_FOR_PICKUP, lambda: lab.borrower.scan_in(book.barcode, "MAIN")),
        (S.LOANED, lambda: lab.borrower.loan(book.barcode, book.reader, "MAIN")),
        (S.RETURN_TRANSIT, lambda: lab.borrower.return_item(book.barcode, "MAIN")),
    )
    for reached, act in acts:
        act()
        await lab.rest(book)
        if status in (reached, lab.stored(book).status):
            break
    assert lab.stored(book).status is status
    lab.sandbox.faults.clear()
    return book


def intent_states(lab: Lab, book: Book) -> dict[EffectKind, list[IntentState]]:
    found: dict[EffectKind, list[IntentState]] = {}
    for each in lab.app.store.intents(TransactionId(book.id)):
        found.setdefault(each.kind, []).append(each.state)
    return found


def rows(lab: Lab, book: Book) -> list[tuple[HistoryKind, str, str | None]]:
    entries = lab.app.store.history(TransactionId(book.id))
    return [(each.kind, each.actor, each.reason) for each in entries]


# --- poll --------------------------------------------------------------------


def test_a_poll_makes_it_due_whatever_its_next_look_was(any_world: World) -> None:
    lend = any_world.placed()
    any_world.track(lend)
    any_world.once()
    assert any_world.run("--once", "-o", "json").json["reconciled"] == 0
    said = any_world.run("poll", lend.id)
    assert said.out == f"done     {lend.id}  is looked at next\n"
    assert any_world.run("--once", "-o", "json").json["reconciled"] == 1
    (row,) = [row for row in any_world.history(lend.id) if row["detail"].startswith("poll")]
    assert row["kind"] == "command"
    assert row["actor"].startswith("cli:")


def test_what_cannot_be_polled_is_said(world: World) -> None:
    lend = world.placed(status="FINALISED")
    world.track(lend)
    said = world.run("poll", lend.id, "nobody", check=3)
    assert f"skipped  {lend.id}  already over: FINALISED" in said.out
    assert "failed   nobody  no such transaction" in said.out
    assert "0 done, 1 failed, 1 skipped" in said.err


# --- park and retry ----------------------------------------------------------


def test_what_is_parked_by_hand_waits_and_a_retry_takes_it_up(any_acting: World) -> None:
    lend = any_acting.wanted()
    any_acting.submit(lend)
    any_acting.run("park", lend.id, "--reason", "the reader rang")
    any_acting.once(check=None)
    assert any_acting.things(lend.id) == {}
    shown = any_acting.show(lend.id)
    assert shown["parked"]["reason"] == "by_hand"
    assert shown["parked"]["detail"] == "the reader rang"
    again = any_acting.run("park", lend.id, "--reason", "twice", check=3)
    assert "parked already: by_hand" in again.out
    any_acting.run("retry", lend.id, "--reason", "the reader wants it")
    assert any_acting.once()["effects"]["done"] > 0
    shown = any_acting.show(lend.id)
    assert (shown["parked"], shown["status"]) == (None, "REQUEST_PLACED_AT_BORROWING_AGENCY")
    told = [row["kind"] for row in any_acting.history(lend.id) if row["actor"].startswith("cli:")]
    assert told == ["command", "command", "attention", "command"]


def test_a_retry_of_what_is_not_parked_is_skipped(world: World) -> None:
    lend = world.placed()
    world.track(lend)
    said = world.run("retry", lend.id, "--reason", "x", "-o", "json", check=3)
    assert said.json == {
        "command": "retry",
        "done": [],
        "failed": [],
        "skipped": [{"id": lend.id, "why": "not parked, nothing refused"}],
    }


async def test_retry_parks_again_while_the_cause_is_in_sight(any_lab: Lab) -> None:
    lab = any_lab
    book = await at_status(lab, S.LOANED)
    lab.lender.mark_lost(book.barcode)
    assert await _parked_by(lab, book) == "item_lost"
    for _ in range(2):
        assert (await by_hand(lab, Command.RETRY, book)).done
        assert await _parked_by(lab, book) == "item_lost"
    lab.lender.found(book.barcode)
    assert await _parked_by(lab, book) == "item_lost", "only a person's command takes it out"
    assert (await by_hand(lab, Command.RETRY, book)).done
    assert await _parked_by(lab, book) is None
    lab.borrower.claim_returned(book.barcode)
    assert await _parked_by(lab, book) == "claimed_returned"


async def _parked_by(lab: Lab, book: Book) -> str | None:
    parked = (await lab.look(book)).parked
    return parked.reason if parked else None


async def test_a_barcode_that_was_taken_is_retried_and_the_lend_ends_well(any_lab: Lab) -> None:
    lab = any_lab
    book = lab.wanted()
    await lab.submit(book)
    lab.sandbox.faults.add("per_second", institution="uni-b", method="POST", path="/items", times=1)
    await lab.look(book)
    blocking = lab.borrower.add_book("Somebody's own", book.barcode, "MAIN", "STACKS")
    now = await lab.rest(book)
    await lab.rest(book)
    assert now.parked is not None
    assert now.parked.reason == "barcode_taken"
    lab.borrower.delete_item(blocking.pid)
    (done,) = (await by_hand(lab, Command.RETRY, book)).done
    assert done.told == "not parked any more, effects asked for anew: 4"
    assert (await lab.rest(book)).status is S.REQUEST_PLACED_AT_BORROWING_AGENCY
    counts = lab.counts(book)
    assert [counts[f"borrower {kind}"] for kind in ("bibs", "items", "holds")] == [1, 1, 1]
    assert await _the_rest(lab, book) is S.FINALISED
    assert lab.counts(book) == {}
    outcome = lab.stored(book).outcome
    assert outcome is Outcome.SUPPLIED


async def test_a_retry_before_the_half_made_was_removed_ends_as_well(any_lab: Lab) -> None:
    lab = any_lab
    book = lab.wanted()
    await lab.submit(book)
    lab.sandbox.faults.add("per_second", institution="uni-b", method="POST", path="/items", times=1)
    await lab.look(book)
    blocking = lab.borrower.add_book("Somebody's own", book.barcode, "MAIN", "STACKS")
    lab.sandbox.faults.add("json_500", institution="uni-b", method="DELETE", times=1)
    now = await lab.rest(book)
    assert now.parked is not None
    lab.borrower.delete_item(blocking.pid)
    assert (await by_hand(lab, Command.RETRY, book)).done
    assert (await lab.rest(book)).status is S.REQUEST_PLACED_AT_BORROWING_AGENCY
    counts = lab.counts(book)
    assert [counts[f"borrower {kind}"] for kind in ("bibs", "items", "holds")] == [1, 1, 1]


async def _the_rest(lab: Lab, book: Book) -> DcbStatus:
    for act in (
        lambda: lab.lender.scan_in(book.barcode, "MAIN"),
        lambda: lab.borrower.scan_in(book.barcode, "MAIN"),
        lambda: lab.borrower.loan(book.barcode, book.reader, "MAIN"),
        lambda: lab.borrower.return_item(book.barcode, "MAIN"),
        lambda: lab.lender.scan_in(book.barcode, "MAIN"),
    ):
        act()
        await lab.rest(book)
    return lab.stored(book).status


async def test_a_refused_effect_is_tried_now(any_lab: Lab) -> None:
    lab = any_lab
    book = await at_status(lab, S.READY_FOR_PICKUP)
    patron = str(lab.stored(book).supplier.user_id)
    lab.lender.block_user(patron)
    lab.borrower.loan(book.barcode, book.reader, "MAIN")
    await lab.look(book)
    assert intent_states(lab, book)[EffectKind.SUPPLIER_LOAN] == [IntentState.REFUSED]
    lab.lender.unblock_user(patron)
    (done,) = (await by_hand(lab, Command.RETRY, book)).done
    assert done.told == "effects tried again: 1"
    await lab.cycle()
    assert intent_states(lab, book)[EffectKind.SUPPLIER_LOAN] == [IntentState.DONE]
    assert lab.lender_loans(book) == 1


# --- close -------------------------------------------------------------------

ENDS = [
    (S.RESOLVED, S.CANCELLED, Outcome.CANCELLED, True),
    (S.REQUEST_PLACED_AT_BORROWING_AGENCY, S.CANCELLED, Outcome.CANCELLED, True),
    (S.PICKUP_TRANSIT, S.COMPLETED, Outcome.UNKNOWN, True),
    (S.READY_FOR_PICKUP, S.COMPLETED, Outcome.UNKNOWN, True),
    (S.LOANED, S.COMPLETED, Outcome.UNKNOWN, False),
    (S.RETURN_TRANSIT, S.COMPLETED, Outcome.UNKNOWN, False),
]
"""Status, where `close` leads, the outcome, and whether the ledger is empty without staff."""


@pytest.mark.parametrize(
    ("status", "target", "outcome", "clears"), ENDS, ids=lambda each: str(each)
)
async def test_a_closed_lend_is_cleared_or_shows_what_is_left(
    any_lab: Lab, status: DcbStatus, target: DcbStatus, outcome: Outcome, clears: bool
) -> None:
    lab = any_lab
    book = await at_status(lab, status)
    (done,) = (await by_hand(lab, Command.CLOSE, book)).done
    assert done.told == f"{status} → {target}"
    now = lab.stored(book)
    assert (now.status, now.outcome, now.parked) == (target, outcome, None)
    assert (HistoryKind.TRANSITION, "cli:ada", "because") in rows(lab, book)
    if target is S.COMPLETED:
        assert any("is not known to be in place" in warning for warning in done.warnings)
    now = await lab.rest(book)
    if clears:
        assert now.status is S.FINALISED
        assert lab.counts(book) == {}
        return
    assert any("supplier's loan" in warning for warning in done.warnings)
    assert now.status is S.COMPLETED  # the lender's loan is the lender's staff's to close
    left = [thing for thing in now.things if thing.is_ours_to_clear]
    assert {thing.host_lms for thing in left} == {"uni-a"}
    (done,) = (await by_hand(lab, Command.CLOSE, book)).done
    (loan,) = done.left
    assert f" loan_id={now.supplier.loan_id} – lender_loan_open: " in loan
    await lab.rest(book)
    _is_handed_over(lab, book, lab.stored(book))


def _is_handed_over(lab: Lab, book: Book, now: Transaction) -> None:
    """Over, with nothing open, and what is left named in the history."""
    assert (now.status, now.next_poll_at, now.intents) == (S.FINALISED, None, ())
    assert not [thing for thing in now.things if thing.is_ours_to_clear]
    assert [thing.state for thing in now.things].count(ThingState.HANDED_OVER) >= 1
    assert any("left to staff: " in row for row in lab.history(book))


async def test_what_cannot_be_cleared_is_handed_over_with_its_ids(any_lab: Lab) -> None:
    lab = any_lab
    book = await at_status(lab, S.LOANED)
    leg = lab.stored(book).borrower
    assert leg is not None
    lab.borrower.overlay_bib(str(leg.mms_id), "Another book now")
    lab.borrower.return_item(book.barcode, "MAIN")
    await lab.rest(book)
    lab.lender.scan_in(book.barcode, "MAIN")
    now = await lab.rest(book)
    assert now.parked is not None
    (done,) = (await by_hand(lab, Command.CLOSE, book)).done
    (left,) = done.left
    assert left.startswith(f"bib at uni-b (borrower) mms_id={leg.mms_id} – not_ours_any_more: ")
    now = lab.stored(book)
    _is_handed_over(lab, book, now)
    assert (now.outcome, now.parked) == (Outcome.SUPPLIED, None)
    skipped = (await by_hand(lab, Command.CLOSE, book)).skipped
    assert [each.why for each in skipped] == ["already over: FINALISED"]


async def test_one_library_that_cannot_be_cleared_keeps_its_own_and_the_others_are_cleared(
    any_lab: Lab,
) -> None:
    lab = any_lab
    book = lab.wanted(pickup="uni-c")
    await lab.submit(book)
    assert (await lab.rest(book)).status is S.REQUEST_PLACED_AT_PICKUP_AGENCY
    leg = lab.stored(book).borrower
    assert leg is not None
    lab.borrower.overlay_bib(str(leg.mms_id), "Another book now")
    lab.sandbox.faults.add("per_second", institution="uni-c", method="DELETE", times=None)
    lab.borrower.patron_cancels(str(leg.request_id))
    now = await lab.rest(book)
    assert now.status is S.CANCELLED
    assert now.parked is not None
    assert set(lab.counts(book)) == {"pickup bibs", "pickup items", "pickup holds"}
    (done,) = (await by_hand(lab, Command.CLOSE, book)).done
    (left,) = done.left
    assert left.startswith(f"bib at uni-b (borrower) mms_id={leg.mms_id} – not_ours_any_more: ")
    assert done.told == "left to staff: 1 at uni-b; still being cleared: 4 at uni-c"
    now = lab.stored(book)
    assert (now.status, now.parked) == (S.CANCELLED, None)
    lab.sandbox.faults.clear()
    await lab.rest(book)
    assert lab.counts(book) == {}
    _is_handed_over(lab, book, lab.stored(book))
    assert lab.stored(book).outcome is Outcome.CANCELLED


async def test_what_stands_on_a_record_that_stays_stays_with_it(any_lab: Lab) -> None:
    """An item that Alma does not delete keeps its holding and bib; the hold on it is gone."""
    lab = any_lab
    book = await placed(lab)
    leg = lab.stored(book).borrower
    assert leg is not None
    lab.sandbox.faults.add(
        "error", code="60258", institution="uni-b", method="DELETE", path="/items/", times=None
    )
    await by_hand(lab, Command.CLOSE, book)
    now = await lab.rest(book)
    assert now.parked is not None
    (done,) = (await by_hand(lab, Command.CLOSE, book)).done
    assert done.told == "CANCELLED → FINALISED"
    item, *others = sorted(done.left, key=lambda each: not each.startswith("item"))
    assert f" item_pid={leg.item_pid} – 60258: " in item
    assert sorted(each.partition(" at ")[0] for each in others) == ["bib", "holding"]
    assert all(each.endswith(" – goes with the item") for each in others)
    assert set(lab.counts(book)) == {"borrower bibs", "borrower items"}
    _is_handed_over(lab, book, lab.stored(book))


async def test_what_was_only_set_aside_is_cleared_when_a_person_says_that_it_is_over(
    any_lab: Lab,
) -> None:
    lab = any_lab
    book = await placed(lab)
    await by_hand(lab, Command.PARK, book)
    leg = lab.stored(book).borrower
    assert leg is not None
    lab.borrower.patron_cancels(str(leg.request_id))
    assert (await lab.rest(book)).status is not S.CANCELLED
    for _ in range(2):
        lab.clock.advance(timedelta(minutes=2))
        await lab.look(book)
    assert lab.stored(book).status is S.CANCELLED
    (done,) = (await by_hand(lab, Command.CLOSE, book)).done
    assert (done.left, done.told) == ((), "still being cleared: 1 at uni-a, 4 at uni-b")
    assert (await lab.rest(book)).status is S.FINALISED
    assert lab.counts(book) == {}


async def test_what_was_refused_before_it_was_closed_is_tried_again(any_lab: Lab) -> None:
    """A lender's hold that could not be ended while the book was away, and now can."""
    lab = any_lab
    book = await at_status(lab, S.READY_FOR_PICKUP)
    leg = lab.stored(book).borrower
    assert leg is not None
    lab.sandbox.faults.add(
        "error", code="60340", institution="uni-a", method="DELETE", path="/requests/", times=None
    )
    lab.borrower.patron_cancels(str(leg.request_id))
    now = await lab.rest(book)
    assert (now.status, now.parked is None) == (S.AWAITING_RETURN_TO_SUPPLIER, False)
    lab.sandbox.faults.clear()
    await by_hand(lab, Command.CLOSE, book)
    now = await lab.rest(book)
    assert (now.status, now.intents, lab.counts(book)) == (S.FINALISED, (), {})


def test_each_status_ends_as_its_row_says(world: World) -> None:
    """All of the table, over tracked lends: nothing of ours, so nothing is left."""
    lends = {}
    for status in sorted(LIVE):
        lends[status] = world.placed(pua=status in PUA_ONLY, status=status)
    world.track(*lends.values())
    ids = [lend.id for lend in lends.values()]
    said = world.run("close", *ids, "--reason", "x", "-o", "json").json
    assert [row["id"] for row in said["done"]] == ids
    for status, lend in lends.items():
        shown, ending = world.show(lend.id), ENDINGS[live(status).closing]
        assert shown["status"] == ending.target
        (rule,) = [row["rule"] for row in world.history(lend.id) if row["to"] == ending.target]
        if rule == "ClosedByHand":  # else the look before it showed that the book is at home
            assert shown["outcome"] == ending.outcome
    world.once(check=None)
    assert {world.show(id)["status"] for id in ids} == {S.FINALISED}


PUA_ONLY = frozenset({S.REQUEST_PLACED_AT_PICKUP_AGENCY})


async def test_a_lend_that_nobody_collected_is_closed_as_cancelled(any_lab: Lab) -> None:
    """The book never seen away by us: its "in place" proves nothing, a person's word does."""
    lab = any_lab
    book = await at_status(lab, S.PICKUP_TRANSIT)
    leg = lab.stored(book).borrower
    assert leg is not None
    lab.borrower.patron_cancels(str(leg.request_id))
    assert (await lab.rest(book)).status is S.AWAITING_RETURN_TO_SUPPLIER
    (done,) = (await by_hand(lab, Command.CLOSE, book)).done
    assert done.told == f"{S.AWAITING_RETURN_TO_SUPPLIER} → {S.CANCELLED}"
    assert (await lab.rest(book)).status is S.FINALISED
    assert (lab.stored(book).outcome, lab.counts(book)) == (Outcome.CANCELLED, {})


async def test_a_lend_that_nobody_supplied_is_over_when_a_person_says_so(any_lab: Lab) -> None:
    lab = any_lab
    book = await placed(lab)
    lab.lender.cancel_request(str(lab.stored(book).supplier.request_id))
    now = await lab.rest(book)
    assert (now.status, now.next_poll_at) == (S.NOT_SUPPLIED_CURRENT_SUPPLIER, None)
    (done,) = (await by_hand(lab, Command.CLOSE, book)).done
    assert (done.left, lab.stored(book).status) == ((), S.FINALISED)
    assert lab.stored(book).outcome is Outcome.NOT_SUPPLIED


async def test_what_nobody_supplied_ends_by_itself_if_closed_while_it_is_cleared(
    any_lab: Lab,
) -> None:
    lab = any_lab
    book = await placed(lab)
    lab.borrower.read_lag = 30
    lab.lender.cancel_request(str(lab.stored(book).supplier.request_id))
    for _ in range(2):
        lab.clock.advance(timedelta(minutes=2))
        await lab.look(book)
    assert lab.stored(book).status is S.NOT_SUPPLIED_CURRENT_SUPPLIER
    assert lab.counts(book) != {}
    (done,) = (await by_hand(lab, Command.CLOSE, book)).done
    assert done.told.startswith(f"{S.NOT_SUPPLIED_CURRENT_SUPPLIER} → {S.CANCELLED}; ")
    ended = await lab.rest(book)
    assert (ended.status, ended.outcome) == (S.FINALISED, Outcome.NOT_SUPPLIED), lab.history(book)
    lab.clock.advance(timedelta(minutes=2))
    assert lab.counts(book) == {}


async def test_what_was_made_a_moment_ago_is_not_taken_for_gone(any_lab: Lab) -> None:
    """Alma shows late what was made: not there yet is not gone."""
    lab = any_lab
    book = lab.wanted()
    await lab.submit(book)
    lab.lender.read_lag = 30
    for _ in range(4):
        await lab.look(book)
        if any(thing.kind is ThingKind.HOLD for thing in lab.stored(book).things):
            break
        lab.clock.advance(timedelta(minutes=5))
    assert lab.counts(book) == {"supplier holds": 1}
    assert (await by_hand(lab, Command.CLOSE, book)).done
    await lab.cycle(everything=True)
    assert lab.stored(book).status is S.CANCELLED
    assert (await lab.rest(book)).status is S.FINALISED
    lab.clock.advance(timedelta(minutes=2))
    assert lab.counts(book) == {}


async def test_what_a_library_in_observe_mode_keeps_is_told(tmp_path: Path) -> None:
    """Nothing is written there, so what is ours there is left to its staff."""
    async with make_lab(tmp_path, patience="1s") as lab:
        book = await placed(lab)
        hosts = {
            code: replace(host, acts=False) if code == "uni-b" else host
            for code, host in lab.app.policy.hosts.items()
        }
        policy = replace(lab.app.policy, hosts=hosts)
        watching = replace(lab.app.hands, policy=policy)
        order = Order(Command.CLOSE, "cli:ada", "because", lab.clock.now())
        id = TransactionId(book.id)
        (done,) = (await watching.carry_out(order, [id])).done
        assert done.left == ()
        (done,) = (await watching.carry_out(order, [id])).done
        kinds = [each.partition(" (borrower)")[0] for each in done.left]
        assert sorted(kinds) == [f"{each} at uni-b" for each in ("bib", "hold", "holding", "item")]
        assert all(each.endswith("nothing is done by us at uni-b") for each in done.left)
        await lab.rest(book)
        _is_handed_over(lab, book, lab.stored(book))
        assert set(lab.counts(book)) == {"borrower bibs", "borrower items", "borrower holds"}


async def test_a_second_close_leaves_what_is_just_being_cleared(any_lab: Lab) -> None:
    lab = any_lab
    book = await placed(lab)
    await by_hand(lab, Command.CLOSE, book)
    (skipped,) = (await by_hand(lab, Command.CLOSE, book)).skipped
    assert "is being cleared: nothing of it was refused" in skipped.why
    assert (await lab.rest(book)).status is S.FINALISED


def test_a_close_is_notified_as_every_transition(tmp_path: Path) -> None:
    with make_world(tmp_path) as world:
        lend = world.placed()
        world.track(lend)
        world.run("close", lend.id, "--reason", "the reader moved away")
        messages = world.run("outbox", "list", "-o", "json").json["messages"]
        rows = [row for row in world.history(lend.id) if row["kind"] == "transition"]
        assert {message["seq"] for message in messages} == {row["seq"] for row in rows}
        fired = rows[-1]
        assert (fired["rule"], fired["reason"]) == ("ClosedByHand", "the reader moved away")


# --- on filters --------------------------------------------------------------


def test_a_filter_shows_what_it_takes_and_asks(any_acting: World) -> None:
    lends = [any_acting.wanted() for _ in range(3)]
    any_acting.submit(*lends)
    any_acting.run("park", lends[0].id, lends[1].id, "--reason", "x")
    said = any_acting.run("retry", "--tenant", "uni-a", "--reason", "y", check=64)
    assert "eligible 2 of 3" in said.err
    assert f"skipped {lends[2].id}: not parked, nothing refused" in said.err
    assert "give --yes" in said.err
    assert any_acting.show(lends[0].id)["parked"] is not None
    said = any_acting.run("retry", "--tenant", "uni-a", "--reason", "y", "--yes", "-o", "json")
    assert [row["id"] for row in said.json["done"]] == [lends[0].id, lends[1].id]
    assert [row["id"] for row in said.json["skipped"]] == [lends[2].id]
    assert any_acting.show(lends[0].id)["parked"] is None


def test_what_is_over_does_not_stand_in_the_way_of_a_filter(world: World) -> None:
    over, live = world.placed(status="FINALISED"), world.placed()
    world.track(over, live)
    said = world.run("park", "--tenant", "uni-a", "--reason", "x", "--yes")
    assert "eligible 1 of 1" in said.err
    said = world.run("park", "--status", "FINALISED", "--reason", "x", "--yes")
    assert "eligible 0 of 1" in said.err
    assert "already over" in said.out


@pytest.mark.parametrize(
    "arguments",
    [
        ("retry", "--reason", "x"),
        ("retry", "lend-1", "--parked", "--reason", "x"),
        ("close", "lend-1"),
        ("close", "lend-1", "--reason", " "),
        ("park", "--status", "LOANNED", "--reason", "x"),
        ("poll",),
    ],
    ids=" ".join,
)
def test_a_command_that_is_not_whole_is_a_usage_error(
    world: World, arguments: tuple[str, ...]
) -> None:
    world.track(world.placed())
    world.run(*arguments, check=64)
    assert world.show("lend-1")["parked"] is None


# --- beside a running cycle --------------------------------------------------


def test_a_command_and_a_cycle_neither_overwrite_each_other(any_acting: World) -> None:
    """Slow Almas, one process at work; a person parks a lend that it is placing."""
    lend = any_acting.wanted()
    any_acting.submit(lend)
    any_acting.sandbox.faults.add("delay", seconds=0.4, path="/almaws", times=None)
    with subprocess.Popen(
        [COMMAND, "--once", "--all"],
        cwd=any_acting.folder,
        env=any_acting.process_environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as cycle:
        _wait_for_a_call(any_acting)
        said = any_acting.run("park", lend.id, "--reason", "wait")
        assert "set aside" in said.out
        cycle.communicate(timeout=60)
    history = any_acting.history(lend.id)
    assert [row["seq"] for row in history] == [*range(1, len(history) + 1)]
    assert any_acting.show(lend.id)["parked"]["reason"] == "by_hand"
    any_acting.sandbox.faults.clear()
    any_acting.run("retry", lend.id, "--reason", "go on")
    any_acting.once(check=None)
    any_acting.once(check=None)
    assert any_acting.show(lend.id)["status"] == "REQUEST_PLACED_AT_BORROWING_AGENCY"
    things = any_acting.things(lend.id)
    assert {kind: len(keys) for kind, keys in things["uni-b"].items()} == ONE_OF_EACH


ONE_OF_EACH = {"bibs": 1, "items": 1, "holds": 1}


def _wait_for_a_call(world: World) -> None:
    ends = time.monotonic() + 30
    while not len(world.sandbox.calls) and time.monotonic() < ends:
        time.sleep(0.02)
    assert len(world.sandbox.calls)


def test_a_command_waits_no_longer_than_it_must(world: World) -> None:
    """A claim that nobody gives back: the command says so after its patience."""
    lend = world.placed()
    world.track(lend)
    world.write_settings(polling={"lease": "1s"})
    app = world.app()
    now = app.clock.now()
    elsewhere, leases = Owner("elsewhere"), SqlLeases(app.database)
    assert leases.take(leases.all([HostLmsCode("uni-a")], now), elsewhere, now)
    assert app.store.claim(Selection(), elsewhere, now, now + timedelta(hours=1), 10)
    said = world.run("park", lend.id, "--reason", "x", check=3)
    assert "a process has been at work on it" in said.out
    app.close()
