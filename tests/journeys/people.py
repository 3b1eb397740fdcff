"""What staff and readers do with a book, day by day.

Each life is a generator that yields how long it waits before it goes on, or something to be
awaited. Staff go by the physical book and by the slip that a scan prints; nobody here looks at
what the service believes.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import TYPE_CHECKING

from reconciler.core.commands.command import Command
from reconciler.core.staff.parking import ParkReason
from reconciler.core.status import DcbStatus, Workflow
from reconciler.sandbox import AlmaError
from reconciler.sandbox.records import Identifier
from reconciler.sandbox.view import View
from tests.journeys import oddities
from tests.journeys.book import Book, Event, Where
from tests.journeys.desks import LOCAL, AlmaDesk, Say, Slip
from tests.journeys.plans import Oddity, draw_next
from tests.journeys.ways import DAY, Life, obey, to_department

if TYPE_CHECKING:
    from tests.journeys.month import Month

SHELF_DAYS = 8


def life(m: Month, book: Book) -> Life:
    """From the request to the day when nobody has anything to do with the book any more."""
    yield book.plan.starts_after
    for _ in range(6):
        yield m.submit(book)
        if book.placed:
            break
        yield m.luck(book).hours(4, 30)
    if not book.placed or book.plan.workflow is Workflow.LOCAL:
        return
    for other in (reader, next_reader, mischief, caller):
        m.begin(other(m, book))
    for oddity in (oddities.checked_in_by_mistake, oddities.paid_at_lender):
        m.begin(oddity(m, book))
    for where in (Oddity.REISSUED_BY_LENDER, Oddity.REISSUED_AT_HOME):
        m.begin(oddities.reissued(m, book, where))
    yield from the_book(m, book)


def the_book(m: Month, book: Book) -> Life:
    book.in_hands = True
    while not m.is_at_rest(book):
        yield from STEPS[book.where](m, book)
    book.in_hands = False


# --- the book ----------------------------------------------------------------


def on_shelf(m: Month, book: Book) -> Life:
    """The lender's staff fetch what stands on their list."""
    yield m.luck(book).hours(2, 60) * book.plan.pace
    if book.where is not Where.SHELF:
        return
    desk, plan = m.desk(book.plan.lender), book.plan
    fresh = not book.ever(Event.LEFT) and not book.ever(Event.REFUSED)
    if plan.lender_refuses and fresh and desk.refuse(book):
        book.took("refused by the lender")
        book.happened(Event.REFUSED, m.now())
        oddities.goes_elsewhere(m, book)
    elif desk.wants(book) and not (fresh and oddities.goes_to_local_reader(m, book)):
        obey(m, book, desk.scan(book, "MAIN"))


def in_department(m: Month, book: Book) -> Life:
    yield m.luck(book).days(1, 4)
    obey(m, book, m.desk(book.plan.lender).scan(book, "MAIN"))


def outbound(m: Month, book: Book) -> Life:
    yield m.luck(book).hours(10, 90) * book.plan.pace
    if book.plan.mischief == "lost on the way out" and not book.ever(Event.LOST):
        yield from _lose(m, book, "lost on the way out", m.desk(book.plan.lender).mark_missing)
        return
    book.where = Where.DESK


def at_desk(m: Month, book: Book) -> Life:
    """Unpacked at the pickup library. A barcode that its Alma does not know is tried again."""
    desk = m.desk(book.plan.pickup)
    for _ in range(5):
        yield m.luck(book).hours(0.1, 6) * book.plan.pace
        slip = desk.scan(book, book.library)
        if slip.say is not Say.UNKNOWN:
            break
        book.took("arrived before its record")
        yield DAY
    else:
        slip = Slip(Say.SEND_HOME)
    if slip.say is Say.ASIDE:
        yield DAY
        return
    book.happened(Event.ARRIVED, m.now())
    obey(m, book, slip)


def on_hold_shelf(m: Month, book: Book) -> Life:
    """Until the reader comes, changes his mind, or the time runs out."""
    desk = m.desk(book.plan.pickup)
    yield m.luck(book).days(0.05, 6) * min(book.plan.pace, 1)
    if _is_damaged_here(book) and isinstance(desk, AlmaDesk) and desk.sent_to_department(book):
        book.took(book.plan.mischief)
        book.excuses.add(ParkReason.ITEM_UNAVAILABLE)
        yield m.luck(book).days(1, 4)
        obey(m, book, desk.scan(book, "MAIN"))
        return
    if desk.keeps_for_us(book) and book.plan.collects:
        desk.lend(book, book.card)
        book.happened(Event.LENT, m.now())
        book.where = Where.READER
        return
    if desk.keeps_for_us(book):
        yield timedelta(days=SHELF_DAYS)
        if desk.keeps_for_us(book):
            book.took("shelf time ran out")
            book.happened(Event.CANCELLED, m.now())
            desk.expire(book)
    yield m.luck(book).hours(1, 30)
    if not desk.keeps_for_us(book) and not oddities.comes_after_all(m, book):
        obey(m, book, desk.scan(book, "MAIN"))


def _is_damaged_here(book: Book) -> bool:
    what = "work order at the pickup library"
    return book.plan.mischief == what and what not in book.paths


def with_reader(m: Month, book: Book) -> Life:
    desk, chance, plan = m.desk(book.plan.pickup), m.luck(book), book.plan
    for _ in range(plan.renews):
        yield chance.days(0.5, 5)
        book.took("renewed" if desk.renew(book) else "renewal refused")
    yield from oddities.charged_again(m, book)
    yield chance.days(0.2, 12) * min(plan.pace, 1)
    is_known = desk.on_loan(book)
    if plan.mischief == "lost by the reader" and not book.ever(Event.LOST) and is_known:
        yield from _lose(m, book, "lost by the reader", desk.mark_lost)
        return
    if plan.claims_returned and is_known:
        book.took("claimed returned")
        book.excuses.add(ParkReason.CLAIMED_RETURNED)
        desk.claim_returned(book)
        yield chance.days(1, 5)
    if oddities.brought_to_lender(m, book):
        return
    wrong = chance.odds(0.15)
    if wrong:
        book.took("returned at the wrong library")
    book.happened(Event.RETURNED, m.now())
    if plan.workflow is Workflow.EXPEDITED:
        book.happened(Event.HOME, m.now())
    slip = desk.scan(book, "BRANCH" if wrong else "MAIN")
    if slip.say is Say.UNKNOWN:
        book.took("returned when its record was gone")
        slip = Slip(Say.SEND_HOME)
    obey(m, book, slip)
    yield from oddities.home_at_once(m, book, slip)


def homebound(m: Month, book: Book) -> Life:
    yield m.luck(book).hours(10, 90) * book.plan.pace
    book.where = Where.LENDERS_DESK


def at_lenders_desk(m: Month, book: Book) -> Life:
    """Unpacked at the lender's. A damaged book goes to a department before its shelf."""
    desk = m.desk(book.plan.lender)
    yield m.luck(book).hours(0.1, 6) * book.plan.pace
    slip = desk.scan(book, book.library)
    if book.ever(Event.LEFT):
        book.happened(Event.HOME, m.now())
    obey(m, book, slip)
    damaged = book.plan.mischief == "work order at home" and isinstance(desk, AlmaDesk)
    if damaged and book.where is Where.SHELF and book.ever(Event.LENT):
        to_department(m, book, "work order at home")


def with_next_reader(m: Month, book: Book) -> Life:
    """The lender's own reader, who waited for it, takes it and brings it back."""
    desk = m.desk(book.plan.lender)
    yield m.luck(book).days(0.2, 3)
    if not desk.on_loan(book):
        desk.lend(book, f"local-{book.n}")
    yield m.luck(book).days(1, 6)
    obey(m, book, desk.scan(book, "MAIN"))


def lost(m: Month, book: Book) -> Life:
    """Found again: the reader still has it, or it turns up at the lender's."""
    yield m.luck(book).days(2, 8)
    book.took("found again")
    if Oddity.PAID_FOR in book.paths:
        m.desk(book.plan.pickup).found(book)
        book.happened(Event.RETURNED, m.now())
        if book.plan.workflow is Workflow.EXPEDITED:
            book.happened(Event.HOME, m.now())
        book.where = Where.DESK
    elif book.ever(Event.LENT):
        m.desk(book.plan.pickup).found(book)
        book.where = Where.READER
    else:
        m.desk(book.plan.lender).found(book)
        book.where = Where.SHELF


def _lose(m: Month, book: Book, how: str, mark: Callable[[Book], None]) -> Life:
    book.took(how)
    book.happened(Event.LOST, m.now())
    book.where = Where.LOST
    yield m.luck(book).days(0.5, 4)
    book.excuses.add(ParkReason.ITEM_LOST)
    mark(book)
    yield from oddities.pays(m, book)


STEPS: dict[Where, Callable[[Month, Book], Life]] = {
    Where.SHELF: on_shelf,
    Where.DEPARTMENT: in_department,
    Where.OUTBOUND: outbound,
    Where.DESK: at_desk,
    Where.HOLD_SHELF: on_hold_shelf,
    Where.READER: with_reader,
    Where.HOMEBOUND: homebound,
    Where.LENDERS_DESK: at_lenders_desk,
    Where.NEXT_READER: with_next_reader,
    Where.LOST: lost,
}


# --- people who come between ---------------------------------------------------


def reader(m: Month, book: Book) -> Life:
    """The reader changes his mind, as long as he has not got the book."""
    if book.plan.cancels_after is None:
        return
    yield book.plan.cancels_after
    for _ in range(6):
        if book.ever(Event.LENT) or book.ever(Event.CANCELLED):
            return
        plan = book.plan
        desk = m.desk(plan.pickup if plan.workflow is Workflow.PICKUP_ANYWHERE else plan.home)
        if desk.cancel(book):
            away = book.ever(Event.LEFT)
            book.took("cancelled while away" if away else "cancelled before it left")
            book.happened(Event.CANCELLED, m.now())
            return
        yield DAY


def next_reader(m: Month, book: Book) -> Life:
    """A reader of the lender's own asks for the same book."""
    if book.plan.next_reader_after is None:
        return
    yield book.plan.next_reader_after
    desk = m.desk(book.plan.lender)
    if book.where is Where.LOST or not isinstance(desk, AlmaDesk):
        return
    try:
        his = oddities.local_reader(desk, book)
        desk.alma.place_hold(his, book.pid, "MAIN", comment=LOCAL)
    except AlmaError:
        return
    book.took("asked for by a local reader")


def caller(m: Month, book: Book) -> Life:
    """Who asked for the book asks another lender, once the first has refused and all is clear."""
    for _ in range(40):
        if not book.plan.asks_next or book.ever(Event.CANCELLED) or book.ever(Event.LEFT):
            return
        yield m.luck(book).hours(8, 40)
        refused = m.status(book) is DcbStatus.NOT_SUPPLIED_CURRENT_SUPPLIER
        if refused and book.where is Where.SHELF and not book.ever(Event.CANCELLED):
            tried = [book.plan.lender, *(plan.lender for plan, _ in book.former)]
            plan = draw_next(m.luck(book), book.plan, tried)
            if plan is None:
                return
            yield from _asked_of_next(m, book, m.another_copy(book, plan))


def _asked_of_next(m: Month, book: Book, other: Book) -> Life:
    for _ in range(8):
        if book.where is Where.SHELF:
            yield m.ask_next(book, other)
        if book.plan is other.plan:
            return
        book.took(f"next lender refused: {book.refusal}" if book.refusal else "died while asking")
        yield m.luck(book).hours(4, 30)


def can_cure(m: Month, book: Book, reason: str) -> bool:
    """What the advice says: of an account that is not known the old ids belong to the new one, a
    loan on another's account is looked into. False where nothing can be done.
    """
    if reason == ParkReason.LOAN_NOT_OURS:
        _gives_card_to_whom_the_hold_is_for(m, book)
    alma = m.almas.get(book.plan.home)
    if reason != ParkReason.USER_ABSENT or alma is None:
        return True
    user = View(alma).find_user(book.reader)
    if user is None:
        return False
    known = {each.value for each in user.identifiers}
    more = [each for each in book.former_readers if each not in known]
    added = (Identifier(each, "OTHER_ID_1") for each in more)
    alma.change(user, identifiers=(*user.identifiers, *added))
    return True


def _gives_card_to_whom_the_hold_is_for(m: Month, book: Book) -> None:
    """Two accounts of one person, after he was renamed at home: the card moves to the newer one."""
    desk = m.desk(book.plan.pickup)
    ours = desk.ours(book) if isinstance(desk, AlmaDesk) else None
    if ours is None or not isinstance(desk, AlmaDesk):
        return
    mine = desk.alma.users.get(ours.user_key)
    for other in desk.alma.users.find("value", book.card.casefold()):
        if mine is None or other.key == mine.key:
            continue
        cards = tuple(each for each in other.identifiers if each.value == book.card)
        rest = tuple(each for each in other.identifiers if each.value != book.card)
        desk.alma.change(other, identifiers=rest)
        desk.alma.change(mine, identifiers=(*mine.identifiers, *cards))


def mischief(m: Month, book: Book) -> Life:
    """Things that staff do for reasons of their own."""
    what, chance = book.plan.mischief, m.luck(book)
    if what == "work order before it leaves" and isinstance(m.desk(book.plan.lender), AlmaDesk):
        yield chance.hours(0, 40)
        if book.where is Where.SHELF and not book.ever(Event.LEFT):
            to_department(m, book, what)
    elif what in ("blocked at the lender", "expired at the lender"):
        yield from _trouble_with_card(m, book, what)
    elif what in ("reader renamed", "reader merged"):
        yield from _reader_moves(m, book, what)
    elif what == "reader deleted":
        yield from _reader_leaves(m, book, what)
    elif what == "bib overlaid":
        yield chance.days(0.2, 9)
        leg = m.stored(book).borrower
        alma = m.almas.get(book.plan.home)
        mms_id = leg.mms_id if leg is not None else None
        if alma is not None and mms_id is not None and alma.bibs.get(mms_id) is not None:
            alma.overlay_bib(mms_id, "Another title")
            book.took(what)
            book.excuses.add(ParkReason.NOT_OURS_ANY_MORE)


def _reader_moves(m: Month, book: Book, what: str) -> Life:
    """A loader gives the account another id, or finds a second account of the same person."""
    yield m.luck(book).days(0.1, 14)
    alma = m.almas.get(book.plan.home)
    if alma is None:
        return
    old, new = book.reader, f"{book.reader}-moved"
    if what == "reader renamed":
        alma.rename_user(old, new)
    else:
        alma.add_user(new)
        alma.merge_users(new, old)
    book.former_readers.append(old)
    book.reader = new
    book.took(what)
    book.excuses.add(ParkReason.USER_ABSENT)
    for _ in range(20):
        yield DAY
        parked = m.stored(book).parked
        if parked is not None and parked.reason == ParkReason.USER_ABSENT:
            can_cure(m, book, parked.reason)
            yield m.by_hand(book, Command.RETRY)


def _reader_leaves(m: Month, book: Book, what: str) -> Life:
    """He brings everything back, and his account is deleted."""
    for _ in range(30):
        yield DAY
        alma = m.almas.get(book.plan.home)
        if alma is None or not book.ever(Event.RETURNED):
            continue
        try:
            alma.delete_user(book.reader)
        except AlmaError:
            continue
        book.took(what)
        return


def _trouble_with_card(m: Month, book: Book, what: str) -> Life:
    yield m.luck(book).days(0.2, 6)
    alma, user = m.almas.get(book.plan.lender), m.stored(book).supplier.user_id
    if alma is None or user is None:
        return
    book.took(what)
    if what == "blocked at the lender":
        alma.block_user(user)
    else:
        alma.expire_user(user)
    yield m.luck(book).days(2, 9)
    alma.unblock_user(user)
    alma.expire_user(user, on=(m.now() + timedelta(days=400)).date())
