"""Keys of log groups, which can come and go."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import TYPE_CHECKING

import boto3
import pytest
from botocore.exceptions import ClientError

from aws_sandbox import Sandbox

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


def test_a_class_for_rare_access_supports_less(member: boto3.Session) -> None:
    logs = member.client("logs")
    logs.create_log_group(logGroupName="rare", logGroupClass="INFREQUENT_ACCESS")
    assert logs.describe_log_groups(logGroupNamePrefix="rare")["logGroups"][0]["logGroupClass"] == "INFREQUENT_ACCESS"
    with pytest.raises(ClientError, match="only supported on the Standard log class"):
        logs.describe_subscription_filters(logGroupName="rare")
    with pytest.raises(ClientError, match="only supported on the Standard log class"):
        logs.put_data_protection_policy(logGroupIdentifier="rare", policyDocument="{}")
    logs.delete_log_group(logGroupName="rare")


def test_a_protected_group_is_not_deleted(logs: CloudWatchLogsClient) -> None:
    logs.put_log_group_deletion_protection(logGroupIdentifier=NAME, deletionProtectionEnabled=True)
    with pytest.raises(ClientError, match="Disable deletion protection first"):
        logs.delete_log_group(logGroupName=NAME)
    logs.put_log_group_deletion_protection(logGroupIdentifier=NAME, deletionProtectionEnabled=False)


def test_a_data_protection_policy_masks_what_it_audits(logs: CloudWatchLogsClient) -> None:
    identifiers = ["arn:aws:dataprotection::aws:data-identifier/AwsSecretKey"]
    audit: dict[str, object] = {
        "DataIdentifier": identifiers,
        "Operation": {"Audit": {"FindingsDestination": {}}},
    }
    mask = {"DataIdentifier": identifiers, "Operation": {"Deidentify": {"MaskConfig": {}}}}

    def put(*statements: object) -> None:
        document = json.dumps({"Name": "x", "Version": "2021-06-01", "Statement": statements})
        logs.put_data_protection_policy(logGroupIdentifier=NAME, policyDocument=document)

    assert "policyDocument" not in logs.get_data_protection_policy(logGroupIdentifier=NAME)
    for wrong in ([audit], [audit, {**mask, "DataIdentifier": ["other"]}], [audit, audit]):
        with pytest.raises(logs.exceptions.InvalidParameterException):
            put(*wrong)
    put(audit, mask)
    found = logs.get_data_protection_policy(logGroupIdentifier=NAME)["policyDocument"]
    assert json.loads(found)["Statement"] == [audit, mask]
    (group,) = logs.describe_log_groups(logGroupNamePrefix=NAME)["logGroups"]
    assert group["dataProtectionStatus"] == "ACTIVATED"
    logs.delete_data_protection_policy(logGroupIdentifier=NAME)
    assert "policyDocument" not in logs.get_data_protection_policy(logGroupIdentifier=NAME)


def test_a_destination_of_another_account_is_for_whom_its_policy_names(
    sandbox: Sandbox, member: boto3.Session, logs: CloudWatchLogsClient
) -> None:
    central = sandbox.session(sandbox.organization.members[2].id, "eu-west-1")
    account = member.client("sts").get_caller_identity()["Account"]
    trust = {"Effect": "Allow", "Principal": {"Service": "logs.amazonaws.com"}, "Action": "sts:AssumeRole"}
    roles = []
    for session in (central, member):
        role = session.client("iam").create_role(
            RoleName="sends-logs", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": trust})
        )
        roles.append(role["Role"]["Arn"])
    owner = central.client("logs")
    target = f"arn:aws:kinesis:eu-west-1:{roles[0].split(':')[4]}:stream/logs"
    arn = owner.put_destination(destinationName="central", targetArn=target, roleArn=roles[0])["destination"]["arn"]

    def put(pattern: str = "", name: str = "central", destination: str = arn, role: str = roles[1]) -> None:
        logs.put_subscription_filter(
            logGroupName=NAME, filterName=name, filterPattern=pattern, destinationArn=destination, roleArn=role
        )

    with pytest.raises(ClientError, match="is not authorized to perform: logs:PutSubscriptionFilter"):
        put()
    statement = {"Effect": "Allow", "Principal": {"AWS": account}, "Action": "logs:PutSubscriptionFilter"}
    policy = json.dumps({"Version": "2012-10-17", "Statement": {**statement, "Resource": arn}})
    owner.put_destination_policy(destinationName="central", accessPolicy=policy)
    with pytest.raises(ClientError, match="Could not deliver test message"):
        put(role=roles[1].replace("sends-logs", "missing"))
    put()
    put("sudo")

    (found,) = logs.describe_subscription_filters(logGroupName=NAME)["subscriptionFilters"]
    assert (found["destinationArn"], found["filterPattern"], found["roleArn"]) == (arn, "sudo", roles[1])
    with pytest.raises(ClientError, match="does not exist"):
        put(destination=f"{arn}-other")
    with pytest.raises(ClientError, match="vendor kinesis cannot be used without roleArn"):
        logs.put_subscription_filter(logGroupName=NAME, filterName="own", filterPattern="", destinationArn=target)
