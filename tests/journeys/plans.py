"""What is going to happen to a book if nothing comes between: drawn before the journey begins."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum

from reconciler.core.status import Workflow
from tests.journeys.chance import Chance

ALMAS = ("uni-a", "uni-b", "uni-c")
EXTERNAL = "ext"

WORKFLOWS = {
    Workflow.STANDARD: 0.62,
    Workflow.PICKUP_ANYWHERE: 0.14,
    Workflow.EXPEDITED: 0.12,
    Workflow.LOCAL: 0.12,
}

MISCHIEF = {
    "": 0.55,
    "blocked at the lender": 0.05,
    "expired at the lender": 0.04,
    "bib overlaid": 0.04,
    "work order before it leaves": 0.05,
    "work order at home": 0.05,
    "lost by the reader": 0.03,
    "lost on the way out": 0.02,
    "work order at the pickup library": 0.05,
    "reader renamed": 0.04,
    "reader merged": 0.04,
    "reader deleted": 0.04,
}


class Oddity(StrEnum):
    """What people do beside, each by itself; as it is told of a book that went through it."""

    CHARGED_AGAIN = "charged again"
    CHECKED_IN_BY_MISTAKE = "checked in by mistake"
    MISTAKE_CORRECTED = "mistake corrected"
    PAID_FOR = "paid for as lost"
    PAID_AT_LENDER = "paid for at the lender"
    REISSUED_BY_LENDER = "hold placed anew at the lender"
    REISSUED_AT_HOME = "hold placed anew at home"
    LOCAL_READER_FIRST = "a local reader was served first"
    WALK_IN = "refused and lent to a walk-in"
    REPAIR = "refused and sent to repair"
    AFTER_ALL = "collected after all"
    BROUGHT_TO_LENDER = "brought to the lender"
    HOME_AT_ONCE = "home at once"


SELDOM: dict[Oddity, float] = {
    Oddity.CHARGED_AGAIN: 0.06,
    Oddity.CHECKED_IN_BY_MISTAKE: 0.05,
    Oddity.MISTAKE_CORRECTED: 0.7,  # of those
    Oddity.PAID_FOR: 0.4,  # of what readers lost
    Oddity.PAID_AT_LENDER: 0.02,
    Oddity.REISSUED_BY_LENDER: 0.05,
    Oddity.REISSUED_AT_HOME: 0.04,
    Oddity.LOCAL_READER_FIRST: 0.04,
    Oddity.WALK_IN: 0.3,  # of what was refused
    Oddity.REPAIR: 0.2,
    Oddity.AFTER_ALL: 0.4,  # of what was not collected
    Oddity.BROUGHT_TO_LENDER: 0.03,
    Oddity.HOME_AT_ONCE: 0.05,
}

OF_THE_READER = frozenset({"reader renamed", "reader merged", "reader deleted"})


@dataclass(frozen=True)
class Plan:
    workflow: Workflow
    lender: str
    home: str
    pickup: str
    starts_after: timedelta
    cancels_after: timedelta | None
    """When the reader changes his mind; None if he does not."""
    lender_refuses: bool
    asks_next: bool
    """Whether the caller asks another lender once the first has refused."""
    collects: bool
    renews: int
    claims_returned: bool
    next_reader_after: timedelta | None
    """When a local reader of the lender asks for the same book."""
    mischief: str
    found_again: bool
    pace: float
    """How slowly people act: 1.0 is a quick library."""
    oddities: frozenset[Oddity] = frozenset()

    @property
    def roles(self) -> dict[str, str]:
        """The library system of each role that this workflow has."""
        legs = {"supplier": self.lender, "borrower": self.home}
        if self.workflow is Workflow.PICKUP_ANYWHERE:
            legs["pickup"] = self.pickup
        return {"supplier": self.lender} if self.workflow is Workflow.LOCAL else legs


def draw(chance: Chance, spread: timedelta) -> Plan:
    workflow = chance.by_weight(WORKFLOWS)
    lender = chance.one_of(ALMAS)
    home, third = [code for code in ALMAS if code != lender][:: chance.one_of((1, -1))]
    outside = chance.by_weight({"": 0.76, "lender": 0.08, "home": 0.08, "third": 0.08})
    if workflow is not Workflow.LOCAL:
        lender = EXTERNAL if outside == "lender" else lender
        home = EXTERNAL if outside == "home" else home
        third = EXTERNAL if outside == "third" else third
    else:
        home = lender
    pickup = {
        Workflow.STANDARD: home,
        Workflow.PICKUP_ANYWHERE: third,
        Workflow.EXPEDITED: lender,
        Workflow.LOCAL: lender,
    }[workflow]
    return Plan(
        workflow=workflow,
        lender=lender,
        home=home,
        pickup=pickup,
        starts_after=spread * chance.between(0, 1),
        cancels_after=chance.days(0, 9) if chance.odds(0.14) else None,
        lender_refuses=chance.odds(0.08),
        asks_next=chance.odds(0.8),
        collects=chance.odds(0.92),
        renews=chance.by_weight({0: 0.8, 1: 0.15, 2: 0.05}),
        claims_returned=chance.odds(0.04),
        next_reader_after=chance.days(0, 15) if chance.odds(0.15) else None,
        mischief=chance.by_weight(MISCHIEF),
        found_again=chance.odds(0.6),
        pace=chance.by_weight({0.05: 0.2, 1.0: 0.6, 2.0: 0.2}),
    )


def draw_oddities(chance: Chance) -> frozenset[Oddity]:
    return frozenset(what for what, likely in SELDOM.items() if chance.odds(likely))


def draw_next(chance: Chance, plan: Plan, tried: list[str]) -> Plan | None:
    """The same wish of another Alma's copy; None when none is left to ask."""
    left = [code for code in ALMAS if code != plan.home and code not in tried]
    if not left:
        return None
    lender = chance.one_of(left)
    pickup = lender if plan.workflow is Workflow.EXPEDITED else plan.pickup
    workflow = Workflow.PICKUP_ANYWHERE
    if pickup == lender:
        workflow = Workflow.EXPEDITED
    elif pickup == plan.home:
        workflow = Workflow.STANDARD
    return replace(
        plan,
        workflow=workflow,
        lender=lender,
        pickup=pickup,
        lender_refuses=chance.odds(0.15),
        next_reader_after=None,
    )
