"""Quotas of IAM, and what it does not delete because it is in use.

See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html; API_DeletePolicy, API_DeleteGroup and
API_CreatePolicy in https://docs.aws.amazon.com/IAM/latest/APIReference/.
"""

from __future__ import annotations

import re
from typing import Any

from moto.iam.models import Role, iam_backends

from aws_sandbox.call import AwsError, Call
from aws_sandbox.policy_entities import bounded_by

POLICIES_PER_ROLE = 10
POLICY_CHARACTERS = 6144
INLINE_CHARACTERS = 10_240
TRUST_POLICY_CHARACTERS = 2048


def policies_per_role(call: Call) -> None:
    """Reject an attachment that exceeds the quota of managed policies per role.

    Raises:
        AwsError: LimitExceeded.
    """
    attached = [role.managed_policies for role in _roles(call)]
    if any(len(arns) >= POLICIES_PER_ROLE and call.parameters["PolicyArn"] not in arns for arns in attached):
        raise AwsError("LimitExceeded", f"Cannot exceed quota for PoliciesPerRole: {POLICIES_PER_ROLE}")


def policy_in_use(call: Call) -> None:
    """Reject the deletion of a policy that is attached, a permissions boundary, or has several versions.

    Raises:
        AwsError: DeleteConflict.
    """
    backend, asked = iam_backends[call.account_id]["aws"], call.parameters
    arn = asked["PolicyArn"]
    holders: tuple[Any, ...] = (*backend.roles.values(), *backend.users.values(), *backend.groups.values())
    if any(arn in holder.managed_policies for holder in holders) or any(bounded_by(backend, arn)):
        raise AwsError("DeleteConflict", "Cannot delete a policy attached to entities.")
    policy = backend.managed_policies.get(arn)
    if policy is not None and len(policy.versions) > 1:
        message = (
            "This policy has more than one version. Before you delete a policy, you must delete the policy's versions. "
            "The default version is deleted with the policy."
        )
        raise AwsError("DeleteConflict", message)


def group_in_use(call: Call) -> None:
    """Reject the deletion of a group with users or policies; moto does so for roles, users and instance profiles.

    Raises:
        AwsError: DeleteConflict.
    """
    backend, asked = iam_backends[call.account_id]["aws"], call.parameters
    group = backend.groups.get(asked["GroupName"])
    if group is None:
        return
    if group.users:
        raise AwsError("DeleteConflict", "Cannot delete entity, must remove users from group first.")
    if group.managed_policies:
        raise AwsError("DeleteConflict", "Cannot delete entity, must detach all policies first.")
    if group.policies:
        raise AwsError("DeleteConflict", "Cannot delete entity, must delete policies first.")


def policy_name_taken(call: Call) -> None:
    """Reject a policy with a name that another one has, under any path and in any case.

    Raises:
        AwsError: EntityAlreadyExists.
    """
    backend, asked = iam_backends[call.account_id]["aws"], call.parameters
    name = asked["PolicyName"]
    own = (policy for arn, policy in backend.managed_policies.items() if arn.split(":")[4] != "aws")
    if any(policy.name.casefold() == name.casefold() for policy in own):
        message = f"A policy called {name} already exists. Duplicate names are not allowed."
        raise AwsError("EntityAlreadyExists", message)


def managed_policy_size(call: Call) -> None:
    """Reject a managed policy that is too long; white space does not count.

    Raises:
        AwsError: LimitExceeded.
    """
    if _size(call.parameters["PolicyDocument"]) > POLICY_CHARACTERS:
        raise AwsError("LimitExceeded", f"Cannot exceed quota for PolicySize: {POLICY_CHARACTERS}")


def inline_policies_size(call: Call) -> None:
    """Reject an inline policy with which the role's inline policies are too long together.

    Raises:
        AwsError: LimitExceeded.
    """
    for role in _roles(call):
        policies = {**role.policies, call.parameters["PolicyName"]: call.parameters["PolicyDocument"]}
        if sum(map(_size, policies.values())) > INLINE_CHARACTERS:
            raise AwsError(
                "LimitExceeded", f"Maximum policy size of {INLINE_CHARACTERS} bytes exceeded for role {role.name}"
            )


def trust_policy_size(call: Call) -> None:
    """Reject a trust policy that is too long.

    Raises:
        AwsError: LimitExceeded.
    """
    document = call.parameters.get("AssumeRolePolicyDocument") or call.parameters.get("PolicyDocument", "")
    if _size(document) > TRUST_POLICY_CHARACTERS:
        raise AwsError("LimitExceeded", f"Cannot exceed quota for ACLSizePerRole: {TRUST_POLICY_CHARACTERS}")


def _roles(call: Call) -> list[Role]:
    roles = iam_backends[call.account_id]["aws"].roles.values()
    return [role for role in roles if role.name == call.parameters["RoleName"]]


def _size(document: str) -> int:
    return len(re.sub(r"\s", "", document))


REFUSALS = (
    ("iam:AttachRolePolicy", policies_per_role),
    ("iam:CreatePolicy", policy_name_taken),
    ("iam:DeleteGroup", group_in_use),
    ("iam:DeletePolicy", policy_in_use),
    ("iam:CreatePolicy", managed_policy_size),
    ("iam:CreatePolicyVersion", managed_policy_size),
    ("iam:PutRolePolicy", inline_policies_size),
    ("iam:CreateRole", trust_policy_size),
    ("iam:UpdateAssumeRolePolicy", trust_policy_size),
)
