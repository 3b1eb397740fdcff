"""Who holds a claim, and whether that process is still alive.

A killed process's claims end with their lease. On its own machine it can be known at once that
it is dead, so `--once` after a crash need not wait.
"""

from __future__ import annotations

import os
import socket
from pathlib import Path

from reconciler.clock import new_id
from reconciler.ports.leases import Owner

_SEPARATOR = "|"


def this_process() -> Owner:
    """The name of this process: machine, process, its start, and a random part."""
    pid = os.getpid()
    return Owner(_SEPARATOR.join((_machine(), str(pid), _started(pid), new_id()[:8])))


def shown(owner: Owner) -> str:
    """An owner in words: the machine and the number of the process."""
    machine, _, rest = owner.name.partition(_SEPARATOR)
    pid = rest.partition(_SEPARATOR)[0]
    return f"{machine.partition('/')[0]}, process {pid}" if pid else owner.name


def is_dead(owner: Owner) -> bool:
    """True only if the owner ran on this very machine and is certainly gone."""
    parts = owner.name.split(_SEPARATOR)
    if len(parts) != 4 or parts[0] != _machine() or not parts[1].isdigit():
        return False
    pid = int(parts[1])
    if pid == os.getpid():
        return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    except PermissionError:
        pass  # somebody else's process has this number: its start tells
    started = _started(pid)
    return _is_zombie(pid) or bool(parts[2] and started and started != parts[2])


def _machine() -> str:
    """Host, boot and process namespace: a pid means something only within all three."""
    boot = _read("/proc/sys/kernel/random/boot_id")[:8]
    try:
        namespace = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        namespace = ""
    return f"{socket.gethostname()}/{boot}/{namespace}"


def _started(pid: int) -> str:
    """When a process started, in clock ticks since boot; "" where that cannot be read."""
    return next(iter(_stat(pid)[19:20]), "")


def _is_zombie(pid: int) -> bool:
    """Killed, but not yet reaped by its parent."""
    return next(iter(_stat(pid)[:1]), "") in ("Z", "X")


def _stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat after the command's name (proc(5)); [] elsewhere."""
    return _read(f"/proc/{pid}/stat").rpartition(")")[2].split()


def _read(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii", errors="replace").strip()
    except OSError:
        return ""
