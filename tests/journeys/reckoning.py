"""What thirty days with trouble came to: who was late, who was alarmed, what was left behind."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import timedelta

from reconciler.core.status import HistoryKind
from tests.journeys.month import START
from tests.journeys.punctuality import Seen
from tests.journeys.troubled import Said, TroubledMonth
from tests.journeys.troubles import (
    AFTERMATH,
    ClockSet,
    DaySpent,
    Outage,
    Restart,
    Slow,
    Storm,
    Trouble,
)
from tests.support.timeline import RESOLUTION

LATEST = 2.0
"""Intervals by which a look at a library without trouble of its own may be late."""

RECOVERED_WITHIN: dict[type[Trouble], float] = {Outage: 5, Storm: 5, DaySpent: 5, Restart: 5}
"""Minutes after its end until the trouble is over for the service as well."""

CAUGHT_UP_WITHIN = 15.0
"""Minutes after its end until everything was looked at that had to wait for it."""

PROBES_A_MINUTE = 1.0
"""Calls that a library in a storm may get at most, on average, once the storm was met."""

WRITTEN_WITHIN = timedelta(minutes=5)
"""So long may a look take that was under way when the clock was set."""

BACK = {Restart: "ready again"}


@dataclass(frozen=True)
class Span:
    """A trouble in true seconds, and how long after its end it may still be felt."""

    trouble: Trouble
    begins: float
    ends: float

    @property
    def over(self) -> float:
        return self.ends + AFTERMATH.total_seconds()


def spans(m: TroubledMonth) -> Iterator[Span]:
    for trouble in m.troubles:
        if trouble in m.ended:
            yield Span(trouble, trouble.begins.total_seconds() - RESOLUTION, m.ended[trouble])


def of_others(m: TroubledMonth, span: Span) -> dict[str, list[Seen]]:
    """The looks during a trouble, by tenants that had none of their own."""
    found: dict[str, list[Seen]] = defaultdict(list)
    for look in m.looks.between(span.begins, span.over):
        if look.tenant != span.trouble.at:
            found[look.tenant].append(look)
    return dict(sorted(found.items()))


def _was_just_set(span: Span, at: float) -> bool:
    """What was under way then promised by the old time; it is pulled in a moment later, or late."""
    just = span.begins + WRITTEN_WITHIN.total_seconds()
    return isinstance(span.trouble, ClockSet) and span.begins <= at <= just


# --- what must be true ---------------------------------------------------------


def problems(m: TroubledMonth) -> Iterator[str]:
    """All of these, a line each."""
    for check in (lateness, parked, alarms, recovery, restraint):
        yield from check(m)


def lateness(m: TroubledMonth) -> Iterator[str]:
    """Nobody is late for somebody else's trouble, and nobody puts things off to be punctual."""
    for span in spans(m):
        for looks in of_others(m, span).values():
            worst = max(looks, key=lambda look: look.intervals_late)
            if worst.intervals_late > LATEST:
                yield (
                    f"late by {worst.intervals_late:.1f} intervals ({worst.late / 60:.0f} min) in "
                    f"the {span.trouble.name}: {worst.id} of {worst.tenant} on {_on(worst.at)}"
                )
    for at, told in m.looks.put_off:
        if not any(_was_just_set(span, at) for span in spans(m)):
            yield f"put off on {_on(at)}: {told}"
    now = m.seconds(m.now())
    yield from (f"never looked at again: {id}" for id, late in m.looks.never(now) if late > 3600)


def parked(m: TroubledMonth) -> Iterator[str]:
    """Nothing waits for a person: nothing happened that people would have to see to."""
    for book in m.books:
        if book.placed:
            for entry in m.app.store.history(m.stored(book).id):
                if entry.kind is HistoryKind.ATTENTION:
                    yield f"{book.id}: parked on {entry.at:%d %H:%M}: {entry.detail}"


def alarms(m: TroubledMonth) -> Iterator[str]:
    """One for each trouble that is worth one, and no others."""
    left = [each for each in m.records if each.level in ("ERROR", "CRITICAL")]
    for span in spans(m):
        its = [each for each in left if _is_of(each, span)]
        left = [each for each in left if each not in its]
        wanted = 1 if isinstance(span.trouble, Outage | DaySpent | Restart) else 0
        if len(its) != wanted:
            told = "; ".join(map(str, its))
            yield f"{len(its)} alarms instead of {wanted} for the {span.trouble.name}: {told}"
    yield from (f"an alarm for nothing: {each}" for each in left)


def _is_of(said: Said, span: Span) -> bool:
    about = said.bound.get("host_lms", "") or said.bound.get("tenant", "")
    return about == span.trouble.at and span.begins <= said.at <= span.over


def recovery(m: TroubledMonth) -> Iterator[str]:
    for span in spans(m):
        allowed = RECOVERED_WITHIN.get(type(span.trouble))
        if allowed is None:
            continue
        back = back_after(m, span)
        if back is None or back > allowed:
            yield f"the {span.trouble.name} is over, noticed after {_minutes(back)}"
        caught_up = caught_up_after(m, span)
        if caught_up > CAUGHT_UP_WITHIN:
            yield f"the {span.trouble.name} is over, made up for after {_minutes(caught_up)}"


def back_after(m: TroubledMonth, span: Span) -> float | None:
    """Minutes after the end until it was known to be over; None if it never was."""
    words = BACK.get(type(span.trouble), "library is back")
    at = [
        each.at
        for each in m.records
        if each.message == words and each.at >= span.ends and _is_of(each, span)
    ]
    return (min(at) - span.ends) / 60 if at else None


def caught_up_after(m: TroubledMonth, span: Span) -> float:
    """Minutes after the end until what had failed, or was due, was looked at with success."""
    failing = {look.id: look.failed for look in m.looks.seen if look.at <= span.ends}
    waited: dict[str, float] = {}
    for look in m.looks.seen:
        concerned = span.trouble.at in ("", *look.libraries)
        if concerned and look.at > span.ends and look.id not in waited and not look.failed:
            waits = failing.get(look.id, False) or look.due_at <= span.ends
            waited[look.id] = (look.at - span.ends) / 60 if waits else 0.0
    return max(waited.values(), default=0.0)


def restraint(m: TroubledMonth) -> Iterator[str]:
    """In a storm few calls are made; outside of one none is refused."""
    storms = [span for span in spans(m) if isinstance(span.trouble, Storm)]
    for span in storms:
        rate = calls_a_minute(m, span)
        if rate > PROBES_A_MINUTE:
            yield f"{rate:.1f} calls a minute in the {span.trouble.name}"
    for call in m.sandbox.calls:
        at = m.seconds(call.at)
        if call.status == 429 and not any(
            span.trouble.at == call.institution and span.begins <= at <= span.ends
            for span in spans(m)
        ):
            yield f"429 at {call.institution} on {_on(at)}, where nobody else called"


def calls_a_minute(m: TroubledMonth, span: Span) -> float:
    made = sum(
        call.institution == span.trouble.at and span.begins <= m.seconds(call.at) <= span.ends
        for call in m.sandbox.calls
    )
    return made / ((span.ends - span.begins) / 60)


# --- to be read ------------------------------------------------------------------


def table(m: TroubledMonth) -> str:
    """By trouble: each other tenant's looks and its worst lateness; how the trouble ended."""
    lines = [
        "trouble            at     other tenants: looks, worst lateness in minutes (intervals)"
    ]
    for span in spans(m):
        others = "   ".join(
            f"{tenant} {len(looks):3d}, {max(look.late for look in looks) / 60:4.1f} "
            f"({max(look.intervals_late for look in looks):.2f})"
            for tenant, looks in of_others(m, span).items()
        )
        name, hours = span.trouble.name, (span.ends - span.begins) / 3600
        lines.append(f"{name:<18} {span.trouble.at or '-':<6} {others}")
        lines.append(f"  {_on(span.begins + 1)}, {hours:.1f} h; {_ending(m, span)}")
    return "\n".join(lines)


def _ending(m: TroubledMonth, span: Span) -> str:
    parts = []
    if type(span.trouble) in RECOVERED_WITHIN:
        parts.append(f"known to be over after {_minutes(back_after(m, span))}")
    if not isinstance(span.trouble, Slow):
        parts.append(f"all made up for after {_minutes(caught_up_after(m, span))}")
    if span.trouble.at:
        parts.append(f"{calls_a_minute(m, span):.2f} calls a minute there")
    return ", ".join(parts)


def _minutes(minutes: float | None) -> str:
    return "never" if minutes is None else f"{minutes:.1f} min"


def _on(at: float) -> str:
    return f"{START + timedelta(seconds=at):day %-d %H:%M}"
