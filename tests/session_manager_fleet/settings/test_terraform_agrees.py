"""The settings have the defaults of the root module; tests/refused_values.py has what both refuse."""

import json
import os
import subprocess
from pathlib import Path

from session_manager_fleet.hcl import hcl
from session_manager_fleet.settings import AccountRole, TargetSettings
from session_manager_fleet.settings.target import NOT_RENDERED
from session_manager_fleet.terraform.installation import find_terraform

REPOSITORY = Path(__file__).parents[3]
ACCOUNT, REGION = "111122223333", "eu-west-1"


def test_every_attribute_has_the_default_of_the_root_module(tmp_path: Path) -> None:
    defaults = TargetSettings().model_dump(exclude=NOT_RENDERED)
    target = {"account_id": ACCOUNT, "region": REGION, "home_region": REGION, "deployment_role": {"name": "Deploy"}}
    # The variables without the resources, so that no provider is needed.
    variables = (REPOSITORY / "variables.tf").read_text(encoding="utf-8")
    outputs = "".join(f'output "{name}" {{\n  value = var.{name}\n}}\n' for name in ("deployment_role", *defaults))
    (tmp_path / "main.tf").write_text(variables + outputs, encoding="utf-8")
    values = "".join(f"{name} = {hcl(value)}\n" for name, value in target.items())
    (tmp_path / "terraform.tfvars").write_text(values, encoding="utf-8")
    environment = {"PATH": os.environ["PATH"], "CHECKPOINT_DISABLE": "1", "TF_WORKSPACE": ACCOUNT}

    subprocess.run(
        [find_terraform(), "apply", "-auto-approve", "-input=false"], cwd=tmp_path, env=environment, check=True
    )

    state = json.loads((tmp_path / "terraform.tfstate.d" / ACCOUNT / "terraform.tfstate").read_text(encoding="utf-8"))
    assert {name: output["value"] for name, output in state["outputs"].items()} == {
        **defaults,
        "deployment_role": AccountRole(name="Deploy").model_dump(exclude={"in_management_account"}),
    }
