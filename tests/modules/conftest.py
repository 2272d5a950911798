"""Terraform in a copy of the repository, against the emulated organization."""

from __future__ import annotations

import json
import os
import shlex
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from aws_sandbox import Sandbox
from session_manager_fleet.run.executors.capacity import COLLECT_LATE
from session_manager_fleet.terraform.installation import child_environment, find_terraform

REPOSITORY = Path(__file__).parents[2]


@dataclass(frozen=True)
class Terraform:
    """Terraform in one folder."""

    binary: str
    folder: Path
    environment: dict[str, str]

    def in_workspace(self, name: str) -> Terraform:
        """The same in a workspace."""
        return replace(self, environment={**self.environment, "TF_WORKSPACE": name})

    def run(self, *arguments: str, **variables: object) -> subprocess.CompletedProcess[str]:
        """Run a command; variables go into a file, since the command line knows texts only."""
        arguments = (*arguments, "-no-color")
        if variables:
            file = self.folder / "test.tfvars.json"
            file.write_text(json.dumps(variables), encoding="utf-8")
            arguments = (*arguments, f"-var-file={file}")
        try:
            with self._provider(arguments[0]) as attached:
                return subprocess.run(
                    [self.binary, *arguments],
                    cwd=self.folder,
                    env={**self.environment, **attached},
                    capture_output=True,
                    text=True,
                    timeout=300,
                    check=False,
                )
        except subprocess.TimeoutExpired as expired:
            printed = (expired.output or b"").decode()
            raise AssertionError(f"terraform {' '.join(arguments)} does not come to an end:\n{printed}") from None

    @contextmanager
    def _provider(self, command: str) -> Iterator[dict[str, str]]:
        """One process of the provider for all steps of one command.

        By itself, terraform starts the provider for each step and hashes its 700 MB first: more than a third of the
        processor time of a command. Each command has a process of its own, since one that several commands use mixes
        up their credentials.
        """
        found = self.folder.glob(".terraform/providers/*/hashicorp/aws/*/*/terraform-provider-aws_*")
        provider = next(found, None)
        if provider is None or command not in {"plan", "apply", "destroy"}:
            yield {}
            return
        # Configured a second time, for the second step, it stumbles over certificates, which nothing here needs.
        environment = {name: value for name, value in self.environment.items() if name != "AWS_CA_BUNDLE"}
        with subprocess.Popen(
            [provider, "-debug"],
            cwd=self.folder,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        ) as process:
            try:
                assert process.stdout
                told = next(line for line in process.stdout if "TF_REATTACH_PROVIDERS=" in line)
                name, _, value = shlex.split(told)[0].partition("=")
                yield {name: value}
            finally:
                process.kill()

    def succeed(self, *arguments: str, **variables: object) -> str:
        """Run a command that must succeed; returns what it prints."""
        done = self.run(*arguments, **variables)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def refusals(self, command: str = "plan", *more: str, **variables: object) -> list[str]:
        """The errors of a plan, or of another command, that must fail; one text for each."""
        done = self.run(command, *more, "-input=false", "-json", **variables)
        messages = [json.loads(line) for line in done.stdout.splitlines()]
        found = [message["diagnostic"] for message in messages if message["type"] == "diagnostic"]
        errors = [f"{error['summary']}: {error['detail']}" for error in found if error["severity"] == "error"]
        assert done.returncode == 1, done.stdout + done.stderr
        assert errors, done.stdout
        return errors

    def outputs(self) -> dict[str, Any]:
        """The values of the outputs."""
        return {name: output["value"] for name, output in json.loads(self.succeed("output", "-json")).items()}


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
    binary, home = find_terraform(), tmp_path_factory.mktemp("home")
    environment = child_environment({**os.environ, **sandbox.environment(), "HOME": str(home)}, home, COLLECT_LATE)

    def build(account_id: str) -> Terraform:
        credentials = sandbox.session(account_id, sandbox.organization.home_region).get_credentials()
        assert credentials
        keys = {
            "AWS_ACCESS_KEY_ID": str(credentials.access_key),
            "AWS_SECRET_ACCESS_KEY": str(credentials.secret_key),
            "AWS_SESSION_TOKEN": str(credentials.token or ""),
        }
        return Terraform(binary, configuration, {**environment, **keys})

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
        terraform.succeed("init", "-input=false")
        terraform.succeed("apply", "-auto-approve", "-input=false", **variables)
        terraform.succeed("plan", "-detailed-exitcode", "-input=false", **variables)
        return terraform.outputs()

    yield apply
    for terraform, variables in done:
        terraform.succeed("destroy", "-auto-approve", "-input=false", **variables)
