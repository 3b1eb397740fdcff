"""What every payload needs: the view it is drawn from, links, codes, dates."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, overload
from urllib.parse import quote

from reconciler.sandbox.tenant import Tenant
from reconciler.sandbox.view import View

Tree = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Renderer:
    """`base` is the scheme and host of the call, as links are absolute (fixtures 13)."""

    view: View
    base: str = ""
    language: str = "en"

    @property
    def tenant(self) -> Tenant:
        return self.view.tenant

    def link(self, *segments: str) -> str:
        path = "/".join([one if one.isalnum() else quote(one, safe="") for one in segments])
        base = self.base if self.tenant.dialect.links == "absolute" else ""
        return f"{base}/almaws/v1/{path}"

    def code(self, table: str, value: str) -> Tree:
        """A coded field; unset is `{"value":"","desc":null}` before the style prunes it."""
        return coded(value, self.tenant.describe(table, value) or value)

    def library(self, code: str) -> Tree:
        return coded(code, self.tenant.library_name(code))

    def location(self, library: str, code: str) -> Tree:
        return coded(code, self.tenant.location_name(library, code))

    def desk(self, library: str, code: str) -> Tree:
        return coded(code, self.tenant.desk_name(library, code))

    def due(self, instant: datetime) -> str:
        """Without milliseconds (1.3); or as an Alma might write it, with the zone's name."""
        style = self.tenant.dialect.due_date_style
        if style == "named_zone":
            local = instant.astimezone(self.tenant.zone)
            return f"{local:%Y-%m-%d %H:%M:%S} {self.tenant.zone.key}"
        if style == "offset_and_z":
            return f"{instant.astimezone(UTC).isoformat(timespec='seconds')}Z"
        return instant_text(instant, millis=False)

    def day(self, instant: datetime) -> str:
        return date_text(self.tenant.local_date(instant))


def coded(value: str, desc: str | None) -> Tree:
    return {"value": value, "desc": desc if value else None}


def unset() -> Tree:
    """The other empty form: `{"value":null,"desc":null}`, later `{}` (fixtures 1)."""
    return {"value": None, "desc": None}


@overload
def date_text(day: date) -> str: ...
@overload
def date_text(day: date | None) -> str | None: ...
def date_text(day: date | None) -> str | None:
    """`2026-11-25Z`: a calendar date with a meaningless Z (1.3)."""
    return None if day is None else f"{day.isoformat()}Z"


@overload
def instant_text(instant: datetime, *, millis: bool = True) -> str: ...
@overload
def instant_text(instant: datetime | None, *, millis: bool = True) -> str | None: ...
def instant_text(instant: datetime | None, *, millis: bool = True) -> str | None:
    """`2026-11-25T09:23:32.123Z`."""
    if instant is None:
        return None
    text = instant.astimezone(UTC).isoformat(timespec="milliseconds" if millis else "seconds")
    return text.removesuffix("+00:00") + "Z"
