"""The instants that stand for all others: what a rule can ask of an instant is how old it is."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

NOW = datetime(2026, 11, 25, 9, 0, tzinfo=UTC)
"""When every look is made. Time passes by making all that is remembered older."""

SETTLE = timedelta(seconds=60)
A_SECOND = timedelta(seconds=1)
STEP = timedelta(hours=13)
"""What passes between two looks that are not made at once: more than `settle`, more than the
longest wait of a refused effect (12 h), less than a day."""

LONG = timedelta(days=31)
"""What passes when nobody looks for long: more than a returned loan is kept (7 d)."""

JUST_NOW = NOW - A_SECOND
EARLIER = NOW - STEP
LONG_AGO = NOW - LONG
SOON = NOW + SETTLE
FAR = NOW + LONG


def due_at(periods: int) -> datetime:
    """A loan's due date; it never comes nearer, since no rule asks how near it is."""
    return NOW + timedelta(days=400 + 20 * periods)


def due_periods(at: datetime) -> int:
    return round((at - NOW) / timedelta(days=20)) - 20


def record_at(stamp: int, *, old: bool) -> datetime:
    """When one of our own records began: ordered by its stamp, before anything seen of it."""
    since = LONG_AGO if old else EARLIER - timedelta(hours=1)
    return since - timedelta(hours=1) + timedelta(minutes=stamp)


def stamp_of(at: datetime) -> tuple[int, bool]:
    """The stamp of a record that began then, and whether that is long ago."""
    old = at < NOW - timedelta(days=7)
    return round((at - record_at(0, old=old)) / timedelta(minutes=1)), old


AT_ONCE, ASKED_BACK = A_SECOND, timedelta(seconds=61)
"""How soon the next look is due: at once after an effect, or sooner than usual."""
