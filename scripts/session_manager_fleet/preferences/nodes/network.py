"""Whether instances can reach the services that their agent calls: by an internet route, or by endpoints."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from session_manager_fleet.targets import Reader

# Route targets that can lead to the internet; local routes and gateway endpoints (vpce-…) cannot.
_WAYS_OUT = (
    "GatewayId",
    "NatGatewayId",
    "TransitGatewayId",
    "InstanceId",
    "NetworkInterfaceId",
    "VpcPeeringConnectionId",
)
# The agent calls IPv4 endpoints, unless its configuration sets UseDualStackEndpoint.
_EVERYWHERE = "0.0.0.0/0"


@dataclass(frozen=True)
class Enclosed:
    """Instances of a VPC that have no route to the internet.

    Attributes:
        vpc: Id of the VPC.
        instances: Ids of the instances.
        route_tables: Ids of their route tables.
        endpoints: The endpoints of the VPC, as EC2 describes them.
    """

    vpc: str
    instances: tuple[str, ...]
    route_tables: frozenset[str]
    endpoints: tuple[Mapping[str, Any], ...]

    def missing(self, needed: Mapping[str, str]) -> list[str]:
        """Return the needed services, given with the region of each, that no endpoint serves."""
        return missing_services(self.endpoints, needed, self.route_tables)


def enclosed_instances(reader: Reader, region: str, instances: Sequence[Mapping[str, Any]]) -> list[Enclosed]:
    """Return the instances that depend on endpoints, by their VPC.

    Args:
        reader: In the account of the instances.
        region: Their region.
        instances: As EC2 describes them.

    Raises:
        botocore.exceptions.ClientError: AWS refuses a call.
    """
    by_vpc: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for instance in instances:
        if "VpcId" in instance:
            by_vpc[instance["VpcId"]].append(instance)
    found = (_enclosed(reader, region, vpc, inside) for vpc, inside in sorted(by_vpc.items()))
    return [each for each in found if each.instances]


def _enclosed(reader: Reader, region: str, vpc: str, inside: Sequence[Mapping[str, Any]]) -> Enclosed:
    of_vpc = [{"Name": "vpc-id", "Values": [vpc]}]

    def tables() -> list[Mapping[str, Any]]:
        return list(reader.pages("ec2", region, "describe_route_tables", "RouteTables", Filters=of_vpc))

    def endpoints() -> list[Mapping[str, Any]]:
        return list(reader.pages("ec2", region, "describe_vpc_endpoints", "VpcEndpoints", Filters=of_vpc))

    routed = reader.once(("route tables", region, vpc), tables)
    used = [(instance, route_table(routed, instance["SubnetId"])) for instance in inside]
    inward = [(instance["InstanceId"], table) for instance, table in used if not has_way_out(table, instance)]
    served = reader.once(("endpoints", region, vpc), endpoints) if inward else []
    route_tables = frozenset(table.get("RouteTableId", "") for _, table in inward)
    return Enclosed(vpc, tuple(name for name, _ in inward), route_tables, tuple(served))


def route_table(tables: Iterable[Mapping[str, Any]], subnet: str) -> Mapping[str, Any]:
    """Return the route table of a subnet: the associated one, else the main route table of the VPC."""
    own, main = None, None
    for table in tables:
        for association in table.get("Associations", []):
            if association.get("SubnetId") == subnet:
                own = table
            elif association.get("Main"):
                main = table
    return own or main or {}


def has_way_out(table: Mapping[str, Any], instance: Mapping[str, Any]) -> bool:
    """Tell whether a route table has a default route for an instance; an internet gateway needs a public address."""
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
    """Return the services that no endpoint of a VPC serves.

    Args:
        found: The endpoints.
        needed: The services, with the region of each.
        route_tables: The route tables of the instances; a gateway endpoint must be in all of them.
    """
    used, served = set(route_tables), set()
    for endpoint in found:
        # com.amazonaws.eu-west-1.ssm
        region, _, service = endpoint["ServiceName"].rpartition(".")
        if endpoint.get("State", "").lower() != "available" or region.rpartition(".")[2] != needed.get(service):
            continue
        # Without private DNS the agent does not find an interface endpoint.
        gateway = endpoint.get("VpcEndpointType") == "Gateway"
        if used <= set(endpoint.get("RouteTableIds", [])) if gateway else endpoint.get("PrivateDnsEnabled"):
            served.add(service)
    return [service for service in needed if service not in served]
