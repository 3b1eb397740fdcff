"""Which kind of file system a folder lies on: SQLite's WAL needs one of this very machine."""

from __future__ import annotations

import re
from pathlib import Path

MOUNTS = Path("/proc/self/mountinfo")


def filesystem_of(folder: Path, mounts: Path = MOUNTS) -> str | None:
    """The kind ("ext4", "nfs4") of the mount that a folder lies on; None where it is not told.

    Of several mounts at one place the last one counts (proc(5), mountinfo).
    """
    try:
        lines = mounts.read_text(encoding="utf-8", errors="replace").splitlines()
        place = folder.resolve(strict=True)
    except OSError:
        return None
    found: tuple[int, str] | None = None
    for line in lines:
        mount, _, kind = line.partition(" - ")
        fields = mount.split()
        if len(fields) < 5 or not kind:
            continue
        point = Path(_unescaped(fields[4]))
        if place.is_relative_to(point) and (found is None or len(point.parts) >= found[0]):
            found = (len(point.parts), kind.split()[0])
    return found[1] if found else None


def _unescaped(path: str) -> str:
    """Blanks and backslashes are written as octal numbers there."""
    return re.sub(r"\\([0-7]{3})", lambda code: chr(int(code[1], 8)), path)
