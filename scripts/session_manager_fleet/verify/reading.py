"""Report what AWS refuses to show as `not_checked`."""

from collections.abc import Callable

from session_manager_fleet.aws import translated_errors
from session_manager_fleet.errors import AccessError
from session_manager_fleet.targets import Reader, error_code, setting_arn
from session_manager_fleet.verify.model import Check, Verdict

# What all checks read with.
__all__ = ["Reader", "error_code", "not_checked", "run_check", "setting_arn"]


def run_check(name: str, check: Callable[[], Check]) -> Check:
    """Run a check; if AWS denies the read, the result is `not_checked`, never `ok`."""
    try:
        with translated_errors(f"check the {name.replace('_', ' ')}"):
            return check()
    except AccessError as error:
        return not_checked(name, error)


def not_checked(name: str, error: AccessError) -> Check:
    """Return a check that could not run."""
    return Check(name, Verdict.NOT_CHECKED, str(error), "Allow the role to read it (see docs/verify-policy.json).")
