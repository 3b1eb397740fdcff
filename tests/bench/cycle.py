"""A cycle over 2,000 due transactions against a bare httpx loop doing the same GETs.

Same server, same URLs, same clients (one for each library, 8 connections), same number of looks
under way. The bare loop asks and throws the answers away: the difference is what it costs to
understand, decide and record.
"""

from __future__ import annotations

import asyncio
import statistics
import time
from collections import defaultdict, deque
from dataclasses import dataclass

import httpx

from reconciler.alma.connections import LANES
from reconciler.app import App
from reconciler.engine.cycle import AT_ONCE_PER_TENANT, CycleOptions
from reconciler.settings import Settings
from tests.bench.served import Served, served
from tests.support.world import KEYS

LENDS = 2000
ROUNDS = 3
AIM = 1.25

KEY_OF = {"uni-a": "KEY-uni-a", "uni-b": "KEY-uni-b"}


@dataclass(frozen=True)
class Look:
    """The GETs of one transaction, by library."""

    urls: tuple[tuple[str, str], ...]


async def measure() -> list[str]:
    with served(LENDS) as at:
        app = App(Settings.model_validate(at.settings), environ=dict(KEYS))
        app.prepare_schema()
        app.desk.track(at.lines, "bench")
        async with app:
            await app.cycle(CycleOptions(everything=True))  # the first look reads more
            _reset(at)
            ours, bare = [], []
            looks: list[Look] = []
            for _ in range(ROUNDS):
                _make_due(app)
                started = time.perf_counter()
                report = await app.cycle(CycleOptions())
                ours.append(time.perf_counter() - started)
                assert report.reconciled == LENDS
                if not looks:
                    looks = _looks(at)
                bare.append(await _bare(at.base_url, looks))
    calls = sum(len(look.urls) for look in looks)
    ratio = statistics.median(ours) / statistics.median(bare)
    return [
        f"cycle over {LENDS} due ÷ bare httpx loop of the same {calls} GETs: {ratio:.2f}"
        f" (aim {AIM})",
        f"  ours {_times(ours)}, bare {_times(bare)}; {LANES} connections for each library, "
        f"{AT_ONCE_PER_TENANT} looks under way, SQLite",
    ]


def _times(seconds: list[float]) -> str:
    return "/".join(f"{each:.2f} s" for each in seconds)


def _make_due(app: App) -> None:
    with app.database.write() as connection:
        connection.exec_driver_sql("UPDATE transactions SET next_poll_at = '2000-01-01 00:00:00'")


def _reset(at: Served) -> None:
    httpx.post(f"{at.base_url}/sandbox/log/reset")


def _looks(at: Served) -> list[Look]:
    """The calls of the cycle just run, by transaction (each has the same number)."""
    log = httpx.get(f"{at.base_url}/sandbox/log", timeout=60).json()
    calls = log["calls"]
    by_library: dict[str, deque[str]] = defaultdict(deque)
    for call in calls:
        query = f"?{call['query']}" if call["query"] else ""
        by_library[call["institution"]].append(call["path"] + query)
    each = {library: len(urls) // LENDS for library, urls in by_library.items()}
    return [
        Look(
            tuple(
                (library, urls.popleft())
                for library, urls in by_library.items()
                for _ in range(each[library])
            )
        )
        for _ in range(LENDS)
    ]


async def _bare(base_url: str, looks: list[Look]) -> float:
    clients = {
        library: httpx.AsyncClient(
            base_url=base_url,
            headers={"Authorization": f"apikey {key}", "Accept": "application/json"},
            limits=httpx.Limits(max_connections=LANES, max_keepalive_connections=LANES),
        )
        for library, key in KEY_OF.items()
    }
    slots = {library: asyncio.Semaphore(LANES) for library in clients}
    todo = deque(looks)

    async def get(library: str, url: str) -> None:
        async with slots[library]:
            response = await clients[library].get(url)
        assert response.status_code == 200

    async def worker() -> None:
        while todo:
            look = todo.popleft()
            await asyncio.gather(*(get(library, url) for library, url in look.urls))

    started = time.perf_counter()
    await asyncio.gather(*(worker() for _ in range(AT_ONCE_PER_TENANT)))
    took = time.perf_counter() - started
    for client in clients.values():
        await client.aclose()
    return took
