"""What exists already, and what others attached: named before anything is touched, and left as it was."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from aws_sandbox import Sandbox

EXAMPLE = Path(__file__).with_name("organization.yaml")
HOME = "eu-west-1"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}

pytestmark = pytest.mark.terraform


def account_of(sandbox: Sandbox, name: str) -> str:
    return next(account.id for account in sandbox.organization.accounts if account.name == name)


def settings(tmp_path: Path, **defaults: object) -> Path:
    """The example's settings with other defaults."""
    example = yaml.safe_load(EXAMPLE.read_text())
    example["defaults"] = {**example["defaults"], **defaults}
    path = tmp_path / "organization.yaml"
    path.write_text(yaml.safe_dump(example))
    return path


def test_a_policy_is_detached_from_what_others_attached_it_to(
    sandbox: Sandbox, rollout: Callable[..., Any], tmp_path: Path
) -> None:
    account, selection = account_of(sandbox, "Audit"), ("--account", "Audit", "--region", HOME)
    iam = sandbox.session(account, HOME).client("iam")
    config = settings(tmp_path, preferences={"enabled": False})

    def attached() -> list[str]:
        found = iam.list_attached_role_policies(RoleName="WebServer")["AttachedPolicies"]
        return [policy["PolicyName"] for policy in found]

    assert rollout("apply", *selection, "--yes", config=config).code == 0
    iam.create_role(RoleName="WebServer", AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.attach_role_policy(RoleName="WebServer", PolicyArn=f"arn:aws:iam::{account}:policy/SessionManagerLogPolicy")

    destroyed = rollout("destroy", *selection, "--yes", "--allow-destroy", config=config)
    assert destroyed.code == 0, destroyed.output
    assert "role WebServer, attached outside of Terraform" in destroyed.plain
    (target,) = destroyed.summary["targets"]
    assert [(entry["kind"], entry["name"]) for entry in target["detached"]] == [("role", "WebServer")]
    assert attached() == []
    assert iam.list_policies(Scope="Local")["Policies"] == []
