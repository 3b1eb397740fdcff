"""The demo's stage: two Almas, an external library, a temporary database, and who acts on it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from reconciler import logs
from reconciler.app import App
from reconciler.cli.demo.clock import StageClock
from reconciler.core.commands.placing import marker
from reconciler.core.model import Transaction, TransactionId
from reconciler.core.status import Resource, Role
from reconciler.engine.cycle import CycleOptions
from reconciler.engine.desk import Statement
from reconciler.sandbox import Institution, Sandbox, Serving, sample_world, serve
from reconciler.settings import Settings

LENDER, BORROWER, EXTERNAL = "uni-a", "uni-b", "town-c"
SETTLE = timedelta(minutes=2)

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Lend:
    """One lend on the stage and what staff need to act on it."""

    id: str
    title: str
    barcode: str
    reader: str


@dataclass
class Stage:
    sandbox: Sandbox
    clock: StageClock
    app: App
    serving: Serving
    told: dict[str, int] = field(default_factory=dict)
    """How much of each lend's history has been told already."""

    @property
    def lender(self) -> Institution:
        return self.sandbox[LENDER]

    @property
    def borrower(self) -> Institution:
        return self.sandbox[BORROWER]

    async def submit(self, id: str, n: int, *, external_borrower: bool = False) -> Lend:
        """A reader's request for a book of the lender, as a consortium's service submits it."""
        (item,) = self.lender.items.find("barcode", f"A000{n}")
        bib = self.lender.bibs.get(item.mms_id)
        if bib is None:
            raise LookupError(item.mms_id)
        home, reader = (EXTERNAL, f"reader-c{n}") if external_borrower else (BORROWER, "reader-b1")
        line = {
            "id": id,
            "patron": {"host_lms": home, "user_id": reader},
            "item": {
                "host_lms": LENDER,
                "mms_id": bib.mms_id,
                "holding_id": item.holding_id,
                "item_pid": item.pid,
                "title": bib.title,
                "author": bib.author,
            },
            "pickup": {"host_lms": home, "library": "MAIN"},
        }
        report = await self.app.submit([json.dumps(line).encode()], "demo")
        for bad in report.refused:
            raise LookupError(f"{bad.field}: {bad.problem}")
        return Lend(id, bib.title, item.barcode, reader)

    def request_of(self, lend: Lend, role: Role) -> str:
        leg = self.transaction(lend).leg(role)
        if leg is None or leg.request_id is None:
            raise LookupError(f"no request of the {role}")
        return leg.request_id

    def left_of(self, lend: Lend) -> dict[str, dict[str, list[str]]]:
        """What still stands in the Almas for a lend, by its marks."""
        found = {
            code: {**of.ours(marker(TransactionId(lend.id))), **of.ours(f"(DCB){lend.id}<")}
            for code, of in ((LENDER, self.lender), (BORROWER, self.borrower))
        }
        return {code: held for code, held in found.items() if held}

    async def look(self) -> None:
        """One cycle over everything, as `--once --all` does it."""
        await self.app.cycle(CycleOptions(everything=True))

    def say(self, lend: Lend, words: Mapping[Resource, str]) -> None:
        """The external library tells what it saw."""
        statement = Statement(Role.BORROWER, dict(words), "told by telephone")
        self.app.desk.evidence(TransactionId(lend.id), statement, "demo")

    def transaction(self, lend: Lend) -> Transaction:
        return self.app.store.get(TransactionId(lend.id))


@contextmanager
def stage() -> Iterator[Stage]:
    """The sandbox on a free port of this machine, an SQLite file in a temporary folder."""
    clock = StageClock()
    sandbox = sample_world(clock)
    with TemporaryDirectory(prefix="reconciler-demo-") as folder, serve(sandbox) as serving:
        environ = {"KEY_A": f"KEY-{LENDER}", "KEY_B": f"KEY-{BORROWER}"}
        settings = _settings(serving.base_url, Path(folder))
        logs.set_up("ERROR", "text")
        app = App(settings, clock, environ)
        app.prepare_schema()
        try:
            yield Stage(sandbox, clock, app, serving)
        finally:
            app.close()


def _settings(base_url: str, folder: Path) -> Settings:
    def alma(key: str) -> Line:
        return {
            "type": "alma",
            "base_url": base_url,
            "api_key": {"env": key},
            "mode": "act",
            "settle": SETTLE,
            "calls_per_second": 200,
            "sharing_library": "RES_OUT",
            "virtual_library": "DCB",
            "virtual_location": "DCBVIRTUAL",
            "patron_groups": {"default": "DCB"},
            "material_types": {"default": "BOOK"},
        }

    return Settings.model_validate(
        {
            "database": {"url": f"sqlite:///{folder / 'demo.db'}"},
            "host_lms": {
                LENDER: alma("KEY_A"),
                BORROWER: alma("KEY_B"),
                EXTERNAL: {"type": "external"},
            },
        }
    )
