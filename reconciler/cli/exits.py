"""Exit codes, a contract with cron, systemd and scripts (interface.md §2)."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

from reconciler.errors import FailureKind

if TYPE_CHECKING:
    from collections.abc import Collection

    from reconciler.alma.gateway import Tally


class Exit(IntEnum):
    DONE = 0
    ERROR = 1
    WOULD_FIRE = 2
    PARTLY = 3
    HELD_ELSEWHERE = 4
    USAGE = 64
    TEMPORARY = 75
    CREDENTIALS = 77
    SETTINGS = 78
    INTERRUPTED = 130


def of_calls(tallies: Collection[Tally], *, something_failed: bool) -> Exit:
    """How a cycle went, by its calls: 77 before 75 before 3 before 0.

    75 only if every library that was called could not be reached at all.
    """
    called = [tally for tally in tallies if tally.calls]
    if any(tally.failures[FailureKind.CREDENTIALS] for tally in called):
        return Exit.CREDENTIALS
    if called and not any(tally.answered for tally in called):
        return Exit.TEMPORARY
    return Exit.PARTLY if something_failed else Exit.DONE
