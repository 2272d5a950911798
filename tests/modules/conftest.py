"""Terraform in a copy of the repository, against the emulated organization."""

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import tftest

from aws_sandbox import Sandbox
from session_manager_fleet.run.executors.capacity import COLLECT_LATE
from session_manager_fleet.terraform.installation import child_environment, find_terraform
from tests.modules.attached import attachment

REPOSITORY = Path(__file__).parents[2]
_LOCK_FILE = ".terraform.lock.hcl"
# Scenarios run at once.
_installing = threading.Lock()


@dataclass(frozen=True)
class Terraform:
    """tftest in one folder, always a temporary copy, around its traps.

    Variables go through a file, because tftest writes True and None as Python does; the environment is given whole; any
    exit code but 0 fails, because tftest lets most of them pass; `setup`, which deletes states and lock files when the
    object goes, is not used.
    """

    binary: str
    folder: Path
    environment: dict[str, str]
    installed: Path
    """A folder with the provider, where nothing is applied."""

    def in_workspace(self, name: str) -> "Terraform":
        """The same in a workspace."""
        return replace(self, environment={**self.environment, "TF_WORKSPACE": name})

    def succeed(self, command: str, *arguments: str, **variables: object) -> str:
        """Run a command that must succeed; returns what it prints."""
        test = tftest.TerraformTest(str(self.folder), binary=self.binary)
        if variables:
            file = self.folder / "test.tfvars.json"
            file.write_text(json.dumps(variables), encoding="utf-8")
            arguments = (*arguments, f"-var-file={file}")
        if command in {"apply", "destroy", "init", "plan"}:
            arguments = ("-input=false", *arguments)
        with attachment(command, self.folder, self.environment) as attached:
            test.env = {**self.environment, **attached}
            done = test.execute_command(command, *arguments, "-no-color")
        if done.retcode != 0:
            raise tftest.TerraformTestError(f"terraform {command} ended with {done.retcode}: {done.out}{done.err}")
        return str(done.out)

    def init(self, **backend: str) -> None:
        """Initialize the folder, its backend with these settings if there are any.

        Without a backend, only the first folder of all is initialized as a whole: `terraform init` reads the 700 MB of
        the provider each time. The others get its provider. That each example can be initialized is seen by
        tools/validate_modules.py.
        """
        if backend:
            self.succeed("init", *tftest.parse_args(init_vars=backend))
            return
        with _installing:
            if not (self.installed / ".terraform").exists():
                replace(self, folder=self.installed).succeed("init", "-backend=false")
        data = self.folder / ".terraform"
        if not data.exists():
            data.mkdir()
            (data / "providers").symlink_to(self.installed / ".terraform" / "providers")
            shutil.copy(self.installed / _LOCK_FILE, self.folder)
        self.succeed("get")

    def plan(self, **variables: object) -> tftest.TerraformPlanOutput:
        """Return the parsed plan; its file stays in the folder, where tftest's own leaks into the temporary one."""
        self.succeed("plan", "-out=plan", **variables)
        return tftest.TerraformPlanOutput(json.loads(self.succeed("show", "-json", "plan")))

    def apply(self, **variables: object) -> str:
        """Apply the configuration, and see that a second plan is empty."""
        printed = self.succeed("apply", "-auto-approve", **variables)
        self.succeed("plan", "-detailed-exitcode", **variables)
        return printed

    def destroy(self, **variables: object) -> str:
        """Destroy what was applied."""
        return self.succeed("destroy", "-auto-approve", **variables)

    def outputs(self) -> dict[str, Any]:
        """The values of the outputs."""
        return dict(tftest.TerraformValueDict(json.loads(self.succeed("output", "-json"))).items())

    def refusals(self, command: str = "plan", *arguments: str, **variables: object) -> list[str]:
        """The errors of a plan, or of another command, that must fail; one text for each."""
        with pytest.raises(tftest.TerraformTestError) as failed:
            self.succeed(command, "-json", *arguments, **variables)
        messages = [json.loads(line) for line in failed.value.args[0].splitlines() if line.startswith("{")]
        found = [message["diagnostic"] for message in messages if message["type"] == "diagnostic"]
        errors = [f"{error['summary']}: {error['detail']}" for error in found if error["severity"] == "error"]
        assert errors, failed.value
        return errors


@pytest.fixture(scope="session")
def configuration(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the root, the modules and the examples, so that terraform leaves nothing in the repository."""
    folder = tmp_path_factory.mktemp("configuration")
    for file in [*REPOSITORY.glob("*.tf"), REPOSITORY / ".terraform.lock.hcl"]:
        shutil.copy(file, folder)
    for name in ("modules", "examples"):
        shutil.copytree(REPOSITORY / name, folder / name, ignore=shutil.ignore_patterns(".terraform*", "*.tfstate*"))
    return folder


@pytest.fixture(scope="session")
def in_account(
    sandbox: Sandbox, configuration: Path, tmp_path_factory: pytest.TempPathFactory
) -> Callable[[str], Terraform]:
    """Terraform in the copy, with credentials of an account."""
    binary, home, installed = find_terraform(), tmp_path_factory.mktemp("home"), tmp_path_factory.mktemp("installed")
    for name in ("versions.tf", _LOCK_FILE):
        shutil.copy(REPOSITORY / name, installed)
    environment = child_environment({**os.environ, **sandbox.environment(), "HOME": str(home)}, home, COLLECT_LATE)

    def build(account_id: str) -> Terraform:
        credentials = sandbox.session(account_id, sandbox.organization.home_region).get_credentials()
        assert credentials
        keys = {
            "AWS_ACCESS_KEY_ID": str(credentials.access_key),
            "AWS_SECRET_ACCESS_KEY": str(credentials.secret_key),
            "AWS_SESSION_TOKEN": str(credentials.token or ""),
        }
        return Terraform(binary, configuration, {**environment, **keys}, installed)

    return build


@pytest.fixture
def caller(in_account: Callable[[str], Terraform], sandbox: Sandbox, tmp_path: Path) -> Terraform:
    """An empty root of a member account beside the modules."""
    terraform = in_account(sandbox.organization.members[0].id)
    folder = tmp_path / "root"
    folder.mkdir()
    (folder / "modules").symlink_to(terraform.folder / "modules")
    (folder / "provider.tf").write_text('provider "aws" {\n  region = "eu-west-1"\n}\n', encoding="utf-8")
    return replace(terraform, folder=folder)


@pytest.fixture
def applied(in_account: Callable[[str], Terraform], sandbox: Sandbox) -> Iterator[Callable[..., dict[str, Any]]]:
    """Applies an example in an account, the first member unless told, sees that a second plan is empty, and returns the
    outputs; takes it away at the end.
    """
    done: list[tuple[Terraform, dict[str, object]]] = []

    def apply(name: str, account_id: str = sandbox.organization.members[0].id, **variables: object) -> dict[str, Any]:
        there = in_account(account_id)
        terraform = replace(there, folder=there.folder / "examples" / name)
        done.append((terraform, variables))
        terraform.init()
        terraform.apply(**variables)
        return terraform.outputs()

    yield apply
    for terraform, variables in done:
        terraform.destroy(**variables)
