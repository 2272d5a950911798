"""What the plan refuses is what the emulated AWS refuses, and the advice cures both."""

from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from aws_sandbox import Sandbox
from session_manager_fleet.run.refusals import Place, examine


def problems(session: boto3.Session, kind: str, **after: Any) -> list[str]:  # noqa: ANN401
    """Return what a plan in the account of a session finds that creates one resource."""
    change = {"actions": ["create"], "before": None, "after": after}
    account_id = session.client("sts").get_caller_identity()["Account"]
    plan = {"resource_changes": [{"mode": "managed", "type": kind, "change": change}]}
    found, notes = examine(plan, Place(account_id, session.region_name, lambda: session))
    assert notes == []
    return [problem.message for problem in found]


def test_a_recorder(sandbox: Sandbox) -> None:
    elsewhere = sandbox.session(sandbox.organization.members[0].id, "us-east-1")
    rule: Any = {"ConfigRuleName": "mfa", "Source": {"Owner": "AWS", "SourceIdentifier": "IAM_USER_MFA_ENABLED"}}
    config = elsewhere.client("config")
    assert len(problems(elsewhere, "aws_config_config_rule", name="mfa")) == 1
    with pytest.raises(config.exceptions.NoAvailableConfigurationRecorderException):
        config.put_config_rule(ConfigRule=rule)
    role = sandbox.organization.role_arn(sandbox.organization.members[0].id)
    config.put_configuration_recorder(ConfigurationRecorder={"name": "default", "roleARN": role})
    assert problems(elsewhere, "aws_config_config_rule", name="mfa") == []
    config.put_config_rule(ConfigRule=rule)
    config.delete_config_rule(ConfigRuleName="mfa")
    config.delete_configuration_recorder(ConfigurationRecorderName="default")


def test_service_control_policies(sandbox: Sandbox) -> None:
    management = sandbox.session(sandbox.organization.management_account_id, "eu-west-1")
    organizations, target = management.client("organizations"), sandbox.organization.members[0].id
    root: Any = {"RootId": organizations.list_roots()["Roots"][0]["Id"], "PolicyType": "SERVICE_CONTROL_POLICY"}
    organizations.disable_policy_type(**root)
    (problem,) = problems(management, "aws_organizations_policy_attachment", target_id=target)
    assert f"aws organizations enable-policy-type --root-id {root['RootId']}" in problem
    organizations.enable_policy_type(**root)
    assert problems(management, "aws_organizations_policy_attachment", target_id=target) == []


def test_policies_of_a_role(member: boto3.Session) -> None:
    iam = member.client("iam")
    nothing = '{"Version": "2012-10-17", "Statement": {"Effect": "Deny", "Action": "*", "Resource": "*"}}'
    policies = [
        iam.create_policy(PolicyName=f"many-{number}", PolicyDocument=nothing)["Policy"]["Arn"] for number in range(11)
    ]
    for arn in policies[:10]:
        iam.attach_role_policy(RoleName="app-server", PolicyArn=arn)
    (problem,) = problems(member, "aws_iam_role_policy_attachment", role="app-server")
    assert problem.startswith("The role app-server has 10 managed policies of at most 10")
    with pytest.raises(ClientError, match="Cannot exceed quota for PoliciesPerRole"):
        iam.attach_role_policy(RoleName="app-server", PolicyArn=policies[10])
    for arn in policies[:10]:
        iam.detach_role_policy(RoleName="app-server", PolicyArn=arn)
    assert problems(member, "aws_iam_role_policy_attachment", role="app-server") == []
    for arn in policies:
        iam.delete_policy(PolicyArn=arn)
    (missing,) = problems(member, "aws_iam_role_policy_attachment", role="nobody")
    assert "The role nobody does not exist" in missing


def test_keys(member: boto3.Session) -> None:
    kms = member.client("kms")
    key = kms.create_key()["KeyMetadata"]
    (closed,) = problems(member, "aws_cloudwatch_log_group", kms_key_id=key["Arn"])
    assert "does not allow logs.eu-west-1.amazonaws.com" in closed
    with pytest.raises(ClientError, match="is not allowed to be used with Arn"):
        member.client("logs").create_log_group(logGroupName="closed", kmsKeyId=key["Arn"])
    kms.schedule_key_deletion(KeyId=key["KeyId"])
    (going,) = problems(member, "aws_cloudwatch_log_group", kms_key_id=key["Arn"])
    assert f"aws kms cancel-key-deletion --key-id {key['Arn']}` and `aws kms enable-key --key-id {key['Arn']}`" in going
    kms.cancel_key_deletion(KeyId=key["Arn"])
    kms.enable_key(KeyId=key["Arn"])
    assert problems(member, "aws_cloudwatch_log_group", kms_key_id=key["Arn"]) == [closed]


def test_reserved_concurrency(member: boto3.Session) -> None:
    assert problems(member, "aws_lambda_function", reserved_concurrent_executions=900) == []
    (problem,) = problems(member, "aws_lambda_function", reserved_concurrent_executions=901)
    assert "would leave 99 of the account's 1000 unreserved" in problem
