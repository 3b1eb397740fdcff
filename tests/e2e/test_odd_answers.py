"""Answers that are right and look otherwise: in XML, in parts, or for an address that is none."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from reconciler.core.status import DcbStatus, EffectKind, IntentState, Outcome, Role
from tests.e2e.test_attention import finished
from tests.e2e.test_paths import at_status, intents, placed, request_of
from tests.support.lab import Lab

S = DcbStatus

NOT_FOUND = (
    '{"web_service_result":{"errorsExist":true,"errorList":{"error":'
    '{"errorCode":"NOT_FOUND","errorMessage":"","trackingId":"unknown"}}}}'
)


# --- XML ---------------------------------------------------------------------------


async def test_a_lend_with_every_answer_in_xml(lab: Lab) -> None:
    """Patron, holds, records, loans, removal: nothing made twice, nothing left."""
    fault = lab.sandbox.faults.add("xml", times=None)
    book = await placed(lab)
    assert lab.stored(book).status is S.REQUEST_PLACED_AT_BORROWING_AGENCY
    await finished(lab, book)
    assert fault.hits > 30


async def test_a_blocked_virtual_patron_is_blocked_in_xml(lab: Lab) -> None:
    first = await placed(lab)
    patron = lab.stored(first).supplier.user_id
    book = lab.wanted(patron=first.line["patron"])
    await lab.submit(book)
    lab.lender.block_user(str(patron))
    lab.sandbox.faults.add("xml", times=None, path="/users/")
    now = await lab.rest(book)
    assert (now.status, now.supplier.request_id) == (S.RESOLVED, None)
    (intent,) = intents(lab, book, EffectKind.VIRTUAL_PATRON)
    assert (intent.state, intent.last_code) == (IntentState.REFUSED, "patron_blocked")
    lab.lender.unblock_user(str(patron))
    assert (await lab.rest(book)).status is S.REQUEST_PLACED_AT_BORROWING_AGENCY


async def test_a_patron_who_expires_is_extended_from_json_only(lab: Lab) -> None:
    """A PUT replaces the whole record, and one that came in XML is not what Alma takes."""
    first = await placed(lab)
    patron = str(lab.stored(first).supplier.user_id)
    lab.lender.expire_user(patron, lab.clock.now().date() + timedelta(days=3))
    book = lab.wanted(patron=first.line["patron"])
    await lab.submit(book)
    lab.sandbox.faults.add("xml", times=None, method="GET", path="/users/")
    now = await lab.rest(book)
    (intent,) = intents(lab, book, EffectKind.VIRTUAL_PATRON)
    assert (now.status, intent.last_code) == (S.RESOLVED, "patron_not_extended")
    assert "in XML" in (intent.last_error or "")
    assert lab.sandbox.calls.matching("PUT", "/users/", "uni-a") == []
    lab.sandbox.faults.clear()
    assert (await lab.rest(book)).status is S.REQUEST_PLACED_AT_BORROWING_AGENCY
    (user,) = lab.lender.users.find("value", patron.casefold())
    assert user.expiry_date is not None
    assert user.expiry_date > lab.clock.now().date() + timedelta(days=300)


# --- lists in parts ----------------------------------------------------------------


@pytest.mark.parametrize(
    ("fault", "times"),
    [("shifted_page", 1), ("shifted_page", None), ("reversed_list", None)],
    ids=["a row is missing once", "a row is always missing", "in reverse"],
)
async def test_a_part_of_a_list_is_never_none_of_ours(
    lab: Lab, fault: str, times: int | None
) -> None:
    """The lender cancels our hold; another reader's stands. That ours is not among the item's
    active ones is a proof only of a whole list."""
    book = await placed(lab)
    lab.lender.add_user("local")
    lab.lender.place_hold("local", book.barcode, "MAIN")
    lab.lender.cancel_request(request_of(lab.stored(book), Role.SUPPLIER))
    added = lab.sandbox.faults.add(
        fault, institution="uni-a", path=r"/items/\d+/requests", times=times
    )
    is_whole = fault == "reversed_list" or times == 1
    now = await lab.rest(book)
    assert added.hits
    if not is_whole:
        assert now.status is S.REQUEST_PLACED_AT_BORROWING_AGENCY
        (rule,) = [each for each in now.considered if each.rule == "HandleSupplierRequestCancelled"]
        assert (rule.verdict, "ends before its total" in rule.because) == ("waits", True)
        lab.sandbox.faults.clear()
        now = await lab.rest(book)
    assert (now.status, now.outcome) == (S.NOT_SUPPLIED_CURRENT_SUPPLIER, Outcome.NOT_SUPPLIED)


# --- addresses ---------------------------------------------------------------------


@pytest.mark.parametrize("role", [Role.SUPPLIER, Role.BORROWER])
async def test_an_address_that_is_none_proves_no_absence(lab: Lab, role: Role) -> None:
    """404 with NOT_FOUND was recorded for malformed paths only (alma-api.md §3.3)."""
    book = await placed(lab)
    request = request_of(lab.stored(book), role)
    lab.sandbox.faults.add("status", path=f"/requests/{request}", times=None, status=404,
                           body=NOT_FOUND, content_type="application/json")  # fmt: skip
    for _ in range(4):
        lab.clock.advance(timedelta(minutes=10))
        now = await lab.look(book)
    assert (now.status, now.parked) == (S.REQUEST_PLACED_AT_BORROWING_AGENCY, None)
    leg = now.leg(role)
    assert leg is not None
    assert (leg.request.state, "NOT_FOUND" in (leg.request.failure or "")) == ("ACTIVE", True)
    lab.sandbox.faults.clear()
    lab.lender.scan_in(book.barcode, "MAIN")
    assert (await lab.rest(book)).status is S.PICKUP_TRANSIT


REFUSED: list[tuple[str, str, bool]] = [
    ("401664", "Alma misses something that it must be told", True),
    ("40166415", "set circ_desk of this library", True),
    ("401861", "Alma does not know the user", True),
    ("401890", "Alma does not know the user", True),
    ("NOT_FOUND", "Alma knows no such address", True),
    ("401652", "the work may be done all the same", False),
]


@pytest.mark.parametrize(("code", "sentence", "parks"), REFUSED, ids=[each[0] for each in REFUSED])
async def test_a_refusal_of_a_write_has_a_sentence(
    lab: Lab, code: str, sentence: str, parks: bool
) -> None:
    """And what time cannot cure waits for a person; a general error is looked at first."""
    book = await at_status(lab, S.REQUEST_PLACED_AT_BORROWING_AGENCY)
    lab.sandbox.faults.add("error", code=code, institution="uni-b", method="POST", path="op=scan")
    lab.lender.scan_in(book.barcode, "MAIN")
    now: Any = await lab.look(book)
    (intent,) = intents(lab, book, EffectKind.VIRTUAL_ITEM_IN_TRANSIT)
    assert intent.last_code == code
    assert (intent.last_error or "").startswith(f"{code}: Alma ")
    assert sentence in (intent.last_error or "")
    assert (now.parked is not None) == parks
    if parks:
        assert now.parked.reason == "effect_refused"
        assert sentence in now.parked.detail
    else:
        assert intent.state is IntentState.AMBIGUOUS
        assert (await lab.rest(book)).parked is None
