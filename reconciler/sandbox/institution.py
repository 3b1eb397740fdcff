"""One institution: its Alma, the people in it, and how tests build it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date
from threading import RLock
from typing import Any

from reconciler.sandbox import inspection
from reconciler.sandbox.acts.desk import DeskActs
from reconciler.sandbox.acts.log import ActLog
from reconciler.sandbox.acts.people import PeopleActs
from reconciler.sandbox.acts.stock import StockActs
from reconciler.sandbox.clocks import Clock
from reconciler.sandbox.marc import bib_xml, holding_xml, read_posted
from reconciler.sandbox.places import (
    CircDesk,
    CodeTable,
    GroupTerms,
    ItemTerms,
    Library,
    Location,
)
from reconciler.sandbox.records import Bib, Holding, Identifier, Item, User
from reconciler.sandbox.rules import inventory

DEFAULT_DESK = "DEFAULT_CIRC_DESK"


class Institution(DeskActs, StockActs, PeopleActs):
    """Acts (`scan_in`, `loan`, `mark_lost`, ...) are inherited; builders and reads are here."""

    def __init__(
        self,
        code: str,
        clock: Clock | None = None,
        zone: str = "UTC",
        suffix: str = "6421",
        lock: RLock | None = None,
    ) -> None:
        super().__init__(code, clock, zone, suffix, lock)
        self.acts = ActLog()

    # places and codes

    def add_library(
        self,
        code: str,
        name: str = "",
        *,
        resource_sharing: bool = False,
        desks: Iterable[str] = (DEFAULT_DESK,),
    ) -> Library:
        library = Library(code, self.new_id("library"), name or code, resource_sharing)
        self.libraries[code] = library
        for desk in desks:
            self.add_circ_desk(code, desk)
        return library

    def add_circ_desk(
        self,
        library: str,
        code: str,
        name: str = "",
        *,
        has_hold_shelf: bool = True,
        hold_shelf_processing: bool = False,
    ) -> CircDesk:
        place = self.libraries[library]
        label = name or f"{place.name} {code}"
        desk = CircDesk(code, label, has_hold_shelf, hold_shelf_processing)
        place.desks[code] = desk
        return desk

    def add_location(self, library: str, code: str, name: str = "", **more: Any) -> Location:
        """`more`: suppressed, type, fulfillment_unit, desks, pickups, reshelving_seconds."""
        location = Location(code, name or code, **more)
        self.libraries[library].locations[code] = location
        return location

    def add_department(self, code: str, name: str = "") -> None:
        self.departments[code] = name or code

    def add_code(self, table: str, code: str, label: str = "", *, enabled: bool = True) -> None:
        rows = self.code_tables.setdefault(table, CodeTable(table))
        rows.rows[code] = label or code
        if not enabled:
            rows.disabled.add(code)

    def add_user_group(self, code: str, label: str = "", **terms: Any) -> None:
        """`terms`: may_request, may_borrow, loan_days, loan_limit, renewals."""
        self.add_code("UserGroups", code, label)
        self.group_terms[code] = GroupTerms(**terms)

    def add_item_policy(self, code: str, label: str = "", **terms: Any) -> None:
        """`terms`: loanable, requestable, renewable."""
        self.add_code("ItemPolicy", code, label)
        self.item_terms[code] = ItemTerms(**terms)

    # rows

    def add_user(
        self,
        primary_id: str,
        group: str = "",
        *,
        barcodes: Iterable[str] = (),
        names: tuple[str, str] = ("", ""),
        expiry_date: date | None = None,
        **more: Any,
    ) -> User:
        """`more`: email, or any other field of records.User. The default group is the first."""
        if email := more.pop("email", ""):
            row = {"email_address": email, "preferred": True}
            more |= {"emails": (email,), "other": {"contact_info": {"email": [row]}}}
        groups = self.code_tables["UserGroups"].rows
        identifiers = tuple(Identifier(barcode, "BARCODE") for barcode in barcodes)
        with self.lock:
            user = User(
                key=self.new_id("user"),
                primary_id=primary_id,
                first_name=names[0],
                last_name=names[1] or primary_id,
                user_group=group or next(iter(groups)),
                identifiers=identifiers + tuple(more.pop("identifiers", ())),
                expiry_date=expiry_date,
                created_at=self.now(),
            )
            return self.save(replace(user, **more))

    def add_bib(self, title: str, author: str | None = None, **more: Any) -> Bib:
        """`more`: numbers (035), isbn, place, publisher, year, suppressed ("true")."""
        posted = read_posted(bib_xml(title, author, **more).encode(), "bib")
        with self.lock:
            return inventory.create_bib(self, posted)

    def add_holding(
        self, mms_id: str, library: str, location: str, call_number: str = "QA 76"
    ) -> Holding:
        posted = read_posted(holding_xml(library, location, call_number).encode(), "holding")
        with self.lock:
            return inventory.create_holding(self, self.bibs.get(mms_id) or _no(mms_id), posted)

    def add_item(self, holding_id: str, barcode: str = "", **more: Any) -> Item:
        """`more`: any other field of records.Item; material_type and policy default to first."""
        fields = {"barcode": barcode, "material_type": "BOOK", **more}
        with self.lock:
            holding = self.holdings.get(holding_id) or _no(holding_id)
            return inventory.create_item(self, holding, fields)

    def add_book(
        self,
        title: str,
        barcode: str,
        library: str,
        location: str,
        author: str | None = None,
        **more: Any,
    ) -> Item:
        """A bib, a holding and an item in one. `more` is of the bib."""
        bib = self.add_bib(title, author, **more)
        holding = self.add_holding(bib.mms_id, library, location)
        return self.add_item(holding.holding_id, barcode)

    # reading

    def state(self) -> dict[str, Any]:
        """Every row as plain JSON (inspection.state)."""
        with self.lock:
            return inspection.state(self)

    def ours(self, marker: str) -> dict[str, list[str]]:
        """Ids of what carries `marker`; `{}` when nothing does (inspection.ours)."""
        with self.lock:
            return inspection.ours(self, marker)


def _no(reference: str) -> Any:
    raise KeyError(reference)
