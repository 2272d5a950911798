"""The root module refuses to work on an account or in a workspace that is not the one it was made for."""

import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from aws_sandbox import Sandbox
from session_manager_fleet.accounts.model import MANAGEMENT
from session_manager_fleet.targets.inventory import Inventory
from session_manager_fleet.targets.model import Target
from session_manager_fleet.targets.tfvars import TfvarsRenderer
from session_manager_fleet.terraform.backend import StateBackend
from session_manager_fleet.terraform.installation import child_environment, find_terraform

pytestmark = pytest.mark.terraform

PROJECT = Path(__file__).resolve().parents[2]
EXAMPLE = Path(__file__).with_name("organization.yaml")

AUDIT = "275839064127"
WEBSHOP = "158346729082"

Plan = Callable[[str, str], subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
def plan(sandbox: Sandbox, tmp_path_factory: pytest.TempPathFactory) -> Plan:
    """Plan the root by hand: given the tfvars and the workspace."""
    folder = tmp_path_factory.mktemp("guards")
    with pytest.MonkeyPatch.context() as patch:
        for name in [name for name in os.environ if name.startswith("AWS_")]:
            patch.delenv(name)
        for name, value in sandbox.environment().items():
            patch.setenv(name, value)
        environment = {**child_environment(os.environ, folder), "TF_DATA_DIR": str(folder / "data")}
        context = Inventory.load(EXAMPLE)
        states = StateBackend.find(context.settings.organization, context.home_region)
        backend = states.configuration("eu-west-1")
    options = [f"-backend-config={key}={value}" for key, value in backend.items()]
    terraform = find_terraform()
    subprocess.run([terraform, "init", "-no-color", *options], cwd=PROJECT, env=environment, check=True, timeout=120)

    def run(text: str, workspace: str) -> subprocess.CompletedProcess[str]:
        variables = folder / "terraform.tfvars"
        variables.write_text(text)
        return subprocess.run(
            [terraform, "plan", "-no-color", f"-var-file={variables}"],
            cwd=PROJECT,
            env={**environment, "TF_WORKSPACE": workspace},
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    return run


def tfvars_of(account_id: str, *, role: str = "") -> str:
    """Render the example's settings for an account; as management account it is entered without a role."""
    context = Inventory.load(_accounts_file(account_id, role))
    (account,) = context.organization.accounts
    target = Target(account, "eu-west-1", "eu-west-1")
    settings = context.settings
    return TfvarsRenderer("organization.yaml").render(
        target, settings.effective(account, "eu-west-1"), settings.organization.roles
    )


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def _accounts_file(account_id: str, role: str) -> Path:
    Path("accounts.yaml").write_text(f"accounts: [{{id: '{account_id}', name: Any, role: '{role}'}}]")
    Path("organization.yaml").write_text(
        "schema_version: 1\n"
        "organization: {id: o-sandbox1234, home_region: eu-west-1, regions: [eu-west-1, us-east-1],"
        " deployment_role: {name: AWSControlTowerExecution}, accounts: {source: file, path: accounts.yaml}}\n"
    )
    return Path("organization.yaml")


@pytest.mark.parametrize("workspace", ["default", WEBSHOP, f"{AUDIT}-eu-west-1", f"{AUDIT}-us-east-1"])
def test_a_workspace_of_something_else_is_refused(plan: Plan, workspace: str) -> None:
    finished = plan(tfvars_of(AUDIT), workspace)
    assert finished.returncode == 1
    assert "workspace" in finished.stderr
    assert AUDIT in finished.stderr


def test_credentials_of_another_account_are_refused(plan: Plan) -> None:
    # Without a role the caller's own credentials are used, and they are those of the management account.
    finished = plan(tfvars_of(AUDIT, role=MANAGEMENT), AUDIT)
    assert finished.returncode == 1
    assert "AWS account ID not allowed" in finished.stderr
