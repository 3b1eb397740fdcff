"""Real daemons in real processes: started, listened to, signalled, and their last words kept."""

from __future__ import annotations

import signal
import socket
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy import text

from reconciler.store.database import Database
from tests.support import canaries
from tests.support.world import COMMAND, World

PATIENCE = 20.0
"""Seconds that a test waits for what should take one; the machine may be busy."""


class Daemon:
    """A `reconciler run` (or whatever `command` says) with its log as it comes."""

    def __init__(
        self, at: World, command: Sequence[str | Path], environ: Mapping[str, str]
    ) -> None:
        self.process = subprocess.Popen(
            [str(part) for part in command],
            cwd=at.folder,
            env={**at.process_environ, **environ},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.lines: list[str] = []
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stderr is not None
        for line in self.process.stderr:
            self.lines.append(line.rstrip())

    @property
    def log(self) -> str:
        return "\n".join(self.lines)

    def wait_for(self, words: str, *, times: int = 1) -> str:
        """The line with these words, as soon as the daemon says it for the n-th time."""

        def found() -> str | None:
            lines = [line for line in list(self.lines) if words in line]
            return lines[times - 1] if len(lines) >= times else None

        return wait_until(found, f"{words!r} in\n{self.log}", lambda: self.log)

    def send(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    def end(self, number: signal.Signals = signal.SIGTERM, within: float = PATIENCE) -> int:
        """Signal it; the exit code."""
        self.send(number)
        return self.wait(within)

    def wait(self, within: float = PATIENCE) -> int:
        code = self.process.wait(timeout=within)
        self._reader.join(5)
        assert self.process.stderr is not None
        self.process.stderr.close()
        canaries.said("a daemon", self.log)
        return code


@contextmanager
def daemon(
    at: World, *, command: Sequence[str | Path] = (COMMAND, "run"), **environ: str
) -> Iterator[Daemon]:
    """A daemon that is gone at the end, whatever happens."""
    running = Daemon(at, command, environ)
    try:
        yield running
    finally:
        if running.process.poll() is None:
            running.process.send_signal(signal.SIGCONT)
            running.process.kill()
            running.wait()


def quick(at: World, **polling: str) -> None:
    """Ticks and leases that a test can wait for."""
    at.settings["polling"] = {"tick": "0.2s", "lease": "2s", **polling}
    at.write_settings()


def wait_until(
    look: Callable[[], Any],
    what: str,
    told: Callable[[], str] = str,
    seconds: float = PATIENCE,
    *,
    pause: float = 0.02,
) -> Any:
    """Until `look` gives something true; that. `pause` seconds lie between two looks."""
    deadline = time.monotonic() + seconds
    while not (found := look()):
        assert time.monotonic() < deadline, f"waited in vain for {what}\n{told()}"
        time.sleep(pause)
    return found


def rows(at: World, query: str) -> list[Any]:
    """What our database answers."""
    database = Database(at.settings["database"]["url"])
    try:
        with database.read() as connection:
            return [tuple(row) for row in connection.execute(text(query))]
    finally:
        database.dispose()


def claimed(at: World) -> int:
    found: int = rows(at, "SELECT count(*) FROM transactions WHERE claimed_by IS NOT NULL")[0][0]
    return found


def holders(at: World) -> dict[str, str]:
    """Who has the lease of which library."""
    return dict(rows(at, "SELECT tenant, owner FROM leases WHERE owner IS NOT NULL"))


def shares(at: World) -> dict[int, int]:
    """How many libraries each process looks after."""
    return dict(Counter(pid_of(owner) for owner in holders(at).values()))


def pid_of(owner: str) -> int:
    return int(owner.split("|")[1])


class NotifySocket:
    """What systemd would hear: assignments with the time at which they came."""

    def __init__(self, folder: Path) -> None:
        self.path = str(folder / "notify")
        self.heard: list[tuple[float, str]] = []
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._socket.bind(self.path)
        self._listener = threading.Thread(target=self._listen, daemon=True)
        self._listener.start()

    def _listen(self) -> None:
        while True:
            try:
                datagram = self._socket.recv(4096)
            except OSError:
                return
            if not datagram:
                return  # closed by the test itself
            at = time.monotonic()
            self.heard += [(at, line) for line in datagram.decode().splitlines()]

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._listener.join(5)
        self._socket.close()

    def times(self, assignment: str) -> list[float]:
        return [at for at, line in list(self.heard) if line == assignment]

    def said(self, beginning: str) -> list[str]:
        return [line for _, line in list(self.heard) if line.startswith(beginning)]

    def wait_for(self, assignment: str, *, times: int = 1) -> float:
        def found() -> float | None:
            heard = self.times(assignment)
            return heard[times - 1] if len(heard) >= times else None

        at: float = wait_until(found, assignment, lambda: str(self.heard))
        return at
