"""A small world to start from: a supplier, a borrower and a third library, with code tables."""

from __future__ import annotations

from typing import Final

from reconciler.sandbox.clocks import Clock
from reconciler.sandbox.http.channel import Sleep
from reconciler.sandbox.institution import Institution
from reconciler.sandbox.sandbox import Sandbox

SHARING: Final = "RES_OUT"
VIRTUAL: Final = "DCB"
VIRTUAL_LOCATION: Final = "DCBVIRTUAL"

_CODES: Final = {
    "PhysicalMaterialType": {"BOOK": "Book", "DVD": "DVD", "ISSUE": "Issue", "MAP": "Map"},
    "RequestCancellationReasons": {
        "CancelledAtPatronRequest": "Cancelled at patron's request",
        "CannotBeFulfilled": "Request cannot be fulfilled",
        "PurchaseRequest": "Converted to purchase request",
        "AdditionalReason01": "Patron did not collect the item",
    },
    "UserIdentifierTypes": {
        "BARCODE": "Barcode",
        "INST_ID": "Institution ID",
        "UNIV_ID": "University ID",
    },
    "PROCESSTYPE": {
        "ACQ": "Acquisition",
        "CLAIM_RETURNED_LOAN": "Claimed Returned",
        "HOLDSHELF": "Hold Shelf",
        "ILL": "Resource Sharing Request",
        "LOAN": "Loan",
        "LOST_ILL": "Lost Resource Sharing Item",
        "LOST_LOAN": "Lost",
        "LOST_LOAN_AND_PAID": "Lost and paid",
        "MISSING": "Missing",
        "REQUESTED": "Requested",
        "TECHNICAL": "Technical - Migration",
        "TRANSIT": "Transit",
        "TRANSIT_TO_REMOTE_STORAGE": "Transit to remote storage",
        "WORK_ORDER_DEPARTMENT": "In Process",
    },
}


def add_code_tables(institution: Institution) -> None:
    """The tables every Alma has, two user groups, and policies that lend and that do not."""
    for table, rows in _CODES.items():
        for code, label in rows.items():
            institution.add_code(table, code, label)
    institution.add_user_group("UNDERGRAD", "Undergraduate", loan_days=28)
    institution.add_user_group("DCB", "Consortial borrower", loan_days=56)
    institution.add_user_group("VISITOR", "Visitor without requests", may_request=False)
    institution.add_item_policy("REGULAR", "Regular loan")
    institution.add_item_policy("DCB", "Consortial loan")
    institution.add_item_policy("READING", "Reading room", loanable=False, requestable=False)


def add_ordinary_institution(sandbox: Sandbox, code: str, zone: str = "UTC") -> Institution:
    """MAIN, BRANCH, the virtual library DCB with its suppressed location, and the library

    RES_OUT that stands for everything outside: an ordinary pickup place where nobody scans.
    """
    institution = sandbox.add_institution(code, zone=zone)
    institution.name = {"uni-a": "University A", "uni-b": "University B"}.get(code, code)
    add_code_tables(institution)
    institution.add_library("MAIN", "Main Library")
    institution.add_location("MAIN", "STACKS", "Main Stacks")
    institution.add_library("BRANCH", "Branch Library")
    institution.add_location("BRANCH", "OPEN", "Branch Open Shelves")
    institution.add_library(SHARING, "Consortial Sharing Library")
    institution.add_location(SHARING, "OUT", "Out on consortial loan")
    institution.add_library(VIRTUAL, "Consortial Virtual Library")
    institution.add_location(VIRTUAL, VIRTUAL_LOCATION, "Virtual items", suppressed=True)
    institution.add_department("DIGI", "Digitisation")
    return institution


def sample_world(clock: Clock | None = None, sleep: Sleep | None = None) -> Sandbox:
    """uni-a (owns the books), uni-b (has the readers), uni-c (a third); keys `KEY-<code>`."""
    sandbox = Sandbox(clock, sleep)
    supplier = add_ordinary_institution(sandbox, "uni-a", "Europe/Vienna")
    for number, (title, author) in enumerate(_BOOKS, start=1):
        library, location = ("BRANCH", "OPEN") if number % 4 == 0 else ("MAIN", "STACKS")
        supplier.add_book(title, f"A{number:04d}", library, location, author)
    supplier.add_user("local-1", barcodes=["L0001"], names=("Lena", "Local"))
    for code, zone in (("uni-b", "Europe/Berlin"), ("uni-c", "Europe/London")):
        borrower = add_ordinary_institution(sandbox, code, zone)
        letter = code[-1].upper()
        for number, names in enumerate(_READERS, start=1):
            barcode = f"{letter}{number:04d}"
            borrower.add_user(f"reader-{letter.lower()}{number}", barcodes=[barcode], names=names)
    return sandbox


_BOOKS: Final = (
    ("Q&A <1> : a novel", "Swarup, Vikas"),
    ("Die Wand", "Haushofer, Marlen"),
    ("Metode og oppgaveskriving", "Dalland, Olav"),
    ("Love in the time of cholera", "García Márquez, Gabriel"),
    ("The homeland", "Naʻnʻa, Ḥamı̄dah"),
    ("Voĭna i mir", "Tolstoy, Leo"),
    ("A history of lending", None),
    ("The art of waiting", "Queue, Ida"),
    ("A history of lending", None),
)
_READERS: Final = (("Ada", "Lovelace"), ("Emmy", "Noether"), ("Mary", "Somerville"))
