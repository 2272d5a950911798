"""Check everything that a command with Terraform needs before it starts, so that all problems show at once."""

import platform
import shutil
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import boto3

from session_manager_fleet.accounts import Account, organization_of
from session_manager_fleet.aws import Caller, caller_identity, new_session, partitions, translated_errors, validity
from session_manager_fleet.errors import AccessError, FleetError, InputError, Problem
from session_manager_fleet.run.credentials import CredentialsEnd
from session_manager_fleet.run.results import Step
from session_manager_fleet.settings import CHAINED_SECONDS, SOVEREIGN_PARTITION, AccountRole, Tolerance
from session_manager_fleet.targets import Inventory, Target, account_session
from session_manager_fleet.terraform import (
    ROOT_MODULE,
    RootModule,
    StateBackend,
    find_terraform,
    product_and_version,
    provider_source,
    terraform_version,
)

_MIB = 1024**2
# Logs, plans and rendered variables of some hundred targets.
_RUN_BYTES = 256 * _MIB
# Terraform unpacks the provider once for all regions, unless it can link to it.
_PROVIDER_BYTES = 800 * _MIB

# Providers answer on a socket `plugin<number>` in the temporary folder, whose path the kernel limits
# (sun_path in unix(7) and in Darwin's sys/un.h, with the zero at the end).
_SOCKET_PATH = 103 if sys.platform == "darwin" else 107
_SOCKET_NAME = len("/plugin4294967295")

# Threads mostly wait for AWS, so there may be many more than processors.
_WORKERS = 16
# Accounts that a message names; and those that are suggested to be excluded.
_NAMED, _EXCLUDED = 20, 5


class RoleError(AccessError):
    """The role cannot be assumed in some accounts.

    Attributes:
        accounts: Their ids.
    """

    def __init__(self, message: str, accounts: Sequence[str]) -> None:
        super().__init__(message)
        self.accounts = tuple(accounts)


@dataclass(frozen=True)
class Prerequisite:
    """Something that a command needs.

    Attributes:
        name: `terraform`, `root_module`, `provider`, `temporary_folder`, `disk`, `credentials`, `state_bucket`, `role`,
            `deployment_role`.
        check: Returns what was found; raises a FleetError that says what is missing and what to do.
        after: Name of a prerequisite without which this one cannot be checked; empty for none.
    """

    name: str
    check: Callable[[], str]
    after: str = ""


@dataclass(frozen=True)
class Outcome:
    """A prerequisite that was checked.

    Attributes:
        name: Its name.
        found: What was found; empty if it is missing.
        error: What is missing, or None.
    """

    name: str
    found: str = ""
    error: FleetError | None = None


def of_machine(environment: Mapping[str, str], runs: Path, *, runs_terraform: bool = True) -> list[Prerequisite]:
    """Return what is needed on this machine.

    Args:
        environment: The caller's environment.
        runs: Folder of the run folders, which need not exist.
        runs_terraform: Whether Terraform works on targets here, and not on a cluster.
    """
    needed = [
        Prerequisite("python", lambda: f"Python {platform.python_version()}"),
        Prerequisite("terraform", _terraform),
        Prerequisite("root_module", lambda: _root_module(ROOT_MODULE)),
    ]
    if runs_terraform:
        needed += [
            Prerequisite("provider", lambda: _provider(environment)),
            Prerequisite("temporary_folder", lambda: _temporary_folder(environment)),
        ]
    return [*needed, Prerequisite("disk", lambda: _disk(environment, runs, runs_terraform=runs_terraform))]


def of_organization(inventory: Inventory, targets: Sequence[Target], *, changes: bool = False) -> list[Prerequisite]:
    """Return what is needed in AWS: credentials, the state bucket, and the roles in the accounts.

    Args:
        inventory: The organization and its settings.
        targets: Targets of the command.
        changes: Whether the command changes resources, so that it needs the deployment role, too.
    """
    roles = inventory.settings.organization.roles
    reads = "organization.read_role" if roles.read else "organization.deployment_role"
    needed = {"role": (roles.reader, reads)}
    if changes and roles.read:
        needed["deployment_role"] = (roles.deployment, "organization.deployment_role")
    return [
        *([Prerequisite("partition", _refuse_partition)] if _is_sovereign(inventory) else []),
        Prerequisite("credentials", lambda: _credentials(inventory)),
        Prerequisite("state_bucket", lambda: _state_bucket(inventory), after="credentials"),
        *(
            Prerequisite(name, partial(_role, inventory, targets, role, key), after="credentials")
            for name, (role, key) in needed.items()
        ),
    ]


def examine(prerequisites: Iterable[Prerequisite]) -> list[Outcome]:
    """Check prerequisites, without those that need one that is missing."""
    outcomes: list[Outcome] = []
    for one in prerequisites:
        if any(outcome.error and outcome.name == one.after for outcome in outcomes):
            continue
        try:
            outcomes.append(Outcome(one.name, one.check()))
        except FleetError as error:
            outcomes.append(Outcome(one.name, error=error))
    return outcomes


def is_tolerated(
    error: RoleError, targets: Sequence[Target], waves: Mapping[str, Tolerance], in_all: Tolerance | None
) -> bool:
    """Tell whether a run goes on without the accounts that lack the role; their targets fail by themselves.

    Args:
        error: The accounts.
        targets: Targets of the run.
        waves: Failures that each wave tolerates; empty for a plan, which has no order of waves.
        in_all: Failures that are tolerated in all; None for any number but all.
    """
    failing = Counter(target.wave for target in targets if target.account.id in error.accounts)
    if failing.total() == len(targets) or (in_all is not None and in_all.exceeded_by(failing.total(), len(targets))):
        return False
    sizes = Counter(target.wave for target in targets)
    return not any(waves[name].exceeded_by(failing[name], sizes[name]) for name in sizes if name in waves)


def refuse_missing(outcomes: Iterable[Outcome], *others: FleetError) -> None:
    """Refuse to start when anything is missing.

    Args:
        outcomes: Prerequisites that were checked.
        others: Further errors to report with them.

    Raises:
        FleetError: The one error, or all of them as one.
    """
    errors = [*(outcome.error for outcome in outcomes if outcome.error), *others]
    if len(errors) == 1:
        raise errors[0]
    if not errors:
        return
    text = "\n".join(map(str, errors))
    raise InputError(text) if any(isinstance(error, InputError) for error in errors) else AccessError(text)


def _terraform() -> str:
    binary = find_terraform()
    return f"{product_and_version(terraform_version(binary))} ({binary})"


def _root_module(root: RootModule) -> str:
    if found := root.unreviewed_files:
        names = ", ".join(str(path) for path in found)
        message = (
            f"Terraform would read {names} for every target, without a word in settings and reviews: remove it, and "
            "set values in organization.yaml."
        )
        raise InputError(message)
    return str(root.path)


def _provider(environment: Mapping[str, str]) -> str:
    source = provider_source(environment)
    if source.problem:
        raise InputError(source.problem)
    return f"hashicorp/aws: {source.description}"


def _temporary_folder(environment: Mapping[str, str]) -> str:
    folder = Path(environment.get("TMPDIR") or "/tmp")  # noqa: S108 - Go's default, too
    if not folder.is_dir():
        raise InputError(f"{folder} is no folder: unset TMPDIR, or create the folder.", "TMPDIR")
    longest = _SOCKET_PATH - _SOCKET_NAME
    length = len(str(folder).rstrip("/").encode())
    if length > longest:
        message = (
            f"The path {folder} has {length} characters; Terraform's providers need a temporary folder with at most "
            f"{longest}: set TMPDIR=/tmp."
        )
        raise InputError(message, "TMPDIR")
    try:
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        message = f"Cannot write to {folder} ({error.strerror}): free space, or set TMPDIR to another folder."
        raise InputError(message, "TMPDIR") from error
    return str(folder)


def _disk(environment: Mapping[str, str], runs: Path, *, runs_terraform: bool) -> str:
    there = next(folder for folder in (runs, *runs.absolute().parents) if folder.is_dir())
    source = provider_source(environment)
    needed = _RUN_BYTES + (_PROVIDER_BYTES if runs_terraform and not source.is_unpacked else 0)
    free = shutil.disk_usage(there).free
    if free < needed:
        message = (
            f"{there} has {free // _MIB} MiB free and the run needs up to {needed // _MIB} MiB: free some, or name a "
            "folder on another disk."
        )
        raise InputError(message, "--runs")
    return f"{free // _MIB} MiB free in {there}, {needed // _MIB} MiB needed"


def _is_sovereign(inventory: Inventory) -> bool:
    return partitions()[inventory.home_region] == SOVEREIGN_PARTITION


def _refuse_partition() -> str:
    message = (
        "Terraform cannot work in the European Sovereign Cloud (aws-eusc) yet: the S3 backend of Terraform 1.11 does "
        "not accept its regions, and hashicorp/aws 5.100 calls amazonaws.com there instead of amazonaws.eu. targets, "
        "explain and render can be used."
    )
    raise InputError(message, "organization.home_region")


def _credentials(inventory: Inventory) -> str:
    session, caller = _caller(inventory)
    if caller.is_role:
        _refuse_long_sessions(inventory, caller.arn)
    valid = validity()
    organization = _confirmed(inventory, session, caller.account_id)
    if too_late := CredentialsEnd(valid.ends).reason(Step.PLAN):
        raise AccessError(f"{too_late[0].upper()}{too_late[1:]}: sign in again.")
    return f"{caller.arn}, {organization}, {valid}"


def confirmed_organization(inventory: Inventory) -> str:
    """Return that the credentials are those of the organization of the settings, in words.

    Accounts from a file, an accelerator's configuration or a saved discovery say nothing about whose credentials are
    used: with those of another organization, its state bucket would be searched in vain, or receive all states.

    Raises:
        InputError: They are not; or this cannot be asked, and no state bucket is named.
        AccessError: The caller's organization cannot be read.
    """
    session, caller = _caller(inventory)
    return _confirmed(inventory, session, caller.account_id)


def caller_arn(inventory: Inventory) -> str:
    """Return the ARN of the caller.

    Raises:
        AccessError: There are no usable credentials.
    """
    return _caller(inventory)[1].arn


def _caller(inventory: Inventory) -> tuple[boto3.Session, Caller]:
    with translated_errors("use the AWS credentials"):
        session = new_session()
    return session, caller_identity(session, inventory.home_region)


def _confirmed(inventory: Inventory, session: boto3.Session, account_id: str) -> str:
    settings = inventory.settings
    found, wanted = organization_of(session, inventory.home_region), settings.organization.id
    if found is None:
        if settings.organization.state.bucket is None and settings.organization.state.role is None:
            message = (
                f"It is not known which organization the account {account_id} of your credentials belongs to "
                "(organizations:DescribeOrganization is denied): allow it, or name the state bucket in "
                "organization.state.bucket."
            )
            raise InputError(message, settings.document.where(("organization", "state")))
        return f"an organization that may not be read (account {account_id})"
    if wanted and found != wanted:
        message = (
            f"Your credentials are those of account {account_id} in the organization {found}, and not {wanted}: use "
            "credentials of this organization."
        )
        raise InputError(message, settings.document.where(("organization", "id")))
    return f"organization {found}"


def _refuse_long_sessions(inventory: Inventory, arn: str) -> None:
    """Refuse sessions that AWS does not give a role: those of the roles that it assumes last one hour at most.

    Raises:
        InputError: A role of the settings has a longer duration.
    """
    settings = inventory.settings
    problems = [
        Problem(
            f"The duration {role.duration} is too long: your credentials are those of a role ({arn}), and AWS limits "
            "the sessions of the roles that a role assumes to 1h (role chaining). Write 1h or less.",
            settings.document.where(("organization", key, "duration")),
        )
        for key, role in (
            ("deployment_role", settings.organization.deployment_role),
            ("read_role", settings.organization.read_role),
        )
        if role is not None and role.duration_seconds > CHAINED_SECONDS
    ]
    if problems:
        raise InputError(problems)


def _state_bucket(inventory: Inventory) -> str:
    backend = StateBackend.find(inventory.settings.organization, inventory.home_region)
    return f"{backend.address}, entered as {backend.role.arn}" if backend.role else backend.address


def _role(inventory: Inventory, targets: Sequence[Target], role: AccountRole, key: str) -> str:
    accounts = {target.account.id: target.account for target in targets if role.is_assumed_in(target.account)}

    def refusal(account: Account) -> str:
        try:
            account_session(account, inventory.home_region, inventory.home_region, role)
        except AccessError as error:
            return str(error)
        return ""

    with ThreadPoolExecutor(_WORKERS, thread_name_prefix="roles") as pool:
        tried = zip(accounts.values(), pool.map(refusal, accounts.values()), strict=True)
        refused = [(account, reason) for account, reason in tried if reason]
    if refused:
        raise _role_error(refused, len(accounts), key)
    return f"{role.name} can be assumed in {len(accounts)} accounts" if accounts else "no selected account needs it"


def _role_error(refused: Sequence[tuple[Account, str]], tried: int, key: str) -> RoleError:
    """Return one error for all accounts that lack the role; equal reasons are given once."""
    reasons: dict[str, list[tuple[Account, str]]] = {}
    for account, reason in refused:
        reasons.setdefault(reason.replace(account.id, "ACCOUNT"), []).append((account, reason))
    lines: list[str] = []
    for shared, members in reasons.items():
        if len(members) == 1:
            lines.append(members[0][1])
            continue
        names = [f"{account.id} {account.name}" for account, _ in members]
        rest = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
        lines.append(f"{shared} In {len(names)} of {tried} accounts: {', '.join(names[:_NAMED])}{rest}.")
    advice = f"Create the role, let it trust your credentials, or correct {key}."
    error = RoleError("\n".join([*lines[:-1], f"{lines[-1]} {advice}"]), [account.id for account, _ in refused])
    if len(refused) < tried and len(refused) <= _EXCLUDED:
        error.next_options = tuple(word for account in error.accounts for word in ("--exclude", account))
    return error
