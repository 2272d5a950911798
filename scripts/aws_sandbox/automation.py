"""Systems Manager Automation.

moto stores Automation documents and cannot run them. Here an automation runs the document's Python steps in a child
process, like a function, with temporary credentials of the document's assume role.
"""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from moto.ssm.models import Document, ssm_backends

from aws_sandbox.automation_document import SCRIPT, Step, StepError, resolve_parameters, resolved, text
from aws_sandbox.background import Background
from aws_sandbox.call import AwsError, Call
from aws_sandbox.function_process import Context, FunctionProcesses, Invocation, process_environment
from aws_sandbox.gateway import Operations
from aws_sandbox.identity import Credentials, Identity
from aws_sandbox.pages import page

IN_PROGRESS = "InProgress"
SUCCESS = "Success"
FAILED = "Failed"
TIMED_OUT = "TimedOut"

_MODULE = "automation_script"
_PAGE_SIZE = 50
_FILTERS = {"ExecutionId": "id", "ExecutionStatus": "status", "DocumentNamePrefix": "document_name"}


@dataclass
class StepExecution:
    """A step that is running or has finished."""

    step: Step
    started: datetime
    inputs: Mapping[str, Any] = field(default_factory=dict)
    outputs: Mapping[str, Any] = field(default_factory=dict)
    status: str = IN_PROGRESS
    ended: datetime | None = None
    failure: str = ""

    def described(self) -> dict[str, Any]:
        """Return the step as in GetAutomationExecution."""
        return {
            "StepName": self.step.name,
            "Action": self.step.action,
            "TimeoutSeconds": self.step.timeout,
            "OnFailure": "Abort",
            "MaxAttempts": 1,
            "ExecutionStartTime": self.started,
            "StepStatus": self.status,
            "ResponseCode": {SUCCESS: "0", IN_PROGRESS: ""}.get(self.status, "1"),
            "Inputs": {name: text(value) for name, value in self.inputs.items()},
            "Outputs": {name.partition(".")[2]: _texts(value) for name, value in self.outputs.items()},
            "IsEnd": self.step.is_end,
            "IsCritical": True,
            **({"ExecutionEndTime": self.ended} if self.ended else {}),
            **({"FailureMessage": self.failure} if self.failure else {}),
        }


@dataclass
class Execution:
    """An automation that is running or has finished.

    Attributes:
        account_id: The account.
        region: The region.
        id: Automation execution id.
        document: The document version that it runs.
        values: Values that references resolve to: parameters, globals and outputs of earlier steps.
        given: The parameters as passed by the caller.
        executed_by: ARN of the principal that started it.
        credentials: Credentials of the assume role.
    """

    account_id: str
    region: str
    id: str
    document: Document
    values: dict[str, Any]
    given: Mapping[str, list[str]]
    executed_by: str
    credentials: Credentials
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    ended: datetime | None = None
    status: str = IN_PROGRESS
    failure: str = ""
    steps: list[StepExecution] = field(default_factory=list)
    outputs: dict[str, Any] = field(default_factory=dict)

    @property
    def document_name(self) -> str:
        """Name of the document."""
        return self.document.name

    def described(self) -> dict[str, Any]:
        """Return the members that GetAutomationExecution and DescribeAutomationExecutions share."""
        running = self.steps[-1].step if self.steps and self.status == IN_PROGRESS else None
        return {
            "AutomationExecutionId": self.id,
            "DocumentName": self.document_name,
            "DocumentVersion": self.document.document_version,
            "AutomationExecutionStatus": self.status,
            "ExecutionStartTime": self.started,
            "ExecutedBy": self.executed_by,
            "Mode": "Auto",
            "Outputs": {name: _texts(value) for name, value in self.outputs.items()},
            **({"ExecutionEndTime": self.ended} if self.ended else {}),
            **({"FailureMessage": self.failure} if self.failure else {}),
            **({"CurrentStepName": running.name, "CurrentAction": running.action} if running else {}),
        }


class Automations:
    """The automations of all accounts and regions.

    Args:
        identity: Issues the credentials of assume roles.
        processes: Runs scripts.
        background: Runs automations.
        endpoint_url: Address of this emulator.
        folder: Folder for scripts.
    """

    def __init__(
        self,
        identity: Identity,
        processes: FunctionProcesses,
        background: Background,
        endpoint_url: str,
        folder: Path,
    ) -> None:
        self._identity = identity
        self._processes = processes
        self._background = background
        self._endpoint_url = endpoint_url
        self._folder = folder
        self._executions: dict[str, Execution] = {}

    def operations(self) -> Operations:
        """Return the API operations that this class answers, by (service, operation)."""
        return {
            ("ssm", "StartAutomationExecution"): self.start_automation_execution,
            ("ssm", "GetAutomationExecution"): self.get_automation_execution,
            ("ssm", "DescribeAutomationExecutions"): self.describe_automation_executions,
        }

    def start_automation_execution(self, call: Call) -> dict[str, Any]:
        """Answer StartAutomationExecution."""
        asked = call.parameters
        if unknown := asked.keys() - {"DocumentName", "DocumentVersion", "Parameters", "ClientToken", "Mode", "Tags"}:
            raise AwsError("NotImplemented", f"The sandbox does not run automations with {sorted(unknown)}.")
        execution = self.prepare(
            call.account_id,
            call.region,
            asked["DocumentName"],
            asked.get("DocumentVersion"),
            asked.get("Parameters") or {},
            self._identity.caller(call).arn,
        )
        self._background.start(partial(self.run, execution))
        return {"AutomationExecutionId": execution.id}

    def get_automation_execution(self, call: Call) -> dict[str, Any]:
        """Answer GetAutomationExecution."""
        given_id = call.parameters["AutomationExecutionId"]
        execution = next((each for each in self._of(call) if each.id == given_id), None)
        if execution is None:
            raise AwsError("AutomationExecutionNotFoundException", f"Automation execution {given_id} does not exist.")
        described = {
            **execution.described(),
            "Parameters": dict(execution.given),
            "StepExecutions": [step.described() for step in execution.steps],
            "StepExecutionsTruncated": False,
        }
        return {"AutomationExecution": described}

    def describe_automation_executions(self, call: Call) -> dict[str, Any]:
        """Answer DescribeAutomationExecutions, newest first."""
        found = list(reversed(self._of(call)))
        for condition in call.parameters.get("Filters") or []:
            key, values = condition["Key"], condition["Values"]
            if key not in _FILTERS:
                raise AwsError("InvalidFilterKey", f"The sandbox cannot filter automations by {key}.")
            matches = str.startswith if key.endswith("Prefix") else str.__eq__
            found = [each for each in found if any(matches(getattr(each, _FILTERS[key]), value) for value in values)]
        entries = [{**each.described(), "AutomationType": "Local"} for each in found]
        size = int(call.parameters.get("MaxResults") or _PAGE_SIZE)
        return page("AutomationExecutionMetadataList", entries, call.parameters.get("NextToken"), size)

    def prepare(
        self,
        account_id: str,
        region: str,
        name: str,
        version: str | None,
        given: Mapping[str, list[str]],
        executed_by: str,
    ) -> Execution:
        """Validate a request and return an automation that is ready to run.

        Args:
            account_id: Account of the document.
            region: Region of the document.
            name: Name of the document.
            version: Document version; None = the default version.
            given: Parameters passed by the caller.
            executed_by: ARN of the principal that starts it.

        Raises:
            AwsError: The error of StartAutomationExecution: the document does not exist, a parameter is invalid, or the
                assume role cannot be assumed.
        """
        document = _document(account_id, region, name, version)
        execution_id = str(uuid.uuid4())
        values = resolve_parameters(document.content_json, given)
        values |= {
            "global:ACCOUNT_ID": account_id,
            "global:REGION": region,
            "global:AWS_PARTITION": "aws",
            "automation:EXECUTION_ID": execution_id,
        }
        try:
            role_arn = resolved(document.content_json.get("assumeRole", ""), values)
        except StepError as error:
            raise AwsError("InvalidAutomationExecutionParametersException", str(error)) from error
        source_arn = f"arn:aws:ssm:{region}:{account_id}:automation-execution/{execution_id}"
        credentials = self._identity.service_credentials(
            role_arn, "ssm.amazonaws.com", source_arn, f"Automation-{execution_id}"
        )
        if credentials is None:
            raise AwsError(
                "InvalidAutomationExecutionParametersException",
                f"The defined assume role is unable to be assumed: {role_arn or 'the document names none'}.",
            )
        execution = Execution(account_id, region, execution_id, document, values, given, executed_by, credentials)
        self._executions[execution_id] = execution
        return execution

    def run(self, execution: Execution) -> None:
        """Run an automation until it ends; the caller must not hold the call lock."""
        status, failure = FAILED, ""
        try:
            for step in [Step.of(step) for step in execution.document.content_json["mainSteps"]]:
                status, failure = self._run_step(execution, step)
                if status != SUCCESS or step.is_end:
                    break
        except (KeyError, NotImplementedError) as error:
            failure = f"The document cannot be run: {error}"
        execution.outputs = {
            name: execution.values[name]
            for name in execution.document.content_json.get("outputs", [])
            if name in execution.values
        }
        # Set the status last: a reader that sees it finds the rest complete.
        execution.ended, execution.failure = datetime.now(UTC), failure
        execution.status = status

    def _run_step(self, execution: Execution, step: Step) -> tuple[str, str]:
        """Run a step; return its status and, if it failed, the reason."""
        current = StepExecution(step, datetime.now(UTC))
        execution.steps.append(current)
        status, failure = SUCCESS, ""
        try:
            # The script is code: its braces are no references.
            current.inputs = {
                name: value if name == "Script" else resolved(value, execution.values)
                for name, value in step.inputs.items()
            }
            payload = self._run_script(execution, current)
            current.outputs = step.select_outputs({"Payload": payload})
            execution.values |= current.outputs
        except TimeoutError as error:
            status, failure = TIMED_OUT, str(error)
        except StepError as error:
            status, failure = FAILED, str(error)
        current.ended, current.failure = datetime.now(UTC), failure
        current.status = status
        return status, failure

    def _run_script(self, execution: Execution, current: StepExecution) -> Any:  # noqa: ANN401 - the script's result
        """Run the script of a step and return its handler's result.

        Raises:
            StepError: The handler raised; the message holds its error and traceback.
            TimeoutError: The step exceeded its timeout.
        """
        inputs, action = current.inputs, current.step.action
        if action != SCRIPT:
            raise StepError(f"The sandbox runs {SCRIPT} only, not {action}.")
        if not str(inputs.get("Runtime", "")).startswith("python"):
            raise StepError(f"The sandbox runs Python scripts only, not {inputs.get('Runtime')}.")
        outcome = self._processes.run(
            Invocation(
                package=self._package(str(inputs["Script"])),
                handler=f"{_MODULE}.{inputs['Handler']}",
                timeout=current.step.timeout,
                environment=process_environment(self._endpoint_url, execution.region, execution.credentials),
                context=Context(
                    function_name=current.step.name,
                    function_version=execution.document.document_version,
                    invoked_function_arn="",
                    memory_limit_in_mb="",
                    aws_request_id=execution.id,
                    log_group_name="",
                    log_stream_name="",
                ),
                event=inputs.get("InputPayload", {}),
            )
        )
        answer = json.loads(outcome.payload)
        if not outcome.failed:
            return answer
        trace = "".join(answer.get("stackTrace", []))
        message = f"{trace}{answer['errorType']} - {answer['errorMessage']}"
        if answer["errorType"] == "Sandbox.Timedout":
            raise TimeoutError(message)
        raise StepError(
            f"Step fails when it is Poll action status for execution id: {execution.id}. "
            f"Failure message from executing script: {message}"
        )

    def _package(self, script: str) -> Path:
        package = self._folder / f"automation-{hashlib.sha256(script.encode()).hexdigest()}"
        package.mkdir(mode=0o700, exist_ok=True)
        # Write atomically: several automations may start at the same time.
        partial_file = package / uuid.uuid4().hex
        partial_file.write_text(script, encoding="utf-8")
        partial_file.replace(package / f"{_MODULE}.py")
        return package

    def _of(self, call: Call) -> list[Execution]:
        place = (call.account_id, call.region)
        return [each for each in self._executions.values() if (each.account_id, each.region) == place]


def _document(account_id: str, region: str, name: str, version: str | None) -> Document:
    """Return a version of an Automation document.

    Raises:
        AwsError: AutomationDefinitionNotFoundException or AutomationDefinitionVersionNotFoundException.
    """
    documents = ssm_backends[account_id][region]._documents.get(name)  # noqa: SLF001 - moto raises another error
    if documents is None or documents.get_default_version().document_type != "Automation":
        raise AwsError("AutomationDefinitionNotFoundException", f"There is no Automation document named {name}.")
    document = documents.find(version, strict=False)
    if document is None:
        raise AwsError("AutomationDefinitionVersionNotFoundException", f"{name} has no version {version}.")
    return document


def _texts(value: object) -> list[str]:
    """Return an output as in the API: a list of strings."""
    return [text(each) for each in value] if isinstance(value, list) else [text(value)]
