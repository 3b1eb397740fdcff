"""What staff do at a circulation desk, and patrons at home."""

from __future__ import annotations

from datetime import datetime

from reconciler.sandbox.acts.log import ActRefused, Staffed, act
from reconciler.sandbox.records import ON_SHELF, Item, Loan, Request
from reconciler.sandbox.rules import holds, lending, scanning
from reconciler.sandbox.view import View


class DeskActs(Staffed):
    """`item` is a barcode or pid, `user` any identifier. Refusals are AlmaError or ActRefused."""

    @act
    def scan_in(self, item: str, library: str, circ_desk: str = "", request_id: str = "") -> Item:
        """Scan an item at a desk (default: the library's first); Alma decides where it goes.

        `request_id`: the request that staff choose to serve, whoever is first in the queue.
        """
        desk = circ_desk or self._first_desk(library)
        options = scanning.ScanOptions(request_id=request_id)
        return scanning.scan_in(self, self._item(item), library, desk, options).item

    @act
    def return_item(self, item: str, library: str, circ_desk: str = "") -> Item:
        """A return is a scan of an item on loan."""
        row = self._item(item)
        if View(self).active_loan(row.pid) is None:
            raise ActRefused(f"item {item} is not on loan in {self.code}")
        desk = circ_desk or self._first_desk(library)
        return scanning.scan_in(self, row, library, desk).item

    @act
    def loan(
        self,
        item: str,
        user: str,
        library: str,
        circ_desk: str = "",
        due: datetime | None = None,
        *,
        override: bool = False,
    ) -> Loan:
        """`override` as at a desk: past blocks, limits, terms of use and holds of others."""
        desk = circ_desk or self._first_desk(library)
        order = lending.LoanOrder(
            self._user(user), self._item(item), library, desk, due=due, override=override
        )
        return lending.lend(self, order)

    @act
    def charge_again(
        self, item: str, library: str, circ_desk: str = "", due: datetime | None = None
    ) -> Loan:
        """Discharge and new charge for the same user: a longer loan, under another id."""
        row = self._item(item)
        current = View(self).active_loan(row.pid)
        user = self.users.get(current.user_key) if current is not None else None
        if user is None:
            raise ActRefused(f"item {item} is not on loan to anybody in {self.code}")
        desk = circ_desk or self._first_desk(library)
        back = scanning.scan_in(self, row, library, desk).item
        order = lending.LoanOrder(user, back, library, desk, due=due, override=True)
        return lending.lend(self, order)

    @act
    def renew(self, loan_id: str) -> Loan:
        return lending.renew(self, self._loan(loan_id))

    @act
    def change_due_date(self, loan_id: str, due: datetime) -> Loan:
        """Staff may set any date, also a past one."""
        return self.change(self._loan(loan_id), due_date=due)

    @act
    def place_hold(
        self,
        user: str,
        item: str,
        pickup: str,
        comment: str | None = None,
        title_level: bool = False,
    ) -> Request:
        """A local patron's hold, picked up at library `pickup`."""
        row = self._item(item)
        bib = self.bibs.get(row.mms_id)
        if bib is None:
            raise ActRefused(f"item {item} has no bib")
        wanted = None if title_level else row
        order = holds.HoldOrder(
            self._user(user), bib, wanted, holds.Pickup("LIBRARY", pickup), comment
        )
        return holds.place(self, order)

    @act
    def cancel_request(self, request_id: str, reason: str = "CannotBeFulfilled") -> Request:
        """Staff cancel a request; the reason is told to the patron only."""
        if not self.legal("RequestCancellationReasons", reason):
            raise ActRefused(f"no cancellation reason {reason} in {self.code}")
        return holds.cancel(self, self._request(request_id), "cancelled")

    @act
    def reissue_request(self, request_id: str) -> Request:
        """Staff place a request anew as it was: the old id is HISTORY, the comment is the same."""
        return holds.reissue(self, self._request(request_id))

    @act
    def move_request(self, request_id: str, item: str) -> Request:
        """Another copy of the same title is to serve the request."""
        request, copy = self._request(request_id), self._item(item)
        if copy.mms_id != request.mms_id:
            raise ActRefused(f"item {item} is no copy of what request {request_id} asks for")
        return holds.move_to_copy(self, request, copy)

    @act
    def patron_cancels(self, request_id: str) -> Request:
        return holds.cancel(self, self._request(request_id), "cancelled", notify=False)

    @act
    def expire_hold_shelf(self, request_id: str) -> Request:
        """The item was not collected in time: the request ends as by the nightly job."""
        request = self._request(request_id)
        if request.task != ON_SHELF:
            raise ActRefused(f"request {request_id} is not on a hold shelf")
        return holds.cancel(self, request, "expired")

    def _first_desk(self, library: str) -> str:
        found = self.libraries.get(library)
        if found is None or not found.desks:
            raise ActRefused(f"no desk in library {library} of {self.code}")
        return next(iter(found.desks))
