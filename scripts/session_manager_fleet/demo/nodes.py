"""Nodes that have no instance profile: one under Default Host Management, and one outside EC2."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import boto3

from aws_sandbox.emulator import Sandbox
from session_manager_fleet.demo.node_sessions import NodeSession, open_session
from session_manager_fleet.targets import Target

# The roles that the consoles of AWS make for both.
_HOST_MANAGEMENT = "AWSSystemsManagerDefaultEC2InstanceManagementRole"
_HYBRID = "AmazonEC2RunCommandRoleForManagedInstances"
_AGENT_POLICIES = {
    _HOST_MANAGEMENT: "arn:aws:iam::aws:policy/AmazonSSMManagedEC2InstanceDefaultPolicy",
    _HYBRID: "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore",
}
_SETTING = "/ssm/managed-instance/default-ec2-instance-management-role"


@dataclass(frozen=True)
class DemoNode:
    """A node in an emulated account.

    Attributes:
        target: Account and region.
        kind: What it is, for display.
        node: Its id.
    """

    target: Target
    kind: str
    node: str


def add_nodes(sandbox: Sandbox, targets: Sequence[Target]) -> list[DemoNode]:
    """Start an instance under Default Host Management in the first target; register a hybrid node in the second."""
    first, second = targets
    managed = _instance(sandbox.session(first.account.id, first.region), first)
    activation = _activation(sandbox.session(second.account.id, second.region))
    hybrid = sandbox.register_node(second.account.id, second.region, activation)
    return [
        DemoNode(first, "instance under Default Host Management", managed),
        DemoNode(second, "hybrid node", hybrid),
    ]


def open_sessions(sandbox: Sandbox, nodes: Sequence[DemoNode]) -> list[tuple[DemoNode, NodeSession]]:
    """Open a session on each node, and return what became of it."""
    return [(each, open_session(sandbox, each.target.account.id, each.target.region, each.node)) for each in nodes]


def _instance(session: boto3.Session, target: Target) -> str:
    _create_role(session, _HOST_MANAGEMENT)
    arn = f"arn:aws:ssm:{target.region}:{target.account.id}:servicesetting{_SETTING}"
    session.client("ssm").update_service_setting(SettingId=arn, SettingValue=f"service-role/{_HOST_MANAGEMENT}")
    ec2 = session.client("ec2")
    made = ec2.run_instances(ImageId="ami-12c6146b", MinCount=1, MaxCount=1)["Instances"][0]
    here: Any = [{"Name": "vpc-id", "Values": [made["VpcId"]]}]
    gateway = ec2.create_internet_gateway()["InternetGateway"]["InternetGatewayId"]
    ec2.attach_internet_gateway(InternetGatewayId=gateway, VpcId=made["VpcId"])
    table = ec2.describe_route_tables(Filters=here)["RouteTables"][0]["RouteTableId"]
    ec2.create_route(RouteTableId=table, DestinationCidrBlock="0.0.0.0/0", GatewayId=gateway)
    return str(made["InstanceId"])


def _activation(session: boto3.Session) -> dict[str, str]:
    _create_role(session, _HYBRID)
    made = session.client("ssm").create_activation(IamRole=_HYBRID, RegistrationLimit=1)
    return {"ActivationId": made["ActivationId"], "ActivationCode": made["ActivationCode"]}


def _create_role(session: boto3.Session, name: str) -> None:
    trust = {"Effect": "Allow", "Principal": {"Service": "ssm.amazonaws.com"}, "Action": "sts:AssumeRole"}
    document = json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    iam = session.client("iam")
    iam.create_role(RoleName=name, Path="/service-role/", AssumeRolePolicyDocument=document)
    iam.attach_role_policy(RoleName=name, PolicyArn=_AGENT_POLICIES[name])
