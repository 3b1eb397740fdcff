"""One Alma's data: its tables, configuration, clock and ids. What happens to it is elsewhere."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import date, datetime, time, timedelta
from threading import RLock
from typing import Any, Final, TypeVar
from zoneinfo import ZoneInfo

from reconciler.clock import SystemClock
from reconciler.sandbox.clocks import Clock
from reconciler.sandbox.dialect import Dialect
from reconciler.sandbox.places import CodeTable, GroupTerms, ItemTerms, Library
from reconciler.sandbox.quota import Quota
from reconciler.sandbox.records import Bib, Holding, Item, Letter, Loan, Request, User
from reconciler.sandbox.table import Tables

R = TypeVar("R", User, Bib, Holding, Item, Request, Loan)

AREAS: Final = ("users", "bibs", "conf", "task-lists")
HOLD_SHELF_DAYS: Final = 8

_ID_PREFIX: Final = {
    "mms": "99",
    "holding": "22",
    "item": "23",
    "request": "48",
    "task": "79",
    "loan": "73",
    "user": "16",
    "library": "12",
}


class Tenant(Tables):
    """`read_lag`, `index_lag` and `latency` are seconds.

    read_lag: reads show the state of that long ago. index_lag: a changed item cannot be requested
    (401129) nor a new 035 be found for that long. latency: every answer takes that long.
    """

    def __init__(
        self,
        code: str,
        clock: Clock | None = None,
        zone: str = "UTC",
        suffix: str = "6421",
        lock: RLock | None = None,
    ) -> None:
        super().__init__()
        self.code = code
        self.name = code
        self.clock: Clock = clock or SystemClock()
        self.zone = ZoneInfo(zone)
        self.suffix = suffix
        self.lock = lock or RLock()
        self.dialect = Dialect()
        self.quota = Quota(self.clock, self.zone)
        self.read_lag = 0.0
        self.index_lag = 0.0
        self.latency = 0.0
        self.keys: dict[str, dict[str, str]] = {}
        self.libraries: dict[str, Library] = {}
        self.departments: dict[str, str] = {}
        self.code_tables: dict[str, CodeTable] = {}
        self.group_terms: dict[str, GroupTerms] = {}
        self.item_terms: dict[str, ItemTerms] = {}
        self.letters: list[Letter] = []
        self.merged_bibs: dict[str, str] = {}
        self._counters = dict.fromkeys(_ID_PREFIX, 100_000_010)

    @property
    def institution_code(self) -> str:
        """As in `network_number` and paths: `01UNI_A_INST` for `uni-a`."""
        return f"01{self.code.upper().replace('-', '_')}_INST"

    # time

    def now(self) -> datetime:
        return self.clock.now()

    def today(self) -> date:
        return self.local_date(self.now())

    def local_date(self, instant: datetime) -> date:
        return instant.astimezone(self.zone).date()

    def end_of_day(self, day: date) -> datetime:
        """23:59 of that day in the institution's zone, as an instant."""
        return datetime.combine(day, time(23, 59), self.zone).astimezone(self.now().tzinfo)

    # rows

    def save(self, row: R) -> R:
        self.table_of(row).put(row, self._remember())
        return row

    def change(self, row: R, **fields: Any) -> R:
        """The row with some fields replaced; a changed item gets a new modification date."""
        if isinstance(row, Item):
            fields.setdefault("modified_at", self.now())
        return self.save(replace(row, **fields))

    def drop(self, row: User | Bib | Holding | Item) -> None:
        keys = {User: "key", Bib: "mms_id", Holding: "holding_id", Item: "pid"}
        self.table_of(row).remove(getattr(row, keys[type(row)]), self._remember())

    def _remember(self) -> tuple[datetime, datetime] | None:
        if self.read_lag <= 0:
            return None
        now = self.now()
        return now, now - timedelta(seconds=self.read_lag)

    # ids

    def new_id(self, kind: str) -> str:
        """A new id: 17 digits, beyond 2^53, ending in the institution's suffix."""
        number = self._counters[kind]
        self._counters[kind] = number + 10
        return f"{_ID_PREFIX[kind]}{number}00{self.suffix}"

    # configuration

    def describe(self, table: str, code: str) -> str | None:
        """The label of a code, None when the code is empty or not in the table."""
        found = self.code_tables.get(table)
        return found.rows.get(code) if found is not None else None

    def legal(self, table: str, code: str) -> bool:
        found = self.code_tables.get(table)
        return found is not None and found.legal(code)

    def library_name(self, code: str) -> str | None:
        library = self.libraries.get(code)
        return library.name if library is not None else None

    def location_name(self, library: str, location: str) -> str | None:
        found = self.libraries.get(library)
        place = found.locations.get(location) if found is not None else None
        return place.name if place is not None else None

    def desk_name(self, library: str, desk: str) -> str | None:
        found = self.libraries.get(library)
        place = found.desks.get(desk) if found is not None else None
        return place.name if place is not None else None

    def terms_of_group(self, group: str) -> GroupTerms:
        return self.group_terms.setdefault(group, GroupTerms())

    def terms_of_policy(self, policy: str) -> ItemTerms:
        return self.item_terms.setdefault(policy, ItemTerms())

    def grant(self, key: str, rights: str = "write", areas: Iterable[str] = AREAS) -> None:
        """Give a key `read` or `write` in areas; other areas keep what they had."""
        granted = self.keys.setdefault(key, {})
        for area in areas:
            if area not in AREAS or rights not in ("read", "write"):
                raise ValueError(f"no such right: {rights} in {area}; areas: {', '.join(AREAS)}")
            granted[area] = rights

    def revoke(self, key: str, areas: Iterable[str] | None = None) -> None:
        """Take a key away, or only some of its areas."""
        if areas is None:
            self.keys.pop(key, None)
            return
        for area in areas:
            self.keys.get(key, {}).pop(area, None)
