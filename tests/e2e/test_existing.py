"""What exists already, and what others attached: named before anything is touched, and afterwards as it was."""

import json
import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from aws_sandbox import Sandbox
from session_manager_fleet.terraform import child_environment
from tests.e2e.keys import logs_key

PROJECT = Path(__file__).resolve().parents[2]
EXAMPLE = Path(__file__).with_name("organization.yaml")
HOME = "eu-west-1"
GROUP, ALIAS = "ssm-sessionmanager-logs", "alias/session-manager/logs"
SHARING = "/ssm/documents/console/public-sharing-permission"
TRUST = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Principal": {"Service": "ec2.amazonaws.com"}, "Action": "sts:AssumeRole"}],
}
GRANTS = {
    "Version": "2012-10-17",
    "Statement": [{"Effect": "Allow", "Action": "logs:DescribeLogGroups", "Resource": "*"}],
}

pytestmark = pytest.mark.terraform


def account_of(sandbox: Sandbox, name: str) -> str:
    return next(account.id for account in sandbox.organization.accounts if account.name == name)


def settings(tmp_path: Path, **preferences: object) -> Path:
    """The example's settings with other preferences."""
    example = yaml.safe_load(EXAMPLE.read_text())
    example["defaults"]["preferences"] |= preferences
    path = tmp_path / "organization.yaml"
    path.write_text(yaml.safe_dump(example))
    return path


def copied_root(folder: Path) -> Path:
    """A copy of the root module, in which commands are typed."""
    shutil.copytree(PROJECT / "modules", folder / "modules")
    for file in [*PROJECT.glob("*.tf"), PROJECT / ".terraform.lock.hcl"]:
        shutil.copy(file, folder)
    return folder


@pytest.mark.slow
def test_what_was_there_before_is_what_is_there_after_destroy(
    sandbox: Sandbox, rollout: Callable[..., Any], tmp_path: Path
) -> None:
    account, selection = account_of(sandbox, "Audit"), ("--account", "Audit", "--region", HOME)
    session = sandbox.session(account, HOME)
    iam, kms, logs, ssm = session.client("iam"), session.client("kms"), session.client("logs"), session.client("ssm")

    # What the stack of the CloudFormation solution leaves behind, and more.
    key, behind_alias = (logs_key(session, HOME, account) for _ in range(2))
    kms.create_alias(AliasName=ALIAS, TargetKeyId=behind_alias)
    logs.create_log_group(logGroupName=GROUP, kmsKeyId=key, tags={"owner": "somebody"})
    logs.put_retention_policy(logGroupName=GROUP, retentionInDays=30)
    ssm.update_service_setting(SettingId=SHARING, SettingValue="Disable")
    iam.create_policy(PolicyName="SessionManagerLogPolicy", PolicyDocument=json.dumps(GRANTS))

    def live() -> dict[str, Any]:
        (group,) = logs.describe_log_groups(logGroupNamePrefix=GROUP)["logGroups"]
        described = kms.describe_key(KeyId=ALIAS)["KeyMetadata"]
        return {
            "group": (group["kmsKeyId"], group["retentionInDays"], group["creationTime"]),
            "tags": logs.list_tags_for_resource(resourceArn=group["arn"].removesuffix(":*"))["tags"],
            "key": (described["Arn"], described["KeyState"]),
            "sharing": ssm.get_service_setting(SettingId=SHARING)["ServiceSetting"]["SettingValue"],
        }

    before = live()
    assert before["key"] == (behind_alias, "Enabled")

    # Everything is named at once, before anything is made.
    config = settings(tmp_path, block_public_sharing=True)
    refused = rollout("plan", *selection, config=config)
    assert refused.code == 1, refused.output
    (target,) = refused.summary["targets"]
    assert target["failure"]["kind"] == "input"
    for named in (
        f"The log group {GROUP} (key {key}, retention 30 days) exists already, but not in this Terraform state",
        f"The KMS alias {ALIAS} (key {behind_alias}) exists already",
        "The IAM policy SessionManagerLogPolicy exists already",
    ):
        assert named in target["failure"]["message"]
    assert "sharing" not in target["failure"]["message"]
    assert len(target["failure"]["message"].splitlines()) == 3

    # The ways out that are printed: import the policy, keep the rest with one setting.
    commands = target["failure"]["diagnostics"]
    assert [line.split(" ")[2] for line in commands] == ["-reconfigure", *["import"] * 4]
    root = copied_root(tmp_path / "root")
    environment = child_environment({**os.environ, **sandbox.environment()}, tmp_path, {})
    for line in commands:
        if "init" in line or "aws_iam_policy" in line:
            subprocess.run(["bash", "-c", line], cwd=root, env=dict(environment), check=True)
    config = settings(tmp_path, block_public_sharing=True, cloudwatch={"existing": "adopt"})
    applied = rollout("apply", *selection, "--yes", config=config)
    assert applied.code == 0, applied.output
    assert f"log group {GROUP}" in applied.plain
    (target,) = applied.summary["targets"]
    assert [entry["kind"] for entry in target["adopted"]] == ["log_group", "public_sharing"]
    assert live() == before
    document = json.loads(ssm.get_document(Name="SSM-SessionManagerRunShell")["Content"])
    assert document["inputs"]["cloudWatchLogGroupName"] == GROUP

    # Changed as the settings say, until the destroy. It is shown as no deletion.
    changed = {"existing": "adopt", "existing_retention": "change", "existing_key": "change"}
    config = settings(tmp_path, block_public_sharing=True, cloudwatch=changed)
    applied = rollout("apply", *selection, "--yes", config=config)
    assert applied.code == 0, applied.output
    assert live() == {**before, "group": (behind_alias, 90, before["group"][2])}
    assert rollout("plan", *selection, config=config).code == 0

    # The remediation has attached the policy.
    iam.create_role(RoleName="WebServer", AssumeRolePolicyDocument=json.dumps(TRUST))
    iam.attach_role_policy(RoleName="WebServer", PolicyArn=f"arn:aws:iam::{account}:policy/SessionManagerLogPolicy")
    destroyed = rollout("destroy", *selection, "--yes", "--allow-destroy", config=config)
    assert destroyed.code == 0, destroyed.output
    assert "role WebServer, attached outside of Terraform" in destroyed.plain
    (target,) = destroyed.summary["targets"]
    assert [(entry["kind"], entry["name"]) for entry in target["detached"]] == [("role", "WebServer")]
    assert iam.list_attached_role_policies(RoleName="WebServer")["AttachedPolicies"] == []
    assert iam.list_policies(Scope="Local")["Policies"] == []
    assert live() == before
