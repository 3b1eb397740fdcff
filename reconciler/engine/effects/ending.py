"""What became of an attempt, as the intent, the ledger and the history will show it.

Pure: an intent and a result in, the next state of the intent out. The rules of workflow.md §4
stand here: only a 429 and a failed connect prove that nothing happened; what is ambiguous is
looked at after `settle`; a second ambiguity parks.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from reconciler.core.cadence import backoff
from reconciler.core.effects import ADVISORY, REMOVALS
from reconciler.core.mapping import MAY_HAVE_HAPPENED
from reconciler.core.model import Intent, Leg, Thing
from reconciler.core.staff.parking import ParkReason
from reconciler.core.status import IntentState
from reconciler.engine.effects.work import Blocked, Made, Moot, blocked_by
from reconciler.errors import AlmaFailure, FailureKind

SOON = timedelta(seconds=30)
FIRST_RETRY = timedelta(minutes=15)
LONGEST_RETRY = timedelta(hours=12)
LONGEST_UNREADABLE = 64 * SOON
AFTER_A_REST = timedelta(minutes=15)
"""A library that rests is not asked. What waits for it is woken when it is back (`Quotas.wake`);
until then each try would be a look at the other libraries as well."""
_AGAIN_AFTER = {
    FailureKind.UNREACHABLE: SOON,
    FailureKind.THROTTLED: SOON,
    FailureKind.NOT_SENT: SOON,
    FailureKind.RESTING: AFTER_A_REST,
}
MOST_AMBIGUITIES = 2
MOST_REMOVALS = 7
"""So often, over some 28 hours, a removal is refused before a person is told: what time has not
cured by then stays in the library's catalogue."""


@dataclass(frozen=True, slots=True)
class Ending:
    """How one step of an intent ended; `park` is set when a person has to act."""

    intent: Intent
    told: str
    code: str | None = None
    park: ParkReason | None = None
    undo: bool = False
    things: tuple[Thing, ...] = ()
    leg: Leg | None = None
    is_news: bool = True
    """Whether the history gets a row: the same refusal again is none."""


def done(intent: Intent, made: Made) -> Ending:
    ended = replace(
        intent,
        state=IntentState.DONE,
        next_attempt_at=None,
        last_error=None,
        last_code=None,
        tracking_id=None,
    )
    return Ending(ended, made.note or "done", things=made.things, leg=made.leg)


def moot(intent: Intent, sight: Moot) -> Ending:
    ended = replace(intent, state=IntentState.WITHDRAWN, next_attempt_at=None)
    return Ending(ended, f"not done: {sight.why}")


def blocked(intent: Intent, sight: Blocked, now: datetime, failure: AlmaFailure | None) -> Ending:
    """Refused for a reason that time can cure: slowly again. Else: parked."""
    is_news = intent.last_code != sight.code
    told = f"{sight.code}: {sight.sentence}"
    intent = replace(
        intent,
        last_error=told,
        last_code=sight.code,
        tracking_id=failure.tracking_id if failure else None,
    )
    tried_enough = intent.kind in REMOVALS and intent.refusals >= MOST_REMOVALS
    reason = sight.park or (ParkReason.EFFECT_REFUSED if tried_enough else None)
    if reason is not None and intent.kind not in ADVISORY:
        parked = replace(intent, state=IntentState.PARKED, next_attempt_at=None)
        return Ending(parked, told, sight.code, park=reason, undo=sight.undo)
    first = SOON if sight.soon else FIRST_RETRY
    wait = backoff(first, intent.refusals, LONGEST_RETRY)
    refused = replace(
        intent,
        state=IntentState.REFUSED,
        refusals=intent.refusals + 1,
        next_attempt_at=now + wait,
    )
    return Ending(refused, told, sight.code, is_news=is_news)


def unreadable(intent: Intent, failure: AlmaFailure, now: datetime) -> Ending:
    """The world could not be looked at: nothing was sent, nothing is concluded."""
    if failure.kind is FailureKind.RESTING:
        rested = replace(_with_failure(intent, failure), next_attempt_at=now + AFTER_A_REST)
        return Ending(rested, str(failure), is_news=False)
    later = replace(
        _with_failure(intent, failure),
        next_attempt_at=now + backoff(SOON, intent.refusals, LONGEST_UNREADABLE),
        refusals=intent.refusals + 1,
    )
    return Ending(later, str(failure), failure.code, is_news=False)


def not_shown_yet(intent: Intent, until: datetime) -> Ending:
    """What was made a moment ago is not there: that proves nothing before Alma shows it."""
    later = replace(intent, next_attempt_at=until, last_error="made just now, not shown yet")
    return Ending(later, "made just now, not shown yet", is_news=False)


def failed(intent: Intent, failure: AlmaFailure, now: datetime, settle: timedelta) -> Ending:
    """The write did not answer as promised: nothing happened, or nobody knows."""
    told = str(failure)
    if failure.kind is FailureKind.REFUSED:
        told = f"{failure.code}: {blocked_by(failure).sentence}"
    intent = _with_failure(intent, failure)
    if failure.nothing_happened or failure.kind is FailureKind.CREDENTIALS:
        again_at = now + _AGAIN_AFTER.get(failure.kind, FIRST_RETRY)
        again = replace(intent, state=IntentState.PLANNED, next_attempt_at=again_at)
        return Ending(again, f"nothing was done: {told}", failure.code, is_news=False)
    return ambiguous(intent, told, now, settle)


def _with_failure(intent: Intent, failure: AlmaFailure) -> Intent:
    return replace(
        intent,
        last_error=str(failure),
        last_code=failure.code,
        tracking_id=failure.tracking_id,
    )


def ambiguous(
    intent: Intent, told: str, now: datetime, settle: timedelta, code: str | None = None
) -> Ending:
    """It may have happened. Alma is asked after `settle`, when its reads have caught up.

    `code` is the refusal that said so.
    """
    waiting = replace(
        intent,
        state=IntentState.AMBIGUOUS,
        ambiguities=intent.ambiguities + 1,
        next_attempt_at=now + settle,
        last_error=told,
        last_code=code or intent.last_code,
    )
    return Ending(waiting, f"may have been done, to be looked at after {settle}: {told}")


def still_missing(intent: Intent, now: datetime) -> Ending | None:
    """A second ambiguity whose effect cannot be found is a person's to settle."""
    if intent.may_have_happened and intent.ambiguities >= MOST_AMBIGUITIES:
        if intent.kind in ADVISORY:
            sight = Blocked("not_kept", "sent twice, and Alma does not show it")
            return blocked(replace(intent, ambiguities=0), sight, now, None)
        told = "sent twice without a clear answer, and not to be found"
        parked = replace(intent, state=IntentState.PARKED, next_attempt_at=None, last_error=told)
        reason = ParkReason.AMBIGUOUS_TWICE
        return Ending(parked, told, reason, park=reason)
    return None


def is_refusal(failure: AlmaFailure) -> bool:
    """Whether Alma itself said no, so that nothing happened."""
    return failure.kind is FailureKind.REFUSED and failure.code not in MAY_HAVE_HAPPENED
