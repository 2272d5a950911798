"""YAML files whose every value knows the line it stands on."""

from __future__ import annotations

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from fleet.errors import InputError, Problem

KeyPath: TypeAlias = tuple[str | int, ...]

# An account id is a name made of digits: 111122223333 is not a number, and 012345670123 is not octal.
_ACCOUNT_ID = re.compile(r"[0-9]{12}")
_MAX_DEPTH = 100


def format_key_path(key_path: KeyPath) -> str:
    """Write a key path the way people do: `overrides[0].match.ou`."""
    text = ""
    for part in key_path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean "x"?)` for the closest known word, or nothing."""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f' (did you mean "{matches[0]}"?)' if matches else ""


@dataclass(frozen=True)
class YamlDocument:
    """A parsed YAML file.

    Attributes:
        path: Where it was read from.
        data: Plain Python values.
        lines: Line (from 1) of every key and list item, by key path.
    """

    path: Path
    data: Any
    lines: Mapping[KeyPath, int]

    def line(self, key_path: KeyPath) -> int:
        """Return the line of a key, or of the nearest enclosing one that is written in the file."""
        while key_path and key_path not in self.lines:
            key_path = key_path[:-1]
        return self.lines.get(key_path, 1)

    def where(self, key_path: KeyPath = ()) -> str:
        """Return `file:line (key.path)` for messages."""
        location = f"{self.path}:{self.line(key_path)}"
        return f"{location} ({format_key_path(key_path)})" if key_path else location


def read_yaml(path: Path) -> YamlDocument:
    """Read a YAML file with line numbers.

    Raises:
        InputError: The file is missing or unreadable, is not YAML, or holds a key twice.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        raise InputError("The file does not exist.", str(path)) from None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"The file cannot be read: {error}.", str(path)) from error
    return parse_yaml(text, path)


def parse_yaml(text: str, path: Path) -> YamlDocument:
    """Parse YAML text; `path` is only named in messages.

    Raises:
        InputError: The text is not YAML, or holds a key twice.
    """
    builder = _Builder(path)
    try:
        node = yaml.compose(text, Loader=yaml.SafeLoader)
        data = builder.build(node, ()) if node is not None else None
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = " ".join(part for part in (error.context, error.problem) if part)
        raise InputError(f"This is not valid YAML: {problem}.", f"{path}:{mark.line + 1 if mark else 1}") from error
    except yaml.YAMLError as error:
        raise InputError(f"This is not valid YAML: {error}.", str(path)) from error
    except RecursionError:
        raise InputError("The values are nested too deeply.", str(path)) from None
    if builder.problems:
        raise InputError(builder.problems)
    return YamlDocument(path, data, builder.lines)


def _is_text(node: yaml.Node) -> bool:
    """Tell whether a node is a scalar that can be written to a file; an escape of half a character cannot."""
    return isinstance(node, yaml.ScalarNode) and not any("\ud800" <= letter <= "\udfff" for letter in node.value)


class _Builder:
    """Turns YAML nodes into values while noting the line of each."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.lines: dict[KeyPath, int] = {}
        self.problems: list[Problem] = []
        self._scalars = yaml.SafeLoader("")
        self._flattened: set[int] = set()

    def build(self, node: yaml.Node, key_path: KeyPath) -> Any:  # noqa: ANN401 - YAML holds anything
        if len(key_path) > _MAX_DEPTH:
            raise InputError("The values are nested too deeply; an anchor may contain itself.", str(self.path))
        self.lines.setdefault(key_path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, key_path)
        if isinstance(node, yaml.SequenceNode):
            return [self.build(item, (*key_path, index)) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.ScalarNode) and node.style is None and _ACCOUNT_ID.fullmatch(node.value):
            return node.value
        try:
            if not _is_text(node):
                raise ValueError("it names half a character")  # noqa: TRY301 - handled as what PyYAML finds is
            return self._scalars.construct_object(node)
        except (yaml.YAMLError, ValueError) as error:
            problem = getattr(error, "problem", None) or str(error)
            self._complain(node, key_path, f"The value cannot be read: {problem}.")
            return None

    def _mapping(self, node: yaml.MappingNode, key_path: KeyPath) -> dict[str, Any]:
        if id(node) not in self._flattened:
            self._refuse_repeated_keys(node, key_path)
            self._scalars.flatten_mapping(node)
            self._flattened.add(id(node))
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not _is_text(key_node):
                continue
            child = (*key_path, str(key_node.value))
            self.lines[child] = key_node.start_mark.line + 1
            values[str(key_node.value)] = self.build(value_node, child)
        return values

    def _refuse_repeated_keys(self, node: yaml.MappingNode, key_path: KeyPath) -> None:
        first_lines: dict[str, int] = {}
        for key_node, _ in node.value:
            if not _is_text(key_node):
                self._complain(key_node, key_path, "A key must be text.")
                continue
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if key in first_lines and key != "<<":
                child = (*key_path, key)
                self._complain(key_node, child, f'The key "{key}" stands here twice, first on line {first_lines[key]}.')
            first_lines.setdefault(key, line)

    def _complain(self, node: yaml.Node, key_path: KeyPath, message: str) -> None:
        location = f"{self.path}:{node.start_mark.line + 1} ({format_key_path(key_path)})"
        self.problems.append(Problem(message, location))
