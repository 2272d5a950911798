"""Check the log group of session logs."""

from collections.abc import Mapping
from typing import Any

from session_manager_fleet.aws import rescue
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.terraform import permissions
from session_manager_fleet.verify.checks import Place, TargetCheck
from session_manager_fleet.verify.keys import find_key
from session_manager_fleet.verify.model import PLAN_AND_APPLY, Check, CheckInfo, Severity, finding, not_needed, ok
from session_manager_fleet.verify.reading import Reader


def log_group(reader: Reader, region: str, values: TargetSettings, name: str) -> Check:
    """Check that the log group exists, is encrypted as required, and keeps logs for the configured time."""
    if not name:
        return not_needed("log_group", "Session logs do not go to CloudWatch.")
    expected = values.preferences.cloudwatch
    group = find_group(reader, region, name)
    if group is None:
        fix = PLAN_AND_APPLY if expected.create_log_group else "Create it, or set create_log_group = true."
        return finding("log_group", f"The log group {name} does not exist.", fix)
    problems = []
    if expected.encryption_enabled and not group.get("kmsKeyId"):
        problems.append("it has no KMS key, so no session can start")
    # A group that existed already keeps its class, and may keep its retention.
    created = expected.create_log_group and expected.existing == "refuse"
    keeps_days = not expected.create_log_group or not (created or expected.existing_retention == "change")
    if not keeps_days and (problem := judge_retention(group.get("retentionInDays"), expected.retention_in_days)):
        problems.append(problem)
    if problems:
        fix = PLAN_AND_APPLY if expected.create_log_group else "Associate a KMS key with the log group."
        return finding("log_group", f"The log group {name} is not as configured: {'; '.join(problems)}.", fix)
    if created and (found := group.get("logGroupClass", "STANDARD")) != expected.log_group_class:
        # Terraform plans no change of a class that is not set, and AWS changes none.
        message = f"The log group {name} has the class {found}, expected {expected.log_group_class}."
        fix = f"A class cannot change: set cloudwatch.log_group_class to {found}, or give the log group another name."
        return finding("log_group", message, fix)
    unusable = _unusable_key(reader, region, group, created=expected.create_log_group)
    if unusable is not None:
        return unusable
    return ok("log_group", f"{name} {'is encrypted' if group.get('kmsKeyId') else 'exists'}.")


def _unusable_key(reader: Reader, region: str, group: Mapping[str, Any], *, created: bool) -> Check | None:
    """Return the finding about a key with which nothing can be written or read; None for a good key and for none."""
    name = group["logGroupName"]
    if not group.get("kmsKeyId"):
        return None
    key = find_key(reader, region, group["kmsKeyId"])
    if key is None:
        message = f"The key of the log group {name} does not exist: nothing can be written to it or read from it."
        return finding("log_group", message, PLAN_AND_APPLY if created else "Associate another key.")
    if key.state != "Enabled":
        message = f"The key of the log group {name} is {key.state}: nothing can be written to it or read from it."
        return finding("log_group", message, rescue(key.arn, key.state))
    return None


def find_group(reader: Reader, region: str, name: str) -> Mapping[str, Any] | None:
    """Return a log group, which several checks read once; None if it does not exist."""

    def read() -> Mapping[str, Any] | None:
        groups = reader.pages("logs", region, "describe_log_groups", "logGroups", logGroupNamePrefix=name)
        return next((entry for entry in groups if entry["logGroupName"] == name), None)

    return reader.once(("log group", region, name), read)


def judge_retention(days: int | None, expected: int) -> str:
    """Return the difference between two retentions, or an empty text.

    Args:
        days: Retention of the log group in days; CloudWatch leaves it out for "never expire".
        expected: The configured retention in days, 0 for "never expire".
    """
    if (days or 0) == expected:
        return ""
    return f"retention is {_days(days or 0)}, expected {_days(expected)}"


def _days(days: int) -> str:
    return f"{days} days" if days else '"never expire"'


class LogGroup(TargetCheck):
    """Check the log group of session logs."""

    info = CheckInfo(
        id="log_group",
        severity=Severity.HIGH,
        what="it exists, has a key if the encryption flag is on, and has the configured retention and class",
        why="Without the group or its key sessions are refused or go unlogged; a shorter retention deletes evidence.",
        fix="Plan and apply the target; enable the key of the group in KMS.",
        evidence="the group, its key, its retention and its class",
        where="every target",
        permissions=(
            permissions.WITHOUT_RESOURCES.allow("logs:DescribeLogGroups"),
            permissions.KEYS.allow("kms:DescribeKey"),
        ),
        controls=("Security Hub CloudWatch.16", "NIST 800-53 AU-11", "NIST 800-53 SC-28"),
    )

    def run(self, place: Place) -> Check:
        """Judge the group that the settings name."""
        return log_group(place.reader, place.region, place.values, place.log_group)
