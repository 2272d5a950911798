"""Replace `{{ KEY }}` in a Landing Zone Accelerator configuration, as replacements-config.yaml defines it."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from session_manager_fleet.errors import InputError, Problem
from session_manager_fleet.yaml_source import KeyPath, YamlDocument, nearest, read_yaml, refuse_links_out

FILE_NAME = "replacements-config.yaml"

# Excludes dynamic references of CloudFormation, `{{resolve:ssm:/name}}`.
_PLACEHOLDER = re.compile(r"\{\{(?!resolve:)\{?([^{}\n]*)\}?\}\}")

# Marks a placeholder without a value (yet): its name in hexadecimal digits, which YAML reads as plain text, between
# private-use characters, which no configuration contains.
_UNKNOWN = re.compile("\ue000([0-9a-f]*)\ue001")


@dataclass(frozen=True)
class Replacements:
    """Values of placeholders.

    The accelerator replaces text before it parses YAML, so a list of strings becomes `a,b` and is a list only within
    brackets (replacements-config.ts). It keeps an unknown placeholder as text; here that is an error, but only in
    values that are read.

    Attributes:
        values: Text by key.
        parameters: Names of Parameter Store parameters of the management account, in the home region, by key.
    """

    values: Mapping[str, str] = field(default_factory=dict)
    parameters: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def read(cls, folder: Path) -> "Replacements":
        """Read replacements-config.yaml; a missing file defines no replacements.

        Raises:
            InputError: With every problem and its line.
        """
        path = folder / FILE_NAME
        if not path.is_file():
            return cls()
        refuse_links_out(path, folder)
        document = read_yaml(path, include_below=folder)
        entries = (document.data or {}).get("globalReplacements") if isinstance(document.data or {}, dict) else None
        problems: list[Problem] = []
        values: dict[str, str] = {}
        parameters: dict[str, str] = {}
        for index, entry in enumerate(entries if isinstance(entries, list) else []):
            key = entry.get("key") if isinstance(entry, dict) else None
            if not isinstance(key, str) or not key:
                message = 'A replacement needs a "key", and a "value" or a "path".'
                problems.append(Problem(message, document.where(("globalReplacements", index))))
            elif isinstance(entry.get("path"), str):
                parameters[key] = entry["path"]
            elif (text := _text(entry.get("value"))) is not None:
                values[key] = text
            else:
                message = f'The replacement "{key}" needs a "value" (text, number or list of texts), or a "path".'
                problems.append(Problem(message, document.where(("globalReplacements", index))))
        if problems:
            raise InputError(problems)
        return cls(values, parameters)

    def with_values(self, values: Mapping[str, str]) -> "Replacements":
        """Return replacements with additional values; existing ones win."""
        return replace(self, values={**values, **self.values})

    def prepare(self, text: str, path: Path) -> str:  # noqa: ARG002 - the signature of yaml_source.Prepare
        """Replace all placeholders of a text; line numbers stay the same."""
        return _PLACEHOLDER.sub(self._replacement, text)

    def _replacement(self, found: re.Match[str]) -> str:
        key = found[1].strip(" \t")
        value = self.values.get(key)
        return f"\ue000{key.encode().hex()}\ue001" if value is None else value

    def problem(self, placeholder: str, location: str) -> Problem:
        """Return why a placeholder has no value."""
        if placeholder in self.parameters:
            name = self.parameters[placeholder]
            message = f'"{{{{{placeholder}}}}}" is the parameter {name} of the management account, which was not read.'
        elif re.search(r"[\s#/^>&!\"']", placeholder):
            message = f'"{{{{{placeholder}}}}}" is not supported; use a key of {FILE_NAME}.'
        else:
            message = f'"{{{{{placeholder}}}}}" has no value in {FILE_NAME}{nearest(placeholder, self.values)}.'
        return Problem(message, location)


def unresolved(document: YamlDocument, key_path: KeyPath) -> Iterator[tuple[KeyPath, str]]:
    """Yield (key path, placeholder) for placeholders without a value at and below a key path."""
    value = document.data
    for part in key_path:
        value = value.get(part) if isinstance(value, dict) else None
    for where, text in _strings(value, key_path):
        for digits in _UNKNOWN.findall(text):
            yield where, bytes.fromhex(digits).decode()


def _text(value: object) -> str | None:
    """Return the text that replaces a placeholder, or None for a value of another type."""
    if isinstance(value, str):
        return value
    if isinstance(value, list) and value and all(isinstance(item, str) for item in value):
        return ",".join(value)
    return str(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


# Free text that is not read here, so its placeholders need no value.
_UNREAD = frozenset({"description", "accountAlias"})


def _strings(value: Any, key_path: KeyPath) -> Iterator[tuple[KeyPath, str]]:  # noqa: ANN401 - whatever YAML held
    if isinstance(value, str):
        yield key_path, value
    elif isinstance(value, dict):
        for key, item in value.items():
            if key not in _UNREAD:
                yield from _strings(item, (*key_path, key))
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _strings(item, (*key_path, index))
