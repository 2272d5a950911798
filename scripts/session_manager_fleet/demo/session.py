"""Run an emulated organization for the duration of a command, with settings for it."""

import fcntl
import hashlib
import os
import secrets
import shlex
import shutil
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from aws_sandbox.emulator import Sandbox
from aws_sandbox.model import SandboxAccount, SandboxError, SandboxOrganization, default_organization
from session_manager_fleet.accounts import MANAGEMENT, ROOT, Account, deployment_role, from_lza
from session_manager_fleet.errors import AccessError, ExitCode, FleetError, InputError
from session_manager_fleet.files import make_private_folder, open_private, write_private
from session_manager_fleet.hcl import quote
from session_manager_fleet.settings import load_settings
from session_manager_fleet.terraform import ROOT_MODULE, StateBackend, child_environment, processes

_EXAMPLE = ROOT_MODULE.path / "examples" / "organization" / "organization.yaml"

_FOLDER = "sandbox-"
# Locked as long as the folder is in use.
_IN_USE = "in-use"

# Terraform needs no time to save states: the organization ends with the command.
_INTERRUPT_SECONDS = 3.0

# AWS settings of the caller that are kept; all others could lead clients to AWS instead of the emulator.
_KEPT_VARIABLES = frozenset({"AWS_CA_BUNDLE"})


class DemoError(FleetError):
    """The emulated organization cannot be started or reached."""

    exit_code = ExitCode.INTERNAL_ERROR


@dataclass(frozen=True)
class RunningSandbox:
    """A running emulated organization.

    Attributes:
        sandbox: The emulator.
        organization: Its accounts and regions.
        config: Path of its organization.yaml.
        environment_file: Shell script that exports `environment`.
        environment: Variables for clients of the emulator.
        backend_file: Backend configuration of the home region, for `terraform init` in the folder of the root module.
    """

    sandbox: Sandbox
    organization: SandboxOrganization
    config: Path
    environment_file: Path
    environment: Mapping[str, str]
    backend_file: Path

    def shell_environment(self) -> str:
        """Return the `export` lines for a shell."""
        return "".join(f"export {name}={shlex.quote(value)}\n" for name, value in sorted(self.environment.items()))


@contextmanager
def sandboxed(lza: Path | None, runs: Path, tell: Callable[[str], None]) -> Iterator[RunningSandbox]:
    """Run an emulated organization, with the AWS environment of this process set for it.

    Args:
        lza: Landing Zone Accelerator folder to read the organization from, or None for the example organization.
        runs: Folder for temporary files.
        tell: Called with a sentence before steps that take time.

    Raises:
        InputError: The Landing Zone Accelerator configuration is invalid.
        DemoError: The emulator does not start, or fails later.
    """
    organization = default_organization() if lza is None else _organization_of(lza)
    processes.guard_children(_INTERRUPT_SECONDS)
    _remove_left_behind(runs)
    folder = runs / f"{_FOLDER}{secrets.token_hex(3)}"
    make_private_folder(folder)
    in_use = open_private(folder / _IN_USE, os.O_RDWR)
    fcntl.flock(in_use, fcntl.LOCK_EX)
    tell(f"Starting an emulated organization with {len(organization.accounts)} accounts…")
    try:
        with Sandbox.start(organization, folder, enforce_iam=True) as sandbox, _environment(sandbox.environment()):
            config = _EXAMPLE if lza is None else _write_config(folder, organization, lza, sandbox.seed_data.legacy)
            backend = _write_backend(folder, config)
            exported = {**sandbox.environment(), **_terraform_environment(folder), "BACKEND": str(backend)}
            running = RunningSandbox(sandbox, organization, config, folder / "environment.sh", exported, backend)
            write_private(running.environment_file, running.shell_environment())
            yield running
    except SandboxError as error:
        raise DemoError(str(error)) from error
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        os.close(in_use)


def _remove_left_behind(runs: Path) -> None:
    """Remove the folders of emulated organizations whose command was killed; the kernel has released their locks."""
    for path in runs.glob(f"{_FOLDER}*/{_IN_USE}"):
        with suppress(OSError):
            handle = open_private(path, os.O_RDWR)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if not path.parent.is_symlink():
                    shutil.rmtree(path.parent, ignore_errors=True)
            finally:
                os.close(handle)


def _organization_of(lza: Path) -> SandboxOrganization:
    """Turn a Landing Zone Accelerator configuration into an organization to emulate."""
    read = from_lza(lza, _NewAccounts())
    management = [account.id for account in read.accounts if account.role == MANAGEMENT]
    if not management or read.home_region is None:
        raise InputError("The configuration holds no management account.", str(lza / "accounts-config.yaml"))
    accounts = tuple(
        SandboxAccount(account.id, account.name, account.email, "" if account.ou == ROOT else account.ou)
        for account in read.accounts
    )
    return SandboxOrganization(
        id="o-sandbox1234",
        management_account_id=management[0],
        accounts=accounts,
        organizational_units=read.organizational_units,
        home_region=read.home_region,
        regions=read.regions,
        deployment_role=deployment_role(lza),
        name=lza.resolve().name,
    )


class _NewAccounts:
    """Assigns an id to each account without one in the configuration, as AWS does when it creates an account."""

    def accounts(self, emails: Collection[str], region: str | None) -> list[Account]:  # noqa: ARG002
        """Return an account for each address; an address always gets the same id."""
        numbers = {email: int(hashlib.sha256(email.encode()).hexdigest(), 16) % 10**12 for email in emails}
        return [Account(f"{number:012}", email, email=email) for email, number in numbers.items()]

    def parameter(self, name: str, region: str | None) -> str:
        """Refuse: an emulated organization has no SSM parameters.

        Raises:
            AccessError: Always.
        """
        raise AccessError(f"The emulated organization has no parameter {name} in {region}; use a value instead.")


def _write_config(folder: Path, organization: SandboxOrganization, lza: Path, legacy_account_id: str | None) -> Path:
    """Write organization.yaml for an organization from a Landing Zone Accelerator configuration."""
    config: dict[str, Any] = {
        "schema_version": 1,
        "organization": {
            "id": organization.id,
            "deployment_role": {"name": organization.deployment_role},
            "accounts": {"source": "lza", "path": str(lza.resolve())},
        },
        "defaults": {"tags": {"managed-by": "session-manager-rollout"}},
    }
    if legacy_account_id is not None:
        config["overrides"] = [
            {"match": {"accounts": [legacy_account_id]}, "set": {"instance_policy": {"enabled": False}}}
        ]
    path = folder / "organization.yaml"
    write_private(path, yaml.safe_dump(config, sort_keys=False))
    return path


def _write_backend(folder: Path, config: Path) -> Path:
    """Write the backend configuration of the home region, and return its path."""
    settings = load_settings(config).organization
    home_region = settings.home_region or os.environ["AWS_REGION"]
    backend = StateBackend.find(settings, home_region).configuration(home_region)
    lines = [f"{name} = {value if value == 'true' else quote(value)}" for name, value in backend.items()]
    path = folder / "backend.hcl"
    write_private(path, "\n".join(lines) + "\n")
    return path


def _terraform_environment(folder: Path) -> dict[str, str]:
    """Return variables for Terraform by hand."""
    environment = {"TF_DATA_DIR": str(folder / ".terraform")}
    configuration = child_environment(os.environ, folder).get("TF_CLI_CONFIG_FILE")
    return {**environment, "TF_CLI_CONFIG_FILE": configuration} if configuration else environment


@contextmanager
def _environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Replace all AWS variables of this process by these, and restore the environment at the end."""
    before = dict(os.environ)
    for name in before:
        if name.startswith("AWS_") and name not in _KEPT_VARIABLES:
            del os.environ[name]
    os.environ.update(variables)
    try:
        yield
    finally:
        for name in [name for name in os.environ if name not in before and name != processes.MARKER]:
            del os.environ[name]
        os.environ.update(before)
