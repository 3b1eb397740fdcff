"""`dataclasses.replace` for frozen values, several times quicker: most of a run is copying.

The same for every value that it is used on here: all fields are set by the constructor, and no
class has a `__post_init__`. `quickly` lends it to the modules that the explorer drives.
"""

from __future__ import annotations

import dataclasses
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

_clones: dict[type, Callable[[Any, dict[str, Any]], Any]] = {}


def replace(value: Any, /, **changes: Any) -> Any:
    """The value with other fields. Raises TypeError for a field that it has not."""
    kind = value.__class__
    clone = _clones.get(kind)
    if clone is None:
        clone = _clones[kind] = _made(kind)
    return clone(value, changes)


def _made(kind: type) -> Callable[[Any, dict[str, Any]], Any]:
    names = [each.name for each in dataclasses.fields(kind)]
    if hasattr(kind, "__post_init__") or not all(each.init for each in dataclasses.fields(kind)):
        return lambda value, changes: dataclasses.replace(value, **changes)
    if not all(hasattr(getattr(kind, name, None), "__set__") for name in names):
        return lambda value, changes: dataclasses.replace(value, **changes)
    setters = {f"set_{name}": getattr(kind, name).__set__ for name in names}
    lines = ["def clone(value, changes):", " made = new(kind)", " left = len(changes)"]
    for name in names:
        lines.append(f" if left and {name!r} in changes:")
        lines.append(f"  set_{name}(made, changes[{name!r}]); left -= 1")
        lines.append(" else:")
        lines.append(f"  set_{name}(made, value.{name})")
    lines += [" if left: raise TypeError(f'no such field: {sorted(changes)}')", " return made"]
    scope: dict[str, Any] = {"new": object.__new__, "kind": kind, **setters}
    exec("\n".join(lines), scope)  # noqa: S102 - our own text, of the names of our own fields
    made: Callable[[Any, dict[str, Any]], Any] = scope["clone"]
    return made


@contextmanager
def quickly() -> Iterator[None]:
    """Everything of `core` and `engine` copies by this `replace` until the end."""
    touched = [
        module
        for name, module in list(sys.modules.items())
        if name.startswith(("reconciler.core", "reconciler.engine"))
        and getattr(module, "replace", None) is dataclasses.replace
    ]
    for module in touched:
        module.replace = replace  # type: ignore[attr-defined]
    try:
        yield
    finally:
        for module in touched:
            module.replace = dataclasses.replace  # type: ignore[attr-defined]
