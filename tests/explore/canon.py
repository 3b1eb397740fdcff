"""What we remember of a lend, in the form in which two memories that no rule can tell apart agree.

A `Transaction` stays a `Transaction`, so that the real rules decide on it. What is replaced:

| what | by | because |
|---|---|---|
| every instant | JUST_NOW, EARLIER or LONG_AGO | rules ask whether it is older than `settle`, or than a share of `loans_kept`, and no more |
| `since`, `seen_at` of the lender's item | their age, and whether they are older than when the book left or was lent | looks from before that count for nothing (`Side.counts_from`) |
| `created_at` | EARLIER or LONG_AGO, a little before all else | nothing is older than the lend |
| `since` of a word | at most EARLIER | only "older than `settle`" is asked |
| `seen_at` of a word | known or not; of an item at most EARLIER; of a virtual item's hold its age | "never seen" is asked; of an item whether `settle` ago, of that hold whether days ago |
| `unfilled_at` | nothing, unless the lend began LONG_AGO and this is later | only whether the newest of the two is long ago |
| `request_placed_at` | kept: a place in the order of the library's own records | loans are older or younger than it |
| due dates | kept; they never come nearer | row 15 compares them with each other |
| `shelved_at` | EARLIER where known; elsewhere than at the lender nothing | only of the lender's hold is it asked (RET-EXP) |
| `status_since`, `dispatched_at`, `loan_seen_at`, `competing_hold_at`, `away_at`, `last_full_poll_at` | EARLIER where known | only "known" is asked; whether a look is made in full is a move |
| `last_poll_at`, `next_poll_at` | due at once, asked back soon, or neither | `lookahead`; when a look is made is a move |
| `unchanged_looks`, `version` | 0 | any count is reached by looks that show nothing; which count is a move (`service.Kind`) |
| `failures` | 0 or 1 | only "none" is asked |
| `previous_status` | kept once the journey has ended, else nothing | row 14a from CANCELLED asks for it |
| a hold's last word, once the reader has had the book | stood or not | `lookahead._as_before` asks that; the rules of holds lie behind |
| the words last seen, at COMPLETED and NOT_SUPPLIED | seen or never seen | only what the ledger shows leads on from there |
| that no loan was found, where none ever was; a user's primary id that is the id we knew | nothing | what was never there is no news, and the same id answers the same |
| `asked_at` | nothing | that a person asks for a look is a move |
| `considered`, `record_state`, texts, tracking ids | nothing | shown to people, asked by no rule |
| `attempts`, `refusals` of an effect | 0 or 1; 0 to 3, or many | only "none", 3 and 6 are asked |
| ids of ledger rows and effects | role, kind and what they name; place in the order | private names |
| the order of the ledger | that in which a lend makes its records | the rows of one library keep their order |
| when a ledger row was made | JUST_NOW or EARLIER; of a hold, once the lend began LONG_AGO, its age | only "older than `settle`"; of holds also whether their end may be forgotten |
| ledger rows that are gone | one for each role and kind, ids kept only where a leg still names them | rules ask that there was one |

A field that is not named here is kept, an instant among them as its age: a field that a mend adds
is never lost, it only makes more states.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import fields
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from reconciler.core.effects import is_cleared
from reconciler.core.lookahead import ASKED_BACK
from reconciler.core.mapping import NOT_FOUND_CODES, Subject
from reconciler.core.model import Intent, Leg, Policy, Remembered, Thing, Transaction
from reconciler.core.status import (
    ENDED,
    TERMINAL,
    DcbStatus,
    LoanState,
    RequestState,
    Resource,
    Role,
    ThingKind,
    ThingState,
)
from reconciler.core.view.leg_view import LIVE_REQUEST
from tests.explore import times
from tests.explore.quick import replace

LETTERS = {Role.SUPPLIER: "A", Role.BORROWER: "B", Role.PICKUP: "C"}
_SHORT = timedelta(hours=40)
"""Between 26 hours, two steps of time, and the share of `loans_kept` after which rules ask."""

_A_LITTLE = timedelta(minutes=10)

Key = tuple[Any, ...]


def _age(at: datetime | None, now: datetime) -> datetime | None:
    if at is None:
        return None
    age = now - at
    if age < times.SETTLE:
        return times.JUST_NOW
    return times.EARLIER if age < _SHORT else times.LONG_AGO


def _old(at: datetime | None, now: datetime) -> datetime | None:
    """Long ago, or not."""
    age = _age(at, now)
    return times.EARLIER if age == times.JUST_NOW else age


def _recent(at: datetime | None, now: datetime) -> datetime | None:
    """Just now, or earlier."""
    age = _age(at, now)
    return times.EARLIER if age == times.LONG_AGO else age


def _known(at: datetime | None) -> datetime | None:
    return None if at is None else times.EARLIER


def canonical(transaction: Transaction, policy: Policy, now: datetime = times.NOW) -> Transaction:
    """The one memory that stands for all that no rule can tell from this one."""
    if is_over(transaction):
        return _ended(transaction)
    has_ended = transaction.status in _OVER
    created_at = _old(transaction.created_at, now) or times.EARLIER
    is_old = created_at == times.LONG_AGO
    is_lent = transaction.status in _LENT
    legs = {
        leg.role: _leg(leg, now, has_ended=has_ended, is_lent=is_lent, is_old=is_old)
        for leg in transaction.legs
    }
    if not has_ended:
        legs[Role.SUPPLIER], dispatched_at = _ordered(transaction, legs[Role.SUPPLIER])
    else:
        dispatched_at = _known(transaction.dispatched_at)
    things, names = _things(transaction, now)
    parked = transaction.parked
    canon = replace(
        transaction.with_legs(legs),
        status_since=times.EARLIER,
        created_at=created_at - _A_LITTLE,
        previous_status=transaction.previous_status if transaction.status in ENDED else None,
        parked=replace(parked, detail="", since=times.EARLIER) if parked else None,
        last_full_poll_at=_known(transaction.last_full_poll_at),
        asked_at=None,
        failures=min(transaction.failures, 1),
        unchanged_looks=0,
        version=0,
        considered=(),
        things=things,
        intents=tuple(_intent(each, n, names, now) for n, each in enumerate(transaction.intents)),
        dispatched_at=dispatched_at,
        **_polls(transaction, policy, now),
    )
    return _aged(canon, _TRANSACTION, now)


def of_long_ago(transaction: Transaction) -> Transaction:
    """The same when a month has passed over the libraries' own records (`alma.aged`)."""
    legs = {}
    for leg in transaction.legs:
        if leg.request_placed_at is not None:
            stamp = times.stamp_of(leg.request_placed_at)[0]
            legs[leg.role] = replace(leg, request_placed_at=times.record_at(stamp, old=True))
    return transaction.with_legs(legs)


def is_over(transaction: Transaction) -> bool:
    """Whether nothing of it is ever asked again."""
    waits_for_caller = transaction.status is DcbStatus.NOT_SUPPLIED_CURRENT_SUPPLIER
    return transaction.status in TERMINAL or (
        waits_for_caller and is_cleared(transaction) and not transaction.intents
    )


def _ended(transaction: Transaction) -> Transaction:
    bare = {leg.role: Leg(leg.role, leg.host_lms) for leg in transaction.legs}
    return Transaction(
        id=transaction.id,
        tenant=transaction.tenant,
        workflow=transaction.workflow,
        status=transaction.status,
        status_since=times.EARLIER,
        created_at=times.EARLIER,
        supplier=bare[Role.SUPPLIER],
        borrower=bare.get(Role.BORROWER),
        pickup=bare.get(Role.PICKUP),
        outcome=transaction.outcome,
    )


def _ordered(transaction: Transaction, canon: Leg) -> tuple[Leg, datetime | None]:
    """The lender's leg, and when the book left: what was seen of the item before the book left, or
    was lent, stays older than that."""
    leg = transaction.supplier
    known = {"dispatched_at": transaction.dispatched_at, "loan_seen_at": leg.loan_seen_at}
    left_at = max((at for at in known.values() if at is not None), default=None)
    if left_at is None:
        return canon, None
    before = [
        name
        for name in ("since", "seen_at")
        if (at := getattr(leg.item, name)) is not None and at < left_at
    ]
    since = times.EARLIER
    if any(getattr(canon.item, name) == times.JUST_NOW for name in before):
        since = times.JUST_NOW
    older = {name: getattr(canon.item, name) - times.A_SECOND for name in before}
    at = {name: since if each == left_at else _known(each) for name, each in known.items()}
    canon = replace(canon, item=replace(canon.item, **older), loan_seen_at=at["loan_seen_at"])
    return canon, at["dispatched_at"]


def _polls(transaction: Transaction, policy: Policy, now: datetime) -> dict[str, datetime | None]:
    last, due = transaction.last_poll_at, transaction.next_poll_at
    if last is None or due is None:
        return {"last_poll_at": _known(last), "next_poll_at": due and times.NOW}
    interval = policy.intervals.get(transaction.status, timedelta(0))
    wait = times.LONG
    if due - last < ASKED_BACK * interval:
        wait = times.AT_ONCE if due - last < times.SETTLE / 2 else times.ASKED_BACK
    at = _recent(last, now) or times.EARLIER
    return {"last_poll_at": at, "next_poll_at": at + wait}


# --- legs ----------------------------------------------------------------------

_USER_ABSENT = NOT_FOUND_CODES[Subject.USER]


@cache
def _leg(leg: Leg, now: datetime, *, has_ended: bool, is_lent: bool, is_old: bool) -> Leg:
    words: dict[str, Remembered] = {}
    for resource in Resource:
        word = leg.remembered(resource)
        words[resource.value] = _seen(word) if has_ended else _word(word, now, is_old=is_old)
    if has_ended:
        return _of_leg(leg, words, now)
    if is_lent:
        words["request"] = _live_or_not(leg.request)
    elif leg.role is Role.SUPPLIER:
        words["request"] = replace(words["request"], seen_at=_known(leg.request.seen_at))
    if leg.role is not Role.SUPPLIER and "shelved_at" in _KNOWN_ONLY:
        words["request"] = replace(words["request"], shelved_at=None)
    if words["loan"].state == LoanState.ABSENT and leg.loan_seen_at is None:
        words["loan"] = Remembered()
    words["loan"] = replace(words["loan"], seen_at=_known(words["loan"].seen_at))
    words["item"] = replace(words["item"], seen_at=_recent(leg.item.seen_at, now))
    return _of_leg(leg, words, now)


def _of_leg(leg: Leg, words: dict[str, Remembered], now: datetime) -> Leg:
    canon = replace(
        leg,
        user_primary_id=leg.user_primary_id if leg.user_primary_id != leg.user_id else None,
        **words,
        loan_seen_at=_known(leg.loan_seen_at),
        competing_hold_at=_known(leg.competing_hold_at),
        record_state=None,
    )
    return _aged(canon, _LEG, now)


_LENT = frozenset({DcbStatus.LOANED, DcbStatus.RETURN_TRANSIT})


def _live_or_not(word: Remembered) -> Remembered:
    """Of a hold: whether it was last seen to stand."""
    state = RequestState.PLACED if word.state in LIVE_REQUEST else None
    return Remembered(state, seen_at=_known(word.seen_at))


_OVER = ENDED - {DcbStatus.CANCELLED}
"""From here no look at a library leads on; from CANCELLED a book that left after all does."""


def _seen(word: Remembered) -> Remembered:
    """That something was seen; nothing of what."""
    return Remembered(seen_at=_known(word.seen_at))


_KNOWN_ONLY = tuple(
    name for name in ("shelved_at", "away_at") if name in Remembered.__dataclass_fields__
)


def _word(word: Remembered, now: datetime, *, is_old: bool) -> Remembered:
    code = next((each for each in sorted(_USER_ABSENT) if each in (word.failure or "")), None)
    canon = replace(
        word,
        seen_at=_old(word.seen_at, now),
        since=_recent(word.since, now),
        failure=code,
        failed_at=_known(word.failed_at) if code else None,
        unfilled_at=_unfilled(word.unfilled_at, now) if is_old else None,
        **{name: _known(getattr(word, name)) for name in _KNOWN_ONLY},
    )
    return _aged(canon, _WORD, now)


def _unfilled(at: datetime | None, now: datetime) -> datetime | None:
    """Where it is as long ago as the lend's beginning, it tells no more than that."""
    return times.EARLIER if _old(at, now) == times.EARLIER else None


# --- the ledger and the effects --------------------------------------------------


_NAMED_BY = {
    ThingKind.HOLD: "request_id",
    ThingKind.LOAN: "loan_id",
    ThingKind.BIB: "mms_id",
    ThingKind.HOLDING: "holding_id",
    ThingKind.ITEM: "item_pid",
    ThingKind.VIRTUAL_PATRON: "user_id",
}
_LEDGER_IDS = tuple(_NAMED_BY.values())

_RECORDS = (ThingKind.BIB, ThingKind.HOLDING, ThingKind.ITEM, ThingKind.HOLD)
_MADE_IN_TURN = (
    (Role.SUPPLIER, ThingKind.VIRTUAL_PATRON),
    (Role.SUPPLIER, ThingKind.HOLD),
    *((Role.BORROWER, kind) for kind in _RECORDS),
    (Role.PICKUP, ThingKind.VIRTUAL_PATRON),
    *((Role.PICKUP, kind) for kind in _RECORDS),
    *((role, ThingKind.LOAN) for role in Role),
)
"""The order in which a lend makes its records: the ledger stands in it, clean-up follows it."""

_Rows = tuple[tuple[Thing, ...], dict[str, str]]
_known_rows: dict[Key, _Rows] = {}


def _things(transaction: Transaction, now: datetime) -> _Rows:
    """The rows in their canonical form, and what each old id is called now."""
    rows = transaction.things
    if any(each.id.startswith("new-") for each in rows):
        return rows_of(transaction, now)
    legs = tuple(getattr(leg, name) for leg in transaction.legs for name in _LEDGER_IDS)
    is_old = _age(transaction.created_at, now) == times.LONG_AGO
    key = (rows, tuple(each.created_at for each in rows), legs, is_old, now)
    if key not in _known_rows:
        _known_rows[key] = rows_of(transaction, now)
    return _known_rows[key]


def rows_of(transaction: Transaction, now: datetime) -> _Rows:
    """The same, worked out."""
    kept: dict[str, Thing] = {}
    names: dict[str, str] = {}
    for thing in transaction.things:
        canon = _thing(thing, transaction, now)
        ids = ",".join(getattr(canon, name) or "" for name in _LEDGER_IDS)
        turn = _MADE_IN_TURN.index((canon.role, canon.kind))
        name = f"{turn:02} {canon.role} {canon.kind} {ids}"
        name += f" {canon.state}" if canon.state is not ThingState.PRESENT else ""
        names[thing.id] = name
        kept.setdefault(name, replace(canon, id=name))
    return tuple(kept[name] for name in sorted(kept)), names


def _thing(thing: Thing, transaction: Transaction, now: datetime) -> Thing:
    is_old = _age(transaction.created_at, now) == times.LONG_AGO
    leg = transaction.leg(thing.role)
    name = _NAMED_BY[thing.kind]
    is_named = leg is not None and getattr(thing, name) == getattr(leg, name)
    if thing.state is ThingState.PRESENT or is_named:
        is_hold = thing.kind is ThingKind.HOLD and is_old
        return replace(thing, created_at=(_age if is_hold else _recent)(thing.created_at, now))
    return Thing(
        "",
        thing.kind,
        thing.role,
        thing.host_lms,
        thing.state,
        thing.owned,
        thing.trusted,
        created_at=times.EARLIER,
    )


def _intent(intent: Intent, n: int, names: dict[str, str], now: datetime) -> Intent:
    later = intent.next_attempt_at is not None and intent.next_attempt_at > now
    canon = replace(
        intent,
        id=f"{n}",
        asked_by=0,
        thing_id=names.get(intent.thing_id, intent.thing_id),
        attempts=min(intent.attempts, 1),
        ambiguities=min(intent.ambiguities, 2),
        refusals=intent.refusals if intent.refusals <= 3 else 6,
        next_attempt_at=times.SOON if later else None,
        sent_at=_recent(intent.sent_at, now),
        last_error=None,
        tracking_id=None,
    )
    return _aged(canon, _INTENT, now)


# --- fields that nobody told us of ------------------------------------------------


def _dates(kind: type, known: Iterable[str]) -> tuple[str, ...]:
    return tuple(
        each.name
        for each in fields(kind)
        if "datetime" in str(each.type) and each.name not in known
    )


_TRANSACTION = _dates(
    Transaction,
    (
        "status_since",
        "created_at",
        "dispatched_at",
        "next_poll_at",
        "last_poll_at",
        "last_full_poll_at",
        "asked_at",
    ),
)
_LEG = _dates(
    Leg,
    (
        "request_placed_at",
        "loan_seen_at",
        "loan_due_at",
        "due_wanted_at",
        "competing_hold_at",
    ),
)
_WORD = _dates(Remembered, ("seen_at", "since", "failed_at", "unfilled_at", *_KNOWN_ONLY))
_INTENT = _dates(Intent, ("next_attempt_at", "sent_at"))


def _aged(value: Any, names: tuple[str, ...], now: datetime) -> Any:
    """The instants among the fields that no line above names, as their age."""
    if not names:
        return value
    values = {name: getattr(value, name) for name in names}
    return replace(
        value, **{name: _age(at, now) for name, at in values.items() if isinstance(at, datetime)}
    )


# --- beside the Almas --------------------------------------------------------------

_ID_FIELDS = ("request_id", "mms_id", "holding_id", "item_pid", "loan_id")


def known_ids(transaction: Transaction) -> dict[str, tuple[frozenset[str], int | None]]:
    """By the letter of a library: the ids of it that are remembered, and the place in time from
    which a loan may have come of our hold there."""
    ids: dict[str, set[str]] = {letter: set() for letter in LETTERS.values()}
    stamps: dict[str, int | None] = dict.fromkeys(LETTERS.values())
    for row in (*transaction.legs, *transaction.things):
        ids[LETTERS[row.role]].update(id for _, id in _ids_of(row) if id)
    for leg in transaction.legs:
        if leg.request_placed_at is not None:
            stamps[LETTERS[leg.role]] = times.stamp_of(leg.request_placed_at)[0]
    return {letter: (frozenset(found), stamps[letter]) for letter, found in ids.items()}


Names = dict[str, tuple[dict[str, str], int | None]]
"""By letter: new ids for old ones, and the new place in time; None leaves it as it is."""


def renamed(transaction: Transaction, names: Names) -> Transaction:
    """The same with other ids."""

    def row(of: Any) -> Any:
        here, stamp = names.get(LETTERS[of.role], ({}, None))
        ids = {name: here.get(id or "", id) for name, id in _ids_of(of)}
        if isinstance(of, Leg) and of.request_placed_at is not None and stamp is not None:
            old = times.stamp_of(of.request_placed_at)[1]
            return replace(of, **ids, request_placed_at=times.record_at(stamp, old=old))
        return replace(of, **ids)

    legs = {leg.role: row(leg) for leg in transaction.legs}
    things = tuple(row(thing) for thing in transaction.things)
    return replace(transaction.with_legs(legs), things=things)


def _ids_of(row: Leg | Thing) -> Iterator[tuple[str, str | None]]:
    for name in _ID_FIELDS:
        yield name, getattr(row, name)


def key(transaction: Transaction) -> Key:
    """What two equal memories agree in (the dataclass itself leaves out when a row was made)."""
    return (transaction, tuple(thing.created_at for thing in transaction.things))
