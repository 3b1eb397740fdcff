"""The one error of the simulated API, and Alma's texts for its codes (alma-api.md 12)."""

from __future__ import annotations

from typing import Final


class AlmaError(Exception):
    """A business refusal: HTTP 400 with a code, unless `status` says otherwise (1.2)."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code} {message}")
        self.code = code
        self.message = message
        self.status = status


class UnknownPath(Exception):
    """No such address: HTTP 404 with the wrapped body (1.2, form 2)."""


_TEXTS: Final = {
    "400042": "Item is already loaned to patron.",
    "401129": "No items can fulfill the submitted request.",
    "401136": "Failed to save the request: Patron has active request for selected item.",
    "401151": "User is not a patron or the patron role is not active.",
    "401153": "Item cannot be loaned from this circulation desk.",
    "401158": "Item is on loan to another patron.",
    "401161": "Patron has reached the loan limit.",
    "401168": "Patron's card has expired",
    "401198": "Patron has loaned another copy of this title.",
    "401651": "Item is not loanable.",
    "401652": "General Error - An error has occurred while processing the request.",
    "401664": "Mandatory field is missing: {0}",
    "401672": "PID field is empty.",
    "401676": "No valid {0} was given.",
    "401681": "Due date cannot be in the past.",
    "401683": "No Item found for mmsId {0}, holdings id {1} and item id {2}.",
    "401688": "Search failed for Items with mmsId {0}, holdings id {1}.",
    "401689": "No items found for barcode {0}.",
    "401690": "The barcode {0} is not legal.",
    "401694": "Request Identifier not found.",
    "401697": "Request ID is not valid",
    "401822": "Cannot renew loan:  {0} - {1}",
    "401823": "Loan ID {0} does not exist.",
    "401824": "Due date is not in loan object.",
    "401849": "Item delete errors: {0}",
    "401850": "Failed to delete user with identifier {0} of type {1}.",
    "401851": "User with identifier {0} of type {1} already exists.",
    "401852": "Given user group is not legal.",
    "401853": "External Id must be empty for internal user.",
    "401854": "External Id must be given for external user.",
    "401857": "The given user account type is illegal (must be INTERNAL/EXTERNAL).",
    "401858": "The external id in DB does not fit the given value in xml - "
    "external id cannot be updated.",
    "401861": "User with identifier {0} was not found.",
    "401863": "Given {0} type ({1}) is not supported for given user record type ({2}).",
    "401864": "Given {0} type ({1}) is invalid.",
    "401866": "User authentication failed",
    "401873": "Request failed: {0}",
    "401890": "User with identifier {0} of type {1} was not found.",
    "401891": "Pickup library with code {0} was not found.",
    "401895": "Pickup circulation desk with code {0} and library code {1} was not found.",
    "401907": "Failed to find a request for the given request ID.",
    "40166404": "An invalid field has been entered in the item object.",
    "40166411": "The parameter {0} is invalid. Received: {1}.",
    "40166415": "Must send at least one of the following parameters: [{0}]",
    "402119": "General error.",
    "402203": "Input parameters mmsId {0} is not valid.",
    "402204": "Input parameters mmsId {0} is not numeric.",
    "402208": "Search failed for Holdings ID: {0}",
    "402209": "Given bib xml is invalid.",
    "402211": "Given holding xml is invalid.",
    "402212": "Failed to create new holding.",
    "402469": "Current library is not valid.",
    "4022020": "Delete Bib error. {0}",
    "33008": "Failed to create holding due to errors: {0}",
    "60105": "JSON is not supported for this API.",
    "60212": "Deletion of holdings record failed.",
    "60213": "Holding ID not valid.",
    "60214": "Holding has been deleted or cannot be deleted.",
    "60215": "Current location is not valid.",
    "60217": "The offset is too large.",
    "60218": "Invalid action on Bib record without holdings.",
    "60229": "Failed to find linked account for user.",
    "60308": "Delivery to personal address is not supported.",
    "60324": "Fulfillment network is not configured.",
    "60328": "Item for request was not found.",
    "60331": "Failed to create request.",
    "UNAUTHORIZED": "API-key not defined or not configured to allow this API.",
    "PER_SECOND_THRESHOLD": "HTTP requests are more than allowed per second. "
    "See https://goo.gl/2x1c1M ",
    "DAILY_THRESHOLD": "Daily API Request Threshold has been reached. For details see: "
    "https://developers.exlibrisgroup.com/alma/apis#threshold",
}


def refusal(code: str, *values: str) -> AlmaError:
    """The error of a code with Alma's text, its blanks filled with `values` in order."""
    text = _TEXTS.get(code, _TEXTS["401652"])
    return AlmaError(code, text.format(*values, *("",) * 3))


def text_of(code: str) -> str:
    """Alma's text for a code, blanks left empty; for errors that are made up on demand."""
    return _TEXTS.get(code, _TEXTS["401652"]).format("", "", "")
