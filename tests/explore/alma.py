"""One library's Alma, as small as the rules of a lend need it: values in, values out.

Written from alma-api.md (the section stands beside each rule), not from the sandbox, so that the
two can disagree. Everything is a frozen tuple: a state can be a key, and an act is a function from
one state to the next. Words that only people see, dates of no consequence and whatever no rule of
ours can ask for are left out; `tests/explore/README.md` lists what.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, NamedTuple

MAIN, BRANCH, VIRTUAL, OUT = "MAIN", "BRANCH", "DCB", "RES_OUT"
"""The libraries of every institution: where books stand and are collected, another house, where
virtual items live, and the one that stands for outside, where nobody ever scans."""

NOT_STARTED, PICKING, MOVING, SHELVED, CLOSED = "NOT_STARTED", "PICKING", "MOVING", "SHELVED", "C"
"""Where a hold stands: it queues; its item is to be picked from the shelf; its item moves for it;
its item waits for its user; it is over. PICKING and MOVING are both IN_PROCESS (§3.2)."""

IN_PLACE, TRANSIT, HOLDSHELF, LOAN = "", "TRANSIT", "HOLDSHELF", "LOAN"
MISSING, LOST, PAID = "MISSING", "LOST_LOAN", "LOST_LOAN_AND_PAID"
CLAIMED, DEPARTMENT = "CLAIM_RETURNED_LOAN", "WORK_ORDER_DEPARTMENT"

US, NORMAL = "us", "NORMAL"


class Hold(NamedTuple):
    """`stamp` orders the records of our own user; 0 for those of others, of whom it is not asked.

    `old`: longer ago than a returned loan is kept.
    """

    rid: str
    user: str
    pid: str
    at: str
    pickup: str
    marked: bool
    stamp: int
    old: bool = False

    @property
    def is_open(self) -> bool:
        return self.at != CLOSED


class Loan(NamedTuple):
    """`due` counts periods; `user` is "" once the loan was made anonymous (§1.6)."""

    lid: str
    user: str
    pid: str
    is_active: bool
    process: str
    due: int
    stamp: int
    old: bool = False


class Item(NamedTuple):
    pid: str
    mms: str
    hid: str
    library: str
    process: str
    marked: bool
    """Carries our mark in its note."""
    noted: bool = False
    """Carries the advice not to renew."""


class Holding(NamedTuple):
    hid: str
    mms: str
    is_ours: bool


class Bib(NamedTuple):
    mms: str
    is_ours: bool
    """Made by us, and no library's own."""
    numbered: bool
    """Carries our 035 (after a merge the library's own bib does)."""


class Host(NamedTuple):
    """One institution. Holds stand in the order of the queue.

    `ghosts` are ids that are gone here and that somebody may still remember: none is given twice.
    """

    letter: str
    items: tuple[Item, ...] = ()
    holdings: tuple[Holding, ...] = ()
    bibs: tuple[Bib, ...] = ()
    holds: tuple[Hold, ...] = ()
    loans: tuple[Loan, ...] = ()
    users: frozenset[str] = frozenset()
    ghosts: frozenset[str] = frozenset()


# --- looking things up ---------------------------------------------------------


def item_of(host: Host, pid: str) -> Item | None:
    return next((each for each in host.items if each.pid == pid), None)


def hold_of(host: Host, rid: str) -> Hold | None:
    return next((each for each in host.holds if each.rid == rid), None)


def queue(host: Host, pid: str) -> tuple[Hold, ...]:
    """The open holds on an item, first come first."""
    return tuple(each for each in host.holds if each.pid == pid and each.at != CLOSED)


def active_loan(host: Host, pid: str) -> Loan | None:
    return next((each for each in host.loans if each.pid == pid and each.is_active), None)


def new_id(host: Host, kind: str) -> str:
    """The lowest number that is in use neither here nor in anybody's memory."""
    used = {each[0] for rows in host[1:6] for each in rows} | host.ghosts
    n = 1
    while f"{host.letter}{kind}{n}" in used:
        n += 1
    return f"{host.letter}{kind}{n}"


def next_stamp(host: Host) -> int:
    return max((each.stamp for rows in (host.holds, host.loans) for each in rows), default=0) + 1


# --- putting things back -------------------------------------------------------


def with_item(host: Host, item: Item) -> Host:
    return host._replace(items=tuple(item if each.pid == item.pid else each for each in host.items))


def with_hold(host: Host, hold: Hold) -> Host:
    return host._replace(holds=tuple(hold if each.rid == hold.rid else each for each in host.holds))


def with_loan(host: Host, loan: Loan) -> Host:
    return host._replace(loans=tuple(loan if each.lid == loan.lid else each for each in host.loans))


def moved(host: Host, pid: str, process: str) -> Host:
    return host._replace(
        items=tuple(
            each._replace(process=process) if each.pid == pid else each for each in host.items
        )
    )


# --- holds (§3.3) --------------------------------------------------------------


def settled(host: Host) -> Host:
    """Each item in place starts the first hold of its queue; the others wait."""
    holds = []
    started: set[str] = set()
    for hold in host.holds:
        if hold.at in (NOT_STARTED, PICKING):
            item = item_of(host, hold.pid)
            under_way = any(each.at in (MOVING, SHELVED) for each in queue(host, hold.pid))
            is_first = hold.pid not in started
            free = item is not None and item.process == IN_PLACE and not under_way
            hold = hold._replace(at=PICKING if free and is_first else NOT_STARTED)
            started.add(hold.pid)
        holds.append(hold)
    return host._replace(holds=tuple(holds))


def placed(host: Host, hold: Hold, *, first: bool = False) -> Host:
    """A new hold at the end of the queue, or before all others."""
    holds = (hold, *host.holds) if first else (*host.holds, hold)
    return settled(host._replace(holds=holds))


def requeued(host: Host, pid: str, but: str = "") -> Host:
    """What the item was moving for waits again, as if nothing had been done."""
    for hold in queue(host, pid):
        if hold.at in (MOVING, SHELVED) and hold.rid != but:
            host = with_hold(host, hold._replace(at=NOT_STARTED))
    return host


def served(host: Host, hold: Hold, library: str) -> Host:
    """The item goes where the hold is collected, or onto the shelf there (§5.5)."""
    here = hold.pickup == library
    host = requeued(host, hold.pid, but=hold.rid)
    host = with_hold(host, hold._replace(at=SHELVED if here else MOVING))
    return moved(host, hold.pid, HOLDSHELF if here else TRANSIT)


def cancelled(host: Host, rid: str, *, stays: bool = False) -> Host:
    """A hold ends. What moved for it goes to the next one, home or into place.

    `stays`: on a hold shelf the item is left until somebody scans it (§3.3, "shelf expiry").
    """
    hold = hold_of(host, rid)
    if hold is None or hold.at == CLOSED:
        return host
    was = hold.at
    host = with_hold(host, hold._replace(at=CLOSED))
    item = item_of(host, hold.pid)
    if item is None or was not in (MOVING, SHELVED) or (was == SHELVED and stays):
        return settled(host)
    following = next(iter(queue(host, item.pid)), None)
    if following is not None:
        host = served(host, following, hold.pickup if was == SHELVED else "")
    else:
        at_home = was == SHELVED and hold.pickup == item.library
        host = moved(host, item.pid, IN_PLACE if at_home else TRANSIT)
    return settled(host)


# --- scans and loans (§4, §5.5) --------------------------------------------------


def ended(host: Host, pid: str) -> Host:
    """The item's loan is over."""
    loan = active_loan(host, pid)
    return host if loan is None else with_loan(host, loan._replace(is_active=False, process=NORMAL))


def to_serve(host: Host, pid: str) -> Hold | None:
    """The hold that a scan serves: one that is under way, else the first of those started."""
    waiting = queue(host, pid)
    under_way = [each for each in waiting if each.at in (MOVING, SHELVED)]
    started = [each for each in waiting if each.at == PICKING]
    return next(iter((*under_way, *started, *waiting)), None)


def scanned(host: Host, pid: str, library: str) -> Host:
    """A scan: the loan is closed; then hold shelf, transit to the pickup, in place, or home."""
    host = ended(host, pid)
    item = item_of(host, pid)
    if item is None:
        return host
    hold = to_serve(host, pid)
    if hold is not None:
        return settled(served(host, hold, library))
    return settled(moved(host, pid, IN_PLACE if library == item.library else TRANSIT))


def lent(host: Host, pid: str, user: str, *, due: int = 1) -> Host:
    """A loan: the user's own hold on the item is filled by it, others wait again."""
    filled = next((each for each in queue(host, pid) if each.user == user), None)
    if filled is not None:
        host = with_hold(host, filled._replace(at=CLOSED))
    host = requeued(host, pid)
    stamp = next_stamp(host) if is_ours(host, user) else 0
    loan = Loan(new_id(host, "l"), user, pid, True, NORMAL, due, stamp)
    return settled(moved(host._replace(loans=(*host.loans, loan)), pid, LOAN))


def is_ours(host: Host, user: str) -> bool:
    """Whether a user is the one that this lend goes by here."""
    return user == OUR_USER[host.letter]


OUR_USER = {"A": "vp", "B": "p1", "C": "vp"}
STRANGER = "x"


def removed_item(host: Host, pid: str) -> Host:
    """The record goes: its loan is over, its holds are cancelled."""
    host = ended(host, pid)
    for hold in queue(host, pid):
        host = with_hold(host, hold._replace(at=CLOSED))
    return host._replace(
        items=tuple(each for each in host.items if each.pid != pid), ghosts=host.ghosts | {pid}
    )


def merged(host: Host, mms: str) -> Host:
    """Our bib is merged into the library's own: number, holdings and items go along."""
    own = f"{host.letter}own"
    return host._replace(
        bibs=(*(each for each in host.bibs if each.mms not in (mms, own)), Bib(own, False, True)),
        holdings=(
            *(each._replace(mms=own) if each.mms == mms else each for each in host.holdings),
            *(() if any(each.mms == own for each in host.holdings) else (_own_holding(host),)),
        ),
        items=tuple(each._replace(mms=own) if each.mms == mms else each for each in host.items),
        ghosts=host.ghosts | {mms},
    )


def _own_holding(host: Host) -> Holding:
    return Holding(f"{host.letter}ownh", f"{host.letter}own", False)


# --- canonical form --------------------------------------------------------------


def tidy(host: Host, known: Iterable[str], stamp: int | None = None) -> tuple[Host, int | None]:
    """Without what nobody can ask for any more, and with stamps that count from one.

    A closed hold is asked for by its id only. Of loans that are over a list shows the newest of
    our user; an older one, one of somebody else or one made anonymous is asked for by its id only.
    `stamp` is a place in time that is remembered; it comes back as it is called now.
    """
    known = frozenset(known)
    holds = [each for each in host.holds if each.at != CLOSED or each.rid in known]
    newest: dict[str, int] = {}
    for loan in host.loans:
        if not loan.is_active and is_ours(host, loan.user):
            newest[loan.pid] = max(newest.get(loan.pid, 0), loan.stamp)
    loans = [
        each
        for each in host.loans
        if each.is_active
        or each.lid in known
        or (is_ours(host, each.user) and newest[each.pid] == each.stamp)
    ]
    stamps = {each.stamp for rows in (holds, loans) for each in rows} | {0, stamp or 0}
    ranks = {each: rank for rank, each in enumerate(sorted(stamps))}
    tidied = host._replace(
        holds=tuple(each._replace(stamp=ranks[each.stamp]) for each in holds),
        loans=tuple(sorted(each._replace(stamp=ranks[each.stamp]) for each in loans)),
        ghosts=host.ghosts & known,
    )
    return tidied, None if stamp is None else ranks[stamp]


def new_names(host: Host, known: Iterable[str]) -> dict[str, str]:
    """What each id that is given by number would be called in a world where nothing else was.

    Our own records come first, in the order of their stamps; then those of others; then what is
    only remembered. Empty where every id is called so already.
    """
    names: dict[str, str] = {}
    rows: list[tuple[Any, ...]] = [*host.bibs, *host.holdings, *host.items]
    dated = sorted((*host.holds, *host.loans), key=lambda each: (not each.stamp, each.stamp))
    here = [row[0] for row in (*rows, *dated)]
    gone = sorted((host.ghosts | frozenset(known)) - set(here))
    counts: dict[str, int] = {}
    for id in (*here, *gone):
        kind, number = id[:2], id[2:]
        if number.isdigit() and not (host.letter == "A" and kind == "Ai"):
            counts[kind] = counts.get(kind, 0) + 1
            names[id] = f"{kind}{counts[kind]}"
    return {old: new for old, new in names.items() if old != new}


def renamed(host: Host, names: dict[str, str]) -> Host:
    """The same with other ids."""

    def rows(of: tuple[Any, ...]) -> tuple[Any, ...]:
        return tuple(
            type(row)(*(names.get(each, each) if isinstance(each, str) else each for each in row))
            for row in of
        )

    return Host(
        host.letter,
        rows(host.items),
        rows(host.holdings),
        rows(host.bibs),
        rows(host.holds),
        tuple(sorted(rows(host.loans))),
        host.users,
        frozenset(names.get(each, each) for each in host.ghosts),
    )


def aged(host: Host) -> Host:
    """So long a time has passed that a returned loan may be forgotten."""
    return host._replace(
        holds=tuple(each._replace(old=True) for each in host.holds),
        loans=tuple(each._replace(old=True) for each in host.loans),
    )


def anonymised(host: Host) -> Host:
    """The nightly job: old loans that are over lose their user, old closed holds vanish (§1.6)."""
    return host._replace(
        holds=tuple(each for each in host.holds if not (each.at == CLOSED and each.old)),
        loans=tuple(
            each._replace(user="", stamp=0) if each.old and not each.is_active else each
            for each in host.loans
        ),
        ghosts=host.ghosts | {each.rid for each in host.holds if each.at == CLOSED and each.old},
    )


Answer = tuple[Any, ...]
