"""The systemd units: complete, valid where systemd is there to say so, and well closed off."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from reconciler.cli.units import FILES, Unit, units
from reconciler.settings import Settings
from tests.support.world import COMMAND

HOST = {"type": "alma", "base_url": "https://alma.example.org"}
SETTINGS = Settings.model_validate(
    {
        "host_lms": {
            "uni-a": {**HOST, "api_key": {"credential": "uni-a-key"}},
            "uni-b": {**HOST, "api_key": {"env": "B"}, "webhook_secret": {"credential": "b-hook"}},
            "uni-c": {"type": "external"},
        },
        "notify": [{"type": "webhook", "url": "https://dcb.example.org", "secret": {"env": "S"}}],
    }
)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """The unit files as a person would install them."""
    for unit, text in units(SETTINGS, tmp_path / "settings.yaml").items():
        command = re.sub(r"^ExecStart=\S+", f"ExecStart={COMMAND}", text, flags=re.M)
        (tmp_path / FILES[unit]).write_text(command)
    return tmp_path


def analyze() -> str:
    found = shutil.which("systemd-analyze")
    if found is None:
        pytest.skip("systemd-analyze is not installed here: the units were not verified by it")
    return found


def test_every_secret_is_a_credential() -> None:
    for unit in (Unit.SERVICE, Unit.ONCE):
        text = units(SETTINGS, Path("settings.yaml"))[unit]
        loaded = re.findall(r"^LoadCredential=(\S+?):/etc/reconciler/credentials/\1$", text, re.M)
        assert loaded == ["uni-a-key", "uni-b-api_key", "b-hook", "notify-0-secret"]
        assert "Environment=" not in text
        told = re.findall(r"^# in the settings: (.*)$", text, re.M)
        assert told == [
            "host_lms.uni-b.api_key: {credential: uni-b-api_key}",
            "notify.0.secret: {credential: notify-0-secret}",
        ]


def test_the_watchdog_is_more_patient_than_any_call() -> None:
    text = units(SETTINGS, Path("settings.yaml"))[Unit.SERVICE]
    found = re.search(r"^WatchdogSec=(\d+)$", text, re.M)
    assert found is not None
    assert int(found[1]) > 2 * SETTINGS.http.write_read_timeout.total_seconds()
    slow = SETTINGS.model_copy(
        update={"polling": SETTINGS.polling.model_copy(update={"tick": SETTINGS.polling.lease * 9})}
    )
    assert slow.longest_silence >= 3 * slow.polling.tick


def test_systemd_finds_nothing_to_say(folder: Path) -> None:
    files = [folder / name for name in FILES.values()]
    done = subprocess.run(
        [analyze(), "verify", *files], capture_output=True, text=True, timeout=60, check=False
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@pytest.mark.parametrize("unit", [Unit.SERVICE, Unit.ONCE])
def test_the_service_can_reach_little(
    folder: Path, unit: Unit, tell: Callable[[str], None]
) -> None:
    """The threshold is on a scale of 0 to 100: 20 stands for an exposure of 2.0."""
    done = subprocess.run(
        [analyze(), "security", "--offline=true", "--threshold=20", folder / FILES[unit]],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    tell(done.stdout.strip().splitlines()[-1])
    assert done.returncode == 0, done.stdout
