"""A state of everything, and every move out of it.

What we remember × how each Alma stands × where the book is × what the judge has to keep in mind.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any, NamedTuple

from reconciler.core.model import Hop, Transaction
from reconciler.core.commands.command import Command
from reconciler.core.status import BOOK_AWAY, Workflow
from tests.explore import acts, alma, canon, service, times
from tests.explore.alma import Host
from tests.explore.service import HOSTS, Deviation, Leaf, Numbered, Runner, Write

MEMORIES = Numbered()


class State(NamedTuple):
    """`lie`: 0 the lender's Alma makes no false claim that the book is there; 1 it does; 2 a look
    has met that; 3 so long that the next look is its second one. `by_hand`: a person closed it while the book was away.
    `back`: the book was in the lender's hands again after it had left.
    `works`: what a look left to be done is being done (2: also what waits for a later time).
    """

    memory: int
    hosts: tuple[int, ...]
    where: str
    lie: int = 0
    by_hand: bool = False
    back: bool = False
    works: int = 0


class How(NamedTuple):
    """By which program a move of the service is made, and how that goes wrong."""

    program: service.Program
    kind: service.Kind | None
    deviation: Deviation


class Move(NamedTuple):
    """A step: who does what, what it costs, where it leads; of the service's, also what it did."""

    label: tuple[str, ...]
    price: int
    after: State
    hops: tuple[Hop, ...] = ()
    writes: tuple[Write, ...] = ()
    told: str = ""
    said: str = ""
    how: How | None = None
    asked: int = 0
    untidied: tuple[int, ...] = ()
    """Of people's acts: the libraries as the act left them."""


def memory_of(state: State) -> Transaction:
    found: Transaction = MEMORIES[state.memory]
    return found


def hosts_of(state: State) -> tuple[Host, ...]:
    return tuple(HOSTS[each] for each in state.hosts)


FULL_LOOK, DAILY_LOOK = (service.ALL_AT_ONCE.name,), (service.DUE_IN_FULL.name,)
TIME_PASSES, AND_TIME = ("time passes",), "and time passes"


class World:
    """One workflow's world: where it begins and how it goes on."""

    def __init__(self, workflow: Workflow, *, copies: int = 1) -> None:
        self.workflow = workflow
        self.runner = Runner()
        self.copies = copies
        self.rests = False
        self._aged: dict[tuple[int, Any], int] = {}
        self._tidied: dict[Any, Any] = {}
        self._again: dict[Any, int] = {}
        self._known: dict[int, Any] = {}
        self._acts: dict[tuple[int, str, acts.Place], tuple[acts.Act, ...]] = {}
        self._leaves: dict[int, tuple[Leaf, int | None]] = {}
        self.parties = 3 if workflow is Workflow.PICKUP_ANYWHERE else 2
        self.collects = {
            Workflow.STANDARD: 1,
            Workflow.PICKUP_ANYWHERE: 2,
            Workflow.EXPEDITED: 0,
        }[workflow]

    # --- the beginning ------------------------------------------------------------

    def start(self) -> State:
        items = tuple(
            alma.Item(f"Ai{n}", "Aown", "Aownh", alma.MAIN, alma.IN_PLACE, False)
            for n in range(1, self.copies + 1)
        )
        bib, holding = alma.Bib("Aown", False, False), alma.Holding("Aownh", "Aown", False)
        lender = Host("A", items, (holding,), (bib,), users=frozenset({alma.STRANGER}))
        others = [
            Host(letter, users=frozenset({"p1"} if letter == "B" else ()))
            for letter in "BC"[: self.parties - 1]
        ]
        memory = self.number(service.submitted(self.workflow))
        hosts = tuple(HOSTS.of(each) for each in (lender, *others))
        return State(memory, hosts, acts.AT_LENDER)

    def number(self, transaction: Transaction) -> int:
        canonical = canon.canonical(transaction, service.POLICY)
        return MEMORIES.of(canonical, canon.key(canonical))

    # --- every move -----------------------------------------------------------------

    def moves(self, state: State, left: int | None = None) -> Iterator[Move]:
        """Every move by which no more than `left` things go wrong (None: any number); none once
        the lend is over. `self.rests` tells then whether looks alone change nothing.

        What costs nothing belongs to an undisturbed journey: the looks of the schedule, the effects
        of a look, time, what people do with the book in hand. A look that a person asks for costs
        one, and so does what comes within a minute of a look, the service's own next look apart.
        """
        self.rests = False
        if canon.is_over(memory_of(state)):
            return
        may_err = left is None or left > 0
        if state.works:
            yield from self._settled(self.work(state, wrong=may_err), may_err=may_err)
            return
        yield from self.time(state, wrong=may_err)
        is_fresh = self.aged(state.memory, times.STEP) != state.memory
        extra = 0 if not is_fresh or _is_due(memory_of(state), times.AT_ONCE) else 1
        if extra and not may_err:
            return
        rests = not is_fresh
        for move in self._settled(self._scheduled(state, lost=may_err), may_err=may_err):
            is_daily = move.label in (DAILY_LOOK, (*DAILY_LOOK, AND_TIME))
            rests = rests and (not is_daily or self.later(move.after) == state)
            yield move._replace(price=move.price + extra)
        if is_fresh and not may_err:
            return
        if may_err or rests:
            for move in self._look(state, service.ALL_AT_ONCE, lost=left is None or left > 1):
                rests = rests and (move.label != FULL_LOOK or self.later(move.after) == state)
                yield move._replace(price=move.price + 1 + is_fresh)
        self.rests = rests
        for moves in (self.commands(state, at_rest=rests, wrong=may_err), self.staff(state)):
            for move in moves:
                yield move._replace(price=move.price + is_fresh)

    def _settled(self, moves: Iterator[Move], *, may_err: bool) -> Iterator[Move]:
        """Where nothing may go wrong any more, nothing but time follows on a look that left nothing
        to be done: it is taken at once, so that fewer states are passed through."""
        for move in moves:
            after = move.after
            is_quiet = not after.works and not canon.is_over(memory_of(after))
            if may_err or not is_quiet or _is_due(memory_of(after), times.AT_ONCE):
                yield move
            else:
                label = (*move.label, AND_TIME) if self.later(after) != after else move.label
                yield move._replace(label=label, after=self.later(after))

    def later(self, state: State) -> State:
        """A step of time on."""
        lie = 3 if state.lie == 2 else state.lie
        return state._replace(memory=self.aged(state.memory, times.STEP), lie=lie)

    def staff(self, state: State) -> Iterator[Move]:
        """What people do at each library."""
        pick_up = HOSTS[state.hosts[self.collects]]
        goes_home = not any(
            each.is_open and alma.is_ours(pick_up, each.user) for each in pick_up.holds
        )
        for n, number in enumerate(state.hosts):
            place = acts.Place(n == 0, n == self.collects, goes_home)
            for act in self._acts_at(number, state.where, place):
                hosts = (*state.hosts[:n], HOSTS.of(act.host), *state.hosts[n + 1 :])
                back = _is_back(state, act, at_lender=not n)
                lender = act.host if n == 0 else HOSTS[state.hosts[0]]
                lie = _lie(state, act, lender, back=back)
                after = state._replace(hosts=hosts, where=act.where, lie=lie, back=back)
                tidied = self.tidied(after)
                if tidied != state:
                    yield Move(act.label, act.price, tidied, untidied=after.hosts)

    def _acts_at(self, number: int, where: str, place: acts.Place) -> tuple[acts.Act, ...]:
        key = (number, where, place)
        if key not in self._acts:
            self._acts[key] = tuple(acts.acts(HOSTS[number], where, place))
        return self._acts[key]

    def time(self, state: State, *, wrong: bool) -> Iterator[Move]:
        after = self.later(state)
        if after != state:
            yield Move(TIME_PASSES, 0, after)
        if not wrong:
            return
        memory = self.aged(state.memory, times.LONG)
        hosts = tuple(HOSTS.of(alma.aged(HOSTS[each])) for each in state.hosts)
        after = state._replace(memory=memory, hosts=hosts, lie=after.lie)
        if after != state:
            yield Move(("nobody looks for a month",), 1, after)

    def aged(self, memory: int, by: Any) -> int:
        key = (memory, by)
        if key not in self._aged:
            before = MEMORIES[memory]
            before = canon.of_long_ago(before) if by == times.LONG else before
            later = canon.canonical(before, service.POLICY, times.NOW + by)
            self._aged[key] = MEMORIES.of(later, canon.key(later))
        return self._aged[key]

    # --- the service's moves ----------------------------------------------------------

    def _scheduled(self, state: State, *, lost: bool) -> Iterator[Move]:
        memory = memory_of(state)
        kinds = service.looks_at(memory.status)
        asked_back = _is_due(memory, times.ASKED_BACK)
        if memory.last_poll_at is None or memory.failures or asked_back:
            kinds = (service.DUE_IN_FULL,)
        for kind in kinds:
            yield from self._look(state, kind, lost=lost)

    def full_look(self, state: State) -> Move:
        """What `--once --all` makes of it."""
        return next(self._look(state, service.ALL_AT_ONCE, lost=False))

    def _look(self, state: State, kind: service.Kind, *, lost: bool) -> Iterator[Move]:
        everything = kind is service.ALL_AT_ONCE
        program = partial(service.look, everything=everything)
        key = ("look", kind, state.memory)
        force = 2 if everything else 1

        def made(label: tuple[str, ...], price: int, wrong: Deviation) -> tuple[Any, Move]:
            done, move = self._run(state, program, key, label, price, wrong)
            if done.leaf.has_work:
                waits = any(each.next_attempt_at for each in memory_of(move.after).intents)
                move = move._replace(after=move.after._replace(works=force if waits else 1))
            return done.asked, move

        asked, move = made((kind.name,), 0, service.PLAIN)
        yield move
        for n, event in enumerate(asked if lost else ()):
            again = sum(each == event for each in asked[:n])
            label = (kind.name, "lost", service.named(event), *(["again"] * again))
            yield made(label, 1, Deviation("read", n, "lost"))[1]

    def work(self, state: State, *, wrong: bool = True) -> Iterator[Move]:
        """The effects that a look left: done, done but for one, or left by a process that died."""
        program = partial(service.work, force=state.works == 2)
        key = ("work", state.works, state.memory)
        idle = state._replace(works=0)
        done, move = self._run(idle, program, key, ("effects are carried out",), 0)
        yield move
        if not wrong:
            return
        for n in range(done.sends):
            for ending in service.WRITE_ENDINGS:
                label = ("effects are carried out", f"write {n + 1} {ending}")
                yield self._run(idle, program, key, label, 1, Deviation("write", n, ending))[1]
            label = ("the process dies", f"before write {n + 1}")
            yield self._run(idle, program, key, label, 1, Deviation("write", n, "died"))[1]
        for n in range(done.reads):
            label = ("effects are carried out", f"read {n + 1} lost")
            yield self._run(idle, program, key, label, 1, Deviation("read", n, "lost"))[1]
        for n in range(1, done.records):
            label = ("the process dies", f"before record {n + 1}")
            yield self._run(idle, program, key, label, 1, Deviation("record", n, "died"))[1]
        yield Move(("the process dies", "before any effect"), 1, idle)

    def work_done(self, state: State) -> Move:
        """The effects that a look left, all as they should be."""
        return next(self.work(state, wrong=False))

    def commands(self, state: State, *, at_rest: bool, wrong: bool) -> Iterator[Move]:
        """`retry` costs nothing where it is what people are told to do, once looks are through."""
        waits = at_rest and memory_of(state).parked is not None
        for name, option, price in (
            (Command.RETRY, "", 0 if waits else 1),
            (Command.RETRY, "accept_copy", 0 if waits else 1),
            (Command.CLOSE, "", 1),
            (Command.PARK, "", 1),
        ):
            if (option and self.copies == 1) or (price and not wrong):
                continue
            move = self.command(state, name, option, price)
            if move is not None and move.after != state:
                yield move

    def command(self, state: State, name: Command, option: str = "", price: int = 0) -> Move | None:
        program = partial(service.command, name=name, option=option)
        label = ("staff", str(name), *([option] if option else []))
        done, move = self._run(state, program, (name, option, state.memory), label, price)
        if done.leaf.memory is None and not done.leaf.told.startswith("defect"):
            return None
        ended = [hop for hop in move.hops if hop.rule == service.BY_HAND]
        if any(hop.source in BOOK_AWAY and hop.target not in BOOK_AWAY for hop in ended):
            move = move._replace(after=move.after._replace(by_hand=True))
        return move

    def _run(
        self,
        state: State,
        program: service.Program,
        key: tuple[Any, ...],
        label: tuple[str, ...],
        price: int,
        deviation: Deviation = service.PLAIN,
    ) -> tuple[service.Done, Move]:
        is_look = key[0] == "look"
        how = How(program, key[1] if is_look else None, deviation)

        def memory() -> Transaction:
            return (how.kind or service.ALL_AT_ONCE).before(memory_of(state))

        done = self.runner.run(program, key, memory, state.hosts, deviation)
        number = self._memory_after(done.leaf)
        after = state._replace(
            memory=state.memory if number is None else number,
            hosts=done.hosts,
            lie=2 if state.lie == 1 and is_look else state.lie,
        )
        told = done.leaf.told if done.leaf.told.startswith("defect") else ""
        after = self.tidied(after)
        leaf = done.leaf
        made = (leaf.hops, done.writes, told, leaf.said, how, len(done.asked))
        return done, Move(label, price, after, *made)

    def _memory_after(self, leaf: Leaf) -> int | None:
        known = self._leaves.get(id(leaf))
        if known is None:
            number = None if leaf.memory is None else self.number(leaf.memory)
            known = self._leaves[id(leaf)] = (leaf, number)
        return known[1]

    def tidied(self, state: State) -> State:
        """Without what nobody remembers of what is over, each id by its lowest name."""
        hosts, names = self.tidying(state)
        memory = state.memory
        if any(ids or stamp is not None for ids, stamp in names):
            memory = self._renamed(memory, names)
        return state._replace(memory=memory, hosts=hosts)

    def tidying(self, state: State) -> tuple[tuple[int, ...], tuple[Any, ...]]:
        """The libraries in their canonical form, and what is called otherwise in each."""
        known = self._known.get(state.memory)
        if known is None:
            known = self._known[state.memory] = canon.known_ids(memory_of(state))
        hosts, names = [], []
        for number, letter in zip(state.hosts, "ABC", strict=False):
            of_it = known[letter]
            tidy = self._tidied.get((number, of_it))
            if tidy is None:
                tidy = self._tidied[(number, of_it)] = _tidy(number, *of_it)
            hosts.append(tidy[0])
            names.append(tidy[1:])
        return tuple(hosts), tuple(names)

    def _renamed(self, memory: int, names: tuple[Any, ...]) -> int:
        key = (memory, names)
        if key not in self._again:
            self._again[key] = self.number(canon.renamed(MEMORIES[memory], by_letter(names)))
        return self._again[key]


def by_letter(names: tuple[Any, ...]) -> canon.Names:
    return {letter: (dict(ids), stamp) for letter, (ids, stamp) in zip("ABC", names, strict=False)}


def _tidy(
    number: int, known: frozenset[str], stamp: int | None
) -> tuple[int, tuple[tuple[str, str], ...], int | None]:
    """The library in its canonical form; which ids, and which place in time, are called otherwise
    in it."""
    host, then = alma.tidy(HOSTS[number], known, stamp)
    names = alma.new_names(host, known)
    tidied = HOSTS.of(alma.renamed(host, names) if names else host)
    return tidied, tuple(sorted(names.items())), None if then == stamp else then


def _is_due(memory: Transaction, within: Any) -> bool:
    """Whether the next look comes so soon after the last one."""
    if memory.next_poll_at is None or memory.last_poll_at is None:
        return False
    return memory.next_poll_at - memory.last_poll_at <= within


def _is_back(state: State, act: acts.Act, *, at_lender: bool) -> bool:
    """Whether the book has come home: a scan or loan there shows it, sending it out ends that."""
    home = (acts.AT_LENDER, acts.NEXT)
    if act.where in home and state.where not in home:
        return True
    leaves = at_lender and act.where not in home and state.where in home
    return state.back and not leaves


def _lie(state: State, act: acts.Act, lender: Host, *, back: bool) -> int:
    """What stands at the lender after an act: a claim that the book is there, which it is not, by
    a scan that was a mistake, or since it left without one; or no such claim.

    A book that was never scanned out is claimed by nobody: its record shows nothing at all.
    """
    if act.where in (acts.AT_LENDER, acts.NEXT) or not acts.claims_home(lender):
        return 0
    made = back or (act.by_mistake and act.host.letter == "A")
    return max(state.lie, 1) if made or state.lie else 0
