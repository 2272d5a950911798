"""Adopt what exists: choose it, look whether it is still there, refuse what would not work, and restore it."""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any

import boto3
from botocore.exceptions import ClientError

from session_manager_fleet.aws import translated_errors
from session_manager_fleet.changes import forgets
from session_manager_fleet.errors import Problem
from session_manager_fleet.run.existing import (
    ENABLED,
    LOG_GROUP,
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
            adoptions.append(Adoption(kind, each.name, each.key_arn, each.retention_in_days))
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
                there: Adoption | None = _group_still_there(session, adoption)
            elif adoption.kind == "public_sharing":
                there = adoption if is_sharing_blocked(session, adoption.name) else None
            else:
                there = _key_still_there(session, adoption)
        if there is not None:
            found.append(there)
    return tuple(found)


def _group_still_there(session: boto3.Session, adoption: Adoption) -> Adoption | None:
    group = log_group(session, adoption.name)
    if group is None or adoption.retention_in_days is not None:
        return adoption if group else None
    # Remembered by an earlier version, which changed nothing.
    return replace(adoption, key_arn=group.get("kmsKeyId", ""), retention_in_days=group.get("retentionInDays", 0))


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


def as_imported(adoptions: Iterable[Adoption], plan: Mapping[str, Any]) -> tuple[Adoption, ...]:
    """Return the adoptions with the key and retention that log groups have when a plan imports them."""
    groups = {
        entry["change"]["before"]["name"]: entry["change"]["before"]
        for entry in _log_groups(plan)
        if entry["change"].get("importing")
    }
    return tuple(
        replace(adoption, key_arn=group["kms_key_id"] or "", retention_in_days=group["retention_in_days"] or 0)
        if adoption.kind == "log_group" and (group := groups.get(adoption.name))
        else adoption
        for adoption in adoptions
    )


def restore_log_groups(session: boto3.Session, plan: Mapping[str, Any], adoptions: Iterable[Adoption]) -> list[str]:
    """Restore key and retention of the log groups that a plan forgets, and return a sentence for each.

    Before the plan is applied, which may delete the key that they have until then.

    Raises:
        AccessError: AWS refuses to change them.
    """
    before = {adoption.name: adoption for adoption in adoptions if adoption.kind == "log_group"}
    logs, sentences = client_of(session, "logs"), []
    for name in (entry["change"]["before"]["name"] for entry in _log_groups(plan) if forgets(entry)):
        if (known := before.get(name)) is None or known.retention_in_days is None:
            sentences.append(f"The log group {name} stays as it is: what it was before is not known.")
            continue
        with translated_errors(f"restore the log group {name}"):
            if known.retention_in_days:
                logs.put_retention_policy(logGroupName=name, retentionInDays=known.retention_in_days)
            else:
                logs.delete_retention_policy(logGroupName=name)
            if known.key_arn:
                logs.associate_kms_key(logGroupName=name, kmsKeyId=known.key_arn)
            else:
                logs.disassociate_kms_key(logGroupName=name)
        sentences.append(f"The log group {name} has the key and the retention that it had before.")
    return sentences


def _log_groups(plan: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    entries = plan.get("resource_changes", [])
    return (entry for entry in entries if entry.get("mode") == "managed" and entry["type"] == LOG_GROUP)
