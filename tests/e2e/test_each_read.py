"""One library's trouble stays where it is: what cannot be read hides nothing that can."""

from __future__ import annotations

from typing import Any

import pytest

from reconciler.app import App
from reconciler.core.status import DcbStatus, EffectKind
from reconciler.engine.cycle import CycleOptions
from tests.support.lab import Book, Lab
from tests.support.world import KEYS, World

S = DcbStatus


async def placed(at: Lab) -> Book:
    book = at.wanted()
    await at.submit(book)
    assert (await at.rest(book)).status is S.REQUEST_PLACED_AT_BORROWING_AGENCY
    return book


def test_each_of_the_six_reads_fails_alone(world: World) -> None:
    """Three libraries, an item and a request at each: one answer is lost, five are stored."""
    reads = [(role, what) for role in ("supplier", "borrower", "pickup") for what in WORDS]
    lends = dict(zip(reads, (world.placed(pua=True) for _ in reads), strict=True))
    for (role, what), lend in lends.items():
        id = lend.line[role]["item_pid" if what == "item" else "request_id"]
        world.sandbox.faults.add("json_500", path=f"/{what}s/{id}\\?", times=None)
    world.track(*lends.values())
    report = world.once(check=3)
    assert {(each["role"], each["read"]) for each in report["errors"]} == set(reads)
    for failed, lend in lends.items():
        shown = world.show(lend.id)
        seen = {(role, what): shown[role][what] for role, what in reads}
        assert seen.pop(failed)["state"] is None
        assert {each["state"] for each in seen.values()} == {"IN_PLACE", "ACTIVE"}


WORDS = ("item", "request")


@pytest.mark.parametrize("status", ["Active", "Complete"])
async def test_a_list_of_loans_that_cannot_be_read_hides_nothing(lab: Lab, status: str) -> None:
    """The other reads of the look are stored, and whose loan it is stays open."""
    book = await placed(lab)
    lab.lender.scan_in(book.barcode, "MAIN")
    lab.borrower.scan_in(book.barcode, "MAIN")
    lab.borrower.loan(book.barcode, book.reader, "MAIN")
    if status == "Complete":
        lab.borrower.return_item(book.barcode, "MAIN")
    lab.sandbox.faults.add(
        "json_500", institution="uni-b", path=f"/items/.*/loans.*{status}", times=None
    )
    now = await lab.look(book)
    assert now.status is (S.READY_FOR_PICKUP if status == "Active" else S.PICKUP_TRANSIT)
    assert now.failures
    assert now.supplier.item.state == "TRANSIT"
    assert now.borrower is not None
    assert now.borrower.item.state == ("LOANED" if status == "Active" else "TRANSIT")
    lab.sandbox.faults.clear()
    now = await lab.rest(book)
    assert now.status is (S.LOANED if status == "Active" else S.RETURN_TRANSIT)


async def test_what_failed_is_still_told_after_what_was_written_next(lab: Lab) -> None:
    """The failed read and the refused effect of one cycle: no later write loses either."""
    book = await placed(lab)
    lab.lender.block_user(str(lab.stored(book).supplier.user_id))
    lab.lender.scan_in(book.barcode, "MAIN")
    lab.borrower.scan_in(book.barcode, "MAIN")
    lab.borrower.loan(book.barcode, book.reader, "MAIN")
    lab.sandbox.faults.add(
        "json_500", institution="uni-b", method="GET", path=r"/users/[^/]+/requests/", times=None
    )
    for _ in range(3):
        now = await lab.look(book)
        assert now.status is S.LOANED
        assert now.borrower is not None
        assert "server error" in (now.borrower.request.failure or "")
        (loan,) = [each for each in now.intents if each.kind is EffectKind.SUPPLIER_LOAN]
        assert "blocked" in (loan.last_error or "")


@pytest.mark.parametrize(
    "fault",
    [{"kind": "html_401"}, {"kind": "json_500"}, {"kind": "error", "code": "401652"}],
    ids=str,
)
async def test_a_list_of_locations_that_cannot_be_read_is_no_proof_of_a_missing_one(
    lab: Lab, fault: dict[str, Any]
) -> None:
    lab.sandbox.faults.add(institution="uni-b", path="/conf/", times=None, **fault)
    book = lab.wanted()
    await lab.submit(book)
    now = await lab.look(book)
    assert (now.status, now.parked) == (S.CONFIRMED, None)
    assert lab.sandbox.calls.matching("POST", "/holdings") == []
    lab.sandbox.faults.clear()
    assert (await lab.rest(book)).status is S.REQUEST_PLACED_AT_BORROWING_AGENCY


async def test_a_location_of_another_library_is_not_the_one_that_is_meant(lab: Lab) -> None:
    """The code is right somewhere, only not below the library of the settings."""
    lab.borrower.libraries["DCB"].locations.clear()
    lab.borrower.add_location("BRANCH", "DCBVIRTUAL")
    book = lab.wanted()
    await lab.submit(book)
    now = await lab.rest(book)
    assert now.parked is not None
    assert now.parked.reason == "location_unknown"
    assert lab.sandbox.calls.matching("POST", "/holdings") == []


# --- another system under the same code ------------------------------------------------


async def test_ids_of_one_system_prove_nothing_in_another(lab: Lab) -> None:
    """The borrower's code leads to another Alma from one day to the next: it is seen, nothing
    moves, and nothing is written or removed there."""
    book = await placed(lab)
    lab.sandbox.calls.reset()
    keys = {**KEYS, "KEY_B": KEYS["KEY_C"]}
    async with App(lab.app.settings, lab.clock, keys) as elsewhere:
        for _ in range(3):
            await elsewhere.cycle(CycleOptions(everything=True))
            await lab.clock.sleep(3600)
    now = lab.stored(book)
    assert now.status is S.REQUEST_PLACED_AT_BORROWING_AGENCY
    assert now.parked is not None
    assert now.parked.reason in ("virtual_item_absent", "user_absent")
    assert [call for call in lab.sandbox.calls if call.method != "GET"] == []


@pytest.mark.parametrize("gone", ["uni-a", "uni-b"])
def test_a_library_that_live_lends_need_cannot_leave_the_settings(world: World, gone: str) -> None:
    """Its lends would never be looked at again, and nobody would know."""
    lend = world.placed()
    world.track(lend)
    world.once()
    hosts = {code: host for code, host in world.settings["host_lms"].items() if code != gone}
    world.write_settings(host_lms=hosts)
    ran = world.run("--once", "--all", check=None)
    assert ran.code == (78 if gone == "uni-a" else 3)
    assert f"host_lms.{gone}" in ran.err
    assert "Traceback" not in ran.err
    explained = world.run("explain", lend.id, check=78)
    assert f"host_lms.{gone}" in explained.err
    world.write_settings()
    world.once()
    assert world.show(lend.id)["failures"] == 0
