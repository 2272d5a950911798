"""Terraform: the only package that runs it, and that knows the root module and the state backend."""

from session_manager_fleet.terraform import permissions as permissions, processes as processes
from session_manager_fleet.terraform.adoptions import (
    Adoption as Adoption,
    Kind as Kind,
    adoptable_kinds as adoptable_kinds,
    read_adoptions as read_adoptions,
    store_adoptions as store_adoptions,
    with_adoptions as with_adoptions,
)
from session_manager_fleet.terraform.backend import StateBackend as StateBackend, commands_by_hand as commands_by_hand
from session_manager_fleet.terraform.clean_marks import (
    CleanMark as CleanMark,
    ManagedResource as ManagedResource,
    StoredState as StoredState,
    UnreadableStateError as UnreadableStateError,
    digest_of as digest_of,
    is_locked as is_locked,
    read_clean_mark as read_clean_mark,
    read_state as read_state,
    state_identity as state_identity,
    store_clean_mark as store_clean_mark,
)
from session_manager_fleet.terraform.command import Terraform as Terraform
from session_manager_fleet.terraform.installation import (
    BINARY_VARIABLE as BINARY_VARIABLE,
    child_environment as child_environment,
    find_terraform as find_terraform,
    is_opentofu as is_opentofu,
    product_and_version as product_and_version,
    provider_source as provider_source,
    same_product as same_product,
    terraform_version as terraform_version,
    version_pin as version_pin,
)
from session_manager_fleet.terraform.output import (
    StalePlanError as StalePlanError,
    StateLockedError as StateLockedError,
    StoppedError as StoppedError,
)
from session_manager_fleet.terraform.policies import Permission as Permission, Scope as Scope, merged as merged
from session_manager_fleet.terraform.retry_tokens import (
    mark_apply as mark_apply,
    read_retry_tokens as read_retry_tokens,
    read_revisions as read_revisions,
    store_retry_token as store_retry_token,
    unmark_apply as unmark_apply,
    with_retry_token as with_retry_token,
)
from session_manager_fleet.terraform.root_module import ROOT_MODULE as ROOT_MODULE, RootModule as RootModule
from session_manager_fleet.terraform.saved_configuration import other_configuration as other_configuration
from session_manager_fleet.terraform.saved_states import shown_without_changes as shown_without_changes
from session_manager_fleet.terraform.state_bucket import StateBucket as StateBucket
from session_manager_fleet.terraform.state_locks import read_locks as read_locks, release_commands as release_commands
from session_manager_fleet.terraform.stray_states import (
    LARGEST_STATE_BYTES as LARGEST_STATE_BYTES,
    StrayState as StrayState,
    delete_state as delete_state,
    find_stored as find_stored,
    find_stray_states as find_stray_states,
    read_resources as read_resources,
)
from session_manager_fleet.terraform.working_folder import unsaved_state as unsaved_state
