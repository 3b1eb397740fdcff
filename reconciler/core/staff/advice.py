"""What we believe of a transaction and what staff do about it, in sentences, for each status.

Source: operators.md §4.6, to be reviewed by librarians.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from reconciler.core.model import Transaction
from reconciler.core.staff.parking import STAFF_ADVICE, ParkReason
from reconciler.core.stages import STAGES, next_expected
from reconciler.core.status import (
    DcbStatus,
    EffectKind,
    IntentState,
    RequestState,
)

_WAITS_TO_BE_SENT = frozenset(
    {DcbStatus.REQUEST_PLACED_AT_BORROWING_AGENCY, DcbStatus.REQUEST_PLACED_AT_PICKUP_AGENCY}
)
_PLACING = frozenset({EffectKind.VIRTUAL_ITEM, EffectKind.BORROWER_HOLD, EffectKind.PICKUP_HOLD})


def believes(transaction: Transaction) -> str:
    """Where the book is, as far as we know."""
    expected = next_expected(transaction.status, transaction.workflow)
    belief = STAGES[transaction.status].belief
    return f"{belief} Next we expect {expected}." if expected else belief


def advice(transaction: Transaction, now: datetime) -> str:
    """What staff do now: a pause first, since nothing happens under it; then what is parked."""
    if transaction.paused is None:
        return _advice(transaction, now)
    pause = transaction.paused
    since = pause.since.date().isoformat()
    return (
        f"It is paused since {since} by {pause.actor} ({pause.reason}): nothing is read or done "
        f"until {pause.resume_command(transaction)}. {_advice(transaction, now)}"
    )


def _advice(transaction: Transaction, now: datetime) -> str:
    days = (now - transaction.status_since).days
    age = f" It has been so for {days} days." if days >= 1 else ""
    if transaction.parked is not None:
        reason = transaction.parked.reason
        known = reason in ParkReason.__members__.values()
        told = STAFF_ADVICE[ParkReason(reason)] if known else transaction.parked.detail
        id = transaction.id
        return (
            f"{told} Then: reconciler retry {id} --reason TEXT; or, where nothing more is to come "
            f"of it: reconciler close {id} --reason TEXT."
        )
    asked = tuple(_asked_of_a_person(transaction))
    to_do = _to_do(transaction)
    if asked and to_do.startswith("Nothing"):
        to_do = ""
    return " ".join((*_hindrances(transaction), *asked, f"{to_do}{age}")).strip()


def _to_do(transaction: Transaction) -> str:
    """A book whose virtual record is not there could not be handed out where it arrives; and one
    that others wait for first is not ours to send."""
    asked_for = (each.kind for each in transaction.intents if not each.is_over)
    if transaction.status in _WAITS_TO_BE_SENT and any(each in _PLACING for each in asked_for):
        return (
            "Nothing yet, and the book stays at the lender: the record that it is handed out by "
            "where it is to be collected is still being made."
        )
    lender = transaction.supplier
    only_queues = lender.request_id is not None and lender.request.state == RequestState.PLACED
    if transaction.status in _WAITS_TO_BE_SENT and only_queues:
        return (
            "Nothing yet: the lender's hold only queues. The lender sends the book once Alma lists "
            "it among the requests to pick from the shelf."
        )
    return STAGES[transaction.status].to_do


def _asked_of_a_person(transaction: Transaction) -> Iterator[str]:
    """What a rule waits for that only a person can tell, each with the command that tells it."""
    for rule in transaction.considered:
        if rule.verdict == "waits" and "reconciler " in rule.because:
            yield f"{rule.because[0].upper()}{rule.because[1:]} {transaction.id}."


def _hindrances(transaction: Transaction) -> Iterator[str]:
    """What keeps the service from doing its part, though nobody has to act for it yet."""
    if transaction.failures:
        yield (
            f"{transaction.failures} looks in a row had failed reads (see failures); the others "
            "were recorded."
        )
    states = {intent.state for intent in transaction.intents}
    if IntentState.REFUSED in states:
        yield (
            "Alma refuses something for now (see what is still to be done, with its reason); it "
            "is tried again by itself, sooner if the cause is taken away."
        )
    if IntentState.AMBIGUOUS in states:
        yield "An answer of Alma's was lost; what became of it is looked up, nothing is sent twice."
    if IntentState.WITHHELD in states:
        yield (
            "A library is in mode observe: what would be done there is recorded and left to its "
            "staff until its mode is act."
        )
