"""settings.yaml: every mistake is named with its key, its line and the nearest known key."""

from __future__ import annotations

from datetime import time, timedelta
from pathlib import Path

import pytest

from reconciler.core.model import HostLmsCode
from reconciler.core.stages import DEFAULT_INTERVALS
from reconciler.core.status import LIVE, DcbStatus
from reconciler.errors import SettingsError
from reconciler.settings import AlmaSettings, SecretRef, Settings
from reconciler.settings_file import load

ALMA = """\
host_lms:
  uni-a:
    type: alma
    base_url: https://api-eu.hosted.exlibrisgroup.com
    api_key: {env: KEY_A}
"""


@pytest.fixture
def write(tmp_path: Path):  # type: ignore[no-untyped-def]
    def writer(text: str) -> Path:
        path = tmp_path / "settings.yaml"
        path.write_text(text, encoding="utf-8")
        return path

    return writer


def problems(path: Path, environ: dict[str, str] | None = None) -> list[str]:
    with pytest.raises(SettingsError) as caught:
        load(path, environ or {})
    return [line.replace(f"{path}:", "line ") for line in str(caught.value).splitlines()]


def test_an_empty_file_is_all_defaults(write) -> None:  # type: ignore[no-untyped-def]
    assert load(write(""), {}) == Settings()


def test_the_default_of_a_library_is_to_observe(write) -> None:  # type: ignore[no-untyped-def]
    host = load(write(ALMA), {}).host_lms["uni-a"]
    assert isinstance(host, AlmaSettings)
    assert host.mode == "observe"
    assert host.calls_per_second == 24


def test_every_live_status_has_an_interval_and_settings_change_it(write) -> None:  # type: ignore[no-untyped-def]
    assert set(DEFAULT_INTERVALS) == LIVE
    settings = load(write("polling: {cadence: {LOANED: 2d}}"), {})
    assert settings.policy().intervals[DcbStatus.LOANED] == timedelta(days=2)
    assert set(settings.policy().intervals) == LIVE


def test_yaml_1_2_no_is_a_name_and_22_30_is_text(write) -> None:  # type: ignore[no-untyped-def]
    text = ALMA.replace("uni-a", "no").replace("type: alma", "type: alma\n    circ_desk: '22:30'")
    assert list(load(write(text), {}).host_lms) == ["no"]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "polling:\n  leese: 5s\n",
            "line 2: polling.leese: unknown key; did you mean polling.lease?",
        ),
        ("poling: {}\n", "line 1: poling: unknown key; did you mean polling?"),
        (
            "polling:\n  tick: 10\n",
            "line 2: polling.tick: expected a duration such as 30s, 5m, 1h or 2d",
        ),
        (
            "polling:\n  tick: 10s\n  cadence:\n    FINALISED: 1h\n",
            "line 3: polling.cadence: FINALISED is never polled",
        ),
        (
            ALMA + "    mode: acts\n",
            "line 6: host_lms.uni-a.mode: did you mean act?",
        ),
        (
            ALMA + "    calls_per_seconds: 1\n",
            "line 6: host_lms.uni-a.calls_per_seconds: unknown key; "
            "did you mean host_lms.uni-a.calls_per_second?",
        ),
        (
            ALMA.replace("{env: KEY_A}", "l7xxSECRET"),
            "line 5: host_lms.uni-a.api_key: a secret is never written here: use {env: NAME}, "
            "{file: PATH} or {credential: NAME}",
        ),
        (
            "host_lms:\n  log: {type: almaa}\n",
            "line 2: host_lms.log: type: expected one of 'alma', 'external'",
        ),
        (
            "host_lms:\n  alma: {type: external, mode: act}\n",
            "line 2: host_lms.alma.mode: unknown key; known here: type",
        ),
        (
            ALMA + '    open_hours: {Mon-Fri: "20:00-08:00"}\n',
            "line 6: host_lms.uni-a.open_hours: Mon-Fri: 20:00-08:00: "
            "expected hours such as 08:00-20:00",
        ),
        (
            ALMA + '    open_hours: {Monday: "08:00-20:00"}\n',
            "line 6: host_lms.uni-a.open_hours: Monday: expected a day such as Mon or Mon-Fri",
        ),
        ("host_lms: {a: {type: alma}}\n", "line 1: host_lms.a.base_url: missing"),
        (ALMA + "    timezone: Wien\n", "line 6: host_lms.uni-a.timezone: expected a time zone"),
        (
            ALMA + "    cancellation_reason: ''\n",
            "line 6: host_lms.uni-a.cancellation_reason: expected",
        ),
        (
            ALMA.replace("https://api-eu", "api-eu"),
            "line 4: host_lms.uni-a.base_url: expected a URL",
        ),
        ("a: 1\na: 2\n", "line 2: found duplicate key"),
        ("a: [1\n", "line 2:"),
        ("- 1\n", "line 1: expected keys and values"),
    ],
)
def test_a_mistake_is_named_with_its_line_and_what_was_expected(  # type: ignore[no-untyped-def]
    write, text: str, expected: str
) -> None:
    found = problems(write(text))
    assert any(line.startswith(expected) for line in found), found
    assert "SECRET" not in "\n".join(found)


def test_all_mistakes_are_told_at_once(write) -> None:  # type: ignore[no-untyped-def]
    assert len(problems(write("web: {port: x}\npolling: {tick: 0s, lease: 0s}\n"))) == 3


def test_a_missing_file_is_said_so(tmp_path: Path) -> None:
    assert "No such file" in problems(tmp_path / "settings.yaml")[0]


# --- the environment ---------------------------------------------------------


def test_the_environment_comes_before_the_file(write) -> None:  # type: ignore[no-untyped-def]
    environ = {
        "RECONCILER__POLLING__TICK": "1s",
        "RECONCILER__POLLING__CADENCE__LOANED": "3h",
        "RECONCILER__HOST_LMS__UNI_A__MODE": "act",
        "RECONCILER__DATABASE__URL": "sqlite:///other.db",
    }
    settings = load(write(ALMA + "polling: {tick: 5s}\n"), environ)
    assert settings.polling.tick == timedelta(seconds=1)
    assert settings.polling.cadence == {DcbStatus.LOANED: timedelta(hours=3)}
    assert settings.host_lms["uni-a"].mode == "act"  # type: ignore[union-attr]
    assert settings.database.url == "sqlite:///other.db"


def test_a_mistake_in_a_variable_names_the_variable(write) -> None:  # type: ignore[no-untyped-def]
    (line,) = problems(write(ALMA), {"RECONCILER__POLLING__TICKS": "1s"})
    assert line == (
        "RECONCILER__POLLING__TICKS: polling.ticks: unknown key; did you mean polling.tick?"
    )


# --- secrets -----------------------------------------------------------------


def test_secrets_come_from_the_environment_a_private_file_or_a_credential(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("from-file\n")
    secret.chmod(0o600)
    assert SecretRef(env="A").resolve({"A": "from-env"}) == "from-env"
    assert SecretRef(file=str(secret)).resolve({}) == "from-file"
    environ = {"CREDENTIALS_DIRECTORY": str(tmp_path)}
    assert SecretRef(credential="key").resolve(environ) == "from-file"


def test_a_secret_that_others_may_read_is_refused(tmp_path: Path) -> None:
    secret = tmp_path / "key"
    secret.write_text("from-file\n")
    secret.chmod(0o640)
    with pytest.raises(SettingsError, match="chmod 600"):
        SecretRef(file=str(secret)).resolve({})


@pytest.mark.parametrize(
    ("ref", "told"),
    [
        (SecretRef(env="A"), "environment variable A"),
        (SecretRef(file="/nowhere/key"), "No such file"),
        (SecretRef(credential="key"), "CREDENTIALS_DIRECTORY is not set"),
    ],
)
def test_a_missing_secret_says_where_it_was_looked_for(ref: SecretRef, told: str) -> None:
    with pytest.raises(SettingsError, match=told):
        ref.resolve({})


def test_open_hours_are_read_by_weekday(write) -> None:  # type: ignore[no-untyped-def]
    text = ALMA + '    open_hours: {Mon-Fri: "08:00-20:00", Sat: "10:00-24:00"}\n'
    host = load(write(text), {}).alma_hosts()[HostLmsCode("uni-a")]
    assert host.hours is not None
    assert host.hours.days[4] == (time(8), time(20))
    assert host.hours.days[5:] == ((time(10), time(0)), None)
    assert load(write(ALMA), {}).alma_hosts()[HostLmsCode("uni-a")].hours is None
