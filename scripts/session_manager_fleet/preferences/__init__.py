"""The live preferences document compared with the expected one."""

from session_manager_fleet.preferences.compare import DocumentChange, VerificationError, verify_preferences
from session_manager_fleet.preferences.expected import expected_preferences, log_group_name
from session_manager_fleet.preferences.preview import (
    PREFERENCES_OUTPUT,
    planned_preferences,
    preview_adoption,
    preview_destruction,
    writes_preferences,
)

__all__ = [
    "PREFERENCES_OUTPUT",
    "DocumentChange",
    "VerificationError",
    "expected_preferences",
    "log_group_name",
    "planned_preferences",
    "preview_adoption",
    "preview_destruction",
    "verify_preferences",
    "writes_preferences",
]
