"""The service's own moves, made by its real code: a look, the effects that it left, a command.

Each is a *program* whose only inputs are what we remember and what Alma answers, call by call. So
what it does is kept as a tree: the next call, and for each answer what follows. The real code runs
once for each path through the tree; afterwards the path is walked, and only Alma's side of it, the
model, is asked.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cache
from typing import Any, NamedTuple

from loguru import logger

from reconciler.core.decide import decide
from reconciler.core.effects import PLACE_AT_SUPPLIER, wanted
from reconciler.core.stages import STAGES
from reconciler.core.model import (
    Hop,
    HostLmsCode,
    Leg,
    Observation,
    Transaction,
)
from reconciler.core.commands.command import Command, Order
from reconciler.core.commands.placing import Patron, PickupPlace, Placing, WantedItem
from reconciler.core.status import DcbStatus, Role, Workflow
from reconciler.engine import observe as observing
from reconciler.engine.effects.runner import EffectRunner
from reconciler.engine.hands import Hands
from reconciler.engine.observe import Look, observe
from reconciler.engine.others import OtherLends
from reconciler.engine.reconcile import Considered
from reconciler.engine.settling import Recorder, as_written
from reconciler.errors import AlmaFailure, FailureKind
from reconciler.ports.leases import Owner
from reconciler.ports.written import Claim, Intervention, Settlement
from reconciler.settings import Settings
from tests.explore import api, port, times
from tests.explore.quick import replace
from tests.support.lab import acting_settings

# --- who and what -----------------------------------------------------------------

LETTER = {"uni-a": 0, "uni-b": 1, "uni-c": 2}
SETTINGS = Settings.model_validate(acting_settings("http://127.0.0.1:1", "sqlite://"))
POLICY = SETTINGS.policy()
CONFIGS = SETTINGS.library_configs()
OWNER = Owner("explorer")

_PICKUP = {
    Workflow.STANDARD: "uni-b",
    Workflow.EXPEDITED: "uni-a",
    Workflow.PICKUP_ANYWHERE: "uni-c",
}


def placing(workflow: Workflow) -> Placing:
    pickup = _PICKUP[workflow]
    return Placing(
        Patron("uni-b", "uni-b", "p1"),  # type: ignore[arg-type]
        WantedItem("uni-a", "uni-a", "Aown", "Aownh", "Ai1", port.BARCODE, "A book"),  # type: ignore[arg-type]
        PickupPlace(pickup, pickup, "MAIN"),  # type: ignore[arg-type]
    )


def submitted(workflow: Workflow) -> Transaction:
    """A lend as `submit` leaves it: nothing placed, the first effects asked for."""
    item = placing(workflow).item
    new = Transaction(
        id=port.ID,
        tenant=HostLmsCode("uni-a"),
        workflow=workflow,
        status=DcbStatus.RESOLVED,
        status_since=times.NOW,
        created_at=times.NOW,
        supplier=Leg(
            Role.SUPPLIER,
            item.host_lms,
            mms_id=item.mms_id,
            holding_id=item.holding_id,
            item_pid=item.item_pid,
            item_barcode=item.barcode,
        ),
        borrower=Leg(Role.BORROWER, HostLmsCode("uni-b"), user_id="p1"),  # type: ignore[arg-type]
        pickup=Leg(Role.PICKUP, HostLmsCode("uni-c"))
        if workflow is Workflow.PICKUP_ANYWHERE
        else None,
        next_poll_at=times.NOW,
        has_placing_data=True,
    )
    asked = wanted(PLACE_AT_SUPPLIER, new, POLICY)
    return replace(new, intents=tuple(_recorder().intents(asked, asked_by=0)))


# --- how a program is run -----------------------------------------------------------


class Died(BaseException):
    """The process is killed here."""


class Deviation(NamedTuple):
    """What goes wrong on the way: the `n`-th of a kind of event ends so (see ENDINGS)."""

    event: str = ""
    n: int = 0
    ending: str = ""


PLAIN = Deviation()
READ_ENDINGS = ("lost",)
WRITE_ENDINGS = ("refused", "refused for good", "lost, done", "lost, not done", "not sent")


class Event(NamedTuple):
    """A call that was made, and how it ended (`done`, or an ending)."""

    host: int
    call: tuple[Any, ...]
    ending: str


def named(event: Event) -> str:
    """A read for people: which library, what of it."""
    more = {True: ", those that are over", False: ", those that run"}
    told = [more[each] for each in event.call[1:] if isinstance(each, bool)]
    return f"{'ABC'[event.host]} {event.call[0]}{''.join(told)}"


class Leaf(NamedTuple):
    """What a program comes to. `memory` is None where a defect of ours was raised."""

    memory: Transaction | None
    hops: tuple[Hop, ...] = ()
    has_work: bool = False
    told: str = ""
    records: int = 0
    said: str = ""
    """Of a look: what `explain` says that the rules wait for."""


class Node:
    """The next call, and what follows each answer; or the end."""

    __slots__ = ("event", "leaf", "next")

    def __init__(self) -> None:
        self.event: Event | None = None
        self.next: dict[Any, Node] = {}
        self.leaf: Leaf | None = None


class Write(NamedTuple):
    """A write that reached Alma, with the state of its library before and after."""

    event: Event
    before: int
    after: int


class Done(NamedTuple):
    """A program that was carried through: what is remembered, how the Almas stand, what was done.

    The counts are of writes and of what was recorded on the way.
    """

    leaf: Leaf
    hosts: tuple[int, ...]
    writes: tuple[Write, ...]
    asked: tuple[Event, ...]
    """Every read, in its order."""
    sends: int
    records: int

    @property
    def reads(self) -> int:
        return len(self.asked)


class Numbered:
    """Values by small numbers, so that a state is a few numbers and is compared at once."""

    def __init__(self) -> None:
        self.values: list[Any] = []
        self._numbers: dict[Any, int] = {}

    def __getitem__(self, number: int) -> Any:
        return self.values[number]

    def __len__(self) -> int:
        return len(self.values)

    def of(self, value: Any, key: Any = None) -> int:
        key = value if key is None else key
        number = self._numbers.get(key)
        if number is None:
            number = self._numbers[key] = len(self.values)
            self.values.append(value)
        return number


HOSTS, ANSWERS = Numbered(), Numbered()
_met: dict[tuple[Event, int], tuple[int, int]] = {}


def _meet(event: Event, host: int) -> tuple[int, int]:
    """What a call comes back with when it ends so, and how its library stands then."""
    known = _met.get((event, host))
    if known is None:
        known = _met[(event, host)] = _met_first(event, host)
    return known


def _met_first(event: Event, host: int) -> tuple[int, int]:
    name, *arguments = event.call
    answer: Any = event.ending
    after = HOSTS[host]
    if event.ending in ("done", "lost, done"):
        if name in api.READS:
            reply = api.READS[name](after, *arguments)
        else:
            reply, after = api.WRITES[name](after, *arguments)
        answer = reply if event.ending == "done" else answer
    return ANSWERS.of(answer), HOSTS.of(after)


_FAILURES = {
    "lost": (FailureKind.TIMEOUT, None),
    "lost, done": (FailureKind.TIMEOUT, None),
    "lost, not done": (FailureKind.TIMEOUT, None),
    "not sent": (FailureKind.UNREACHABLE, None),
}


def _given(event: Event, answer: Any) -> tuple[Any, ...]:
    """The answer as the caller gets it. Raises AlmaFailure."""
    if answer in _FAILURES:
        raise AlmaFailure(_FAILURES[answer][0])
    if answer == "refused" or answer == "refused for good":
        code = api.REFUSALS[event.call[0]][answer != "refused"]
        raise AlmaFailure(FailureKind.REFUSED, code=code)
    if answer[0] == "no":
        raise AlmaFailure(FailureKind.REFUSED, code=answer[1])
    return answer[1:]


class Tape:
    """One run of the real code, written into the tree as it goes."""

    def __init__(self, root: Node, hosts: tuple[int, ...], deviation: Deviation) -> None:
        self.node, self.deviation = root, deviation
        self.hosts = list(hosts)
        self.counts = {"read": 0, "write": 0, "record": 0}
        self.writes: list[Write] = []
        self.asked: list[Event] = []

    def port(self, code: HostLmsCode) -> port.Alma:
        return port.Alma(lambda call: self.ask(LETTER[code], call))

    def ask(self, host: int, call: tuple[Any, ...]) -> tuple[Any, ...]:
        kind = "read" if call[0] in api.READS else "write"
        n = self.count(kind)
        wrong = self.deviation.ending if self.deviation[:2] == (kind, n) else ""
        if wrong == "died":
            raise Died
        event = self.node.event
        if event is None:
            event = self.node.event = Event(host, call, wrong or "done")
        before = self.hosts[host]
        answer, after = _meet(event, before)
        if kind == "write":
            self.hosts[host] = after
            self.writes.append(Write(event, before, after))
        else:
            self.asked.append(event)
        self.node = self.node.next.setdefault(answer, Node())
        return _given(event, ANSWERS[answer])

    def count(self, kind: str) -> int:
        self.counts[kind] += 1
        return self.counts[kind] - 1


Program = Callable[[Transaction, Tape], Leaf]


@dataclass(slots=True)
class Runner:
    """Runs programs, each path through the real code once."""

    trees: dict[Any, Node] = field(default_factory=dict)
    runs: int = 0

    def run(
        self,
        program: Program,
        key: Any,
        memory: Callable[[], Transaction],
        hosts: tuple[int, ...],
        deviation: Deviation = PLAIN,
    ) -> Done:
        """Walk the tree of (program, memory, deviation) as far as it goes; run where it ends."""
        root = self.trees.get((key, deviation))
        if root is None:
            root = self.trees[(key, deviation)] = Node()
        known = _walk(root, hosts)
        if known is not None:
            return known
        tape = Tape(root, hosts, deviation)
        self.runs += 1
        try:
            leaf = program(memory(), tape)
        except Exception as error:  # noqa: BLE001 - a defect is a finding
            leaf = Leaf(None, told=f"defect: {type(error).__name__}: {error}")
        tape.node.leaf = leaf
        return Done(
            leaf,
            tuple(tape.hosts),
            tuple(tape.writes),
            tuple(tape.asked),
            tape.counts["write"],
            tape.counts["record"],
        )


def _walk(root: Node, hosts: tuple[int, ...]) -> Done | None:
    """What the tree knows already; None where it ends before the program does."""
    node, now = root, list(hosts)
    writes: list[Write] = []
    asked: list[Event] = []
    while (event := node.event) is not None:
        before = now[event.host]
        answer, after = _meet(event, before)
        following = node.next.get(answer)
        if following is None:
            return None
        if event.call[0] in api.WRITES:
            now[event.host] = after
            writes.append(Write(event, before, after))
        else:
            asked.append(event)
        node = following
    if node.leaf is None:
        return None
    return Done(node.leaf, tuple(now), tuple(writes), tuple(asked), len(writes), node.leaf.records)


# --- the programs -------------------------------------------------------------------


class _Clock:
    """Stands still at NOW; `followed` lets it go, to see that this is no loss."""

    def __init__(self) -> None:
        self.at = times.NOW

    def now(self) -> datetime:
        return self.at

    def monotonic(self) -> float:
        return 1000.0

    async def sleep(self, seconds: float) -> None: ...


CLOCK = _Clock()


_numbers = iter(range(10**12))


def _new_id() -> str:
    return f"new-{next(_numbers)}"


@cache
def _recorder() -> Recorder:
    return Recorder(POLICY, _new_id)


async def _one_by_one(*coroutines: Any) -> list[Any]:
    return [await each for each in coroutines]


class _Asyncio:
    """`asyncio` as `engine.observe` needs it where nothing ever waits: no loop, the same order."""

    gather = staticmethod(_one_by_one)

    def __getattr__(self, name: str) -> Any:
        return getattr(asyncio, name)


observing.asyncio = _Asyncio()  # type: ignore[assignment]


def _now(coroutine: Any) -> Any:
    """What a coroutine that never waits comes to."""
    try:
        coroutine.send(None)
    except StopIteration as end:
        return end.value
    raise AssertionError("a call of the model waited")


def _claim(transaction: Transaction) -> Claim:
    return Claim(transaction, 1, OWNER, 1)


class _Storage:
    async def run(self, call: Any, *args: Any, **kwargs: Any) -> Any:
        return call(*args, **kwargs)


class _Store:
    def __init__(self, workflow: Workflow) -> None:
        self._placing = placing(workflow)

    def placing(self, _id: Any) -> Placing:
        return self._placing

    def suppliers_tried(self, _id: Any) -> tuple[Any, ...]:
        return ()

    def loans_of_others(self, *_about: Any) -> frozenset[Any]:
        return frozenset()


class _Desk(_Store):
    """The store as a person's command sees it: nobody else is at work."""

    def __init__(self, transaction: Transaction) -> None:
        super().__init__(transaction.workflow)
        self.written = transaction

    def get(self, _id: Any) -> Transaction:
        return self.written

    def intervene(self, intervention: Intervention, _now: Any) -> bool:
        self.written = as_written(intervention)
        return True


class _Settler:
    """Where settlements are written: the newest is what is remembered."""

    def __init__(self, tape: Tape, transaction: Transaction) -> None:
        self.tape, self.written = tape, transaction

    async def settle(self, settlement: Settlement) -> bool:
        n = self.tape.count("record")
        if self.tape.deviation == ("record", n, "died"):
            raise Died
        self.written = as_written(settlement)
        return True


def _runner(tape: Tape, settler: _Settler, workflow: Workflow) -> EffectRunner:
    write_timeout = SETTINGS.http.write_read_timeout
    return EffectRunner(
        writers=tape.port,  # type: ignore[arg-type]
        configs=CONFIGS,
        policy=POLICY,
        store=_Store(workflow),  # type: ignore[arg-type]
        storage=_Storage(),  # type: ignore[arg-type]
        settler=settler,  # type: ignore[arg-type]
        clock=CLOCK,  # type: ignore[arg-type]
        new_id=_new_id,
        lease=SETTINGS.polling.lease,
        longest_write=write_timeout,
        on_end=lambda _intent: None,
    )


def _seen(transaction: Transaction, tape: Tape, *, everything: bool) -> Observation:
    others = OtherLends(_Store(transaction.workflow), _Storage())  # type: ignore[arg-type]
    asked = Look(tape.port, POLICY, CLOCK.at, others, everything)  # type: ignore[arg-type]
    seen: Observation = _now(observe(transaction, asked))
    return seen


def look(transaction: Transaction, tape: Tape, *, everything: bool) -> Leaf:
    """Read, decide and record; what is to be done is left open."""
    seen = _seen(transaction, tape, everything=everything)
    decision = decide(transaction, seen, CLOCK.at, POLICY)
    settlement = _recorder().settlement(_claim(transaction), decision, CLOCK.at)
    after = as_written(settlement)
    runner = _runner(tape, _Settler(tape, after), transaction.workflow)
    has_work = runner.has_work(after, CLOCK.at, force=everything)
    said = " ".join(each.because for each in decision.verdicts if each.verdict == "waits")
    return Leaf(after, decision.hops, has_work, said=said)


def work(transaction: Transaction, tape: Tape, *, force: bool) -> Leaf:
    """Every effect that is due, one after the other, as far as the process lives."""
    settler = _Settler(tape, transaction)
    runner = _runner(tape, settler, transaction.workflow)
    with contextlib.suppress(Died):
        _now(runner.carry_out(_claim(transaction), then=CLOCK.at + times.LONG, force=force))
    return Leaf(settler.written, records=tape.counts["record"])


class _FirstLook:
    """The look that a command makes before it is judged, and the hops that it led to."""

    def __init__(self, tape: Tape) -> None:
        self.tape = tape
        self.hops: tuple[Hop, ...] = ()

    async def at(self, transaction: Transaction) -> Considered:
        seen = _seen(transaction, self.tape, everything=True)
        decision = decide(transaction, seen, CLOCK.at, POLICY)
        self.hops = decision.hops
        return Considered(seen, decision, ())


class _Silent:
    """Nobody is told of anything here."""

    def notices(self, *_about: Any) -> tuple[Any, ...]:
        return ()


def command(transaction: Transaction, tape: Tape, *, name: Command, option: str = "") -> Leaf:
    """A person's order, carried out by the real hands; without memory where it does not fit."""
    order = Order(name, "staff", "seen to", CLOCK.at, **({option: True} if option else {}))
    store, first = _Desk(transaction), _FirstLook(tape)
    hands = Hands(
        store=store,  # type: ignore[arg-type]
        storage=_Storage(),  # type: ignore[arg-type]
        recorder=_recorder(),
        herald=_Silent(),  # type: ignore[arg-type]
        clock=CLOCK,  # type: ignore[arg-type]
        policy=POLICY,
        patience=times.SETTLE,
        is_dead=lambda _owner: False,
        first_look=first,  # type: ignore[arg-type]
    )
    report = _now(hands.carry_out(order, [transaction.id]))
    refused = (*report.skipped, *report.failed)
    if refused and store.written is transaction:
        return Leaf(None, told=refused[0].why)
    hops = [*first.hops]
    reached = hops[-1].target if hops else transaction.status
    if store.written.status is not reached:
        hops.append(_by_hand(reached, store.written.status))
    return Leaf(store.written, tuple(hops), told=refused[0].why if refused else report.done[0].told)


def _by_hand(source: DcbStatus, target: DcbStatus) -> Hop:
    return Hop(BY_HAND, source, target, inferred=False, because="", evidence=())


BY_HAND = "by hand"


# --- which looks there are ------------------------------------------------------------


class Kind(NamedTuple):
    """A look that a schedule can make: in full, or with the reads of a light one at some count."""

    name: str
    in_full: bool
    count: int = 0

    def before(self, memory: Transaction) -> Transaction:
        """The memory as it is when such a look is made."""
        last = memory.last_full_poll_at
        if last is not None:
            last = CLOCK.at - (times.LONG if self.in_full else times.STEP)
        return replace(memory, unchanged_looks=self.count, last_full_poll_at=last, asked_at=None)


ALL_AT_ONCE = Kind("full look", in_full=True)
"""As a person asks for it: `--once --all`."""

DUE_IN_FULL = Kind("daily look", in_full=True)


@cache
def looks_at(status: DcbStatus) -> tuple[Kind, ...]:
    """The looks that a schedule can make at a status, each of which reads something else."""
    found = [DUE_IN_FULL]
    reads: set[tuple[Any, ...]] = set()
    stage = STAGES[status].live
    light = stage.light if stage else ()
    for count in range(60):
        chosen = tuple((side, kind) for side, kind, n in light if count % n == n - 1)
        if chosen not in reads:
            more = f", and {len(chosen)} reads" if reads else ""
            found.append(Kind(f"light look{more}", in_full=False, count=count))
            reads.add(chosen)
    return tuple(found)


logger.disable("reconciler")
