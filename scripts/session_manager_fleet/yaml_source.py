"""Read YAML files and keep the file and line of every value, for messages."""

import difflib
import os
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import yaml

from session_manager_fleet.errors import InputError, Problem
from session_manager_fleet.files import is_below, read_regular

KeyPath: TypeAlias = tuple[str | int, ...]
# Rewrites the text of a file before it is parsed, and keeps its lines; the path is that of the file.
Prepare: TypeAlias = Callable[[str, Path], str]

# An account id is text, even without quotes: 012345670123 is not octal.
_ACCOUNT_ID = re.compile(r"[0-9]{12}")
_MAX_DEPTH = 100
# Longer words are compared with no other.
_LONGEST_WORD = 200
# A file of 10,000 accounts has 2 MB.
_LARGEST_MEGABYTES = 4

# Limits of values repeated by aliases, and of included files: a few lines of nested aliases expand to billions.
_MAX_REPEATED = 100_000
_MAX_INCLUDED = 10_000

_NUMBERS = frozenset({"tag:yaml.org,2002:int", "tag:yaml.org,2002:float"})
_LONGEST_NUMBER = 40

_INCLUDE = "!include"
_MERGE = "tag:yaml.org,2002:merge"


def format_key_path(key_path: KeyPath) -> str:
    """Return a key path as text: `overrides[0].match.ou`."""
    text = ""
    for part in key_path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def nearest(word: str, known: Iterable[str]) -> str:
    """Return ` (did you mean "x"?)` for the closest known word, or an empty text."""
    if len(word) > _LONGEST_WORD:
        return ""
    matches = difflib.get_close_matches(word, list(known), n=1, cutoff=0.6)
    return f' (did you mean "{matches[0]}"?)' if matches else ""


@dataclass(frozen=True)
class YamlDocument:
    """A parsed YAML file.

    Attributes:
        path: The file.
        data: Plain Python values.
        lines: Line (from 1) of every key and list item, by key path.
        included: Included files, by the key path of their content.
        problems: Unreadable keys and values with their key paths, if `read_yaml` was not strict; such values are None.
    """

    path: Path
    data: Any
    lines: Mapping[KeyPath, int]
    included: Mapping[KeyPath, Path] = field(default_factory=dict)
    problems: Sequence[tuple[KeyPath, Problem]] = ()

    def value(self, key_path: KeyPath) -> Any:  # noqa: ANN401 - YAML holds anything
        """Return the value at a key path, or None if there is none."""
        value = self.data
        for part in key_path:
            try:
                value = value[part]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    def line(self, key_path: KeyPath) -> int:
        """Return the line of a key, or of the nearest enclosing key in the file."""
        return self.lines.get(self._written(key_path), 1)

    def file(self, key_path: KeyPath) -> Path:
        """Return the file of a key, or of the nearest enclosing key."""
        key_path = self._written(key_path)
        while key_path and key_path not in self.included:
            key_path = key_path[:-1]
        return self.included.get(key_path, self.path)

    def where(self, key_path: KeyPath = ()) -> str:
        """Return `file:line (key.path)` for messages."""
        location = f"{self.file(key_path)}:{self.line(key_path)}"
        return f"{location} ({format_key_path(key_path)})" if key_path else location

    def _written(self, key_path: KeyPath) -> KeyPath:
        while key_path and key_path not in self.lines:
            key_path = key_path[:-1]
        return key_path


def read_text(path: Path, *, megabytes: int = _LARGEST_MEGABYTES) -> str:
    """Read a text file with its line ends, but without a byte order mark.

    Raises:
        InputError: The file is missing, unreadable, too large, not a regular file or not UTF-8.
    """
    try:
        return read_regular(path, megabytes=megabytes, follow_links=True).decode("utf-8-sig")
    except FileNotFoundError:
        raise InputError("The file does not exist.", str(path)) from None
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        raise InputError("This line is not UTF-8; save the file in that encoding.", f"{path}:{line}") from error
    except OSError as error:
        raise InputError(f"The file cannot be read: {error.strerror or error}.", str(path)) from error


def refuse_links_out(path: Path, folder: Path) -> None:
    """Refuse a file or folder that a link leads out of the folder that it is named in.

    Raises:
        InputError: It is elsewhere.
    """
    if not is_below(path, folder):
        raise InputError(f"A link leads out of the folder {folder}; use a file in it.", str(path))


def read_yaml(
    path: Path, *, include_below: Path | None = None, prepare: Prepare | None = None, strict: bool = True
) -> YamlDocument:
    """Read a YAML file with line numbers.

    Args:
        path: The file.
        include_below: Folder of files for `!include FILE`, a path relative to the including file. Without the folder,
            the tag is refused.
        prepare: Rewrites the text of the file and of included files before it is parsed.
        strict: Raise problems of keys and values; otherwise the document lists them as `problems`.

    Raises:
        InputError: The file is missing or unreadable, is not YAML, or holds a key twice.
    """
    return parse_yaml(read_text(path), path, include_below=include_below, prepare=prepare, strict=strict)


def parse_yaml(
    text: str, path: Path, *, include_below: Path | None = None, prepare: Prepare | None = None, strict: bool = True
) -> YamlDocument:
    """Parse YAML text as if it was the content of `path`.

    Raises:
        InputError: The text is not YAML, or holds a key twice.
    """
    builder = _Builder(include_below, prepare or (lambda text, _: text))
    data = builder.read(text, path, ())
    if strict and builder.problems:
        raise InputError([problem for _, problem in builder.problems])
    return YamlDocument(path, data, builder.lines, builder.included, builder.problems)


def _is_text(node: yaml.Node) -> bool:
    """Tell whether a node is a scalar without unpaired surrogates, which no file can hold."""
    return isinstance(node, yaml.ScalarNode) and not any("\ud800" <= letter <= "\udfff" for letter in node.value)


# PyYAML takes an explicit tag at its word: `!!timestamp x`, `!!bool x` and `!!int ""` raise three of these.
_UNREADABLE = (yaml.YAMLError, ValueError, LookupError, AttributeError, TypeError)


class _Builder:
    """Turns YAML nodes into values and records the file and line of each."""

    def __init__(self, include_below: Path | None, prepare: Prepare) -> None:
        self.lines: dict[KeyPath, int] = {}
        self.included: dict[KeyPath, Path] = {}
        self.problems: list[tuple[KeyPath, Problem]] = []
        self._include_below = include_below.resolve() if include_below else None
        self._prepare = prepare
        self._files: list[Path] = []
        self._scalars = yaml.SafeLoader("")
        # By id of the node; the nodes are kept, because Python may reuse the id of a deleted one.
        self._built: dict[int, yaml.Node] = {}
        self._pairs: dict[int, list[tuple[yaml.Node, yaml.Node]]] = {}
        self._repeated = 0

    @property
    def _path(self) -> Path:
        return self._files[-1]

    def read(self, text: str, path: Path, key_path: KeyPath) -> Any:  # noqa: ANN401 - YAML holds anything
        """Parse a file as the value at a key path.

        Raises:
            InputError: The text is not YAML, nested too deeply, or repeats too much.
        """
        self._files.append(path)
        try:
            node = yaml.compose(self._prepare(text, path), Loader=yaml.SafeLoader)
            return self._build(node, key_path) if node is not None else None
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            problem = " ".join(part for part in (error.context, error.problem) if part)
            raise InputError(f"This is not valid YAML: {problem}.", f"{path}:{mark.line + 1 if mark else 1}") from error
        except yaml.reader.ReaderError as error:
            line = text.count("\n", 0, error.position) + 1
            message = f"This is not valid YAML: the character U+{error.character:04X} is not allowed."
            raise InputError(message, f"{path}:{line}") from error
        except RecursionError:
            raise InputError("The values are nested too deeply.", str(path)) from None
        except ValueError as error:
            # PyYAML does not check the numbers of characters, as in "\U00110000".
            raise InputError(f"This is not valid YAML: {error}.", str(path)) from error
        finally:
            self._files.pop()

    def _build(self, node: yaml.Node, key_path: KeyPath) -> Any:  # noqa: ANN401 - YAML holds anything
        if len(key_path) > _MAX_DEPTH:
            raise InputError("The values are nested too deeply; an anchor may contain itself.", str(self._path))
        self._count(node)
        self.lines.setdefault(key_path, node.start_mark.line + 1)
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, key_path)
        if isinstance(node, yaml.SequenceNode):
            return [self._build(item, (*key_path, index)) for index, item in enumerate(node.value)]
        if node.tag == _INCLUDE and self._include_below is not None:
            return self._include(node, key_path, self._include_below)
        if isinstance(node, yaml.ScalarNode) and node.style is None and _ACCOUNT_ID.fullmatch(node.value):
            return node.value
        try:
            if not _is_text(node):
                raise ValueError("it contains an unpaired surrogate")
            if node.tag in _NUMBERS and len(node.value) > _LONGEST_NUMBER:
                # Reading numbers to the base 60 takes time that grows with the square of their length.
                raise ValueError("it is too long for a number; quote a text")
            return self._scalars.construct_object(node)
        except _UNREADABLE as error:
            problem = getattr(error, "problem", None) or str(error)
            self._report(node, key_path, f"The value cannot be read: {problem}.")
            return None

    def _count(self, node: yaml.Node) -> None:
        """Refuse a file whose aliases repeat too many values."""
        self._repeat(int(id(node) in self._built), node)
        self._built[id(node)] = node

    def _repeat(self, count: int, node: yaml.Node) -> None:
        self._repeated += count
        if self._repeated > _MAX_REPEATED:
            message = f"Aliases repeat more than {_MAX_REPEATED:,} values; write the values out."
            raise InputError(message, f"{self._path}:{node.start_mark.line + 1}")

    def _include(self, node: yaml.Node, key_path: KeyPath, folder: Path) -> Any:  # noqa: ANN401 - YAML holds anything
        path = Path(os.path.normpath(self._path.parent / node.value))
        target = path.resolve()
        if not target.is_relative_to(folder):
            self._report(node, key_path, f'The included file "{node.value}" is not in {folder}.')
        elif target in (file.resolve() for file in self._files):
            self._report(node, key_path, f'The included file "{node.value}" includes itself.')
        # Unlike Path.is_file, it takes a name that is too long for the file system as that of no file.
        elif not os.path.isfile(target):  # noqa: PTH113
            self._report(node, key_path, f'The included file "{node.value}" does not exist or is not a file.')
        else:
            self.included[key_path] = path
            # From here on, lines are those of the included file.
            self.lines.pop(key_path)
            if len(self.included) > _MAX_INCLUDED:
                raise InputError(f"More than {_MAX_INCLUDED:,} files are included.", str(self._path))
            return self.read(read_text(path), path, key_path)
        return None

    def _mapping(self, node: yaml.MappingNode, key_path: KeyPath) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in self._merged(node, key_path):
            child = (*key_path, str(key_node.value))
            self.lines[child] = key_node.start_mark.line + 1
            values[str(key_node.value)] = self._build(value_node, child)
        return values

    def _merged(self, node: yaml.MappingNode, key_path: KeyPath) -> list[tuple[yaml.Node, yaml.Node]]:
        """Return the pairs of a mapping, each key once: merged ones (`<<`) first, then its own, which win."""
        if id(node) in self._pairs:
            return self._pairs[id(node)]
        self._pairs[id(node)] = []
        self._refuse_repeated_keys(node, key_path)
        merged: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        own: dict[str, tuple[yaml.Node, yaml.Node]] = {}
        for key_node, value_node in node.value:
            if key_node.tag == _MERGE:
                for source in _merge_sources(node, value_node):
                    pairs = self._merged(source, key_path)
                    self._repeat(len(pairs) + 1, node)
                    for pair in pairs:
                        merged.setdefault(str(pair[0].value), pair)
            elif _is_text(key_node):
                own[str(key_node.value)] = (key_node, value_node)
        pairs = [pair for key, pair in merged.items() if key not in own]
        self._pairs[id(node)] = [*pairs, *own.values()]
        return self._pairs[id(node)]

    def _refuse_repeated_keys(self, node: yaml.MappingNode, key_path: KeyPath) -> None:
        first_lines: dict[str, int] = {}
        for key_node, _ in node.value:
            if not _is_text(key_node):
                self._report(key_node, key_path, "A key must be text.")
                continue
            key = str(key_node.value)
            line = key_node.start_mark.line + 1
            if key in first_lines and key_node.tag != _MERGE:
                child = (*key_path, key)
                self._report(key_node, child, f'Duplicate key "{key}", first on line {first_lines[key]}.')
            first_lines.setdefault(key, line)

    def _report(self, node: yaml.Node, key_path: KeyPath, message: str) -> None:
        location = f"{self._path}:{node.start_mark.line + 1} ({format_key_path(key_path)})"
        self.problems.append((key_path, Problem(message, location)))


def _merge_sources(node: yaml.MappingNode, value: yaml.Node) -> list[yaml.MappingNode]:
    """Return the mappings of a merge key.

    Raises:
        yaml.YAMLError: It is neither a mapping nor a list of mappings.
    """
    sources = value.value if isinstance(value, yaml.SequenceNode) else [value]
    for source in sources:
        if not isinstance(source, yaml.MappingNode):
            raise yaml.constructor.ConstructorError(
                "while constructing a mapping",
                node.start_mark,
                "expected a mapping or list of mappings for merging",
                source.start_mark,
            )
    return list(sources)
