"""Saved plans and their manifests: only the plan that was reviewed is applied.

The folder of a target holds the plan, its inputs, and a manifest (`bundle.json`) with the digest of every file and the
origin of the plan. The digest of the manifest is in the journal and in the summary of the run.
"""

import datetime
import errno
import hashlib
import importlib.metadata
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Self

from pydantic import AwareDatetime, TypeAdapter, ValidationError

from session_manager_fleet.errors import FleetError
from session_manager_fleet.files import read_regular, sha256_of, sha256_of_text, write_private
from session_manager_fleet.terraform import RootModule, same_product

SCHEMA_VERSION = 1
MANIFEST = "bundle.json"
PLAN = "tfplan"
PLAN_JSON = "plan.json"
VARIABLES = "terraform.tfvars"
LOCK_FILE = "terraform.lock.hcl"
FILES = (PLAN, PLAN_JSON, VARIABLES, LOCK_FILE)

# Tolerate clocks that differ between the machines that plan and apply.
_CLOCK_TOLERANCE = datetime.timedelta(minutes=5)


class SavedPlanError(FleetError):
    """A saved plan is refused; nothing was changed."""


@dataclass(frozen=True)
class Toolchain:
    """Versions that plans are made with.

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
    def of(cls, root: RootModule, terraform_version: str) -> Self:
        """Read the versions of a root module."""
        project_version = importlib.metadata.version("session-manager-fleet")
        return cls(terraform_version, root.provider_version, project_version, root.digest())


@dataclass(frozen=True)
class Origin:
    """Target, backend and versions of a plan; it may be applied only if all of them are the same.

    Attributes:
        account_id: The account.
        region: The region.
        workspace: Terraform workspace.
        backend: Address of the states, as `s3://bucket/prefix in eu-west-1`.
        tools: Versions that it is made with.
    """

    account_id: str
    region: str
    workspace: str
    backend: str
    tools: Toolchain

    def made_by(self, plan: Mapping[str, Any]) -> Self:
        """Return the origin with the version of terraform that made a plan (in its JSON format)."""
        # OpenTofu writes its own version there.
        named = plan.get("terraform_version")
        version = same_product(named, self.tools.terraform_version) if named else self.tools.terraform_version
        return replace(self, tools=replace(self.tools, terraform_version=version))


_DESCRIPTIONS = {
    "account_id": "The account",
    "region": "The region",
    "workspace": "The workspace",
    "backend": "The state backend",
    "terraform_version": "The version of terraform",
    "provider_version": "The version of the provider hashicorp/aws",
    "project_version": "The version of this project",
    "root_sha256": "The root module or one of its modules",
}


def _flat(origin: Origin) -> dict[str, str]:
    return {**asdict(origin), **asdict(origin.tools)}


@dataclass(frozen=True)
class PlanManifest:
    """Content of `bundle.json`.

    Attributes:
        schema_version: Version of this layout.
        created_at: When the plan was made.
        origin: Target, backend and versions of the plan.
        protected: Addresses of resources with keys or logs that the plan deletes or replaces.
        files: SHA-256 digest of each file.
    """

    schema_version: int
    created_at: AwareDatetime
    origin: Origin
    protected: tuple[str, ...]
    files: dict[str, str]


_MANIFEST = TypeAdapter(PlanManifest)


def save_manifest(
    folder: Path, root: RootModule, origin: Origin, *, protected: Sequence[str], created_at: datetime.datetime
) -> str:
    """Write the manifest of the plan in a folder, with a copy of the lock file, and return the manifest's digest.

    The folder holds the plan, the plan as JSON and the rendered tfvars; `created_at` has a time zone.
    """
    lock_file = root.lock_file
    write_private(folder / LOCK_FILE, lock_file.read_text(encoding="utf-8") if lock_file.is_file() else "")
    manifest = PlanManifest(
        SCHEMA_VERSION,
        created_at.replace(microsecond=0),
        origin,
        tuple(protected),
        {name: sha256_of(folder / name) for name in FILES},
    )
    text = _MANIFEST.dump_json(manifest, indent=2).decode() + "\n"
    write_private(folder / MANIFEST, text)
    return sha256_of_text(text)


@dataclass(frozen=True)
class PlanConstraints:
    """Constraints that a saved plan has to meet to be applied.

    Attributes:
        sha256: Digest of the manifest, as recorded in the journal.
        origin: Target, backend and versions of a plan made now.
        variables: The tfvars as rendered now, in every form that a plan can have been made with.
        now: The current time; with a time zone.
        max_age: Maximum age of the plan.
        allow_destroy: Whether keys, log groups and buckets may be deleted or replaced.
    """

    sha256: str
    origin: Origin
    variables: tuple[str, ...]
    now: datetime.datetime
    max_age: datetime.timedelta
    allow_destroy: bool


def check(folder: Path, constraints: PlanConstraints) -> None:
    """Refuse a saved plan that was changed, is too old, or whose settings, versions or target differ now.

    Raises:
        SavedPlanError: The first constraint that is not met.
    """
    manifest = _verified_manifest(folder, constraints.sha256)
    made, current = _flat(manifest.origin), _flat(constraints.origin)
    for name, description in _DESCRIPTIONS.items():
        then, now = made[name], current[name]
        if then != now:
            values = "" if name == "root_sha256" else f" ({then or 'none'} then, {now or 'none'} now)"
            raise SavedPlanError(f"{description} has changed since the plan was made{values}. Plan again.")
    if manifest.files[VARIABLES] not in map(sha256_of_text, constraints.variables):
        raise SavedPlanError(
            f"The settings have changed since the plan was made: they render a different {VARIABLES}. Plan again."
        )
    age = constraints.now - manifest.created_at
    if age > constraints.max_age:
        raise SavedPlanError(f"The plan is {_hours(age)} old (maximum {_hours(constraints.max_age)}). Plan again.")
    if age < -_CLOCK_TOLERANCE:
        raise SavedPlanError(
            f"The plan was created in the future ({manifest.created_at}). Check this machine's clock, or plan again."
        )
    if manifest.protected and not constraints.allow_destroy:
        raise SavedPlanError(
            f"The plan would delete or replace {', '.join(manifest.protected)}; their data cannot be restored. Pass "
            "--allow-destroy to confirm."
        )


def _verified_manifest(folder: Path, sha256: str) -> PlanManifest:
    """Read the manifest and compare every file with it."""
    path = folder / MANIFEST
    try:
        text = read_regular(path, megabytes=1)
        if hashlib.sha256(text).hexdigest() != sha256:
            raise SavedPlanError(f"The manifest ({path}) was changed after the plan was made. Plan again.")
        manifest = _read(text, path)
        for name, digest in manifest.files.items():
            if sha256_of(folder / name, follow_links=False) != digest:
                raise SavedPlanError(f"{folder / name} was changed after the plan was made. Plan again.")
    except FileNotFoundError as error:
        raise SavedPlanError(f"The saved plan is incomplete: {error.filename} is missing. Plan again.") from error
    except OSError as error:
        if error.errno not in {errno.EINVAL, errno.ELOOP, errno.EFBIG}:
            raise
        raise SavedPlanError(f"The saved plan is incomplete: {error.filename} is not a file. Plan again.") from error
    return manifest


def _read(text: bytes, path: Path) -> PlanManifest:
    """Read an unchanged manifest; that of another version of this project may have another layout."""
    try:
        version = json.loads(text)["schema_version"]
        if version != SCHEMA_VERSION:
            raise SavedPlanError("The plan was saved by another version of this project. Plan again.")
        manifest = _MANIFEST.validate_json(text)
    except (ValueError, LookupError, TypeError, RecursionError, ValidationError) as error:
        raise SavedPlanError(f"The manifest ({path}) cannot be read. Plan again.") from error
    if set(manifest.files) != set(FILES):
        raise SavedPlanError(f"The manifest ({path}) names the wrong files. Plan again.")
    return manifest


def _hours(span: datetime.timedelta) -> str:
    return f"{span.total_seconds() / 3600:.3g} hours"
