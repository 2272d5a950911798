"""A target's Terraform variables as plain data."""

from collections.abc import Mapping
from functools import cache
from typing import Any

from session_manager_fleet.settings import AccountRole, EffectiveSettings, Roles
from session_manager_fleet.targets.model import Target

# Variables from the settings, in the order of the file; many targets share their values.
_SHARED = ("names", "instance_policy", "config_rule", "preferences", "tags")


def variables_of(target: Target, settings: EffectiveSettings, roles: Roles) -> dict[str, Any]:
    """Return the root module's variables for a target, in a fixed order."""
    return {
        "account_id": target.account.id,
        "region": target.region,
        "home_region": target.home_region,
        "deployment_role": _role_variable(roles.deployment) if roles.deployment.is_assumed_in(target.account) else None,
        **(
            {"read_role": _role_variable(roles.read)} if roles.read and roles.read.is_assumed_in(target.account) else {}
        ),
        **{name: settings.variables[name] for name in (*_SHARED, *settings.foundation)},
    }


@cache
def _role_variable(role: AccountRole) -> Mapping[str, Any]:
    return role.model_dump(exclude={"in_management_account"}, exclude_none=True)
