"""The endpoints of a VPC: what they refuse, recognise and make."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

if TYPE_CHECKING:
    from tests.modules.conftest import Terraform

pytestmark = pytest.mark.terraform


@dataclass(frozen=True)
class Network:
    """A VPC of the member account: two subnets in different zones, one more in the first zone, one in another VPC."""

    vpc: str
    first: str
    second: str
    third_in_first_zone: str
    elsewhere: str
    route_table: str
    s3_endpoint: str
    """An S3 gateway endpoint."""


@pytest.fixture
def network(member: boto3.Session) -> Iterator[Network]:
    """The network, taken away at the end."""
    ec2 = member.client("ec2")
    vpc, other = (ec2.create_vpc(CidrBlock=block)["Vpc"]["VpcId"] for block in ("10.1.0.0/16", "10.2.0.0/16"))
    ec2.modify_vpc_attribute(VpcId=vpc, EnableDnsHostnames={"Value": True})

    def subnet(vpc_id: str, zone: str, block: str) -> str:
        created = ec2.create_subnet(VpcId=vpc_id, AvailabilityZone=f"{member.region_name}{zone}", CidrBlock=block)
        return str(created["Subnet"]["SubnetId"])

    first, second, third = (subnet(vpc, zone, f"10.1.{number}.0/24") for number, zone in enumerate("aba"))
    elsewhere = subnet(other, "c", "10.2.0.0/24")
    route_table = ec2.create_route_table(VpcId=vpc)["RouteTable"]["RouteTableId"]
    endpoint = ec2.create_vpc_endpoint(
        VpcId=vpc, ServiceName=f"com.amazonaws.{member.region_name}.s3", VpcEndpointType="Gateway"
    )["VpcEndpoint"]["VpcEndpointId"]
    yield Network(vpc, first, second, third, elsewhere, route_table, endpoint)
    ec2.delete_vpc_endpoints(VpcEndpointIds=[endpoint])
    for subnet_id in (first, second, third, elsewhere):
        ec2.delete_subnet(SubnetId=subnet_id)
    ec2.delete_route_table(RouteTableId=route_table)
    for vpc_id in (vpc, other):
        ec2.delete_vpc(VpcId=vpc_id)


NO_INTERFACES = dict.fromkeys(("ec2", "kms", "logs", "ssm", "ssmmessages"), "none")


def module(**arguments: object) -> dict[str, Any]:
    """A module call as JSON, with no more than the required arguments unless others are given."""
    required = {
        "source": "./modules/vpc_endpoints",
        "organization_id": "o-exampleorgid",
        "vpc_id": "vpc-0a1b2c3d",
        "subnet_ids": ["subnet-0a1b2c3d"],
        "route_table_ids": ["rtb-0a1b2c3d"],
    }
    return {**required, **arguments}


def write(caller: Terraform, modules: dict[str, dict[str, Any]]) -> None:
    """Make the root call modules."""
    content = {"module": modules, "output": {name: {"value": f"${{module.{name}}}"} for name in modules}}
    (caller.folder / "main.tf.json").write_text(json.dumps(content), encoding="utf-8")
    caller.init()


def test_the_plan_refuses_what_does_not_fit_the_network(caller: Terraform, network: Network) -> None:
    there = {"vpc_id": network.vpc, "route_table_ids": [network.route_table]}
    cases = {
        "another_vpc": module(**there, subnet_ids=[network.first, network.elsewhere]),
        "same_zone": module(**there, subnet_ids=[network.first, network.third_in_first_zone]),
        "wrong_service": module(
            **there,
            subnet_ids=[network.first],
            existing_endpoints={"ssm": network.s3_endpoint},
            services={"s3": "none"},
        ),
    }
    missing = {
        "no_vpc": module(subnet_ids=[], services=NO_INTERFACES),
        "no_subnet": module(**there, subnet_ids=[network.first, "subnet-0a1b2c3d"]),
    }
    write(caller, {**cases, **missing})

    errors = caller.refusals()

    assert len(errors) == len(cases) + len(missing)
    told = " ".join(errors)
    assert "There is no VPC vpc-0a1b2c3d in eu-west-1 of this account." in told
    assert "There is no subnet subnet-0a1b2c3d in eu-west-1 of this account" in told
    assert f"The subnet {network.elsewhere} is in VPC" in told
    assert "The subnet_ids must be in one availability zone each, but are in eu-west-1a, eu-west-1a" in told
    assert (
        f"The endpoint {network.s3_endpoint} of existing_endpoints is for com.amazonaws.eu-west-1.s3, not for" in told
    )


def test_a_vpc_without_dns_names_is_refused_unless_names_are_resolved_otherwise(
    caller: Terraform, network: Network, member: boto3.Session
) -> None:
    member.client("ec2").modify_vpc_attribute(VpcId=network.vpc, EnableDnsHostnames={"Value": False})
    there = module(vpc_id=network.vpc, route_table_ids=[network.route_table], subnet_ids=[network.first])

    write(caller, {"endpoints": there})
    (error,) = caller.refusals()
    write(caller, {"endpoints": {**there, "private_dns_enabled": False}})
    caller.plan()

    assert f"The VPC {network.vpc} needs DNS support and DNS hostnames" in error


def test_existing_endpoints_are_recognised_and_not_made_again(caller: Terraform, network: Network) -> None:
    endpoints = module(
        vpc_id=network.vpc,
        route_table_ids=[],
        subnet_ids=[network.first, network.second],
        existing_endpoints={"s3": network.s3_endpoint},
        services={"ec2": "none", "logs": "none", "ec2messages": "interface"},
        allowed_cidr_blocks=["10.1.0.0/24", "10.1.1.0/24"],
    )
    write(caller, {"endpoints": endpoints})
    changes = caller.plan().resource_changes.values()

    created = {change["address"].removeprefix("module.endpoints.") for change in changes if change["mode"] == "managed"}
    assert created == {
        'aws_vpc_endpoint.interface["ec2messages"]',
        'aws_vpc_endpoint.interface["kms"]',
        'aws_vpc_endpoint.interface["ssm"]',
        'aws_vpc_endpoint.interface["ssmmessages"]',
        "aws_security_group.this[0]",
    }
    assert {
        (*change["after"]["subnet_ids"], change["after"]["private_dns_enabled"])
        for change in (change["change"] for change in changes if change["type"] == "aws_vpc_endpoint")
    } <= {(network.first, network.second, True), (network.second, network.first, True)}
    (group,) = (change["change"]["after"] for change in changes if change["type"] == "aws_security_group")
    (rule,) = group["ingress"]
    assert sorted(rule["cidr_blocks"]) == ["10.1.0.0/24", "10.1.1.0/24"]


def test_s3_can_have_an_interface_in_security_groups_that_exist(caller: Terraform, network: Network) -> None:
    endpoints = module(
        vpc_id=network.vpc,
        route_table_ids=[],
        subnet_ids=[network.first],
        services={"s3": "interface", **NO_INTERFACES},
        security_group_ids=["sg-0a1b2c3d"],
        aws_bucket_names=[],
    )
    write(caller, {"endpoints": endpoints})
    changes = caller.plan().resource_changes.values()

    (endpoint,) = (change["change"]["after"] for change in changes if change["mode"] == "managed")
    assert (endpoint["service_name"], endpoint["vpc_endpoint_type"]) == ("com.amazonaws.eu-west-1.s3", "Interface")
    assert endpoint["security_group_ids"] == ["sg-0a1b2c3d"]
    # Without a gateway endpoint S3 would give its names to nobody otherwise.
    (options,) = endpoint["dns_options"]
    assert options["private_dns_only_for_inbound_resolver_endpoint"] is False
    assert [statement["Sid"] for statement in json.loads(endpoint["policy"])["Statement"]] == ["OrganizationOnly"]


def test_the_names_of_the_services_in_china(caller: Terraform) -> None:
    test = Path(__file__).with_name("vpc_endpoints_in_china.tftest.hcl")
    (caller.folder / test.name).write_text(test.read_text(encoding="utf-8"), encoding="utf-8")
    caller.init()
    assert "2 passed, 0 failed" in caller.succeed("test")


def test_vpc_endpoints(applied: Callable[..., dict[str, Any]], member: boto3.Session) -> None:
    outputs = applied("vpc_endpoints")

    ec2 = member.client("ec2")
    found = {
        endpoint["ServiceName"].removeprefix("com.amazonaws.eu-west-1."): endpoint
        for endpoint in ec2.describe_vpc_endpoints(VpcEndpointIds=list(outputs["endpoint_ids"].values()))[
            "VpcEndpoints"
        ]
    }
    assert found.keys() == {"ec2", "kms", "logs", "s3", "ssm", "ssmmessages"}
    assert {service for service, endpoint in found.items() if endpoint["VpcEndpointType"] == "Gateway"} == {"s3"}
    assert len(found["s3"]["RouteTableIds"]) == 1
    interfaces = [endpoint for service, endpoint in found.items() if service != "s3"]
    assert all(len(endpoint["SubnetIds"]) == 2 and endpoint["PrivateDnsEnabled"] for endpoint in interfaces)
    for service, endpoint in found.items():
        assert json.loads(endpoint["PolicyDocument"]) == json.loads(outputs["policies"][service])
    (group,) = ec2.describe_security_groups(GroupIds=outputs["security_group_ids"])["SecurityGroups"]
    assert group["IpPermissionsEgress"] == []
    assert [
        (rule["IpProtocol"], rule["FromPort"], rule["ToPort"], [block["CidrIp"] for block in rule["IpRanges"]])
        for rule in group["IpPermissions"]
    ] == [("tcp", 443, 443, ["10.20.0.0/16"])]
