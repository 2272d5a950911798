"""A saved plan with all that it was made from, sealed, so that exactly what was reviewed is applied or nothing.

A bundle is the folder of a target in a run; its seal (`bundle.json`) names every file with its digest, and where the
plan was made. The digest of the seal is kept elsewhere, in the journal and in the summary of the run.
"""

from __future__ import annotations

import datetime
import hashlib
import importlib.metadata
import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from session_manager_fleet.errors import FleetError
from session_manager_fleet.files import sha256_of, sha256_of_text, write_private
from session_manager_fleet.terraform import RootModule

SCHEMA_VERSION = 1
SEAL = "bundle.json"
PLAN = "tfplan"
PLAN_JSON = "plan.json"
VARIABLES = "terraform.tfvars"
LOCK_FILE = "terraform.lock.hcl"
FILES = (PLAN, PLAN_JSON, VARIABLES, LOCK_FILE)

# A clock that is not quite right must not make a plan of the next minute look forged.
_CLOCK_TOLERANCE = datetime.timedelta(minutes=5)


class SavedPlanError(FleetError):
    """A saved plan may not be applied; nothing was touched."""


@dataclass(frozen=True)
class Toolchain:
    """What plans are made with.

    Attributes:
        terraform_version: Version of the terraform executable.
        provider_version: Version of hashicorp/aws in the lock file.
        project_version: Version of this project.
        root_sha256: Digest of the root module with its modules and its lock file.
    """

    terraform_version: str
    provider_version: str
    project_version: str
    root_sha256: str

    @classmethod
    def of(cls, root: RootModule, terraform_version: str) -> Toolchain:
        """Look at a root module."""
        project_version = importlib.metadata.version("session-manager-fleet")
        return cls(terraform_version, root.provider_version, project_version, root.digest())


@dataclass(frozen=True)
class Origin:
    """What a plan is made of and for; it may be applied only where all of it is the same.

    Attributes:
        account_id: The account.
        region: The region.
        workspace: Terraform workspace.
        backend: Where the states are, as `s3://bucket/prefix in eu-west-1`.
        tools: What it is made with.
    """

    account_id: str
    region: str
    workspace: str
    backend: str
    tools: Toolchain


# How a difference is told.
_MEANING = {
    "account_id": "the account",
    "region": "the region",
    "workspace": "the workspace",
    "backend": "the state backend",
    "terraform_version": "the version of terraform",
    "provider_version": "the version of the provider hashicorp/aws",
    "project_version": "the version of this project",
    "root_sha256": "the root module or one of its modules",
}


def _flat(origin: Origin) -> dict[str, str]:
    return {**asdict(origin), **asdict(origin.tools)}


@dataclass(frozen=True)
class _Seal:
    """What is in a seal."""

    schema_version: int
    created_at: AwareDatetime
    origin: Origin
    protected: tuple[str, ...]
    files: dict[str, str]


_SEAL = TypeAdapter(_Seal)


def seal(
    folder: Path, root: RootModule, origin: Origin, *, protected: Sequence[str], created_at: datetime.datetime
) -> str:
    """Seal the plan in a folder, and return the digest of the seal.

    Args:
        folder: Holds the plan, the plan as JSON and the rendered tfvars.
        root: Root module; its lock file is copied.
        origin: What the plan was made of and for.
        protected: Addresses of what holds keys or logs and is deleted or replaced by the plan.
        created_at: When the plan was made, with a time zone.
    """
    lock_file = root.lock_file
    write_private(folder / LOCK_FILE, lock_file.read_text(encoding="utf-8") if lock_file.is_file() else "")
    content = _Seal(
        SCHEMA_VERSION,
        created_at.replace(microsecond=0),
        origin,
        tuple(protected),
        {name: sha256_of(folder / name) for name in FILES},
    )
    text = _SEAL.dump_json(content, indent=2).decode() + "\n"
    write_private(folder / SEAL, text)
    return sha256_of_text(text)


@dataclass(frozen=True)
class PlanConstraints:
    """What a saved plan must fulfil to be applied.

    Attributes:
        sha256: Digest of the seal, as it was kept when the plan was made.
        origin: What the plan would be made of and for now.
        variables: The tfvars as they are rendered now.
        now: The time, with a time zone.
        max_age: How old the plan may be.
        allow_destroy: Whether keys, log groups and buckets may be deleted or replaced.
    """

    sha256: str
    origin: Origin
    variables: str
    now: datetime.datetime
    max_age: datetime.timedelta
    allow_destroy: bool


def check(folder: Path, demands: PlanConstraints) -> None:
    """Refuse a saved plan that is not exactly what was planned, or that is not to be applied any more.

    Raises:
        SavedPlanError: With the first reason.
    """
    content = _unbroken(folder, demands.sha256)
    made, wanted = _flat(content.origin), _flat(demands.origin)
    for name, meaning in _MEANING.items():
        then, now = made[name], wanted[name]
        if then != now:
            values = "" if name == "root_sha256" else f" ({then or 'none'} then, {now or 'none'} now)"
            raise SavedPlanError(f"Since the plan was made {meaning} has changed{values}; plan again.")
    if content.files[VARIABLES] != sha256_of_text(demands.variables):
        raise SavedPlanError(
            f"The settings render other variables than the plan was made with ({VARIABLES}); plan again."
        )
    age = demands.now - content.created_at
    if age > demands.max_age:
        raise SavedPlanError(f"The plan is {_hours(age)} old, and {_hours(demands.max_age)} are allowed; plan again.")
    if age < -_CLOCK_TOLERANCE:
        raise SavedPlanError(f"The plan is of the future ({content.created_at}): set the clock right, or plan again.")
    if content.protected and not demands.allow_destroy:
        raise SavedPlanError(
            f"The plan deletes or replaces {', '.join(content.protected)}: keys, log groups and buckets hold what "
            "cannot be had again. If that is meant, repeat it with --allow-destroy."
        )


def _unbroken(folder: Path, sha256: str) -> _Seal:
    """Read the seal and compare every file with it."""
    path = folder / SEAL
    try:
        text = path.read_bytes()
        if hashlib.sha256(text).hexdigest() != sha256:
            raise SavedPlanError(f"The seal of the saved plan ({path}) is not the one that was made; plan again.")
        content = _read(text, path)
        for name, digest in content.files.items():
            if sha256_of(folder / name) != digest:
                raise SavedPlanError(f"{folder / name} was changed after the plan was made; plan again.")
    except FileNotFoundError as error:
        raise SavedPlanError(f"The saved plan is not complete: {error.filename} is missing; plan again.") from error
    except IsADirectoryError as error:
        raise SavedPlanError(f"The saved plan is not complete: {error.filename} is no file; plan again.") from error
    return content


def _read(text: bytes, path: Path) -> _Seal:
    """Read a seal that is the one that was made; by another version of this project it may look different."""
    try:
        version = json.loads(text)["schema_version"]
        if version != SCHEMA_VERSION:
            raise SavedPlanError("The plan was saved by another version of this project; plan again.")
        content = _SEAL.validate_json(text)
    except (ValueError, LookupError, TypeError, ValidationError) as error:
        raise SavedPlanError(f"The seal of the saved plan ({path}) cannot be read; plan again.") from error
    if set(content.files) != set(FILES):
        raise SavedPlanError(f"The seal of the saved plan ({path}) names other files than a plan has; plan again.")
    return content


def _hours(span: datetime.timedelta) -> str:
    return f"{span.total_seconds() / 3600:.3g} hours"
