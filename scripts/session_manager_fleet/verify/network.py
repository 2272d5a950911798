"""Can the instances reach what the agent calls?"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from session_manager_fleet.verify.model import Check, Verdict

if TYPE_CHECKING:
    from session_manager_fleet.settings import Preferences
    from session_manager_fleet.verify.reading import Reader

# A filter of EC2 takes 200 values.
_INSTANCES_PER_CALL = 200
# What may carry traffic to endpoints elsewhere; a local route and a gateway endpoint (vpce-…) do not.
_WAYS_OUT = (
    "GatewayId",
    "NatGatewayId",
    "TransitGatewayId",
    "InstanceId",
    "NetworkInterfaceId",
    "VpcPeeringConnectionId",
)
# The agent calls addresses of IPv4, unless its own configuration asks for UseDualStackEndpoint.
_EVERYWHERE = "0.0.0.0/0"


def needed_services(
    preferences: Preferences, region: str, *, logs_to_cloudwatch: bool, bucket_region: str
) -> dict[str, str]:
    """Return the services that an instance must reach for sessions and their logs, as endpoints name them.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/setup-create-vpc.html

    Args:
        preferences: What is wanted.
        region: Region of the instances.
        logs_to_cloudwatch: Whether session logs go there.
        bucket_region: Region of the bucket that they go to.

    Returns:
        The region in which each must be reached.
    """
    needed = dict.fromkeys(["ssm", "ssmmessages", "ec2"], region)
    if preferences.session_key.enabled or preferences.s3.enabled:
        needed["kms"] = region
    if preferences.s3.enabled:
        needed["s3"] = bucket_region
    if logs_to_cloudwatch:
        needed["logs"] = region
    return needed


def managed_instances(reader: Reader, region: str) -> list[str]:
    """Return the ids of the EC2 instances that Systems Manager knows in a region."""
    filters = [{"Key": "ResourceType", "Values": ["EC2Instance"]}]
    entries = reader.pages("ssm", region, "describe_instance_information", "InstanceInformationList", Filters=filters)
    return [entry["InstanceId"] for entry in entries]


def endpoints(reader: Reader, region: str, instances: Sequence[str], needed: Mapping[str, str]) -> Check:
    """Check that every managed instance has a way to the services: an internet route, or endpoints in its VPC.

    Args:
        reader: In the account of the instances.
        region: Their region.
        instances: Their ids; Systems Manager knows some for days that are gone.
        needed: The services, and the region in which each must be reached.
    """
    by_vpc: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for instance in _described(reader, region, instances):
        if "VpcId" in instance:
            by_vpc[instance["VpcId"]].append(instance)
    if not by_vpc:
        return Check("endpoints", Verdict.NOT_NEEDED, "There are no managed instances.")
    closed = []
    for vpc, inside in sorted(by_vpc.items()):
        of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]
        tables = list(reader.pages("ec2", region, "describe_route_tables", "RouteTables", Filters=of_vpc))
        used = [(instance, route_table(tables, instance["SubnetId"])) for instance in inside]
        inward = {table.get("RouteTableId", "") for instance, table in used if not has_way_out(table, instance)}
        if not inward:
            continue
        found = list(reader.pages("ec2", region, "describe_vpc_endpoints", "VpcEndpoints", Filters=of_vpc))
        missing = missing_services(found, needed, inward)
        if missing:
            named = [service if needed[service] == region else f"{service} of {needed[service]}" for service in missing]
            closed.append(f"{vpc} lacks {', '.join(named)}")
    if closed:
        return Check(
            "endpoints",
            Verdict.FINDING,
            f"Managed instances without a way to the internet lack VPC endpoints that they use: {'; '.join(closed)}.",
            "Create them with modules/vpc_endpoints; interfaces that exist need private DNS, and the gateway of S3 the "
            "route tables of the instances. A bucket in another region needs a way to the internet.",
        )
    count = sum(map(len, by_vpc.values()))
    return Check("endpoints", Verdict.OK, f"{count} managed instances in {len(by_vpc)} VPCs reach all services.")


def _described(reader: Reader, region: str, instances: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Yield what EC2 knows of instances; a filter passes over those that are gone, where ids would be an error."""
    for start in range(0, len(instances), _INSTANCES_PER_CALL):
        some = [{"Name": "instance-id", "Values": list(instances[start : start + _INSTANCES_PER_CALL])}]
        for reservation in reader.pages("ec2", region, "describe_instances", "Reservations", Filters=some):
            yield from reservation["Instances"]


def route_table(tables: Iterable[Mapping[str, Any]], subnet: str) -> Mapping[str, Any]:
    """Return the route table of a subnet: its own, else the main one of the VPC."""
    own, main = None, None
    for table in tables:
        for association in table.get("Associations", []):
            if association.get("SubnetId") == subnet:
                own = table
            elif association.get("Main"):
                main = table
    return own or main or {}


def has_way_out(table: Mapping[str, Any], instance: Mapping[str, Any]) -> bool:
    """Tell whether a route table leads an instance everywhere; an internet gateway asks for a public address."""
    public = bool(instance.get("PublicIpAddress"))
    return any(
        route.get("DestinationCidrBlock") == _EVERYWHERE
        and route.get("State", "active") == "active"
        and any(route.get(way, "local") not in {"local", None} for way in _WAYS_OUT)
        and (public or not str(route.get("GatewayId", "")).startswith("igw-"))
        for route in table.get("Routes", [])
    )


def missing_services(
    found: Iterable[Mapping[str, Any]], needed: Mapping[str, str], route_tables: Iterable[str]
) -> list[str]:
    """Return the services that the endpoints of a VPC do not serve.

    Args:
        found: The endpoints.
        needed: The services, and the region in which each must be reached.
        route_tables: The route tables that instances use: a gateway serves those that it is in.
    """
    used, served = set(route_tables), set()
    for endpoint in found:
        # com.amazonaws.eu-west-1.ssm
        region, _, service = endpoint["ServiceName"].rpartition(".")
        if endpoint.get("State", "").lower() != "available" or region.rpartition(".")[2] != needed.get(service):
            continue
        # Without private DNS the agent does not find an interface.
        gateway = endpoint.get("VpcEndpointType") == "Gateway"
        if used <= set(endpoint.get("RouteTableIds", [])) if gateway else endpoint.get("PrivateDnsEnabled"):
            served.add(service)
    return [service for service in needed if service not in served]
