"""Check before a rollout which managed nodes there are, and which of them the preferences would lock out."""

from collections import Counter

from session_manager_fleet.preferences import expected_preferences, find_lockouts, read_demands, read_nodes
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Target
from session_manager_fleet.verify.model import Check, finding, ok
from session_manager_fleet.verify.reading import Reader

NEEDS = (
    "ec2:DescribeInstances, ec2:DescribeRouteTables, ec2:DescribeVpcEndpoints, iam:GetInstanceProfile, iam:GetRole, "
    "iam:SimulatePrincipalPolicy, ssm:DescribeActivations, ssm:DescribeInstanceInformation, ssm:GetServiceSetting"
)
_NAMED = 5


def nodes(reader: Reader, target: Target, values: TargetSettings) -> Check:
    """Check the managed nodes of a target: none may be locked out by the preferences that the settings want."""
    found = read_nodes(reader, target)
    key = values.preferences.session_key
    named = (key.kms_key_arn or values.names.data_key_alias) if key.enabled else None
    demands = read_demands(reader, target, expected_preferences(target, values, named)["preferences"], values)
    attached = set(values.instance_policy.attach_to_roles) if values.instance_policy.enabled else set()
    told = find_lockouts(reader, target, demands, lambda role: role["RoleName"] in attached)
    lockouts = [lockout for lockout in told if lockout.node_count]
    kinds = Counter(node.kind.value.replace("_", " ") for node in found.all)
    counts = ", ".join(f"{count} by {kind}" for kind, count in sorted(kinds.items())) or "none"
    if not lockouts:
        return ok("nodes", f"Managed nodes: {counts}. The preferences would lock out none.")
    some = "; ".join(map(str, lockouts[:_NAMED]))
    rest = f"; and {len(lockouts) - _NAMED} more" if len(lockouts) > _NAMED else ""
    fix = (
        "Apply `--component instance_policy --component config_rule` first, remediate the roles, and apply the "
        "preferences when `plan` names no node any more (docs/nodes.md)."
    )
    return finding("nodes", f"Managed nodes: {counts}. The preferences would lock out {some}{rest}.", fix)
