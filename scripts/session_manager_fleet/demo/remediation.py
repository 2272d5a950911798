"""Read the compliance of IAM roles with a Config rule, and remediate them."""

from collections.abc import Sequence
from dataclasses import dataclass

import boto3
import tenacity

from aws_sandbox import GUARD_MISSING, find_guard_engine
from session_manager_fleet.aws import CLIENT_CONFIG, translated_errors

_ROLE_TYPE = "AWS::IAM::Role"
# Maximum of BatchGetResourceConfig and StartRemediationExecution (API reference).
_RESOURCES_PER_CALL = 100
_REMEDIATION_SECONDS = 180
_REMEDIATION_RUNS = {"QUEUED", "IN_PROGRESS"}


@dataclass(frozen=True)
class EvaluatedRole:
    """Compliance of an IAM role.

    Attributes:
        resource_id: Id of the role (`AROA…`), its resource id in AWS Config.
        name: Name of the role.
        compliant: Whether it complies with the rule.
    """

    resource_id: str
    name: str
    compliant: bool


def evaluation_unavailable() -> str:
    """Return why the emulated AWS Config cannot evaluate roles on this machine; empty if it can."""
    return "" if find_guard_engine() else GUARD_MISSING


def read_compliance(session: boto3.Session, region: str, rule: str) -> list[EvaluatedRole]:
    """Read the roles that a Config rule has evaluated, sorted by name, without those that it does not apply to.

    Raises:
        AccessError: The rule does not exist, or its results are not accessible.
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
        EvaluatedRole(resource_id, names.get(resource_id, resource_id), verdict == "COMPLIANT")
        for resource_id, verdict in verdicts.items()
        if verdict in {"COMPLIANT", "NON_COMPLIANT"}
    ]
    return sorted(roles, key=lambda role: role.name)


def remediate(session: boto3.Session, region: str, rule: str, resource_ids: Sequence[str]) -> dict[str, str]:
    """Run the rule's remediation for roles, wait for it, and return the final state by resource id.

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
