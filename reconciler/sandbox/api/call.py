"""One call of the API, and the answer to it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from reconciler.sandbox.errors import refusal
from reconciler.sandbox.payloads.renderer import Renderer, Tree
from reconciler.sandbox.records import Bib, Holding, Item, User
from reconciler.sandbox.tenant import Tenant
from reconciler.sandbox.view import View

Row = TypeVar("Row")


@dataclass(frozen=True, slots=True)
class Answer:
    """`tree` None is an empty body. `root` names the XML element of the tree."""

    status: int = 200
    root: str = ""
    tree: Any = None
    headers: tuple[tuple[str, str], ...] = ()


NO_CONTENT: Final = Answer(204)
XML_ONLY: Final = (("content-type", "application/xml;charset=UTF-8"),)


@dataclass(frozen=True, slots=True)
class Call:
    """`view` lags for reads and is the present for writes. `base` is scheme and host."""

    tenant: Tenant
    view: View
    method: str
    path: tuple[str, ...]
    query: Mapping[str, str] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b""
    base: str = ""
    key: str = ""

    @property
    def renderer(self) -> Renderer:
        language = self.query.get("lang", self.tenant.dialect.language)
        return Renderer(self.view, self.base, language)

    @property
    def expand(self) -> frozenset[str]:
        return frozenset(self.query.get("expand", "").split(","))

    def text(self, name: str, default: str = "") -> str:
        return self.query.get(name, default)

    def flag(self, name: str, *, default: bool = False) -> bool:
        """A literal true or false; 401873 for anything else."""
        word = self.query.get(name, "").lower()
        if word not in ("", "true", "false"):
            raise refusal("401873", f"Input parameter {name} is not valid.")
        return word == "true" if word else default

    def number(self, name: str, default: int) -> int:
        word = self.query.get(name, "")
        if not word:
            return default
        if not word.isdigit():
            raise refusal("40166411", name, word)
        return int(word)

    def choice(self, name: str, words: Sequence[str]) -> str:
        """One of `words`, in any case, the first by default; 40166411 for another."""
        sent = self.query.get(name, "") or words[0]
        for word in words:
            if word.casefold() == sent.casefold():
                return word
        raise refusal("40166411", name, sent)

    def json(self) -> dict[str, Any]:
        """The body as a JSON object; 401676 when it is not one."""
        try:
            document = json.loads(self.body)
        except ValueError as error:
            raise refusal("401676", "JSON") from error
        if not isinstance(document, dict):
            raise refusal("401676", "JSON")
        return document


def find_user(call: Call, user_id: str, not_found: str = "401890") -> User:
    """By `user_id_type`; a named type that does not match is always 401890 (2.2)."""
    id_type = call.text("user_id_type", "all_unique")
    user = call.view.find_user(user_id, id_type)
    if user is None:
        code = not_found if id_type == "all_unique" else "401890"
        raise refusal(code, user_id, id_type)
    return user


def find_bib(call: Call, mms_id: str) -> Bib:
    if not mms_id.isdigit():
        raise refusal("402204", mms_id)
    bib = call.view.bib(surviving(call, mms_id))
    if bib is None:
        raise refusal("402203", mms_id)
    return bib


def surviving(call: Call, mms_id: str) -> str:
    """The id of the record that a merged one went into, where this Alma answers by it."""
    if call.tenant.dialect.merged_bib == "survivor":
        return call.tenant.merged_bibs.get(mms_id, mms_id)
    return mms_id


def find_holding(call: Call, mms_id: str, holding_id: str) -> Holding:
    holding = call.view.holding(holding_id)
    if holding is None or holding.mms_id != mms_id:
        raise refusal("402208", holding_id)
    return holding


def find_item(call: Call, path: tuple[str, str, str], *, tolerant: bool = False) -> Item:
    """By mms, holding and pid. `tolerant`: resolved by pid alone, as GET item is (5.3)."""
    mms_id, holding_id, pid = path
    item = call.view.item(pid)
    if item is None or (not tolerant and (item.mms_id, item.holding_id) != (mms_id, holding_id)):
        code = call.tenant.dialect.missing_item_code if tolerant else "401683"
        raise refusal(code, mms_id, holding_id, pid)
    return item


def list_answer(
    call: Call,
    root: str,
    rows: Sequence[Row],
    draw: Callable[[Row], Tree],
    default_limit: int = 10,
) -> Answer:
    """A page: `{root: [...], "total_record_count": n}`; an empty one has no array key (1.3)."""
    limit, offset = _page(call, default_limit)
    page = [draw(row) for row in rows[offset : offset + limit]]
    tree: Tree = {}
    if page:
        tree[root] = page
    elif offset and rows:
        _past_end(call, root, tree)
    tree["total_record_count"] = len(rows)
    return Answer(200, f"{root}s", tree)


def all_answer(root: str, rows: Sequence[Tree]) -> Answer:
    """A list without paging."""
    tree: Tree = {root: list(rows)} if rows else {}
    tree["total_record_count"] = len(rows)
    return Answer(200, f"{root}s", tree)


def _page(call: Call, default_limit: int) -> tuple[int, int]:
    limit, offset = call.number("limit", default_limit), call.number("offset", 0)
    if limit > 100 and "limit" in call.query:
        if call.tenant.dialect.limit_over_100 == "refused":
            raise refusal("40166411", "limit", str(limit))
        limit = 100
    return limit, offset


def _past_end(call: Call, root: str, tree: Tree) -> None:
    rule = call.tenant.dialect.past_end
    if rule == "60217":
        raise refusal("60217")
    if rule == "empty_list":
        tree[root] = []
