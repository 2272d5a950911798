"""Enforcement of IAM permissions of users and roles (`enforce_iam`).

moto's own enforcement supports the resource of few actions and no conditions, so that a role with least privilege could
do nothing. Here every call, even one that moto does not answer, needs an identity policy that allows it, and the
permissions boundary of a role and the service control policies limit it. Bucket and key policies apply as in AWS, also
across accounts, and where S3 uses a key on behalf of the caller. Groups and (except for messages that a function sends)
other resource policies are not evaluated.

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
from aws_sandbox.delays import Delays
from aws_sandbox.identity import Caller, Identity, boundary_of, find_role
from aws_sandbox.messages import policy_of
from aws_sandbox.organizations import Organizations
from aws_sandbox.policies import Principal, Request, effects
from aws_sandbox.resource_policies import (
    Protection,
    bucket_of,
    key_of_call,
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
    "s3:DeleteBucketEncryption": "s3:PutEncryptionConfiguration",
    "s3:DeleteBucketLifecycle": "s3:PutLifecycleConfiguration",
    "s3:DeleteBucketOwnershipControls": "s3:PutBucketOwnershipControls",
    "s3:DeleteBucketTagging": "s3:PutBucketTagging",
    "s3:DeleteObjects": "s3:DeleteObject",
    "s3:DeletePublicAccessBlock": "s3:PutBucketPublicAccessBlock",
    "s3:GetBucketAccelerateConfiguration": "s3:GetAccelerateConfiguration",
    "s3:GetBucketCors": "s3:GetBucketCORS",
    "s3:GetBucketLifecycleConfiguration": "s3:GetLifecycleConfiguration",
    "s3:GetBucketReplication": "s3:GetReplicationConfiguration",
    "s3:GetObjectLockConfiguration": "s3:GetBucketObjectLockConfiguration",
    "s3:PutBucketLifecycleConfiguration": "s3:PutLifecycleConfiguration",
    "s3:PutObjectLockConfiguration": "s3:PutBucketObjectLockConfiguration",
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
# Calls that create with tags, and the parameter that holds them: the permission to tag is needed, too.
_TAGGING = {
    "cloudwatch:PutMetricAlarm": ("Tags", "cloudwatch:TagResource"),
    "config:PutConfigRule": ("Tags", "config:TagResource"),
    "events:PutRule": ("Tags", "events:TagResource"),
    "iam:CreatePolicy": ("Tags", "iam:TagPolicy"),
    "iam:CreateRole": ("Tags", "iam:TagRole"),
    "kms:CreateKey": ("Tags", "kms:TagResource"),
    "lambda:CreateFunction": ("Tags", "lambda:TagResource"),
    "logs:CreateLogGroup": ("tags", "logs:TagResource"),
    "organizations:CreatePolicy": ("Tags", "organizations:TagResource"),
    "sqs:CreateQueue": ("tags", "sqs:TagQueue"),
    "ssm:CreateDocument": ("Tags", "ssm:AddTagsToResource"),
    "ssm:PutParameter": ("Tags", "ssm:AddTagsToResource"),
}
# Calls that give a role to a service, and the parameter with its ARN: the permission to pass it is needed, too.
_PASSING = {
    "lambda:CreateFunction": ("Role", "lambda.amazonaws.com"),
    "lambda:UpdateFunctionConfiguration": ("Role", "lambda.amazonaws.com"),
    "logs:PutDestination": ("roleArn", "logs.amazonaws.com"),
    "logs:PutSubscriptionFilter": ("roleArn", "logs.amazonaws.com"),
}
# Service control policies do not bind the roles of services.
_SERVICE_LINKED = "/aws-service-role/"
_SENDING = {"sqs": "sqs:SendMessage", "sns": "sns:Publish"}


class Permissions:
    """Checks whether callers are authorized.

    Args:
        identity: Resolves callers and their policies.
        organizations: Knows the service control policies.
        delays: Tells the aliases by which keys are known.
        enforced: Whether to reject unauthorized calls.
    """

    def __init__(self, identity: Identity, organizations: Organizations, delays: Delays, *, enforced: bool) -> None:
        self._identity = identity
        self._organizations = organizations
        self._delays = delays
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
            **self._context(call),
        }
        action, bucket, key = _ACTIONS.get(call.action, call.action), bucket_of(call), key_of_call(call)
        protection = protection_of_bucket(bucket) if bucket else protection_of_key(key) if key else None
        # PutObject with an ACL also needs s3:PutObjectAcl.
        also = ["s3:PutObjectAcl"] if action == "s3:PutObject" and "ACL" in call.parameters else []
        for resource in resources(call):
            owner = self._identity.owner_context(resource)
            for each in (action, *also):
                self._demand(call, caller, Request(each, resource, {**context, **owner}), protection)
        self._demand_tagging_and_passing(call, caller, context)
        if bucket and (use := key_use(call, bucket)):
            request = Request(use.action, use.key.arn, {**context, **self._aliases(use.key), **use.context})
            self._demand(call, caller, request, protection_of_key(use.key))

    def _demand_tagging_and_passing(self, call: Call, caller: Caller, context: Mapping[str, Any]) -> None:
        """Reject a call that tags, or gives a role to a service, without the permission for that."""
        parameter, action = _TAGGING.get(call.action, ("", ""))
        if call.parameters.get(parameter):
            # The new key has no ARN yet.
            made = [_arn(call, "kms", "key/new")] if call.service == "kms" else resources(call)
            for resource in made:
                self._demand(call, caller, Request(action, resource, context), None)
        parameter, service = _PASSING.get(call.action, ("", ""))
        if role := call.parameters.get(parameter):
            passing = {**context, "iam:PassedToService": service}
            self._demand(call, caller, Request("iam:PassRole", role, passing), None)

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
        if limit := self._limit(caller, request):
            reason = f"no {limit} allows it"
        elif "Deny" in own | named | delegated:
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

    def _limit(self, caller: Caller, request: Request) -> str:
        """Return the kind of policy that limits the caller and does not allow a request; empty if there is none."""
        role = find_role(caller.role_arn) if caller.role_arn else None
        if role is not None and role.path.startswith(_SERVICE_LINKED):
            return ""
        levels = self._organizations.control_policies(caller.account_id)
        if not all(effects(level, request) == {"Allow"} for level in levels):
            return "service control policy"
        boundary = boundary_of(role) if role is not None else []
        return "permissions boundary" if boundary and effects(boundary, request) != {"Allow"} else ""

    def may_send(self, role_arn: str, arn: str) -> bool:
        """Return whether the policies of a role, queue or topic allow the role to send.

        Raises:
            ServiceException: There is no such queue or topic.
        """
        if not self._enforced:
            return True
        service, account_id = arn.split(":")[2], role_arn.split(":")[4]
        context = {"aws:PrincipalAccount": account_id, "aws:PrincipalArn": role_arn, "aws:SecureTransport": "true"}
        request = Request(_SENDING.get(service, service), arn, context)
        names = frozenset({account_id, f"arn:aws:iam::{account_id}:root", role_arn})
        of_role = effects(self._identity.policies_of(role_arn), request)
        of_target = effects(policy_of(arn), replace(request, principal=Principal("AWS", names)))
        return of_role | of_target == {"Allow"}

    def _context(self, call: Call) -> dict[str, str | list[str]]:
        """Return the action-specific condition keys."""
        if call.service == "iam" and "PolicyArn" in call.parameters:
            return {"iam:PolicyARN": call.parameters["PolicyArn"]}
        if call.service == "s3":
            bucket = bucket_of(call)
            return {**object_context(call), **({"s3:ResourceAccount": bucket.account_id} if bucket else {})}
        key = key_of_call(call)
        return self._aliases(key) if key else {}

    def _aliases(self, key: Any) -> dict[str, str | list[str]]:  # noqa: ANN401 - moto's key
        aliases = self._delays.aliases_of(key)
        return {"kms:ResourceAliases": list(aliases)} if aliases else {}


def resources(call: Call) -> list[str]:
    """Return the resource ARNs of a call; `*` for actions without resource-level permissions or unknown here."""
    find = _RESOURCES.get(call.service)
    return (find(call) if find else []) or ["*"]


def _arn(call: Call, service: str, resource: str) -> str:
    return f"arn:aws:{service}:{call.region}:{call.account_id}:{resource}"


def _ssm(call: Call) -> list[str]:
    asked = call.parameters
    if call.operation in _STARTED:
        return _STARTED[call.operation](call)
    if call.operation.endswith("ServiceSetting"):
        return [asked["SettingId"] if asked["SettingId"].startswith("arn:") else _arn(call, "ssm", "servicesetting/")]
    if "ResourceType" in asked:
        kind = str(asked["ResourceType"]).lower()
        return [_arn(call, "ssm", f"{kind}/{asked['ResourceId'].removeprefix('/')}")]
    if call.operation.endswith("AutomationExecution"):
        return [_arn(call, "ssm", f"automation-execution/{asked['AutomationExecutionId']}")]
    if "Document" in call.operation and "Name" in asked:
        return [asked["Name"] if asked["Name"].startswith("arn:") else _arn(call, "ssm", f"document/{asked['Name']}")]
    names = asked.get("Names") or [asked[key] for key in ("Name", "Path") if key in asked]
    return [_arn(call, "ssm", f"parameter/{name.removeprefix('/')}") for name in names if "Parameter" in call.operation]


def _started_automation(call: Call) -> list[str]:
    version = call.parameters.get("DocumentVersion", "$DEFAULT")
    return [_arn(call, "ssm", f"automation-definition/{call.parameters['DocumentName']}:{version}")]


def _started_session(call: Call) -> list[str]:
    document = call.parameters.get("DocumentName", "SSM-SessionManagerRunShell")
    return [_arn(call, "ec2", f"instance/{call.parameters['Target']}"), _arn(call, "ssm", f"document/{document}")]


_STARTED: Mapping[str, Callable[[Call], list[str]]] = {
    "StartAutomationExecution": _started_automation,
    "StartSession": _started_session,
}


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
    if "PolicySourceArn" in asked:
        return [asked["PolicySourceArn"]]
    if call.operation == "CreatePolicy":
        return [f"arn:aws:iam::{call.account_id}:policy{asked.get('Path', '/')}{asked['PolicyName']}"]
    if call.operation == "CreateServiceLinkedRole":
        return [f"arn:aws:iam::{call.account_id}:role/aws-service-role/{asked['AWSServiceName']}/AWSServiceRole"]
    return [asked["PolicyArn"]] if "PolicyArn" in asked else []


def _logs(call: Call) -> list[str]:
    if call.operation == "DescribeLogGroups":
        return [_arn(call, "logs", "log-group::log-stream:")]
    if arn := call.parameters.get("resourceArn"):
        return [arn]
    if name := call.parameters.get("destinationName"):
        return [_arn(call, "logs", f"destination:{name}")]
    group = call.parameters.get("logGroupName") or call.parameters.get("logGroupIdentifier", "")
    group = group.partition(":log-group:")[2].removesuffix(":*") if group.startswith("arn:") else group
    stream = call.parameters.get("logStreamName", "")
    # A destination of another account needs the permission, too.
    destination = call.parameters.get("destinationArn", "")
    return [
        *([_arn(call, "logs", f"log-group:{group}:log-stream:{stream}")] if group else []),
        *([destination] if ":destination:" in destination else []),
    ]


def _kms(call: Call) -> list[str]:
    key = key_of_call(call)
    alias = call.parameters.get("AliasName") if call.operation.endswith("Alias") else None
    if key is None and "KeyId" in call.parameters:
        # KMS authorizes by the key that an alias or id stands for; without one it answers NotFoundException.
        return [_arn(call, "kms", "key/missing")]
    return [*([str(key.arn)] if key else []), *([_arn(call, "kms", alias)] if alias else [])]


def _events(call: Call) -> list[str]:
    asked = call.parameters
    rule = asked.get("Rule") or (asked.get("Name") if call.operation.endswith("Rule") else None)
    return [asked["ResourceARN"]] if "ResourceARN" in asked else [_arn(call, "events", f"rule/{rule}")] if rule else []


def _cloudwatch(call: Call) -> list[str]:
    asked = call.parameters
    if "ResourceARN" in asked:
        return [asked["ResourceARN"]]
    named = [asked["AlarmName"]] if "AlarmName" in asked else asked.get("AlarmNames") or []
    return [_arn(call, "cloudwatch", f"alarm:{name}") for name in named]


_OF_RULES = {"PutConfigRule", "DeleteConfigRule", "GetCustomRulePolicy", "GetComplianceDetailsByConfigRule"}


def _config(call: Call) -> list[str]:
    asked = call.parameters
    if call.operation in {"TagResource", "UntagResource"}:
        return [asked["ResourceArn"]]
    if call.operation in _OF_RULES:
        return [_arn(call, "config", "config-rule/config-rule-generated")]
    remediates = call.operation in {"PutRemediationConfigurations", "DeleteRemediationConfiguration"}
    return [_arn(call, "config", "remediation-configuration/generated")] if remediates else []


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
    "cloudwatch": _cloudwatch,
    "config": _config,
    "events": _events,
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
