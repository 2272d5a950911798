"""Terraform: the only package that runs it, and that knows the root module and the state backend."""

from session_manager_fleet.terraform import processes
from session_manager_fleet.terraform.backend import StateBackend, commands_by_hand
from session_manager_fleet.terraform.command import Terraform
from session_manager_fleet.terraform.installation import child_environment, find_terraform, terraform_version
from session_manager_fleet.terraform.output import StalePlanError, StateLockedError, StoppedError
from session_manager_fleet.terraform.retry_tokens import read_retry_tokens, store_retry_token, with_retry_token
from session_manager_fleet.terraform.root_module import ROOT_MODULE, RootModule
from session_manager_fleet.terraform.state_locks import read_locks, release_commands
from session_manager_fleet.terraform.working_folder import unsaved_state

__all__ = [
    "ROOT_MODULE",
    "RootModule",
    "StalePlanError",
    "StateBackend",
    "StateLockedError",
    "StoppedError",
    "Terraform",
    "child_environment",
    "commands_by_hand",
    "find_terraform",
    "processes",
    "read_locks",
    "read_retry_tokens",
    "release_commands",
    "store_retry_token",
    "terraform_version",
    "unsaved_state",
    "with_retry_token",
]
