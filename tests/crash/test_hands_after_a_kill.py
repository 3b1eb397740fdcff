"""A person's command on what a killed process left behind, at points all along the placing.

`close` ends with nothing left over; a pause in between ends with everything once.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest

from reconciler.core.commands.command import Command, Order
from reconciler.core.model import TransactionId
from reconciler.core.status import DcbStatus
from reconciler.engine.pausing import Target
from tests.crash import child
from tests.crash.test_killed_at_every_point import LAG, PLACED, Run, prepared

S = DcbStatus


async def closed(run: Run) -> None:
    """Over at once, whatever was under way: cleared, with no hold and no record left."""
    id = TransactionId(run.book.id)
    order = Order(Command.CLOSE, "cli:ada", "enough", run.clock.now())
    report = await run.lab.app.hands.carry_out(order, [id])
    run.expect("closed", [each.id for each in report.done], [id])
    await child.work(run.lab.app, id, run.clock)
    run.clock.advance(LAG + 1)  # Alma shows it late that a hold has ended
    run.expect("left behind", run.lab.counts(run.book), {})
    run.expect("status", run.lab.app.store.get(id).status, S.FINALISED)
    run.expect("the reader's data", run.lab.app.store.placing(id), None)


async def paused_and_resumed(run: Run) -> None:
    """Nothing happens under the pause, and afterwards it goes on from where it stood."""
    app, target = run.lab.app, Target(id=TransactionId(run.book.id))
    await app.pausing.pause(target, "cli:ada", "wait")
    before = app.store.get(TransactionId(run.book.id))
    await run.lab.cycle(everything=True)
    run.expect("untouched", app.store.get(before.id).version, before.version)
    await app.pausing.resume(target, "cli:ada", "go on")
    await child.work(app, before.id, run.clock)
    run.expect("placed", run.lab.counts(run.book), PLACED)
    run.expect("virtual patrons", run.lab.virtual_patrons(run.book), 1)


ACTS: dict[str, Callable[[Run], Awaitable[None]]] = {
    "close": closed,
    "pause": paused_and_resumed,
}


async def killed(folder: Path, die_at: int, act: Callable[[Run], Awaitable[None]]) -> list[str]:
    """What is wrong after a process died at a point of placing and a person acted."""
    async with prepared(folder) as run:
        run.clock.advance(120.0)
        assert run.killed(die_at) == 0, f"point {die_at} was never reached"
        await act(run)
        return run.problems


async def points(folder: Path) -> int:
    async with prepared(folder) as run:
        run.clock.advance(120.0)
        return run.killed(0)


def new(folder: Path, name: str) -> Path:
    made = folder / name
    made.mkdir()
    return made


@pytest.mark.timeout(600)
@pytest.mark.parametrize(
    ("name", "every"),
    [
        ("close", 7),
        ("pause", 15),
        pytest.param("close", 1, marks=pytest.mark.long),
        pytest.param("pause", 1, marks=pytest.mark.long),
    ],
)
async def test_a_command_after_a_kill(
    name: str, every: int, tmp_path: Path, tell: Callable[[str], None]
) -> None:
    last = await points(new(tmp_path, "whole"))
    assert last
    bad = {}
    for n in range(1, last + 1, every):
        problems = await killed(new(tmp_path, f"{name}-{n}"), n, ACTS[name])
        if problems:
            bad[n] = problems
    tell(f"{name} after a kill at every {every}. of {last} points of placing")
    assert bad == {}
