"""Nodes of each kind, their credentials, and activations."""

import json
from collections.abc import Callable, Iterator
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from aws_sandbox import Sandbox, SandboxError

MakeRole = Callable[[str, str], str]


@pytest.fixture
def make_role(member: boto3.Session) -> Iterator[MakeRole]:
    """Create roles, which are deleted afterwards."""
    iam, names = member.client("iam"), []

    def make(name: str, service: str) -> str:
        trust = {"Effect": "Allow", "Principal": {"Service": service}, "Action": "sts:AssumeRole"}
        document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
        iam.create_role(RoleName=name, AssumeRolePolicyDocument=document)
        names.append(name)
        return name

    yield make
    for name in names:
        iam.delete_role(RoleName=name)


def test_a_hybrid_node_works_with_the_role_of_its_activation(
    sandbox: Sandbox, member: boto3.Session, make_role: MakeRole
) -> None:
    ssm, account = member.client("ssm"), member.client("sts").get_caller_identity()["Account"]
    region = str(member.region_name)
    activation: Any = ssm.create_activation(IamRole=make_role("hybrid", "ssm.amazonaws.com"), RegistrationLimit=1)
    name = activation["ActivationId"]
    node = sandbox.register_node(account, region, activation)
    with pytest.raises(SandboxError):
        sandbox.register_node(account, region, activation)
    (known,) = ssm.describe_activations()["ActivationList"]
    assert (known["RegistrationsCount"], known["IamRole"]) == (1, "hybrid")
    registered = ssm.describe_instance_information()["InstanceInformationList"]
    (found,) = [each for each in registered if each["InstanceId"] == node]
    told = (found["ResourceType"], found["IamRole"], found["ActivationId"])
    assert told == ("ManagedInstance", "hybrid", name)
    arn = sandbox.node_session(account, region, node).client("sts").get_caller_identity()["Arn"]
    assert arn == f"arn:aws:sts::{account}:assumed-role/hybrid/{node}"
    ssm.deregister_managed_instance(InstanceId=node)
    with pytest.raises(SandboxError, match="has no role"):
        sandbox.node_session(account, region, node)
    ssm.delete_activation(ActivationId=name)
    assert ssm.describe_activations()["ActivationList"] == []


@pytest.mark.parametrize("name", ["missing", "of-ec2", "service-role/hybrid"])
def test_an_activation_needs_a_role_of_systems_manager(member: boto3.Session, make_role: MakeRole, name: str) -> None:
    if name == "of-ec2":
        make_role(name, "ec2.amazonaws.com")
    with pytest.raises(ClientError, match="ValidationException"):
        member.client("ssm").create_activation(IamRole=name)
