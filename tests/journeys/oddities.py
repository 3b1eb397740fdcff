"""Seldom things that people do with a book: by mistake, out of kindness, or because it is usual."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from reconciler.core.status import Workflow
from tests.journeys.book import Book, Event, Where
from tests.journeys.desks import AlmaDesk, Say, Slip
from tests.journeys.plans import Oddity
from tests.journeys.ways import Life, obey, to_department

if TYPE_CHECKING:
    from tests.journeys.month import Month


def does(book: Book, what: Oddity) -> bool:
    """Whether it is still to happen to this book."""
    return what in book.plan.oddities and what not in book.paths


def lenders_alma(m: Month, book: Book) -> AlmaDesk | None:
    desk = m.desk(book.plan.lender)
    return desk if isinstance(desk, AlmaDesk) else None


def local_reader(desk: AlmaDesk, book: Book) -> str:
    """A reader of the lender's own, made when he first comes."""
    name = f"local-{book.n}"
    if not desk.alma.users.find("value", name):
        desk.alma.add_user(name)
    return name


# --- before it leaves --------------------------------------------------------


def goes_to_local_reader(m: Month, book: Book) -> bool:
    """Staff serve a local reader first, at the branch; ours waits in the queue."""
    desk = lenders_alma(m, book)
    if desk is None or not does(book, Oddity.LOCAL_READER_FIRST):
        return False
    if not desk.serve_first(book, local_reader(desk, book)):
        return False
    book.took(Oddity.LOCAL_READER_FIRST)
    book.where, book.library = Where.LENDERS_DESK, "BRANCH"
    return True


def goes_elsewhere(m: Month, book: Book) -> None:
    """What the copy is wanted for, of which our hold has just been refused."""
    desk = lenders_alma(m, book)
    if desk is not None and does(book, Oddity.WALK_IN):
        book.took(Oddity.WALK_IN)
        desk.lend(book, local_reader(desk, book))
        book.where = Where.NEXT_READER
    elif desk is not None and does(book, Oddity.REPAIR):
        to_department(m, book, Oddity.REPAIR)


def reissued(m: Month, book: Book, what: Oddity) -> Life:
    """Staff place our hold anew: at the lender, or the reader's at home."""
    if not does(book, what):
        return
    yield m.odds(book).days(0.05, 6)
    code = book.plan.lender if what is Oddity.REISSUED_BY_LENDER else book.plan.home
    desk = m.desk(code)
    if isinstance(desk, AlmaDesk) and desk.reissue(book):
        book.took(what)


# --- while the reader has it ---------------------------------------------------


def charged_again(m: Month, book: Book) -> Life:
    desk = m.desk(book.plan.pickup)
    if not isinstance(desk, AlmaDesk) or not does(book, Oddity.CHARGED_AGAIN):
        return
    yield m.odds(book).days(0.1, 4)
    if desk.charge_again(book):
        book.took(Oddity.CHARGED_AGAIN)
        book.staffs_loans += book.plan.workflow is Workflow.EXPEDITED


def checked_in_by_mistake(m: Month, book: Book) -> Life:
    """The lender's Alma says that it is back; who notices soon lends it to our reader again."""
    desk, odds = lenders_alma(m, book), m.odds(book)
    if desk is None or book.plan.workflow is Workflow.EXPEDITED:
        return
    if not does(book, Oddity.CHECKED_IN_BY_MISTAKE):
        return
    for _ in range(20):
        yield odds.days(0.2, 1)
        if book.where is Where.READER and (loan := desk.loan(book)) is not None:
            break
    else:
        return
    user = desk.alma.users.get(loan.user_key)
    since = m.now()
    desk.alma.return_item(book.pid, odds.one_of(("MAIN", "BRANCH")))
    book.took(Oddity.CHECKED_IN_BY_MISTAKE)
    book.mistakes.append((since, m.ends))
    if user is None or Oddity.MISTAKE_CORRECTED not in book.plan.oddities:
        return
    yield odds.minutes(1, 50)
    if book.where is Where.READER and not desk.on_loan(book):
        desk.alma.loan(book.pid, user.primary_id, "MAIN", override=True)
        book.mistakes[-1] = (since, m.now())
        book.staffs_loans += 1
        book.took(Oddity.MISTAKE_CORRECTED)


def paid_at_lender(m: Month, book: Book) -> Life:
    """It is long overdue: the lender bills the consortium, while the reader has it."""
    desk, odds = lenders_alma(m, book), m.odds(book)
    if desk is None or book.plan.workflow is Workflow.EXPEDITED:
        return
    if not does(book, Oddity.PAID_AT_LENDER):
        return
    for _ in range(20):
        yield odds.days(0.2, 1)
        if book.where is Where.READER and desk.on_loan(book):
            desk.mark_lost(book)
            desk.pay_lost(book)
            book.took(Oddity.PAID_AT_LENDER)
            return


def pays(m: Month, book: Book) -> Life:
    """For what he lost; it may turn up all the same."""
    desk = m.desk(book.plan.pickup)
    if not isinstance(desk, AlmaDesk) or not does(book, Oddity.PAID_FOR):
        return
    yield m.odds(book).days(0.2, 3)
    if desk.on_loan(book):
        desk.pay_lost(book)
        book.took(Oddity.PAID_FOR)


# --- back ------------------------------------------------------------------------


def comes_after_all(m: Month, book: Book) -> bool:
    """He comes for the book after its shelf time, or in spite of cancelling."""
    desk = m.desk(book.plan.pickup)
    if book.plan.workflow is Workflow.EXPEDITED or not does(book, Oddity.AFTER_ALL):
        return False
    if not isinstance(desk, AlmaDesk) or desk.item(book) is None or desk.on_loan(book):
        return False
    desk.lend(book, book.card)
    book.took(Oddity.AFTER_ALL)
    book.happened(Event.LENT, m.now())
    book.where = Where.READER
    return True


def brought_to_lender(m: Month, book: Book) -> bool:
    """The reader takes it to the library that owns it; his own finds out days later."""
    desk = lenders_alma(m, book)
    if desk is None or book.plan.workflow is Workflow.EXPEDITED:
        return False
    if not does(book, Oddity.BROUGHT_TO_LENDER):
        return False
    book.took(Oddity.BROUGHT_TO_LENDER)
    for event in (Event.RETURNED, Event.HOME):
        book.happened(event, m.now())
    book.where = Where.LENDERS_DESK
    obey(m, book, desk.scan(book, m.odds(book).one_of(("MAIN", "BRANCH"))))
    m.begin(_told_by_telephone(m, book))
    return True


def _told_by_telephone(m: Month, book: Book) -> Life:
    yield m.odds(book).days(3, 8)
    desk = m.desk(book.plan.pickup)
    if desk.on_loan(book):
        desk.scan(book, "MAIN")


def home_at_once(m: Month, book: Book, slip: Slip) -> Life:
    """Returned, and scanned at the lender's before anything has settled."""
    goes = slip.say is Say.SEND_HOME and book.plan.workflow is not Workflow.EXPEDITED
    if not goes or not does(book, Oddity.HOME_AT_ONCE):
        return
    yield timedelta(seconds=m.odds(book).between(2, 50))
    book.took(Oddity.HOME_AT_ONCE)
    book.where, book.library = Where.LENDERS_DESK, "MAIN"
    book.happened(Event.HOME, m.now())
    obey(m, book, m.desk(book.plan.lender).scan(book, "MAIN"))
