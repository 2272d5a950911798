"""The Automation document that Terraform makes, run by AWS's simulator over answers of AWS."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import pytest

if TYPE_CHECKING:
    from tests.judges.conftest import Judge, Products

ACCOUNT = "614208975316"
ROLE_ID = "AROAWEBEXAMPLE0000001"
POLICY_ARN = f"arn:aws:iam::{ACCOUNT}:policy/SessionManagerLogPolicy"


def call(service: str, operation: str, parameters: dict[str, Any], **result: Any) -> dict[str, Any]:  # noqa: ANN401
    """A call of the script with AWS's `answer` or `error`."""
    return {"service": service, "operation": operation, "parameters": parameters, **result}


def find_role(name: str = "web", status: str = "OK", **result: object) -> dict[str, Any]:
    """The question to AWS Config which role it is."""
    item = {"configurationItemStatus": status, "resourceId": ROLE_ID, "resourceName": name}
    parameters = {"resourceType": "AWS::IAM::Role", "resourceId": ROLE_ID, "limit": 1}
    return call(
        "config", "GetResourceConfigHistory", parameters, **(result or {"answer": {"configurationItems": [item]}})
    )


def trust(service: str = "ec2.amazonaws.com", effect: str = "Allow", action: object = "sts:AssumeRole") -> str:
    """A trust policy as IAM delivers it."""
    statement = {"Effect": effect, "Principal": {"Service": service}, "Action": action}
    return quote(json.dumps({"Version": "2012-10-17", "Statement": [statement]}))


def get_role(
    name: str = "web", path: str = "/", role_id: str = ROLE_ID, trust_policy: str = trust(), **result: object
) -> dict[str, Any]:
    """The question to IAM what the role is now."""
    role = {
        "Path": path,
        "RoleName": name,
        "RoleId": role_id,
        "Arn": f"arn:aws:iam::{ACCOUNT}:role{path}{name}",
        "CreateDate": "2026-01-01T00:00:00Z",
        "AssumeRolePolicyDocument": trust_policy,
    }
    return call("iam", "GetRole", {"RoleName": name}, **(result or {"answer": {"Role": role}}))


def list_policies(*arns: str) -> dict[str, Any]:
    """The question to IAM what is attached."""
    policies = [{"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn} for arn in arns]
    return call("iam", "ListAttachedRolePolicies", {"RoleName": "web"}, answer={"AttachedPolicies": policies})


def attach(**result: object) -> dict[str, Any]:
    """The attachment."""
    parameters = {"RoleName": "web", "PolicyArn": POLICY_ARN}
    return call("iam", "AttachRolePolicy", parameters, **(result or {"answer": {}}))


@dataclass(frozen=True)
class Scenario:
    """What AWS answers, call by call, and how the execution must end.

    Attributes:
        calls: The calls, all of which must be made in this order, and no others.
        outcome: What the document must say; "" for an execution that must fail.
        message: What the failure must say.
        code: How the execution ends.
        inputs: Inputs of the document beside those that the remediation always gives.
    """

    calls: list[dict[str, Any]]
    outcome: str = ""
    message: str = ""
    code: str = "FAILED"
    inputs: dict[str, Any] = field(default_factory=dict)


SCENARIOS = {
    "success": Scenario(
        [find_role(), get_role(), list_policies(), attach(), list_policies(POLICY_ARN), get_role()],
        "attached",
        code="SUCCESS",
    ),
    "success beside other policies": Scenario(
        [
            find_role(),
            get_role(path="/team/"),
            list_policies("arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"),
            attach(),
            list_policies("arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore", POLICY_ARN),
            get_role(path="/team/"),
        ],
        "attached",
        code="SUCCESS",
    ),
    "already attached": Scenario(
        [find_role(), get_role(), list_policies(POLICY_ARN), get_role()], "already attached", code="SUCCESS"
    ),
    "missing policy": Scenario(
        [find_role(), get_role(), list_policies(), attach(error="NoSuchEntity")],
        message="AttachRolePolicy failed for role AROAWEBEXAMPLE0000001 and policy "
        f"{POLICY_ARN} with NoSuchEntity: Refused. The policy does not exist: deploy the instance policy first.",
    ),
    "deleted role": Scenario([find_role(status="ResourceDeleted")], message="is deleted"),
    "role deleted since": Scenario([find_role(), get_role(error="NoSuchEntity")], message="The role is deleted"),
    "role recreated": Scenario([find_role(), get_role(role_id="AROAANOTHERROLE000001")], message="was recreated"),
    "role recreated between check and attachment": Scenario(
        [
            find_role(),
            get_role(),
            list_policies(),
            attach(),
            list_policies(POLICY_ARN),
            get_role(role_id="AROAANOTHERROLE000001"),
        ],
        message="its id is now AROAANOTHERROLE000001",
    ),
    "role recreated with the policy": Scenario(
        [find_role(), get_role(), list_policies(POLICY_ARN), get_role(role_id="AROAANOTHERROLE000001")],
        message="its id is now AROAANOTHERROLE000001",
    ),
    "role deleted after the attachment": Scenario(
        [find_role(), get_role(), list_policies(), attach(), list_policies(POLICY_ARN), get_role(error="NoSuchEntity")],
        message="The role is deleted",
    ),
    "role that EC2 may only tag sessions of": Scenario(
        [find_role(), get_role(trust_policy=trust(action="sts:TagSession"))],
        message="its trust policy does not allow ec2.amazonaws.com",
    ),
    "role that EC2 may assume and tag sessions of": Scenario(
        [
            find_role(),
            get_role(trust_policy=trust(action=["sts:TagSession", "sts:AssumeRole"])),
            list_policies(POLICY_ARN),
            get_role(),
        ],
        "already attached",
        code="SUCCESS",
    ),
    "role that EC2 may assume by a pattern": Scenario(
        [find_role(), get_role(trust_policy=trust(action="sts:Assume*")), list_policies(POLICY_ARN), get_role()],
        "already attached",
        code="SUCCESS",
    ),
    "trust policy with JSON escapes": Scenario(
        [
            find_role(),
            get_role(trust_policy=trust().replace("Service", quote("\\u0053ervice"))),
            list_policies(POLICY_ARN),
            get_role(),
        ],
        "already attached",
        code="SUCCESS",
    ),
    "trust policy that is no JSON": Scenario(
        [find_role(), get_role(trust_policy="%7Bec2.amazonaws.com")], message="its trust policy cannot be read"
    ),
    "role unknown to Config": Scenario(
        [find_role(error="ResourceNotDiscoveredException")], message="GetResourceConfigHistory failed"
    ),
    "access to IAM denied": Scenario(
        [find_role(), get_role(), list_policies(), attach(error="AccessDenied")], message="Allow this action"
    ),
    "access to Config denied": Scenario([find_role(error="AccessDeniedException")], message="Allow this action"),
    "quota": Scenario(
        [find_role(), get_role(), list_policies(), attach(error="LimitExceeded")], message="detach one or raise it"
    ),
    "service-linked role": Scenario(
        [
            find_role("AWSServiceRoleForAutoScaling"),
            get_role("AWSServiceRoleForAutoScaling", "/aws-service-role/autoscaling.amazonaws.com/"),
        ],
        message="AWS manages the roles under",
    ),
    "excluded name": Scenario(
        [find_role("legacy-web"), get_role("legacy-web")], message="the roles named legacy-* are excluded"
    ),
    "excluded path": Scenario(
        [find_role(), get_role(path="/platform/edge/")], message="the roles under /platform/ are excluded"
    ),
    "role that EC2 may no longer assume": Scenario(
        [find_role(), get_role(trust_policy=trust("lambda.amazonaws.com"))],
        message="its trust policy does not allow ec2.amazonaws.com",
    ),
    "role that EC2 is denied": Scenario(
        [find_role(), get_role(trust_policy=trust(effect="Deny"))],
        message="its trust policy does not allow ec2.amazonaws.com",
    ),
    "role of instances in China": Scenario(
        [find_role(), get_role(trust_policy=trust("ec2.amazonaws.com.cn")), list_policies(POLICY_ARN), get_role()],
        "already attached",
        code="SUCCESS",
    ),
    "policy of another account": Scenario(
        [find_role(), get_role()],
        message="is not in the account of role",
        inputs={"PolicyArn": "arn:aws:iam::111122223333:policy/SessionManagerLogPolicy"},
    ),
    "no id of a role": Scenario([], message="failed validation", code="REFUSED", inputs={"IAMResourceId": "web"}),
}


def test_exclusions_are_no_parameters(products: Products) -> None:
    document = json.loads(products.document)

    assert set(document["parameters"]) == {"AutomationAssumeRole", "IAMResourceId", "PolicyArn"}
    payload = document["mainSteps"][0]["inputs"]["InputPayload"]
    assert payload["ExcludedRoleNames"] == "break-glass legacy-* node?.prod+1"
    assert payload["ExcludedRolePaths"] == "/platform/"


@dataclass(frozen=True)
class Execution:
    """What the simulator says of a scenario, and the calls that were made."""

    result: dict[str, Any]
    calls: list[dict[str, Any]]


@pytest.fixture(scope="module")
def executions(products: Products, judge: Judge, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Execution]:
    """The executions of all scenarios, one after the other."""
    folder = tmp_path_factory.mktemp("automation")
    asked = []
    for name, scenario in SCENARIOS.items():
        answers, made = folder / f"{name}.json", folder / f"{name}.calls"
        answers.write_text(json.dumps(scenario.calls), encoding="utf-8")
        made.touch()
        role = f"arn:aws:iam::{ACCOUNT}:role/Attach-ssm-policy-to-instance-profile"
        asked.append(
            {
                "inputs": {"AutomationAssumeRole": role, "IAMResourceId": ROLE_ID, **scenario.inputs},
                "environment": {"AUTOMATION_SCENARIO": str(answers), "AUTOMATION_CALLS": str(made)},
            }
        )
    environment = {
        # The simulator takes the first python3 for the script.
        "PATH": os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]),
        "PYTHONPATH": str(Path(__file__).with_name("automation_stub")),
        "TMPDIR": str(folder),
    }
    results = judge("run_automation.mjs", {"document": products.document, "executions": asked}, environment)
    return {
        name: Execution(
            result, [json.loads(line) for line in (folder / f"{name}.calls").read_text(encoding="utf-8").splitlines()]
        )
        for name, result in zip(SCENARIOS, results, strict=True)
    }


@pytest.mark.parametrize("name", SCENARIOS)
def test_execution(name: str, executions: dict[str, Execution]) -> None:
    scenario, execution = SCENARIOS[name], executions[name]

    assert execution.result["responseCode"] == scenario.code, execution.result.get("stackTrace")
    assert scenario.message in execution.result.get("stackTrace", "")
    if scenario.outcome:
        assert execution.result["outputs"] == {
            "AttachPolicy.RoleName": "web",
            "AttachPolicy.Outcome": scenario.outcome,
        }
    expected = [{key: made[key] for key in ("service", "operation", "parameters")} for made in scenario.calls]
    assert execution.calls == expected
