"""How a library stands with us: open, paused, short of quota, out of order. Pure.

A standing changes by what its calls bring: a 429, a failure, an answer, what Alma says is left of
the day's quota. Source: interface.md §5, reliability.md P8 and P23, alma-api.md §1.4.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from enum import Enum, auto

from reconciler.core.cadence import backoff, share_of
from reconciler.core.model import HostLmsCode
from reconciler.core.status import Resource, TenantState

SECOND = timedelta(seconds=1)
FIRST_PAUSE = 1 * SECOND
LONGEST_PAUSE = 60 * SECOND
LONGEST_TOLD_PAUSE = 120 * SECOND
"""A `Retry-After` beyond this is not believed."""

LONGEST_WAIT = 5 * SECOND
"""A call waits in line for a pause up to this long; for a longer one it is turned away."""

PROBE_OUTAGE_AFTER = 60 * SECOND
PROBE_QUOTA_AFTER = timedelta(minutes=15)
PROBE_ABSENCE_AFTER = timedelta(minutes=15)
LONGEST_REST = timedelta(minutes=30)
"""A probe that lies further ahead was set before a clock was set back: it is due."""

OVERTAKEN, IN_FLIGHT = 200, timedelta(minutes=2)
"""More calls than are ever out at one library at a time, all processes together, and for longer
than any is waited for."""

JITTER = 0.25
"""Pauses are longer by up to this share, never shorter."""


@dataclass(frozen=True, slots=True)
class TenantStanding:
    """One library's standing. `resumes_at` is when the next call may go, as a probe.

    `remaining` is what Alma last said is left of today for the whole institution, by all who call
    it; None where it has not said so today. `strikes` counts pauses in a row. `missing` are the
    kinds of things that are not found there, each until one of its kind is seen again.
    """

    state: TenantState = TenantState.OPEN
    since: datetime | None = None
    reason: str = ""
    resumes_at: datetime | None = None
    strikes: int = 0
    remaining: int | None = None
    remaining_at: datetime | None = None
    missing: frozenset[Resource] = frozenset()

    @property
    def is_open(self) -> bool:
        return self.state is TenantState.OPEN

    def until_resumed(self, now: datetime) -> timedelta:
        """How long nobody may call; nothing where a probe is due."""
        if self.is_open or self.resumes_at is None:
            return timedelta(0)
        left = self.resumes_at - now
        return left if timedelta(0) < left <= LONGEST_REST else timedelta(0)

    def rests(self, now: datetime) -> bool:
        """Whether polling has to wait longer than a call would wait in line."""
        patience = LONGEST_WAIT if self.state is TenantState.THROTTLED else timedelta(0)
        return self.until_resumed(now) > patience


@dataclass(frozen=True, slots=True)
class Terms:
    """What is agreed on with one library."""

    code: HostLmsCode
    reserve: int
    """Calls of a day that polling leaves to others."""
    zone: tzinfo = UTC
    """Whose midnight renews the quota."""

    def day_of(self, now: datetime) -> date:
        """The library's own date."""
        return now.astimezone(self.zone).date()

    def next_midnight(self, now: datetime) -> datetime:
        """When the quota is renewed next."""
        tomorrow = self.day_of(now) + timedelta(days=1)
        return datetime.combine(tomorrow, time(), self.zone).astimezone(UTC)


class Purpose(Enum):
    """What a call is made for."""

    POLL = auto()
    EFFECT_READ = auto()
    EFFECT_WRITE = auto()


class Admission(Enum):
    GO = auto()
    PROBE = auto()
    """This one call may go, to see how things are."""
    WAIT = auto()
    REST = auto()


def admission(standing: TenantStanding, purpose: Purpose, now: datetime) -> Admission:
    """Whether a call may be made now."""
    if standing.is_open:
        return Admission.GO
    if standing.state is TenantState.SHORT and purpose is not Purpose.POLL:
        return Admission.GO
    if standing.state is TenantState.FROZEN:
        # a probe of absence is a whole look, which the engine starts; an effect must not even
        # look: it would make a second time what it does not find
        return Admission.GO if purpose is Purpose.POLL else Admission.REST
    if not standing.until_resumed(now):
        return Admission.PROBE if _may_probe(standing.state, purpose) else Admission.REST
    if standing.state is TenantState.THROTTLED and not standing.rests(now):
        return Admission.WAIT
    return Admission.REST


def _may_probe(state: TenantState, purpose: Purpose) -> bool:
    """A write is a probe only where a refusal proves that nothing was done."""
    return state is not TenantState.OUTAGE or purpose is not Purpose.EFFECT_WRITE


def probing(standing: TenantStanding, terms: Terms, now: datetime) -> TenantStanding:
    """A probe is on its way: the next one has to wait its turn."""
    if standing.state is TenantState.THROTTLED:
        pause = _pause(standing.strikes + 1)
    else:
        pause = _PROBE_AFTER[standing.state]
    return replace(standing, resumes_at=now + _jittered(pause, terms, standing))


_PROBE_AFTER = {
    TenantState.SHORT: PROBE_QUOTA_AFTER,
    TenantState.SPENT: PROBE_QUOTA_AFTER,
    TenantState.OUTAGE: PROBE_OUTAGE_AFTER,
    TenantState.FROZEN: PROBE_ABSENCE_AFTER,
}


def throttled(
    standing: TenantStanding, terms: Terms, now: datetime, told: timedelta | None = None
) -> TenantStanding:
    """A 429 of the second: pause, twice as long each time; as long as Alma says if it does."""
    strikes = standing.strikes + 1
    pause = _jittered(_pause(strikes), terms, replace(standing, strikes=strikes))
    if told is not None and timedelta(0) < told <= LONGEST_TOLD_PAUSE:
        pause = max(pause, told)
    if standing.state in (TenantState.SPENT, TenantState.FROZEN, TenantState.SHORT):
        return replace(standing, strikes=strikes)
    return replace(
        standing,
        state=TenantState.THROTTLED,
        since=standing.since if standing.state is TenantState.THROTTLED else now,
        reason="called more often in a second than the institution may be",
        resumes_at=now + pause,
        strikes=strikes,
    )


def spent(standing: TenantStanding, terms: Terms, now: datetime) -> TenantStanding:
    """A 429 of the day: one probe every quarter of an hour, and again from midnight on."""
    return _dry(
        replace(standing, remaining=0, remaining_at=now),
        terms,
        now,
        TenantState.SPENT,
        "the institution's calls of today are used up",
    )


def told_remaining(
    standing: TenantStanding, terms: Terms, now: datetime, remaining: int
) -> TenantStanding:
    """Alma said how many calls are left today: polling stops below the reserve.

    A small rise is an answer that others have overtaken: what was left is left no more.
    """
    known, at = standing.remaining, standing.remaining_at
    if known is not None and at is not None and timedelta(0) <= now - at < IN_FLIGHT:
        remaining = known if known < remaining <= known + OVERTAKEN else remaining
    standing = replace(standing, remaining=remaining, remaining_at=now)
    dry = (TenantState.SHORT, TenantState.SPENT)
    if remaining >= terms.reserve:
        return opened(standing, now) if standing.state in dry else standing
    if standing.state not in (TenantState.OPEN, *dry):
        return standing
    if not remaining:
        return spent(standing, terms, now)
    reason = f"fewer calls are left today than the reserve of {terms.reserve}"
    return _dry(standing, terms, now, TenantState.SHORT, reason)


def _dry(
    standing: TenantStanding, terms: Terms, now: datetime, state: TenantState, reason: str
) -> TenantStanding:
    probe_at = now + _jittered(PROBE_QUOTA_AFTER, terms, standing)
    if standing.state is state and standing.resumes_at is not None:
        probe_at = standing.resumes_at if standing.resumes_at > now else probe_at
    return replace(
        standing,
        state=state,
        since=standing.since if standing.state is state else now,
        reason=reason,
        resumes_at=min(probe_at, terms.next_midnight(now)),
    )


def broken(standing: TenantStanding, terms: Terms, now: datetime, reason: str) -> TenantStanding:
    """Many calls failed alike: an outage begins."""
    found = replace(standing, state=TenantState.OUTAGE, since=now, reason=reason)
    return probing(found, terms, now)


def frozen(
    standing: TenantStanding,
    terms: Terms,
    now: datetime,
    reason: str,
    missing: frozenset[Resource],
) -> TenantStanding:
    """Much is suddenly not found: nothing is concluded until it is seen again."""
    missing |= standing.missing
    if standing.state is TenantState.FROZEN:
        return replace(standing, missing=missing)
    began = replace(standing, state=TenantState.FROZEN, since=now, reason=reason, missing=missing)
    return probing(began, terms, now)


def found(standing: TenantStanding, now: datetime, seen: frozenset[Resource]) -> TenantStanding:
    """Things of these kinds are seen there. A lend that never had such a thing shows nothing of it:
    only what was missing ends a freeze; what is still missing is looked for at once."""
    if standing.state is not TenantState.FROZEN or not seen & standing.missing:
        return standing
    left = standing.missing - seen
    return replace(standing, missing=left, resumes_at=now) if left else _all_well(standing, now)


def answered(standing: TenantStanding, terms: Terms, now: datetime) -> TenantStanding:
    """Alma itself answered.

    That says nothing of the reserve: a day that was short is over at midnight, or when Alma says
    that more calls are left. Nor does it say that what was missed is found again.
    """
    if standing.state is TenantState.FROZEN:
        return standing
    if standing.state is TenantState.SHORT and _is_of_today(standing, terms, now):
        return standing
    return opened(standing, now)


def _is_of_today(standing: TenantStanding, terms: Terms, now: datetime) -> bool:
    said_at = standing.remaining_at
    return said_at is not None and now < terms.next_midnight(said_at)


def opened(standing: TenantStanding, now: datetime) -> TenantStanding:
    """It can be called again; what was missing before it could not be is still to be found."""
    if standing.is_open and not standing.strikes:
        return standing
    if standing.missing:
        reason = "much was not found before it rested"
        return replace(
            standing, state=TenantState.FROZEN, since=now, reason=reason, resumes_at=now, strikes=0
        )
    return _all_well(standing, now)


def _all_well(standing: TenantStanding, now: datetime) -> TenantStanding:
    return TenantStanding(
        since=now, remaining=standing.remaining, remaining_at=standing.remaining_at
    )


def _pause(strikes: int) -> timedelta:
    return backoff(FIRST_PAUSE, strikes - 1, LONGEST_PAUSE)


def _jittered(pause: timedelta, terms: Terms, standing: TenantStanding) -> timedelta:
    """Longer by a share that differs between libraries and from one pause to the next."""
    share = share_of(terms.code, standing.strikes, standing.since, standing.resumes_at)
    return pause * (1 + JITTER * share)
