"""The HTTP face over a real socket: probes, numbers, records, and everything it refuses."""

from __future__ import annotations

import asyncio
import contextlib
import json
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from prometheus_client.parser import text_string_to_metric_families

from reconciler.app import App
from reconciler.clock import SystemClock
from reconciler.core.model import HostLmsCode
from reconciler.engine.cycle import CycleOptions
from reconciler.engine.health import CheckName, DaemonRole, Health
from reconciler.engine.progress import Progress
from reconciler.errors import SettingsError
from reconciler.metrics import METRICS, Kind, Name
from reconciler.sandbox import sample_world
from reconciler.settings import Settings
from reconciler.web import server as web_module
from reconciler.web.site import web_server
from tests.support import canaries
from tests.support.clock import FakeClock
from tests.support.lab import START
from tests.support.world import KEYS, Lend, World, settings_for, unreachable_url

PATIENCE = 60.0
SECRET = "whsec_a2tra2tra2tra2tra2tra2tra2tra2tra2tra2s="


@dataclass
class Face:
    """A web server that runs, and what it is told by."""

    app: App
    clock: FakeClock
    progress: Progress
    health: Health
    url: str
    task: asyncio.Task[None]

    async def ask(self, path: str, method: str = "GET", **headers: str) -> httpx.Response:
        async with httpx.AsyncClient(base_url=self.url, timeout=5) as client:
            answer = await client.request(method, path, headers=headers)
        canaries.said(f"{method} {path}", answer.text)
        return answer

    async def json(self, path: str) -> Any:
        answer = await self.ask(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def metrics(self) -> dict[str, list[tuple[dict[str, str], float]]]:
        answer = await self.ask("/metrics")
        assert answer.status_code == 200
        return {
            family.name: [(sample.labels, sample.value) for sample in family.samples]
            for family in text_string_to_metric_families(answer.text)
        }

    def all_well(self) -> None:
        for name in CheckName:
            self.health.well(name)


def settings_of(world: World, **changes: Any) -> Settings:
    web = {"enabled": True, "host": "127.0.0.1", "port": 0}
    return Settings.model_validate({**world.settings, "web": web, **changes})


@asynccontextmanager
async def serving(world: World, **changes: Any) -> AsyncIterator[Face]:
    environ = {**world.environ, "HOOK": SECRET}
    async with App(settings_of(world, **changes), environ=environ, metered=True) as app:
        app.prepare_schema()
        clock = FakeClock(START)
        progress, health = Progress(clock, PATIENCE), Health(SystemClock())
        vars(app).update(progress=progress)
        server = web_server(lambda: app, health)
        task = asyncio.create_task(server.run())
        url = f"http://127.0.0.1:{server.address[1]}"
        yield Face(app, clock, progress, health, url, task)
        task.cancel()
        await asyncio.wait({task}, timeout=5)


@pytest.fixture
def quiet(tmp_path: Path) -> World:
    """A world whose Almas answer nobody: what is shown comes from the database."""
    url = unreachable_url()
    settings = settings_for(url, f"sqlite:///{tmp_path / 'reconciler.db'}")
    made = World(tmp_path, sample_world(), url, settings, dict(KEYS))
    made.write_settings()
    return made


@pytest.fixture
async def face(quiet: World) -> AsyncIterator[Face]:
    async with serving(quiet) as made:
        yield made


# --- probes -------------------------------------------------------------------------


async def test_healthz_believes_finished_work_only(face: Face, quiet: World) -> None:
    with face.progress.doing("tenant uni-a"):
        face.clock.advance(timedelta(seconds=PATIENCE - 1))
        assert (await face.ask("/healthz")).status_code == 200
        face.clock.advance(timedelta(seconds=2))
        overdue = await face.ask("/healthz")
        assert overdue.status_code == 503
        assert overdue.text == "tenant uni-a: nothing finished for 61 s\n"
        face.progress.advance()
        well = await face.ask("/healthz")
        assert (well.status_code, well.text) == (200, "ok: 1 steps finished, the last 0 s ago\n")
    assert len(quiet.sandbox.calls) == 0


async def test_healthz_asks_no_database(face: Face) -> None:
    break_database(face)
    assert (await face.ask("/healthz")).status_code == 200


async def test_readyz_names_what_fails(face: Face) -> None:
    unknown = await face.ask("/readyz")
    assert unknown.status_code == 503
    assert "db: unknown: not looked at yet" in unknown.text
    face.all_well()
    standby = await face.ask("/readyz")
    assert (standby.status_code, standby.text) == (200, "ready role=standby\n")
    face.health.role = DaemonRole.ACTIVE
    face.health.ill(CheckName.SCHEMA, "made by a newer reconciler")
    ill = await face.ask("/readyz")
    assert ill.status_code == 503
    assert ill.text == "not ready role=active\nschema: FAILED: made by a newer reconciler\n"


async def test_a_library_in_trouble_is_listed_and_never_red(face: Face) -> None:
    face.all_well()
    face.health.troubles[HostLmsCode("uni-a")] = "unreachable since 09:00"
    assert (await face.ask("/readyz")).text == "ready role=standby\n"
    verbose = await face.ask("/readyz?verbose")
    assert verbose.status_code == 200
    assert verbose.text.splitlines() == [
        "ready role=standby",
        "db: ok",
        "schema: ok",
        "lease: ok",
        "config: ok",
        "library uni-a: unreachable since 09:00",
        "library uni-b: no trouble known",
        "library uni-c: no trouble known",
        "library ext: no trouble known",
    ]


# --- metrics ------------------------------------------------------------------------


async def test_every_metric_is_fed(acting: World) -> None:
    """A lend is placed, one write's answer is lost, one read fails, one sink cannot be reached."""
    hook = {"type": "webhook", "url": unreachable_url(), "secret": {"env": "HOOK"}}
    hosts = {code: {**host, "settle": "60s"} if host["type"] == "alma" else host
             for code, host in acting.settings["host_lms"].items()}  # fmt: skip
    lends = [acting.wanted(), acting.placed()]
    notify = [{"type": "log"}, {**hook, "allow_private": True}]
    async with serving(acting, notify=notify, host_lms=hosts) as face:
        await face.app.submit([json.dumps(lends[0].line).encode()], "test")
        face.app.desk.track([json.dumps(lends[1].line).encode()], "test")
        acting.sandbox.faults.add("reset", method="POST", path="/requests", when="after")
        acting.sandbox.faults.add("json_500", method="GET", path="/loans", times=None)
        acting.send(lends[1])
        await face.app.cycle(CycleOptions(everything=True))
        face.progress.last_full_cycle_at = START
        face.progress.last_success_at[HostLmsCode("uni-a")] = START
        face.all_well()
        told = await face.metrics()
        text = (await face.ask("/metrics")).text
    assert {_family(name) for name in METRICS} == set(told)
    assert [name for name, samples in told.items() if not samples] == []
    for name, described in METRICS.items():
        samples = told[_family(name)]
        bucket = {"le"} if described.kind is Kind.HISTOGRAM else set()
        assert {label for labels, _ in samples for label in labels} == {*described.labels, *bucket}
    _has_no_ids(text, lends)
    transitions = told[_family(Name.TRANSITIONS)]
    assert {labels["mode"] for labels, _ in transitions} == {"act"}
    kinds = {labels["kind"] for labels, _ in told[_family(Name.AMBIGUOUS_OPEN)]}
    assert kinds == {"ensure_supplier_hold"}
    codes = {labels["code"] for labels, _ in told[_family(Name.ALMA_REQUESTS)]}
    assert {"ok", "server_error", "connection_lost"} <= codes
    results = {labels["result"] for labels, _ in told[_family(Name.OUTBOX_DELIVERIES)]}
    assert results == {"delivered", "pending"}


def _family(name: Name) -> str:
    return name.removesuffix("_total")


def _has_no_ids(text: str, lends: list[Lend]) -> None:
    for lend in lends:
        ids = [lend.id, lend.barcode, lend.reader, *(_ids(lend.line))]
        assert [each for each in ids if each and each in text] == []


def _ids(line: Any) -> list[str]:
    if isinstance(line, dict):
        return [id for name, part in line.items() if "host_lms" not in name for id in _ids(part)]
    return [line] if isinstance(line, str) and any(c.isdigit() for c in line) else []


async def test_numbers_that_cannot_be_read_are_left_out(face: Face, quiet: World) -> None:
    await asyncio.to_thread(quiet.track, quiet.placed())
    before = await face.metrics()
    assert before[Name.DATABASE_READ] == [({}, 1.0)]
    assert len(before[Name.TRANSACTIONS]) == 1
    break_database(face)
    face.app.clock = LaterClock()
    after = await face.metrics()
    assert after[Name.DATABASE_READ] == [({}, 0.0)]
    assert after[Name.TRANSACTIONS] == []
    assert after[Name.QUEUE_DEPTH] == []
    assert after[Name.QUOTA_REMAINING] == []


class LaterClock(SystemClock):
    """An hour on: what was counted is no longer told again."""

    def monotonic(self) -> float:
        return super().monotonic() + 3600


def break_database(face: Face) -> None:
    """The file is another one all of a sudden, and no connection to the old one is left."""
    face.app.database.dispose()
    file = face.app.database.file
    assert file is not None
    for path in file.parent.glob(f"{file.name}*"):
        path.unlink()
    file.write_text("not a database " * 100)


# --- records ------------------------------------------------------------------------


async def test_the_same_json_as_the_commands(face: Face, quiet: World) -> None:
    lends = [quiet.placed(), quiet.placed(status="LOANED"), quiet.placed(pua=True)]
    await asyncio.to_thread(quiet.track, *lends)
    await asyncio.to_thread(quiet.once, check=None)
    for path, arguments in (
        ("/api/v1/transactions", ("list",)),
        ("/api/v1/transactions?status=LOANED", ("list", "--status", "LOANED")),
        ("/api/v1/transactions?tenant=uni-c", ("list", "--tenant", "uni-c")),
        (f"/api/v1/transactions/{lends[0].id}", ("show", lends[0].id)),
        (f"/api/v1/transactions/{lends[0].id}/history", ("history", lends[0].id)),
    ):
        command = await asyncio.to_thread(quiet.run, *arguments, "-o", "json")
        assert await face.json(path) == command.json


async def test_pages(face: Face, quiet: World) -> None:
    await asyncio.to_thread(quiet.track, *(quiet.placed() for _ in range(5)))
    whole = await face.json("/api/v1/transactions")
    page = await face.json("/api/v1/transactions?limit=2&offset=1")
    assert page == {"transactions": whole["transactions"][1:3], "total": 5}
    assert await face.json("/api/v1/transactions?limit=0") == {"transactions": [], "total": 5}


async def test_tenants(face: Face, quiet: World) -> None:
    await asyncio.to_thread(quiet.track, quiet.placed())
    face.health.troubles[HostLmsCode("uni-b")] = "unreachable"
    face.progress.last_success_at[HostLmsCode("uni-a")] = START
    rows = {row["host_lms"]: row for row in (await face.json("/api/v1/tenants"))["tenants"]}
    assert list(rows) == ["uni-a", "uni-b", "uni-c", "ext"]
    assert rows["uni-a"] == {
        "host_lms": "uni-a",
        "type": "alma",
        "mode": "observe",
        "transactions": {"paused": 0, "parked": 0, "failing": 0, "healthy": 1},
        "due": 1,
        "oldest_due_at": rows["uni-a"]["oldest_due_at"],
        "ambiguous_writes": 0,
        "remaining_today": None,
        "daily_reserve": None,
        "clock_ahead": None,
        "last_success_at": "2026-11-25T09:00:00Z",
        "trouble": None,
    }
    assert rows["uni-a"]["oldest_due_at"].endswith("Z")
    assert rows["uni-b"]["trouble"] == "unreachable"
    assert (rows["ext"]["type"], rows["ext"]["mode"]) == ("external", None)


REFUSALS = [
    ("/api/v1/transactions/none", 404, "no such transaction"),
    ("/api/v1/transactions/none/history", 404, "no such transaction"),
    ("/api/v1/transactions?status=LOANT", 400, "status LOANT: did you mean LOANED?"),
    ("/api/v1/transactions?tenant=exit", 400, "tenant exit: did you mean ext?"),
    ("/api/v1/transactions?statsu=LOANED", 400, "statsu: did you mean status?"),
    ("/api/v1/transactions?limit=1001", 400, "limit: expected a number up to 1000"),
    ("/api/v1/transactions?limit=-1", 400, "limit: expected a number up to 1000"),
    ("/api/v1/transactions?parked=maybe", 400, "parked: expected true or false"),
    ("/api/v1/transactions/", 404, "there is nothing here"),
    ("/nothing", 404, "there is nothing here"),
    ("/", 404, "there is nothing here"),
]


async def test_refusals_are_sentences(face: Face) -> None:
    for path, status, sentence in REFUSALS:
        answer = await face.ask(path)
        assert (path, answer.status_code, answer.json()["error"]) == (path, status, sentence)


async def test_a_lost_database_is_a_sentence(face: Face) -> None:
    break_database(face)
    for path in ("/api/v1/transactions", "/api/v1/transactions/x", "/api/v1/tenants"):
        answer = await face.ask(path)
        assert answer.status_code == 503
        assert answer.json()["error"] == "database: file is not a database"


# --- what it does not do ----------------------------------------------------------------


async def test_only_reading_is_possible(face: Face) -> None:
    for method in ("POST", "PUT", "DELETE", "PATCH", "OPTIONS"):
        for path in ("/healthz", "/metrics", "/api/v1/transactions", "/api/v1/transactions/x"):
            answer = await face.ask(path, method)
            assert answer.status_code == 405
            assert answer.json() == {"error": f"{method} is not possible here, only reading"}
            assert set(answer.headers["allow"].split(", ")) == {"GET", "HEAD"}


async def test_one_request_to_a_connection_and_no_trace(face: Face) -> None:
    answer = await face.ask("/healthz")
    assert answer.headers["connection"] == "close"
    assert answer.headers["cache-control"] == "no-store"
    assert "server" not in answer.headers
    head = await face.ask("/healthz", "HEAD")
    assert (head.status_code, head.text) == (200, "")


async def test_on_loopback_only_its_own_names(face: Face) -> None:
    for host in ("localhost:8080", "LOCALHOST", "127.0.0.1", "[::1]:8080", "[::1]"):
        assert (await face.ask("/healthz", Host=host)).status_code == 200
    for host in ("rebound.example", "rebound.example:8080", "127.0.0.1.rebound.example"):
        assert (await face.ask("/healthz", Host=host)).status_code == 421


async def test_a_head_that_never_ends(face: Face) -> None:
    reader, writer = await connected(face)
    with contextlib.suppress(ConnectionError):
        for _ in range(1000):
            writer.write(b"GET /healthz HTTP/1.1\r\nCookie: " + b"x" * 10_000)
            await writer.drain()
    with contextlib.suppress(ConnectionError):
        told = await asyncio.wait_for(reader.read(), timeout=3)
        assert told.startswith(b"HTTP/1.1 400")
    writer.close()


async def test_who_asks_nothing_is_let_go(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_module, "REQUEST_WITHIN", 0.2)
    for said in (b"", b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n"):
        reader, writer = await connected(face)
        writer.write(said)
        assert await asyncio.wait_for(reader.read(), timeout=3) == b""
        writer.close()


async def test_what_takes_too_long_is_given_up(face: Face, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(web_module, "ANSWER_WITHIN", 0.3)
    free = threading.Event()
    busy = asyncio.create_task(face.app.storage.run(free.wait, 10))
    with pytest.raises(httpx.RemoteProtocolError):
        await face.ask("/api/v1/transactions")
    assert not busy.done()
    assert (await face.ask("/healthz")).status_code == 200
    free.set()
    await busy
    assert (await face.ask("/api/v1/transactions")).status_code == 200


async def connected(face: Face) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    host, port = face.url.removeprefix("http://").split(":")
    return await asyncio.open_connection(host, int(port))


async def test_a_taken_address_is_a_sentence(face: Face, quiet: World) -> None:
    port = int(face.url.rpartition(":")[2])
    settings = settings_of(quiet, web={"enabled": True, "host": "127.0.0.1", "port": port})
    other = App(settings, environ=quiet.environ)
    with pytest.raises(SettingsError, match=f"cannot listen on 127.0.0.1:{port}: Address already"):
        web_server(lambda: other, face.health)
    other.close()


async def test_it_stops_when_it_is_told_to(face: Face) -> None:
    assert (await face.ask("/healthz")).status_code == 200
    face.task.cancel()
    done, _ = await asyncio.wait({face.task}, timeout=3)
    assert done == {face.task}
    assert face.task.cancelled()
    with pytest.raises(httpx.ConnectError):
        await face.ask("/healthz")


def test_no_address_but_loopback_by_default() -> None:
    web = Settings().web
    assert (web.enabled, web.host) == (False, "127.0.0.1")
