"""The errors of this service. Alma's are all of one type, made in one place (alma/failures.py)."""

from __future__ import annotations

from enum import StrEnum

from reconciler.core.mapping import NOT_FOUND_CODES, Subject


class FailureKind(StrEnum):
    """How a call to Alma failed, in words that staff can read."""

    UNREACHABLE = "unreachable"
    """No connection: nothing was sent."""
    TIMEOUT = "no answer in time"
    CONNECTION_LOST = "connection lost"
    SERVER_ERROR = "server error"
    UNREADABLE = "unreadable answer"
    THROTTLED = "too many calls per second"
    QUOTA_EXHAUSTED = "daily quota used up"
    CREDENTIALS = "credentials refused"
    RESTING = "the library rests"
    """Not called at all: it is paused, out of quota or out of order (core/library/breaker.py)."""
    NOT_SENT = "not sent"
    """Its time to begin was over: our process had stood still, or waited long in line."""
    REFUSED = "refused"
    """Alma answered with a code of its own: a not-found code or a business rule."""


NOTHING_HAPPENED = frozenset(
    {
        FailureKind.UNREACHABLE,
        FailureKind.THROTTLED,
        FailureKind.QUOTA_EXHAUSTED,
        FailureKind.RESTING,
        FailureKind.NOT_SENT,
    }
)
"""Only these prove that a write was not carried out (workflow.md §4)."""

WORTH_A_RETRY = frozenset(
    {
        FailureKind.UNREACHABLE,
        FailureKind.TIMEOUT,
        FailureKind.CONNECTION_LOST,
        FailureKind.SERVER_ERROR,
        FailureKind.UNREADABLE,
        FailureKind.THROTTLED,
    }
)
"""A read that failed so may be repeated at once; the others would fail alike."""

SPEAKS_OF_AN_OUTAGE = frozenset(
    {
        FailureKind.UNREACHABLE,
        FailureKind.TIMEOUT,
        FailureKind.CONNECTION_LOST,
        FailureKind.SERVER_ERROR,
        FailureKind.UNREADABLE,
        FailureKind.CREDENTIALS,
    }
)
"""Failures of a library or of the way to it, not of the one thing that was asked for."""


class AlmaFailure(Exception):
    """A call to Alma did not give what it promised.

    `message` is Alma's own, with names, numbers and addresses masked. Neither the URL, nor the
    key, nor any body is kept.
    """

    def __init__(
        self,
        kind: FailureKind,
        *,
        http_status: int | None = None,
        code: str | None = None,
        message: str = "",
        tracking_id: str | None = None,
    ) -> None:
        super().__init__(kind)
        self.kind = kind
        self.http_status = http_status
        self.code = code
        self.message = message
        self.tracking_id = tracking_id

    @property
    def nothing_happened(self) -> bool:
        return self.kind in NOTHING_HAPPENED

    def proves_absent(self, subject: Subject) -> bool:
        """Whether there is none of what was asked for: only a not-found code of the contract says
        so; a refused key, a 429, a 500, a bare 404 never do."""
        return self.kind is FailureKind.REFUSED and self.code in NOT_FOUND_CODES[subject]

    def __str__(self) -> str:
        parts = [str(self.kind)]
        if self.code:
            parts.append(self.code)
        elif self.http_status:
            parts.append(f"HTTP {self.http_status}")
        text = " ".join(parts)
        return f"{text}: {self.message}" if self.message else text


class SettingsError(Exception):
    """The settings cannot be used; the text names file, line, key and what was expected."""


class SchemaError(Exception):
    """The database's schema is not the one this version works with."""


class StoreUnavailable(Exception):
    """The database cannot be reached or cannot be written."""


class UnknownTransaction(Exception):
    """No transaction has this id."""
