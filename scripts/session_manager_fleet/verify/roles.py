"""Check that the roles of managed nodes have the instance policy, with which they use the session key and log."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import Any

from botocore.exceptions import ClientError

from session_manager_fleet.preferences import expected_preferences, find_denials, read_demands, read_nodes, read_role
from session_manager_fleet.settings import TargetSettings
from session_manager_fleet.targets import Target
from session_manager_fleet.terraform import permissions
from session_manager_fleet.verify.checks import Place, TargetCheck
from session_manager_fleet.verify.instance_policy import policy_arn
from session_manager_fleet.verify.model import Check, CheckInfo, Severity, finding, not_needed, ok
from session_manager_fleet.verify.reading import Reader, error_code

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
    nodes = {name: [node.id for node in of_role] for name, of_role in read_nodes(reader, target).by_role().items()}
    if not nodes:
        return not_needed("roles", "There are no managed nodes.")
    having = roles_with(reader, home, policy)
    if having is None:
        return _without_policy(target, values, policy)
    known = {name: read_role(reader, home, name) for name in nodes}
    if values.instance_policy.nodes.inline_at_quota:
        having = having | {name for name in nodes if name not in having and _has_copy(reader, home, name, policy)}
    found = _sorted_out(nodes, known, having, values)
    found = replace(found, full=[name for name in found.lacking if _is_full(reader, home, name)])
    denied = {name: _denied(reader, target, values, known[name] or {}) for name in found.having}
    return _told(found, {name: text for name, text in denied.items() if text}, values, policy)


def _without_policy(target: Target, values: TargetSettings, policy: str) -> Check:
    message = f"The policy {policy} does not exist, so the roles of managed nodes lack it."
    if not values.instance_policy.enabled:
        return finding("roles", message, "Create the policy, or set instance_policy.enabled, and attach it.")
    command = ("apply", "--account", target.account.id, "--region", target.home_region)
    return finding("roles", message, "Apply the home region, then attach the policy to the roles.", command)


@dataclass(frozen=True)
class _Roles:
    """The names of the roles of nodes.

    Attributes:
        nodes: The ids of the nodes by the role.
        having: The roles with the policy.
        lacking: Those without it.
        missing: Those that do not exist.
        excluded: Those that the Config rule leaves out.
        full: Those without it that have as many managed policies as they may.
    """

    nodes: Mapping[str, Sequence[str]]
    having: Sequence[str]
    lacking: Sequence[str]
    missing: Sequence[str]
    excluded: Sequence[str]
    full: Sequence[str] = ()


def _sorted_out(
    nodes: Mapping[str, Sequence[str]],
    known: Mapping[str, Mapping[str, Any] | None],
    having: Collection[str],
    values: TargetSettings,
) -> _Roles:
    missing = [name for name, role in known.items() if role is None]
    excluded = [name for name, role in known.items() if role and is_excluded(role, values)]
    judged = [name for name in nodes if name not in {*missing, *excluded}]
    return _Roles(
        nodes,
        [name for name in judged if name in having],
        [name for name in judged if name not in having],
        missing,
        excluded,
    )


def _told(found: _Roles, denied: Mapping[str, str], values: TargetSettings, policy: str) -> Check:
    """Return the check for sorted roles.

    Args:
        found: The roles.
        denied: What denies roles with the policy its permissions.
        values: Settings of the target.
        policy: ARN of the policy.
    """
    parts, fixes = [], []
    if found.lacking:
        parts.append(f"These roles of managed nodes lack {policy}: {_with_nodes(found.lacking, found.nodes)}.")
        able = [name for name in found.lacking if name not in found.full]
        commands = (f"aws iam attach-role-policy --role-name {name} --policy-arn {policy}" for name in able)
        if able:
            fixes.append(f"Attach the policy: `{' && '.join(commands)}`.")
        if values.preferences.session_key.enabled:
            parts.append("They cannot use the session key, so no session starts there.")
    if found.full:
        parts.append(
            f"{', '.join(found.full)} cannot get it: the role has as many managed policies as its quota allows."
        )
        fixes.append(
            "Detach a policy from it, have the quota raised in Service Quotas, or set "
            "instance_policy.nodes.inline_at_quota and remediate the role."
        )
    if denied:
        each = "; ".join(f"{_with_nodes([name], found.nodes)}: {text}" for name, text in denied.items())
        parts.append(f"These roles of managed nodes have the policy, but not its permissions: {each}.")
        fixes.append("Allow these actions in the permissions boundary, or take the roles out of the denial.")
    if found.missing:
        parts.append(f"These roles of managed nodes do not exist: {_with_nodes(found.missing, found.nodes)}.")
        fixes.append(f"Create {', '.join(found.missing)} again, with the policy.")
    notes = [f"Left out by config_rule: {', '.join(found.excluded)}."] if found.excluded else []
    if parts:
        return finding("roles", " ".join([*parts, *notes]), " ".join(fixes))
    if not found.having:
        return not_needed("roles", " ".join(notes))
    return ok("roles", " ".join([f"{policy} is attached to {', '.join(found.having)}.", *notes]))


def _denied(reader: Reader, target: Target, values: TargetSettings, role: Mapping[str, Any]) -> str:
    """Return what denies a role with the policy what sessions need; empty if nothing does."""
    key = values.preferences.session_key
    named = (key.kms_key_arn or values.names.data_key_alias) if key.enabled else None
    demands = read_demands(reader, target, expected_preferences(target, values, named)["preferences"], values)
    return "; ".join(dict.fromkeys(each.detail for each in find_denials(reader, target, role, demands)))


def is_excluded(role: Mapping[str, Any], values: TargetSettings) -> bool:
    """Tell whether the Config rule leaves a role out, as GetRole returns it."""
    settings = values.config_rule
    return role["Path"].startswith((*_OF_AWS, *settings.excluded_role_paths)) or any(
        fnmatchcase(role["RoleName"], pattern) for pattern in settings.excluded_role_names
    )


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


def _is_full(reader: Reader, home: str, role: str) -> bool:
    """Tell whether a role has as many managed policies as its quota allows."""
    attached = reader.pages("iam", home, "list_attached_role_policies", "AttachedPolicies", RoleName=role)
    summary = reader.once("IAM quotas", lambda: reader.call("iam", home, "get_account_summary")["SummaryMap"])
    most = summary.get("AttachedPoliciesPerRoleQuota")
    return most is not None and len(list(attached)) >= most


def _has_copy(reader: Reader, home: str, role: str, policy: str) -> bool:
    """Tell whether a role has an inline copy of the policy as it is now."""
    name = policy.rpartition("/")[2]
    found = reader.find("iam", home, "get_role_policy", RoleName=role, PolicyName=name)
    if not found:
        return False

    def read() -> Any:  # noqa: ANN401 - a document
        version = reader.call("iam", home, "get_policy", PolicyArn=policy)["Policy"]["DefaultVersionId"]
        answer = reader.call("iam", home, "get_policy_version", PolicyArn=policy, VersionId=version)
        return _document(answer["PolicyVersion"]["Document"])

    return bool(_document(found["PolicyDocument"]) == reader.once(("document", policy), read))


def _document(document: Any) -> Any:  # noqa: ANN401 - botocore decodes it, and leaves what is no JSON as text
    return json.loads(document) if isinstance(document, str) else document


def _with_nodes(names: Sequence[str], nodes: Mapping[str, Sequence[str]]) -> str:
    """Return roles with some of their nodes, such as `web (i-1, i-2, i-3 and 4 more)`."""
    texts = []
    for name in names:
        some = ", ".join(nodes[name][:_NAMED_NODES]) or "no node yet"
        rest = len(nodes[name]) - _NAMED_NODES
        texts.append(f"{name} ({some}{f' and {rest} more' if rest > 0 else ''})")
    return ", ".join(texts)


class Roles(TargetCheck):
    """Check the roles of managed nodes."""

    info = CheckInfo(
        id="roles",
        severity=Severity.HIGH,
        what="every role of a managed node has the instance policy: of EC2 instances (by their instance profile), of "
        "hybrid nodes, and of [Default Host Management](https://docs.aws.amazon.com/systems-manager/latest/userguide/"
        "fleet-manager-default-host-management-configuration.html) where the region has it on. Without the policy a "
        "node can neither use the session key nor log. Roles that `config_rule` excludes are named. AWS's simulator "
        "judges whether a permissions boundary or a service control policy denies what the policy allows; where it may "
        "not be asked, policies and boundary are read",
        why="On a node whose role lacks the policy no session starts with a session key, and none is logged.",
        fix="Attach the policy to the roles.",
        evidence="managed nodes, their roles, and the roles that the policy is attached to",
        where="every target",
        permissions=(
            permissions.WITHOUT_RESOURCES.allow(
                "ec2:DescribeInstances",
                "iam:GetAccountSummary",
                "kms:ListAliases",
                "ssm:DescribeActivations",
                "ssm:DescribeInstanceInformation",
            ),
            permissions.ATTACHMENTS.allow("iam:ListAttachedRolePolicies"),
            permissions.INSTANCE_POLICY.allow("iam:GetPolicy", "iam:GetPolicyVersion", "iam:ListEntitiesForPolicy"),
            permissions.NODE_ROLES.allow(
                "iam:GetInstanceProfile", "iam:GetRole", "iam:GetRolePolicy", "iam:SimulatePrincipalPolicy"
            ),
            permissions.DEFAULT_ROLE.allow("ssm:GetServiceSetting"),
        ),
        component="instance_policy",
        controls=("NIST 800-53 AC-6", "NIST 800-53 AU-12"),
    )

    def applies(self, _: Place) -> bool:
        """Judge every target."""
        return True

    def run(self, place: Place) -> Check:
        """Judge the roles of all managed nodes."""
        return roles(place.reader, place.target, place.values)
