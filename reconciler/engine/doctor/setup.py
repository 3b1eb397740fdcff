"""The codes that one Alma's settings name, against what that Alma holds."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeAlias

from reconciler.core.commands.placing import LibraryConfig
from reconciler.core.model import LibraryCode
from reconciler.core.status import CheckState
from reconciler.engine.doctor.findings import (
    Finding,
    Topic,
    missing,
    not_set,
    present,
    unknown,
    unreadable,
    with_advice,
)
from reconciler.engine.doctor.reads import Read, tried
from reconciler.errors import AlmaFailure
from reconciler.ports.survey import AlmaSurveyor, LibrarySight
from reconciler.wording import nearest

MANY = 8
"""So many codes are named at most; a longer list helps nobody."""

Libraries: TypeAlias = Read[tuple[LibrarySight, ...]]


@dataclass(frozen=True, slots=True)
class Setup:
    config: LibraryConfig
    acts: bool
    alma: AlmaSurveyor
    pickups: frozenset[LibraryCode]
    """Where the lends that we follow are collected in this institution."""

    async def checks(self) -> AsyncIterator[Finding]:
        config = self.config
        libraries = await tried(self.alma.libraries)
        yield self._sharing_library(libraries)
        yield await self._sharing_desk(libraries)
        yield self._library(Topic.VIRTUAL_LIBRARY, config.virtual_library, libraries)
        yield await self._virtual_location(libraries)
        yield self._transit_library(libraries)
        yield await self._circ_desk(libraries)
        for topic, table, codes, needed in self._tables():
            yield await self._codes(topic, table, codes, needed=needed)

    def _tables(self) -> Iterator[tuple[Topic, str, tuple[str, ...], bool]]:
        """Topic, Alma's table, the codes that the settings name, whether lending needs one."""
        config = self.config
        policy, no_renew = config.item_policy, config.no_renew_item_policy
        reason, identifier = config.cancellation_reason, config.identifier_type
        groups, types = config.patron_groups.values(), config.material_types.values()
        acts = self.acts
        yield Topic.PATRON_GROUPS, "UserGroups", tuple(groups), acts
        yield Topic.IDENTIFIER_TYPE, "UserIdentifierTypes", (identifier,), acts
        yield Topic.MATERIAL_TYPES, "PhysicalMaterialType", tuple(types), acts
        yield Topic.ITEM_POLICY, "ItemPolicy", (policy,) if policy else (), False
        yield Topic.NO_RENEW_POLICY, "ItemPolicy", (no_renew,) if no_renew else (), False
        yield Topic.CANCELLATION_REASON, "RequestCancellationReasons", (reason,), acts

    # --- libraries -----------------------------------------------------------------

    def _library(self, topic: Topic, code: LibraryCode | None, libraries: Libraries) -> Finding:
        if code is None:
            return not_set(topic, "the settings name no library", needed=self.acts)
        if isinstance(libraries, AlmaFailure):
            return unreadable(topic, libraries)
        codes = [each.code for each in libraries]
        if code in codes:
            return present(topic, code)
        return missing(topic, f"{code}: no such library", _nearest(code, codes))

    def _sharing_library(self, libraries: Libraries) -> Finding:
        topic, code = Topic.SHARING_LIBRARY, self.config.sharing_library
        found = self._library(topic, code, libraries)
        if found.state is not CheckState.PRESENT or isinstance(libraries, AlmaFailure):
            return found
        kind = next(each.is_resource_sharing for each in libraries if each.code == code)
        if kind is None:
            why = f"{code}: Alma does not say whether it is a resource sharing library"
            return unknown(topic, why)
        if kind:
            why = f"{code}: a resource sharing library, Alma refuses it as a pickup (401129)"
            return missing(topic, why)
        return found

    def _transit_library(self, libraries: Libraries) -> Finding:
        topic, code = Topic.TRANSIT_LIBRARY, self.config.transit_library
        found = self._library(topic, code, libraries)
        if found.state is not CheckState.PRESENT or code is None:
            return found
        if code == self.config.sharing_library:
            return missing(topic, f"{code}: it is also sharing_library, a pickup library")
        if code in self.pickups:
            return missing(topic, f"{code}: lends that we follow are picked up there")
        return found

    # --- desks and locations -----------------------------------------------------------

    async def _sharing_desk(self, libraries: Libraries) -> Finding:
        topic = Topic.SHARING_DESK
        library, desk = self.config.sharing_library, self.config.sharing_circ_desk
        if desk is None:
            return not_set(
                topic, "optional; holds go to the library, not to a desk of it", needed=False
            )
        return await self._part(topic, desk, library, libraries, self.alma.desks)

    async def _virtual_location(self, libraries: Libraries) -> Finding:
        topic = Topic.VIRTUAL_LOCATION
        library, location = self.config.virtual_library, self.config.virtual_location
        if location is None:
            return not_set(topic, "the settings name no location", needed=self.acts)
        suppressed = dict[str, bool | None]()

        async def codes(of: str) -> tuple[str, ...]:
            suppressed.update(await self.alma.locations(of))
            return tuple(suppressed)

        found = await self._part(topic, location, library, libraries, codes)
        if suppressed.get(location) is False:
            return with_advice(found, "not suppressed: the public may come across virtual items")
        return found

    async def _part(
        self,
        topic: Topic,
        code: str,
        library: LibraryCode | None,
        libraries: Libraries,
        read: Callable[[str], Awaitable[tuple[str, ...]]],
    ) -> Finding:
        """A desk or a location of one library."""
        if library is None:
            return unknown(topic, f"{code}: could not look, its library is not set")
        if isinstance(libraries, AlmaFailure):
            return unreadable(topic, libraries)
        if library not in [each.code for each in libraries]:
            return unknown(topic, f"{code}: could not look, there is no library {library}")
        codes = await tried(partial(read, library))
        if isinstance(codes, AlmaFailure):
            return unreadable(topic, codes)
        if code in codes:
            return present(topic, f"{code} of {library}")
        return missing(topic, f"{code}: {library} has none of that code", _nearest(code, codes))

    async def _circ_desk(self, libraries: Libraries) -> Finding:
        """Loans are made at the item's own library, scans at the transit library."""
        topic, desk, transit = Topic.CIRC_DESK, self.config.circ_desk, self.config.transit_library
        if isinstance(libraries, AlmaFailure):
            return unreadable(topic, libraries)
        codes = [library.code for library in libraries]
        having = list[str]()
        for code, desks in zip(codes, await self._all_desks(codes), strict=True):
            if isinstance(desks, AlmaFailure):
                return unreadable(topic, desks)
            having += [code] if desk in desks else []
        lacking = [code for code in codes if code not in having]
        if not having:
            return missing(topic, f"{desk}: no library has it")
        if transit in lacking:
            return missing(topic, f"{desk}: not at {transit}, where virtual items are scanned")
        without = f"; not of {_listed(lacking)}: their books cannot be lent" if lacking else ""
        return present(topic, f"{desk} of {_listed(having)}{without}")

    async def _all_desks(self, codes: Iterable[str]) -> list[Read[tuple[str, ...]]]:
        reads = (tried(partial(self.alma.desks, code)) for code in codes)
        return await asyncio.gather(*reads)

    # --- code tables ---------------------------------------------------------------------

    async def _codes(
        self, topic: Topic, table: str, wanted: tuple[str, ...], *, needed: bool
    ) -> Finding:
        if not wanted:
            why = "the settings name none" if needed else "optional; the settings name none"
            return not_set(topic, why, needed=needed)
        codes = await tried(partial(self.alma.codes, table))
        if isinstance(codes, AlmaFailure):
            return unreadable(topic, codes)
        enabled = [code for code, is_enabled in codes.items() if is_enabled]
        wrong = [code for code in dict.fromkeys(wanted) if code not in enabled]
        if not wrong:
            return present(topic, ", ".join(dict.fromkeys(wanted)))
        told = ", ".join(
            f"{each}: {'disabled' if each in codes else 'not'} in {table}" for each in wrong
        )
        return missing(topic, told, _nearest(wrong[0], enabled))


def _nearest(code: str, known: Iterable[str]) -> str:
    """What was probably meant, or what there is."""
    words = list(known)
    near = nearest(code, words)
    return f"did you mean {near}?" if near else f"there is {_listed(words)}"


def _listed(codes: Sequence[str]) -> str:
    if len(codes) <= MANY:
        return ", ".join(codes) or "none"
    return f"{', '.join(codes[:MANY])} and {len(codes) - MANY} more"
