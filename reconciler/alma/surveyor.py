"""How one Alma is set up, for `doctor`: rights of the key, libraries, desks, code tables."""

from __future__ import annotations

from collections.abc import Mapping

from reconciler.alma.document import child, flag, text
from reconciler.alma.gateway import get
from reconciler.alma.lists import PAGE
from reconciler.alma.reader import Reader
from reconciler.core.model import LibraryCode
from reconciler.ports.survey import InstitutionSight, KeyArea, LibrarySight

PROBES: dict[KeyArea, tuple[str, ...]] = {
    KeyArea.USERS: ("users", "operation", "test"),
    KeyArea.BIBS: ("bibs", "test"),
    KeyArea.CONFIGURATION: ("conf", "test"),
}
"""Where a GET answers whoever may read the area (alma-api.md §1.5); a POST is never sent."""


class Surveyor(Reader):
    """`ports.AlmaSurveyor` over a Gateway."""

    @property
    def remaining_today(self) -> int | None:
        return self._gateway.tally.remaining_today

    @property
    def clock_ahead(self) -> float | None:
        return self._gateway.tally.clock_ahead

    async def probe(self, area: KeyArea) -> None:
        """alma-api.md §1.5."""
        await self._gateway.read(get(*PROBES[area]))

    async def institution(self) -> InstitutionSight:
        """alma-api.md §7."""
        tree = await self._gateway.read(get("conf", "general"))
        return InstitutionSight(
            code=text(tree, "institution"),
            name=text(child(tree, "institution"), "desc"),
            environment=text(tree, "environment_type"),
        )

    async def libraries(self) -> tuple[LibrarySight, ...]:
        """alma-api.md §7: not paged."""
        rows = await self._list(get("conf", "libraries"), "library", "code")
        return tuple(
            LibrarySight(LibraryCode(code), flag(row, "resource_sharing"))
            for code, row in rows.items()
        )

    async def desks(self, library: str) -> tuple[str, ...]:
        """The codes of a library's circulation desks (alma-api.md §7)."""
        call = get("conf", "libraries", library, "circ-desks", "", limit=str(PAGE))
        return tuple(await self._list(call, "circ_desk", "code"))

    async def codes(self, table: str) -> Mapping[str, bool]:
        """alma-api.md §7. A code without a word on it is taken as enabled."""
        rows = await self._list(get("conf", "code-tables", table), "row", "code")
        return {code: flag(row, "enabled") is not False for code, row in rows.items()}
