"""Loans of users, items and bibs (alma-api.md 4)."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from reconciler.sandbox.api.call import Answer, Call, find_bib, find_item, find_user, list_answer
from reconciler.sandbox.errors import refusal
from reconciler.sandbox.payloads.loan import loan_tree
from reconciler.sandbox.records import Item, Loan, User
from reconciler.sandbox.rules import lending
from reconciler.sandbox.rules.accounts import code_of

_NEVER = datetime.min.replace(tzinfo=UTC)
_ORDERS: dict[str, Callable[[Loan], Any]] = {
    "id": lambda loan: loan.loan_id,
    "loan_date": lambda loan: loan.loan_date,
    "due_date": lambda loan: loan.due_date,
    "barcode": lambda loan: loan.barcode,
    "return_date": lambda loan: loan.return_date or _NEVER,
}


def list_of_user(call: Call, user_id: str) -> Answer:
    user = find_user(call, user_id)
    return _list(call, call.view.loans_of_user(user.key, active=_wants_active(call)))


def list_of_item(call: Call, mms_id: str, holding_id: str, pid: str) -> Answer:
    item = find_item(call, (mms_id, holding_id, pid))
    return _list(call, call.view.loans_of_item(item.pid, active=_wants_active(call)))


def list_of_bib(call: Call, mms_id: str) -> Answer:
    """Its documented default limit is 99999, not 10 (1.3)."""
    bib = find_bib(call, mms_id)
    rows = call.view.loans_of_bib(bib.mms_id, active=_wants_active(call))
    return _list(call, rows, default_limit=99_999)


def get(call: Call, user_id: str, loan_id: str) -> Answer:
    loan = _find(call, loan_id, None if user_id == "ALL" else find_user(call, user_id))
    return _answer(call, loan)


def get_of_bib(call: Call, mms_id: str, loan_id: str) -> Answer:
    bib = find_bib(call, mms_id)
    loan = _find(call, loan_id)
    if loan.mms_id != bib.mms_id:
        raise refusal("401823", loan_id)
    return _answer(call, loan)


def get_of_item(call: Call, mms_id: str, holding_id: str, pid: str, loan_id: str) -> Answer:
    find_item(call, (mms_id, holding_id, pid))
    return get_of_bib(call, mms_id, loan_id)


def create(call: Call, user_id: str) -> Answer:
    """By item_pid or item_barcode; the body must name circ_desk and library (4.3)."""
    user = find_user(call, user_id)
    return _lend(call, user, _item_of_query(call))


def create_on_item(call: Call, mms_id: str, holding_id: str, pid: str) -> Answer:
    user = find_user(call, call.text("user_id"))
    return _lend(call, user, find_item(call, (mms_id, holding_id, pid)))


def operate(call: Call, user_id: str, loan_id: str) -> Answer:
    call.choice("op", ("renew",))
    loan = _find(call, loan_id, find_user(call, user_id))
    return _answer(call, lending.renew(call.tenant, loan), renewable=True)


def update(call: Call, user_id: str, loan_id: str) -> Answer:
    """Only due_date is writable."""
    loan = _find(call, loan_id, find_user(call, user_id))
    text = call.json().get("due_date")
    if not text:
        raise refusal("401824")
    try:
        due = datetime.fromisoformat(str(text))
    except ValueError as error:
        raise refusal("401824") from error
    aware = due if due.tzinfo is not None else due.replace(tzinfo=UTC)
    return _answer(call, lending.set_due_date(call.tenant, loan, aware))


def _wants_active(call: Call) -> bool:
    return call.choice("loan_status", ("Active", "Complete")) == "Active"


def _list(call: Call, rows: list[Loan], default_limit: int = 10) -> Answer:
    shown = [row for row in rows if row.user_key]
    order = call.text("order_by", "id")
    down = call.text("direction", "ASC").upper() == "DESC"
    shown.sort(key=_ORDERS.get(order, _ORDERS["id"]), reverse=down)
    renderer, expand = call.renderer, "renewable" in call.expand

    def draw(loan: Loan) -> dict[str, Any]:
        flag = not lending.why_not_renewable(call.tenant, loan) if expand else None
        return loan_tree(renderer, loan, renewable=flag)

    return list_answer(call, "item_loan", shown, draw, default_limit)


def _find(call: Call, loan_id: str, user: User | None = None) -> Loan:
    loan = call.view.loan(loan_id)
    if loan is None:
        raise refusal("401823", loan_id)
    blank = not loan.user_key and call.tenant.dialect.anonymised_loan == "blank_user"
    if not loan.user_key and not blank:
        raise refusal("401823", loan_id)
    if user is not None and loan.user_key not in ("", user.key):
        raise refusal("401823", loan_id)
    return loan


def _answer(call: Call, loan: Loan, *, renewable: bool | None = None) -> Answer:
    if renewable is None and "renewable" in call.expand:
        renewable = not lending.why_not_renewable(call.tenant, loan)
    return Answer(200, "item_loan", loan_tree(call.renderer, loan, renewable=renewable))


def _item_of_query(call: Call) -> Item:
    pid, barcode = call.text("item_pid"), call.text("item_barcode")
    if not pid and not barcode:
        raise refusal("401672")
    if pid:
        item = call.view.item(pid)
        if item is None:
            raise refusal("40166411", "item_pid", pid)
        return item
    items = call.view.items_with_barcode(barcode)
    if not items:
        raise refusal("401689", barcode)
    return items[0]


def _lend(call: Call, user: User, item: Item) -> Answer:
    document = call.json()
    library, desk = code_of(document, "library"), code_of(document, "circ_desk")
    for name, word in (("circ_desk", desk), ("library", library)):
        if not word:
            raise refusal("401664", name)
    request_id = code_of(document, "request_id")
    order = lending.LoanOrder(user, item, library, desk, request_id)
    loan = lending.lend(call.tenant, order)
    return _answer(call, loan, renewable=not lending.why_not_renewable(call.tenant, loan))
