"""Calls are told apart by their endpoint, which keeps no id."""

from __future__ import annotations

import ast
from pathlib import Path

from reconciler.alma import gateway
from reconciler.alma.gateway import Call, get
from reconciler.alma.surveyor import PROBES


def test_an_endpoint_has_a_placeholder_for_each_id() -> None:
    call = get("users", "a/b@c.example", "requests", "7001", user_id_type="all_unique")
    assert call.endpoint == "GET users/{id}/requests/{id}"
    assert Call("POST", ("bibs",), {}).endpoint == "POST bibs"
    assert get("conf", "libraries", "MAIN", "circ-desks", "").endpoint == (
        "GET conf/libraries/{id}/circ-desks"
    )


def test_words_of_the_path_are_not_private_and_ids_are() -> None:
    call = get("users", "reader-b1", "loans", loan_status="Active")
    assert call.private == ("reader-b1", "Active")


def test_every_word_of_a_path_in_the_code_is_known() -> None:
    """A word that is missing from the list would be told as an id."""
    words = {word for path in PROBES.values() for word in path}
    for file in Path(gateway.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "get":
                words |= {each.value for each in node.args if isinstance(each, ast.Constant)}
            elif isinstance(node, ast.Tuple):
                words |= _path(node)
    assert {"users", "bibs", "items", "loans"} <= words
    assert words - {""} <= gateway._WORDS


def _path(node: ast.Tuple) -> set[object]:
    """A tuple that begins as a path of Alma's does."""
    values = [each.value if isinstance(each, ast.Constant) else None for each in node.elts]
    is_path = bool(values) and values[0] in ("users", "bibs", "conf", "items")
    return {value for value in values if value is not None} if is_path else set()
