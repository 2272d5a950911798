"""Turn pydantic's errors into sentences about keys of organization.yaml."""

from __future__ import annotations

import json
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from session_manager_fleet.settings.types import Conflict, ConflictError
from session_manager_fleet.yaml_source import KeyPath, YamlDocument, nearest


@dataclass(frozen=True)
class _Finding:
    """Something that a model refuses.

    Attributes:
        message: A sentence.
        paths: The key paths that are to blame, at least one; the one in front is named.
    """

    message: str
    paths: tuple[KeyPath, ...]


def _findings(error: ValidationError, model: type[BaseModel]) -> Iterator[_Finding]:
    for detail in error.errors():
        location = tuple(detail["loc"])
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, ConflictError):
            yield from (_finding(entry, location) for entry in cause.contradictions)
        else:
            yield _Finding(_message(detail, model), (location,))


def _finding(contradiction: Conflict, location: KeyPath = ()) -> _Finding:
    paths = tuple((*location, *path) for path in contradiction.paths)
    return _Finding(_sentence(contradiction.message), paths)


def _known_path(location: Sequence[str | int], document: YamlDocument) -> KeyPath:
    """Return the longest part of pydantic's location that is written in the file, and the missing key behind it."""
    path: KeyPath = ()
    for part in location:
        if (*path, part) not in document.lines:
            # Unions add the name of the alternative that failed; a missing key is worth naming, that is not.
            return path
        path = (*path, part)
    return path


_MESSAGES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda detail: f'The key "{detail["loc"][-1]}" is missing.',
    "string_pattern_mismatch": lambda detail: (
        f"{json.dumps(detail['input'])} does not have the form that is needed here: {detail['ctx']['pattern']}"
    ),
    "bool_type": lambda detail: f'"{detail["input"]}" is not true or false.',
    "string_type": lambda detail: f"{detail['input']!r} must be text; quote it.",
    "int_type": lambda detail: f"{detail['input']!r} must be a whole number.",
}


def _message(detail: Mapping[str, Any], model: type[BaseModel]) -> str:
    """Say in one sentence what pydantic found."""
    kind = detail["type"]
    if kind == "extra_forbidden":
        key = str(detail["loc"][-1])
        return f'Unknown key "{key}"{nearest(key, _field_names(model, detail["loc"][:-1]))}.'
    if kind in _MESSAGES:
        return _MESSAGES[kind](detail)
    return _sentence(str(detail["msg"]).removeprefix("Value error, "))


def _sentence(text: str) -> str:
    first = text.split(maxsplit=1)[0]
    if not set(first) & {"_", "."}:  # the name of a key stays as it is
        text = text[0].upper() + text[1:]
    return text.rstrip(".") + "."


def _field_names(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """Return the names that are known at a location of a model."""
    here: Any = model
    for part in location:
        if isinstance(part, int):
            here = typing.get_args(here)[0]
        elif isinstance(here, type) and issubclass(here, BaseModel) and part in here.model_fields:
            here = here.model_fields[part].annotation
        if typing.get_origin(here) in {typing.Union, types.UnionType}:
            here = typing.get_args(here)[0]
    return list(here.model_fields) if isinstance(here, type) and issubclass(here, BaseModel) else []
