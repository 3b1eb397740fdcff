"""Reading one institution, now or as of an earlier instant (a lagging Alma)."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from reconciler.sandbox.records import (
    NOT_STARTED,
    ON_LOAN,
    PICK,
    Bib,
    Holding,
    Item,
    Loan,
    Request,
    User,
)
from reconciler.sandbox.tenant import Tenant


@dataclass(frozen=True, slots=True)
class View:
    """Every read of rows goes through here. `at` None is the present."""

    tenant: Tenant
    at: datetime | None = None

    @classmethod
    def lagging(cls, tenant: Tenant) -> View:
        """What a GET sees under the institution's read lag."""
        if tenant.read_lag <= 0:
            return cls(tenant)
        return cls(tenant, tenant.now() - timedelta(seconds=tenant.read_lag))

    # users

    def user(self, key: str) -> User | None:
        return self.tenant.users.get(key, self.at)

    def find_user(self, identifier: str, id_type: str = "all_unique") -> User | None:
        """By primary id (any case), or any active identifier or e-mail; or by one type."""
        for user in self.tenant.users.find("value", identifier.casefold(), self.at):
            if id_type in ("all_unique", "") or _has(user, identifier, id_type):
                return user
        return None

    # inventory

    def bib(self, mms_id: str) -> Bib | None:
        return self.tenant.bibs.get(mms_id, self.at)

    def bibs_by_system_number(self, number: str) -> list[Bib]:
        """Index-based: a new record is found only after the index lag."""
        indexed = self.tenant.now() - timedelta(seconds=self.tenant.index_lag)
        rows = self.tenant.bibs.find("system", number, self.at)
        return [row for row in rows if row.modified_at <= indexed]

    def holding(self, holding_id: str) -> Holding | None:
        return self.tenant.holdings.get(holding_id, self.at)

    def holdings_of(self, mms_id: str) -> list[Holding]:
        return self.tenant.holdings.find("bib", mms_id, self.at)

    def item(self, pid: str) -> Item | None:
        return self.tenant.items.get(pid, self.at)

    def items_with_barcode(self, barcode: str) -> list[Item]:
        return self.tenant.items.find("barcode", barcode, self.at)

    def items_of_holding(self, holding_id: str) -> list[Item]:
        return self.tenant.items.find("holding", holding_id, self.at)

    def items_of_bib(self, mms_id: str) -> list[Item]:
        return self.tenant.items.find("bib", mms_id, self.at)

    # requests

    def request(self, request_id: str) -> Request | None:
        return self.tenant.requests.get(request_id, self.at)

    def requests_of_user(self, user_key: str, *, active: bool = True) -> list[Request]:
        return self.tenant.requests.find("user", (user_key, active), self.at)

    def requests_of_bib(self, mms_id: str, *, active: bool = True) -> list[Request]:
        return self.tenant.requests.find("bib", (mms_id, active), self.at)

    def requests_of_item(self, pid: str, *, active: bool = True) -> list[Request]:
        """Requests bound to the item, in queue order."""
        return self.tenant.requests.find("item", (pid, active), self.at)

    def is_requested(self, item: Item) -> bool:
        if any(one.task != ON_LOAN for one in self.requests_of_item(item.pid)):
            return True
        if not item.on_shelf:
            return False
        waiting = self.requests_of_bib(item.mms_id)
        return any(one.task == PICK and not one.item_pid for one in waiting)

    def place_in_queue(self, request: Request) -> int:
        """1 for the first: among the item's requests, or the title's for a title-level one."""
        if request.item_pid:
            queue = self.requests_of_item(request.item_pid)
        else:
            queue = [one for one in self.requests_of_bib(request.mms_id) if not one.item_pid]
        ahead = [one for one in queue if one.request_id != request.request_id]
        before = [
            one for one in ahead if one.status != NOT_STARTED or one.request_id < request.request_id
        ]
        return len(before) + 1

    # loans

    def loan(self, loan_id: str) -> Loan | None:
        return self.tenant.loans.get(loan_id, self.at)

    def loans_of_user(self, user_key: str, *, active: bool = True) -> list[Loan]:
        return self.tenant.loans.find("user", (user_key, active), self.at)

    def loans_of_item(self, pid: str, *, active: bool = True) -> list[Loan]:
        return self.tenant.loans.find("item", (pid, active), self.at)

    def loans_of_bib(self, mms_id: str, *, active: bool = True) -> list[Loan]:
        return self.tenant.loans.find("bib", (mms_id, active), self.at)

    def active_loan(self, pid: str) -> Loan | None:
        return next(iter(self.loans_of_item(pid)), None)


def _has(user: User, value: str, id_type: str) -> bool:
    folded = value.casefold()
    if id_type.upper() == "PRIMARY_ID":
        return user.primary_id.casefold() == folded
    return any(
        one.id_type == id_type and one.status == "ACTIVE" and one.value.casefold() == folded
        for one in user.identifiers
    )
