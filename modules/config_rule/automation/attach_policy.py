"""Attach the Session Manager policy to the IAM role that AWS Config found without it.

The code of the only step of the Automation document: Systems Manager runs `attach_policy` with the inputs of
the document and the permissions of its assume role. Only a raised exception fails a step, so every failure is
raised, and a returned value always means that the role has the policy and may use it. Config says which role is
meant; what is attached to it, IAM alone says.
"""

from __future__ import annotations

import json
import os
import time
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from mypy_boto3_config import ConfigServiceClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_iam.type_defs import RoleTypeDef

# Paths of roles that AWS manages: IAM refuses to change the first, Identity Center resets the other.
PROTECTED_PATHS = ("/aws-service-role/", "/aws-reserved/")

# Who assumes the roles of nodes, in China under both names.
EC2 = {"ec2.amazonaws.com", "ec2.amazonaws.com.cn"}
SYSTEMS_MANAGER = {"ssm.amazonaws.com", "ssm.amazonaws.com.cn"}

# AWS's policies for the agent, which tell the roles of nodes from others that Systems Manager assumes.
AGENT_POLICIES = {
    "default_host_management": "AmazonSSMManagedEC2InstanceDefaultPolicy",
    "hybrid": "AmazonSSMManagedInstanceCore",
}

# IAM is eventually consistent: a new attachment may show only after some seconds.
VERIFY_ATTEMPTS = 6
VERIFY_INTERVAL_SECONDS = 5

NAMED_NODES = 20
SETTINGS = Config(retries={"mode": "standard", "max_attempts": 8})

# By the code of an error, or by operation and code where the code alone says too little.
ADVICE = {
    "AccessDenied": "Allow this action in the policy of the Automation role, and look for a service control "
    "policy or a permissions boundary that denies it.",
    "AttachRolePolicy LimitExceeded": "The role has as many managed policies as its quota allows: detach one or raise "
    "it, or set instance_policy.nodes.inline_at_quota.",
    "PutRolePolicy LimitExceeded": "The inline policies of the role would be too long: remove some.",
    "NoSuchEntity": "The role is deleted: nothing is left to do.",
    "AttachRolePolicy NoSuchEntity": "The policy does not exist: deploy the instance policy first.",
    "PolicyNotAttachable": "This policy is for service-linked roles only: name another one.",
    "UnmodifiableEntity": "This role is protected: only the service that owns it may change it.",
}


class RemediationError(Exception):
    """The role lacks the policy or its permissions; the message says which role, why, and what to do."""


def attach_policy(events: dict[str, str], _context: object) -> dict[str, str]:
    """Attach the policy `PolicyArn` to the role whose Config resource id (`AROA...`) is `IAMResourceId`.

    Roles whose name matches one of `ExcludedRoleNames` (`*` any text, `?` one character) or whose path begins
    with one of `ExcludedRolePaths` are refused; spaces separate them. So are roles that are none of nodes of the
    `NodeKinds`: `instance_profiles`, `default_host_management`, `hybrid`. With `InlineAtQuota` "true", a role that
    has as many managed policies as it may gets an inline copy.

    Returns the role's name, the policy's ARN, the outcome ("attached", "already attached", "copied inline" or "already
    copied inline"), and the nodes that the role serves.
    Raises RemediationError when the role cannot be found, must not be touched, stays without the policy or its
    permissions, or is replaced by another role of the same name while this runs.
    """
    resource_id, policy_arn = events["IAMResourceId"], events["PolicyArn"]
    config: ConfigServiceClient = boto3.client("config", config=SETTINGS)
    iam: IAMClient = boto3.client("iam", config=SETTINGS)
    try:
        role_name = find_role_name(config, resource_id)
        role = iam.get_role(RoleName=role_name)["Role"]
        check_role(role, events)
        attached = attached_policies(iam, role_name)
        check_agent(role, attached, node_kinds(events))
        outcome = "already attached"
        if policy_arn not in attached:
            outcome = attach(iam, role_name, policy_arn, inline=events.get("InlineAtQuota") == "true")
        # IAM attaches by name: a role recreated since the check was not checked.
        role = iam.get_role(RoleName=role_name)["Role"]
        check_id(role, resource_id)
        check_permissions(iam, role, policy_arn, outcome)
        profiles = iam.get_paginator("list_instance_profiles_for_role").paginate(RoleName=role_name)
        arns = [profile["Arn"] for page in profiles for profile in page["InstanceProfiles"]]
    except ClientError as error:
        raise RemediationError(explain(error, resource_id, policy_arn)) from error
    return {"RoleName": role_name, "PolicyArn": policy_arn, "Outcome": outcome, "Nodes": nodes_of(role_name, arns)}


def attach(iam: IAMClient, role_name: str, policy_arn: str, *, inline: bool) -> str:
    """Attach the policy, or copy it where the role has as many as it may and this is allowed; return the outcome."""
    name = policy_arn.rpartition("/")[2]
    if inline and (copy := inline_policy(iam, role_name, name)) and copy == document_of(iam, policy_arn):
        return "already copied inline"
    try:
        iam.attach_role_policy(RoleName=role_name, PolicyArn=policy_arn)
    except ClientError as error:
        if not inline or error.response["Error"]["Code"] != "LimitExceeded":
            raise
        document = document_of(iam, policy_arn)
        iam.put_role_policy(RoleName=role_name, PolicyName=name, PolicyDocument=json.dumps(document))
        return "copied inline"
    wait_until_attached(iam, role_name, policy_arn)
    return "attached"


def inline_policy(iam: IAMClient, role_name: str, name: str) -> dict[str, Any] | None:
    """Return an inline policy of the role; None if it has none of this name."""
    try:
        document: Any = iam.get_role_policy(RoleName=role_name, PolicyName=name)["PolicyDocument"]
    except ClientError as error:
        if error.response["Error"]["Code"] != "NoSuchEntity":
            raise
        return None
    return document if isinstance(document, dict) else json.loads(document)


def document_of(iam: IAMClient, policy_arn: str) -> dict[str, Any]:
    """Return the default version of the policy."""
    version = iam.get_policy(PolicyArn=policy_arn)["Policy"]["DefaultVersionId"]
    document: Any = iam.get_policy_version(PolicyArn=policy_arn, VersionId=version)["PolicyVersion"]["Document"]
    return document if isinstance(document, dict) else json.loads(document)


def check_permissions(iam: IAMClient, role: RoleTypeDef, policy_arn: str, outcome: str) -> None:
    """Raise RemediationError if something takes away what the policy allows: boundary, organization, or a denial."""
    boundary = role.get("PermissionsBoundary", {}).get("PermissionsBoundaryArn", "")
    denied: dict[str, list[str]] = {}
    try:
        for statement in listed(document_of(iam, policy_arn)["Statement"]):
            for result in simulated(iam, role["Arn"], statement):
                if by := denied_by(result, boundary):
                    denied.setdefault(by, []).append(result["EvalActionName"])
    except ClientError as error:
        if not boundary:
            return
        raise RemediationError(
            f"The policy is {outcome}, but whether the permissions boundary {boundary} of role {role['RoleName']} "
            f"allows the same cannot be simulated: {error}. Allow iam:SimulatePrincipalPolicy to the Automation role."
        ) from error
    if denied:
        reasons = "; ".join(f"{by}: {', '.join(dict.fromkeys(actions))}" for by, actions in denied.items())
        raise RemediationError(
            f"The policy is {outcome}, but role {role['RoleName']} cannot use it, so its nodes have no sessions or no "
            f"logs. These actions are denied by {reasons}. Allow them there, or exclude the role."
        )


def simulated(iam: IAMClient, role_arn: str, statement: dict[str, Any]) -> Iterator[Any]:
    """Yield what IAM answers to each action of a statement on each of its resources."""
    if statement["Effect"] != "Allow":
        return
    context = [
        {
            "ContextKeyName": key,
            "ContextKeyValues": [concrete(value) for value in listed(values)],
            "ContextKeyType": "stringList" if operator.startswith("For") else "string",
        }
        for operator, keys in statement.get("Condition", {}).items()
        for key, values in keys.items()
        if operator != "Null"
    ]
    pages = iam.get_paginator("simulate_principal_policy").paginate(
        PolicySourceArn=role_arn,
        ActionNames=[action.rstrip("*") for action in listed(statement["Action"])],
        ResourceArns=[concrete(resource) for resource in listed(statement["Resource"])],
        ContextEntries=context,
    )
    for page in pages:
        yield from page["EvaluationResults"]


def concrete(text: str) -> str:
    """Return a text that a pattern matches: a region in an ARN, or a name."""
    if text == "*":
        return text
    parts = text.split(":", 5)
    if text.startswith("arn:") and parts[3] == "*":
        parts[3] = this_region()
    return ":".join(parts).replace("*", "any")


def this_region() -> str:
    """Return the region in which the automation runs."""
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or "us-east-1"


def denied_by(result: Any, boundary: str) -> str:  # noqa: ANN401 - an EvaluationResult
    """Return what denies an action that the policy allows; empty if nothing does."""
    if result.get("OrganizationsDecisionDetail", {}).get("AllowedByOrganizations") is False:
        return "a service control policy"
    if result.get("PermissionsBoundaryDecisionDetail", {}).get("AllowedByPermissionsBoundary") is False:
        return f"the permissions boundary {boundary}"
    return "another policy of the role" if result["EvalDecision"] == "explicitDeny" else ""


def nodes_of(role_name: str, profile_arns: list[str]) -> str:
    """Return the nodes that the role serves, with their regions; what cannot be read is said, and stops nothing."""
    nodes: list[str] = []
    unread: list[str] = []
    for region in regions():
        try:
            nodes += [f"{node} ({region})" for node in nodes_in(region, role_name, profile_arns)]
        except (BotoCoreError, ClientError):
            unread.append(region)
    rest = f" and {len(nodes) - NAMED_NODES} more" if len(nodes) > NAMED_NODES else ""
    unknown = f"; not known in {', '.join(unread)}" if unread else ""
    return (", ".join(nodes[:NAMED_NODES]) or "none") + rest + unknown


def regions() -> list[str]:
    """Return the regions that the account uses; where they cannot be read, this one."""
    try:
        pages = (
            boto3.client("account", config=SETTINGS)
            .get_paginator("list_regions")
            .paginate(RegionOptStatusContains=["ENABLED", "ENABLED_BY_DEFAULT"])
        )
        return sorted(region["RegionName"] for page in pages for region in page["Regions"])
    except (BotoCoreError, ClientError):
        return [this_region()]


def nodes_in(region: str, role_name: str, profile_arns: list[str]) -> list[str]:
    """Return the ids of a region's nodes with the role: by Systems Manager itself, or by their instance profile."""
    ssm = boto3.client("ssm", region_name=region, config=SETTINGS)
    found = {
        node["InstanceId"]: node.get("IamRole", "")
        for page in ssm.get_paginator("describe_instance_information").paginate()
        for node in page["InstanceInformationList"]
    }
    nodes = {node for node, role in found.items() if role.rpartition("/")[2] == role_name}
    if profile_arns and found:
        ec2 = boto3.client("ec2", region_name=region, config=SETTINGS)
        with_profile = [{"Name": "iam-instance-profile.arn", "Values": profile_arns}]
        for page in ec2.get_paginator("describe_instances").paginate(Filters=with_profile):
            instances = (each["InstanceId"] for part in page["Reservations"] for each in part["Instances"])
            nodes |= {instance for instance in instances if found.get(instance) == ""}
    return sorted(nodes)


def find_role_name(config: ConfigServiceClient, resource_id: str) -> str:
    """Return the name of the role with this id, from its newest configuration item."""
    found = config.get_resource_config_history(resourceType="AWS::IAM::Role", resourceId=resource_id, limit=1)
    history = found["configurationItems"]
    if not history:
        raise RemediationError(f"AWS Config has no configuration item of role {resource_id}.")
    status = history[0]["configurationItemStatus"]
    if status.startswith("ResourceDeleted"):
        raise RemediationError(f"Role {resource_id} is deleted: AWS Config says {status}.")
    return history[0]["resourceName"]


def check_role(role: RoleTypeDef, events: dict[str, str]) -> None:
    """Refuse a role that is not the judged one, is excluded, or is not in the policy's account."""
    name, path = role["RoleName"], role["Path"]
    check_id(role, events["IAMResourceId"])
    if path.startswith(PROTECTED_PATHS):
        raise RemediationError(f"Role {name} is left as it is: AWS manages the roles under {path}.")
    for prefix in events["ExcludedRolePaths"].split():
        if path.startswith(prefix):
            raise RemediationError(f"Role {name} is left as it is: the roles under {prefix} are excluded.")
    for pattern in events["ExcludedRoleNames"].split():
        if fnmatchcase(name, pattern):
            raise RemediationError(f"Role {name} is left as it is: the roles named {pattern} are excluded.")
    # botocore decodes it, and leaves what is not JSON as text.
    trust_policy: object = role["AssumeRolePolicyDocument"]
    if not isinstance(trust_policy, dict):
        raise RemediationError(f"Role {name} is left as it is: its trust policy cannot be read: {trust_policy!r:.200}")
    check_trust(role, node_kinds(events))
    if account_of(role["Arn"]) != account_of(events["PolicyArn"]):
        raise RemediationError(f"Policy {events['PolicyArn']} is not in the account of role {role['Arn']}.")


def check_id(role: RoleTypeDef, resource_id: str) -> None:
    """Raise RemediationError if a role of this name has another id than the one that AWS Config evaluated."""
    if role["RoleId"] != resource_id:
        raise RemediationError(
            f"Role {role['RoleName']} was recreated: AWS Config evaluated {resource_id}, but its id is now "
            f"{role['RoleId']}. AWS Config evaluates the new role by itself."
        )


def node_kinds(events: dict[str, str]) -> list[str]:
    """Return the kinds of nodes whose roles are remediated; without a word, all."""
    return events.get("NodeKinds", "instance_profiles default_host_management hybrid").split()


def check_trust(role: RoleTypeDef, kinds: list[str]) -> None:
    """Refuse a role that neither EC2 nor Systems Manager may assume, as far as nodes of these kinds use such roles."""
    services = {
        "ec2.amazonaws.com": EC2 if "instance_profiles" in kinds else set(),
        "ssm.amazonaws.com": SYSTEMS_MANAGER if AGENT_POLICIES.keys() & set(kinds) else set(),
    }
    trust_policy: Any = role["AssumeRolePolicyDocument"]
    if not trusts(trust_policy, set().union(*services.values())):
        names = " or ".join(name for name, known in services.items() if known)
        raise RemediationError(f"Role {role['RoleName']} is left as it is: its trust policy does not allow {names}.")


def check_agent(role: RoleTypeDef, attached: list[str], kinds: list[str]) -> None:
    """Refuse a role that Systems Manager assumes for other work than that of nodes, as the Guard rule reads it."""
    if "instance_profiles" in kinds and trusts(role["AssumeRolePolicyDocument"], EC2):
        return
    wanted = [policy for kind, policy in AGENT_POLICIES.items() if kind in kinds]
    if not any(arn.endswith(f":aws:policy/{policy}") for arn in attached for policy in wanted):
        raise RemediationError(
            f"Role {role['RoleName']} is left as it is: it is none of nodes, as it has no policy {' or '.join(wanted)}."
        )


def trusts(trust_policy: Any, services: set[str]) -> bool:  # noqa: ANN401 - a document
    """Whether a statement lets exactly one of the services, alone or among others, assume the role."""
    return any(
        statement.get("Effect") == "Allow"
        and isinstance(principal := statement.get("Principal"), dict)
        and services.intersection(listed(principal.get("Service", [])))
        and allows_assume_role(statement)
        for statement in listed(trust_policy["Statement"])
    )


def allows_assume_role(statement: dict[str, Any]) -> bool:
    """Whether the actions of a statement include sts:AssumeRole; those of NotAction count as if they left it."""
    actions = listed(statement.get("Action", []))
    return "NotAction" in statement or any(fnmatchcase("sts:assumerole", action.lower()) for action in actions)


def listed(value: Any) -> list[Any]:  # noqa: ANN401 - IAM takes one value for a list of one
    """Return a value as a list."""
    return value if isinstance(value, list) else [value]


def account_of(arn: str) -> str:
    """Return the account id in an ARN."""
    return arn.split(":")[4]


def attached_policies(iam: IAMClient, role_name: str) -> list[str]:
    """Return the ARNs of the policies that IAM lists as attached to the role."""
    pages = iam.get_paginator("list_attached_role_policies").paginate(RoleName=role_name)
    return [policy["PolicyArn"] for page in pages for policy in page["AttachedPolicies"]]


def wait_until_attached(iam: IAMClient, role_name: str, policy_arn: str) -> None:
    """Return when IAM lists the policy; raise RemediationError when it does not in time."""
    for attempt in range(VERIFY_ATTEMPTS):
        if attempt:
            time.sleep(VERIFY_INTERVAL_SECONDS)
        if policy_arn in attached_policies(iam, role_name):
            return
    raise RemediationError(
        f"Policy {policy_arn} was attached to role {role_name}, but IAM does not list it: look for a principal "
        "who detaches it."
    )


def explain(error: ClientError, resource_id: str, policy_arn: str) -> str:
    """Return what AWS refused as a sentence, with advice where the error code allows it."""
    code, text = error.response["Error"]["Code"], error.response["Error"]["Message"]
    kind = code.removesuffix("Exception")
    advice = ADVICE.get(f"{error.operation_name} {kind}") or ADVICE.get(kind, "")
    attempt = f"{error.operation_name} failed for role {resource_id} and policy {policy_arn}"
    return f"{attempt} with {code}: {text} {advice}".strip()
