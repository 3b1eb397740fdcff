"""Rows by id and by index, with the superseded versions that a lagging reader still sees."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable
from datetime import datetime
from typing import Any, Generic, TypeVar

from reconciler.sandbox.records import Bib, Holding, Item, Loan, Request, User

Row = TypeVar("Row")
Index = Callable[[Row], Iterable[Hashable]]


class Table(Generic[Row]):
    """`at` in the reading methods asks for the table as of an instant; None asks for now."""

    def __init__(self, key: Callable[[Row], str], **indexes: Index[Row]) -> None:
        self._key = key
        self._indexes = indexes
        self._current: dict[str, Row] = {}
        self._past: dict[str, list[tuple[datetime, Row | None]]] = {}
        self._members: dict[str, dict[Hashable, dict[str, None]]] = {name: {} for name in indexes}

    def __len__(self) -> int:
        return len(self._current)

    def get(self, key: str, at: datetime | None = None) -> Row | None:
        if at is not None:
            for until, row in self._past.get(key, ()):
                if at < until:
                    return row
        return self._current.get(key)

    def rows(self, at: datetime | None = None) -> list[Row]:
        if at is None:
            return list(self._current.values())
        keys = dict.fromkeys([*self._current, *self._past])
        return [row for key in keys if (row := self.get(key, at)) is not None]

    def find(self, index: str, value: Hashable, at: datetime | None = None) -> list[Row]:
        """Rows whose index function yields `value`, by ascending id."""
        keys = self._members[index].get(value)
        if not keys:
            return []
        of = self._indexes[index]
        rows = ((key, self.get(key, at)) for key in sorted(keys))
        return [row for _, row in rows if row is not None and value in of(row)]

    def put(self, row: Row, remember: tuple[datetime, datetime] | None = None) -> None:
        """`remember` = (now, oldest instant still readable) keeps the replaced version."""
        key = self._key(row)
        self._supersede(key, row, remember)
        self._current[key] = row

    def remove(self, key: str, remember: tuple[datetime, datetime] | None = None) -> None:
        self._supersede(key, None, remember)
        self._current.pop(key, None)

    def _supersede(
        self, key: str, row: Row | None, remember: tuple[datetime, datetime] | None
    ) -> None:
        old = self._current.get(key)
        if remember is None:
            self._past.pop(key, None)
        else:
            now, oldest = remember
            kept = [entry for entry in self._past.get(key, ()) if entry[0] > oldest]
            self._past[key] = [*kept, (now, old)]
        for name, of in self._indexes.items():
            members = self._members[name]
            values = set(of(row)) if row is not None else set()
            if old is not None and remember is None:
                for value in set(of(old)) - values:
                    self._leave(members, value, key)
            for value in values:
                members.setdefault(value, {})[key] = None

    @staticmethod
    def _leave(members: dict[Hashable, dict[str, None]], value: Hashable, key: str) -> None:
        keys = members.get(value)
        if keys is not None:
            keys.pop(key, None)
            if not keys:
                del members[value]


class Tables:
    """One table per kind of row, with the indexes that Alma's own lookups need."""

    def __init__(self) -> None:
        self.users: Table[User] = Table(lambda r: r.key, value=User.lookup_values)
        self.bibs: Table[Bib] = Table(lambda r: r.mms_id, system=lambda r: r.system_numbers)
        self.holdings: Table[Holding] = Table(lambda r: r.holding_id, bib=lambda r: (r.mms_id,))
        self.items: Table[Item] = Table(
            lambda r: r.pid,
            barcode=lambda r: (r.barcode,) if r.barcode else (),
            holding=lambda r: (r.holding_id,),
            bib=lambda r: (r.mms_id,),
        )
        self.requests: Table[Request] = Table(
            lambda r: r.request_id,
            user=lambda r: ((r.user_key, r.open),),
            item=lambda r: ((r.item_pid, r.open),),
            bib=lambda r: ((r.mms_id, r.open),),
        )
        self.loans: Table[Loan] = Table(
            lambda r: r.loan_id,
            user=lambda r: ((r.user_key, r.active),),
            item=lambda r: ((r.item_pid, r.active),),
            bib=lambda r: ((r.mms_id, r.active),),
        )
        self._by_kind: dict[type, Table[Any]] = {
            User: self.users,
            Bib: self.bibs,
            Holding: self.holdings,
            Item: self.items,
            Request: self.requests,
            Loan: self.loans,
        }

    def table_of(self, row: object) -> Table[Any]:
        return self._by_kind[type(row)]
