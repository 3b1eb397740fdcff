"""Acting on one Alma: `ports.AlmaWriter`. Each method is one call, never repeated by itself.

Bodies hold the fields of the contract and nothing invented; see alma-api.md at each method.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date, datetime
from typing import Any

from reconciler.alma import marc, wire
from reconciler.alma.gateway import JSON, Call
from reconciler.alma.reader import Reader, item_path
from reconciler.core.mapping import ACTIVE_WORD
from reconciler.core.model import (
    BibSight,
    HoldingId,
    HoldingSight,
    ItemSight,
    LoanId,
    LoanSight,
    MmsId,
    RequestId,
    RequestSight,
    UserId,
    UserSight,
)
from reconciler.ports.alma import ItemKey, NewHold, NewItem, NewLoan, NewUser

XML = "application/xml"


class Writer(Reader):
    """A Reader that can also write."""

    def until(self, deadline: float) -> Writer:
        return Writer(self._gateway.writing_until(deadline))

    # --- users, §2.3 and §2.4 ---------------------------------------------------

    async def create_user(self, new: NewUser) -> UserSight:
        identifiers = [{"id_type": _code(new.identifier_type), "value": new.identifier}]
        identifiers += [{"id_type": _code("BARCODE"), "value": each} for each in new.barcodes]
        body = {
            "record_type": _code("PUBLIC"),
            "account_type": _code("EXTERNAL"),
            "primary_id": new.identifier,
            "external_id": new.identifier,
            "first_name": new.first_name,
            "last_name": new.last_name,
            "user_group": _code(new.group),
            "status": _code(ACTIVE_WORD),
            "user_identifier": identifiers,
        }
        return wire.user(await self._send("POST", ("users",), body))

    async def extend_user(self, user: UserSight, until: date) -> UserSight:
        """The whole record goes back, with one field changed: a PUT replaces everything."""
        body = {**user.document, "expiry_date": f"{until.isoformat()}Z"}
        return wire.user(await self._send("PUT", ("users", user.primary_id), body))

    # --- holds, §3.6 and §3.7 ---------------------------------------------------

    async def place_hold(self, new: NewHold) -> RequestSight:
        body: dict[str, Any] = {
            "request_type": "HOLD",
            "pickup_location_type": "CIRCULATION_DESK" if new.circ_desk else "LIBRARY",
            "pickup_location_library": new.library,
            "comment": new.comment,
        }
        if new.circ_desk:
            body["pickup_location_circulation_desk"] = new.circ_desk
        path = ("users", new.user_id, "requests")
        return wire.request(await self._send("POST", path, body, item_pid=new.item_pid))

    async def cancel_hold(self, user_id: UserId, request_id: RequestId, reason: str) -> None:
        path = ("users", user_id, "requests", request_id)
        await self._delete(path, reason=reason, notify_user="false")

    # --- records, §5.4 and §6 ---------------------------------------------------

    async def create_bib(
        self, title: str, author: str | None, system_number: str, today: date
    ) -> BibSight:
        content = marc.bib(title, author, system_number, today)
        call = Call("POST", ("bibs",), {}, content, XML)
        return wire.created_bib((await self._gateway.write(call)).document())

    async def delete_bib(self, mms_id: MmsId, *, override: bool = False) -> None:
        await self._delete(("bibs", mms_id), **_override(override))

    async def create_holding(self, mms_id: MmsId, library: str, location: str) -> HoldingSight:
        content = marc.holding(library, location)
        call = Call("POST", ("bibs", mms_id, "holdings"), {}, content, XML)
        return wire.holding((await self._gateway.write(call)).document())

    async def delete_holding(self, mms_id: MmsId, holding_id: HoldingId) -> None:
        await self._delete(("bibs", mms_id, "holdings", holding_id))

    async def create_item(self, new: NewItem) -> ItemSight:
        data: dict[str, Any] = {
            "barcode": new.barcode,
            "physical_material_type": _code(new.material_type),
            "base_status": _code("1"),
            "internal_note_1": new.note,
        }
        if new.policy:
            data["policy"] = _code(new.policy)
        body = {"holding_data": {"holding_id": new.holding_id}, "item_data": data}
        path = ("bibs", new.mms_id, "holdings", new.holding_id, "items")
        return wire.item(await self._send("POST", path, body))

    async def delete_item(self, key: ItemKey, *, override: bool = False) -> None:
        path = item_path(key.mms_id, key.holding_id, key.item_pid)
        await self._delete(path, **_override(override))

    async def annotate_item(self, item: ItemSight, note: str, policy: str | None) -> ItemSight:
        """§5.4: a PUT swaps the item, so every text that it has goes back; no field else may."""
        if item.mms_id is None or item.holding_id is None or item.pid is None:
            raise LookupError("an item without its ids")
        data = wire.writable_item(item.document)
        data["fulfillment_note"] = note
        if policy:
            data["policy"] = _code(policy)
        path = item_path(item.mms_id, item.holding_id, item.pid)
        return wire.item(await self._send("PUT", path, {"item_data": data}))

    async def scan_in(self, key: ItemKey, library: str, circ_desk: str) -> ItemSight:
        """§5.5, without counting an in-house use: nobody used the book."""
        path = item_path(key.mms_id, key.holding_id, key.item_pid)
        call = Call(
            "POST",
            path,
            {
                "op": "scan",
                "library": library,
                "circ_desk": circ_desk,
                "register_in_house_use": "false",
            },
        )
        return wire.item((await self._gateway.write(call)).document())

    # --- loans, §4.3 and §4.4 ---------------------------------------------------

    async def create_loan(self, new: NewLoan) -> LoanSight:
        body = {"circ_desk": _code(new.circ_desk), "library": _code(new.library)}
        if new.request_id:
            body["request_id"] = _code(new.request_id)
        path = ("users", new.user_id, "loans")
        return wire.loan(await self._send("POST", path, body, item_pid=new.item_pid))

    async def set_due_date(self, user_id: UserId, loan_id: LoanId, due_at: datetime) -> LoanSight:
        body = {"due_date": due_at.isoformat(timespec="seconds").replace("+00:00", "Z")}
        return wire.loan(await self._send("PUT", ("users", user_id, "loans", loan_id), body))

    async def _send(
        self, method: str, path: tuple[str, ...], body: Mapping[str, Any], **query: str
    ) -> Mapping[str, Any]:
        content = json.dumps(body).encode()
        answer = await self._gateway.write(Call(method, path, query, content, JSON))
        return answer.document()

    async def _delete(self, path: tuple[str, ...], **query: str) -> None:
        await self._gateway.write(Call("DELETE", path, query))


def _override(wanted: bool) -> dict[str, str]:
    return {"override": "true"} if wanted else {}


def _code(value: str) -> dict[str, str]:
    return {"value": value}
