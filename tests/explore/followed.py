"""Whether the canonical form loses anything: a journey once more, with time that really passes.

Beside each canonical memory goes the one that it stands for, as the real code left it: its words
and instants are never rounded, and the clock moves on by a second or by a step. After every move
the two have to be the same in their canonical form. A rule that asks for more than `canon` keeps
shows here. A journey is followed until time itself makes another of it: a look that is due in full
by then, an effect that waits longer than a step. (Of the ledger the canonical rows are taken, with the instants that they had: an id that
only a row names that is gone may have been given again.)
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from datetime import datetime, timedelta
from typing import Any

from reconciler.core.model import Transaction
from tests.explore import canon, service, times
from tests.explore.journey import Labels, spelt_out
from tests.explore.quick import replace
from tests.explore.service import CLOCK, Node, Tape
from tests.explore.world import TIME_PASSES, Move, State, World, by_letter, memory_of

A_MONTH = ("nobody looks for a month",)


def losses(world: World, labels: Labels) -> Iterator[str]:
    """Where the canonical memory and what it stands for part, along a journey of this world."""
    state, memory = world.start(), service.submitted(world.workflow)
    at = times.NOW
    for n, label in enumerate(spelt_out(labels), 1):
        move = _made(world, state, label)
        at += _lasts(label)
        CLOCK.at = at
        try:
            memory, asked = _followed(world, state, move, memory)
            kept = canon.canonical(memory, service.POLICY, at)
        finally:
            CLOCK.at = times.NOW
        state = move.after
        if canon.is_over(memory) or asked > move.asked or _waits_longer(memory, at):
            return  # over; or what happens next is another move, since time has really passed
        lost = [*apart(memory_of(state), replace(kept, **_polls(memory_of(state))))]
        if lost:
            yield f"step {n} {label}: {'; '.join(lost)}"
            return


def _waits_longer(memory: Transaction, now: datetime) -> bool:
    """Whether an effect that was refused again and again waits longer than a step."""
    waits = (each.next_attempt_at for each in memory.intents)
    return any(at is not None and at - now > A_STEP for at in waits)


def _polls(memory: Transaction) -> dict[str, Any]:
    """When looks are made is not followed: any may be made at any time."""
    return {"next_poll_at": memory.next_poll_at, "last_poll_at": memory.last_poll_at}


def _made(world: World, state: State, label: tuple[str, ...]) -> Move:
    if label == TIME_PASSES:
        return Move(label, 0, world.later(state))
    found = next((each for each in world.moves(state) if each.label == label), None)
    if found is None:
        raise LookupError(f"no move {label}")
    return found


A_STEP = timedelta(minutes=70)
"""Longer than `settle` and than the first waits of a refused effect; thirty of them are less than
what counts as long ago. (`times.STEP` may be any of that: it is rounded away.)"""


def _lasts(label: tuple[str, ...]) -> timedelta:
    if label == TIME_PASSES:
        return A_STEP
    if label == A_MONTH:
        return times.LONG
    return times.A_SECOND


def _followed(
    world: World, state: State, move: Move, memory: Transaction
) -> tuple[Transaction, int]:
    """What the same move makes of the memory that was never rounded, and how much it asks."""
    if move.label == A_MONTH:
        return canon.of_long_ago(memory), 0
    if move.how is None:
        then = state._replace(hosts=move.untidied or move.after.hosts)
        return (memory if move.label == TIME_PASSES else _renamed(world, then, memory)), 0
    kind = move.how.kind or service.ALL_AT_ONCE
    tape = Tape(Node(), state.hosts, move.how.deviation)
    leaf = move.how.program(kind.before(memory), tape)
    if not isinstance(leaf.memory, Transaction):
        return memory, 0
    left = world.number(leaf.memory)
    then = state._replace(memory=left, hosts=tuple(tape.hosts))
    return _renamed(world, then, _with_canonical_rows(leaf.memory)), len(tape.asked)


def _renamed(world: World, then: State, memory: Transaction) -> Transaction:
    return canon.renamed(memory, by_letter(world.tidying(then)[1]))


def _with_canonical_rows(memory: Transaction) -> Transaction:
    rows, names = canon.rows_of(memory, CLOCK.at)
    made_at = {names[each.id]: each.created_at for each in memory.things}
    things = tuple(replace(each, created_at=made_at[each.id]) for each in rows)
    intents = tuple(
        replace(each, thing_id=names.get(each.thing_id, each.thing_id)) for each in memory.intents
    )
    return replace(memory, things=things, intents=intents)


def apart(one: Any, other: Any, path: str = "") -> Iterator[str]:
    """In which fields two values differ."""
    if is_dataclass(one) and type(one) is type(other):
        for each in fields(one):
            name = f"{path}.{each.name}" if path else each.name
            yield from apart(getattr(one, each.name), getattr(other, each.name), name)
    elif isinstance(one, tuple) and isinstance(other, tuple) and len(one) == len(other):
        for n, (a, b) in enumerate(zip(one, other, strict=True)):
            yield from apart(a, b, f"{path}[{n}]")
    elif one != other:
        yield f"{path}: {one} ≠ {other}"
