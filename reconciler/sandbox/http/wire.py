"""Answers and errors as bytes: JSON or XML, in the forms Alma has for them (alma-api.md 1.2)."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from datetime import datetime
from html import escape
from typing import Any, Final

from reconciler.sandbox.api.call import Answer
from reconciler.sandbox.dialect import Dialect
from reconciler.sandbox.errors import AlmaError, text_of
from reconciler.sandbox.payloads.style import in_style
from reconciler.sandbox.payloads.xml import to_xml

JSON: Final = "application/json;charset=UTF-8"
XML: Final = "application/xml;charset=UTF-8"
HTML: Final = "text/html;charset=UTF-8"

_XML_ERROR: Final = (
    '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\r\n'
    '<web_service_result xmlns="http://com/exlibris/urm/general/xmlbeans">\r\n'
    "  <errorsExist>true</errorsExist>\r\n  <errorList>\r\n    <error>\r\n"
    "      <errorCode>{code}</errorCode>\r\n"
    "      <errorMessage>{message}</errorMessage>\r\n{tracking}"
    "    </error>\r\n  </errorList>\r\n</web_service_result>"
)


@dataclass(frozen=True, slots=True)
class Reply:
    """`tree` is the JSON behind the body, before its style, for faults that tamper with it."""

    status: int
    body: bytes = b""
    content_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()
    root: str = ""
    tree: Any = None


def reply_to(answer: Answer, dialect: Dialect, *, as_json: bool) -> Reply:
    headers = tuple(pair for pair in answer.headers if pair[0] != "content-type")
    forced = dict(answer.headers).get("content-type", "")
    if answer.tree is None:
        return Reply(answer.status, headers=headers)
    reply = Reply(answer.status, headers=headers, root=answer.root, tree=answer.tree)
    return with_tree(reply, answer.tree, dialect, as_json=as_json and forced != XML)


def with_tree(reply: Reply, tree: Any, dialect: Dialect, *, as_json: bool) -> Reply:
    """The reply with its body made anew from a tree."""
    if as_json:
        text = json.dumps(in_style(tree, dialect.style), ensure_ascii=False, separators=(",", ":"))
        return replace(reply, body=text.encode(), content_type=JSON, tree=tree)
    xml = to_xml(reply.root, tree)
    return replace(reply, body=xml.encode(), content_type=XML, tree=tree)


def error_reply(error: AlmaError, tracking: str, shape: str, *, as_json: bool) -> Reply:
    """`shape` is Dialect.error_shape; gateway refusals carry no tracking id."""
    if not as_json:
        line = f"      <trackingId>{tracking}</trackingId>\r\n" if tracking else ""
        message = escape(error.message, quote=False)
        text = _XML_ERROR.format(code=error.code, message=message, tracking=line)
        return Reply(error.status, text.encode(), XML)
    row = {"errorCode": error.code, "errorMessage": error.message}
    if tracking:
        row["trackingId"] = tracking
    body = json.dumps(_shaped(row, shape), ensure_ascii=False, separators=(",", ":"))
    return Reply(error.status, body.encode(), JSON)


def not_found_reply(*, as_json: bool) -> Reply:
    """404 for a malformed address: wrapped, the error an object, the message empty."""
    if not as_json:
        return error_reply(AlmaError("NOT_FOUND", "", 404), "unknown", "list", as_json=False)
    row = {"errorCode": "NOT_FOUND", "errorMessage": "", "trackingId": "unknown"}
    tree = {"web_service_result": {"errorsExist": True, "errorList": {"error": row}}}
    return Reply(404, json.dumps(tree).encode(), JSON)


def gateway_reply(code: str, status: int, *, as_json: bool) -> Reply:
    """A refusal by the gateway itself: UNAUTHORIZED, thresholds, FORBIDDEN."""
    return error_reply(AlmaError(code, text_of(code), status), "", "list", as_json=as_json)


def tracking_id(now: datetime, number: int) -> str:
    """As Alma's `E01-0510215437-ZAEZP-AWAE376692603`."""
    letters = "".join(chr(65 + number // 26**place % 26) for place in range(5))
    return f"E01-{now.strftime('%d%m%H%M%S')}-{letters}-AWAE{number:010d}"


def _shaped(row: dict[str, str], shape: str) -> dict[str, Any]:
    if shape == "object":
        return {"errorsExist": "true", "errorList": {"error": row}}
    tree: dict[str, Any] = {"errorsExist": True, "errorList": {"error": [row]}}
    if shape == "wrapped":
        return {"web_service_result": tree}
    return tree if shape == "no_result" else {**tree, "result": None}
