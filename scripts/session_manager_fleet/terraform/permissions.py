"""The permissions of the roles in the accounts, from which policies, documentation and module are generated.

Terraform's provider also reads what it does not manage, such as the website of a bucket. Docs: docs/permissions.md.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

# A statement on all resources has a reason of its own in `why`.
_ALL = ("*",)


@dataclass(frozen=True)
class Names:
    """Names of the resources that the policies allow, by default those of the settings and of variables.tf.

    Attributes:
        partition: Partition of the ARNs.
        account: Id of the account of the role; `*` for any, as a role can act in its own account only.
        policy: Path and name of the instance policy, without the slash in front.
        log_group: Log group of the sessions.
        parameter: Parameter with the id of the session key.
        document: Document with the preferences.
        automation: Automation document, which is also the name of its role.
        function: Lambda function.
        bucket: Buckets of session logs.
        attach_to: Roles that the instance policy may be attached to.
    """

    partition: str = "*"
    account: str = "*"
    policy: str = "SessionManagerLogPolicy"
    log_group: str = "ssm-sessionmanager-logs"
    parameter: str = "session-manager/session-data-key"
    document: str = "SSM-SessionManagerRunShell"
    automation: str = "Attach-ssm-policy-to-instance-profile"
    function: str = "session-manager-preferences"
    bucket: str = "session-manager-logs-*"
    attach_to: str = "*"


@dataclass(frozen=True)
class Permission:
    """One statement of a policy.

    Attributes:
        sid: Id of the statement.
        why: The reason.
        actions: IAM actions.
        resources: ARNs with the fields of `Names` in braces.
        condition: Condition of the statement.
        verify_only: Only `verify` and `doctor` need it, not Terraform.
    """

    sid: str
    why: str
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    condition: Mapping[str, Any] = field(default_factory=dict)
    verify_only: bool = False


_PREFERENCES_DOCUMENT = "arn:{partition}:ssm:*:{account}:document/{document}"
_AUTOMATION_DOCUMENT = "arn:{partition}:ssm:*:{account}:document/{automation}"
_PARAMETER = "arn:{partition}:ssm:*:{account}:parameter/{parameter}"
_POLICY = "arn:{partition}:iam::{account}:policy/{policy}"
_ROLES = (
    "arn:{partition}:iam::{account}:role/{function}-*",
    "arn:{partition}:iam::{account}:role/{automation}",
)
_KEYS = ("arn:{partition}:kms:*:{account}:key/*",)
_FUNCTION = ("arn:{partition}:lambda:*:{account}:function:{function}",)
_LOG_GROUPS = (
    "arn:{partition}:logs:*:{account}:log-group:{log_group}",
    "arn:{partition}:logs:*:{account}:log-group:{log_group}:*",
    "arn:{partition}:logs:*:{account}:log-group:/aws/lambda/{function}",
    "arn:{partition}:logs:*:{account}:log-group:/aws/lambda/{function}:*",
)
_DRIFT_REPAIR = (
    "arn:{partition}:cloudwatch:*:{account}:alarm:{function}-*",
    "arn:{partition}:events:*:{account}:rule/{function}-*",
    "arn:{partition}:sqs:*:{account}:{function}-*",
)
_CONFIG = (
    "arn:{partition}:config:*:{account}:config-rule/*",
    "arn:{partition}:config:*:{account}:remediation-configuration/*",
)
_BUCKET = ("arn:{partition}:s3:::{bucket}",)
_SETTING = ("arn:{partition}:ssm:*:{account}:servicesetting/ssm/documents/console/public-sharing-permission",)
_DEFAULT_ROLE = (
    "arn:{partition}:ssm:*:{account}:servicesetting/ssm/managed-instance/default-ec2-instance-management-role",
)

READ: tuple[Permission, ...] = (
    Permission(
        "ReadDocuments",
        "the preferences and the Automation document, and with whom they are shared",
        (
            *("ssm:DescribeDocument", "ssm:DescribeDocumentPermission", "ssm:GetDocument", "ssm:ListDocumentVersions"),
            "ssm:ListTagsForResource",
        ),
        (_PREFERENCES_DOCUMENT, _AUTOMATION_DOCUMENT),
    ),
    Permission(
        "ReadParameter",
        "the parameter with the id of the session key",
        ("ssm:GetParameter", "ssm:GetParameters", "ssm:ListTagsForResource"),
        (_PARAMETER,),
    ),
    Permission("ReadPublicSharing", "whether documents can be shared publicly", ("ssm:GetServiceSetting",), _SETTING),
    Permission(
        "ReadInstancePolicy",
        "the instance policy, and the roles that it is attached to",
        (
            *("iam:GetPolicy", "iam:GetPolicyVersion", "iam:ListEntitiesForPolicy", "iam:ListPolicyTags"),
            "iam:ListPolicyVersions",
        ),
        (_POLICY,),
    ),
    Permission(
        "ReadRoles",
        "the roles of the function and of the Automation document",
        (
            *("iam:GetRole", "iam:GetRolePolicy", "iam:ListAttachedRolePolicies", "iam:ListInstanceProfilesForRole"),
            *("iam:ListRolePolicies", "iam:ListRoleTags"),
        ),
        _ROLES,
    ),
    Permission(
        "ReadAttachments",
        "whether roles have the instance policy (instance_policy.attach_to_roles)",
        ("iam:ListAttachedRolePolicies",),
        ("arn:{partition}:iam::{account}:role/{attach_to}",),
    ),
    Permission(
        "ReadKeys",
        "keys get generated ids, so they cannot be named; no data can be read with these actions",
        ("kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListResourceTags"),
        # Also keys of other accounts, such as that of the log archive.
        ("arn:{partition}:kms:*:*:key/*",),
    ),
    Permission(
        "ReadFunction",
        "the function, without the right to call it",
        (
            *("lambda:GetFunction", "lambda:GetFunctionCodeSigningConfig", "lambda:GetFunctionConcurrency"),
            *("lambda:GetFunctionEventInvokeConfig", "lambda:GetPolicy", "lambda:ListTags"),
            "lambda:ListVersionsByFunction",
        ),
        _FUNCTION,
    ),
    Permission(
        "ReadLogGroups",
        "the log groups and the times of their streams, but no log events",
        ("logs:DescribeLogStreams", "logs:ListTagsForResource"),
        _LOG_GROUPS,
    ),
    Permission(
        "ReadDriftRepair",
        "the rules, the queue and the alarm of drift repair",
        (
            *("cloudwatch:DescribeAlarms", "cloudwatch:ListTagsForResource", "events:DescribeRule"),
            *("events:ListTagsForResource", "events:ListTargetsByRule", "sqs:GetQueueAttributes", "sqs:GetQueueUrl"),
            "sqs:ListQueueTags",
        ),
        _DRIFT_REPAIR,
    ),
    Permission(
        "ReadBuckets",
        "the bucket of the session logs; the provider reads all of its configuration",
        (
            *("s3:GetAccelerateConfiguration", "s3:GetBucketAcl", "s3:GetBucketCORS", "s3:GetBucketLogging"),
            *("s3:GetBucketObjectLockConfiguration", "s3:GetBucketOwnershipControls", "s3:GetBucketPolicy"),
            *("s3:GetBucketPublicAccessBlock", "s3:GetBucketRequestPayment", "s3:GetBucketTagging"),
            *("s3:GetBucketVersioning", "s3:GetBucketWebsite", "s3:GetEncryptionConfiguration"),
            *("s3:GetLifecycleConfiguration", "s3:GetReplicationConfiguration", "s3:ListBucket"),
        ),
        _BUCKET,
    ),
    Permission(
        "ListWhatKnowsNoResources",
        "these actions know no resources",
        (
            *("config:DescribeConfigRules", "config:DescribeConfigurationRecorderStatus"),
            *("config:DescribeConfigurationRecorders", "config:DescribeRemediationConfigurations"),
            *("config:ListTagsForResource", "ec2:DescribeRegions", "iam:ListPolicies", "kms:ListAliases"),
            "logs:DescribeLogGroups",
            "ssm:DescribeParameters",
        ),
        _ALL,
    ),
    Permission(
        "ReadGuardrails",
        "the service control policy, in the management account only; its generated id is not known before",
        (
            *("organizations:DescribePolicy", "organizations:ListPolicies", "organizations:ListRoots"),
            *("organizations:ListTagsForResource", "organizations:ListTargetsForPolicy"),
        ),
        _ALL,
    ),
    Permission(
        "VerifyStoredSettings",
        "verify: the settings of the last apply, from which drift is repaired",
        ("ssm:GetParameters",),
        ("arn:{partition}:ssm:*:{account}:parameter/session-manager/applied-preferences",),
        verify_only=True,
    ),
    Permission(
        "VerifyRoles",
        "verify: the roles of managed nodes, of which it knows no names, and their permissions boundaries",
        ("iam:GetInstanceProfile", "iam:GetRole"),
        ("arn:{partition}:iam::{account}:instance-profile/*", "arn:{partition}:iam::{account}:role/*"),
        verify_only=True,
    ),
    Permission(
        "VerifyDefaultRole",
        "verify: the role of Default Host Management",
        ("ssm:GetServiceSetting",),
        _DEFAULT_ROLE,
        verify_only=True,
    ),
    Permission(
        "VerifyConfigRule",
        "verify: the text of the rule and its findings; AWS Config gives rules generated ids",
        ("config:GetComplianceDetailsByConfigRule", "config:GetCustomRulePolicy"),
        _CONFIG[:1],
        verify_only=True,
    ),
    Permission(
        "VerifyWhatKnowsNoResources",
        "verify and doctor: recorder, remediation exceptions, trail, instances and their ways to AWS; these actions "
        "know no resources",
        (
            *("cloudtrail:DescribeTrails", "cloudtrail:GetEventSelectors", "cloudtrail:GetTrailStatus"),
            *("config:DescribeRemediationExceptions", "config:ListDiscoveredResources", "ec2:DescribeInstances"),
            *("ec2:DescribeRouteTables", "ec2:DescribeVpcEndpoints", "ssm:DescribeInstanceInformation"),
        ),
        _ALL,
        verify_only=True,
    ),
)

CHANGE: tuple[Permission, ...] = (
    Permission(
        "ChangeAutomationDocument",
        "the preferences themselves are written by the function, with its own role",
        (
            *("ssm:AddTagsToResource", "ssm:CreateDocument", "ssm:DeleteDocument", "ssm:ModifyDocumentPermission"),
            *("ssm:RemoveTagsFromResource", "ssm:UpdateDocument", "ssm:UpdateDocumentDefaultVersion"),
        ),
        (_AUTOMATION_DOCUMENT,),
    ),
    Permission(
        "ChangeParameter",
        "the parameter with the id of the session key",
        ("ssm:AddTagsToResource", "ssm:DeleteParameter", "ssm:PutParameter", "ssm:RemoveTagsFromResource"),
        (_PARAMETER,),
    ),
    Permission(
        "ChangePublicSharing",
        "preferences.block_public_sharing",
        ("ssm:ResetServiceSetting", "ssm:UpdateServiceSetting"),
        _SETTING,
    ),
    Permission(
        "ChangeInstancePolicy",
        "the instance policy",
        (
            *("iam:CreatePolicy", "iam:CreatePolicyVersion", "iam:DeletePolicy", "iam:DeletePolicyVersion"),
            *("iam:SetDefaultPolicyVersion", "iam:TagPolicy", "iam:UntagPolicy"),
        ),
        (_POLICY,),
    ),
    Permission(
        "AttachInstancePolicy",
        "instance_policy.attach_to_roles, and detaching before the policy is destroyed; no other policy",
        ("iam:AttachRolePolicy", "iam:DetachRolePolicy"),
        ("arn:{partition}:iam::{account}:role/{attach_to}",),
        {
            "ArnLike": {
                "iam:PolicyARN": [
                    "arn:{partition}:iam::{account}:policy/{policy}",
                    "arn:{partition}:iam::aws:policy/AmazonSSMManagedInstanceCore",
                ]
            }
        },
    ),
    Permission(
        "ChangeRoles",
        "the roles of the function and of the Automation document",
        (
            *("iam:CreateRole", "iam:DeleteRole", "iam:DeleteRolePolicy", "iam:PutRolePolicy", "iam:TagRole"),
            *("iam:UntagRole", "iam:UpdateAssumeRolePolicy", "iam:UpdateRole", "iam:UpdateRoleDescription"),
        ),
        _ROLES,
    ),
    Permission(
        "PassRoles",
        "the function and the remediation get their roles",
        ("iam:PassRole",),
        _ROLES,
        {
            "StringEquals": {
                "iam:PassedToService": ["config.amazonaws.com", "lambda.amazonaws.com", "ssm.amazonaws.com"]
            }
        },
    ),
    Permission(
        "CreateKeys",
        "a key has no ARN before it exists",
        ("kms:CreateKey",),
        _ALL,
    ),
    Permission(
        "ChangeKeys",
        "keys get generated ids, so they cannot be named; the aliases are",
        (
            *("kms:CancelKeyDeletion", "kms:DisableKeyRotation", "kms:EnableKey", "kms:EnableKeyRotation"),
            *("kms:PutKeyPolicy", "kms:ScheduleKeyDeletion", "kms:TagResource", "kms:UntagResource"),
            "kms:UpdateKeyDescription",
        ),
        _KEYS,
    ),
    Permission(
        "ChangeAliases",
        "an alias needs the permission on itself and on its key",
        ("kms:CreateAlias", "kms:DeleteAlias", "kms:UpdateAlias"),
        ("arn:{partition}:kms:*:{account}:alias/session-manager/*", *_KEYS),
    ),
    Permission(
        "ChangeFunction",
        "the function; Terraform calls it to write the preferences",
        (
            *("lambda:AddPermission", "lambda:CreateFunction", "lambda:DeleteFunction"),
            *("lambda:DeleteFunctionConcurrency", "lambda:DeleteFunctionEventInvokeConfig", "lambda:InvokeFunction"),
            *("lambda:PutFunctionConcurrency", "lambda:PutFunctionEventInvokeConfig", "lambda:RemovePermission"),
            *("lambda:TagResource", "lambda:UntagResource", "lambda:UpdateFunctionCode"),
            *("lambda:UpdateFunctionConfiguration", "lambda:UpdateFunctionEventInvokeConfig"),
        ),
        _FUNCTION,
    ),
    Permission(
        "ChangeLogGroups",
        "the log groups of the sessions and of the function",
        (
            *("logs:AssociateKmsKey", "logs:CreateLogGroup", "logs:DeleteLogGroup", "logs:DeleteRetentionPolicy"),
            *("logs:DisassociateKmsKey", "logs:PutRetentionPolicy", "logs:TagResource", "logs:UntagResource"),
        ),
        _LOG_GROUPS,
    ),
    Permission(
        "ChangeDriftRepair",
        "the rules, the queue and the alarm of drift repair",
        (
            *("cloudwatch:DeleteAlarms", "cloudwatch:PutMetricAlarm", "cloudwatch:TagResource"),
            *("cloudwatch:UntagResource", "events:DeleteRule", "events:DisableRule", "events:EnableRule"),
            *("events:PutRule", "events:PutTargets", "events:RemoveTargets", "events:TagResource"),
            *("events:UntagResource", "sqs:CreateQueue", "sqs:DeleteQueue", "sqs:SetQueueAttributes"),
            *("sqs:TagQueue", "sqs:UntagQueue"),
        ),
        _DRIFT_REPAIR,
    ),
    Permission(
        "ChangeConfigRule",
        "AWS Config gives rules generated ids, so they cannot be named",
        (
            *("config:DeleteConfigRule", "config:DeleteRemediationConfiguration", "config:PutConfigRule"),
            *("config:PutRemediationConfigurations", "config:TagResource", "config:UntagResource"),
        ),
        _CONFIG,
    ),
    Permission(
        "CreateServiceLinkedRole",
        "AWS Config's own role for remediation, which the first remediation in an account creates",
        ("iam:CreateServiceLinkedRole",),
        ("arn:{partition}:iam::{account}:role/aws-service-role/remediation.config.amazonaws.com/*",),
    ),
    Permission(
        "ChangeBuckets",
        "the bucket of the log archive; objects cannot be deleted",
        (
            *("s3:CreateBucket", "s3:DeleteBucket", "s3:DeleteBucketPolicy", "s3:PutBucketLogging"),
            *("s3:PutBucketObjectLockConfiguration", "s3:PutBucketOwnershipControls", "s3:PutBucketPolicy"),
            *("s3:PutBucketPublicAccessBlock", "s3:PutBucketTagging", "s3:PutBucketVersioning"),
            *("s3:PutEncryptionConfiguration", "s3:PutLifecycleConfiguration"),
        ),
        _BUCKET,
    ),
    Permission(
        "ChangeGuardrails",
        "the service control policy, in the management account only; its generated id is not known before",
        (
            *("organizations:AttachPolicy", "organizations:CreatePolicy", "organizations:DeletePolicy"),
            *("organizations:DetachPolicy", "organizations:TagResource", "organizations:UntagResource"),
            "organizations:UpdatePolicy",
        ),
        _ALL,
    ),
)

# What Terraform reads while it changes, too.
DEPLOY: tuple[Permission, ...] = (*(one for one in READ if not one.verify_only), *CHANGE)


def policy(permissions: Iterable[Permission], names: Names = Names()) -> dict[str, Any]:
    """Return a policy document."""
    fields = asdict(names)
    return {"Version": "2012-10-17", "Statement": [_statement(one, fields) for one in permissions]}


def _statement(permission: Permission, fields: Mapping[str, str]) -> dict[str, Any]:
    statement: dict[str, Any] = {
        "Sid": permission.sid,
        "Effect": "Allow",
        "Action": sorted(permission.actions),
        "Resource": _named(permission.resources, fields),
    }
    if permission.condition:
        statement["Condition"] = {
            operator: {key: _named(values, fields) for key, values in keys.items()}
            for operator, keys in permission.condition.items()
        }
    return statement


def _named(texts: Sequence[str], fields: Mapping[str, str]) -> list[str]:
    return [text.format_map(fields) for text in texts]
