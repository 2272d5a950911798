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
BOUNDARY = f"arn:aws:iam::{ACCOUNT}:policy/Boundary"
AGENT_POLICY = "arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"
HOST_MANAGEMENT_POLICY = "arn:aws:iam::aws:policy/AmazonSSMManagedEC2InstanceDefaultPolicy"


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
    name: str = "web",
    path: str = "/",
    role_id: str = ROLE_ID,
    trust_policy: str = trust(),
    boundary: str = "",
    **result: object,
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
    limits = {"PermissionsBoundary": {"PermissionsBoundaryArn": boundary}} if boundary else {}
    return call("iam", "GetRole", {"RoleName": name}, **(result or {"answer": {"Role": {**role, **limits}}}))


def list_policies(*arns: str) -> dict[str, Any]:
    """The question to IAM what is attached."""
    policies = [{"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn} for arn in arns]
    return call("iam", "ListAttachedRolePolicies", {"RoleName": "web"}, answer={"AttachedPolicies": policies})


def attach(**result: object) -> dict[str, Any]:
    """The attachment."""
    parameters = {"RoleName": "web", "PolicyArn": POLICY_ARN}
    return call("iam", "AttachRolePolicy", parameters, **(result or {"answer": {}}))


STATEMENT = {
    "Effect": "Allow",
    "Action": ["kms:Decrypt", "kms:GenerateDataKey*"],
    "Resource": f"arn:aws:kms:*:{ACCOUNT}:key/*",
    "Condition": {
        "ForAnyValue:StringEquals": {"kms:ResourceAliases": "alias/session-manager/data"},
        "Null": {"kms:ResourceAliases": "false"},
    },
}


def simulate(**detail: object) -> dict[str, Any]:
    """The question what the role may do with the statement of the policy, in this region."""
    results = [
        {"EvalActionName": action, "EvalDecision": "allowed", **detail}
        for action in ("kms:Decrypt", "kms:GenerateDataKey")
    ]
    context = {
        "ContextKeyName": "kms:ResourceAliases",
        "ContextKeyValues": ["alias/session-manager/data"],
        "ContextKeyType": "stringList",
    }
    parameters = {
        "PolicySourceArn": f"arn:aws:iam::{ACCOUNT}:role/web",
        "ActionNames": ["kms:Decrypt", "kms:GenerateDataKey"],
        "ResourceArns": [f"arn:aws:kms:eu-west-1:{ACCOUNT}:key/any"],
        "ContextEntries": [context],
    }
    return call("iam", "SimulatePrincipalPolicy", parameters, answer={"EvaluationResults": results})


def read_policy() -> list[dict[str, Any]]:
    """The questions what the policy says."""
    document = quote(json.dumps({"Version": "2012-10-17", "Statement": [STATEMENT]}))
    version = {"PolicyVersion": {"Document": document}}
    asked = {"PolicyArn": POLICY_ARN}
    return [
        call("iam", "GetPolicy", asked, answer={"Policy": {"DefaultVersionId": "v1"}}),
        call("iam", "GetPolicyVersion", {**asked, "VersionId": "v1"}, answer=version),
    ]


PROFILE = f"arn:aws:iam::{ACCOUNT}:instance-profile/web"
NODES = [
    {"InstanceId": "i-0123456789abcdef0"},
    {"InstanceId": "i-0123456789abcdef1"},
    {"InstanceId": "mi-0123456789abcdef0", "IamRole": "service-role/web"},
    {"InstanceId": "mi-0123456789abcdef1", "IamRole": "service-role/other"},
]


def served(path: str = "/", *, by_profile: bool = False) -> list[dict[str, Any]]:
    """The questions after an attachment: whether the role may use the policy, and which nodes it serves."""
    profile = {
        "InstanceProfileId": "AIPAWEBEXAMPLE0000001",
        "InstanceProfileName": "web",
        "Arn": PROFILE,
        "Path": "/",
        "CreateDate": "2026-01-01T00:00:00Z",
        "Roles": [],
    }
    simulated = simulate()
    simulated["parameters"]["PolicySourceArn"] = f"arn:aws:iam::{ACCOUNT}:role{path}web"
    with_profile = [{"Name": "iam-instance-profile.arn", "Values": [PROFILE]}]
    instances = {"Reservations": [{"Instances": [{"InstanceId": "i-0123456789abcdef0"}]}]}
    profiles, enabled = [profile] if by_profile else [], {"RegionOptStatusContains": ["ENABLED", "ENABLED_BY_DEFAULT"]}
    regions = {"Regions": [{"RegionName": "eu-west-1"}]} if by_profile else {"Regions": []}
    asked = [
        call("ssm", "DescribeInstanceInformation", {}, answer={"InstanceInformationList": NODES}),
        call("ec2", "DescribeInstances", {"Filters": with_profile}, answer=instances),
    ]
    return [
        *read_policy(),
        simulated,
        call("iam", "ListInstanceProfilesForRole", {"RoleName": "web"}, answer={"InstanceProfiles": profiles}),
        call("account", "ListRegions", enabled, answer=regions),
        *(asked if by_profile else []),
    ]


SERVED = "i-0123456789abcdef0 (eu-west-1), mi-0123456789abcdef0 (eu-west-1)"


@dataclass(frozen=True)
class Scenario:
    """What AWS answers, call by call, and how the execution must end.

    Attributes:
        calls: The calls, all of which must be made in this order, and no others.
        outcome: What the document must say; "" for an execution that must fail.
        message: What the failure must say.
        code: How the execution ends.
        inputs: Inputs of the document beside those that the remediation always gives.
        nodes: The nodes that the role serves.
    """

    calls: list[dict[str, Any]]
    outcome: str = ""
    message: str = ""
    code: str = "FAILED"
    inputs: dict[str, Any] = field(default_factory=dict)
    nodes: str = "none"


SCENARIOS = {
    "success": Scenario(
        [
            find_role(),
            get_role(),
            list_policies(),
            attach(),
            list_policies(POLICY_ARN),
            get_role(),
            *served(by_profile=True),
        ],
        "attached",
        code="SUCCESS",
        nodes=SERVED,
    ),
    "success beside other policies": Scenario(
        [
            find_role(),
            get_role(path="/team/"),
            list_policies("arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore"),
            attach(),
            list_policies("arn:aws:iam::aws:policy/AmazonSSMManagedInstanceCore", POLICY_ARN),
            get_role(path="/team/"),
            *served("/team/"),
        ],
        "attached",
        code="SUCCESS",
    ),
    "already attached": Scenario(
        [find_role(), get_role(), list_policies(POLICY_ARN), get_role(), *served()], "already attached", code="SUCCESS"
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
        message="its trust policy does not allow ec2.amazonaws.com or ssm.amazonaws.com",
    ),
    "role that EC2 may assume and tag sessions of": Scenario(
        [
            find_role(),
            get_role(trust_policy=trust(action=["sts:TagSession", "sts:AssumeRole"])),
            list_policies(POLICY_ARN),
            get_role(),
            *served(),
        ],
        "already attached",
        code="SUCCESS",
    ),
    "role that EC2 may assume by a pattern": Scenario(
        [
            find_role(),
            get_role(trust_policy=trust(action="sts:Assume*")),
            list_policies(POLICY_ARN),
            get_role(),
            *served(),
        ],
        "already attached",
        code="SUCCESS",
    ),
    "trust policy with JSON escapes": Scenario(
        [
            find_role(),
            get_role(trust_policy=trust().replace("Service", quote("\\u0053ervice"))),
            list_policies(POLICY_ARN),
            get_role(),
            *served(),
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
        message="its trust policy does not allow ec2.amazonaws.com or ssm.amazonaws.com",
    ),
    "role that EC2 is denied": Scenario(
        [find_role(), get_role(trust_policy=trust(effect="Deny"))],
        message="its trust policy does not allow ec2.amazonaws.com or ssm.amazonaws.com",
    ),
    "role of hybrid nodes": Scenario(
        [
            find_role(),
            get_role(trust_policy=trust("ssm.amazonaws.com")),
            list_policies(AGENT_POLICY),
            attach(),
            list_policies(AGENT_POLICY, POLICY_ARN),
            get_role(trust_policy=trust("ssm.amazonaws.com")),
            *served(),
        ],
        "attached",
        code="SUCCESS",
    ),
    "role of Default Host Management": Scenario(
        [
            find_role(),
            get_role(trust_policy=trust("ssm.amazonaws.com")),
            list_policies(HOST_MANAGEMENT_POLICY, POLICY_ARN),
            get_role(trust_policy=trust("ssm.amazonaws.com")),
            *served(),
        ],
        "already attached",
        code="SUCCESS",
    ),
    "role of automations": Scenario(
        [find_role(), get_role(trust_policy=trust("ssm.amazonaws.com")), list_policies()],
        message="it is none of nodes, as it has no policy AmazonSSMManagedEC2InstanceDefaultPolicy or "
        "AmazonSSMManagedInstanceCore",
    ),
    "role whose permissions boundary takes the rights away": Scenario(
        [
            find_role(),
            get_role(),
            list_policies(POLICY_ARN),
            get_role(boundary=BOUNDARY),
            *read_policy(),
            simulate(PermissionsBoundaryDecisionDetail={"AllowedByPermissionsBoundary": False}),
        ],
        message=f"are denied by the permissions boundary {BOUNDARY}: kms:Decrypt, kms:GenerateDataKey. Allow them",
    ),
    "role whose organization takes the rights away": Scenario(
        [
            find_role(),
            get_role(),
            list_policies(POLICY_ARN),
            get_role(),
            *read_policy(),
            simulate(OrganizationsDecisionDetail={"AllowedByOrganizations": False}),
        ],
        message="are denied by a service control policy: kms:Decrypt, kms:GenerateDataKey. Allow them",
    ),
    "role of instances in China": Scenario(
        [
            find_role(),
            get_role(trust_policy=trust("ec2.amazonaws.com.cn")),
            list_policies(POLICY_ARN),
            get_role(),
            *served(),
        ],
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
    assert payload["NodeKinds"] == "instance_profiles default_host_management hybrid"
    assert payload["InlineAtQuota"] == "false"


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
        "AWS_REGION": "eu-west-1",
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
            "AttachPolicy.Nodes": scenario.nodes,
        }
    expected = [{key: made[key] for key in ("service", "operation", "parameters")} for made in scenario.calls]
    assert execution.calls == expected
