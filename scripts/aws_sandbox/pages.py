"""Paginated responses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def page(key: str, entries: Sequence[Any], token: str | None, size: int) -> dict[str, Any]:
    """Return the response with one page.

    Args:
        key: Name of the list in the response.
        entries: All entries, in the same order in every call.
        token: Token from the previous page, if any.
        size: Maximum entries a page.
    """
    start = int(token or 0)
    end = start + size
    answer: dict[str, Any] = {key: list(entries[start:end])}
    return answer if end >= len(entries) else {**answer, "NextToken": str(end)}
