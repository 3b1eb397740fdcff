"""What people do with a book: each scene plays one lend to its end and says where it must stand."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import timedelta

from reconciler.core.model import Transaction
from reconciler.core.status import DcbStatus
from tests.second.institution import Hold, Loan
from tests.second.stage import Lend, Stage

S = DcbStatus
Scene = Callable[[Stage], Awaitable[Lend]]


async def stands(at: Stage, lend: Lend, *statuses: DcbStatus) -> Transaction:
    """Let the service work, and see that it stands where the book does."""
    now = await at.rest(lend)
    assert now.status in statuses, f"{now.status}, not {statuses}\n{at.story(lend)}"
    assert now.parked is None, f"{now.parked}\n{at.story(lend)}"
    return now


# --- what people do -------------------------------------------------------------


async def placed(at: Stage, pickup: str = "uni-b") -> Lend:
    lend = at.wanted(pickup)
    await at.submit(lend)
    third = pickup == "uni-c"
    borrower, pickup_agency = "BORROWING", "PICKUP"
    status = S(f"REQUEST_PLACED_AT_{pickup_agency if third else borrower}_AGENCY")
    await stands(at, lend, status)
    return lend


def send(at: Stage, lend: Lend) -> None:
    at["uni-a"].scan(lend.book.pid, "MAIN")


def shelve(at: Stage, lend: Lend, code: str = "uni-b") -> None:
    here, virtual = at[code], at.virtual(code, lend)
    here.scan(virtual.pid, "MAIN")
    if here.dialect.two_step_shelf:
        here.scan(virtual.pid, "MAIN")


def collect(at: Stage, lend: Lend, code: str = "uni-b") -> Loan:
    virtual = at.virtual(code, lend)
    (hold,) = [each for each in at[code].holds.values() if each.pid == virtual.pid]
    return at[code].checkout(hold.user, virtual.pid, "MAIN")


def bring_back(at: Stage, lend: Lend, code: str = "uni-b", library: str = "MAIN") -> None:
    at[code].scan(at.virtual(code, lend).pid, library)


async def on_shelf(at: Stage, code: str = "uni-b") -> Lend:
    lend = await placed(at, code)
    send(at, lend)
    await stands(at, lend, S.PICKUP_TRANSIT)
    shelve(at, lend, code)
    await stands(at, lend, S.READY_FOR_PICKUP)
    return lend


async def lent(at: Stage, code: str = "uni-b") -> Lend:
    lend = await on_shelf(at, code)
    collect(at, lend, code)
    await stands(at, lend, S.LOANED)
    (loan,) = at.loans("uni-a")
    assert loan.pid == lend.book.pid
    return lend


async def home(at: Stage, lend: Lend, library: str = "MAIN") -> Lend:
    at["uni-a"].scan(lend.book.pid, library)
    await stands(at, lend, S.FINALISED)
    return lend


# --- scenes ---------------------------------------------------------------------


async def standard(at: Stage) -> Lend:
    lend = await lent(at)
    bring_back(at, lend)
    await stands(at, lend, S.RETURN_TRANSIT)
    return await home(at, lend)


async def three_libraries(at: Stage) -> Lend:
    lend = await lent(at, "uni-c")
    assert [each.pid for each in at.loans("uni-b")] == [at.virtual("uni-b", lend).pid]
    bring_back(at, lend, "uni-c")
    await stands(at, lend, S.RETURN_TRANSIT)
    return await home(at, lend)


async def expedited(at: Stage) -> Lend:
    lend = await placed(at, "uni-a")
    (hold,) = at.holds("uni-a", lend)
    at["uni-a"].scan(lend.book.pid, "MAIN")
    at["uni-a"].scan(lend.book.pid, "MAIN")
    await stands(at, lend, S.REQUEST_PLACED_AT_BORROWING_AGENCY)
    at["uni-a"].checkout(hold.user, lend.book.pid, "MAIN")
    await stands(at, lend, S.LOANED)
    assert len(at.loans("uni-b")) == 1
    return await home(at, lend)


async def local(at: Stage) -> Lend:
    """The lend ends with the hand-over; the hold is the library's own business then."""
    lend = at.wanted("uni-a", patron_at="uni-a")
    await at.submit(lend)
    await stands(at, lend, S.HANDED_OFF_AS_LOCAL)
    (hold,) = at.holds("uni-a", lend)
    assert hold.user == lend.reader
    at["uni-a"].end(hold, "cancelled")
    return lend


async def cancelled_before_dispatch(at: Stage, code: str = "uni-b") -> Lend:
    lend = await placed(at, code)
    (hold,) = at.holds(code, lend)
    at[code].end(hold, "cancelled")
    await stands(at, lend, S.FINALISED)
    return lend


async def cancelled_before_dispatch_at_the_third(at: Stage) -> Lend:
    return await cancelled_before_dispatch(at, "uni-c")


async def cancelled_on_the_way(at: Stage) -> Lend:
    lend = await placed(at)
    send(at, lend)
    await stands(at, lend, S.PICKUP_TRANSIT)
    (hold,) = at.holds("uni-b", lend)
    at["uni-b"].end(hold, "cancelled")
    await stands(at, lend, S.AWAITING_RETURN_TO_SUPPLIER)
    return await home(at, lend)


async def shelf_time_over(at: Stage, code: str = "uni-b") -> Lend:
    lend = await on_shelf(at, code)
    (hold,) = at.holds(code, lend)
    at[code].end(hold, "expired")
    await stands(at, lend, S.AWAITING_RETURN_TO_SUPPLIER)
    return await home(at, lend)


async def shelf_time_over_at_the_third(at: Stage) -> Lend:
    return await shelf_time_over(at, "uni-c")


async def refused_then_another_book(at: Stage) -> Lend:
    lend = await placed(at)
    (hold,) = at.holds("uni-a", lend)
    at["uni-a"].end(hold, "cancelled")
    await stands(at, lend, S.NOT_SUPPLIED_CURRENT_SUPPLIER)
    assert at.wrongs(lend) == []
    book = at["uni-a"].add_book("SECOND 2", "MAIN")
    ids = {"mms_id": book.mms_id, "holding_id": book.holding_id, "item_pid": book.pid}
    lend.line["item"] |= ids
    lend.book = book
    for each in (hold, *at.holds("uni-b", lend)):
        each.comment = "the first try"
    at.clock.advance(timedelta(minutes=5))
    await at.submit(lend)
    await stands(at, lend, S.REQUEST_PLACED_AT_BORROWING_AGENCY)
    send(at, lend)
    await stands(at, lend, S.PICKUP_TRANSIT)
    collect(at, lend)
    await stands(at, lend, S.LOANED)
    bring_back(at, lend)
    return await home(at, lend)


async def renewed(at: Stage) -> Lend:
    lend = await lent(at)
    (ours,), (theirs,) = at.loans("uni-a"), at.loans("uni-b")
    at["uni-b"].renew(theirs, 28)
    await at.pass_days(lend, 2)
    assert ours.due >= theirs.due.replace(microsecond=0), at.story(lend)
    puts = [call for call in at["uni-a"].log if call[0] == "PUT" and call[2] == "ok"]
    assert len(puts) == 1, puts
    bring_back(at, lend)
    await stands(at, lend, S.RETURN_TRANSIT)
    return await home(at, lend)


async def wrong_libraries(at: Stage) -> Lend:
    """The reader gives it back at a branch; the van unloads it at a branch of the lender."""
    lend = await lent(at)
    bring_back(at, lend, library="BRANCH")
    await stands(at, lend, S.RETURN_TRANSIT)
    return await home(at, lend, "BRANCH")


async def collected_without_a_scan(at: Stage) -> Lend:
    lend = await placed(at)
    send(at, lend)
    await stands(at, lend, S.PICKUP_TRANSIT)
    collect(at, lend)
    await stands(at, lend, S.LOANED)
    bring_back(at, lend)
    return await home(at, lend)


async def a_chapter_missed(at: Stage) -> Lend:
    """Sent, collected and brought back while nobody looked."""
    lend = await placed(at)
    send(at, lend)
    at.clock.advance(timedelta(hours=1))
    shelve(at, lend)
    collect(at, lend)
    at.clock.advance(timedelta(hours=1))
    bring_back(at, lend)
    await stands(at, lend, S.RETURN_TRANSIT)
    return await home(at, lend)


async def next_reader_waits(at: Stage) -> Lend:
    """Someone else's hold catches the book when it is home."""
    lend = await lent(at)
    here = at["uni-a"]
    other, book = here.add_user("other", "R9999"), lend.book
    theirs = Hold("147", other.id, book.pid, book.mms_id, "MAIN", None, None, here.now())
    here.holds[theirs.id] = theirs
    await at.pass_days(lend, 3)
    bring_back(at, lend)
    await stands(at, lend, S.RETURN_TRANSIT)
    await home(at, lend)
    assert theirs.stage in ("arrived", "shelf")
    here.end(theirs, "cancelled")
    return lend


async def straight_to_the_lender(at: Stage) -> Lend:
    """The lender's side of a lent book is looked at every three days or so."""
    lend = await lent(at)
    at["uni-a"].scan(lend.book.pid, "MAIN")
    now = await at.pass_days(lend, 5)
    assert now.status is S.FINALISED, at.story(lend)
    return lend


async def everything_forgotten(at: Stage) -> Lend:
    """Alma forgets what has ended before anybody looks."""
    lend = await lent(at)
    bring_back(at, lend)
    at.clock.advance(timedelta(days=8))
    for here in at.all:
        here.forget()
    await stands(at, lend, S.RETURN_TRANSIT)
    at["uni-a"].scan(lend.book.pid, "MAIN")
    at.clock.advance(timedelta(days=8))
    for here in at.all:
        here.forget()
    now = await at.pass_days(lend, 3)
    assert now.status is S.FINALISED, at.story(lend)
    return lend


async def reader_merged(at: Stage) -> Lend:
    """The reader's record becomes another's while the book is on the shelf."""
    lend = await on_shelf(at)
    here = at["uni-b"]
    gone = here.user(lend.reader)
    assert gone is not None
    gone.document["user_identifier"].append(
        {"value": lend.reader, "id_type": {"value": "OLD_ID"}, "status": "ACTIVE"}
    )
    here.merge_user(gone, here.add_user("merged-reader", "R8888"))
    await stands(at, lend, S.READY_FOR_PICKUP)
    collect(at, lend)
    await stands(at, lend, S.LOANED)
    bring_back(at, lend)
    await stands(at, lend, S.RETURN_TRANSIT)
    return await home(at, lend)


async def work_order_waits(at: Stage) -> Lend:
    """A department has asked for the lender's book: such a request has no user."""
    lend = await placed(at)
    at["uni-a"].work_orders += [lend.book.pid, lend.book.pid]
    send(at, lend)
    await stands(at, lend, S.PICKUP_TRANSIT)
    collect(at, lend)
    await at.pass_days(lend, 2)
    bring_back(at, lend)
    await stands(at, lend, S.RETURN_TRANSIT)
    return await home(at, lend)


async def lent_for_an_hour(at: Stage) -> Lend:
    """What the borrower's reader has is overdue before anybody looks."""
    lend = await on_shelf(at)
    loan = collect(at, lend)
    loan.due = at.clock.now() + timedelta(hours=1)
    at.clock.advance(timedelta(hours=9))
    await stands(at, lend, S.LOANED)
    bring_back(at, lend)
    await stands(at, lend, S.RETURN_TRANSIT)
    return await home(at, lend)


async def virtual_patron_blocked(at: Stage) -> Lend:
    """The lender's Alma does not lend to the virtual patron; the book travels all the same."""
    lend = await on_shelf(at)
    (hold,) = at.holds("uni-a", lend)
    patron = at["uni-a"].user(hold.user)
    assert patron is not None
    patron.document["user_block"] = [{"block_status": "ACTIVE", "block_type": {"value": "X"}}]
    collect(at, lend)
    await stands(at, lend, S.LOANED)
    assert at.loans("uni-a") == []
    bring_back(at, lend)
    await stands(at, lend, S.RETURN_TRANSIT)
    return await home(at, lend)


async def lender_ends_its_hold_after_dispatch(at: Stage) -> Lend:
    lend = await placed(at)
    send(at, lend)
    await stands(at, lend, S.PICKUP_TRANSIT)
    (hold,) = at.holds("uni-a", lend)
    at["uni-a"].end(hold, "cancelled")
    await at.rest(lend)
    shelve(at, lend)
    await stands(at, lend, S.READY_FOR_PICKUP)
    collect(at, lend)
    await stands(at, lend, S.LOANED)
    bring_back(at, lend)
    await stands(at, lend, S.RETURN_TRANSIT)
    return await home(at, lend)


async def lent_after_all(at: Stage) -> Lend:
    """The shelf time was over, yet the desk lent the book to the reader."""
    lend = await on_shelf(at)
    (hold,) = at.holds("uni-b", lend)
    at["uni-b"].end(hold, "expired")
    await stands(at, lend, S.AWAITING_RETURN_TO_SUPPLIER)
    loan = at["uni-b"].checkout(hold.user, at.virtual("uni-b", lend).pid, "MAIN")
    await at.rest(lend)
    assert loan.returned is None, at.story(lend)
    bring_back(at, lend)
    await at.rest(lend)
    return await home(at, lend)


async def two_books_for_one_reader(at: Stage) -> Lend:
    """The same virtual patron borrows twice; his record is about to expire by then."""
    first = await placed(at)
    second = at.wanted()
    second.line["patron"] = first.line["patron"]
    (hold,) = at.holds("uni-a", first)
    patron = at["uni-a"].user(hold.user)
    assert patron is not None
    patron.document["expiry_date"] = f"{at.clock.now().date() + timedelta(days=9)}Z"
    await at.submit(second)
    await stands(at, second, S.REQUEST_PLACED_AT_BORROWING_AGENCY)
    for lend in (first, second):
        send(at, lend)
        await stands(at, lend, S.PICKUP_TRANSIT)
        shelve(at, lend)
        collect(at, lend)
        await stands(at, lend, S.LOANED)
    for lend in (second, first):
        bring_back(at, lend)
        await stands(at, lend, S.RETURN_TRANSIT)
        await home(at, lend)
    return first


async def by_another_identifier(at: Stage) -> Lend:
    """The line names the reader by another identifier: Alma answers with the primary id."""
    lend = at.wanted()
    reader = at["uni-b"].user(lend.reader)
    assert reader is not None
    other = {"value": "univ/42", "id_type": {"value": "UNIV_ID"}, "status": "ACTIVE"}
    reader.document["user_identifier"].append(other)
    lend.line["patron"]["user_id"] = "UNIV/42"
    await at.submit(lend)
    await stands(at, lend, S.REQUEST_PLACED_AT_BORROWING_AGENCY)
    send(at, lend)
    await stands(at, lend, S.PICKUP_TRANSIT)
    shelve(at, lend)
    collect(at, lend)
    await stands(at, lend, S.LOANED)
    bring_back(at, lend)
    await stands(at, lend, S.RETURN_TRANSIT)
    return await home(at, lend)


async def wrong_holding_in_the_line(at: Stage) -> Lend:
    """Reading an item forgives a wrong holding, requests and scans do not (§3.8, §5.3)."""
    lend = at.wanted()
    lend.line["item"]["holding_id"] = "220000000000006421"
    await at.submit(lend)
    await stands(at, lend, S.REQUEST_PLACED_AT_BORROWING_AGENCY)
    send(at, lend)
    await stands(at, lend, S.PICKUP_TRANSIT)
    shelve(at, lend)
    collect(at, lend)
    await stands(at, lend, S.LOANED)
    bring_back(at, lend)
    return await home(at, lend)


async def moved_to_another_holding(at: Stage) -> Lend:
    """The lender's cataloguers move the item while it is away."""
    lend = await lent(at)
    here, book = at["uni-a"], lend.book
    other = here.add_book("OTHER", "MAIN")
    book.mms_id, book.holding_id = other.mms_id, other.holding_id
    await stands(at, lend, S.LOANED)
    await at.pass_days(lend, 2)
    bring_back(at, lend)
    await stands(at, lend, S.RETURN_TRANSIT)
    return await home(at, lend)


async def virtual_patron_merged(at: Stage) -> Lend:
    """The lender's virtual patron becomes part of another; then the reader cancels."""
    lend = await placed(at)
    here = at["uni-a"]
    (hold,) = at.holds("uni-a", lend)
    gone = here.user(hold.user)
    assert gone is not None
    into = here.add_user("someone-merged")
    gone.document["user_identifier"] = []
    here.merge_user(gone, into)
    (ours,) = at.holds("uni-b", lend)
    at["uni-b"].end(ours, "cancelled")
    await stands(at, lend, S.FINALISED)
    return lend


SCENES: dict[str, Scene] = {
    each.__name__: each
    for each in (
        standard,
        three_libraries,
        expedited,
        local,
        cancelled_before_dispatch,
        cancelled_before_dispatch_at_the_third,
        cancelled_on_the_way,
        shelf_time_over,
        shelf_time_over_at_the_third,
        refused_then_another_book,
        renewed,
        wrong_libraries,
        collected_without_a_scan,
        a_chapter_missed,
        next_reader_waits,
        straight_to_the_lender,
        everything_forgotten,
        reader_merged,
        work_order_waits,
        lent_for_an_hour,
        virtual_patron_blocked,
        lender_ends_its_hold_after_dispatch,
        lent_after_all,
        two_books_for_one_reader,
        by_another_identifier,
        wrong_holding_in_the_line,
        moved_to_another_holding,
        virtual_patron_merged,
    )
}
