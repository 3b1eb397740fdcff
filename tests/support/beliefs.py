"""Another fact in the place of one of the table's, for a test of what catches a wrong rule."""

from __future__ import annotations

import pytest

from reconciler.core.evidence.finding import Fact, Finding
from reconciler.core.walk import Findings


def believe(patch: pytest.MonkeyPatch, fact: Fact, instead: Fact) -> None:
    """Every row that stands on `fact` stands on `instead`."""
    established = Findings.of

    def of(findings: Findings, asked: Fact) -> Finding:
        return established(findings, instead if asked is fact else asked)

    patch.setattr(Findings, "of", of)
