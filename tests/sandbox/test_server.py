"""The server itself: ports, threads, outages, the blocking form for the command line."""

from __future__ import annotations

import signal
import subprocess
import sys
import time

import httpx
import pytest

from reconciler.sandbox import Sandbox, sample_world, serve

PROGRAM = """
from reconciler.sandbox import run, sample_world
run(sample_world(), on_ready=lambda url: print(url, flush=True))
"""


def test_two_servers_at_once_on_free_ports() -> None:
    with serve(sample_world()) as one, serve(sample_world()) as other:
        assert one.port != other.port
        for serving in (one, other):
            assert serving.base_url == f"http://127.0.0.1:{serving.port}"
            assert httpx.get(f"{serving.base_url}/sandbox").status_code == 200


def test_the_loopback_interface_only() -> None:
    with (
        pytest.raises(ValueError, match=r"serves 127.0.0.1 only, not 0\.0\.0\.0"),
        serve(
            Sandbox(),
            host="0.0.0.0",  # noqa: S104
        ),
    ):
        pass


def test_an_outage_and_the_way_back() -> None:
    world = sample_world()
    with serve(world) as serving:
        port, base_url = serving.port, serving.base_url
    with pytest.raises(httpx.ConnectError):
        httpx.get(base_url)
    with serve(world, port=port) as again:
        assert again.base_url == base_url
        assert httpx.get(f"{base_url}/sandbox").status_code == 200


def test_calls_that_hang_do_not_keep_the_server() -> None:
    world = sample_world()
    headers = {"authorization": "apikey KEY-uni-a"}
    world.faults.add("hang")
    with httpx.Client(headers=headers) as client:
        with serve(world) as serving:
            address = f"{serving.base_url}/almaws/v1/conf/test"
            with pytest.raises(httpx.ReadTimeout):
                client.get(address, timeout=0.1)
            started = time.perf_counter()
        assert time.perf_counter() - started < 2


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_blocking_form_stops_on_a_signal(number: signal.Signals) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        base_url = process.stdout.readline().strip()
        assert httpx.get(f"{base_url}/almaws/v1/conf/test").status_code == 400
        process.send_signal(number)
        _, errors = process.communicate(timeout=10)
    expected = (-number,) if number is signal.SIGTERM else (1, 130, -number)
    assert process.returncode in expected, errors
