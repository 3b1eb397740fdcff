"""Processes held to a share of one core, as if each had a small machine of its own.

What is measured with several processes on few cores would else be how many cores there are. A
process that had more than its share is stopped until that is made up for.
"""

from __future__ import annotations

import contextlib
import os
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path

GLANCE = 0.01
"""Seconds between two looks at what a process has had."""

BURST = 0.02
"""Seconds of processor time that a process which was idle may have at once."""


def processor_time(pid: int) -> float:
    """Seconds of processor time that a process has had, on all its threads."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def held(share: float, *pids: int) -> Iterator[None]:
    """Hold each of these to `share` of a core while the body runs."""
    over = threading.Event()
    holders = [threading.Thread(target=_hold, args=(share, pid, over)) for pid in pids]
    for holder in holders:
        holder.start()
    try:
        yield
    finally:
        over.set()
        for holder in holders:
            holder.join()


def _hold(share: float, pid: int, over: threading.Event) -> None:
    seen_at, had = time.monotonic(), _precise_time(pid)
    credit, running = BURST, True
    while not over.wait(GLANCE):
        now, has = time.monotonic(), _precise_time(pid)
        credit = min(BURST, credit + share * (now - seen_at) - (has - had))
        seen_at, had = now, has
        if running is not (credit > 0):
            running = not running
            os.kill(pid, signal.SIGCONT if running else signal.SIGSTOP)
    os.kill(pid, signal.SIGCONT)


def _precise_time(pid: int) -> float:
    """As `processor_time`, to the nanosecond."""
    tasks = Path(f"/proc/{pid}/task").iterdir()
    return sum(int((task / "schedstat").read_text().split()[0]) for task in tasks) / 1e9
