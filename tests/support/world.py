"""Two or three Almas over a real socket, a database, and the service on top of them.

`World` is the stage of most tests: it places lends by hand in the sandbox (as another service
would have), runs the installed command or the App itself, and asks the sandbox what happened.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

from reconciler.app import App
from reconciler.cli import main as cli
from reconciler.core.model import Transaction, TransactionId
from reconciler.sandbox import Institution, Sandbox, Serving, sample_world, serve
from reconciler.settings import Settings
from tests.support import canaries
from tests.support.clock import FakeClock

COMMAND = Path(sys.executable).parent / "reconciler"
Line = dict[str, Any]


@dataclass
class Lend:
    """A lend that stands in the sandbox, and its line for `track`."""

    id: str
    barcode: str
    patron: str
    reader: str
    line: Line
    pickup_reader: str = ""


@dataclass
class World:
    folder: Path
    sandbox: Sandbox
    base_url: str
    settings: dict[str, Any]
    environ: dict[str, str]
    n: int = 0
    extra: dict[str, Any] = field(default_factory=dict)

    # --- places --------------------------------------------------------------

    @property
    def lender(self) -> Institution:
        return self.sandbox["uni-a"]

    @property
    def borrower(self) -> Institution:
        return self.sandbox["uni-b"]

    @property
    def third(self) -> Institution:
        return self.sandbox["uni-c"]

    def placed(
        self,
        *,
        pua: bool = False,
        status: str = "REQUEST_PLACED_AT_SUPPLYING_AGENCY",
        between: tuple[str, str] = ("uni-a", "uni-b"),
    ) -> Lend:
        """Holds, virtual patron and virtual items as another service would have left them."""
        self.n += 1
        lender, borrower = (self.sandbox[code] for code in between)
        id, barcode = f"lend-{self.n}", f"T{self.n:05d}"
        patron, reader = f"vp-{self.n}", f"r-{self.n}"
        lender.add_user(patron, "DCB", names=("DCB", "VPATRON"))
        borrower.add_user(reader, barcodes=[f"R{self.n:05d}"])
        book = lender.add_book(f"Book {self.n}", barcode, "MAIN", "STACKS")
        hold = lender.place_hold(patron, barcode, "RES_OUT", comment=f"DCB {id}")
        line: Line = {
            "id": id,
            "workflow": "RET-PUA" if pua else "RET-STD",
            "status": status,
            "supplier": _leg(between[0], patron, hold.request_id, book),
        }
        pickup_reader = ""
        if pua:
            pickup_reader = f"vp-c-{self.n}"
            self.third.add_user(pickup_reader, "DCB")
            line["borrower"] = self._virtual(borrower, between[1], reader, barcode, "RES_OUT")
            line["pickup"] = self._virtual(self.third, "uni-c", pickup_reader, barcode, "MAIN")
        else:
            line["borrower"] = self._virtual(borrower, between[1], reader, barcode, "MAIN")
        return Lend(id, barcode, patron, reader, line, pickup_reader)

    def _virtual(self, at: Institution, code: str, reader: str, barcode: str, pickup: str) -> Line:
        item = at.add_book(f"Book {self.n}", barcode, "DCB", "DCBVIRTUAL", suppressed="true")
        hold = at.place_hold(reader, item.pid, pickup, comment=f"DCB lend-{self.n}")
        return _leg(code, reader, hold.request_id, item)

    def wanted(
        self,
        *,
        title: str = "",
        pickup: str | dict[str, Any] = "uni-b",
        reader: str = "",
        **changes: Any,
    ) -> Lend:
        """A lend that nothing is placed for yet: a book at uni-a, a reader at uni-b, a `submit`
        line. `pickup` is where the book is to be collected: uni-b, uni-a (RET-EXP) or uni-c."""
        if isinstance(pickup, dict):
            changes["pickup"], pickup = pickup, "uni-b"
        self.n += 1
        id, barcode = f"lend-{self.n}", f"T{self.n:05d}"
        if not reader:
            reader = f"r-{self.n}"
            self.borrower.add_user(reader, barcodes=[f"R{self.n:05d}"])
        book = self.lender.add_book(title or f"Book {self.n}", barcode, "MAIN", "STACKS")
        line: Line = {
            "id": id,
            "patron": {"host_lms": "uni-b", "user_id": reader, "barcodes": [f"R{self.n:05d}"]},
            "item": {
                "host_lms": "uni-a",
                "mms_id": book.mms_id,
                "holding_id": book.holding_id,
                "item_pid": book.pid,
                "barcode": barcode,
                "title": title or f"Book {self.n}",
            },
            "pickup": {"host_lms": pickup, "library": "MAIN", "circ_desk": "DEFAULT_CIRC_DESK"},
        }
        for part, given in changes.items():
            line[part] = {**line.get(part, {}), **given} if isinstance(given, dict) else given
        return Lend(id, barcode, "", reader, line, "pickup" if pickup == "uni-c" else "")

    def submit(self, *lends: Lend, check: int | None = 0) -> Ran:
        lines = "\n".join(json.dumps(lend.line) for lend in lends)
        return self.run("submit", "-", "-o", "json", stdin=lines, check=check)

    # --- the book travels ----------------------------------------------------

    def send(self, lend: Lend) -> None:
        self.lender.scan_in(lend.barcode, "MAIN")

    def shelve(self, lend: Lend) -> None:
        (self.third if lend.pickup_reader else self.borrower).scan_in(lend.barcode, "MAIN")

    def borrow(self, lend: Lend) -> None:
        """The reader takes the book; the lender's loan to the virtual patron is made too."""
        self.check_out(lend)
        self.lend_to_virtual_patron(lend)

    def check_out(self, lend: Lend) -> None:
        """The reader takes the book, where it was to be collected."""
        at, reader = self.borrower, lend.reader
        if lend.pickup_reader:
            at = self.third
            reader = lend.pickup_reader
            if reader == "pickup":
                reader = self.show(lend.id)["pickup"]["user_id"]
        at.loan(lend.barcode, reader, "MAIN", override=True)

    def lend_to_virtual_patron(self, lend: Lend) -> None:
        self.lender.loan(lend.barcode, lend.patron, "MAIN", override=True)

    def give_back(self, lend: Lend) -> None:
        (self.third if lend.pickup_reader else self.borrower).return_item(lend.barcode, "MAIN")

    def come_home(self, lend: Lend, library: str = "MAIN") -> None:
        self.lender.scan_in(lend.barcode, library)

    # --- the service ---------------------------------------------------------

    def write_settings(self, **changes: Any) -> Path:
        path = self.folder / "settings.yaml"
        with path.open("w", encoding="utf-8") as file:
            YAML(typ="safe", pure=True).dump({**self.settings, **changes}, file)
        return path

    def run(self, *arguments: str, stdin: str = "", check: int | None = 0) -> Ran:
        """The command line, within this process (a real process costs half a second)."""
        out, err = io.StringIO(), io.StringIO()
        text_in = io.TextIOWrapper(io.BytesIO(stdin.encode()), encoding="utf-8")
        with (
            pytest.MonkeyPatch.context() as patch,
            contextlib.redirect_stdout(out),
            contextlib.redirect_stderr(err),
        ):
            patch.chdir(self.folder)
            patch.setattr("sys.stdin", text_in)
            for name in KEYS:
                patch.delenv(name, raising=False)
            for name, value in self.environ.items():
                patch.setenv(name, value)
            code = cli.run(list(arguments))
        return _checked(Ran(code, out.getvalue(), err.getvalue()), check)

    def run_process(self, *arguments: str, stdin: str = "", check: int | None = 0) -> Ran:
        """The installed command, as a process of its own, in the world's folder."""
        done = subprocess.run(
            [COMMAND, *arguments],
            cwd=self.folder,
            env=self.process_environ,
            input=stdin,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        return _checked(Ran(done.returncode, done.stdout, done.stderr), check)

    @property
    def process_environ(self) -> dict[str, str]:
        return {**self.environ, "PATH": os.environ["PATH"], "NO_COLOR": "1"}

    def track(self, *lends: Lend) -> Ran:
        lines = "\n".join(json.dumps(lend.line) for lend in lends)
        return self.run("track", "-", stdin=lines)

    def once(self, *arguments: str, check: int | None = 0) -> Any:
        return self.run("--once", "--all", "-o", "json", *arguments, check=check).json

    def show(self, id: str) -> Any:
        return self.run("show", id, "-o", "json").json

    def history(self, id: str) -> list[Any]:
        rows: list[Any] = self.run("history", id, "-o", "json").json["history"]
        return rows

    def things(self, id: str) -> dict[str, dict[str, list[str]]]:
        """What stands in each Alma for a lend, by its mark; the virtual patron carries none."""
        found = {}
        for code in ("uni-a", "uni-b", "uni-c"):
            held: dict[str, list[str]] = {}
            for mark in (f"[DCB:{id}]", f"(DCB){id}<"):
                for kind, keys in self.sandbox[code].ours(mark).items():
                    held.setdefault(kind, []).extend(keys)
            if held:
                found[code] = held
        return found

    def transitions(self, id: str) -> list[tuple[str, str, bool]]:
        return [
            (row["from"], row["to"], row["inferred"])
            for row in self.history(id)
            if row["kind"] == "transition"
        ]

    def app(self, clock: FakeClock | None = None, **transports: Any) -> App:
        settings = Settings.model_validate(self.settings)
        made = App(settings, *([clock] if clock else []), environ=self.environ)
        made.transports = transports
        made.prepare_schema()
        return made

    def stored(self, app: App, lend: Lend) -> Transaction:
        return app.store.get(TransactionId(lend.id))


@dataclass(frozen=True)
class Ran:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)


def _checked(ran: Ran, check: int | None) -> Ran:
    canaries.said("a command", f"{ran.out}\n{ran.err}")
    if check is not None:
        assert ran.code == check, f"exit {ran.code}\n{ran.out}\n{ran.err}"
    return ran


def _leg(code: str, user: str, request_id: str, item: Any) -> Line:
    return {
        "host_lms": code,
        "user_id": user,
        "request_id": request_id,
        "mms_id": item.mms_id,
        "holding_id": item.holding_id,
        "item_pid": item.pid,
        "item_barcode": item.barcode,
        "loan_id": None,
    }


def settings_for(base_url: str, database_url: str, **alma: Any) -> dict[str, Any]:
    """Settings for uni-a, uni-b, uni-c (Alma) and ext (external), quick enough for tests."""

    def host(key: str) -> dict[str, Any]:
        return {
            "type": "alma",
            "base_url": base_url,
            "api_key": {"env": key},
            "calls_per_second": 100_000,
            "settle": "0s",
            "sharing_library": "RES_OUT",
            "virtual_library": "DCB",
            "virtual_location": "DCBVIRTUAL",
            "item_policy": "DCB",
            "patron_groups": {"default": "DCB"},
            "material_types": {"default": "BOOK"},
            **alma,
        }

    return {
        "database": {"url": database_url},
        "http": {"connect_timeout": "2s", "read_timeout": "2s", "write_read_timeout": "2s"},
        "host_lms": {
            "uni-a": host("KEY_A"),
            "uni-b": host("KEY_B"),
            "uni-c": host("KEY_C"),
            "ext": {"type": "external"},
        },
    }


KEYS = {"KEY_A": "KEY-uni-a", "KEY_B": "KEY-uni-b", "KEY_C": "KEY-uni-c"}


@contextmanager
def world(folder: Path, database_url: str = "", **alma: Any) -> Iterator[World]:
    """A sandbox over a socket and settings that lead to it."""
    sandbox = sample_world()
    url = database_url or f"sqlite:///{folder / 'reconciler.db'}"
    with serve(sandbox) as serving:
        made = World(
            folder,
            sandbox,
            serving.base_url,
            settings_for(serving.base_url, url, **alma),
            dict(KEYS),
        )
        made.write_settings()
        yield made


def unreachable_url() -> str:
    return "http://127.0.0.1:9"


__all__ = ["KEYS", "Lend", "Ran", "Serving", "World", "settings_for", "unreachable_url", "world"]
