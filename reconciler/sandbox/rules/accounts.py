"""User records: creating, swapping, removing (alma-api.md 2.3-2.5)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from types import MappingProxyType
from typing import Any

from reconciler.sandbox.errors import AlmaError, refusal
from reconciler.sandbox.records import Block, Identifier, User
from reconciler.sandbox.rules import holds
from reconciler.sandbox.tenant import Tenant
from reconciler.sandbox.view import View

Document = Mapping[str, Any]

_MANDATORY = ("record_type", "account_type", "status", "user_group", "last_name")
_KEPT_WHEN_EDITED = frozenset({"user_group"})
_RECORD_TYPES = ("PUBLIC", "STAFF", "CONTACT")
_XML_WRAPPERS = ("user_identifiers", "user_blocks", "user_notes", "user_roles", "user_statistics")


def create_user(tenant: Tenant, document: Document) -> User:
    """A new user from a JSON document; the primary id is kept, altered or made (dialect)."""
    _check_document(tenant, document)
    return tenant.save(
        User(
            key=tenant.new_id("user"),
            primary_id=_primary_id(tenant, document),
            created_at=tenant.now(),
            password=document.get("password") or "",
            roles=_roles(document, ("200",) if tenant.dialect.patron_role_on_create else ()),
            **_fields(document),
        )
    )


def update_user(
    tenant: Tenant, user: User, document: Document, override: frozenset[str] = frozenset()
) -> User:
    """Swap-all: what is not sent is emptied; roles stay when absent; external_id is fixed."""
    merged = {"primary_id": user.primary_id, **document}
    _check_document(tenant, merged, user)
    if (document.get("external_id") or "") != user.external_id:
        raise refusal("401858")
    fields = _fields(merged)
    if user.account_type == "EXTERNAL":
        for name in (user.edited_by_hand & _KEPT_WHEN_EDITED) - override:
            fields[name] = getattr(user, name)
    primary_id = merged["primary_id"] or user.primary_id
    return tenant.change(user, primary_id=primary_id, roles=_roles(document, user.roles), **fields)


def delete_user(tenant: Tenant, user: User) -> None:
    """401850 while loans are open; open requests are cancelled."""
    view = View(tenant)
    if view.loans_of_user(user.key):
        raise refusal("401850", user.primary_id, "PRIMARY_ID")
    for request in view.requests_of_user(user.key):
        holds.cancel(tenant, request, "cancelled", notify=False)
    tenant.drop(user)


def code_of(document: Document, name: str) -> str:
    """The code of a `{value, desc}` field, or the bare word; "" when unset."""
    value = document.get(name)
    if isinstance(value, Mapping):
        value = value.get("value")
    return str(value) if value is not None else ""


def date_of(document: Document, name: str) -> date | None:
    text = document.get(name)
    if not text:
        return None
    try:
        return date.fromisoformat(str(text).rstrip("Zz"))
    except ValueError as error:
        raise refusal("401676", f"{name}") from error


def _check_document(tenant: Tenant, document: Document, existing: User | None = None) -> None:
    if any(name in document for name in _XML_WRAPPERS):
        raise refusal("401676", "JSON")
    for name in _MANDATORY:
        if not (code_of(document, name) if name != "last_name" else document.get(name)):
            raise refusal("401664", name)
    if code_of(document, "record_type").upper() not in _RECORD_TYPES:
        raise refusal("401864", "record", code_of(document, "record_type"))
    if not tenant.legal("UserGroups", code_of(document, "user_group")):
        raise refusal("401852")
    _check_account_type(document)
    _check_addresses(document)
    _check_identifiers(tenant, document, existing)


def _check_account_type(document: Document) -> None:
    account_type, external_id = code_of(document, "account_type"), document.get("external_id")
    if account_type not in ("INTERNAL", "EXTERNAL"):
        raise refusal("401857")
    if account_type == "INTERNAL" and external_id:
        raise refusal("401853")
    if account_type == "EXTERNAL" and not external_id:
        raise refusal("401854")


def _check_addresses(document: Document) -> None:
    contact = document.get("contact_info") or {}
    for address in _rows(contact, "address"):
        if not address.get("line1"):
            raise refusal("401664", "address line1")


def _check_identifiers(tenant: Tenant, document: Document, existing: User | None) -> None:
    identifiers = _identifiers(document)
    values = [one.value.casefold() for one in identifiers]
    if len(values) != len(set(values)):
        raise AlmaError("401658", "User cannot contain two identifiers with the same value.")
    for one in identifiers:
        if not one.value or not one.id_type:
            raise refusal("401664", "user_identifier")
        if not tenant.legal("UserIdentifierTypes", one.id_type):
            record_type = code_of(document, "record_type")
            raise refusal("401863", "user identifier", one.id_type, record_type)
    taken = [(document.get("primary_id") or "", "PRIMARY_ID")]
    taken += [(one.value, one.id_type) for one in identifiers]
    for value, id_type in taken:
        owner = View(tenant).find_user(value) if value else None
        if owner is not None and (existing is None or owner.key != existing.key):
            raise refusal("401851", value, id_type)


def _primary_id(tenant: Tenant, document: Document) -> str:
    sent = document.get("primary_id") or ""
    rule = tenant.dialect.primary_id
    if rule == "required" and not sent:
        raise refusal("401664", "primary_id")
    if rule == "altered":
        return tenant.new_id("user")
    return sent or tenant.new_id("user")


def _fields(document: Document) -> dict[str, Any]:
    contact = document.get("contact_info") or {}
    emails = [row.get("email_address") for row in _rows(contact, "email")]
    return {
        "first_name": document.get("first_name") or "",
        "last_name": document.get("last_name") or "",
        "user_group": code_of(document, "user_group"),
        "record_type": code_of(document, "record_type").upper(),
        "account_type": code_of(document, "account_type"),
        "external_id": document.get("external_id") or "",
        "status": code_of(document, "status").upper(),
        "expiry_date": date_of(document, "expiry_date"),
        "identifiers": _identifiers(document),
        "blocks": _blocks(document),
        "emails": tuple(str(one) for one in emails if one),
        "other": MappingProxyType(dict(document)),
    }


def _roles(document: Document, otherwise: tuple[str, ...]) -> tuple[str, ...]:
    rows = _rows(document, "user_role")
    active = [code_of(row, "role_type") for row in rows if code_of(row, "status") in ("", "ACTIVE")]
    return tuple(active) if rows else otherwise


def _identifiers(document: Document) -> tuple[Identifier, ...]:
    segment = "External" if code_of(document, "account_type") == "EXTERNAL" else "Internal"
    return tuple(
        Identifier(
            value=str(row.get("value") or ""),
            id_type=code_of(row, "id_type"),
            status=row.get("status") or "ACTIVE",
            note=row.get("note"),
            segment=row.get("segment_type") or segment,
        )
        for row in _rows(document, "user_identifier")
    )


def _blocks(document: Document) -> tuple[Block, ...]:
    return tuple(
        Block(
            block_type=code_of(row, "block_type"),
            description=code_of(row, "block_description"),
            note=row.get("block_note") or "",
            status=row.get("block_status") or "ACTIVE",
        )
        for row in _rows(document, "user_block")
    )


def _rows(document: Document, name: str) -> list[Mapping[str, Any]]:
    """A flat JSON list; anything else does not deserialise (2.3)."""
    rows = document.get(name)
    if rows is None:
        return []
    if not isinstance(rows, list) or not all(isinstance(row, Mapping) for row in rows):
        raise refusal("401676", "JSON")
    return rows
