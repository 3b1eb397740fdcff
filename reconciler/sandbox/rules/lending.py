"""Loans: making, refusing, renewing, ending (alma-api.md 4)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.sandbox.errors import AlmaError, refusal
from reconciler.sandbox.records import (
    COMPLETE,
    IN_PROCESS,
    NOT_STARTED,
    ON_LOAN,
    Item,
    Loan,
    Request,
    User,
)
from reconciler.sandbox.rules import holds
from reconciler.sandbox.rules.movement import HOLDSHELF, queue_again, relocate
from reconciler.sandbox.tenant import Tenant
from reconciler.sandbox.view import View

_LOANABLE = ("", "TRANSIT", HOLDSHELF, "MISSING", "REQUESTED")


@dataclass(frozen=True, slots=True)
class LoanOrder:
    """`override` skips what staff may override at a desk: blocks, limits, other holds."""

    user: User
    item: Item
    library: str
    desk: str
    request_id: str = ""
    due: datetime | None = None
    override: bool = False


def lend(tenant: Tenant, order: LoanOrder) -> Loan:
    """A new active loan; the borrower's hold on the item is fulfilled by it."""
    current = View(tenant).active_loan(order.item.pid)
    if current is not None:
        return _lend_again(tenant, order, current)
    if not order.override:
        _check_place(tenant, order)
        _check_item(tenant, order)
        _check_user(tenant, order.user, order.item)
    request = _request_of(tenant, order)
    days = tenant.terms_of_group(order.user.user_group).loan_days
    loan = tenant.save(
        Loan(
            loan_id=tenant.new_id("loan"),
            user_key=order.user.key,
            item_pid=order.item.pid,
            mms_id=order.item.mms_id,
            holding_id=order.item.holding_id,
            barcode=order.item.barcode,
            library=order.library,
            desk=order.desk,
            loan_date=tenant.now(),
            due_date=order.due or tenant.end_of_day(tenant.today() + timedelta(days=days)),
            request_id=request.request_id if request is not None else "",
        )
    )
    _settle_requests(tenant, order.item, request)
    relocate(tenant, order.item, "LOAN")
    holds.rebalance(tenant, order.item.mms_id)
    return loan


def close(tenant: Tenant, loan: Loan, library: str, desk: str) -> Loan:
    """End a loan by a return at that desk. The item's next place is the scan's business."""
    request = tenant.requests.get(loan.request_id)
    if request is not None and request.open:
        holds.end(tenant, request, "fulfilled")
    return tenant.change(
        loan,
        status=COMPLETE,
        process_status="NORMAL" if loan.process_status != "RENEW" else "RENEW",
        return_date=tenant.now(),
        return_library=library,
        return_desk=desk,
    )


def renew(tenant: Tenant, loan: Loan) -> Loan:
    """A further loan period after the present due date; 401822 with the reason when refused."""
    reason = why_not_renewable(tenant, loan)
    if reason and tenant.dialect.renewal_refusal == "in_status" and loan.active:
        return tenant.change(loan, last_renew_status=("401189;", reason))
    if reason:
        raise refusal("401822", loan.loan_id, reason)
    user = tenant.users.get(loan.user_key)
    terms = tenant.terms_of_group(user.user_group if user is not None else "")
    start = tenant.local_date(max(loan.due_date, tenant.now()))
    return tenant.change(
        loan,
        due_date=tenant.end_of_day(start + timedelta(days=terms.loan_days)),
        process_status="RENEW",
        renewals=loan.renewals + 1,
        last_renew_date=tenant.now(),
        last_renew_status=("401193;", "Renewed Successfully"),
    )


def why_not_renewable(tenant: Tenant, loan: Loan) -> str:
    """Alma's reason, or "" when a renewal would succeed."""
    user = tenant.users.get(loan.user_key)
    item = tenant.items.get(loan.item_pid)
    if not loan.active:
        return "Loan is not active."
    if loan.process_status in ("LOST", "CLAIMED_RETURN"):
        return "Item is lost or claimed returned."
    if item is not None and not tenant.terms_of_policy(item.policy).renewable:
        return "Item is not renewable."
    limit = tenant.terms_of_group(user.user_group).renewals if user is not None else None
    if limit is not None and loan.renewals >= limit:
        return "Item renew period exceeded."
    others = [
        one
        for one in View(tenant).requests_of_item(loan.item_pid)
        if one.request_id != loan.request_id
    ]
    if others and tenant.dialect.renew_when_requested == "refused":
        return "Item has been requested by another patron."
    return ""


def set_due_date(tenant: Tenant, loan: Loan, due: datetime) -> Loan:
    if not loan.active:
        raise refusal("401823", loan.loan_id)
    if due < tenant.now():
        raise refusal("401681")
    return tenant.change(loan, due_date=due)


def _lend_again(tenant: Tenant, order: LoanOrder, current: Loan) -> Loan:
    if current.user_key != order.user.key:
        message = "Item is on loan to another patron."
        raise AlmaError(tenant.dialect.loan_to_another_code, message)
    if tenant.dialect.second_loan == "renews":
        return renew(tenant, current)
    raise refusal("400042")


def _check_place(tenant: Tenant, order: LoanOrder) -> None:
    """The desk serves the item's location, or it is where the borrower's hold is picked up."""
    item, library = order.item, tenant.libraries.get(order.library)
    if library is None or order.desk not in library.desks:
        raise refusal("401153")
    held = View(tenant).requests_of_item(item.pid)
    if any(one.user_key == order.user.key and one.pickup_library == order.library for one in held):
        return
    place = library.locations.get(item.current_location)
    serves = place is not None and (not place.desks or order.desk in place.desks)
    if item.current_library != order.library or not serves:
        raise refusal("401153")


def _check_item(tenant: Tenant, order: LoanOrder) -> None:
    item, user = order.item, order.user
    policy = item.temp_policy or item.policy
    if item.process not in _LOANABLE or not tenant.terms_of_policy(policy).loanable:
        raise refusal("401651")
    if not tenant.terms_of_group(user.user_group).may_borrow:
        raise refusal("401651")
    if tenant.dialect.loan_of_requested == "allowed":
        return
    started = [
        one
        for one in View(tenant).requests_of_item(item.pid)
        if one.status != NOT_STARTED and one.request_type == "HOLD"
    ]
    if started and all(one.user_key != user.key for one in started):
        raise refusal("401651")


def _check_user(tenant: Tenant, user: User, item: Item) -> None:
    if "200" not in user.roles or user.status != "ACTIVE":
        raise refusal("401151")
    if user.expiry_date is not None and user.expiry_date < tenant.today():
        raise refusal("401168")
    block = next((one for one in user.blocks if one.status == "ACTIVE"), None)
    if block is not None:
        text = f"{block.block_type}  -   {block.description}. {block.note} Scope: {tenant.name}"
        raise AlmaError(block.code, text)
    loans = View(tenant).loans_of_user(user.key)
    limit = tenant.terms_of_group(user.user_group).loan_limit
    if limit is not None and len(loans) >= limit:
        raise refusal("401161")
    if tenant.dialect.second_copy == "refused" and any(one.mms_id == item.mms_id for one in loans):
        raise refusal("401198")


def _request_of(tenant: Tenant, order: LoanOrder) -> Request | None:
    """The borrower's hold that this loan fills: the named one, else on the item, else the title."""
    own = [
        one
        for one in View(tenant).requests_of_user(order.user.key)
        if one.mms_id == order.item.mms_id and one.item_pid in ("", order.item.pid)
    ]
    own.sort(key=lambda one: (one.request_id != order.request_id, not one.item_pid))
    return own[0] if own else None


def _settle_requests(tenant: Tenant, item: Item, filled: Request | None) -> None:
    if filled is not None:
        bound = tenant.change(filled, item_pid=item.pid, holding_id=item.holding_id)
        if tenant.dialect.loan_closes_request == "at_loan":
            holds.end(tenant, bound, "fulfilled")
        else:
            tenant.change(bound, status=IN_PROCESS, task=ON_LOAN)
    for one in View(tenant).requests_of_item(item.pid):
        if one.moving and (filled is None or one.request_id != filled.request_id):
            queue_again(tenant, one)
