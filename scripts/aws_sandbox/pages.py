"""Answers page by page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any


def page(key: str, entries: Sequence[Any], token: str | None, size: int) -> dict[str, Any]:
    """Return the answer that holds one page.

    Args:
        key: Name of the list in the answer.
        entries: All entries, in the same order at every call.
        token: Token of the page before, if there was one.
        size: Entries on a page.
    """
    start = int(token or 0)
    end = start + size
    answer: dict[str, Any] = {key: list(entries[start:end])}
    return answer if end >= len(entries) else {**answer, "NextToken": str(end)}
