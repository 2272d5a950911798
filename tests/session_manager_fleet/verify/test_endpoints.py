"""Whether managed instances can reach the services."""

from typing import Any

import boto3
import pytest

from session_manager_fleet.preferences import has_way_out, missing_services
from session_manager_fleet.settings import Preferences
from session_manager_fleet.verify.endpoints import endpoints, needed_services
from session_manager_fleet.verify.reading import Reader

REGION = "eu-west-1"
NEEDED = {"ssm": REGION, "s3": REGION}


def interface(service: str, **more: object) -> dict[str, Any]:
    named = {"ServiceName": f"com.amazonaws.{REGION}.{service}", "VpcEndpointType": "Interface"}
    return {**named, "State": "available", "PrivateDnsEnabled": True, **more}


def gateway(*tables: str, **more: object) -> dict[str, Any]:
    return interface("s3", VpcEndpointType="Gateway", PrivateDnsEnabled=False, RouteTableIds=list(tables), **more)


@pytest.mark.parametrize(
    ("found", "missing"),
    [
        ([], ["ssm", "s3"]),
        ([interface("ssm"), interface("s3")], []),
        ([interface("ssm"), gateway("rtb-1", "rtb-2")], []),
        ([interface("ssm", PrivateDnsEnabled=False), gateway("rtb-1", "rtb-2")], ["ssm"]),
        ([interface("ssm", State="pending"), gateway("rtb-1", "rtb-2")], ["ssm"]),
        ([interface("ssm"), gateway("rtb-1")], ["s3"]),
        ([interface("ssm"), gateway()], ["s3"]),
        ([interface("ssm", ServiceName="com.amazonaws.us-east-1.ssm"), interface("s3")], ["ssm"]),
        ([interface("ssm", ServiceName="cn.com.amazonaws.eu-west-1.ssm"), interface("s3")], []),
    ],
)
def test_what_the_endpoints_of_a_vpc_serve(found: list[dict[str, Any]], missing: list[str]) -> None:
    assert missing_services(found, NEEDED, {"rtb-1", "rtb-2"}) == missing


KEY = {"session_key": {"enabled": True}}
NO_KEY = {"session_key": {"enabled": False}}
S3 = {"s3": {"enabled": True, "bucket_name": "session-logs"}}


@pytest.mark.parametrize(
    ("settings", "to_cloudwatch", "needed"),
    [
        (KEY, True, {"ssm", "ssmmessages", "kms", "logs"}),
        (NO_KEY, True, {"ssm", "ssmmessages", "logs"}),
        ({**NO_KEY, **S3}, False, {"ssm", "ssmmessages", "s3"}),
        ({**KEY, **S3}, True, {"ssm", "ssmmessages", "kms", "s3", "logs"}),
    ],
)
def test_only_what_sessions_and_their_logs_use_is_needed(
    settings: dict[str, Any], needed: set[str], *, to_cloudwatch: bool
) -> None:
    """The calls of the agent: it has no client for EC2, and calls KMS for the session key only."""
    preferences = Preferences.model_validate(settings)
    found = needed_services(preferences, REGION, logs_to_cloudwatch=to_cloudwatch, bucket_region=REGION)
    assert found.keys() == needed


def test_no_endpoint_of_this_region_leads_to_a_bucket_of_another() -> None:
    found = [interface("ssm"), gateway("rtb-1")]
    assert missing_services(found, {"ssm": REGION, "s3": "us-east-1"}, {"rtb-1"}) == ["s3"]


PUBLIC = {"PublicIpAddress": "203.0.113.7"}
EVERYWHERE = {"DestinationCidrBlock": "0.0.0.0/0", "State": "active"}


@pytest.mark.parametrize(
    ("route", "instance", "way_out"),
    [
        ({**EVERYWHERE, "GatewayId": "igw-1"}, PUBLIC, True),
        ({**EVERYWHERE, "GatewayId": "igw-1"}, {}, False),
        ({**EVERYWHERE, "NatGatewayId": "nat-1"}, {}, True),
        ({**EVERYWHERE, "NatGatewayId": "nat-1", "State": "blackhole"}, {}, False),
        ({**EVERYWHERE, "TransitGatewayId": "tgw-1"}, {}, True),
        ({**EVERYWHERE, "GatewayId": "local"}, PUBLIC, False),
        ({"DestinationCidrBlock": "10.0.0.0/8", "TransitGatewayId": "tgw-1"}, PUBLIC, False),
        ({"DestinationIpv6CidrBlock": "::/0", "EgressOnlyInternetGatewayId": "eigw-1"}, PUBLIC, False),
    ],
)
def test_ways_out_of_a_vpc(route: dict[str, Any], instance: dict[str, Any], *, way_out: bool) -> None:
    assert has_way_out({"Routes": [route]}, instance) is way_out


class Recorded(Reader):
    """Answers from lists, by the method that is called."""

    def __init__(self, **answers: list[dict[str, Any]]) -> None:
        super().__init__(boto3.Session())
        self.answers = answers
        self.asked: list[dict[str, Any]] = []

    def pages(self, service: str, region: str, method: str, key: str, **arguments: Any) -> Any:  # noqa: ANN401, ARG002
        self.asked.append({"method": method, **arguments})
        return iter(self.answers.get(method, []))


def instance(name: str, subnet: str, **more: object) -> dict[str, Any]:
    return {"InstanceId": name, "VpcId": "vpc-1", "SubnetId": subnet, **more}


def table(name: str, *routes: dict[str, Any], subnet: str | None = None) -> dict[str, Any]:
    association = {"SubnetId": subnet} if subnet else {"Main": True}
    return {"RouteTableId": name, "Associations": [association], "Routes": list(routes)}


def test_the_gateway_must_be_in_the_tables_of_those_that_have_no_other_way() -> None:
    nat, both = {**EVERYWHERE, "NatGatewayId": "nat-1"}, [instance("i-1", "subnet-1"), instance("i-2", "subnet-2")]

    def read(table_of_gateway: str) -> Recorded:
        return Recorded(
            describe_route_tables=[table("rtb-1", subnet="subnet-1"), table("rtb-2", nat)],
            describe_vpc_endpoints=[interface("ssm"), gateway(table_of_gateway)],
        )

    check = endpoints(read("rtb-1"), REGION, both, NEEDED)
    assert check.verdict == "ok", check.message
    assert check.message.endswith("Documents that use EC2, such as VSS snapshots, fail in vpc-1.")
    check = endpoints(read("rtb-2"), REGION, both, NEEDED)
    assert "vpc-1 lacks s3." in check.message


def test_without_instances_nothing_is_asked() -> None:
    reader = Recorded()
    assert endpoints(reader, REGION, [{}], NEEDED).verdict == "not_needed", "a hybrid node is in no VPC"
    assert reader.asked == []


def test_a_bucket_of_another_region_is_told() -> None:
    reader = Recorded(describe_vpc_endpoints=[interface("ssm"), gateway("")])
    check = endpoints(reader, REGION, [instance("i-1", "subnet-1")], {"ssm": REGION, "s3": "us-east-1"})
    assert "vpc-1 lacks s3 of us-east-1" in check.message
