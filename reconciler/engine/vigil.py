"""Watches the progress: feeds systemd's watchdog by finished work only, ends what stands still."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from loguru import logger

from reconciler.engine.progress import Progress
from reconciler.ports.clock import Clock

DUTY = "vigil"
LOOKS = 4
"""Looks at the progress within one patience."""

ENDURES = 1.5
"""Patiences after which a duty that stands still ends the process: before two of the watchdog."""

Tell = Callable[..., None]
"""Sends assignments to the service manager (systemd.py)."""


class StandsStill(Exception):
    """A part of the daemon has finished nothing for far too long."""


@dataclass(frozen=True, slots=True)
class Vigil:
    progress: Progress
    clock: Clock
    tell: Tell
    status: Callable[[], str]
    """One line for people: what the service does just now."""

    async def run(self) -> None:
        """Raises StandsStill."""
        self.progress.watch(DUTY)
        told: set[str] = set()
        fed = -1
        while True:
            await self.clock.sleep(self.progress.patience / LOOKS)
            self.progress.advance(DUTY)
            told = self._complain(told)
            # our own step says only that the loop turns: it feeds nobody
            steps = self.progress.steps_without(DUTY)
            if not told and steps != fed:
                fed = steps
                self.tell("WATCHDOG=1", f"STATUS={self.status()}")

    def _complain(self, told: set[str]) -> set[str]:
        overdue = self.progress.overdue
        for each in overdue:
            where = logger.bind(source=each.duty, seconds=round(each.seconds))
            if each.duty not in told:
                where.error("no progress")
            if each.seconds > ENDURES * each.patience:
                raise StandsStill(each.duty)
        return {each.duty for each in overdue}
