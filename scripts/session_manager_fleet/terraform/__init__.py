"""The only package that runs Terraform."""

from session_manager_fleet.terraform import processes
from session_manager_fleet.terraform.backend import backend_of, state_backend
from session_manager_fleet.terraform.command import (
    Terraform,
    child_environment,
    commands_by_hand,
    find_terraform,
    terraform_version,
    unsaved_state,
)
from session_manager_fleet.terraform.output import StalePlanError, StateLockedError, StoppedError
from session_manager_fleet.terraform.retry_tokens import read_revisions, store_revision, with_revision
from session_manager_fleet.terraform.root_module import (
    ROOT_LOCK_FILE,
    ROOT_MODULE,
    module_digest,
    pack_root,
    provider_version,
)
from session_manager_fleet.terraform.state_locks import read_locks, release_commands

__all__ = [
    "ROOT_LOCK_FILE",
    "ROOT_MODULE",
    "StalePlanError",
    "StateLockedError",
    "StoppedError",
    "Terraform",
    "backend_of",
    "child_environment",
    "commands_by_hand",
    "find_terraform",
    "module_digest",
    "pack_root",
    "processes",
    "provider_version",
    "read_locks",
    "read_revisions",
    "release_commands",
    "state_backend",
    "store_revision",
    "terraform_version",
    "unsaved_state",
    "with_revision",
]
