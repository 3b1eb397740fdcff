"""What staff do to items and records outside lending."""

from __future__ import annotations

from reconciler.sandbox.acts.log import ActRefused, Staffed, act
from reconciler.sandbox.marc import bib_xml, read_posted
from reconciler.sandbox.records import IN_PROCESS, WORK_ORDER, Bib, Item, Loan, Request
from reconciler.sandbox.rules import holds, inventory, lending
from reconciler.sandbox.rules.movement import put_in_place, queue_again, relocate
from reconciler.sandbox.view import View


class StockActs(Staffed):
    """`item` is a barcode or pid."""

    @act
    def mark_lost(self, item: str) -> Loan:
        """The loan stays ACTIVE with process_status LOST; the item shows LOST_LOAN."""
        return self._mark_loan(item, "LOST", "LOST_LOAN")

    @act
    def pay_lost(self, item: str) -> Loan:
        """The reader pays for what he lost: the loan is over, the item 0/LOST_LOAN_AND_PAID."""
        row = self._item(item)
        loan = View(self).active_loan(row.pid)
        if loan is None or loan.process_status != "LOST":
            raise ActRefused(f"item {item} is not marked as lost by a reader of {self.code}")
        closed = lending.close(self, loan, "", "")
        relocate(self, row, "LOST_LOAN_AND_PAID")
        holds.rebalance(self, row.mms_id)
        return self.change(closed, process_status=loan.process_status)

    @act
    def claim_returned(self, item: str) -> Loan:
        return self._mark_loan(item, "CLAIMED_RETURN", "CLAIM_RETURNED_LOAN")

    @act
    def mark_missing(self, item: str) -> Item:
        """Its holds go back into the queue, or are cancelled (dialect)."""
        row = self._item(item)
        if View(self).active_loan(row.pid) is not None:
            raise ActRefused(f"item {item} is on loan: mark it lost")
        changed = relocate(self, row, "MISSING")
        for request in View(self).requests_of_item(row.pid):
            if self.dialect.missing_item_request == "cancelled":
                holds.cancel(self, request, "cancelled")
            elif request.request_type == "HOLD":
                queue_again(self, request)
        holds.rebalance(self, row.mms_id)
        return changed

    @act
    def found(self, item: str) -> Item:
        """Undo missing, lost or claimed: back in place, or an ordinary loan again."""
        row = self._item(item)
        loan = View(self).active_loan(row.pid)
        if loan is not None:
            self.change(loan, process_status="NORMAL")
            changed = relocate(self, row, "LOAN")
        else:
            changed = put_in_place(self, row)
        holds.rebalance(self, row.mms_id)
        return changed

    @act
    def work_order(self, item: str, kind: str = "Digiproj", department: str = "") -> Request:
        """The item goes to a department; a scan at a desk of its library ends the work order."""
        row = self._item(item)
        target = department or next(iter(self.departments), "")
        if target not in self.departments:
            raise ActRefused(f"no department {target} in {self.code}")
        request_id = self.new_id("request")
        request = self.save(
            Request(
                request_id=request_id,
                task_id=self.new_id("task"),
                additional_id=request_id[3:7],
                user_key="",
                mms_id=row.mms_id,
                placed_at=self.now(),
                status=IN_PROCESS,
                task=WORK_ORDER,
                request_type="WORK_ORDER",
                sub_type=kind,
                holding_id=row.holding_id,
                item_pid=row.pid,
                target=target,
            )
        )
        moved = relocate(self, row, "WORK_ORDER_DEPARTMENT")
        self.change(moved, work_order_type=kind, work_order_at=target)
        holds.rebalance(self, row.mms_id)
        return request

    @act
    def set_process_type(self, item: str, word: str, in_place: bool = False) -> Item:
        """Any process word, known to Alma or not; "" with `in_place` is an ordinary shelf."""
        return inventory.set_process(self, self._item(item), word, in_place=in_place)

    @act
    def move_item(self, item: str, library: str, location: str, temporary: bool = True) -> Item:
        """To a temporary location (the default) or a permanent one; "" ends a temporary one."""
        row = self._item(item)
        if location and self.location_name(library, location) is None:
            raise ActRefused(f"no location {location} in library {library} of {self.code}")
        if temporary:
            return self.change(row, temp_library=library, temp_location=location)
        return self.change(row, library=library, location=location)

    @act
    def duplicate_barcode(self, item: str, as_of: str) -> Item:
        """Give `item` the barcode of `as_of`: two items answer to one barcode from then on."""
        return self.change(self._item(item), barcode=self._item(as_of).barcode)

    @act
    def withdraw_item(self, item: str) -> None:
        """The item leaves the catalogue; its requests are cancelled, a loan is closed."""
        inventory.delete_item(self, self._item(item), override=True)

    @act
    def delete_item(self, item: str) -> None:
        """As withdraw, with the holding and bib above it when it was their last."""
        inventory.delete_item(
            self,
            self._item(item),
            override=True,
            holdings_action="delete",
            bib_action="delete",
        )

    @act
    def overlay_bib(self, mms_id: str, title: str) -> Bib:
        """A cataloguing job overwrites the record: other title, our 035 gone."""
        bib = self._bib(mms_id)
        posted = read_posted(bib_xml(title).encode(), "bib")
        return inventory.update_bib(self, bib, posted)

    @act
    def merge_bibs(self, keep: str, lose: str) -> Bib:
        """One record of two: the 035s, holdings and items of `lose` are `keep`'s now."""
        if keep == lose:
            raise ActRefused("a bib cannot be merged into itself")
        return inventory.merge_bibs(self, self._bib(keep), self._bib(lose))

    def _bib(self, mms_id: str) -> Bib:
        bib = self.bibs.get(mms_id)
        if bib is None:
            raise ActRefused(f"no bib {mms_id} in {self.code}")
        return bib

    @act
    def merge_bib(self, mms_id: str, into: str) -> Bib:
        """A cataloguer merges one record into another, which stays: its holdings, items and
        requests go along, and so do its 035s. What the old id answers from then on: dialect."""
        merged, stays = self.bibs.get(mms_id), self.bibs.get(into)
        if merged is None or stays is None or merged == stays:
            raise ActRefused(f"no two bibs {mms_id} and {into} in {self.code}")
        return inventory.merge_bib(self, merged, stays)

    def _mark_loan(self, item: str, process_status: str, process: str) -> Loan:
        row = self._item(item)
        loan = View(self).active_loan(row.pid)
        if loan is None:
            raise ActRefused(f"item {item} is not on loan in {self.code}")
        relocate(self, row, process)
        return self.change(loan, process_status=process_status)
