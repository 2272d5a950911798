"""Check that AWS Config records IAM roles: otherwise the rule for the instance policy evaluates nothing.

Terraform cannot check it: hashicorp/aws has no data source for recorders.
"""

from collections.abc import Mapping
from typing import Any, Final

from session_manager_fleet.aws import translated_errors
from session_manager_fleet.terraform import permissions
from session_manager_fleet.verify.checks import Place, TargetCheck
from session_manager_fleet.verify.model import Check, CheckInfo, Severity, finding, not_needed, ok
from session_manager_fleet.verify.reading import Reader

_ROLE_TYPE: Final = "AWS::IAM::Role"


def judge_recorder(region: str, recorder: Mapping[str, Any] | None, *, is_recording: bool, has_roles: bool) -> Check:
    """Judge the recorder, as DescribeConfigurationRecorders returns it; every account has roles to record."""
    if recorder is None:
        message = f"AWS Config has no recorder in {region}."
        fix = f'Set up a recorder that records {_ROLE_TYPE}, or set config_rule.without_recorder to "skip".'
        return finding("recorder", message, fix)
    where = f"The recorder {recorder['name']} in {region}"
    if not is_recording:
        start = f"--region {region} --configuration-recorder-name {recorder['name']}"
        fix = f"Start it: `aws configservice start-configuration-recorder {start}`."
        return finding("recorder", f"{where} is stopped.", fix)
    if not _includes_roles(recorder.get("recordingGroup", {})):
        fix = "Add this type to the recorder, or set includeGlobalResourceTypes."
        return finding("recorder", f"{where} does not record {_ROLE_TYPE}.", fix)
    if not has_roles:
        return finding(
            "recorder",
            f"{where} should record {_ROLE_TYPE}, but has recorded none.",
            "Wait if it was started just now. Regions that AWS Config has served only since February 2022 never record "
            "IAM types: choose another home region.",
        )
    if _frequency(recorder.get("recordingMode", {})) == "DAILY":
        message = f"{where} records {_ROLE_TYPE} once a day, so the Config rule evaluates roles up to a day late."
        return finding("recorder", message, "Record this type continuously.")
    return ok("recorder", "AWS Config records IAM roles.")


def check_recorder(reader: Reader, region: str, *, may_lack: bool = False) -> Check:
    """Check that AWS Config records IAM roles in the home region, in which the Config rule evaluates them.

    Args:
        reader: In the account.
        region: The home region.
        may_lack: Whether the rule is left out without a recorder, as config_rule.without_recorder can say.

    Raises:
        AccessError: AWS denies the calls.
    """
    with translated_errors(f"read the configuration recorder in {region}"):
        # Without a name, these calls return the customer managed recorder, at most one per region.
        recorders = reader.call("config", region, "describe_configuration_recorders")["ConfigurationRecorders"]
        answer = reader.call("config", region, "describe_configuration_recorder_status")
        statuses, roles = answer["ConfigurationRecordersStatus"], []
        if recorders:
            found = reader.call("config", region, "list_discovered_resources", resourceType=_ROLE_TYPE, limit=1)
            roles = found["resourceIdentifiers"]
    if may_lack and not recorders:
        return not_needed("recorder", f"AWS Config has no recorder in {region}: the Config rule is left out.")
    return judge_recorder(
        region,
        recorders[0] if recorders else None,
        is_recording=any(status.get("recording", False) for status in statuses),
        has_roles=bool(roles),
    )


def _includes_roles(group: Mapping[str, Any]) -> bool:
    """Tell whether a recording group includes IAM roles.

    Exclusions override the other fields, and "all" includes IAM types only with includeGlobalResourceTypes; see
    https://docs.aws.amazon.com/config/latest/APIReference/API_RecordingGroup.html.
    """
    if group.get("recordingStrategy", {}).get("useOnly") == "EXCLUSION_BY_RESOURCE_TYPES":
        return _ROLE_TYPE not in group.get("exclusionByResourceTypes", {}).get("resourceTypes", [])
    if group.get("allSupported"):
        return bool(group.get("includeGlobalResourceTypes"))
    return _ROLE_TYPE in group.get("resourceTypes", [])


def _frequency(mode: Mapping[str, Any]) -> str:
    """Return the recording frequency of roles: `CONTINUOUS` or `DAILY`."""
    for override in mode.get("recordingModeOverrides", []):
        if _ROLE_TYPE in override["resourceTypes"]:
            return str(override["recordingFrequency"])
    return str(mode.get("recordingFrequency", "CONTINUOUS"))


class Recorder(TargetCheck):
    """Check that AWS Config records IAM roles."""

    info = CheckInfo(
        id="recorder",
        severity=Severity.MEDIUM,
        what="AWS Config records IAM roles; without it the Config rule evaluates nothing",
        why="The Config rule reads recorded roles: without them a role that lacks the policy is never found.",
        fix="Set up a recorder that records AWS::IAM::Role, or start it.",
        evidence="the recorder, its status, and one recorded role",
        where="home region",
        permissions=(
            permissions.WITHOUT_RESOURCES.allow(
                "config:DescribeConfigurationRecorderStatus",
                "config:DescribeConfigurationRecorders",
                "config:ListDiscoveredResources",
            ),
        ),
        component="config_rule",
        controls=("Security Hub Config.1", "CIS AWS Foundations 3.0.0 3.3", "NIST 800-53 CM-8"),
    )

    def applies(self, place: Place) -> bool:
        """Judge home regions with the Config rule."""
        return place.target.is_home and place.values.config_rule.enabled

    def run(self, place: Place) -> Check:
        """Judge the recorder."""
        return shared_recorder(place)


def shared_recorder(place: Place) -> Check:
    """Return the judgement of the recorder, which two checks need once."""
    may_lack = place.values.config_rule.without_recorder == "skip"
    return place.reader.once(
        ("recorder", place.region), lambda: check_recorder(place.reader, place.region, may_lack=may_lack)
    )
