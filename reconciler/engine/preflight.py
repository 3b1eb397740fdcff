"""Whether a request can be placed: asked of the libraries before anything is written anywhere."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime

from reconciler.core.commands.placing import (
    LibraryConfig,
    Placing,
    Refusal,
    hold_pickup,
    mapped,
    virtual_patron_id,
)
from reconciler.core.mapping import Subject
from reconciler.core.model import HostLmsCode, ItemSight, Policy, UserSight
from reconciler.core.status import ItemState, Role, Workflow
from reconciler.engine.observe import Readers
from reconciler.errors import AlmaFailure

LENDABLE = frozenset(
    {
        ItemState.IN_PLACE,
        ItemState.REQUESTED,
        ItemState.TRANSIT,
        ItemState.ON_HOLD_SHELF,
        ItemState.LOANED,
    }
)
"""A copy in one of these states can be asked for, if only by waiting for it."""


@dataclass(frozen=True, slots=True)
class Preflight:
    """Asks the libraries whether a request can be placed. The first reason against it is told."""

    readers: Readers
    policy: Policy
    configs: Mapping[HostLmsCode, LibraryConfig]
    workflow: Workflow
    now: datetime

    async def check(self, given: Placing) -> Placing | Refusal:
        """The placing with what the libraries added to it, or why it is refused."""
        for refusal in self._settings(given):
            return refusal
        try:
            return (
                await self._reader(given)
                or await self._virtual_patron(given)
                or await self._item(given)
            )
        except AlmaFailure as failure:
            return Refusal("library_unreachable", f"a library could not be asked: {failure}")

    # --- settings ------------------------------------------------------------

    def _settings(self, given: Placing) -> Iterator[Refusal]:
        lender = self._config(given.item.host_lms)
        if lender is not None:
            if hold_pickup(Role.SUPPLIER, self.workflow, given, lender) is None:
                yield _missing(given.item.host_lms, "sharing_library")
            needs_patron = self.workflow is not Workflow.LOCAL
            if needs_patron and mapped(lender.patron_groups, given.patron.patron_type) is None:
                yield _unmapped(given.item.host_lms, "patron_groups", given.patron.patron_type)
        if self.workflow is Workflow.LOCAL:
            return
        yield from self._virtual_settings(Role.BORROWER, given.patron.host_lms, given)
        if self.workflow is Workflow.PICKUP_ANYWHERE:
            yield from self._virtual_settings(Role.PICKUP, given.pickup.host_lms, given)
            pickup = self._config(given.pickup.host_lms)
            if pickup and mapped(pickup.patron_groups, given.patron.patron_type) is None:
                yield _unmapped(given.pickup.host_lms, "patron_groups", given.patron.patron_type)

    def _virtual_settings(self, role: Role, code: HostLmsCode, given: Placing) -> Iterator[Refusal]:
        config = self._config(code)
        if config is None:
            return
        if config.virtual_library is None or config.virtual_location is None:
            yield _missing(code, "virtual_library and virtual_location")
        if mapped(config.material_types, given.item.item_type) is None:
            yield _unmapped(code, "material_types", given.item.item_type)
        if hold_pickup(role, self.workflow, given, config) is None:
            yield _missing(code, "sharing_library")

    def _config(self, code: HostLmsCode) -> LibraryConfig | None:
        return self.configs.get(code)

    # --- people ----------------------------------------------------------------

    async def _reader(self, given: Placing) -> Refusal | None:
        """The reader at home: known, active, not blocked, not expired."""
        code = given.patron.host_lms
        if self.policy.hosts[code].is_external:
            return None
        try:
            user = await self.readers(code).user(given.patron.user_id)
        except AlmaFailure as failure:
            if failure.proves_absent(Subject.USER):
                return Refusal("patron_unknown", f"{code} knows no user with the given user_id")
            raise
        if not user.answers_to(given.patron.user_id):
            return Refusal("patron_mismatch", f"{code} answered with another user")
        return self._unfit(user, f"the reader at {code}", code)

    async def _virtual_patron(self, given: Placing) -> Refusal | None:
        """One who is there already must be able to borrow; one who is not will be made."""
        code = given.item.host_lms
        if self.policy.hosts[code].is_external or self.workflow is Workflow.LOCAL:
            return None
        try:
            user = await self.readers(code).user(virtual_patron_id(given.patron))
        except AlmaFailure as failure:
            if failure.proves_absent(Subject.USER):
                return None
            raise
        if not user.is_active or user.blocks:
            return self._unfit(user, f"the virtual patron at {code}", code)
        return None

    def _unfit(self, user: UserSight, who: str, code: HostLmsCode) -> Refusal | None:
        today = self.now.astimezone(self.configs[code].zone).date()
        if not user.is_active:
            return Refusal("patron_inactive", f"{who} is not active")
        if user.blocks:
            return Refusal("patron_blocked", f"{who} is blocked")
        if user.raw_expires_on is not None:
            told = f"when the card of {who} expires cannot be read (“{user.raw_expires_on}”)"
            return Refusal("patron_expiry_unreadable", told)
        if user.expires_on is not None and user.expires_on < today:
            return Refusal("patron_expired", f"the card of {who} has expired")
        return None

    # --- the item --------------------------------------------------------------

    async def _item(self, given: Placing) -> Placing | Refusal:
        """The lender's copy: there, the one that is meant, lendable; its title and barcode."""
        wanted_item = given.item
        if not self.policy.hosts[wanted_item.host_lms].is_external:
            found = await self._lenders(given)
            if isinstance(found, Refusal):
                return found
            wanted_item = replace(
                wanted_item,
                holding_id=found.holding_id or wanted_item.holding_id,
                barcode=wanted_item.barcode or found.barcode,
                title=wanted_item.title or found.title,
            )
        checked = replace(given, item=wanted_item)
        if self.workflow is Workflow.LOCAL:
            return checked
        if wanted_item.barcode is None:
            return Refusal("barcode_missing", "the lender's item has no barcode")
        if wanted_item.title is None:
            return Refusal("title_missing", "item.title is missing and the lender tells none")
        return await self._barcode_taken(checked) or checked

    async def _lenders(self, given: Placing) -> ItemSight | Refusal:
        item, code = given.item, given.item.host_lms
        try:
            found = await self.readers(code).item(item.mms_id, item.holding_id, item.item_pid)
        except AlmaFailure as failure:
            if failure.proves_absent(Subject.ITEM):
                return Refusal("item_unknown", f"{code} knows no such item")
            raise
        if found.pid != item.item_pid or (item.barcode and found.barcode != item.barcode):
            return Refusal("item_mismatch", f"{code} has another item under these ids")
        if found.state not in LENDABLE:
            return Refusal(
                "item_not_lendable", f"the item at {code} is {found.state} ({found.raw})"
            )
        return self._kept_at_home(given, found) or found

    def _kept_at_home(self, given: Placing, found: ItemSight) -> Refusal | None:
        """A hold that is picked up where the item stands: a scan there would shelve the item."""
        config = self._config(given.item.host_lms)
        if config is None or found.library is None:
            return None
        if self.workflow not in (Workflow.STANDARD, Workflow.PICKUP_ANYWHERE):
            return None
        if hold_pickup(Role.SUPPLIER, self.workflow, given, config) != (found.library, None):
            return None
        return Refusal(
            "sharing_library_is_home",
            f"host_lms.{given.item.host_lms}.sharing_library is {found.library}, where the item "
            "itself stands: a scan there would put it on the hold shelf instead of sending it",
        )

    async def _barcode_taken(self, given: Placing) -> Refusal | None:
        """Found before anything is written: Alma's refusal of the item names no reason."""
        barcode = given.item.barcode
        codes = [given.patron.host_lms]
        if self.workflow is Workflow.PICKUP_ANYWHERE:
            codes.append(given.pickup.host_lms)
        for code in codes:
            if barcode is None or self.policy.hosts[code].is_external:
                continue
            try:
                await self.readers(code).item_by_barcode(barcode)
            except AlmaFailure as failure:
                if not failure.proves_absent(Subject.ITEM):
                    raise
            else:
                return Refusal("barcode_taken", f"{code} has an item with the same barcode already")
        return None


def _missing(code: HostLmsCode, name: str) -> Refusal:
    return Refusal("not_configured", f"host_lms.{code}.{name} is not set")


def _unmapped(code: HostLmsCode, name: str, word: str | None) -> Refusal:
    what = f"{word} is" if word else "there is no default and the type is"
    return Refusal("not_mapped", f"host_lms.{code}.{name}: {what} not mapped")
