"""The JSON paths that EventBridge and Systems Manager know: members and indexes, `$.detail.items[0].name`."""

from __future__ import annotations

import re
from typing import Any

_STEP = re.compile(r"\.([^.\[\]]+)|\[(\d+)\]|\['([^']+)'\]")


def at(document: Any, path: str) -> Any:  # noqa: ANN401 - anything that JSON can hold
    """Return what a path leads to, or None where there is nothing.

    Raises:
        ValueError: It is no such path.
    """
    if not re.fullmatch(rf"\$(?:{_STEP.pattern})*", path):
        raise ValueError(f"{path} is not a path that is known here")
    value = document
    for name, index, quoted in _STEP.findall(path):
        try:
            value = value[int(index)] if index else value[name or quoted]
        except (KeyError, IndexError, TypeError):
            return None
    return value
