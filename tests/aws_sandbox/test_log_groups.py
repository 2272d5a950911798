"""Keys of log groups, which can come and go."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest

if TYPE_CHECKING:
    from mypy_boto3_logs import CloudWatchLogsClient

NAME = "keyed"


@pytest.fixture
def logs(member: boto3.Session) -> Iterator[CloudWatchLogsClient]:
    client = member.client("logs")
    client.create_log_group(logGroupName=NAME)
    yield client
    client.delete_log_group(logGroupName=NAME)


def key_of(logs: CloudWatchLogsClient) -> str | None:
    (group,) = logs.describe_log_groups(logGroupNamePrefix=NAME)["logGroups"]
    return group.get("kmsKeyId")


@pytest.mark.parametrize("by", ["name", "ARN"])
def test_a_key_is_associated_and_disassociated(member: boto3.Session, logs: CloudWatchLogsClient, by: str) -> None:
    key = member.client("kms").create_key()["KeyMetadata"]["Arn"]
    (group,) = logs.describe_log_groups(logGroupNamePrefix=NAME)["logGroups"]
    if by == "name":
        logs.associate_kms_key(logGroupName=NAME, kmsKeyId=key)
    else:
        logs.associate_kms_key(resourceIdentifier=group["logGroupArn"], kmsKeyId=key)
    assert key_of(logs) == key
    if by == "name":
        logs.disassociate_kms_key(logGroupName=NAME)
    else:
        logs.disassociate_kms_key(resourceIdentifier=group["logGroupArn"])
    assert key_of(logs) is None


def test_what_is_not_there_is_refused(member: boto3.Session, logs: CloudWatchLogsClient) -> None:
    key = member.client("kms").create_key()["KeyMetadata"]
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.associate_kms_key(logGroupName="missing", kmsKeyId=key["Arn"])
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.disassociate_kms_key(logGroupName="missing")
    for unusable in (key["Arn"], key["Arn"].replace(key["KeyId"], "5e55105e-cb57-4552-8153-5e55105e5510")):
        member.client("kms").disable_key(KeyId=key["KeyId"])
        with pytest.raises(logs.exceptions.InvalidParameterException):
            logs.associate_kms_key(logGroupName=NAME, kmsKeyId=unusable)
    assert key_of(logs) is None
