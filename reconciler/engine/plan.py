"""What would happen: the same looks and decisions as a cycle's, with nothing written anywhere."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.core.model import Decision, HostLmsCode, Transaction
from reconciler.core.status import EffectKind, IntentState
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
        """One row for each hop, then one for effects that no hop asks for (interface.md §5)."""
        return [*self._hops(), *self._actions(), *self._pending()]

    def _hops(self) -> list[Json]:
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

    def _actions(self) -> list[Json]:
        at = self.decision.transaction.status
        return [
            {
                "id": self.transaction.id,
                "from": at,
                "to": at,
                "rule": action.rule,
                "inferred": False,
                "because": action.because,
                "evidence": [evidence_view(each) for each in action.evidence],
                "effects": [effect.kind for effect in action.effects],
            }
            for action in self.decision.actions
        ]

    def _pending(self) -> list[Json]:
        """What was asked for before and is not done yet, and what is left to clear."""
        after = self.decision.transaction
        row: Json = {"id": self.transaction.id, "from": after.status, "to": after.status}
        row |= {"rule": None, "inferred": False, "evidence": []}
        found = (
            ("asked for before and not carried out yet", self._open),
            ("withheld: this library only observes", self._withheld),
            ("left to clear", [each.kind for each in self.decision.clearing]),
        )
        return [row | {"because": why, "effects": kinds} for why, kinds in found if kinds]

    @property
    def _open(self) -> list[EffectKind]:
        over = {intent.id for intent in self.decision.withdrawn}
        intents = self.decision.transaction.intents
        return [each.kind for each in intents if each.is_open and each.id not in over]

    @property
    def _withheld(self) -> list[EffectKind]:
        over = {intent.id for intent in self.decision.withdrawn}
        withheld = IntentState.WITHHELD
        intents = self.decision.transaction.intents
        return [each.kind for each in intents if each.state is withheld and each.id not in over]

    @property
    def would_fire(self) -> bool:
        """Whether a cycle would move it or act on a library for it."""
        decision = self.decision
        return bool(decision.hops or decision.actions or decision.clearing or self._open)


async def prospects(
    reconciler: Reconciler, transactions: Sequence[Transaction], *, everything: bool
) -> list[Prospect]:
    """Look at each transaction, a tenant's next to each other, in the order given."""
    gates: dict[HostLmsCode, asyncio.Semaphore] = defaultdict(
        lambda: asyncio.Semaphore(AT_ONCE_PER_TENANT)
    )

    async def one(transaction: Transaction) -> Prospect:
        async with gates[transaction.tenant]:
            seen = await reconciler.consider(transaction, everything=everything)
            return Prospect(transaction, seen.decision, seen.failures)

    return list(await asyncio.gather(*(one(transaction) for transaction in transactions)))
