"""The module deployment_roles: the documented policies, and who may assume the roles."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import pytest

from aws_sandbox import Sandbox
from session_manager_fleet.changes import left_as_changed
from session_manager_fleet.terraform import shown_without_changes

if TYPE_CHECKING:
    from tests.modules.conftest import Terraform

pytestmark = pytest.mark.terraform

DOCS = Path(__file__).parents[2] / "docs"
HOST = "token.actions.githubusercontent.com"


def actions(*documents: dict[str, Any]) -> set[str]:
    return {action for document in documents for each in document["Statement"] for action in each["Action"]}


def test_deployment_roles(
    applied: Callable[..., dict[str, Any]],
    member: boto3.Session,
    sandbox: Sandbox,
    in_account: Callable[[str], Terraform],
) -> None:
    outputs = applied("deployment_roles")

    iam = member.client("iam")
    roles: Any = {
        role["RoleName"]: role for role in iam.list_roles()["Roles"] if "session-manager-" in role["RoleName"]
    }
    attached: dict[str, list[dict[str, Any]]] = {}
    for name in ("session-manager-read", "session-manager-deployment"):
        found = iam.list_attached_role_policies(RoleName=name)["AttachedPolicies"]
        texts: Any = [iam.get_policy_version(PolicyArn=one["PolicyArn"], VersionId="v1") for one in found]
        attached[name] = [text["PolicyVersion"]["Document"] for text in texts]
    assert actions(*attached["session-manager-read"]) == actions(json.loads((DOCS / "read-policy.json").read_text()))
    deployment = json.loads((DOCS / "deployment-policy.json").read_text())
    assert actions(*attached["session-manager-deployment"]) >= actions(deployment)
    account = outputs["ci_role_arns"]["plan"].split(":")[4]
    named = json.dumps(attached)
    assert "${" not in named
    assert f"arn:aws:iam::{account}:policy/SessionManagerLogPolicy" in named

    def trusted(name: str) -> dict[str, Any]:
        (statement,) = roles[name]["AssumeRolePolicyDocument"]["Statement"]
        return dict(statement)

    plan, apply = trusted("session-manager-plan"), trusted("session-manager-apply")
    assert plan["Condition"]["StringLike"][f"{HOST}:sub"] == [
        "repo:example/landing-zone:environment:rollout-plan",
        "repo:example/landing-zone:pull_request",
    ]
    assert plan["Condition"]["StringEquals"] == {f"{HOST}:aud": "sts.amazonaws.com"}
    assert "pull_request" not in json.dumps(apply)
    assert trusted("session-manager-deployment")["Principal"]["AWS"] == outputs["ci_role_arns"]["apply"]
    assert set(trusted("session-manager-read")["Principal"]["AWS"]) == set(outputs["ci_role_arns"].values())

    inline: Any = iam.get_role_policy(RoleName="session-manager-plan", PolicyName="session-manager-plan")[
        "PolicyDocument"
    ]
    entered = [each["Resource"] for each in inline["Statement"] if each["Action"] == ["sts:AssumeRole"]]
    assert entered == ["arn:aws:iam::*:role/session-manager-read"]
    assert outputs["settings"]["read_role"]["name"] == "session-manager-read"

    # A plan without changes is told from the states in its file as terraform tells it.
    role, further = "session-manager-plan", "further"
    iam.put_role_policy(RoleName=role, PolicyName=further, PolicyDocument=json.dumps(inline))
    there = in_account(sandbox.organization.members[0].id)
    terraform = replace(there, folder=there.folder / "examples" / "deployment_roles")
    terraform.succeed("plan", "-detailed-exitcode", "-out=plan")
    shown = json.loads(terraform.succeed("show", "-json", "plan"))
    told = shown_without_changes(terraform.folder / "plan")
    assert told is not None
    values = [
        {entry["address"]: (entry["change"]["before"], entry["change"]["after"]) for entry in each["resource_drift"]}
        for each in (shown, told)
    ]
    assert values[0] == values[1] != {}
    assert list(left_as_changed(told)) == list(left_as_changed(shown))
    (changed,) = left_as_changed(told)
    assert changed.endswith(" (inline_policy)")
    iam.delete_role_policy(RoleName=role, PolicyName=further)
