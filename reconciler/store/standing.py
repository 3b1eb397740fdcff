"""Whether a standing pause covers a transaction, as a condition within other statements.

It is asked in the very statement that claims or settles, never before it: once the row of a pause
is committed nothing that it covers is claimed, and no settlement that fires is written.
"""

from __future__ import annotations

from sqlalchemy import Boolean, bindparam, exists, or_, select

from reconciler.store.tables import LEGS, PAUSES, TRANSACTIONS

_T = TRANSACTIONS.c

_LIBRARIES = select(LEGS.c.host_lms).where(LEGS.c.transaction_id == _T.id).correlate(TRANSACTIONS)

IS_COVERED = or_(
    _T.paused_since.is_not(None),
    exists()
    .where(
        PAUSES.c.ended_at.is_(None),
        or_(PAUSES.c.tenant == "", PAUSES.c.tenant.in_(_LIBRARIES)),
    )
    .correlate(TRANSACTIONS),
)

MAY_FIRE = or_(~bindparam("of_fires", type_=Boolean), ~IS_COVERED)
"""That the row to be written moves nothing, or that nothing forbids it (parameter `of_fires`)."""
