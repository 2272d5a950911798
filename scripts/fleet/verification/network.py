"""Can the instances reach what the agent calls?"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from fleet.verification.model import Check, Verdict

if TYPE_CHECKING:
    from fleet.target_settings import Preferences
    from fleet.verification.reading import Reader

_INSTANCES_PER_CALL = 100
# What may carry traffic to endpoints elsewhere; a local route and a gateway endpoint (vpce-…) do not.
_WAYS_OUT = (
    "GatewayId",
    "NatGatewayId",
    "TransitGatewayId",
    "InstanceId",
    "NetworkInterfaceId",
    "VpcPeeringConnectionId",
)
_EVERYWHERE = {"0.0.0.0/0", "::/0"}


def needed_services(preferences: Preferences, *, logs_to_cloudwatch: bool) -> list[str]:
    """Return the services that an instance must reach for sessions and their logs, as endpoints name them.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/setup-create-vpc.html
    """
    needed = ["ssm", "ssmmessages", "ec2"]
    if preferences.session_key.enabled or preferences.s3.enabled:
        needed.append("kms")
    if preferences.s3.enabled:
        needed.append("s3")
    if logs_to_cloudwatch:
        needed.append("logs")
    return needed


def managed_instances(reader: Reader, region: str) -> list[str]:
    """Return the ids of the EC2 instances that Systems Manager knows in a region."""
    filters = [{"Key": "ResourceType", "Values": ["EC2Instance"]}]
    entries = reader.pages("ssm", region, "describe_instance_information", "InstanceInformationList", Filters=filters)
    return [entry["InstanceId"] for entry in entries]


def endpoints(reader: Reader, region: str, instances: Sequence[str], needed: Sequence[str]) -> Check:
    """Check that every managed instance has a way to the services: an internet route, or endpoints in its VPC."""
    if not instances:
        return Check("endpoints", Verdict.NOT_NEEDED, "There are no managed instances.")
    subnets: dict[str, set[str]] = {}
    for start in range(0, len(instances), _INSTANCES_PER_CALL):
        some = list(instances[start : start + _INSTANCES_PER_CALL])
        for reservation in reader.pages("ec2", region, "describe_instances", "Reservations", InstanceIds=some):
            for instance in reservation["Instances"]:
                if "VpcId" in instance:
                    subnets.setdefault(instance["VpcId"], set()).add(instance["SubnetId"])
    closed = []
    for vpc, used in sorted(subnets.items()):
        by_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
        tables = list(reader.pages("ec2", region, "describe_route_tables", "RouteTables", Filters=by_vpc))
        if all(has_way_out(tables, subnet) for subnet in used):
            continue
        found = reader.pages("ec2", region, "describe_vpc_endpoints", "VpcEndpoints", Filters=by_vpc)
        missing = missing_services(found, needed)
        if missing:
            closed.append(f"{vpc} lacks {', '.join(missing)}")
    if closed:
        return Check(
            "endpoints",
            Verdict.FINDING,
            f"Managed instances without a route to the internet lack VPC endpoints: {'; '.join(closed)}.",
            "Create them with modules/vpc_endpoints.",
        )
    return Check(
        "endpoints", Verdict.OK, f"{len(instances)} managed instances in {len(subnets)} VPCs reach all services."
    )


def has_way_out(tables: Iterable[Mapping[str, Any]], subnet: str) -> bool:
    """Tell whether a subnet's route table, or the VPC's main one, leads everywhere."""
    own, main = None, None
    for table in tables:
        for association in table.get("Associations", []):
            if association.get("SubnetId") == subnet:
                own = table
            elif association.get("Main"):
                main = table
    routes = (own or main or {}).get("Routes", [])
    return any(
        _EVERYWHERE & {route.get("DestinationCidrBlock"), route.get("DestinationIpv6CidrBlock")}
        and route.get("State", "active") == "active"
        and any(route.get(way, "local") not in {"local", None} for way in _WAYS_OUT)
        for route in routes
    )


def missing_services(found: Iterable[Mapping[str, Any]], needed: Sequence[str]) -> list[str]:
    """Return the services without an available endpoint among those of a VPC."""
    present = {
        entry["ServiceName"].rpartition(".")[2] for entry in found if entry.get("State", "").lower() == "available"
    }
    return [service for service in needed if service not in present]
