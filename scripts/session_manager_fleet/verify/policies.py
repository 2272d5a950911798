"""Does the instance policy exist, and does it mean the destinations that are wanted?"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from session_manager_fleet.verify.model import Check, Verdict

if TYPE_CHECKING:
    from session_manager_fleet.settings import TargetSettings
    from session_manager_fleet.verify.reading import Reader

_APPLY = "Plan and apply this target."


def instance_policy(reader: Reader, region: str, values: TargetSettings, arn: str, group: str) -> Check:
    """Check the managed policy of the instances."""
    if not values.instance_policy.enabled:
        return Check("instance_policy", Verdict.NOT_NEEDED, "The instance policy is not managed here.")
    try:
        version = reader.call("iam", region, "get_policy", PolicyArn=arn)["Policy"]["DefaultVersionId"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchEntity":
            raise
        return Check(
            "instance_policy", Verdict.FINDING, f"The policy {arn} does not exist.", "Plan and apply this target."
        )
    answer = reader.call("iam", region, "get_policy_version", PolicyArn=arn, VersionId=version)
    document = answer["PolicyVersion"]["Document"]
    missing = missing_destinations(document if isinstance(document, dict) else json.loads(document), values, group)
    if missing:
        message = f"The policy {arn} does not mean {' and '.join(missing)}."
        return Check("instance_policy", Verdict.FINDING, message, _APPLY)
    return Check("instance_policy", Verdict.OK, f"{arn} grants what session logs need.")


def missing_destinations(document: Mapping[str, Any], values: TargetSettings, group: str) -> list[str]:
    """Return the wanted destinations of logs that no Allow statement names in its resources."""
    allowed = list(_allowed(document))
    s3 = values.preferences.s3
    wanted = {
        "logs:PutLogEvents": (f":log-group:{group}", f"the log group {group}") if group else None,
        "s3:PutObject": (f":::{s3.bucket_name}/", f"the bucket {s3.bucket_name}") if s3.enabled else None,
    }
    return [
        told[1]
        for action, told in wanted.items()
        if told and not any(action == granted and told[0] in resource for granted, resource in allowed)
    ]


def _allowed(document: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    for statement in _many(document["Statement"]):
        if statement["Effect"] == "Allow":
            for action in _many(statement.get("Action", [])):
                for resource in _many(statement.get("Resource", [])):
                    yield action, resource


def _many(value: object) -> list[Any]:
    return value if isinstance(value, list) else [value]
