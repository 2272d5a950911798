"""The policies of the roles that run commands: the state bucket, the organization, and the roles in the accounts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_READ_ORGANIZATION = [
    "organizations:DescribeOrganization",
    "organizations:ListAccounts",
    "organizations:ListAccountsForParent",
    "organizations:ListOrganizationalUnitsForParent",
    "organizations:ListRoots",
    "organizations:ListTagsForResource",
]


@dataclass(frozen=True)
class States:
    """The state bucket and the roles in the accounts, as the callers use them.

    Attributes:
        bucket_arn: ARN of the state bucket.
        key_prefix: Prefix of all objects of this project in it.
        organization_id: Only roles in accounts of this organization may be assumed.
        read_role: ARN of the role that reads, in all accounts.
        deployment_role: ARN of the role that changes, in all accounts.
    """

    bucket_arn: str
    key_prefix: str
    organization_id: str
    read_role: str
    deployment_role: str


def caller_policies(states: States) -> Mapping[str, dict[str, Any]]:
    """Return the policies of the roles that run commands: `plan`, `apply` and `read-states`.

    `states` is that of a role of its own for the states, which the others then assume instead.
    """
    own = f"{states.bucket_arn}/{states.key_prefix}"
    objects = f"{own}/*"
    prefixes = [states.key_prefix, f"{states.key_prefix}/*"]
    read = [
        {
            **_allow("ListStates", ["s3:ListBucket"], states.bucket_arn),
            "Condition": {"StringLike": {"s3:prefix": prefixes}},
        },
        _allow("ReadStates", ["s3:GetObject"], objects),
    ]
    states_of_plans = [
        # S3 answers that a state does not exist yet only to those who may list the bucket; this has no prefix.
        _allow("ListStates", ["s3:ListBucket"], states.bucket_arn),
        # Terraform looks for the state of the default workspace, too, although there is none.
        _allow("ReadStates", ["s3:GetObject"], [objects, f"{states.bucket_arn}/terraform.tfstate"]),
        # Terraform writes an empty state when it plans a target for the first time.
        _allow(
            "WriteStatesAndLocks",
            ["s3:PutObject"],
            [f"{objects}/terraform.tfstate", f"{objects}/terraform.tfstate.tflock"],
        ),
        _allow("ReleaseLocks", ["s3:DeleteObject"], f"{objects}/terraform.tfstate.tflock"),
        # A role that may write states could hide a difference there as well.
        _allow("MarkCleanRuns", ["s3:PutObject"], f"{own}/clean/*"),
    ]
    common = [
        *states_of_plans,
        # These actions know no resources.
        _allow("ReadOrganization", _READ_ORGANIZATION, "*"),
        _enter("AssumeReadRole", states.read_role, states.organization_id),
    ]
    applies = [
        _allow("StoreRetryTokens", ["s3:PutObject"], f"{own}/revisions/*"),
        _allow("RemoveMarksOfApplies", ["s3:DeleteObject"], f"{own}/revisions/*/applying"),
        _allow("RememberAdopted", ["s3:PutObject", "s3:DeleteObject"], f"{own}/adopted/*"),
    ]
    changing = _enter("AssumeDeploymentRole", states.deployment_role, states.organization_id)
    return {
        name: {"Version": "2012-10-17", "Statement": statements}
        for name, statements in {
            "plan": common,
            "apply": [*common, changing, *applies],
            "read-states": read,
            "states": [*states_of_plans, *applies],
        }.items()
    }


def _allow(sid: str, actions: list[str], resource: str | list[str]) -> dict[str, Any]:
    return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resource}


def _enter(sid: str, role: str, organization_id: str) -> dict[str, Any]:
    condition = {"StringEquals": {"aws:ResourceOrgID": organization_id}}
    return {**_allow(sid, ["sts:AssumeRole"], role), "Condition": condition}
