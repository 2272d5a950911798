"""Check what CloudWatch Logs does with session logs: where it sends them on, and what it masks."""

import json
from collections.abc import Iterator, Mapping
from typing import Any

from session_manager_fleet.aws import partitions
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Target
from session_manager_fleet.terraform import permissions
from session_manager_fleet.verify.checks import Place, TargetCheck
from session_manager_fleet.verify.log_group import find_group
from session_manager_fleet.verify.model import Check, CheckInfo, Problem, Severity, finding, findings, not_needed, ok
from session_manager_fleet.verify.reading import Reader

_SUBSCRIPTION, _PROTECTION = "subscription", "data_protection"
# As modules/preferences/log_delivery.tf has them.
_CREDENTIALS = ("AwsSecretKey", "OpenSshPrivateKey", "PgpPrivateKey", "PkcsPrivateKey", "PuttyPrivateKey")
_STANDARD = "STANDARD"


def subscription(reader: Reader, target: Target, values: TargetSettings, group: str) -> Check:
    """Check that the log group sends its events on as configured, and name where else it sends them."""
    wanted = values.preferences.cloudwatch.subscription
    found = _group(reader, target.region, group)
    if found is None:
        return not_needed(_SUBSCRIPTION, "There is no log group to send logs on from.")
    if found.get("logGroupClass", _STANDARD) != _STANDARD:
        return not_needed(_SUBSCRIPTION, f"Log groups of the class {found['logGroupClass']} send nothing on.")
    pages = reader.pages(
        "logs", target.region, "describe_subscription_filters", "subscriptionFilters", logGroupName=group
    )
    filters = {each["filterName"]: each for each in pages}
    others = [
        f"{name} to {each['destinationArn']}" for name, each in filters.items() if not wanted or name != wanted.name
    ]
    note = f" Other subscription filters: {', '.join(others)}." if others else ""
    if wanted is None:
        return not_needed(_SUBSCRIPTION, f"preferences.cloudwatch.subscription is not set.{note}")
    if wanted.name not in filters:
        message = f"The log group {group} has no subscription filter {wanted.name}, so nothing is sent on.{note}"
        return finding(_SUBSCRIPTION, message)
    role = wanted.role_arn or (role_to_send_with(target, values) if wanted.creates_role else None)
    expected = {
        "destinationArn": wanted.destination_arn,
        "filterPattern": wanted.filter_pattern,
        "roleArn": role,
        "distribution": wanted.distribution,
    }
    if problems := list(_differences(expected, filters[wanted.name])):
        return findings(
            _SUBSCRIPTION, f"The subscription filter {wanted.name} of {group} is not as configured", problems
        )
    return ok(_SUBSCRIPTION, f"{group} sends its events to {wanted.destination_arn}.{note}")


def role_to_send_with(target: Target, values: TargetSettings) -> str:
    """Return the ARN of the role that is created for the subscription."""
    name = f"{values.names.function}-logs-{target.region}"
    return f"arn:{partitions()[target.region]}:iam::{target.account.id}:role/{name}"


def data_protection(reader: Reader, target: Target, values: TargetSettings, group: str) -> Check:
    """Check that the log group masks what is configured."""
    wanted = expected_protection(values, partitions()[target.region])
    if wanted is None:
        return not_needed(_PROTECTION, "preferences.cloudwatch.data_protection is not set.")
    if _group(reader, target.region, group) is None:
        return not_needed(_PROTECTION, "There is no log group to mask anything in.")
    answer = reader.call("logs", target.region, "get_data_protection_policy", logGroupIdentifier=group)
    text = answer.get("policyDocument")
    if not text:
        return finding(_PROTECTION, f"The log group {group} has no data protection policy, so nothing is masked.")
    found = json.loads(text)
    if found != wanted:
        masked, expected = _identifiers(found), _identifiers(wanted)
        lacks = f": it does not mask {', '.join(sorted(expected - masked))}" if expected - masked else ""
        fix = (
            "Plan and apply this target. If that changes nothing, delete the policy before, because the provider "
            "compares only what policies of IAM have: `aws logs delete-data-protection-policy "
            f"--region {target.region} --log-group-identifier {group}`."
        )
        message = f"The data protection policy of {group} is not as configured{lacks}."
        return finding(_PROTECTION, message, fix, ("apply",))
    return ok(_PROTECTION, f"{group} masks {len(_identifiers(wanted))} kinds of data.")


def expected_protection(values: TargetSettings, partition: str) -> dict[str, Any] | None:
    """Return the data protection policy that modules/preferences writes; None for none."""
    wanted = values.preferences.cloudwatch.data_protection
    if wanted is None:
        return None
    managed = sorted({*(_CREDENTIALS if wanted.credentials else ()), *wanted.identifiers})
    custom = sorted(wanted.custom_identifiers)
    masked = [*(f"arn:{partition}:dataprotection::aws:data-identifier/{name}" for name in managed), *custom]
    destination = wanted.findings_destination
    places = {
        "CloudWatchLogs": {"LogGroup": destination.log_group_name},
        "Firehose": {"DeliveryStream": destination.delivery_stream_name},
        "S3": {"Bucket": destination.bucket_name},
    }
    audit = {"FindingsDestination": {name: place for name, place in places.items() if None not in place.values()}}
    own = [{"Name": name, "Regex": wanted.custom_identifiers[name]} for name in custom]
    return {
        "Name": "session-manager",
        "Version": "2021-06-01",
        "Statement": [
            {"Sid": "Audit", "DataIdentifier": masked, "Operation": {"Audit": audit}},
            {"Sid": "Mask", "DataIdentifier": masked, "Operation": {"Deidentify": {"MaskConfig": {}}}},
        ],
        **({"Configuration": {"CustomDataIdentifier": own}} if own else {}),
    }


def _group(reader: Reader, region: str, name: str) -> Mapping[str, Any] | None:
    return find_group(reader, region, name) if name else None


def _identifiers(policy: Mapping[str, Any]) -> set[str]:
    """Return the names of the identifiers that a policy masks."""
    return {
        identifier.rpartition("/")[2]
        for statement in policy.get("Statement", [])
        if "Deidentify" in statement.get("Operation", {})
        for identifier in statement.get("DataIdentifier", [])
    }


def _differences(expected: Mapping[str, str | None], found: Mapping[str, Any]) -> Iterator[Problem]:
    for name, value in expected.items():
        if (found.get(name) or "") != (value or ""):
            yield Problem(f"{name} is {found.get(name) or 'not set'}, expected {value or 'none'}")


class Subscription(TargetCheck):
    """Check that session logs are sent on."""

    info = CheckInfo(
        id=_SUBSCRIPTION,
        severity=Severity.HIGH,
        what="the log group has the subscription filter of `cloudwatch.subscription`, with its destination, role, "
        "pattern and distribution. Other filters, which send session logs elsewhere, are named",
        why="Without the filter, who watches sessions in a central account sees nothing of them.",
        fix="Plan and apply the target.",
        evidence="the subscription filters of the log group",
        where="targets with `cloudwatch.subscription`",
        permissions=(
            permissions.WITHOUT_RESOURCES.allow("logs:DescribeLogGroups"),
            permissions.LOG_GROUPS.allow("logs:DescribeSubscriptionFilters"),
        ),
        controls=("NIST 800-53 AU-6", "NIST 800-53 AU-9"),
    )

    def run(self, place: Place) -> Check:
        """Judge the filters of the log group."""
        return subscription(place.reader, place.target, place.values, place.log_group)


class DataProtection(TargetCheck):
    """Check that session logs are masked."""

    info = CheckInfo(
        id=_PROTECTION,
        severity=Severity.HIGH,
        what="the log group has exactly the data protection policy of `cloudwatch.data_protection`; what it does not "
        "mask is named",
        why="What is typed in sessions holds secrets: without the policy all who read the log group see them.",
        fix="Plan and apply the target; delete the policy before where it differs.",
        evidence="the data protection policy of the log group",
        where="targets with `cloudwatch.data_protection`",
        permissions=(
            permissions.WITHOUT_RESOURCES.allow("logs:DescribeLogGroups"),
            permissions.LOG_GROUPS.allow("logs:GetDataProtectionPolicy"),
        ),
        controls=("NIST 800-53 AC-4", "NIST 800-53 SI-12"),
    )

    def run(self, place: Place) -> Check:
        """Judge the policy of the log group."""
        return data_protection(place.reader, place.target, place.values, place.log_group)
