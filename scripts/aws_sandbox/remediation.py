"""Manual and automatic remediation of noncompliant resources in AWS Config.

moto has none. Here a remediation runs the Automation document of the rule's remediation configuration; an automatic
remediation is retried without a delay.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any

from aws_sandbox.automation import IN_PROGRESS, SUCCESS, Automations, Execution
from aws_sandbox.background import Background
from aws_sandbox.call import AwsError, Call, Reply
from aws_sandbox.config_rules import ConfigRules
from aws_sandbox.configuration_items import Place, Recorder
from aws_sandbox.gateway import Operations
from aws_sandbox.lock import CallLock
from aws_sandbox.pages import page

_DEFAULT_ATTEMPTS = 5
_PAGE_SIZE = 100

QUEUED = "QUEUED"
RUNNING = "IN_PROGRESS"
SUCCEEDED = "SUCCEEDED"
FAILED = "FAILED"

# AWS Config's statuses by those of automations.
_STATES = {IN_PROGRESS: RUNNING, SUCCESS: SUCCEEDED}


@dataclass
class Attempt:
    """The newest remediation of a resource."""

    invoked: datetime = field(default_factory=lambda: datetime.now(UTC))
    updated: datetime = field(default_factory=lambda: datetime.now(UTC))
    execution: Execution | None = None
    refusal: str = ""
    under_way: bool = True

    @property
    def state(self) -> str:
        """The state in DescribeRemediationExecutionStatus."""
        if self.refusal:
            return FAILED
        return _STATES.get(self.execution.status, FAILED) if self.execution else QUEUED

    def steps(self) -> list[dict[str, Any]]:
        """Return the steps as in DescribeRemediationExecutionStatus."""
        if self.refusal:
            return [{"Name": "StartAutomationExecution", "State": FAILED, "ErrorMessage": self.refusal}]
        return [
            {
                "Name": each.step.name,
                "State": {IN_PROGRESS: "PENDING", SUCCESS: SUCCEEDED}.get(each.status, FAILED),
                "StartTime": each.started,
                **({"StopTime": each.ended} if each.ended else {}),
                **({"ErrorMessage": each.failure} if each.failure else {}),
            }
            for each in (self.execution.steps if self.execution else [])
        ]


@dataclass(frozen=True)
class ExceptionEntry:
    """A remediation exception: why a resource is not remediated automatically, and until when; None = no expiry."""

    message: str
    expires: datetime | None = None

    def described(self) -> dict[str, Any]:
        """Return the exception as in DescribeRemediationExceptions."""
        return {"Message": self.message, **({"ExpirationTime": self.expires} if self.expires else {})}


class Remediation:
    """Runs the remediations of all accounts and regions.

    Args:
        rules: Holds the remediation configurations.
        automations: Runs the documents.
        background: Runs remediations.
        lock: Held while an automation is started.
        recorder: Holds the resources.
    """

    def __init__(
        self,
        rules: ConfigRules,
        automations: Automations,
        background: Background,
        lock: CallLock,
        recorder: Recorder,
    ) -> None:
        self._rules = rules
        self._automations = automations
        self._background = background
        self._lock = lock
        self._recorder = recorder
        # account and region → rule name → resource id → newest attempt
        self._attempts: dict[Place, dict[str, dict[str, Attempt]]] = {}
        # exceptions from automatic remediation: (account and region, rule name, resource id) → exception
        self._exceptions: dict[tuple[Place, str, str], ExceptionEntry] = {}

    def operations(self) -> Operations:
        """Return the API operations that this class answers, by (service, operation)."""
        return {
            ("config", "StartRemediationExecution"): self.start_remediation_execution,
            ("config", "DescribeRemediationExecutionStatus"): self.describe_remediation_execution_status,
            ("config", "DescribeRemediationExceptions"): self.describe_remediation_exceptions,
            ("config", "PutRemediationExceptions"): self.put_remediation_exceptions,
            ("config", "DeleteRemediationExceptions"): self.delete_remediation_exceptions,
        }

    def observe(self, call: Call, _reply: Reply) -> None:
        """Forget the remediations of a rule whose remediation configuration is deleted."""
        if (call.service, call.operation) == ("config", "DeleteRemediationConfiguration"):
            place, name = (call.account_id, call.region), call.parameters["ConfigRuleName"]
            self._attempts.get(place, {}).pop(name, None)
            for key in [key for key in self._exceptions if key[:2] == (place, name)]:
                del self._exceptions[key]

    def flagged(self, place: Place, rule_name: str, resource_id: str) -> None:
        """Remediate a noncompliant resource if the rule does so automatically and the resource has no exception."""
        configuration = self._rules.remediation(*place, rule_name)
        attempt = self._of(place, rule_name).get(resource_id)
        if (
            configuration
            and configuration.get("Automatic")
            and not (attempt and attempt.under_way)
            and (place, rule_name, resource_id) not in self._valid_exceptions()
        ):
            self._start(place, configuration, resource_id, automatic=True)

    def start_remediation_execution(self, call: Call) -> dict[str, Any]:
        """Answer StartRemediationExecution."""
        place, configuration = self._asked(call)
        keys = call.parameters["ResourceKeys"]
        failed = [key for key in keys if not self._recorder.find(place, key["resourceId"])]
        for key in keys:
            if key not in failed:
                self._start(place, configuration, key["resourceId"], automatic=False)
        if not failed:
            return {}
        return {"FailureMessage": "AWS Config has no configuration item of these resources.", "FailedItems": failed}

    def describe_remediation_execution_status(self, call: Call) -> dict[str, Any]:
        """Answer DescribeRemediationExecutionStatus."""
        place, configuration = self._asked(call)
        selected = [key["resourceId"] for key in call.parameters.get("ResourceKeys") or []]
        entries = [
            {
                "ResourceKey": {"resourceType": configuration.get("ResourceType", ""), "resourceId": resource_id},
                "State": attempt.state,
                "StepDetails": attempt.steps(),
                "InvocationTime": attempt.invoked,
                "LastUpdatedTime": attempt.updated,
            }
            for resource_id, attempt in self._of(place, configuration["ConfigRuleName"]).items()
            if not selected or resource_id in selected
        ]
        size = int(call.parameters.get("Limit") or _PAGE_SIZE)
        return page("RemediationExecutionStatuses", entries, call.parameters.get("NextToken"), size)

    def describe_remediation_exceptions(self, call: Call) -> dict[str, Any]:
        """Answer DescribeRemediationExceptions, which also list resources whose automatic remediation has failed."""
        place = (call.account_id, call.region)
        name = call.parameters["ConfigRuleName"]
        selected = [key["ResourceId"] for key in call.parameters.get("ResourceKeys") or []]
        configuration = self._rules.remediation(*place, name) or {}
        entries = [
            {
                "ConfigRuleName": name,
                "ResourceType": configuration.get("ResourceType", ""),
                "ResourceId": resource_id,
                **exception.described(),
            }
            for (where, rule_name, resource_id), exception in self._valid_exceptions().items()
            if (where, rule_name) == (place, name) and (not selected or resource_id in selected)
        ]
        size = int(call.parameters.get("Limit") or _PAGE_SIZE)
        return page("RemediationExceptions", entries, call.parameters.get("NextToken"), size)

    def put_remediation_exceptions(self, call: Call) -> dict[str, Any]:
        """Answer PutRemediationExceptions."""
        place, configuration = self._asked(call)
        expires = call.parameters.get("ExpirationTime")
        # moto parses a time as UTC without a time zone.
        exception = ExceptionEntry(call.parameters.get("Message", ""), expires.replace(tzinfo=UTC) if expires else None)
        for key in call.parameters["ResourceKeys"]:
            self._exceptions[place, configuration["ConfigRuleName"], key["ResourceId"]] = exception
        return {"FailedBatches": []}

    def delete_remediation_exceptions(self, call: Call) -> dict[str, Any]:
        """Answer DeleteRemediationExceptions."""
        for key in call.parameters["ResourceKeys"]:
            place = (call.account_id, call.region)
            self._exceptions.pop((place, call.parameters["ConfigRuleName"], key["ResourceId"]), None)
        return {"FailedBatches": []}

    def _valid_exceptions(self) -> dict[tuple[Place, str, str], ExceptionEntry]:
        """Return the exceptions that have not expired."""
        now = datetime.now(UTC)
        return {
            key: exception
            for key, exception in self._exceptions.items()
            if exception.expires is None or exception.expires > now
        }

    def _start(self, place: Place, configuration: Mapping[str, Any], resource_id: str, *, automatic: bool) -> None:
        self._of(place, configuration["ConfigRuleName"])[resource_id] = attempt = Attempt()
        self._background.start(
            partial(self._remediate, place, configuration, resource_id, attempt, automatic=automatic)
        )

    def _remediate(
        self, place: Place, configuration: Mapping[str, Any], resource_id: str, attempt: Attempt, *, automatic: bool
    ) -> None:
        """Run the document; retry an automatic remediation as configured, then add an exception."""
        attempts = int(configuration.get("MaximumAutomaticAttempts", _DEFAULT_ATTEMPTS)) if automatic else 1
        for _ in range(attempts):
            self._run(place, configuration, resource_id, attempt)
            if attempt.state == SUCCEEDED:
                break
        else:
            if automatic:
                exception = ExceptionEntry(f"Automatic remediation failed {attempts} times.")
                self._exceptions[place, configuration["ConfigRuleName"], resource_id] = exception
        attempt.under_way = False

    def _run(self, place: Place, configuration: Mapping[str, Any], resource_id: str, attempt: Attempt) -> None:
        """Run the document once; return whether it succeeded."""
        attempt.execution, attempt.refusal = None, ""
        try:
            with self._lock:
                attempt.execution = self._automations.prepare(
                    *place,
                    configuration["TargetId"],
                    configuration.get("TargetVersion"),
                    _parameters(configuration, resource_id),
                    f"arn:aws:sts::{place[0]}:assumed-role/AWSServiceRoleForConfigRemediation/AwsConfigRemediation",
                )
            self._automations.run(attempt.execution)
        except AwsError as error:
            attempt.refusal = f"{error.code}: {error.message}"
        attempt.updated = datetime.now(UTC)

    def _asked(self, call: Call) -> tuple[Place, Mapping[str, Any]]:
        """Return account and region and the remediation configuration of a call.

        Raises:
            AwsError: NoSuchRemediationConfigurationException.
        """
        name = call.parameters["ConfigRuleName"]
        configuration = self._rules.remediation(call.account_id, call.region, name)
        if configuration is None:
            raise AwsError(
                "NoSuchRemediationConfigurationException", f"No remediation configuration exists for rule {name}."
            )
        return (call.account_id, call.region), configuration

    def _of(self, place: Place, rule_name: str) -> dict[str, Attempt]:
        return self._attempts.setdefault(place, {}).setdefault(rule_name, {})


def _parameters(configuration: Mapping[str, Any], resource_id: str) -> dict[str, list[str]]:
    """Return the document's parameters for a resource."""
    return {
        name: value["StaticValue"]["Values"] if "StaticValue" in value else [resource_id]
        for name, value in (configuration.get("Parameters") or {}).items()
    }
