"""Switches for what the contract leaves open (alma-api.md: UNCERTAIN, section 14), per institution.

The first word of each choice is the default: the variant that the sources make most likely.
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any, Literal, get_args, get_origin, get_type_hints


@dataclass(slots=True)
class Dialect:
    """Set one field, or several by name with `update`; unknown names and words are refused."""

    # payloads, fixtures/README.md 1-3 and 16
    style: Literal["new", "old", "label", "lean"] = "new"
    language: Literal["en", "de"] = "en"
    links: Literal["absolute", "hostless"] = "absolute"
    loan_ids: bool = True
    due_date_style: Literal["utc", "named_zone", "offset_and_z"] = "utc"
    location_desks: bool = False
    # errors, section 1.2 and 1.4
    error_shape: Literal["list", "no_result", "object", "wrapped"] = "list"
    threshold_body: Literal["json", "xml"] = "json"
    probe_body: Literal["negotiated", "xml"] = "negotiated"
    # lists, section 1.3
    limit_over_100: Literal["clipped", "refused"] = "clipped"
    past_end: Literal["no_key", "empty_list", "60217"] = "no_key"
    unknown_holding_list: Literal["401688", "empty"] = "401688"
    bib_requests: Literal["all", "title_level"] = "all"
    # users, section 2.3
    primary_id: Literal["as_sent", "altered", "required"] = "as_sent"
    patron_role_on_create: bool = True
    # requests, section 3.2 to 3.7, fixtures/README.md 45
    request_times: bool = True
    fresh_hold: Literal["in_process", "not_started"] = "in_process"
    cancelled_request: Literal["history", "not_found"] = "history"
    fulfilled_request: Literal["history", "not_found"] = "history"
    expired_request: Literal["history", "not_found"] = "history"
    request_history_listed: bool = False
    unknown_request_get: Literal["401694", "401697", "401907"] = "401694"
    unknown_request_delete: Literal["401697", "401694"] = "401697"
    validate_cancel_reason: bool = False
    resource_sharing_pickup: Literal["refused", "allowed"] = "refused"
    loan_closes_request: Literal["at_loan", "at_return"] = "at_loan"
    cancelled_on_shelf: Literal["moves", "stays"] = "moves"
    missing_item_request: Literal["queued", "cancelled"] = "queued"
    # loans, section 4.3 and 4.4
    second_loan: Literal["refused", "renews"] = "refused"
    loan_to_another_code: str = "401158"
    loan_of_requested: Literal["refused", "allowed"] = "refused"
    second_copy: Literal["allowed", "refused"] = "allowed"
    renewal_refusal: Literal["error", "in_status"] = "error"
    renew_when_requested: Literal["refused", "allowed"] = "refused"
    anonymised_loan: Literal["not_found", "blank_user"] = "not_found"
    # items, section 5.3 to 5.5
    item_path: Literal["tolerant", "strict"] = "tolerant"
    missing_item_code: str = "401683"
    redirect_carries_key: bool = False
    redirect_keeps_query: bool = False
    duplicate_barcode_code: str = "401873"
    duplicate_barcode_lookup: Literal["first", "error"] = "first"
    generate_barcode: bool = True
    item_put: Literal["swap", "merge"] = "swap"
    item_put_full_body: Literal["refused", "accepted"] = "refused"
    item_put_on_loan: Literal["accepted", "refused"] = "accepted"
    override_deletes_loaned: bool = True
    # bibs, section 6
    create_bib_reply: Literal["negotiated", "xml"] = "negotiated"
    merged_bib: Literal["gone", "survivor"] = "gone"
    # lists of bibs, section 8
    bib_list: Literal["expanded", "plain", "refused"] = "expanded"
    bib_counts: Literal["current", "stale"] = "current"

    def update(self, **words: Any) -> None:
        """Set several switches; ValueError names what is unknown and nothing is changed."""
        for name, word in words.items():
            self._check(name, word)
        for name, word in words.items():
            setattr(self, name, word)

    @staticmethod
    def choices() -> dict[str, tuple[Any, ...]]:
        """Every switch with the words it takes, the default first; () for free text."""
        hints = get_type_hints(Dialect)
        return {one.name: _words(hints[one.name], one.default) for one in fields(Dialect)}

    @staticmethod
    def _check(name: str, word: Any) -> None:
        choices = Dialect.choices()
        if name not in choices:
            raise ValueError(f"unknown switch {name!r}; known: {', '.join(sorted(choices))}")
        words = choices[name]
        if words and word not in words:
            raise ValueError(f"switch {name} takes {', '.join(map(str, words))}; not {word!r}")


def _words(hint: Any, default: Any) -> tuple[Any, ...]:
    if get_origin(hint) is Literal:
        words = get_args(hint)
        return (default, *(word for word in words if word != default))
    if hint is bool:
        return (default, not default)
    return ()
