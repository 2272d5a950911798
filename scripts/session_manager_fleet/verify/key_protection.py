"""Check the keys that an apply creates: their aliases, and their rotation."""

import json
from collections.abc import Iterator

from session_manager_fleet.aws import rescue
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.terraform import permissions
from session_manager_fleet.verify.checks import Place, TargetCheck
from session_manager_fleet.verify.key_policy import judge_policy
from session_manager_fleet.verify.keys import Key, find_key
from session_manager_fleet.verify.log_group import find_group
from session_manager_fleet.verify.model import Check, CheckInfo, Problem, Severity, findings, not_needed, ok
from session_manager_fleet.verify.reading import Reader

_NAME = "keys"


def key_protection(reader: Reader, region: str, values: TargetSettings, group: str) -> Check:
    """Check the created keys of session data and of the log group `group`; keys that existed before are not judged."""
    session, logs = values.preferences.session_key, values.preferences.cloudwatch
    aliases = []
    if session.enabled and session.kms_key_arn is None and session.existing == "refuse":
        aliases.append(values.names.data_key_alias)
    logs_key = logs.create_log_group and logs.encryption_enabled and logs.kms_key_arn is None
    if logs_key and logs.existing == "refuse":
        aliases.append(values.names.logs_key_alias)
    if not aliases:
        return not_needed(_NAME, "No key is created.")
    found = {alias: find_key(reader, region, alias) for alias in aliases}
    problems = [problem for alias, key in found.items() for problem in _problems(reader, region, alias, key)]
    for alias, key in found.items():
        if key and key.state == "Enabled":
            problems.extend(_policy(reader, region, values, alias, key))
    if key := found.get(values.names.logs_key_alias):
        problems.extend(_aim(reader, region, values.names.logs_key_alias, key, group))
    if problems:
        return findings(_NAME, "Keys are not as configured", problems)
    return ok(_NAME, f"{' and '.join(aliases)}: enabled, with rotation.")


def _problems(reader: Reader, region: str, alias: str, key: Key | None) -> Iterator[Problem]:
    if key is None:
        yield Problem(f"{alias} does not exist")
    elif key.state != "Enabled":
        # Of such a key AWS does not tell whether it would be rotated.
        yield Problem(f"the key of {alias} is {key.state}", rescue(key.arn, key.state), before_apply=True)
    elif not reader.call("kms", region, "get_key_rotation_status", KeyId=key.arn)["KeyRotationEnabled"]:
        yield Problem(f"the key of {alias} ({key.arn}) is not rotated")


def _policy(reader: Reader, region: str, values: TargetSettings, alias: str, key: Key) -> Iterator[Problem]:
    _, partition, _, _, account, _ = key.arn.split(":")
    answer = reader.find_once("kms", region, "get_key_policy", KeyId=key.arn, PolicyName="default") or {"Policy": "{}"}
    wrong = judge_policy(
        json.loads(answer["Policy"]),
        f"arn:{partition}:iam::{account}:root",
        values.preferences.session_key.organization_id,
        f"logs.{region}.amazonaws.com{'.cn' if partition == 'aws-cn' else ''}",
        of_logs=alias == values.names.logs_key_alias,
    )
    for text in wrong:
        severity = Severity.CRITICAL if text.startswith("allows") else None
        yield Problem(f"the policy of the key of {alias} {text}", severity=severity)


def _aim(reader: Reader, region: str, alias: str, key: Key, group: str) -> Iterator[Problem]:
    used = (find_group(reader, region, group) or {}).get("kmsKeyId")
    if used and used != key.arn:
        yield Problem(f"{alias} is the key {key.arn}, but the log group {group} has the key {used}")


class Keys(TargetCheck):
    """Check the keys that an apply creates."""

    info = CheckInfo(
        id="keys",
        severity=Severity.MEDIUM,
        what="the created keys of session data and of the log group have their aliases, are enabled and rotated, and "
        "the log group has the key of the alias; their policies leave them to the IAM policies of the account, let "
        "CloudWatch Logs encrypt, and allow others nothing",
        why="The instance policy names keys by their aliases: with another one, sessions and logs are refused.",
        fix="Plan and apply the target; enable the key in KMS.",
        evidence="aliases, states, rotation and policies of the keys, and the key of the log group",
        where="every target; given and adopted keys are not judged",
        permissions=(
            permissions.KEYS.allow("kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus"),
            permissions.WITHOUT_RESOURCES.allow("logs:DescribeLogGroups"),
        ),
        controls=("Security Hub KMS.4", "Security Hub KMS.5", "CIS AWS Foundations 3.0.0 3.6", "NIST 800-53 SC-12"),
    )

    def run(self, place: Place) -> Check:
        """Judge the created keys."""
        return key_protection(place.reader, place.region, place.values, place.log_group)
