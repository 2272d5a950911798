"""Check that managed instances can reach the services that the SSM agent calls."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from session_manager_fleet.settings import Preferences
from session_manager_fleet.terraform import permissions
from session_manager_fleet.verify.checks import Place, TargetCheck
from session_manager_fleet.verify.model import Check, CheckInfo, Severity, finding, not_needed, ok
from session_manager_fleet.verify.reading import Reader

# A filter of EC2 takes 200 values.
_INSTANCES_PER_CALL = 200
# Route targets that can lead to the internet; local routes and gateway endpoints (vpce-…) cannot.
_WAYS_OUT = (
    "GatewayId",
    "NatGatewayId",
    "TransitGatewayId",
    "InstanceId",
    "NetworkInterfaceId",
    "VpcPeeringConnectionId",
)
# Services that only some documents of Systems Manager use, such as VSS snapshots: the agent has no client for them.
_OF_SOME_DOCUMENTS = ("ec2",)
# The agent calls IPv4 endpoints, unless its configuration sets UseDualStackEndpoint.
_EVERYWHERE = "0.0.0.0/0"


def needed_services(
    preferences: Preferences, region: str, *, logs_to_cloudwatch: bool, bucket_region: str
) -> dict[str, str]:
    """Return the services that an instance must reach for sessions and their logs, by their names in endpoints.

    https://docs.aws.amazon.com/systems-manager/latest/userguide/setup-create-vpc.html. The agent calls KMS for the
    session key only (amazon-ssm-agent, agent/session/crypto/kmsservice.go); S3 and CloudWatch Logs call it themselves.

    Args:
        preferences: The configured preferences.
        region: Region of the instances.
        logs_to_cloudwatch: Whether session logs go to CloudWatch.
        bucket_region: Region of the log bucket.

    Returns:
        The region of each service.
    """
    needed = dict.fromkeys(["ssm", "ssmmessages"], region)
    if preferences.session_key.enabled:
        needed["kms"] = region
    if preferences.s3.enabled:
        needed["s3"] = bucket_region
    if logs_to_cloudwatch:
        needed["logs"] = region
    return needed


def managed_nodes(reader: Reader, region: str) -> list[Mapping[str, Any]]:
    """Return all nodes registered with Systems Manager in a region, EC2 instances and others."""
    wanted = ("ssm", region, "describe_instance_information", "InstanceInformationList")
    return reader.once(wanted, lambda: list(reader.pages(*wanted)))


def managed_instances(reader: Reader, region: str) -> list[str]:
    """Return the ids of the EC2 instances registered with Systems Manager in a region."""
    return [node["InstanceId"] for node in managed_nodes(reader, region) if node.get("ResourceType") == "EC2Instance"]


def endpoints(reader: Reader, region: str, instances: Sequence[str], needed: Mapping[str, str]) -> Check:
    """Check that every managed instance can reach the services: by an internet route, or by endpoints in its VPC.

    Args:
        reader: In the account of the instances.
        region: Their region.
        instances: Their ids; Systems Manager lists terminated instances for some days.
        needed: The services, with the region of each.
    """
    by_vpc: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for instance in described(reader, region, instances):
        if "VpcId" in instance:
            by_vpc[instance["VpcId"]].append(instance)
    if not by_vpc:
        return not_needed("endpoints", "There are no managed instances.")
    closed, without_documents = [], []
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
        if missing_services(found, dict.fromkeys(_OF_SOME_DOCUMENTS, region), inward):
            without_documents.append(vpc)
    if closed:
        return finding(
            "endpoints",
            f"Managed instances without internet access lack VPC endpoints: {'; '.join(closed)}.",
            "Create the endpoints with modules/vpc_endpoints. Existing interface endpoints need private DNS; the "
            "S3 gateway endpoint needs the instances' route tables. A bucket in another region needs internet access.",
        )
    count = sum(map(len, by_vpc.values()))
    note = f" Documents that use EC2, such as VSS snapshots, fail in {', '.join(without_documents)}."
    message = f"{count} managed instances in {len(by_vpc)} VPCs can reach all services of sessions and their logs."
    return ok("endpoints", message + (note if without_documents else ""))


def described(reader: Reader, region: str, instances: Sequence[str]) -> list[Mapping[str, Any]]:
    """Return the descriptions of instances."""
    return reader.once(("instances", region, *instances), lambda: list(_described(reader, region, instances)))


def _described(reader: Reader, region: str, instances: Sequence[str]) -> Iterator[Mapping[str, Any]]:
    """Yield the descriptions of instances. A filter ignores terminated ones, while InstanceIds would fail on them."""
    for start in range(0, len(instances), _INSTANCES_PER_CALL):
        some = [{"Name": "instance-id", "Values": list(instances[start : start + _INSTANCES_PER_CALL])}]
        for reservation in reader.pages("ec2", region, "describe_instances", "Reservations", Filters=some):
            yield from reservation["Instances"]


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


class Endpoints(TargetCheck):
    """Check that managed instances can reach the services that sessions use."""

    info = CheckInfo(
        id="endpoints",
        severity=Severity.HIGH,
        what="managed instances without a route to the internet have VPC endpoints for `ssm` and `ssmmessages`, and "
        "for `kms` (session key), `s3` and `logs` if used; a missing one for `ec2` is mentioned only, because sessions "
        "do not use it. An internet gateway counts for instances with a public address, an interface endpoint with "
        "private DNS, the S3 gateway endpoint if it is in the route table of the instance; both serve only buckets of "
        "their own region",
        why="Where an instance cannot reach a service, its sessions do not start, or end without a log.",
        fix="Create the endpoints with modules/vpc_endpoints.",
        evidence="managed instances, their route tables, and the endpoints of their VPCs",
        where="every target",
        permissions=(
            permissions.WITHOUT_RESOURCES.allow(
                "ec2:DescribeInstances",
                "ec2:DescribeRouteTables",
                "ec2:DescribeVpcEndpoints",
                "ssm:DescribeInstanceInformation",
            ),
        ),
        controls=("Security Hub EC2.57", "NIST 800-53 SC-7"),
    )

    def run(self, place: Place) -> Check:
        """Judge the ways of managed instances to the services."""
        region, archive = place.region, place.archive
        needed = needed_services(
            place.values.preferences,
            region,
            logs_to_cloudwatch=bool(place.log_group),
            bucket_region=archive.region if archive else region,
        )
        return endpoints(place.reader, region, managed_instances(place.reader, region), needed)
