"""Read values and policies as checkov hands them over: from HCL that it evaluated in part, or from a plan."""

import ast
import json
import re
from collections.abc import Iterator
from enum import Enum
from typing import Any

# The address of an attribute of a resource: what it stands for exists, whatever its value.
_REFERENCE = re.compile(r"(?:data\.)?aws_\w+\.\w+(?:\[\d+\])?\.\w+")
_EXPRESSION = re.compile(r"\$\{|\b(?:var|local|each|module|data|aws_\w+|statement|self)[.\[]|\w\(| \? ")
_TEXTS_OF_BOOLEANS = {"true": True, "false": False}


class State(Enum):
    """State of a value before anything is applied."""

    ABSENT = "absent"
    PRESENT = "present"
    UNKNOWN = "unknown"


def single(value: Any) -> Any:
    """Return an attribute without the list that checkov puts around each."""
    return value[0] if isinstance(value, list) and len(value) == 1 else value


def flatten(value: Any) -> Iterator[Any]:
    """Yield what stands in nested lists."""
    if isinstance(value, list):
        for part in value:
            yield from flatten(part)
    elif value is not None:
        yield value


def is_expression(value: Any) -> bool:
    """Return whether checkov could not evaluate the value.

    Of an object with the default {} it knows no attribute, and gives {} for each.
    """
    return isinstance(value, dict | list) or (isinstance(value, str) and _EXPRESSION.search(value) is not None)


def boolean_or_value(value: Any) -> Any:
    """Return a boolean for its text, as Terraform and the document accept both; any other value as it is."""
    return _TEXTS_OF_BOOLEANS.get(value.lower(), value) if isinstance(value, str) else value


def state_of(value: Any) -> State:
    """Return whether the value is set: not null, not empty and not false."""
    value = boolean_or_value(value)
    if value is None or value in ("", False, "null", "None"):
        return State.ABSENT
    if isinstance(value, dict | list):
        return State.UNKNOWN
    if is_expression(value) and not _REFERENCE.fullmatch(value.removeprefix("${").removesuffix("}")):
        return State.UNKNOWN
    return State.PRESENT


def preferences_of(conf: dict[str, Any]) -> tuple[dict[str, Any] | None, bool]:
    """Return the preferences in the input of an aws_lambda_invocation, and whether it merges them with the live ones.

    None: the input has none, or none that can be read.
    """
    written = single(conf.get("input"))
    if isinstance(written, str):
        try:
            written = json.loads(written)
        except ValueError:
            merges = re.search(r"""['"]?adopt['"]?\s*[:=]\s*['"]merge['"]""", written) is not None
            return _literal_after(written, "preferences"), merges
    if not isinstance(written, dict):
        return None, False
    found = single(written.get("preferences"))
    return (found if isinstance(found, dict) else None), written.get("adopt") == "merge"


def mentions_preferences(conf: dict[str, Any]) -> bool:
    """Return whether the input of an aws_lambda_invocation holds preferences, readable or not."""
    written = single(conf.get("input"))
    return "preferences" in (written if isinstance(written, dict | str) else {})


def _literal_after(text: str, key: str) -> dict[str, Any] | None:
    """Return the object of the key in an expression of which checkov evaluated that part."""
    for found in re.finditer(rf"['\"]{key}['\"]\s*:\s*(?=\{{)", text):
        rest = text[found.end() :]
        for brace in re.finditer("}", rest):
            try:
                literal = ast.literal_eval(rest[: brace.end()])
            except (SyntaxError, ValueError):
                continue
            return literal if isinstance(literal, dict) else None
    return None
