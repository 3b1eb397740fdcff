"""`reconciler --once` with nothing due: a whole process, as a timer starts it every minute."""

from __future__ import annotations

import statistics
import subprocess
import time

from tests.bench.served import served
from tests.support.world import COMMAND, KEYS, World

LENDS = 50
ROUNDS = 7
AIM = 0.8


async def measure() -> list[str]:
    with served(LENDS) as at:
        from reconciler.app import App
        from reconciler.engine.cycle import CycleOptions
        from reconciler.sandbox import sample_world
        from reconciler.settings import Settings

        app = App(Settings.model_validate(at.settings), environ=dict(KEYS))
        app.prepare_schema()
        app.desk.track(at.lines, "bench")
        async with app:
            await app.cycle(CycleOptions())
        world = World(at.folder, sample_world(), at.base_url, at.settings, dict(KEYS))
        world.write_settings()
        ours = [_took([COMMAND, "--once"], world) for _ in range(ROUNDS)]
        python = [_took([COMMAND.parent / "python", "-c", "pass"], world) for _ in range(ROUNDS)]
    median = statistics.median(ours)
    return [
        f"idle: --once with nothing due, whole process: {median:.2f} s (aim {AIM} s), "
        f"÷ a bare python: {median / statistics.median(python):.0f}",
        f"  {'/'.join(f'{each:.2f}' for each in ours)} s; {LENDS} tracked, SQLite",
    ]


def _took(command: list[object], world: World) -> float:
    started = time.perf_counter()
    subprocess.run(
        [str(each) for each in command],
        cwd=world.folder,
        env=world.process_environ,
        capture_output=True,
        check=True,
    )
    return time.perf_counter() - started
