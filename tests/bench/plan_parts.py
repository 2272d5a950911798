"""Weigh the parts of a plan, each by the least command that has it; the rest is the configuration and its refresh."""

from __future__ import annotations

import os
import resource
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from session_manager_fleet.files import sha256_of
from session_manager_fleet.run.executors.capacity import measure_capacity
from session_manager_fleet.terraform.command import Terraform
from session_manager_fleet.terraform.installation import child_environment, find_terraform, terraform_version
from session_manager_fleet.terraform.root_module import ROOT_MODULE, RootModule

_ONE_DATA_SOURCE = 'provider "aws" {{ region = "{region}" }}\ndata "aws_partition" "this" {{}}\n'
_ONLY_A_STATE = 'terraform {\n  backend "s3" {}\n}\nresource "terraform_data" "this" {}\n'


def children_cpu(work: Callable[[], object]) -> float:
    """Return the processor seconds of all child processes that ended during the work."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    work()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def own_cpu(work: Callable[[], object]) -> float:
    """Return the processor seconds that this process itself spends on the work."""
    before = time.process_time()
    work()
    return time.process_time() - before


@dataclass(frozen=True)
class Parts:
    """Processor seconds of the parts of a plan.

    Attributes:
        check: The check of the provider's package, once in a run.
        terraform: Start of terraform.
        provider: Start and end of the provider.
        state: Calls for the state and its lock.
        least: A plan of one data source that asks AWS nothing: terraform and the provider do not go below.
    """

    check: float
    terraform: float
    provider: float
    state: float
    least: float

    def rows(self, plan: float, ours: float) -> list[tuple[str, float]]:
        """Return the parts of a plan and their processor seconds.

        Args:
            plan: Processor seconds of the child processes of a whole plan.
            ours: Processor seconds of this process for a plan.
        """
        return [
            ("terraform start", self.terraform),
            ("provider start", self.provider),
            ("schema", self.least - self.provider - self.terraform),
            ("state and lock calls", self.state),
            ("configuration and refresh", plan - self.least - self.state),
            ("ours", ours),
            ("once a run: check of the provider's package", self.check),
        ]


class Probe:
    """The least commands, prepared to be measured several times."""

    def __init__(self, folder: Path, backend: Mapping[str, str]) -> None:
        self._folder, self._binary = folder, find_terraform()
        region = os.environ["AWS_REGION"]
        self._least = self._prepare("least", _ONE_DATA_SOURCE.format(region=region), {})
        self._state = self._prepare("state", _ONLY_A_STATE, backend)
        # The first plan of a workspace creates its state.
        self._plan(self._state, "state")

    def _prepare(self, name: str, configuration: str, backend: Mapping[str, str]) -> Terraform:
        root = RootModule(self._folder / name)
        root.path.mkdir(parents=True)
        (root.path / "main.tf").write_text(configuration)
        (root.path / "empty.tfvars").write_text("")
        if "aws" in configuration:
            root.lock_file.write_bytes(ROOT_MODULE.lock_file.read_bytes())
        go_runtime = measure_capacity(1).go_runtime
        terraform = Terraform(
            binary=self._binary,
            root=root,
            data_folder=self._folder / f"{name}.data",
            environment=child_environment(os.environ, self._folder, go_runtime),
        )
        terraform.init(backend, self._folder / f"{name}.log")
        return terraform

    def _plan(self, terraform: Terraform, workspace: str) -> None:
        variables, plan = terraform.root.path / "empty.tfvars", terraform.root.path / "tfplan"
        terraform.plan(workspace, variables, plan, self._folder / "plan.log")

    def measure(self) -> Parts:
        """Measure every part once.

        Raises:
            AssertionError: Terraform starts the provider itself; the figures would mean nothing.
        """
        reasons: list[str] = []
        provider = children_cpu(lambda: reasons.append(self._least.try_provider()))
        assert reasons == [""], reasons
        start = children_cpu(lambda: terraform_version(self._binary))
        (executable,) = (self._folder / "least.data").glob("providers/*/*/*/*/*/terraform-provider-aws_*")
        # It has no provider, and none is started for it.
        state = children_cpu(lambda: self._plan(self._state, "state")) - start
        return Parts(
            check=own_cpu(lambda: sha256_of(executable)),
            terraform=start,
            provider=provider,
            state=state,
            least=children_cpu(lambda: self._plan(self._least, "default")),
        )


def least_of(measured: list[Parts]) -> Parts:
    """Return the least of each part: what is beyond it is noise of the machine."""
    names = ("check", "terraform", "provider", "state", "least")
    return Parts(**{name: min(getattr(parts, name) for parts in measured) for name in names})
