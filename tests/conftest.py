"""Fixtures for all tests: a clean environment, databases of both kinds, clocks.

The whole application is imported here, before any test can freeze the time (libs.md §2.8).
"""

from __future__ import annotations

import itertools
import os
import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import reconciler.app
import reconciler.cli.main  # noqa: F401
from reconciler.store import migrate
from reconciler.store.database import Database
from reconciler.store.sql_store import SqlStore
from tests.support import canaries, postgres
from tests.support.clock import FakeClock

START = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)

# Hundreds of processes begin in a run, and each would compile all modules anew.
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)
sys.dont_write_bytecode = False


@pytest.fixture(autouse=True)
def clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No settings, proxies or terminals of the machine reach a test."""
    for name in list(os.environ):
        if name.startswith("RECONCILER") or name.lower().endswith("_proxy"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("NO_COLOR", "1")


@pytest.fixture
def tell(request: pytest.FixtureRequest) -> Callable[[str], None]:
    """Print a finding at the end of the run, whichever process it was found in."""

    def teller(text: str) -> None:
        request.node.user_properties.append(("told", text))

    return teller


# --- nothing that is secret is said or kept (tests/support/canaries.py) ----------

SAID = pytest.StashKey[canaries.Texts]()


def pytest_configure(config: pytest.Config) -> None:
    """One folder for the texts of all test processes."""
    workerinput = getattr(config, "workerinput", None)
    folder = workerinput["said"] if workerinput else tempfile.mkdtemp(prefix="said-")
    config.stash[SAID] = canaries.Texts(Path(folder))
    os.environ[canaries.FOLDER] = str(folder)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: Any) -> None:
    node.workerinput["said"] = str(node.config.stash[SAID].folder)


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Search everything, once all tests are done; one find fails the run."""
    config = session.config
    if hasattr(config, "workerinput"):
        return
    said = config.stash[SAID]
    reporter: Any = config.pluginmanager.get_plugin("terminalreporter")
    for reports in reporter.stats.values():
        for report in reports:
            if isinstance(report, pytest.TestReport) and report.passed:
                said.add(report.nodeid, report.capstdout + report.capstderr + report.caplog)
    base = config._tmp_path_factory.getbasetemp()  # type: ignore[attr-defined]
    texts, found = canaries.search(said)
    kept, found_kept = canaries.search(canaries.databases(base))
    shutil.rmtree(said.folder, ignore_errors=True)
    config.stash[FOUND] = (texts, kept, found + found_kept)
    if found or found_kept:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


FOUND = pytest.StashKey[tuple[int, int, list[str]]]()


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """What the tests told, in the order of their names, and whether a secret got out."""
    texts, kept, found = terminalreporter.config.stash[FOUND]
    terminalreporter.write_line(
        f"canaries: {texts} texts and {kept} databases searched, {len(found)} found"
    )
    for each in found[:20]:
        terminalreporter.write_line(f"  {each}", red=True)
    told = sorted(
        (report.nodeid, text)
        for reports in terminalreporter.stats.values()
        for report in reports
        if getattr(report, "when", None) == "call"
        for name, text in report.user_properties
        if name == "told"
    )
    if told:
        terminalreporter.section("told by the tests")
        for nodeid, text in told:
            terminalreporter.write_line(f"{nodeid.partition('::')[2] or nodeid}\n{text}\n")


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[str]:
    """The URL of a real PostgreSQL's maintenance database, one server per test process."""
    given = os.environ.get("TEST_POSTGRES_URL")
    if given:
        yield given
        return
    if os.environ.get("NO_POSTGRES") == "1":
        pytest.skip("NO_POSTGRES=1: the tests against PostgreSQL were left out on request")
    with postgres.server() as url:
        yield url


@pytest.fixture(scope="session")
def postgres_template(postgres_server: str) -> str:
    """A database with the schema, to be copied for each test."""
    name = f"template_{os.getpid()}"
    postgres.execute(postgres_server, f"CREATE DATABASE {name}")
    database = Database(_with_name(postgres_server, name))
    migrate.migrate(database, START)
    database.dispose()
    return name


_numbers = itertools.count(1)


@pytest.fixture
def postgres_url(postgres_server: str, postgres_template: str) -> Iterator[str]:
    """A PostgreSQL database of its own with the schema in it."""
    name = f"test_{os.getpid()}_{next(_numbers)}"
    postgres.execute(postgres_server, f"CREATE DATABASE {name} TEMPLATE {postgres_template}")
    yield _with_name(postgres_server, name)
    canaries.said(name, postgres.dump(_with_name(postgres_server, name)))
    postgres.execute(postgres_server, f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """An SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'reconciler.db'}"


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> Iterator[Database]:
    """A database with the schema: each test that asks for it runs on both kinds."""
    url = request.getfixturevalue(f"{request.param}_url")
    opened = Database(url)
    migrate.migrate(opened, START)
    yield opened
    opened.dispose()


@pytest.fixture
def store(database: Database) -> SqlStore:
    return SqlStore(database)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock(START)


def _with_name(url: str, name: str) -> str:
    return f"{url.rpartition('/')[0]}/{name}"
