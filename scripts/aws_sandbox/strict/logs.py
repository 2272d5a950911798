"""CloudWatch Logs: retention, and keys that can be used.

See https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/APIReference/API_PutRetentionPolicy.html and
https://docs.aws.amazon.com/AmazonCloudWatchLogs/latest/logs/encrypt-log-data-kms.html.
"""

from __future__ import annotations

from aws_sandbox.call import AwsError, Call
from aws_sandbox.policies import Principal, Request, allows
from aws_sandbox.resource_policies import key_of, protection_of_key

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


REFUSALS = (
    ("logs:AssociateKmsKey", key),
    ("logs:CreateLogGroup", key),
    ("logs:PutRetentionPolicy", retention),
)
