"""When the world rests: whether what staff are told to do leads to an end.

The service looks until looks change nothing. Then people do what anybody does with the book in
hand (the acts that cost nothing), and what they are told: by `advice`, by what the row of the status says of a late one,
by what `explain` says that the rules wait for. `close` is tried only where one of these texts names
it. From every state at rest some way of doing so has to lead to the end of the lend, else a
reader waits in silence, or a person is sent round in circles.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from reconciler.core.staff.advice import advice
from reconciler.core.stages import STAGES
from reconciler.core.commands.command import Command
from tests.explore import alma, canon, times
from tests.explore.service import HOSTS
from tests.explore.world import Move, State, World, hosts_of, memory_of

MOST_LOOKS = 40
"""More than any lend needs to come to rest."""


@dataclass
class Rest:
    world: World
    settled: dict[State, State | None] = field(default_factory=dict)
    """Where looks alone lead; None where they never come to rest."""
    ways: dict[State, list[tuple[tuple[str, ...], State]]] = field(default_factory=dict)
    moves: int = 0

    def settle(self, state: State) -> State | None:
        """The state once full looks, a step of time apart, change nothing any more."""
        way = []
        now = state
        for _ in range(MOST_LOOKS):
            if now in self.settled:
                end = self.settled[now]
                break
            way.append(now)
            then = self._looked_at(now)
            self.moves += 1
            if then == now:
                end = now
                break
            now = then
        else:
            end = None
        for each in way:
            self.settled[each] = end
        return end

    def _looked_at(self, state: State) -> State:
        if canon.is_over(memory_of(state)):
            return state
        if not state.works:
            state = self.world.later(state)
            state = self.world.full_look(state).after
        if state.works:
            state = self.world.work_done(state).after
        return self.world.later(state)

    # --- what people do ---------------------------------------------------------------

    def advised(self, state: State) -> Iterator[tuple[tuple[str, ...], State]]:
        """What people do at a state of rest, with what each comes to before any look."""
        memory = memory_of(state)
        at_hand = list(self.world.staff(state))
        for move in at_hand:
            if move.price == 0:
                yield move.label, move.after
        if memory.parked is not None:
            yield from self._parked(state, at_hand)
            return
        said = self.world.full_look(state).said
        told = f"{advice(memory, times.NOW)} {live.when_late if (live := STAGES[memory.status].live) else ''} {said}"
        if "close" in told:
            yield from self._command(state, Command.CLOSE)
        if "cancel the hold in the lender's Alma" in told:
            yield from self._chosen(at_hand, "A", "cancel", "our hold")
        if "cancel the request in Alma" in told:
            letter = "ABC"[self.world.collects]
            yield from self._chosen(at_hand, letter, "cancel", "our hold")
        if any(each.state in ("refused", "parked") for each in memory.intents):
            yield from self._command(state, Command.RETRY)

    def _parked(self, state: State, at_hand: list[Move]) -> Iterator[tuple[tuple[str, ...], State]]:
        """What staff are told, then `retry`; or `close`, where the advice names it."""
        parked = memory_of(state).parked
        if parked is None:
            return
        yield from self._command(state, Command.RETRY)
        told = advice(memory_of(state), times.NOW).lower()
        repairs: list[Move] = []
        if "scan it in" in told or "scan the item out" in told or "scan it" in told:
            repairs += [each for each in at_hand if each.label[1] == "scan_in" and _is_honest(each)]
            repairs += [each for each in at_hand if each.label[1] == "found"]
        if "return the item in alma by hand" in told or "check the loan" in told:
            repairs += [each for each in at_hand if each.label[1] == "scan_in" and _is_honest(each)]
        if "cancel that hold" in told:
            repairs += [each for each in at_hand if each.label[1] == "cancel"]
        for move in repairs:
            for label, after in self._command(move.after, Command.RETRY):
                yield (*move.label, *label), after
        if "close" in told:
            yield from self._command(state, Command.CLOSE)

    def _command(self, state: State, name: Command) -> Iterator[tuple[tuple[str, ...], State]]:
        move = self.world.command(state, name)
        if move is not None and move.after != state:
            yield move.label, move.after

    def _chosen(
        self, moves: Iterable[Move], *label: str
    ) -> Iterator[tuple[tuple[str, ...], State]]:
        for move in moves:
            if move.label[: len(label)] == label:
                yield move.label, move.after

    # --- what it leads to ----------------------------------------------------------------

    def stuck(self, states: Iterable[State]) -> list[State]:
        """Those of these states at rest from which nothing that is advised leads to an end."""
        came_from: dict[State, list[State]] = defaultdict(list)
        open_ones = [each for each in map(self.settle, states) if each is not None]
        begun = list(dict.fromkeys(open_ones))
        ends: list[State] = []
        seen: set[State] = set()
        while open_ones:
            state = open_ones.pop()
            if state in seen:
                continue
            seen.add(state)
            if canon.is_over(memory_of(state)):
                ends.append(state)
                continue
            ways = []
            for label, after in self.advised(state):
                then = self.settle(after)
                if then is not None and then != state:
                    ways.append((label, then))
                    came_from[then].append(state)
                    if then not in seen:
                        open_ones.append(then)
            self.ways[state] = ways
        good = set(ends)
        while ends:
            for state in came_from[ends.pop()]:
                if state not in good:
                    good.add(state)
                    ends.append(state)
        return [state for state in begun if state not in good]

    def restless(self) -> list[State]:
        """States from which looks alone go round for ever."""
        return [state for state, end in self.settled.items() if end is None]


def _is_honest(move: Move) -> bool:
    return "by mistake" not in move.label and alma.MAIN in move.label


def picture(state: State) -> str:
    """A state in a few words, for people."""
    memory = memory_of(state)
    parts = [str(memory.status)]
    if memory.parked is not None:
        parts.append(f"parked {memory.parked.reason}")
    for host in hosts_of(state):
        items = ",".join(each.process or "in place" for each in host.items) or "no item"
        holds = ",".join(
            f"{'our' if alma.is_ours(host, each.user) else 'other'} hold {each.at}"
            for each in host.holds
        )
        loans = ",".join(
            f"{'our' if alma.is_ours(host, each.user) else 'other'} loan "
            f"{'active' if each.is_active else 'over'}{'' if each.process == alma.NORMAL else ' ' + each.process}"
            for each in host.loans
        )
        parts.append(f"{host.letter}: {'; '.join(each for each in (items, holds, loans) if each)}")
    parts.append(f"the book: {state.where}")
    open_ones = [f"{each.kind} {each.state}" for each in memory.intents]
    if open_ones:
        parts.append("effects: " + ", ".join(open_ones))
    return " | ".join(parts)


__all__ = ["HOSTS", "Rest", "picture"]
