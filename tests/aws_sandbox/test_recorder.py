"""Whether AWS Config sees IAM roles, asked of emulated accounts and judged by what AWS says of recorders."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from aws_sandbox import Sandbox
from session_manager_fleet.errors import AccessError
from session_manager_fleet.verify.reading import Reader
from session_manager_fleet.verify.recorder import check_recorder, judge_recorder

if TYPE_CHECKING:
    from mypy_boto3_config.client import ConfigServiceClient

ROLE = "AWS::IAM::Role"
EXCLUSION = {"useOnly": "EXCLUSION_BY_RESOURCE_TYPES"}


@pytest.mark.parametrize(
    ("group", "recorded"),
    [
        ({"allSupported": True, "includeGlobalResourceTypes": True}, True),
        ({"allSupported": True, "includeGlobalResourceTypes": False}, False),
        ({"resourceTypes": [ROLE]}, True),
        ({"resourceTypes": ["AWS::IAM::User"]}, False),
        ({"recordingStrategy": EXCLUSION, "exclusionByResourceTypes": {"resourceTypes": ["AWS::IAM::User"]}}, True),
        ({"recordingStrategy": EXCLUSION, "exclusionByResourceTypes": {"resourceTypes": [ROLE]}}, False),
        # The exclusions count, whatever stands beside them.
        (
            {
                "includeGlobalResourceTypes": True,
                "recordingStrategy": EXCLUSION,
                "exclusionByResourceTypes": {"resourceTypes": [ROLE]},
            },
            False,
        ),
        ({}, False),
    ],
)
def test_what_a_recording_group_includes(group: dict[str, Any], recorded: bool) -> None:
    check = judge_recorder("eu-west-1", {"name": "mine", "recordingGroup": group}, is_recording=True, has_roles=True)

    assert (check.verdict == "ok") == recorded
    assert (check.message == f"The recorder mine in eu-west-1 does not record {ROLE}.") != recorded
    assert (check.fix == "Add this type to the recorder, or set includeGlobalResourceTypes.") != recorded


@pytest.mark.parametrize(
    ("mode", "late"),
    [
        ({"recordingFrequency": "CONTINUOUS"}, False),
        ({"recordingFrequency": "DAILY"}, True),
        (
            {
                "recordingFrequency": "DAILY",
                "recordingModeOverrides": [{"resourceTypes": [ROLE], "recordingFrequency": "CONTINUOUS"}],
            },
            False,
        ),
        (
            {
                "recordingFrequency": "CONTINUOUS",
                "recordingModeOverrides": [{"resourceTypes": ["AWS::EC2::Instance"], "recordingFrequency": "DAILY"}],
            },
            False,
        ),
    ],
)
def test_daily_recording_is_told(mode: dict[str, Any], late: bool) -> None:
    recorder = {"name": "mine", "recordingGroup": {"resourceTypes": [ROLE]}, "recordingMode": mode}

    check = judge_recorder("eu-west-1", recorder, is_recording=True, has_roles=True)

    assert check.verdict == ("finding" if late else "ok")
    assert ("up to a day late" in check.message) == late


def test_a_recorder_that_finds_no_role_cannot_record_any() -> None:
    recorder = {"name": "mine", "recordingGroup": {"allSupported": True, "includeGlobalResourceTypes": True}}

    check = judge_recorder("me-central-1", recorder, is_recording=True, has_roles=False)

    assert check.verdict == "finding"
    assert "choose another home region" in check.fix


@pytest.fixture
def recorder(member: boto3.Session) -> Iterator[ConfigServiceClient]:
    """A stopped recorder of all types but IAM's, in a region that had none."""
    config = member.client("config", region_name="us-east-1")
    config.put_configuration_recorder(
        ConfigurationRecorder={
            "name": "mine",
            "roleARN": "arn:aws:iam::614208975316:role/config",
            "recordingGroup": {"allSupported": True, "includeGlobalResourceTypes": False},
        }
    )
    config.put_delivery_channel(DeliveryChannel={"name": "mine", "s3BucketName": "config-items"})
    yield config
    config.stop_configuration_recorder(ConfigurationRecorderName="mine")
    config.delete_configuration_recorder(ConfigurationRecorderName="mine")
    config.delete_delivery_channel(DeliveryChannelName="mine")


def test_recorders_of_an_account(member: boto3.Session, sandbox: Sandbox, recorder: ConfigServiceClient) -> None:
    assert check_recorder(Reader(member), "eu-west-1").verdict == "ok"

    assert check_recorder(Reader(member), "us-east-1").message == "The recorder mine in us-east-1 is stopped."
    recorder.start_configuration_recorder(ConfigurationRecorderName="mine")
    sandbox.wait_until_idle()
    assert "does not record AWS::IAM::Role" in check_recorder(Reader(member), "us-east-1").message


def test_a_region_without_recorder(member: boto3.Session) -> None:
    check = check_recorder(Reader(member), "us-east-1")
    assert check.message == "AWS Config has no recorder in us-east-1."
    assert check.fix == f'Set up a recorder that records {ROLE}, or set config_rule.without_recorder to "skip".'


def test_credentials_that_aws_does_not_know(sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", sandbox.endpoint_url)
    stranger = boto3.Session(aws_access_key_id="AKIAIOSFODNN7EXAMPLE", aws_secret_access_key="unknown")

    with pytest.raises(AccessError, match="Cannot read the configuration recorder in eu-west-1: "):
        check_recorder(Reader(stranger), "eu-west-1")
