"""What an ensure verb is given and what it can answer.

A verb looks whether the world already is as wanted, and if it is proved not to be, makes one
write. It never retries and never decides what a failure means: that is the runner's.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, Protocol

from reconciler.core.commands.placing import LibraryConfig, Placing, marker, system_number
from reconciler.core.mapping import refusal_rule
from reconciler.core.model import Barcode, Intent, Leg, LoanSight, Thing, Transaction
from reconciler.core.staff.parking import ParkReason
from reconciler.core.status import ThingKind, ThingState
from reconciler.engine.others import OtherLends
from reconciler.errors import AlmaFailure
from reconciler.ports.alma import AlmaWriter, ItemKey

LOOKS_OF_ABSENCE = 3
"""With the waits between unreadable looks: some four minutes, more than any Alma needs."""


@dataclass(frozen=True, slots=True)
class Made:
    """The world is as wanted: what stands in the ledger now, and what the leg learnt."""

    things: tuple[Thing, ...] = ()
    leg: Leg | None = None
    note: str = ""


@dataclass(frozen=True, slots=True)
class Missing:
    """It is proved not to be so yet; `found` is what acting on it needs to know."""

    found: Any = None


@dataclass(frozen=True, slots=True)
class Blocked:
    """It cannot be done now: `park` says why a person has to act, None that time may help."""

    code: str
    sentence: str
    park: ParkReason | None = None
    undo: bool = False
    """What was half made for it has to be removed."""
    soon: bool = False
    """Something is under way in Alma that a look in a moment shows."""


@dataclass(frozen=True, slots=True)
class Moot:
    """It is not to be done any more; why goes into the history."""

    why: str


Sight = Made | Missing | Blocked | Moot


@dataclass(frozen=True, slots=True)
class Work:
    """One intent to be carried out at one Alma."""

    transaction: Transaction
    intent: Intent
    alma: AlmaWriter
    config: LibraryConfig
    placing: Placing | None
    now: datetime
    new_id: Callable[[], str]
    others: OtherLends

    @property
    def leg(self) -> Leg:
        leg = self.transaction.leg(self.intent.role)
        if leg is None:
            raise LookupError(f"an intent for a {self.intent.role} that is not there")
        return leg

    @property
    def barcode(self) -> Barcode | None:
        """What the virtual item is scanned by: the barcode of the lender's copy."""
        asked_for = self.placing.item.barcode if self.placing else None
        return self.transaction.supplier.item_barcode or asked_for

    @property
    def marker(self) -> str:
        return marker(self.transaction.id)

    @property
    def system_number(self) -> str:
        return system_number(self.transaction.id)

    @property
    def thing(self) -> Thing | None:
        """The row of the ledger that the intent is about."""
        return next(
            (each for each in self.transaction.things if each.id == self.intent.thing_id), None
        )

    def known(self, kind: ThingKind, **ids: str | None) -> Thing | None:
        """A row of the ledger for this leg's library, by kind and ids."""
        return next(
            (
                thing
                for thing in self.transaction.things
                if thing.kind is kind
                and thing.role is self.intent.role
                and thing.host_lms == self.intent.host_lms
                and all(getattr(thing, name) == value for name, value in ids.items())
            ),
            None,
        )

    def new_thing(self, kind: ThingKind, **ids: Any) -> Thing:
        """A new row of the ledger, or the one that is there already for the same ids: what is seen
        to be there is not gone, whatever was thought of it before."""
        known = self.known(kind, **ids)
        if known is not None:
            return replace(known, state=ThingState.PRESENT)
        return Thing(self.new_id(), kind, self.intent.role, self.intent.host_lms, **ids)

    def item_key(self) -> ItemKey:
        """The item that the intent is about: the thing's, or else the leg's."""
        of = self.thing or self.leg
        if not (of.mms_id and of.holding_id and of.item_pid):
            raise LookupError("an item without its ids")
        return ItemKey(of.mms_id, of.holding_id, of.item_pid)

    async def not_of_others(self, leg: Leg, loans: Sequence[LoanSight]) -> tuple[LoanSight, ...]:
        """These loans of the item without those of other lends."""
        return await self.others.left_out(self.transaction, leg, loans)


class Verb(Protocol):
    """An ensure verb."""

    async def look(self, work: Work, /) -> Sight:
        """Whether the world is as wanted. Raises AlmaFailure when that cannot be read."""

    async def act(self, work: Work, found: Any, /) -> Made | Blocked | Moot | None:
        """One write, knowing what `look` found to be missing.

        None when the world has to be looked at again; anything else when its answer is proof.
        """

    async def refused(self, work: Work, failure: AlmaFailure, /) -> Sight:
        """What Alma's refusal of the write means."""


class PlainVerb:
    """How most verbs take a refusal: by the table of codes."""

    async def refused(self, _work: Work, failure: AlmaFailure, /) -> Sight:
        return blocked_by(failure)


def needs_a_person(reason: ParkReason, sentence: str, *, undo: bool = False) -> Blocked:
    return Blocked(reason, sentence, reason, undo)


def blocked_by(failure: AlmaFailure, more: str = "") -> Blocked:
    """A refusal with its code, our sentence for it and Alma's own words, masked."""
    rule = refusal_rule(failure.code)
    told = f": {failure.message}" if failure.message else ""
    park = None if rule.curable else ParkReason.EFFECT_REFUSED
    return Blocked(failure.code or "refused", f"{rule.sentence}{more}{told}", park)


def is_absent_for_long(work: Work, failure: AlmaFailure) -> bool:
    """Whether several looks, minutes apart, gave this answer: what was just made shows late."""
    return work.intent.last_code == failure.code and work.intent.refusals >= LOOKS_OF_ABSENCE


def gone(thing: Thing | None) -> tuple[Thing, ...]:
    """The thing's row once it is proved gone."""
    return () if thing is None else (replace(thing, state=ThingState.GONE),)


def user_absent(work: Work) -> Blocked:
    """Alma does not know the leg's user any more, so nothing is made or ended for him."""
    return needs_a_person(ParkReason.USER_ABSENT, f"the {work.intent.role}'s user is unknown there")


def not_configured(name: str) -> Blocked:
    return needs_a_person(
        ParkReason.NOT_CONFIGURED, f"the setting {name} of this library is missing"
    )
