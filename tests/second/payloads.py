"""Alma's answers, in the words of one dialect."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import Any
from xml.sax.saxutils import escape

from tests.second.dialect import Dialect, OddDates
from tests.second.institution import Bib, Hold, Holding, Institution, Item, Loan, User

GONE: Any = object()
"""A field that this dialect leaves out."""

LABELS = {
    "IN_PROCESS": "In Process",
    "NOT_STARTED": "Not Started",
    "ON_HOLD_SHELF": "On Hold Shelf",
    "HISTORY": "History",
}
TASKS = {"transit": "Objekt unterwegs", "shelf": "Abholregal", "queued": "Aus dem Regal holen"}
ID_FIELDS = {"mms_id", "holding_id", "pid", "item_id", "request_id", "loan_id"}


class Payloads:
    def __init__(self, here: Institution) -> None:
        self.here = here
        self.dialect: Dialect = here.dialect

    # --- records ----------------------------------------------------------------

    def item(self, item: Item, said: str | None = None) -> dict[str, Any]:
        here = self.here
        waits = bool(here.queue(item.pid))
        requested: Any = waits if self.dialect.requested == "true" else None
        data = {
            "pid": item.pid,
            **{name: value for name, value in item.data.items() if not isinstance(value, dict)},
            "policy": self.pair(item.data.get("policy", {}).get("value"), "Leihfrist"),
            "physical_material_type": self.pair(
                item.data.get("physical_material_type", {}).get("value"), "Buch"
            ),
            "creation_date": self.day(item.created),
            "modification_date": self.day(here.now()),
            "base_status": self.pair(item.base, "Exemplar"),
            "awaiting_reshelving": self.dialect.reshelving
            and item.returned_at is not None
            and here.now() - item.returned_at < timedelta(hours=2),
            "process_type": self.pair(self._process(item, waits), "In Process"),
            "library": self.pair(item.library, "Bibliothek"),
            "location": self.pair(item.location, "Standort"),
            "requested": GONE if self.dialect.requested == "absent" else requested,
            "edition": None,
            "is_magnetic": False,
        }
        holding = {
            "holding_id": item.holding_id,
            "call_number": "QA 1",
            "in_temp_location": False,
            "temp_library": self.pair(None),
            "temp_location": self.pair("STRAY"),
            "temp_policy": self.pair(""),
            "due_back_date": "2020-01-01Z",
        }
        answer = {
            "bib_data": {"mms_id": item.mms_id, "title": "Q&A <1>", "author": None},
            "holding_data": holding,
            "item_data": data,
            "link": "https://elsewhere.example/almaws/v1/items",
        }
        if said is not None:
            data["requested"] = None
            answer["additional_info"] = f"Item's destination is: {said}. Requester: . "
        return answer

    def _process(self, item: Item, waits: bool) -> str:
        """REQUESTED with base 1 is a doubt of §5.2."""
        says_so = self.dialect.requested_process and waits and not item.process
        return "REQUESTED" if says_so else item.process

    def hold(self, hold: Hold, stale: bool = False) -> dict[str, Any]:
        user = hold.user
        status = "HISTORY" if not (hold.is_open or stale) else self._status(hold)
        turn = [each.id for each in self.here.queue(hold.pid)]
        item = self.here.items.get(hold.pid)
        return {
            "title": "Q&A <1>",
            "request_id": hold.id,
            "request_type": "HOLD",
            "request_sub_type": self.pair("PATRON_PHYSICAL", "Bestellung"),
            "mms_id": hold.mms_id,
            "item_id": hold.pid,
            "barcode": item.barcode if item else None,
            "user_primary_id": user,
            "pickup_location": "Irgendwo",
            "pickup_location_type": "CIRCULATION_DESK" if hold.desk else "LIBRARY",
            "pickup_location_library": hold.library,
            "pickup_location_circulation_desk": hold.desk,
            "material_type": self.pair(None),
            "comment": hold.comment,
            "request_status": LABELS[status] if self.dialect.labels else status,
            "place_in_queue": turn.index(hold.id) + 1 if status == "NOT_STARTED" else GONE,
            "request_date": self.day(hold.created),
            "request_time": self.instant(hold.created),
            "task_name": TASKS.get(hold.stage) if status != "NOT_STARTED" else None,
            "expiry_date": self.day(hold.created + timedelta(days=8)),
            "resource_sharing": GONE,
        }

    def _status(self, hold: Hold) -> str:
        if hold.stage in ("shelf", "closed"):
            return "ON_HOLD_SHELF" if hold.stage == "shelf" else "IN_PROCESS"
        if hold.stage in ("transit", "arrived"):
            return "IN_PROCESS"
        item = self.here.items.get(hold.pid)
        first = self.here.queue(hold.pid)[0].id == hold.id
        on_shelf = item is not None and item.process == ""
        return self.dialect.first_status if first and on_shelf else "NOT_STARTED"

    def loan(self, loan: Loan) -> dict[str, Any]:
        item = self.here.items.get(loan.pid)
        state = "COMPLETE" if loan.returned else "ACTIVE"
        named = self.dialect.loans_name_items
        return {
            "loan_id": loan.id,
            "circ_desk": self.pair(loan.desk, "Theke"),
            "return_circ_desk": self.pair(loan.desk if loan.returned else None),
            "library": self.pair(loan.library, "Bibliothek"),
            "user_id": loan.user,
            "item_barcode": item.barcode if item else None,
            "due_date": self.odd(loan.due, self.dialect.odd_due_dates),
            "loan_status": state.capitalize() if self.dialect.loan_labels else state,
            "loan_date": self.odd(loan.started, self.dialect.odd_loan_dates),
            "return_date": self.instant(loan.returned) if loan.returned else None,
            "returned_by": self.pair("staff1" if loan.returned else ""),
            "process_status": loan.process,
            "mms_id": item.mms_id if item else None,
            "holding_id": item.holding_id if item and named else GONE,
            "item_id": loan.pid if named else GONE,
            "title": "Q&A <1>",
            "location_code": {"value": "STACKS", "name": "Out on Loan "},
            "item_policy": {"value": "Null", "description": None},
            "renewable": None,
            "last_renew_date": self.instant(loan.renewed) if loan.renewed else GONE,
            "last_renew_status": self.pair("401193;" if loan.renewed else ""),
        }

    def user(self, user: User) -> dict[str, Any]:
        extra = {
            "full_name": "Canaryfirst Canarylast",
            "external_id": user.document.get("external_id", ""),
        }
        counts = {"loans": None, "requests": None, "fees": None}
        return {**user.document, **extra, **counts, "user_role": [_patron_role()]}

    def bib(self, bib: Bib) -> dict[str, Any]:
        return {
            "mms_id": bib.mms_id,
            "record_format": "marc21",
            "title": bib.title,
            "author": None,
            "network_number": list(bib.numbers) or None,
            "holdings": {"value": None, "link": f"https://x.example/bibs/{bib.mms_id}/holdings"},
            "suppress_from_publishing": "true" if bib.suppressed else "false",
            "created_date": self.day(bib.created),
            "anies": ['<?xml version="1.0" encoding="UTF-16"?>' + bib.record],
        }

    def holding(self, holding: Holding) -> dict[str, Any]:
        return {
            "holding_id": holding.id,
            "library": self.pair(holding.library, "Bibliothek"),
            "location": self.pair(holding.location, "Standort"),
            "call_number": None,
            "suppress_from_publishing": "false",
        }

    def rows(self, name: str, rows: list[dict[str, Any]], total: int) -> dict[str, Any]:
        """A list; an empty one mostly has no key (§1.3)."""
        spelled = {"number": total, "text": str(total), "blank": ""}[self.dialect.total]
        empty = {"absent": GONE, "empty": [], "null": None}[self.dialect.empty_list]
        return {name: rows or empty, "total_record_count": spelled}

    # --- values -----------------------------------------------------------------

    def pair(self, value: str | None, desc: str | None = None) -> Any:
        if value:
            return {"value": value, "desc": desc}
        return {
            "nulls": {"value": None, "desc": None},
            "empty_value": {"value": ""},
            "empty_object": {},
            "absent": GONE,
            "null": None,
            "desc_only": {"value": None, "desc": ""},
        }[self.dialect.blank]

    def instant(self, at: datetime) -> str:
        plain = at.strftime("%Y-%m-%dT%H:%M:%S")
        if self.dialect.dates == "offset":
            local = at.astimezone(timezone(timedelta(hours=2)))
            return local.strftime("%Y-%m-%dT%H:%M:%S.") + f"{at.microsecond // 1000:03d}+02:00"
        tails = {"millis": f".{at.microsecond // 1000:03d}Z", "seconds": "Z"}
        return plain + tails.get(self.dialect.dates, f".{at.microsecond:06d}Z")

    def odd(self, at: datetime, how: OddDates) -> str:
        """An instant, or a text that could be more than one."""
        plain = at.strftime("%Y-%m-%d %H:%M:%S")
        texts = {"zone_name": f"{plain} Europe/Berlin", "two_offsets": f"{plain}+00:00Z"}
        return texts.get(how, self.instant(at))

    def day(self, at: datetime) -> str:
        return at.strftime("%Y-%m-%d") + ("z" if self.dialect.dates == "micros" else "Z")

    def spelled(self, tree: Any, name: str = "") -> Any:
        """A tree with its missing fields left out and its scalars as this dialect has them."""
        if isinstance(tree, dict):
            kept = [(key, self.spelled(value, key)) for key, value in tree.items()]
            kept = [(key, value) for key, value in kept if not self._is_left_out(value)]
            return dict(
                sorted(kept, key=lambda each: each[0][::-1]) if self.dialect.shuffled else kept
            )
        if isinstance(tree, list):
            return [self.spelled(each, name) for each in tree]
        if isinstance(tree, bool):
            return str(tree).lower() if self.dialect.quoted_flags else tree
        if isinstance(tree, int) and self.dialect.quoted_numbers:
            return str(tree)
        if self.dialect.numeric_ids and name in ID_FIELDS and str(tree).isdigit():
            return int(tree)
        return tree

    def _is_left_out(self, value: Any) -> bool:
        return value is GONE or (value is None and self.dialect.drop_nulls)

    def encoded(self, tree: Any) -> bytes:
        text = json.dumps(self.spelled(tree), ensure_ascii=False)
        return ("\ufeff" if self.dialect.byte_order_mark else "").encode() + text.encode()


def xml(name: str, tree: dict[str, Any]) -> bytes:
    """What Alma answers where only XML is documented (§6)."""
    inner = "".join(
        f"<{key}>{escape(str(value))}</{key}>"
        for key, value in tree.items()
        if isinstance(value, str)
    )
    record = "".join(tree.get("anies", ["<record/>"])).partition("?>")[2]
    head = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>'
    return f"{head}<{name}>{inner}{record}</{name}>".encode()


def _patron_role() -> dict[str, Any]:
    return {"role_type": {"value": "200", "desc": "Patron"}, "status": {"value": "ACTIVE"}}
