"""Which verb carries out which kind of effect; total over the kinds (a test says so)."""

from __future__ import annotations

from reconciler.core.status import EffectKind
from reconciler.engine.effects.circulation import EnsureInTransit, EnsureNoRenewal
from reconciler.engine.effects.holds import EnsureHold, EnsureHoldCancelled
from reconciler.engine.effects.loans import EnsureDueDate, EnsureLoan, EnsureLoanClosed
from reconciler.engine.effects.patron import EnsureVirtualPatron
from reconciler.engine.effects.records import (
    EnsureVirtualBib,
    EnsureVirtualHolding,
    EnsureVirtualItem,
)
from reconciler.engine.effects.removal import (
    EnsureBibRemoved,
    EnsureHoldingRemoved,
    EnsureItemRemoved,
)
from reconciler.engine.effects.work import Verb

VERBS: dict[EffectKind, Verb] = {
    EffectKind.VIRTUAL_PATRON: EnsureVirtualPatron(),
    EffectKind.SUPPLIER_HOLD: EnsureHold(),
    EffectKind.VIRTUAL_BIB: EnsureVirtualBib(),
    EffectKind.VIRTUAL_HOLDING: EnsureVirtualHolding(),
    EffectKind.VIRTUAL_ITEM: EnsureVirtualItem(),
    EffectKind.BORROWER_HOLD: EnsureHold(),
    EffectKind.PICKUP_HOLD: EnsureHold(),
    EffectKind.VIRTUAL_ITEM_IN_TRANSIT: EnsureInTransit(),
    EffectKind.SUPPLIER_LOAN: EnsureLoan(),
    EffectKind.BORROWER_LOAN: EnsureLoan(),
    EffectKind.RENEWED: EnsureDueDate(),
    EffectKind.NO_RENEWAL: EnsureNoRenewal(),
    EffectKind.LOAN_CLOSED: EnsureLoanClosed(),
    EffectKind.HOLD_CANCELLED: EnsureHoldCancelled(),
    EffectKind.VIRTUAL_ITEM_REMOVED: EnsureItemRemoved(),
    EffectKind.VIRTUAL_HOLDING_REMOVED: EnsureHoldingRemoved(),
    EffectKind.VIRTUAL_BIB_REMOVED: EnsureBibRemoved(),
}
"""`notify` is not here: the outbox tells, in the transaction that records what is told."""
