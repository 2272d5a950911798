"""Say in the README of each module what its caller needs, from the permissions of docs/permissions.md.

What a module needs follows from its types of resources. `permissions.py` writes the row and finds stale ones.
"""

import re
from collections.abc import Iterable, Mapping
from functools import cache
from pathlib import Path

from session_manager_fleet.terraform.permissions import CHANGE, TERRAFORM_READ
from tools.terraform_docs import MODULES, read_interface

_ROW = re.compile(r"^\| Permissions of the caller \| .* \|$", re.MULTILINE)

_POLICIES = r"iam:\w*(Policy|PolicyVersions?|PolicyTags)|iam:ListPolicies"

# Which actions of permissions.py a type of resource takes: names of statements, and a pattern of actions.
OF_STATEMENTS: Mapping[str, tuple[tuple[str, ...], str]] = {
    "aws_cloudwatch_event_rule": (("ReadDriftRepair", "ChangeDriftRepair"), r"events:\w*(Rule|Resource)"),
    "aws_cloudwatch_event_target": (("ReadDriftRepair", "ChangeDriftRepair"), r"events:\w*Targets\w*"),
    "aws_cloudwatch_log_data_protection_policy": (
        ("ReadLogGroups", "ChangeLogGroups"),
        r"logs:\w+DataProtectionPolicy",
    ),
    "aws_cloudwatch_log_group": (
        ("ReadLogGroups", "ListWhatKnowsNoResources", "ChangeLogGroups"),
        r"logs:(\w*KmsKey|\w*LogGroups?|\w*RetentionPolicy|\w*Resource)",
    ),
    "aws_cloudwatch_log_subscription_filter": (
        ("ReadLogGroups", "ChangeLogGroups", "PassRoles"),
        r"logs:\w+SubscriptionFilters?|iam:PassRole",
    ),
    "aws_cloudwatch_metric_alarm": (("ReadDriftRepair", "ChangeDriftRepair"), r"cloudwatch:\w+"),
    "aws_config_config_rule": (
        ("ListWhatKnowsNoResources", "ChangeConfigRule"),
        r"config:(\w+ConfigRules?|\w+Resource)",
    ),
    "aws_config_remediation_configuration": (
        ("ListWhatKnowsNoResources", "ChangeConfigRule", "PassRoles", "CreateServiceLinkedRole"),
        r"config:\w+RemediationConfigurations?|iam:(PassRole|CreateServiceLinkedRole)",
    ),
    "aws_iam_policy": (("ReadInstancePolicy", "ListWhatKnowsNoResources", "ChangeInstancePolicy"), _POLICIES),
    "aws_iam_role": (("ReadRoles", "ChangeRoles"), r"iam:(?!(Get|Put|Delete)RolePolicy)\w+"),
    "aws_iam_role_policy": (("ReadRoles", "ChangeRoles"), r"iam:(Get|Put|Delete)RolePolicy"),
    "aws_iam_role_policy_attachment": (("ReadAttachments", "AttachInstancePolicy"), r"iam:\w+"),
    "aws_kms_alias": (("ListWhatKnowsNoResources", "ChangeAliases"), r"kms:\w*Alias(es)?"),
    "aws_kms_key": (("ReadKeys", "CreateKeys", "ChangeKeys"), r"kms:\w+"),
    "aws_lambda_function": (
        ("ReadFunction", "ChangeFunction", "PassRoles"),
        r"lambda:(?!\w*EventInvokeConfig|\w+Permission|InvokeFunction|GetPolicy)\w+|iam:PassRole",
    ),
    "aws_lambda_function_event_invoke_config": (("ReadFunction", "ChangeFunction"), r"lambda:\w+EventInvokeConfig"),
    "aws_lambda_invocation": (("ChangeFunction",), r"lambda:InvokeFunction"),
    "aws_lambda_permission": (("ReadFunction", "ChangeFunction"), r"lambda:(\w+Permission|GetPolicy)"),
    "aws_organizations_policy": (
        ("ReadGuardrails", "ChangeGuardrails"),
        r"organizations:(Create|Delete|Describe|Update)Policy|organizations:(ListPolicies|\w+Resource)",
    ),
    "aws_organizations_policy_attachment": (
        ("ReadGuardrails", "ChangeGuardrails"),
        r"organizations:(Attach|Detach)Policy|organizations:List(PoliciesForTarget|TargetsForPolicy|Roots)",
    ),
    "aws_s3_bucket": (
        ("ReadBuckets", "ChangeBuckets"),
        r"s3:((Create|Delete|List)Bucket|(Get|Put)(Bucket(Acl|CORS|RequestPayment|Tagging|Website)|(Acc|Repl)\w+))",
    ),
    "aws_s3_bucket_lifecycle_configuration": (("ReadBuckets", "ChangeBuckets"), r"s3:\w+LifecycleConfiguration"),
    "aws_s3_bucket_logging": (("ReadBuckets", "ChangeBuckets"), r"s3:\w+BucketLogging"),
    "aws_s3_bucket_object_lock_configuration": (("ReadBuckets", "ChangeBuckets"), r"s3:\w+ObjectLockConfiguration"),
    "aws_s3_bucket_ownership_controls": (("ReadBuckets", "ChangeBuckets"), r"s3:\w+OwnershipControls"),
    "aws_s3_bucket_policy": (("ReadBuckets", "ChangeBuckets"), r"s3:\w+BucketPolicy"),
    "aws_s3_bucket_public_access_block": (("ReadBuckets", "ChangeBuckets"), r"s3:\w+PublicAccessBlock"),
    "aws_s3_bucket_server_side_encryption_configuration": (
        ("ReadBuckets", "ChangeBuckets"),
        r"s3:\w+EncryptionConfiguration",
    ),
    "aws_s3_bucket_versioning": (("ReadBuckets", "ChangeBuckets"), r"s3:\w+BucketVersioning"),
    "aws_sqs_queue": (("ReadDriftRepair", "ChangeDriftRepair"), r"sqs:\w+"),
    "aws_ssm_document": (("ReadDocuments", "ChangeAutomationDocument"), r"ssm:\w+"),
    "aws_ssm_parameter": (
        ("ReadParameter", "ListWhatKnowsNoResources", "ChangeParameter"),
        r"ssm:\w*(Parameters?|Resource)",
    ),
    "aws_ssm_service_setting": (("ReadPublicSharing", "ChangePublicSharing"), r"ssm:\w+ServiceSetting"),
}

# Types that the rollout does not manage.
OF_THEIR_OWN: Mapping[str, tuple[str, ...]] = {
    "aws_cloudwatch_log_destination": (
        *("iam:PassRole", "logs:DeleteDestination", "logs:DescribeDestinations", "logs:ListTagsForResource"),
        *("logs:PutDestination", "logs:TagResource", "logs:UntagResource"),
    ),
    "aws_cloudwatch_log_destination_policy": ("logs:DescribeDestinations", "logs:PutDestinationPolicy"),
    "aws_iam_openid_connect_provider": (
        *("iam:CreateOpenIDConnectProvider", "iam:DeleteOpenIDConnectProvider", "iam:GetOpenIDConnectProvider"),
        *("iam:TagOpenIDConnectProvider", "iam:UntagOpenIDConnectProvider"),
        "iam:UpdateOpenIDConnectProviderThumbprint",
    ),
    "aws_security_group": (
        *("ec2:AuthorizeSecurityGroupIngress", "ec2:CreateSecurityGroup", "ec2:CreateTags", "ec2:DeleteSecurityGroup"),
        *("ec2:DeleteTags", "ec2:DescribeSecurityGroups", "ec2:RevokeSecurityGroupEgress"),
        "ec2:RevokeSecurityGroupIngress",
    ),
    "aws_vpc_endpoint": (
        *("ec2:CreateTags", "ec2:CreateVpcEndpoint", "ec2:DeleteTags", "ec2:DeleteVpcEndpoints"),
        *("ec2:DescribePrefixLists", "ec2:DescribeVpcEndpoints", "ec2:ModifyVpcEndpoint"),
        # Its data sources.
        *("ec2:DescribeSubnets", "ec2:DescribeVpcAttribute", "ec2:DescribeVpcs"),
    ),
}

_WHERE: Mapping[str, str] = {
    "aws_organizations_policy": " in the management account or a delegated administrator",
    "aws_organizations_policy_attachment": " there",
}


@cache
def _statements() -> Mapping[str, tuple[str, ...]]:
    return {one.sid: tuple(one.actions) for one in (*TERRAFORM_READ, *CHANGE)}


def actions_of(kind: str) -> list[str]:
    """Return the actions that a type of resource or data source takes, sorted.

    Raises:
        KeyError: Nothing is known of the type; add it here.
    """
    if kind in OF_THEIR_OWN:
        return sorted(OF_THEIR_OWN[kind])
    names, pattern = OF_STATEMENTS[kind]
    return sorted({one for name in names for one in _statements()[name] if re.fullmatch(pattern, one)})


def row(kinds: Iterable[str]) -> str:
    """Return the row of a README: for each type of resource its actions."""
    cells = [f"`{kind}`{_WHERE.get(kind, '')}: {', '.join(f'`{one}`' for one in actions_of(kind))}" for kind in kinds]
    return f"| Permissions of the caller | {'<br>'.join(cells)} |"


def readmes(modules: Path = MODULES) -> Mapping[Path, str]:
    """Return the README of each module, with its row."""
    found = {}
    for readme in sorted(modules.glob("*/README.md")):
        kinds = sorted({address.split(".")[0] for address in read_interface(readme.parent).resources})
        before, after = _ROW.split(readme.read_text(encoding="utf-8"), maxsplit=1)
        found[readme] = f"{before}{row(kinds)}{after}"
    return found
