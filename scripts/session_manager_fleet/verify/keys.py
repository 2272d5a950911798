"""Check KMS keys."""

from dataclasses import dataclass

from session_manager_fleet.aws import rescue
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.verify.model import PLAN_AND_APPLY, Check, finding, not_needed, ok
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
