"""Answers of AWS that a test gives."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from session_preferences.errors import AwsError

if TYPE_CHECKING:
    from collections.abc import Mapping


def given(answer: object, arguments: Mapping[str, object]) -> dict[str, Any]:
    """Return an answer, or what a function makes of the arguments; raise one that is an error."""
    if callable(answer):
        answer = answer(arguments)
    if isinstance(answer, AwsError):
        raise answer
    assert isinstance(answer, dict)
    return answer
