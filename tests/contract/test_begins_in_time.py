"""A write whose time to begin ran out while it waited for its connection is not sent.

Whoever takes over from a process that stands still counts on that (engine/effects/runner.py).
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest

from reconciler.alma.connections import LANES, Connections, Timeouts
from reconciler.alma.gateway import Gateway, get
from reconciler.alma.valve import Valve
from reconciler.alma.writer import Writer
from reconciler.clock import SystemClock
from reconciler.core.library.breaker import Terms
from reconciler.core.model import HoldingId, HostLmsCode, ItemPid, MmsId
from reconciler.errors import AlmaFailure, FailureKind
from reconciler.ports.alma import ItemKey
from reconciler.sandbox import Sandbox, sample_world, serve

SLOW = 1.0
DEADLINE = 0.3
CLOCK = SystemClock()


@pytest.fixture
def sandbox() -> Sandbox:
    return sample_world()


@pytest.fixture
def base_url(sandbox: Sandbox) -> Iterator[str]:
    with serve(sandbox) as serving:
        yield serving.base_url


def gateway_to(base_url: str) -> Gateway:
    connections = Connections(base_url, clock=CLOCK, timeouts=Timeouts(5.0, 5.0, 5.0))
    valve = Valve(Terms(HostLmsCode("uni-a"), reserve=0), 1_000_000, CLOCK)
    return Gateway(connections, "KEY-uni-a", valve=valve, clock=CLOCK)


def key_of(sandbox: Sandbox) -> ItemKey:
    book = sandbox["uni-a"].add_book("A book", "LATE1", "MAIN", "STACKS")
    return ItemKey(MmsId(book.mms_id), HoldingId(book.holding_id), ItemPid(book.pid))


async def test_not_sent_where_slow_answers_held_every_connection(
    sandbox: Sandbox, base_url: str
) -> None:
    gateway, key = gateway_to(base_url), key_of(sandbox)
    sandbox.faults.add("delay", path="/test", seconds=SLOW, times=None)
    reads = [asyncio.create_task(gateway.read(get("conf", "test"))) for _ in range(LANES)]
    await asyncio.sleep(0.05)
    began_at = CLOCK.monotonic()
    in_time, late = began_at + 10 * SLOW, began_at + DEADLINE
    scans = (
        Writer(gateway.writing_until(by)).scan_in(key, "MAIN", "DEFAULT_CIRC_DESK")
        for by in (late, in_time)
    )
    refused, made = await asyncio.gather(*scans, return_exceptions=True)
    assert isinstance(refused, AlmaFailure)
    assert (refused.kind, refused.nothing_happened) == (FailureKind.NOT_SENT, True)
    assert CLOCK.monotonic() - began_at > SLOW - 0.1, "both had to wait for a connection"
    assert not isinstance(made, BaseException)
    assert len(sandbox.calls.matching("POST", "")) == 1
    await asyncio.gather(*reads)
    assert gateway.tally.calls == LANES + 1
    await gateway.aclose()


@contextmanager
def slow_to_be_reached() -> Iterator[tuple[str, socket.socket]]:
    """An address whose queue of new connections is full: the next one hangs until room is made."""
    with socket.socket() as listening, socket.socket() as first:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        first.connect(listening.getsockname())
        yield f"http://127.0.0.1:{listening.getsockname()[1]}", listening


async def test_not_sent_where_the_connection_was_long_in_the_making() -> None:
    with slow_to_be_reached() as (base_url, listening):
        gateway, key = gateway_to(base_url), ItemKey(MmsId("1"), HoldingId("2"), ItemPid("3"))
        deadline = CLOCK.monotonic() + DEADLINE
        scan = Writer(gateway.writing_until(deadline)).scan_in(key, "MAIN", "DEFAULT_CIRC_DESK")
        scanning = asyncio.create_task(scan)
        await asyncio.sleep(2 * DEADLINE)
        assert not scanning.done()
        serving = asyncio.create_task(asyncio.to_thread(_accept, listening, 2))
        with pytest.raises(AlmaFailure) as caught:
            await scanning
        assert caught.value.kind is FailureKind.NOT_SENT
        sent = [_all_that_came(each) for each in await serving]
        assert sent == [b"", b""]
        await gateway.aclose()


def _accept(listening: socket.socket, number: int) -> list[socket.socket]:
    """So many connections; the last one is ours, and comes when the kernel tries it again."""
    listening.settimeout(20)
    return [listening.accept()[0] for _ in range(number)]


def _all_that_came(connected: socket.socket) -> bytes:
    with connected:
        connected.settimeout(0.2)
        with suppress(TimeoutError):
            return connected.recv(1024)
    return b""
