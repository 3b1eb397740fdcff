"""What a person has to see to: no change of status, a mark with a reason code and advice.

The journey goes on being read, and its status goes on following the book; effects wait until a
person has said `retry`, which acknowledges this very sight of it. Source: workflow.md §3,
"attention".
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum

from reconciler.core.mapping import (
    CLAIMED_LOAN_PROCESSES,
    LOST_LOAN_PROCESSES,
    NOT_FOUND_CODES,
    Subject,
    normalise,
)
from reconciler.core.model import Evidence
from reconciler.core.ours import MISMATCH
from reconciler.core.status import (
    BOOK_AWAY,
    ENDED,
    TERMINAL,
    DcbStatus,
    ItemState,
    LoanState,
    RequestState,
    Resource,
    Role,
)
from reconciler.core.view import Side, View


class ParkReason(StrEnum):
    """Stable codes of why a transaction waits for a person."""

    ITEM_LOST = "item_lost"
    CLAIMED_RETURNED = "claimed_returned"
    ITEM_UNAVAILABLE = "item_unavailable"
    ITEM_ABSENT = "item_absent"
    ITEM_MISMATCH = "item_mismatch"
    USER_ABSENT = "user_absent"
    LOAN_NOT_OURS = "loan_not_ours"
    UNKNOWN_WORD = "unknown_word"
    BY_HAND = "by_hand"


STAFF_ADVICE: dict[ParkReason, str] = {
    ParkReason.ITEM_LOST: (
        "The library marked the item as lost or missing. Search for it; when it is found, scan it "
        "in. If it stays lost, settle it between the libraries and close the transaction by hand."
    ),
    ParkReason.CLAIMED_RETURNED: (
        "The reader says that the book was returned. Look on the shelves of both libraries; scan "
        "it in where it is found, then retry."
    ),
    ParkReason.ITEM_UNAVAILABLE: (
        "The item is in a work order or another process that is not part of a lend. Finish that "
        "process in Alma (scan the item out of the department), then retry."
    ),
    ParkReason.ITEM_ABSENT: (
        "Alma does not know this item any more. It may have been withdrawn, moved to another "
        "record or merged. Find the book by its barcode and correct the record."
    ),
    ParkReason.ITEM_MISMATCH: (
        "The item that Alma shows is not the one that this transaction follows. Two items may "
        "share a barcode, or the request was moved to another copy. Compare them in Alma."
    ),
    ParkReason.USER_ABSENT: (
        "Alma does not know this user any more. The account may have been deleted or merged; find "
        "the account that took its place."
    ),
    ParkReason.LOAN_NOT_OURS: (
        "The item is on loan to somebody else than the reader who asked for it. Check the loan at "
        "the desk that made it."
    ),
    ParkReason.UNKNOWN_WORD: (
        "Alma used a word that we do not know, and we do not guess. Look at the record in Alma; "
        "report the word to us so that it can be mapped; then retry."
    ),
    ParkReason.BY_HAND: "A person set this aside; the reason is in the history.",
}
"""What staff do about each reason, shown by `explain`."""


@dataclass(frozen=True, slots=True)
class Attention:
    """One thing that a person has to see to. `key` names this very sight of it."""

    reason: ParkReason
    detail: str
    evidence: tuple[Evidence, ...] = ()

    @property
    def key(self) -> str:
        words = ",".join(f"{each.role}.{each.resource}={each.raw}" for each in self.evidence)
        return f"{self.reason}:{words or self.detail}"


def find_attention(view: View, status: DcbStatus) -> Attention | None:
    """The first thing that needs a person at this status, most telling first."""
    if status in TERMINAL or status in ENDED:
        return None
    sides = [side for role in Role if (side := view.side(role)) is not None]
    checks = (*CHECKS, *CHECKS_WHILE_AWAY) if status in BOOK_AWAY else CHECKS
    return next((found for check in checks for side in sides for found in check(side)), None)


def _lost(side: Side) -> Iterator[Attention]:
    process = normalise(side.loan.process) if side.loan else ""
    if side.loan_state is LoanState.COMPLETE:
        return
    if side.item_state is ItemState.LOST or process in LOST_LOAN_PROCESSES:
        resource = Resource.ITEM if side.item_state is ItemState.LOST else Resource.LOAN
        yield _about(ParkReason.ITEM_LOST, side, resource, "the item is lost or missing")


def _claimed(side: Side) -> Iterator[Attention]:
    process = normalise(side.loan.process) if side.loan else ""
    if side.loan_state is LoanState.COMPLETE:
        return
    if side.item_state is ItemState.CLAIMED_RETURNED or process in CLAIMED_LOAN_PROCESSES:
        claimed_item = side.item_state is ItemState.CLAIMED_RETURNED
        resource = Resource.ITEM if claimed_item else Resource.LOAN
        yield _about(
            ParkReason.CLAIMED_RETURNED, side, resource, "the reader claims to have returned it"
        )


def _unavailable(side: Side) -> Iterator[Attention]:
    if side.item_state is ItemState.UNAVAILABLE:
        yield _about(
            ParkReason.ITEM_UNAVAILABLE, side, Resource.ITEM, "the item is in another process"
        )


def _absent(side: Side) -> Iterator[Attention]:
    if side.item_state is ItemState.ABSENT:
        yield _about(ParkReason.ITEM_ABSENT, side, Resource.ITEM, "Alma knows no such item")


def _mismatch(side: Side) -> Iterator[Attention]:
    for resource, seen in (
        (Resource.ITEM, side.seen.item),
        (Resource.REQUEST, side.seen.request),
        (Resource.LOAN, side.seen.loan),
    ):
        if seen.code == MISMATCH:
            what = f"Alma answered with another {resource} than the one asked for"
            yield Attention(ParkReason.ITEM_MISMATCH, f"at the {side.role}: {what}")


def _user_absent(side: Side) -> Iterator[Attention]:
    codes = {side.seen.request.code, side.seen.loan.code}
    if codes & NOT_FOUND_CODES[Subject.USER]:
        yield Attention(ParkReason.USER_ABSENT, f"the {side.role}'s user is unknown there")


def _loan_not_ours(side: Side) -> Iterator[Attention]:
    virtual = side.role is not Role.SUPPLIER
    if virtual and side.seen.loaned_to_other and side.item_state is ItemState.LOANED:
        yield _about(
            ParkReason.LOAN_NOT_OURS, side, Resource.ITEM, "the item is on loan to somebody else"
        )


def _unknown_word(side: Side) -> Iterator[Attention]:
    unknown = {
        Resource.ITEM: side.item_state is ItemState.UNKNOWN,
        Resource.REQUEST: side.request_state is RequestState.UNKNOWN,
        Resource.LOAN: side.loan_state is LoanState.UNKNOWN,
    }
    for resource, is_unknown in unknown.items():
        if is_unknown:
            yield _about(
                ParkReason.UNKNOWN_WORD, side, resource, f"the {resource} has an unknown word"
            )


def _about(reason: ParkReason, side: Side, resource: Resource, what: str) -> Attention:
    evidence = side.evidence(resource)
    raw = f" ({evidence[0].raw})" if evidence and evidence[0].raw else ""
    return Attention(reason, f"at the {side.role}: {what}{raw}", evidence)


Check = Callable[[Side], Iterator[Attention]]

CHECKS: tuple[Check, ...] = (
    _mismatch,
    _lost,
    _claimed,
    _absent,
    _user_absent,
    _loan_not_ours,
    _unknown_word,
)
CHECKS_WHILE_AWAY: tuple[Check, ...] = (_unavailable,)
"""Before the book has left, "unavailable" is only a lender that cannot send it yet."""
