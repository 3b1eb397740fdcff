"""The shapes Alma's JSON has had over the years (fixtures/README.md 1, 2, 16)."""

from __future__ import annotations

from typing import Any, Final

from reconciler.sandbox.payloads.renderer import Tree

STATUS_LABELS: Final = {
    "NOT_STARTED": "Not Started",
    "IN_PROCESS": "In Process",
    "ON_HOLD_SHELF": "On Hold Shelf",
    "HISTORY": "History",
}

_SINCE_2022: Final = frozenset(
    {
        "bib_suppress_from_publishing",
        "holding_suppress_from_publishing",
        "calculated_suppress_from_publishing",
        "permanent_call_number_type",
        "permanent_call_number",
        "temp_call_number_source",
        "break_indicator",
        "pattern_type",
        "linking_number",
        "type_of_unit",
        "committed_to_retain",
        "retention_reason",
        "retention_note",
    }
)
_UNTIL_2022: Final = frozenset({"edition", "imprint", "language"})


def in_style(tree: Any, style: str) -> Any:
    """new: nulls vanish. old: nulls stay, later fields are not there yet. label: new, with

    request_status as a label. lean: every unset field is left out, statuses are mixed.
    """
    if style == "old":
        return _old(tree)
    if style == "lean":
        return _label_some(_lean(tree))
    pruned = _new(tree)
    return _label(pruned) if style == "label" else pruned


def _new(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {
            key: value if type(value) is str else _new(value)
            for key, value in tree.items()
            if value is not None and key not in _UNTIL_2022
        }
    if isinstance(tree, list):
        return [_new(value) for value in tree]
    return tree


def _old(tree: Any) -> Any:
    if isinstance(tree, dict):
        return {key: _old(value) for key, value in tree.items() if key not in _SINCE_2022}
    if isinstance(tree, list):
        return [_old(value) for value in tree]
    return tree


def _lean(tree: Any) -> Any:
    if isinstance(tree, dict):
        kept = {key: _lean(value) for key, value in tree.items() if key not in _UNTIL_2022}
        return {key: value for key, value in kept.items() if not _is_unset(value)}
    if isinstance(tree, list):
        return [_lean(value) for value in tree]
    return tree


def _is_unset(value: Any) -> bool:
    return value is None or value in ("", {}, [])


def _requests(tree: Any) -> list[Tree]:
    if not isinstance(tree, dict):
        return []
    rows = tree.get("user_request", [tree])
    return [row for row in rows if "request_status" in row]


def _label(tree: Any) -> Any:
    for row in _requests(tree):
        row["request_status"] = STATUS_LABELS.get(row["request_status"], row["request_status"])
    return tree


def _label_some(tree: Any) -> Any:
    for row in _requests(tree):
        if int(row["request_id"][-8:-7]) % 2 == 0:
            _label(row)
    return tree
