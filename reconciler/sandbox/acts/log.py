"""What every act of a person has: a line in the act log, and references to find things by."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Concatenate, ParamSpec, TypeVar, cast

from reconciler.sandbox.records import Bib, Item, Loan, Request, User
from reconciler.sandbox.tenant import Tenant
from reconciler.sandbox.view import View

P = ParamSpec("P")
S = TypeVar("S", bound="Staffed")
T = TypeVar("T")


class ActRefused(Exception):
    """The act names something that is not there, or makes no sense in this state."""


@dataclass(frozen=True, slots=True)
class Act:
    seq: int
    at: datetime
    institution: str
    act: str
    arguments: dict[str, Any]
    outcome: str

    def __str__(self) -> str:
        words = " ".join(f"{name}={value}" for name, value in self.arguments.items())
        moment = self.at.strftime("%Y-%m-%d %H:%M:%S")
        return f"{self.seq} {moment} {self.institution} {self.act} {words} -> {self.outcome}"


class ActLog:
    """Acts in order, over all institutions of a sandbox."""

    def __init__(self) -> None:
        self._rows: list[Act] = []

    def add(self, at: datetime, institution: str, act: str, arguments: dict[str, Any]) -> None:
        outcome = str(arguments.pop("->"))
        row = Act(len(self._rows) + 1, at, institution, act, arguments, outcome)
        self._rows.append(row)

    def __iter__(self) -> Iterator[Act]:
        return iter(tuple(self._rows))

    def __len__(self) -> int:
        return len(self._rows)


class Staffed(Tenant):
    """A tenant with people in it. Items go by barcode or pid, users by any identifier."""

    acts: ActLog

    def _item(self, reference: str) -> Item:
        item = self.items.get(reference)
        found = [item] if item else View(self).items_with_barcode(reference)
        if not found:
            raise ActRefused(f"no item {reference} in {self.code}")
        return found[0]

    def _user(self, reference: str) -> User:
        user = View(self).find_user(reference)
        if user is None:
            raise ActRefused(f"no user {reference} in {self.code}")
        return user

    def _request(self, request_id: str) -> Request:
        request = self.requests.get(request_id)
        if request is None or not request.open:
            raise ActRefused(f"no open request {request_id} in {self.code}")
        return request

    def _loan(self, loan_id: str) -> Loan:
        loan = self.loans.get(loan_id)
        if loan is None or not loan.active:
            raise ActRefused(f"no active loan {loan_id} in {self.code}")
        return loan


def act(method: Callable[Concatenate[S, P], T]) -> Callable[Concatenate[S, P], T]:
    """Run a staff method under the institution's lock and write it into the act log."""
    signature = inspect.signature(method)

    @functools.wraps(method)
    def wrapper(self: S, *args: P.args, **kwargs: P.kwargs) -> T:
        with self.lock:
            result = method(self, *args, **kwargs)
            bound = signature.bind(self, *args, **kwargs).arguments
            arguments = {name: value for name, value in bound.items() if name != "self"}
            arguments["->"] = _outcome(result)
            self.acts.add(self.now(), self.code, method.__name__, arguments)
            return result

    wrapper.__dict__["is_act"] = True
    return cast("Callable[Concatenate[S, P], T]", wrapper)


def acts_of(kind: type) -> dict[str, inspect.Signature]:
    """The acts a class offers, by name."""
    members = inspect.getmembers(kind, inspect.isfunction)
    return {name: inspect.signature(one) for name, one in members if one.__dict__.get("is_act")}


def _outcome(result: Any) -> str:
    if isinstance(result, Item):
        return f"{'1' if result.in_place else '0'}/{result.process}"
    if isinstance(result, Request):
        return f"{result.request_id} {result.status} {result.task}".rstrip()
    if isinstance(result, Loan):
        return f"{result.loan_id} {result.status} {result.process_status}"
    if isinstance(result, User):
        return result.primary_id
    if isinstance(result, Bib):
        return result.mms_id
    return "done" if result is None else str(result)
