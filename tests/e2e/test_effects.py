"""What is made in an Alma, when it is not, and what staff are told then."""

from __future__ import annotations

import json
from datetime import date, timedelta
from typing import Any

import pytest

from reconciler.core.commands.placing import Patron, virtual_patron_id
from reconciler.core.model import HostLmsCode, Intent, UserSight
from reconciler.core.status import DcbStatus, EffectKind, IntentState
from tests.support.lab import SETTLE, Book, Lab

S = DcbStatus


def effect(at: Lab, book: Book, kind: EffectKind) -> Intent:
    (found,) = [each for each in at.app.store.intents(at.stored(book).id) if each.kind is kind]
    return found


def writes(at: Lab, method: str, path: str) -> list[Any]:
    return list(at.sandbox.calls.matching(method, path))


def virtual_patron(book: Book) -> str:
    given = book.line["patron"]
    return virtual_patron_id(Patron(given["host_lms"], given["host_lms"], given["user_id"]))


async def placed(at: Lab, **changes: Any) -> Book:
    book = at.wanted(**changes)
    await at.submit(book)
    assert (await at.rest(book)).status is S.REQUEST_PLACED_AT_BORROWING_AGENCY
    return book


async def lent(at: Lab, **changes: Any) -> Book:
    book = await placed(at, **changes)
    at.lender.scan_in(book.barcode, "MAIN")
    await at.rest(book)
    at.borrower.scan_in(book.barcode, "MAIN")
    await at.rest(book)
    at.borrower.loan(book.barcode, book.reader, "MAIN")
    assert (await at.rest(book)).status is S.LOANED
    return book


async def home(at: Lab, book: Book) -> DcbStatus:
    at.borrower.return_item(book.barcode, "MAIN")
    await at.rest(book)
    at.lender.scan_in(book.barcode, "MAIN")
    return (await at.rest(book)).status


# --- the virtual patron ------------------------------------------------------


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "html_401"},
        {"kind": "forbidden_403"},
        {"kind": "error", "code": "UNAUTHORIZED", "status": 400},
        {"kind": "per_second"},
        {"kind": "daily"},
        {"kind": "json_500"},
        {"kind": "empty_503"},
        {"kind": "hang"},
        {"kind": "reset"},
        {"kind": "html_200"},
        {"kind": "empty_200"},
        {"kind": "error", "code": "401652"},
        {"kind": "status", "status": 404},
    ],
    ids=str,
)
async def test_only_a_proved_absence_lets_a_user_be_made(lab: Lab, fault: dict[str, Any]) -> None:
    book = lab.wanted()
    await lab.submit(book)
    lab.sandbox.faults.add(**fault, institution="uni-a", method="GET", path="/users/", times=None)
    now = await lab.look(book)
    assert writes(lab, "POST", "") == []
    assert (now.status, now.parked) == (S.RESOLVED, None)
    lab.sandbox.faults.clear()
    assert (await lab.rest(book)).status is S.REQUEST_PLACED_AT_BORROWING_AGENCY
    assert lab.virtual_patrons(book) == 1


async def test_two_lends_of_a_reader_share_one_virtual_patron(lab: Lab) -> None:
    first, second = lab.wanted(), lab.wanted()
    second.line["patron"] = first.line["patron"]
    for book in (first, second):
        await lab.submit(book)
    lab.lender.read_lag = 30
    await lab.rest(first)
    assert (await lab.rest(second)).status is S.REQUEST_PLACED_AT_BORROWING_AGENCY
    assert lab.virtual_patrons(first) == 1
    legs = [lab.stored(book).supplier.user_id for book in (first, second)]
    assert legs[0] == legs[1] == virtual_patron(first)


async def test_a_card_number_that_somebody_has_makes_no_two_readers_one(lab: Lab) -> None:
    book = lab.wanted()
    lab.lender.add_user("other", barcodes=book.line["patron"]["barcodes"])
    await lab.submit(book)
    await lab.rest(book)
    assert lab.stored(book).supplier.user_id == virtual_patron(book)
    made = json.loads(writes(lab, "POST", "/users")[0].body)
    assert [each["value"] for each in made["user_identifier"]] == [virtual_patron(book)]


async def test_the_virtual_patron_is_nobody_unless_names_are_wanted(lab: Lab) -> None:
    await placed(lab, patron={"names": ["Ada", "Lovelace"], "barcodes": ["7", "7", "8"]})
    (made,) = [json.loads(call.body) for call in writes(lab, "POST", r"/users(\?|$)")]
    assert (made["first_name"], made["last_name"]) == ("DCB", "VPATRON")
    assert made["account_type"] == {"value": "EXTERNAL"}
    assert made["record_type"] == {"value": "PUBLIC"}
    assert [each["value"] for each in made["user_identifier"]][1:] == ["7", "8"]


async def test_a_card_that_ends_soon_is_extended_and_the_record_goes_back_whole(lab: Lab) -> None:
    book = lab.wanted()
    soon = lab.clock.now().date() + timedelta(days=29)
    lab.lender.add_user(
        virtual_patron(book), "DCB", expiry_date=soon, other={"web_site_url": "x.example"}
    )
    await lab.submit(book)
    await lab.rest(book)
    assert writes(lab, "POST", r"/users(\?|$)") == []
    (put,) = writes(lab, "PUT", "/users/")
    sent = json.loads(put.body)
    assert sent["web_site_url"] == "x.example"
    assert sent["expiry_date"] > f"{soon.isoformat()}Z"
    unknown = UserSight(lab.stored(book).supplier.user_id, document={**sent, "of_2030": {"x": [1]}})  # type: ignore[arg-type]
    await lab.app.libraries.writer(HostLmsCode("uni-a")).extend_user(unknown, date(2030, 1, 1))
    again = json.loads(writes(lab, "PUT", "/users/")[1].body)
    assert again == {**sent, "of_2030": {"x": [1]}, "expiry_date": "2030-01-01Z"}


async def test_a_blocked_virtual_patron_is_shown_and_tried_again(lab: Lab) -> None:
    book = lab.wanted()
    await lab.submit(book)
    lab.lender.add_user(virtual_patron(book), "DCB")
    lab.lender.block_user(virtual_patron(book))
    now = await lab.look(book)
    assert (now.status, now.parked) == (S.RESOLVED, None)
    shown = effect(lab, book, EffectKind.VIRTUAL_PATRON)
    assert (shown.state, shown.last_code) == (IntentState.REFUSED, "patron_blocked")
    lab.lender.unblock_user(virtual_patron(book))
    assert (await lab.rest(book)).status is S.REQUEST_PLACED_AT_BORROWING_AGENCY


# --- holds -------------------------------------------------------------------


async def test_a_hold_carries_our_mark_and_is_picked_up_outside(lab: Lab) -> None:
    book = await placed(lab, note="urgent")
    lender, borrower = [json.loads(call.body) for call in writes(lab, "POST", "/requests")]
    assert lender == {
        "request_type": "HOLD",
        "pickup_location_type": "LIBRARY",
        "pickup_location_library": "RES_OUT",
        "comment": f"urgent [DCB:{book.id}]",
    }
    assert borrower["pickup_location_library"] == "MAIN"


async def test_a_hold_of_the_same_user_by_hand_is_not_ours(lab: Lab) -> None:
    book = lab.wanted()
    await lab.submit(book)
    lab.lender.add_user(virtual_patron(book), "DCB")
    by_hand = lab.lender.place_hold(
        virtual_patron(book), book.barcode, "RES_OUT", comment="by hand"
    )
    now = await lab.rest(book)
    assert now.parked is not None
    assert now.parked.reason == "hold_not_ours"
    assert writes(lab, "POST", "/requests") == []
    assert [hold.request_id for hold in lab.lender.requests.rows()] == [by_hand.request_id]


async def test_401129_is_explained_by_item_pickup_and_group(lab: Lab) -> None:
    book = lab.wanted()
    lab.lender.add_user_group("DCB", may_request=False)
    await lab.submit(book)
    await lab.look(book)
    refused = effect(lab, book, EffectKind.SUPPLIER_HOLD)
    assert (refused.state, refused.last_code) == (IntentState.REFUSED, "401129")
    assert refused.tracking_id
    for part in (book.line["item"]["item_pid"], "RES_OUT", "group DCB", "terms of use"):
        assert part in (refused.last_error or "")
    lab.lender.add_user_group("DCB", may_request=True)
    assert (await lab.rest(book)).status is S.REQUEST_PLACED_AT_BORROWING_AGENCY


async def test_a_sharing_library_that_cannot_be_a_pickup_is_named(lab: Lab) -> None:
    lab.lender.libraries["RES_OUT"].resource_sharing = True
    book = lab.wanted()
    await lab.submit(book)
    await lab.look(book)
    refused = effect(lab, book, EffectKind.SUPPLIER_HOLD)
    assert "a resource sharing library cannot be one" in (refused.last_error or "")


# --- records -----------------------------------------------------------------

TITLES = [
    "Q&A <1>",
    "x" * 300,
    "ألف ليلة وليلة",
    "עץ הדעת",
    "Emoji 📚 and 𝔘𝔫𝔦𝔠𝔬𝔡𝔢",
    "tab\tand\x0bcontrol\x00and ]]> and \"quotes'",
]


@pytest.mark.parametrize("title", TITLES, ids=range(len(TITLES)))
async def test_any_title_comes_back_as_it_was(lab: Lab, title: str) -> None:
    book = await placed(lab, item={"title": title, "author": "O'Neill & <Sons>"})
    (bib,) = [each for each in lab.borrower.bibs.rows() if f"(DCB){book.id}" in each.system_numbers]
    kept = title.replace("\t", " ").replace("\x0b", "").replace("\x00", "")
    assert (bib.title, bib.suppressed) == (kept, True)


@pytest.mark.parametrize("user", ["a/b", "ada@uni-b.example", "Ada L", "a+b", "50%25", "ä/ö?x=1#y"])
async def test_any_user_id_is_found_and_kept(lab: Lab, user: str) -> None:
    lab.borrower.add_user(user)
    book = await placed(lab, patron={"user_id": user})
    (hold,) = [
        each for each in lab.borrower.requests.rows() if f"[DCB:{book.id}]" in (each.comment or "")
    ]
    owner = lab.borrower.users.get(hold.user_key)
    assert owner is not None
    assert owner.primary_id == user


async def test_the_virtual_item_is_mapped_and_stands_where_the_settings_say(lab: Lab) -> None:
    book = await placed(lab, item={"item_type": "anything"})
    (item,) = lab.borrower.items.find("barcode", book.barcode)
    holding = lab.borrower.holdings.get(item.holding_id)
    assert holding is not None
    assert (holding.library, holding.location) == ("DCB", "DCBVIRTUAL")
    made = json.loads(writes(lab, "POST", "/items")[0].body)["item_data"]
    assert made["physical_material_type"] == {"value": "BOOK"}
    assert made["internal_note_1"] == f"[DCB:{book.id}]"


async def test_a_location_that_is_not_there_is_never_guessed(lab: Lab) -> None:
    lab.borrower.libraries["DCB"].locations.clear()
    book = lab.wanted()
    await lab.submit(book)
    now = await lab.rest(book)
    assert now.parked is not None
    assert (now.parked.reason, now.status) == ("location_unknown", S.CONFIRMED)


async def test_a_barcode_that_is_taken_meanwhile_is_found_and_the_half_made_is_removed(
    lab: Lab,
) -> None:
    book = lab.wanted()
    await lab.submit(book)
    lab.sandbox.faults.add("per_second", institution="uni-b", method="POST", path="/items", times=1)
    await lab.look(book)
    assert lab.counts(book)["borrower bibs"] == 1
    lab.borrower.add_book("Somebody's own", book.barcode, "MAIN", "STACKS")
    now = await lab.rest(book)
    assert now.parked is not None
    assert (now.parked.reason, now.status) == ("barcode_taken", S.CONFIRMED)
    await lab.rest(book)
    assert {kind: n for kind, n in lab.counts(book).items() if kind != "supplier holds"} == {}
    (kept,) = lab.borrower.items.find("barcode", book.barcode)
    assert kept.library == "MAIN"


# --- transit -----------------------------------------------------------------


async def test_no_scan_is_made_where_it_would_shelve_the_item(lab: Lab) -> None:
    book = await placed(lab, pickup={"library": "DCB"})
    lab.lender.scan_in(book.barcode, "MAIN")
    await lab.rest(book)
    assert writes(lab, "POST", "op=scan") == []
    assert any("not scanned: DCB is also the pickup library" in row for row in lab.history(book))


async def test_what_is_not_ours_is_neither_moved_nor_removed(lab: Lab) -> None:
    """A lend that somebody else placed: followed home, and left as it is."""
    line = _tracked(lab)
    book = Book("tracked", "TRACK", "reader-b1", line)
    lab.app.desk.track([json.dumps(line).encode()], "test")
    await _whole_way(lab, book)
    assert lab.stored(book).status is S.FINALISED
    assert writes(lab, "POST", "op=scan") == []
    assert writes(lab, "DELETE", "") == []
    (item,) = lab.borrower.items.find("barcode", "TRACK")
    assert "[DCB" not in str(item)


async def test_what_a_tracked_line_says_is_ours_is_moved_and_removed(lab: Lab) -> None:
    line = {**_tracked(lab), "owned": True}
    book = Book("tracked", "TRACK", "reader-b1", line)
    lab.app.desk.track([json.dumps(line).encode()], "test")
    await _whole_way(lab, book)
    assert lab.stored(book).status is S.FINALISED
    assert len(writes(lab, "POST", "op=scan")) == 1
    assert lab.borrower.items.find("barcode", "TRACK") == []
    assert lab.borrower.bibs.get(line["borrower"]["mms_id"]) is None


def _tracked(lab: Lab) -> dict[str, Any]:
    lab.lender.add_user("vp", "DCB")
    real = lab.lender.add_book("Tracked", "TRACK", "MAIN", "STACKS")
    virtual = lab.borrower.add_book("Tracked", "TRACK", "DCB", "DCBVIRTUAL", suppressed="true")
    holds = (
        lab.lender.place_hold("vp", real.pid, "RES_OUT"),
        lab.borrower.place_hold("reader-b1", virtual.pid, "MAIN"),
    )

    def leg(code: str, user: str, item: Any, request_id: str) -> dict[str, Any]:
        return {
            "host_lms": code,
            "user_id": user,
            "request_id": request_id,
            "mms_id": item.mms_id,
            "holding_id": item.holding_id,
            "item_pid": item.pid,
            "item_barcode": "TRACK",
        }

    return {
        "id": "tracked",
        "status": "REQUEST_PLACED_AT_BORROWING_AGENCY",
        "supplier": leg("uni-a", "vp", real, holds[0].request_id),
        "borrower": leg("uni-b", "reader-b1", virtual, holds[1].request_id),
    }


async def _whole_way(lab: Lab, book: Book) -> None:
    lab.lender.scan_in(book.barcode, "MAIN")
    await lab.rest(book)
    lab.borrower.scan_in(book.barcode, "MAIN")
    await lab.rest(book)
    lab.borrower.loan(book.barcode, book.reader, "MAIN")
    await lab.rest(book)
    await home(lab, book)


# --- loans -------------------------------------------------------------------


async def test_a_loan_is_made_at_the_items_own_library_and_follows_the_readers_date(
    lab: Lab,
) -> None:
    lab.lender.add_user_group("DCB", loan_days=7)
    book = lab.wanted()
    lab.lender.move_item(book.barcode, "BRANCH", "OPEN", temporary=False)
    await lab.submit(book)
    await lab.rest(book)
    lab.lender.scan_in(book.barcode, "BRANCH")
    await lab.rest(book)
    lab.borrower.scan_in(book.barcode, "MAIN")
    await lab.rest(book)
    readers = lab.borrower.loan(book.barcode, book.reader, "MAIN")
    await lab.rest(book)
    made = json.loads(writes(lab, "POST", "/loans")[0].body)
    assert made["library"] == {"value": "BRANCH"}
    assert made["circ_desk"] == {"value": "DEFAULT_CIRC_DESK"}
    assert made["request_id"] == {"value": lab.stored(book).supplier.request_id}
    (lenders,) = [each for each in lab.lender.loans.rows() if each.active]
    assert abs(lenders.due_date - readers.due_date) < timedelta(minutes=1)


async def test_a_refused_loan_keeps_code_words_and_tracking_id_and_is_made_later(lab: Lab) -> None:
    book = await placed(lab)
    lab.lender.block_user(virtual_patron(book), "Blocked", note="call ada@uni-b.example 123456")
    lab.lender.scan_in(book.barcode, "MAIN")
    lab.borrower.scan_in(book.barcode, "MAIN")
    lab.borrower.loan(book.barcode, book.reader, "MAIN")
    now = await lab.look(book)
    assert (now.status, now.parked) == (S.LOANED, None)
    refused = effect(lab, book, EffectKind.SUPPLIER_LOAN)
    assert (refused.state, refused.last_code) == (IntentState.REFUSED, "401163")
    assert refused.tracking_id
    assert "blocked" in (refused.last_error or "")
    assert "123456" not in (refused.last_error or "")
    assert "ada@" not in (refused.last_error or "")
    explained = lab.app.desk.explain(now.id)
    assert explained["pending_effects"][0]["code"] == "401163"
    await lab.look(book)
    before = len(lab.history(book))
    for _ in range(4):
        lab.clock.advance(timedelta(hours=6))
        await lab.cycle()
    tries = len(writes(lab, "POST", "/loans"))
    assert 3 <= tries <= 6
    assert lab.history(book)[before:] == []
    lab.lender.unblock_user(virtual_patron(book))
    await lab.rest(book, longest=timedelta(days=1))
    assert lab.lender_loans(book) == 1
    assert await home(lab, book) is S.FINALISED


async def test_a_loan_that_time_does_not_cure_waits_for_a_person(lab: Lab) -> None:
    book = await placed(lab)
    (item,) = lab.lender.items.find("barcode", book.barcode)
    lab.lender.change(item, policy="READING")
    lab.lender.scan_in(book.barcode, "MAIN")
    lab.borrower.scan_in(book.barcode, "MAIN")
    lab.borrower.loan(book.barcode, book.reader, "MAIN")
    now = await lab.look(book)
    assert now.parked is not None
    assert (now.parked.reason, now.status) == ("effect_refused", S.LOANED)
    assert "401651" in now.parked.detail


async def test_a_hold_that_was_never_lent_is_ended_before_the_book_is_scanned_at_home(
    lab: Lab,
) -> None:
    book = await placed(lab)
    lab.lender.block_user(virtual_patron(book))
    lab.lender.scan_in(book.barcode, "MAIN")
    await lab.rest(book)
    lab.borrower.scan_in(book.barcode, "MAIN")
    lab.borrower.loan(book.barcode, book.reader, "MAIN")
    await lab.look(book)
    lab.borrower.return_item(book.barcode, "MAIN")
    assert (await lab.look(book)).status is S.RETURN_TRANSIT
    assert effect(lab, book, EffectKind.SUPPLIER_LOAN).state is IntentState.WITHDRAWN
    assert any("withdrawn, the journey has overtaken it" in row for row in lab.history(book))
    lab.lender.scan_in(book.barcode, "MAIN")
    (item,) = lab.lender.items.find("barcode", book.barcode)
    assert item.process == ""
    assert (await lab.rest(book)).status is S.FINALISED


# --- clean-up ----------------------------------------------------------------


async def test_the_readers_open_loan_is_closed_before_anything_is_deleted(lab: Lab) -> None:
    book = await lent(lab)
    lab.lender.scan_in(book.barcode, "MAIN")  # the reader brought it to the lender
    assert (await lab.rest(book)).status is S.FINALISED
    assert [loan.active for loan in lab.borrower.loans.rows()] == [False]
    assert lab.counts(book) == {}


async def test_a_refused_delete_is_visible_and_tried_again(lab: Lab) -> None:
    book = await lent(lab)
    (virtual,) = lab.borrower.items.find("barcode", book.barcode)
    staffs = lab.borrower.place_hold("reader-b2", virtual.pid, "MAIN")
    lab.borrower.return_item(book.barcode, "MAIN")
    await lab.look(book)
    lab.lender.scan_in(book.barcode, "MAIN")
    now = await lab.look(book)
    assert (now.status, now.parked) == (S.COMPLETED, None)
    refused = effect(lab, book, EffectKind.VIRTUAL_ITEM_REMOVED)
    assert (refused.state, refused.last_code) == (IntentState.REFUSED, "still_requested")
    lab.borrower.cancel_request(staffs.request_id)
    assert (await lab.rest(book, longest=timedelta(days=2))).status is S.FINALISED
    assert lab.counts(book) == {}


async def test_a_bib_that_lost_our_number_is_left_to_a_person(lab: Lab) -> None:
    book = await lent(lab)
    mms_id = lab.stored(book).borrower.mms_id  # type: ignore[union-attr]
    lab.borrower.overlay_bib(str(mms_id), "Another book now")
    await home(lab, book)
    now = lab.stored(book)
    assert now.parked is not None
    assert now.parked.reason == "not_ours_any_more"
    assert lab.borrower.bibs.get(str(mms_id)) is not None


async def test_a_cancellation_gives_its_reason_and_tells_nobody(lab: Lab) -> None:
    book = await placed(lab)
    lab.lender.scan_in(book.barcode, "MAIN")
    lab.borrower.scan_in(book.barcode, "MAIN")
    lab.borrower.loan(book.barcode, book.reader, "MAIN")
    lab.borrower.return_item(book.barcode, "MAIN")
    await lab.rest(book)
    (call,) = writes(lab, "DELETE", "/requests/")
    assert "reason=CannotBeFulfilled" in call.query
    assert "notify_user=false" in call.query


# --- reads that lag longer than we settle for --------------------------------


@pytest.mark.parametrize("where", ["uni-a", "uni-b"])
async def test_a_hold_that_alma_has_but_does_not_list_yet_is_waited_for(
    lab: Lab, where: str
) -> None:
    book = lab.wanted()
    await lab.submit(book)
    lab.sandbox[where].read_lag = 1.5 * SETTLE.total_seconds()
    lab.sandbox.faults.add(
        "reset", when="after", institution=where, method="POST", path="/requests"
    )
    assert (await lab.rest(book)).status is S.REQUEST_PLACED_AT_BORROWING_AGENCY
    tried = [call for call in writes(lab, "POST", "/requests") if call.institution == where]
    assert [call.status for call in tried[1:]] == [400]
    assert lab.stored(book).parked is None
