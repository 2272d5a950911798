"""Attach the Session Manager policy to the IAM role that AWS Config found without it.

The code of the only step of the Automation document: Systems Manager runs `attach_policy` with the inputs of
the document and the permissions of its assume role. Only a raised exception fails a step, so every failure is
raised, and a returned value always means that the policy is attached. Config says which role is meant; what
is attached to it, IAM alone says.
"""

from __future__ import annotations

import time
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

if TYPE_CHECKING:
    from mypy_boto3_config import ConfigServiceClient
    from mypy_boto3_iam import IAMClient
    from mypy_boto3_iam.type_defs import RoleTypeDef

# Paths of roles that AWS manages: IAM refuses to change the first, Identity Center resets the other.
PROTECTED_PATHS = ("/aws-service-role/", "/aws-reserved/")

# EC2 in a trust policy, in China under both names.
EC2 = {"ec2.amazonaws.com", "ec2.amazonaws.com.cn"}

# IAM is eventually consistent: a new attachment may show only after some seconds.
VERIFY_ATTEMPTS = 6
VERIFY_INTERVAL_SECONDS = 5

# By the code of an error, or by operation and code where the code alone says too little.
ADVICE = {
    "AccessDenied": "Allow this action in the policy of the Automation role, and look for a service control "
    "policy or a permissions boundary that denies it.",
    "LimitExceeded": "The role has as many managed policies as its quota allows: detach one or raise it.",
    "NoSuchEntity": "The role is deleted: nothing is left to do.",
    "AttachRolePolicy NoSuchEntity": "The policy does not exist: deploy the instance policy first.",
    "PolicyNotAttachable": "This policy is for service-linked roles only: name another one.",
    "UnmodifiableEntity": "This role is protected: only the service that owns it may change it.",
}


class RemediationError(Exception):
    """The policy is not attached; the message says to which role, why, and what to do."""


def attach_policy(events: dict[str, str], _context: object) -> dict[str, str]:
    """Attach the policy `PolicyArn` to the role whose Config resource id (`AROA...`) is `IAMResourceId`.

    Roles whose name matches one of `ExcludedRoleNames` (`*` any text, `?` one character) or whose path begins
    with one of `ExcludedRolePaths` are refused; spaces separate them. So are roles that EC2 may not assume.

    Returns the role's name, the policy's ARN and the outcome: "attached" or "already attached", and which permissions
    boundary limits the role.
    Raises RemediationError when the role cannot be found, must not be touched, stays without the policy, or is replaced
    by another role of the same name while this runs.
    """
    resource_id, policy_arn = events["IAMResourceId"], events["PolicyArn"]
    settings = Config(retries={"mode": "standard", "max_attempts": 8})
    config: ConfigServiceClient = boto3.client("config", config=settings)
    iam: IAMClient = boto3.client("iam", config=settings)
    try:
        role_name = find_role_name(config, resource_id)
        check_role(iam.get_role(RoleName=role_name)["Role"], events)
        outcome = "already attached"
        if not is_attached(iam, role_name, policy_arn):
            iam.attach_role_policy(RoleName=role_name, PolicyArn=policy_arn)
            wait_until_attached(iam, role_name, policy_arn)
            outcome = "attached"
        # IAM attaches by name: a role recreated since the check was not checked.
        role = iam.get_role(RoleName=role_name)["Role"]
        check_id(role, resource_id)
    except ClientError as error:
        raise RemediationError(explain(error, resource_id, policy_arn)) from error
    return {"RoleName": role_name, "PolicyArn": policy_arn, "Outcome": outcome + boundary_note(role)}


def boundary_note(role: RoleTypeDef) -> str:
    """Return what the role's permissions boundary means for the policy, or an empty text without a boundary."""
    if "PermissionsBoundary" not in role:
        return ""
    arn = role["PermissionsBoundary"].get("PermissionsBoundaryArn", "")
    return f", limited by the permissions boundary {arn}: sessions fail unless it allows what the policy allows"


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
    """Refuse a role that is not the judged one, is excluded, is none of instances, or not in the policy's account."""
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
    if not trusts_ec2(trust_policy):
        raise RemediationError(f"Role {name} is left as it is: its trust policy does not allow ec2.amazonaws.com.")
    if account_of(role["Arn"]) != account_of(events["PolicyArn"]):
        raise RemediationError(f"Policy {events['PolicyArn']} is not in the account of role {role['Arn']}.")


def check_id(role: RoleTypeDef, resource_id: str) -> None:
    """Raise RemediationError if a role of this name has another id than the one that AWS Config evaluated."""
    if role["RoleId"] != resource_id:
        raise RemediationError(
            f"Role {role['RoleName']} was recreated: AWS Config evaluated {resource_id}, but its id is now "
            f"{role['RoleId']}. AWS Config evaluates the new role by itself."
        )


def trusts_ec2(trust_policy: dict[str, Any]) -> bool:
    """Whether a statement lets exactly EC2, alone or among others, assume the role, as the Guard rule reads it."""
    return any(
        statement.get("Effect") == "Allow"
        and isinstance(principal := statement.get("Principal"), dict)
        and EC2.intersection(listed(principal.get("Service", [])))
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


def is_attached(iam: IAMClient, role_name: str, policy_arn: str) -> bool:
    """Whether IAM lists the policy among those attached to the role."""
    pages = iam.get_paginator("list_attached_role_policies").paginate(RoleName=role_name)
    return any(policy["PolicyArn"] == policy_arn for page in pages for policy in page["AttachedPolicies"])


def wait_until_attached(iam: IAMClient, role_name: str, policy_arn: str) -> None:
    """Return when IAM lists the policy; raise RemediationError when it does not in time."""
    for attempt in range(VERIFY_ATTEMPTS):
        if attempt:
            time.sleep(VERIFY_INTERVAL_SECONDS)
        if is_attached(iam, role_name, policy_arn):
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
