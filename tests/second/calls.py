"""The calls of the contract on one institution: what each takes, refuses and answers."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from xml.etree import ElementTree

from tests.second.institution import Bib, Hold, Holding, Institution, Item, Loan, User
from tests.second.payloads import Payloads
from tests.second.refusals import Refused

PAGED = "limit offset"
ITEM = "bibs/{}/holdings/{}/items/{}"


@dataclass(frozen=True, slots=True)
class Asked:
    """One call, taken apart."""

    path: tuple[str, ...]
    """What stands in the route's braces."""
    query: dict[str, str]
    body: Any
    """A JSON document, an XML element, or None."""


@dataclass(frozen=True, slots=True)
class Route:
    method: str
    pattern: str
    handler: Callable[[Calls, Asked], Any]
    query: str = ""
    takes: str = ""
    """The body's kind: json, xml or none."""


class Calls:
    def __init__(self, here: Institution) -> None:
        self.here = here
        self.says = Payloads(here)

    # --- users ------------------------------------------------------------------

    def get_user(self, ask: Asked) -> Any:
        return self.says.user(self._user(ask.path[0]))

    def post_user(self, ask: Asked) -> Any:
        here, new = self.here, self._document(ask.body)
        for name in ("record_type", "account_type", "primary_id", "last_name", "user_group"):
            self._demand(new.get(name), name)
        account = new["account_type"].get("value")
        if account == "EXTERNAL" and not new.get("external_id"):
            raise Refused("401854")
        if account == "INTERNAL" and new.get("external_id"):
            raise Refused("401853")
        if new["user_group"].get("value") not in here.groups:
            raise Refused("401852")
        words = [each["value"] for each in new.get("user_identifier", [])]
        if len(words) != len(set(words)):
            raise Refused("401851", "Two identifiers share a value.")
        for word in [new["primary_id"], *words]:
            if here.user(word):
                raise Refused("401851", f"User with identifier {word} already exists.")
        case = {"upper": str.upper, "lower": str.lower, "given": str}[here.dialect.primary_id]
        kept = [{"status": "ACTIVE", **each} for each in new.get("user_identifier", [])]
        lists = {name: [] for name in ("user_block", "user_note") if name not in new}
        document = {**new, **lists, "primary_id": case(new["primary_id"]), "user_identifier": kept}
        document.setdefault("contact_info", {"address": [], "email": [], "phone": []})
        document.setdefault("user_statistic", [{"category_type": {"value": "BY_RULE"}}])
        here.users.append(user := User(document))
        return self.says.user(user)

    def put_user(self, ask: Asked) -> Any:
        user, new = self._user(ask.path[0]), self._document(ask.body)
        for name, value in user.document.items():
            if value and name not in new:
                self.here.violations.append(f"PUT user drops {name}")
        for name in ("record_type", "account_type", "primary_id", "last_name", "user_group"):
            self._demand(new.get(name), name)
        if new.get("external_id", "") != user.document.get("external_id", ""):
            raise Refused("401858")
        user.document = {**new, "primary_id": user.id}
        return self.says.user(user)

    # --- holds ------------------------------------------------------------------

    def get_hold(self, ask: Asked) -> Any:
        if ask.path[0] != "ALL":
            self._user(ask.path[0])
        return self._hold_by_id(ask.path[-1])

    def get_item_hold(self, ask: Asked) -> Any:
        self._item(ask.path[2])
        return self._hold_by_id(ask.path[-1])

    def _hold_by_id(self, request_id: str) -> Any:
        hold = self.here.holds.get(request_id)
        filled = hold is not None and hold.why == "filled"
        word = self.here.dialect.filled_by_id if filled else self.here.dialect.closed_by_id
        seen_at = self.here.now() - timedelta(seconds=self.here.dialect.by_id_lag)
        if hold and hold.created <= seen_at and (hold.is_open or word == "HISTORY"):
            return self.says.hold(hold)
        raise Refused("401697" if word == "HISTORY" else word)

    def user_holds(self, ask: Asked) -> Any:
        user = self._user(ask.path[0])
        return self._holds(ask, lambda hold: hold.user == user.id)

    def item_holds(self, ask: Asked) -> Any:
        item = self._exact_item(ask.path)
        return self._holds(ask, lambda hold: hold.pid == item.pid)

    def _holds(self, ask: Asked, ours: Callable[[Hold], bool]) -> Any:
        """Lists follow what was done with a lag (§1.5)."""
        seen_at = self.here.now() - timedelta(seconds=self.here.dialect.lag)
        if ask.query.get("status") == "history":
            return self.says.rows("user_request", [], 0)
        rows = [
            self.says.hold(hold, stale=True)
            for hold in self.here.holds.values()
            if ours(hold)
            and hold.created <= seen_at
            and (hold.closed is None or hold.closed > seen_at)
        ]
        rows += [] if ask.path[2:] == () else self._other_requests(ask)
        return self._page(ask, "user_request", rows)

    def _other_requests(self, ask: Asked) -> list[dict[str, Any]]:
        """Work orders stand among an item's requests; they have no user (fixtures 20, 21)."""
        return [
            {"request_id": f"66{n}", "request_type": "WORK_ORDER", "request_status": "IN_PROCESS"}
            for n, pid in enumerate(self.here.work_orders)
            if pid == ask.path[2] and ask.query.get("request_type", "WORK_ORDER") == "WORK_ORDER"
        ]

    def post_hold(self, ask: Asked) -> Any:
        here, new = self.here, self._document(ask.body)
        user = self._user(ask.path[0])
        if ("mms_id" in ask.query) == ("item_pid" in ask.query):
            raise Refused("401664", "Mandatory field is missing: mms_id or item_pid")
        item = here.items.get(ask.query.get("item_pid", ""))
        if item is None:
            raise Refused("60328", "Item for request was not found.")
        self._demand(new.get("request_type"), "request_type")
        self._demand(new.get("pickup_location_library"), "pickup_location_library")
        desk = self._pickup_desk(new)
        self._hold_is_allowed(user, item, ask.query)
        hold = Hold(here.new_id("14"), user.id, item.pid, item.mms_id,
            new["pickup_location_library"], desk, new.get("comment"), here.now())  # fmt: skip
        here.holds[hold.id] = hold
        return self.says.hold(hold)

    def _pickup_desk(self, new: dict[str, Any]) -> str | None:
        kind = new.get("pickup_location_type")
        if kind not in ("LIBRARY", "CIRCULATION_DESK"):
            raise Refused("401664", "Mandatory field is missing: pickup_location_type")
        code = new["pickup_location_library"]
        library = self.here.libraries.get(code)
        if library is None:
            raise Refused("401891", f"Pickup library with code {code} was not found.")
        if library.resource_sharing:
            raise Refused("401129", "No items can fulfill the submitted request.")
        desk = new.get("pickup_location_circulation_desk")
        if kind == "CIRCULATION_DESK" and desk not in library.desks:
            raise Refused("401895")
        return desk if kind == "CIRCULATION_DESK" else None

    def _hold_is_allowed(self, user: User, item: Item, query: dict[str, str]) -> None:
        here = self.here
        fresh = here.now() - item.created < timedelta(seconds=here.dialect.availability_lag)
        group = user.document["user_group"].get("value")
        if fresh or group in here.holdless_groups:
            raise Refused("401129", "No items can fulfill the submitted request.")
        same = [
            hold
            for hold in here.holds.values()
            if hold.is_open and hold.user == user.id and hold.mms_id == item.mms_id
        ]
        if same and query.get("allow_same_request") != "true":
            raise Refused("401136", "Failed to save the request: Patron has active request.")

    def delete_hold(self, ask: Asked) -> Any:
        self._user(ask.path[0])
        self._demand(ask.query.get("reason"), "reason")
        if ask.query.get("notify_user") != "false":
            self.here.violations.append("a reader is told of a hold that we cancel")
        hold = self.here.holds.get(ask.path[1])
        if hold and hold.is_open:
            self.here.end(hold, "cancelled")
        elif self.here.dialect.cancel_again != "204" or hold is None:
            again = self.here.dialect.cancel_again
            raise Refused("401694" if again == "204" else again)
        return None

    def request_options(self, ask: Asked) -> Any:
        user = self._user(ask.query["user_id"])
        self._exact_item(ask.path)
        allowed = user.document["user_group"].get("value") not in self.here.holdless_groups
        rows = [{"type": self.says.pair("HOLD", "Vormerkung"), "request_url": "https://x.example"}]
        return {"request_option": [*(rows if allowed else []), {"type": {"value": "PURCHASE"}}]}

    # --- loans ------------------------------------------------------------------

    def get_loan(self, ask: Asked) -> Any:
        return self.says.loan(self._loan(ask))

    def user_loans(self, ask: Asked) -> Any:
        user = self._user(ask.path[0])
        return self._loans(ask, lambda loan: loan.user == user.id)

    def item_loans(self, ask: Asked) -> Any:
        item = self._item(ask.path[2])
        return self._loans(ask, lambda loan: loan.pid == item.pid)

    def _loans(self, ask: Asked, ours: Callable[[Loan], bool]) -> Any:
        complete = ask.query.get("loan_status", "Active") == "Complete"
        found = [
            loan
            for loan in self.here.loans.values()
            if ours(loan) and (loan.returned is not None) == complete
        ]
        return self._page(ask, "item_loan", [self.says.loan(each) for each in found])

    def post_loan(self, ask: Asked) -> Any:
        here, new = self.here, self._document(ask.body)
        user = self._user(ask.path[0])
        library, desk = _value(new.get("library")), _value(new.get("circ_desk"))
        self._demand(library, "library")
        self._demand(desk, "circ_desk")
        item = here.items.get(ask.query.get("item_pid", ""))
        if item is None:
            raise Refused("401672", "PID field is empty.")
        if library != item.library or desk not in here.libraries[library].desks:
            raise Refused("401153", "Item cannot be loaned from this circulation desk.")
        if blocks := user.document.get("user_block"):
            raise Refused("401163", f"Block - {blocks[0]}. Scope: all")
        if loan := here.loan_of(item.pid):
            raise Refused(here.dialect.same_loan if loan.user == user.id else "401651")
        turn = here.queue(item.pid)
        on_shelf_for = [hold.user for hold in turn if hold.stage == "shelf"]
        if item.process == "MISSING" or (on_shelf_for and user.id not in on_shelf_for):
            raise Refused("401651", "Item is not loanable.")
        return self.says.loan(here.lend(user, item.pid, library, desk))

    def put_loan(self, ask: Asked) -> Any:
        loan, new = self._loan(ask), self._document(ask.body)
        if extra := set(new) - {"due_date"}:
            self.here.violations.append(f"PUT loan sends {sorted(extra)}")
        if not new.get("due_date"):
            raise Refused("401824", "Due date is not in loan object.")
        due = datetime.fromisoformat(new["due_date"])
        if due <= self.here.now():
            raise Refused("401681", "Due date cannot be in the past.")
        loan.due = due
        return self.says.loan(loan)

    def _loan(self, ask: Asked) -> Loan:
        user, loan = self._user(ask.path[0]), self.here.loans.get(ask.path[1])
        if loan is None or loan.user not in ("", user.id):
            raise Refused("401823", f"Loan ID {ask.path[1]} does not exist.")
        return loan

    # --- items ------------------------------------------------------------------

    def get_item(self, ask: Asked) -> Any:
        return self.says.item(self._item(ask.path[2]))

    def find_item(self, ask: Asked) -> Any:
        barcode = ask.query.get("item_barcode", "")
        found = [each for each in self.here.items.values() if each.barcode == barcode]
        if not found or not barcode:
            raise Refused("401689", f"No items found for barcode {barcode}.")
        return found[0]

    def post_item(self, ask: Asked) -> Any:
        here, new = self.here, self._document(ask.body)
        holding = self._holding(ask.path[1], ask.path[0])
        data = dict(new.get("item_data") or {})
        if not data:
            raise Refused("401664", "Mandatory field is missing: item_data")
        self._codes_are_known(data)
        taken = {each.barcode for each in here.items.values()}
        if data.get("barcode") in taken:
            raise Refused(here.dialect.barcode_clash, "Request failed: general error.")
        data.setdefault("barcode", here.new_id("AUTO"))
        data.pop("base_status", None)
        data |= {"pieces": "", "inventory_number": ""}
        item = Item(here.new_id("23"), ask.path[0], holding.id, holding.library,
            holding.location, data, here.now())  # fmt: skip
        here.items[item.pid] = item
        return self.says.item(item)

    def put_item(self, ask: Asked) -> Any:
        here, item = self.here, self._item(ask.path[2])
        data = dict(self._document(ask.body).get("item_data") or {})
        if here.dialect.loaned_items_locked and here.loan_of(item.pid):
            raise Refused("401652", "Item cannot be updated: it is on loan.")
        if data.get("pid") != item.pid or not data.get("library") or not data.get("location"):
            raise Refused("INTERNAL_SERVER_ERROR", "null", 500)
        self._codes_are_known(data)
        for name, value in item.data.items():
            if value and name not in data:
                here.violations.append(f"PUT item drops {name}")
        out_of_place = {"pid", "library", "location"}
        item.data = {name: value for name, value in data.items() if name not in out_of_place}
        return self.says.item(item)

    def _codes_are_known(self, data: dict[str, Any]) -> None:
        here = self.here
        for name, known in (
            ("policy", here.policies),
            ("physical_material_type", here.material_types),
        ):
            if (code := _value(data.get(name))) and code not in known:
                raise Refused("40166404", f"Invalid field value: {name} {code}")

    def delete_item(self, ask: Asked) -> Any:
        here, item = self.here, self._item(ask.path[2])
        override = self._flag(ask.query.get("override", "false"))
        if here.loan_of(item.pid):
            here.violations.append("DELETE of an item that is on loan")
        if here.loan_of(item.pid) or (here.queue(item.pid) and not override):
            raise Refused("401849", "Item delete errors: the item is requested or on loan.")
        for hold in here.queue(item.pid):
            here.close(hold, "cancelled")
        del here.items[item.pid]
        return None

    def scan(self, ask: Asked) -> Any:
        here, query = self.here, ask.query
        if query.get("op") != "scan":
            raise Refused("40166411")
        self._demand(query.get("library"), "library")
        if ("circ_desk" in query) == ("department" in query):
            raise Refused("40166415", "Must send at least one of: [circ_desk,department]")
        item = here.items.get(ask.path[2])
        if item is None or (item.mms_id, item.holding_id) != ask.path[:2]:
            raise Refused("402502", "Scan in of item failed.")
        library = here.libraries.get(query["library"])
        if library is None or query.get("circ_desk") not in library.desks:
            raise Refused("402502", "Scan in of item failed.")
        if query.get("register_in_house_use", "true") == "true" and item.process == "":
            item.in_house_uses += 1
        said = here.scan(
            item.pid, query["library"], query["circ_desk"], query.get("request_id", "")
        )
        return self.says.item(item, said)

    # --- bibs and holdings ------------------------------------------------------

    def get_bib(self, ask: Asked) -> Any:
        return self.says.bib(self._bib(ask.path[0]))

    def find_bibs(self, ask: Asked) -> Any:
        known = self.here.bibs.values()
        seen_at = self.here.now() - timedelta(seconds=self.here.dialect.lag)
        if number := ask.query.get("other_system_id"):
            rows = [each for each in known if number in each.numbers and each.created <= seen_at]
        else:
            wanted = ask.query.get("mms_id", "").split(",")
            if len(wanted) > 100:
                raise Refused("402203", "Input parameter mmsId list is not valid.")
            rows = [each for each in known if each.mms_id in wanted]
        if not rows and self.here.dialect.no_bibs == "402203":
            raise Refused("402203", "Input parameter mmsId list is not valid.")
        return self.says.rows("bib", [self.says.bib(each) for each in rows], len(rows))

    def post_bib(self, ask: Asked) -> Any:
        root = ask.body
        if root.tag != "bib" or root.find("record/leader") is None:
            raise Refused("402209")
        title = root.findtext("record/datafield[@tag='245']/subfield[@code='a']")
        if not title:
            raise Refused("402209", "The record has no title.")
        fields = root.iterfind("record/datafield[@tag='035']/subfield[@code='a']")
        record = ElementTree.tostring(root.find("record"), encoding="unicode")  # type: ignore[arg-type]
        bib = Bib(self.here.new_id("99"), record, title, tuple(each.text or "" for each in fields),
            root.findtext("suppress_from_publishing") == "true", self.here.now())  # fmt: skip
        self.here.bibs[bib.mms_id] = bib
        return "bib", self.says.bib(bib)

    def delete_bib(self, ask: Asked) -> Any:
        bib = self._bib(ask.path[0])
        self._flag(ask.query.get("override", "false"))
        if any(each.mms_id == bib.mms_id for each in self.here.holdings.values()):
            raise Refused("4022020", "Delete Bib error.")
        del self.here.bibs[bib.mms_id]
        return None

    def get_holdings(self, ask: Asked) -> Any:
        if ask.path[0] not in self.here.bibs:
            return self.says.rows("holding", [], 0)
        found = [each for each in self.here.holdings.values() if each.mms_id == ask.path[0]]
        return self.says.rows("holding", [self.says.holding(each) for each in found], len(found))

    def get_holding(self, ask: Asked) -> Any:
        return self.says.holding(self._holding(ask.path[1], ask.path[0]))

    def post_holding(self, ask: Asked) -> Any:
        bib = self._bib(ask.path[0])
        part = "record/datafield[@tag='852']/subfield[@code='{}']"
        code, location = (ask.body.findtext(part.format(each)) for each in "bc")
        library = self.here.libraries.get(code or "")
        if library is None or location not in library.locations:
            raise Refused("402212")
        holding = Holding(self.here.new_id("22"), bib.mms_id, library.code, location)
        self.here.holdings[holding.id] = holding
        record = {"holding_id": holding.id, "suppress_from_publishing": "false"}
        return "holding", record

    def delete_holding(self, ask: Asked) -> Any:
        holding = self._holding(ask.path[1], ask.path[0])
        if any(each.holding_id == holding.id for each in self.here.items.values()):
            raise Refused("60214", "Holding has been deleted or cannot be deleted.")
        del self.here.holdings[holding.id]
        return None

    def bib_items(self, ask: Asked) -> Any:
        found = [each for each in self.here.items.values() if each.mms_id == ask.path[0]]
        if ask.path[1] != "ALL":
            found = [each for each in found if each.holding_id == ask.path[1]]
        return self._page(ask, "item", [self.says.item(each) for each in found])

    # --- configuration ----------------------------------------------------------

    def libraries(self, _ask: Asked) -> Any:
        rows = [
            {"code": each.code, "name": "Haus", "resource_sharing": each.resource_sharing}
            for each in self.here.libraries.values()
        ]
        return self.says.rows("library", rows, len(rows))

    def locations(self, ask: Asked) -> Any:
        library = self.here.libraries.get(ask.path[0])
        if library is None:
            raise Refused("40166411")
        rows = [{"code": each, "name": "Regal"} for each in library.locations]
        return self.says.rows("location", rows, len(rows))

    def desks(self, ask: Asked) -> Any:
        library = self.here.libraries.get(ask.path[0])
        if library is None:
            raise Refused("401664")
        return self._page(ask, "circ_desk", [{"code": each} for each in library.desks])

    def general(self, _ask: Asked) -> Any:
        institution = self.says.pair(self.here.code, "Universität")
        return {"institution": institution, "environment_type": "SANDBOX"}

    def codes(self, ask: Asked) -> Any:
        tables = {
            "UserGroups": self.here.groups,
            "PhysicalMaterialType": self.here.material_types,
            "ItemPolicy": self.here.policies,
            "RequestCancellationReasons": {"CannotBeFulfilled"},
        }
        if ask.path[0] not in tables:
            raise Refused("402119")
        rows = [{"code": each, "enabled": True} for each in sorted(tables[ask.path[0]])]
        return {"name": ask.path[0], "row": rows}

    def test(self, _ask: Asked) -> Any:
        return {"test": f"GET - OK - institutionCode: {self.here.code}"}

    # --- what several need ------------------------------------------------------

    def _user(self, word: str) -> User:
        user = self.here.user(word)
        if user is None:
            raise Refused(self.here.dialect.missing_user, "User with this identifier not found.")
        return user

    def _item(self, pid: str) -> Item:
        item = self.here.items.get(pid)
        if item is None:
            raise Refused(self.here.dialect.missing_item, "No Item found.")
        return item

    def _exact_item(self, path: tuple[str, ...]) -> Item:
        """Requests and scans need the item's real holding (§3.8)."""
        item = self._item(path[2])
        if (item.mms_id, item.holding_id) != path[:2]:
            raise Refused("401683", "No Item found for mmsId, holdings id and item id.")
        return item

    def _bib(self, mms_id: str) -> Bib:
        if not re.fullmatch(r"\d+", mms_id):
            raise Refused("402204", "Input parameters mmsId X is not numeric.")
        if mms_id not in self.here.bibs:
            raise Refused("402203", "Input parameters mmsId X is not valid.")
        return self.here.bibs[mms_id]

    def _holding(self, holding_id: str, mms_id: str) -> Holding:
        self._bib(mms_id)
        holding = self.here.holdings.get(holding_id)
        if holding is None or holding.mms_id != mms_id:
            raise Refused(self.here.dialect.missing_holding, "Holding ID not valid.")
        return holding

    def _page(self, ask: Asked, name: str, rows: list[dict[str, Any]]) -> Any:
        limit = min(int(ask.query.get("limit", "10")), self.here.dialect.page_cap)
        offset = int(ask.query.get("offset", "0"))
        if name == "user_request" and len(ask.path) == 3:  # item lists are not paged
            return self.says.rows(name, rows, len(rows))
        return self.says.rows(name, rows[offset : offset + limit], len(rows))

    def _document(self, body: Any) -> dict[str, Any]:
        if not isinstance(body, dict):
            raise Refused("401676", "The body is not valid.")
        return body

    def _demand(self, value: Any, name: str) -> None:
        if not value:
            raise Refused("401664", f"Mandatory field is missing: {name}")

    def _flag(self, value: str) -> bool:
        if value not in ("true", "false"):
            raise Refused("401873", "Input parameter override is not valid.")
        return value == "true"


def _value(code: Any) -> str | None:
    return code.get("value") if isinstance(code, dict) else None


HOLD_LIST = "request_type user_id_type status"
HOLD_PLACE = "mms_id item_pid user_id_type allow_same_request"
LOAN_LIST = "order_by direction expand loan_status user_id_type"
BIB_CREATE = "validate override_warning check_match normalization"
SCAN = (
    "op library circ_desk department request_id external_id work_order_type status done "
    "auto_print_slip place_on_hold_shelf confirm register_in_house_use"
)

ROUTES = (
    Route("GET", "users/{}", Calls.get_user, "user_id_type view expand"),
    Route("POST", "users", Calls.post_user, "social_authentication send_pin_number_letter", "json"),
    Route("PUT", "users/{}", Calls.put_user, "user_id_type override recalculate_roles", "json"),
    Route("GET", "users/{}/requests", Calls.user_holds, f"{PAGED} {HOLD_LIST}"),
    Route("POST", "users/{}/requests", Calls.post_hold, HOLD_PLACE, "json"),
    Route("GET", "users/{}/requests/{}", Calls.get_hold),
    Route("DELETE", "users/{}/requests/{}", Calls.delete_hold, "reason note notify_user"),
    Route("GET", "users/{}/loans", Calls.user_loans, f"{PAGED} {LOAN_LIST}"),
    Route("POST", "users/{}/loans", Calls.post_loan, "item_barcode item_pid user_id_type", "json"),
    Route("GET", "users/{}/loans/{}", Calls.get_loan, "user_id_type expand"),
    Route("PUT", "users/{}/loans/{}", Calls.put_loan, "notify_user", "json"),
    Route("GET", "items", Calls.find_item, "item_barcode"),
    Route("GET", "bibs", Calls.find_bibs, "mms_id other_system_id view expand"),
    Route("POST", "bibs", Calls.post_bib, BIB_CREATE, "xml"),
    Route("GET", "bibs/{}", Calls.get_bib, "view expand"),
    Route("DELETE", "bibs/{}", Calls.delete_bib, "override cataloger_level"),
    Route("GET", "bibs/{}/holdings", Calls.get_holdings),
    Route("POST", "bibs/{}/holdings", Calls.post_holding, "", "xml"),
    Route("GET", "bibs/{}/holdings/{}", Calls.get_holding),
    Route("DELETE", "bibs/{}/holdings/{}", Calls.delete_holding, "bib"),
    Route("GET", "bibs/{}/holdings/{}/items", Calls.bib_items, f"{PAGED} expand view user_id"),
    Route("POST", "bibs/{}/holdings/{}/items", Calls.post_item, "generate_description", "json"),
    Route("GET", ITEM, Calls.get_item, "view expand user_id"),
    Route("PUT", ITEM, Calls.put_item, "generate_description", "json"),
    Route("POST", ITEM, Calls.scan, SCAN),
    Route("DELETE", ITEM, Calls.delete_item, "override holdings bib"),
    Route("GET", f"{ITEM}/requests", Calls.item_holds, "request_type status"),
    Route("GET", f"{ITEM}/requests/{{}}", Calls.get_item_hold),
    Route("GET", f"{ITEM}/request-options", Calls.request_options, "user_id consider_dlr"),
    Route("GET", f"{ITEM}/loans", Calls.item_loans, f"{PAGED} order_by direction loan_status"),
    Route("GET", "conf/libraries", Calls.libraries, "lang"),
    Route("GET", "conf/libraries/{}/locations", Calls.locations),
    Route("GET", "conf/libraries/{}/circ-desks/", Calls.desks, PAGED),
    Route("GET", "conf/general", Calls.general),
    Route("GET", "conf/code-tables/{}", Calls.codes, "lang scope"),
    Route("GET", "conf/test", Calls.test),
    Route("GET", "bibs/test", Calls.test),
    Route("GET", "users/operation/test", Calls.test),
)  # fmt: skip
"""Every query parameter that is not named here is unknown to the contract."""


def find_route(method: str, parts: tuple[str, ...]) -> tuple[Route, tuple[str, ...]]:
    """Routes without braces come before those with; raises LookupError."""
    for route in sorted(ROUTES, key=lambda each: each.pattern.count("{}")):
        pattern = route.pattern.split("/")
        if route.method != method or len(pattern) != len(parts):
            continue
        if all(want in ("{}", part) for want, part in zip(pattern, parts, strict=True)):
            held = zip(pattern, parts, strict=True)
            return route, tuple(part for want, part in held if want == "{}")
    raise LookupError(f"{method} on no path of the contract")
