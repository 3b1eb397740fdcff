"""What must be true of every transaction, whatever happened (workflow.md, reliability.md §5)."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Iterator

from reconciler.core.commands.close import CLOSED_BY_HAND, ENDINGS, GIVEN_UP
from reconciler.core.model import HistoryEntry, Transaction
from reconciler.core.staff.parking import ParkReason
from reconciler.core.stages import live
from reconciler.core.status import (
    BEFORE_DISPATCH,
    LIVE,
    TERMINAL,
    DcbStatus,
    HistoryKind,
    Role,
    Side,
    ThingState,
)
from reconciler.core.transitions import BY_HAND, SUBMIT_NEXT_SUPPLIER, TRANSITIONS
from tests.journeys.book import MUST_HAVE_HAPPENED, UNTOLD, Book, Event, Where, ends_well
from tests.journeys.desks import LOCAL, AlmaDesk
from tests.journeys.month import Month

_MARK = re.compile(r"\[DCB:([^\]]+)\]")
_NUMBER = re.compile(r"\(DCB\)(.+)")

Made = dict[str, Counter[str]]
"""By transaction: how many of each thing the Almas hold for it."""


def made_things(month: Month) -> Made:
    """Everything that carries our marks, in all Almas, in one pass."""
    found: Made = defaultdict(Counter)
    for code, alma in month.almas.items():
        for request in alma.requests.rows():
            if request.open and (mark := _MARK.search(request.comment or "")):
                found[mark[1]][f"hold at {code}"] += 1
        for bib in alma.bibs.rows():
            for number in bib.system_numbers:
                if mark := _NUMBER.match(number):
                    found[mark[1]][f"bib at {code}"] += 1
        for item in alma.items.rows():
            for note in item.texts.values():
                if mark := _MARK.search(str(note)):
                    found[mark[1]][f"item at {code}"] += 1
                    break
    return found


def problems_under_way(month: Month) -> Iterator[str]:
    """Never two of one thing, however far a journey has come."""
    for id, things in made_things(month).items():
        yield from (f"{id}: {n} × {what}" for what, n in things.items() if n > 1)


def problems(month: Month) -> Iterator[str]:
    """Everything that is wrong at the end, a line each, with the transaction's id first."""
    things = made_things(month)
    yield from problems_under_way(month)
    for book in month.books:
        if book.placed:
            transaction = month.stored(book)
            history = month.app.store.history(transaction.id)
            for problem in (
                *wrong_end(book, transaction),
                *wrong_history(book, transaction, history),
                *wrong_things(transaction, things.get(book.id, Counter())),
                *wrong_at_the_lender(month, book),
            ):
                yield f"{book.id}: {problem}"
    yield from told_too_little(month)
    yield from scanned_real_items(month)
    yield from touched_things_of_staff(month)


# --- the end -----------------------------------------------------------------


def wrong_end(book: Book, transaction: Transaction) -> Iterator[str]:
    """The status is where the book is; who is lost is waited for by a person, who was told."""
    end = (transaction.status, transaction.outcome)
    if end in ends_well(book) and transaction.parked is None:
        return
    if book.where is Where.LOST and transaction.parked is not None:
        if transaction.parked.reason != ParkReason.ITEM_LOST:
            yield f"lost, but parked as {transaction.parked.reason}"
        return
    right = ", ".join(f"{status}/{outcome}" for status, outcome in sorted(ends_well(book)))
    parked = f", parked {transaction.parked.reason}" if transaction.parked else ""
    yield (
        f"ended {end[0]}/{end[1]}{parked}, but the book is {book.where} after {_story(book)}: "
        f"expected {right or 'a person to be waited for'}"
    )


MOST_UNTOLD = 0.02
"""Of the journeys of a month in which the service now and then sees nothing for a week."""


def told_too_little(month: Month) -> Iterator[str]:
    """That Alma has forgotten how a hold ended is an excuse for few."""
    untold = [book.id for book in month.books if UNTOLD in book.paths]
    if len(untold) > MOST_UNTOLD * len(month.books):
        yield f"{untold[0]}: and {len(untold) - 1} others were closed without knowing how they went"


def _story(book: Book) -> str:
    return ", ".join(book.first) or "nothing"


# --- the history -------------------------------------------------------------

_BY_HAND = {
    *BY_HAND,
    *((source, ENDINGS[live(source).closing].target, CLOSED_BY_HAND) for source in LIVE),
    *((source, DcbStatus.COMPLETED, CLOSED_BY_HAND) for source in BEFORE_DISPATCH),
    (DcbStatus.NOT_SUPPLIED_CURRENT_SUPPLIER, GIVEN_UP.target, CLOSED_BY_HAND),
}
_ROWS = {(row.source, row.target, row.rule, flow) for row in TRANSITIONS for flow in row.workflows}


def wrong_history(
    book: Book, transaction: Transaction, history: list[HistoryEntry]
) -> Iterator[str]:
    """Legal rows only, in a chain, none twice, each explained, none before its time."""
    hops = [entry for entry in history if entry.kind is HistoryKind.TRANSITION]
    flows = [*(plan.workflow for plan, _ in book.former), transaction.workflow]
    lender = 0
    at: DcbStatus | None = DcbStatus.RESOLVED
    seen: Counter[tuple[int, DcbStatus | None, DcbStatus | None]] = Counter()
    for hop in hops:
        step = (hop.source, hop.target)
        seen[lender, *step] += 1
        by_hand = (hop.source, hop.target, hop.rule) in _BY_HAND
        lender += hop.rule == SUBMIT_NEXT_SUPPLIER
        if (*step, hop.rule, flows[min(lender, len(flows) - 1)]) not in _ROWS and not by_hand:
            yield f"no such row: {hop.source} → {hop.target} by {hop.rule}"
        if hop.source != at:
            yield f"{hop.source} → {hop.target} begins where nothing ended ({at})"
        if not (hop.detail or hop.reason):
            yield f"{hop.source} → {hop.target} is not explained"
        yield from _too_early(book, hop)
        yield from _wrong_role(transaction, hop)
        at = hop.target
    if at is not transaction.status:
        yield f"stands at {transaction.status}, but its history ends at {at}"
    yield from (f"{a} → {b} happened {n} times" for (_, a, b), n in seen.items() if n > 1)
    if lender != len(book.former):
        yield f"{lender} further lenders in its history, {len(book.former)} were asked"


def _too_early(book: Book, hop: HistoryEntry) -> Iterator[str]:
    event = MUST_HAVE_HAPPENED.get(hop.target) if hop.target else None
    if event is None or hop.rule == CLOSED_BY_HAND:
        return
    if event in (Event.RETURNED, Event.HOME) and book.is_home_by_mistake(hop.at):
        return
    if not book.ever(event):
        yield f"became {hop.target}, but the book never {event}"
    elif book.first[event] > hop.at:
        yield f"became {hop.target} before the book {event}"


def _wrong_role(transaction: Transaction, hop: HistoryEntry) -> Iterator[str]:
    """The reader's side and the lender's side use the same words for different things."""
    roles = {each.role for each in hop.evidence}
    if hop.target is DcbStatus.COMPLETED and roles - {Role.SUPPLIER}:
        yield f"COMPLETED on evidence of {sorted(roles)}"
    own = Role.SUPPLIER if hop.inferred else Side.PICKUP.role(transaction.workflow)
    if hop.target is DcbStatus.RETURN_TRANSIT and roles - {own}:
        yield f"RETURN_TRANSIT on evidence of {sorted(roles)}"


# --- what stands in the Almas --------------------------------------------------


def wrong_things(transaction: Transaction, things: Counter[str]) -> Iterator[str]:
    """After the end nothing of ours, or somebody knows of it."""
    if transaction.status is DcbStatus.HANDED_OFF_AS_LOCAL or not things:
        return
    told = Counter(
        f"{thing.kind} at {thing.host_lms}"
        for thing in transaction.things
        if thing.state is ThingState.HANDED_OVER
    )
    unknown = things - told
    if unknown and transaction.status in TERMINAL and transaction.parked is None:
        yield f"left behind after {transaction.status}: {dict(unknown)}"


def wrong_at_the_lender(month: Month, book: Book) -> Iterator[str]:
    """Lent at most once; no loan of ours open once the book stands on the lender's shelf."""
    desk = month.desk(book.plan.lender)
    if not isinstance(desk, AlmaDesk):
        return
    user = month.stored(book).supplier.user_id
    keys = {row.key for row in desk.alma.users.find("value", (user or "").casefold())}
    loans = [
        loan
        for active in (True, False)
        for loan in desk.alma.loans.find("item", (book.pid, active))
        if loan.user_key in keys
    ]
    if len(loans) > 1 + book.staffs_loans:
        yield f"lent {len(loans)} times at the lender, {book.staffs_loans} of them by its staff"
    if book.is_home and any(loan.active for loan in loans):
        yield f"the book is {book.where}, but our reader's loan there is open: he will be billed"
    if book.is_home and not book.ever(Event.LENT) and loans:
        yield "a loan at the lender of a book that the reader never had"


def scanned_real_items(month: Month) -> Iterator[str]:
    """Our service never scans a book that belongs to a lender."""
    real = {book.pid for book in month.books if book.pid}
    real |= {pid for book in month.books for _, pid in book.former if pid}
    for call in month.sandbox.calls.matching("POST", r"op=scan"):
        pid = call.path.rpartition("/items/")[2].partition("/")[0]
        if pid in real:
            yield f"{call.institution} {call.path}: a real item was scanned by us"


def touched_things_of_staff(month: Month) -> Iterator[str]:
    """Local readers' holds end by a loan, or by their own staff; never by us."""
    for code, alma in month.almas.items():
        for request in alma.requests.rows():
            if request.comment == LOCAL and not request.open and request.closed_why != "fulfilled":
                yield f"{code}: a local reader's hold ended: {request.closed_why}"
