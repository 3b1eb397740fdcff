"""The transitions of a lend, as one table. Two rules for this file:

1. Everything that evidence can change about a status is a row here. Beside it only a person's
   command moves a transaction: `close` (`closing.py`) and `submit` with another item (`BY_HAND`).
2. Nothing here reads a word of Alma's: rows name facts, and `evidence` says when a fact holds.

A row leads from one status to the next legal one. It fires on its own fact; it also fires,
marked `inferred`, on a later fact that implies it, because polling misses states. The rows run
to a fixed point on one snapshot, so a book that jumped from "placed" to "loaned" between two
looks passes every status on the way, each with its own history row. An irreversible row is
implied only by a fact in which the thing itself was read.

Source: workflow.md §3; the numbers are its rows.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from reconciler.core.effects import (
    ALL,
    EffectRow,
    due_date_is_known,
    loan_may_be_open,
    never_lent,
    record_effects,
    unplaced,
)
from reconciler.core.evidence import homeward, outward, renewal, unfilled
from reconciler.core.evidence.finding import Fact
from reconciler.core.model import Transaction
from reconciler.core.status import (
    BEFORE_DISPATCH,
    JOURNEYS,
    DcbStatus,
    EffectKind,
    Outcome,
    RecordState,
    Role,
    Workflow,
)
from reconciler.core.view.look import View
from reconciler.core.view.memory import with_due_date_wanted, with_hold_of_others

S = DcbStatus
W = Workflow
WITH_TRANSPORT = frozenset({W.STANDARD, W.PICKUP_ANYWHERE})
VIA_PICKUP_LIBRARY = frozenset({W.PICKUP_ANYWHERE})


@dataclass(frozen=True, slots=True)
class Transition:
    """One row: on `own` evidence, or inferred from `implied_by`, `source` becomes `target`.

    An action row has no target: it asks for its effects while the status stays, and `remembers`
    notes what it saw, so that it fires once for it.
    """

    number: str
    rule: str
    source: DcbStatus
    target: DcbStatus | None
    own: Fact
    implied_by: tuple[Fact, ...] = ()
    workflows: frozenset[Workflow] = ALL
    effects: tuple[EffectRow, ...] = ()
    outcome: Outcome | None = None
    records: Mapping[Role, RecordState | None] = field(default_factory=dict)
    remembers: Callable[[Transaction, View], Transaction] | None = None
    alone: bool = False
    """Never in the same look as another step: it is made on what stands, not on a catch-up."""
    note: str = ""


_BOOK_IS_AT_PICKUP = (
    outward.pickup_received,
    outward.pickup_request_on_shelf,
    outward.pickup_loaned,
    outward.pickup_loan_complete,
)
_BOOK_WAS_LENT = (outward.supplier_loan_active, outward.pickup_loaned, outward.pickup_loan_complete)

_IN_TRANSIT_EFFECTS = (
    EffectRow(EffectKind.VIRTUAL_ITEM_IN_TRANSIT, Role.BORROWER, WITH_TRANSPORT),
    EffectRow(EffectKind.VIRTUAL_ITEM_IN_TRANSIT, Role.PICKUP, VIA_PICKUP_LIBRARY),
)


_LENT_EFFECTS = (
    EffectRow(EffectKind.SUPPLIER_LOAN, Role.SUPPLIER, WITH_TRANSPORT),
    EffectRow(EffectKind.RENEWED, Role.SUPPLIER, WITH_TRANSPORT, due_date_is_known),
    EffectRow(EffectKind.BORROWER_LOAN, Role.BORROWER, VIA_PICKUP_LIBRARY),
)
_LENT_AGAIN_EFFECTS = (
    *_LENT_EFFECTS,
    EffectRow(EffectKind.BORROWER_LOAN, Role.BORROWER, frozenset({W.EXPEDITED})),
)


def _in_transit_from(source: DcbStatus, workflow: Workflow) -> Transition:
    return Transition(
        "5",
        "HandleSupplierInTransit",
        source,
        S.PICKUP_TRANSIT,
        own=outward.supplier_in_transit,
        implied_by=(*_BOOK_IS_AT_PICKUP, outward.supplier_loan_active),
        workflows=frozenset({workflow}),
        effects=_IN_TRANSIT_EFFECTS,
    )


def _finalise_from(source: DcbStatus) -> Transition:
    return Transition(
        "11",
        "FinaliseRequest",
        source,
        S.FINALISED,
        own=homeward.everything_cleared,
        alone=True,
        note="the virtual patron stays",
    )


def _refused_from(source: DcbStatus) -> Transition:
    return Transition(
        "12",
        "HandleSupplierRequestCancelled",
        source,
        S.NOT_SUPPLIED_CURRENT_SUPPLIER,
        own=unfilled.supplier_refused,
        outcome=Outcome.NOT_SUPPLIED,
        note="what is placed at the borrower is cleared; another item may be submitted",
    )


def _renewed(role: Role, workflows: frozenset[Workflow]) -> Transition:
    return Transition(
        "15",
        "SupplierRenewal",
        S.LOANED,
        None,
        own=renewal.lags_behind(role),
        workflows=workflows,
        effects=(EffectRow(EffectKind.RENEWED, role),),
        remembers=lambda transaction, view: with_due_date_wanted(
            transaction, role, renewal.latest_due_at(view)
        ),
        note="the latest date that the reader was given holds at all; where there is no other desk "
        "than the borrower's, its loan is the one that is followed",
    )


TRANSITIONS: tuple[Transition, ...] = (
    Transition(
        "1",
        "PlacePatronRequestAtSupplyingAgency",
        S.RESOLVED,
        S.REQUEST_PLACED_AT_SUPPLYING_AGENCY,
        own=outward.supplier_placed,
        implied_by=(outward.supplier_confirmed,),
        note="placed by the effects that `submit` asks for; an Alma's hold is in our ledger or not",
    ),
    Transition(
        "2",
        "HandleSupplierRequestConfirmed",
        S.REQUEST_PLACED_AT_SUPPLYING_AGENCY,
        S.CONFIRMED,
        own=outward.supplier_confirmed,
        implied_by=_BOOK_WAS_LENT,
        effects=record_effects(Role.BORROWER, EffectKind.BORROWER_HOLD, ALL - {W.LOCAL}),
        note="its effects place the borrower's request",
    ),
    Transition(
        "3",
        "PlacePatronRequestAtBorrowingAgency",
        S.CONFIRMED,
        S.REQUEST_PLACED_AT_BORROWING_AGENCY,
        own=outward.borrower_placed,
        workflows=ALL - {W.LOCAL},
        effects=(
            EffectRow(
                EffectKind.VIRTUAL_PATRON, Role.PICKUP, VIA_PICKUP_LIBRARY, unplaced(Role.PICKUP)
            ),
            *record_effects(Role.PICKUP, EffectKind.PICKUP_HOLD, VIA_PICKUP_LIBRARY),
        ),
        note="never inferred: the borrower's request is there or it is not",
    ),
    Transition(
        "4",
        "PlacePatronRequestAtPickupAgency",
        S.REQUEST_PLACED_AT_BORROWING_AGENCY,
        S.REQUEST_PLACED_AT_PICKUP_AGENCY,
        own=outward.pickup_placed,
        workflows=VIA_PICKUP_LIBRARY,
        note="never inferred, as row 3",
    ),
    _in_transit_from(S.REQUEST_PLACED_AT_BORROWING_AGENCY, W.STANDARD),
    _in_transit_from(S.REQUEST_PLACED_AT_PICKUP_AGENCY, W.PICKUP_ANYWHERE),
    Transition(
        "6",
        "HandleBorrowerItemReceived",
        S.PICKUP_TRANSIT,
        S.RECEIVED_AT_PICKUP,
        own=outward.pickup_received,
        implied_by=_BOOK_IS_AT_PICKUP[1:],
        workflows=WITH_TRANSPORT,
    ),
    Transition(
        "7",
        "HandleBorrowerItemOnHoldShelf",
        S.RECEIVED_AT_PICKUP,
        S.READY_FOR_PICKUP,
        own=outward.pickup_on_shelf,
        implied_by=_BOOK_IS_AT_PICKUP[1:],
        workflows=WITH_TRANSPORT,
        note="the lender's real item is never scanned while the book is elsewhere",
    ),
    Transition(
        "8",
        "HandleBorrowerItemLoaned",
        S.READY_FOR_PICKUP,
        S.LOANED,
        own=outward.pickup_loaned,
        implied_by=(outward.pickup_loan_complete,),
        workflows=WITH_TRANSPORT,
        effects=_LENT_EFFECTS,
    ),
    Transition(
        "9",
        "HandleBorrowerRequestReturnTransit",
        S.LOANED,
        S.RETURN_TRANSIT,
        own=homeward.pickup_returned,
        implied_by=(homeward.supplier_home_proved,),
        workflows=ALL - {W.LOCAL},
        effects=(
            EffectRow(EffectKind.LOAN_CLOSED, Role.BORROWER, ALL, loan_may_be_open(Role.BORROWER)),
            EffectRow(EffectKind.LOAN_CLOSED, Role.PICKUP, ALL, loan_may_be_open(Role.PICKUP)),
            EffectRow(EffectKind.HOLD_CANCELLED, Role.SUPPLIER, WITH_TRANSPORT, never_lent),
        ),
        records={Role.BORROWER: RecordState.ITEM_RETURNED, Role.PICKUP: RecordState.ITEM_RETURNED},
        note="returned by the patron; a loan that is still open at home is closed",
    ),
    Transition(
        "10",
        "HandleBorrowerRequestReturnTransit",
        S.RETURN_TRANSIT,
        S.COMPLETED,
        own=homeward.supplier_home,
        workflows=ALL - {W.LOCAL},
        effects=(
            EffectRow(EffectKind.NOTIFY, Role.BORROWER),
            EffectRow(EffectKind.NOTIFY, Role.PICKUP, VIA_PICKUP_LIBRARY),
        ),
        outcome=Outcome.SUPPLIED,
        records={
            Role.BORROWER: RecordState.ITEM_AVAILABLE,
            Role.PICKUP: RecordState.ITEM_AVAILABLE,
            Role.SUPPLIER: RecordState.AVAILABLE,
        },
        note="received back at the lending agency",
    ),
    Transition(
        "9a",
        "HandleBorrowerItemLoanedAgain",
        S.RETURN_TRANSIT,
        S.LOANED,
        own=homeward.pickup_lent_again,
        workflows=ALL - {W.LOCAL},
        effects=_LENT_AGAIN_EFFECTS,
        records={Role.BORROWER: None, Role.PICKUP: None},
        alone=True,
        note="the return was a correction at the desk, or the reader borrowed the book once more",
    ),
    Transition(
        "14a",
        "HandleCancelledRequestItemOut",
        S.CANCELLED,
        S.AWAITING_RETURN_TO_SUPPLIER,
        own=unfilled.left_after_cancelling,
        workflows=WITH_TRANSPORT,
        note="the book left while the lend was being cancelled",
    ),
    Transition(
        "14c",
        "HandleCollectedAfterAll",
        S.CANCELLED,
        S.LOANED,
        own=unfilled.left_after_cancelling,
        workflows=frozenset({W.EXPEDITED}),
        effects=_LENT_AGAIN_EFFECTS,
        note="the lender handed the book out while the lend was being cancelled",
    ),
    _finalise_from(S.COMPLETED),
    _finalise_from(S.CANCELLED),
    Transition(
        "17",
        "ExpeditedCheckout",
        S.REQUEST_PLACED_AT_BORROWING_AGENCY,
        S.LOANED,
        own=outward.pickup_loaned,
        implied_by=(outward.pickup_loan_complete,),
        workflows=frozenset({W.EXPEDITED}),
        effects=(EffectRow(EffectKind.BORROWER_LOAN, Role.BORROWER),),
        note="the reader collects at the lender: its loan is the reader's",
    ),
    Transition(
        "18",
        "HandOffAsLocal",
        S.CONFIRMED,
        S.HANDED_OFF_AS_LOCAL,
        own=outward.supplier_placed,
        workflows=frozenset({W.LOCAL}),
        note="one hold for the real reader; nothing virtual",
    ),
    *(_refused_from(source) for source in DcbStatus if source in BEFORE_DISPATCH),
    *(
        Transition(
            "13",
            "CancelledPatronRequest",
            source,
            S.CANCELLED,
            own=unfilled.reader_cancelled,
            workflows=ALL - {W.LOCAL},
            effects=(EffectRow(EffectKind.HOLD_CANCELLED, Role.SUPPLIER),),
            outcome=Outcome.CANCELLED,
        )
        for source in (S.REQUEST_PLACED_AT_BORROWING_AGENCY, S.REQUEST_PLACED_AT_PICKUP_AGENCY)
    ),
    *(
        Transition(
            "14a",
            "HandleCancelledRequestItemOut",
            source,
            S.AWAITING_RETURN_TO_SUPPLIER,
            own=unfilled.not_collected,
            workflows=WITH_TRANSPORT,
            effects=(EffectRow(EffectKind.HOLD_CANCELLED, Role.SUPPLIER),),
            note="left alive the lender's hold would catch the book again",
        )
        for source in (S.PICKUP_TRANSIT, S.RECEIVED_AT_PICKUP, S.READY_FOR_PICKUP)
    ),
    Transition(
        "14c",
        "HandleCollectedAfterAll",
        S.AWAITING_RETURN_TO_SUPPLIER,
        S.LOANED,
        own=homeward.pickup_lent_again,
        implied_by=(outward.pickup_loan_complete,),
        workflows=WITH_TRANSPORT,
        effects=_LENT_AGAIN_EFFECTS,
        note="he came after the shelf time, or took the book in spite of having cancelled",
    ),
    Transition(
        "14b",
        "HandleCancelledRequestItemReturned",
        S.AWAITING_RETURN_TO_SUPPLIER,
        S.CANCELLED,
        own=unfilled.uncollected_home,
        workflows=WITH_TRANSPORT,
        outcome=Outcome.CANCELLED,
        alone=True,
    ),
    _renewed(Role.SUPPLIER, ALL),
    _renewed(Role.PICKUP, VIA_PICKUP_LIBRARY),
    _renewed(Role.BORROWER, frozenset({W.PICKUP_ANYWHERE, W.EXPEDITED})),
    Transition(
        "16",
        "HandleSupplierHoldDetected",
        S.LOANED,
        None,
        own=renewal.hold_detected,
        effects=(
            EffectRow(EffectKind.NO_RENEWAL, Role.BORROWER),
            EffectRow(EffectKind.NO_RENEWAL, Role.PICKUP, VIA_PICKUP_LIBRARY),
        ),
        remembers=lambda transaction, view: with_hold_of_others(transaction, view.now),
    ),
)

SUBMIT_NEXT_SUPPLIER = "SubmitNextSupplier"

BY_HAND: tuple[tuple[DcbStatus, DcbStatus, str], ...] = (
    (S.NOT_SUPPLIED_CURRENT_SUPPLIER, S.RESOLVED, SUBMIT_NEXT_SUPPLIER),
)
"""Steps that only a person's command makes, with the rule that the history names."""


def rows_from(status: DcbStatus, workflow: Workflow) -> tuple[Transition, ...]:
    """The rows of a status in the order in which they are considered; action rows come last."""
    return tuple(row for row in TRANSITIONS if row.source is status and workflow in row.workflows)


MAX_HOPS = max(len(journey) for journey in JOURNEYS.values())
"""No chain of hops is longer than the longest journey; more would be a loop in the table."""
