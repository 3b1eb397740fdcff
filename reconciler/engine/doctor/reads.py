"""A read of one Alma as its value or as the reason why there is none."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeAlias, TypeVar

from reconciler.errors import AlmaFailure

T = TypeVar("T")

Read: TypeAlias = T | AlmaFailure


async def tried(read: Callable[[], Awaitable[T]]) -> Read[T]:
    """What was read, or why it could not be."""
    try:
        return await read()
    except AlmaFailure as failure:
        return failure
