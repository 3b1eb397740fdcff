"""Hints where to look: what one list of a hundred bibs shows of a hundred lends. Pure.

A bib whose availability or number of requests has changed since it was last glanced at makes its
lends due; it moves nothing, and a bib that is not in the answer says nothing (alma-api.md §8).
Whether a library's lists show a step at all is found out, not supposed: each step that a look
finds is laid beside the glances before and after it. Where they prove right, a glance that shows
no change puts the next look off, from one sweep to the next; when sweeps end, the looks are back.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from reconciler.core.library.hours import Hours
from reconciler.core.model import BibGlance, MmsId, TransactionId
from reconciler.core.stages import STAGES, live
from reconciler.core.status import BEFORE_DISPATCH, DcbStatus, Role, Side, Workflow

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

SWEEP_EVERY = 30 * MINUTE
AT_LEAST = 4
"""For fewer lends the call costs more than it can save."""

AT_MOST = 2000
PER_CALL = 100
"""Alma's own bound (alma-api.md §6)."""

HORIZON = 12 * HOUR
"""No look is put off by more than this after the last one, and none is glanced at for a lend whose
look is further ahead."""

STRETCH = 6
"""By how much the usual interval grows at most where hints are trusted."""

SLACK = 15 * MINUTE
"""How much later than planned a sweep may come before the looks are back."""

AFTER_CLOSING = 2 * MINUTE
FURTHEST = 8 * DAY
"""A next sweep further ahead was set before a clock was set back: desks open once a week."""

LEFT_ALONE = DAY
MOST_VAIN = 3
"""After so many hints in one wait that led to nothing, its bib is somebody else's business."""


@dataclass(frozen=True, slots=True)
class Trust:
    """How the lists of a library have shown one step: the last verdicts, newest last, + or -."""

    record: str = ""
    off_until: datetime | None = None

    @property
    def holds(self) -> bool:
        """Proved right lately, without a miss, and nearly always before."""
        rights = self.record.count(_RIGHT)
        return self.record.endswith(_RIGHT * _ENOUGH) and rights >= _SHARE * len(self.record)

    def is_off(self, now: datetime) -> bool:
        """Whether they missed so much that they are not asked for this step today."""
        return self.off_until is not None and now < self.off_until <= now + LEFT_ALONE

    def judged(self, right: bool, now: datetime) -> Trust:
        """After one more verdict."""
        record = (self.record + (_RIGHT if right else _WRONG))[-_KEPT:]
        misled = record[-_ENOUGH:].count(_WRONG) >= _SEVERAL
        return Trust(record, now + LEFT_ALONE if misled and not right else self.off_until)


_RIGHT, _WRONG = "+", "-"
_ENOUGH, _KEPT, _SHARE, _SEVERAL = 5, 20, 0.95, 3


@dataclass(frozen=True, slots=True)
class Mark:
    """What the last glance in a wait showed, of one lend at one library.

    `since` is when the fingerprint was first seen; `looked_at` the last look that found nothing;
    `hinted_at` when a change made the lend due, until a look has followed.
    """

    status: DcbStatus
    fingerprint: str
    since: datetime
    glanced_at: datetime
    looked_at: datetime | None = None
    hinted_at: datetime | None = None
    vain: int = 0


@dataclass(frozen=True, slots=True)
class Watch:
    """One lend's part at a library, for a sweep. `is_plain`: its next look is an ordinary one that
    may be put off; `beside_at`: when the bib of its other part was glanced at in this wait."""

    id: TransactionId
    role: Role
    workflow: Workflow
    status: DcbStatus
    version: int
    mms_id: MmsId
    next_poll_at: datetime | None
    last_poll_at: datetime | None = None
    is_plain: bool = False
    beside_at: datetime | None = None
    mark: Mark | None = None

    @property
    def is_watched(self) -> bool:
        """Whether its bib may show the end of its wait."""
        return any(side.role(self.workflow) is self.role for side in shown_by(self.status))

    @property
    def has_moved(self) -> bool:
        """Whether the wait in which it was last glanced at is over."""
        return self.mark is not None and self.mark.status is not self.status

    @property
    def is_main(self) -> bool:
        """Whether this is the side on which the step is made that ends the wait."""
        return live(self.status).next_step_at.role(self.workflow) is self.role

    def is_asked(self, now: datetime) -> bool:
        """Whether a glance is due."""
        if self.mark is None or self.has_moved:
            return True
        return now - self.mark.glanced_at >= 0.9 * live(self.status).scan_interval


@dataclass(frozen=True, slots=True)
class Glanced:
    """What a glance led to: the mark to keep (None: to forget), and another time for the next look
    (sooner where `is_hint`); `right` is the verdict on the step that ended the wait before."""

    watch: Watch
    mark: Mark | None
    next_poll_at: datetime | None = None
    is_hint: bool = False
    right: bool | None = None


def fingerprint(glance: BibGlance) -> str | None:
    """What is compared from one glance to the next; None where the bib shows nothing."""
    if not glance.availability and glance.requests is None:
        return None
    shown = repr((glance.availability, glance.requests)).encode()
    return hashlib.blake2b(shown, digest_size=8).hexdigest()


def glanced(watch: Watch, seen: str, now: datetime) -> Glanced:
    """What a fingerprint says of one lend: judge the step that was found, hint, or neither.

    A change on the other side makes it due since its last look: such a look is a thorough one
    (lookahead.py), which reads that side too.
    """
    mark = watch.mark
    if mark is None or watch.has_moved:
        new = Mark(watch.status, seen, now, now, watch.last_poll_at)
        return Glanced(watch, new if watch.is_watched else None, right=_verdict(watch, seen, now))
    mark = replace(mark, glanced_at=now, looked_at=watch.last_poll_at)
    if mark.hinted_at and watch.last_poll_at and watch.last_poll_at > mark.hinted_at:
        mark = replace(mark, hinted_at=None, vain=mark.vain + 1)
    if seen == mark.fingerprint:
        return Glanced(watch, mark)
    mark = replace(mark, fingerprint=seen, since=now)
    if mark.vain >= MOST_VAIN:
        return Glanced(watch, mark)
    due_at = now if watch.is_main else watch.last_poll_at or now
    return Glanced(watch, replace(mark, hinted_at=now), next_poll_at=due_at, is_hint=True)


def _verdict(watch: Watch, seen: str, now: datetime) -> bool | None:
    """Whether the list showed the step that a look has found meanwhile.

    None where that cannot be said: the change may be older than the first glance, or somebody
    else's since; our own placing is no step; and one side is not where the step is made.
    """
    mark = watch.mark
    if mark is None or watch.status in BEFORE_DISPATCH or now - mark.glanced_at > DAY:
        return None
    if live(mark.status).next_step_at.role(watch.workflow) is not watch.role:
        return None
    if mark.hinted_at or seen != mark.fingerprint:
        return True
    return False if mark.looked_at and mark.looked_at > mark.since else None


def put_off(
    found: Glanced,
    trust: Trust,
    intervals: Mapping[DcbStatus, timedelta],
    now: datetime,
    next_at: datetime,
) -> Glanced:
    """With the next look put off to just after the next glance, where this one may stand for it.

    Only behind a look that found nothing after the fingerprint was first seen: so the change that
    is waited for is still ahead. `intervals` are the usual ones, `next_at` the next sweep's.
    """
    watch, mark = found.watch, found.mark
    if mark is None or found.is_hint or mark.hinted_at or mark.vain >= MOST_VAIN:
        return found
    if not (trust.holds and watch.is_plain and watch.next_poll_at and watch.last_poll_at):
        return found
    if not watch.is_main or watch.next_poll_at <= now or watch.last_poll_at <= mark.since:
        return found
    stage = live(watch.status)
    every, has_two = stage.scan_interval, len(stage.shown_by) > 1
    if has_two and (not watch.beside_at or now - watch.beside_at > 2 * every):
        return found
    latest = watch.last_poll_at + min(STRETCH * intervals[watch.status], HORIZON)
    at = min(latest, max(next_at, now + every) + SLACK)
    return replace(found, next_poll_at=at) if at > watch.next_poll_at else found


def next_sweep_at(now: datetime, hours: Hours | None) -> datetime:
    """After the usual interval; in the desks' hours where they are known, and once after them."""
    at = now + SWEEP_EVERY
    if hours is None:
        return at
    stretch = hours.stretch_at(now)
    if stretch.opens_at <= now:
        return min(at, stretch.closes_at + AFTER_CLOSING)
    return max(at, stretch.opens_at + SWEEP_EVERY)


def shown_by(status: DcbStatus) -> tuple[Side, ...]:
    """On which sides a list of bibs may show what ends this wait."""
    stage = STAGES[status].live
    return stage.shown_by if stage else ()
