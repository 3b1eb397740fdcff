"""The virtual patron: found by identifier, made only on a proved absence, never merged."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from reconciler.core.commands.placing import Patron, mapped, virtual_patron_id
from reconciler.core.mapping import Subject
from reconciler.core.model import UserSight
from reconciler.core.staff.parking import ParkReason
from reconciler.core.status import ThingKind
from reconciler.engine.effects.work import (
    Blocked,
    Made,
    Missing,
    PlainVerb,
    Sight,
    Work,
    needs_a_person,
    not_configured,
)
from reconciler.errors import AlmaFailure
from reconciler.ports.alma import NewUser

EXTEND_BEFORE = timedelta(days=30)
"""Longer than any wait between a hold and its loan (lesson 12)."""

EXTEND_BY = timedelta(days=365)


@dataclass(frozen=True, slots=True)
class _Draft:
    new: NewUser


class EnsureVirtualPatron(PlainVerb):
    async def look(self, work: Work) -> Sight:
        if work.placing is None:
            return needs_a_person(ParkReason.MISSING_PLACING_DATA, "nothing is known of the reader")
        patron = work.placing.patron
        identifier = virtual_patron_id(patron)
        try:
            user = await work.alma.user(identifier)
        except AlmaFailure as failure:
            if failure.proves_absent(Subject.USER):
                return await self._draft(work, patron, identifier)
            raise
        return self._found(work, user, identifier)

    async def act(self, work: Work, found: Any) -> Made | None:
        if isinstance(found, _Draft):
            return self._taken(work, await work.alma.create_user(found.new))
        until = work.now.date() + EXTEND_BY
        return self._taken(work, await work.alma.extend_user(found, until))

    def _found(self, work: Work, user: UserSight, identifier: str) -> Sight:
        if not user.answers_to(identifier):
            return needs_a_person(ParkReason.PATRON_MISMATCH, "Alma answered with another user")
        if not user.is_active:
            return Blocked("patron_inactive", "the virtual patron is not active")
        if user.blocks:
            return Blocked("patron_blocked", f"the virtual patron has {len(user.blocks)} block(s)")
        if user.raw_expires_on is not None:
            told = f"when the virtual patron expires cannot be read (“{user.raw_expires_on}”)"
            return needs_a_person(ParkReason.UNREADABLE_DATE, told)
        if user.expires_on and user.expires_on < work.now.date() + EXTEND_BEFORE:
            if not user.document:
                return Blocked(
                    "patron_not_extended",
                    "the virtual patron expires soon, and Alma gives its record in XML: so it "
                    "cannot be sent back with a later date",
                )
            return Missing(user)
        return self._taken(work, user)

    def _taken(self, work: Work, user: UserSight) -> Made:
        """Only the primary id that Alma returned is used from here on (lesson 4)."""
        thing = work.new_thing(ThingKind.VIRTUAL_PATRON, user_id=user.primary_id)
        return Made(
            (thing,),
            replace(work.leg, user_id=user.primary_id),
            f"virtual patron {user.primary_id}",
        )

    async def _draft(self, work: Work, patron: Patron, identifier: str) -> Sight:
        group = mapped(work.config.patron_groups, patron.patron_type)
        if group is None:
            return not_configured("patron_groups")
        named = work.config.show_names and patron.names
        return Missing(
            _Draft(
                NewUser(
                    identifier=identifier,
                    identifier_type=work.config.identifier_type,
                    group=group,
                    first_name=patron.names[0] if named else "DCB",
                    last_name=" ".join(patron.names[1:] or patron.names) if named else "VPATRON",
                    barcodes=await self._free_barcodes(work, patron, identifier),
                )
            )
        )

    async def _free_barcodes(self, work: Work, patron: Patron, identifier: str) -> tuple[str, ...]:
        """The reader's card numbers that nobody in this Alma has; the others are left out.

        A card that somebody has here is that person's: two readers are never made one.
        """
        wanted = dict.fromkeys(f"{work.config.barcode_prefix}{each}" for each in patron.barcodes)
        free = []
        for barcode in wanted:
            if barcode.casefold() == identifier.casefold():
                continue
            try:
                await work.alma.user(barcode)
            except AlmaFailure as failure:
                if not failure.proves_absent(Subject.USER):
                    raise
                free.append(barcode)
        return tuple(free)
