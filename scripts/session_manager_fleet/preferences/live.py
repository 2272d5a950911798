"""Live state, read through the AWS APIs."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import botocore.exceptions
import tenacity
from botocore.config import Config

from session_manager_fleet.aws import CLIENT_CONFIG, translated_errors
from session_manager_fleet.changes.change_set import AttributeChange
from session_manager_fleet.changes.placeholders import SENSITIVE, UNKNOWN
from session_manager_fleet.errors import AccessError, FleetError
from session_preferences.aws import Budget, caller
from session_preferences.document import Change
from session_preferences.errors import AwsError, PreferencesError
from session_preferences.reconcile import reconcile
from session_preferences.request import parse_event

if TYPE_CHECKING:
    import boto3

# The root's output that says what the function was asked to bring about.
PREFERENCES_OUTPUT = "preferences"

_READ_SECONDS = 120
# The function's code repeats what was throttled by itself; these are for the network, as in the function.
_CLIENT_CONFIG = CLIENT_CONFIG.merge(Config(retries={"mode": "standard", "total_max_attempts": 3}))
# What AWS answers right after a write may be older than the write.
_LOOKS = 3
# Stands for a value that terraform knows only after the apply; nothing is called so.
_PLACEHOLDER = "alias/known-after-apply"

# What becomes of the document when its management ends, by the setting `on_destroy`.
_ON_DESTROY = {
    "restore": "as it was before it was managed (on_destroy = restore)",
    "reset": "the service's defaults, without logs and encryption (on_destroy = reset)",
    "retain": "as it is (on_destroy = retain)",
}

_INVOCATION_TYPE = "aws_lambda_invocation"
_ROLE_TYPE = "AWS::IAM::Role"
# AWS Config takes at most so many resources at once (API reference: BatchGetResourceConfig, StartRemediationExecution).
_RESOURCES_PER_CALL = 100
_REMEDIATION_SECONDS = 180
_REMEDIATION_RUNS = {"QUEUED", "IN_PROGRESS"}


@dataclass(frozen=True)
class LivePreferences:
    """The Session Manager preferences that an account has in a region now.

    Attributes:
        default_version: Version that the console shows.
        latest_version: Version that `start-session --document-name` uses.
        inputs: The document's inputs, under the names of AWS.
    """

    default_version: str
    latest_version: str
    inputs: Mapping[str, Any]

    @property
    def logging(self) -> str:
        """Where session logs go."""
        destinations = []
        if group := self.inputs.get("cloudWatchLogGroupName"):
            destinations.append(f"CloudWatch {group}")
        if bucket := self.inputs.get("s3BucketName"):
            destinations.append(f"S3 {bucket}")
        return ", ".join(destinations) or "none"

    @property
    def encryption(self) -> str:
        """What is encrypted: session data with a KMS key, logs because their destination must be."""
        encrypted = ["session data"] if self.inputs.get("kmsKeyId") else []
        if self.inputs.get("cloudWatchEncryptionEnabled") is True:
            encrypted.append("CloudWatch")
        if self.inputs.get("s3BucketName") and self.inputs.get("s3EncryptionEnabled") is True:
            encrypted.append("S3")
        return ", ".join(encrypted) or "none"

    @property
    def timeouts(self) -> str:
        """Idle timeout and maximum duration, in minutes."""
        maximum = self.inputs.get("maxSessionDuration")
        return f"idle {self.inputs.get('idleSessionTimeout') or 20}, max {maximum or 'none'}"


def read_preferences(session: boto3.Session, region: str, document: str) -> LivePreferences | None:
    """Read the default version of the preferences document; None when there is no document.

    Raises:
        AccessError: The document may not be read.
    """
    client = session.client("ssm", region_name=region, config=CLIENT_CONFIG)
    with translated_errors(f"read the document {document} in {region}"):
        try:
            described = client.describe_document(Name=document)["Document"]
            version = described["DefaultVersion"]
            content = client.get_document(Name=document, DocumentVersion=version, DocumentFormat="JSON")["Content"]
        except botocore.exceptions.ClientError as error:
            if error.response.get("Error", {}).get("Code") == "InvalidDocument":
                return None
            raise
    return LivePreferences(version, described["LatestVersion"], json.loads(content)["inputs"])


class VerificationError(FleetError):
    """The live preferences are not what they were made to be, or cannot be compared.

    Attributes:
        diagnostics: What differs, a sentence each.
    """

    def __init__(self, message: str, diagnostics: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.diagnostics = tuple(diagnostics)


def verify_preferences(session: boto3.Session, region: str, wanted: Mapping[str, Any]) -> None:
    """Read the preferences back and compare them with what was applied: contents, default version and sharing.

    Args:
        session: In the account.
        region: The region.
        wanted: What the function was asked to bring about: `document`, `preferences`, `adopt`, `waive`.

    Raises:
        VerificationError: They differ, or cannot be compared.
        AccessError: They cannot be read.
    """
    budget = Budget(_READ_SECONDS)
    for look in range(_LOOKS):
        changes = _compare(session, region, wanted, budget)["changes"]
        if not changes:
            return
        if look < _LOOKS - 1:
            budget.pause(look)
    message = f"The document {wanted['document']} in {region} is not what was applied: somebody else changed it."
    raise VerificationError(message, [str(_change(item)) for item in changes])


def planned_preferences(plan: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return what a plan (`terraform show -json`) wants the preferences to be; None where it does not manage them.

    A value that terraform will know only after the apply is `plans.UNKNOWN`.
    """
    change = plan.get("output_changes", {}).get(PREFERENCES_OUTPUT, {})
    wanted, unknown = change.get("after"), change.get("after_unknown")
    if not isinstance(wanted, dict) or unknown is True:
        return None
    marks = unknown.get("preferences", {}) if isinstance(unknown, dict) else {}
    later = {name: UNKNOWN for name, mark in marks.items() if mark is True}
    return {**wanted, "preferences": {**wanted["preferences"], **later}}


def writes_preferences(plan: Mapping[str, Any]) -> bool:
    """Tell whether a plan (`terraform show -json`) calls the function that writes the preferences."""
    return any(_invocations(plan, "create", "update"))


def _invocations(plan: Mapping[str, Any], *actions: str) -> Iterator[Mapping[str, Any]]:
    """Return what a plan does to the function's calls, where it is one of these actions."""
    for entry in plan.get("resource_changes", []):
        if (
            entry.get("mode") == "managed"
            and entry["type"] == _INVOCATION_TYPE
            and set(actions) & set(entry["change"]["actions"])
        ):
            yield entry


def preview_adoption(session: boto3.Session, region: str, wanted: Mapping[str, Any]) -> tuple[AttributeChange, ...]:
    """Return what an existing document would lose or change; nothing where there is no document yet.

    Args:
        session: In the account.
        region: The region.
        wanted: As `planned_preferences` returns it.

    Raises:
        VerificationError: The live document cannot be compared, so that the function would fail.
        AccessError: It cannot be read.
    """
    preferences = {name: _PLACEHOLDER if value == UNKNOWN else value for name, value in wanted["preferences"].items()}
    found = _compare(session, region, {**wanted, "preferences": preferences}, Budget(_READ_SECONDS))
    exists = found["latest_version"] is not None
    return tuple(_shown(item) for item in found["changes"]) if exists else ()


def preview_destruction(plan: Mapping[str, Any]) -> tuple[AttributeChange, ...]:
    """Return what becomes of the document when a plan (`terraform show -json`) to destroy everything is applied.

    What counts is what the function was last told, not what the settings say now.
    """
    return tuple(
        AttributeChange(told["document"], "managed", _ON_DESTROY[told["on_destroy"]])
        for entry in _invocations(plan, "delete")
        for told in [json.loads(entry["change"]["before"]["input"])]
    )


def _change(item: Mapping[str, Any]) -> Change:
    return Change(item["path"], item["from"], item["to"])


def _shown(item: Mapping[str, Any]) -> AttributeChange:
    # As text a change shows no value that may be a secret; then neither is one shown here.
    if str(_change(item)) == item["path"]:
        return AttributeChange(item["path"], SENSITIVE, SENSITIVE)
    return AttributeChange(item["path"], item["from"], UNKNOWN if item["to"] == _PLACEHOLDER else item["to"])


def _compare(session: boto3.Session, region: str, wanted: Mapping[str, Any], budget: Budget) -> dict[str, Any]:
    """Ask the function's own code what differs, with the rights of the session."""
    client = session.client("ssm", region_name=region, config=_CLIENT_CONFIG)
    try:
        request = parse_event({**wanted, "action": "diff"})
        return reconcile(request, caller(lambda _: client, budget), budget, region)
    except AwsError as error:
        raise AccessError(f"Cannot read the document {wanted['document']} in {region}: {error}") from error
    except PreferencesError as error:
        raise VerificationError(f"The document {wanted['document']} in {region} cannot be compared: {error}") from error


@dataclass(frozen=True)
class JudgedRole:
    """What AWS Config says of an IAM role.

    Attributes:
        resource_id: Id of the role (`AROA…`), as AWS Config names it.
        name: Name of the role.
        compliant: Whether it has what the rule demands.
    """

    resource_id: str
    name: str
    compliant: bool


def read_compliance(session: boto3.Session, region: str, rule: str) -> list[JudgedRole]:
    """Read which roles a Config rule has judged, by name; roles that it does not apply to are not among them.

    Raises:
        AccessError: There is no such rule, or its results may not be read.
    """
    client = session.client("config", region_name=region, config=CLIENT_CONFIG)
    with translated_errors(f"read the compliance with {rule} in {region}"):
        pages = client.get_paginator("get_compliance_details_by_config_rule").paginate(ConfigRuleName=rule)
        verdicts = {
            result["EvaluationResultIdentifier"]["EvaluationResultQualifier"]["ResourceId"]: result["ComplianceType"]
            for page in pages
            for result in page["EvaluationResults"]
        }
        names: dict[str, str] = {}
        for some in _chunks(list(verdicts)):
            keys = [{"resourceType": _ROLE_TYPE, "resourceId": resource_id} for resource_id in some]
            items = client.batch_get_resource_config(resourceKeys=keys)["baseConfigurationItems"]  # type: ignore[arg-type]
            names |= {item["resourceId"]: item["resourceName"] for item in items}
    roles = [
        JudgedRole(resource_id, names.get(resource_id, resource_id), verdict == "COMPLIANT")
        for resource_id, verdict in verdicts.items()
        if verdict in {"COMPLIANT", "NON_COMPLIANT"}
    ]
    return sorted(roles, key=lambda role: role.name)


def remediate(session: boto3.Session, region: str, rule: str, resource_ids: Sequence[str]) -> dict[str, str]:
    """Run the rule's remediation for some roles, wait for it, and return the state of each by resource id.

    Raises:
        AccessError: The remediation cannot be started or followed.
    """
    client = session.client("config", region_name=region, config=CLIENT_CONFIG)
    states: dict[str, str] = {}
    with translated_errors(f"remediate roles with {rule} in {region}"):
        for some in _chunks(resource_ids):
            keys = [{"resourceType": _ROLE_TYPE, "resourceId": resource_id} for resource_id in some]
            client.start_remediation_execution(ConfigRuleName=rule, ResourceKeys=keys)  # type: ignore[arg-type]

            def look(keys: list[dict[str, str]] = keys) -> dict[str, str]:
                pages = client.get_paginator("describe_remediation_execution_status").paginate(
                    ConfigRuleName=rule,
                    ResourceKeys=keys,  # type: ignore[arg-type]
                )
                entries = [entry for page in pages for entry in page["RemediationExecutionStatuses"]]
                return {entry["ResourceKey"]["resourceId"]: entry["State"] for entry in entries}

            wait = tenacity.Retrying(
                retry=tenacity.retry_if_result(lambda found: bool(_REMEDIATION_RUNS & set(found.values()))),
                wait=tenacity.wait_fixed(1),
                stop=tenacity.stop_after_delay(_REMEDIATION_SECONDS),
                retry_error_callback=lambda state: state.outcome.result() if state.outcome else {},
            )
            states |= wait(look)
    return states


def _chunks(resource_ids: Sequence[str]) -> list[Sequence[str]]:
    starts = range(0, len(resource_ids), _RESOURCES_PER_CALL)
    return [resource_ids[start : start + _RESOURCES_PER_CALL] for start in starts]
