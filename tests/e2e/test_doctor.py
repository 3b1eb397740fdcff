"""`doctor`: everything that it looks at, broken once and found; the command over a socket."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from reconciler.app import App
from reconciler.cli.doctor import examined
from reconciler.core.status import CheckState
from reconciler.engine.doctor.findings import Finding, Topic
from reconciler.sandbox import Institution, Sandbox, sample_world
from reconciler.settings import Settings
from tests.support.clock import FakeClock
from tests.support.lab import START
from tests.support.world import KEYS, World, settings_for, unreachable_url

MISSING, NOT_SET, UNKNOWN = CheckState.MISSING, CheckState.NOT_SET, CheckState.UNKNOWN
PRESENT = CheckState.PRESENT
ALMA = "http://alma"


@dataclass
class Ward:
    """One Alma that is set up well and acted on, until a case breaks something."""

    folder: Path
    sandbox: Sandbox
    clock: FakeClock
    settings: dict[str, Any]
    environ: dict[str, str] = field(default_factory=lambda: dict(KEYS))
    mounts: str = "1 0 8:1 / / rw - ext4 /dev/sda1 rw\n"

    @property
    def alma(self) -> Institution:
        return self.sandbox["uni-a"]

    @property
    def host(self) -> dict[str, Any]:
        found: dict[str, Any] = self.settings["host_lms"].get("uni-a", {})
        return found

    @property
    def database(self) -> Path:
        return self.folder / "ward.db"

    def app(self) -> App:
        """Straight to the sandbox's application; only a broken address is truly called."""
        settings = Settings.model_validate(self.settings)
        made = App(settings, self.clock, self.environ)
        if self.host.get("base_url") == ALMA:
            made.transports = {"uni-a": httpx.ASGITransport(self.sandbox.app)}
        return made

    def made(self) -> None:
        """The database, as the first command makes it."""
        app = self.app()
        app.prepare_schema()
        app.close()

    async def examined(self) -> dict[Topic, Finding]:
        """What is found, by topic; where a topic stands several times, what is not PRESENT."""
        mounts = self.folder / "mountinfo"
        mounts.write_text(self.mounts, encoding="utf-8")
        async with self.app() as app:
            checkup = await examined(app, "settings.yaml", mounts)
        found: dict[Topic, Finding] = {}
        for check in checkup.checks:
            if found.setdefault(check.topic, check).state is PRESENT:
                found[check.topic] = check
        return found

    def fault(self, path: str) -> None:
        self.sandbox.faults.add("json_500", path=path, times=None)


@pytest.fixture
def ward(tmp_path: Path) -> Ward:
    clock = FakeClock(START)
    sandbox = sample_world(clock, clock.sleep)
    settings = settings_for(ALMA, f"sqlite:///{tmp_path / 'ward.db'}", mode="act")
    settings["host_lms"] = {"uni-a": settings["host_lms"]["uni-a"]}
    return Ward(tmp_path, sandbox, clock, settings)


@pytest.mark.parametrize("mode", ["act", "observe"])
async def test_a_good_setup_has_no_trouble_and_is_only_read(ward: Ward, mode: str) -> None:
    ward.host["mode"] = mode
    found = await ward.examined()
    assert not ward.database.exists()
    assert [check.found for check in found.values() if check.is_trouble] == []
    assert set(found) == set(Topic) - {Topic.REST}
    assert {call.method for call in ward.sandbox.calls} == {"GET"}
    writes = {found[Topic.USERS_WRITE].state, found[Topic.BIBS_WRITE].state}
    assert writes == {UNKNOWN if mode == "act" else NOT_SET}
    assert "01UNI_A_INST (University A), SANDBOX" in found[Topic.OWNER].found


# --- each thing, broken once ------------------------------------------------------


def _set(**changes: Any) -> Callable[[Ward], None]:
    return lambda ward: ward.host.update(changes)


def _no_libraries(ward: Ward) -> None:
    ward.settings["host_lms"] = {}


def _no_key(ward: Ward) -> None:
    ward.environ.clear()


def _readable_secret(ward: Ward) -> None:
    file = ward.folder / "key"
    file.write_text("KEY-uni-a")
    file.chmod(0o644)
    ward.host["api_key"] = {"file": str(file)}


def _no_folder(ward: Ward) -> None:
    ward.settings["database"]["url"] = f"sqlite:///{ward.folder / 'nowhere' / 'ward.db'}"


def _not_a_database(ward: Ward) -> None:
    ward.database.write_text("not a database " * 100)
    ward.database.chmod(0o600)


def _newer_schema(ward: Ward) -> None:
    _execute(ward, "INSERT INTO schema_migrations VALUES (9, 'later', 'x', '2027-01-01')")


def _older_schema(ward: Ward) -> None:
    _execute(ward, "DELETE FROM schema_migrations")


def _execute(ward: Ward, statement: str) -> None:
    ward.made()
    with sqlite3.connect(ward.database) as connection:
        connection.execute(statement)
    connection.close()


def _on_nfs(ward: Ward) -> None:
    ward.mounts += f"2 1 0:40 / {ward.folder} rw - nfs4 nas:/export rw\n"


def _untold_mounts(ward: Ward) -> None:
    ward.mounts = ""


def _open_file(ward: Ward) -> None:
    ward.made()
    ward.database.chmod(0o644)


def _revoked(*areas: str) -> Callable[[Ward], None]:
    return lambda ward: ward.alma.revoke("KEY-uni-a", areas or None)


def _fault(path: str) -> Callable[[Ward], None]:
    return lambda ward: ward.fault(path)


def _skewed(**by: float) -> Callable[[Ward], None]:
    def skew(ward: Ward) -> None:
        ward.sandbox.clock = FakeClock(START + timedelta(**by))

    return skew


def _little_left(ward: Ward) -> None:
    ward.alma.quota.remaining = 15_000


def _used_up(ward: Ward) -> None:
    ward.alma.quota.remaining = 0


def _resource_sharing(ward: Ward) -> None:
    ward.alma.libraries["RES_OUT"].resource_sharing = True


def _no_desk_at_transit(ward: Ward) -> None:
    ward.alma.libraries["DCB"].desks.clear()


def _disabled(table: str, code: str) -> Callable[[Ward], None]:
    return lambda ward: ward.alma.code_tables[table].disabled.add(code)


def _seen_by_all(ward: Ward) -> None:
    ward.alma.libraries["DCB"].locations["DCBVIRTUAL"].suppressed = False


CASES: list[tuple[Topic, Callable[[Ward], None], CheckState, str]] = [
    (Topic.SETTINGS, _no_libraries, NOT_SET, "no library"),
    (Topic.SECRET, _no_key, MISSING, "host_lms.uni-a.api_key: environment variable KEY_A"),
    (Topic.SECRET, _readable_secret, MISSING, "others than its owner may read"),
    (Topic.SECRET, _set(webhook_secret={"env": "HOOK"}), MISSING, "webhook_secret"),
    (Topic.DATABASE, _no_folder, MISSING, "no such folder"),
    (Topic.DATABASE, _not_a_database, MISSING, "file is not a database"),
    (Topic.SCHEMA, _no_folder, UNKNOWN, "could not look"),
    (Topic.SCHEMA, _newer_schema, MISSING, "newer reconciler"),
    (Topic.SCHEMA, _older_schema, MISSING, "1 migration(s) behind"),
    (Topic.FILESYSTEM, _on_nfs, MISSING, "lies on nfs4"),
    (Topic.FILESYSTEM, _untold_mounts, UNKNOWN, "could not look"),
    (Topic.FILE_MODES, _open_file, MISSING, "ward.db"),
    (Topic.KEY, _no_key, UNKNOWN, "its key was not found"),
    (Topic.KEY, _revoked(), MISSING, "refused in every area"),
    (Topic.KEY, _set(base_url=unreachable_url()), UNKNOWN, "could not look: unreachable"),
    (Topic.KEY, _used_up, UNKNOWN, "daily quota used up"),
    (Topic.REST, _revoked(), UNKNOWN, "could not look"),
    (Topic.CONFIGURATION_READ, _revoked("conf"), MISSING, "no right"),
    (Topic.USERS_READ, _revoked("users"), MISSING, "no right"),
    (Topic.BIBS_READ, _revoked("bibs"), MISSING, "no right"),
    (Topic.USERS_WRITE, _set(), UNKNOWN, "doctor writes nothing"),
    (Topic.BIBS_WRITE, _set(), UNKNOWN, "doctor writes nothing"),
    (Topic.OWNER, _fault("conf/general"), UNKNOWN, "could not look: server error"),
    (Topic.CLOCK, _skewed(minutes=2), MISSING, "120 s ahead of ours"),
    (Topic.CLOCK, _skewed(minutes=-5), MISSING, "behind ours"),
    (Topic.QUOTA, _little_left, MISSING, "calls left today, 20,000 kept in reserve"),
    (Topic.HOURS, _set(), NOT_SET, "looks go on day and night"),
    (Topic.SHARING_LIBRARY, _set(sharing_library=None), NOT_SET, "no library"),
    (Topic.SHARING_LIBRARY, _set(sharing_library="RES_OUX"), MISSING, "no such library"),
    (Topic.SHARING_LIBRARY, _resource_sharing, MISSING, "resource sharing library"),
    (Topic.SHARING_LIBRARY, _revoked("conf"), UNKNOWN, "could not look: credentials refused"),
    (Topic.SHARING_LIBRARY, _fault("conf/libraries"), UNKNOWN, "could not look: server error"),
    (Topic.SHARING_DESK, _set(sharing_circ_desk="D"), MISSING, "RES_OUT has none"),
    (Topic.SHARING_DESK, _revoked("conf"), NOT_SET, "optional"),
    (Topic.VIRTUAL_LIBRARY, _set(virtual_library="DBC"), MISSING, "no such library"),
    (Topic.VIRTUAL_LOCATION, _set(virtual_location="X"), MISSING, "DCB has none of that code"),
    (Topic.VIRTUAL_LOCATION, _seen_by_all, PRESENT, "not suppressed: the public may come across"),
    (Topic.VIRTUAL_LOCATION, _set(virtual_library="DBC"), UNKNOWN, "there is no library DBC"),
    (Topic.VIRTUAL_LOCATION, _fault("/locations"), UNKNOWN, "could not look: server error"),
    (Topic.TRANSIT_LIBRARY, _set(transit_library="NO"), MISSING, "no such library"),
    (Topic.TRANSIT_LIBRARY, _set(transit_library="RES_OUT"), MISSING, "also sharing_library"),
    (Topic.CIRC_DESK, _set(circ_desk="NONE"), MISSING, "no library has it"),
    (Topic.CIRC_DESK, _no_desk_at_transit, MISSING, "not at DCB"),
    (Topic.CIRC_DESK, _fault("BRANCH/circ-desks"), UNKNOWN, "could not look: server error"),
    (Topic.CANCELLATION_REASON, _set(cancellation_reason="No"), MISSING, "Reasons"),
    (Topic.PATRON_GROUPS, _set(patron_groups={}), NOT_SET, "name none"),
    (Topic.PATRON_GROUPS, _set(patron_groups={"default": "DBC"}), MISSING, "DBC: not in UserG"),
    (Topic.PATRON_GROUPS, _disabled("UserGroups", "DCB"), MISSING, "DCB: disabled in UserGroups"),
    (Topic.ITEM_POLICY, _disabled("ItemPolicy", "DCB"), MISSING, "disabled"),
    (Topic.NO_RENEW_POLICY, _set(no_renew_item_policy="NR"), MISSING, "not in ItemPolicy"),
    (Topic.MATERIAL_TYPES, _set(material_types={"default": "BOOK", "x": "FILM"}), MISSING, "FILM"),
    (
        Topic.IDENTIFIER_TYPE,
        _set(virtual_patron={"identifier_type": "NO_ID"}),
        MISSING,
        "not in UserIdentifierTypes",
    ),
]


@pytest.mark.parametrize(("topic", "break_it", "state", "told"), CASES)
async def test_what_is_broken_is_found(
    ward: Ward, topic: Topic, break_it: Callable[[Ward], None], state: CheckState, told: str
) -> None:
    break_it(ward)
    found = (await ward.examined())[topic]
    assert found.state is state
    assert told in found.found
    assert found.to_do
    assert {call.method for call in ward.sandbox.calls} <= {"GET"}


def test_every_topic_is_broken_once() -> None:
    assert {topic for topic, *_ in CASES} == set(Topic)


async def test_a_name_that_is_nearly_right_is_guessed(ward: Ward) -> None:
    ward.host["sharing_library"] = "RES_OUX"
    ward.host["virtual_location"] = "X"
    found = await ward.examined()
    assert (found[Topic.SHARING_LIBRARY].to_do or "").startswith("did you mean RES_OUT?")
    assert (found[Topic.VIRTUAL_LOCATION].to_do or "").startswith("there is DCBVIRTUAL")


async def test_a_write_that_succeeded_proves_the_right_to_write(ward: Ward) -> None:
    """Our record tells of sent and done effects; one that was merely found done proves nothing."""
    ward.made()
    _intents(ward, ("ensure_supplier_hold", 1), ("ensure_virtual_bib", 0))
    found = await ward.examined()
    assert found[Topic.USERS_WRITE].state is PRESENT
    assert found[Topic.BIBS_WRITE].state is UNKNOWN


def _intents(ward: Ward, *kinds: tuple[str, int]) -> None:
    with sqlite3.connect(ward.database) as connection:
        for n, (kind, attempts) in enumerate(kinds):
            connection.execute(
                "INSERT INTO intents (id, transaction_id, seq, asked_by, kind, role, host_lms, "
                "thing_id, state, attempts, ambiguities, refusals, created_at, updated_at) "
                "VALUES (?, 't', ?, 1, ?, 'supplier', 'uni-a', '', 'done', ?, 0, 0, '', '')",
                (f"i{n}", n, kind, attempts),
            )
    connection.close()


def test_a_transit_library_where_a_followed_lend_is_picked_up(tmp_path: Path) -> None:
    with _world(tmp_path) as world:
        lend = world.wanted(pickup={"host_lms": "uni-b", "library": "DCB"})
        world.submit(lend)
        ran = world.run("doctor", "-o", "json", check=3)
    rows = {(row["host_lms"], row["check"]): row for row in ran.json["checks"]}
    assert "picked up there" in rows["uni-b", "transit_library"]["found"]
    assert rows["uni-a", "transit_library"]["state"] == "PRESENT"


# --- the command --------------------------------------------------------------------


@contextmanager
def _world(folder: Path) -> Iterator[World]:
    from tests.support.world import world

    with world(folder, mode="act") as made:
        yield made


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with _world(tmp_path) as made:
        yield made


def _at_uni_a(**changes: Any) -> Callable[[World], None]:
    def change(world: World) -> None:
        world.settings["host_lms"]["uni-a"].update(changes)
        world.write_settings()

    return change


def _all_unreachable(world: World) -> None:
    for host in world.settings["host_lms"].values():
        if host["type"] == "alma":
            host["base_url"] = unreachable_url()
    world.write_settings()


def _no_server(world: World) -> None:
    world.settings["database"]["url"] = "postgresql://nobody@127.0.0.1:9/none"
    world.write_settings()


def _lost_key(world: World) -> None:
    del world.environ["KEY_A"]


def _refused_key(world: World) -> None:
    world.lender.revoke("KEY-uni-a")


def _lost_area(world: World) -> None:
    world.lender.revoke("KEY-uni-a", ["bibs"])


def _nothing(_: World) -> None:
    pass


EXITS: list[tuple[str, Callable[[World], None], int]] = [
    ("all well", _nothing, 0),
    ("a code that is not there", _at_uni_a(sharing_library="NO"), 3),
    ("one area of a key", _lost_area, 3),
    ("one Alma away", _at_uni_a(base_url=unreachable_url()), 3),
    ("every Alma away", _all_unreachable, 75),
    ("no database server", _no_server, 75),
    ("a refused key", _refused_key, 77),
    ("a lost key", _lost_key, 78),
    ("an unknown setting", _at_uni_a(sharing_libary="X"), 78),
]


@pytest.mark.parametrize(("break_it", "code"), [case[1:] for case in EXITS], ids=lambda _: "")
def test_the_exit_code_says_how_it_stands(
    world: World, break_it: Callable[[World], None], code: int
) -> None:
    break_it(world)
    world.run("doctor", check=code)


def test_a_person_reads_what_to_do(world: World) -> None:
    world.third.libraries["RES_OUT"].resource_sharing = True
    ran = world.run("doctor", check=3)
    lines = ran.out.splitlines()
    assert [line for line in lines if line and line[0] != " "] == [
        "this machine", "uni-a", "uni-b", "uni-c",
    ]  # fmt: skip
    at = next(n for n, line in enumerate(lines) if line.startswith("  MISSING  sharing_library"))
    assert "resource sharing library" in lines[at]
    assert any(line.strip().startswith("→ name an ordinary") for line in lines[at : at + 3])
    assert all(len(line) <= 100 for line in lines if str(world.folder) not in line)
    assert "1 MISSING" in ran.err
    assert "; 1 to be seen to" in ran.err


def test_json_has_every_check(world: World) -> None:
    document = world.run("doctor", "-o", "json").json
    assert set(document) == {"checks", "counts", "trouble"}
    assert set(document["checks"][0]) == {
        "host_lms", "check", "state", "found", "to_do", "trouble",
    }  # fmt: skip
    assert document["trouble"] == 0
    assert sum(document["counts"].values()) == len(document["checks"])
    hosts = [row["host_lms"] for row in document["checks"]]
    assert list(dict.fromkeys(hosts)) == [None, "uni-a", "uni-b", "uni-c"]


def test_doctor_on_postgres(any_world: World) -> None:
    any_world.run("list")
    document = any_world.run("doctor", "-o", "json").json
    states = {row["check"]: row["state"] for row in document["checks"] if not row["host_lms"]}
    assert states["database"] == states["schema"] == "PRESENT"


def test_a_new_database_file_is_its_owners_only(world: World) -> None:
    world.run("list")
    assert (world.folder / "reconciler.db").stat().st_mode & 0o777 == 0o600
