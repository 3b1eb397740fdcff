"""The checks of the journeys can fail: each of these services is broken, and is caught.

And a month can be played again: the same seed, the same month.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.evidence import homeward, outward
from reconciler.core.evidence.finding import Finding, Verdict
from reconciler.core.status import EffectKind
from reconciler.core.view.leg_view import LegView
from reconciler.engine.effects.verbs import VERBS
from reconciler.engine.effects.work import Made, Sight, Work, gone
from tests.journeys import checks
from tests.journeys.month import Month
from tests.journeys.summary import summary
from tests.support.beliefs import believe

FEW = 16

pytestmark = pytest.mark.timeout(600)


async def played(folder: Path, seed: int = 1, number: int = 1) -> Month:
    month = Month(seed, number, FEW, folder)
    await month.play()
    return month


def believes_the_way_out(patch: pytest.MonkeyPatch) -> None:
    """Takes any sight of the lender's item for the book's return."""
    believe(patch, homeward.supplier_home, lambda _: Finding(Verdict.HOLDS, "surely"))


def believes_any_loan(patch: pytest.MonkeyPatch) -> None:
    """Takes a book on the hold shelf for lent."""
    believe(patch, outward.pickup_loaned, outward.pickup_on_shelf)


def forgets_bibs(patch: pytest.MonkeyPatch) -> None:
    """Says that bibs are removed and removes none."""

    class Forgets(type(VERBS[EffectKind.VIRTUAL_BIB_REMOVED])):  # type: ignore[misc]
        async def look(self, work: Work) -> Sight:
            return Made(gone(work.thing), note="surely")

    patch.setitem(VERBS, EffectKind.VIRTUAL_BIB_REMOVED, Forgets())


def waits_for_people(patch: pytest.MonkeyPatch) -> None:
    """Takes every hold that ended for one of which Alma tells no more."""
    patch.setattr(LegView, "end_is_forgotten", True)


BROKEN: dict[Callable[[pytest.MonkeyPatch], None], str] = {
    believes_the_way_out: "COMPLETED before the book came home",
    believes_any_loan: "became LOANED, but the book never",
    forgets_bibs: "left behind",
    waits_for_people: "closed without knowing how they went",
}


@pytest.mark.parametrize("breaks", BROKEN, ids=lambda each: each.__name__)
async def test_a_broken_service_is_caught(
    breaks: Callable[[Any], None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    breaks(monkeypatch)
    month = await played(tmp_path)
    wrong = [*checks.problems(month)]
    assert any(BROKEN[breaks] in each for each in wrong), wrong


async def test_the_same_seed_plays_the_same_month(tmp_path: Path) -> None:
    told = []
    for name in ("once", "again"):
        folder = tmp_path / name
        folder.mkdir()
        told.append(summary(await played(folder, number=3)))
    assert told[0] == told[1]
