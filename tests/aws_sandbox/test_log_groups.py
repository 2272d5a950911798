"""Keys of log groups, which can come and go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_kms.type_defs import KeyMetadataTypeDef
    from mypy_boto3_logs import CloudWatchLogsClient

NAME = "keyed"


def make_key(session: boto3.Session) -> KeyMetadataTypeDef:
    """Create a key that CloudWatch Logs may use for the log group."""
    account_id = session.client("sts").get_caller_identity()["Account"]
    groups = f"arn:aws:logs:eu-west-1:{account_id}:log-group:{NAME}"
    statements = [
        {"Principal": {"AWS": f"arn:aws:iam::{account_id}:root"}, "Action": "kms:*"},
        {
            "Principal": {"Service": "logs.eu-west-1.amazonaws.com"},
            "Action": ["kms:Encrypt*", "kms:Decrypt*", "kms:ReEncrypt*", "kms:GenerateDataKey*", "kms:Describe*"],
            "Condition": {"ArnEquals": {"kms:EncryptionContext:aws:logs:arn": groups}},
        },
    ]
    policy = {
        "Version": "2012-10-17",
        "Statement": [{"Effect": "Allow", "Resource": "*", **each} for each in statements],
    }
    return session.client("kms").create_key(Policy=json.dumps(policy))["KeyMetadata"]


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
    key = make_key(member)["Arn"]
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
    key = make_key(member)
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.disassociate_kms_key(resourceIdentifier="arn:aws:logs:eu-west-1:1:log-group:missing")
    with pytest.raises(logs.exceptions.ResourceNotFoundException):
        logs.disassociate_kms_key(logGroupName="missing")
    for unusable in (key["Arn"], key["Arn"].replace(key["KeyId"], "5e55105e-cb57-4552-8153-5e55105e5510")):
        member.client("kms").disable_key(KeyId=key["KeyId"])
        with pytest.raises(logs.exceptions.InvalidParameterException):
            logs.associate_kms_key(logGroupName=NAME, kmsKeyId=unusable)
    assert key_of(logs) is None


def test_a_key_must_let_the_service_use_it_for_the_group(member: boto3.Session, logs: CloudWatchLogsClient) -> None:
    default = member.client("kms").create_key()["KeyMetadata"]["Arn"]
    with pytest.raises(ClientError, match="is not allowed to be used with Arn") as refused:
        logs.associate_kms_key(logGroupName=NAME, kmsKeyId=default)
    assert refused.value.response["Error"]["Code"] == "AccessDeniedException"
    with pytest.raises(ClientError, match="is not allowed to be used with Arn"):
        logs.create_log_group(logGroupName="another", kmsKeyId=make_key(member)["Arn"])
