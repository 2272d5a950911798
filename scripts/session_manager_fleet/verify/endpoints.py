"""Check that managed instances can reach the services that the SSM agent calls."""

from collections.abc import Mapping, Sequence
from typing import Any

from session_manager_fleet.preferences import enclosed_instances, managed_instances
from session_manager_fleet.settings import Preferences
from session_manager_fleet.terraform import permissions
from session_manager_fleet.verify.checks import Place, TargetCheck
from session_manager_fleet.verify.model import Check, CheckInfo, Severity, finding, not_needed, ok
from session_manager_fleet.verify.reading import Reader

# Services that only some documents of Systems Manager use, such as VSS snapshots: the agent has no client for them.
_OF_SOME_DOCUMENTS = ("ec2",)


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


def endpoints(reader: Reader, region: str, instances: Sequence[Mapping[str, Any]], needed: Mapping[str, str]) -> Check:
    """Check that every managed instance can reach the services: by an internet route, or by endpoints in its VPC.

    Args:
        reader: In the account of the instances.
        region: Their region.
        instances: As EC2 describes them.
        needed: The services, with the region of each.
    """
    inside = [instance for instance in instances if "VpcId" in instance]
    if not inside:
        return not_needed("endpoints", "There are no managed instances.")
    closed, without_documents = [], []
    for each in enclosed_instances(reader, region, inside):
        if missing := each.missing(needed):
            named = [service if needed[service] == region else f"{service} of {needed[service]}" for service in missing]
            closed.append(f"{each.vpc} lacks {', '.join(named)}")
        if each.missing(dict.fromkeys(_OF_SOME_DOCUMENTS, region)):
            without_documents.append(each.vpc)
    if closed:
        return finding(
            "endpoints",
            f"Managed instances without internet access lack VPC endpoints: {'; '.join(closed)}.",
            "Create the endpoints with modules/vpc_endpoints. Existing interface endpoints need private DNS; the "
            "S3 gateway endpoint needs the instances' route tables. A bucket in another region needs internet access.",
        )
    vpcs = len({instance["VpcId"] for instance in inside})
    note = f" Documents that use EC2, such as VSS snapshots, fail in {', '.join(without_documents)}."
    message = f"{len(inside)} managed instances in {vpcs} VPCs can reach all services of sessions and their logs."
    return ok("endpoints", message + (note if without_documents else ""))


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
