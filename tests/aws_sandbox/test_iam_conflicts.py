"""Deletions and names that IAM refuses."""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from aws_sandbox import Sandbox

PAYMENTS = "902764185309"
TRUST = json.dumps(
    {
        "Version": "2012-10-17",
        "Statement": [
            {"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"},
        ],
    }
)
POLICY = json.dumps(
    {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:ListAllMyBuckets", "Resource": "*"}]}
)


@pytest.fixture
def iam(sandbox: Sandbox) -> Any:  # noqa: ANN401 - a client
    return sandbox.session(PAYMENTS, "eu-west-1").client("iam")


@pytest.fixture
def policy(iam: Any) -> Iterator[str]:  # noqa: ANN401
    arn = iam.create_policy(PolicyName="conflicting", PolicyDocument=POLICY)["Policy"]["Arn"]
    yield arn
    iam.delete_policy(PolicyArn=arn)


def refused(call: Any, code: str, **arguments: str) -> str:  # noqa: ANN401
    with pytest.raises(ClientError) as error:
        call(**arguments)
    assert error.value.response["Error"]["Code"] == code
    assert error.value.response["ResponseMetadata"]["HTTPStatusCode"] in {400, 404, 409}
    return str(error.value.response["Error"]["Message"])


def test_a_policy_in_use_is_not_deleted(iam: Any, policy: str) -> None:  # noqa: ANN401
    iam.create_role(RoleName="attached", AssumeRolePolicyDocument=TRUST)
    iam.create_role(RoleName="bounded", AssumeRolePolicyDocument=TRUST, PermissionsBoundary=policy)
    iam.create_user(UserName="attached")
    iam.create_group(GroupName="attached")
    ways = {
        "role": (iam.attach_role_policy, iam.detach_role_policy, {"RoleName": "attached"}),
        "user": (iam.attach_user_policy, iam.detach_user_policy, {"UserName": "attached"}),
        "group": (iam.attach_group_policy, iam.detach_group_policy, {"GroupName": "attached"}),
    }
    boundary = iam.list_entities_for_policy(PolicyArn=policy, PolicyUsageFilter="PermissionsBoundary")
    assert [role["RoleName"] for role in boundary["PolicyRoles"]] == ["bounded"]
    assert "attached to entities" in refused(iam.delete_policy, "DeleteConflict", PolicyArn=policy)
    iam.delete_role(RoleName="bounded")
    for attach, detach, name in ways.values():
        attach(PolicyArn=policy, **name)
        assert "attached to entities" in refused(iam.delete_policy, "DeleteConflict", PolicyArn=policy)
        if name.keys() == {"GroupName"}:
            assert "detach all policies" in refused(iam.delete_group, "DeleteConflict", **name)
        found = iam.list_entities_for_policy(PolicyArn=policy, PolicyUsageFilter="PermissionsPolicy")
        assert len([*found["PolicyRoles"], *found["PolicyUsers"], *found["PolicyGroups"]]) == 1
        detach(PolicyArn=policy, **name)
    iam.delete_role(RoleName="attached")
    iam.delete_user(UserName="attached")
    iam.delete_group(GroupName="attached")
    missing = {"PolicyArn": f"{policy}-missing", "PolicyUsageFilter": "PermissionsPolicy"}
    assert "not found" in refused(iam.list_entities_for_policy, "NoSuchEntity", **missing)


def test_a_policy_with_several_versions_is_not_deleted(iam: Any, policy: str) -> None:  # noqa: ANN401
    iam.create_policy_version(PolicyArn=policy, PolicyDocument=POLICY, SetAsDefault=True)
    assert "more than one version" in refused(iam.delete_policy, "DeleteConflict", PolicyArn=policy)
    iam.delete_policy_version(PolicyArn=policy, VersionId="v1")


def test_a_name_is_free_once_in_an_account_whatever_its_path(iam: Any, policy: str) -> None:  # noqa: ANN401, ARG001
    refused(iam.create_policy, "EntityAlreadyExists", PolicyName="Conflicting", Path="/other/", PolicyDocument=POLICY)


def test_a_role_in_use_is_not_deleted(iam: Any, policy: str) -> None:  # noqa: ANN401
    iam.create_role(RoleName="used", AssumeRolePolicyDocument=TRUST)
    iam.create_instance_profile(InstanceProfileName="used")
    iam.add_role_to_instance_profile(InstanceProfileName="used", RoleName="used")
    assert "instance profile" in refused(iam.delete_role, "DeleteConflict", RoleName="used")
    refused(iam.delete_instance_profile, "DeleteConflict", InstanceProfileName="used")
    iam.remove_role_from_instance_profile(InstanceProfileName="used", RoleName="used")
    iam.attach_role_policy(RoleName="used", PolicyArn=policy)
    assert "detach all policies" in refused(iam.delete_role, "DeleteConflict", RoleName="used")
    iam.detach_role_policy(RoleName="used", PolicyArn=policy)
    iam.delete_instance_profile(InstanceProfileName="used")
    iam.delete_role(RoleName="used")
