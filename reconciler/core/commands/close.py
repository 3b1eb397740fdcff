"""`close`: a person says that a lend is over; it moves to the ending that is true to what we know.

It looks first, and acts on what is so now. Where the book has left, or came into the reader's
hands, since the person last knew, that is told and the lend goes on: a second `close` ends it.

Before the book left it is cancelled. While the book is away nobody saw it come home, so how it
went stays UNKNOWN, as it does where the reader may have had the book unseen; clean-up and row 11
follow as after any ending, and what was refused before is tried once more. Of what already ended,
that which cannot be cleared is handed over: it is no business of ours any more, and staff are told
what is left; the rest goes on being cleared.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace

from reconciler.core.commands.command import Order, Step, Unfit, over, paused
from reconciler.core.commands.handover import counted, left_to_staff, stuck_intents
from reconciler.core.commands.retry import TRIED_AGAIN, from_its_beginning
from reconciler.core.effects import (
    EffectRow,
    is_cleared,
    left_to_clear,
    loan_may_be_open,
    overtaken,
    wanted,
)
from reconciler.core.evidence.finding import Finding
from reconciler.core.evidence.outward import supplier_in_transit, supplier_loan_active
from reconciler.core.model import Closing, Hop, Intent, Observation, Policy, Thing, Transaction
from reconciler.core.stages import live
from reconciler.core.status import (
    BEFORE_DISPATCH,
    BEFORE_LOAN,
    BOOK_AWAY,
    ENDED,
    TERMINAL,
    DcbStatus,
    EffectKind,
    IntentState,
    ItemState,
    LoanState,
    Outcome,
    RequestState,
    Role,
    ThingKind,
    ThingState,
)
from reconciler.core.transitions import VIA_PICKUP_LIBRARY, WITH_TRANSPORT
from reconciler.core.view.look import View

S = DcbStatus
CLOSED_BY_HAND = "ClosedByHand"


@dataclass(frozen=True, slots=True)
class Ending:
    """Where `close` leads to; no outcome leaves the one that is known already."""

    target: DcbStatus
    outcome: Outcome | None = None
    effects: tuple[EffectRow, ...] = ()


_LOANS_CLOSED = (
    EffectRow(EffectKind.LOAN_CLOSED, Role.BORROWER, only_if=loan_may_be_open(Role.BORROWER)),
    EffectRow(EffectKind.LOAN_CLOSED, Role.PICKUP, only_if=loan_may_be_open(Role.PICKUP)),
)
_HOLD_ENDED = (EffectRow(EffectKind.HOLD_CANCELLED, Role.SUPPLIER),)
_AWAY = Ending(
    S.COMPLETED,
    Outcome.UNKNOWN,
    (
        *_LOANS_CLOSED,
        EffectRow(EffectKind.NOTIFY, Role.BORROWER),
        EffectRow(EffectKind.NOTIFY, Role.PICKUP, VIA_PICKUP_LIBRARY),
    ),
)
_MAY_BE_ASKED_ANEW = S.NOT_SUPPLIED_CURRENT_SUPPLIER
GIVEN_UP = Ending(S.CANCELLED)
"""Of what was not supplied and is not cleared yet: no other item is waited for any more."""

ENDINGS: dict[Closing, Ending] = {
    Closing.NEVER_LEFT: Ending(S.CANCELLED, Outcome.CANCELLED),
    Closing.NEVER_COLLECTED: Ending(S.CANCELLED, Outcome.CANCELLED, _LOANS_CLOSED),
    Closing.AWAY: _AWAY,
    Closing.ENDED: Ending(S.FINALISED),
}
"""A reader who gave up is known to have: that lend is cancelled, as by row 14b."""


def _usual_ending(transaction: Transaction) -> Ending:
    return ENDINGS[live(transaction.status).closing]


def close(transaction: Transaction, order: Order, policy: Policy) -> Step | Unfit:
    """End it. A paused transaction moves for nobody."""
    meanwhile = _meanwhile(transaction, order, policy)
    if meanwhile is not None:
        return meanwhile
    if transaction.status in TERMINAL:
        return over(transaction)
    if transaction.paused:
        return Unfit(paused(transaction))
    if transaction.status in ENDED:
        return _hand_over(transaction, order, policy)
    ending = _ending(transaction, order, policy)
    after = _moved(transaction, ending, order)
    late = overtaken(after)
    again = [each for each in after.intents if each.state in TRIED_AGAIN and each not in late]
    under_way = {(each.kind, each.role, each.thing_id) for each in again}
    effects = tuple(
        effect
        for effect in wanted(ending.effects, after, policy)
        if (effect.kind, effect.role, effect.thing_id) not in under_way
    )
    return Step(
        replace(after, next_poll_at=order.at),
        f"{transaction.status} → {after.status}",
        _hop(transaction, after, order),
        (*effects, *left_to_clear(after, effects)),
        (*_withdrawn(late), *(from_its_beginning(each, policy) for each in again)),
        warnings=(*_warnings(transaction), *_unread(order)),
    )


_ON_ITS_WAY = BOOK_AWAY & BEFORE_LOAN
_WITH_THE_READER = frozenset({S.LOANED, S.RETURN_TRANSIT})


def _meanwhile(transaction: Transaction, order: Order, policy: Policy) -> Step | None:
    """What has happened since the person last knew, if that makes another end of it."""
    if order.looked is None:
        return None
    known_as, now = order.looked.known_as, transaction.status
    moved = f"{known_as} → {now}"
    if known_as in BEFORE_DISPATCH and (
        now in _ON_ITS_WAY or _has_left(transaction, order, policy)
    ):
        return _sent_home(transaction, order, policy)
    if known_as not in _WITH_THE_READER | ENDED and now in _WITH_THE_READER:
        left = "the book has left meanwhile" if known_as in BEFORE_DISPATCH else "meanwhile"
        told = f"{left}: {moved}, it is or was with the reader; nothing is ended yet"
        return Step(transaction, told, warnings=(_AGAIN,))
    if _was_handed_out(transaction, order, policy):
        told = "the book has left meanwhile: it is on loan to our patron; nothing is ended yet"
        return Step(transaction, told, warnings=(_AGAIN,))
    has_ended = now in ENDED and known_as not in ENDED
    if known_as not in TERMINAL and (has_ended or now in TERMINAL):
        return Step(transaction, f"meanwhile: {moved}, by itself")
    if known_as in ENDED and now in BOOK_AWAY:
        told = f"the book has left meanwhile: {moved}; nothing is ended yet"
        return Step(transaction, told, warnings=(_AGAIN,))
    return None


def _has_left(transaction: Transaction, order: Order, policy: Policy) -> bool:
    """Whether the look showed the lender's book in transit for our hold, where the status cannot
    follow it yet: nothing is placed for the reader."""
    if order.looked is None or transaction.workflow not in WITH_TRANSPORT:
        return False
    return _shown(transaction, order, policy, supplier_in_transit)


def _was_handed_out(transaction: Transaction, order: Order, policy: Policy) -> bool:
    """The same of a book that the lender lent to our patron."""
    return _shown(transaction, order, policy, supplier_loan_active)


def _shown(
    transaction: Transaction, order: Order, policy: Policy, fact: Callable[[View], Finding]
) -> bool:
    if order.looked is None or transaction.status not in BEFORE_DISPATCH:
        return False
    view = View.of(transaction, order.looked.observation, order.at, policy)
    return not view.supplier.is_external and fact(view).holds


_AGAIN = "to end it all the same, close it again"


def _sent_home(transaction: Transaction, order: Order, policy: Policy) -> Step:
    """A book that has left has to come home: the virtual records stay for as long as it is away,
    and the lender's hold, which would send it out again, is ended."""
    after = _moved(transaction, Ending(S.AWAITING_RETURN_TO_SUPPLIER), order)
    known_as = order.looked.known_as if order.looked else transaction.status
    return Step(
        replace(after, next_poll_at=order.at),
        f"the book has left meanwhile: {known_as} → {transaction.status} → {after.status}",
        _hop(transaction, after, order),
        tuple(wanted(_HOLD_ENDED, after, policy)),
        tuple(_withdrawn(overtaken(after))),
        warnings=(_AGAIN,),
    )


def _unread(order: Order) -> Iterator[str]:
    for code, why in order.given_up.items():
        yield f"{code}: {why}; it is closed on what was last known there"


def _ending(transaction: Transaction, order: Order, policy: Policy) -> Ending:
    """A hold that may have been filled while nobody looked ends as one of a book that was away."""
    side = View.of(transaction, Observation({}), order.at, policy).pickup_side
    if transaction.status not in BEFORE_LOAN or side is None or side.is_external:
        return _usual_ending(transaction)
    is_over = side.leg.request.state == RequestState.CLOSED
    return _AWAY if is_over and side.end_is_forgotten else _usual_ending(transaction)


def _hand_over(transaction: Transaction, order: Order, policy: Policy) -> Step | Unfit:
    """Over already: what cannot be cleared is left to staff; with nothing else to do, it ends.

    What was not supplied waits for another item as well; that is over now, so that it ends by
    itself once the rest is cleared.
    """
    stuck = stuck_intents(transaction, policy, order.given_up)
    left = left_to_staff(transaction, policy, order.given_up)
    waits = stuck or left or transaction.parked or transaction.status is _MAY_BE_ASKED_ANEW
    if not is_cleared(transaction) and not waits:
        return Unfit(
            f"{transaction.status} already, and what is left is being cleared: nothing of it was "
            f"refused{_or_given_up(order)}"
        )
    given = tuple(replace(each.thing, state=ThingState.HANDED_OVER) for each in left)
    ids = {thing.id for thing in given}
    dropped = [each for each in transaction.intents if each in stuck or each.thing_id in ids]
    rest = _without(transaction, ids, dropped)
    ends = is_cleared(rest)
    after = _after_handing_over(transaction, order, ends=ends)
    dropped = [*transaction.intents] if ends else dropped
    return Step(
        after,
        _told(transaction, after, () if ends else _still(given, rest)),
        _hop(transaction, after, order) if after.status is not transaction.status else None,
        changed=tuple(_withdrawn(dropped)),
        things=given,
        warnings=tuple(_unknown_ends(dropped)),
        left=tuple(str(each) for each in left),
    )


def _or_given_up(order: Order) -> str:
    """What else a person can do where a library is dead for good."""
    unread = order.looked.unread if order.looked else {}
    told = "; ".join(f"{code}: {why}" for code, why in unread.items())
    return f". {told}: with --unread, what is left there is left to its staff" if told else ""


def _without(transaction: Transaction, ids: set[str], dropped: list[Intent]) -> Transaction:
    """The transaction as it is once these things and intents are no business of ours any more."""
    return replace(
        transaction,
        things=tuple(thing for thing in transaction.things if thing.id not in ids),
        intents=tuple(each for each in transaction.intents if each not in dropped),
    )


def _after_handing_over(transaction: Transaction, order: Order, *, ends: bool) -> Transaction:
    if ends:
        return replace(_moved(transaction, _usual_ending(transaction), order), next_poll_at=None)
    if transaction.status is _MAY_BE_ASKED_ANEW:
        return replace(_moved(transaction, GIVEN_UP, order), next_poll_at=order.at)
    return replace(transaction, parked=None, next_poll_at=order.at)


def _told(before: Transaction, after: Transaction, more: Iterable[str]) -> str:
    moved = f"{before.status} → {after.status}"
    return "; ".join((*([moved] if after.status is not before.status else []), *more))


def _still(given: tuple[Thing, ...], rest: Transaction) -> Iterator[str]:
    """What goes where, for a person who will hear of the end only later."""
    cleared = counted(thing for thing in rest.things if thing.is_ours_to_clear)
    if given:
        yield f"left to staff: {counted(given)}"
    yield f"still being cleared: {cleared or 'an effect'}"


def _moved(transaction: Transaction, ending: Ending, order: Order) -> Transaction:
    return replace(
        transaction,
        status=ending.target,
        previous_status=transaction.status,
        status_since=order.at,
        outcome=ending.outcome or transaction.outcome,
        parked=None,
    )


def _hop(before: Transaction, after: Transaction, order: Order) -> Hop:
    return Hop(
        rule=CLOSED_BY_HAND,
        source=before.status,
        target=after.status,
        inferred=False,
        because=order.reason or "",
        evidence=(),
        outcome=after.outcome,
    )


def _withdrawn(intents: Iterable[Intent]) -> Iterator[Intent]:
    for intent in intents:
        yield replace(intent, state=IntentState.WITHDRAWN, next_attempt_at=None)


def _warnings(transaction: Transaction) -> Iterator[str]:
    """What a person who says "over" should know to be still open."""
    supplier = transaction.supplier
    if transaction.status in BOOK_AWAY and supplier.item.state != ItemState.IN_PLACE:
        seen = supplier.item.state or "never seen"
        yield f"the lender's item at {supplier.host_lms} is not known to be in place (last: {seen})"
    for leg in transaction.legs:
        of_ours = [
            thing
            for thing in transaction.things
            if thing.kind is ThingKind.LOAN and thing.role is leg.role and thing.is_ours_to_clear
        ]
        if of_ours or leg.loan.state == LoanState.ACTIVE:
            loan = f" {leg.loan_id}" if leg.loan_id else ""
            yield f"the {leg.role}'s loan{loan} at {leg.host_lms} is still open"


def _unknown_ends(intents: Iterable[Intent]) -> Iterator[str]:
    for intent in intents:
        if intent.may_have_happened:
            yield f"{intent.kind} at {intent.host_lms} was sent and its end is not known"
