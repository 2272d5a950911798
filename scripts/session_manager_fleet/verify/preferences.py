"""Check the preferences document."""

from session_manager_fleet.preferences import VerificationError, expected_preferences, verify_preferences
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Target
from session_manager_fleet.verify.model import WRITE_AGAIN, Check, finding, ok
from session_manager_fleet.verify.reading import Reader


def preferences(reader: Reader, target: Target, values: TargetSettings, key_arn: str | None) -> Check:
    """Check that the document has the configured preferences; `key_arn` is None without a session key."""
    try:
        verify_preferences(reader.session, target.region, expected_preferences(target, values, key_arn))
    except VerificationError as error:
        return finding("preferences", " ".join([str(error), *error.diagnostics]), WRITE_AGAIN)
    return ok("preferences", f"{values.names.document} matches the configuration.")


def without_key() -> Check:
    """Return the finding for a document that cannot be compared because its session key does not exist."""
    message = "Skipped: the expected document depends on the session key."
    return finding("preferences", message, "Fix the session key first.")
