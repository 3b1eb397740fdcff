"""The look that some commands make before they are judged: they act on what is so now."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.core.mapping import NOT_FOUND_CODES, Subject
from reconciler.core.model import HostLmsCode, LegObservation, ReadKind, Transaction
from reconciler.core.view.ours import MISMATCH
from reconciler.engine.reconcile import Considered, Reconciler
from reconciler.engine.storage import Storage
from reconciler.ports.quotas import Gates, Quotas

ANSWERED = frozenset(
    {MISMATCH}.union(
        *(NOT_FOUND_CODES[each] for each in (Subject.USER, Subject.ITEM, Subject.LOAN))
    )
)
"""Codes of reads that tell nothing of what was asked, and are answers all the same: what they say
stands in the record for a person to see to."""


@dataclass(frozen=True, slots=True)
class FirstLook:
    """As a person asks for it: everything, also at a library that rests. Writes nothing."""

    reconciler: Reconciler
    gates: Gates
    quotas: Quotas
    storage: Storage

    async def at(self, transaction: Transaction) -> Considered:
        """Raises StoreUnavailable, and SettingsError for a library that the settings lack."""
        self.gates.adopt(await self.storage.run(self.quotas.standings))
        for leg in transaction.legs:
            if not self.reconciler.policy.is_external(leg):
                self.gates.probe_now(leg.host_lms, self.reconciler.clock.now())
        return await self.reconciler.consider(transaction, everything=True)


def unread(transaction: Transaction, seen: Considered) -> dict[HostLmsCode, str]:
    """The libraries of which this look does not tell how it is there now, each with its why."""
    found: dict[HostLmsCode, str] = {}
    for leg in transaction.legs:
        is_frozen = leg.host_lms in seen.frozen
        why = _FROZEN if is_frozen else _why(seen.observation.leg(leg.role))
        if why is not None:
            found.setdefault(leg.host_lms, why)
    return found


_FROZEN = "much that was there is not found, so nothing is concluded from it"


def _why(leg: LegObservation) -> str | None:
    """The first reason: a library in trouble says the same of each read."""
    for kind in ReadKind:
        seen = leg.of(kind)
        if seen.is_unreadable and seen.code not in ANSWERED:
            return f"its {kind.replace('_', ' ')} could not be read ({seen.reason})"
    return None
