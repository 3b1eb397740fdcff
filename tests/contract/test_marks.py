"""Marks and trust on both databases, and the call that they come from."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import pytest

from reconciler.alma import wire
from reconciler.alma.document import parse
from reconciler.alma.reader import Reader
from reconciler.clock import SystemClock
from reconciler.core.library.bulk import Trust, fingerprint, glanced
from reconciler.core.model import BibGlance, HostLmsCode, MmsId, TransactionId
from reconciler.core.status import DcbStatus, Role
from reconciler.errors import AlmaFailure, FailureKind
from reconciler.ports.hints import Swept
from reconciler.ports.store import Selection
from reconciler.ports.written import Entrance
from reconciler.sandbox import Institution, Sandbox, sample_world, serve
from reconciler.store.database import Database
from reconciler.store.hints import SqlHints
from reconciler.store.sql_store import SqlStore
from tests.contract.test_reader import gateway_to
from tests.contract.test_store import claim, command
from tests.support.build import NOW, UNI_A, UNI_B, UNI_C, transaction
from tests.support.recorded import recorded

WAIT = DcbStatus.RETURN_TRANSIT
SOON, LATER = NOW + timedelta(minutes=10), NOW + timedelta(minutes=40)
QUEUES = (UNI_A, UNI_B, UNI_C)


@pytest.fixture
def hints(database: Database, store: SqlStore) -> SqlHints:
    for id, status in (("t-1", WAIT), ("t-2", WAIT), ("t-3", DcbStatus.LOANED)):
        made = replace(
            transaction(status), id=TransactionId(id), next_poll_at=SOON, unchanged_looks=1
        )
        assert store.add(Entrance(made, command()))
    return SqlHints(database)


def sweep(hints: SqlHints, shown: str, tenant: HostLmsCode = UNI_A) -> int:
    found = [glanced(each, shown, NOW) for each in hints.watches(tenant, QUEUES, NOW)]
    return hints.record(Swept(tenant, NOW, tuple(found), {}))


# --- what is kept ----------------------------------------------------------------


def test_a_sweep_is_taken_once(hints: SqlHints) -> None:
    later = NOW + timedelta(minutes=30)
    assert hints.begin(UNI_A, NOW, later) is None
    assert hints.begin(UNI_A, NOW + timedelta(minutes=1), later + timedelta(hours=1)) == later
    assert hints.begin(UNI_B, NOW, later) is None
    assert hints.begin(UNI_A, later, later + timedelta(hours=1)) is None
    hints.leave_alone(UNI_A, NOW + timedelta(days=1))
    assert hints.begin(UNI_A, later, later) == NOW + timedelta(days=1)
    a_clock_was_set_back = NOW - timedelta(days=30)
    assert hints.begin(UNI_A, a_clock_was_set_back, a_clock_was_set_back) is None


def test_each_library_sees_the_lends_that_its_bibs_may_show(hints: SqlHints) -> None:
    here = hints.watches(UNI_A, QUEUES, NOW)
    assert {(each.id, each.role, each.mms_id) for each in here} == {
        ("t-1", Role.SUPPLIER, "991"),
        ("t-2", Role.SUPPLIER, "991"),
    }
    assert [(each.id, each.role) for each in hints.watches(UNI_B, QUEUES, NOW)] == [
        ("t-3", Role.BORROWER)
    ]
    assert hints.watches(UNI_B, (UNI_C,), NOW) == []
    assert hints.watches(UNI_A, QUEUES, NOW - timedelta(days=1)) == []  # none is due that soon


def test_a_mark_comes_back_and_a_change_makes_due(hints: SqlHints, store: SqlStore) -> None:
    assert sweep(hints, "away") == 0
    marks = [each.mark for each in hints.watches(UNI_A, QUEUES, NOW)]
    assert [(mark and mark.fingerprint, mark and mark.since) for mark in marks] == [
        ("away", NOW)
    ] * 2
    assert sweep(hints, "home") == 2
    assert store.get(TransactionId("t-1")).next_poll_at == NOW
    assert store.get(TransactionId("t-3")).next_poll_at == SOON
    assert sweep(hints, "home") == 0


def test_a_lend_that_is_being_looked_at_is_left_for_the_next_sweep(
    hints: SqlHints, store: SqlStore
) -> None:
    sweep(hints, "away")
    seen = hints.watches(UNI_A, QUEUES, NOW)
    (claimed,) = claim(store, selection=Selection(UNI_A, (TransactionId("t-1"),), due_only=False))
    assert [each.id for each in hints.watches(UNI_A, QUEUES, NOW)] == ["t-2"]
    changed = tuple(glanced(each, "home", NOW) for each in seen)
    assert hints.record(Swept(UNI_A, NOW, changed, {})) == 1
    store.release([claimed])
    marks = {each.id: each.mark for each in hints.watches(UNI_A, QUEUES, NOW)}
    assert {id: mark and mark.fingerprint for id, mark in marks.items()} == {
        "t-1": "away",
        "t-2": "home",
    }


def test_a_look_is_put_off_only_where_nothing_happened_meanwhile(
    hints: SqlHints, store: SqlStore, database: Database
) -> None:
    found = [glanced(each, "away", NOW) for each in hints.watches(UNI_A, QUEUES, NOW)]
    with database.write() as connection:
        connection.exec_driver_sql("UPDATE transactions SET version = 9 WHERE id = 't-2'")
    late = tuple(replace(each, next_poll_at=LATER) for each in found)
    hints.record(Swept(UNI_A, NOW, late, {}))
    assert store.get(TransactionId("t-1")).next_poll_at == LATER
    assert store.get(TransactionId("t-2")).next_poll_at == SOON
    hints.record(Swept(UNI_A, NOW, (replace(found[0], next_poll_at=SOON),), {}))
    assert store.get(TransactionId("t-1")).next_poll_at == LATER  # never sooner but for a hint


def test_a_wait_that_is_over_is_judged_and_forgotten(hints: SqlHints, database: Database) -> None:
    sweep(hints, "away")
    with database.write() as connection:
        connection.exec_driver_sql(
            "UPDATE transactions SET status = 'FINALISED', next_poll_at = NULL WHERE id = 't-1'"
        )
    watches = {each.id: each for each in hints.watches(UNI_A, QUEUES, NOW)}
    assert watches[TransactionId("t-1")].has_moved
    judged = glanced(watches[TransactionId("t-1")], "home", NOW)
    assert (judged.right, judged.mark) == (True, None)
    hints.record(Swept(UNI_A, NOW, (judged,), {WAIT: Trust("+")}))
    assert {each.id for each in hints.watches(UNI_A, QUEUES, NOW)} == {"t-2"}
    off = Trust("+---", NOW + timedelta(days=1))
    assert hints.trusts(UNI_A) == {WAIT: Trust("+")}
    hints.record(Swept(UNI_A, NOW, (), {WAIT: off}))
    assert hints.trusts(UNI_A) == {WAIT: off}
    assert hints.trusts(UNI_B) == {}


# --- the call --------------------------------------------------------------------


@pytest.fixture
def sandbox() -> Sandbox:
    return sample_world()


@pytest.fixture
async def reader(sandbox: Sandbox) -> AsyncIterator[Reader]:
    with serve(sandbox) as serving:
        gateway = gateway_to(serving.base_url, SystemClock())
        yield Reader(gateway)
        await gateway.aclose()


def book(alma: Institution) -> MmsId:
    (item,) = alma.items.find("barcode", "A0001")
    return MmsId(item.mms_id)


@pytest.mark.parametrize("style", ["new", "old", "label", "lean"])
async def test_one_call_shows_what_changes_and_leaves_out_what_it_does_not_know(
    reader: Reader, sandbox: Sandbox, style: str
) -> None:
    alma = sandbox["uni-a"]
    alma.dialect.update(style=style)
    ids = [book(alma), MmsId("990000000000000001")]
    seen = set()

    async def look() -> BibGlance:
        (glance,) = await reader.glances(ids)
        seen.add(fingerprint(glance))
        return glance

    at_home = await look()
    assert at_home.mms_id == ids[0]
    assert [words[1:] for words in at_home.availability] == [("available", "1", "0")]
    assert at_home.requests == 0
    alma.add_user("vp", "DCB")
    alma.place_hold("vp", "A0001", "RES_OUT")
    assert (await look()).requests == 1
    alma.scan_in("A0001", "MAIN")
    away = await look()
    assert [words[1:] for words in away.availability] == [("unavailable", "1", "1")]
    assert len(seen) == 3
    assert len(sandbox.calls) == 3


async def test_lists_may_be_plain_stale_or_refused(reader: Reader, sandbox: Sandbox) -> None:
    alma = sandbox["uni-a"]
    alma.loan("A0001", "local-1", "MAIN")
    alma.dialect.update(bib_list="plain")
    (plain,) = await reader.glances([book(alma)])
    assert fingerprint(plain) is None
    alma.dialect.update(bib_list="expanded", bib_counts="stale")
    (stale,) = await reader.glances([book(alma)])
    assert [words[1:] for words in stale.availability] == [("available", "1", "0")]
    alma.dialect.update(bib_list="refused")
    with pytest.raises(AlmaFailure) as caught:
        await reader.glances([book(alma)])
    assert caught.value.kind is FailureKind.REFUSED


async def test_a_failing_call_is_not_repeated(reader: Reader, sandbox: Sandbox) -> None:
    sandbox.faults.add("json_500", times=None)
    with pytest.raises(AlmaFailure):
        await reader.glances([MmsId("1")])
    assert len(sandbox.calls) == 1


def test_recorded_bibs_show_what_the_sandbox_shows() -> None:
    files = {path.name: path for path in recorded("bibs") if path.suffix == ".json"}
    glance = wire.glance(parse(files["scriptotek__bib-get-p-avail.json"].read_bytes()))
    assert glance.availability == (("22163771200002204", "unavailable", "1", "1"),)
    assert glance.requests is None
    assert fingerprint(glance) is not None
    dublin_core = wire.glance(parse(files["helper2424__bib-with-availability.json"].read_bytes()))
    assert fingerprint(dublin_core) is None
