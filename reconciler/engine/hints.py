"""Bulk scans: one call for a hundred lends tells where to look (core/library/bulk.py)."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from loguru import logger

from reconciler.core.library.bulk import (
    AT_LEAST,
    FURTHEST,
    LEFT_ALONE,
    PER_CALL,
    Glanced,
    Trust,
    Watch,
    fingerprint,
    glanced,
    next_sweep_at,
    put_off,
)
from reconciler.core.model import BibGlance, HostLmsCode, MmsId, Policy
from reconciler.core.status import DcbStatus
from reconciler.engine.storage import Storage
from reconciler.errors import AlmaFailure, FailureKind, SettingsError
from reconciler.ports.alma import AlmaReader
from reconciler.ports.clock import Clock
from reconciler.ports.hints import Hints, Swept
from reconciler.ports.quotas import Gates

SAYS_NOTHING_OF_LISTS = frozenset(
    {
        FailureKind.RESTING,
        FailureKind.THROTTLED,
        FailureKind.QUOTA_EXHAUSTED,
        FailureKind.UNREACHABLE,
        FailureKind.CONNECTION_LOST,
    }
)
"""After these the next sweep is in its turn; any other failure is this call's own."""


@dataclass(frozen=True, slots=True)
class Sweeper:
    """Makes those lends due whose bibs have changed; no trouble of its own is anybody's trouble."""

    readers: Callable[[HostLmsCode], AlmaReader]
    hints: Hints
    storage: Storage
    clock: Clock
    policy: Policy
    gates: Gates
    queues: tuple[HostLmsCode, ...]
    """All libraries: a lend waits in one of these, wherever its bibs are."""
    is_on: bool = True
    """Whether the settings want it (`polling.bulk_scans`)."""
    due_at: dict[HostLmsCode, datetime] = field(default_factory=dict)
    """When each library's next sweep is due, as far as this process knows."""

    async def sweep(self, tenant: HostLmsCode) -> None:
        """Glance at the bibs of a library if that is due and pays. Raises StoreUnavailable."""
        now = self.clock.now()
        if not self._may_be_due(tenant, now):
            return
        next_at = next_sweep_at(now, self.policy.hosts[tenant].hours)
        due_at = await self.storage.run(self.hints.begin, tenant, now, next_at)
        self.due_at[tenant] = due_at or next_at
        if due_at is not None:
            return
        trusts = await self.storage.run(self.hints.trusts, tenant)
        watches = await self.storage.run(self.hints.watches, tenant, self.queues, now)
        if sum(_is_wanted(each, trusts, now) for each in watches) < AT_LEAST:
            return
        asked = [
            each
            for each in watches
            if each.is_asked(now) and (each.has_moved or _is_wanted(each, trusts, now))
        ]
        seen = await self._glance(tenant, list(dict.fromkeys(each.mms_id for each in asked)))
        found = list(_found(asked, seen, self.clock.now()))
        if found:
            await self._record(tenant, found, trusts)

    def _may_be_due(self, tenant: HostLmsCode, now: datetime) -> bool:
        if (
            not self.is_on
            or self.policy.hosts[tenant].is_external
            or not self.gates.standing(tenant).is_open
        ):
            return False
        due_at = self.due_at.get(tenant)
        return due_at is None or not now < due_at <= now + FURTHEST

    async def _glance(
        self, tenant: HostLmsCode, wanted: Sequence[MmsId]
    ) -> dict[MmsId, str | None]:
        """The fingerprints of the bibs that were asked for, None for those that Alma did not tell;
        {} where its lists are of no use."""
        glances: list[BibGlance] = []
        asked: list[MmsId] = []
        for start in range(0, len(wanted), PER_CALL):
            page = wanted[start : start + PER_CALL]
            try:
                glances += await self.readers(tenant).glances(page)
            except SettingsError:
                break  # the looks will say so
            except AlmaFailure as failure:
                if failure.kind not in SAYS_NOTHING_OF_LISTS:
                    await self._leave_alone(tenant, str(failure))
                    return {}
                break
            asked += page
        if glances and not any(each.availability for each in glances):
            await self._leave_alone(tenant, "its lists of bibs show no availability")
            return {}
        told = {each.mms_id: fingerprint(each) for each in glances}
        return {mms_id: told.get(mms_id) for mms_id in asked}

    async def _leave_alone(self, tenant: HostLmsCode, reason: str) -> None:
        until = self.clock.now() + LEFT_ALONE
        await self.storage.run(self.hints.leave_alone, tenant, until)
        self.due_at[tenant] = until
        logger.bind(tenant=tenant, reason=reason).info("lists of bibs are left alone for a day")

    async def _record(
        self, tenant: HostLmsCode, found: Sequence[Glanced], trusts: Mapping[DcbStatus, Trust]
    ) -> None:
        now, next_at = self.clock.now(), self.due_at[tenant]
        changed = _judged(found, trusts, now)
        known, intervals = {**trusts, **changed}, self.policy.intervals
        kept = tuple(
            put_off(each, known.get(each.watch.status, Trust()), intervals, now, next_at)
            for each in found
        )
        due = await self.storage.run(self.hints.record, Swept(tenant, now, kept, changed))
        logger.bind(tenant=tenant, count=due).debug("lends made due by a list of bibs")
        for status, trust in changed.items():
            if trust.is_off(now):
                told = logger.bind(tenant=tenant, detail=str(status))
                told.info("lists of bibs do not show this step: not asked for a day")


def _is_wanted(watch: Watch, trusts: Mapping[DcbStatus, Trust], now: datetime) -> bool:
    """Whether a glance may say something of its wait."""
    trust = trusts.get(watch.status)
    return watch.is_watched and not (watch.is_main and trust and trust.is_off(now))


def _found(
    asked: Sequence[Watch], seen: Mapping[MmsId, str | None], now: datetime
) -> Iterator[Glanced]:
    """What the answers say of each lend; of a wait that is over and cannot be judged, nothing."""
    for watch in asked:
        shown = seen.get(watch.mms_id)
        if shown is not None:
            yield glanced(watch, shown, now)
        elif watch.has_moved and watch.mms_id in seen:
            yield Glanced(watch, None)


def _judged(
    found: Sequence[Glanced], trusts: Mapping[DcbStatus, Trust], now: datetime
) -> dict[DcbStatus, Trust]:
    """The trust in the steps that were found since the last sweep."""
    changed: dict[DcbStatus, Trust] = {}
    for each in found:
        if each.right is None or each.watch.mark is None:
            continue
        status = each.watch.mark.status
        trust = changed.get(status, trusts.get(status, Trust()))
        changed[status] = trust.judged(each.right, now)
    return changed
