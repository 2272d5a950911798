from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any

import boto3
import pytest
from botocore.exceptions import ClientError

from aws_sandbox import Sandbox
from aws_sandbox.automation_document import Step, StepError, resolve_parameters, resolved
from aws_sandbox.call import AwsError

if TYPE_CHECKING:
    from mypy_boto3_ssm.type_defs import AutomationExecutionTypeDef

REGION = "eu-west-1"
NAME = "Emulated"
VALUES = {"Name": "n", "Count": 2, "Names": ["a", "b"], "First.Payload": {"x": 1}, "global:REGION": REGION}


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("{{ Name }}", "n"),
        ("{{Name}}/{{ Count }} in {{global:REGION}}", "n/2 in eu-west-1"),
        ("{{ Count }}", 2),
        ("{{ Names }}", ["a", "b"]),
        ("all: {{ Names }}", 'all: ["a", "b"]'),
        ({"a": ["{{ First.Payload }}"], "b": 1, "c": None}, {"a": [{"x": 1}], "b": 1, "c": None}),
        ("{ {Name} }", "{ {Name} }"),
    ],
)
def test_references(value: object, expected: object) -> None:
    assert resolved(value, VALUES) == expected


def test_a_reference_that_leads_nowhere() -> None:
    with pytest.raises(StepError, match=r"\{\{ Missing \}\} is neither a parameter nor"):
        resolved({"a": "x {{ Missing }}"}, VALUES)


DECLARED = {
    "parameters": {
        "Text": {"type": "String", "allowedPattern": "^[a-z]+$"},
        "Choice": {"type": "String", "default": "one", "allowedValues": ["one", "two"]},
        "List": {"type": "StringList", "default": []},
        "Flag": {"type": "Boolean", "default": False},
        "Number": {"type": "Integer", "default": 1},
        "Map": {"type": "StringMap", "default": {}},
        "Maps": {"type": "MapList", "default": []},
    }
}


def test_parameters() -> None:
    given = {
        "Text": ["abc"],
        "List": ["a", "b"],
        "Flag": ["True"],
        "Number": ["7"],
        "Map": ['{"a": 1}'],
        "Maps": ["{}"],
    }
    assert resolve_parameters(DECLARED, given) == {
        "Text": "abc",
        "Choice": "one",
        "List": ["a", "b"],
        "Flag": True,
        "Number": 7,
        "Map": {"a": 1},
        "Maps": [{}],
    }


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({}, "Text has no value and no default"),
        ({"Text": ["ABC"]}, "Text: 'ABC' does not match the allowedPattern"),
        ({"Text": ["abc!"]}, "does not match"),
        ({"Text": ["abc"], "Choice": ["three"]}, "Choice: 'three' is not one of"),
        ({"Text": ["abc"], "Number": ["many"]}, "Number is not of type Integer"),
        ({"Text": []}, "Text is not of type String"),
        ({"Text": ["abc"], "Other": ["x"]}, r"\['Other'\] are not declared"),
    ],
)
def test_parameters_that_are_refused(given: dict[str, list[str]], message: str) -> None:
    with pytest.raises(AwsError, match=message) as refused:
        resolve_parameters(DECLARED, given)
    assert refused.value.code == "InvalidAutomationExecutionParametersException"


def test_outputs_must_be_what_the_document_promises() -> None:
    outputs = [{"Name": "Out", "Selector": "$.Payload.out", "Type": "String"}]
    step = Step.of({"name": "S", "action": "aws:executeScript", "outputs": outputs})
    assert step.select_outputs({"Payload": {"out": "x"}}) == {"S.Out": "x"}
    with pytest.raises(StepError, match="matches nothing"):
        step.select_outputs({"Payload": {}})
    with pytest.raises(StepError, match="not of type String"):
        step.select_outputs({"Payload": {"out": 1}})


def step(script: str, **changes: object) -> dict[str, object]:
    return {
        "name": "Run",
        "action": "aws:executeScript",
        "timeoutSeconds": 20,
        "inputs": {"Runtime": "python3.11", "Handler": "handle", "Script": script, "InputPayload": {"In": "{{ In }}"}},
        "outputs": [{"Name": "Out", "Selector": "$.Payload.out", "Type": "String"}],
        **changes,
    }


def document(*steps: dict[str, object], **changes: object) -> dict[str, object]:
    return {
        "schemaVersion": "0.3",
        "assumeRole": "{{ AutomationAssumeRole }}",
        "outputs": ["Run.Out"],
        "parameters": {"AutomationAssumeRole": {"type": "String"}, "In": {"type": "String", "default": "default"}},
        "mainSteps": list(steps),
        **changes,
    }


ECHO = """
import boto3, os

def handle(events, context):
    text = "{{ not a reference }}"
    caller = boto3.client("sts").get_caller_identity()["Arn"]
    return {"out": events["In"], "caller": caller, "region": os.environ["AWS_REGION"], "text": text}
"""

TRUST = {
    "Effect": "Allow",
    "Principal": {"Service": "ssm.amazonaws.com"},
    "Action": "sts:AssumeRole",
}


class Runner:
    """Runs documents with a role that trusts the automations of its account."""

    def __init__(self, sandbox: Sandbox, session: boto3.Session) -> None:
        self.sandbox = sandbox
        self.ssm = session.client("ssm")
        self.iam = session.client("iam")
        self.account = session.client("sts").get_caller_identity()["Account"]
        self.role_arn = self.iam.create_role(RoleName="automation", AssumeRolePolicyDocument=self.trust())["Role"][
            "Arn"
        ]

    def trust(self, **conditions: str) -> str:
        context = {
            "StringEquals": {"aws:SourceAccount": conditions.get("account", self.account)},
            "ArnLike": {"aws:SourceArn": f"arn:aws:ssm:*:{self.account}:automation-execution/*"},
        }
        return json.dumps({"Version": "2012-10-17", "Statement": [{**TRUST, "Condition": context}]})

    def start(self, content: dict[str, object], **parameters: str) -> str:
        self.ssm.create_document(Name=NAME, DocumentType="Automation", Content=json.dumps(content))
        return self.ssm.start_automation_execution(
            DocumentName=NAME,
            Parameters={"AutomationAssumeRole": [self.role_arn], **{key: [value] for key, value in parameters.items()}},
        )["AutomationExecutionId"]

    def run(self, content: dict[str, object], **parameters: str) -> AutomationExecutionTypeDef:
        execution_id = self.start(content, **parameters)
        self.sandbox.wait_until_idle()
        return self.ssm.get_automation_execution(AutomationExecutionId=execution_id)["AutomationExecution"]


@pytest.fixture
def runner(sandbox: Sandbox, member: boto3.Session) -> Iterator[Runner]:
    made = Runner(sandbox, member)
    yield made
    sandbox.wait_until_idle()
    made.iam.delete_role(RoleName="automation")
    if made.ssm.list_documents(Filters=[{"Key": "Name", "Values": [NAME]}])["DocumentIdentifiers"]:
        made.ssm.delete_document(Name=NAME)


def test_a_script_runs_as_the_assume_role(runner: Runner) -> None:
    outputs = [
        {"Name": name, "Selector": f"$.Payload.{key}", "Type": "String"}
        for name, key in (("Out", "out"), ("Caller", "caller"), ("Region", "region"), ("Text", "text"))
    ]
    execution = runner.run(document(step(ECHO, outputs=outputs, isEnd=True)), In="given")
    execution_id = execution["AutomationExecutionId"]
    assert execution["AutomationExecutionStatus"] == "Success"
    assert (execution["DocumentName"], execution["DocumentVersion"]) == (NAME, "1")
    assert execution["Outputs"] == {"Run.Out": ["given"]}
    assert execution["ExecutionEndTime"] >= execution["ExecutionStartTime"]
    assert execution["ExecutedBy"].endswith(":assumed-role/AWSControlTowerExecution/sandbox")
    (run,) = execution["StepExecutions"]
    assert (run["StepName"], run["Action"], run["StepStatus"]) == ("Run", "aws:executeScript", "Success")
    assert run["Inputs"]["InputPayload"] == '{"In": "given"}'
    assert run["Outputs"] == {
        "Out": ["given"],
        "Caller": [f"arn:aws:sts::{runner.account}:assumed-role/automation/Automation-{execution_id}"],
        "Region": [REGION],
        "Text": ["{{ not a reference }}"],
    }


def test_steps_follow_each_other(runner: Runner) -> None:
    script = "def handle(events, context):\n    return {'out': events['In'] + '!'}\n"
    second = step(script, name="Second")
    second["inputs"] = {**second["inputs"], "InputPayload": {"In": "{{ Run.Out }}"}}  # type: ignore[dict-item]
    third = step(script, name="Third", isEnd=True)
    execution = runner.run(document(step(script), second, third, step(script, name="Never"), outputs=["Second.Out"]))
    assert [each["StepName"] for each in execution["StepExecutions"]] == ["Run", "Second", "Third"]
    assert execution["Outputs"] == {"Second.Out": ["default!!"]}


@pytest.mark.parametrize(
    ("script", "status", "message"),
    [
        ("def handle(events, context):\n    raise KeyError('no role')\n", "Failed", "KeyError - 'no role'"),
        ("def other(events, context):\n    pass\n", "Failed", "Handler 'handle' missing"),
        ("def handle(events, context):\n    return {}\n", "Failed", "matches nothing"),
        ("import time\n\ndef handle(events, context):\n    time.sleep(60)\n", "TimedOut", "Task timed out after 1.00"),
    ],
)
def test_failures(runner: Runner, script: str, status: str, message: str) -> None:
    second = step("def handle(events, context):\n    return {'out': ''}\n", name="Never")
    execution = runner.run(document(step(script, timeoutSeconds=1 if "sleep" in script else 20), second))
    assert execution["AutomationExecutionStatus"] == status
    assert message in execution["FailureMessage"]
    (run,) = execution["StepExecutions"]
    assert (run["StepStatus"], run["FailureMessage"]) == (status, execution["FailureMessage"])
    assert execution["Outputs"] == {}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"action": "aws:executeAwsApi"}, "runs aws:executeScript only, not aws:executeAwsApi"),
        ({"onFailure": "Continue"}, "runs steps in order, once"),
        ({"inputs": {"Runtime": "PowerShell 7.0", "Handler": "x", "Script": ""}}, "Python scripts only"),
        ({"inputs": {"Runtime": "python3.11", "Handler": "x", "Script": "", "InputPayload": "{{ X }}"}}, "{{ X }}"),
    ],
)
def test_what_cannot_be_run_fails(runner: Runner, changes: dict[str, object], message: str) -> None:
    execution = runner.run(document(step(ECHO, **changes)))
    assert execution["AutomationExecutionStatus"] == "Failed"
    assert message in execution["FailureMessage"]


def test_what_is_refused_before_it_starts(runner: Runner) -> None:
    def start(**changes: object) -> Callable[[], object]:
        request: dict[str, Any] = {
            "DocumentName": NAME,
            "Parameters": {"AutomationAssumeRole": [runner.role_arn]},
            **changes,
        }
        return lambda: runner.ssm.start_automation_execution(**request)

    runner.start(document(step(ECHO)))
    for call, code in (
        (start(DocumentName="Missing"), "AutomationDefinitionNotFoundException"),
        (start(DocumentVersion="9"), "AutomationDefinitionVersionNotFoundException"),
        (start(Parameters={}), "ValidationException"),
        (start(Parameters={"Unknown": ["x"]}), "InvalidAutomationExecutionParametersException"),
        (
            start(Parameters={"AutomationAssumeRole": ["arn:aws:iam::111122223333:role/x"]}),
            "InvalidAutomationExecutionParametersException",
        ),
        (start(MaxErrors="1"), "NotImplemented"),
        (
            lambda: runner.ssm.get_automation_execution(AutomationExecutionId="0" * 36),
            "AutomationExecutionNotFoundException",
        ),
    ):
        with pytest.raises(ClientError) as refused:
            call()
        assert refused.value.response["Error"]["Code"] == code
    runner.iam.update_assume_role_policy(RoleName="automation", PolicyDocument=runner.trust(account="111122223333"))
    with pytest.raises(ClientError, match="assume role is unable to be assumed"):
        start()()


def test_executions_are_listed_newest_first(runner: Runner) -> None:
    first = runner.start(document(step(ECHO)))
    second = runner.ssm.start_automation_execution(
        DocumentName=NAME, DocumentVersion="$DEFAULT", Parameters={"AutomationAssumeRole": [runner.role_arn]}
    )["AutomationExecutionId"]
    runner.sandbox.wait_until_idle()

    def listed(key: str, *values: str) -> list[str]:
        found = runner.ssm.describe_automation_executions(
            Filters=[{"Key": key, "Values": list(values)}]  # type: ignore[typeddict-item]
        )["AutomationExecutionMetadataList"]
        return [each["AutomationExecutionId"] for each in found if each["AutomationExecutionId"] in {first, second}]

    assert listed("DocumentNamePrefix", NAME[:4]) == [second, first]
    assert listed("ExecutionId", first) == [first]
    assert listed("ExecutionStatus", "Failed", "TimedOut") == []
    with pytest.raises(ClientError, match="InvalidFilterKey"):
        listed("TagKey", "x")
