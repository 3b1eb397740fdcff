"""A journey of the explorer, played against the real engine, a database and the sandbox.

What the model says and what the service does there have to agree after every step. Looks and
effects are made by the real `Reconciler`; between it and the Alma clients stands a hand that loses
the n-th call, or lets the process die.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

from reconciler.core.model import HostLmsCode, Transaction, TransactionId
from reconciler.core.commands.command import Command, Order
from reconciler.core.status import Workflow
from reconciler.errors import AlmaFailure, FailureKind
from reconciler.ports.store import Selection
from reconciler.ports.written import Claim
from reconciler.sandbox import Institution
from reconciler.sandbox.records import Request
from reconciler.sandbox.rules import holds
from reconciler.sandbox.view import View
from tests.explore import api, service, times
from tests.explore.alma import BRANCH, MAIN
from tests.explore.journey import Labels, spelt_out, walked
from tests.explore.world import TIME_PASSES, State, World, memory_of
from tests.support.lab import Book, Lab, lab

PICKUP = {
    Workflow.STANDARD: "uni-b",
    Workflow.PICKUP_ANYWHERE: "uni-c",
    Workflow.EXPEDITED: "uni-a",
}
STRANGER = "stranger-1"


class Killed(BaseException):
    """The process is killed here."""


class Hand:
    """Counts the calls and records of one step, and does to one of them what the journey says.

    A read of a look goes by what it asks: the engine makes them side by side.
    """

    def __init__(self) -> None:
        self.deviation = service.PLAIN
        self.counts: dict[str, int] = {}

    def expects(self, deviation: service.Deviation) -> None:
        self.deviation, self.counts = deviation, {"read": 0, "write": 0, "record": 0}

    def turn(self, event: str) -> str:
        """What becomes of the next event of this kind (or of this name)."""
        n = self.counts.get(event, 0)
        self.counts[event] = n + 1
        return self.deviation.ending if self.deviation[:2] == (event, n) else ""


class Port:
    """An Alma client with a hand between."""

    def __init__(self, alma: Any, hand: Hand, host: int) -> None:
        self._alma, self._hand, self._host = alma, hand, host

    def until(self, deadline: float) -> Port:
        return Port(self._alma.until(deadline), self._hand, self._host)

    def __getattr__(self, name: str) -> Any:
        real = getattr(self._alma, name)
        if name not in api.READS and name not in api.WRITES:
            return real

        async def call(*arguments: Any, **named: Any) -> Any:
            asked = service.Event(self._host, (name, *named.values()), "")
            ending = self._hand.turn("read" if name in api.READS else "write")
            ending = ending or self._hand.turn(service.named(asked))
            if ending == "died":
                raise Killed
            if ending in ("refused", "refused for good"):
                code = api.REFUSALS[name][ending != "refused"]
                raise AlmaFailure(FailureKind.REFUSED, code=code)
            if ending == "not sent":
                raise AlmaFailure(FailureKind.UNREACHABLE)
            answer = await real(*arguments, **named) if ending in ("", "lost, done") else None
            if ending:
                raise AlmaFailure(FailureKind.TIMEOUT)
            return answer

        return call


class Records:
    """The engine's settler, with a hand between."""

    def __init__(self, settler: Any, hand: Hand) -> None:
        self._settler, self._hand = settler, hand

    async def settle(self, settlement: Any) -> bool:
        if self._hand.turn("record") == "died":
            raise Killed
        done: bool = await self._settler.settle(settlement)
        return done


class Replay:
    """One lend in the lab, moved on label by label."""

    def __init__(self, at: Lab, book: Book, other: str) -> None:
        self.lab, self.book, self.other = at, book, other
        self.looks, self.works = Hand(), Hand()
        app = at.app
        runner = replace(
            app.runner,
            writers=lambda code: Port(app.libraries.writer(code), self.works, service.LETTER[code]),
            settler=Records(app.settler, self.works),
        )
        self.reconciler = replace(
            app.reconciler,
            readers=lambda code: Port(app.libraries.reader(code), self.looks, service.LETTER[code]),
            runner=runner,
        )

    @property
    def stored(self) -> Transaction:
        return self.lab.stored(self.book)

    # --- the service -------------------------------------------------------------------

    async def look(self, label: tuple[str, ...], then: tuple[str, ...] | None) -> None:
        """A look and what comes of it, as the labels say that they end."""
        self.looks.expects(_wrong_look(label))
        self.works.expects(_wrong_work(then))
        app, is_order = self.lab.app, label[0] == service.ALL_AT_ONCE.name
        ordered_at = self.lab.clock.now() if is_order else None
        kinds = (service.ALL_AT_ONCE, *service.looks_at(self.stored.status))
        kind = next(each for each in kinds if each.name == label[0])
        tenant = self.stored.tenant
        await app.tenure.take_free([tenant])
        try:
            claim = self._claimed(tenant)
            claim = replace(claim, transaction=self._before(kind, claim.transaction))
            await self.reconciler.reconcile_one(claim, ordered_at=ordered_at)
        except Killed:
            app.store.rescue(lambda _owner: True)
        finally:
            await app.tenure.release([tenant])

    def _before(self, kind: service.Kind, found: Transaction) -> Transaction:
        """The transaction as it is when such a look is made (how many there were is no matter)."""
        last = found.last_full_poll_at
        if last is not None and kind is not service.ALL_AT_ONCE:
            last = self.lab.clock.now() - (timedelta(days=2) if kind.in_full else timedelta(0))
        return replace(found, unchanged_looks=kind.count, last_full_poll_at=last)

    def _claimed(self, tenant: HostLmsCode) -> Claim:
        app, now = self.lab.app, self.lab.clock.now()
        selection = Selection(tenant, (TransactionId(self.book.id),), due_only=False)
        (claim,) = app.store.claim(selection, app.owner, now, now + timedelta(hours=1), 1)
        return claim

    async def command(self, name: str, *options: str) -> None:
        order = Order(
            Command(name), "staff", "seen to", self.lab.clock.now(), **dict.fromkeys(options, True)
        )
        await self.lab.app.hands.carry_out(order, [TransactionId(self.book.id)])

    # --- people ------------------------------------------------------------------------

    def act(self, label: tuple[str, ...]) -> None:
        """What somebody does at a library."""
        letter, name, *more = label
        alma = self.alma(letter)
        item = self._barcode(letter, more)
        if name == "scan_in":
            alma.scan_in(item, BRANCH if BRANCH in more else "DCB" if "DCB" in more else MAIN)
        elif name in ("lend to our patron", "lend to our reader"):
            alma.loan(item, self._our_user(letter), MAIN, override=True)
        elif name == "lend to another":
            alma.loan(item, STRANGER, MAIN, override=True)
        elif name in _OF_HOLDS:
            self._hold(alma, letter, name, more)
        elif name in ("our reader asks again", "another asks", "another asks, and is first"):
            self._ask(alma, letter, name, item)
        elif name == "renew":
            loan = View(alma).active_loan(alma._item(item).pid)
            assert loan is not None
            alma.change_due_date(loan.loan_id, loan.due_date + timedelta(days=20))
        elif name == "discharge and charge again":
            alma.charge_again(item, MAIN)
        elif name == "merge our bib":
            own = alma.add_bib("The library's own")
            alma.add_holding(own.mms_id, MAIN, "STACKS")
            alma.merge_bib(alma._item(item).mms_id, own.mms_id)
        elif name == "anonymise":
            alma.anonymise(timedelta(days=7))
        elif name == "mark missing, holds end":
            alma.dialect.update(missing_item_request="cancelled")
            alma.mark_missing(item)
        else:
            getattr(alma, _SAME[name])(item)

    def alma(self, letter: str) -> Institution:
        return {"A": self.lab.lender, "B": self.lab.borrower, "C": self.lab.third}[letter]

    def _barcode(self, letter: str, more: list[str]) -> str:
        return self.other if letter == "A" and "Ai2" in more else self.book.barcode

    def _our_user(self, letter: str) -> str:
        if letter == "B":
            return self.book.reader
        leg = self.stored.supplier if letter == "A" else self.stored.pickup
        assert leg is not None
        assert leg.user_id is not None
        return leg.user_id

    def _requests(self, alma: Institution, user: str) -> list[Request]:
        found = View(alma).find_user(user)
        return [] if found is None else list(View(alma).requests_of_user(found.key))

    def _hold(self, alma: Institution, letter: str, name: str, more: list[str]) -> None:
        user = STRANGER if "the hold of another" in more else self._our_user(letter)
        (hold,) = self._requests(alma, user)
        if name == "cancel":
            alma.dialect.update(cancelled_on_shelf="moves")
            alma.cancel_request(hold.request_id)
        elif name == "shelf time ends":
            alma.dialect.update(cancelled_on_shelf="stays")
            alma.expire_hold_shelf(hold.request_id)
        elif name == "issue our hold anew":
            alma.reissue_request(hold.request_id)
        elif name == "end our hold and place it again":
            alma.dialect.update(cancelled_on_shelf="moves")
            alma.cancel_request(hold.request_id)
            alma.place_hold(user, self._barcode(letter, more), hold.pickup_library, hold.comment)
        else:
            alma.move_request(hold.request_id, self.other)

    def _ask(self, alma: Institution, letter: str, name: str, item: str) -> None:
        """Whoever asked first is served first: one who shall be before us cannot come later."""
        if name == "our reader asks again":
            collects = self.stored.workflow is Workflow.STANDARD
            alma.place_hold(self._our_user(letter), item, MAIN if collects else "RES_OUT")
            return
        hold = alma.place_hold(STRANGER, item, MAIN)
        if name == "another asks, and is first":
            _put_first(alma, hold)


def _put_first(alma: Institution, hold: Request) -> None:
    """The oldest in the queue is served first; the queue goes by the ids of the requests."""
    first = replace(hold, request_id=f"0{hold.request_id[1:]}")
    alma.requests.remove(hold.request_id)
    alma.save(first)
    holds.rebalance(alma, hold.mms_id)


_OF_HOLDS = (
    "cancel",
    "shelf time ends",
    "issue our hold anew",
    "end our hold and place it again",
    "move our hold to",
)
_SAME = {
    "found": "found",
    "mark lost": "mark_lost",
    "claim returned": "claim_returned",
    "pay for the lost": "pay_lost",
    "mark missing": "mark_missing",
    "work order": "work_order",
    "withdraw": "withdraw_item",
    "delete the virtual item": "withdraw_item",
}
"""Acts that the sandbox knows by one word."""


async def replayed(folder: Path, workflow: str, labels: Labels) -> list[tuple[State, Transaction]]:
    """Play a journey in the model and in the lab, step by step; how both stand after each step."""
    world = World(Workflow(workflow), copies=2 if _has_two(labels) else 1)
    moves = walked(world, labels)
    steps = list(spelt_out(labels))
    stood: list[tuple[State, Transaction]] = []
    async with lab(folder, socket=False) as at:
        replay = await _begun(at, Workflow(workflow))
        for n, (label, move) in enumerate(zip(steps, moves, strict=True)):
            following = steps[n + 1] if n + 1 < len(steps) else None
            await _step(replay, label, following if move.after.works else None)
            if not move.after.works:
                stood.append((move.after, replay.stored))
    return stood


def _has_two(labels: Labels) -> bool:
    return any("Ai2" in label or "accept_copy" in label for label in labels)


async def _begun(at: Lab, workflow: Workflow) -> Replay:
    """The lend submitted, a stranger at each library, a second copy at the lender."""
    for alma in (at.lender, at.borrower, at.third):
        alma.add_user(STRANGER)
        alma.add_user_group("DCB", loan_days=28)
    book = at.wanted(pickup=PICKUP[workflow])
    first = at.lender._item(book.barcode)
    at.lender.add_item(first.holding_id, "T99999")
    await at.submit(book)
    return Replay(at, book, "T99999")


async def _step(replay: Replay, label: tuple[str, ...], then: tuple[str, ...] | None) -> None:
    clock = replay.lab.clock
    if label == TIME_PASSES:
        clock.advance(times.STEP)
    elif label == ("nobody looks for a month",):
        clock.advance(times.LONG)
    elif label[0] == "staff":
        await replay.command(label[1], *label[2:])
    elif label[0] in ("A", "B", "C"):
        replay.act(label)
    elif label[0] not in ("effects are carried out", "the process dies"):
        clock.advance(times.A_SECOND)
        await replay.look(label, then)


def differences(stood: list[tuple[State, Transaction]]) -> Iterator[str]:
    """Where the model and the service do not agree."""
    for n, (state, stored) in enumerate(stood):
        memory = memory_of(state)
        ours = (memory.status, memory.parked and memory.parked.reason)
        theirs = (stored.status, stored.parked and stored.parked.reason)
        if ours != theirs:
            yield f"after step {n + 1}: the model {ours}, the service {theirs}"


def _wrong_look(label: tuple[str, ...]) -> service.Deviation:
    if len(label) < 3:
        return service.PLAIN
    return service.Deviation(label[2], label.count("again"), "lost")


def _wrong_work(label: tuple[str, ...] | None) -> service.Deviation:
    if label is None or len(label) < 2:
        return service.PLAIN
    if label[0] == "the process dies":
        if label[1] == "before any effect":
            return service.Deviation("record", 0, "died")
        _, event, n = label[1].split()
        return service.Deviation(event, int(n) - 1, "died")
    event, n, ending = label[1].split(" ", 2)
    return service.Deviation(event, int(n) - 1, ending)
