"""The log of calls that the API received, for assertions and for `GET /sandbox/log`."""

from __future__ import annotations

import re
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from reconciler.sandbox.payloads.renderer import instant_text

KEEP: Final = 200_000


@dataclass(slots=True)
class Received:
    """`status` is None while no answer was given, 0 when the connection was dropped.

    `performed` says whether Alma did what was asked, whatever the caller was told.
    """

    seq: int
    at: datetime
    institution: str
    method: str
    path: str
    query: str
    body: str = ""
    status: int | None = None
    fault: str = ""
    performed: bool = False

    def row(self) -> dict[str, Any]:
        return {
            "seq": self.seq,
            "time": instant_text(self.at),
            "institution": self.institution,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "status": self.status,
            "fault": self.fault or None,
            "performed": self.performed,
        }


class CallLog:
    """Calls in order of arrival, the newest 200,000. Neither path nor query holds the key."""

    def __init__(self) -> None:
        self._rows: deque[Received] = deque(maxlen=KEEP)
        self._seq = 0

    def add(self, call: Received) -> Received:
        self._seq += 1
        call.seq = self._seq
        self._rows.append(call)
        return call

    def matching(
        self, method: str = "", path: str = "", institution: str = "", since: int = 0
    ) -> list[Received]:
        """`path` is a regular expression searched in `path?query`; `since` a sequence number."""
        pattern = re.compile(path)
        return [
            call
            for call in tuple(self._rows)
            if call.seq > since
            and method in ("", call.method)
            and institution in ("", call.institution)
            and pattern.search(f"{call.path}?{call.query}")
        ]

    def reset(self) -> None:
        """Forget the calls; sequence numbers go on."""
        self._rows.clear()

    def __iter__(self) -> Iterator[Received]:
        return iter(tuple(self._rows))

    def __len__(self) -> int:
        return len(self._rows)
