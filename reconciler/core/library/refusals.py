"""What Alma's refusals of a write mean: there already, maybe done, curable by time or not.

Source: alma-api.md §3.6, §4.3, §5.5, §6, §12; reliability.md §2. Codes are matched, never texts.
"""

from __future__ import annotations

from dataclasses import dataclass

ALREADY_THERE = frozenset({"401851", "401136", "400042"})
"""User, request or loan exists: after our own open intent that is a probable success."""

MAY_HAVE_HAPPENED = frozenset({"401652", "60101", "402119", "402504"})
"""Catch-all errors that also come after the work was done."""


@dataclass(frozen=True, slots=True)
class RefusalRule:
    """What a code means to staff, and whether trying again later can help."""

    curable: bool
    sentence: str


REFUSALS: dict[str, RefusalRule] = {
    "401129": RefusalRule(True, "no copy can fulfil this request"),
    "401136": RefusalRule(False, "the patron has an active request for this item already"),
    "401684": RefusalRule(False, "Alma cannot find the item"),
    "401683": RefusalRule(False, "Alma cannot find the item"),
    "60328": RefusalRule(False, "Alma cannot find the item"),
    "401891": RefusalRule(False, "Alma does not know the pickup library"),
    "401895": RefusalRule(False, "Alma does not know the pickup desk"),
    "401151": RefusalRule(False, "the user has no active patron role"),
    "401153": RefusalRule(False, "items of this library cannot be loaned at this desk"),
    "401651": RefusalRule(False, "the item is not loanable"),
    "401652": RefusalRule(True, "Alma names no reason; the work may be done all the same"),
    "401664": RefusalRule(False, "Alma misses something that it must be told; its words say what"),
    "401158": RefusalRule(False, "the item is on loan to somebody else"),
    "401161": RefusalRule(True, "the patron has reached the loan limit"),
    "401163": RefusalRule(True, "the patron is blocked"),
    "401201": RefusalRule(True, "the patron is blocked"),
    "401168": RefusalRule(True, "the patron's card has expired"),
    "401198": RefusalRule(True, "the patron has another copy of this title on loan"),
    "401681": RefusalRule(False, "the due date is in the past"),
    "401822": RefusalRule(True, "the loan cannot be renewed"),
    "401823": RefusalRule(False, "Alma does not know the loan"),
    "401849": RefusalRule(True, "the item is on loan or requested"),
    "401850": RefusalRule(True, "the user has loans or fees"),
    "401851": RefusalRule(False, "another user has one of these identifiers"),
    "401852": RefusalRule(False, "Alma does not know the user group"),
    "401861": RefusalRule(False, "Alma does not know the user"),
    "401890": RefusalRule(False, "Alma does not know the user"),
    "401863": RefusalRule(False, "Alma does not know the identifier type"),
    "401864": RefusalRule(False, "Alma does not know a type of the record"),
    "401873": RefusalRule(True, "Alma refuses the request"),
    "40166404": RefusalRule(False, "Alma does not accept a field of the item"),
    "40166415": RefusalRule(
        False,
        "Alma misses the circulation desk: set circ_desk of this library to one that it has",
    ),
    "402502": RefusalRule(True, "the scan failed"),
    "4022020": RefusalRule(True, "the bib cannot be deleted yet"),
    "60212": RefusalRule(True, "the holding cannot be deleted yet"),
    "60214": RefusalRule(True, "the holding still has items"),
    "60258": RefusalRule(False, "the key's restriction profile forbids it"),
    "60340": RefusalRule(False, "the API is restricted for this library"),
    "NOT_FOUND": RefusalRule(
        False, "Alma knows no such address: one of the ids or the base_url is not well-formed"
    ),
}

UNKNOWN_REFUSAL = RefusalRule(False, "Alma refuses, with a code that we do not know")


def refusal_rule(code: str | None) -> RefusalRule:
    """What a refusal means; one that we do not know needs a person."""
    return REFUSALS.get(code or "", UNKNOWN_REFUSAL)
