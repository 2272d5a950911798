"""Adopt what exists: choose it, look whether it is still there, and refuse what would not work."""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

import boto3
from botocore.exceptions import ClientError

from session_manager_fleet.aws import translated_errors
from session_manager_fleet.errors import Problem
from session_manager_fleet.run.existing import (
    ALIAS,
    ENABLED,
    Existing,
    client_of,
    is_missing,
    is_sharing_blocked,
    key_of_alias,
    log_group,
    place_of,
)
from session_manager_fleet.terraform import Adoption, Kind

# What can be used as it is, the log group before its key.
_ADOPTABLE: Mapping[str, Kind] = {
    "preferences.aws_cloudwatch_log_group.sessions": "log_group",
    "preferences.aws_kms_alias.logs": "logs_key",
    "preferences.aws_kms_alias.session_data": "session_key",
    "preferences.aws_ssm_service_setting.public_sharing": "public_sharing",
}


def adoptions_of(found: Iterable[Existing], allowed: Collection[Kind]) -> tuple[Adoption, ...]:
    """Return what is to be used as it is, of the allowed kinds."""
    by_address = {place_of(each.address): each for each in found}
    adoptions: list[Adoption] = []
    for place, kind in _ADOPTABLE.items():
        each = by_address.get(place)
        if each is None or kind not in allowed or each.unusable:
            continue
        # The log group brings its own key.
        if kind != "logs_key" or not any(adoption.kind == "log_group" for adoption in adoptions):
            adoptions.append(Adoption(kind, each.name, each.key_arn if each.type == ALIAS else ""))
    return tuple(adoptions)


def still_there(session: boto3.Session, adoptions: Iterable[Adoption]) -> tuple[Adoption, ...]:
    """Return those adoptions whose resources are still there; a key may be another one by now.

    Raises:
        AccessError: AWS refuses to answer.
    """
    found = []
    for adoption in adoptions:
        with translated_errors(f"ask whether {adoption.name} is still there"):
            if adoption.kind == "log_group":
                there: Adoption | None = adoption if log_group(session, adoption.name) else None
            elif adoption.kind == "public_sharing":
                there = adoption if is_sharing_blocked(session, adoption.name) else None
            else:
                there = _key_still_there(session, adoption)
        if there is not None:
            found.append(there)
    return tuple(found)


def _key_still_there(session: boto3.Session, adoption: Adoption) -> Adoption | None:
    try:
        arn, state = key_of_alias(session, adoption.name)
    except ClientError as error:
        if not is_missing(error):
            raise
        return None
    return replace(adoption, key_arn=arn) if state == ENABLED else None


def unusable_keys(session: boto3.Session, region: str, adoptions: Iterable[Adoption]) -> list[Problem]:
    """Return adopted keys that CloudWatch Logs may not use as problems: it would refuse the log group.

    Raises:
        AccessError: AWS refuses to answer.
    """
    problems = []
    for adoption in (adoption for adoption in adoptions if adoption.kind == "logs_key"):
        with translated_errors(f"read the policy of the key {adoption.key_arn}"):
            policy = client_of(session, "kms").get_key_policy(KeyId=adoption.key_arn, PolicyName="default")["Policy"]
        if f"logs.{region}." not in policy:
            problems.append(
                Problem(
                    f"The key {adoption.key_arn} behind {adoption.name} does not name logs.{region}.amazonaws.com in "
                    "its policy, so CloudWatch Logs refuses to encrypt the log group with it: allow it there, or "
                    "choose another names.logs_key_alias."
                )
            )
    return problems


def unencrypted(session: boto3.Session, adoptions: Iterable[Adoption]) -> list[Problem]:
    """Return adopted log groups without a KMS key as problems: the agent would refuse every session.

    Raises:
        AccessError: AWS refuses to answer.
    """
    problems = []
    for name in (adoption.name for adoption in adoptions if adoption.kind == "log_group"):
        with translated_errors(f"read the log group {name}"):
            group = log_group(session, name)
        if group is not None and not group.get("kmsKeyId"):
            problems.append(
                Problem(
                    f"The log group {name}, which is used as it is, has no KMS key, and "
                    "preferences.cloudwatch.encryption_enabled makes the agent refuse sessions then: give it one "
                    f"(aws logs associate-kms-key --log-group-name {name} --kms-key-id KEY_ARN), or set "
                    "preferences.cloudwatch.encryption_enabled: false."
                )
            )
    return problems
