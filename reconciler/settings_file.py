"""Reads settings.yaml as YAML 1.2, checks it whole, names every mistake with its key and line.

Precedence: environment (`RECONCILER__POLLING__TICK=10s`) before the file before the defaults.
"""

from __future__ import annotations

import os
import types
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel, ValidationError
from ruamel.yaml import YAML
from ruamel.yaml.comments import CommentedMap, CommentedSeq
from ruamel.yaml.error import MarkedYAMLError, YAMLError

from reconciler.core.status import DcbStatus
from reconciler.errors import SettingsError
from reconciler.settings import Settings
from reconciler.wording import nearest, problem

ENV_PREFIX = "RECONCILER__"
DEFAULT_FILE = "settings.yaml"

Location = tuple[str | int, ...]


def load(path: Path, environ: Mapping[str, str] | None = None) -> Settings:
    """The settings of a file and the environment.

    Raises SettingsError with one line per mistake: file, line, key, what was expected.
    """
    environ = os.environ if environ is None else environ
    sources = _Sources(path, _read(path))
    values = _plain(sources.document)
    _apply_environment(values, environ, sources)
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        problems = [sources.describe(each) for each in error.errors(include_url=False)]
        raise SettingsError("\n".join(dict.fromkeys(problems))) from None


def find_file(option: Path | None, environ: Mapping[str, str] | None = None) -> Path:
    """`--settings`, else `$RECONCILER_SETTINGS`, else `./settings.yaml`."""
    environ = os.environ if environ is None else environ
    return option or Path(environ.get("RECONCILER_SETTINGS") or DEFAULT_FILE)


def _read(path: Path) -> CommentedMap:
    yaml = YAML(typ="rt", pure=True)
    try:
        with path.open(encoding="utf-8") as file:
            document = yaml.load(file)
    except OSError as error:
        raise SettingsError(f"{path}: {error.strerror}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{path}: not UTF-8 text") from None
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        problem = (error.problem or "not YAML").splitlines()[0]
        raise SettingsError(f"{path}:{line}: {problem}") from None
    except YAMLError as error:
        raise SettingsError(f"{path}: not YAML ({type(error).__name__})") from None
    if document is None:
        return CommentedMap()
    if not isinstance(document, CommentedMap):
        raise SettingsError(f"{path}:1: expected keys and values")
    return document


def _plain(node: Any) -> Any:
    if isinstance(node, CommentedMap):
        return {str(key): _plain(value) for key, value in node.items()}
    if isinstance(node, CommentedSeq):
        return [_plain(value) for value in node]
    return node


def _apply_environment(
    values: dict[str, Any], environ: Mapping[str, str], sources: _Sources
) -> None:
    """Lay `RECONCILER__…` variables over the file. A host's code is matched with `-` as `_`."""
    for name in sorted(environ):
        if not name.startswith(ENV_PREFIX):
            continue
        path = [part.lower() for part in name.removeprefix(ENV_PREFIX).split("__")]
        node = values
        for n, part in enumerate(path):
            key = _existing(node, part)
            path[n] = key
            if n < len(path) - 1:
                inner = node.get(key)
                if not isinstance(inner, dict):
                    inner = {}
                    node[key] = inner
                node = inner
        node[path[-1]] = _scalar(environ[name], name)
        sources.variables[tuple(path)] = name


def _existing(node: Mapping[str, Any], part: str) -> str:
    names = {key.lower().replace("-", "_"): key for key in node}
    return names.get(part, part.upper() if part.upper() in DcbStatus.__members__ else part)


def _scalar(value: str, name: str) -> Any:
    try:
        return _plain(YAML(typ="rt", pure=True).load(value))
    except YAMLError:
        raise SettingsError(f"{name}: not a YAML value") from None


@dataclass(slots=True)
class _Sources:
    """Where each key came from: a line of the file or a variable."""

    path: Path
    document: CommentedMap
    variables: dict[tuple[str, ...], str] = field(default_factory=dict)

    def describe(self, error: Mapping[str, Any]) -> str:
        loc = _as_written(error["loc"])
        return f"{self._where(loc)}: {_dotted(loc) or 'settings'}: {self._problem(error, loc)}"

    def _problem(self, error: Mapping[str, Any], loc: Location) -> str:
        if error["type"] != "extra_forbidden":
            return problem(error)
        known = _known_keys(loc[:-1], self.document)
        near = nearest(loc[-1], known)
        if near:
            return f"unknown key; did you mean {_dotted((*loc[:-1], near))}?"
        return f"unknown key; known here: {', '.join(sorted(known))}"

    def _where(self, loc: Location) -> str:
        for length in range(len(loc), 0, -1):
            variable = self.variables.get(tuple(str(part) for part in loc[:length]))
            if variable:
                return variable
        return f"{self.path}:{_line(self.document, loc)}"


def _as_written(loc: Location) -> Location:
    """A location without what pydantic adds: the member of a union, the mark of a dict's key."""
    if len(loc) > 2 and loc[0] in ("host_lms", "notify"):
        loc = (*loc[:2], *loc[3:])
    return tuple(part for part in loc if part != "[key]")


def _dotted(loc: Location) -> str:
    return ".".join(str(part) for part in loc)


def _line(document: CommentedMap, loc: Location) -> int:
    """The line of a key, or of the nearest thing around it that is written in the file."""
    node: Any = document
    line = 1
    for part in loc:
        try:
            position = node.lc.key(part) if isinstance(node, CommentedMap) else node.lc.item(part)
            line = position[0] + 1
            node = node[part]
        except (KeyError, IndexError, TypeError, AttributeError):
            break
    return line


def _known_keys(parent: Location, document: CommentedMap) -> list[str]:
    """The keys that the model knows at a place."""
    model: Any = Settings
    node: Any = document
    for part in parent:
        node = _step(node, part)
        fields = getattr(model, "model_fields", None)
        if fields is not None:
            model = fields[part].annotation if part in fields else None
        else:
            model = next(iter(reversed(get_args(model))), None)
        model = _concrete(model, node)
    if isinstance(model, type) and issubclass(model, BaseModel):
        return list(model.model_fields)
    return []


def _step(node: Any, part: str | int) -> Any:
    try:
        return node[part]
    except (KeyError, IndexError, TypeError):
        return None


def _concrete(annotation: Any, node: Any) -> Any:
    """Of a union the member that the node's `type` names; without Annotated and None."""
    while get_origin(annotation) is Annotated:
        annotation = get_args(annotation)[0]
    if get_origin(annotation) not in (Union, types.UnionType):
        return annotation
    members = [each for each in get_args(annotation) if each is not type(None)]
    wanted = node.get("type") if isinstance(node, Mapping) else None
    return next((each for each in members if wanted in _types_of(each)), members[0])


def _types_of(model: Any) -> tuple[Any, ...]:
    kind = getattr(model, "model_fields", {}).get("type")
    return get_args(kind.annotation) if kind is not None else ()
