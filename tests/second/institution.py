"""One institution: its records, what Alma does with them, and what its people do (§3.3, §5.5)."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any

from tests.second.dialect import Dialect


@dataclass(slots=True)
class Library:
    code: str
    locations: tuple[str, ...]
    desks: tuple[str, ...] = ("DEFAULT_CIRC_DESK",)
    resource_sharing: bool = False


@dataclass(slots=True)
class User:
    document: dict[str, Any]
    """As a client or a person wrote it, `primary_id` as Alma keeps it."""

    @property
    def id(self) -> str:
        return str(self.document["primary_id"])

    def is_known_as(self, word: str) -> bool:
        names = [self.id] + [str(each["value"]) for each in self.document["user_identifier"]]
        return word.casefold() in (name.casefold() for name in names)


@dataclass(slots=True)
class Bib:
    mms_id: str
    record: str
    title: str
    numbers: tuple[str, ...]
    suppressed: bool
    created: datetime


@dataclass(slots=True)
class Holding:
    id: str
    mms_id: str
    library: str
    location: str


@dataclass(slots=True)
class Item:
    pid: str
    mms_id: str
    holding_id: str
    library: str
    location: str
    data: dict[str, Any]
    """What a PUT replaces: texts, policy, material type."""
    created: datetime
    process: str = ""
    returned_at: datetime | None = None
    in_house_uses: int = 0
    base_alone: str | None = None
    """base_status when it does not follow from the process."""

    @property
    def barcode(self) -> str:
        return str(self.data.get("barcode") or "")

    @property
    def base(self) -> str:
        return self.base_alone or ("0" if self.process else "1")


@dataclass(slots=True)
class Hold:
    id: str
    user: str
    pid: str
    mms_id: str
    library: str
    desk: str | None
    comment: str | None
    created: datetime
    stage: str = "queued"
    """queued, transit, arrived (hold shelf processing), shelf or closed."""
    why: str | None = None
    closed: datetime | None = None

    @property
    def is_open(self) -> bool:
        return self.closed is None


@dataclass(slots=True)
class Loan:
    id: str
    user: str
    pid: str
    library: str
    desk: str
    started: datetime
    due: datetime
    process: str = "NORMAL"
    returned: datetime | None = None
    renewed: datetime | None = None


@dataclass(slots=True)
class Institution:
    """Records by id. Methods without a leading word are what people at its desks do."""

    code: str
    key: str
    now: Callable[[], datetime]
    dialect: Dialect
    libraries: dict[str, Library] = field(default_factory=dict)
    groups: set[str] = field(default_factory=lambda: {"DCB", "STUDENT"})
    material_types: set[str] = field(default_factory=lambda: {"BOOK", "DVD"})
    policies: set[str] = field(default_factory=lambda: {"DCB", "NORENEW"})
    holdless_groups: set[str] = field(default_factory=set)
    users: list[User] = field(default_factory=list)
    bibs: dict[str, Bib] = field(default_factory=dict)
    holdings: dict[str, Holding] = field(default_factory=dict)
    items: dict[str, Item] = field(default_factory=dict)
    holds: dict[str, Hold] = field(default_factory=dict)
    loans: dict[str, Loan] = field(default_factory=dict)
    work_orders: list[str] = field(default_factory=list)
    """Pids of items that a department has asked for."""
    log: list[tuple[str, str, str]] = field(default_factory=list)
    """Every call: method, route, code of the answer."""
    violations: list[str] = field(default_factory=list)
    """What no client may do by the contract."""
    ids: Iterator[int] = field(default_factory=lambda: count(1))

    # --- what Alma does ---------------------------------------------------------

    def new_id(self, prefix: str) -> str:
        """More digits than a float keeps."""
        return f"{prefix}{next(self.ids) * 7919:012d}6421"

    def user(self, word: str) -> User | None:
        return next((each for each in self.users if each.is_known_as(word)), None)

    def queue(self, pid: str) -> list[Hold]:
        """The open holds of an item, first in turn first: one under way keeps the book."""
        mine = [each for each in self.holds.values() if each.pid == pid and each.is_open]
        return sorted(mine, key=lambda each: (each.stage == "queued", each.created))

    def loan_of(self, pid: str) -> Loan | None:
        mine = (each for each in self.loans.values() if each.pid == pid and not each.returned)
        return next(mine, None)

    def close(self, hold: Hold, why: str) -> None:
        hold.stage, hold.why, hold.closed = "closed", why, self.now()

    def scan(self, pid: str, library: str, desk: str = "DEFAULT_CIRC_DESK", held: str = "") -> str:
        """Scan an item in at a desk (§5.5); what Alma says of its destination."""
        item = self.items[pid]
        if loan := self.loan_of(pid):
            loan.returned = self.now()
        turn = self.queue(pid)
        hold = next((each for each in turn if each.id == held), turn[0] if turn else None)
        if hold is None:
            return self._send_home(item, library)
        item.base_alone = None
        if (hold.library, hold.desk or desk) != (library, desk):
            hold.stage, item.process = "transit", "TRANSIT"
            return f"{hold.library}. Request/Process Type: Patron physical item request"
        if self.dialect.two_step_shelf and hold.stage not in ("arrived", "shelf"):
            hold.stage, item.process = "arrived", "TRANSIT"
            return "Hold Shelf Processing. Request/Process Type: Patron physical item request"
        hold.stage, item.process = "shelf", "HOLDSHELF"
        return "On Hold Shelf. Request/Process Type: Patron physical item request"

    def _send_home(self, item: Item, library: str) -> str:
        item.base_alone = None
        if library != item.library:
            item.process = "TRANSIT"
            return f"{item.library}. Request/Process Type: Transit for reshelving"
        item.process, item.returned_at = "", self.now()
        return f"Reshelve to {item.location}. Request/Process Type: "

    def lend(self, user: User, pid: str, library: str, desk: str = "DEFAULT_CIRC_DESK") -> Loan:
        """Loan an item; the reader's own hold is filled by it."""
        item = self.items[pid]
        if self.loan_of(pid):
            raise AssertionError("a book cannot be lent twice")
        now = self.now()
        loan = Loan(self.new_id("73"), user.id, pid, library, desk, now, now + timedelta(days=28))
        self.loans[loan.id] = loan
        for hold in self.queue(pid):
            if hold.user == user.id:
                self.close(hold, "filled")
        item.process, item.base_alone, item.returned_at = "LOAN", None, None
        return loan

    def end(self, hold: Hold, why: str) -> None:
        """Cancel a hold, or let its time on the shelf run out."""
        was = hold.stage
        self.close(hold, why)
        item = self.items.get(hold.pid)
        if item is None or was != "shelf":
            return
        if self.dialect.off_the_shelf == "in_place" and hold.library == item.library:
            item.process = ""
        else:
            item.process = "TRANSIT"

    def forget(self) -> None:
        """The nightly job that cuts the ties of what has ended to its people (§1.6)."""
        if self.dialect.anonymise == "never":
            return
        before = self.now() - timedelta(days=self.dialect.anonymise_days)
        for loan in [each for each in self.loans.values() if each.returned]:
            if loan.returned and loan.returned < before:
                loan.user = ""
                if self.dialect.anonymise == "drop":
                    del self.loans[loan.id]
        for hold in [each for each in self.holds.values() if each.closed]:
            if hold.closed and hold.closed < before:
                del self.holds[hold.id]

    # --- who and what there is --------------------------------------------------

    def add_library(self, code: str, *locations: str, **more: Any) -> None:
        self.libraries[code] = Library(code, locations or ("STACKS",), **more)

    def add_user(self, primary_id: str, *barcodes: str, group: str = "STUDENT") -> User:
        kept = [
            {"value": each, "id_type": {"value": "BARCODE"}, "status": "ACTIVE"}
            for each in barcodes
        ]
        user = User(
            {
                "primary_id": primary_id,
                "record_type": {"value": "PUBLIC"},
                "account_type": {"value": "INTERNAL"},
                "first_name": "Canaryfirst",
                "last_name": "Canarylast",
                "status": {"value": "ACTIVE"},
                "user_group": {"value": group},
                "user_identifier": kept,
                "user_block": [],
                "user_note": [{"note_text": "prefers mornings"}],
                "contact_info": {"address": [], "email": [], "phone": []},
                "expiry_date": (self.now().date() + timedelta(days=900)).isoformat() + "Z",
            }
        )
        self.users.append(user)
        return user

    def add_book(self, barcode: str, library: str, location: str = "STACKS") -> Item:
        now = self.now()
        mms_id = self.new_id("99")
        self.bibs[mms_id] = Bib(mms_id, "<record/>", "Q&A <1>", (), False, now)
        holding = Holding(self.new_id("22"), mms_id, library, location)
        self.holdings[holding.id] = holding
        data = {"barcode": barcode, "physical_material_type": {"value": "BOOK"}, "policy": {}}
        item = Item(self.new_id("23"), mms_id, holding.id, library, location, data, now)
        self.items[item.pid] = item
        return item

    # --- what people do ---------------------------------------------------------

    def checkout(self, word: str, pid: str, library: str) -> Loan:
        user = self.user(word)
        assert user is not None
        return self.lend(user, pid, library)

    def renew(self, loan: Loan, days: int) -> None:
        loan.due += timedelta(days=days)
        loan.process, loan.renewed = "RENEW", self.now()

    def mark(self, pid: str, process: str) -> None:
        """MISSING, LOST_LOAN, CLAIM_RETURNED_LOAN, …: a loan stays active (§4.1)."""
        self.items[pid].process = process
        words = {"LOST_LOAN": "LOST", "CLAIM_RETURNED_LOAN": "CLAIMED_RETURN"}
        if (loan := self.loan_of(pid)) and process in words:
            loan.process = words[process]
        if process == "MISSING" and self.dialect.missing_ends_holds:
            for hold in self.queue(pid):
                self.close(hold, "cancelled")

    def merge_user(self, gone: User, into: User) -> None:
        self.users.remove(gone)
        into.document["user_identifier"] += gone.document["user_identifier"]
        for each in (*self.holds.values(), *self.loans.values()):
            if each.user == gone.id:
                each.user = into.id
