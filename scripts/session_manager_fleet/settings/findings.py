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
class Finding:
    """A value that a model refuses.

    Attributes:
        message: A sentence.
        paths: Key paths of the values involved, at least one; the first is named.
    """

    message: str
    paths: tuple[KeyPath, ...]


def findings(error: ValidationError, model: type[BaseModel]) -> Iterator[Finding]:
    """Yield the findings of an error; the model supplies the names of known keys."""
    for detail in error.errors():
        location = tuple(detail["loc"])
        cause = detail.get("ctx", {}).get("error")
        if isinstance(cause, ConflictError):
            yield from (finding_of(entry, location) for entry in cause.conflicts)
        else:
            yield Finding(_message(detail, model), (location,))


def finding_of(conflict: Conflict, location: KeyPath = ()) -> Finding:
    """Return a conflict of the object at a location as a finding."""
    return Finding(_sentence(conflict.message), tuple((*location, *path) for path in conflict.paths))


def known_path(location: Sequence[str | int], document: YamlDocument) -> KeyPath:
    """Return the longest beginning of pydantic's location that is a key path of the file."""
    path: KeyPath = ()
    for part in location:
        if (*path, part) not in document.lines:
            # Not a key: a missing one, which the message names, or the alternative of a union.
            return path
        path = (*path, part)
    return path


_MESSAGES: Mapping[str, Callable[[Mapping[str, Any]], str]] = {
    "missing": lambda detail: f'The key "{detail["loc"][-1]}" is missing.',
    "string_pattern_mismatch": lambda detail: (
        f"{json.dumps(detail['input'])} does not match the pattern {detail['ctx']['pattern']}"
    ),
    "bool_type": lambda detail: f'"{detail["input"]}" is not true or false.',
    "string_type": lambda detail: f"{detail['input']!r} must be text; quote it.",
    "int_type": lambda detail: f"{detail['input']!r} must be a whole number.",
}


def _message(detail: Mapping[str, Any], model: type[BaseModel]) -> str:
    """Return pydantic's finding as one sentence."""
    kind = detail["type"]
    if kind == "extra_forbidden":
        key = str(detail["loc"][-1])
        return f'Unknown key "{key}"{nearest(key, _field_names(model, detail["loc"][:-1]))}.'
    if kind in _MESSAGES:
        return _MESSAGES[kind](detail)
    return _sentence(str(detail["msg"]).removeprefix("Value error, "))


def _sentence(text: str) -> str:
    first = text.split(maxsplit=1)[0]
    if not set(first) & {"_", "."}:  # not the name of a key
        text = text[0].upper() + text[1:]
    return text.rstrip(".") + "."


def _field_names(model: type[BaseModel], location: Sequence[str | int]) -> list[str]:
    """Return the keys that a model allows at a location."""
    here: Any = model
    for part in location:
        if isinstance(part, int):
            here = typing.get_args(here)[0]
        elif isinstance(here, type) and issubclass(here, BaseModel) and part in here.model_fields:
            here = here.model_fields[part].annotation
        if typing.get_origin(here) in {typing.Union, types.UnionType}:
            here = typing.get_args(here)[0]
    return list(here.model_fields) if isinstance(here, type) and issubclass(here, BaseModel) else []
