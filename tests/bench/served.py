"""A sandbox in a process of its own, filled with placed lends."""

from __future__ import annotations

import json
import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from reconciler.sandbox import sample_world, serve
from tests.support.world import World, settings_for


@dataclass(frozen=True)
class Served:
    base_url: str
    lines: list[bytes]
    settings: dict[str, Any]
    folder: Path


def memory() -> str | None:
    """A folder in memory, for measurements that must not wait for a real disk."""
    folder = "/dev/shm"  # noqa: S108 - a folder of our own is made in it
    return folder if Path(folder).is_dir() else None


@contextmanager
def served(lends: int, database_url: str = "") -> Iterator[Served]:
    """`lends` placed lends between uni-a and uni-b, waiting to be sent."""
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(there, lends), daemon=True)
    process.start()
    base_url, lines = here.recv()
    with TemporaryDirectory(prefix="reconciler-bench-") as folder:
        url = database_url or f"sqlite:///{folder}/bench.db"
        yield Served(base_url, lines, settings_for(base_url, url), Path(folder))
    here.send("stop")
    process.join(timeout=10)
    if process.is_alive():
        process.kill()


def _serve(pipe: Connection, lends: int) -> None:
    sandbox = sample_world()
    world = World(Path(), sandbox, "", {}, {})
    status = "REQUEST_PLACED_AT_BORROWING_AGENCY"
    lines = [json.dumps(world.placed(status=status).line).encode() for _ in range(lends)]
    with serve(sandbox) as serving:
        pipe.send((serving.base_url, lines))
        pipe.recv()
