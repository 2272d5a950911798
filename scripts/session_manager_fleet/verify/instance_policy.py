"""Check the instance policy: that it exists, and grants access to the configured log destinations."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from session_manager_fleet.aws import partitions
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Target
from session_manager_fleet.terraform import permissions
from session_manager_fleet.verify.checks import Place, TargetCheck
from session_manager_fleet.verify.model import Check, CheckInfo, Severity, finding, not_needed, ok
from session_manager_fleet.verify.reading import Reader


def instance_policy(reader: Reader, target: Target, values: TargetSettings, group: str) -> Check:
    """Check the managed policy of instance roles, in the home region; `group` is empty without a log group."""
    if not values.instance_policy.enabled:
        return not_needed("instance_policy", "instance_policy.enabled is false.")
    region, arn = target.region, policy_arn(target, values)
    found = reader.find_once("iam", region, "get_policy", PolicyArn=arn)
    if found is None:
        return finding("instance_policy", f"The policy {arn} does not exist.")
    version = found["Policy"]["DefaultVersionId"]
    answer = reader.find_once("iam", region, "get_policy_version", PolicyArn=arn, VersionId=version)
    document = answer["PolicyVersion"]["Document"] if answer else {"Statement": []}
    missing = missing_destinations(document if isinstance(document, dict) else json.loads(document), values, group)
    if missing:
        return finding("instance_policy", f"The policy {arn} does not allow writing to {' and '.join(missing)}.")
    return ok("instance_policy", f"{arn} allows writing session logs.")


def policy_arn(target: Target, values: TargetSettings) -> str:
    """Return the ARN of the policy that instance roles must have."""
    names = values.names
    return f"arn:{partitions()[target.region]}:iam::{target.account.id}:policy{names.policy_path}{names.policy}"


def missing_destinations(document: Mapping[str, Any], values: TargetSettings, group: str) -> list[str]:
    """Return the configured log destinations that no Allow statement has among its resources."""
    allowed, s3 = list(_allowed(document)), values.preferences.s3
    needed = []
    if group:
        needed.append(("logs:PutLogEvents", f":log-group:{group}", f"the log group {group}"))
    if s3.enabled:
        needed.append(("s3:PutObject", f":::{s3.bucket_name}/", f"the bucket {s3.bucket_name}"))
    others = [other.bucket_name for other in values.instance_policy.other_log_buckets]
    needed += [("s3:PutObject", f":::{name}/", f"the bucket {name}") for name in others]
    return [
        destination
        for action, part, destination in needed
        if not any(action == granted and part in resource for granted, resource in allowed)
    ]


def _allowed(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for statement in _many(document["Statement"]):
        if statement["Effect"] == "Allow":
            for action in _many(statement.get("Action", [])):
                for resource in _many(statement.get("Resource", [])):
                    yield action, resource


def _many(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]


class InstancePolicy(TargetCheck):
    """Check the managed policy of instance roles."""

    info = CheckInfo(
        id="instance_policy",
        severity=Severity.HIGH,
        what="the policy exists and contains the configured log group and buckets",
        why="Without it instances can neither use the session key nor write logs.",
        fix="Plan and apply the home region.",
        evidence="the default version of the policy",
        where="home region",
        permissions=(permissions.INSTANCE_POLICY.allow("iam:GetPolicy", "iam:GetPolicyVersion"),),
        component="instance_policy",
        controls=("NIST 800-53 AC-6", "NIST 800-53 AU-12"),
    )

    def applies(self, place: Place) -> bool:
        """Judge home regions."""
        return place.target.is_home

    def run(self, place: Place) -> Check:
        """Judge the policy."""
        return instance_policy(place.reader, place.target, place.values, place.log_group)
