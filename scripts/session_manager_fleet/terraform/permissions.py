"""The permissions of the roles in the accounts, from which policies, documentation and module are generated.

The read role has those of Terraform (TERRAFORM_READ) and those that the checks of `verify` declare. Docs:
docs/permissions.md.
"""

from session_manager_fleet.terraform.policies import Permission, Scope, merged

# A statement on all resources has a reason of its own in `why`.
_ALL = ("*",)

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

# Where the read role reads. Terraform's actions follow below; each check of `verify` declares its own.
DOCUMENTS = Scope(
    "ReadDocuments",
    "the preferences and the Automation document, and with whom they are shared",
    (_PREFERENCES_DOCUMENT, _AUTOMATION_DOCUMENT),
)
PARAMETER = Scope("ReadParameter", "the parameter with the id of the session key", (_PARAMETER,))
PUBLIC_SHARING = Scope("ReadPublicSharing", "whether documents can be shared publicly", _SETTING)
INSTANCE_POLICY = Scope("ReadInstancePolicy", "the instance policy, and the roles that it is attached to", (_POLICY,))
OWN_ROLES = Scope("ReadRoles", "the roles of the function and of the Automation document", _ROLES)
ATTACHMENTS = Scope(
    "ReadAttachments",
    "whether roles have the instance policy (instance_policy.attach_to_roles)",
    ("arn:{partition}:iam::{account}:role/{attach_to}",),
)
# Also keys of other accounts, such as that of the log archive.
KEYS = Scope(
    "ReadKeys",
    "keys get generated ids, so they cannot be named; no data can be read with these actions",
    ("arn:{partition}:kms:*:*:key/*",),
)
FUNCTION = Scope("ReadFunction", "the function, without the right to call it", _FUNCTION)
LOG_GROUPS = Scope(
    "ReadLogGroups",
    "the log groups, what they mask and send on, and the times of their streams, but no log events",
    _LOG_GROUPS,
)
DRIFT_REPAIR = Scope("ReadDriftRepair", "the rules, the queue and the alarm of drift repair", _DRIFT_REPAIR)
BUCKETS = Scope("ReadBuckets", "the bucket of the session logs; the provider reads all of its configuration", _BUCKET)
WITHOUT_RESOURCES = Scope("ListWhatKnowsNoResources", "these actions know no resources", _ALL)
GUARDRAILS = Scope(
    "ReadGuardrails",
    "the service control policy, in the management account only; its generated id is not known before",
    _ALL,
)
STORED_SETTINGS = Scope(
    "ReadStoredSettings",
    "the settings of the last apply, from which drift is repaired, and what the document was before",
    (
        "arn:{partition}:ssm:*:{account}:parameter/session-manager/applied-preferences",
        "arn:{partition}:ssm:*:{account}:parameter/session-manager/original-document",
    ),
)
NODE_ROLES = Scope(
    "ReadRolesOfNodes",
    "the roles of managed nodes, of which no names are known, and their permissions boundaries",
    ("arn:{partition}:iam::{account}:instance-profile/*", "arn:{partition}:iam::{account}:role/*"),
)
DEFAULT_ROLE = Scope("ReadDefaultRole", "the role of Default Host Management", _DEFAULT_ROLE)
SESSION_DOCUMENTS = Scope(
    "ReadSessionDocuments",
    "what the documents of sessions do, and where they log, those that other accounts share included",
    ("arn:{partition}:ssm:*:*:document/*",),
)
CONFIG_RULE = Scope(
    "ReadConfigRule", "the text of the rule and its findings; AWS Config gives rules generated ids", _CONFIG[:1]
)

# What Terraform's provider reads: also what is not managed, such as the website of a bucket.
TERRAFORM_READ: tuple[Permission, ...] = (
    DOCUMENTS.allow(
        "ssm:DescribeDocument",
        "ssm:DescribeDocumentPermission",
        "ssm:GetDocument",
        "ssm:ListDocumentVersions",
        "ssm:ListTagsForResource",
    ),
    PARAMETER.allow("ssm:GetParameter", "ssm:GetParameters", "ssm:ListTagsForResource"),
    PUBLIC_SHARING.allow("ssm:GetServiceSetting"),
    INSTANCE_POLICY.allow(
        "iam:GetPolicy",
        "iam:GetPolicyVersion",
        "iam:ListEntitiesForPolicy",
        "iam:ListPolicyTags",
        "iam:ListPolicyVersions",
    ),
    OWN_ROLES.allow(
        "iam:GetRole",
        "iam:GetRolePolicy",
        "iam:ListAttachedRolePolicies",
        "iam:ListInstanceProfilesForRole",
        "iam:ListRolePolicies",
        "iam:ListRoleTags",
    ),
    ATTACHMENTS.allow("iam:ListAttachedRolePolicies"),
    KEYS.allow("kms:DescribeKey", "kms:GetKeyPolicy", "kms:GetKeyRotationStatus", "kms:ListResourceTags"),
    FUNCTION.allow(
        "lambda:GetFunction",
        "lambda:GetFunctionCodeSigningConfig",
        "lambda:GetFunctionConcurrency",
        "lambda:GetFunctionEventInvokeConfig",
        "lambda:GetPolicy",
        "lambda:ListTags",
        "lambda:ListVersionsByFunction",
    ),
    LOG_GROUPS.allow(
        "logs:DescribeLogStreams",
        "logs:DescribeSubscriptionFilters",
        "logs:GetDataProtectionPolicy",
        "logs:ListTagsForResource",
    ),
    DRIFT_REPAIR.allow(
        "cloudwatch:DescribeAlarms",
        "cloudwatch:ListTagsForResource",
        "events:DescribeRule",
        "events:ListTagsForResource",
        "events:ListTargetsByRule",
        "sqs:GetQueueAttributes",
        "sqs:GetQueueUrl",
        "sqs:ListQueueTags",
    ),
    BUCKETS.allow(
        "s3:GetAccelerateConfiguration",
        "s3:GetBucketAcl",
        "s3:GetBucketCORS",
        "s3:GetBucketLogging",
        "s3:GetBucketObjectLockConfiguration",
        "s3:GetBucketOwnershipControls",
        "s3:GetBucketPolicy",
        "s3:GetBucketPublicAccessBlock",
        "s3:GetBucketRequestPayment",
        "s3:GetBucketTagging",
        "s3:GetBucketVersioning",
        "s3:GetBucketWebsite",
        "s3:GetEncryptionConfiguration",
        "s3:GetLifecycleConfiguration",
        "s3:GetReplicationConfiguration",
        "s3:ListBucket",
    ),
    WITHOUT_RESOURCES.allow(
        "config:DescribeConfigRules",
        "config:DescribeConfigurationRecorderStatus",
        "config:DescribeConfigurationRecorders",
        "config:DescribeRemediationConfigurations",
        "config:ListTagsForResource",
        "ec2:DescribeRegions",
        # What a plan asks about quotas.
        "iam:GetAccountSummary",
        "lambda:GetAccountSettings",
        "iam:ListPolicies",
        "kms:ListAliases",
        "logs:DescribeLogGroups",
        "ssm:DescribeParameters",
    ),
    GUARDRAILS.allow(
        "organizations:DescribePolicy",
        "organizations:ListPolicies",
        "organizations:ListPoliciesForTarget",
        "organizations:ListRoots",
        "organizations:ListTagsForResource",
        "organizations:ListTargetsForPolicy",
    ),
)

# What a plan, and an apply again, reads of managed nodes, to find those that the preferences would lock out.
LOCKOUT_READ: tuple[Permission, ...] = (
    NODE_ROLES.allow("iam:GetInstanceProfile", "iam:GetRole", "iam:SimulatePrincipalPolicy"),
    DEFAULT_ROLE.allow("ssm:GetServiceSetting"),
    WITHOUT_RESOURCES.allow(
        "ec2:DescribeInstances",
        "ec2:DescribeRouteTables",
        "ec2:DescribeVpcEndpoints",
        "ssm:DescribeActivations",
        "ssm:DescribeInstanceInformation",
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
        "the function, the remediation and the subscription filter get their roles",
        ("iam:PassRole",),
        _ROLES,
        {
            "StringEquals": {
                "iam:PassedToService": [
                    "config.amazonaws.com",
                    "lambda.amazonaws.com",
                    "logs.amazonaws.com",
                    "ssm.amazonaws.com",
                ]
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
            *("logs:DeleteDataProtectionPolicy", "logs:DeleteSubscriptionFilter", "logs:PutDataProtectionPolicy"),
            "logs:PutSubscriptionFilter",
        ),
        _LOG_GROUPS,
    ),
    Permission(
        "SendLogsToAnotherAccount",
        "preferences.cloudwatch.subscription with a destination of another account, which decides, too",
        ("logs:PutSubscriptionFilter",),
        ("arn:{partition}:logs:*:*:destination:*",),
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
DEPLOY: tuple[Permission, ...] = (*merged([*TERRAFORM_READ, *LOCKOUT_READ]), *CHANGE)
