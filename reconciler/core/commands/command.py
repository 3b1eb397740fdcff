"""What a person's command makes of one transaction: a step, or why there is none to make.

Pure, as `decide` is: a snapshot in, a step out; the engine writes it down. Source: operators.md
§1.1 and §4.2, interface.md §2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from reconciler.core.model import (
    Effect,
    Hop,
    HostLmsCode,
    Intent,
    Observation,
    Parked,
    Policy,
    Thing,
    Transaction,
)
from reconciler.core.staff.parking import ParkReason
from reconciler.core.status import TERMINAL, DcbStatus


class Command(StrEnum):
    """What people do to single transactions by hand."""

    POLL = "poll"
    RETRY = "retry"
    PARK = "park"
    CLOSE = "close"


ASKS_FOR_A_LOOK = frozenset({Command.POLL, Command.RETRY})
"""Whatever rests is probed at once for these."""


@dataclass(frozen=True, slots=True)
class Looked:
    """What a command that looks first has seen: the status that the person knew of, and the look,
    which is recorded already. `unread` names the libraries that could not be read, and why."""

    known_as: DcbStatus
    observation: Observation
    unread: Mapping[HostLmsCode, str]


@dataclass(frozen=True, slots=True)
class Order:
    """A command as it was given."""

    command: Command
    actor: str
    reason: str | None
    at: datetime
    accept_copy: bool = False
    """Of `retry`: the copy that Alma bound instead is this lend's copy from now on."""
    unread: bool = False
    """Of `close`: also where a library cannot be read, on what was last known there."""
    looked: Looked | None = None
    """None as long as it has not looked, and for commands that do not look."""

    @property
    def given_up(self) -> Mapping[HostLmsCode, str]:
        """The libraries that cannot be read, where the person does not wait for them."""
        return self.looked.unread if self.looked and self.unread else {}

    @property
    def looks_first(self) -> bool:
        """Whether it acts on what is so now, not on what was so at the last look."""
        return self.command is Command.CLOSE or self.accept_copy


@dataclass(frozen=True, slots=True)
class Step:
    """What the command leads to. `told` says it in a few words."""

    after: Transaction
    told: str
    hop: Hop | None = None
    asked: tuple[Effect, ...] = ()
    """New effects; those of the hop are among them."""
    changed: tuple[Intent, ...] = ()
    things: tuple[Thing, ...] = ()
    parked: Parked | None = None
    warnings: tuple[str, ...] = ()
    left: tuple[str, ...] = ()
    """What stays in an Alma, for staff to remove."""
    taken_over: tuple[str, ...] = ()
    """Ids that stand for the same thing from now on: kind, old and new id."""


@dataclass(frozen=True, slots=True)
class Unfit:
    """The command does not fit the transaction as it stands."""

    why: str


Judge = Callable[[Transaction, Order, Policy], Step | Unfit]


def poll(transaction: Transaction, order: Order, _policy: Policy) -> Step | Unfit:
    """Due now. A paused transaction is not looked at, whoever asks."""
    if transaction.status in TERMINAL:
        return over(transaction)
    if transaction.paused:
        return Unfit(paused(transaction))
    return Step(replace(transaction, next_poll_at=order.at), "is looked at next")


def park(transaction: Transaction, order: Order, _policy: Policy) -> Step | Unfit:
    """Set aside: it goes on being read, its effects wait for a person."""
    if transaction.status in TERMINAL:
        return over(transaction)
    if transaction.parked is not None:
        return Unfit(f"parked already: {transaction.parked.reason}")
    parked = Parked(ParkReason.BY_HAND, order.reason or "", order.at)
    return Step(replace(transaction, parked=parked), "set aside", parked=parked)


def over(transaction: Transaction) -> Unfit:
    return Unfit(f"already over: {transaction.status}")


def paused(transaction: Transaction) -> str:
    """Why nothing happens to a paused transaction, with the command that ends the pause."""
    pause = transaction.paused
    if pause is None:
        raise AssertionError("not paused")
    return f"paused by {pause.actor} ({pause.reason}); first: {pause.resume_command(transaction)}"
