"""Alma's words and error codes to ours, as data. A word that is not here stays UNKNOWN with Alma's
own beside it.

Source: workflow.md §2, alma-api.md §3.2, §4.1, §5.2, and the recorded payloads. Descriptions are
never matched: they change with the language and over the years.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from reconciler.core.status import ItemState, LoanState, RequestState

ITEM_BY_PROCESS: dict[str, ItemState] = {
    "LOAN": ItemState.LOANED,
    "TRANSIT": ItemState.TRANSIT,
    "HOLDSHELF": ItemState.ON_HOLD_SHELF,
    "REQUESTED": ItemState.REQUESTED,
    "MISSING": ItemState.LOST,
    "LOST_LOAN": ItemState.LOST,
    "LOST_LOAN_AND_PAID": ItemState.LOST,
    "LOST_ILL": ItemState.LOST,
    "CLAIM_RETURNED_LOAN": ItemState.CLAIMED_RETURNED,
    "ACQ": ItemState.UNAVAILABLE,
    "TECHNICAL": ItemState.UNAVAILABLE,
    "WORK_ORDER_DEPARTMENT": ItemState.UNAVAILABLE,
    "ILL": ItemState.UNAVAILABLE,
    "TRANSIT_TO_REMOTE_STORAGE": ItemState.UNAVAILABLE,
}
"""`item_data.process_type`: decides wherever it is not blank."""

ITEM_BY_BASE_STATUS: dict[str, ItemState] = {
    "1": ItemState.IN_PLACE,
    "0": ItemState.UNAVAILABLE,
}
"""`item_data.base_status`: asked only when there is no process."""

REQUEST_BY_STATUS: dict[str, RequestState] = {
    "NOT_STARTED": RequestState.PLACED,
    "IN_PROCESS": RequestState.ACTIVE,
    "ON_HOLD_SHELF": RequestState.ON_HOLD_SHELF,
    "HISTORY": RequestState.CLOSED,
}
"""`request_status`, as a code or as a label ("In Process")."""

LOAN_BY_STATUS: dict[str, LoanState] = {
    "ACTIVE": LoanState.ACTIVE,
    "COMPLETE": LoanState.COMPLETE,
}
"""`loan_status`. A loan that is claimed returned or lost is still ACTIVE."""

LOST_LOAN_PROCESSES = frozenset({"LOST", "LOST_AND_PAID", "LOST_LOAN", "LOST_LOAN_AND_PAID"})
CLAIMED_LOAN_PROCESSES = frozenset({"CLAIMED_RETURN", "CLAIMED_RETURNED", "CLAIM_RETURNED_LOAN"})
"""`process_status` of a loan, the words that staff have to be told of (alma-api.md §4.1)."""

ACTIVE_WORD = "ACTIVE"
"""The status of a user, an identifier or a block that counts."""

NO_PRIMARY_ID = "NO_PRIMARY_ID"
"""How the text begins that Alma gives instead of the primary id of somebody who has none:
`no primary id (123456789023)` (issue 6 of scriptotek/php-alma-client; such users are contacts)."""


class Subject(StrEnum):
    """What a call asked for; which error codes mean "there is none" depends on it."""

    USER = "user"
    BIB = "bib"
    HOLDING = "holding"
    ITEM = "item"
    REQUEST = "request"
    LOAN = "loan"


NOT_FOUND_CODES: dict[Subject, frozenset[str]] = {
    Subject.USER: frozenset({"401861", "401890"}),
    Subject.BIB: frozenset({"402203", "402204"}),
    Subject.HOLDING: frozenset({"402203", "402204", "402208", "60213"}),
    Subject.ITEM: frozenset(
        {"401683", "401688", "401689", "402203", "402204", "40166411", "60328"}
    ),
    Subject.REQUEST: frozenset({"401694", "401697", "401907"}),
    Subject.LOAN: frozenset({"401823"}),
}
"""Alma's codes that prove absence (alma-api.md §2.2, §3.3, §3.7, §4.4, §5.3; fixtures 37).

The catch-all codes (401652, 60101, 402119) are not among them, and neither is a bare HTTP 404 or
the `NOT_FOUND` that comes with it: that is said of an address which is no address (§3.3).
"""

GENERAL_ERROR = "401652"
"""The only code documented for reading a request or an item that is gone (§3.5, §5.3)."""


def normalise(word: str | None) -> str:
    """Alma's code words without the accidents of case, blanks and labels; "" when absent."""
    return "_".join((word or "").split()).upper()


def is_an_id(word: str) -> bool:
    """Whether a user field names a user, and does not say that there is no id to name."""
    return not normalise(word).startswith(NO_PRIMARY_ID)


def item_state(base_status: str | None, process_type: str | None) -> tuple[ItemState, str]:
    """The canonical state and the raw "base/process" of an item that names at least one."""
    process, base = normalise(process_type), normalise(base_status)
    raw = f"{base}/{process}"
    if process:
        return ITEM_BY_PROCESS.get(process, ItemState.UNKNOWN), raw
    return ITEM_BY_BASE_STATUS.get(base, ItemState.UNKNOWN), raw


def request_state(request_status: str) -> tuple[RequestState, str]:
    word = normalise(request_status)
    return REQUEST_BY_STATUS.get(word, RequestState.UNKNOWN), request_status.strip()


def loan_state(loan_status: str, process_status: str | None) -> tuple[LoanState, str]:
    word, process = normalise(loan_status), normalise(process_status)
    raw = f"{word}/{process}" if process else word
    return LOAN_BY_STATUS.get(word, LoanState.UNKNOWN), raw


# --- refusals of a write (alma-api.md §3.6, §4.3, §5.5, §6, §12; reliability.md §2)

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
