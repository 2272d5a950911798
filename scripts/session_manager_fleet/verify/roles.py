"""Check that the roles of managed nodes have the instance policy, with which they use the session key and log."""

from collections import defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any, Final

from botocore.exceptions import ClientError

from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Target
from session_manager_fleet.terraform import permissions
from session_manager_fleet.verify.checks import Place, TargetCheck
from session_manager_fleet.verify.endpoints import described, managed_nodes
from session_manager_fleet.verify.instance_policy import policy_arn
from session_manager_fleet.verify.model import Check, CheckInfo, Severity, finding, not_needed, ok
from session_manager_fleet.verify.reading import Reader, error_code, setting_arn

# https://docs.aws.amazon.com/systems-manager/latest/userguide/fleet-manager-default-host-management-configuration.html
_DEFAULT_ROLE: Final = "/ssm/managed-instance/default-ec2-instance-management-role"
# Paths of roles that no account may change.
_OF_AWS = ("/aws-service-role/", "/aws-reserved/")
_NAMED_NODES = 3


def roles(reader: Reader, target: Target, values: TargetSettings) -> Check:
    """Check the roles of all managed nodes of a region: EC2 instances and hybrid nodes.

    IAM is read once for all regions of the account.
    """
    if not values.preferences.enabled:
        return not_needed("roles", "preferences.enabled is false.")
    if not values.instance_policy.enabled and not values.config_rule.enabled:
        return not_needed("roles", "Neither instance_policy.enabled nor config_rule.enabled is true.")
    home, policy = target.home_region, policy_arn(target, values)
    nodes = nodes_by_role(reader, target)
    if not nodes:
        return not_needed("roles", "There are no managed nodes.")
    having = roles_with(reader, home, policy)
    if having is None:
        return _without_policy(target, values, policy)
    return _judge(nodes, {name: _role(reader, home, name) for name in nodes}, having, values, policy)


def _without_policy(target: Target, values: TargetSettings, policy: str) -> Check:
    message = f"The policy {policy} does not exist, so the roles of managed nodes lack it."
    if not values.instance_policy.enabled:
        return finding("roles", message, "Create the policy, or set instance_policy.enabled, and attach it.")
    command = ("apply", "--account", target.account.id, "--region", target.home_region)
    return finding("roles", message, "Apply the home region, then attach the policy to the roles.", command)


def _judge(
    nodes: Mapping[str, Sequence[str]],
    known: Mapping[str, Mapping[str, Any] | None],
    having: Collection[str],
    values: TargetSettings,
    policy: str,
) -> Check:
    """Judge the roles of nodes.

    Args:
        nodes: The nodes by the names of their roles.
        known: The roles as GetRole returns them; None for one that does not exist.
        having: Names of the roles with the policy.
        values: Settings of the target.
        policy: ARN of the policy.
    """
    missing = [name for name, role in known.items() if role is None]
    excluded = [name for name, role in known.items() if role and is_excluded(role, values)]
    lacking = [name for name in nodes if name not in {*having, *missing, *excluded}]
    notes = list(_notes(known, excluded))
    parts, fixes = [], []
    if lacking:
        parts.append(f"These roles of managed nodes lack {policy}: {_with_nodes(lacking, nodes)}.")
        commands = (f"aws iam attach-role-policy --role-name {name} --policy-arn {policy}" for name in lacking)
        fixes.append(f"Attach the policy: `{' && '.join(commands)}`.")
        if values.preferences.session_key.enabled:
            parts.append("They cannot use the session key, so no session starts there.")
    if missing:
        parts.append(f"These roles of managed nodes do not exist: {_with_nodes(missing, nodes)}.")
        fixes.append(f"Create {', '.join(missing)} again, with the policy.")
    if parts:
        return finding("roles", " ".join([*parts, *notes]), " ".join(fixes))
    if len(excluded) == len(nodes):
        return not_needed("roles", " ".join(notes))
    names = ", ".join(name for name in nodes if name not in excluded)
    return ok("roles", " ".join([f"{policy} is attached to {names}.", *notes]))


def nodes_by_role(reader: Reader, target: Target) -> dict[str, list[str]]:
    """Return the names of the roles that the managed nodes of a target use, with the ids of the nodes.

    Systems Manager tells the role of hybrid nodes and of instances under its host management, and EC2 the instance
    profile of the others. The role of Default Host Management is that of every instance without one, now or later.
    """
    region, home = target.region, target.home_region
    used: dict[str, list[str]] = defaultdict(list)
    nodes = managed_nodes(reader, region)
    told = {node["InstanceId"]: node["IamRole"] for node in nodes if node.get("IamRole")}
    for node, role in told.items():
        used[_name(role)].append(node)
    if default := _default_role(reader, target):
        used.setdefault(default, [])
    instances = [node["InstanceId"] for node in nodes if node.get("ResourceType") == "EC2Instance"]
    for instance in described(reader, region, instances):
        if instance["InstanceId"] in told or instance.get("State", {}).get("Name") == "terminated":
            continue
        profile = instance.get("IamInstanceProfile")
        if name := _role_of_profile(reader, home, profile["Arn"]) if profile else default:
            used[name].append(instance["InstanceId"])
    return dict(sorted(used.items()))


def is_excluded(role: Mapping[str, Any], values: TargetSettings) -> bool:
    """Tell whether the Config rule leaves a role out, as GetRole returns it."""
    settings = values.config_rule
    return role["Path"].startswith((*_OF_AWS, *settings.excluded_role_paths)) or any(
        fnmatchcase(role["RoleName"], pattern) for pattern in settings.excluded_role_names
    )


def _default_role(reader: Reader, target: Target) -> str:
    """Return the name of the role of Default Host Management; empty if it is off or the region does not have it."""
    region = target.region
    found = reader.find("ssm", region, "get_service_setting", SettingId=setting_arn(target, _DEFAULT_ROLE)) or {}
    value = found.get("ServiceSetting", {}).get("SettingValue", "")
    return "" if value.startswith("$") else _name(value)


def _role_of_profile(reader: Reader, home: str, profile: str) -> str:
    """Return the name of the role in an instance profile; empty if it has none, or does not exist."""

    def read() -> str:
        found = reader.find("iam", home, "get_instance_profile", InstanceProfileName=_name(profile))
        return next((role["RoleName"] for role in found["InstanceProfile"]["Roles"]), "") if found else ""

    return reader.once(("profile", profile), read)


def roles_with(reader: Reader, home: str, policy: str) -> set[str] | None:
    """Return the names of the roles that a policy is attached to, read once; None if it does not exist."""
    return reader.once(("roles with", policy), lambda: _roles_with(reader, home, policy))


def _roles_with(reader: Reader, home: str, policy: str) -> set[str] | None:
    wanted = {"PolicyArn": policy, "EntityFilter": "Role", "PolicyUsageFilter": "PermissionsPolicy"}
    try:
        return {
            each["RoleName"] for each in reader.pages("iam", home, "list_entities_for_policy", "PolicyRoles", **wanted)
        }
    except ClientError as error:
        if error_code(error) != "NoSuchEntity":
            raise
        return None


def _role(reader: Reader, home: str, name: str) -> Mapping[str, Any] | None:
    """Return a role; None if it does not exist."""

    def read() -> Mapping[str, Any] | None:
        found = reader.find("iam", home, "get_role", RoleName=name)
        return found["Role"] if found else None

    return reader.once(("role", name), read)


def _notes(known: Mapping[str, Mapping[str, Any] | None], excluded: Sequence[str]) -> Iterator[str]:
    for name, role in known.items():
        if role and (boundary := role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn")):
            yield f"{name} has the permissions boundary {boundary}, which must allow the same."
    if excluded:
        yield f"Left out by config_rule: {', '.join(excluded)}."


def _with_nodes(names: Sequence[str], nodes: Mapping[str, Sequence[str]]) -> str:
    """Return roles with some of their nodes, such as `web (i-1, i-2, i-3 and 4 more)`."""
    texts = []
    for name in names:
        some = ", ".join(nodes[name][:_NAMED_NODES]) or "Default Host Management"
        rest = len(nodes[name]) - _NAMED_NODES
        texts.append(f"{name} ({some}{f' and {rest} more' if rest > 0 else ''})")
    return ", ".join(texts)


def _name(path: str) -> str:
    """Return the name of a role or profile, without a path or ARN in front."""
    return path.rpartition("/")[2]


class Roles(TargetCheck):
    """Check the roles of managed nodes."""

    info = CheckInfo(
        id="roles",
        severity=Severity.HIGH,
        what="every role of a managed node has the instance policy: of EC2 instances (by their instance profile), of "
        "hybrid nodes, and of [Default Host Management](https://docs.aws.amazon.com/systems-manager/latest/userguide/"
        "fleet-manager-default-host-management-configuration.html) where the region has it on. Without the policy a "
        "node can neither use the session key nor log. Roles that `config_rule` excludes are named, and so are "
        "permissions boundaries, whose text is not judged",
        why="On a node whose role lacks the policy no session starts with a session key, and none is logged.",
        fix="Attach the policy to the roles.",
        evidence="managed nodes, their roles, and the roles that the policy is attached to",
        where="every target",
        permissions=(
            permissions.WITHOUT_RESOURCES.allow("ec2:DescribeInstances", "ssm:DescribeInstanceInformation"),
            permissions.INSTANCE_POLICY.allow("iam:ListEntitiesForPolicy"),
            permissions.NODE_ROLES.allow("iam:GetInstanceProfile", "iam:GetRole"),
            permissions.DEFAULT_ROLE.allow("ssm:GetServiceSetting"),
        ),
        controls=("NIST 800-53 AC-6", "NIST 800-53 AU-12"),
    )

    def applies(self, _: Place) -> bool:
        """Judge every target."""
        return True

    def run(self, place: Place) -> Check:
        """Judge the roles of all managed nodes."""
        return roles(place.reader, place.target, place.values)
