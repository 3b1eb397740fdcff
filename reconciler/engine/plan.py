"""What would happen: the same looks and decisions as a cycle's, with nothing written anywhere."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.core.model import Decision, HostLmsCode, Transaction
from reconciler.engine.cycle import AT_ONCE_PER_TENANT
from reconciler.engine.reconcile import ReadFailure, Reconciler
from reconciler.engine.views import Json, evidence_view


@dataclass(frozen=True, slots=True)
class Prospect:
    """One transaction, what would fire, and which reads failed."""

    transaction: Transaction
    decision: Decision
    failures: tuple[ReadFailure, ...]

    def rows(self) -> list[Json]:
        """One row for each hop, in order (interface.md §5, `plan`)."""
        return [
            {
                "id": self.transaction.id,
                "from": hop.source,
                "to": hop.target,
                "rule": hop.rule,
                "inferred": hop.inferred,
                "because": hop.because,
                "evidence": [evidence_view(each) for each in hop.evidence],
                "effects": [effect.kind for effect in hop.effects],
            }
            for hop in self.decision.hops
        ]


async def prospects(
    reconciler: Reconciler, transactions: Sequence[Transaction], *, everything: bool
) -> list[Prospect]:
    """Look at each transaction, a tenant's next to each other, in the order given."""
    gates: dict[HostLmsCode, asyncio.Semaphore] = defaultdict(
        lambda: asyncio.Semaphore(AT_ONCE_PER_TENANT)
    )

    async def one(transaction: Transaction) -> Prospect:
        async with gates[transaction.tenant]:
            decision, failures = await reconciler.consider(transaction, everything=everything)
            return Prospect(transaction, decision, failures)

    return list(await asyncio.gather(*(one(transaction) for transaction in transactions)))
