"""Read rendered tfvars back, with the values that terraform reads in them."""

import re
import unicodedata
from typing import Any

from session_manager_fleet.errors import InputError

# HCL native syntax specification, "Template Expressions": the escapes of quoted templates, and of template marks.
_QUOTED = re.compile(
    r"\\(?P<letter>[nrt\"\\])|\\u(?P<short>[0-9a-fA-F]{4})|\\U(?P<long>[0-9a-fA-F]{8})|(?P<mark>\$\$|%%)(?=\{)"
)
_MARK = re.compile(r"(\$\$|%%)(?=\{)")
_LETTERS = {"n": "\n", "r": "\r", "t": "\t", '"': '"', "\\": "\\"}
_HEREDOC = re.compile(r"<<(?P<indented>-?)(?P<end>\w+)\n(?P<body>.*?)[ \t]*(?P=end)", re.DOTALL)


def values_of(text: str) -> dict[str, Any]:
    """Return the variables in the text of a tfvars file, normalized to Unicode NFC as by terraform.

    Raises:
        InputError: The text is not HCL.
    """
    import hcl2  # noqa: PLC0415 - it takes a tenth of a second, which only an apply needs

    try:
        parsed = hcl2.loads(text)
    except Exception as error:  # lark raises many types
        raise InputError("The rendered variables are not HCL.") from error
    return {name: _value(value) for name, value in parsed.items() if not name.startswith("__")}


def _value(value: Any) -> Any:  # noqa: ANN401 - any JSON
    if isinstance(value, str):
        return unicodedata.normalize("NFC", _text(value))
    if isinstance(value, list):
        return [_value(item) for item in value]
    if isinstance(value, dict):
        return {_value(name): _value(item) for name, item in value.items() if not name.startswith("__")}
    return value


def _text(literal: str) -> str:
    if literal[:1] == literal[-1:] == '"' and len(literal) > 1:
        literal = literal[1:-1]
        if heredoc := _HEREDOC.fullmatch(literal):
            return _heredoc(heredoc)
        return _QUOTED.sub(_unescaped, literal)
    return literal


def _unescaped(match: re.Match[str]) -> str:
    if match["mark"]:
        return match["mark"][0]
    if match["letter"]:
        return _LETTERS[match["letter"]]
    return chr(int(match["short"] or match["long"], 16))


def _heredoc(match: re.Match[str]) -> str:
    lines = match["body"].splitlines(keepends=True)
    if match["indented"]:
        margin = min((len(line) - len(line.lstrip(" \t")) for line in lines if line.strip()), default=0)
        lines = [line[margin:] for line in lines]
    return _MARK.sub(lambda found: found[0][0], "".join(lines))
