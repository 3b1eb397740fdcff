"""Who has stopped what."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

from reconciler.core.model import HistoryEntry, HostLmsCode, Pause, TransactionId


class Pauses(Protocol):
    """Who has stopped what. A pause holds from the commit of its row: nothing fires under it."""

    def pause(self, pause: Pause) -> bool:
        """Stop a library or everything; False when it is stopped already."""

    def resume(self, tenant: HostLmsCode | None, entry: HistoryEntry) -> bool:
        """End the pause of a library, or of everything; what it covered is due then.

        False when there is none.
        """

    def pause_transaction(self, id: TransactionId, pause: Pause, entry: HistoryEntry) -> bool:
        """Stop one; False when it is stopped already. Raises UnknownTransaction."""

    def resume_transaction(self, id: TransactionId, entry: HistoryEntry) -> bool:
        """End its own pause; False when there is none. Raises UnknownTransaction."""

    def standing(self) -> list[Pause]:
        """The pauses of libraries and of everything, oldest first."""

    def in_flight(self, pause: Pause, id: TransactionId | None, now: datetime) -> int:
        """How many effects that went out before a pause are still waiting for their answer."""
