"""Check the preferences document."""

from botocore.exceptions import ClientError

from session_manager_fleet.preferences import VerificationError, expected_preferences, verify_preferences
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Target
from session_manager_fleet.terraform import permissions
from session_manager_fleet.verify.checks import Place, TargetCheck
from session_manager_fleet.verify.keys import shared_session_key
from session_manager_fleet.verify.model import Check, CheckInfo, Severity, Verdict, finding, not_needed, ok
from session_manager_fleet.verify.reading import Reader


def preferences(reader: Reader, target: Target, values: TargetSettings, key_arn: str | None) -> Check:
    """Check that the document has the configured preferences; `key_arn` is None without a session key."""
    try:
        verify_preferences(
            reader.client("ssm", target.region), target.region, expected_preferences(target, values, key_arn)
        )
    except VerificationError as error:
        return finding("preferences", " ".join([str(error), *error.diagnostics]))
    return ok("preferences", f"{values.names.document} matches the configuration.")


def without_key() -> Check:
    """Return the result for a document that cannot be compared because its session key does not exist."""
    return not_needed("preferences", "Not compared: the expected document depends on the session key.")


class Preferences(TargetCheck):
    """Check the preferences document."""

    info = CheckInfo(
        id="preferences",
        severity=Severity.HIGH,
        what="the document equals the settings (compared by the function's own code), its default version is the "
        "latest one, and it is not shared",
        why="Sessions start with whatever the default version says: another one can leave them unlogged or "
        "unencrypted.",
        fix="Plan and apply the target: the plan compares the live document, and writes it again where it differs.",
        evidence="content, versions and sharing of the document",
        where="every target",
        permissions=(
            permissions.DOCUMENTS.allow(
                "ssm:DescribeDocument", "ssm:DescribeDocumentPermission", "ssm:GetDocument", "ssm:ListDocumentVersions"
            ),
            permissions.KEYS.allow("kms:DescribeKey"),
        ),
        controls=("Security Hub SSM.4", "NIST 800-53 AU-2", "NIST 800-53 AU-12", "NIST 800-53 CM-6"),
    )

    def applies(self, _: Place) -> bool:
        """Say of every target whether its preferences are managed."""
        return True

    def run(self, place: Place) -> Check:
        """Compare the live document with the settings."""
        if not place.values.preferences.enabled:
            return not_needed("preferences", "preferences.enabled is false.")
        try:
            key, arn = shared_session_key(place)
        except ClientError:
            return without_key()
        if key.verdict is Verdict.FINDING and arn is None:
            return without_key()
        return preferences(place.reader, place.target, place.values, arn)
