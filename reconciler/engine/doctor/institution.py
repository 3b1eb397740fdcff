"""What is checked at one Alma: the key, the clock, the quota, and every code of its settings."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Mapping
from dataclasses import dataclass, replace
from functools import partial

from reconciler.core.commands.placing import LibraryConfig
from reconciler.core.library.hours import Hours
from reconciler.core.model import HostLmsCode
from reconciler.core.status import CheckState, EffectKind
from reconciler.engine.doctor.findings import (
    ADVICE,
    Finding,
    Topic,
    missing,
    not_set,
    present,
    unknown,
    unreadable,
)
from reconciler.engine.doctor.reads import tried
from reconciler.engine.doctor.setup import Setup
from reconciler.errors import AlmaFailure, FailureKind
from reconciler.ports.survey import AlmaSurveyor, DatabaseSight, KeyArea

CLOCKS_AGREE = 30.0
"""Seconds of difference that harm nothing: looks and settle times are longer."""

READ_TOPICS: dict[KeyArea, Topic] = {
    KeyArea.CONFIGURATION: Topic.CONFIGURATION_READ,
    KeyArea.USERS: Topic.USERS_READ,
    KeyArea.BIBS: Topic.BIBS_READ,
}
WRITE_TOPICS: dict[KeyArea, Topic] = {
    KeyArea.USERS: Topic.USERS_WRITE,
    KeyArea.BIBS: Topic.BIBS_WRITE,
}

WRITES_TO: dict[EffectKind, KeyArea] = {
    EffectKind.VIRTUAL_PATRON: KeyArea.USERS,
    EffectKind.SUPPLIER_HOLD: KeyArea.USERS,
    EffectKind.VIRTUAL_BIB: KeyArea.BIBS,
    EffectKind.VIRTUAL_HOLDING: KeyArea.BIBS,
    EffectKind.VIRTUAL_ITEM: KeyArea.BIBS,
    EffectKind.BORROWER_HOLD: KeyArea.USERS,
    EffectKind.PICKUP_HOLD: KeyArea.USERS,
    EffectKind.VIRTUAL_ITEM_IN_TRANSIT: KeyArea.BIBS,
    EffectKind.SUPPLIER_LOAN: KeyArea.USERS,
    EffectKind.BORROWER_LOAN: KeyArea.USERS,
    EffectKind.RENEWED: KeyArea.USERS,
    EffectKind.LOAN_CLOSED: KeyArea.BIBS,
    EffectKind.HOLD_CANCELLED: KeyArea.USERS,
    EffectKind.VIRTUAL_ITEM_REMOVED: KeyArea.BIBS,
    EffectKind.VIRTUAL_HOLDING_REMOVED: KeyArea.BIBS,
    EffectKind.VIRTUAL_BIB_REMOVED: KeyArea.BIBS,
    EffectKind.NO_RENEWAL: KeyArea.BIBS,
}
"""The area that an effect's write needs: scans are in Bibs, holds and loans in Users."""


@dataclass(frozen=True, slots=True)
class Institution:
    """One Alma of the settings. `alma` is None when its key cannot be found."""

    code: HostLmsCode
    config: LibraryConfig
    acts: bool
    daily_reserve: int
    hours: Hours | None
    alma: AlmaSurveyor | None
    database: DatabaseSight

    async def checks(self) -> list[Finding]:
        """Every topic once, in the order in which a person would cure them."""
        return [replace(check, host_lms=self.code) async for check in self._checks()]

    async def _checks(self) -> AsyncIterator[Finding]:
        if self.alma is None:
            why = "could not look: its key was not found"
            yield unknown(Topic.KEY, why, f"see {Topic.SECRET} above")
            return
        probes = await self._probes(self.alma)
        yield self._key(probes)
        if _lost(probes) is not None or all(probes.values()):
            yield unknown(Topic.REST, "could not look: see api_key", f"cure {Topic.KEY} first")
            return
        for check in (*self._areas(probes), *self._writes()):
            yield check
        yield await self._owner(self.alma)
        yield self._clock(self.alma)
        yield self._quota(self.alma)
        yield self._hours()
        pickups = (self.database.pickups or {}).get(self.code, frozenset())
        async for check in Setup(self.config, self.acts, self.alma, pickups).checks():
            yield check

    # --- the key ---------------------------------------------------------------

    async def _probes(self, alma: AlmaSurveyor) -> dict[KeyArea, AlmaFailure | None]:
        """How each area answered; no more is asked once the institution cannot be reached."""
        found: dict[KeyArea, AlmaFailure | None] = {}
        for area in READ_TOPICS:
            found[area] = await tried(partial(alma.probe, area))
            if _lost(found) is not None:
                break
        return found

    def _key(self, probes: Mapping[KeyArea, AlmaFailure | None]) -> Finding:
        lost = _lost(probes)
        if lost is not None:
            return unreadable(Topic.KEY, lost)
        if all(probes.values()):
            return missing(Topic.KEY, f"refused in every area: {next(iter(probes.values()))}")
        return present(Topic.KEY, "Alma accepts it")

    def _areas(self, probes: Mapping[KeyArea, AlmaFailure | None]) -> Iterator[Finding]:
        for area, failure in probes.items():
            topic = READ_TOPICS[area]
            if failure is None:
                yield present(topic, "answered")
            elif failure.kind is FailureKind.CREDENTIALS:
                yield missing(topic, f"the key has no right to it: {failure}")
            else:
                yield unreadable(topic, failure)

    def _writes(self) -> Iterator[Finding]:
        """Never tried here: a write is known to work only by one that worked."""
        proved = self.database.written or {}
        areas = {WRITES_TO[kind] for kind in proved.get(self.code, ()) if kind in WRITES_TO}
        for area, topic in WRITE_TOPICS.items():
            if area in areas:
                yield present(topic, "writes of ours have succeeded here")
            elif not self.acts:
                why = "not needed in mode observe: nothing is written"
                yield not_set(topic, why, needed=False)
            else:
                why = "only a write can show it, and doctor writes nothing"
                yield Finding(topic, CheckState.UNKNOWN, why, ADVICE[topic])

    async def _owner(self, alma: AlmaSurveyor) -> Finding:
        """Whose key it is: the mistake that no other check would find."""
        try:
            whose = await alma.institution()
        except AlmaFailure as failure:
            return unreadable(Topic.OWNER, failure)
        if whose.code is None:
            return unknown(Topic.OWNER, "Alma does not tell which institution this is")
        name = f" ({whose.name})" if whose.name else ""
        return present(Topic.OWNER, f"{whose.code}{name}, {whose.environment or 'unnamed'}")

    # --- clock and quota ---------------------------------------------------------

    def _clock(self, alma: AlmaSurveyor) -> Finding:
        ahead = alma.clock_ahead
        if ahead is None:
            return unknown(Topic.CLOCK, "could not look: no answer told its time")
        told = f"Alma's is {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} ours"
        if abs(ahead) > CLOCKS_AGREE:
            return missing(Topic.CLOCK, told)
        return present(Topic.CLOCK, f"agrees with Alma's within {CLOCKS_AGREE:.0f} s")

    def _quota(self, alma: AlmaSurveyor) -> Finding:
        left, reserve = alma.remaining_today, self.daily_reserve
        if left is None:
            why = "could not look: Alma did not say how many calls are left today"
            return unknown(Topic.QUOTA, why)
        told = f"{left:,} calls left today, {reserve:,} kept in reserve"
        return missing(Topic.QUOTA, told) if left < reserve else present(Topic.QUOTA, told)

    def _hours(self) -> Finding:
        if self.hours is None:
            return not_set(Topic.HOURS, "optional; looks go on day and night", needed=False)
        return present(Topic.HOURS, "looks keep to the desks' hours")


def _lost(probes: Mapping[KeyArea, AlmaFailure | None]) -> AlmaFailure | None:
    """The failure that shows that nothing can be asked now; a refusal is an answer."""
    answers = (None, FailureKind.CREDENTIALS, FailureKind.REFUSED)
    return next((each for each in probes.values() if each and each.kind not in answers), None)
