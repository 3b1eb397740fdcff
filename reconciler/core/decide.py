"""`decide`: one snapshot and one look in, one decision out. Pure; it never reads a clock."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import datetime, timedelta

from reconciler.core.cadence import next_poll_at
from reconciler.core.effects import (
    EffectRow,
    goes_on_while_parked,
    handed_over,
    left_to_clear,
    overtaken,
    readers_due_at,
    wanted,
)
from reconciler.core.evidence.finding import Finding, Verdict
from reconciler.core.evidence.renewal import nobody_else_waits
from reconciler.core.lookahead import is_full
from reconciler.core.model import (
    Action,
    Decision,
    Effect,
    Hop,
    Observation,
    Parked,
    Policy,
    RuleVerdict,
    Transaction,
)
from reconciler.core.staff.attention import Attention, find_attentions
from reconciler.core.status import BOOK_AWAY, OVER, TERMINAL, DcbStatus, EffectKind, Role
from reconciler.core.transitions import Transition, rows_from
from reconciler.core.view.look import View
from reconciler.core.view.memory import (
    changes_of,
    ledger_after,
    remember,
    taken_over,
    with_due_date_wanted,
    with_hold_of_others,
)
from reconciler.core.walk import Findings, Step, stands_at, walk


def decide(
    transaction: Transaction, observation: Observation, now: datetime, policy: Policy
) -> Decision:
    """What this look leads to: hops to a fixed point, what is remembered, when to look again.

    A paused transaction is remembered but not moved. A parked one goes on being read and moved,
    since its status says where the book is; its effects wait for a person.
    """
    view = View.of(transaction, observation, now, policy)
    findings = Findings(view)
    steps = () if transaction.paused else walk(findings)
    status = stands_at(findings, steps)
    changes = changes_of(view)
    failed = any(observation.leg(role).failed for role in Role)
    after = replace(
        _after(view, steps),
        last_poll_at=now,
        last_full_poll_at=now if is_full(view) else transaction.last_full_poll_at,
        failures=transaction.failures + 1 if failed else 0,
        unchanged_looks=0 if steps or changes else transaction.unchanged_looks + 1,
    )
    taken = tuple(taken_over(transaction, after))
    hops = tuple(_hop(step, view, after) for step in steps)
    asked = tuple(effect for hop in hops for effect in hop.effects)
    actions: tuple[Action, ...] = ()
    if not transaction.paused:
        after, actions = _acted(after, view, asked)
    attentions = find_attentions(view, status)
    suspicion = attentions[0].look_again_in if attentions else None
    after, newly_parked = _attended(after, attentions, now)
    waits = (*_waits(findings, status), suspicion, *_attempts(after, now))
    wait = min((each for each in waits if each is not None), default=None)
    verdicts = _verdicts(findings, steps, status)
    after = replace(
        after,
        considered=tuple(_timeless(verdict) for verdict in verdicts),
        next_poll_at=next_poll_at(after, now, policy, wait),
    )
    things = (*ledger_after(transaction, taken), *handed_over(after))
    return Decision(
        transaction=after,
        hops=hops,
        changes=changes,
        verdicts=verdicts,
        newly_parked=newly_parked,
        actions=actions,
        clearing=left_to_clear(after, asked),
        things=things,
        taken_over=taken,
        withdrawn=overtaken(after),
    )


def _hop(step: Step, view: View, after: Transaction) -> Hop:
    """A step with the effects that it asks for, given what is remembered of this look."""
    row = step.row
    return Hop(
        rule=row.rule,
        source=row.source,
        target=step.target,
        inferred=step.inferred,
        because=step.finding.because,
        evidence=step.finding.evidence,
        effects=tuple(wanted(row.effects, after, view.policy)),
        outcome=row.outcome,
    )


def _after(view: View, steps: tuple[Step, ...]) -> Transaction:
    """The snapshot with this look remembered and the steps made."""
    before = view.transaction
    after = before.with_legs({leg.role: remember(leg, view) for leg in before.legs})
    for step in steps:
        after = _stepped(after, step, view.now)
    return after


def _stepped(transaction: Transaction, step: Step, now: datetime) -> Transaction:
    row, away = step.row, now if step.target in BOOK_AWAY else None
    return replace(
        transaction.with_legs(
            {
                leg.role: replace(leg, record_state=row.records.get(leg.role, leg.record_state))
                for leg in transaction.legs
            }
        ),
        status=step.target,
        previous_status=row.source,
        status_since=now,
        outcome=row.outcome or (transaction.outcome if step.target in OVER else None),
        dispatched_at=transaction.dispatched_at or away,
    )


def _acted(
    after: Transaction, view: View, asked: Iterable[Effect]
) -> tuple[Transaction, tuple[Action, ...]]:
    """What the action rows of the present status ask for, and the transaction with their notes.

    `asked` are the effects of this look's hops: a loan that is just being made is given its due
    date by the hop itself. Once nobody else waits for the book any more, the next one who does is
    news again.
    """
    if after.supplier.competing_hold_at is not None and nobody_else_waits(view.supplier):
        after = with_hold_of_others(after, None)
    for effect in asked:
        if effect.kind is EffectKind.RENEWED:
            after = with_due_date_wanted(after, effect.role, readers_due_at(after))
            view = _told_of_due_date(view, after, effect.role)
    taken = []
    for row in rows_from(after.status, after.workflow):
        if row.remembers is None:
            continue
        found = row.own(view)
        if found.holds:
            after = row.remembers(after, view)
            effects = tuple(_unless_under_way(row.effects, after, view.policy))
            taken.append(Action(row.rule, found.because, found.evidence, effects))
    return after, tuple(taken)


def _told_of_due_date(view: View, after: Transaction, role: Role) -> View:
    """The view in which this leg's loan was asked to run as long as the reader's."""
    side, leg = view.sides[role], after.leg(role)
    told = replace(side.leg, due_wanted_at=leg.due_wanted_at if leg else None)
    return replace(view, sides={**view.sides, role: replace(side, leg=told)})


def _unless_under_way(
    rows: Iterable[EffectRow], after: Transaction, policy: Policy
) -> Iterator[Effect]:
    """An effect of the same kind that is still open sees to the newest date by itself."""
    under_way = {(intent.kind, intent.role) for intent in after.intents if not intent.is_over}
    for effect in wanted(rows, after, policy):
        if (effect.kind, effect.role) not in under_way:
            yield effect


def _attended(
    after: Transaction, attentions: tuple[Attention, ...], now: datetime
) -> tuple[Transaction, Parked | None]:
    """Park on the first certain attention; at the end on none.

    What a person has said `retry` to parks again while its cause is in sight.
    """
    if after.status in TERMINAL:
        return replace(after, parked=None), None
    certain = (attention for attention in attentions if attention.look_again_in is None)
    attention = next(certain, None)
    if attention is None or after.parked:
        return after, None
    parked = Parked(attention.reason, attention.detail, now)
    return replace(after, parked=parked), parked


def _verdicts(
    findings: Findings, steps: tuple[Step, ...], status: DcbStatus
) -> tuple[RuleVerdict, ...]:
    """Every rule that fired, then every rule considered at the status where we stopped."""
    fired = tuple(
        RuleVerdict(step.row.rule, "fires", step.finding.because, step.finding.evidence)
        for step in steps
    )
    transaction = findings.view.transaction
    ahead = rows_from(status, transaction.workflow)
    return (
        *fired,
        *(_verdict(row, findings) for row in ahead),
    )


_WORDS = {Verdict.HOLDS: "fires", Verdict.WAITS: "waits", Verdict.NO: "no"}


def _said(rule: str, found: Finding) -> RuleVerdict:
    return RuleVerdict(rule, _WORDS[found.verdict], found.because, found.evidence)


def _verdict(row: Transition, findings: Findings) -> RuleVerdict:
    """Why a row did not fire: what it waits for, if anything; else why its own fact is not so."""
    found = [findings.of(fact) for fact in (row.own, *row.implied_by)]
    holding = next((each for each in found if each.holds), None)
    waiting = next((each for each in found if each.verdict is Verdict.WAITS), None)
    return _said(row.rule, holding or waiting or found[0])


def _timeless(verdict: RuleVerdict) -> RuleVerdict:
    """Without the instants, so that the same sight is stored as the same."""
    return replace(
        verdict, evidence=tuple(replace(each, seen_at=None) for each in verdict.evidence)
    )


def _attempts(after: Transaction, now: datetime) -> Iterator[timedelta]:
    """After how long an effect is tried again: a look does not put it off."""
    if after.paused:
        return
    for intent in after.intents:
        if after.parked and not goes_on_while_parked(intent, after):
            continue
        if intent.is_open and intent.next_attempt_at and intent.next_attempt_at > now:
            yield intent.next_attempt_at - now


def _waits(findings: Findings, status: DcbStatus) -> Iterator[timedelta | None]:
    """After how long a second look is asked for, by each fact that asks for one."""
    return (found.look_again_in for _, _, found in findings.ahead(status))
