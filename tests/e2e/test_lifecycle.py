"""The commands of docs/lifecycle.md, on an account whose home region changes and which then leaves."""

from __future__ import annotations

import json
import re
import shlex
from pathlib import Path

import pytest

from aws_sandbox import Sandbox
from session_manager_fleet.cli.app import run

pytestmark = pytest.mark.terraform

PAGE = (Path(__file__).parents[2] / "docs" / "lifecycle.md").read_text(encoding="utf-8")
OLD, NEW = "eu-west-1", "us-east-1"
SETTINGS = """\
schema_version: 1
organization:
  id: {organization}
  home_region: {home}
  regions: [{home}]
  deployment_role: {{name: AWSControlTowerExecution}}
  state: {{region: eu-west-1, key_prefix: lifecycle}}
  accounts: {{source: file, path: accounts.yaml}}
defaults: {{preferences: {{enabled: false}}, config_rule: {{enabled: false}}, names: {{policy: Lifecycle}}}}
"""


def documented(section: str) -> list[str]:
    """The commands of a section, without comments."""
    body = PAGE.partition(f"## {section}\n")[2].partition("\n## ")[0]
    blocks = re.findall(r"```sh\n(.*?)```", body, flags=re.DOTALL)
    return [shlex.join(shlex.split(line, comments=True)) for block in blocks for line in block.splitlines()]


@pytest.mark.slow
def test_the_commands_of_the_page(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    account, other = (each.id for each in sandbox.organization.members[:2])
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)

    def settings(name: str, home: str) -> None:
        Path(name).write_text(SETTINGS.format(organization=sandbox.organization.id, home=home))

    def call(line: str, *more: str, expect: int = 0) -> str:
        for name, value in {"OLD-REGION": OLD, "ACCOUNT": account, "REGION": OLD}.items():
            line = re.sub(rf"(?<![A-Z-]){name}(?![A-Z-])", value, line)
        words = shlex.split(line.removeprefix("python scripts/rollout.py "))
        capsys.readouterr()
        code = run([*words, *more])
        printed = capsys.readouterr()
        text = re.sub(r"\s+", " ", printed.out + printed.err)
        assert code == expect, f"{line}\n{text}"
        return text

    def policies() -> list[str]:
        iam = sandbox.session(account, OLD).client("iam")
        return [policy["PolicyName"] for policy in iam.list_policies(Scope="Local")["Policies"]]

    Path("accounts.yaml").write_text(f"accounts: [{{id: {account}, name: Moving}}, {{id: {other}, name: Staying}}]\n")
    listing, show, destroy, forget, render, destroy_given = documented("Remove what has left")
    with_new, with_old, apply = documented("Change the home region")
    settings("organization.yaml", OLD)
    call("apply", "--account", account, "--yes")
    assert "Lifecycle" in policies()

    # Another home region: refused, until what was made under the old one is destroyed.
    settings("OLD.yaml", OLD)
    settings("organization.yaml", NEW)
    refused = call("plan --account Moving", expect=64)
    assert f"`states destroy {account}/{OLD}` (docs/lifecycle.md)" in refused
    assert f"{account}/{OLD} (home region): 1 resource; the settings leave the region out" in call(listing, expect=2)
    assert f"module.instance_policy[0].aws_iam_policy.this arn:aws:iam::{account}:policy/Lifecycle" in call(show)
    assert "(those that do: " in call("states show 111111111111/eu-west-1", expect=64)
    assert "standard input is not a terminal" in call(destroy, expect=64)
    assert "name the folder of its runs (--runs)" in call(destroy, "--runs", "elsewhere", expect=64)
    call(with_new, "--yes", "--allow-destroy")
    assert "Lifecycle" not in policies()
    call(listing)

    # The other way, with the old settings, has nothing left to do.
    call(with_old.replace("--all", "--account ACCOUNT"), "-c", "OLD.yaml", "--yes", "--allow-destroy")
    call(apply.replace("--all", "--account ACCOUNT"), "--yes")

    # The account leaves; what it has is destroyed with variables that are rendered from the old settings.
    for name in ("OLD.yaml", "organization.yaml"):
        settings(name, NEW)
    whole = Path("accounts.yaml").read_text()
    Path("accounts.yaml").write_text(f"accounts: [{{id: {other}, name: Staying}}]\n")
    region = f"{account}/{NEW}"
    found = json.loads(call("states --format json", expect=2).partition(" Warning")[0])
    assert [(each["account_id"], each["reason"]) for each in found["states"]] == [
        (account, "the account is not in the organization")
    ]
    Path("accounts.yaml").write_text(whole)
    call(render)
    Path("accounts.yaml").write_text(f"accounts: [{{id: {other}, name: Staying}}]\n")
    call(destroy_given.replace("/REGION", f"/{NEW}"), "--yes", "--allow-destroy")
    assert "Lifecycle" not in policies()

    # A state whose resources AWS has deleted with their account.
    key = f"lifecycle/{NEW}/{account}/terraform.tfstate"
    body = json.dumps({"resources": [{"mode": "managed", "type": "a", "name": "b", "instances": []}]})
    home = sandbox.session(sandbox.organization.management_account_id, OLD).client("s3")
    home.put_object(Bucket=sandbox.state_bucket, Key=key, Body=body)
    Path("accounts.yaml").write_text(whole.replace("name: Moving", "name: Moving, state: SUSPENDED"))
    refused = call(destroy.replace("/REGION", f"/{NEW}"), expect=64)
    assert f"Nothing can be destroyed in {account}: the account is suspended." in refused
    assert f"states forget {region}" in refused
    call(forget.replace("/REGION", f"/{NEW}"), expect=64)
    assert f"{region}: forgotten, {key} was deleted" in call(forget.replace("/REGION", f"/{NEW}"), "--yes")
    call(listing)
