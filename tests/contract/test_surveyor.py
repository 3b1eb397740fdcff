"""How an Alma is set up: recorded answers, the sandbox, and the clock that answers tell."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import httpx
import pytest

from reconciler.alma.connections import Connections, Timeouts
from reconciler.alma.gateway import Gateway
from reconciler.alma.surveyor import Surveyor
from reconciler.alma.valve import Valve
from reconciler.core.library.breaker import Terms
from reconciler.core.model import HostLmsCode
from reconciler.errors import AlmaFailure, FailureKind
from reconciler.ports.survey import KeyArea
from reconciler.sandbox import Sandbox, sample_world
from tests.support.clock import FakeClock
from tests.support.lab import START
from tests.support.recorded import FOLDER, recorded


@asynccontextmanager
async def surveyor(
    transport: httpx.AsyncBaseTransport, clock: FakeClock | None = None
) -> AsyncIterator[Surveyor]:
    clock = clock or FakeClock(START)
    made = Connections("http://alma", clock=clock, timeouts=Timeouts(), transport=transport)
    valve = Valve(Terms(HostLmsCode("uni-a"), reserve=0), 1_000_000, clock)
    gateway = Gateway(made, "KEY-uni-a", valve=valve, clock=clock)
    yield Surveyor(gateway)
    await gateway.aclose()


def answering(name: str) -> httpx.MockTransport:
    recorded("conf")
    body = (FOLDER / "conf" / name).read_bytes()
    return httpx.MockTransport(lambda _: httpx.Response(200, content=body))


def dated(date: str) -> httpx.MockTransport:
    headers = {"Date": date} if date else {}
    return httpx.MockTransport(lambda _: httpx.Response(200, json={"test": "OK"}, headers=headers))


@pytest.fixture
def sandbox() -> Sandbox:
    clock = FakeClock(START)
    return sample_world(clock, clock.sleep)


async def test_recorded_libraries_and_locations_are_read() -> None:
    async with surveyor(answering("pulibrary__libraries-princeton.json")) as alma:
        libraries = await alma.libraries()
    assert {each.code for each in libraries} >= {"arch", "firestone", "recap"}
    assert {each.is_resource_sharing for each in libraries} == {False}
    async with surveyor(answering("tulibraries__locations.json")) as alma:
        assert (await alma.locations("main"))["offsite"] is False
    async with surveyor(answering("NatLibFi__locations-xml.xml")) as alma:
        assert {"general", "staff", "stacks"} <= set(await alma.locations("Central"))


async def test_desks_are_walked_to_the_end_of_their_list(sandbox: Sandbox) -> None:
    for n in range(130):
        sandbox["uni-a"].add_circ_desk("MAIN", f"D{n}")
    async with surveyor(httpx.ASGITransport(sandbox.app)) as alma:
        assert len(await alma.desks("MAIN")) == 131


async def test_codes_say_whether_they_are_enabled(sandbox: Sandbox) -> None:
    sandbox["uni-a"].add_code("UserGroups", "OLD", enabled=False)
    async with surveyor(httpx.ASGITransport(sandbox.app)) as alma:
        groups = await alma.codes("UserGroups")
    assert (groups["DCB"], groups["OLD"]) == (True, False)


@pytest.mark.parametrize("probe_body", ["negotiated", "xml"])
async def test_an_area_is_proved_by_its_probe(sandbox: Sandbox, probe_body: str) -> None:
    sandbox["uni-a"].dialect.update(probe_body=probe_body)
    async with surveyor(httpx.ASGITransport(sandbox.app)) as alma:
        for area in KeyArea:
            await alma.probe(area)
        sandbox["uni-a"].revoke("KEY-uni-a", ["bibs"])
        await alma.probe(KeyArea.USERS)
        with pytest.raises(AlmaFailure) as refused:
            await alma.probe(KeyArea.BIBS)
    assert refused.value.kind is FailureKind.CREDENTIALS
    assert str(refused.value).endswith("API-key not defined or not configured to allow this API.")


@pytest.mark.parametrize(
    ("date", "ahead"),
    [
        ("Wed, 25 Nov 2026 09:00:00 GMT", 0),
        ("Wed, 25 Nov 2026 09:02:00 GMT", 120),
        ("Wed, 25 Nov 2026 08:58:00 GMT", -120),
        ("", None),
        ("yesterday", None),
        ("Wed, 25 Nov 2026 09:00:00", None),
    ],
)
async def test_the_clock_of_an_answer(date: str, ahead: int | None) -> None:
    clock = FakeClock(START)
    async with surveyor(dated(date), clock) as alma:
        assert alma.clock_ahead is None
        await alma.probe(KeyArea.USERS)
        told = alma.clock_ahead
    if ahead is None:
        assert told is None
    else:
        assert told == pytest.approx(ahead, abs=1)
    assert clock.now() - START < timedelta(seconds=1)
