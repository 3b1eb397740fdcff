"""How things are answered: JSON, plain lines, and every refusal as a JSON sentence."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from loguru import logger
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response

from reconciler.app import App
from reconciler.engine.desk import BadRequest
from reconciler.errors import StoreUnavailable, UnknownTransaction

Current = Callable[[], App]
"""The App as it is now: another one after every reload of the settings."""
Endpoint = Callable[[Request], Awaitable[Response]]


def json_answer(document: Any, status: int = 200) -> Response:
    return JSONResponse(document, status)


def lines(status: int, *told: str) -> Response:
    return PlainTextResponse("\n".join(told) + "\n", status)


def refusal(status: int, sentence: str, headers: dict[str, str] | None = None) -> Response:
    return JSONResponse({"error": sentence}, status, headers)


def guarded(endpoint: Endpoint) -> Endpoint:
    """The endpoint with every known trouble as one sentence; a fault of ours is logged here."""

    async def run(request: Request) -> Response:
        try:
            return await endpoint(request)
        except BadRequest as error:
            return refusal(400, str(error))
        except UnknownTransaction:
            return refusal(404, "no such transaction")
        except StoreUnavailable as error:
            return refusal(503, f"database: {error}")
        except Exception:  # noqa: BLE001 - the edge of one request
            logger.bind(path=request.scope["route"].path).exception("request failed")
            return refusal(500, "a fault of reconciler's own; its log tells more")

    return run


async def not_found(_: Request, __: Exception) -> Response:
    return refusal(404, "there is nothing here")


async def wrong_method(request: Request, error: Exception) -> Response:
    headers = error.headers if isinstance(error, HTTPException) else None
    return refusal(405, f"{request.method} is not possible here, only reading", dict(headers or {}))
