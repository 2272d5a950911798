"""The expected preferences are those that modules/preferences sends to the function."""

import json
import os
import re
import subprocess
from pathlib import Path
from typing import Any

import pytest

from session_manager_fleet.accounts.model import Account
from session_manager_fleet.hcl import hcl
from session_manager_fleet.preferences.expected import expected_preferences, log_group_name
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets.model import Target
from session_manager_fleet.terraform.installation import find_terraform

MODULE = Path(__file__).resolve().parents[3] / "modules" / "preferences" / "main.tf"
ACCOUNT, REGION = "111122223333", "eu-west-1"
KEY = "arn:aws:kms:eu-west-1:111122223333:key/11111111-2222-4333-8444-555555555555"
S3 = {"enabled": True, "bucket_name": "example-logs"}


@pytest.mark.parametrize(
    ("preferences", "key"),
    [
        ({}, KEY),
        ({"cloudwatch": {"log_group_name": "", "create_log_group": False}, "s3": S3, "waive": []}, None),
        (
            {
                "s3": {**S3, "key_prefix": "", "encryption_enabled": False},
                "cloudwatch": {"log_group_name": "own", "streaming_enabled": True},
                "run_as": {"enabled": True, "default_user": "ssm-user"},
                "idle_session_timeout": 5,
                "max_session_duration": 0,
                "shell_profile": {"linux": "exec bash"},
            },
            KEY,
        ),
    ],
    ids=["defaults", "S3 only", "everything else"],
)
def test_the_module_sends_what_is_expected(tmp_path: Path, preferences: dict[str, Any], key: str | None) -> None:
    settings = TargetSettings.model_validate({"preferences": preferences})
    found = re.search(r"^  preferences = \{\n.*?^  \}\n", MODULE.read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    assert found
    # The expression of the module with values in place of its resources, so that no provider is needed.
    values = settings.preferences.model_dump()
    values["cloudwatch"]["log_group_name"] = group = log_group_name(settings)
    names = sorted(set(re.findall(r"var\.(\w+)", found[0])))
    local = {"account_id": ACCOUNT, "region": REGION, "session_key_arn": key, "logs_to_cloudwatch": group != ""}
    (tmp_path / "main.tf").write_text(
        "".join(f'variable "{name}" {{\n  default = {hcl(values[name])}\n}}\n' for name in names)
        + "locals {\n"
        + "".join(f"  {name} = {hcl(value)}\n" for name, value in local.items())
        + f'{found[0]}}}\noutput "preferences" {{\n  value = jsonencode(local.preferences)\n}}\n',
        encoding="utf-8",
    )
    environment = {"PATH": os.environ["PATH"], "CHECKPOINT_DISABLE": "1"}
    subprocess.run(
        [find_terraform(), "apply", "-auto-approve", "-input=false"], cwd=tmp_path, env=environment, check=True
    )
    state = json.loads((tmp_path / "terraform.tfstate").read_text(encoding="utf-8"))

    expected = expected_preferences(Target(Account(ACCOUNT, "member"), REGION, REGION), settings, key)["preferences"]
    assert json.loads(state["outputs"]["preferences"]["value"]) == expected
