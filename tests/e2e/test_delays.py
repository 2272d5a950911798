"""What AWS follows late is waited for: roles and their policies, and aliases as conditions."""

import datetime
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from aws_sandbox import Sandbox, SandboxAccount, SandboxDelays, SandboxOrganization
from session_manager_fleet.cli.app import run

HOME, NAME = "eu-west-1", "SSM-SessionManagerRunShell"
MANAGEMENT, MEMBER = "318407395517", "740281937467"
DELAYS = SandboxDelays(iam_seconds=8, alias_seconds=14)
ORGANIZATION = SandboxOrganization(
    id="o-delays1234567",
    management_account_id=MANAGEMENT,
    accounts=(
        SandboxAccount(MANAGEMENT, "Management", "management@example.com", ""),
        SandboxAccount(MEMBER, "Member", "member@example.com", ""),
    ),
    organizational_units=(),
    home_region=HOME,
    regions=(HOME,),
)
SETTINGS = f"""\
schema_version: 1
organization:
  id: {ORGANIZATION.id}
  home_region: {HOME}
  regions: [{HOME}]
  deployment_role: {{name: {ORGANIZATION.deployment_role}}}
defaults:
  instance_policy: {{enabled: false}}
  config_rule: {{enabled: false}}
  preferences: {{drift_repair: {{enabled: false}}}}
"""

pytestmark = pytest.mark.terraform


@pytest.fixture
def sandbox(tmp_path: Path) -> Iterator[Sandbox]:
    with Sandbox.start(ORGANIZATION, tmp_path / "sandbox", enforce_iam=True, delays=DELAYS) as running:
        yield running


def test_the_document_names_a_new_key_when_its_alias_allows_instances_to_use_it(
    sandbox: Sandbox, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name, value in sandbox.environment().items():
        monkeypatch.setenv(name, value)
    monkeypatch.chdir(tmp_path)
    config = tmp_path / "organization.yaml"
    config.write_text(SETTINGS)

    code = run(["-c", str(config), "apply", "--account", "Member", "--yes"])

    assert code == 0, capsys.readouterr().out
    calls = [line.split(" ", 2) for line in (sandbox.folder / "server.log").read_text().splitlines()]
    times = {name: [at(line) for line in calls if name in line[2]] for name in ("CreateAlias", "UpdateDocument ")}
    assert DELAYS.alias_seconds <= min(times["UpdateDocument "]) - min(times["CreateAlias"])
    # The function waits for the permissions of its new role, too.
    denied = {line[2].split(" ")[2] for line in calls if " 403 " in line[2]}
    assert {"ssm:DescribeDocument", "kms:DescribeKey"} <= denied
    inputs = json.loads(sandbox.session(MEMBER, HOME).client("ssm").get_document(Name=NAME)["Content"])["inputs"]
    assert inputs["kmsKeyId"].startswith(f"arn:aws:kms:{HOME}:{MEMBER}:key/")


def at(line: list[str]) -> float:
    """The time of a line of the emulator's log, in seconds."""
    return datetime.datetime.strptime(f"{line[0]} {line[1]}", "%Y-%m-%d %H:%M:%S,%f").timestamp()  # noqa: DTZ007
