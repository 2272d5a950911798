"""KMS keys that exist: they must be enabled, and that of a log group must let CloudWatch Logs use it."""

import json
import re
from collections.abc import Iterator, Mapping
from fnmatch import fnmatchcase
from typing import Any

from botocore.exceptions import ClientError

from session_manager_fleet.preferences import planned_preferences, writes_preferences
from session_manager_fleet.run.refusals.planned import Place, code_of, planned

NEEDS = "kms:DescribeKey, kms:GetKeyPolicy"

_KEY = re.compile(r"arn:[\w-]+:kms:[\w-]+:(?P<account>\d{12}):key/[\w-]+")


def problems(plan: Mapping[str, Any], place: Place) -> Iterator[str]:
    """Yield what is wrong with keys of the account that the plan uses and does not create."""
    of_groups = {
        each.after["kms_key_id"]
        for each in planned(plan, "aws_cloudwatch_log_group")
        if each.after.get("kms_key_id") and each.after["kms_key_id"] != each.before.get("kms_key_id")
    }
    others = {arn for each in planned(plan, _BUCKET_ENCRYPTION) for arn in _texts(each.after)}
    wanted = planned_preferences(plan) if writes_preferences(plan) else None
    others |= {str((wanted or {}).get("preferences", {}).get("kmsKeyId") or "")}
    for arn in sorted(of_groups | others):
        match = _KEY.fullmatch(arn)
        # Whether another account's key is usable is for that account to tell.
        if match is None or match["account"] != place.account_id:
            continue
        problem = _state(place, arn) or (_policy(place, arn) if arn in of_groups else None)
        if problem:
            yield problem


_SYMMETRIC = "SYMMETRIC_DEFAULT"
_BUCKET_ENCRYPTION = "aws_s3_bucket_server_side_encryption_configuration"


def _state(place: Place, arn: str) -> str | None:
    try:
        key = place.ask("kms", "describe_key", KeyId=arn)["KeyMetadata"]
    except ClientError as error:
        if code_of(error) != "NotFoundException":
            raise
        return f"The key {arn} does not exist in this account. Correct its ARN."
    state = key["KeyState"]
    if state == "PendingDeletion":
        advice = f"Run `aws kms cancel-key-deletion --key-id {arn}` and `aws kms enable-key --key-id {arn}`"
    elif state == "Disabled":
        advice = f"Run `aws kms enable-key --key-id {arn}`"
    elif state == "Enabled":
        return _kind(arn, key)
    else:
        advice = "Make it usable"
    return f"The key {arn} is {state}. {advice}, or choose another key."


def _kind(arn: str, key: Mapping[str, Any]) -> str | None:
    if key.get("KeySpec", _SYMMETRIC) != _SYMMETRIC:
        return f"The key {arn} is no symmetric encryption key ({key['KeySpec']}). Choose one that is."
    if key.get("KeyManager") == "AWS":
        return f"The key {arn} is an AWS managed key, which has no policy of yours. Choose a customer managed key."
    return None


def _policy(place: Place, arn: str) -> str | None:
    policy = json.loads(place.ask("kms", "get_key_policy", KeyId=arn, PolicyName="default")["Policy"])
    service = f"logs.{place.region}.amazonaws.com"
    if any(fnmatchcase(service, name) for name in _allowed_services(policy)):
        return None
    return (
        f"The policy of the key {arn} does not allow {service}. Allow it kms:Encrypt*, kms:Decrypt*, kms:ReEncrypt*, "
        "kms:GenerateDataKey* and kms:Describe* for the log group, or choose another key."
    )


def _allowed_services(policy: Mapping[str, Any]) -> Iterator[str]:
    """Yield the services that a policy allows anything; `*` for all."""
    statements = policy.get("Statement", [])
    for statement in statements if isinstance(statements, list) else [statements]:
        principal = statement.get("Principal")
        if statement.get("Effect") != "Allow" or principal is None:
            continue
        named = "*" if isinstance(principal, str) else principal.get("Service", [])
        for name in [named] if isinstance(named, str) else named:
            yield name.removesuffix(".cn")


def _texts(value: Any) -> Iterator[str]:  # noqa: ANN401 - anything that JSON can hold
    """Yield every text within a value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping | list):
        for each in value.values() if isinstance(value, Mapping) else value:
            yield from _texts(each)
