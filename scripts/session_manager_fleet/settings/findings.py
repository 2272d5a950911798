"""Turn pydantic's errors into sentences about keys of organization.yaml."""

import json
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel, ValidationError

from session_manager_fleet.settings.forms import described
from session_manager_fleet.settings.types import Conflict, ConflictError
from session_manager_fleet.yaml_source import KeyPath, YamlDocument, nearest

# Longer values are cut in messages.
_LONGEST = 60
_NEARLY_AN_ACCOUNT_ID = (9, 10, 11, 13)


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
        f"{_written(detail)} is not valid here: {described(detail['ctx']['pattern'])}."
    ),
    "literal_error": lambda detail: f"{_written(detail)} is not valid here: use {detail['ctx']['expected']}.",
    "list_type": lambda detail: f"{_written(detail)} must be a list: put it in brackets, or each item after a hyphen.",
    "dict_type": lambda detail: f"{_written(detail)} must be a mapping of keys to values.",
    "too_short": lambda detail: "This must not be empty.",  # noqa: ARG005
    "string_too_short": lambda detail: "This must not be empty.",  # noqa: ARG005
    "bool_type": lambda detail: f'"{detail["input"]}" is not true or false.',
    "string_type": lambda detail: _not_text(detail["input"]),
    "int_type": lambda detail: f"{detail['input']!r} must be a whole number.",
}


def _message(detail: Mapping[str, Any], model: type[BaseModel]) -> str:
    """Return pydantic's finding as one sentence."""
    kind = detail["type"]
    if kind == "extra_forbidden":
        key = str(detail["loc"][-1])
        return f'Unknown key "{key}"{nearest(key, _field_names(model, detail["loc"][:-1]))}.'
    if kind == "model_type":
        keys = ", ".join(_field_names(model, detail["loc"]))
        return f"{_written(detail)} must be a mapping with the keys {keys}."
    if kind in _MESSAGES:
        return _MESSAGES[kind](detail)
    return _sentence(str(detail["msg"]).removeprefix("Value error, ").replace("Input should be", "This must be"))


def _written(detail: Mapping[str, Any]) -> str:
    """Return the value of a finding as JSON, cut to the length of a line."""
    text = json.dumps(detail["input"], ensure_ascii=False, default=str)
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _not_text(value: object) -> str:
    if isinstance(value, int) and not isinstance(value, bool) and len(str(value)) in _NEARLY_AN_ACCOUNT_ID:
        return f"{value} has {len(str(value))} digits; an account id has twelve."
    return f"{value!r} must be text; quote it."


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
