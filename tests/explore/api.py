"""What one Alma answers over its API: a call and a state in, an answer and the next state out.

A call is a tuple of its name and its arguments; an answer is `("ok", …)` or `("no", CODE)` with
Alma's code for the refusal (alma-api.md §12). Both are keys, so that equal calls are made once.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.explore.alma import (
    CLOSED,
    HOLDSHELF,
    IN_PLACE,
    LOAN,
    MISSING,
    MOVING,
    OUT,
    SHELVED,
    TRANSIT,
    Bib,
    Hold,
    Holding,
    Host,
    Item,
    active_loan,
    cancelled,
    hold_of,
    is_ours,
    item_of,
    lent,
    new_id,
    next_stamp,
    placed,
    queue,
    removed_item,
    scanned,
    settled,
    with_item,
    with_loan,
)

Call = tuple[Any, ...]
Answer = tuple[Any, ...]
Path = tuple[str, str]
"""The bib and the holding that an item is asked for under."""

NO_ITEM, NO_BARCODE, NO_REQUEST, NO_LOAN, NO_USER = "401683", "401689", "401694", "401823", "401861"
NO_BIB, NO_HOLDING = "402203", "402208"
DONE: Answer = ("ok",)


def _no(code: str) -> Answer:
    return ("no", code)


# --- reads ---------------------------------------------------------------------


def item(host: Host, pid: str) -> Answer:
    """The item is found by its pid, whatever path was asked for (§5.3)."""
    found = item_of(host, pid)
    return _no(NO_ITEM) if found is None else _shown(host, found)


def item_by_barcode(host: Host) -> Answer:
    """The first copy at the lender, the virtual item elsewhere; the only barcode that is asked."""
    found = next(
        (each for each in host.items if each.pid != f"{host.letter}i2" or each.marked), None
    )
    if host.letter == "A":
        found = item_of(host, "Ai1")
    return _no(NO_BARCODE) if found is None else _shown(host, found)


def item_by_other_barcode(host: Host) -> Answer:
    found = item_of(host, "Ai2")
    return _no(NO_BARCODE) if found is None else _shown(host, found)


def _shown(host: Host, found: Item) -> Answer:
    """The item, whether it is requested, and when the loan that it is on falls due."""
    loan = active_loan(host, found.pid)
    return ("ok", found, bool(queue(host, found.pid)), loan.due if loan else 0)


def request(host: Host, rid: str) -> Answer:
    found = hold_of(host, rid)
    return _no(NO_REQUEST) if found is None else ("ok", found)


def _stands_at(host: Host, pid: str, path: Path) -> bool:
    """Lists, scans and deletes need the real path, unlike the item itself (§3.8, §5.3)."""
    found = item_of(host, pid)
    return found is not None and (found.mms, found.hid) == path


def item_requests(host: Host, pid: str, path: Path) -> Answer:
    if not _stands_at(host, pid, path):
        return _no(NO_ITEM)
    return ("ok", queue(host, pid))


def loan(host: Host, lid: str) -> Answer:
    found = next((each for each in host.loans if each.lid == lid), None)
    return _no(NO_LOAN) if found is None else ("ok", found)


def item_loans(host: Host, pid: str, completed: bool, path: Path) -> Answer:
    if not _stands_at(host, pid, path):
        return _no(NO_ITEM)
    rows = (each for each in host.loans if each.pid == pid and each.is_active is not completed)
    return ("ok", tuple(rows))


def user_loans(host: Host, user: str, completed: bool) -> Answer:
    rows = (each for each in host.loans if each.user == user and each.is_active is not completed)
    return ("ok", tuple(rows))


def user(host: Host, name: str) -> Answer:
    return ("ok", name) if name in host.users else _no(NO_USER)


def user_holds(host: Host, user: str) -> Answer:
    return ("ok", tuple(each for each in host.holds if each.user == user and each.is_open))


def bib(host: Host, mms: str) -> Answer:
    found = next((each for each in host.bibs if each.mms == mms), None)
    return _no(NO_BIB) if found is None else ("ok", found)


def bibs_with_number(host: Host) -> Answer:
    return ("ok", tuple(each for each in host.bibs if each.numbered))


def holdings(host: Host, mms: str) -> Answer:
    """An unknown bib has none (§1.3)."""
    return ("ok", tuple(each for each in host.holdings if each.mms == mms))


def holding_items(host: Host, hid: str) -> Answer:
    shown = (_shown(host, each)[1:] for each in host.items if each.hid == hid)
    return ("ok", tuple(shown))


# --- writes --------------------------------------------------------------------


def create_user(host: Host, name: str) -> tuple[Answer, Host]:
    if name in host.users:
        return _no("401851"), host
    return ("ok", name), host._replace(users=host.users | {name})


def place_hold(host: Host, user: str, pid: str, library: str, marked: bool) -> tuple[Answer, Host]:
    found = item_of(host, pid)
    if found is None:
        return _no("401684"), host
    if any(each.user == user for each in queue(host, pid)):
        return _no("401136"), host
    if found.process in (MISSING, "LOST_LOAN", "LOST_LOAN_AND_PAID"):
        return _no("401129"), host
    stamp = next_stamp(host) if is_ours(host, user) else 0
    rid = new_id(host, "h")
    host = placed(host, Hold(rid, user, pid, "NOT_STARTED", library, marked, stamp))
    return ("ok", hold_of(host, rid)), host


def cancel_hold(host: Host, rid: str) -> tuple[Answer, Host]:
    found = hold_of(host, rid)
    if found is None or found.at == CLOSED:
        return _no("401697"), host
    return DONE, cancelled(host, rid)


def create_bib(host: Host) -> tuple[Answer, Host]:
    made = Bib(new_id(host, "b"), True, True)
    return ("ok", made), host._replace(bibs=(*host.bibs, made))


def delete_bib(host: Host, mms: str, override: bool) -> tuple[Answer, Host]:
    found = next((each for each in host.bibs if each.mms == mms), None)
    if found is None:
        return _no(NO_BIB), host
    below = [each for each in host.holdings if each.mms == mms]
    if any(each.mms == mms for each in host.items) or (below and not override):
        return _no("4022020"), host
    gone = {mms, *(each.hid for each in below)}
    return DONE, host._replace(
        bibs=tuple(each for each in host.bibs if each.mms != mms),
        holdings=tuple(each for each in host.holdings if each.mms != mms),
        ghosts=host.ghosts | gone,
    )


def create_holding(host: Host, mms: str) -> tuple[Answer, Host]:
    if not any(each.mms == mms for each in host.bibs):
        return _no("402204"), host
    made = Holding(new_id(host, "d"), mms, True)
    return ("ok", made), host._replace(holdings=(*host.holdings, made))


def delete_holding(host: Host, mms: str, hid: str) -> tuple[Answer, Host]:
    if not any(each.mms == mms for each in host.bibs):
        return _no(NO_BIB), host
    found = next((each for each in host.holdings if each.hid == hid and each.mms == mms), None)
    if found is None:
        return _no(NO_HOLDING), host
    if any(each.hid == hid for each in host.items):
        return _no("60214"), host
    kept = tuple(each for each in host.holdings if each.hid != hid)
    return DONE, host._replace(holdings=kept, ghosts=host.ghosts | {hid})


def create_item(host: Host, mms: str, hid: str) -> tuple[Answer, Host]:
    if not any(each.hid == hid for each in host.holdings):
        return _no("402204"), host
    if host.items:
        return _no("401873"), host  # the barcode is taken
    made = Item(new_id(host, "i"), mms, hid, "DCB", IN_PLACE, True)
    host = host._replace(items=(*host.items, made))
    return _shown(host, made), host


def delete_item(host: Host, pid: str, override: bool, path: Path) -> tuple[Answer, Host]:
    """On loan it is not deleted; requested only with override (§5.4)."""
    if not _stands_at(host, pid, path):
        return _no(NO_ITEM), host
    if active_loan(host, pid) or (queue(host, pid) and not override):
        return _no("401849"), host
    return DONE, removed_item(host, pid)


def annotate_item(host: Host, pid: str) -> tuple[Answer, Host]:
    found = item_of(host, pid)
    if found is None:
        return _no(NO_ITEM), host
    found = found._replace(noted=True)
    host = with_item(host, found)
    return _shown(host, found), host


def scan_in(host: Host, pid: str, library: str, path: Path) -> tuple[Answer, Host]:
    if not _stands_at(host, pid, path):
        return _no("40166411"), host
    if library == OUT:
        return _no("402502"), host
    host = scanned(host, pid, library)
    return item(host, pid), host


def create_loan(host: Host, user: str, pid: str) -> tuple[Answer, Host]:
    found = item_of(host, pid)
    if found is None:
        return _no("401689"), host
    current = active_loan(host, pid)
    if current is not None:
        return _no("400042" if current.user == user else "401158"), host
    waits = [each for each in queue(host, pid) if each.at in (MOVING, SHELVED)]
    started = [each for each in queue(host, pid) if each.at != "NOT_STARTED"]
    for_others = started and all(each.user != user for each in started)
    if found.process not in (IN_PLACE, TRANSIT, HOLDSHELF, MISSING) or (for_others and waits):
        return _no("401651"), host
    host = lent(host, pid, user)
    return ("ok", active_loan(host, pid)), host


def set_due_date(host: Host, lid: str, due: int) -> tuple[Answer, Host]:
    found = next((each for each in host.loans if each.lid == lid), None)
    if found is None or not found.is_active:
        return _no(NO_LOAN), host
    found = found._replace(due=due)
    return ("ok", found), with_loan(host, found)


READS: dict[str, Callable[..., Answer]] = {
    name: globals()[name]
    for name in (
        "item",
        "item_by_barcode",
        "item_by_other_barcode",
        "request",
        "item_requests",
        "loan",
        "item_loans",
        "user_loans",
        "user",
        "user_holds",
        "bib",
        "bibs_with_number",
        "holdings",
        "holding_items",
    )
}
WRITES: dict[str, Callable[..., tuple[Answer, Host]]] = {
    name: globals()[name]
    for name in (
        "create_user",
        "place_hold",
        "cancel_hold",
        "create_bib",
        "delete_bib",
        "create_holding",
        "delete_holding",
        "create_item",
        "delete_item",
        "annotate_item",
        "scan_in",
        "create_loan",
        "set_due_date",
    )
}

REFUSALS: dict[str, tuple[str, str]] = {
    "create_user": ("60230", "401852"),
    "place_hold": ("401129", "401891"),
    "cancel_hold": ("401873", "60340"),
    "create_bib": ("60340", "60340"),
    "delete_bib": ("4022020", "60340"),
    "create_holding": ("60340", "60340"),
    "delete_holding": ("60212", "60340"),
    "create_item": ("401873", "40166404"),
    "delete_item": ("401849", "60340"),
    "annotate_item": ("401873", "40166404"),
    "scan_in": ("402502", "60340"),
    "create_loan": ("401163", "401651"),
    "set_due_date": ("401822", "401824"),
}
"""How each write may be refused besides what the state says: for a time, and for good (§12)."""

__all__ = ["LOAN", "READS", "REFUSALS", "WRITES", "Answer", "Call", "settled"]
