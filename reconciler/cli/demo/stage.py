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
from reconciler.core.model import Transaction, TransactionId
from reconciler.core.status import DcbStatus, Resource, Role
from reconciler.engine.cycle import CycleOptions
from reconciler.engine.desk import Statement
from reconciler.sandbox import Institution, Sandbox, Serving, sample_world, serve
from reconciler.settings import Settings

LENDER, BORROWER, EXTERNAL = "uni-a", "uni-b", "town-c"
SETTLE = timedelta(minutes=2)

Line = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Lend:
    """One lend on the stage and the ids that staff need to act on it."""

    id: str
    title: str
    barcode: str
    patron: str
    """The virtual patron at the lender."""
    reader: str | None = None
    virtual_barcode: str | None = None


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

    def place(self, id: str, n: int, *, external_borrower: bool = False) -> Lend:
        """A lend as another service would have placed it: holds, virtual patron, virtual item."""
        barcode = f"A000{n}"
        patron = self.lender.add_user(f"vp-{id}", "DCB", barcodes=[f"B000{n}"], names=("DCB", "V"))
        book = self.lender.place_hold(patron.primary_id, barcode, "RES_OUT", comment=f"DCB {id}")
        item = self.lender.items.get(book.item_pid)
        bib = self.lender.bibs.get(book.mms_id)
        if item is None or bib is None:
            raise LookupError(barcode)
        line: Line = {
            "id": id,
            "workflow": "RET-STD",
            "status": DcbStatus.REQUEST_PLACED_AT_SUPPLYING_AGENCY,
            "supplier": {
                "host_lms": LENDER,
                "user_id": patron.primary_id,
                "request_id": book.request_id,
                "mms_id": book.mms_id,
                "holding_id": item.holding_id,
                "item_pid": item.pid,
                "item_barcode": barcode,
            },
        }
        lend = Lend(id, bib.title, barcode, patron.primary_id)
        if external_borrower:
            line["borrower"] = {"host_lms": EXTERNAL}
        else:
            reader = f"reader-b{n}"
            line["borrower"] = self._borrow(lend, reader)
            lend = Lend(id, bib.title, barcode, patron.primary_id, reader, barcode)
        self.app.desk.track([json.dumps(line).encode()], "demo")
        return lend

    def _borrow(self, lend: Lend, reader: str) -> Line:
        virtual = self.borrower.add_book(lend.title, lend.barcode, "DCB", "DCBVIRTUAL")
        hold = self.borrower.place_hold(reader, virtual.pid, "MAIN", comment=f"DCB {lend.id}")
        return {
            "host_lms": BORROWER,
            "user_id": reader,
            "request_id": hold.request_id,
            "mms_id": virtual.mms_id,
            "holding_id": virtual.holding_id,
            "item_pid": virtual.pid,
            "item_barcode": lend.barcode,
        }

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
            "settle": SETTLE,
            "calls_per_second": 200,
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
