"""The XML twin of a JSON tree: codes as text with `desc` attributes, lists in wrappers

(fixtures/README.md 3; alma-api.md 1.2 form 3, A2).
"""

from __future__ import annotations

from html import escape
from typing import Any, Final

from reconciler.sandbox.marc import PROLOG
from reconciler.sandbox.payloads.style import STATUS_LABELS

HEAD: Final = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'

_WRAPPERS: Final = {
    "network_number": "network_numbers",
    "user_identifier": "user_identifiers",
    "user_role": "user_roles",
    "user_block": "user_blocks",
    "user_note": "user_notes",
    "user_statistic": "user_statistics",
    "proxy_for_user": "proxy_for_users",
    "rs_library": "rs_libraries",
    "address": "addresses",
    "address_type": "address_types",
    "email": "emails",
    "email_type": "email_types",
    "phone": "phones",
    "phone_type": "phone_types",
    "parameter": "parameters",
    "row": "rows",
    "copy": "copies",
}
_ATTRIBUTES: Final = ("link", "total_record_count")
_CODE_WORDS: Final = frozenset({"value", "desc", "name", "description", "link", "type"})


def to_xml(root: str, tree: Any) -> str:
    """The document of a tree (no style applied: nulls are left out) under a root element.

    `{root: text}` is one element, as the probes are.
    """
    if isinstance(tree, dict) and set(tree) == {root}:
        tree = tree[root]
    return HEAD + _element(root, tree)


def _element(name: str, value: Any) -> str:
    if isinstance(value, dict):
        if "value" in value and _CODE_WORDS.issuperset(value):
            return _code(name, value)
        attributes = "".join(
            f' {key}="{escape(str(value[key]))}"'
            for key in _ATTRIBUTES
            if value.get(key) is not None
        )
        inner = "".join(_child(key, one) for key, one in value.items() if key not in _ATTRIBUTES)
        return _tag(name, attributes, inner)
    if isinstance(value, bool):
        return _tag(name, "", str(value).lower())
    return _tag(name, "", escape(str(value), quote=False))


def _child(name: str, value: Any) -> str:
    if value is None:
        return ""
    if name == "anies":
        return "".join(record.removeprefix(PROLOG) for record in value)
    if name == "request_status":
        return _element(name, STATUS_LABELS.get(value, value))
    if not isinstance(value, list):
        return _element(name, value)
    rows = "".join(_element(name, one) for one in value)
    return _tag(_WRAPPERS[name], "", rows) if name in _WRAPPERS else rows


def _code(name: str, value: dict[str, Any]) -> str:
    attributes = "".join(
        f' {key}="{escape(str(one))}"'
        for key, one in value.items()
        if key != "value" and one is not None
    )
    text = "" if value["value"] is None else escape(str(value["value"]), quote=False)
    return _tag(name, attributes, text)


def _tag(name: str, attributes: str, inner: str) -> str:
    if not inner:
        return f"<{name}{attributes}/>"
    return f"<{name}{attributes}>{inner}</{name}>"
