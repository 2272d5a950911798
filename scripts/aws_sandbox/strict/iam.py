"""Quotas of IAM.

See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_iam-quotas.html.
"""

from __future__ import annotations

from moto.iam.models import iam_backends

from aws_sandbox.call import AwsError, Call

POLICIES_PER_ROLE = 10


def policies_per_role(call: Call) -> None:
    """Reject an attachment that exceeds the quota of managed policies per role.

    Raises:
        AwsError: LimitExceeded.
    """
    roles = iam_backends[call.account_id]["aws"].roles.values()
    attached = [role.managed_policies for role in roles if role.name == call.parameters["RoleName"]]
    if any(len(arns) >= POLICIES_PER_ROLE and call.parameters["PolicyArn"] not in arns for arns in attached):
        raise AwsError("LimitExceeded", f"Cannot exceed quota for PoliciesPerRole: {POLICIES_PER_ROLE}")


REFUSALS = (("iam:AttachRolePolicy", policies_per_role),)
