"""Whether AWS Config sees IAM roles: without that, the rule that looks for the instance policy judges nothing.

Terraform cannot tell, since hashicorp/aws reads no recorders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from session_manager_fleet.aws import CLIENT_CONFIG, translated_errors

if TYPE_CHECKING:
    import boto3

_ROLE_TYPE: Final = "AWS::IAM::Role"


@dataclass(frozen=True)
class RecorderState:
    """What the configuration recorder of an account and region makes of IAM roles.

    Attributes:
        records_roles: Whether it records them.
        finding: What is wrong and what to do about it, as one sentence or two; empty when nothing is.
    """

    records_roles: bool
    finding: str = ""


def judge_recorder(
    region: str, recorder: Mapping[str, Any] | None, *, is_recording: bool, has_roles: bool
) -> RecorderState:
    """Judge a recorder.

    Args:
        region: The region.
        recorder: The recorder as DescribeConfigurationRecorders returns it; None when there is none.
        is_recording: Whether it is switched on.
        has_roles: Whether it has recorded any role; every account has some.
    """
    if recorder is None:
        return _blind(f"AWS Config has no recorder in {region}: set one up that records {_ROLE_TYPE}.")
    name = recorder["name"]
    if not is_recording:
        return _blind(f"The recorder {name} in {region} is stopped: start it.")
    if not _includes_roles(recorder.get("recordingGroup", {})):
        return _blind(
            f"The recorder {name} in {region} leaves {_ROLE_TYPE} out: add it, or set includeGlobalResourceTypes."
        )
    if not has_roles:
        return _blind(
            f"The recorder {name} in {region} should record {_ROLE_TYPE} and has recorded none. Wait if it was started "
            "just now; in regions that AWS Config has served since February 2022 only, it never does: choose another "
            "home region."
        )
    if _frequency(recorder.get("recordingMode", {})) == "DAILY":
        return RecorderState(
            records_roles=True,
            finding=f"The recorder {name} in {region} records {_ROLE_TYPE} once a day, so roles are judged up to a day "
            "late: record this type continuously.",
        )
    return RecorderState(records_roles=True)


def read_recorder(session: boto3.Session, region: str) -> RecorderState:
    """Ask AWS Config whether it records IAM roles.

    Args:
        session: In the account.
        region: The home region, the one in which roles are judged.

    Raises:
        AccessError: AWS Config may not be asked.
    """
    client = session.client("config", region_name=region, config=CLIENT_CONFIG)
    with translated_errors(f"read the configuration recorder in {region}"):
        # Without a name, these answer with the customer's recorder, of which a region has at most one.
        recorders = client.describe_configuration_recorders()["ConfigurationRecorders"]
        statuses = client.describe_configuration_recorder_status()["ConfigurationRecordersStatus"]
        roles = []
        if recorders:
            roles = client.list_discovered_resources(resourceType=_ROLE_TYPE, limit=1)["resourceIdentifiers"]
    return judge_recorder(
        region,
        recorders[0] if recorders else None,
        is_recording=any(status.get("recording", False) for status in statuses),
        has_roles=bool(roles),
    )


def _blind(finding: str) -> RecorderState:
    return RecorderState(records_roles=False, finding=finding)


def _includes_roles(group: Mapping[str, Any]) -> bool:
    """Tell whether a recording group has IAM roles.

    Exclusions override the other fields, and the types of IAM are among "all" only on demand; see
    https://docs.aws.amazon.com/config/latest/APIReference/API_RecordingGroup.html.
    """
    if group.get("recordingStrategy", {}).get("useOnly") == "EXCLUSION_BY_RESOURCE_TYPES":
        return _ROLE_TYPE not in group.get("exclusionByResourceTypes", {}).get("resourceTypes", [])
    if group.get("allSupported"):
        return bool(group.get("includeGlobalResourceTypes"))
    return _ROLE_TYPE in group.get("resourceTypes", [])


def _frequency(mode: Mapping[str, Any]) -> str:
    """Return how often roles are recorded: `CONTINUOUS` or `DAILY`."""
    for override in mode.get("recordingModeOverrides", []):
        if _ROLE_TYPE in override["resourceTypes"]:
            return str(override["recordingFrequency"])
    return str(mode.get("recordingFrequency", "CONTINUOUS"))
