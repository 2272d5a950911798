"""CloudWatch Logs: retention, keys that can be used, log classes, deletion protection and data protection.

See https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html and
https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/logs/encrypt-log-data-kms.html.
"""

from __future__ import annotations

import json
from typing import Any

from moto.logs.models import logs_backends

from aws_sandbox.call import AwsError, Call
from aws_sandbox.log_groups import STANDARD, find_group
from aws_sandbox.policies import Principal, Request, allows
from aws_sandbox.resource_policies import key_of, protection_of_key

# botocore, PutDataProtectionPolicy.
LONGEST_PROTECTION = 30_720

RETENTION_DAYS = (
    *(1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731),
    *(1096, 1827, 2192, 2557, 2922, 3288, 3653),
)


def retention(call: Call) -> None:
    """Reject a retention that is none of the possible ones.

    Raises:
        AwsError: InvalidParameterException.
    """
    days = call.parameters["retentionInDays"]
    if days not in RETENTION_DAYS:
        allowed = ", ".join(map(str, sorted(RETENTION_DAYS)))
        raise AwsError(
            "InvalidParameterException",
            f"1 validation error detected: Value '{days}' at 'retentionInDays' failed to satisfy constraint: Member "
            f"must satisfy enum value set: [{allowed}]",
        )


def key(call: Call) -> None:
    """Reject a key that is missing, cannot be used, or does not let CloudWatch Logs use it for the log group.

    Raises:
        AwsError: InvalidParameterException or AccessDeniedException.
    """
    named, group = call.parameters.get("kmsKeyId"), call.parameters.get("logGroupName")
    group = group or call.parameters.get("resourceIdentifier", "").partition(":log-group:")[2]
    if not named:
        return
    found = key_of(named, call.account_id, call.region)
    if found is None or found.key_state != "Enabled":
        raise AwsError("InvalidParameterException", "The specified KMS key does not exist or is not enabled.")
    arn = f"arn:aws:logs:{call.region}:{call.account_id}:log-group:{group}"
    service = Principal("Service", frozenset({f"logs.{call.region}.amazonaws.com"}))
    context = {"kms:EncryptionContext:aws:logs:arn": arn}
    documents = protection_of_key(found).documents
    if not all(
        allows(documents, Request(action, found.arn, context, service))
        for action in ("kms:Decrypt", "kms:GenerateDataKey")
    ):
        raise AwsError(
            "AccessDeniedException",
            f"The specified KMS key does not exist or is not allowed to be used with Arn '{arn}'",
        )


def standard_class_only(call: Call) -> None:
    """Reject what log groups of the other classes do not support.

    Raises:
        AwsError: ValidationException.
    """
    if find_group(call).log_group_class != STANDARD:
        raise AwsError("ValidationException", "This operation is only supported on the Standard log class.")


def deletion(call: Call) -> None:
    """Reject the deletion of a protected log group.

    Raises:
        AwsError: ValidationException.
    """
    group: Any = logs_backends[call.account_id][call.region].groups.get(call.parameters["logGroupName"])
    if group is not None and group.deletion_protected:
        raise AwsError(
            "ValidationException",
            "Cannot delete log group with deletion protection enabled. Disable deletion protection first.",
        )


def data_protection(call: Call) -> None:
    """Reject a data protection policy that does not audit and mask the same identifiers, or is too long.

    Raises:
        AwsError: InvalidParameterException.
    """
    text = call.parameters["policyDocument"]
    try:
        audit, mask = json.loads(text)["Statement"]
        valid = (
            "FindingsDestination" in audit["Operation"]["Audit"]
            and mask["Operation"]["Deidentify"] == {"MaskConfig": {}}
            and audit["DataIdentifier"] == mask["DataIdentifier"] != []
        )
    except (KeyError, TypeError, ValueError):
        valid = False
    if not valid or len(text) > LONGEST_PROTECTION:
        raise AwsError("InvalidParameterException", "Data protection policy is invalid.")


REFUSALS = (
    ("logs:AssociateKmsKey", key),
    ("logs:CreateLogGroup", key),
    ("logs:DeleteLogGroup", deletion),
    ("logs:DescribeSubscriptionFilters", standard_class_only),
    ("logs:PutDataProtectionPolicy", standard_class_only),
    ("logs:PutDataProtectionPolicy", data_protection),
    ("logs:PutMetricFilter", standard_class_only),
    ("logs:PutRetentionPolicy", retention),
    ("logs:PutSubscriptionFilter", standard_class_only),
)
