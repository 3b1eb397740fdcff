"""What must never be, after any move, and what must not be once the world has come to rest.

The judge knows workflow.md, all that every Alma holds, and where the book really is. It does not
know the rules of `core`. What a look could not know it does not blame: people lend without a scan,
and scan books that are not there. So a deed is wrong in one of two cases: an Alma showed what
forbids it, or nobody but us is the cause of it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from reconciler.core.status import BEFORE_DISPATCH, BOOK_AWAY, DcbStatus, Workflow
from tests.explore import acts, alma
from tests.explore.alma import HOLDSHELF, LOAN, MOVING, OUR_USER, SHELVED, Host, active_loan, queue
from tests.explore.service import HOSTS, Write
from tests.explore.world import Move, State, hosts_of, memory_of

S = DcbStatus
HOME = (acts.AT_LENDER, acts.NEXT)
BEFORE_LOAN = (*BEFORE_DISPATCH, S.PICKUP_TRANSIT, S.RECEIVED_AT_PICKUP, S.READY_FOR_PICKUP)
THE_END = (S.COMPLETED, S.CANCELLED, S.NOT_SUPPLIED_CURRENT_SUPPLIER, S.FINALISED)


class Violation(NamedTuple):
    """`rule` names the kind, `what` this one."""

    rule: str
    what: str


# --- what the Almas show, all of them, read without a fault -----------------------


def our_loan(host: Host) -> alma.Loan | None:
    """The active loan of our user on an item of this library."""
    return next(
        (each for each in host.loans if each.is_active and alma.is_ours(host, each.user)), None
    )


def our_holds(host: Host) -> list[alma.Hold]:
    return [each for each in host.holds if each.is_open and alma.is_ours(host, each.user)]


def our_ended_loan(host: Host) -> bool:
    return any(not each.is_active and alma.is_ours(host, each.user) for each in host.loans)


def is_out(state: State, workflow: Workflow) -> bool:
    """Whether an Alma shows that the book has left the lender's hands for this lend."""
    lender, *others = hosts_of(state)
    if our_loan(lender) or any(our_loan(each) or our_ended_loan(each) for each in others):
        return True
    if workflow is Workflow.EXPEDITED and our_ended_loan(lender):
        return True
    if workflow is not Workflow.EXPEDITED and any(each.at == MOVING for each in our_holds(lender)):
        return True
    return any(each.at == SHELVED for host in others for each in our_holds(host))


def _reader(state: State, workflow: Workflow) -> Host:
    """The library where the reader collects the book."""
    n = {Workflow.STANDARD: 1, Workflow.PICKUP_ANYWHERE: 2, Workflow.EXPEDITED: 0}[workflow]
    return HOSTS[state.hosts[n]]


# --- after each move ---------------------------------------------------------------


def violations(before: State, move: Move, workflow: Workflow) -> Iterator[Violation]:
    """What a move of the service breaks."""
    if move.told:
        yield Violation("defect", move.told)
    if move.after.by_hand:
        before = before._replace(by_hand=True)
    for write in move.writes:
        yield from _written(before, write, workflow)
    for hop in move.hops:
        yield from _moved(before, hop.source, hop.target, workflow)
    yield from _twice(before, move)
    memory = memory_of(move.after)
    if (
        memory.next_poll_at is None
        and memory.parked is None
        and memory.status
        not in (S.FINALISED, S.HANDED_OFF_AS_LOCAL, S.NOT_SUPPLIED_CURRENT_SUPPLIER)
    ):
        yield Violation("forgotten", f"{memory.status} has no next look")


def _written(state: State, write: Write, workflow: Workflow) -> Iterator[Violation]:
    before: Host = HOSTS[write.before]
    name, *arguments = write.event.call
    at = f"{name} at {before.letter}"
    if name == "scan_in":
        yield from _scan(state, before, arguments[0], at, workflow)
    elif name == "annotate_item" and not _is_marked(before, arguments[0]):
        yield Violation("not ours", f"{at}: the item does not carry our mark")
    elif name == "delete_item":
        yield from _deleted_item(state, before, arguments[0], at, workflow)
    elif name == "delete_holding":
        found = next((each for each in before.holdings if each.hid == arguments[1]), None)
        if found is not None and not found.is_ours:
            yield Violation("not ours", f"{at}: a holding of the library's own")
    elif name == "delete_bib":
        found = next((each for each in before.bibs if each.mms == arguments[0]), None)
        if found is not None and not found.is_ours:
            yield Violation("not ours", f"{at}: the library's own bib")
    elif name == "cancel_hold":
        yield from _cancelled(state, write, arguments[0], at, workflow)
    elif name == "create_loan" and before.letter == "A":
        named = [each.pid for each in our_holds(before)]
        if named and arguments[1] not in named:
            yield Violation("another copy", f"{at}: {arguments[1]}, but our hold is on {named}")


def _is_marked(host: Host, pid: str) -> bool:
    item = alma.item_of(host, pid)
    return item is None or item.marked


def _scan(state: State, before: Host, pid: str, at: str, workflow: Workflow) -> Iterator[Violation]:
    if not _is_marked(before, pid):
        yield Violation("not ours", f"{at}: an item without our mark")
    loan = active_loan(before, pid)
    if loan is None or not alma.is_ours(before, loan.user):
        return
    told = our_loan(_reader(state, workflow)) is not None
    if state.where == acts.READER and told and not state.by_hand and state.lie < 3:
        yield Violation("loan ended", f"{at}: the reader has the book")


def _deleted_item(
    state: State, before: Host, pid: str, at: str, workflow: Workflow
) -> Iterator[Violation]:
    if not _is_marked(before, pid):
        yield Violation("not ours", f"{at}: an item without our mark")
    if active_loan(before, pid) is not None:
        yield Violation("record deleted", f"{at}: it is on loan")
    elif memory_of(state).status is S.COMPLETED:
        return
    elif state.where not in HOME and _knew(state, workflow):
        yield Violation("record deleted", f"{at}: the book is {state.where}")


def _cancelled(
    state: State, write: Write, rid: str, at: str, workflow: Workflow
) -> Iterator[Violation]:
    before: Host = HOSTS[write.before]
    hold = alma.hold_of(before, rid)
    if hold is None or not hold.is_open:
        return
    if not alma.is_ours(before, hold.user):
        yield Violation("not ours", f"{at}: the hold of another")
    elif hold.at == SHELVED and before == _reader(state, workflow) and not state.by_hand:
        yield Violation("hold ended", f"{at}: the book waits on the shelf for our reader")


def _knew(state: State, workflow: Workflow) -> bool:
    """Whether what is done is to be blamed on us: an Alma shows the book to be out, nobody ordered
    it, and no claim of the lender's stands that it is home."""
    if state.by_hand or not is_out(state, workflow):
        return False
    reader_has_it = our_loan(_reader(state, workflow)) is not None
    return state.lie < (3 if reader_has_it else 1)


def _moved(
    state: State, source: DcbStatus, target: DcbStatus, workflow: Workflow
) -> Iterator[Violation]:
    hop = f"{source} → {target}"
    if source is S.COMPLETED:
        return
    if target in THE_END and state.where not in HOME and _knew(state, workflow):
        yield Violation("ended", f"{hop}, but the book is {state.where}")
    if target in THE_END and our_loan(_reader(state, workflow)) and not state.by_hand:
        if state.lie < 3 and state.where not in HOME:
            yield Violation("ended", f"{hop} under the reader's loan")
    leaves = source in BEFORE_DISPATCH and target in BOOK_AWAY
    if leaves and state.where in HOME and not is_out(state, workflow):
        yield Violation("not sent", f"{hop}, but the book is with the {state.where}")


def _twice(before: State, move: Move) -> Iterator[Violation]:
    """More than one of a kind, by our own doing."""
    for n, (was, now) in enumerate(zip(before.hosts, move.after.hosts, strict=True)):
        if was == now or not move.writes:
            continue
        host: Host = HOSTS[now]
        for kind, count, then in (
            ("hold", len(our_holds(host)), len(our_holds(HOSTS[was]))),
            ("loan", _loans(host), _loans(HOSTS[was])),
            ("bib", _bibs(host), _bibs(HOSTS[was])),
        ):
            if count > max(1, then):
                yield Violation("twice", f"{count} live {kind}s of ours at {'ABC'[n]}")


def _loans(host: Host) -> int:
    return sum(each.is_active and alma.is_ours(host, each.user) for each in host.loans)


def _bibs(host: Host) -> int:
    return sum(each.is_ours for each in host.bibs)


# --- at rest -------------------------------------------------------------------------


def contradictions(state: State, workflow: Workflow) -> Iterator[Violation]:
    """What a status says against what the Almas show, once full looks change nothing any more.

    | status | must not stand beside |
    |---|---|
    | before LOANED | an active loan of the reader's where he collects |
    | LOANED | no such loan, unless the book is kept for the reader once more |
    | RETURN_TRANSIT, AWAITING_RETURN_TO_SUPPLIER | such a loan |
    | before PICKUP_TRANSIT | the book on its way for our hold; an arrival for our reader's hold |
    | RETURN_TRANSIT | the lender's loan over or never made, the book in the lender's hands and shown
    to be there after it was away |
    """
    memory = memory_of(state)
    if memory.parked is not None or memory.paused is not None:
        return
    status = memory.status
    reader, lender = _reader(state, workflow), HOSTS[state.hosts[0]]
    has_it = our_loan(reader)
    if has_it is not None and status in BEFORE_LOAN:
        yield Violation("contradiction", f"{status}, but the reader's loan is active")
    kept = any(each.at == SHELVED for each in our_holds(reader))
    if has_it is None and status is S.LOANED and not kept:
        yield Violation("contradiction", "LOANED, but no loan of the reader's is active")
    if has_it is not None and status in (S.RETURN_TRANSIT, S.AWAITING_RETURN_TO_SUPPLIER):
        yield Violation("contradiction", f"{status}, but the reader's loan is active")
    if workflow is Workflow.EXPEDITED:
        return
    on_its_way = any(acts.is_sent(lender, each.pid) for each in lender.items)
    arrived = (
        any(each.at == SHELVED for each in our_holds(reader)) if reader is not lender else False
    )
    if status in BEFORE_DISPATCH and (on_its_way or arrived) and status is not S.RESOLVED:
        told = "the book is on its way for our hold" if on_its_way else "the book has arrived"
        yield Violation("contradiction", f"{status}, but {told}")


__all__ = ["HOLDSHELF", "LOAN", "OUR_USER", "Violation", "contradictions", "queue", "violations"]
