"""Principals in policies: a user or role that does not exist is refused.

See https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_elements_principal.html. Accounts that the
emulated organization does not know are taken for existing ones.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from moto.iam.models import iam_backends

from aws_sandbox.call import AwsError, Call

_SEPARATED = 5


def key_policy(call: Call) -> None:
    """Reject a key policy with an unknown principal.

    Raises:
        AwsError: MalformedPolicyDocumentException.
    """
    if any(_unknown(call.parameters.get("Policy", "{}"))):
        raise AwsError(
            "MalformedPolicyDocumentException", "Policy contains a statement with one or more invalid principals."
        )


def trust_policy(call: Call) -> None:
    """Reject a trust policy with an unknown principal.

    Raises:
        AwsError: MalformedPolicyDocument.
    """
    document = call.parameters.get("AssumeRolePolicyDocument") or call.parameters.get("PolicyDocument", "{}")
    for principal in _unknown(document):
        raise AwsError("MalformedPolicyDocument", f'Invalid principal in policy: "AWS":"{principal}"')


def bucket_policy(call: Call) -> None:
    """Reject a bucket policy with an unknown principal.

    Raises:
        AwsError: MalformedPolicy.
    """
    if any(_unknown(call.parameters.get("Policy", "{}"))):
        raise AwsError("MalformedPolicy", "Invalid principal in policy")


def _unknown(document: str | bytes) -> Iterator[str]:
    """Yield the ARNs of users and roles that a policy names and that do not exist."""
    try:
        statements = json.loads(document).get("Statement", [])
    except (AttributeError, ValueError):
        return
    for statement in statements if isinstance(statements, list) else [statements]:
        for element in ("Principal", "NotPrincipal"):
            named = statement.get(element)
            arns: Any = named.get("AWS", []) if isinstance(named, dict) else []
            yield from (arn for arn in ([arns] if isinstance(arns, str) else arns) if not _exists(arn))


def _exists(arn: str) -> bool:
    parts = arn.split(":", _SEPARATED)
    if len(parts) <= _SEPARATED or parts[2] != "iam" or parts[4] not in iam_backends:
        return True
    backend, (kind, _, _) = iam_backends[parts[4]]["aws"], parts[5].partition("/")
    known: dict[str, Any] = {"role": backend.roles, "user": backend.users}
    return kind not in known or any(each.arn == arn for each in known[kind].values())


REFUSALS = (
    ("iam:CreateRole", trust_policy),
    ("iam:UpdateAssumeRolePolicy", trust_policy),
    ("kms:CreateKey", key_policy),
    ("kms:PutKeyPolicy", key_policy),
    ("s3:PutBucketPolicy", bucket_policy),
)
