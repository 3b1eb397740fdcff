"""A backlog of 5,000 due at one library with 25 calls a second: is its quota used, and kept to?

The sandbox counts in real time and refuses what is too much, as Alma's gateway does. The ratio is
what was called in a minute by what might have been called.
"""

from __future__ import annotations

import asyncio
import time
from datetime import datetime
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from reconciler.app import App
from reconciler.engine.cycle import CycleOptions
from reconciler.settings import Settings
from tests.bench.served import memory, served
from tests.support.world import KEYS

LENDS = 5000
QUOTA = 25
RATE = 24
MINUTE = 60.0
AIM = 0.95


async def measure() -> list[str]:
    with (
        TemporaryDirectory(dir=memory()) as folder,
        served(LENDS, f"sqlite:///{folder}/b.db") as at,
    ):
        _limit(at.base_url)
        at.settings["host_lms"]["uni-a"]["calls_per_second"] = RATE
        app = App(Settings.model_validate(at.settings), environ=dict(KEYS))
        app.prepare_schema()
        app.desk.track(at.lines, "bench")
        async with app:
            cycle = asyncio.create_task(app.cycle(CycleOptions()))
            began = time.time()
            await asyncio.sleep(MINUTE + 2)
            calls = _calls(at.base_url)
            cycle.cancel()
            await asyncio.gather(cycle, return_exceptions=True)
    ours = [each for each in calls if each["institution"] == "uni-a"]
    instants = [datetime.fromisoformat(each["time"]).timestamp() for each in ours]
    first = min(instants)
    used = sum(first <= each < first + MINUTE for each in instants) / (QUOTA * MINUTE)
    refused = sum(each["status"] == 429 for each in ours)
    busiest = max(sum(a <= b < a + 1 for b in instants) for a in instants)
    return [
        f"backlog of {LENDS} due at one library: {used:.1%} of {QUOTA} calls/s used over a minute "
        f"(aim {AIM:.0%}), {refused} answers 429 (aim 0)",
        f"  limiter {RATE}/s, most calls in any second {busiest}, first call after "
        f"{first - began:.1f} s, SQLite",
    ]


def _limit(base_url: str) -> None:
    answer = httpx.post(f"{base_url}/sandbox/uni-a/settings", json={"per_second": QUOTA})
    answer.raise_for_status()


def _calls(base_url: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = httpx.get(f"{base_url}/sandbox/log", timeout=60).json()["calls"]
    return found
