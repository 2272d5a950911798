"""The JSON paths of EventBridge and Systems Manager: members and indexes, `$.detail.items[0].name`."""

from __future__ import annotations

import re
from typing import Any

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\['([^']+)'\]")


def at(document: Any, path: str) -> Any:  # noqa: ANN401 - anything that JSON can hold
    """Return the value at a path, or None if it does not exist.

    Raises:
        ValueError: The path is not supported.
    """
    if not re.fullmatch(rf"\$(?:{_STEP.pattern})*", path):
        raise ValueError(f"{path} is not a supported JSON path: use members and indexes, as in $.items[0].name")
    value = document
    for name, index, quoted in _STEP.findall(path):
        try:
            value = value[int(index)] if index else value[name or quoted]
        except (KeyError, IndexError, TypeError):
            return None
    return value
