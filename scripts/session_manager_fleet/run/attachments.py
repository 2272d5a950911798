"""Find and remove the attachments of a policy that a plan deletes or replaces: IAM deletes no attached policy.

The remediation, and anyone in the account, attaches the instance policy to roles that Terraform does not know.
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, Literal

import boto3
from botocore.exceptions import ClientError
from pydantic import Field

from session_manager_fleet.aws import CLIENT_CONFIG, translated_errors
from session_manager_fleet.errors import InputError, Problem

if TYPE_CHECKING:  # the stubs are for developers only
    from mypy_boto3_iam import IAMClient

_POLICY = "aws_iam_policy"
_ATTACHMENT = "aws_iam_role_policy_attachment"


@dataclass(frozen=True)
class Attachment:
    """An attachment of a policy that Terraform does not manage, as journals and summaries hold it."""

    policy_arn: Annotated[str, Field(description="ARN of the policy that is deleted or replaced.")]
    kind: Annotated[Literal["role", "user", "group"], Field(description="Kind of what it is attached to.")]
    name: Annotated[str, Field(description="Name of the role, user or group.")]
    successor_arn: Annotated[
        str, Field(description="ARN of the policy that replaces it and is attached first; empty for none.")
    ] = ""

    @property
    def policy_name(self) -> str:
        """Name of the policy."""
        return self.policy_arn.rpartition("/")[2]

    def __str__(self) -> str:
        return f"{self.kind} {self.name}"


@dataclass(frozen=True)
class _Removal:
    """A policy that a plan deletes.

    Attributes:
        arn: Its ARN.
        successor_arn: ARN of the policy that replaces it; empty for none.
        own_roles: Roles that the plan itself detaches it from.
    """

    arn: str
    successor_arn: str
    own_roles: frozenset[str]


def removes_policy(plan: Mapping[str, Any]) -> bool:
    """Tell whether a plan (`terraform show -json`) deletes or replaces a policy."""
    return any(_removals(plan))


def find_attachments(session: boto3.Session, plan: Mapping[str, Any]) -> tuple[Attachment, ...]:
    """Return the attachments, outside of Terraform, of the policies that a plan deletes or replaces.

    Raises:
        InputError: A policy is a permissions boundary, or its replacement has the same name: IAM would refuse both.
        AccessError: The attachments cannot be listed.
    """
    removals = list(_removals(plan))
    if not removals:
        return ()
    iam = session.client("iam", config=CLIENT_CONFIG)
    problems = [*_impossible(removals), *(problem for each in removals for problem in _boundaries(iam, each))]
    if problems:
        raise InputError(problems)
    return tuple(attachment for removal in removals for attachment in _listed(iam, removal))


def refuse_unreviewed(found: Sequence[Attachment], reviewed: Sequence[Attachment]) -> None:
    """Refuse to detach what the plan did not list.

    Raises:
        InputError: Something was attached after the plan was made.
    """
    if late := [attachment for attachment in found if attachment not in reviewed]:
        names = ", ".join(str(attachment) for attachment in late)
        message = f"The policy {late[0].policy_name} was attached to {names} after the plan was made. Plan again."
        raise InputError(message)


def detach(session: boto3.Session, attachments: Sequence[Attachment]) -> None:
    """Detach policies, each after its successor is attached. What is detached already is left alone.

    Raises:
        InputError: A policy was attached to something else since they were listed; nothing is detached then.
        AccessError: IAM refuses.
    """
    iam = session.client("iam", config=CLIENT_CONFIG)
    policies = dict.fromkeys((attachment.policy_arn, attachment.successor_arn) for attachment in attachments)
    found = [each for policy in policies for each in _listed(iam, _Removal(*policy, frozenset()))]
    refuse_unreviewed(found, attachments)
    for attachment in found:
        with translated_errors(f"detach {attachment.policy_arn} from {attachment}"):
            _detach(iam, attachment)


def _removals(plan: Mapping[str, Any]) -> Iterator[_Removal]:
    changes = [entry for entry in plan.get("resource_changes", []) if entry.get("mode") == "managed"]
    current = {entry["address"]: entry["change"].get("after") for entry in changes if "deposed" not in entry}
    for entry in changes:
        if entry["type"] != _POLICY or "delete" not in entry["change"]["actions"]:
            continue
        arn = entry["change"]["before"]["arn"]
        own = {
            other["change"]["before"]["role"]
            for other in changes
            if other["type"] == _ATTACHMENT
            and "delete" in other["change"]["actions"]
            and other["change"]["before"]["policy_arn"] == arn
        }
        yield _Removal(arn, _successor(arn, current.get(entry["address"])), frozenset(own))


def _successor(arn: str, after: Mapping[str, Any] | None) -> str:
    """Return the ARN of the policy that replaces one, which terraform knows after the apply only."""
    return f"{arn.partition(':policy/')[0]}:policy{after['path']}{after['name']}" if after else ""


def _impossible(removals: Sequence[_Removal]) -> Iterator[Problem]:
    for removal in removals:
        old, new = (arn.rpartition("/")[2] for arn in (removal.arn, removal.successor_arn))
        if removal.successor_arn and old.casefold() == new.casefold():
            yield Problem(
                f"The policy {old} would be replaced by one of the same name, and IAM knows a policy name once in an "
                "account, whatever its path: change names.policy together with names.policy_path."
            )


def _boundaries(iam: "IAMClient", removal: _Removal) -> Iterator[Problem]:
    policy = removal.arn.rpartition("/")[2]
    for kind, name in _entities(iam, removal.arn, "PermissionsBoundary"):
        yield Problem(
            f"The policy {policy} is the permissions boundary of the {kind} {name}, so IAM does not delete it: give "
            f"the {kind} another boundary first (aws iam put-{kind}-permissions-boundary)."
        )


def _listed(iam: "IAMClient", removal: _Removal) -> Iterator[Attachment]:
    for kind, name in _entities(iam, removal.arn, "PermissionsPolicy"):
        if kind != "role" or name not in removal.own_roles:
            yield Attachment(removal.arn, kind, name, removal.successor_arn)


def _entities(
    iam: "IAMClient", arn: str, usage: Literal["PermissionsBoundary", "PermissionsPolicy"]
) -> list[tuple[Literal["role", "user", "group"], str]]:
    found: list[tuple[Literal["role", "user", "group"], str]] = []
    with translated_errors(f"list what the policy {arn} is attached to"):
        try:
            for page in iam.get_paginator("list_entities_for_policy").paginate(PolicyArn=arn, PolicyUsageFilter=usage):
                found += [("role", each["RoleName"]) for each in page["PolicyRoles"]]
                found += [("user", each["UserName"]) for each in page["PolicyUsers"]]
                found += [("group", each["GroupName"]) for each in page["PolicyGroups"]]
        except iam.exceptions.NoSuchEntityException:
            return []
    return sorted(found)


def _detach(iam: "IAMClient", attachment: Attachment) -> None:
    attach, remove = _calls(iam, attachment)
    try:
        attached = not attachment.successor_arn
        if not attached:
            try:
                attach(attachment.successor_arn)
                attached = True
            except ClientError as error:
                # At its quota of policies it can hold the new one only after the old one is gone.
                if error.response["Error"]["Code"] != "LimitExceeded":
                    raise
        remove(attachment.policy_arn)
        if not attached:
            attach(attachment.successor_arn)
    except iam.exceptions.NoSuchEntityException:
        # Detached or deleted since it was listed.
        pass


def _calls(iam: "IAMClient", attachment: Attachment) -> tuple[Callable[[str], object], Callable[[str], object]]:
    """Return what attaches a policy to the entity of an attachment, and what detaches one."""
    name = attachment.name
    if attachment.kind == "role":
        return (
            lambda arn: iam.attach_role_policy(RoleName=name, PolicyArn=arn),
            lambda arn: iam.detach_role_policy(RoleName=name, PolicyArn=arn),
        )
    if attachment.kind == "user":
        return (
            lambda arn: iam.attach_user_policy(UserName=name, PolicyArn=arn),
            lambda arn: iam.detach_user_policy(UserName=name, PolicyArn=arn),
        )
    return (
        lambda arn: iam.attach_group_policy(GroupName=name, PolicyArn=arn),
        lambda arn: iam.detach_group_policy(GroupName=name, PolicyArn=arn),
    )
