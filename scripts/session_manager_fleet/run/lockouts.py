"""Find in a plan the nodes that its preferences lock out, and refuse to apply it over them."""

from collections.abc import Mapping, Sequence
from typing import Any

import boto3
from botocore.exceptions import ClientError

from session_manager_fleet.aws import translated_errors
from session_manager_fleet.preferences import (
    Demands,
    Lockout,
    find_lockouts,
    planned_preferences,
    preferences_before,
    read_demands,
    writes_preferences,
)
from session_manager_fleet.run.saved_plan import SavedPlanError
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Reader, Target, error_code

NEEDS = (
    "ec2:DescribeInstances, ec2:DescribeRouteTables, ec2:DescribeVpcEndpoints, iam:GetInstanceProfile, iam:GetRole, "
    "iam:SimulatePrincipalPolicy, ssm:DescribeActivations, ssm:DescribeInstanceInformation, ssm:GetServiceSetting"
)
NOT_CHECKED = f"Not checked: whether nodes would be locked out. The role lacks one of {NEEDS}."
_DENIED = {"AccessDenied", "AccessDeniedException", "UnauthorizedOperation"}
# Lockouts that a refusal names; the plan shows all.
_NAMED = 5


def planned_lockouts(
    plan: Mapping[str, Any], target: Target, values: TargetSettings, session: boto3.Session
) -> tuple[Lockout, ...] | None:
    """Return the nodes that the preferences of a plan lock out; None if they cannot be read.

    Only a document that names a key or demands encryption is judged, and only where it demands other than before.

    Args:
        plan: The plan as `terraform show -json` gives it.
        target: Its target.
        values: Settings of the target.
        session: In the account.

    Raises:
        AccessError: AWS cannot be asked, for another reason than missing permissions.
    """
    wanted = planned_preferences(plan) if writes_preferences(plan) else None
    if wanted is None:
        return ()
    demands = Demands.of(wanted["preferences"], target, values)
    before = preferences_before(plan)
    same = before is not None and Demands.of(before, target, values) == demands
    if same or not demands.refuses_sessions:
        return ()
    attached, reader = _attached(values), Reader(session)
    with translated_errors("find the nodes that the preferences lock out"):
        try:
            demands = read_demands(reader, target, wanted["preferences"], values)
            found = find_lockouts(reader, target, demands, lambda role: role["RoleName"] in attached)
        except ClientError as error:
            if error_code(error) not in _DENIED:
                raise
            return None
    return tuple(found)


def _attached(values: TargetSettings) -> set[str]:
    """Return the roles that Terraform attaches the policy to, in the home region's apply, which comes first."""
    policy = values.instance_policy
    return set(policy.attach_to_roles) if policy.enabled else set()


def refuse_lockouts(lockouts: Sequence[Lockout] | None, values: TargetSettings) -> None:
    """Refuse to apply preferences that lock nodes out, unless the settings only want a warning.

    A role that no node uses yet is shown, and refuses nothing.

    Raises:
        SavedPlanError: There are such nodes, or it is not known whether there are.
    """
    if values.preferences.lockout == "warn":
        return
    ways = "or set preferences.lockout to warn (docs/nodes.md)"
    if lockouts is None:
        raise SavedPlanError(f"{NOT_CHECKED} Allow them, {ways}.")
    locked = [lockout for lockout in lockouts if lockout.node_count]
    if not locked:
        return
    some = "; ".join(map(str, locked[:_NAMED]))
    rest = f"; and {len(locked) - _NAMED} more" if len(locked) > _NAMED else ""
    message = (
        f"The preferences would lock out managed nodes: {some}{rest}. Give their roles what they lack, with "
        f"`apply --component instance_policy --component config_rule` and the remediation, {ways}."
    )
    raise SavedPlanError(message)
