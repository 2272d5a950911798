"""How `verify` words the retention of a log group."""

import pytest

from session_manager_fleet.verify.log_group import judge_retention


@pytest.mark.parametrize(
    ("days", "expected", "problem"),
    [
        (90, 90, ""),
        (None, 0, ""),
        (None, 90, 'retention is "never expire", expected 90 days'),
        (30, 90, "retention is 30 days, expected 90 days"),
        (30, 0, 'retention is 30 days, expected "never expire"'),
    ],
)
def test_retention(days: int | None, expected: int, problem: str) -> None:
    assert judge_retention(days, expected) == problem
