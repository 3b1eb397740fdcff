"""The reader's stand-in at the lender: which identifiers it has, and which id we go on with."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from reconciler.core.commands.placing import Patron, virtual_patron_id
from reconciler.core.status import DcbStatus
from reconciler.sandbox.records import Identifier
from tests.support.lab import Book, Lab
from tests.support.lab import lab as make_lab

S = DcbStatus


def identifier_of(book: Book) -> str:
    given = book.line["patron"]
    return virtual_patron_id(Patron(given["host_lms"], given["host_lms"], given["user_id"]))


def new_users(at: Lab) -> list[dict[str, Any]]:
    calls = at.sandbox.calls.matching("POST", r"/users(\?|$)", "uni-a")
    return [json.loads(call.body) for call in calls]


async def placed(at: Lab, book: Book) -> None:
    await at.submit(book)
    assert (await at.rest(book)).status is S.REQUEST_PLACED_AT_BORROWING_AGENCY


# --- identifiers ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("cards", "kept"),
    [
        ([], []),
        (["7"], ["7"]),
        (["7", "8"], ["7", "8"]),
        (["8", "7", "8"], ["8", "7"]),
        (["0042", "42"], ["0042", "42"]),
        (["00 17", " 0018 "], ["00 17", "0018"]),
    ],
    ids=str,
)
async def test_card_numbers_are_identifiers_of_their_own_type_each_once_and_as_they_are(
    lab: Lab, cards: list[str], kept: list[str]
) -> None:
    book = lab.wanted(patron={"barcodes": cards})
    await placed(lab, book)
    (made,) = new_users(lab)
    found = [(each["id_type"]["value"], each["value"]) for each in made["user_identifier"]]
    assert found == [("INST_ID", identifier_of(book)), *(("BARCODE", each) for each in kept)]


async def test_a_card_with_the_number_of_the_identifier_is_no_second_one(lab: Lab) -> None:
    """Alma refuses a user with two identifiers of one value: ours comes before the card."""
    book = lab.wanted()
    book.line["patron"]["barcodes"] = [identifier_of(book).lower(), "7"]
    await placed(lab, book)
    (made,) = new_users(lab)
    assert [each["value"] for each in made["user_identifier"]] == [identifier_of(book), "7"]


@pytest.mark.parametrize("nothing", [None, "", "  ", ["7"]], ids=repr)
async def test_a_card_number_that_is_none_is_named_and_nothing_is_written(
    lab: Lab, nothing: Any
) -> None:
    book = lab.wanted(patron={"barcodes": ["7", nothing]})
    report = await lab.app.submit([json.dumps(book.line).encode()], "test")
    assert [bad.field for bad in report.refused] == ["patron.barcodes.1"]
    assert [call for call in lab.sandbox.calls if call.method != "GET"] == []


# --- which id we go on with --------------------------------------------------------


async def test_only_the_primary_id_that_alma_kept_is_used(lab: Lab) -> None:
    lab.lender.dialect.update(primary_id="altered")
    book = lab.wanted()
    await placed(lab, book)
    (user,) = lab.lender.users.find("value", identifier_of(book).casefold())
    assert user.primary_id != identifier_of(book)
    assert lab.stored(book).supplier.user_id == user.primary_id
    (hold,) = lab.sandbox.calls.matching("POST", "/requests", "uni-a")
    assert f"/users/{user.primary_id}/requests" in hold.path


async def test_one_who_has_our_identifier_beside_another_primary_id_is_found(lab: Lab) -> None:
    book = lab.wanted()
    card = Identifier(identifier_of(book), "INST_ID")
    lab.lender.add_user("made-by-staff", "DCB", identifiers=(card,))
    await placed(lab, book)
    assert new_users(lab) == []
    assert lab.stored(book).supplier.user_id == "made-by-staff"


async def test_another_user_than_the_one_asked_for_is_nobody_of_ours(lab: Lab) -> None:
    book = lab.wanted()
    await lab.submit(book)
    lab.sandbox.faults.add(
        "other", institution="uni-a", method="GET", path="/users/DCB-", times=None
    )
    now = await lab.rest(book)
    assert now.parked is not None
    assert (now.parked.reason, now.status) == ("patron_mismatch", S.RESOLVED)
    assert [call for call in lab.sandbox.calls if call.method != "GET"] == []


async def test_another_reader_than_the_one_named_is_refused(lab: Lab) -> None:
    book = lab.wanted()
    lab.sandbox.faults.add("other", institution="uni-b", method="GET", path="/users/", times=None)
    report = await lab.app.submit([json.dumps(book.line).encode()], "test")
    assert [bad.code for bad in report.refused] == ["patron_mismatch"]


async def test_users_are_looked_up_by_identifier_and_never_searched_for(lab: Lab) -> None:
    await placed(lab, lab.wanted(patron={"barcodes": ["7"]}))
    lookups = lab.sandbox.calls.matching("GET", r"/users(/[^/]+)?\?", "uni-a")
    assert lookups
    assert [call for call in lookups if "q=" in call.query or call.path.endswith("/users")] == []


# --- names ------------------------------------------------------------------------


@pytest.mark.parametrize("shown", [False, True])
async def test_names_are_for_display_only_and_by_choice(shown: bool, tmp_path: Path) -> None:
    async with make_lab(tmp_path, patience="1s", virtual_patron={"show_names": shown}) as at:
        book = at.wanted(patron={"names": ["Grete", "Hermann"]})
        await placed(at, book)
        (made,) = new_users(at)
        names = (made["first_name"], made["last_name"])
        assert names == (("Grete", "Hermann") if shown else ("DCB", "VPATRON"))
        asked = "".join(f"{call.path}?{call.query}" for call in at.sandbox.calls)
        assert "Hermann" not in asked
        again = at.wanted(patron={**book.line["patron"], "names": ["Other", "Name"]})
        await placed(at, again)
        assert at.stored(again).supplier.user_id == at.stored(book).supplier.user_id
        assert len(new_users(at)) == 1
