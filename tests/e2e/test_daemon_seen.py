"""The installed daemon, seen from outside: its pages live, reload and end with it."""

from __future__ import annotations

import contextlib
import json
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support import canaries
from tests.support.world import COMMAND, World

WEB = {"enabled": True, "host": "127.0.0.1", "port": 0}


class Daemon:
    def __init__(self, world: World) -> None:
        self.log = world.folder / "log"
        self._err = self.log.open("w")
        self.process = subprocess.Popen(
            [COMMAND, "run"], cwd=world.folder, env=world.process_environ, stderr=self._err
        )
        self.url = f"http://127.0.0.1:{self._port()}"

    def _port(self) -> str:
        return self.wait(lambda: re.search(r"web pages are served.*:(\d+)", self.said))[1]

    @property
    def said(self) -> str:
        return self.log.read_text()

    def wait(self, holds: Any, seconds: float = 20) -> Any:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends:
            with contextlib.suppress(httpx.HTTPError):
                if found := holds():
                    return found
            assert self.process.poll() is None, self.said
            time.sleep(0.05)
        raise AssertionError(f"waited in vain\n{self.said}")

    def get(self, path: str) -> httpx.Response:
        answer = httpx.get(self.url + path, timeout=5)
        canaries.said(f"daemon {path}", answer.text)
        return answer

    def stop(self) -> int:
        self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(10)
        self._err.close()
        canaries.said("daemon's log", self.said)
        return code


@pytest.fixture
def daemon(world: World) -> Iterator[tuple[World, Daemon]]:
    polling = {"tick": "1s", "lease": "5s"}
    world.write_settings(web=WEB, polling=polling, logging={"format": "json", "level": "INFO"})
    world.track(world.placed())
    started = Daemon(world)
    yield world, started
    if started.process.poll() is None:
        started.process.kill()
        started.process.wait()


def test_the_daemon_is_seen_from_outside(daemon: tuple[World, Daemon]) -> None:
    world, seen = daemon
    seen.wait(lambda: seen.get("/readyz").status_code == 200)
    assert "role=active" in seen.get("/readyz?verbose").text
    assert seen.get("/healthz").text.startswith("ok: ")
    seen.wait(lambda: 'reconcile_total{result="fired",tenant="uni-a"}' in seen.get("/metrics").text)
    told = seen.get("/metrics").text
    assert re.search(r"^reconciler_last_full_cycle_timestamp_seconds 1\.\d+e\+09$", told, re.M)
    assert 'reconciler_ready{check="db"} 1.0' in told
    assert "reconciler_leader 1.0" in told
    rows = seen.get("/api/v1/transactions").json()
    assert [row["id"] for row in rows["transactions"]] == ["lend-1"]
    lines = [json.loads(line) for line in seen.said.splitlines() if line.startswith("{")]
    line = next(each for each in lines if each["message"] == "cycle finished")
    assert (line["tenant"], line["reconciled"]) == ("uni-a", 1)
    host = {**world.settings["host_lms"]["ext"]}
    world.settings["host_lms"]["ext-2"] = host
    world.write_settings(web=WEB, logging={"format": "json", "level": "INFO"})
    seen.process.send_signal(signal.SIGHUP)
    codes = lambda: [row["host_lms"] for row in seen.get("/api/v1/tenants").json()["tenants"]]  # noqa: E731
    seen.wait(lambda: "ext-2" in codes())
    assert 'result="fired"' in seen.get("/metrics").text, "a reload forgets no count"
    assert seen.stop() == 0


def test_a_taken_port_ends_the_daemon_with_a_sentence(
    daemon: tuple[World, Daemon], tmp_path: Path
) -> None:
    world, seen = daemon
    port = int(seen.url.rpartition(":")[2])
    world.write_settings(
        web={**WEB, "port": port}, database={"url": f"sqlite:///{tmp_path / 'other.db'}"}
    )
    ran = world.run_process("run", check=78)
    assert f"web: cannot listen on 127.0.0.1:{port}" in ran.err
    assert seen.stop() == 0
