"""A target's Terraform variables as plain data."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from session_manager_fleet.accounts import MANAGEMENT
from session_manager_fleet.settings import DeploymentRole, EffectiveSettings
from session_manager_fleet.targets.model import Target

# Variables from the settings, in the order of the file; many targets share their values.
_SHARED = ("names", "instance_policy", "config_rule", "preferences", "tags")


def variables_of(target: Target, settings: EffectiveSettings, role: DeploymentRole) -> dict[str, Any]:
    """Return the root module's variables for a target, in a fixed order."""
    uses_role = target.account.role != MANAGEMENT or role.in_management_account
    return {
        "account_id": target.account.id,
        "region": target.region,
        "home_region": target.home_region,
        "deployment_role": _role_variable(role) if uses_role else None,
        **{name: settings.variables[name] for name in (*_SHARED, *settings.foundation)},
    }


@cache
def _role_variable(role: DeploymentRole) -> Mapping[str, Any]:
    return role.model_dump(exclude={"in_management_account"}, exclude_none=True)
