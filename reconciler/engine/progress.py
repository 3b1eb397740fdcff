"""Finished work, and when: what the watchdog, /healthz and the metrics believe.

Only work that came to an end counts (a look, a call that was answered or given up, a delivery, a
tick). Nobody says "still alive" for somebody else: whatever is watched and has finished nothing
for its patience is overdue, and one overdue duty makes the whole process unwell.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime

from reconciler.core.model import HostLmsCode
from reconciler.ports.clock import Clock

_doing: ContextVar[str | None] = ContextVar("doing", default=None)
"""What the current task works at; tasks inherit it, so that a call counts for its own duty."""


@dataclass(slots=True)
class _Watched:
    since: float
    patience: float
    steps: int = 0


@dataclass(frozen=True, slots=True)
class Overdue:
    """A duty that has finished nothing for longer than it may. `seconds` since its last step."""

    duty: str
    seconds: float
    patience: float


class Progress:
    """`patience` (seconds) is how long a duty may finish nothing, unless it says otherwise."""

    def __init__(self, clock: Clock, patience: float) -> None:
        self._clock = clock
        self.patience = patience
        self._watched: dict[str, _Watched] = {}
        self.steps = 0
        """How much was finished since the start; never goes back."""
        self.advanced_at = clock.monotonic()
        """When anything was last finished, on the monotonic clock."""
        self.last_full_cycle_at: datetime | None = None
        """When every library held here had last been worked off; None before the first time."""
        self.last_success_at: dict[HostLmsCode, datetime] = {}
        """When a library's transactions were last worked off without one failed read."""

    def watch(self, duty: str, patience: float | None = None) -> None:
        """From now on this duty must finish something within its patience, until `end`."""
        allowed = self.patience if patience is None else patience
        self._watched[duty] = _Watched(self._clock.monotonic(), allowed)

    def end(self, duty: str) -> None:
        """The duty has nothing to do: it is watched no more."""
        self._watched.pop(duty, None)

    @contextmanager
    def doing(self, duty: str) -> Iterator[None]:
        """Watch the duty for as long as the block runs; what is finished within counts for it."""
        token = _doing.set(duty)
        self.watch(duty)
        try:
            yield
        finally:
            self.end(duty)
            _doing.reset(token)

    def advance(self, duty: str | None = None) -> None:
        """Something was finished, by this duty or by the one that the current task works at."""
        now = self._clock.monotonic()
        self.steps += 1
        self.advanced_at = now
        watched = self._watched.get(duty or _doing.get() or "")
        if watched is not None:
            watched.since = now
            watched.steps += 1

    def steps_without(self, duty: str) -> int:
        """How much was finished by anybody but this duty."""
        watched = self._watched.get(duty)
        return self.steps - (watched.steps if watched else 0)

    @property
    def age(self) -> float:
        """Seconds since anything was finished."""
        return self._clock.monotonic() - self.advanced_at

    @property
    def overdue(self) -> tuple[Overdue, ...]:
        """Who has finished nothing for too long; () when all is well."""
        now = self._clock.monotonic()
        return tuple(
            Overdue(duty, now - each.since, each.patience)
            for duty, each in self._watched.items()
            if now - each.since > each.patience
        )

    @property
    def is_well(self) -> bool:
        """What /healthz answers: nothing that should move stands still."""
        return not self.overdue
