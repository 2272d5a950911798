"""Enforcement of IAM permissions of users and roles (`enforce_iam`).

moto's own enforcement supports the resource of few actions and no conditions, so that a role with least privilege could
do nothing. Here every call, even one that moto does not answer, needs an identity policy that allows it. Bucket and key
policies apply as in AWS, within and across accounts, also where S3 uses a key on behalf of the caller. Permissions
boundaries, groups, service control policies and (except for messages that a function sends) other resource policies
are not evaluated.

Requests have the condition keys `aws:PrincipalAccount`, `aws:PrincipalArn`, `aws:PrincipalOrgID`,
`aws:PrincipalIsAWSService`, `aws:RequestedRegion`, `aws:ResourceAccount` and `aws:ResourceOrgID` (of ARNs with an
account), `aws:SecureTransport` (the emulator's plain HTTP stands for TLS),
`iam:PolicyARN`, `kms:ResourceAliases`, `s3:ResourceAccount`, those of objects in S3 and those of S3's own calls of KMS;
any other key is absent from them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from moto.iam.exceptions import NotFoundException
from moto.iam.models import iam_backends

from aws_sandbox.call import Call
from aws_sandbox.identity import Caller, Identity, find_role, policies_of
from aws_sandbox.messages import policy_of
from aws_sandbox.policies import Principal, Request, effects
from aws_sandbox.resource_policies import (
    Protection,
    bucket_of,
    key_of,
    key_use,
    object_context,
    protection_of_bucket,
    protection_of_key,
)

# Actions whose name differs from the operation:
# https://docs.aws.amazon.com/service-authorization/latest/reference/reference_policies_actions-resources-contextkeys.html
_ACTIONS = {
    "lambda:Invoke": "lambda:InvokeFunction",
    "s3:CompleteMultipartUpload": "s3:PutObject",
    "s3:CreateMultipartUpload": "s3:PutObject",
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:GetBucketEncryption": "s3:GetEncryptionConfiguration",
    "s3:GetPublicAccessBlock": "s3:GetBucketPublicAccessBlock",
    "s3:HeadBucket": "s3:ListBucket",
    "s3:HeadObject": "s3:GetObject",
    "s3:ListBuckets": "s3:ListAllMyBuckets",
    "s3:ListObjects": "s3:ListBucket",
    "s3:ListObjectsV2": "s3:ListBucket",
    "s3:PutBucketEncryption": "s3:PutEncryptionConfiguration",
    "s3:PutPublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "s3:UploadPart": "s3:PutObject",
}
_SENDING = {"sqs": "sqs:SendMessage", "sns": "sns:Publish"}


class Permissions:
    """Checks whether callers are authorized.

    Args:
        identity: Resolves callers and their policies.
        enforced: Whether to reject unauthorized calls.
    """

    def __init__(self, identity: Identity, *, enforced: bool) -> None:
        self._identity = identity
        self._enforced = enforced

    def check(self, call: Call) -> None:
        """Reject a call that the policies of the caller do not allow.

        Raises:
            AwsError: The service's variant of AccessDenied.
        """
        # GetCallerIdentity needs no permission.
        if not self._enforced or call.action == "sts:GetCallerIdentity":
            return
        caller = self._identity.caller(call)
        context = {
            **self._identity.context(caller),
            "aws:RequestedRegion": call.region,
            "aws:SecureTransport": "true",
            "aws:PrincipalIsAWSService": "false",
            **_context(call),
        }
        action, bucket, key = _ACTIONS.get(call.action, call.action), bucket_of(call), _key(call)
        protection = protection_of_bucket(bucket) if bucket else protection_of_key(key) if key else None
        # PutObject with an ACL also needs s3:PutObjectAcl.
        also = ["s3:PutObjectAcl"] if action == "s3:PutObject" and "ACL" in call.parameters else []
        for resource in resources(call):
            owner = self._identity.owner_context(resource)
            for each in (action, *also):
                self._demand(call, caller, Request(each, resource, {**context, **owner}), protection)
        if bucket and (use := key_use(call, bucket)):
            request = Request(use.action, use.key.arn, {**context, **_aliases(use.key), **use.context})
            self._demand(call, caller, request, protection_of_key(use.key))

    def _demand(self, call: Call, caller: Caller, request: Request, protection: Protection | None) -> None:
        """Reject a request that the policies of caller and resource together do not allow.

        Raises:
            AwsError: The service's variant of AccessDenied.
        """
        own = effects(self._identity.policies(caller), request)
        named, delegated = set[str](), set[str]()
        if protection:
            account = frozenset({caller.account_id, f"arn:aws:iam::{caller.account_id}:root"})
            by_name = Principal("AWS", frozenset({caller.arn, caller.principal_arn}))
            named = effects(protection.documents, replace(request, principal=by_name))
            delegated = effects(protection.documents, replace(request, principal=Principal("AWS", account)))
        if "Deny" in own | named | delegated:
            reason = "a policy denies it explicitly"
        elif protection and protection.owner != caller.account_id:
            reason = "" if own and (named or delegated) else "no policy on both sides allows it"
        elif protection and protection.decisive:
            # A key policy that names the account delegates to IAM:
            # https://docs.aws.amazon.com/kms/latest/developerguide/key-policies.html
            reason = "" if named or (own and delegated) else "the policy of the key does not allow it"
        else:
            reason = "" if own or named else "no identity-based policy allows it"
        if reason:
            raise call.access_denied(
                f"User: {caller.arn} is not authorized to perform: {request.action} on resource: {request.resource} "
                f"because {reason}"
            )

    def may_send(self, role_arn: str, arn: str) -> bool:
        """Return whether the policies of a role, queue or topic allow the role to send.

        Raises:
            ServiceException: There is no such queue or topic.
        """
        if not self._enforced:
            return True
        role = find_role(role_arn)
        service, account_id = arn.split(":")[2], role_arn.split(":")[4]
        context = {"aws:PrincipalAccount": account_id, "aws:PrincipalArn": role_arn, "aws:SecureTransport": "true"}
        request = Request(_SENDING.get(service, service), arn, context)
        names = frozenset({account_id, f"arn:aws:iam::{account_id}:root", role_arn})
        of_role = effects(policies_of(role), request) if role else set()
        of_target = effects(policy_of(arn), replace(request, principal=Principal("AWS", names)))
        return of_role | of_target == {"Allow"}


def resources(call: Call) -> list[str]:
    """Return the resource ARNs of a call; `*` for actions without resource-level permissions or unknown here."""
    find = _RESOURCES.get(call.service)
    return (find(call) if find else []) or ["*"]


def _arn(call: Call, service: str, resource: str) -> str:
    return f"arn:aws:{service}:{call.region}:{call.account_id}:{resource}"


def _ssm(call: Call) -> list[str]:
    asked = call.parameters
    if call.operation == "StartAutomationExecution":
        version = asked.get("DocumentVersion", "$DEFAULT")
        return [_arn(call, "ssm", f"automation-definition/{asked['DocumentName']}:{version}")]
    if call.operation.endswith("AutomationExecution"):
        return [_arn(call, "ssm", f"automation-execution/{asked['AutomationExecutionId']}")]
    if "Document" in call.operation and "Name" in asked:
        return [_arn(call, "ssm", f"document/{asked['Name']}")]
    names = asked.get("Names") or [asked[key] for key in ("Name", "Path") if key in asked]
    return [_arn(call, "ssm", f"parameter/{name.removeprefix('/')}") for name in names if "Parameter" in call.operation]


def _iam(call: Call) -> list[str]:
    asked = call.parameters
    backend = iam_backends[call.account_id]["aws"]
    kinds: Mapping[str, tuple[str, Callable[[str], Any]]] = {
        "RoleName": ("role", backend.get_role),
        "UserName": ("user", backend.get_user),
        "InstanceProfileName": ("instance-profile", backend.get_instance_profile),
    }
    for parameter, (kind, find) in kinds.items():
        if parameter in asked:
            try:
                return [str(find(asked[parameter]).arn)]
            except NotFoundException:
                return [f"arn:aws:iam::{call.account_id}:{kind}{asked.get('Path', '/')}{asked[parameter]}"]
    return [asked["PolicyArn"]] if "PolicyArn" in asked else []


def _logs(call: Call) -> list[str]:
    if call.operation == "DescribeLogGroups":
        return [_arn(call, "logs", "log-group::log-stream:")]
    group = call.parameters.get("logGroupName")
    stream = call.parameters.get("logStreamName", "")
    return [_arn(call, "logs", f"log-group:{group}:log-stream:{stream}")] if group else []


def _kms(call: Call) -> list[str]:
    key = _key(call)
    return [str(key.arn)] if key else []


def _s3(call: Call) -> list[str]:
    bucket, key = call.parameters.get("Bucket"), call.parameters.get("Key")
    return [f"arn:aws:s3:::{bucket}/{key}" if key else f"arn:aws:s3:::{bucket}"] if bucket else []


def _lambda(call: Call) -> list[str]:
    name = call.parameters.get("FunctionName", "").rpartition(":function:")[2]
    return [_arn(call, "lambda", f"function:{name}")] if name else []


def _sqs(call: Call) -> list[str]:
    name = call.parameters.get("QueueName") or call.parameters.get("QueueUrl", "").rpartition("/")[2]
    return [_arn(call, "sqs", name)] if name else []


def _sns(call: Call) -> list[str]:
    topic = call.parameters.get("TopicArn") or call.parameters.get("TargetArn")
    return [topic] if topic else []


def _sts(call: Call) -> list[str]:
    return [call.parameters["RoleArn"]] if "RoleArn" in call.parameters else []


_RESOURCES: Mapping[str, Callable[[Call], list[str]]] = {
    "iam": _iam,
    "kms": _kms,
    "lambda": _lambda,
    "logs": _logs,
    "s3": _s3,
    "sns": _sns,
    "sqs": _sqs,
    "ssm": _ssm,
    "sts": _sts,
}


def _context(call: Call) -> dict[str, str | list[str]]:
    """Return the action-specific condition keys."""
    if call.service == "iam" and "PolicyArn" in call.parameters:
        return {"iam:PolicyARN": call.parameters["PolicyArn"]}
    if call.service == "s3":
        bucket = bucket_of(call)
        return {**object_context(call), **({"s3:ResourceAccount": bucket.account_id} if bucket else {})}
    key = _key(call)
    return _aliases(key) if key else {}


def _aliases(key: Any) -> dict[str, str | list[str]]:  # noqa: ANN401 - moto's key
    return {"kms:ResourceAliases": sorted(key.aliases)} if key.aliases else {}


def _key(call: Call) -> Any:  # noqa: ANN401 - moto's key
    """Return the KMS key of a call, or None."""
    named = call.service == "kms" and (call.parameters.get("KeyId") or call.parameters.get("TargetKeyId"))
    return key_of(named, call.account_id, call.region) if named else None
