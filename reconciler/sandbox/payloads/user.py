"""A user record, and its brief row in a search (alma-api.md 2.1, 2.2)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from reconciler.sandbox.payloads.renderer import (
    Renderer,
    Tree,
    coded,
    date_text,
    instant_text,
)
from reconciler.sandbox.records import Block, User
from reconciler.sandbox.rules.accounts import code_of

_LABELS = {
    "PUBLIC": "Public",
    "STAFF": "Staff",
    "CONTACT": "Contact",
    "INTERNAL": "Internal",
    "EXTERNAL": "External",
    "ACTIVE": "Active",
    "INACTIVE": "Inactive",
    "00": "[00] Default Level",
    "en": "English",
}
_ROLES = {"200": "Patron"}
_CONTACT: dict[str, Tree] = {
    "address": {
        **dict.fromkeys(("line1", "line2", "line3", "line4", "line5")),
        **dict.fromkeys(("city", "state_province", "postal_code", "address_note"), ""),
        "country": {"value": "", "desc": ""},
        "preferred": False,
        "address_type": [],
    },
    "email": {"email_address": "", "description": None, "preferred": False, "email_type": []},
    "phone": {"phone_number": "", "preferred": False, "preferred_sms": False, "phone_type": []},
}


def user_tree(renderer: Renderer, user: User, expand: frozenset[str] = frozenset()) -> Tree:
    """`expand` takes requests, loans, fees: a number and a link instead of null."""
    other = user.other
    return {
        "record_type": _word(user.record_type),
        "primary_id": user.primary_id,
        "first_name": user.first_name,
        "middle_name": other.get("middle_name") or "",
        "last_name": user.last_name,
        "full_name": user.full_name,
        "user_title": _loose(other, "user_title"),
        "job_category": _loose(other, "job_category"),
        "job_description": other.get("job_description") or "",
        "gender": _loose(other, "gender"),
        "user_group": renderer.code("UserGroups", user.user_group),
        "campus_code": {"value": code_of(other, "campus_code") or None, "desc": ""},
        "web_site_url": other.get("web_site_url") or "",
        "cataloger_level": _word(code_of(other, "cataloger_level") or "00"),
        "preferred_language": _word(code_of(other, "preferred_language") or "en"),
        **_dates(user),
        "account_type": _word(user.account_type),
        "external_id": user.external_id,
        "password": "",
        "force_password_change": "",
        "status": _word(user.status),
        "status_date": renderer.day(user.created_at) if user.created_at else None,
        **_counts(renderer, user, expand),
        "contact_info": _contact(user),
        "pref_first_name": other.get("pref_first_name") or "",
        "pref_middle_name": other.get("pref_middle_name") or "",
        "pref_last_name": other.get("pref_last_name") or "",
        "pref_name_suffix": other.get("pref_name_suffix") or "",
        "is_researcher": bool(other.get("is_researcher")),
        "researcher": None,
        "link": None,
        "user_identifier": _identifiers(renderer, user),
        "user_role": [_role(renderer, role) for role in user.roles],
        "user_block": [_block(one) for one in user.blocks],
        "user_note": list(other.get("user_note") or []),
        "user_statistic": list(other.get("user_statistic") or []),
        "proxy_for_user": list(other.get("proxy_for_user") or []),
        **_sharing(other),
    }


def user_row(renderer: Renderer, user: User) -> Tree:
    return {
        "primary_id": user.primary_id,
        "first_name": user.first_name,
        "last_name": user.last_name,
        "status": _word(user.status),
        "link": renderer.link("users", user.primary_id),
    }


def _word(code: str) -> Tree:
    return coded(code, _LABELS.get(code, code))


def _loose(document: Mapping[str, Any], name: str) -> Tree:
    """Code tables that the sandbox does not keep: the code is its own label."""
    code = code_of(document, name)
    return {"value": code, "desc": code}


def _dates(user: User) -> Tree:
    dates: Tree = {}
    for name in ("birth_date", "purge_date"):
        if user.other.get(name):
            dates[name] = user.other[name]
    if user.expiry_date is not None:
        dates["expiry_date"] = date_text(user.expiry_date)
    return dates


def _counts(renderer: Renderer, user: User, expand: frozenset[str]) -> Tree:
    def count(name: str, number: float) -> Tree | None:
        link = renderer.link("users", user.primary_id, name)
        return {"value": number, "link": link} if name in expand else None

    return {
        "requests": count("requests", len(renderer.view.requests_of_user(user.key))),
        "loans": count("loans", len(renderer.view.loans_of_user(user.key))),
        "fees": count("fees", 0),
    }


def _contact(user: User) -> Tree:
    """As sent, with the fields that Alma adds."""
    contact = user.other.get("contact_info") or {}
    segment = {"segment_type": "External" if user.account_type == "EXTERNAL" else "Internal"}
    return {
        name: [{**defaults, **segment, **row} for row in contact.get(name) or []]
        for name, defaults in _CONTACT.items()
    }


def _identifiers(renderer: Renderer, user: User) -> list[Tree]:
    return [
        {
            "value": one.value,
            "id_type": renderer.code("UserIdentifierTypes", one.id_type),
            "note": one.note,
            "status": one.status,
            "segment_type": one.segment,
        }
        for one in user.identifiers
    ]


def _role(renderer: Renderer, role: str) -> Tree:
    tenant = renderer.tenant
    return {
        "status": _word("ACTIVE"),
        "scope": coded(tenant.institution_code, tenant.name),
        "role_type": coded(role, _ROLES.get(role, role)),
        "parameter": [],
    }


def _block(block: Block) -> Tree:
    return {
        "block_type": coded(block.block_type, block.block_type),
        "block_description": coded(block.description, block.description),
        "block_status": block.status,
        "block_note": block.note,
        "created_by": "staff1",
        "created_date": instant_text(block.created_at),
        "segment_type": "Internal",
    }


def _sharing(other: Mapping[str, Any]) -> Tree:
    libraries = other.get("rs_library")
    return {"rs_library": list(libraries)} if libraries else {}
