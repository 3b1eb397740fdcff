"""The whole examination: this machine, then every Alma side by side; what it comes to."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.core.status import CheckState
from reconciler.engine.doctor.findings import Finding, Topic
from reconciler.engine.doctor.institution import Institution
from reconciler.engine.doctor.premises import Premises
from reconciler.engine.views import Json


@dataclass(frozen=True, slots=True)
class Checkup:
    checks: tuple[Finding, ...]

    @property
    def settings_are_wrong(self) -> bool:
        """A secret cannot be found, or the database is of another version."""
        return self._any(Topic.SECRET) or self._any(Topic.SCHEMA)

    @property
    def key_is_refused(self) -> bool:
        return self._any(Topic.KEY)

    @property
    def cannot_be_reached(self) -> bool:
        """The database, or every Alma that there is."""
        keys = [check.state for check in self.checks if check.topic is Topic.KEY]
        all_away = bool(keys) and all(state is CheckState.UNKNOWN for state in keys)
        return all_away or self._any(Topic.DATABASE)

    @property
    def has_trouble(self) -> bool:
        return any(check.is_trouble for check in self.checks)

    def _any(self, topic: Topic) -> bool:
        return any(
            check.topic is topic and check.state is CheckState.MISSING for check in self.checks
        )

    def document(self) -> Json:
        """The JSON of `doctor`."""
        counts = Counter(check.state for check in self.checks)
        return {
            "checks": [_row(check) for check in self.checks],
            "counts": {str(state): counts[state] for state in CheckState},
            "trouble": sum(check.is_trouble for check in self.checks),
        }


async def examine(premises: Premises, institutions: Sequence[Institution]) -> Checkup:
    """Look at everything. What cannot be looked at is in the findings; nothing is raised."""
    found = await asyncio.gather(*(each.checks() for each in institutions))
    return Checkup((*premises.checks(), *(check for checks in found for check in checks)))


def _row(check: Finding) -> Json:
    return {
        "host_lms": check.host_lms,
        "check": check.topic,
        "state": check.state,
        "found": check.found,
        "to_do": check.to_do,
        "trouble": check.is_trouble,
    }
