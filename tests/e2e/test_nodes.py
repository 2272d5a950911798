"""docs/nodes.md, executed on a hybrid node: what is locked out is told and refused, and cured in stages."""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from aws_sandbox import Sandbox
from tests.e2e.conftest import PROJECT, Finished

pytestmark = pytest.mark.terraform

ACCOUNT, REGION, ROLE = "902764185309", "eu-west-1", "on-premises"
DOCUMENT = "SSM-SessionManagerRunShell"
COMMANDS = re.findall(r"^   ```sh\n   (.*?)\n   ```", (PROJECT / "docs" / "nodes.md").read_text(), flags=re.M | re.S)


@pytest.fixture
def node(sandbox: Sandbox, rollout: Callable[..., Finished]) -> Iterator[str]:
    """A hybrid node whose role lacks the policy; it is destroyed with what the rollout made."""
    session = sandbox.session(ACCOUNT, REGION)
    iam, ssm = session.client("iam"), session.client("ssm")
    trust = {"Effect": "Allow", "Principal": {"Service": "ssm.amazonaws.com"}, "Action": "sts:AssumeRole"}
    iam.create_role(RoleName=ROLE, AssumeRolePolicyDocument=json.dumps({"Statement": [trust], "Version": "2012-10-17"}))
    activation: Any = ssm.create_activation(IamRole=ROLE)
    registered = sandbox.register_node(ACCOUNT, REGION, activation)
    yield registered
    rollout("destroy", "--account", ACCOUNT, "--region", REGION, "--yes", "--allow-destroy")
    ssm.deregister_managed_instance(InstanceId=registered)
    ssm.delete_activation(ActivationId=activation["ActivationId"])
    iam.delete_role(RoleName=ROLE)


@pytest.mark.slow
def test_the_guide_leads_a_fleet_in_use_to_encrypted_sessions(
    sandbox: Sandbox, rollout: Callable[..., Finished], node: str
) -> None:
    def run(command: str) -> Finished:
        program, *words = shlex.split(command)
        assert program == "session-manager-fleet"
        return rollout(*words)

    session = sandbox.session(ACCOUNT, REGION)
    before = session.client("ssm").get_document(Name=DOCUMENT)["Content"]

    def policies() -> set[str]:
        return {each["PolicyName"] for each in session.client("iam").list_policies(Scope="Local")["Policies"]}

    of_other_tests = policies()
    plan, policy_first, attach, preferences = COMMANDS
    planned = run(plan)
    assert planned.code == 2, planned.output
    (target,) = planned.summary["targets"]
    told = {(each["role"], each["kind"], each["effect"], each["reason"]) for each in target["lockouts"]}
    assert (ROLE, "hybrid", "no_session", "missing_policy") in told
    assert {node} == {name for each in target["lockouts"] for name in each["nodes"]}
    assert f"Locked out: {ROLE} ({node}): no session can start: it cannot use the session key" in planned.plain

    refused = run(preferences)
    assert refused.code == 1, refused.output
    assert f"The preferences would lock out managed nodes: {ROLE} ({node})" in refused.plain
    assert policies() == of_other_tests, "it is refused before anything is made"

    first = run(policy_first)
    assert first.code == 0, first.output
    assert first.summary["targets"][0]["status"] == "applied"
    assert first.summary["targets"][0]["verified"] is None
    assert policies() - of_other_tests == {"SessionManagerLogPolicy"}
    assert session.client("ssm").get_document(Name=DOCUMENT)["Content"] == before, "the preferences are as they were"

    words = shlex.split(attach)
    assert words[:3] == ["aws", "iam", "attach-role-policy"]
    session.client("iam").attach_role_policy(RoleName=words[4], PolicyArn=words[6])
    done = run(preferences)
    assert done.code == 0, done.output
    assert (done.summary["targets"][0]["status"], done.summary["targets"][0]["lockouts"]) == ("applied", [])
