"""ListEntitiesForPolicy of IAM, in which moto takes no account of permissions boundaries.

See https://docs.aws.amazon.com/IAM/latest/APIReference/API_ListEntitiesForPolicy.html.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from moto.iam.models import iam_backends

from aws_sandbox.call import Call

if TYPE_CHECKING:
    from moto.iam.models import IAMBackend


def list_entities_for_policy(call: Call) -> dict[str, Any] | None:
    """Answer ListEntitiesForPolicy for permissions boundaries, which moto takes for attachments.

    Calls without a usage filter list both, as moto does not.
    """
    usage = call.parameters.get("PolicyUsageFilter")
    backend, arn = iam_backends[call.account_id]["aws"], call.parameters["PolicyArn"]
    # It raises NoSuchEntity, where moto would find no entities.
    backend.get_policy(arn)
    if usage == "PermissionsPolicy":
        return None
    roles, users = bounded_by(backend, arn)
    groups = []
    if usage is None:
        roles += [role for role in backend.roles.values() if arn in role.managed_policies and role not in roles]
        users += [user for user in backend.users.values() if arn in user.managed_policies and user not in users]
        groups = [group for group in backend.groups.values() if arn in group.managed_policies]
    return {
        "PolicyRoles": [{"RoleName": role.name, "RoleId": role.id} for role in roles],
        "PolicyUsers": [{"UserName": user.name, "UserId": user.id} for user in users],
        "PolicyGroups": [{"GroupName": group.name, "GroupId": group.id} for group in groups],
        "IsTruncated": False,
    }


def bounded_by(backend: IAMBackend, arn: str) -> tuple[list[Any], list[Any]]:
    """Return the roles and the users whose permissions boundary a policy is."""
    return (
        [role for role in backend.roles.values() if role.permissions_boundary_arn == arn],
        [user for user in backend.users.values() if getattr(user, "permissions_boundary_arn", None) == arn],
    )
