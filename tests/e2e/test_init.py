"""`init` on the emulated organization: the file is valid at once, and existing files are left alone."""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from aws_sandbox import Sandbox, default_organization
from session_manager_fleet.settings import ORGANIZATIONS_ROLE, load_settings
from session_manager_fleet.terraform.processes import MARKER
from tests.e2e.conftest import run_command


def test_the_written_file_selects_every_target(rollout: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "organization.yaml"
    regions = ["--region", "eu-west-1", "--region", "us-east-1"]

    made = rollout("init", *regions, "--state-bucket", "--policies", "policies", config=path)

    assert made.code == 0, made.output
    assert "exists, left unchanged" in made.plain
    assert made.output.splitlines()[-1].endswith(f"rollout.py -c {path} targets")
    text = path.read_text()
    settings = load_settings(path)
    assert settings.organization.id == "o-sandbox1234"
    assert settings.organization.deployment_role.name == "AWSControlTowerExecution"
    assert settings.log_archive is not None
    assert text.count("#") > 8
    listed = rollout("targets", "--all", config=path)
    warnings = [line for line in listed.output.splitlines() if "Warning" in line]
    # The one about the emulator, which is called in place of AWS.
    assert (listed.code, ["AWS_ENDPOINT_URL" in line for line in warnings]) == (0, [True]), listed.output
    for name in ("plan", "apply", "read-states"):
        assert json.loads((tmp_path / "policies" / f"{name}.json").read_text())["Version"] == "2012-10-17"

    again = rollout("init", *regions, config=path)

    assert again.code == 64
    assert f"{path}: The file exists and is not overwritten; use --output for another." in again.plain
    assert path.read_text() == text
    assert rollout("init", "--region", "eu-west-1", "--output", "other.yaml", config=path).code == 0
    assert rollout("targets", config=tmp_path / "other.yaml").code == 0


# The accounts of the emulated organization, as Landing Zone Accelerator describes them; ids come from Organizations.
LZA_FILES = {
    "accounts-config.yaml": """\
mandatoryAccounts:
  - {name: Management, email: aws+management@example.com, organizationalUnit: Root}
  - {name: LogArchive, email: aws+logarchive@example.com, organizationalUnit: Security}
  - {name: Audit, email: aws+audit@example.com, organizationalUnit: Security}
workloadAccounts: []
""",
    "organization-config.yaml": "enable: true\norganizationalUnits: [{name: Security}]\n",
    "global-config.yaml": """\
homeRegion: eu-west-1
enabledRegions: [eu-west-1]
managementAccountAccessRole: OrganizationAccountAccessRole
""",
}


@pytest.fixture(scope="module")
def without_control_tower(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    """Emulate an organization whose accounts have only the role that Organizations creates."""
    organization = default_organization()
    accounts = organization.accounts[:3]
    small = replace(organization, accounts=accounts, regions=("eu-west-1",), deployment_role=ORGANIZATIONS_ROLE)
    with Sandbox.start(small, tmp_path_factory.mktemp("sandbox")) as sandbox:
        kept = {name: value for name, value in os.environ.items() if name != MARKER and not name.startswith("AWS_")}
        yield {**kept, **sandbox.environment()}


@pytest.mark.parametrize("source", ["organizations", "lza"])
def test_what_init_writes_is_planned(without_control_tower: dict[str, str], tmp_path: Path, source: str) -> None:
    arguments = ["--region", "eu-west-1"]
    if source == "lza":
        arguments = ["--lza", "lza"]
        (tmp_path / "lza").mkdir()
        for name, text in LZA_FILES.items():
            (tmp_path / "lza" / name).write_text(text)

    made = run_command(["init", *arguments], tmp_path, without_control_tower)
    assert made.code == 0, made.output
    written = load_settings(tmp_path / "organization.yaml").organization
    assert (written.accounts.source, written.deployment_role.name) == (source, ORGANIZATIONS_ROLE)

    planned = run_command(["plan", "--wave", "foundation"], tmp_path, without_control_tower)
    assert planned.code == 2, planned.output
    assert planned.summary["totals"]["changes"] == 1
