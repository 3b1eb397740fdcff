"""Every word that a state can be: ours, and the canonical words that Alma's are mapped to.

A status is never a bare string outside this file and `mapping.py`. Named groups live here too,
so that a new status has to be placed in each of them (tests/architecture checks that they are
total). Source: workflow.md §1 and §2.
"""

from __future__ import annotations

from enum import StrEnum


class DcbStatus(StrEnum):
    """Where a transaction stands."""

    RESOLVED = "RESOLVED"
    REQUEST_PLACED_AT_SUPPLYING_AGENCY = "REQUEST_PLACED_AT_SUPPLYING_AGENCY"
    CONFIRMED = "CONFIRMED"
    REQUEST_PLACED_AT_BORROWING_AGENCY = "REQUEST_PLACED_AT_BORROWING_AGENCY"
    REQUEST_PLACED_AT_PICKUP_AGENCY = "REQUEST_PLACED_AT_PICKUP_AGENCY"
    PICKUP_TRANSIT = "PICKUP_TRANSIT"
    RECEIVED_AT_PICKUP = "RECEIVED_AT_PICKUP"
    READY_FOR_PICKUP = "READY_FOR_PICKUP"
    LOANED = "LOANED"
    RETURN_TRANSIT = "RETURN_TRANSIT"
    COMPLETED = "COMPLETED"
    FINALISED = "FINALISED"
    NOT_SUPPLIED_CURRENT_SUPPLIER = "NOT_SUPPLIED_CURRENT_SUPPLIER"
    AWAITING_RETURN_TO_SUPPLIER = "AWAITING_RETURN_TO_SUPPLIER"
    CANCELLED = "CANCELLED"
    HANDED_OFF_AS_LOCAL = "HANDED_OFF_AS_LOCAL"
    ERROR = "ERROR"
    """Accepted on import only: with us a fault is a mark on a status, never a status."""


class Role(StrEnum):
    """Whose library a leg of the journey is."""

    SUPPLIER = "supplier"
    BORROWER = "borrower"
    PICKUP = "pickup"


class Workflow(StrEnum):
    """Who takes part: see `Side` for where the reader collects the book."""

    STANDARD = "RET-STD"
    PICKUP_ANYWHERE = "RET-PUA"
    EXPEDITED = "RET-EXP"
    LOCAL = "RET-LOCAL"


class Side(StrEnum):
    """A library by what it does for the lend, whichever workflow that is."""

    LENDER = "lender"
    PICKUP = "pickup side"
    """Where the reader collects the book: the leg whose item, request and loan decide rows 6–9."""
    READER = "reader"
    """The reader's own library: its hold and loan are his also where he collects elsewhere."""

    def role(self, workflow: Workflow) -> Role:
        """Whose leg it is in a workflow."""
        if self is Side.READER:
            return Role.BORROWER
        if self is Side.LENDER or workflow in (Workflow.EXPEDITED, Workflow.LOCAL):
            return Role.SUPPLIER
        return Role.PICKUP if workflow is Workflow.PICKUP_ANYWHERE else Role.BORROWER


class Outcome(StrEnum):
    SUPPLIED = "SUPPLIED"
    NOT_SUPPLIED = "NOT_SUPPLIED"
    CANCELLED = "CANCELLED"
    UNKNOWN = "UNKNOWN"


class ItemState(StrEnum):
    IN_PLACE = "IN_PLACE"
    REQUESTED = "REQUESTED"
    TRANSIT = "TRANSIT"
    RECEIVED = "RECEIVED"
    """Only external libraries say this; Alma has no such word."""
    ON_HOLD_SHELF = "ON_HOLD_SHELF"
    LOANED = "LOANED"
    LOST = "LOST"
    CLAIMED_RETURNED = "CLAIMED_RETURNED"
    UNAVAILABLE = "UNAVAILABLE"
    ABSENT = "ABSENT"
    """Alma answered with a not-found code of the contract."""
    UNKNOWN = "UNKNOWN"
    """A word that the contract does not know; Alma's own stays beside it."""


class RequestState(StrEnum):
    PLACED = "PLACED"
    ACTIVE = "ACTIVE"
    ON_HOLD_SHELF = "ON_HOLD_SHELF"
    CLOSED = "CLOSED"
    """Ended, reason unknown: filled, cancelled and expired look alike in Alma."""
    CANCELLED = "CANCELLED"
    """Only external libraries say this; in Alma it has to be proved."""
    UNKNOWN = "UNKNOWN"


class LoanState(StrEnum):
    ACTIVE = "ACTIVE"
    COMPLETE = "COMPLETE"
    ABSENT = "ABSENT"
    """Alma knows no such loan, or no loan of ours stands in the list that was read."""
    UNKNOWN = "UNKNOWN"


class Resource(StrEnum):
    """What can be seen of a leg."""

    ITEM = "item"
    REQUEST = "request"
    LOAN = "loan"


class RecordState(StrEnum):
    """The seed's words for what our own record says of a leg once the book moved on."""

    ITEM_RETURNED = "ITEM_RETURNED"
    ITEM_AVAILABLE = "ITEM_AVAILABLE"
    AVAILABLE = "AVAILABLE"


class HistoryKind(StrEnum):
    TRANSITION = "transition"
    OBSERVATION = "observation"
    EFFECT = "effect"
    ATTENTION = "attention"
    COMMAND = "command"


class PauseScope(StrEnum):
    """What a pause stops."""

    TRANSACTION = "transaction"
    TENANT = "tenant"
    ALL = "all"


class EffectKind(StrEnum):
    """The ensure verbs of workflow.md §4; the role they act for stands beside the kind."""

    VIRTUAL_PATRON = "ensure_virtual_patron"
    SUPPLIER_HOLD = "ensure_supplier_hold"
    VIRTUAL_BIB = "ensure_virtual_bib"
    VIRTUAL_HOLDING = "ensure_virtual_holding"
    VIRTUAL_ITEM = "ensure_virtual_item"
    BORROWER_HOLD = "ensure_borrower_hold"
    PICKUP_HOLD = "ensure_pickup_hold"
    VIRTUAL_ITEM_IN_TRANSIT = "ensure_virtual_item_in_transit"
    SUPPLIER_LOAN = "ensure_supplier_loan"
    BORROWER_LOAN = "ensure_borrower_loan"
    RENEWED = "ensure_renewed"
    NO_RENEWAL = "ensure_no_renewal"
    """Beyond workflow.md's list: the note of row 16, an advice to staff and reader."""
    LOAN_CLOSED = "ensure_loan_closed"
    HOLD_CANCELLED = "ensure_hold_cancelled"
    VIRTUAL_ITEM_REMOVED = "ensure_virtual_item_removed"
    VIRTUAL_HOLDING_REMOVED = "ensure_virtual_holding_removed"
    VIRTUAL_BIB_REMOVED = "ensure_virtual_bib_removed"
    NOTIFY = "notify"


class CheckState(StrEnum):
    """What `doctor` says of each thing that it looks at."""

    PRESENT = "PRESENT"
    """Looked, and it is as it must be."""
    MISSING = "MISSING"
    """Looked, and it is not."""
    NOT_SET = "NOT SET"
    """The settings name nothing."""
    UNKNOWN = "UNKNOWN"
    """It could not be looked at: neither present nor missing."""


class ThingKind(StrEnum):
    """What a lend creates in an Alma; the ledger has a row for each."""

    VIRTUAL_PATRON = "virtual_patron"
    HOLD = "hold"
    BIB = "bib"
    HOLDING = "holding"
    ITEM = "item"
    LOAN = "loan"


class ThingState(StrEnum):
    PRESENT = "present"
    GONE = "gone"
    HANDED_OVER = "handed_over"
    """Not ours any more: somebody else's business from here on."""


class IntentState(StrEnum):
    """The life of an intended effect."""

    WITHHELD = "withheld"
    """The library is in `observe` mode: recorded and shown, never carried out."""
    PLANNED = "planned"
    SENT = "sent"
    """Written before the first byte goes out; after a crash it reads as ambiguous."""
    AMBIGUOUS = "ambiguous"
    REFUSED = "refused"
    """Alma said no for a reason that time can cure; retried on a slow schedule."""
    PARKED = "parked"
    DONE = "done"
    WITHDRAWN = "withdrawn"


class TenantState(StrEnum):
    """How a library stands with us: whether it may be called, and for what."""

    OPEN = "open"
    THROTTLED = "throttled"
    """It said that it was called too often in a second: a short pause, longer each time."""
    SHORT = "short of quota"
    """Fewer calls are left today than the reserve: effects go on, polling rests."""
    SPENT = "quota used up"
    OUTAGE = "outage"
    """Many calls failed alike, one after the other: it rests, and is probed slowly."""
    FROZEN = "frozen"
    """Much that was there is suddenly not found: nothing is concluded from it."""


OPEN_INTENTS = frozenset(
    {IntentState.PLANNED, IntentState.SENT, IntentState.AMBIGUOUS, IntentState.REFUSED}
)
"""An effect in one of these states still has to be carried out."""

TERMINAL = frozenset({DcbStatus.FINALISED, DcbStatus.HANDED_OFF_AS_LOCAL, DcbStatus.ERROR})
"""Nothing is read, fired or cleaned for these any more."""

LIVE = frozenset(DcbStatus) - TERMINAL

BOOK_AWAY = frozenset(
    {
        DcbStatus.PICKUP_TRANSIT,
        DcbStatus.RECEIVED_AT_PICKUP,
        DcbStatus.READY_FOR_PICKUP,
        DcbStatus.LOANED,
        DcbStatus.RETURN_TRANSIT,
        DcbStatus.AWAITING_RETURN_TO_SUPPLIER,
    }
)
"""The lender's book has left its shelf for this transaction."""

BEFORE_DISPATCH = frozenset(
    {
        DcbStatus.RESOLVED,
        DcbStatus.REQUEST_PLACED_AT_SUPPLYING_AGENCY,
        DcbStatus.CONFIRMED,
        DcbStatus.REQUEST_PLACED_AT_BORROWING_AGENCY,
        DcbStatus.REQUEST_PLACED_AT_PICKUP_AGENCY,
    }
)

BEFORE_LOAN = BEFORE_DISPATCH | {
    DcbStatus.PICKUP_TRANSIT,
    DcbStatus.RECEIVED_AT_PICKUP,
    DcbStatus.READY_FOR_PICKUP,
}
"""The reader has not had the book yet, as far as we know."""

ENDED = frozenset(
    {
        DcbStatus.COMPLETED,
        DcbStatus.CANCELLED,
        DcbStatus.NOT_SUPPLIED_CURRENT_SUPPLIER,
    }
)
"""The journey is over; what we created may still have to be cleaned up."""

OVER = ENDED | TERMINAL
"""The end is known, and with it the outcome."""

_STANDARD_JOURNEY = (
    DcbStatus.RESOLVED,
    DcbStatus.REQUEST_PLACED_AT_SUPPLYING_AGENCY,
    DcbStatus.CONFIRMED,
    DcbStatus.REQUEST_PLACED_AT_BORROWING_AGENCY,
    DcbStatus.PICKUP_TRANSIT,
    DcbStatus.RECEIVED_AT_PICKUP,
    DcbStatus.READY_FOR_PICKUP,
    DcbStatus.LOANED,
    DcbStatus.RETURN_TRANSIT,
    DcbStatus.COMPLETED,
    DcbStatus.FINALISED,
)

JOURNEYS: dict[Workflow, tuple[DcbStatus, ...]] = {
    Workflow.STANDARD: _STANDARD_JOURNEY,
    Workflow.PICKUP_ANYWHERE: (
        *_STANDARD_JOURNEY[:4],
        DcbStatus.REQUEST_PLACED_AT_PICKUP_AGENCY,
        *_STANDARD_JOURNEY[4:],
    ),
    Workflow.EXPEDITED: (*_STANDARD_JOURNEY[:4], *_STANDARD_JOURNEY[7:]),
    Workflow.LOCAL: (*_STANDARD_JOURNEY[:3], DcbStatus.HANDED_OFF_AS_LOCAL),
}
"""The undisturbed path of each workflow."""

PARTIES: dict[Workflow, tuple[Role, ...]] = {
    Workflow.STANDARD: (Role.SUPPLIER, Role.BORROWER),
    Workflow.PICKUP_ANYWHERE: (Role.SUPPLIER, Role.BORROWER, Role.PICKUP),
    Workflow.EXPEDITED: (Role.SUPPLIER, Role.BORROWER),
    Workflow.LOCAL: (Role.SUPPLIER,),
}
"""At whose libraries a request is placed."""
