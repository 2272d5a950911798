"""Check that documents of the account cannot be shared publicly."""

from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Target
from session_manager_fleet.terraform import permissions
from session_manager_fleet.verify.checks import Place, TargetCheck
from session_manager_fleet.verify.model import Check, CheckInfo, Severity, finding, not_needed, ok
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


class PublicSharing(TargetCheck):
    """Check that documents of the account cannot be shared publicly."""

    info = CheckInfo(
        id="public_sharing",
        severity=Severity.CRITICAL,
        what="the service setting that blocks public sharing of documents is `Disable`",
        why="A document that is shared publicly shows its content, such as names of buckets and scripts, to everybody.",
        fix="Set the service setting to Disable.",
        evidence="the service setting",
        where="targets with `preferences.block_public_sharing`, or guardrails that deny public sharing",
        permissions=(permissions.PUBLIC_SHARING.allow("ssm:GetServiceSetting"),),
        controls=("Security Hub SSM.7", "NIST 800-53 AC-3", "NIST 800-53 AC-21"),
    )

    def run(self, place: Place) -> Check:
        """Judge the service setting."""
        return public_sharing(place.reader, place.target, place.values)
