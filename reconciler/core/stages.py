"""One row per status: what we believe, what staff do, when it is late, what is read and how often.

A new status is a word in `status.py`, a row here, and its transitions. `live` is None where nothing
is read, fired or late any more. Sources: workflow.md §1; operators.md §4.5 (late), §4.6 (sentences,
to be reviewed by librarians); what is read and how often was measured by `tests/bench month`.
"""

from __future__ import annotations

from datetime import timedelta

from reconciler.core.model import Closing, Live, Pace, ReadKind, Stage
from reconciler.core.status import JOURNEYS, LIVE, DcbStatus, Role, Side, Workflow

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)

_LENDER, _PICKUP, _READER = Side.LENDER, Side.PICKUP, Side.READER

# --- how often: the fewest looks for one mean delay are as dense as the square root of how likely
# the step is now. A book that left today arrives tomorrow at the earliest; one on its way home is
# collected first; staff fetch a book hours after it was asked for, and a reader comes a day after
# the book. (`tests/bench month` measures it.)

_STEADY: Pace = ((0 * DAY, 1.0),)
_WORK: Pace = ((0 * DAY, 1.0), (1 * DAY, 4.0))
_LATE: Pace = ((10 * DAY, 2.0), (28 * DAY, 6.0))
_JOURNEY_LATE: Pace = ((7 * DAY, 2.0), (21 * DAY, 6.0))
_WAIT: Pace = ((0 * DAY, 1.0), *_LATE)
_PULL: Pace = ((0 * DAY, 2.0), (6 * HOUR, 1.5), (12 * HOUR, 0.95), *_LATE)
_SHELF: Pace = ((0 * DAY, 2.5), (12 * HOUR, 1.5), (24 * HOUR, 1.0), *_LATE)
_WAY: Pace = ((0 * DAY, 8.0), (20 * HOUR, 1.4), (36 * HOUR, 0.85), *_JOURNEY_LATE)
_WAY_HOME: Pace = (
    (0 * DAY, 8.0),
    (20 * HOUR, 1.8),
    (36 * HOUR, 1.3),
    (60 * HOUR, 0.95),
    *_JOURNEY_LATE,
)

# --- what is read

_LENDER_HOLD = ((_LENDER, ReadKind.REQUEST), (_LENDER, ReadKind.ITEM))
_AWAY = (
    (_PICKUP, ReadKind.ITEM),
    (_PICKUP, ReadKind.REQUEST),
    (_READER, ReadKind.ITEM),
    (_READER, ReadKind.REQUEST),
)
_PLACED = (*_LENDER_HOLD, *_AWAY)

# --- which ids there are

_HOLD_IDS = ("user_id", "request_id", "item")
_LOAN_IDS = ("user_id", "item")


STAGES: dict[DcbStatus, Stage] = {
    DcbStatus.RESOLVED: Stage(
        belief="A lender is chosen; nothing is placed anywhere yet.",
        to_do="Nothing; the request is being placed.",
        live=Live(
            next_step_at=_LENDER,
            interval=5 * MINUTE,
            pace=_WORK,
            too_long=DAY,
            when_late=(
                "Nothing could be placed so far: explain tells why. Take the cause away and "
                "retry, or close it."
            ),
            closing=Closing.NEVER_LEFT,
        ),
        places=Role.SUPPLIER,
    ),
    DcbStatus.REQUEST_PLACED_AT_SUPPLYING_AGENCY: Stage(
        belief="The hold is placed at the lender; the lender has not confirmed it yet.",
        to_do="The lender: find the book from the list of requests to pick from the shelf.",
        live=Live(
            next_step_at=_LENDER,
            interval=15 * MINUTE,
            pace=_WORK,
            full=_LENDER_HOLD,
            light=((_LENDER, ReadKind.REQUEST, 1),),
            too_long=3 * DAY,
            when_late=(
                "The lender has not taken the request up: ask there whether the book can be "
                "found. When it cannot, cancel the hold in the lender's Alma and submit another "
                "copy."
            ),
            closing=Closing.NEVER_LEFT,
        ),
        lender_has=_HOLD_IDS,
    ),
    DcbStatus.CONFIRMED: Stage(
        belief="The lender has confirmed; the borrower's request is not placed yet.",
        to_do="Nothing; the borrower's request is being placed.",
        live=Live(
            next_step_at=_LENDER,
            interval=15 * MINUTE,
            pace=_WORK,
            full=_LENDER_HOLD,
            light=((_LENDER, ReadKind.REQUEST, 1),),
            too_long=3 * DAY,
            when_late=(
                "The borrower's request could not be placed so far: explain tells why. Take the "
                "cause away and retry, or close it."
            ),
            closing=Closing.NEVER_LEFT,
        ),
        places=Role.BORROWER,
        lender_has=_HOLD_IDS,
    ),
    DcbStatus.REQUEST_PLACED_AT_BORROWING_AGENCY: Stage(
        belief="Both requests are placed; the book stands at the lender, waiting to be sent.",
        to_do="The lender: pick the book from the shelf, scan it in and send it.",
        live=Live(
            next_step_at=_LENDER,
            interval=HOUR,
            pace=_PULL,
            full=_PLACED,
            light=((_LENDER, ReadKind.ITEM, 1), (_PICKUP, ReadKind.ITEM, 4)),
            shown_by=(_LENDER, _PICKUP),
            too_long=3 * DAY,
            when_late=(
                "The lender has not sent the book: ask there whether it was picked from the "
                "shelf. When it cannot be found, cancel the hold in the lender's Alma and "
                "submit another copy."
            ),
            closing=Closing.NEVER_LEFT,
        ),
        places=Role.PICKUP,
        lender_has=_HOLD_IDS,
        pickup_has=_HOLD_IDS,
    ),
    DcbStatus.REQUEST_PLACED_AT_PICKUP_AGENCY: Stage(
        belief=(
            "All three requests are placed; the book stands at the lender, waiting to be sent."
        ),
        to_do="The lender: pick the book from the shelf, scan it in and send it.",
        live=Live(
            next_step_at=_LENDER,
            interval=HOUR,
            pace=_PULL,
            full=_PLACED,
            light=((_LENDER, ReadKind.ITEM, 1), (_PICKUP, ReadKind.ITEM, 4)),
            shown_by=(_LENDER, _PICKUP),
            too_long=3 * DAY,
            when_late=(
                "The lender has not sent the book: ask there whether it was picked from the "
                "shelf. When it cannot be found, cancel the hold in the lender's Alma and "
                "submit another copy."
            ),
            closing=Closing.NEVER_LEFT,
        ),
        lender_has=_HOLD_IDS,
        pickup_has=_HOLD_IDS,
    ),
    DcbStatus.PICKUP_TRANSIT: Stage(
        belief="The book is on its way from the lender to the pickup library.",
        to_do=(
            "The pickup library: look into the delivery bins and scan the book in when it is there."
        ),
        live=Live(
            next_step_at=_PICKUP,
            interval=HOUR,
            pace=_WAY,
            full=_AWAY,
            light=((_PICKUP, ReadKind.ITEM, 1), (_LENDER, ReadKind.ITEM, 10)),
            too_long=7 * DAY,
            when_late=(
                "The pickup library: look into the delivery bins and scan the book in. When it "
                "is not there, ask the courier and the lender."
            ),
            closing=Closing.AWAY,
        ),
        lender_has=_HOLD_IDS,
        pickup_has=_HOLD_IDS,
    ),
    DcbStatus.RECEIVED_AT_PICKUP: Stage(
        belief="The book has arrived at the pickup library.",
        to_do="The pickup library: scan the book in at the hold shelf's desk.",
        live=Live(
            next_step_at=_PICKUP,
            interval=HOUR,
            pace=_WAIT,
            full=_AWAY,
            light=((_PICKUP, ReadKind.ITEM, 1),),
            too_long=7 * DAY,
            when_late=(
                "The pickup library: scan the book in at the hold shelf's desk, so that the "
                "reader is told."
            ),
            closing=Closing.AWAY,
        ),
        lender_has=_HOLD_IDS,
        pickup_has=_HOLD_IDS,
    ),
    DcbStatus.READY_FOR_PICKUP: Stage(
        belief="The book waits on the hold shelf for its reader.",
        to_do="The reader: collect the book before its shelf time ends.",
        live=Live(
            next_step_at=_PICKUP,
            interval=HOUR,
            pace=_SHELF,
            full=_AWAY,
            light=((_PICKUP, ReadKind.ITEM, 1),),
            shown_by=(_PICKUP,),
            too_long=10 * DAY,
            when_late=(
                "The pickup library: look whether the book still stands on the hold shelf. When "
                "the reader does not come, cancel the request in Alma and send the book home."
            ),
            closing=Closing.AWAY,
        ),
        lender_has=_HOLD_IDS,
        pickup_has=_HOLD_IDS,
    ),
    DcbStatus.LOANED: Stage(
        belief="The reader has the book.",
        to_do="Nothing until the book comes back.",
        live=Live(
            next_step_at=_PICKUP,
            interval=6 * HOUR,
            pace=_STEADY,
            full=((_PICKUP, ReadKind.LOAN), (_READER, ReadKind.LOAN), (_LENDER, ReadKind.ITEM)),
            light=((_PICKUP, ReadKind.LOAN, 1),),
            shown_by=(_PICKUP,),
            scan_interval=3 * HOUR,
            too_long=14 * DAY,
            when_late=(
                "The reader's library: ask for the book, and look on the shelves and in the "
                "return bins. When it is lost, mark it so in Alma, settle it between the "
                "libraries and close this."
            ),
            closing=Closing.AWAY,
        ),
        lender_has=_LOAN_IDS,
        pickup_has=_LOAN_IDS,
    ),
    DcbStatus.RETURN_TRANSIT: Stage(
        belief="The reader has returned the book; it is on its way to the lender.",
        to_do="The lender: scan the book in when it arrives.",
        live=Live(
            next_step_at=_LENDER,
            interval=HOUR,
            pace=_WAY_HOME,
            full=((_LENDER, ReadKind.ITEM), (_PICKUP, ReadKind.ITEM)),
            light=((_LENDER, ReadKind.LOAN, 1),),
            shown_by=(_LENDER,),
            too_long=14 * DAY,
            when_late=(
                "The lender: look into the delivery bins and on the shelf, and scan the book "
                "in. When it is not there, ask the courier and the library that returned it."
            ),
            closing=Closing.AWAY,
        ),
        lender_has=_LOAN_IDS,
    ),
    DcbStatus.COMPLETED: Stage(
        belief="The lender has the book again; what was created is being cleaned up.",
        to_do="Nothing.",
        live=Live(
            next_step_at=_LENDER,
            interval=15 * MINUTE,
            pace=_WORK,
            too_long=3 * DAY,
            when_late=(
                "Something of the lend could not be cleared: explain tells what. Take the cause "
                "away and retry, or close it and remove by hand what it lists."
            ),
            closing=Closing.ENDED,
        ),
    ),
    DcbStatus.FINALISED: Stage(
        belief="The journey is over and nothing of it is left behind.",
        to_do="Nothing.",
    ),
    DcbStatus.NOT_SUPPLIED_CURRENT_SUPPLIER: Stage(
        belief="This lender does not supply; another item may be submitted under the same id.",
        to_do=(
            "The consortium: submit the request again with another lender's item, or let it end."
        ),
        live=Live(
            next_step_at=_LENDER,
            interval=15 * MINUTE,
            pace=_WORK,
            too_long=3 * DAY,
            when_late=(
                "The consortium: submit the request again with another lender's item, or close it."
            ),
            closing=Closing.ENDED,
        ),
    ),
    DcbStatus.AWAITING_RETURN_TO_SUPPLIER: Stage(
        belief=(
            "The reader no longer wants the book; it is away from the lender and has to come home."
        ),
        to_do=(
            "The library that holds the book: send it home. The lender: scan it in when it arrives."
        ),
        live=Live(
            next_step_at=_LENDER,
            interval=2 * HOUR,
            pace=_WAIT,
            full=((_LENDER, ReadKind.ITEM), (_PICKUP, ReadKind.ITEM), (_PICKUP, ReadKind.REQUEST)),
            light=((_LENDER, ReadKind.ITEM, 1),),
            shown_by=(_LENDER,),
            too_long=14 * DAY,
            when_late=(
                "The library that holds the book: send it home. The lender: look into the "
                "delivery bins and scan it in. When it stands on the lender's shelf already, "
                "close this."
            ),
            closing=Closing.NEVER_COLLECTED,
        ),
        lender_has=("item",),
        after_detour=DcbStatus.CANCELLED,
    ),
    DcbStatus.CANCELLED: Stage(
        belief="The request is cancelled; what was created is being cleaned up.",
        to_do="Nothing.",
        live=Live(
            next_step_at=_LENDER,
            interval=15 * MINUTE,
            pace=_WORK,
            too_long=3 * DAY,
            when_late=(
                "Something of the request could not be cleared: explain tells what. Take the "
                "cause away and retry, or close it and remove by hand what it lists."
            ),
            closing=Closing.ENDED,
        ),
        after_detour=DcbStatus.FINALISED,
    ),
    DcbStatus.HANDED_OFF_AS_LOCAL: Stage(
        belief="The library lends its own book to its own reader; not ours.",
        to_do="Nothing here; it is an ordinary hold of that library.",
    ),
    DcbStatus.ERROR: Stage(
        belief="Imported as an error; not followed.",
        to_do="Look at the source that it was imported from.",
    ),
}


def live(status: DcbStatus) -> Live:
    """The part of a status that is not over. Raises LookupError for one that is."""
    found = STAGES[status].live
    if found is None:
        raise LookupError(f"{status} is over")
    return found


DEFAULT_INTERVALS = {status: live(status).interval for status in DcbStatus if status in LIVE}
DEFAULT_TOO_LONG = {status: live(status).too_long for status in DcbStatus if status in LIVE}


def next_expected(status: DcbStatus, workflow: Workflow) -> DcbStatus | None:
    """The status that should follow if nothing disturbs the journey; None at its end."""
    journey = JOURNEYS[workflow]
    if status not in journey:
        return STAGES[status].after_detour
    return None if status is journey[-1] else journey[journey.index(status) + 1]
