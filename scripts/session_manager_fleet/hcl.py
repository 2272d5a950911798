"""Write values as HCL expressions, formatted as by `terraform fmt`."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

# Text without escapes: printable ASCII without quotes, backslashes, and the signs that begin templates.
_PLAIN = re.compile(r"[ !#&-\[\]-~]*")

# Keys without quotes; `for` at the beginning of an object would be an expression.
_IDENTIFIER = re.compile(r"(?!for$)[A-Za-z_][A-Za-z0-9_-]*")

_TEMPLATE_START = re.compile(r"([$%]+)\{")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"}


def quote(text: str, *, ascii_only: bool = False) -> str:
    """Return an HCL string literal, in which interpolations, directives and control characters are escaped.

    Terraform reads back the same text, normalized to Unicode NFC.
    """
    if _PLAIN.fullmatch(text):
        return f'"{text}"'
    quoted = "".join(_escape(letter, ascii_only=ascii_only) for letter in text)
    return '"' + _TEMPLATE_START.sub(_escape_template_start, quoted) + '"'


def _escape_template_start(match: re.Match[str]) -> str:
    """Double the sign before a brace, or escape several signs by code point, which HCL would combine in pairs."""
    signs = match[1]
    return f"{signs}{signs}{{" if len(signs) == 1 else "".join(f"\\u{ord(sign):04x}" for sign in signs) + "{"


def _escape(letter: str, *, ascii_only: bool) -> str:
    if letter in _ESCAPES:
        return _ESCAPES[letter]
    if letter.isprintable() and (letter.isascii() or not ascii_only):
        return letter
    return f"\\U{ord(letter):08x}"


def hcl(value: Any, indent: int = 0) -> str:  # noqa: ANN401 - any value of a settings model
    """Return a value as an HCL expression.

    Raises:
        TypeError: The value has no HCL form.
    """
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float):
        return str(value)
    if isinstance(value, str):
        return quote(value)
    if isinstance(value, Mapping):
        return _object(value, indent)
    if isinstance(value, Sequence):
        return _list(value, indent)
    raise TypeError(f"{type(value).__name__} has no HCL form")


def _list(value: Sequence[Any], indent: int) -> str:
    """Return a list on one line, or with one line per item if it contains objects."""
    if not any(isinstance(item, Mapping) for item in value):
        return "[" + ", ".join(hcl(item, indent) for item in value) + "]"
    margin = " " * (indent + 2)
    return "\n".join(["[", *(f"{margin}{hcl(item, indent + 2)}," for item in value), " " * indent + "]"])


def _object(value: Mapping[str, Any], indent: int) -> str:
    if not value:
        return "{}"
    margin = " " * (indent + 2)
    entries = [
        (key if _IDENTIFIER.fullmatch(key) else quote(key, ascii_only=True), hcl(item, indent + 2))
        for key, item in value.items()
    ]
    lines: list[str] = []
    # terraform fmt aligns the equals signs of adjacent one-line entries.
    group: list[tuple[str, str]] = []
    for key, text in [*entries, ("", "\n")]:
        if "\n" not in text:
            group.append((key, text))
            continue
        width = max((len(name) for name, _ in group), default=0)
        lines.extend(f"{margin}{name:<{width}} = {line}" for name, line in group)
        group = []
        if key:
            lines.append(f"{margin}{key} = {text}")
    return "\n".join(["{", *lines, " " * indent + "}"])
