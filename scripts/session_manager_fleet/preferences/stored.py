"""The settings that the function stored at the last apply, to which it repairs drift, compared with the expected."""

from collections.abc import Mapping
from typing import Any

from session_preferences import original_document
from session_preferences.applied_settings import PARAMETER, AppliedSettings, decode
from session_preferences.errors import PreferencesError
from session_preferences.request import parse_event

STORED_PARAMETER = PARAMETER
# What the document was before it was managed. Without it, too, drift repair writes nothing.
ORIGINAL_PARAMETER = original_document.PARAMETER


def stored_key(value: str | None) -> str | None:
    """Return the session key in the parameter's value; None without one, or for a value that is missing or damaged."""
    try:
        return decode(value or "").preferences.get("kmsKeyId") or None
    except PreferencesError:
        return None


def stored_differences(value: str, expected: Mapping[str, Any]) -> list[str]:
    """Return the names of the settings that differ from a request to the function; the values may hold secrets.

    Args:
        value: The parameter's value. Only the digests of shell profiles are compared.
        expected: The expected request, as `expected_preferences` returns it.

    Returns:
        `document`, `adopt`, `waive` or names of preferences, as `idleSessionTimeout`; a clause for a damaged value.
    """
    try:
        stored = decode(value)
    except PreferencesError:
        return ["the record is damaged"]
    wanted = AppliedSettings.of(parse_event({**expected, "action": "diff"}), None)
    differing = [name for name in ("document", "adopt", "waive") if getattr(stored, name) != getattr(wanted, name)]
    names = sorted({*stored.preferences, *wanted.preferences})
    return differing + [name for name in names if stored.preferences.get(name) != wanted.preferences.get(name)]
