"""What staff, readers and Alma itself can do at one library, at any time.

Each act has a price: 0 where it belongs to an undisturbed journey or is what anybody would do with
the book in hand, 1 where something goes wrong by it. `where` the book is then is the truth that
no Alma knows: an act with the book in hand moves it, an act by mistake (a wrong barcode, a book
that is not there) does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from tests.explore import alma
from tests.explore.alma import (
    BRANCH,
    CLAIMED,
    CLOSED,
    DEPARTMENT,
    HOLDSHELF,
    IN_PLACE,
    LOAN,
    LOST,
    MAIN,
    MISSING,
    MOVING,
    OUR_USER,
    PAID,
    SHELVED,
    STRANGER,
    TRANSIT,
    VIRTUAL,
    Hold,
    Host,
    Item,
    Loan,
    active_loan,
    queue,
    with_hold,
    with_loan,
)

AT_LENDER, OUT, READER, NEXT, ELSEWHERE = "lender", "out", "reader", "next reader", "elsewhere"
"""Where the book is: in the lender's hands; between the libraries or in the hands of the one where
it is collected; with our reader; with another reader of the lender's; with one elsewhere."""

MOST_DUE = 3
"""A loan is renewed twice at most: a third time compares as the second did."""


class Place(NamedTuple):
    """What is known of a library before its acts are listed."""

    is_lender: bool
    collects: bool
    """Whether our reader collects and returns the book here."""
    goes_home: bool
    """Whether nobody waits for the book any more where it is collected."""


class Act(NamedTuple):
    label: tuple[str, ...]
    price: int
    host: Host
    where: str
    by_mistake: bool = False


def acts(host: Host, where: str, place: Place) -> Iterator[Act]:
    """Everything that can be done at this library now, and what it comes to."""
    for item in host.items:
        desk = _lender_desk if place.is_lender else _other_desk
        yield from desk(host, item, where, place)
        yield from _holds(host, item, where, place)
        yield from _loans(host, item, where)
        yield from _stock(host, item, where, place)
    yield from _records(host, where, place)


def _act(
    host: Host,
    after: Host,
    name: str,
    *more: str,
    where: str,
    price: int = 1,
    by_mistake: bool = False,
) -> Iterator[Act]:
    if after != host or by_mistake:
        yield Act((host.letter, name, *more), price, after, where, by_mistake)


def process_of(host: Host, pid: str) -> str:
    item = alma.item_of(host, pid)
    return "gone" if item is None else item.process


def is_sent(host: Host, pid: str) -> bool:
    """Whether the item is on its way for our own hold."""
    ours = any(
        each.at == MOVING and each.user == OUR_USER[host.letter] for each in queue(host, pid)
    )
    return ours and process_of(host, pid) == TRANSIT


# --- the lender's desks -----------------------------------------------------------


def _lender_desk(host: Host, item: Item, where: str, place: Place) -> Iterator[Act]:
    pid = item.pid
    for library in (MAIN, BRANCH):
        after = alma.scanned(host, pid, library)
        leaves = is_sent(after, pid) and not place.collects
        at_hand = where in (AT_LENDER, NEXT, READER if place.collects else NEXT)
        at_hand = at_hand or (where == OUT and place.goes_home)
        price = 0 if library == MAIN and at_hand else 1
        then = OUT if leaves else AT_LENDER
        if after != host or then != where:
            yield Act((host.letter, "scan_in", pid, library), price, after, then)
        if where != AT_LENDER and after != host:
            label = (host.letter, "scan_in", pid, library, "by mistake")
            yield Act(label, 1, after, where, by_mistake=True)
    if active_loan(host, pid) is not None:
        return
    user = OUR_USER[host.letter]
    if user in host.users:
        waits = any(each.at == SHELVED and each.user == user for each in queue(host, pid))
        at_hand = place.collects and waits and where == AT_LENDER
        taken = READER if place.collects else OUT
        yield from _act(
            host,
            alma.lent(host, pid, user),
            "lend to our patron",
            pid,
            where=taken if where == AT_LENDER else where,
            price=0 if at_hand else 1,
        )
    waits = any(each.at == SHELVED and each.user == STRANGER for each in queue(host, pid))
    yield from _act(
        host,
        alma.lent(host, pid, STRANGER),
        "lend to another",
        pid,
        where=NEXT,
        price=0 if waits and where == AT_LENDER else 1,
    )


# --- the desks elsewhere ------------------------------------------------------------


def _other_desk(host: Host, item: Item, where: str, place: Place) -> Iterator[Act]:
    pid = item.pid
    for library in (MAIN, BRANCH, VIRTUAL):
        after = alma.scanned(host, pid, library)
        natural = place.collects and library == MAIN and where in (OUT, READER, ELSEWHERE)
        if after != host or where != OUT:
            label = (host.letter, "scan_in", pid, library)
            yield Act(label, 0 if natural else 1, after, OUT)
        if where != OUT and after != host:
            label = (host.letter, "scan_in", pid, library, "by mistake")
            yield Act(label, 1, after, where, by_mistake=True)
    if active_loan(host, pid) is not None:
        return
    waits = any(
        each.at == SHELVED and each.user == OUR_USER[host.letter] for each in queue(host, pid)
    )
    if where in (OUT, READER, AT_LENDER):
        yield from _act(
            host,
            alma.lent(host, pid, OUR_USER[host.letter]),
            "lend to our reader",
            pid,
            where=READER,
            price=0 if place.collects and waits and where == OUT else 1,
        )
    if where == OUT:
        after = alma.lent(host, pid, STRANGER)
        yield from _act(host, after, "lend to another", pid, where=ELSEWHERE)


# --- holds ---------------------------------------------------------------------------


def _holds(host: Host, item: Item, where: str, place: Place) -> Iterator[Act]:
    pid, user = item.pid, OUR_USER[host.letter]
    waiting = queue(host, pid)
    for hold in waiting:
        whose = "our hold" if hold.user == user else "the hold of another"
        after = alma.cancelled(host, hold.rid)
        yield from _act(host, after, "cancel", whose, hold.rid, where=where)
        if hold.at == SHELVED:
            after = alma.cancelled(host, hold.rid, stays=True)
            yield from _act(host, after, "shelf time ends", whose, hold.rid, where=where)
    ours = next((each for each in waiting if each.user == user), None)
    if ours is not None:
        yield from _act(host, _anew(host, ours), "issue our hold anew", ours.rid, where=where)
        again = alma.cancelled(host, ours.rid)
        again = _hold(again, user, pid, ours.pickup, marked=ours.marked)
        yield from _act(host, again, "end our hold and place it again", ours.rid, where=where)
    elif not place.is_lender and active_loan(host, pid) is None:
        pickup = MAIN if place.collects else alma.OUT
        after = _hold(host, user, pid, pickup, marked=False)
        yield from _act(host, after, "our reader asks again", pid, where=where)
    if not any(each.user == STRANGER for each in waiting):
        for first in (False, True) if ours is not None else (False,):
            after = _hold(host, STRANGER, pid, MAIN, marked=False, first=first)
            name = "another asks, and is first" if first else "another asks"
            yield from _act(host, after, name, pid, where=where)


def _anew(host: Host, hold: Hold) -> Host:
    """The same hold under a new id: what its item does goes on for the new one."""
    after = alma.with_hold(host, hold._replace(at=CLOSED))
    stamp = alma.next_stamp(host) if hold.stamp else 0
    anew = hold._replace(rid=alma.new_id(host, "h"), stamp=stamp, old=False)
    return after._replace(holds=(*after.holds, anew))


def _hold(
    host: Host, user: str, pid: str, pickup: str, *, marked: bool, first: bool = False
) -> Host:
    stamp = alma.next_stamp(host) if alma.is_ours(host, user) else 0
    rid = alma.new_id(host, "h")
    hold = Hold(rid, user, pid, alma.NOT_STARTED, pickup, marked, stamp)
    return alma.placed(host, hold, first=first)


# --- loans ---------------------------------------------------------------------------


def _loans(host: Host, item: Item, where: str) -> Iterator[Act]:
    pid = item.pid
    loan = active_loan(host, pid)
    if loan is None:
        return
    if loan.due < MOST_DUE and loan.process == alma.NORMAL:
        after = with_loan(host, loan._replace(due=loan.due + 1))
        yield from _act(host, after, "renew", loan.lid, where=where)
    if alma.is_ours(host, loan.user):
        after = alma.lent(_unheld(host, pid), pid, loan.user)
        yield from _act(host, after, "discharge and charge again", loan.lid, where=where)
    if loan.process != "LOST":
        yield from _marked(host, item, loan, ("LOST", LOST), "mark lost", where)
    if loan.process != "CLAIMED_RETURN":
        yield from _marked(host, item, loan, ("CLAIMED_RETURN", CLAIMED), "claim returned", where)
    if loan.process != alma.NORMAL:
        yield from _marked(host, item, loan, (alma.NORMAL, LOAN), "found", where)
    if loan.process == "LOST":
        after = alma.settled(alma.moved(alma.ended(host, pid), pid, PAID))
        yield from _act(host, after, "pay for the lost", loan.lid, where=where)


def _unheld(host: Host, pid: str) -> Host:
    return alma.ended(host, pid)


def _marked(
    host: Host, item: Item, loan: Loan, words: tuple[str, str], name: str, where: str
) -> Iterator[Act]:
    after = alma.moved(with_loan(host, loan._replace(process=words[0])), item.pid, words[1])
    yield from _act(host, after, name, loan.lid, where=where)


# --- the stock ------------------------------------------------------------------------


def _stock(host: Host, item: Item, where: str, place: Place) -> Iterator[Act]:
    pid = item.pid
    if active_loan(host, pid) is None:
        missing = alma.settled(alma.moved(alma.requeued(host, pid), pid, MISSING))
        yield from _act(host, missing, "mark missing", pid, where=where)
        if item.process in (MISSING, PAID):
            after = alma.settled(alma.moved(host, pid, IN_PLACE))
            then = AT_LENDER if place.is_lender else OUT
            yield from _act(host, after, "found", pid, where=then)
        after = alma.settled(alma.moved(host, pid, DEPARTMENT))
        yield from _act(host, after, "work order", pid, where=where)
    name = "withdraw" if place.is_lender else "delete the virtual item"
    yield from _act(host, alma.removed_item(host, pid), name, pid, where=where)


def _records(host: Host, where: str, place: Place) -> Iterator[Act]:
    if not place.is_lender:
        for bib in host.bibs:
            if bib.is_ours:
                after = alma.merged(host, bib.mms)
                yield from _act(host, after, "merge our bib", bib.mms, where=where)
    yield from _act(host, alma.anonymised(host), "anonymise", where=where)


def claims_home(lender: Host) -> bool:
    """Whether the lender's records say that the book is in its hands, or another reader's of its."""
    return any(_claims_home(lender, item) for item in lender.items)


def _claims_home(host: Host, item: Item) -> bool:
    if is_sent(host, item.pid):
        return False
    loan = active_loan(host, item.pid)
    if item.process in (IN_PLACE, TRANSIT, HOLDSHELF, DEPARTMENT):
        return True
    return loan is not None and not alma.is_ours(host, loan.user)


__all__ = ["CLOSED", "MAIN", "Act", "Place", "acts", "claims_home", "with_hold"]
