"""Why a transaction waits for a person: stable codes, and what staff do about each."""

from __future__ import annotations

from enum import StrEnum


class ParkReason(StrEnum):
    """Stable codes of why a transaction waits for a person."""

    ITEM_LOST = "item_lost"
    CLAIMED_RETURNED = "claimed_returned"
    ITEM_UNAVAILABLE = "item_unavailable"
    ITEM_ABSENT = "item_absent"
    VIRTUAL_ITEM_ABSENT = "virtual_item_absent"
    """Our own record, which a cataloguer deleted: nobody searches a shelf for it."""
    ITEM_MISMATCH = "item_mismatch"
    USER_ABSENT = "user_absent"
    LOAN_NOT_OURS = "loan_not_ours"
    UNKNOWN_WORD = "unknown_word"
    UNREADABLE_DATE = "unreadable_date"
    MISSING_PLACING_DATA = "missing_placing_data"
    BARCODE_TAKEN = "barcode_taken"
    BARCODE_MISSING = "barcode_missing"
    LOCATION_UNKNOWN = "location_unknown"
    NOT_CONFIGURED = "not_configured"
    PATRON_MISMATCH = "patron_mismatch"
    HOLD_NOT_OURS = "hold_not_ours"
    END_UNTOLD = "end_untold"
    HOLD_USED_UP = "hold_used_up"
    ON_LOAN_TO_OTHER = "on_loan_to_other"
    SHELVED_BY_SCAN = "shelved_by_scan"
    LOAN_NOT_CLOSED = "loan_not_closed"
    NOT_OURS_ANY_MORE = "not_ours_any_more"
    AMBIGUOUS_TWICE = "ambiguous_twice"
    EFFECT_REFUSED = "effect_refused"
    BY_HAND = "by_hand"


STAFF_ADVICE: dict[ParkReason, str] = {
    ParkReason.ITEM_LOST: (
        "The library marked the item as lost or missing. Search for it; when it is found, scan it "
        "in. If it stays lost, settle it between the libraries and close the transaction by hand."
    ),
    ParkReason.CLAIMED_RETURNED: (
        "The reader says that the book was returned. Look on the shelves of both libraries; scan "
        "it in where it is found, then retry."
    ),
    ParkReason.ITEM_UNAVAILABLE: (
        "The item is in a work order or another process that is not part of a lend. Finish that "
        "process in Alma (scan the item out of the department), then retry."
    ),
    ParkReason.ITEM_ABSENT: (
        "Alma does not know this item any more. It may have been withdrawn, moved to another "
        "record or merged. Find the book by its barcode and correct the record."
    ),
    ParkReason.VIRTUAL_ITEM_ABSENT: (
        "The virtual item that we made for this lend is gone: somebody deleted it. No book is "
        "missing. As long as the book is at its lender, retry makes the record and the hold on it "
        "anew; keep the book there until then. Once it is on its way nothing is made anew: hand it "
        "out or bring it home by hand, and close the transaction when it is back."
    ),
    ParkReason.ITEM_MISMATCH: (
        "The item that Alma shows is not the one that this transaction follows. Two items may "
        "share a barcode, or the request was moved to another copy. Compare them in Alma. Where "
        "the other copy is the one that is lent, retry with --accept-copy goes on with it."
    ),
    ParkReason.USER_ABSENT: (
        "Alma does not know this user any more: deleted, renamed or merged. Find the account that "
        "took its place and add the old id to its identifiers. Where there is none, settle the "
        "lend between the libraries and close it by hand."
    ),
    ParkReason.LOAN_NOT_OURS: (
        "The item is on loan to somebody else than the reader who asked for it. Check the loan at "
        "the desk that made it."
    ),
    ParkReason.UNKNOWN_WORD: (
        "Alma used a word that we do not know, and we do not guess. Look at the record in Alma; "
        "report the word to us so that it can be mapped; then retry."
    ),
    ParkReason.UNREADABLE_DATE: (
        "Alma shows a date that can be read in more than one way or in none; the detail has its "
        "text. Nothing is concluded from it: no loan is taken for endless or for overdue, and no "
        "due date is carried over. Open the record in Alma, correct the date and save it; report "
        "the text to us if Alma writes all dates so; then retry."
    ),
    ParkReason.MISSING_PLACING_DATA: (
        "It was taken over before everything was placed, without the data to place the rest. Track "
        "or submit it again with patron, item and pickup, or place the rest by hand."
    ),
    ParkReason.BARCODE_TAKEN: (
        "The borrower's Alma has another item with this barcode, and nothing is placed over it. "
        "Find that item in Alma: remove it if it was left over from an earlier lend, or correct "
        "its barcode."
    ),
    ParkReason.BARCODE_MISSING: (
        "The lender's item has no barcode, so the pickup library could not scan it. Give the item "
        "a barcode in the lender's Alma."
    ),
    ParkReason.LOCATION_UNKNOWN: (
        "The library of the settings has no such location. Correct virtual_library and "
        "virtual_location, or make the location in Alma."
    ),
    ParkReason.NOT_CONFIGURED: "A setting of this library is missing; the detail names it.",
    ParkReason.PATRON_MISMATCH: (
        "Alma answered with another user than the one asked for. Look for a user who carries our "
        "identifier among the identifiers of somebody else, and correct that record."
    ),
    ParkReason.HOLD_NOT_OURS: (
        "The user already has a hold on this item that we did not place, and Alma allows only "
        "one. Cancel that hold, or fill it and close the transaction by hand."
    ),
    ParkReason.END_UNTOLD: (
        "The hold ended while nobody looked, so long ago that Alma may have forgotten the loan it "
        "was filled by. Ask the desk, or look at the item's history in Alma: that it was lent may "
        "stand there, to whom does not. When the reader does not have the book, close the "
        "transaction: its outcome is then unknown, and the lender's hold, which would send the "
        "book out again, is ended. If the library keeps returned loans for longer than the "
        "settings say, correct loans_kept."
    ),
    ParkReason.HOLD_USED_UP: (
        "The lender lent the book to the virtual patron and took it back, so that its hold is used "
        "up and nothing sends the book. Lend it to the virtual patron once more and send it; or "
        "close the transaction and ask for the book anew."
    ),
    ParkReason.ON_LOAN_TO_OTHER: (
        "The item is on loan to somebody else, so it cannot be loaned for this lend. Check that "
        "loan at the desk that made it."
    ),
    ParkReason.SHELVED_BY_SCAN: (
        "A scan that should have put the virtual item in transit put it on a hold shelf, so Alma "
        "may tell the reader that a book is there which is not. Correct transit_library: it must "
        "not be a pickup library; then put the virtual item in transit by hand."
    ),
    ParkReason.LOAN_NOT_CLOSED: (
        "The loan of the virtual item could not be closed by a scan. Return the item in Alma by "
        "hand."
    ),
    ParkReason.NOT_OURS_ANY_MORE: (
        "The record does not carry our mark any more: it was merged, overlaid or edited, so it is "
        "not removed. Look at it in Alma and remove it by hand if it is a virtual one."
    ),
    ParkReason.AMBIGUOUS_TWICE: (
        "It was sent without a clear answer and cannot be found in Alma. Look for it by "
        "hand (the mark in the note or comment is the transaction's id)."
    ),
    ParkReason.EFFECT_REFUSED: (
        "Alma refuses, for a reason that time does not cure: the detail has its code and words. "
        "Correct the cause in Alma or in the settings."
    ),
    ParkReason.BY_HAND: "A person set this aside; the reason is in the history.",
}
"""What staff do about each reason, shown by `explain`."""

OUR_HOLDS_ARE_CERTAIN: dict[ParkReason, bool] = {
    ParkReason.ITEM_LOST: True,
    ParkReason.CLAIMED_RETURNED: True,
    ParkReason.ITEM_UNAVAILABLE: True,
    ParkReason.ITEM_ABSENT: False,  # moved to another record it may have taken its holds along
    ParkReason.VIRTUAL_ITEM_ABSENT: True,
    ParkReason.ITEM_MISMATCH: False,
    ParkReason.USER_ABSENT: False,  # a merged user's hold lives on under another id
    ParkReason.LOAN_NOT_OURS: False,  # perhaps our reader, under another id
    ParkReason.UNKNOWN_WORD: True,  # of a hold itself the cancel asks again, and knows no word
    ParkReason.UNREADABLE_DATE: True,
    ParkReason.MISSING_PLACING_DATA: True,
    ParkReason.BARCODE_TAKEN: True,
    ParkReason.BARCODE_MISSING: True,
    ParkReason.LOCATION_UNKNOWN: True,
    ParkReason.NOT_CONFIGURED: True,
    ParkReason.PATRON_MISMATCH: False,
    ParkReason.HOLD_NOT_OURS: False,
    ParkReason.END_UNTOLD: True,
    ParkReason.HOLD_USED_UP: True,
    ParkReason.ON_LOAN_TO_OTHER: True,
    ParkReason.SHELVED_BY_SCAN: True,
    ParkReason.LOAN_NOT_CLOSED: True,
    ParkReason.NOT_OURS_ANY_MORE: False,  # a merged record may have handed its holds on
    ParkReason.AMBIGUOUS_TWICE: True,
    ParkReason.EFFECT_REFUSED: True,
    ParkReason.BY_HAND: False,  # a person said: nothing more
}
"""Whether a hold that the journey has done with is ended though this waits for a person.

Left alive it catches the book and sends it out again, while nobody looks. It is the only effect
that does not wait: a loan, or a record, may be the very thing that the person has to see.
"""
