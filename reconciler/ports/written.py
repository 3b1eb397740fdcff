"""What is written of one transaction, all of it or nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from reconciler.core.commands.placing import Placing
from reconciler.core.model import HistoryEntry, Intent, Thing, Transaction
from reconciler.core.status import IntentState
from reconciler.ports.leases import Owner


@dataclass(frozen=True, slots=True)
class Claim:
    """A transaction that this process alone may settle, until its lease ends.

    `fence` was raised by the claim: whoever claims it later makes this one worthless. So does a
    new `term` of the lease on its library.
    """

    transaction: Transaction
    fence: int
    owner: Owner
    term: int


@dataclass(frozen=True, slots=True)
class Notice:
    """What one sink is told of one history row. `of` counts within the settlement's history."""

    id: str
    sink: str
    of: int
    type: str
    body: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Settlement:
    """What is written for one claim: all of it in one transaction of the database, or nothing.

    The only way in which a status, a leg, a history row, an intent or the ledger changes.
    """

    claim: Claim
    after: Transaction
    history: tuple[HistoryEntry, ...] = ()
    planned: tuple[Intent, ...] = ()
    """New intents; their `asked_by` counts within `history`, from 0."""
    changed: tuple[Intent, ...] = ()
    """Intents as they stand now."""
    things: tuple[Thing, ...] = ()
    """Rows of the ledger, new or as they stand now."""
    notices: tuple[Notice, ...] = ()
    keep_until: datetime | None = None
    """Keep the claim, with a lease until then; it is given back otherwise."""

    @property
    def before(self) -> Transaction:
        return self.claim.transaction

    @property
    def fires(self) -> bool:
        """Whether it moves a status or lets an effect go out: what a pause forbids.

        What became of an effect that is out already is written under a pause, too.
        """
        return self.after.status is not self.before.status or any(
            intent.state is IntentState.SENT for intent in self.changed
        )


@dataclass(frozen=True, slots=True)
class Intervention:
    """What a person's command writes of one transaction: all of it or nothing, and only while no
    process is at work on it and it still stands as it was seen (`before`)."""

    before: Transaction
    after: Transaction
    history: tuple[HistoryEntry, ...]
    planned: tuple[Intent, ...] = ()
    changed: tuple[Intent, ...] = ()
    things: tuple[Thing, ...] = ()
    notices: tuple[Notice, ...] = ()

    @property
    def fires(self) -> bool:
        return self.after.status is not self.before.status


Written = Settlement | Intervention


def happened_at(written: Written) -> datetime:
    """The instant that its rows of the ledger carry."""
    if written.history:
        return written.history[0].at
    return written.after.last_poll_at or written.after.created_at


@dataclass(frozen=True, slots=True)
class Entrance:
    """A transaction that comes in, with what it brings along."""

    transaction: Transaction
    entry: HistoryEntry
    placing: Placing | None = None
    intents: tuple[Intent, ...] = ()
    things: tuple[Thing, ...] = ()
    notices: tuple[Notice, ...] = ()
    replaces: int | None = None
    """The version of the transaction that it opens again; None for a new one."""
