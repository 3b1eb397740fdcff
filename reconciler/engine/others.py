"""The loans that our own ledger has for another lend: none of them is ever taken for this one's."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from reconciler.core.model import Leg, LoanSight, Transaction
from reconciler.core.view.ours import new_loan_ids, without
from reconciler.engine.storage import Storage
from reconciler.ports.store import Store


@dataclass(frozen=True, slots=True)
class OtherLends:
    """What the store knows of all lends but one. It is asked only where a loan would be news."""

    store: Store
    storage: Storage

    async def left_out(
        self, transaction: Transaction, leg: Leg, loans: Sequence[LoanSight]
    ) -> tuple[LoanSight, ...]:
        """These loans of a leg's item without those of other lends."""
        new = new_loan_ids(transaction, leg, loans)
        if not new:
            return tuple(loans)
        known = self.store.loans_of_others
        return without(loans, await self.storage.run(known, leg.host_lms, new, transaction.id))
