"""Check that documents of the account cannot be shared publicly."""

from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Target
from session_manager_fleet.verify.model import Check, finding, not_needed, ok
from session_manager_fleet.verify.reading import Reader, setting_arn

_NAME = "public_sharing"
_SETTING = "/ssm/documents/console/public-sharing-permission"


def public_sharing(reader: Reader, target: Target, values: TargetSettings) -> Check:
    """Check the service setting, which the guardrails require, too."""
    if not values.preferences.block_public_sharing:
        return not_needed(_NAME, "preferences.block_public_sharing is false.")
    region = target.region
    setting = setting_arn(target, _SETTING)
    found = reader.call("ssm", region, "get_service_setting", SettingId=setting)["ServiceSetting"]["SettingValue"]
    if found == "Disable":
        return ok(_NAME, "Public sharing of documents is blocked.")
    # Where sharing was blocked before the first apply, Terraform does not manage the setting, and plans no change.
    fix = (
        "Block it, with a role that the guardrails exempt: "
        f"aws ssm update-service-setting --region {region} --setting-id {setting} --setting-value Disable"
    )
    return finding(_NAME, f"Documents can be shared publicly: the setting {_SETTING} is {found}.", fix)
