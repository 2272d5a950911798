"""Check that AWS Config records IAM roles: otherwise the rule for the instance policy evaluates nothing.

Terraform cannot check it: hashicorp/aws has no data source for recorders.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from session_manager_fleet.aws import CLIENT_CONFIG, translated_errors
from session_manager_fleet.verify.model import Check, finding, ok

if TYPE_CHECKING:
    import boto3

    from session_manager_fleet.verify.reading import Reader

_ROLE_TYPE: Final = "AWS::IAM::Role"


@dataclass(frozen=True)
class RecorderState:
    """How the configuration recorder of an account and region handles IAM roles.

    Attributes:
        records_roles: Whether it records them.
        finding: The problem and its correction; empty without one.
    """

    records_roles: bool
    finding: str = ""


def judge_recorder(
    region: str, recorder: Mapping[str, Any] | None, *, is_recording: bool, has_roles: bool
) -> RecorderState:
    """Judge a recorder.

    Args:
        region: The region.
        recorder: The recorder from DescribeConfigurationRecorders, or None without one.
        is_recording: Whether the recorder is started.
        has_roles: Whether it has recorded a role; every account has some.
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
            finding=f"The recorder {name} in {region} records {_ROLE_TYPE} once a day, so the rule evaluates roles up "
            "to a day late: record this type continuously.",
        )
    return RecorderState(records_roles=True)


def read_recorder(session: boto3.Session, region: str) -> RecorderState:
    """Read whether AWS Config records IAM roles.

    Args:
        session: With credentials for the account.
        region: The home region, in which the Config rule evaluates roles.

    Raises:
        AccessError: AWS denies the calls.
    """
    client = session.client("config", region_name=region, config=CLIENT_CONFIG)
    with translated_errors(f"read the configuration recorder in {region}"):
        # Without a name, these calls return the customer managed recorder, at most one per region.
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


def recorder(reader: Reader, region: str) -> Check:
    """Check the recorder of an account's home region."""
    state = read_recorder(reader.session, region)
    if state.finding:
        return finding("recorder", state.finding, "See modules/config_rule/README.md.")
    return ok("recorder", "AWS Config records IAM roles.")


def _blind(finding: str) -> RecorderState:
    return RecorderState(records_roles=False, finding=finding)


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
