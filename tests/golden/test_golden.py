"""The golden table: from every status, what every sight of every library leads to.

Each cell is played against the real engine and the sandbox: the world is built, the transaction
taken over at the status, and two looks are made. The table is kept as a file that a librarian can
read; `GOLDEN=write pytest tests/golden` writes it anew, to be reviewed like any other change.
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from datetime import timedelta
from itertools import groupby
from pathlib import Path

from reconciler.core.model import TransactionId
from reconciler.core.status import HistoryKind, Resource, Role
from reconciler.engine.desk import Statement
from tests.golden.scenes import UNREADABLE, Cell, build, cells
from tests.support.lab import Lab
from tests.support.lab import lab as make_lab

TABLE = Path(__file__).with_name("paths.md")
HEAD = """# From every status, what every sight leads to

One section for each library and what its Alma shows, with the other libraries as they would be.
`→` are the steps taken, each a row of the transition table; what follows `(second look)` had to be
seen twice; `parked` waits for a person. Written by `GOLDEN=write pytest tests/golden`.
"""


async def played(lab: Lab, table: list[Cell]) -> dict[Cell, str]:
    lines = [build(lab.sandbox, n, cell) for n, cell in enumerate(table, start=1)]
    report = lab.app.desk.track([json.dumps(line).encode() for line in lines], "test")
    assert report.refused == []
    lab.clock.advance(timedelta(minutes=1))
    ids = {cell: TransactionId(f"cell-{n}") for n, cell in enumerate(table, start=1)}
    for cell, id in ids.items():
        if cell.told is not None:
            words = {Resource(what): word for what, word in cell.told.items()}
            lab.app.desk.evidence(id, Statement(cell.role, words, "told"), "test")
    await lab.cycle(everything=True)
    seen_once = {cell: len(steps(lab, id)) for cell, id in ids.items()}
    lab.clock.advance(timedelta(minutes=2))
    await lab.cycle(everything=True)
    return {cell: outcome(lab, id, seen_once[cell]) for cell, id in ids.items()}


def steps(lab: Lab, id: TransactionId) -> list[str]:
    rows = lab.app.store.history(id)
    return [f"→ {each.target}" for each in rows if each.kind is HistoryKind.TRANSITION]


def outcome(lab: Lab, id: TransactionId, in_first_look: int) -> str:
    made = steps(lab, id)
    later = made[in_first_look:]
    told = [*made[:in_first_look], *(["(second look)"] if later else []), *later]
    parked = lab.app.store.get(id).parked
    if parked is not None:
        told.append(f"parked {parked.reason}")
    return " ".join(told) or "stays"


def written(found: dict[Cell, str]) -> str:
    """One section for each sight; statuses with the same way share a line."""
    parts = [HEAD]
    for (workflow, role, evidence), group in groupby(found.items(), key=lambda one: one[0].sheet):
        parts.append(f"\n## {workflow}, {role}: {evidence}\n\n")
        ways: dict[str, list[str]] = {}
        for cell, way in group:
            ways.setdefault(way, []).append(str(cell.status))
        parts += [f"- {', '.join(statuses)}: **{way}**\n" for way, statuses in ways.items()]
    return "".join(parts)


async def test_every_cell_leads_where_the_golden_table_says(
    tmp_path: Path, tell: Callable[[str], None]
) -> None:
    table = cells()
    # Waiting for a silent library takes time, which would make a second look of a first; and it
    # rests, which would silence the other libraries' part in the cells of another role.
    groups: dict[Role | None, list[Cell]] = {}
    for cell in table:
        silent = cell.role if cell.evidence == UNREADABLE else None
        groups.setdefault(silent, []).append(cell)
    found: dict[Cell, str] = {}
    for n, some in enumerate(groups.values()):
        folder = tmp_path / str(n)
        folder.mkdir()
        async with make_lab(folder, socket=False, mode="observe") as lab:
            found |= await played(lab, some)
    text = written({cell: found[cell] for cell in table})
    if os.environ.get("GOLDEN") == "write":
        TABLE.write_text(text, encoding="utf-8")
    moved = sum(way != "stays" for way in found.values())
    tell(f"golden table: {len(table)} cells played, {moved} of them lead somewhere")
    assert text == TABLE.read_text(encoding="utf-8"), "read the change, then GOLDEN=write"
