"""Refusals of the contract, in each envelope that was recorded (§1.2)."""

from __future__ import annotations

import json
from typing import Any
from xml.sax.saxutils import escape

from tests.second.dialect import Dialect

NOT_FOUND_CODES = {
    "401861", "401890", "401689", "401683", "402203", "40166411", "401694", "401697", "401907",
    "401823", "60213", "60214", "60328",
}  # fmt: skip


class Refused(Exception):
    """Alma says no, with a code of its own."""

    def __init__(self, code: str, text: str = "", status: int = 400) -> None:
        super().__init__(code)
        self.code, self.text, self.status = code, text or f"Refused with {code}.", status


def envelope(refused: Refused, dialect: Dialect) -> tuple[int, str, bytes]:
    """Status, content type, body."""
    status = refused.status
    if status == 400 and refused.code in NOT_FOUND_CODES:
        status = int(dialect.error_status)
    if dialect.error_shape == "xml" or refused.code in ("UNAUTHORIZED", "DAILY_THRESHOLD"):
        return status, "application/xml;charset=UTF-8", _xml(refused)
    kind = "application/json" if dialect.error_type == "json" else "text/plain"
    return status, f"{kind};charset=UTF-8", json.dumps(_tree(refused, dialect)).encode()


def _tree(refused: Refused, dialect: Dialect) -> dict[str, Any]:
    row = {"errorCode": refused.code, "errorMessage": refused.text, "trackingId": "unknown"}
    shape = dialect.error_shape
    rows: Any = [row]
    if shape in ("object", "wrapped_object"):
        rows = row
    elif shape == "several":
        rows = [{"errorCode": "401652", "errorMessage": "General Error", "trackingId": None}, row]
    flag: Any = "true" if dialect.quoted_flags else True
    tree: dict[str, Any] = {"errorsExist": flag, "errorList": {"error": rows}}
    if shape == "list":
        tree["result"] = None
    return {"web_service_result": tree} if shape.startswith("wrapped") else tree


def _xml(refused: Refused) -> bytes:
    return (
        '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\r\n'
        '<web_service_result xmlns="http://com/exlibris/urm/general/xmlbeans">\r\n'
        "  <errorsExist>true</errorsExist>\r\n  <errorList>\r\n    <error>\r\n"
        f"      <errorCode>{refused.code}</errorCode>\r\n"
        f"      <errorMessage>{escape(refused.text)}</errorMessage>\r\n"
        "    </error>\r\n  </errorList>\r\n</web_service_result>\r\n"
    ).encode()
