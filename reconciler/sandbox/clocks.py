"""What the sandbox asks of a clock: wall time for Alma's records, monotonic for its thresholds."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """`now` is aware UTC. Tests inject a clock that they move themselves."""

    def now(self) -> datetime: ...

    def monotonic(self) -> float: ...
