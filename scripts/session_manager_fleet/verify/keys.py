"""Check KMS keys."""

from dataclasses import dataclass

from session_manager_fleet.aws import rescue
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.terraform import permissions
from session_manager_fleet.verify.checks import Place, TargetCheck
from session_manager_fleet.verify.model import PLAN_AND_APPLY, Check, CheckInfo, Severity, finding, not_needed, ok
from session_manager_fleet.verify.reading import Reader


@dataclass(frozen=True)
class Key:
    """A KMS key and KMS's state of it, such as `Enabled` or `PendingDeletion`."""

    arn: str
    state: str


def find_key(reader: Reader, region: str, key_id: str) -> Key | None:
    """Return the key with an ARN or alias, or None if it does not exist."""
    found = reader.find("kms", region, "describe_key", KeyId=key_id)
    return Key(found["KeyMetadata"]["Arn"], found["KeyMetadata"]["KeyState"]) if found else None


def session_key(reader: Reader, region: str, values: TargetSettings) -> tuple[Check, str | None]:
    """Check the key that encrypts session data; return its ARN, too."""
    expected = values.preferences.session_key
    if not expected.enabled:
        return not_needed("session_key", "Session data is not encrypted with a KMS key."), None
    key_id = expected.kms_key_arn or values.names.data_key_alias
    key = find_key(reader, region, key_id)
    if key is None:
        fix = PLAN_AND_APPLY if expected.kms_key_arn is None else "Create the key, or correct session_key.kms_key_arn."
        return finding("session_key", f"The session key {key_id} does not exist.", fix), None
    if key.state != "Enabled":
        message = f"The session key {key_id} is {key.state}: no session can start."
        return finding("session_key", message, rescue(key.arn, key.state)), key.arn
    return ok("session_key", f"{key_id} is enabled."), key.arn


class SessionKey(TargetCheck):
    """Check the key that encrypts session data."""

    info = CheckInfo(
        id="session_key",
        severity=Severity.CRITICAL,
        what="the key for session data exists and is enabled",
        why="The document names this key: while it is disabled or gone, no session can start in the target.",
        fix="Enable the key or cancel its deletion in KMS; plan and apply where the alias is gone.",
        evidence="the key behind the alias or ARN, and its state",
        where="every target",
        permissions=(permissions.KEYS.allow("kms:DescribeKey"),),
        controls=("Security Hub KMS.3", "NIST 800-53 SC-12", "NIST 800-53 SC-13"),
    )

    def run(self, place: Place) -> Check:
        """Judge whether the key can be used."""
        return shared_session_key(place)[0]


def shared_session_key(place: Place) -> tuple[Check, str | None]:
    """Return the judgement of the session key and its ARN, which several checks read once."""
    region, values = place.region, place.values
    return place.reader.once(("session key", region), lambda: session_key(place.reader, region, values))
