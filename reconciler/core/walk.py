"""Hop by legal hop over the table, on one set of evidence, until no row fires."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from reconciler.core.evidence.finding import Fact, Finding
from reconciler.core.status import DcbStatus
from reconciler.core.transitions import MAX_HOPS, Transition, rows_from
from reconciler.core.view.look import View


@dataclass(slots=True)
class Findings:
    """The facts of one look. Each is established once, however many rows ask for it."""

    view: View
    known: dict[Fact, Finding] = field(default_factory=dict)

    def of(self, fact: Fact) -> Finding:
        if fact not in self.known:
            self.known[fact] = fact(self.view)
        return self.known[fact]

    def ahead(self, status: DcbStatus) -> Iterator[tuple[Transition, Fact, Finding]]:
        """Every fact that a row of this status stands on, row by row; action rows come last."""
        for row in rows_from(status, self.view.transaction.workflow):
            for fact in (row.own, *row.implied_by):
                yield row, fact, self.of(fact)


@dataclass(frozen=True, slots=True)
class Step:
    """A row that fired, and the fact it fired on: its own, or a later one that implies it."""

    row: Transition
    target: DcbStatus
    fact: Fact
    finding: Finding

    @property
    def inferred(self) -> bool:
        return self.fact is not self.row.own


def walk(findings: Findings) -> tuple[Step, ...]:
    """The steps that the evidence allows from where the transaction stands.

    Raises AssertionError if the table should loop: that is a defect of the table, and firing
    anything on it would be a guess.
    """
    steps: list[Step] = []
    status = findings.view.transaction.status
    for _ in range(MAX_HOPS):
        step = _next_step(findings, status)
        if step is None or (steps and step.row.alone):
            return tuple(steps)
        steps.append(step)
        status = step.target
    raise AssertionError(f"the transition table loops at {status}")


def _next_step(findings: Findings, status: DcbStatus) -> Step | None:
    return next(
        (
            Step(row, row.target, fact, finding)
            for row, fact, finding in findings.ahead(status)
            if row.target is not None and finding.holds
        ),
        None,
    )


def stands_at(findings: Findings, steps: tuple[Step, ...]) -> DcbStatus:
    """The status after these steps."""
    return steps[-1].target if steps else findings.view.transaction.status
