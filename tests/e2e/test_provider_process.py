"""Plans with a provider process of their own, with the real provider: the right account, or no plan."""

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import botocore
import pytest

from aws_sandbox import Sandbox
from session_manager_fleet.errors import TerraformError
from session_manager_fleet.run.executors.capacity import COLLECT_LATE
from session_manager_fleet.terraform import command
from session_manager_fleet.terraform.backend import StateBackend
from session_manager_fleet.terraform.command import Terraform
from session_manager_fleet.terraform.installation import child_environment, find_terraform
from session_manager_fleet.terraform.provider_process import AttachedProvider, attached_provider
from session_manager_fleet.terraform.root_module import ROOT_MODULE, RootModule

HOME = "eu-west-1"

pytestmark = pytest.mark.terraform

Attach = Callable[[RootModule, Path, Mapping[str, str]], Iterator[AttachedProvider]]


@pytest.fixture
def environment(sandbox: Sandbox, tmp_path: Path) -> dict[str, str]:
    """The environment of a rollout whose company has certificates of its own."""
    certificates = str(Path(botocore.__file__).with_name("cacert.pem"))
    caller = {**os.environ, **sandbox.environment(), "AWS_CA_BUNDLE": certificates}
    return child_environment(caller, tmp_path, COLLECT_LATE)


@pytest.fixture
def initialized(sandbox: Sandbox, environment: dict[str, str], tmp_path: Path) -> Callable[[str], Terraform]:
    """Initialize terraform for a rollout, with a name."""

    def initialize(name: str) -> Terraform:
        terraform = Terraform(
            binary=find_terraform(), root=ROOT_MODULE, data_folder=tmp_path / name, environment=environment
        )
        backend = StateBackend(sandbox.state_bucket, HOME, "provider-process")
        terraform.init(backend.configuration(HOME), tmp_path / f"{name}.log")
        assert terraform.try_provider() == ""
        return terraform

    return initialize


def plan(terraform: Terraform, account_id: str, folder: Path, role: str | None) -> dict[str, Any]:
    """Plan an account, and return the plan."""
    folder.mkdir(exist_ok=True)
    variables = f'account_id = "{account_id}"\nregion = "{HOME}"\nhome_region = "{HOME}"\n'
    variables += f'deployment_role = {{ name = "{role}" }}\n' if role else ""
    (folder / "terraform.tfvars").write_text(variables)
    terraform.plan(account_id, folder / "terraform.tfvars", folder / "tfplan", folder / "terraform.log")
    return terraform.show(folder / "tfplan", folder / "terraform.log")


def account_of(shown: dict[str, Any]) -> str:
    """Return the account whose credentials the provider had."""
    read = shown["prior_state"]["values"]["root_module"]["resources"]
    return str(
        next(one for one in read if one["address"] == "data.aws_caller_identity.current")["values"]["account_id"]
    )


def test_rollouts_side_by_side_plan_the_right_accounts(
    sandbox: Sandbox, initialized: Callable[[str], Terraform], tmp_path: Path
) -> None:
    role = sandbox.organization.deployment_role
    accounts = [account.id for account in sandbox.organization.members[:2]]
    rollouts = [initialized(f"rollout-{number}") for number in range(2)]

    def both(number: int) -> list[str]:
        # The second rollout plans the accounts in the other order.
        return [
            account_of(plan(rollouts[number], account, tmp_path / f"{number}-{account}", role))
            for account in accounts[:: 1 - 2 * number]
        ]

    with ThreadPoolExecutor(2) as threads:
        assert list(threads.map(both, range(2))) == [accounts, accounts[::-1]]


def attach_by(monkeypatch: pytest.MonkeyPatch, attach: Attach) -> None:
    """Let something happen to the providers of plans."""
    monkeypatch.setattr(command, "attached_provider", contextmanager(attach))


def test_a_provider_with_the_credentials_of_another_account_is_refused(
    sandbox: Sandbox, initialized: Callable[[str], Terraform], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = sandbox.organization.members[0].id
    credentials = sandbox.session(other, HOME).get_credentials()
    assert credentials
    keys = {"AWS_ACCESS_KEY_ID": credentials.access_key, "AWS_SECRET_ACCESS_KEY": credentials.secret_key}
    if credentials.token:
        keys["AWS_SESSION_TOKEN"] = credentials.token

    def mixed_up(root: RootModule, data: Path, environment: Mapping[str, str]) -> Iterator[AttachedProvider]:
        with attached_provider(root, data, {**environment, **keys}) as provider:
            yield provider

    attach_by(monkeypatch, mixed_up)

    with pytest.raises(TerraformError) as refused:
        plan(initialized("mixed"), sandbox.organization.management_account_id, tmp_path / "target", None)

    assert other in "".join(refused.value.diagnostics)


def test_a_provider_that_dies_in_the_middle_fails_the_plan_and_leaves_no_lock(
    sandbox: Sandbox, initialized: Callable[[str], Terraform], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    log = tmp_path / "target" / "terraform.log"

    def doomed(root: RootModule, data: Path, environment: Mapping[str, str]) -> Iterator[AttachedProvider]:
        with attached_provider(root, data, environment) as provider:

            def kill() -> None:
                while provider.process.poll() is None and "data.aws_" not in log.read_text():
                    time.sleep(0.01)
                provider.process.kill()

            killer = threading.Thread(target=kill)
            if log.exists():
                killer.start()
            yield provider
        if killer.ident:
            killer.join()

    terraform = initialized("doomed")
    arguments = (sandbox.organization.members[0].id, log.parent, sandbox.organization.deployment_role)
    with monkeypatch.context() as dying:
        attach_by(dying, doomed)
        with pytest.raises(TerraformError) as failed:
            plan(terraform, *arguments)

    assert "The provider was killed, as the kernel does when memory runs out" in failed.value.diagnostics[-1]
    assert len(failed.value.diagnostics) > 1, "terraform says it, too"
    assert account_of(plan(terraform, *arguments)) == arguments[0]
