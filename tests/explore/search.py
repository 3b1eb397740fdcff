"""Breadth first through the world, by what goes wrong and then by how many moves."""

from __future__ import annotations

import gc
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from dataclasses import dataclass, field

from tests.explore import judge
from tests.explore.judge import Violation
from tests.explore.quick import quickly
from tests.explore.world import MEMORIES, Move, State, World, memory_of


@dataclass
class Found:
    """A violation with the shortest way to it."""

    violation: Violation
    journey: list[Move]
    price: int


@dataclass
class Counts:
    states: int = 0
    moves: int = 0
    depth: int = 0
    seconds: float = 0.0
    memories: int = 0
    runs: int = 0
    finished: bool = False

    def __str__(self) -> str:
        told = "" if self.finished else " (not finished)"
        return (
            f"{self.states} states, {self.moves} moves, depth {self.depth}, "
            f"{self.memories} memories, {self.runs} runs of the real code, {self.seconds:.0f} s{told}"
        )


@dataclass
class Search:
    """`most_wrong`: how many things may go wrong on one journey; None for any number."""

    world: World
    most_wrong: int | None = 2
    seconds: float | None = None
    is_new: Callable[[Violation], object] = lambda violation: violation
    counts: Counts = field(default_factory=Counts)
    found: dict[object, Found] = field(default_factory=dict)
    resting: list[int] = field(default_factory=list)
    stop_at: int | None = None

    states: list[State] = field(default_factory=list)
    parents: list[int] = field(default_factory=list)
    steps: list[tuple[str, ...]] = field(default_factory=list)
    prices: list[int] = field(default_factory=list)
    numbers: dict[State, int] = field(default_factory=dict)
    by_status: Counter[str] = field(default_factory=Counter)

    def run(self) -> Search:
        gc.disable()  # nothing here is ever garbage
        try:
            with quickly():
                return self._run()
        finally:
            gc.enable()

    def _run(self) -> Search:
        began = time.process_time()
        layers: list[dict[int, list[tuple[State, int, Move | None]]]] = [defaultdict(list)]
        layers[0][0].append((self.world.start(), -1, None))
        price = 0
        while price < len(layers):
            layer = layers[price]
            depth = 0
            while layer:
                if depth not in layer:
                    depth = min(layer)
                for state, parent, move in layer.pop(depth):
                    if state in self.numbers:
                        continue
                    self._enter(state, parent, move, depth)
                    if self._is_over(began):
                        self._count(began)
                        return self
                    self._expand(state, depth, price, layers)
                depth += 1
            price += 1
        self.counts.finished = True
        self._count(began)
        return self

    def _count(self, began: float) -> None:
        self.counts.states = len(self.states)
        self.counts.memories = len(MEMORIES)
        self.counts.runs = self.world.runner.runs
        self.counts.seconds = time.process_time() - began

    def _is_over(self, began: float) -> bool:
        if self.stop_at is not None and len(self.found) >= self.stop_at:
            return True
        late = self.seconds is not None and len(self.states) % 256 == 0
        return late and time.process_time() - began > (self.seconds or 0)

    def _enter(self, state: State, parent: int, move: Move | None, depth: int) -> None:
        self.numbers[state] = len(self.states)
        self.states.append(state)
        self.parents.append(parent)
        self.steps.append(move.label if move else ())
        self.prices.append(move.price if move else 0)
        self.counts.depth = max(self.counts.depth, depth)

    def _expand(
        self,
        state: State,
        depth: int,
        price: int,
        layers: list[dict[int, list[tuple[State, int, Move | None]]]],
    ) -> None:
        number = self.numbers[state]
        left = None if self.most_wrong is None else self.most_wrong - price
        for move in self.world.moves(state, left):
            self.counts.moves += 1
            then = price + move.price
            if self.most_wrong is not None and then > self.most_wrong:
                continue
            broken = False
            if move.hops or move.writes or move.told:
                for violation in judge.violations(state, move, self.world.workflow):
                    broken = True
                    self._note(violation, number, move, then)
            if broken or move.after in self.numbers:
                continue
            while len(layers) <= then:
                layers.append(defaultdict(list))
            layers[then][depth + 1].append((move.after, number, move))
        if self.world.rests:
            self.resting.append(number)
            for violation in judge.contradictions(state, self.world.workflow):
                self._note(violation, number, None, price)

    def _note(self, violation: Violation, number: int, last: Move | None, price: int) -> None:
        key = self.is_new(violation)
        if key in self.found:
            return
        labels = self.way_to(number)
        journey = [*labels, *([last.label] if last else [])]
        self.found[key] = Found(violation, journey, price)

    def way_to(self, number: int) -> list[tuple[str, ...]]:
        way = []
        while number > 0:
            way.append(self.steps[number])
            number = self.parents[number]
        return way[::-1]


def status_of(state: State) -> str:
    return str(memory_of(state).status)
