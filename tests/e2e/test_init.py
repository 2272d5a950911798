"""`init` on the emulated organization: the file is valid at once, and existing files are left alone."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from session_manager_fleet.settings import load_settings


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
