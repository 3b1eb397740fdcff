"""What staff and readers do at one role's library: each act makes one whole state of its Alma."""

from __future__ import annotations

from dataclasses import dataclass

from reconciler.sandbox import Institution
from reconciler.sandbox.records import Item


@dataclass
class Place:
    """One role's library with its user, item and hold of one lend."""

    at: Institution
    user: str
    pid: str
    request_id: str
    is_virtual: bool

    def hold(self) -> None:
        """The hold stands, the item waits."""

    def sent(self) -> None:
        """On its way: a desk where the hold is not collected scans it."""
        self.at.scan_in(self.pid, "DCB" if self.is_virtual else "MAIN")

    def shelved(self) -> None:
        self.at.scan_in(self.pid, "MAIN")

    def lent(self) -> None:
        self.at.loan(self.pid, self.user, "MAIN", override=True)

    def returned(self) -> None:
        self.lent()
        self.at.return_item(self.pid, "DCB" if self.is_virtual else "MAIN")

    def cancelled(self) -> None:
        self.at.cancel_request(self.request_id)

    def sent_and_cancelled(self) -> None:
        self.sent()
        self.cancelled()

    def expired(self) -> None:
        self.shelved()
        self.at.expire_hold_shelf(self.request_id)

    def expired_and_lent(self) -> None:
        self.expired()
        self.lent()

    def reissued(self) -> None:
        self.at.reissue_request(self.request_id)

    def moved_to_copy(self) -> None:
        """Alma serves the hold with another copy, which is sent."""
        copy = self.at.add_item(self._item.holding_id, f"C{self.pid}")
        self.at.move_request(self.request_id, copy.pid)
        self.at.scan_in(copy.pid, "MAIN")

    def behind_in_transit(self) -> None:
        """On its way to a local reader whose hold staff chose to serve first."""
        self._other()
        his = self.at.place_hold(self._others_id, self.pid, "BRANCH")
        self.at.scan_in(self.pid, "MAIN", request_id=his.request_id)

    def behind_on_shelf(self) -> None:
        self.behind_in_transit()
        self.at.scan_in(self.pid, "BRANCH")

    def behind_on_loan(self) -> None:
        self.behind_on_shelf()
        self.at.loan(self.pid, self._others_id, "BRANCH")

    def returned_at_branch(self) -> None:
        """In transit home; or a check-in by mistake, which looks the same."""
        self.lent()
        self.at.return_item(self.pid, "BRANCH")

    def charged_again(self) -> None:
        """The same reader has it under another loan id."""
        self.lent()
        self.at.charge_again(self.pid, "MAIN")

    def paid(self) -> None:
        self.lost()
        self.at.pay_lost(self.pid)

    def withdrawn(self) -> None:
        self.at.withdraw_item(self.pid)

    def withdrawn_while_lent(self) -> None:
        self.lent()
        self.withdrawn()

    def next_reader(self) -> None:
        """Returned, and already on the shelf for the next one who waits."""
        self._other()
        self.at.place_hold(self._others_id, self.pid, "MAIN")
        self.returned()
        self.at.scan_in(self.pid, "MAIN")

    def lent_to_other(self) -> None:
        self._other()
        self.at.loan(self.pid, self._others_id, "MAIN", override=True)

    def cancelled_and_lent_to_other(self) -> None:
        self.cancelled()
        self.lent_to_other()

    def cancelled_and_shelved_for_other(self) -> None:
        self._other()
        self.at.place_hold(self._others_id, self.pid, "MAIN")
        self.cancelled()
        self.at.scan_in(self.pid, "MAIN")

    def cancelled_and_in_department(self) -> None:
        self.cancelled()
        self.at.work_order(self.pid)

    def missing(self) -> None:
        self.at.mark_missing(self.pid)

    def lost(self) -> None:
        self.lent()
        self.at.mark_lost(self.pid)

    def claimed(self) -> None:
        self.lent()
        self.at.claim_returned(self.pid)

    def work_order(self) -> None:
        self.at.set_process_type(self.pid, "WORK_ORDER_DEPARTMENT")

    def unknown_word(self) -> None:
        self.at.set_process_type(self.pid, "SOMETHING_NEW")

    @property
    def _others_id(self) -> str:
        return f"other-{self.pid}"

    @property
    def _item(self) -> Item:
        item = self.at.items.get(self.pid)
        assert item is not None
        return item

    def _other(self) -> None:
        self.at.add_user(self._others_id)
